//! The templates of one directory, compiled: those that are in force, or those of an earlier day that running cascades still have.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use schemas::Send;
use sha2::{Digest, Sha256};

use super::files::{self, Files};
use super::{FUEL, money};

/// Below the templates: each directory in it holds the files of an earlier day.
const EARLIER: &str = "earlier";

/// All of a channel's templates in a directory.
#[derive(Debug)]
pub(super) struct Texts {
    /// By locale, in lower case; the empty one is for everybody else.
    pub(super) locales: BTreeMap<String, Locale>,
    /// By template with its channel: a hash over its versions in all locales.
    pub(super) releases: BTreeMap<String, String>,
}

/// The templates of one locale.
#[derive(Debug)]
pub(super) struct Locale {
    pub(super) environment: Environment<'static>,
    pub(super) names: BTreeSet<String>,
    pub(super) versions: BTreeMap<String, Arc<str>>,
}

/// Reads what is in force, first, and what was before.
pub(super) fn read(directory: &Path, channel: &str) -> Result<Vec<Texts>, Vec<String>> {
    let mut problems = Vec::new();
    let mut all = vec![Texts::read(directory, channel, &mut problems)];
    if all.iter().flatten().all(|texts| texts.releases.is_empty()) && problems.is_empty() {
        problems.push(format!("{} holds no template for this channel (<name>.{channel}.txt)", directory.display()));
    }
    let mut earlier: Vec<PathBuf> = std::fs::read_dir(directory.join(EARLIER))
        .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()).collect())
        .unwrap_or_default();
    earlier.sort();
    for directory in earlier {
        let mut found = Vec::new();
        all.push(Texts::read(&directory, channel, &mut found));
        problems.extend(found.into_iter().map(|problem| format!("{}: {problem}", directory.display())));
    }
    problems.sort();
    problems.dedup();
    if problems.is_empty() { Ok(all.into_iter().flatten().collect()) } else { Err(problems) }
}

impl Texts {
    fn read(directory: &Path, channel: &str, problems: &mut Vec<String>) -> Option<Self> {
        let files = files::read(directory, channel).map_err(|problem| problems.push(problem)).ok()?;
        problems.extend(files::gaps(&files));
        Some(Self::new(&files, problems))
    }

    fn new(files: &Files, problems: &mut Vec<String>) -> Self {
        let compiled = |locale: &String| Locale::new(locale, files::of_locale(files, locale), problems);
        let compiled: Vec<Locale> = files.keys().map(compiled).collect();
        let locales: BTreeMap<String, Locale> = files.keys().cloned().zip(compiled).collect();
        let stems: BTreeSet<&String> = locales.values().flat_map(|locale| locale.versions.keys()).collect();
        let release = |stem: &str| {
            let mut hash = Sha256::new();
            for (name, locale) in &locales {
                if let Some(version) = locale.versions.get(stem) {
                    hash.update(format!("{name}:{version};"));
                }
            }
            files::shown(hash)
        };
        let releases = stems.into_iter().map(|stem| (stem.clone(), release(stem))).collect();
        Texts { locales, releases }
    }

    /// Whether these are the texts of a template, with its channel, in this version.
    pub(super) fn are(&self, template: &str, release: &str) -> bool {
        self.releases.get(template).is_some_and(|known| known == release)
    }

    /// The narrowest locale of a command's that has texts.
    pub(super) fn locale(&self, send: &Send) -> &Locale {
        let chain = files::fallbacks(send.locale.as_deref().unwrap_or_default());
        let found = chain.iter().find_map(|locale| self.locales.get(locale));
        // The last of every chain is everybody's, which is always there.
        found.unwrap_or_else(|| &self.locales[""])
    }
}

impl Locale {
    fn new(locale: &str, files: BTreeMap<String, String>, problems: &mut Vec<String>) -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(32);
        environment.add_filter("money", money);
        environment
            .set_auto_escape_callback(|name| if name.ends_with(".html") { AutoEscape::Html } else { AutoEscape::None });
        let versions = files::versions(&files).into_iter().map(|(name, version)| (name, version.into())).collect();
        let names = files.keys().cloned().collect();
        for (name, text) in files {
            if let Err(error) = environment.add_template_owned(name.clone(), text) {
                let of_locale = if locale.is_empty() { String::new() } else { format!(" (for {locale})") };
                problems.push(format!("template {name}{of_locale}: {error}"));
            }
        }
        Locale { environment, names, versions }
    }
}
