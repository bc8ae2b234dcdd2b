//! Campaign definitions, tables of prices and rates, and caps as files.

use std::path::{Path, PathBuf};

use campaign::{Caps, Plan, Prices, Problem, Rates, Spend};
use schemas::{Campaign, CampaignKind, Millis};

use crate::failure::{Exit, Failure};

/// A file that was understood.
#[derive(Clone)]
pub struct Document {
    /// As it was named.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// The text, as it is published.
    pub text: String,
    /// What the linter says, each with a line break behind it.
    pub warnings: String,
}

/// What a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A version of a campaign.
    Definition {
        /// The campaign's name.
        campaign: String,
        /// Its version.
        version: i32,
    },
    /// The price table of all channels.
    Prices,
    /// How often messages get how far on each channel.
    Rates,
    /// The caps of all campaigns.
    Caps,
}

impl Document {
    /// What it is, in words.
    pub fn title(&self) -> String {
        match &self.kind {
            Kind::Definition { campaign, version } => format!("campaign {campaign} version {version}"),
            Kind::Prices => "price table".to_owned(),
            Kind::Rates => "table of rates".to_owned(),
            Kind::Caps => "caps".to_owned(),
        }
    }

    /// What a cascade of it costs at most, behind its title; none of what is no campaign.
    pub fn spend(&self, prices: &Prices) -> Option<String> {
        let plan =
            campaign::parse(&self.path, &self.text).ok().filter(|_| matches!(self.kind, Kind::Definition { .. }))?;
        Some(format!(" {}", Spend::of(&plan, prices)))
    }

    /// As it is published.
    pub fn into_record(self, applied_at: Millis) -> Campaign {
        let (campaign, version, kind) = match self.kind {
            Kind::Definition { campaign, version } => (campaign, version, CampaignKind::Definition),
            Kind::Prices => (String::new(), 0, CampaignKind::Prices),
            Kind::Rates => (String::new(), 0, CampaignKind::Rates),
            Kind::Caps => (String::new(), 0, CampaignKind::Caps),
        };
        Campaign { campaign, version, kind, definition: self.text, applied_at, ..Campaign::default() }
    }
}

/// Reads files, and of directories all `.yaml` and `.yml` files in them.
///
/// # Errors
/// `Input` if one cannot be read, `Campaign` with all problems of all files, and what is wrong with them together.
pub fn read(paths: &[PathBuf]) -> Result<Vec<Document>, Failure> {
    let mut documents = Vec::new();
    let mut problems = Vec::new();
    for path in files(paths)? {
        let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, &error))?;
        match understand(&path.display().to_string(), text) {
            Ok(document) => documents.push(document),
            Err(found) => problems.extend(found),
        }
    }
    problems.extend(campaign::together(&definitions(&documents)));
    match problems.len() {
        0 => Ok(documents),
        count => {
            let problem = if count == 1 { "problem" } else { "problems" };
            let end = format!("{count} {problem}: correct the definition and try again");
            Err(refused(Exit::Campaign, &problems, &end))
        }
    }
}

/// Names and texts of the campaigns among files.
fn definitions(documents: &[Document]) -> Vec<(&str, &str)> {
    let campaigns = documents.iter().filter(|document| matches!(document.kind, Kind::Definition { .. }));
    campaigns.map(|document| (document.path.as_str(), document.text.as_str())).collect()
}

/// All problems of what cannot be used, and what to do.
pub fn refused(exit: Exit, problems: &[Problem], end: &str) -> Failure {
    let shown: String = problems.iter().map(|problem| format!("{problem}\n\n")).collect();
    Failure::new(exit, shown + end)
}

/// Makes a document of a text.
pub fn understand(path: &str, text: String) -> Result<Document, Vec<Problem>> {
    let (kind, warnings) = if is_table(&text, "prices:") {
        Prices::parse(path, &text)?;
        (Kind::Prices, String::new())
    } else if is_table(&text, "rates:") {
        Rates::parse(path, &text)?;
        (Kind::Rates, String::new())
    } else if is_table(&text, "caps:") {
        Caps::parse(path, &text)?;
        (Kind::Caps, String::new())
    } else {
        let Plan { name, version, warnings, .. } = campaign::parse(path, &text)?;
        let shown = warnings.iter().map(|warning| format!("{warning}\n\n")).collect();
        (Kind::Definition { campaign: name, version }, shown)
    };
    Ok(Document { path: path.to_owned(), kind, text, warnings })
}

/// A table has a list at its top level that no campaign has.
fn is_table(text: &str, list: &str) -> bool {
    text.lines().any(|line| line.starts_with(list))
}

fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries = std::fs::read_dir(path).map_err(|error| unreadable(path, &error))?;
        let is_yaml = |path: &PathBuf| path.extension().is_some_and(|end| end == "yaml" || end == "yml");
        let mut found: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_yaml).collect();
        if found.is_empty() {
            let sentence = format!("{} holds no .yaml files: name the directory with the campaigns", path.display());
            return Err(Failure::new(Exit::Input, sentence));
        }
        found.sort();
        files.append(&mut found);
    }
    Ok(files)
}

/// A file or directory that cannot be read.
pub fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Input, format!("{} cannot be read ({error}): check the path", path.display()))
}
