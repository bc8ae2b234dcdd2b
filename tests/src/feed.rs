//! The oracle's hand: creates topics and writes records, as a shop's own producers would.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::broker::broker;
use crate::http::runtime;
use crate::wait::until;

/// How long a broker may take for one answer.
const ANSWER: Duration = Duration::from_secs(60);

/// Creates topics, plain ones.
pub fn create_topics(brokers: &str, topics: &[(&str, i32)]) {
    create_topics_with(brokers, topics, &[]);
}

/// Creates topics with these settings.
pub fn create_topics_with(brokers: &str, topics: &[(&str, i32)], settings: &[(&str, &str)]) {
    let replication = || TopicReplication::Fixed(broker().replication());
    let wanted = topics.iter().map(|(name, partitions)| NewTopic::new(name, *partitions, replication()));
    create(brokers, wanted.collect(), settings);
}

/// Creates a topic of which each partition lies on one broker alone, the one with this id.
pub fn create_topic_on(brokers: &str, name: &str, homes: &[i32], settings: &[(&str, &str)]) {
    let homes: Vec<&[i32]> = homes.iter().map(std::slice::from_ref).collect();
    let count = i32::try_from(homes.len()).expect("partitions are few");
    create(brokers, vec![NewTopic::new(name, count, TopicReplication::Variable(&homes))], settings);
}

/// The id of the broker that leads each partition of a topic; none where nobody does.
pub fn leaders(brokers: &str, topic: &str) -> Vec<Option<i32>> {
    let client: AdminClient<DefaultClientContext> = config(brokers).create().expect("the client's settings are right");
    let metadata = client.inner().fetch_metadata(Some(topic), ANSWER).expect("the broker answers");
    let partitions = metadata.topics()[0].partitions().iter();
    partitions.map(|partition| Some(partition.leader()).filter(|id| *id >= 0)).collect()
}

fn create<'t>(brokers: &str, topics: Vec<NewTopic<'t>>, settings: &[(&'t str, &'t str)]) {
    let client: AdminClient<DefaultClientContext> = config(brokers).create().expect("the client's settings are right");
    let set = |topic| settings.iter().fold(topic, |topic: NewTopic<'t>, (name, value)| topic.set(name, value));
    let wanted: Vec<_> = topics.into_iter().map(set).collect();
    let options = AdminOptions::new().operation_timeout(Some(ANSWER)).request_timeout(Some(ANSWER));
    let created = runtime().block_on(client.create_topics(&wanted, &options)).expect("the broker creates topics");
    for result in created {
        result.expect("the topic is new");
    }
    // The controller has them; the broker hears of it a moment later.
    for topic in wanted {
        let known = || {
            let metadata = client.inner().fetch_metadata(Some(topic.name), ANSWER).expect("the broker answers");
            metadata.topics().iter().any(|known| i32::try_from(known.partitions().len()) == Ok(topic.num_partitions))
        };
        until("the broker knows a new topic", known);
    }
}

/// Deletes topics, and waits until they are gone.
pub fn delete_topics(brokers: &str, topics: &[&str]) {
    let client: AdminClient<DefaultClientContext> = config(brokers).create().expect("the client's settings are right");
    let options = AdminOptions::new().operation_timeout(Some(ANSWER)).request_timeout(Some(ANSWER));
    let deleted = runtime().block_on(client.delete_topics(topics, &options)).expect("the broker deletes topics");
    for result in deleted {
        result.expect("the topic is there");
    }
    let is_there = |topic: &str| {
        let metadata = client.inner().fetch_metadata(None, ANSWER).expect("the broker answers");
        metadata.topics().iter().any(|known| known.name() == topic)
    };
    until("the topics are gone", || !topics.iter().any(|topic| is_there(topic)));
}

/// Says for a group, as soon as it has no members, that it has read all partitions of a topic up to `next`, whatever is in them.
pub fn pretend_to_have_read(brokers: &str, group: &str, topic: &str, next: i64) {
    let consumer: BaseConsumer =
        config(brokers).set("group.id", group).create().expect("the client's settings are right");
    let metadata = consumer.fetch_metadata(Some(topic), ANSWER).expect("the broker answers");
    let mut list = TopicPartitionList::new();
    for partition in metadata.topics()[0].partitions() {
        list.add_partition_offset(topic, partition.id(), Offset::Offset(next)).expect("an offset");
    }
    until("the group has no members", || consumer.commit(&list, CommitMode::Sync).is_ok());
}

/// Adds partitions to a topic, until there are so many.
pub fn enlarge_topic(brokers: &str, topic: &str, partitions: usize) {
    let client: AdminClient<DefaultClientContext> = config(brokers).create().expect("the client's settings are right");
    let options = AdminOptions::new().operation_timeout(Some(ANSWER)).request_timeout(Some(ANSWER));
    let wanted = [NewPartitions::new(topic, partitions)];
    let enlarged = runtime().block_on(client.create_partitions(&wanted, &options)).expect("the broker adds partitions");
    for result in enlarged {
        result.expect("there are fewer");
    }
    let known = || {
        let metadata = client.inner().fetch_metadata(Some(topic), ANSWER).expect("the broker answers");
        metadata.topics().iter().any(|topic| topic.partitions().len() == partitions)
    };
    until("the broker knows new partitions", known);
}

pub(crate) fn config(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("log_level", "3");
    for (name, value) in broker().properties() {
        config.set(*name, value);
    }
    config
}

/// A producer.
pub struct Feed {
    producer: BaseProducer<Reports>,
    lost: Arc<AtomicUsize>,
}

/// Counts what did not arrive.
struct Reports(Arc<AtomicUsize>);

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_err() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Feed {
    /// A producer that loses and doubles nothing.
    pub fn new(brokers: &str) -> Self {
        Self::with(config(brokers).set("linger.ms", "2"))
    }

    /// The same, of one that compresses: what it sends may be much larger than what its topic holds of it.
    pub fn that_compresses(brokers: &str) -> Self {
        Self::with(config(brokers).set("compression.type", "lz4"))
    }

    /// A producer with an open transaction, under this id.
    pub fn in_transaction(brokers: &str, id: &str) -> Self {
        // Longer than any test waits: it ends when the test ends it.
        let feed = Self::with(config(brokers).set("transactional.id", id).set("transaction.timeout.ms", "300000"));
        feed.producer.init_transactions(ANSWER).expect("the coordinator answers");
        feed.producer.begin_transaction().expect("none is open");
        feed
    }

    fn with(config: &mut ClientConfig) -> Self {
        let lost = Arc::new(AtomicUsize::new(0));
        config.set("enable.idempotence", "true").set("partitioner", "murmur2_random");
        // What a topic takes, its broker knows.
        config.set("message.max.bytes", "20000000");
        let producer = config.create_with_context(Reports(Arc::clone(&lost))).expect("the client's settings are right");
        Feed { producer, lost }
    }

    /// Appends a record to the partition that its key belongs to.
    pub fn send(&self, topic: &str, key: &str, value: &[u8]) {
        self.enqueue(&|| BaseRecord::to(topic).key(key.as_bytes()).payload(value));
    }

    /// The same with a header.
    pub fn send_with(&self, topic: &str, key: &str, value: &[u8], (name, content): (&str, &[u8])) {
        self.enqueue(&|| {
            let headers = OwnedHeaders::new().insert(Header { key: name, value: Some(content) });
            BaseRecord::to(topic).key(key.as_bytes()).payload(value).headers(headers)
        });
    }

    /// Appends a record to this partition.
    pub fn send_to(&self, topic: &str, partition: i32, key: impl AsRef<[u8]>, value: &[u8]) {
        self.enqueue(&|| BaseRecord::to(topic).partition(partition).key(key.as_ref()).payload(value));
    }

    /// Appends a record without a key to this partition.
    pub fn send_without_key(&self, topic: &str, partition: i32, value: &[u8]) {
        self.enqueue(&|| BaseRecord::<[u8], [u8]>::to(topic).partition(partition).payload(value));
    }

    /// Appends a tombstone.
    pub fn forget_in(&self, topic: &str, partition: i32, key: &[u8]) {
        self.enqueue(&|| BaseRecord::to(topic).partition(partition).key(key));
    }

    fn enqueue<'a>(&self, record: &dyn Fn() -> BaseRecord<'a, [u8], [u8]>) {
        while let Err((error, _)) = self.producer.send(record()) {
            assert_eq!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull));
            self.producer.poll(Duration::from_millis(10));
        }
    }

    /// Waits until the broker has everything.
    pub fn flush(&self) {
        // The client library's own `flush` looks only every 100 ms.
        until("the broker has taken everything", || {
            self.producer.poll(Duration::from_millis(1));
            self.producer.in_flight_count() == 0
        });
        assert_eq!(self.lost.load(Ordering::Relaxed), 0, "records that the broker did not take");
    }

    /// Puts a position of a group into the transaction, as those do who read and write in one.
    pub fn move_group(&self, brokers: &str, group: &str, (topic, partition, next): (&str, i32, i64)) {
        let consumer: BaseConsumer = config(brokers).set("group.id", group).create().expect("the settings are right");
        let mut positions = TopicPartitionList::new();
        positions.add_partition_offset(topic, partition, Offset::Offset(next)).expect("it is not there twice");
        let metadata = consumer.group_metadata().expect("it has a group");
        self.producer.send_offsets_to_transaction(&positions, &metadata, ANSWER).expect("the coordinator takes it");
    }

    /// Ends the transaction: what it wrote counts.
    pub fn commit(&self) {
        self.producer.commit_transaction(ANSWER).expect("the coordinator commits");
    }

    /// Ends the transaction: what it wrote never happened.
    pub fn abort(&self) {
        self.producer.abort_transaction(ANSWER).expect("the coordinator aborts");
    }
}
