//! What producers of the shop write: one record type, one topic each. Keyed by customer id.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Millis;

/// A cart as it stands now. Each change of a cart is a record of its own; a cart without items was emptied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cart {
    /// Unique in this topic for ever; a repeat is ignored.
    pub event_id: String,
    /// Whom it is about; equal to the record's key.
    pub customer_id: String,
    /// When it happened, in business time.
    pub occurred_at: Millis,
    /// The shop's id of the cart: the business key of its cascades.
    pub cart_id: String,
    /// Grows with each change of the cart: of two records that arrive in the wrong order the higher one holds.
    pub version: i64,
    /// Worth of the cart, in minor units.
    pub total_minor: i64,
    /// ISO 4217.
    pub currency: String,
    /// What lies in it; none when it was emptied.
    pub items: Vec<Item>,
    /// Deep link to the cart.
    pub link: Option<String>,
}

/// A line of a cart or an order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Item {
    /// The shop's article number.
    pub sku: String,
    /// The shop's own category; empty where it has none.
    pub category: String,
    /// Pieces.
    pub quantity: i32,
    /// Price of one piece, in minor units.
    pub price_minor: i64,
}

/// Somebody became a customer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Registration {
    /// Unique in this topic for ever; a repeat is ignored.
    pub event_id: String,
    /// Whom it is about; equal to the record's key.
    pub customer_id: String,
    /// When it happened, in business time.
    pub occurred_at: Millis,
    /// Where: `web`, `shop`, `app`, a traffic source.
    pub source: String,
    /// Whatever else campaigns may ask for, by name.
    pub attributes: BTreeMap<String, String>,
}

/// Nothing was heard of a customer for a while. Found outside; the engine's own absence triggers need no such record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Inactivity {
    /// Unique in this topic for ever; a repeat is ignored.
    pub event_id: String,
    /// Whom it is about; equal to the record's key.
    pub customer_id: String,
    /// When it happened, in business time.
    pub occurred_at: Millis,
    /// The last sign of life.
    pub since: Millis,
    /// Whole days between `since` and `occurred_at`.
    pub days: i32,
    /// Whatever else campaigns may ask for, by name.
    pub attributes: BTreeMap<String, String>,
}

/// Anything a goal can be: purchase, booking, visit, login, reply in a shop.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Action {
    /// Unique in this topic for ever; a repeat is ignored.
    pub event_id: String,
    /// Whom it is about; equal to the record's key.
    pub customer_id: String,
    /// When it happened, in business time.
    pub occurred_at: Millis,
    /// `purchase`, `booking`, `visit`, `login`, `reply`, or a word of the shop's own.
    pub action: String,
    /// The business key that it belongs to: the cart that was bought, the slot that was booked.
    pub key: Option<String>,
    /// Money that changed hands, in minor units.
    pub amount_minor: i64,
    /// ISO 4217; empty where no money moves.
    pub currency: String,
    /// What was bought or booked.
    pub items: Vec<Item>,
    /// Whatever else campaigns may ask for, by name.
    pub attributes: BTreeMap<String, String>,
}

/// All that is known of a customer, whole: a later record replaces an earlier one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// Unique in this topic for ever; a repeat is ignored.
    pub event_id: String,
    /// Whom it is about; equal to the record's key.
    pub customer_id: String,
    /// When it happened, in business time.
    pub occurred_at: Millis,
    /// Addresses, at most one for each channel.
    pub contacts: Vec<Contact>,
    /// Permissions, at most one for each channel.
    pub consents: Vec<Consent>,
    /// IANA name.
    pub time_zone: Option<String>,
    /// BCP 47.
    pub locale: Option<String>,
    /// Whatever else campaigns may ask for, by name.
    pub attributes: BTreeMap<String, String>,
    /// The right to be forgotten: everything about the customer goes, running cascades end.
    pub erased: bool,
    /// Ids under which the customer was known before: what runs for them goes on here.
    pub formerly: Vec<String>,
}

/// An address on a channel. `Debug` does not show it.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Contact {
    /// Name of the channel: email, sms, push and so on.
    pub channel: String,
    /// Where to. Secret: not in logs, metrics or the journal.
    pub address: String,
}

impl std::fmt::Debug for Contact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contact").field("channel", &self.channel).finish_non_exhaustive()
    }
}

/// Permission to write on a channel, with its evidence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Consent {
    /// Name of the channel.
    pub channel: String,
    /// False where it was refused or withdrawn.
    pub granted: bool,
    /// When it was given or withdrawn.
    pub at: Millis,
    /// Where it was given.
    pub source: String,
    /// Version of the text that the customer agreed to.
    pub text_version: String,
}
