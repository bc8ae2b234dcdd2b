//! What one row says to another: records that the operator itself writes into `input`, in the transaction of the decision that they
//! follow from. And the keys of rows that are nobody's.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Id, Millis, Status};

/// The character with which keys of rows begin that are no customer's. Intake refuses customer ids with control characters.
const RESERVED: char = '\u{1}';

/// Before the campaign's name in the key of its budget.
const BUDGET: &str = "\u{1}budget/";

/// Before the id of an address in the key of its row.
const ADDRESS: &str = "\u{1}address/";

/// Whose row a key of `input` and `changelog` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key<'a> {
    /// A customer's, by the id.
    Customer(&'a str),
    /// A budget's, by the campaign's name.
    Budget(&'a str),
    /// That of an address which several customers may have, by [`Id::of_address`].
    Address(Id),
    /// A reserved key that this version does not know.
    Unknown,
}

impl<'a> Key<'a> {
    /// Reads a key.
    pub fn of(key: &'a str) -> Self {
        if !key.starts_with(RESERVED) {
            return Key::Customer(key);
        }
        match (key.strip_prefix(BUDGET), key.strip_prefix(ADDRESS).and_then(Id::parse)) {
            (Some(campaign), _) => Key::Budget(campaign),
            (None, Some(id)) => Key::Address(id),
            (None, None) => Key::Unknown,
        }
    }

    /// The key of an address's row.
    pub fn address(id: Id) -> String {
        format!("{ADDRESS}{id}")
    }

    /// The key of a campaign's budget.
    pub fn budget(campaign: &str) -> String {
        format!("{BUDGET}{campaign}")
    }
}

/// Forwarded to a former id: the customer is known under another one now, and what is known under the former one is to go there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Merged {
    /// The id under which the customer is known now.
    pub into: String,
}

/// Forwarded by a former id: all that was known under it. `Debug` does not show the row.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Adopted {
    /// The former id.
    pub from: String,
    /// Its row, framed, as it stood in the changelog.
    #[serde(serialize_with = "write_bytes", deserialize_with = "read_bytes")]
    pub row: Vec<u8>,
    /// By which the handing-over is known when it comes again: offset of the request in `input`.
    pub number: i64,
}

impl fmt::Debug for Adopted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Adopted").field("from", &self.from).finish_non_exhaustive()
    }
}

/// Forwarded to a budget: a customer's message asks for its price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demand {
    /// Who is answered.
    pub customer_id: String,
    /// The send that is about to be decided.
    pub send_id: Id,
    /// Version of the campaign by which it is sent.
    pub version: i32,
    /// Its price, in minor units.
    pub minor: i64,
}

/// Forwarded by a budget: the message has its price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Whose budget it is.
    pub campaign: String,
    /// The send that it is for.
    pub send_id: Id,
    /// What is granted, in minor units.
    pub minor: i64,
    /// By which the budget knows the grant: offset of the demand in `input`.
    pub number: i64,
}

/// Forwarded by a budget: nothing is left for this message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The send that it is for.
    pub send_id: Id,
    /// When the budget's next window begins.
    pub until: Millis,
    /// Nothing was judged: the campaign is not known there yet, and `until` is when it is asked again.
    #[serde(default)]
    pub again: bool,
}

/// Forwarded to a budget: a grant that nobody needs any more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Refund {
    /// What was granted, in minor units.
    pub minor: i64,
    /// The grant's number.
    pub number: i64,
}

/// Forwarded to an address: a customer has it, or has it no more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Holder {
    /// Who.
    pub customer_id: String,
    /// Whether the customer has it now.
    pub holds: bool,
}

/// Forwarded to an address, and by it to all others who have it: what somebody has heard of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hearsay {
    /// Which address: [`Id::of_address`].
    pub address: Id,
    /// Who has heard it; nobody where it is told to one who came later.
    #[serde(default)]
    pub from: String,
    /// A hard bounce, a complaint or an unsubscribe.
    #[serde(default)]
    pub status: Status,
    /// When it happened.
    #[serde(default)]
    pub occurred_at: Millis,
}

/// The operator's state of one address: who has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Address {
    /// Ids of the customers who have it, the first one first.
    pub owners: Vec<String>,
    /// When one of them said last to want no more there; none where nobody did.
    pub opted_out_at: Option<Millis>,
}

/// The operator's state of one campaign's budget: what is granted in the window that runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Budget {
    /// When the window began.
    pub since: Millis,
    /// When it ends, and the next one begins.
    pub until: Millis,
    /// Granted in it and not given back, in minor units.
    pub granted: i64,
    /// Number of the first grant of the window: what is given back of earlier ones counts no more.
    pub first: i64,
    /// Numbers of grants that were given back last, newest last: each counts once.
    pub returned: Vec<i64>,
}

fn write_bytes<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        // As in Avro's JSON: each byte a character.
        return serializer.collect_str(&bytes.iter().copied().map(char::from).collect::<String>());
    }
    serializer.serialize_bytes(bytes)
}

fn read_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    if deserializer.is_human_readable() {
        return deserializer.deserialize_str(Bytes);
    }
    deserializer.deserialize_bytes(Bytes)
}

struct Bytes;

impl Visitor<'_> for Bytes {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        text.chars().map(|char| u8::try_from(char).map_err(E::custom)).collect()
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        Ok(bytes.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_keys_are_no_customers() {
        assert_eq!(Key::of("customer-1"), Key::Customer("customer-1"));
        assert_eq!(Key::of(&Key::budget("sms")), Key::Budget("sms"));
        let id = Id::of_address("email", "a@example.org");
        assert_eq!(Key::of(&Key::address(id)), Key::Address(id));
        assert_ne!(id, Id::of_address("push", "a@example.org"));
        assert_eq!(Key::of("\u{1}address/x"), Key::Unknown);
        assert_eq!(Key::of("\u{1}later/x"), Key::Unknown);
        assert_eq!(Key::of("budget/sms"), Key::Customer("budget/sms"));
    }
}
