//! Rates of single destinations.

use std::cell::Cell;
use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use stream::clock::Tick;

use super::bucket::Bucket;
use super::quota;

/// What has a rate of its own.
#[derive(Debug, Default)]
pub(super) struct Destinations {
    all: Vec<Destination>,
    /// Their places, by the part behind the @, in its ASCII form, or by digits.
    places: BTreeMap<String, usize>,
    /// The longest of those that are digits.
    longest: usize,
}

#[derive(Debug)]
pub(super) struct Destination {
    rate_per_second: u32,
    bucket: Bucket,
    /// It has refused, and has nothing before this moment.
    pub(super) closed_until: Cell<Option<Tick>>,
}

impl Destinations {
    pub(super) fn new(rates: &BTreeMap<String, u32>) -> Self {
        let destination = |rate: &u32| Destination {
            rate_per_second: *rate,
            bucket: Bucket::default(),
            closed_until: Cell::default(),
        };
        let named: BTreeMap<String, &u32> =
            rates.iter().filter_map(|(name, rate)| Some((name_of(name)?, rate))).collect();
        let all = named.values().map(|rate| destination(rate)).collect();
        let places: BTreeMap<String, usize> = named.into_keys().zip(0..).collect();
        let digits = places.keys().filter(|name| is_digits(name)).map(String::len);
        Destinations { longest: digits.max().unwrap_or_default(), all, places }
    }

    pub(super) fn divide(&mut self, owned: u32, all: u32) {
        for destination in &mut self.all {
            let rate = destination.rate_per_second;
            destination.bucket.resize(quota(rate, rate, owned, all));
            destination.closed_until.set(None);
        }
    }

    pub(super) fn at(&self, place: usize) -> Option<&Destination> {
        self.all.get(place)
    }

    /// The place of the one that an address belongs to: by its domain, or by the longest prefix of its number.
    pub(super) fn of(&self, address: &str) -> Option<usize> {
        if self.all.is_empty() {
            return None;
        }
        if let Some((_, domain)) = address.rsplit_once('@') {
            return self.places.get(&domain_of(domain)?).copied();
        }
        let number = address.strip_prefix('+').unwrap_or(address);
        let digits = number.bytes().take_while(u8::is_ascii_digit).count().min(self.longest);
        (1..=digits).rev().find_map(|length| self.places.get(&number[..length]).copied())
    }
}

impl Destination {
    pub(super) fn permits(&self, tick: Tick) -> bool {
        let taken = self.bucket.take();
        if let Err(Some(wait)) = taken {
            self.closed_until.set(Some(tick.after(wait)));
        }
        taken.is_ok()
    }
}

fn is_digits(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit())
}

fn domain_of(domain: &str) -> Option<String> {
    idna::domain_to_ascii(domain).ok().filter(|domain| domain.contains('.') && !domain.contains('@'))
}

/// A destination as it is looked for: digits of a number, or a domain.
fn name_of(name: &str) -> Option<String> {
    let digits = name.strip_prefix('+').unwrap_or(name);
    if is_digits(digits) { Some(digits.to_owned()) } else { domain_of(name) }
}

/// What is wrong with rates of destinations, each in a sentence.
pub(crate) fn problems(rates: &BTreeMap<String, u32>) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, rate) in rates {
        if name_of(name).is_none() {
            problems.push(format!("rates: {name} is neither a domain nor the first digits of a number"));
        }
        if *rate == 0 {
            problems.push(format!("rates: {name} must be at least 1"));
        }
    }
    problems
}

/// Reads rates. A domain whose dots were taken for those of a setting's name, as in `rates.mail.example`, is put together again.
pub(crate) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, u32>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Rate {
        Of(u32),
        Below(BTreeMap<String, Rate>),
    }
    fn collect(before: &str, rates: BTreeMap<String, Rate>, all: &mut BTreeMap<String, u32>) {
        for (name, rate) in rates {
            let name = if before.is_empty() { name } else { format!("{before}.{name}") };
            match rate {
                Rate::Of(rate) => _ = all.insert(name, rate),
                Rate::Below(rates) => collect(&name, rates, all),
            }
        }
    }
    let mut all = BTreeMap::new();
    collect("", BTreeMap::deserialize(deserializer)?, &mut all);
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::tests::rates;

    #[test]
    fn rates_are_read_whatever_became_of_their_dots_and_said_where_they_are_none() {
        let read = |value: serde_json::Value| read(value).unwrap();
        let written = serde_json::json!({"mail": {"example": 3}, "+7": 4, "x.example": 5});
        assert_eq!(read(written), rates(&[("mail.example", 3), ("+7", 4), ("x.example", 5)]));
        assert_eq!(problems(&rates(&[("mail.example", 3), ("+7", 4), ("7900", 5)])), [""; 0]);
        let wrong = problems(&rates(&[("a@b.example", 3), ("mail", 3), ("+", 3), ("+7", 0)]));
        assert_eq!(wrong.len(), 4, "{wrong:?}");
    }
}
