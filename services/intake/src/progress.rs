//! How far each source partition has been read, for those who must know that nothing is missing.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::Millis;
use stream::clock::Tick;
use stream::relay::Positions;

/// Remembers what was told last, and when.
#[derive(Debug)]
pub(crate) struct Ledger {
    interval: Duration,
    next: Tick,
    /// Latest Kafka timestamp read, by index of topic and partition.
    until: BTreeMap<(usize, i32), Millis>,
    told: Positions,
}

/// A source partition that moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) topic: usize,
    pub(crate) partition: i32,
    pub(crate) next: i64,
    /// 0 where no record was read since the start: then the offset alone tells something.
    pub(crate) until: Millis,
}

impl Ledger {
    pub(crate) fn new(interval: Duration) -> Self {
        Ledger { interval, next: Tick::now(), until: BTreeMap::new(), told: Positions::new() }
    }

    /// A record was read.
    pub(crate) fn read(&mut self, topic: usize, partition: i32, appended_at: Millis) {
        let until = self.until.entry((topic, partition)).or_insert(0);
        *until = appended_at.max(*until);
    }

    /// What has to be told now. After a start that is every partition once.
    pub(crate) fn due(&mut self, positions: &Positions) -> Vec<Moved> {
        if !self.next.remaining().is_zero() || *positions == self.told {
            return Vec::new();
        }
        self.next = Tick::now().after(self.interval);
        let moved = |(place, next): (&(usize, i32), &i64)| {
            let until = self.until.get(place).copied().unwrap_or(0);
            (self.told.get(place) != Some(next)).then_some(Moved {
                topic: place.0,
                partition: place.1,
                next: *next,
                until,
            })
        };
        let due = positions.iter().filter_map(moved).collect();
        // Partitions that went away are told anew when they come back.
        self.told.clone_from(positions);
        self.until.retain(|place, _| positions.contains_key(place));
        due
    }

    /// What was read or told since the last commit did not happen.
    pub(crate) fn forget(&mut self) {
        self.told.clear();
        self.until.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(next: i64) -> Positions {
        Positions::from([((0, 3), next)])
    }

    #[test]
    fn a_partition_is_told_once_after_the_start_and_then_only_when_it_moved() {
        let mut ledger = Ledger::new(Duration::ZERO);
        assert_eq!(ledger.due(&at(5)), [Moved { topic: 0, partition: 3, next: 5, until: 0 }]);
        assert_eq!(ledger.due(&at(5)), []);
        ledger.read(0, 3, 1_700);
        ledger.read(0, 3, 1_600);
        assert_eq!(ledger.due(&at(7)), [Moved { topic: 0, partition: 3, next: 7, until: 1_700 }]);
    }

    #[test]
    fn within_the_interval_nothing_is_told() {
        let mut ledger = Ledger::new(Duration::from_secs(3600));
        assert_eq!(ledger.due(&at(5)).len(), 1);
        assert_eq!(ledger.due(&at(6)), []);
    }

    #[test]
    fn what_was_not_committed_is_told_again_without_a_time_that_is_not_true_yet() {
        let mut ledger = Ledger::new(Duration::ZERO);
        ledger.read(0, 3, 1_700);
        ledger.due(&at(7));
        ledger.forget();
        assert_eq!(ledger.due(&at(5)), [Moved { topic: 0, partition: 3, next: 5, until: 0 }]);
    }
}
