//! A look at somebody else's group: how far it has come with its topics.

use std::sync::Arc;
use std::time::Duration;

use super::native::{Client, Partitions, Queue, Role, Said};
use super::position::Position;
use super::settings::{ANSWER, Settings};
use crate::clock::Tick;
use crate::{Error, Verdict};

/// A client that knows a group's name without joining it.
#[derive(Debug)]
pub struct Observer {
    group: String,
    client: Arc<Client>,
    events: Queue,
}

impl Observer {
    /// Looks at `group`.
    ///
    /// # Errors
    /// If the configuration is refused.
    pub fn new(settings: &Settings, group: &str) -> Result<Self, Error> {
        // Positions of open transactions do not count, and are not waited for: where one follows upon the other, the brokers would
        // hardly ever answer.
        let must = [("group.id", group), ("enable.auto.commit", "false"), ("isolation.level", "read_uncommitted")];
        let client = settings.client(Role::Member, &must)?;
        Ok(Observer { group: group.to_owned(), events: client.main_queue(), client })
    }

    /// Lets time pass, in which the client says what troubles it.
    pub fn rest(&self, wait: Duration) {
        let until = Tick::now().after(wait);
        while let Some(event) = self.events.poll(until.remaining()) {
            if let Said::Trouble { words, .. } = event.read() {
                tracing::warn!("the client that looks at the sources reports: {words}");
            }
        }
    }

    /// All partitions of topics.
    ///
    /// # Errors
    /// `Retry` if nobody answers or a topic is not there.
    pub fn partitions(&self, topics: &[String]) -> Result<Vec<(String, i32)>, Error> {
        let mut partitions = Vec::new();
        for topic in topics {
            let count = self.client.partitions(topic, ANSWER)?.ok_or_else(|| {
                Error::new(Verdict::Retry, "count partitions", format!("topic {topic} does not exist"))
            })?;
            partitions.extend((0..count).map(|partition| (topic.clone(), partition)));
        }
        Ok(partitions)
    }

    /// Next offsets, open transactions included: topic, partition, offset.
    ///
    /// # Errors
    /// `Retry` if nobody answers.
    pub fn ends(&self, partitions: &[(String, i32)]) -> Result<Vec<(String, i32, i64)>, Error> {
        self.client.ends(partitions, ANSWER)
    }

    /// The group's committed positions.
    ///
    /// # Errors
    /// `Retry` while the coordinator is not to be had.
    pub fn committed(&self, partitions: &[(String, i32)]) -> Result<Vec<Position>, Error> {
        let list = Partitions::of(partitions, Partitions::END)?;
        // Who may not describe a group hears no more than that nobody answers.
        self.client.committed(&list, ANSWER).map_err(|error| {
            let words = format!(
                "{error}; does a broker coordinate {}, and is this user authorized to describe it?",
                self.group
            );
            Error::new(error.verdict(), "ask how far a group is", words)
        })?;
        Ok(list.positions())
    }

    /// The first offset of a partition.
    ///
    /// # Errors
    /// `Retry` if nobody answers.
    pub fn first(&self, topic: &str, partition: i32) -> Result<i64, Error> {
        Ok(self.client.watermarks(topic, partition, ANSWER)?.0)
    }
}
