//! What a shard tells the outside: how far its partitions are.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Shard;
use crate::clock::{Tick, age, machine_now};
use crate::log::{INPUT, Log};
use crate::processor::Processor;
use crate::{Error, Verdict};

/// How often the lag is measured.
const MEASURE_AGE: Duration = Duration::from_secs(5);

/// So long nobody is asked for the end of a partition of which it could not be told: the first time, for an answer may just be lost, and at
/// most, for it may have no leader. Each time twice as long.
const RESTS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

impl<L: Log, P: Processor> Shard<'_, L, P> {
    /// Tells the outside how far we are. Only when nothing is uncommitted.
    pub(super) fn report(&mut self) {
        self.tell_unread();
        for task in self.tasks.values() {
            self.around.probe.consumed(&self.around.config.topics.input, task.partition, task.next);
            self.around.probe.settled(task.partition, task.settled_until());
            // A sweep may take its time without holding any deadline up.
            let lag = (task.now - task.fired_until()) / 1000;
            self.around.metrics.watermark_lag_seconds.with_label_values(&[&task.partition.to_string()]).set(lag);
        }
    }

    /// How long the oldest record has waited whose decisions were committed just now.
    pub(super) fn tell_age(&self) {
        if let Some(oldest) = self.tasks.values().filter_map(|task| task.unread.in_hand()).min() {
            self.around.metrics.event_to_decision_seconds.observe(age(oldest).as_secs_f64());
        }
    }

    /// Tells since when what waits has waited, also while a commit does not come about.
    pub(super) fn tell_unread(&mut self) {
        for task in self.tasks.values_mut() {
            self.around.probe.unread(&self.around.config.topics.input, task.partition, &mut task.unread);
        }
    }

    /// Shows how much of the input is still to be consumed, in the calm, too.
    pub(super) fn measure_lag_if_due(&mut self) -> Result<(), Error> {
        let tasks: Vec<i32> = self.tasks.values().map(|task| task.partition).collect();
        if self.measured.elapsed() < MEASURE_AGE || tasks.is_empty() {
            return Ok(());
        }
        self.measured = Tick::now();
        let ends: BTreeMap<i32, i64> = self.ends_of_input(&tasks)?.into_iter().collect();
        for partition in tasks {
            let Some(task) = self.task(partition) else { continue };
            let end = ends.get(&partition).copied();
            if let Some(end) = end {
                task.is_cut_off(end)?;
                if task.unread.is_at_end() {
                    task.unread.look_behind_the_end(end > task.next, machine_now());
                }
            }
            let next = task.next;
            // Of one that nobody leads nobody can say that nothing waits in it.
            let stuck = self.stuck_for(partition, next, end.unwrap_or(i64::MAX));
            let (metrics, label) = (&self.around.metrics, partition.to_string());
            if let Some(end) = end {
                metrics.lag.with_label_values(&[&label]).set((end - next).max(0));
            }
            metrics.stuck_seconds.with_label_values(&[&label]).set(i64::try_from(stuck.as_secs()).unwrap_or(i64::MAX));
        }
        Ok(())
    }

    /// For how long nothing of a partition was consumed in which something waits. What was dropped and is consumed once more is no
    /// progress: it may fail for ever.
    fn stuck_for(&mut self, partition: i32, next: i64, end: i64) -> Duration {
        if next >= end {
            self.waiting.remove(&partition);
            return Duration::ZERO;
        }
        let (reached, since) = self.waiting.entry(partition).or_insert_with(|| (next, Tick::now()));
        if next > *reached {
            (*reached, *since) = (next, Tick::now());
        }
        since.elapsed()
    }

    /// A partition is not ours any more.
    pub(super) fn report_nothing_of(&mut self, partition: i32) {
        self.waiting.remove(&partition);
        let (metrics, label) = (&self.around.metrics, partition.to_string());
        for gauges in [&metrics.lag, &metrics.stuck_seconds, &metrics.watermark_lag_seconds] {
            // Who never owned it has no such series.
            let _ = gauges.remove_label_values(&[&label]);
        }
    }

    /// The ends of these partitions of the input, as far as they can be had. One that nobody leads makes a question about all of them
    /// fail: then each is asked by itself, and that one not again for a while, so that the others go on.
    pub(super) fn ends_of_input(&mut self, partitions: &[i32]) -> Result<Vec<(i32, i64)>, Error> {
        let tasks = &self.tasks;
        self.leaderless.retain(|partition, _| tasks.contains_key(partition));
        let (rested, mut asked): (Vec<i32>, Vec<i32>) =
            partitions.iter().partition(|partition| self.leaderless.contains_key(*partition));
        let mut ends = match self.log.ends(INPUT, &asked) {
            Err(error) if error.verdict() == Verdict::Retry => Vec::new(),
            found => {
                asked.clear();
                found?
            }
        };
        // Whose rest is over, one at a time.
        let is_over =
            |partition: &i32| self.leaderless.get(partition).is_some_and(|(from, _)| from.remaining().is_zero());
        asked.extend(rested.into_iter().find(is_over));
        let mut unanswered = 0;
        for partition in asked {
            match self.log.ends(INPUT, &[partition]) {
                Ok(found) => {
                    self.leaderless.remove(&partition);
                    ends.extend(found);
                }
                Err(error) if error.verdict() == Verdict::Retry => {
                    unanswered += 1;
                    let (first, longest) = RESTS;
                    let rest = self.leaderless.get(&partition).map_or(first, |(_, rest)| longest.min(*rest * 2));
                    self.leaderless.insert(partition, (Tick::now().after(rest), rest));
                    // If two are not answered, it may be about none of these. Whoever was not asked now is asked the next time.
                    if unanswered == 2 {
                        break;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(ends)
    }
}
