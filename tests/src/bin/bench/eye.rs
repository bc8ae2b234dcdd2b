//! What lies in topics, seen by a plain consumer.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use system_tests::tail::{self, Ends};

/// How long a broker may take for one answer.
pub const ANSWER: Duration = Duration::from_secs(60);

/// Reads topics from their beginning, as the engine reads them, so that both are measured alike.
pub fn reader(brokers: &str, topics: &[&str]) -> BaseConsumer {
    let group = format!("raw-{}", topics.concat());
    let fetching = [("fetch.wait.max.ms", "100"), ("fetch.queue.backoff.ms", "5")];
    tail::reader(brokers, topics, &group, &fetching)
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
    let ends = Ends::new(brokers).of(&[topic.to_owned()]);
    ends.into_iter().map(|((_, partition), end)| (partition, end)).collect()
}
