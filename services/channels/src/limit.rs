//! How fast the provider may be called: this worker's share of the channel's rate, and of the rates of single destinations, such as the
//! domain of a mail or the operator behind a prefix.

mod bucket;
mod destinations;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::Quota;
use stream::clock::Tick;

use bucket::Bucket;
use destinations::Destinations;
pub(crate) use destinations::{problems, read};

/// Hands out permits. Never waits.
#[derive(Debug)]
pub struct Limit {
    rate_per_second: u32,
    burst: u32,
    share: (u32, u32),
    bucket: Bucket,
    destinations: Destinations,
}

impl Limit {
    /// The channel's whole rate. Nothing is permitted before [`Limit::divide`].
    pub fn new(rate_per_second: u32, burst: u32) -> Self {
        let (bucket, destinations) = (Bucket::default(), Destinations::default());
        Limit { rate_per_second, burst, share: (0, 0), bucket, destinations }
    }

    /// The same, with rates of single destinations.
    #[must_use]
    pub fn to(self, rates: &BTreeMap<String, u32>) -> Self {
        Limit { destinations: Destinations::new(rates), ..self }
    }

    /// This worker owns `owned` of `all` partitions: it takes that share of rate and burst, so that all workers together keep
    /// the limit without talking to each other. What it has not used it keeps, as far as that is in the new share; there is no burst anew.
    pub fn divide(&mut self, owned: u32, all: u32) {
        if self.share != (owned, all) {
            self.share = (owned, all);
            self.bucket.resize(quota(self.rate_per_second, self.burst, owned, all));
            self.destinations.divide(owned, all);
        }
    }

    /// Whether one more may go out now.
    pub fn permits(&self) -> bool {
        self.bucket.take().is_ok()
    }

    /// The destination of an address, if it has a rate of its own.
    pub fn destination(&self, address: &str) -> Option<usize> {
        self.destinations.of(address)
    }

    /// Whether a destination has certainly no permit yet: that costs nothing to ask.
    pub fn is_closed(&self, destination: usize, tick: Tick) -> bool {
        self.destinations.at(destination).is_some_and(|destination| destination.closed_until.get() > Some(tick))
    }

    /// Whether one more may go out now to a destination.
    pub fn permits_to(&self, destination: usize, tick: Tick) -> bool {
        self.destinations.at(destination).is_none_or(|destination| destination.permits(tick))
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

    #[test]
    fn partitions_that_come_and_go_bring_no_burst_anew() {
        let mut limit = Limit::new(1, 60).to(&rates(&[("gmail.com", 60)]));
        let gmail = limit.destination("a@gmail.com").unwrap();
        let (mut permitted, mut to_gmail) = (0, 0);
        for owned in [6, 0, 6, 3, 6, 0, 5, 6] {
            limit.divide(owned, 6);
            permitted += (0..20).filter(|_| limit.permits()).count();
            to_gmail += (0..20).filter(|_| limit.permits_to(gmail, Tick::now())).count();
        }
        assert!((50..=61).contains(&permitted), "{permitted}");
        assert!((50..=70).contains(&to_gmail), "with what came meanwhile: {to_gmail}");
    }

    pub(super) fn rates(pairs: &[(&str, u32)]) -> BTreeMap<String, u32> {
        pairs.iter().map(|(name, rate)| ((*name).to_owned(), *rate)).collect()
    }

    #[test]
    fn an_address_belongs_to_its_domain_or_to_the_longest_prefix() {
        let mut limit = Limit::new(9, 9).to(&rates(&[("gmail.com", 1), ("почта.рф", 1), ("+7", 4), ("7900", 2)]));
        limit.divide(1, 1);
        let tick = Tick::now();
        let permits = |address: &str| limit.destination(address).is_none_or(|place| limit.permits_to(place, tick));
        let permitted = |address: &str| (0..9).filter(|_| permits(address)).count();
        for (address, count) in [
            ("a@GMail.com", 1),
            ("b@gmail.com", 0),
            ("a@mail.gmail.com", 9),
            ("a@xn--80a1acny.xn--p1ai", 1),
            ("+79001234567", 2),
            ("79009", 0),
            ("+7", 4),
            ("+49", 9),
            (r#"["7900"]"#, 9),
            ("", 9),
        ] {
            assert_eq!(permitted(address), count, "{address}");
        }
        let gmail = limit.destination("c@gmail.com").unwrap();
        assert!(limit.is_closed(gmail, tick) && !limit.is_closed(gmail, tick.after(Duration::from_secs(2))));
        assert_eq!(limit.destination("+49"), None);
    }

    #[test]
    fn a_destinations_rate_is_shared_out_as_the_channels_is() {
        let mut limit = Limit::new(9, 9).to(&rates(&[("gmail.com", 8)]));
        let gmail = limit.destination("a@gmail.com").unwrap();
        assert!(!limit.permits_to(gmail, Tick::now()), "who owns nothing may send nothing");
        limit.divide(2, 8);
        assert_eq!((0..9).filter(|_| limit.permits_to(gmail, Tick::now())).count(), 2);
    }
}
