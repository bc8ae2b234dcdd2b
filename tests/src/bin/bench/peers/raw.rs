//! The ceiling: the same records in, and as many of the same length out, in transactions that move the same group, by the same calls of
//! the client library. It reads no value, keeps nothing and decides nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stream::Error;
use stream::clock::Tick;
use stream::kafka::{Change, Fetched, Member, Position, Producer, Reader, Settings};
use system_tests::peers::meter::{self, Sample};
use system_tests::process::stop_on_sigterm;

/// A transaction is as large and as old as one of the engine's at most.
const COMMIT_RECORDS: usize = 40_000;
const COMMIT_AGE: Duration = Duration::from_millis(100);
/// Records of one call.
const FETCH: usize = 4_096;

/// Bytes of earlier values that are kept to write from.
const STOCK: usize = 64 << 10;

/// What the process is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// Address of the broker.
    pub brokers: String,
    /// Properties of librdkafka.
    pub properties: BTreeMap<String, String>,
    /// Group and transactional id.
    pub group: String,
    /// Topic that is read.
    pub input: String,
    /// What is written.
    pub outputs: Vec<Output>,
}

/// What is written to one topic.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Output {
    /// Its name.
    pub topic: String,
    /// Records for each million that are read.
    pub per_million: u64,
    /// Length of a value.
    pub bytes: usize,
}

struct Raw {
    order: Order,
    reader: Reader,
    producer: Producer,
    member: Member,
    /// As the producer knows them.
    topics: Vec<usize>,
    /// The last values that were read.
    stock: Vec<u8>,
    taken: u64,
    fetched: Vec<Fetched>,
}

/// The process itself: works until it is asked to end.
///
/// # Errors
/// Whatever goes wrong: a ceiling does not recover.
pub fn run(order: &str) -> Result<(), Box<dyn std::error::Error>> {
    let begun = Tick::now();
    let order: Order = serde_json::from_str(order)?;
    let (stop, done) = (stop_on_sigterm()?, Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&done);
    meter::start(move |sample| sample.events = counted.load(Ordering::Relaxed))?;
    Raw::new(order)?.work(&stop, &done)?;
    meter::say(&Sample { ended: true, ..meter::spent(begun) });
    Ok(())
}

impl Raw {
    fn new(order: Order) -> Result<Self, Error> {
        let settings =
            Settings { properties: Arc::new(order.properties.clone()), ..Settings::new(&order.brokers, &order.group) };
        let mut member = Member::join(&settings, &order.group, None, std::slice::from_ref(&order.input), "")?;
        let mut producer = Producer::new(&settings, &order.group)?;
        let topics = order.outputs.iter().map(|output| producer.topic(&output.topic)).collect::<Result<_, _>>()?;
        let mut reader = Reader::new(&settings)?;
        let input = reader.topic(&order.input)?;
        let partitions = loop {
            if let Some(change) = member.poll(COMMIT_AGE)? {
                member.accept(&change)?;
                if let Change::Assigned(partitions) = change {
                    break partitions;
                }
            }
        };
        for (_, partition) in partitions {
            reader.start(input, partition, 0)?;
        }
        Ok(Raw { order, reader, producer, member, topics, stock: Vec::new(), taken: 0, fetched: Vec::new() })
    }

    fn work(mut self, stop: &AtomicBool, done: &AtomicU64) -> Result<(), Error> {
        while !stop.load(Ordering::Relaxed) {
            self.transaction()?;
            done.store(self.taken, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Takes what is there, writes, commits.
    fn transaction(&mut self) -> Result<(), Error> {
        let (begun, mut end, mut wait) = (self.taken, Tick::now(), COMMIT_AGE);
        let mut next: BTreeMap<i32, i64> = BTreeMap::new();
        while self.taken - begun < COMMIT_RECORDS as u64 && (next.is_empty() || !end.remaining().is_zero()) {
            let mut fetched = std::mem::take(&mut self.fetched);
            self.reader.fetch(wait, FETCH, &mut fetched)?;
            let is_idle = fetched.is_empty();
            for item in fetched.drain(..) {
                if let Fetched::Record(record) = item {
                    if next.is_empty() {
                        self.producer.begin()?;
                        (end, wait) = (Tick::now().after(COMMIT_AGE), Duration::ZERO);
                    }
                    self.write(record.partition(), record.key(), record.value().unwrap_or_default())?;
                    next.insert(record.partition(), record.offset() + 1);
                }
            }
            self.fetched = fetched;
            if is_idle {
                break;
            }
        }
        if next.is_empty() {
            return Ok(());
        }
        while let Some(change) = self.member.poll(Duration::ZERO)? {
            self.member.accept(&change)?;
        }
        let position = |(partition, offset): (&i32, &i64)| Position {
            topic: self.order.input.clone(),
            partition: *partition,
            offset: Some(*offset),
            ..Position::default()
        };
        let positions: Vec<Position> = next.iter().map(position).collect();
        self.producer.send_offsets(&positions, &self.member.generation()?)?;
        self.producer.commit()
    }

    fn write(&mut self, partition: i32, key: Option<&[u8]>, value: &[u8]) -> Result<(), Error> {
        if self.stock.len() > STOCK {
            self.stock.drain(..STOCK / 2);
        }
        self.stock.extend_from_slice(value);
        self.taken += 1;
        for (topic, output) in self.topics.iter().zip(&self.order.outputs) {
            let due = |taken: u64| taken * output.per_million / 1_000_000;
            let bytes = &self.stock[self.stock.len().saturating_sub(output.bytes)..];
            for _ in due(self.taken - 1)..due(self.taken) {
                self.producer.produce(*topic, Some(partition), key, Some(bytes), &[])?;
            }
        }
        Ok(())
    }
}
