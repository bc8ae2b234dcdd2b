//! What messages cost now, and how far they get.

use schemas::{Contact, Millis};

use crate::channel::Channel;
use crate::language::{Level, Step};
use crate::plans::Plans;
use crate::prices::Price;

/// Prices and rates as they hold for one customer at one moment.
#[derive(Clone, Copy)]
pub(crate) struct Fares<'a> {
    pub plans: &'a Plans,
    pub contacts: &'a [Contact],
    pub now: Millis,
}

impl Fares<'_> {
    /// The price of a step's message on a channel, with all of its segments; none where no table says so.
    pub fn price(&self, step: &Step, channel: &Channel) -> Option<Price> {
        whole(step, channel, self.plans.prices().price(channel, self.address(channel), self.now))
    }

    /// The same, if it goes out now or whenever later the table names it dearer.
    pub fn dearest(&self, step: &Step, channel: &Channel) -> Option<Price> {
        whole(step, channel, self.plans.prices().dearest_from(channel, self.address(channel), self.now))
    }

    fn address(&self, channel: &Channel) -> &str {
        let contact = self.contacts.iter().find(|contact| contact.channel == channel.name);
        contact.map_or("", |contact| contact.address.as_str())
    }

    /// What decisions compare: the price, and for a paid channel without a price the dearest there can be.
    pub fn cost(&self, step: &Step, channel: &Channel) -> i64 {
        let unpriced = if channel.paid { i64::MAX } else { 0 };
        self.price(step, channel).map_or(unpriced, |price| price.minor)
    }

    /// Of a thousand messages so many get as far as this level.
    pub fn per_mille(&self, channel: &Channel, level: Level) -> u32 {
        self.plans.rates().per_mille(channel, level, self.now)
    }
}

/// The price of all segments.
fn whole(step: &Step, channel: &Channel, price: Option<Price>) -> Option<Price> {
    price.map(|price| Price { minor: price.minor.saturating_mul(step.prices_of(channel)), ..price })
}
