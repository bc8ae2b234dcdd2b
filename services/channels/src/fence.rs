//! A fence around what a channel may cost in an hour (`spend_per_hour`): whatever a campaign, a loop or a mistake asks for, no more is
//! handed over, and commands with a price wait for the next hour, or expire.
//!
//! *It holds* over crashes, restarts and replicas: each partition has an equal share of the limit, and what it has spent in the hour
//! stands in the metadata of its committed position, in the same transaction as the intents that spend it. Whoever takes a partition
//! over takes that over. A hand-over counts from its intent on, by the price that its command carries; it is given back where the
//! provider has certainly not taken the message. What waits for a turn, a block or the provider does not count; what may have been
//! taken does, and a repeat of it counts again. After a crash some that were never handed over may count: the fence then stands closer,
//! never wider.
//!
//! *Limits.* Hours are those of business time, from one full hour to the next. A share is rounded down, and one that is smaller than
//! a message's price lets none through: the limit must be at least the dearest price times the number of partitions. Where
//! customers are few, one partition may come to its share while others have not.

use schemas::Millis;

const HOUR: Millis = 3_600_000;

/// What a partition has spent in an hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fence {
    /// The share of the partition, in minor units; none: there is no limit.
    share: Option<i64>,
    hour: i64,
    spent: i64,
    /// Something had to wait in this hour.
    held: bool,
}

/// What was counted for a command: in which hour, and how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    hour: i64,
    minor: i64,
}

impl Fence {
    /// The fence of one of so many partitions. A limit of 0 is none.
    pub fn new(limit: i64, partitions: u32) -> Self {
        let share = (limit > 0).then(|| limit / i64::from(partitions.max(1)));
        Fence { share, ..Fence::default() }
    }

    /// What a predecessor has spent, as [`Fence::noted`].
    pub fn recall(&mut self, note: &str) {
        let parsed = note.split_once(':').and_then(|(hour, spent)| Some((hour.parse().ok()?, spent.parse().ok()?)));
        if let Some((hour, spent)) = parsed {
            (self.hour, self.spent) = (hour, spent);
        }
    }

    /// Hour and sum, for a successor.
    pub fn noted(&self) -> String {
        format!("{}:{}", self.hour, self.spent)
    }

    /// Whether a command of this price may go out now; if not, it has to wait.
    pub fn admits(&mut self, price: i64, now: Millis) -> bool {
        let hour = now.div_euclid(HOUR);
        if self.hour < hour {
            *self = Fence { hour, spent: 0, held: false, ..*self };
        }
        let is_held = price > 0 && self.share.is_some_and(|share| self.spent.saturating_add(price) > share);
        self.held |= is_held;
        !is_held
    }

    /// Counts a command. None: it has to wait.
    pub fn pass(&mut self, price: i64, now: Millis) -> Option<Charge> {
        self.admits(price, now).then(|| {
            let minor = price.max(0);
            self.spent = self.spent.saturating_add(minor);
            Charge { hour: self.hour, minor }
        })
    }

    /// It costs nothing after all.
    pub fn give_back(&mut self, charge: Charge) {
        if charge.hour == self.hour {
            self.spent = self.spent.saturating_sub(charge.minor).max(0);
        }
    }

    /// Whether something had to wait in the hour of `now`.
    pub fn holds(&self, now: Millis) -> bool {
        self.held && self.hour >= now.div_euclid(HOUR)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_more_than_the_share_goes_out_in_an_hour() {
        let mut fence = Fence::new(1_000, 4);
        assert_eq!(fence.pass(200, 5), Some(Charge { hour: 0, minor: 200 }));
        assert!(!fence.holds(5));
        assert_eq!(fence.pass(60, 5), None);
        assert!(fence.holds(HOUR - 1) && !fence.holds(HOUR));
        assert!(fence.pass(50, 5).is_some() && fence.pass(0, 5).is_some(), "what costs nothing passes");
        assert!(fence.pass(60, HOUR).is_some());
        assert!(!fence.holds(HOUR));
    }

    #[test]
    fn what_is_given_back_makes_room_in_its_own_hour() {
        let mut fence = Fence::new(100, 1);
        let charge = fence.pass(60, 0).unwrap();
        assert!(!fence.admits(60, 9) && fence.admits(40, 9));
        assert_eq!(fence.noted(), "0:60", "a question counts nothing");
        fence.give_back(charge);
        assert_eq!(fence.noted(), "0:0");
        assert_eq!(fence.pass(60, HOUR), Some(Charge { hour: 1, minor: 60 }));
        fence.give_back(charge);
        assert_eq!(fence.noted(), "1:60", "an hour that is over is over");
    }

    #[test]
    fn a_successor_goes_on_where_the_predecessor_stood() {
        let mut fence = Fence::new(100, 1);
        fence.pass(60, 7 * HOUR);
        let mut next = Fence::new(100, 1);
        next.recall(&fence.noted());
        assert_eq!(next.pass(60, 7 * HOUR), None);
        // A clock that stands behind gives nobody another hour.
        assert_eq!(next.pass(60, 6 * HOUR), None);
        next.recall("nonsense");
        assert_eq!(next.noted(), "7:60");
    }

    #[test]
    fn without_a_limit_all_pass() {
        let mut fence = Fence::new(0, 8);
        assert!((0..99).all(|_| fence.pass(i64::MAX, 0).is_some()));
    }

    proptest! {
        #[test]
        fn whatever_happens_the_share_holds(
            steps in prop::collection::vec((0_i64..200, 0_i64..4, any::<bool>(), any::<bool>()), 0..200)
        ) {
            let (mut fence, mut sums, mut now) = (Fence::new(500, 1), std::collections::BTreeMap::new(), 0);
            for (price, hours, refused, crash) in steps {
                now += hours * HOUR / 3;
                if let Some(charge) = fence.pass(price, now) {
                    *sums.entry(now / HOUR).or_insert(0) += price;
                    if refused {
                        fence.give_back(charge);
                        *sums.entry(now / HOUR).or_insert(0) -= price;
                    }
                }
                if crash {
                    let note = fence.noted();
                    fence = Fence::new(500, 1);
                    fence.recall(&note);
                }
                prop_assert!(sums.values().all(|sum| *sum <= 500), "{sums:?}");
            }
        }
    }
}
