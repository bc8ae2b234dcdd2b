//! Facts whose bringer does not wait: opens and clicks.
//!
//! Each partition of `feedback` has its own share of what is published at once, and its own queue before that. One without a leader keeps
//! its own facts waiting, with a single trial at a time, and has at most half of the room. What was told lately takes none ([`Repeats`]).

mod lanes;

use std::sync::Arc;
use std::time::Duration;

use schemas::Feedback;
use stream::clock::Tick;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::metrics::Metrics;
use crate::repeats::Repeats;
use crate::sink::Sink;
use lanes::Lanes;

/// So many facts may wait; what comes then is counted as lost.
pub const LIMIT: usize = 10_000;

/// So many are published at once, in all partitions together; one of each where there are more partitions.
const AT_ONCE: usize = 256;

/// After a failure the partition is tried again so much later, then twice as much later, and so on.
const PAUSE: Duration = Duration::from_millis(500);

/// But never later than this: a fact is not to be late because Kafka was away for long.
const PAUSE_MAX: Duration = Duration::from_secs(8);

/// A fact that is not published yet. Wherever it is dropped, it is counted as lost: the process ends, or the spool is full.
#[derive(Debug)]
pub(crate) struct Held {
    fact: Feedback,
    is_published: bool,
    metrics: Metrics,
    repeats: Repeats,
    _place: OwnedSemaphorePermit,
}

impl Drop for Held {
    fn drop(&mut self) {
        match self.is_published {
            true => self.metrics.fact(&self.fact),
            false => {
                self.repeats.forget(&self.fact);
                self.metrics.lost();
            }
        }
    }
}

/// Takes facts and never waits.
#[derive(Clone, Debug)]
pub(crate) struct Spool {
    facts: UnboundedSender<Held>,
    places: Arc<Semaphore>,
    metrics: Metrics,
    repeats: Repeats,
}

/// A spool, and its other end for [`publish`].
pub(crate) fn spool(metrics: Metrics) -> (Spool, UnboundedReceiver<Held>) {
    let (facts, waiting) = unbounded_channel();
    (Spool { facts, places: Arc::new(Semaphore::new(LIMIT)), metrics, repeats: Repeats::new() }, waiting)
}

impl Spool {
    /// Takes a fact, unless it was told lately.
    pub(crate) fn put(&self, fact: Feedback) {
        if !self.repeats.is_new(&fact, Tick::now()) {
            return;
        }
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            self.repeats.forget(&fact);
            return self.metrics.lost();
        };
        let (metrics, repeats) = (self.metrics.clone(), self.repeats.clone());
        let held = Held { fact, is_published: false, metrics, repeats, _place: place };
        // One that nobody will publish comes back with the error, and is dropped.
        drop(self.facts.send(held));
    }
}

/// Publishes what comes until the last [`Spool`] is gone and nothing waits any more. Who drops it before loses what still waits.
/// `feedback` has so many partitions.
pub(crate) async fn publish(mut waiting: UnboundedReceiver<Held>, sink: Arc<dyn Sink>, partitions: i32) {
    let mut lanes = Lanes::over(partitions, sink);
    let mut takes = true;
    while takes || !lanes.trials.is_empty() {
        tokio::select! {
            held = waiting.recv(), if takes => match held {
                Some(held) => lanes.take(held),
                None => takes = false,
            },
            Some(ended) = lanes.trials.join_next() => {
                if let Ok(ended) = ended {
                    lanes.ended(ended);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
