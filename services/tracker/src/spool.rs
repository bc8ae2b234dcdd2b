//! Facts whose bringer does not wait: opens and clicks.

use std::sync::Arc;
use std::time::Duration;

use schemas::Feedback;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;

use crate::metrics::Metrics;
use crate::sink::Sink;

/// So many facts may wait; what comes then is counted as lost.
pub const LIMIT: usize = 10_000;

/// So many are published at once.
const AT_ONCE: usize = 256;

/// After a failure a fact is tried again so much later.
const PAUSE: Duration = Duration::from_millis(500);

/// Takes facts and never waits.
#[derive(Clone, Debug)]
pub(crate) struct Spool {
    facts: Sender<Feedback>,
    metrics: Metrics,
}

/// A spool, and its other end for [`publish`].
pub(crate) fn spool(metrics: Metrics) -> (Spool, Receiver<Feedback>) {
    let (facts, waiting) = channel(LIMIT);
    (Spool { facts, metrics }, waiting)
}

impl Spool {
    pub(crate) fn put(&self, fact: Feedback) {
        if self.facts.try_send(fact).is_err() {
            self.metrics.lost();
        }
    }
}

/// Publishes what comes until the last [`Spool`] is gone and nothing waits any more.
pub(crate) async fn publish(mut waiting: Receiver<Feedback>, sink: Arc<dyn Sink>, metrics: Metrics) {
    let mut publications = JoinSet::new();
    while let Some(fact) = waiting.recv().await {
        while publications.len() >= AT_ONCE {
            publications.join_next().await;
        }
        while publications.try_join_next().is_some() {}
        publications.spawn(insist(fact, Arc::clone(&sink), metrics.clone()));
    }
    while publications.join_next().await.is_some() {}
}

/// Tries until it is published, or the spool behind it would overflow.
async fn insist(fact: Feedback, sink: Arc<dyn Sink>, metrics: Metrics) {
    const TRIALS: usize = 20;
    for _ in 0..TRIALS {
        match sink.publish(&fact).await {
            Ok(()) => return metrics.fact(&fact),
            Err(refused) => tracing::warn!("a fact is not published yet: {}", refused.0),
        }
        tokio::time::sleep(PAUSE).await;
    }
    metrics.lost();
}
