//! Campaign files and the topic `campaign`: check, show, try, apply, pause, resume, stop, list; the schema of their language.

pub mod documents;
mod picture;
mod rehearsal;
mod book;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use comfy_table::{Table, presets::NOTHING};
use schemas::{Campaign, CampaignKind, Millis};

use crate::config::Common;
use crate::failure::{Exit, Failure};
use crate::times;
use book::Book;
use documents::{Document, Kind};
pub use picture::{Picture, show};
pub use rehearsal::{Rehearsal, rehearse};

/// Checks files without Kafka. Gives back what to print.
///
/// # Errors
/// `Campaign`, with every problem and its place.
pub fn check(paths: &[PathBuf]) -> Result<String, Failure> {
    let documents = documents::read(paths)?;
    let lines =
        documents.iter().map(|document| format!("{}{}: {}\n", document.warnings, document.path, document.title()));
    Ok(lines.collect())
}

/// What a file can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Written {
    /// A version of a campaign.
    Campaign,
    /// The price table.
    Prices,
    /// The table of rates.
    Rates,
    /// The caps.
    Caps,
}

/// The JSON Schema of what can be written.
pub fn schema(of: Written) -> String {
    let schema = match of {
        Written::Campaign => campaign::reference::campaign(),
        Written::Prices => campaign::reference::prices(),
        Written::Rates => campaign::reference::rates(),
        Written::Caps => campaign::reference::caps(),
    };
    format!("{schema:#}\n")
}

/// Publishes new campaign versions, tables of prices and rates, and caps. All or nothing.
///
/// # Errors
/// `Campaign` if a file has problems or a version exists with another text or does not grow.
pub fn apply(common: &Common, paths: &[PathBuf]) -> Result<String, Failure> {
    publish(common, documents::read(paths)?)
}

/// Publishes a table of this kind.
///
/// # Errors
/// As [`apply`], and if a file is not such a table.
pub fn apply_table(common: &Common, kind: &Kind, paths: &[PathBuf]) -> Result<String, Failure> {
    let documents = documents::read(paths)?;
    match documents.iter().find(|document| document.kind != *kind) {
        Some(other) => {
            let sentence =
                format!("{} is a {}, which is applied with `cascade campaign apply`", other.path, other.title());
            Err(Failure::new(Exit::Campaign, sentence))
        }
        None => publish(common, documents),
    }
}

/// Tells all replicas to pause, resume or stop a campaign.
///
/// # Errors
/// `Campaign` if there is no such campaign.
pub fn tell(common: &Common, campaign: &str, kind: CampaignKind) -> Result<String, Failure> {
    let mut book = Book::open(common)?;
    let record =
        Campaign { campaign: campaign.to_owned(), kind, applied_at: common.time.clock()?.now(), ..Campaign::default() };
    if book.state_of(campaign) == Some(kind) {
        return Ok(format!("{campaign} is {} already\n", word(kind)));
    }
    if !book.knows(campaign) {
        let known = book.names().join(", ");
        let sentence = format!("there is no campaign {campaign}: apply its definition first (there are: {known})");
        return Err(Failure::new(Exit::Campaign, sentence));
    }
    book.publish(&[record])?;
    Ok(format!("{campaign} is {} from now on\n", word(kind)))
}

/// All campaigns, their newest version and state.
///
/// # Errors
/// Those of Kafka.
pub fn list(common: &Common) -> Result<String, Failure> {
    let records = book::read(common)?;
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(["campaign", "version", "state", "applied"]);
    for name in book::names(&records) {
        let newest = records.iter().filter(|record| record.campaign == name && record.kind == CampaignKind::Definition);
        let Some(newest) = newest.max_by_key(|record| record.version) else { continue };
        let state = book::state_of(&records, &name).unwrap_or(CampaignKind::Resumed);
        table.add_row([name, newest.version.to_string(), word(state).to_owned(), times::utc(newest.applied_at)]);
    }
    Ok(format!("{}\n", table.trim_fmt()))
}

fn publish(common: &Common, documents: Vec<Document>) -> Result<String, Failure> {
    let mut book = Book::open(common)?;
    let (records, lines) = news(&mut book, documents, common.time.clock()?.now())?;
    if !records.is_empty() {
        book.publish(&records)?;
    }
    Ok(lines.concat())
}

/// What of the documents is new, and a line about each of them.
fn news(book: &mut Book, documents: Vec<Document>, now: Millis) -> Result<(Vec<Campaign>, Vec<String>), Failure> {
    let mut records = Vec::new();
    let mut lines = Vec::new();
    let mut refused = Vec::new();
    for document in documents {
        let title = document.title();
        match book.judge(&document) {
            Ok(false) => lines.push(format!("{title}: unchanged\n")),
            Ok(true) => {
                lines.push(format!("{}{title}: applied\n", document.warnings));
                let record = document.into_record(now);
                book.note(&record);
                records.push(record);
            }
            Err(reason) => refused.push(format!("{}: {reason}", document.path)),
        }
    }
    match refused.is_empty() {
        true => Ok((records, lines)),
        false => Err(Failure::new(Exit::Campaign, format!("{}\nnothing was applied", refused.join("\n")))),
    }
}

fn word(state: CampaignKind) -> &'static str {
    match state {
        CampaignKind::Paused => "paused",
        CampaignKind::Stopped => "stopped",
        _ => "running",
    }
}
