//! The year as it happened to the shop: baskets become records, in the order of time.
//!
//! *Real* are the purchases: who, when, how much. *Made up*, by the rules below and the seed, are the carts before them.
//!
//! * A household's first basket is its registration, with its profile. Whoever was there before the run begins is told of by a
//!   profile alone, at the beginning.
//! * Every further basket is a purchase. Its cart stood in the web shop 5 to 55 minutes before.
//! * 250 in a thousand of these carts were left 2 to 60 hours earlier and taken up again: the purchase ends what they started.
//! * After 150 in a thousand purchases another cart is left for good, somewhere before the household's next basket. 100 in a
//!   thousand of those are emptied 3 to 30 hours later.
//! * The bonus points of a basket are worth something for 28 days. After 21 days without another one the shop says so, as an
//!   action `bonus_expiring`. 30 days without a basket come in as inactivity. Both once for each silence.

use std::collections::BTreeMap;

use schemas::{Action, Cart, Inactivity, Item, Millis, Profile, Registration};

use super::chance::Chance;
use super::household;
use super::shop::Basket;

const SECOND_MS: Millis = 1_000;
const MINUTE_MS: Millis = 60 * SECOND_MS;
const HOUR_MS: Millis = 60 * MINUTE_MS;
const DAY_MS: Millis = 24 * HOUR_MS;

const TAKEN_UP_PER_MILLE: u64 = 250;
const LEFT_PER_MILLE: u64 = 150;
const EMPTIED_PER_MILLE: u64 = 100;
const BONUS_DAYS: Millis = 21;
const SILENCE_DAYS: i32 = 30;
const CURRENCY: &str = "USD";

/// Something that the shop tells of a household. Small: the record is made when it is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Happening {
    /// When.
    pub at: Millis,
    /// To whom.
    pub household: u32,
    what: What,
}

impl Happening {
    /// Whether something happened, and not only became known.
    pub fn is_event(&self) -> bool {
        self.what != What::Profile
    }

    /// Default name of the topic that tells of it.
    pub fn topic(&self) -> &'static str {
        match self.what {
            What::Profile => "profile",
            What::Registration => "registration",
            What::Cart { .. } | What::Stray { .. } => "cart",
            What::Purchase { .. } | What::BonusExpiring { .. } => "action",
            What::Inactivity { .. } => "inactivity",
        }
    }
}

/// Ordered as things follow each other at the same moment. Numbers are indices into the baskets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Profile,
    Registration,
    /// The cart of this basket, left or taken up, in this version.
    Cart {
        basket: u32,
        version: u8,
    },
    /// A cart that never became a basket; it stood there after this one. Without items it is emptied.
    Stray {
        basket: u32,
        emptied: bool,
    },
    Purchase {
        basket: u32,
    },
    BonusExpiring {
        basket: u32,
    },
    Inactivity {
        since: Millis,
    },
}

/// A record for one of the source topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// For `profile`.
    Profile(Profile),
    /// For `registration`.
    Registration(Registration),
    /// For `cart`.
    Cart(Cart),
    /// For `action`.
    Action(Action),
    /// For `inactivity`.
    Inactivity(Inactivity),
}

impl Source {
    /// The record's bytes.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Source::Profile(record) => schemas::encode(record),
            Source::Registration(record) => schemas::encode(record),
            Source::Cart(record) => schemas::encode(record),
            Source::Action(record) => schemas::encode(record),
            Source::Inactivity(record) => schemas::encode(record),
        }
    }
}

/// A part of the year.
#[derive(Debug)]
pub struct World {
    baskets: Vec<Basket>,
    chance: Chance,
    happenings: Vec<Happening>,
}

impl World {
    /// What happens in `from..to`, up to and including the event with the number `limit`. Profiles are not counted.
    pub fn new(baskets: Vec<Basket>, seed: u64, from: Millis, to: Millis, limit: usize) -> Self {
        let mut world = World { baskets, chance: Chance::seeded(seed), happenings: Vec::new() };
        let mut households: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (index, basket) in (0..).zip(&world.baskets) {
            households.entry(basket.household).or_default().push(index);
        }
        let mut known = Vec::new();
        let mut all = Vec::new();
        for (household, visits) in households {
            if world.basket(visits[0]).at < from {
                known.push(Happening { at: from, household, what: What::Profile });
            }
            world.live(household, &visits, &mut all);
        }
        all.retain(|happening| (from..to).contains(&happening.at));
        all.sort_unstable_by_key(|happening| (happening.at, happening.household, happening.what));
        let events = all.iter().enumerate().filter(|(_, happening)| happening.is_event());
        if let Some((index, _)) = events.skip(limit).map(|(index, happening)| (index, happening.at)).next() {
            all.truncate(index);
        }
        world.happenings = known;
        world.happenings.append(&mut all);
        world
    }

    /// Everything, in the order of time.
    pub fn happenings(&self) -> &[Happening] {
        &self.happenings
    }

    /// Everything that happens to one household over the year.
    fn live(&self, household: u32, visits: &[u32], happenings: &mut Vec<Happening>) {
        let mut add = |at, what| happenings.push(Happening { at, household, what });
        let mut before: Option<Millis> = None;
        for (&index, next) in visits.iter().zip(visits.iter().skip(1).map(Some).chain([None])) {
            let at = self.basket(index).at;
            match before {
                None => {
                    add(at, What::Profile);
                    add(at, What::Registration);
                }
                Some(before) => {
                    self.shop_for(index, before, &mut add);
                    add(at, What::Purchase { basket: index });
                }
            }
            let next_at = next.map_or(Millis::MAX, |next| self.basket(*next).at);
            self.stray(index, at, next_at, &mut add);
            let expiring_at = at + BONUS_DAYS * DAY_MS;
            if expiring_at < next_at {
                add(expiring_at, What::BonusExpiring { basket: index });
            }
            let silent_at = at + Millis::from(SILENCE_DAYS) * DAY_MS;
            if silent_at < next_at {
                add(silent_at, What::Inactivity { since: at });
            }
            before = Some(at);
        }
    }

    /// The cart of a basket: perhaps left and taken up again, in any case there shortly before the till.
    fn shop_for(&self, index: u32, before: Millis, add: &mut impl FnMut(Millis, What)) {
        let Basket { at, id, .. } = self.basket(index);
        let about = id.to_string();
        let filled_at = at - self.chance.between(5, 55, &about, "filled") * MINUTE_MS;
        let left_at = filled_at - self.chance.delay(2 * 60, 60 * 60, &about, "left") * MINUTE_MS;
        let mut version = 1;
        if left_at > before && self.chance.happens(TAKEN_UP_PER_MILLE, &about, "taken up") {
            add(left_at, What::Cart { basket: index, version });
            version += 1;
        }
        add(filled_at.max(before + SECOND_MS).min(*at), What::Cart { basket: index, version });
    }

    /// A cart that is left for good before the next basket.
    fn stray(&self, index: u32, at: Millis, next_at: Millis, add: &mut impl FnMut(Millis, What)) {
        let about = self.basket(index).id.to_string();
        let left_at = at + self.chance.delay(3 * 60, 10 * 24 * 60, &about, "strays") * MINUTE_MS;
        if left_at >= next_at || !self.chance.happens(LEFT_PER_MILLE, &about, "stray") {
            return;
        }
        add(left_at, What::Stray { basket: index, emptied: false });
        let emptied_at = left_at + self.chance.between(3 * 60, 30 * 60, &about, "empties") * MINUTE_MS;
        if emptied_at < next_at && self.chance.happens(EMPTIED_PER_MILLE, &about, "emptied") {
            add(emptied_at, What::Stray { basket: index, emptied: true });
        }
    }

    /// The record that tells of a happening.
    pub fn source(&self, happening: &Happening) -> Source {
        let (occurred_at, household) = (happening.at, happening.household);
        let customer_id = household::customer_id(household);
        match happening.what {
            What::Profile => Source::Profile(household::profile(household, occurred_at, self.chance)),
            What::Registration => Source::Registration(Registration {
                event_id: format!("registration/{customer_id}"),
                customer_id,
                occurred_at,
                source: "shop".to_owned(),
                ..Registration::default()
            }),
            What::Cart { basket, version } => {
                let Basket { id, total_minor, pieces, .. } = *self.basket(basket);
                Source::Cart(cart(
                    customer_id,
                    occurred_at,
                    format!("c{id}"),
                    i64::from(version),
                    total_minor,
                    lines(pieces, total_minor),
                ))
            }
            What::Stray { basket, emptied } => {
                let id = format!("s{}", self.basket(basket).id);
                let total_minor = self.chance.delay(500, 12_000, &id, "total");
                let items = if emptied { Vec::new() } else { lines(3, total_minor) };
                let (version, total_minor) = if emptied { (2, 0) } else { (1, total_minor) };
                Source::Cart(cart(customer_id, occurred_at, id, version, total_minor, items))
            }
            What::Purchase { basket } => Source::Action(self.purchase(customer_id, basket)),
            What::BonusExpiring { basket } => Source::Action(self.bonus_expiring(customer_id, occurred_at, basket)),
            What::Inactivity { since } => Source::Inactivity(Inactivity {
                event_id: format!("inactivity/{customer_id}/{since}"),
                customer_id,
                occurred_at,
                since,
                days: SILENCE_DAYS,
                ..Inactivity::default()
            }),
        }
    }

    fn purchase(&self, customer_id: String, basket: u32) -> Action {
        let Basket { at, id, total_minor, pieces, .. } = *self.basket(basket);
        Action {
            event_id: format!("purchase/{id}"),
            customer_id,
            occurred_at: at,
            action: "purchase".to_owned(),
            key: Some(format!("c{id}")),
            amount_minor: total_minor,
            currency: CURRENCY.to_owned(),
            items: lines(pieces, total_minor),
            ..Action::default()
        }
    }

    /// A point for each dollar.
    fn bonus_expiring(&self, customer_id: String, occurred_at: Millis, basket: u32) -> Action {
        let Basket { id, total_minor, .. } = *self.basket(basket);
        Action {
            event_id: format!("bonus/{id}"),
            customer_id,
            occurred_at,
            action: "bonus_expiring".to_owned(),
            key: Some(format!("b{id}")),
            attributes: BTreeMap::from([("points".to_owned(), (total_minor / 100).to_string())]),
            ..Action::default()
        }
    }

    fn basket(&self, index: u32) -> &Basket {
        &self.baskets[index as usize]
    }
}

fn cart(
    customer_id: String,
    occurred_at: Millis,
    cart_id: String,
    version: i64,
    total_minor: i64,
    items: Vec<Item>,
) -> Cart {
    Cart {
        event_id: format!("cart/{cart_id}/{version}"),
        customer_id,
        occurred_at,
        link: Some(format!("https://shop.example.test/cart/{cart_id}")),
        cart_id,
        version,
        total_minor,
        currency: CURRENCY.to_owned(),
        items,
    }
}

/// One line for all pieces: the data tell how many there were, not which.
fn lines(pieces: i32, total_minor: i64) -> Vec<Item> {
    let price_minor = total_minor / i64::from(pieces.max(1));
    vec![Item { sku: "assorted".to_owned(), category: "groceries".to_owned(), quantity: pieces, price_minor }]
}

#[cfg(test)]
#[path = "world/tests.rs"]
mod tests;
