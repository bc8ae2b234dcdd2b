//! The engine's log on Kafka.

use std::ops::Range;
use std::time::Duration;

use super::member::{Change, Member};
use super::position::Position;
use super::producer::Producer;
use super::reader::{Fetched, Reader, Record};
use super::settings::{RETRY_BACKOFF_MS, Settings};
use crate::clock::{Millis, Tick};
use crate::log::{CHANGELOG, Changelogs, INPUT, REFERENCE, Target};
use crate::upstream::Watch;
use crate::{Error, Verdict};

/// librdkafka does not repeat a call sooner: its first back-off, less a fifth.
const REPEAT: Duration = Duration::from_millis(RETRY_BACKOFF_MS * 4 / 5);

/// So long a call that was repeated may lie in a network or a broker, and be carried out a second time.
const ECHO: Duration = Duration::from_secs(120);

/// A predecessor's open transaction is waited for in pieces of this length: other partitions go on in between.
const STABLE: Duration = Duration::from_millis(300);

/// Names of what the engine reads and writes.
#[derive(Clone, Debug)]
pub struct Topics {
    /// The one input.
    pub input: String,
    /// Its changelog, with as many partitions.
    pub changelog: String,
    /// One partition, kept for ever; none where the application needs no reference.
    pub reference: Option<String>,
    /// What decisions write to, in the order of the indexes of [`Target::Output`].
    pub outputs: Vec<String>,
}

/// One shard's view of Kafka.
#[derive(Debug)]
pub struct KafkaLog<'a> {
    settings: Settings,
    topics: Topics,
    identity: String,
    member: Member,
    reader: Reader,
    replayer: Reader,
    producer: Option<Producer>,
    changelog: usize,
    outputs: Vec<usize>,
    watch: Option<&'a Watch>,
    /// When the end of a transaction was last asked for in a way that librdkafka may have asked twice.
    repeated: Option<Tick>,
}

impl crate::log::Record for Record {
    fn topic(&self) -> usize {
        Record::topic(self)
    }

    fn partition(&self) -> i32 {
        Record::partition(self)
    }

    fn offset(&self) -> i64 {
        Record::offset(self)
    }

    fn timestamp(&self) -> i64 {
        Record::timestamp(self)
    }

    fn key(&self) -> Option<&[u8]> {
        Record::key(self)
    }

    fn value(&self) -> Option<&[u8]> {
        Record::value(self)
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        Record::header(self, name)
    }
}

/// One restoring thread's view of Kafka.
#[derive(Debug)]
pub struct KafkaChangelogs {
    settings: Settings,
    changelog: String,
    reader: Reader,
    topic: usize,
}

impl KafkaChangelogs {
    /// Reads `changelog`.
    ///
    /// # Errors
    /// If the configuration is refused.
    pub fn new(settings: &Settings, changelog: &str) -> Result<Self, Error> {
        let mut reader = Reader::new(settings)?;
        let topic = reader.topic(changelog)?;
        Ok(KafkaChangelogs { settings: settings.clone(), changelog: changelog.to_owned(), reader, topic })
    }

    /// How many partitions it has.
    ///
    /// # Errors
    /// `Retry` if nobody answers, `Stop` if there is no such topic.
    pub fn count(&self) -> Result<i32, Error> {
        self.reader.partitions(self.topic)
    }
}

impl Changelogs for KafkaChangelogs {
    type Record = Record;

    fn range(&mut self, partition: i32) -> Result<(i64, i64), Error> {
        self.reader.range(self.topic, partition)
    }

    fn start(&mut self, partition: i32, offset: i64) -> Result<(), Error> {
        self.reader.start(self.topic, partition, offset)
    }

    fn stop(&mut self, partition: i32) {
        self.reader.stop(self.topic, partition);
    }

    fn renew(&mut self) -> Result<(), Error> {
        *self = KafkaChangelogs::new(&self.settings, &self.changelog)?;
        Ok(())
    }

    fn fetch(&mut self, wait: Duration, limit: usize, fetched: &mut Vec<Fetched<Record>>) -> Result<(), Error> {
        self.reader.fetch(wait, limit, fetched)
    }
}

impl<'a> KafkaLog<'a> {
    /// Joins the group and makes the producer. `identity` is stable over restarts: it is the static member's name and, with
    /// the group, the transactional id. `watch` knows how far the input is complete.
    ///
    /// # Errors
    /// If the configuration is refused or the coordinator is not to be had.
    pub fn new(
        settings: &Settings,
        topics: &Topics,
        group: &str,
        identity: &str,
        watch: Option<&'a Watch>,
    ) -> Result<Self, Error> {
        let mut log = KafkaLog {
            member: Member::join(
                settings,
                group,
                Some(identity),
                std::slice::from_ref(&topics.input),
                &topics.changelog,
            )?,
            reader: numbered(Reader::of_a_loop(settings)?, topics)?,
            replayer: numbered(Reader::lasting(settings)?, topics)?,
            settings: settings.clone(),
            topics: topics.clone(),
            identity: format!("{group}-{identity}"),
            producer: None,
            changelog: 0,
            outputs: Vec::new(),
            watch,
            repeated: None,
        };
        crate::log::Log::renew(&mut log)?;
        Ok(log)
    }

    fn name(&self, topic: usize) -> &str {
        match topic {
            INPUT => &self.topics.input,
            CHANGELOG => &self.topics.changelog,
            _ => self.topics.reference.as_deref().unwrap_or_default(),
        }
    }

    fn producer(&mut self) -> Result<&mut Producer, Error> {
        self.producer.as_mut().ok_or_else(|| Error::new(Verdict::Abort, "write", "the producer is being replaced"))
    }
}

impl KafkaLog<'_> {
    /// Puts the input positions into the transaction, fenced by the live generation.
    pub(crate) fn offer(&mut self, positions: &[(i32, i64)]) -> Result<(), Error> {
        let topic = &self.topics.input;
        let position = |(partition, next): &(i32, i64)| Position {
            topic: topic.clone(),
            partition: *partition,
            offset: Some(*next),
            metadata: String::new(),
        };
        let positions: Vec<_> = positions.iter().map(position).collect();
        let generation = self.member.generation()?;
        let producer = self.producer()?;
        producer.begin()?;
        producer.send_offsets(&positions, &generation)
    }
}

/// A reader whose topics are numbered as the engine numbers them.
fn numbered(mut reader: Reader, topics: &Topics) -> Result<Reader, Error> {
    let numbers =
        [(INPUT, Some(&topics.input)), (CHANGELOG, Some(&topics.changelog)), (REFERENCE, topics.reference.as_ref())];
    for (number, name) in numbers {
        if let Some(name) = name {
            assert_eq!(reader.topic(name)?, number, "topics are numbered in order");
        }
    }
    Ok(reader)
}

impl crate::log::Log for KafkaLog<'_> {
    type Record = Record;

    fn membership(&mut self, wait: Duration) -> Result<Option<Change>, Error> {
        self.member.poll(wait)
    }

    fn accept(&mut self, change: &Change) -> Result<(), Error> {
        self.member.accept(change)
    }

    fn generation(&self) -> i32 {
        self.member.generation().map_or(-1, |generation| generation.number())
    }

    fn committed(&mut self, partition: i32) -> Result<Option<i64>, Error> {
        let positions = self.member.committed(&[(self.topics.input.clone(), partition)], STABLE)?;
        Ok(positions.first().and_then(|position| position.offset))
    }

    fn range(&mut self, topic: usize, partition: i32) -> Result<(i64, i64), Error> {
        // Not asked by the reader that fetches: a question would wait behind its open fetch.
        self.replayer.range(topic, partition)
    }

    fn start(&mut self, topic: usize, partition: i32, offset: i64) -> Result<(), Error> {
        self.reader.start(topic, partition, offset)
    }

    fn stop(&mut self, topic: usize, partition: i32) {
        self.reader.stop(topic, partition);
    }

    fn fetch(&mut self, wait: Duration, limit: usize, fetched: &mut Vec<Fetched<Record>>) -> Result<(), Error> {
        self.producer.iter().for_each(|producer| producer.hear(Duration::ZERO));
        self.reader.fetch(wait, limit, fetched)
    }

    fn replay(
        &mut self,
        topic: usize,
        partition: i32,
        offsets: Range<i64>,
        each: &mut dyn FnMut(&Record) -> bool,
    ) -> Result<i64, Error> {
        self.replayer.replay(topic, partition, offsets, each)
    }

    fn ends(&mut self, topic: usize, partitions: &[i32]) -> Result<Vec<(i32, i64)>, Error> {
        let name = self.name(topic).to_owned();
        let asked: Vec<_> = partitions.iter().map(|partition| (name.clone(), *partition)).collect();
        let ends = self.producer()?.ends(&asked)?;
        Ok(ends.into_iter().map(|(_, partition, end)| (partition, end)).collect())
    }

    fn complete_until(&mut self, moment: Millis) -> Millis {
        self.watch.map_or(moment, |watch| watch.complete_until(moment))
    }

    fn produce(
        &mut self,
        target: Target,
        key: &[u8],
        value: Option<&[u8]>,
        headers: &[(&'static str, Vec<u8>)],
    ) -> Result<(), Error> {
        let (topic, partition) = match target {
            Target::Changelog(partition) => (self.changelog, Some(partition)),
            Target::Output(output, partition) => (self.outputs[output], partition),
        };
        let producer = self.producer()?;
        producer.begin()?;
        if headers.is_empty() {
            return producer.produce(topic, partition, Some(key), value, &[]);
        }
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_slice())).collect();
        producer.produce(topic, partition, Some(key), value, &headers)
    }

    fn settle(&mut self, positions: &[(i32, i64)]) -> Result<(), Error> {
        if self.repeated.is_none_or(|at| at.elapsed() >= ECHO) {
            return Ok(());
        }
        self.producer()?.flush()?;
        if positions.is_empty() { Ok(()) } else { self.offer(positions) }
    }

    fn commit(&mut self, positions: &[(i32, i64)]) -> Result<(), Error> {
        self.offer(positions)?;
        // The client waits for records before it asks for the end. That would take long and be no sign of a repetition.
        self.producer()?.flush()?;
        let begun = Tick::now();
        self.producer()?.commit()?;
        if begun.elapsed() >= REPEAT {
            self.repeated = Some(Tick::now());
        }
        Ok(())
    }

    fn renew(&mut self) -> Result<(), Error> {
        // Who cannot make a producer fetches nothing for as long.
        self.reader.hear();
        // The old one goes first: two producers of one identity would fence each other.
        self.producer = None;
        let mut producer = Producer::new(&self.settings, &self.identity)?;
        self.changelog = producer.topic(&self.topics.changelog)?;
        self.outputs = self.topics.outputs.iter().map(|name| producer.topic(name)).collect::<Result<_, _>>()?;
        self.producer = Some(producer);
        Ok(())
    }
}
