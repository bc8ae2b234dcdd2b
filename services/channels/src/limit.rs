//! How fast the provider may be called: this worker's share of the channel's rate.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// Hands out permits. Never waits.
#[derive(Debug)]
pub struct Limit {
    rate_per_second: u32,
    burst: u32,
    share: (u32, u32),
    limiter: Option<DefaultDirectRateLimiter>,
}

impl Limit {
    /// The channel's whole rate. Nothing is permitted before [`Limit::divide`].
    pub fn new(rate_per_second: u32, burst: u32) -> Self {
        Limit { rate_per_second, burst, share: (0, 0), limiter: None }
    }

    /// This worker owns `owned` of `all` partitions: it takes that share of rate and burst, so that all workers together keep
    /// the limit without talking to each other.
    pub fn divide(&mut self, owned: u32, all: u32) {
        if self.share != (owned, all) {
            self.share = (owned, all);
            self.limiter = quota(self.rate_per_second, self.burst, owned, all).map(RateLimiter::direct);
        }
    }

    /// Whether one more may go out now.
    pub fn permits(&self) -> bool {
        self.limiter.as_ref().is_some_and(|limiter| limiter.check().is_ok())
    }
}

/// Rounded down, except that a burst below one would let nothing through.
fn quota(rate_per_second: u32, burst: u32, owned: u32, all: u32) -> Option<Quota> {
    let (owned, all) = (owned.min(all), u64::from(all));
    let nanoseconds = (1_000_000_000 * all).checked_div(u64::from(rate_per_second) * u64::from(owned))?;
    let burst = u32::try_from((u64::from(burst) * u64::from(owned)).checked_div(all)?).ok()?;
    let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
    Quota::with_period(Duration::from_nanos(nanoseconds.max(1))).map(|quota| quota.allow_burst(burst))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_takes_the_share_of_its_partitions() {
        let quota = quota(100, 50, 2, 8).unwrap();
        assert_eq!(quota.replenish_interval(), Duration::from_millis(40));
        assert_eq!(quota.burst_size().get(), 12);
    }

    #[test]
    fn a_share_below_one_still_lets_one_through_at_a_time() {
        let quota = quota(1, 1, 1, 6).unwrap();
        assert_eq!((quota.replenish_interval(), quota.burst_size().get()), (Duration::from_secs(6), 1));
    }

    #[test]
    fn who_owns_nothing_may_send_nothing() {
        let mut limit = Limit::new(10, 10);
        assert!(!limit.permits());
        limit.divide(0, 6);
        assert!(!limit.permits());
    }

    #[test]
    fn the_burst_goes_out_at_once_and_not_more() {
        let mut limit = Limit::new(1, 3);
        limit.divide(6, 6);
        assert_eq!((0..9).filter(|_| limit.permits()).count(), 3);
    }
}
