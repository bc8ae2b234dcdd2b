//! The ceiling: what a plain loop of the client library needs to consume records and to produce as many in transactions. It
//! decides nothing, keeps nothing and survives nothing.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use rdkafka::Message as _;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};
use stream::clock::Tick;
use system_tests::place::Place;
use system_tests::process::Process;
use system_tests::wait::until;

use crate::eye::{ANSWER, reader};
use system_tests::cpu;

/// What a process of this loop is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Relay {
    /// Address of the broker.
    pub brokers: String,
    /// Topic that is read, from its beginning.
    pub from: String,
    /// Topic that is written.
    pub to: String,
    /// Records written for each hundred that are read.
    pub out_percent: usize,
    /// Length of a record that is written; none for that of the record that was read.
    pub out_bytes: Option<usize>,
    /// How long the client gathers records before it sends them, in milliseconds.
    pub linger_ms: u32,
    /// It ends after so many records; never for none.
    pub records: Option<usize>,
}

/// What a process of this loop says at its end.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Spent {
    /// Processor time, in seconds.
    pub cpu_seconds: f64,
    /// Time on the wall, in seconds.
    pub wall_seconds: f64,
}

/// A transaction is as large and as old as one of the operator's at most.
const COMMIT_RECORDS: usize = 40_000;
const COMMIT_AGE: Duration = Duration::from_millis(100);

/// What the process says as soon as it reads.
const READY: &str = "reading\n";

impl Relay {
    /// Starts it as a process of its own, and waits until it reads.
    pub fn start(&self, place: &Place) -> Process {
        let order = serde_json::to_string(self).expect("it is JSON");
        let program = std::env::current_exe().expect("a process knows its program");
        let log = place.path(&format!("{}.log", self.to));
        let mut process = Process::start(&program, ["relay", order.as_str()], [("RUST_LOG", "warn")], &log);
        until("the relay reads", || {
            assert!(process.is_running(), "the relay has ended:\n{}", process.said());
            process.said().contains(READY)
        });
        process
    }

    /// Starts it, waits for its end, and says what it spent.
    pub fn run_to_end(&self, place: &Place) -> Spent {
        let mut process = self.start(place);
        assert!(process.end().success(), "the relay has failed:\n{}", process.said());
        let said = process.said();
        serde_json::from_str(said.lines().last().unwrap_or_default()).expect("its last word is what it spent")
    }
}

/// The process itself.
pub fn run(order: &str) -> String {
    let relay: Relay = serde_json::from_str(order).expect("an order is JSON");
    let begun = Tick::now();
    let consumer = reader(&relay.brokers, &[&relay.from]);
    let producer = writer(&relay);
    let mut said = std::io::stdout();
    said.write_all(READY.as_bytes()).and_then(|()| said.flush()).expect("the parent listens");
    let mut done = 0;
    while relay.records.is_none_or(|records| done < records) {
        done += transaction(&relay, &consumer, &producer, done);
    }
    let spent = Spent { cpu_seconds: cpu::seconds_of("self"), wall_seconds: begun.elapsed().as_secs_f64() };
    serde_json::to_string(&spent).expect("it is JSON")
}

/// Reads what is there, writes, commits; the number of records read.
fn transaction(relay: &Relay, consumer: &BaseConsumer, producer: &BaseProducer, done: usize) -> usize {
    let mut next: BTreeMap<i32, i64> = BTreeMap::new();
    let mut taken = 0;
    let mut end = Tick::now();
    let mut wait = COMMIT_AGE;
    while taken < COMMIT_RECORDS && (taken == 0 || !end.remaining().is_zero()) {
        let message = match consumer.poll(wait) {
            Some(Ok(message)) => message,
            Some(Err(KafkaError::PartitionEOF(_))) => continue,
            Some(Err(error)) => panic!("cannot read: {error}"),
            None => break,
        };
        if taken == 0 {
            producer.begin_transaction().expect("none is open");
            (end, wait) = (Tick::now().after(COMMIT_AGE), Duration::ZERO);
        }
        taken += 1;
        let due = |records: usize| records * relay.out_percent / 100;
        let value = resized(message.payload().unwrap_or_default(), relay.out_bytes);
        for _ in due(done + taken - 1)..due(done + taken) {
            produce(producer, &relay.to, message.partition(), message.key().unwrap_or_default(), &value);
        }
        next.insert(message.partition(), message.offset() + 1);
    }
    if taken > 0 {
        commit(relay, consumer, producer, &next);
    }
    taken
}

fn commit(relay: &Relay, consumer: &BaseConsumer, producer: &BaseProducer, next: &BTreeMap<i32, i64>) {
    let mut offsets = TopicPartitionList::new();
    for (partition, offset) in next {
        offsets.add_partition_offset(&relay.from, *partition, Offset::Offset(*offset)).expect("it is not there twice");
    }
    let group = consumer.group_metadata().expect("there is a group");
    producer.send_offsets_to_transaction(&offsets, &group, ANSWER).expect("the coordinator answers");
    // The client library's own wait looks only every 100 ms, which would make the ceiling a low one.
    while producer.in_flight_count() > 0 {
        producer.poll(Duration::from_millis(1));
    }
    producer.commit_transaction(ANSWER).expect("the coordinator commits");
}

fn produce(producer: &BaseProducer, topic: &str, partition: i32, key: &[u8], value: &[u8]) {
    let record = || BaseRecord::to(topic).partition(partition).key(key).payload(value);
    while let Err((error, _)) = producer.send(record()) {
        assert_eq!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull));
        producer.poll(Duration::from_millis(1));
    }
    producer.poll(Duration::ZERO);
}

/// So many bytes of this kind.
fn resized(value: &[u8], bytes: Option<usize>) -> Vec<u8> {
    value.iter().copied().cycle().take(bytes.unwrap_or(value.len())).collect()
}

fn writer(relay: &Relay) -> BaseProducer {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &relay.brokers)
        .set("transactional.id", format!("raw-{}", relay.to))
        // As the engine has them: with the defaults a small transaction waits 100 ms for the end of the one before it.
        .set("retry.backoff.ms", "20")
        .set("compression.type", "lz4")
        .set("linger.ms", relay.linger_ms.to_string())
        .create()
        .expect("the client's settings are right");
    producer.init_transactions(ANSWER).expect("the coordinator answers");
    producer
}
