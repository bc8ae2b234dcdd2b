//! Configuration: parsed once from what is handed in, then trusted.
//!
//! Flag > environment > file > default, for every setting of the [`catalogue`]. All problems are reported at once, one
//! sentence each, before anything connects anywhere.

pub mod catalogue;
mod surroundings;
mod layers;
mod flags;
mod reader;
mod channel;
mod tracker;
mod explain;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use schemas::{Suppressor, Topics};
use stream::clock::Clock;
use tracing_subscriber::filter::Targets;

pub use channel::channel;
pub use explain::explain;
pub use flags::Flags;
pub use reader::Reader;
pub use surroundings::{Process, Surroundings};
pub use tracker::tracker;

use crate::failure::{Exit, Failure};
use crate::ops::traces;
use crate::{logs, ops};
use catalogue::KAFKA;

/// What every command needs.
#[derive(Clone, Debug)]
pub struct Common {
    /// How to reach Kafka.
    pub kafka: stream::kafka::Settings,
    /// Names of the topics.
    pub topics: Topics,
    /// Names of the channels.
    pub channels: Vec<String>,
    /// Partitions of the topics that share them.
    pub partitions: i32,
    /// Copies of each partition, for topics that are created.
    pub replication: i32,
    /// Makes the keyed hashes of refusals that outlive an erasure; none where no secret is set.
    pub suppressor: Option<Suppressor>,
    /// Logs.
    pub logs: logs::Settings,
    /// Who tells business time.
    pub time: Time,
    /// Where spans go; none where no cascade is followed.
    pub traces: Option<traces::Settings>,
}

/// Who tells business time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Time {
    /// The system.
    System,
    /// Another process, through this file.
    Driven(PathBuf),
}

impl Time {
    /// The clock.
    ///
    /// # Errors
    /// `Input` if the driver's file cannot be read.
    pub fn clock(&self) -> Result<Clock, Failure> {
        match self {
            Time::System => Ok(Clock::system()),
            Time::Driven(path) => Clock::driven(path).map_err(|error| Failure::new(Exit::Input, error.to_string())),
        }
    }
}

/// Reads a whole configuration with `read`.
///
/// # Errors
/// `Usage`, with all problems, one on each line.
pub fn read<T>(
    flags: &Flags,
    surroundings: &dyn Surroundings,
    read: impl FnOnce(&mut Reader<'_>) -> T,
) -> Result<T, Failure> {
    let mut reader = Reader::new(flags.layers(surroundings));
    let value = read(&mut reader);
    reader.finish(value).map_err(|problems| Failure::new(Exit::Usage, problems.join("\n")))
}

impl Common {
    /// What every command needs.
    pub fn read(reader: &mut Reader<'_>) -> Self {
        let channels = reader.names("channels");
        let prefix = reader.text("topics.prefix");
        let topics = Topics::new(&prefix);
        if let Err(problem) = topics.check(&channels) {
            reader.problem(problem.to_string());
        }
        for stray in reader.sectioned().iter().filter(|name| !channels.contains(name)) {
            reader.problem(format!(
                "[channel.{stray}] is the section of no channel: add {stray} to the setting `channels`"
            ));
        }
        let kafka = kafka(reader);
        Common {
            logs: logging(reader, &kafka.instance),
            kafka,
            topics,
            channels,
            partitions: reader.number("topics.partitions", 1..=4096),
            replication: reader.number("topics.replication", 1..=9),
            suppressor: suppressor(reader),
            time: time(reader),
            traces: followed(reader),
        }
    }
}

fn suppressor(reader: &mut Reader<'_>) -> Option<Suppressor> {
    let secret = reader.optional("suppression.secret").filter(|secret| !secret.is_empty())?;
    match Suppressor::new(&secret) {
        Ok(suppressor) => Some(suppressor),
        Err(problem) => {
            reader.wrong("suppression.secret", &format!("cannot be used: {problem}"));
            None
        }
    }
}

fn kafka(reader: &mut Reader<'_>) -> stream::kafka::Settings {
    let brokers = reader.required("brokers");
    let instance = match reader.optional("instance").filter(|name| !name.is_empty()) {
        Some(name) => name,
        None => reader.host().unwrap_or_else(|| "local".to_owned()),
    };
    let mut settings = stream::kafka::Settings::new(&brokers, &instance);
    let keys = reader.kafka_keys();
    let properties = keys.iter().map(|key| (key[KAFKA.len()..].to_owned(), reader.text(key))).collect();
    settings.properties = Arc::new(properties);
    settings
}

fn logging(reader: &mut Reader<'_>, instance: &str) -> logs::Settings {
    let format = reader.parsed("log.format", "`text` or `json`", |text| match text {
        "text" => Some(logs::Format::Text),
        "json" => Some(logs::Format::Json),
        _ => None,
    });
    let levels =
        reader.parsed("log.level", "a level such as `info`, or directives such as `info,stream=debug`", |text| {
            text.parse::<Targets>().ok()
        });
    logs::Settings {
        format: format.unwrap_or(logs::Format::Text),
        levels: levels.unwrap_or_default(),
        instance: instance.to_owned(),
        installation: installation(reader),
    }
}

fn followed(reader: &mut Reader<'_>) -> Option<traces::Settings> {
    let one_in = reader.number("trace.one_in", 1..=1_000_000_000);
    let endpoint = reader.optional("trace.endpoint").filter(|endpoint| !endpoint.is_empty())?;
    let settings = traces::Settings::of(&endpoint, one_in);
    if settings.is_none() {
        // Not shown: a password may stand in it.
        let must = "must be the URL of a collector without a name, password or query, as in http://collector:4318";
        reader.problem(format!("trace.endpoint {must}"));
    }
    settings
}

fn time(reader: &mut Reader<'_>) -> Time {
    let parsed = reader.parsed("clock", "`system` or `driven:PATH`", |text| match text.split_once(':') {
        None if text == "system" => Some(Time::System),
        Some(("driven", path)) if !path.is_empty() => Some(Time::Driven(PathBuf::from(path))),
        _ => None,
    });
    parsed.unwrap_or(Time::System)
}

/// Which installation this is, in metrics and logs.
fn installation(reader: &mut Reader<'_>) -> String {
    let named = [reader.optional("ops.installation"), reader.optional("topics.prefix")];
    named.into_iter().flatten().find(|name| !name.is_empty()).unwrap_or_else(|| "cascade".to_owned())
}

/// The ops endpoint's settings.
pub fn ops(reader: &mut Reader<'_>) -> ops::Settings {
    ops::Settings {
        installation: installation(reader),
        listen: reader.address("ops.listen"),
        port_file: reader.optional("ops.port_file").filter(|path| !path.is_empty()).map(PathBuf::from),
    }
}
