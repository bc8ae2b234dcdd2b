//! Template files: which there are, which stand in for which, and what they come to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sha2::{Digest, Sha256};

/// Kinds of files that make a part of a message.
const KINDS: [&str; 4] = ["txt", "html", "subject", "link"];

/// Those that a customer reads: a locale that has one of them has all.
const READ: [&str; 3] = ["txt", "html", "subject"];

/// The files of one channel, as they stand in the directory: by locale (in lower case; empty for everybody else), then by name
/// without the locale.
pub(super) type Files = BTreeMap<String, BTreeMap<String, String>>;

/// Reads all template files of `channel`, and the fragments of all.
pub(super) fn read(directory: &Path, channel: &str) -> Result<Files, String> {
    let failed = |error: std::io::Error| format!("the templates in {} cannot be read: {error}", directory.display());
    let mut files = Files::from([(String::new(), BTreeMap::new())]);
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let named = path.file_name().and_then(|name| name.to_str()).and_then(|name| placed(name, channel));
        if let Some((locale, name)) = named {
            let text = std::fs::read_to_string(&path).map_err(failed)?;
            files.entry(locale).or_default().insert(name, text);
        }
    }
    Ok(files)
}

/// Locale and name of a file; none for what is no file of this channel.
fn placed(file: &str, channel: &str) -> Option<(String, String)> {
    let (stem, kind) = file.rsplit_once('.').filter(|(_, kind)| KINDS.contains(kind))?;
    let ours = |stem: &str| is_fragment(stem) && !stem.contains('.') || stem.ends_with(&format!(".{channel}"));
    match stem.rsplit_once('.') {
        _ if ours(stem) => Some((String::new(), file.to_owned())),
        Some((stem, locale)) if ours(stem) && is_locale(locale) => Some((normal(locale), format!("{stem}.{kind}"))),
        _ => None,
    }
}

fn is_fragment(name: &str) -> bool {
    name.starts_with('_')
}

/// Looks like a tag of BCP 47: a language, and what makes it narrower.
fn is_locale(text: &str) -> bool {
    let mut subtags = text.split(['-', '_']);
    let language = subtags.next().unwrap_or_default();
    (2..=3).contains(&language.len())
        && language.chars().all(|c| c.is_ascii_alphabetic())
        && subtags.all(|tag| (1..=8).contains(&tag.len()) && tag.chars().all(|c| c.is_ascii_alphanumeric()))
}

/// A locale as it is compared.
fn normal(locale: &str) -> String {
    locale.replace('_', "-").to_ascii_lowercase()
}

/// The locale and those that stand in for it, the narrowest first: `pt-BR`, `pt`, and what is for everybody.
pub(super) fn fallbacks(locale: &str) -> Vec<String> {
    let mut chain = vec![normal(locale)];
    while let Some((wider, _)) = chain.last().and_then(|last| last.rsplit_once('-')) {
        chain.push(wider.to_owned());
    }
    chain.push(String::new());
    chain
}

/// All files that a customer of this locale may meet.
pub(super) fn of_locale(files: &Files, locale: &str) -> BTreeMap<String, String> {
    let layers = fallbacks(locale).into_iter().rev().filter_map(|layer| files.get(&layer));
    layers.flatten().map(|(name, text)| (name.clone(), text.clone())).collect()
}

/// What is wrong with which files are there, each in a sentence.
pub(super) fn gaps(files: &Files) -> Vec<String> {
    let mut problems = Vec::new();
    for (locale, own) in files {
        let all = of_locale(files, locale);
        let parts: BTreeSet<(&str, &str)> = own.keys().filter_map(|name| part(name)).collect();
        for (stem, kind) in &parts {
            if !all.contains_key(&format!("{stem}.txt")) {
                problems.push(format!("template {stem}.{kind} has no .txt beside it: every message needs a text"));
            } else if !locale.is_empty() && !everybody(files).contains_key(&format!("{stem}.txt")) {
                let file = format!("{stem}.{locale}.{kind}");
                problems.push(format!("template {file} has no {stem}.txt, which is for all other customers"));
            }
        }
        let stems: BTreeSet<&str> =
            parts.iter().filter(|(_, kind)| READ.contains(kind)).map(|(stem, _)| *stem).collect();
        for (stem, kind) in stems.iter().flat_map(|stem| READ.map(|kind| (stem, kind))) {
            if !locale.is_empty() && !parts.contains(&(*stem, kind)) && all.contains_key(&format!("{stem}.{kind}")) {
                let file = format!("{stem}.{locale}.{kind}");
                problems.push(format!("template {file} is missing: the message would be half in another language"));
            }
        }
    }
    problems
}

fn everybody(files: &Files) -> &BTreeMap<String, String> {
    static NONE: BTreeMap<String, String> = BTreeMap::new();
    files.get("").unwrap_or(&NONE)
}

/// Template with its channel, and kind, of a file that makes a part of a message.
fn part(name: &str) -> Option<(&str, &str)> {
    name.rsplit_once('.').filter(|_| !is_fragment(name))
}

/// The version of each template, by its name with the channel: a hash over the names and texts of its parts and of all fragments.
pub(super) fn versions(files: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let stems: BTreeSet<&str> = files.keys().filter_map(|name| part(name)).map(|(stem, _)| stem).collect();
    let version = |stem: &str| {
        let mut hash = Sha256::new();
        let of_it = |name: &str| is_fragment(name) || part(name).is_some_and(|(of, _)| of == stem);
        for (name, text) in files.iter().filter(|(name, _)| of_it(name)) {
            hash.update(format!("{}:{name}{}:{text}", name.len(), text.len()));
        }
        shown(hash)
    };
    stems.into_iter().map(|stem| (stem.to_owned(), version(stem))).collect()
}

/// Its first 64 bits, as sixteen digits.
pub(super) fn shown(hash: Sha256) -> String {
    hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_its_channel_and_its_locale() {
        let placed = |file: &str| placed(file, "email");
        let at = |locale: &str, name: &str| Some((locale.to_owned(), name.to_owned()));
        assert_eq!(placed("cart.email.txt"), at("", "cart.email.txt"));
        assert_eq!(placed("cart.email.pt_BR.html"), at("pt-br", "cart.email.html"));
        assert_eq!((placed("_foot.html"), placed("_foot.ru.txt")), (at("", "_foot.html"), at("ru", "_foot.txt")));
        for other in ["cart.sms.txt", "cart.email.ru.md", "cart.email.russian.txt", "email.txt", "_foot.md"] {
            assert_eq!(placed(other), None, "{other}");
        }
    }

    #[test]
    fn a_narrow_locale_falls_back_to_the_wider_and_then_to_everybodys() {
        assert_eq!(fallbacks("pt_BR"), ["pt-br", "pt", ""]);
        assert_eq!(fallbacks("ru"), ["ru", ""]);
        let text = |text: &str| BTreeMap::from([("a.email.txt".to_owned(), text.to_owned())]);
        let files = Files::from([(String::new(), text("all")), ("pt".to_owned(), text("pt"))]);
        assert_eq!((of_locale(&files, "pt-BR"), of_locale(&files, "de")), (text("pt"), text("all")));
    }

    #[test]
    fn a_version_follows_from_what_the_message_is_made_of_and_from_nothing_else() {
        let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        let files = |list: &[(String, String)]| list.iter().cloned().collect::<BTreeMap<_, _>>();
        let (a, b, foot) = (file("a.email.txt", "x"), file("b.email.txt", "y"), file("_foot.txt", "z"));
        let first = versions(&files(&[a.clone(), b, foot.clone()]));
        let other_b = versions(&files(&[a.clone(), file("b.email.txt", "yy"), foot]));
        assert_eq!(first["a.email"], other_b["a.email"]);
        assert_ne!(first["b.email"], other_b["b.email"]);
        let other_foot = versions(&files(&[a, file("_foot.txt", "zz")]));
        assert_ne!(first["a.email"], other_foot["a.email"]);
        assert_eq!(first["a.email"].len(), 16);
    }
}
