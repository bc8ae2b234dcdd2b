//! Whoever moves records from the topics before the input into it: in their order and each once, but late, and at times not at all.

use std::collections::VecDeque;
use std::rc::Rc;

use super::cluster::{Cluster, Draft, Producer};
use super::partition::Body;
use crate::clock::Millis;
use crate::log::INPUT;

/// Records are keys and values.
pub type Records = Vec<(Vec<u8>, Vec<u8>)>;

/// The sources, and who reads them.
#[derive(Default)]
pub struct Intake {
    /// What is there and not in the input yet: since when, on the business clock.
    waiting: VecDeque<(Millis, Records)>,
    moving: Option<Moving>,
    /// It does nothing until then, by the machine's clock.
    pub down_until: Millis,
}

/// A transaction with the first of what is waiting.
struct Moving {
    producer: Producer,
    batches: usize,
    ends_at: Millis,
    commit: bool,
}

impl Intake {
    /// Records come into the sources.
    pub fn accept(&mut self, business: Millis, records: Records) {
        self.waiting.push_back((business, records));
    }

    /// Whether everything is in the input.
    pub fn is_done(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Business time up to which all that came into the sources is in the input.
    pub fn complete_until(&self, moment: Millis) -> Millis {
        self.waiting.front().map_or(moment, |(since, _)| moment.min(since - 1))
    }

    /// Begins to move at most so many batches, in a transaction that takes so long and is then committed or not.
    pub fn begin(&mut self, cluster: &mut Cluster, batches: usize, takes: Millis, commit: bool) {
        if self.moving.is_some() || self.waiting.is_empty() || cluster.now < self.down_until {
            return;
        }
        let batches = batches.min(self.waiting.len());
        let records = self.waiting.iter().take(batches).flat_map(|(_, records)| records);
        let Ok(producer) = write(cluster, "intake", records) else { return };
        self.moving = Some(Moving { producer, batches, ends_at: cluster.now + takes, commit });
    }

    /// Ends the transaction when its time has come. Positions go with it: what was not committed is moved once more.
    pub fn end(&mut self, cluster: &mut Cluster) {
        let Some(moving) = self.moving.take_if(|moving| moving.ends_at <= cluster.now) else { return };
        // Timed out meanwhile: then it is aborted.
        if cluster.end(&moving.producer, moving.commit).is_ok() && moving.commit {
            self.waiting.drain(..moving.batches);
        }
    }
}

/// Writes records into the input, in a transaction that is left open.
///
/// # Errors
/// If the brokers refuse it.
pub fn write<'r>(
    cluster: &mut Cluster,
    name: &str,
    records: impl Iterator<Item = &'r (Vec<u8>, Vec<u8>)>,
) -> Result<Producer, ()> {
    let producer = cluster.init(name).map_err(drop)?;
    let mut draft = Draft::default();
    for (key, value) in records {
        let partition = cluster.partition_of(INPUT, key);
        let body = Rc::new(Body { key: Some(key.clone()), value: Some(value.clone()) });
        cluster.write(&producer, (INPUT, partition), &body, &mut draft).map_err(drop)?;
    }
    Ok(producer)
}
