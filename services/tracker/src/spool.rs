//! Facts whose bringer does not wait: opens and clicks.
//!
//! Each partition of `feedback` has its own share of what is published at once, and its own queue before that. One without a leader keeps
//! its own facts waiting, with a single trial at a time, and has at most half of the room.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use schemas::Feedback;
use stream::kafka::partition_of;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use crate::metrics::Metrics;
use crate::sink::Sink;

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
    _place: OwnedSemaphorePermit,
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
    facts: UnboundedSender<Held>,
    places: Arc<Semaphore>,
    metrics: Metrics,
}

/// A spool, and its other end for [`publish`].
pub(crate) fn spool(metrics: Metrics) -> (Spool, UnboundedReceiver<Held>) {
    let (facts, waiting) = unbounded_channel();
    (Spool { facts, places: Arc::new(Semaphore::new(LIMIT)), metrics }, waiting)
}

impl Spool {
    pub(crate) fn put(&self, fact: Feedback) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else { return self.metrics.lost() };
        let held = Held { fact, is_published: false, metrics: self.metrics.clone(), _place: place };
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

/// The partitions, and what is under way. Where facts wait, one at least is under way.
struct Lanes {
    partitions: i32,
    sink: Arc<dyn Sink>,
    lanes: HashMap<i32, Lane>,
    trials: JoinSet<Trial>,
    /// What one partition may have under way, and under way and waiting.
    share: usize,
    room: usize,
}

/// One partition.
#[derive(Default)]
struct Lane {
    waits: VecDeque<Held>,
    under_way: usize,
    /// It took nothing of late: the pause before the next trial.
    pause: Option<Duration>,
}

/// A fact that somebody tried to publish.
struct Trial {
    partition: i32,
    held: Held,
    after: Option<Duration>,
}

impl Lanes {
    fn over(partitions: i32, sink: Arc<dyn Sink>) -> Self {
        let count = usize::try_from(partitions).unwrap_or(1).max(1);
        let (share, room) = ((AT_ONCE / count).max(1), if count == 1 { LIMIT } else { LIMIT / 2 });
        Lanes { partitions: partitions.max(1), sink, lanes: HashMap::new(), trials: JoinSet::new(), share, room }
    }

    fn take(&mut self, held: Held) {
        let partition = partition_of(held.fact.customer_id.as_bytes(), self.partitions);
        let lane = self.lanes.entry(partition).or_default();
        // What finds no room is dropped, and so counted.
        if lane.waits.len() + lane.under_way < self.room {
            lane.waits.push_back(held);
        }
        self.go_on(partition);
    }

    /// An outage may last: as long as there is room, nothing is given up because of it.
    fn ended(&mut self, Trial { partition, held, after }: Trial) {
        let Some(lane) = self.lanes.get_mut(&partition) else { return };
        lane.under_way = lane.under_way.saturating_sub(1);
        match (held.is_published, after) {
            (true, _) => lane.pause = None,
            // Of those that were under way when it began to fail, all fail.
            (false, None) => _ = lane.pause.get_or_insert(PAUSE),
            (false, Some(pause)) => lane.pause = Some(PAUSE_MAX.min(pause * 2)),
        }
        if !held.is_published {
            // Behind the others: what nobody ever takes is in nobody's way.
            lane.waits.push_back(held);
        }
        self.go_on(partition);
    }

    /// Begins with what may be under way. A partition that takes nothing is tried with one, after its pause.
    fn go_on(&mut self, partition: i32) {
        let Some(lane) = self.lanes.get_mut(&partition) else { return };
        let most = if lane.pause.is_some() { 1 } else { self.share };
        while lane.under_way < most
            && let Some(held) = lane.waits.pop_front()
        {
            lane.under_way += 1;
            self.trials.spawn(trial(partition, held, lane.pause, Arc::clone(&self.sink)));
        }
    }
}

async fn trial(partition: i32, mut held: Held, after: Option<Duration>, sink: Arc<dyn Sink>) -> Trial {
    if let Some(pause) = after {
        tokio::time::sleep(pause).await;
    }
    match sink.publish(&held.fact).await {
        Ok(()) => held.is_published = true,
        // Of what is tried for long, no line for each trial.
        Err(refused) if after < Some(PAUSE_MAX) => {
            tracing::warn!(partition, "a fact is not published yet: {}", refused.0);
        }
        Err(_) => {}
    }
    Trial { partition, held, after }
}

#[cfg(test)]
mod tests;
