//! What may come at once, and how fast more may follow: a bucket whose rate and size change with the share of this worker. What is in it is
//! carried over: a group that shares its partitions out anew, as often as it likes, has no more at once than the burst.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

type Limiter = RateLimiter<NotKeyed, InMemoryState, DefaultClock, StateInformationMiddleware>;

/// Permits. Full at first, and without any as long as it has no quota.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    limiter: Option<Limiter>,
    /// What it had when its last quota was taken away; none before the first one.
    kept: Option<u32>,
}

impl Bucket {
    /// From now on it fills so fast, and holds so many. It has what it had, where that still goes in.
    pub(super) fn resize(&mut self, quota: Option<Quota>) {
        let had = self.limiter.take().map(|limiter| level(&limiter)).or(self.kept);
        self.kept = had;
        self.limiter = quota.map(|quota| {
            let limiter: Limiter = RateLimiter::direct(quota).with_middleware();
            let size = quota.burst_size().get();
            if let Some(too_many) = NonZeroU32::new(size - had.unwrap_or(size).min(size)) {
                // As many as it can hold at most, so it has them.
                drop(limiter.check_n(too_many));
            }
            limiter
        });
    }

    /// Takes a permit.
    ///
    /// # Errors
    /// How long none will be there; none if that is for as long as it has no quota.
    pub(super) fn take(&self) -> Result<(), Option<Duration>> {
        let limiter = self.limiter.as_ref().ok_or(None)?;
        let taken = limiter.check().map(drop);
        taken.map_err(|refused| Some(refused.wait_time_from(DefaultClock::default().now())))
    }
}

/// What is in it. To ask takes one, so it is to be asked of one that nobody needs any more.
fn level(limiter: &Limiter) -> u32 {
    limiter.check().map_or(0, |rest| rest.remaining_burst_capacity() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One a day, and so many at once: none comes while the test runs.
    fn daily(burst: u32) -> Option<Quota> {
        let quota = Quota::with_period(Duration::from_secs(86_400)).unwrap();
        Some(quota.allow_burst(NonZeroU32::new(burst).unwrap()))
    }

    fn taken(bucket: &Bucket) -> usize {
        (0..1_000).take_while(|_| bucket.take().is_ok()).count()
    }

    #[test]
    fn a_bucket_is_full_at_first_and_then_has_what_it_had() {
        let mut bucket = Bucket::default();
        assert_eq!(bucket.take(), Err(None));
        bucket.resize(daily(10));
        (0..4).for_each(|_| bucket.take().unwrap());
        bucket.resize(daily(100));
        assert_eq!(taken(&bucket), 6, "a greater share is not full at once");
        bucket.resize(daily(50));
        assert_eq!(taken(&bucket), 0);
        assert!(matches!(bucket.take(), Err(Some(wait)) if wait > Duration::from_secs(3_600)));
    }

    #[test]
    fn a_smaller_one_holds_no_more_than_it_can() {
        let mut bucket = Bucket::default();
        bucket.resize(daily(100));
        bucket.resize(daily(10));
        assert_eq!(taken(&bucket), 10);
    }

    #[test]
    fn who_loses_all_and_gets_it_back_has_no_more_than_before() {
        let mut bucket = Bucket::default();
        bucket.resize(daily(10));
        (0..7).for_each(|_| bucket.take().unwrap());
        for _ in 0..5 {
            bucket.resize(None);
            assert_eq!(bucket.take(), Err(None));
            bucket.resize(daily(10));
        }
        assert_eq!(taken(&bucket), 3);
    }
}
