//! What the tracker counts. Names, labels and help texts stand here and nowhere else. No label holds an id or a token.

use channels::Words;
use prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use schemas::Feedback;
use stream::labels::Values;

/// The tracker's metrics.
#[derive(Clone, Debug)]
pub struct Metrics {
    requests: IntCounterVec,
    feedback: IntCounterVec,
    lost: IntCounter,
    unknown_statuses: IntCounterVec,
    events: IntCounterVec,
    words: Words,
    channels: Values,
    providers: Values,
}

impl Metrics {
    /// Registers them.
    ///
    /// # Errors
    /// If one of the names is taken.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Metrics {
            requests: IntCounterVec::new(
                Opts::new("cascade_tracker_requests_total", "Requests by endpoint and status code of the answer."),
                &["endpoint", "code"],
            )?,
            feedback: IntCounterVec::new(
                Opts::new("cascade_feedback_total", "Facts published to Kafka, by channel and status."),
                &["channel", "status"],
            )?,
            lost: IntCounter::new(
                "cascade_tracker_lost_total",
                "Opens and clicks that are lost: they found no room in the spool, or the process ended before Kafka took them.",
            )?,
            unknown_statuses: IntCounterVec::new(
                Opts::new(
                    "cascade_receipts_unreadable_total",
                    "Receipts that say nothing that we know, or speak of a channel that is not the provider's, by provider.",
                ),
                &["provider"],
            )?,
            events: IntCounterVec::new(
                Opts::new(
                    "cascade_tracker_events_total",
                    "Events of the shop that came by HTTP and are in Kafka, by record.",
                ),
                &["record"],
            )?,
            words: Words::new(registry)?,
            channels: Values::default(),
            providers: Values::default(),
        };
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.feedback.clone()))?;
        registry.register(Box::new(metrics.lost.clone()))?;
        registry.register(Box::new(metrics.unknown_statuses.clone()))?;
        registry.register(Box::new(metrics.events.clone()))?;
        Ok(metrics)
    }

    pub(crate) fn request(&self, endpoint: &str, code: u16) {
        self.requests.with_label_values(&[endpoint, code.to_string().as_str()]).inc();
    }

    pub(crate) fn fact(&self, fact: &Feedback) {
        self.feedback.with_label_values(&[self.channels.of(&fact.channel), fact.status.as_str()]).inc();
    }

    pub(crate) fn event(&self, record: &str) {
        self.events.with_label_values(&[record]).inc();
    }

    /// What providers post.
    pub(crate) fn words(&self) -> &Words {
        &self.words
    }

    pub(crate) fn lost(&self) {
        self.lost.inc();
    }

    pub(crate) fn unreadable_receipt(&self, provider: &str) {
        self.unknown_statuses.with_label_values(&[self.providers.of(provider)]).inc();
    }
}
