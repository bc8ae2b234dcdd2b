//! Where facts go.

use std::pin::Pin;

use schemas::{Feedback, encode};
use stream::publisher::Publisher;

/// The fact is not in Kafka, or nobody knows: whoever brought it must bring it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub String);

/// A publication under way.
pub type Publication<'a> = Pin<Box<dyn Future<Output = Result<(), Refused>> + Send + 'a>>;

/// Takes facts; a fact is published once this is certain to survive us.
pub trait Sink: Send + Sync {
    /// Publishes one fact.
    fn publish<'a>(&'a self, feedback: &'a Feedback) -> Publication<'a>;
}

/// The topic `feedback`.
pub(crate) struct Kafka {
    publisher: Publisher,
    topic: String,
}

impl Kafka {
    pub(crate) fn new(publisher: Publisher, topic: String) -> Self {
        Kafka { publisher, topic }
    }
}

impl Sink for Kafka {
    fn publish<'a>(&'a self, feedback: &'a Feedback) -> Publication<'a> {
        Box::pin(async move {
            let (key, value) = (feedback.customer_id.as_bytes(), encode(feedback));
            let published = self.publisher.publish(&self.topic, None, Some(key), Some(&value), &[]).await;
            published.map_err(|error| Refused(error.to_string()))
        })
    }
}
