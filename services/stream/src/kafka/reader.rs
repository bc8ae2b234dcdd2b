//! Reads chosen partitions from chosen offsets, without a group.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::native::{Client, Kind, Message, Queue, Role, Said, Topic};
use super::settings::{ANSWER, Settings};
use crate::clock::Tick;
use crate::{Error, Verdict};

/// Records per call while a partition is read whole.
const REPLAY_BATCH: usize = 4096;

/// Permissions take a moment to get around: so long a tool that is refused goes on to ask.
const FORBEARANCE: Duration = Duration::from_secs(2);

/// A partition that is read whole and brings nothing for so long cannot be read.
const PATIENCE: Duration = Duration::from_secs(60);

/// Reads what is committed in partitions into one queue.
#[derive(Debug)]
pub struct Reader {
    // Handles go before the client that they belong to.
    topics: Vec<(String, Topic)>,
    started: Vec<(usize, i32)>,
    records: Queue,
    events: Queue,
    messages: Vec<Message>,
    /// A topic was asked for that this user may not read. It may be allowed any moment, so most loops just go on to ask.
    is_forbidden: bool,
    client: Arc<Client>,
}

/// What came out of a partition. `topic` is the index that [`Reader::topic`] gave.
#[derive(Debug)]
pub enum Fetched<R = Record> {
    /// A record.
    Record(R),
    /// There is nothing more before `offset` for now: up to the first open transaction.
    End {
        /// Index of the topic.
        topic: usize,
        /// Partition.
        partition: i32,
        /// Next offset.
        offset: i64,
    },
    /// The position is before the first or after the last offset.
    OutOfRange {
        /// Index of the topic.
        topic: usize,
        /// Partition.
        partition: i32,
    },
}

/// A record that was read. Holds the client's buffer: nothing is copied.
#[derive(Debug)]
pub struct Record(Message);

impl Record {
    /// Index of its topic, as [`Reader::topic`] gave it.
    pub fn topic(&self) -> usize {
        self.0.tag()
    }

    /// Partition.
    pub fn partition(&self) -> i32 {
        self.0.partition()
    }

    /// Offset.
    pub fn offset(&self) -> i64 {
        self.0.offset()
    }

    /// Kafka's timestamp: machine time.
    pub fn timestamp(&self) -> i64 {
        self.0.timestamp()
    }

    /// Key; none for broadcasts.
    pub fn key(&self) -> Option<&[u8]> {
        self.0.key()
    }

    /// Value; none for a tombstone.
    pub fn value(&self) -> Option<&[u8]> {
        self.0.value()
    }

    /// The last header of this name.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.0.header(name)
    }

    /// All headers, in their order.
    pub fn headers(&self) -> Vec<(String, Vec<u8>)> {
        self.0.headers()
    }
}

/// What a reader's client must be.
const READER: [(&str, &str); 5] = [
    ("isolation.level", "read_committed"),
    ("enable.partition.eof", "true"),
    ("auto.offset.reset", "error"),
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
];

impl Reader {
    /// A reader that reads nothing yet.
    ///
    /// # Errors
    /// If the configuration is refused.
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        settings.client(Role::Reader, &READER).map(Reader::of)
    }

    /// The same for a loop that fetches again and again: its client also tells of itself.
    ///
    /// # Errors
    /// As for [`Reader::new`].
    pub fn of_a_loop(settings: &Settings) -> Result<Self, Error> {
        settings.watched_client(Role::Reader, &READER).map(Reader::of)
    }

    fn of(client: Arc<Client>) -> Self {
        Reader {
            topics: Vec::new(),
            started: Vec::new(),
            records: client.new_queue(),
            events: client.main_queue(),
            messages: Vec::new(),
            is_forbidden: false,
            client,
        }
    }

    /// The index by which this topic's records are recognised.
    ///
    /// # Errors
    /// If the name is refused.
    pub fn topic(&mut self, name: &str) -> Result<usize, Error> {
        if let Some(known) = self.topics.iter().position(|(known, _)| known == name) {
            return Ok(known);
        }
        let index = self.topics.len();
        self.topics.push((name.to_owned(), Topic::new(&self.client, name, index)?));
        Ok(index)
    }

    /// Reads a partition from `offset` on, anew if it was read already.
    ///
    /// # Errors
    /// If the topic is unknown to this reader.
    pub fn start(&mut self, topic: usize, partition: i32, offset: i64) -> Result<(), Error> {
        self.stop(topic, partition);
        self.topics[topic].1.start(partition, offset, &self.records)?;
        self.started.push((topic, partition));
        Ok(())
    }

    /// Stops to read a partition.
    pub fn stop(&mut self, topic: usize, partition: i32) {
        if let Some(index) = self.started.iter().position(|started| *started == (topic, partition)) {
            self.started.swap_remove(index);
            self.topics[topic].1.stop(partition);
        }
    }

    /// Hears what the client has to say. To be called now and then, also while nothing is fetched.
    pub fn hear(&self) {
        while let Some(event) = self.events.poll(Duration::ZERO) {
            if let Said::Trouble { words, .. } = event.read() {
                tracing::warn!("the reader reports: {words}");
            }
        }
    }

    /// Appends what there is, at most `limit`, waiting for the first at most so long.
    ///
    /// # Errors
    /// `Retry` while a partition cannot be read (its leader moves), `Stop` for a topic that went away.
    pub fn fetch(&mut self, wait: Duration, limit: usize, fetched: &mut Vec<Fetched>) -> Result<(), Error> {
        self.hear();
        if self.records.take(wait, 1, &mut self.messages) > 0 {
            self.records.take(Duration::ZERO, limit.saturating_sub(1), &mut self.messages);
        }
        fetched.reserve(self.messages.len());
        for message in self.messages.drain(..) {
            let (topic, partition, offset) = (message.tag(), message.partition(), message.offset());
            match message.kind() {
                Kind::Record => fetched.push(Fetched::Record(Record(message))),
                Kind::End => fetched.push(Fetched::End { topic, partition, offset }),
                Kind::OutOfRange => fetched.push(Fetched::OutOfRange { topic, partition }),
                Kind::Forbidden => {
                    self.is_forbidden = true;
                    tracing::warn!(topic = self.topics[topic].0, partition, "not authorized to read it");
                }
                Kind::Error(words) => {
                    tracing::warn!(topic = self.topics[topic].0, partition, "cannot read for now: {words}")
                }
            }
        }
        Ok(())
    }

    /// How many partitions a topic has.
    ///
    /// # Errors
    /// `Retry` if nobody answers, `Stop` if there is no such topic.
    pub fn partitions(&self, topic: usize) -> Result<i32, Error> {
        let name = &self.topics[topic].0;
        let count = self.client.partitions(name, ANSWER)?;
        count.ok_or_else(|| Error::stop("count partitions", format!("topic {name} does not exist")))
    }

    /// First offset of a partition, and the next one that no open transaction hides. Waits for the open fetch, if there is one.
    ///
    /// # Errors
    /// If the brokers do not answer.
    pub fn range(&self, topic: usize, partition: i32) -> Result<(i64, i64), Error> {
        self.client.watermarks(&self.topics[topic].0, partition, ANSWER)
    }

    /// Whether there is something from `offset` on in a partition that is read, which an open transaction hides: as of the last fetch.
    pub fn is_hidden(&self, topic: usize, partition: i32, offset: i64) -> bool {
        self.topics[topic].1.end_as_of_the_last_fetch(partition).is_some_and(|end| end > offset)
    }

    /// Reads one partition from its first offset to its present end and hands over each record.
    /// Returns the end.
    ///
    /// # Errors
    /// If the brokers do not answer, or nothing comes for a minute; `Stop`, and soon, if this user may not read it.
    pub fn read_whole(&mut self, topic: usize, partition: i32, each: impl FnMut(&Record)) -> Result<i64, Error> {
        let (low, _) = self.range(topic, partition)?;
        self.read_from(topic, partition, low, each)
    }

    /// The same from this offset on.
    ///
    /// # Errors
    /// As for [`Reader::read_whole`]; `Stop` if the offset does not exist.
    pub fn read_from(
        &mut self,
        topic: usize,
        partition: i32,
        from: i64,
        mut each: impl FnMut(&Record),
    ) -> Result<i64, Error> {
        let (_, high) = self.range(topic, partition)?;
        let patience = Some(FORBEARANCE);
        self.walk(topic, partition, from..high, patience, &mut |record| {
            each(record);
            true
        })
    }

    /// Reads `offsets` of one partition, until `each` says that it has enough (false). Waits for what is not there yet. Returns
    /// the offset after the last one read. Nothing else may be read by this reader meanwhile.
    ///
    /// # Errors
    /// `Retry` if nothing comes for a minute, `Stop` if `from` does not exist.
    pub fn replay(
        &mut self,
        topic: usize,
        partition: i32,
        offsets: Range<i64>,
        each: &mut dyn FnMut(&Record) -> bool,
    ) -> Result<i64, Error> {
        self.walk(topic, partition, offsets, None, each)
    }

    /// Whoever is not allowed to read waits so long for a permission; none: as long as for anything else.
    fn walk(
        &mut self,
        topic: usize,
        partition: i32,
        offsets: Range<i64>,
        forbearance: Option<Duration>,
        each: &mut dyn FnMut(&Record) -> bool,
    ) -> Result<i64, Error> {
        let mut next = offsets.start;
        if offsets.is_empty() {
            return Ok(next);
        }
        self.is_forbidden = false;
        self.start(topic, partition, next)?;
        let mut fetched = Vec::new();
        let mut heard = Tick::now();
        let mut wants_more = true;
        while next < offsets.end && wants_more {
            self.fetch(Duration::from_millis(200), REPLAY_BATCH, &mut fetched)?;
            if !fetched.is_empty() {
                heard = Tick::now();
            } else if self.is_forbidden && forbearance.is_some_and(|wait| heard.elapsed() > wait) {
                let words = format!("not authorized: give this user Read on {}", self.topics[topic].0);
                return Err(Error::stop("read a topic", words));
            } else if heard.elapsed() > PATIENCE {
                let name = &self.topics[topic].0;
                let words = format!(
                    "{name}/{partition} brings nothing after offset {next}; is a foreign transaction open on it?"
                );
                return Err(Error::new(Verdict::Retry, "read a topic", words));
            }
            for item in fetched.drain(..) {
                match item {
                    Fetched::Record(record) if wants_more => {
                        next = record.offset() + 1;
                        wants_more = each(&record);
                    }
                    Fetched::Record(_) => {}
                    Fetched::End { offset, .. } => next = next.max(offset),
                    Fetched::OutOfRange { .. } => {
                        let name = &self.topics[topic].0;
                        return Err(Error::stop(
                            "read a topic",
                            format!("{name}/{partition} has no offset {next} any more"),
                        ));
                    }
                }
            }
        }
        self.stop(topic, partition);
        Ok(next)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.messages.clear();
        for (topic, partition) in std::mem::take(&mut self.started) {
            self.topics[topic].1.stop(partition);
        }
    }
}
