//! Campaign files, their templates, and the topic `campaign`: check, show, render, try, apply, launch, pause, resume, stop, migrate,
//! list; the schema of their language; how the base is.

pub mod documents;
mod picture;
mod rehearsal;
pub mod book;
mod life;
mod templates;
pub mod preview;
mod base;
mod moving;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use campaign::Prices;
use schemas::{Campaign, Millis};

use crate::config::Common;
use crate::failure::{Exit, Failure};
use crate::{cli, common};
pub use base::{Launch, Sleepers};
use base::{hygiene, launch};
use book::Book;
use documents::{Document, Kind};
pub use life::{Afterwards, Migrate};
use life::{list, migrate, pause, resume, stop};
pub use picture::{Picture, show};
pub use rehearsal::{Rehearsal, rehearse};

/// `cascade campaign …`. Gives back what to print.
///
/// # Errors
/// Those of the tools.
pub fn run(command: cli::Campaign) -> Result<String, Failure> {
    use cli::Campaign as Command;
    match command {
        Command::Apply { paths, flags } => apply(&common(&flags)?, &paths),
        Command::Pause { on_resume, named } => pause(&common(&named.flags)?, &named.name, on_resume),
        Command::Resume(named) => resume(&common(&named.flags)?, &named.name),
        Command::Stop(named) => stop(&common(&named.flags)?, &named.name),
        Command::Migrate { args, flags } => migrate(&common(&flags)?, &args),
        Command::Launch { args, flags } => launch(&common(&flags)?, &args),
        Command::Hygiene { args, flags } => hygiene(&common(&flags)?, &args),
        Command::List(flags) => list(&common(&flags)?),
        Command::Schema { of } => Ok(schema(of)),
        Command::Manual => Ok(campaign::reference::manual()),
    }
}

/// What is checked.
#[derive(Debug, clap::Args)]
pub struct Files {
    /// Files, or directories of .yaml files
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    /// Check the templates that campaigns name, too, and say how many segments those of an SMS take
    #[arg(long, value_name = "DIR")]
    pub templates: Option<PathBuf>,
    /// Print what the campaigns have to say, below `templates:`, so that their texts stay as they are whoever edits a file
    #[arg(long, requires = "templates")]
    pub pins: bool,
    /// Say what a cascade costs at most by this price table, where none is among the files
    #[arg(long, value_name = "FILE")]
    pub prices: Option<PathBuf>,
}

/// Checks files without Kafka, and the templates that they name where their directory is given. With a price table, which is a file of
/// its own or one of these, it says what a cascade costs at most. Gives back what to print.
///
/// # Errors
/// `Campaign`, with every problem and its place.
pub fn check(files: &Files) -> Result<String, Failure> {
    let documents = documents::read(&files.paths)?;
    let prices = price_table(&documents, files.prices.as_deref())?;
    let lines = documents.iter().map(|document| {
        let spend = prices.as_ref().and_then(|prices| document.spend(prices)).unwrap_or_default();
        format!("{}{}: {}{spend}\n", document.warnings, document.path, document.title())
    });
    let lines: String = lines.collect();
    let of_templates =
        files.templates.as_deref().map(|directory| templates::check(&documents, directory, files.pins)).transpose()?;
    Ok(lines + &of_templates.unwrap_or_default())
}

/// The price table of a file that was named for it, else the one among the files.
fn price_table(documents: &[Document], named: Option<&Path>) -> Result<Option<Prices>, Failure> {
    let table = |documents: &[Document]| {
        let of_prices = documents.iter().find(|document| document.kind == Kind::Prices);
        of_prices.and_then(|document| Prices::parse(&document.path, &document.text).ok())
    };
    let Some(path) = named else { return Ok(table(documents)) };
    match table(&documents::read(&[path.to_owned()])?) {
        None => Err(Failure::new(
            Exit::Campaign,
            format!("{} holds no price table: begin it with `currency:`", path.display()),
        )),
        found => Ok(found),
    }
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
fn schema(of: Written) -> String {
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
fn apply(common: &Common, paths: &[PathBuf]) -> Result<String, Failure> {
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
    let problems = book.together(&documents);
    if !problems.is_empty() {
        return Err(documents::refused(Exit::Campaign, &problems, "nothing was applied"));
    }
    for document in documents {
        let title = document.title();
        match book.judge(&document) {
            Ok(false) => lines.push(format!("{title}: unchanged\n")),
            Ok(true) => {
                // Whoever wants to migrate running cascades has to apply it all the same.
                let met = book.met_before(&document, now).map(|sentence| format!("warning: {title}: {sentence}\n\n"));
                let warnings = document.warnings.clone() + &book.unknown_past(&document) + &met.unwrap_or_default();
                lines.push(format!("{warnings}{title}: applied\n"));
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
