//! Publishes single facts from the edge: a record is published once the brokers have it, and not before.
//!
//! For HTTP handlers, which answer 2xx only then. Not for loops that read Kafka: those write in transactions.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::types::RDKafkaErrorCode as Code;

use crate::admin::{self, Logged};
use crate::kafka::Settings;
use crate::{Error, Verdict};

/// An idempotent producer for many tasks at once. Cheap to clone.
#[derive(Clone)]
pub struct Publisher {
    producer: FutureProducer<Logged>,
}

/// Memory is bounded by this many records without acknowledgement; those who come then wait, and are refused in the end.
const WAITING_MAX: &str = "10000";

/// After this time a record without acknowledgement is given up: the caller of an HTTP edge has gone by then.
const DELIVERY_MS: &str = "10000";

/// How long a record may wait for its place in the queue.
const PLACE: Duration = Duration::from_secs(2);

impl Publisher {
    /// Makes the producer. All `topics` must exist.
    ///
    /// # Errors
    /// `Stop` if a topic is missing or the configuration is refused, `Retry` if the brokers do not answer.
    pub fn new(settings: &Settings, topics: &[&str]) -> Result<Self, Error> {
        let wanted: Vec<_> = topics.iter().map(|topic| (*topic, None)).collect();
        admin::require(settings, &wanted)?;
        let producer = admin::config(settings)
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "5")
            .set("compression.type", "lz4")
            .set("queue.buffering.max.messages", WAITING_MAX)
            .set("message.timeout.ms", DELIVERY_MS)
            .create_with_context(Logged)
            .map_err(|error| Error::stop("configure the Kafka client", error.to_string()))?;
        Ok(Publisher { producer })
    }

    /// Publishes a record; returns when all replicas in sync have it. No `partition`: the key decides, by Java's murmur2.
    ///
    /// # Errors
    /// `Retry` if there was no acknowledgement in time: the record may or may not be there, so a repeat carries the same event
    /// id. `Abort` if this producer is beyond use and has to be made anew. `Stop` if the brokers will never take it.
    pub async fn publish(
        &self,
        topic: &str,
        partition: Option<i32>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, &[u8])],
    ) -> Result<(), Error> {
        let mut record = FutureRecord::<[u8], [u8]>::to(topic);
        record.partition = partition;
        record.key = key;
        record.payload = value;
        if !headers.is_empty() {
            let list = OwnedHeaders::new_with_capacity(headers.len());
            let add =
                |list: OwnedHeaders, (key, value): &(&str, &[u8])| list.insert(Header { key, value: Some(*value) });
            record.headers = Some(headers.iter().fold(list, add));
        }
        match self.producer.send(record, PLACE).await {
            Ok(_) => Ok(()),
            Err((error, _)) => {
                let verdict = match error.rdkafka_error_code() {
                    Some(Code::Fatal | Code::Fenced | Code::PurgeQueue | Code::PurgeInflight) => Verdict::Abort,
                    Some(
                        Code::MessageSizeTooLarge
                        | Code::InvalidMessageSize
                        | Code::UnknownTopicOrPartition
                        | Code::UnknownTopic
                        | Code::UnknownPartition
                        | Code::TopicAuthorizationFailed
                        | Code::ClusterAuthorizationFailed
                        | Code::InvalidRecord,
                    ) => Verdict::Stop,
                    _ => Verdict::Retry,
                };
                Err(Error::new(verdict, "publish", format!("{topic}: {error}")))
            }
        }
    }
}

/// Something that ends well or badly.
pub type Pending<'a, E> = Pin<Box<dyn Future<Output = Result<(), E>> + Send + 'a>>;

/// Begins all publications in their order, which each partition keeps as long as the queue has room for them, and waits for all.
///
/// # Errors
/// The first one; the others may have ended well or badly.
pub async fn all<E>(mut publications: Vec<Pending<'_, E>>) -> Result<(), E> {
    let mut failed = None;
    poll_fn(|context| {
        publications.retain_mut(|publication| match publication.as_mut().poll(context) {
            Poll::Ready(ended) => {
                failed = failed.take().or_else(|| ended.err());
                false
            }
            Poll::Pending => true,
        });
        if publications.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    failed.map_or(Ok(()), Err)
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher").finish_non_exhaustive()
    }
}
