//! `cascade import`: a file of the shop's records goes to their topic, as if a producer had written them there.
//!
//! The whole file is read twice: first everything is checked, by its schema and as intake will, and what is wrong is told with line and
//! column; only a file without mistakes is published (or, with `--skip-bad`, what of it has none). Records of one customer keep
//! their order.
//!
//! *Again.* A file beside it says how many records Kafka has. Whoever is interrupted goes on there; at most one portion is published twice, under
//! the same event ids, which changes nothing. A record without an event id gets one that follows from what is in it, so that also a file
//! that is imported anew makes nobody's cascade begin twice.
//!
//! *From standard input* (`-`), where no file can be brought to, as into a container: the same.
//!
//! *Limits.* A cell of CSV holds one value: carts and orders with items come as NDJSON.

mod mapping;
mod lines;
mod progress;
mod spooled;
mod state;
#[cfg(test)]
mod tests;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use intake::{Kind, Source, normalize};
use schemas::json::{self, Misfit, SourceRecord};
use schemas::{Ids, Topics};
use serde_json::Value;
use sha2::{Digest, Sha256};
use stream::publisher::{Pending, Publisher, all};
use tracker::events::EVENT_BYTES_MAX;

use crate::config::Common;
use crate::failure::{Exit, Failure};
use crate::topics;
use lines::{Line, Lines};
use mapping::Mapping;
use progress::Progress;
pub use spooled::Form;
use spooled::Spooled;
use state::State;

/// So many records are under way at once; then it is noted that Kafka has them.
const PORTION: usize = 1_000;

/// How long the brokers may take to say who they are.
const ANSWER: Duration = Duration::from_secs(10);

/// So many mistakes are told one by one.
const TOLD: usize = 20;

/// What to import.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The file: .csv with a head, or .ndjson, .jsonl with an object a line. `-` is what comes on standard input: it is put into a temporary file
    /// first, and goes on where it was interrupted only with --state
    pub file: PathBuf,
    /// What comes on standard input
    #[arg(long, value_name = "FORM", required_if_eq("file", "-"))]
    pub format: Option<Form>,
    /// What is in it: cart, registration, inactivity, action or profile
    #[arg(long)]
    pub kind: String,
    /// A field and the column (or the member) that it is read from, as `customer_id=Client`; may be repeated. Also
    /// `attributes.NAME=…`, and for profiles `contacts.CHANNEL=…` and `consents.CHANNEL=…`. Columns that are called like fields need none
    #[arg(long, value_name = "FIELD=COLUMN")]
    pub map: Vec<String>,
    /// A field that is the same everywhere, as `action=purchase`; may be repeated
    #[arg(long, value_name = "FIELD=VALUE")]
    pub fill: Vec<String>,
    /// Check everything and publish nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Publish what has no mistake, though other records have
    #[arg(long)]
    pub skip_bad: bool,
    /// Where is noted how far the import is [default: FILE.import]
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Begin with the first record, whatever was noted
    #[arg(long)]
    pub restart: bool,
}

/// Imports a file. Gives back what to print.
///
/// # Errors
/// `Usage` for a mapping that cannot be, `Input` for a file with mistakes, `NotNow` if Kafka did not take everything: the same
/// command goes on.
pub fn run(common: &Common, args: &Args) -> Result<String, Failure> {
    match args.format.filter(|_| args.file.as_os_str() == "-") {
        None => import(common, args, &args.file),
        // It is read twice.
        Some(form) => {
            let spooled = Spooled::of(&mut std::io::stdin().lock(), form)?;
            import(common, &Args { file: spooled.path().to_owned(), ..args.clone() }, Path::new("standard input"))
        }
    }
}

/// The same of a file, which people know by this name.
fn import(common: &Common, args: &Args, name: &Path) -> Result<String, Failure> {
    let kind = kind(&args.kind)?;
    let mapping =
        Mapping::parse(&args.kind, &args.map, &args.fill).map_err(|words| Failure::new(Exit::Usage, words))?;
    let checked = check(args, kind, &mapping)?;
    let mut said = checked.tell(name);
    if checked.bad > 0 && (!args.skip_bad || args.dry_run) {
        let advice =
            if args.dry_run { "" } else { "Nothing was published: correct them, or leave them out with --skip-bad." };
        return Err(Failure::new(Exit::Input, format!("{said}{advice}").trim_end().to_owned()));
    }
    if args.dry_run {
        return Ok(said);
    }
    let topic = topic(&common.topics, kind)?;
    topics::require(common, std::slice::from_ref(&topic))?;
    let published = publish(common, args, kind, &mapping, &topic)?;
    let _ = writeln!(said, "{published} of them were published to {topic} now; Kafka has all");
    Ok(said)
}

fn kind(word: &str) -> Result<Kind, Failure> {
    let known = json::KINDS.iter().find(|(known, _)| *known == word).and_then(|(_, record)| Kind::of(record));
    known.ok_or_else(|| {
        let all = json::KINDS.map(|(known, _)| known).join(", ");
        Failure::new(Exit::Usage, format!("--kind {word}: there is no such kind; it is one of {all}"))
    })
}

fn topic(topics: &Topics, kind: Kind) -> Result<String, Failure> {
    let found = topics.sources().into_iter().find(|(_, record)| *record == kind.record());
    found.map(|(topic, _)| topic).ok_or_else(|| Failure::unexpected("no topic has such records"))
}

/// What the first reading found.
#[derive(Default)]
struct Checked {
    good: u64,
    bad: u64,
    /// The first of what is wrong, a line each.
    told: Vec<String>,
    /// Columns that go nowhere.
    unused: Vec<String>,
}

impl Checked {
    fn wrong(&mut self, line: &Line, misfit: &Misfit, mapping: &Mapping) {
        self.bad += 1;
        if self.told.len() < TOLD {
            self.told.push(format!("line {}, {}: {misfit}", line.number, line.column(misfit, mapping)));
        }
    }

    fn tell(&self, file: &Path) -> String {
        let mut said: String = self.told.iter().fold(String::new(), |said, line| said + line + "\n");
        if self.bad > TOLD as u64 {
            let _ = writeln!(said, "and {} more", self.bad - TOLD as u64);
        }
        if !self.unused.is_empty() {
            let _ = writeln!(said, "columns that are not used: {}", self.unused.join(", "));
        }
        let _ = writeln!(said, "{}: {} records are right, {} are not", file.display(), self.good, self.bad);
        said
    }
}

fn check(args: &Args, kind: Kind, mapping: &Mapping) -> Result<Checked, Failure> {
    let mut lines = Lines::open(&args.file)?;
    let mut checked = Checked::default();
    if let Some(head) = lines.head() {
        mapping.require(head).map_err(|words| Failure::new(Exit::Usage, words))?;
        checked.unused = mapping.unused(head);
    }
    let (ids, mut progress) = (Ids::new(), Progress::begin("checked", lines.bytes()));
    while let Some(line) = lines.next()? {
        match record(&line, &args.kind, kind, mapping, &ids) {
            Ok(_) => checked.good += 1,
            Err(misfit) => checked.wrong(&line, &misfit, mapping),
        }
        progress.at(checked.good + checked.bad, lines.place());
    }
    progress.end();
    Ok(checked)
}

/// The record of a line, as intake will take it.
fn record(line: &Line, word: &str, kind: Kind, mapping: &Mapping, ids: &Ids) -> Result<SourceRecord, Misfit> {
    let mut object = mapping.apply(line.value()?, line.is_cells())?;
    let is_named = object.get("event_id").is_some_and(|id| !id.is_null());
    if let (false, Some(fields)) = (is_named, object.as_object_mut()) {
        fields.insert("event_id".to_owned(), Value::from(""));
    }
    let mut record = json::read(word, object.clone())?;
    if !is_named {
        object["event_id"] = Value::from(name(word, &record.value));
        record = json::read(word, object)?;
    }
    if record.key.len() + record.value.len() > EVENT_BYTES_MAX {
        return Err(Misfit {
            path: "the record".to_owned(),
            must: format!("must have at most {EVENT_BYTES_MAX} bytes"),
        });
    }
    let source = Source {
        kind,
        topic: word,
        partition: 0,
        offset: 0,
        appended_at: 0,
        key: Some(record.key.as_bytes()),
        value: Some(&record.value),
    };
    match normalize(&source, ids) {
        Ok(_) => Ok(record),
        Err(reject) => {
            let path = reject.message.split(' ').next().unwrap_or_default().to_owned();
            let must = reject.message.strip_prefix(&path).unwrap_or_default().trim_start().to_owned();
            Err(Misfit { path, must })
        }
    }
}

/// An event's id that follows from all that is said of it.
fn name(word: &str, record: &[u8]) -> String {
    let digest = Sha256::new_with_prefix(word).chain_update([0]).chain_update(record);
    format!("import-{}", hex(digest))
}

/// 128 bits of a digest, as text.
fn hex(digest: Sha256) -> String {
    digest.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Publishes what was not published yet. Returns how many that were.
fn publish(common: &Common, args: &Args, kind: Kind, mapping: &Mapping, topic: &str) -> Result<u64, Failure> {
    let identity = format!("{}/{}", common.kafka.cluster_id(ANSWER)?, common.kafka.topic_identity(topic)?);
    let mut state = State::open(args, mapping, &identity)?;
    let publisher = Publisher::new(&common.kafka, &[topic])?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::unexpected)?;
    let (ids, mut lines, mut read, mut published) = (Ids::new(), Lines::open(&args.file)?, 0, 0);
    let mut progress = Progress::begin("published", lines.bytes());
    let mut portion: Vec<SourceRecord> = Vec::with_capacity(PORTION);
    loop {
        let line = lines.next()?;
        let is_last = line.is_none();
        if let Some(line) = line {
            read += 1;
            if read <= state.read {
                continue;
            }
            portion.extend(record(&line, &args.kind, kind, mapping, &ids).ok());
        }
        if portion.len() == PORTION || (is_last && read > state.read) {
            let sent = portion.iter().map(|record| send(&publisher, topic, record)).collect();
            runtime.block_on(all(sent)).map_err(|error| {
                Failure::new(Exit::NotNow, format!("{error}; {published} records are there: the same command goes on"))
            })?;
            published += portion.len() as u64;
            portion.clear();
            state.note(read, lines.place())?;
        }
        progress.at(published, lines.place());
        if is_last {
            break;
        }
    }
    progress.end();
    Ok(published)
}

fn send<'a>(publisher: &'a Publisher, topic: &'a str, record: &'a SourceRecord) -> Pending<'a, stream::Error> {
    Box::pin(async move {
        let (key, value) = (record.key.as_bytes(), record.value.as_slice());
        publisher.publish(topic, None, Some(key), Some(value), &[]).await
    })
}
