//! Where facts go.

use schemas::json::SourceRecord;
use schemas::{Feedback, Topics, encode};
use stream::publisher::{Pending, Publisher};

/// The fact is not in Kafka, or nobody knows: whoever brought it must bring it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub String);

/// A publication under way.
pub type Publication<'a> = Pending<'a, Refused>;

/// Takes facts; a fact is published once this is certain to survive us.
pub trait Sink: Send + Sync {
    /// Publishes one fact.
    fn publish<'a>(&'a self, feedback: &'a Feedback) -> Publication<'a>;

    /// Publishes one record of a source.
    fn put<'a>(&'a self, record: &'a SourceRecord) -> Publication<'a>;
}

/// The topic `feedback`, and those of the shop.
pub(crate) struct Kafka {
    publisher: Publisher,
    topics: Topics,
}

impl Kafka {
    pub(crate) fn new(publisher: Publisher, topics: Topics) -> Self {
        Kafka { publisher, topics }
    }
}

impl Sink for Kafka {
    fn publish<'a>(&'a self, feedback: &'a Feedback) -> Publication<'a> {
        Box::pin(async move {
            let (key, value) = (feedback.customer_id.as_bytes(), encode(feedback));
            let published = self.publisher.publish(&self.topics.feedback(), None, Some(key), Some(&value), &[]).await;
            published.map_err(|error| Refused(error.to_string()))
        })
    }

    fn put<'a>(&'a self, record: &'a SourceRecord) -> Publication<'a> {
        Box::pin(async move {
            let found = self.topics.sources().into_iter().find(|(_, name)| *name == record.record);
            let (topic, _) = found.ok_or_else(|| Refused("no topic has such records".to_owned()))?;
            let (key, value) = (record.key.as_bytes(), record.value.as_slice());
            let published = self.publisher.publish(&topic, None, Some(key), Some(value), &[]).await;
            published.map_err(|error| Refused(error.to_string()))
        })
    }
}
