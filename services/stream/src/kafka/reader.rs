//! Reads chosen partitions from chosen offsets, without a group.

mod vigil;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use self::vigil::{SILENCE, Vigil};
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

/// Whoever waits for brokers asks after each of these.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// Reads what is committed in partitions into one queue.
#[derive(Debug)]
pub struct Reader {
    // Handles go before the client that they belong to.
    topics: Vec<(String, Topic)>,
    started: Vec<Started>,
    records: Queue,
    events: Queue,
    messages: Vec<Message>,
    /// A topic was asked for that this user may not read. It may be allowed any moment, so most loops just go on to ask.
    is_forbidden: bool,
    vigil: Option<Vigil>,
    client: Arc<Client>,
}

/// A partition that is read.
#[derive(Clone, Copy, Debug)]
struct Started {
    topic: usize,
    partition: i32,
    /// Behind the last thing that was heard of it.
    next: i64,
    heard: Tick,
}

impl Started {
    fn place(&self) -> (usize, i32) {
        (self.topic, self.partition)
    }

    /// Something was heard of a partition; of records and ends also what comes next.
    fn hear(all: &mut [Started], latest: Option<((usize, i32), Option<i64>)>) {
        let Some((place, next)) = latest else { return };
        if let Some(started) = all.iter_mut().find(|started| started.place() == place) {
            started.heard = Tick::now();
            started.next = next.unwrap_or(started.next);
        }
    }
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
        settings.client(Role::Reader, &READER).map(|client| Reader::of(client, None))
    }

    /// One that lives as long as its process: it replaces a client that has gone mute, and goes on where that one stood. Whoever calls
    /// it holds no [`Record`] of an earlier call.
    ///
    /// # Errors
    /// As for [`Reader::new`].
    pub fn lasting(settings: &Settings) -> Result<Self, Error> {
        Reader::vigilant(settings, false, SILENCE)
    }

    /// The same for a loop that fetches again and again: its client also tells of itself.
    ///
    /// # Errors
    /// As for [`Reader::new`].
    pub fn of_a_loop(settings: &Settings) -> Result<Self, Error> {
        Reader::vigilant(settings, true, SILENCE)
    }

    fn of(client: Arc<Client>, vigil: Option<Vigil>) -> Self {
        Reader {
            topics: Vec::new(),
            started: Vec::new(),
            records: client.new_queue(),
            events: client.main_queue(),
            messages: Vec::new(),
            is_forbidden: false,
            vigil,
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
        self.started.push(Started { topic, partition, next: offset, heard: Tick::now() });
        Ok(())
    }

    /// Stops to read a partition.
    pub fn stop(&mut self, topic: usize, partition: i32) {
        if let Some(index) = self.started.iter().position(|started| started.place() == (topic, partition)) {
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
        if fetched.is_empty() {
            self.keep_vigil()?;
        }
        if self.records.take(wait, 1, &mut self.messages) > 0 {
            self.records.take(Duration::ZERO, limit.saturating_sub(1), &mut self.messages);
        }
        if let Some(vigil) = self.vigil.as_mut().filter(|_| self.messages.len() < limit) {
            vigil.emptied = Tick::now();
        }
        fetched.reserve(self.messages.len());
        // What was heard of a partition last. They come in bundles, so it is noted once for each.
        let mut latest = None;
        for message in self.messages.drain(..) {
            let (topic, partition, offset) = (message.tag(), message.partition(), message.offset());
            let next = match message.kind() {
                Kind::Record => {
                    fetched.push(Fetched::Record(Record(message)));
                    Some(offset + 1)
                }
                Kind::End => {
                    fetched.push(Fetched::End { topic, partition, offset });
                    Some(offset)
                }
                Kind::OutOfRange => {
                    fetched.push(Fetched::OutOfRange { topic, partition });
                    None
                }
                Kind::Forbidden => {
                    self.is_forbidden = true;
                    tracing::warn!(topic = self.topics[topic].0, partition, "not authorized to read it");
                    None
                }
                Kind::Error(words) => {
                    tracing::warn!(topic = self.topics[topic].0, partition, "cannot read for now: {words}");
                    None
                }
            };
            match &mut latest {
                Some((place, known)) if *place == (topic, partition) => *known = next.or(*known),
                _ => Started::hear(&mut self.started, latest.replace(((topic, partition), next))),
            }
        }
        Started::hear(&mut self.started, latest);
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
    pub fn range(&mut self, topic: usize, partition: i32) -> Result<(i64, i64), Error> {
        self.keep_vigil()?;
        let found = self.client.watermarks(&self.topics[topic].0, partition, ANSWER);
        match (&mut self.vigil, &found) {
            (Some(vigil), Ok(_)) => vigil.unanswered = None,
            // Another client can do what this one cannot, and at once.
            (Some(_), Err(error)) if error.verdict() == Verdict::Abort => self.renew()?,
            (Some(vigil), Err(_)) => _ = vigil.unanswered.get_or_insert_with(Tick::now),
            (None, _) => {}
        }
        found
    }

    /// The same for whoever starts while a broker is being restarted: asks again for so long, or until `stop` is set.
    ///
    /// # Errors
    /// As for [`Reader::range`].
    pub fn await_range(
        &mut self,
        topic: usize,
        partition: i32,
        patience: Duration,
        stop: &AtomicBool,
    ) -> Result<(i64, i64), Error> {
        let until = Tick::now().after(patience);
        loop {
            match self.range(topic, partition) {
                Err(error)
                    if error.verdict() != Verdict::Stop
                        && !until.remaining().is_zero()
                        && !stop.load(Ordering::Relaxed) =>
                {
                    tracing::warn!("asking again: {error}");
                    let until = Tick::now().after(ASK_AGAIN);
                    while !until.remaining().is_zero() {
                        drop(self.events.poll(until.remaining()));
                    }
                }
                found => return found,
            }
        }
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
                self.renew()?;
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
        for started in std::mem::take(&mut self.started) {
            self.topics[started.topic].1.stop(started.partition);
        }
    }
}
