//! The newest records of what the shop writes and of `input`: whether they can be read, and whose clock is ahead.
//!
//! *Limits.* A record that is ahead of this machine shows that its clock is behind the brokers'. Records that are behind it show nothing: perhaps
//! nobody has written since. A broker tells its time to nobody but those who write, and this writes nothing; so a clock that is fast
//! is Prometheus's to see.

use std::time::Duration;

use schemas::Ids;
use stream::clock::{Tick, machine_now};
use stream::kafka::{Fetched, Reader};

use super::finding::Finding;
use crate::config::Common;
use crate::failure::Failure;

/// Of each partition so many offsets are looked at.
const NEWEST: i64 = 5;

/// A record may be ahead of us by the way that clocks differ anyway.
const SKEW_MS: i64 = 15_000;

/// Longer is not waited for what hangs.
const PATIENCE: Duration = Duration::from_secs(8);

#[derive(Default)]
struct Seen {
    unframed: u32,
    unknown: Vec<u32>,
    ahead_ms: i64,
}

/// Reads the tails of those of our topics that exist. `asks_registry`: ids that we do not know may be known there.
///
/// # Errors
/// Those of Kafka.
pub fn examine(common: &Common, present: &[String], asks_registry: bool) -> Result<Vec<Finding>, Failure> {
    let mut names: Vec<String> = common.topics.sources().into_iter().map(|(name, _)| name).collect();
    names.push(common.topics.input());
    names.retain(|name| present.contains(name));
    let mut reader = Reader::new(&common.kafka)?;
    let mut open = Vec::new();
    let mut seen: Vec<Seen> = Vec::new();
    for name in &names {
        let topic = reader.topic(name)?;
        seen.push(Seen::default());
        for partition in 0..reader.partitions(topic)? {
            let (low, high) = reader.range(topic, partition)?;
            if low < high {
                open.push((topic, partition, low.max(high - NEWEST)));
            }
        }
    }
    for (topic, partition, from) in &open {
        reader.start(*topic, *partition, *from)?;
    }
    let mut left: Vec<(usize, i32)> = open.iter().map(|(topic, partition, _)| (*topic, *partition)).collect();
    let (until, mut fetched, ids) = (Tick::now().after(PATIENCE), Vec::new(), Ids::new());
    while !left.is_empty() && !until.remaining().is_zero() {
        reader.fetch(Duration::from_millis(200), 1000, &mut fetched)?;
        for item in fetched.drain(..) {
            match item {
                Fetched::Record(record) => seen[record.topic()].note(record.value(), record.timestamp(), &ids),
                Fetched::End { topic, partition, .. } | Fetched::OutOfRange { topic, partition } => {
                    left.retain(|place| *place != (topic, partition));
                }
            }
        }
    }
    let unread = |(index, name): (usize, &String)| {
        left.iter().any(|(topic, _)| *topic == index).then(|| {
            Finding::advice(
                format!("topic {name}"),
                "its newest records did not come in time, so nobody has looked at them",
                "ask again; if the log says that it is refused, give this user Read (tools in deploy/kafka/acls.yaml)",
            )
        })
    };
    let unread: Vec<Finding> = names.iter().enumerate().filter_map(unread).collect();
    Ok(unread
        .into_iter()
        .chain(names.iter().zip(seen).flat_map(|(name, seen)| seen.findings(name, asks_registry)))
        .collect())
}

impl Seen {
    fn note(&mut self, value: Option<&[u8]>, at: i64, ids: &Ids) {
        self.ahead_ms = self.ahead_ms.max(at - machine_now());
        match value {
            None => {}
            Some([0, a, b, c, d, ..]) => {
                let id = u32::from_be_bytes([*a, *b, *c, *d]);
                if !ids.knows(id) && !self.unknown.contains(&id) {
                    self.unknown.push(id);
                }
            }
            Some(_) => self.unframed += 1,
        }
    }

    fn findings(self, name: &str, asks_registry: bool) -> Vec<Finding> {
        let mut findings = Vec::new();
        if self.unframed > 0 {
            findings.push(Finding::threat(
                format!("topic {name}"),
                format!("{} of its newest records are not in Confluent's frame: they go to dead-letter, and their customers are held", self.unframed),
                "let its producer write with a schema registry's serialiser; see schemas/asyncapi.yaml",
            ));
        }
        if !self.unknown.is_empty() && !asks_registry {
            findings.push(Finding::threat(
                format!("topic {name}"),
                format!("its newest records have schema ids that are not known here: {:?}", self.unknown),
                "set registry.url to the registry that gave them",
            ));
        }
        if self.ahead_ms > SKEW_MS {
            findings.push(Finding::threat(
                format!("topic {name}"),
                format!("its newest record is {} s ahead of this machine's clock", self.ahead_ms / 1000),
                "brokers stamp what they take: mend time synchronisation, here or at the brokers; deadlines rest on clocks",
            ));
        }
        findings
    }
}
