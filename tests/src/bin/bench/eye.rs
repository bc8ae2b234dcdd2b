//! What lies in topics, seen by a plain consumer.

use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

/// How long a broker may take for one answer.
pub const ANSWER: Duration = Duration::from_secs(60);

/// Reads topics from their beginning, committed records only. Tells where a partition ends.
pub fn reader(brokers: &str, topics: &[&str]) -> BaseConsumer {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", format!("raw-{}", topics.concat()))
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        // As the engine has them, so that both are measured alike.
        .set("fetch.wait.max.ms", "100")
        .set("fetch.queue.backoff.ms", "5")
        .create()
        .expect("the client's settings are right");
    let mut list = TopicPartitionList::new();
    for topic in topics {
        for partition in 0..partitions(&consumer, topic) {
            list.add_partition_offset(topic, partition, Offset::Beginning).expect("it is not there twice");
        }
    }
    consumer.assign(&list).expect("partitions can be assigned");
    consumer
}

/// Number and size of records.
#[derive(Clone, Copy, Debug, Default)]
pub struct Volume {
    /// How many.
    pub records: usize,
    /// Length of their keys and values.
    pub bytes: usize,
}

/// What is committed in these topics, which nobody writes to now.
pub fn volume(brokers: &str, topics: &[&str]) -> Volume {
    let consumer = reader(brokers, topics);
    let all = consumer.assignment().expect("partitions are assigned").count();
    let mut volume = Volume::default();
    let mut ended = 0;
    while ended < all {
        match consumer.poll(ANSWER) {
            Some(Ok(message)) => {
                volume.records += 1;
                volume.bytes += message.key_len() + message.payload_len();
            }
            // Each partition says it once.
            Some(Err(KafkaError::PartitionEOF(_))) => ended += 1,
            Some(Err(error)) => panic!("cannot read: {error}"),
            None => panic!("the broker does not answer"),
        }
    }
    volume
}

/// Partitions of a topic and where they end, open transactions included.
pub fn ends(brokers: &str, topic: &str) -> Vec<(i32, i64)> {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", brokers).create().expect("the client's settings are right");
    let end = |partition| consumer.fetch_watermarks(topic, partition, ANSWER).expect("the broker answers").1;
    (0..partitions(&consumer, topic)).map(|partition| (partition, end(partition))).collect()
}

fn partitions(consumer: &BaseConsumer, topic: &str) -> i32 {
    let metadata = consumer.fetch_metadata(Some(topic), ANSWER).expect("the broker answers");
    let found = metadata.topics().first().map_or(0, |topic| topic.partitions().len());
    i32::try_from(found).expect("partitions are few")
}
