//! Writes records in transactions.

use std::sync::Arc;
use std::time::Duration;

use super::member::Generation;
use super::native::{Client, Partitions, Queue, Role, Said, Topic};
use super::position::Position;
use super::settings::{ANSWER, Settings};
use crate::clock::Tick;
use crate::{Error, Verdict};

/// A transactional producer. After any error of a transactional call that is not `Retry` it is to be dropped: what the
/// broker did is unknown, and only a new producer with the same id can end the old one's transaction.
#[derive(Debug)]
pub struct Producer {
    // Handles go before the client that they belong to.
    topics: Vec<(String, Topic)>,
    events: Queue,
    client: Arc<Client>,
    open: bool,
}

/// How long the first contact may take: a predecessor's transaction has to be ended first.
const FIRST_CONTACT: Duration = Duration::from_secs(60);

/// The end of a transaction waits for the reports of failed records, which this very thread has to hear: it looks up so often.
const HEARING: Duration = Duration::from_millis(200);

impl Producer {
    /// Makes the producer and ends whatever an earlier one of the same `identity` left open.
    ///
    /// # Errors
    /// `Retry` while the transaction coordinator is not to be had.
    pub fn new(settings: &Settings, identity: &str) -> Result<Self, Error> {
        let client = settings.client(
            Role::Producer,
            &[
                ("transactional.id", identity),
                ("enable.idempotence", "true"),
                ("acks", "all"),
                ("partitioner", "murmur2_random"),
                ("delivery.report.only.error", "true"),
            ],
        )?;
        let until = Tick::now().after(FIRST_CONTACT);
        loop {
            match client.init_transactions(ANSWER) {
                Ok(()) => break,
                Err(error) if error.verdict() == Verdict::Retry && !until.remaining().is_zero() => {
                    tracing::info!("waiting for the transaction coordinator: {error}");
                }
                Err(error) => return Err(error),
            }
        }
        let events = client.main_queue();
        Ok(Producer { topics: Vec::new(), events, client, open: false })
    }

    /// The index by which this topic is produced to.
    ///
    /// # Errors
    /// If the name is refused.
    pub fn topic(&mut self, name: &str) -> Result<usize, Error> {
        if let Some(known) = self.topics.iter().position(|(known, _)| known == name) {
            return Ok(known);
        }
        self.topics.push((name.to_owned(), Topic::new(&self.client, name, 0)?));
        Ok(self.topics.len() - 1)
    }

    /// Begins a transaction if none is open.
    ///
    /// # Errors
    /// `Abort` if the producer is beyond use.
    pub fn begin(&mut self) -> Result<(), Error> {
        if !self.open {
            self.client.begin()?;
            self.open = true;
        }
        Ok(())
    }

    /// Whether a transaction is open.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Adds a record to the open transaction. No `partition`: the key decides, by Java's murmur2.
    ///
    /// # Errors
    /// `Abort` if the brokers do not take records in time.
    pub fn produce(
        &mut self,
        topic: usize,
        partition: Option<i32>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, &[u8])],
    ) -> Result<(), Error> {
        assert!(self.open, "a record is produced inside a transaction");
        let target = &self.topics[topic].1;
        let partition = partition.unwrap_or(-1);
        let until = Tick::now().after(ANSWER);
        loop {
            let produced = if headers.is_empty() {
                target.produce(partition, key, value)
            } else {
                target.produce_with(partition, key, value, headers)
            };
            match produced {
                // The client's queue is bounded: let it drain.
                Err(error) if error.verdict() == Verdict::Retry && !until.remaining().is_zero() => {
                    self.drain(Duration::from_millis(5));
                }
                Err(error) if error.verdict() == Verdict::Retry => {
                    return Err(Error::new(Verdict::Abort, "produce", error.to_string()));
                }
                done => return done,
            }
        }
    }

    /// Puts the positions into the transaction, fenced by the generation.
    ///
    /// # Errors
    /// `Fenced` if the group has a newer generation, else `Abort`.
    pub fn send_offsets(&mut self, positions: &[Position], generation: &Generation) -> Result<(), Error> {
        let mut list = Partitions::with_capacity(positions.len());
        for position in positions {
            list.add(&position.topic, position.partition, position.offset, &position.metadata)?;
        }
        self.client.send_offsets(&list, &generation.0, ANSWER)
    }

    /// Commits the open transaction.
    ///
    /// # Errors
    /// Anything but success leaves the outcome unknown: drop the producer, make a new one, recover.
    pub fn commit(&mut self) -> Result<(), Error> {
        self.drain(Duration::ZERO);
        let until = Tick::now().after(ANSWER);
        loop {
            match self.client.commit(HEARING) {
                Ok(()) => break,
                Err(error) if error.verdict() == Verdict::Retry && !until.remaining().is_zero() => {
                    self.drain(Duration::ZERO);
                }
                Err(error) => return Err(error),
            }
        }
        self.open = false;
        Ok(())
    }

    /// Aborts the open transaction.
    ///
    /// # Errors
    /// As for [`Producer::commit`].
    pub fn abort(&mut self) -> Result<(), Error> {
        let until = Tick::now().after(ANSWER);
        while self.open {
            match self.client.abort(HEARING / 10) {
                Ok(()) => self.open = false,
                Err(error) if error.verdict() == Verdict::Retry && !until.remaining().is_zero() => {
                    self.drain(Duration::ZERO);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// First offset of a partition, and the next one that is not hidden by an open transaction. Asked by the producer, because
    /// a question of a reader waits behind its open fetch.
    ///
    /// # Errors
    /// `Retry` if the brokers do not answer.
    pub fn range(&self, topic: &str, partition: i32) -> Result<(i64, i64), Error> {
        self.client.watermarks(topic, partition, ANSWER)
    }

    /// The next offsets of partitions as of now, open transactions included.
    ///
    /// # Errors
    /// `Retry` if the brokers do not answer.
    pub fn ends(&self, partitions: &[(String, i32)]) -> Result<Vec<(String, i32, i64)>, Error> {
        self.client.ends(&Partitions::of(partitions, Partitions::END)?, ANSWER)
    }

    fn drain(&self, wait: Duration) {
        while let Some(event) = self.events.poll(wait) {
            if let Said::Trouble { words, .. } = event.read() {
                tracing::warn!("the producer reports: {words}");
            }
            if !wait.is_zero() {
                return;
            }
        }
    }
}
