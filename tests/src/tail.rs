//! The oracle's eye: a plain consumer without a group that sees what is committed, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::feed::config;
use crate::wait::{until_ok, until_some};

const ANSWER: Duration = Duration::from_secs(60);

/// A record, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// Kafka's timestamp.
    pub appended_at: i64,
    /// Key; empty for none.
    pub key: Vec<u8>,
    /// Value; none for a tombstone.
    pub value: Option<Vec<u8>>,
    /// Headers, in their order.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Message {
    /// The key as text.
    pub fn key_text(&self) -> &str {
        std::str::from_utf8(&self.key).expect("keys are text")
    }

    /// The value as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(self.value.as_deref().expect("there is a value")).expect("it is text")
    }

    /// The value as a record of the contract.
    pub fn decode<T: schemas::Record>(&self) -> T {
        schemas::decode(self.value.as_deref().expect("there is a value")).expect("it is a record of this topic")
    }

    /// A header's value as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(found, _)| found == name)?;
        Some(std::str::from_utf8(value).expect("headers are text"))
    }

    fn of(message: &BorrowedMessage<'_>) -> Self {
        let headers = message.headers().map(|headers| {
            headers.iter().map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_owned())).collect()
        });
        Message {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            appended_at: message.timestamp().to_millis().unwrap_or(0),
            key: message.key().unwrap_or_default().to_owned(),
            value: message.payload().map(ToOwned::to_owned),
            headers: headers.unwrap_or_default(),
        }
    }
}

/// Reads topics from their beginning, committed records only. Tells where a partition ends. It joins no group; the
/// name is for those who commit positions under it.
pub fn reader(brokers: &str, topics: &[&str], group: &str, fetching: &[(&str, &str)]) -> BaseConsumer {
    let mut config = config(brokers);
    config
        .set("group.id", group)
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "error")
        .set("allow.auto.create.topics", "false");
    for (name, value) in fetching {
        config.set(*name, *value);
    }
    let consumer: BaseConsumer = config.create().expect("the client's settings are right");
    let mut list = TopicPartitionList::new();
    for topic in topics {
        for partition in 0..partitions(&consumer, topic) {
            list.add_partition_offset(topic, partition, Offset::Beginning).expect("it is not there twice");
        }
    }
    consumer.assign(&list).expect("partitions can be assigned");
    consumer
}

/// Follows topics from their beginning.
pub struct Tail {
    consumer: BaseConsumer,
    partitions: usize,
    seen: Vec<Message>,
}

impl Tail {
    /// Follows these topics.
    pub fn of(brokers: &str, topics: &[&str]) -> Self {
        let consumer = reader(brokers, topics, "oracle", &[("fetch.wait.max.ms", "50")]);
        let partitions = consumer.assignment().expect("partitions are assigned").count();
        Tail { consumer, partitions, seen: Vec::new() }
    }

    /// What was seen so far.
    pub fn seen(&self) -> &[Message] {
        &self.seen
    }

    /// Follows until `holds` of everything that was seen.
    #[track_caller]
    pub fn until(&mut self, what: &str, mut holds: impl FnMut(&[Message]) -> bool) -> &[Message] {
        until_some(what, || {
            self.poll(Duration::from_millis(2));
            holds(&self.seen).then_some(())
        });
        &self.seen
    }

    /// Takes what is there, waiting at most so long for the first.
    pub fn poll(&mut self, wait: Duration) {
        let mut wait = wait;
        while let Some(result) = self.consumer.poll(wait) {
            wait = Duration::ZERO;
            match result {
                Ok(message) => self.seen.push(Message::of(&message)),
                Err(KafkaError::PartitionEOF(_)) => {}
                // A broker that restarts: the client goes on by itself.
                Err(error) if error.rdkafka_error_code().is_some_and(passes) => {}
                Err(error) => panic!("cannot read: {error}"),
            }
        }
    }
}

fn passes(code: RDKafkaErrorCode) -> bool {
    matches!(code, RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::BrokerTransportFailure)
}

/// Everything that is committed in a topic now, in the order of each partition.
pub fn read(brokers: &str, topic: &str) -> Vec<Message> {
    let mut tail = Tail::of(brokers, &[topic]);
    // A new consumer reports the end of each partition once, after everything that was there when it began.
    let mut ended = BTreeSet::new();
    until_some(&format!("{topic} is read to its end"), || {
        while let Some(result) = tail.consumer.poll(Duration::from_millis(20)) {
            match result {
                Ok(message) => tail.seen.push(Message::of(&message)),
                Err(KafkaError::PartitionEOF(partition)) => drop(ended.insert(partition)),
                Err(error) => panic!("cannot read {topic}: {error}"),
            }
            if ended.len() == tail.partitions {
                break;
            }
        }
        (ended.len() == tail.partitions).then_some(())
    });
    let mut seen = tail.seen;
    seen.sort_by_key(|message| (message.partition, message.offset));
    seen
}

/// Asks where topics end.
pub struct Ends(BaseConsumer);

impl Ends {
    /// Asks this broker.
    pub fn new(brokers: &str) -> Self {
        let mut config = config(brokers);
        Ends(config.set("isolation.level", "read_uncommitted").create().expect("the client's settings are right"))
    }

    /// Next offsets of all partitions of these topics, open transactions included.
    pub fn of(&self, topics: &[String]) -> BTreeMap<(String, i32), i64> {
        let end = |topic: &str, partition| end_of(&self.0, topic, partition);
        let all =
            topics.iter().flat_map(|topic| (0..partitions(&self.0, topic)).map(move |partition| (topic, partition)));
        all.map(|(topic, partition)| ((topic.clone(), partition), end(topic, partition))).collect()
    }
}

/// The next offset of a partition, as this client sees it. A client that has just begun may not know the partition yet.
pub(crate) fn end_of(client: &BaseConsumer, topic: &str, partition: i32) -> i64 {
    let ask = || client.fetch_watermarks(topic, partition, ANSWER).map_err(|error| error.to_string());
    until_ok("the broker tells where a partition ends", ask).1
}

fn partitions(consumer: &BaseConsumer, topic: &str) -> i32 {
    let metadata = consumer.fetch_metadata(Some(topic), ANSWER).expect("the broker answers");
    let found = metadata.topics().first().map_or(0, |topic| topic.partitions().len());
    assert!(found > 0, "there is no topic {topic}");
    i32::try_from(found).expect("partitions are few")
}
