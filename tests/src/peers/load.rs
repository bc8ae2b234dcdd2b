//! What comes in: events of many customers, a pure function of the seed.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use stream::clock::Millis;

use super::avro::{INPUT, begin, put_long, put_string};

/// `occurred_at` of the first event; each one happens a millisecond after the one before it.
const EPOCH: Millis = 1_700_000_000_000;

/// Kinds of events, as in the enum on the wire.
pub const CART_UPDATED: i64 = 0;
/// The second.
pub const PURCHASED: i64 = 1;
/// The third.
pub const FEEDBACK: i64 = 2;

/// Statuses of a feedback, as in the enum on the wire.
pub const SENT: i64 = 0;
/// The second.
pub const DELIVERED: i64 = 1;
/// The third.
pub const OPENED: i64 = 2;
/// The fourth.
pub const FAILED: i64 = 3;

/// Amount of each cart in a load of [`carts`]: too low for a send at once.
const LOW: i64 = 50_000;

/// Of 5 000 customers one is hot.
const HOT_SHARE: u64 = 5_000;
/// Of a hundred events so many are of a hot customer.
const HOT_PERCENT: u64 = 10;

/// A factor that scatters popular customers over the order of the keys. Prime, and above every number of customers.
const SCATTER: u64 = 2_654_435_761;

/// Whose event comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keys {
    /// All customers alike.
    Uniform,
    /// A tenth of the events is of one customer in 5 000.
    Hot,
    /// The customer in place n of popularity has an n-th of the events of the first.
    Zipf,
}

impl FromStr for Keys {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "uniform" => Ok(Keys::Uniform),
            "hot" => Ok(Keys::Hot),
            "zipf" => Ok(Keys::Zipf),
            other => Err(format!("{other}: there are uniform, hot and zipf")),
        }
    }
}

/// An event on its way into the topic.
#[derive(Clone, Debug)]
pub struct Event {
    /// The customer's number.
    pub customer: u64,
    /// What goes into the topic.
    pub value: Vec<u8>,
}

impl Event {
    /// Its key.
    pub fn key(&self) -> String {
        key_of(self.customer)
    }
}

/// The key of a customer.
pub fn key_of(customer: u64) -> String {
    format!("c{customer:08}")
}

/// What is to be loaded.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Load {
    /// How many events.
    pub events: u64,
    /// Of how many customers.
    pub customers: u64,
    /// Whose they are.
    pub keys: Keys,
    /// Where chance begins.
    pub seed: u64,
}

impl Load {
    /// The events, in their order.
    pub fn events(self) -> impl Iterator<Item = Event> {
        let (mut chance, whose) = (Chance(self.seed), Whose::new(self));
        (0..self.events).map(move |number| {
            let customer = whose.next(&mut chance);
            let (kind, amount) = match chance.below(100) {
                0..50 => (CART_UPDATED, amount(&mut chance)),
                50..60 => (PURCHASED, amount(&mut chance)),
                _ => (FEEDBACK, 0),
            };
            Event { customer, value: event(&mut chance, number, kind, amount) }
        })
    }
}

/// One cart for each customer.
pub fn carts(customers: u64) -> impl Iterator<Item = Event> {
    let mut chance = Chance(7);
    (0..customers).map(move |customer| Event { customer, value: event(&mut chance, customer, CART_UPDATED, LOW) })
}

fn amount(chance: &mut Chance) -> i64 {
    1_000 + chance.number(199_000)
}

fn event(chance: &mut Chance, number: u64, kind: i64, amount: i64) -> Vec<u8> {
    let mut value = Vec::with_capacity(160);
    begin(&mut value, INPUT);
    put_string(&mut value, chance.uuid().as_bytes());
    put_long(&mut value, EPOCH + Millis::try_from(number).unwrap_or(0));
    put_long(&mut value, kind);
    put_long(&mut value, amount);
    if kind == CART_UPDATED {
        let items = 1 + chance.number(4);
        put_long(&mut value, items);
        for _ in 0..items {
            put_string(&mut value, format!("sku-{:06}", chance.below(100_000)).as_bytes());
            put_long(&mut value, 1 + chance.number(3));
            put_long(&mut value, 1_000 + chance.number(50_000));
        }
    }
    // The end of the array.
    put_long(&mut value, 0);
    if kind == FEEDBACK {
        put_long(&mut value, 1);
        put_string(&mut value, chance.uuid().as_bytes());
        put_long(&mut value, 1);
        let status = [FAILED, OPENED, DELIVERED, DELIVERED];
        put_long(&mut value, status[usize::try_from(chance.below(4)).unwrap_or(0)]);
    } else {
        // Neither a send nor a status.
        put_long(&mut value, 0);
        put_long(&mut value, 0);
    }
    value
}

/// SplitMix64: small, seeded, the same in every language.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn number(&mut self, limit: u64) -> i64 {
        self.below(limit).cast_signed()
    }

    /// Version 4, as text.
    fn uuid(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        let high = (high & !0xf000) | 0x4000;
        let low = (low & !(0b11 << 62)) | (0b10 << 62);
        let (first, second, third) = (high >> 32, (high >> 16) & 0xffff, high & 0xffff);
        format!("{first:08x}-{second:04x}-{third:04x}-{:04x}-{:012x}", low >> 48, low & 0xffff_ffff_ffff)
    }
}

/// Chooses customers.
struct Whose {
    customers: u64,
    keys: Keys,
    /// Of Zipf's law: the share of events of the first customers together, by their number. Empty for other choices.
    shares: Vec<f64>,
}

impl Whose {
    fn new(load: Load) -> Self {
        let Load { customers, keys, .. } = load;
        let places = if keys == Keys::Zipf { customers } else { 0 };
        let mut sum = 0.0;
        let mut shares: Vec<f64> = (1..=places)
            .map(|place| {
                sum += 1.0 / place as f64;
                sum
            })
            .collect();
        shares.iter_mut().for_each(|share| *share /= sum);
        Whose { customers, keys, shares }
    }

    fn next(&self, chance: &mut Chance) -> u64 {
        match self.keys {
            Keys::Uniform => chance.below(self.customers),
            Keys::Hot if chance.below(100) < HOT_PERCENT => {
                self.scattered(chance.below((self.customers / HOT_SHARE).max(1)))
            }
            Keys::Hot => chance.below(self.customers),
            Keys::Zipf => {
                // 53 bits: as many as a fraction has.
                let fraction = (chance.next() >> 11) as f64 / (1u64 << 53) as f64;
                let place = self.shares.partition_point(|share| *share <= fraction);
                self.scattered(u64::try_from(place).unwrap_or(0).min(self.customers - 1))
            }
        }
    }

    fn scattered(&self, place: u64) -> u64 {
        place.wrapping_mul(SCATTER) % self.customers
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// How many events the customers have, most first.
    fn shares(keys: Keys) -> Vec<u64> {
        let load = Load { events: 50_000, customers: 10_000, keys, seed: 3 };
        let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
        load.events().for_each(|event| *counts.entry(event.customer).or_default() += 1);
        assert!(counts.keys().all(|customer| *customer < load.customers));
        let mut counts: Vec<u64> = counts.into_values().collect();
        counts.sort_unstable_by(|one, other| other.cmp(one));
        counts
    }

    #[test]
    fn customers_are_chosen_as_it_is_said() {
        assert!(shares(Keys::Uniform)[0] < 25, "nobody is preferred");
        let hot = shares(Keys::Hot);
        let two: u64 = hot[..2].iter().sum();
        assert!((4_700..5_300).contains(&two) && hot[2] < 25, "two customers have a tenth of all: {:?}", &hot[..3]);
        let zipf = shares(Keys::Zipf);
        // The sum of 1/n up to 10 000 is 9.79.
        assert!((4_900..5_350).contains(&zipf[0]), "{}", zipf[0]);
        assert!((2_400..2_750).contains(&zipf[1]), "{}", zipf[1]);
        assert!(zipf.len() < 8_000, "many have none");
    }
}
