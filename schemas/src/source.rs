//! What producers of the shop write: one record type, one topic each. Keyed by customer id.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Millis;

/// A cart as it stands now. Each change of a cart is a record of its own; a cart without items was emptied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cart {
    /// Unique in this topic for ever; a repeat is ignored.
    pub event_id: String,
    pub customer_id: String,
    pub occurred_at: Millis,
    pub cart_id: String,
    /// Grows with each change of the cart: of two records that arrive in the wrong order the higher one holds.
    pub version: i64,
    pub total_minor: i64,
    /// ISO 4217.
    pub currency: String,
    pub items: Vec<Item>,
    /// Deep link to the cart.
    pub link: Option<String>,
}

/// A line of a cart or an order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    pub sku: String,
    pub category: String,
    pub quantity: i32,
    pub price_minor: i64,
}

/// Somebody became a customer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    pub event_id: String,
    pub customer_id: String,
    pub occurred_at: Millis,
    /// Where: `web`, `shop`, `app`, a traffic source.
    pub source: String,
    pub attributes: BTreeMap<String, String>,
}

/// Nothing was heard of a customer for a while. Found outside; the engine's own absence triggers need no such record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inactivity {
    pub event_id: String,
    pub customer_id: String,
    pub occurred_at: Millis,
    /// The last sign of life.
    pub since: Millis,
    /// Whole days between `since` and `occurred_at`.
    pub days: i32,
    pub attributes: BTreeMap<String, String>,
}

/// Anything a goal can be: purchase, booking, visit, login, reply in a shop.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    pub event_id: String,
    pub customer_id: String,
    pub occurred_at: Millis,
    /// `purchase`, `booking`, `visit`, `login`, `reply`, or a word of the shop's own.
    pub action: String,
    /// The business key that it belongs to: the cart that was bought, the slot that was booked.
    pub key: Option<String>,
    pub amount_minor: i64,
    /// ISO 4217; empty where no money moves.
    pub currency: String,
    pub items: Vec<Item>,
    pub attributes: BTreeMap<String, String>,
}

/// All that is known of a customer, whole: a later record replaces an earlier one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    pub event_id: String,
    pub customer_id: String,
    pub occurred_at: Millis,
    pub contacts: Vec<Contact>,
    pub consents: Vec<Consent>,
    /// IANA name.
    pub time_zone: Option<String>,
    /// BCP 47.
    pub locale: Option<String>,
    pub attributes: BTreeMap<String, String>,
    /// The right to be forgotten: everything about the customer goes, running cascades end.
    pub erased: bool,
}

/// An address on a channel. `Debug` does not show it.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    pub channel: String,
    pub address: String,
}

impl std::fmt::Debug for Contact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contact").field("channel", &self.channel).finish_non_exhaustive()
    }
}

/// Permission to write on a channel, with its evidence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    pub channel: String,
    pub granted: bool,
    pub at: Millis,
    /// Where it was given.
    pub source: String,
    /// Version of the text that the customer agreed to.
    pub text_version: String,
}
