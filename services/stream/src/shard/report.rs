//! What a shard tells the outside: how far its partitions are.

use std::time::Duration;

use super::Shard;
use crate::clock::Tick;
use crate::log::{INPUT, Log};
use crate::processor::Processor;
use crate::{Error, Verdict};

/// How often the lag is measured.
const MEASURE_AGE: Duration = Duration::from_secs(5);

impl<L: Log, P: Processor> Shard<'_, L, P> {
    /// Tells the outside how far we are. Only when nothing is uncommitted.
    pub(super) fn report(&self) {
        for task in self.tasks.values() {
            self.around.probe.consumed(&self.around.config.topics.input, task.partition, task.next);
            self.around.probe.settled(task.partition, task.settled_until());
            let lag = (task.now - task.settled_until()) / 1000;
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
        let ends = match self.log.ends(INPUT, &tasks) {
            Err(error) if error.verdict() == Verdict::Retry => return Ok(()),
            ends => ends?,
        };
        for (partition, end) in ends {
            let next = self.task(partition).map_or(end, |task| task.next);
            self.around.metrics.lag.with_label_values(&[&partition.to_string()]).set((end - next).max(0));
        }
        Ok(())
    }
}
