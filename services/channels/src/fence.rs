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

#[cfg(test)]
mod tests;

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
