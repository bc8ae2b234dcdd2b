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

/// After a failure a fact is tried again so much later, then twice as much later, and so on.
const PAUSE: Duration = Duration::from_millis(500);

/// But never later than this: a fact is not to be late because Kafka was away for long.
const PAUSE_MAX: Duration = Duration::from_secs(8);

/// A fact that is not published yet. Wherever it is dropped, it is counted as lost: the process ends, or the spool is full.
#[derive(Debug)]
pub(crate) struct Held {
    fact: Feedback,
    is_published: bool,
    metrics: Metrics,
}

impl Drop for Held {
    fn drop(&mut self) {
        match self.is_published {
            true => self.metrics.fact(&self.fact),
            false => self.metrics.lost(),
        }
    }
}

/// Takes facts and never waits.
#[derive(Clone, Debug)]
pub(crate) struct Spool {
    facts: Sender<Held>,
    metrics: Metrics,
}

/// A spool, and its other end for [`publish`].
pub(crate) fn spool(metrics: Metrics) -> (Spool, Receiver<Held>) {
    let (facts, waiting) = channel(LIMIT);
    (Spool { facts, metrics }, waiting)
}

impl Spool {
    pub(crate) fn put(&self, fact: Feedback) {
        let held = Held { fact, is_published: false, metrics: self.metrics.clone() };
        // One that finds no room comes back with the error, and is dropped.
        drop(self.facts.try_send(held));
    }
}

/// Publishes what comes until the last [`Spool`] is gone and nothing waits any more. Who drops it before loses what still waits.
pub(crate) async fn publish(mut waiting: Receiver<Held>, sink: Arc<dyn Sink>) {
    let mut publications = JoinSet::new();
    while let Some(held) = waiting.recv().await {
        while publications.len() >= AT_ONCE {
            publications.join_next().await;
        }
        while publications.try_join_next().is_some() {}
        publications.spawn(insist(held, Arc::clone(&sink)));
    }
    while publications.join_next().await.is_some() {}
}

/// Tries until it is published. An outage may last: as long as there is room, nothing is given up because of it.
async fn insist(mut held: Held, sink: Arc<dyn Sink>) {
    let mut pause = PAUSE;
    loop {
        match sink.publish(&held.fact).await {
            Ok(()) => {
                held.is_published = true;
                return;
            }
            // Of what is tried for long, no line for each trial.
            Err(refused) if pause < PAUSE_MAX => tracing::warn!("a fact is not published yet: {}", refused.0),
            Err(_) => {}
        }
        tokio::time::sleep(pause).await;
        pause = PAUSE_MAX.min(pause * 2);
    }
}

#[cfg(test)]
mod tests;
