//! Publishes single facts from the edge: a record is published once the brokers have it, and not before.
//!
//! For HTTP handlers, which answer 2xx only then. Not for loops that read Kafka: those write in transactions.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::types::RDKafkaErrorCode as Code;

use crate::admin::{self, Logged};
use crate::kafka::{INTERVAL_MS, Settings};
use crate::{Error, Verdict};

/// An idempotent producer for many tasks at once, made anew when it is beyond use. Cheap to clone.
#[derive(Clone)]
pub struct Publisher {
    settings: Settings,
    /// The same for all clones.
    producer: Arc<Mutex<FutureProducer<Logged>>>,
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
        Publisher::made(settings)
    }

    fn made(settings: &Settings) -> Result<Self, Error> {
        let producer = Arc::new(Mutex::new(Publisher::make(settings)?));
        Ok(Publisher { settings: settings.clone(), producer })
    }

    fn make(settings: &Settings) -> Result<FutureProducer<Logged>, Error> {
        let watch = settings.statistics.watch("publisher").map(Arc::new);
        let mut config = admin::config(settings);
        if watch.is_some() {
            config.set("statistics.interval.ms", INTERVAL_MS);
        }
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "5")
            .set("compression.type", "lz4")
            .set("queue.buffering.max.messages", WAITING_MAX)
            .set("message.timeout.ms", DELIVERY_MS)
            .create_with_context(Logged { watch })
            .map_err(|error| Error::stop("configure the Kafka client", error.to_string()))
    }

    /// The producer; a new one if what the brokers did has put it out of use for ever (they have forgotten it, say, or were made anew).
    /// Nobody else could replace it: those who publish have clones, and a process that goes on answers its health check.
    fn usable(&self) -> Result<FutureProducer<Logged>, Error> {
        let mut producer = self.producer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, why)) = producer.client().fatal_error() {
            tracing::warn!("the producer is beyond use and made anew: {why}");
            *producer = Publisher::make(&self.settings)?;
        }
        Ok(producer.clone())
    }

    /// Publishes a record; returns when all replicas in sync have it. No `partition`: the key decides, by Java's murmur2.
    ///
    /// # Errors
    /// `Retry` if there was no acknowledgement in time: the record may or may not be there, so a repeat carries the same event
    /// id; so it is for what was under way when the producer turned out to be beyond use. `Stop` if the brokers will never take it.
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
        match self.usable()?.send(record, PLACE).await {
            Ok(_) => Ok(()),
            Err((error, _)) => {
                let verdict = match error.rdkafka_error_code() {
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

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Wake, Waker};
    use std::thread::Thread;

    use super::*;
    use crate::kafka::break_for_good;

    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    fn wait_for<T>(future: impl Future<Output = T>) -> T {
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut future = pin!(future);
        loop {
            match future.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(value) => return value,
                Poll::Pending => std::thread::park(),
            }
        }
    }

    #[test]
    fn a_producer_that_is_beyond_use_is_replaced_for_all_who_share_it() {
        // The client library's own cluster of one broker, which makes topics by itself.
        let properties = [("test.mock.num.brokers".to_owned(), "1".to_owned())].into();
        let settings = Settings { properties: Arc::new(properties), ..Settings::new("127.0.0.1:1", "test") };
        let publisher = Publisher::made(&settings).unwrap();
        let shared = publisher.clone();
        let publish = |publisher: &Publisher| wait_for(publisher.publish("facts", None, Some(b"k"), Some(b"v"), &[]));
        publish(&publisher).unwrap();
        let broken = publisher.usable().unwrap();
        break_for_good(broken.client().native_ptr());
        assert!(broken.client().fatal_error().is_some());
        publish(&publisher).unwrap();
        publish(&shared).unwrap();
        let pointer = |publisher: &Publisher| publisher.usable().unwrap().client().native_ptr();
        assert!(pointer(&publisher) == pointer(&shared) && pointer(&shared) != broken.client().native_ptr());
    }

    #[test]
    fn what_was_under_way_is_to_be_tried_again() {
        // Nobody is there: the record waits.
        let publisher = Publisher::made(&Settings::new("127.0.0.1:1", "test")).unwrap();
        let mut under_way = pin!(publisher.publish("facts", None, Some(b"k"), Some(b"v"), &[]));
        let begun = under_way.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(begun.is_pending());
        break_for_good(publisher.usable().unwrap().client().native_ptr());
        assert_eq!(wait_for(under_way).map_err(|error| error.verdict()), Err(Verdict::Retry));
    }
}
