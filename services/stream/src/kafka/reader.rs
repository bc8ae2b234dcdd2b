//! Reads chosen partitions from chosen offsets, without a group.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::native::{Client, Ends, Kind, Message, Partitions, Question, Queue, Role, Said, Topic};
use super::settings::{ANSWER, Settings};
use crate::clock::Tick;
use crate::{Error, Verdict};

/// Records per call while a partition is read whole.
const REPLAY_BATCH: usize = 4096;

/// A partition that is read whole and brings nothing for so long cannot be read.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a reader, in a moment in which nothing comes, looks whether something should.
const DOUBT_AGE: Duration = Duration::from_secs(5);

/// Reads what is committed in partitions into one queue.
///
/// librdkafka can fall silent after a broker was away: it fetches partitions, and brings nothing any more of what is there. So a
/// reader asks now and then where they end. If one is behind the answer, and has not moved for a while either, the reader goes on
/// with another client from where each partition stands.
#[derive(Debug)]
pub struct Reader {
    settings: Settings,
    source: Source,
    started: Vec<Started>,
    /// Which of them spoke last.
    last: usize,
    messages: Vec<Message>,
    doubted: Tick,
    doubt: Doubt,
}

/// A client and what belongs to it.
#[derive(Debug)]
struct Source {
    // Handles go before the client that they belong to.
    topics: Vec<(String, Topic)>,
    records: Queue,
    events: Queue,
    client: Arc<Client>,
}

/// A partition that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Started {
    topic: usize,
    partition: i32,
    /// Next offset; negative where only the brokers know it yet.
    next: i64,
}

/// Whether silence means that there is nothing.
#[derive(Debug, Default)]
enum Doubt {
    #[default]
    None,
    Asked(Question),
    /// These stood there while there was more, or while nobody could say.
    Behind(Vec<Started>),
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

    /// All headers, in their order.
    pub fn headers(&self) -> Vec<(String, Vec<u8>)> {
        self.0.headers()
    }
}

impl Source {
    fn open(settings: &Settings) -> Result<Self, Error> {
        let client = settings.client(
            Role::Reader,
            &[
                ("isolation.level", "read_committed"),
                ("enable.partition.eof", "true"),
                ("auto.offset.reset", "error"),
                ("enable.auto.commit", "false"),
                ("enable.auto.offset.store", "false"),
            ],
        )?;
        Ok(Source { topics: Vec::new(), records: client.new_queue(), events: client.main_queue(), client })
    }

    fn topic(&mut self, name: &str) -> Result<usize, Error> {
        if let Some(known) = self.topics.iter().position(|(known, _)| known == name) {
            return Ok(known);
        }
        let index = self.topics.len();
        self.topics.push((name.to_owned(), Topic::new(&self.client, name, index)?));
        Ok(index)
    }
}

impl Reader {
    /// A reader that reads nothing yet.
    ///
    /// # Errors
    /// If the configuration is refused.
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        Ok(Reader {
            settings: settings.clone(),
            source: Source::open(settings)?,
            started: Vec::new(),
            last: 0,
            messages: Vec::new(),
            doubted: Tick::now(),
            doubt: Doubt::None,
        })
    }

    /// The index by which this topic's records are recognised.
    ///
    /// # Errors
    /// If the name is refused.
    pub fn topic(&mut self, name: &str) -> Result<usize, Error> {
        self.source.topic(name)
    }

    /// Reads a partition from `offset` on, anew if it was read already.
    ///
    /// # Errors
    /// If the topic is unknown to this reader.
    pub fn start(&mut self, topic: usize, partition: i32, offset: i64) -> Result<(), Error> {
        self.stop(topic, partition);
        self.source.topics[topic].1.start(partition, offset, &self.source.records)?;
        self.started.push(Started { topic, partition, next: offset });
        Ok(())
    }

    /// Stops to read a partition.
    pub fn stop(&mut self, topic: usize, partition: i32) {
        if let Some(index) = self.find(topic, partition) {
            self.started.swap_remove(index);
            self.source.topics[topic].1.stop(partition);
        }
    }

    fn find(&self, topic: usize, partition: i32) -> Option<usize> {
        self.started.iter().position(|started| (started.topic, started.partition) == (topic, partition))
    }

    /// Appends what there is, at most `limit`, waiting for the first at most so long.
    ///
    /// # Errors
    /// `Retry` while a partition cannot be read (its leader moves), `Stop` for a topic that went away.
    pub fn fetch(&mut self, wait: Duration, limit: usize, fetched: &mut Vec<Fetched>) -> Result<(), Error> {
        while let Some(event) = self.source.events.poll(Duration::ZERO) {
            if let Said::Trouble { words, .. } = event.read() {
                tracing::warn!("the reader reports: {words}");
            }
        }
        if self.source.records.take(wait, 1, &mut self.messages) > 0 {
            self.source.records.take(Duration::ZERO, limit.saturating_sub(1), &mut self.messages);
        } else if self.doubted.elapsed() > DOUBT_AGE {
            self.doubted = Tick::now();
            self.doubt_silence()?;
        }
        fetched.reserve(self.messages.len());
        let mut messages = std::mem::take(&mut self.messages);
        for message in messages.drain(..) {
            let (topic, partition, offset) = (message.tag(), message.partition(), message.offset());
            match message.kind() {
                Kind::Record => {
                    self.reached(topic, partition, offset + 1);
                    fetched.push(Fetched::Record(Record(message)));
                }
                Kind::End => {
                    self.reached(topic, partition, offset);
                    fetched.push(Fetched::End { topic, partition, offset });
                }
                Kind::OutOfRange => fetched.push(Fetched::OutOfRange { topic, partition }),
                Kind::Error(words) => {
                    tracing::warn!(topic = self.source.topics[topic].0, partition, "cannot read for now: {words}")
                }
            }
        }
        self.messages = messages;
        Ok(())
    }

    /// Records come in runs of a partition: the one that spoke last is looked at first.
    fn reached(&mut self, topic: usize, partition: i32, next: i64) {
        let is_last = |started: &Started| (started.topic, started.partition) == (topic, partition);
        if !self.started.get(self.last).is_some_and(is_last) {
            let Some(index) = self.find(topic, partition) else { return };
            self.last = index;
        }
        self.started[self.last].next = next;
    }

    /// Nothing has come: because there is nothing, or because the client has fallen silent?
    fn doubt_silence(&mut self) -> Result<(), Error> {
        self.doubt = match std::mem::take(&mut self.doubt) {
            Doubt::None => self.ask()?,
            Doubt::Asked(question) => match question.answer(Duration::ZERO) {
                None => Doubt::Asked(question),
                Some(Ok(ends)) => self.compare(&ends),
                Some(Err(error)) => {
                    // A client that has fallen silent may have forgotten where its topics are.
                    tracing::info!("it is not known whether there is more to read: {error}");
                    Doubt::Behind(self.started.clone())
                }
            },
            Doubt::Behind(stood) => {
                let stuck = stood.iter().find(|stood| self.started.contains(stood));
                if let Some(Started { topic, partition, next }) = stuck {
                    let name = &self.source.topics[*topic].0;
                    tracing::warn!(
                        topic = name,
                        partition,
                        next,
                        "nothing comes of what should be there: reading with another client"
                    );
                    self.begin_anew()?;
                }
                Doubt::None
            }
        };
        Ok(())
    }

    /// Which partitions are behind these ends.
    fn compare(&self, ends: &Ends) -> Doubt {
        let ends: BTreeMap<(&str, i32), i64> =
            ends.iter().map(|(topic, partition, end)| ((topic.as_str(), *partition), *end)).collect();
        let end = |started: &Started| ends.get(&(self.source.topics[started.topic].0.as_str(), started.partition));
        let is_behind = |started: &&Started| end(started).is_some_and(|end| started.next < *end);
        let behind: Vec<Started> = self.started.iter().filter(is_behind).copied().collect();
        if behind.is_empty() { Doubt::None } else { Doubt::Behind(behind) }
    }

    fn ask(&self) -> Result<Doubt, Error> {
        if self.started.is_empty() {
            return Ok(Doubt::None);
        }
        Ok(Doubt::Asked(self.source.client.ask_for_stable_ends(&self.list()?)))
    }

    /// All partitions that are read, and the word for their ends.
    fn list(&self) -> Result<Partitions, Error> {
        let mut list = Partitions::with_capacity(self.started.len());
        for Started { topic, partition, .. } in &self.started {
            list.add(&self.source.topics[*topic].0, *partition, Some(Partitions::END), "")?;
        }
        Ok(list)
    }

    /// Lets the client bring nothing any more, as one that has fallen silent.
    ///
    /// # Errors
    /// If it refuses.
    #[cfg(feature = "simulation")]
    pub fn fall_silent(&self) -> Result<(), Error> {
        self.source.client.pause(&self.list()?)
    }

    /// Another client, which reads on where this one stood.
    fn begin_anew(&mut self) -> Result<(), Error> {
        let mut source = Source::open(&self.settings)?;
        for (name, _) in &self.source.topics {
            source.topic(name)?;
        }
        for Started { topic, partition, next } in &self.started {
            source.topics[*topic].1.start(*partition, *next, &source.records)?;
        }
        let silent = std::mem::replace(&mut self.source, source);
        // Nobody knows what a silent client still does when it is to end: it must hold up nobody.
        crate::thread::spawn("reader-ends", move || drop(silent))
            .map(drop)
            .map_err(|error| Error::stop("end a client", error.to_string()))
    }

    /// How many partitions a topic has.
    ///
    /// # Errors
    /// `Retry` if nobody answers, `Stop` if there is no such topic.
    pub fn partitions(&self, topic: usize) -> Result<i32, Error> {
        let name = &self.source.topics[topic].0;
        let count = self.source.client.partitions(name, ANSWER)?;
        count.ok_or_else(|| Error::stop("count partitions", format!("topic {name} does not exist")))
    }

    /// First offset of a partition, and the next one that no open transaction hides. Waits for the open fetch, if there is one.
    ///
    /// # Errors
    /// If the brokers do not answer.
    pub fn range(&self, topic: usize, partition: i32) -> Result<(i64, i64), Error> {
        self.source.client.watermarks(&self.source.topics[topic].0, partition, ANSWER)
    }

    /// Reads one partition from its first offset to its present end and hands over each record.
    /// Returns the end.
    ///
    /// # Errors
    /// If the brokers do not answer, or nothing comes for a minute.
    pub fn read_whole(&mut self, topic: usize, partition: i32, mut each: impl FnMut(&Record)) -> Result<i64, Error> {
        let (low, high) = self.range(topic, partition)?;
        self.replay(topic, partition, low..high, &mut |record| {
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
        let mut next = offsets.start;
        if offsets.is_empty() {
            return Ok(next);
        }
        self.start(topic, partition, next)?;
        let mut fetched = Vec::new();
        let mut heard = Tick::now();
        let mut wants_more = true;
        while next < offsets.end && wants_more {
            self.fetch(Duration::from_millis(200), REPLAY_BATCH, &mut fetched)?;
            if !fetched.is_empty() {
                heard = Tick::now();
            } else if heard.elapsed() > PATIENCE {
                let name = &self.source.topics[topic].0;
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
                        let name = &self.source.topics[topic].0;
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
        for Started { topic, partition, .. } in std::mem::take(&mut self.started) {
            self.source.topics[topic].1.stop(partition);
        }
    }
}
