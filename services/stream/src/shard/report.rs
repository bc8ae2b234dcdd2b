//! What a shard tells the outside: how far its partitions are.

use std::time::Duration;

use super::Shard;
use crate::clock::Tick;
use crate::log::{INPUT, Log};
use crate::processor::Processor;
use crate::{Error, Verdict};

/// How often the lag is measured.
const MEASURE_AGE: Duration = Duration::from_secs(5);

/// So long nobody is asked for the end of a partition that has no leader.
const LEADERLESS_REST: Duration = Duration::from_secs(5);

impl<L: Log, P: Processor> Shard<'_, L, P> {
    /// Tells the outside how far we are. Only when nothing is uncommitted.
    pub(super) fn report(&self) {
        for task in self.tasks.values() {
            self.around.probe.consumed(&self.around.config.topics.input, task.partition, task.next);
            self.around.probe.settled(task.partition, task.settled_until());
            // A sweep may take its time without holding any deadline up.
            let lag = (task.now - task.fired_until()) / 1000;
            self.around.metrics.watermark_lag_seconds.with_label_values(&[&task.partition.to_string()]).set(lag);
        }
    }

    /// Shows how much of the input is still to be consumed, in the calm, too.
    pub(super) fn measure_lag_if_due(&mut self) -> Result<(), Error> {
        let tasks: Vec<i32> = self.tasks.values().map(|task| task.partition).collect();
        if self.measured.elapsed() < MEASURE_AGE || tasks.is_empty() {
            return Ok(());
        }
        self.measured = Tick::now();
        for (partition, end) in self.ends_of_input(&tasks)? {
            let next = self.task(partition).map_or(end, |task| task.next);
            self.around.metrics.lag.with_label_values(&[&partition.to_string()]).set((end - next).max(0));
        }
        Ok(())
    }

    /// The ends of these partitions of the input, as far as they can be had. One that nobody leads makes a question about all of them
    /// fail: then each is asked by itself, and that one not again for a while, so that the others go on.
    pub(super) fn ends_of_input(&mut self, partitions: &[i32]) -> Result<Vec<(i32, i64)>, Error> {
        self.leaderless.retain(|_, from| !from.remaining().is_zero());
        let asked: Vec<i32> =
            partitions.iter().copied().filter(|partition| !self.leaderless.contains_key(partition)).collect();
        match self.log.ends(INPUT, &asked) {
            Err(error) if error.verdict() == Verdict::Retry && partitions.len() > 1 => {}
            Err(error) if error.verdict() == Verdict::Retry => return Ok(Vec::new()),
            ends => return ends,
        }
        let (mut ends, mut unanswered) = (Vec::new(), 0);
        for partition in asked {
            // If two are not answered, it is hardly about these: all the others would be waited for as long.
            let answer = if unanswered < 2 { self.log.ends(INPUT, &[partition]) } else { Ok(Vec::new()) };
            match answer {
                Ok(found) if !found.is_empty() => ends.extend(found),
                Err(error) if error.verdict() != Verdict::Retry => return Err(error),
                _ => {
                    unanswered += 1;
                    self.leaderless.insert(partition, Tick::now().after(LEADERLESS_REST));
                }
            }
        }
        Ok(ends)
    }
}
