//! The partitions of a spool: what waits for each, and what is under way.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use stream::kafka::partition_of;
use tokio::task::JoinSet;

use super::{AT_ONCE, Held, LIMIT, PAUSE, PAUSE_MAX};
use crate::sink::Sink;

/// The partitions, and what is under way. Where facts wait, one at least is under way.
pub(super) struct Lanes {
    partitions: i32,
    sink: Arc<dyn Sink>,
    lanes: HashMap<i32, Lane>,
    pub(super) trials: JoinSet<Trial>,
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
pub(super) struct Trial {
    partition: i32,
    held: Held,
    after: Option<Duration>,
}

impl Lanes {
    pub(super) fn over(partitions: i32, sink: Arc<dyn Sink>) -> Self {
        let count = usize::try_from(partitions).unwrap_or(1).max(1);
        let (share, room) = ((AT_ONCE / count).max(1), if count == 1 { LIMIT } else { LIMIT / 2 });
        Lanes { partitions: partitions.max(1), sink, lanes: HashMap::new(), trials: JoinSet::new(), share, room }
    }

    pub(super) fn take(&mut self, held: Held) {
        let partition = partition_of(held.fact.customer_id.as_bytes(), self.partitions);
        let lane = self.lanes.entry(partition).or_default();
        // What finds no room is dropped, and so counted.
        if lane.waits.len() + lane.under_way < self.room {
            lane.waits.push_back(held);
        }
        self.go_on(partition);
    }

    /// An outage may last: as long as there is room, nothing is given up because of it.
    pub(super) fn ended(&mut self, Trial { partition, held, after }: Trial) {
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
