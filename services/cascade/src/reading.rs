//! Reads topics, as far as they are committed: from their first record to their present end, or what comes from now on.

use std::time::Duration;

use schemas::Journal;
use stream::kafka::{Fetched, Reader, Record, Settings};

use crate::failure::{Exit, Failure};

/// Hands over every record of one partition.
///
/// # Errors
/// Those of Kafka.
pub fn partition(settings: &Settings, topic: &str, partition: i32, each: impl FnMut(&Record)) -> Result<(), Failure> {
    let mut reader = Reader::new(settings)?;
    let index = reader.topic(topic)?;
    reader.read_whole(index, partition, each)?;
    Ok(())
}

/// Number of partitions of a topic.
///
/// # Errors
/// `TopicMissing`, `Unreachable`.
pub fn partitions(settings: &Settings, topic: &str) -> Result<i32, Failure> {
    let count = settings.partitions(topic).map_err(|error| Failure::new(Exit::Unreachable, error.to_string()))?;
    count.ok_or_else(|| {
        let sentence =
            format!("there is no topic {topic} that this user may see; create it with `cascade topics apply`, or check the topic prefix");
        Failure::new(Exit::TopicMissing, sentence)
    })
}

/// What the operator decides from now on.
pub struct Decisions {
    journal: Reader,
    fetched: Vec<Fetched>,
}

impl Decisions {
    /// Listens to these partitions of the journal, or to all; what stands there by now is passed over.
    ///
    /// # Errors
    /// Those of Kafka.
    pub fn from_now(settings: &Settings, topic: &str, partitions: impl Fn(i32) -> Vec<i32>) -> Result<Self, Failure> {
        let mut journal = Reader::new(settings)?;
        let index = journal.topic(topic)?;
        for partition in partitions(journal.partitions(index)?) {
            let (_, end) = journal.range(index, partition)?;
            journal.start(index, partition, end)?;
        }
        Ok(Decisions { journal, fetched: Vec::new() })
    }

    /// Waits for so long at most, and hands over the decisions about those customers who are meant. Of all others nothing is read but
    /// the key.
    ///
    /// # Errors
    /// Those of Kafka.
    pub fn hear(
        &mut self,
        patience: Duration,
        is_meant: impl Fn(&[u8]) -> bool,
        mut each: impl FnMut(Journal),
    ) -> Result<(), Failure> {
        self.journal.fetch(patience, 1000, &mut self.fetched)?;
        for item in self.fetched.drain(..) {
            if let Fetched::Record(record) = item
                && record.key().is_some_and(&is_meant)
                && let Some(decision) = record.value().and_then(|value| schemas::decode(value).ok())
            {
                each(decision);
            }
        }
        Ok(())
    }
}
