//! Identifiers that are derived, never drawn.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha1::{Digest, Sha1};
use uuid::{Builder, Uuid};

use crate::Millis;

/// An identifier of 16 bytes: a UUIDv5 of what it names, so that a repeat is recognisable. Avro `fixed(16)` in our own rows;
/// in records for others, and in JSON, it is written as text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(Uuid);

/// The name space of every id of this project (itself a UUIDv5 of the URL `https://cascade.dev/id`).
const NAMESPACE: Uuid = Uuid::from_u128(0x5c12_cd60_f19f_573e_be1b_3e4e_86ab_4e62);

impl Id {
    /// The id of one run of a campaign for a customer. The version is left out on purpose: a migration must not make a
    /// second instance of the same cause.
    pub fn of_instance(customer: &str, campaign: &str, key: &str, trigger: &str) -> Self {
        Self::derive(&["instance", customer, campaign, key, trigger])
    }

    /// The id of one send command: at most one for each (instance, step, alternative, attempt).
    pub fn of_send(instance: Id, step: i32, alternative: i32, attempt: i32) -> Self {
        let mut name = [0_u8; 28];
        name[..16].copy_from_slice(instance.0.as_bytes());
        name[16..20].copy_from_slice(&step.to_be_bytes());
        name[20..24].copy_from_slice(&alternative.to_be_bytes());
        name[24..].copy_from_slice(&attempt.to_be_bytes());
        Self::of(Sha1::new_with_prefix(NAMESPACE).chain_update(name))
    }

    /// By which an address is known where it must not stand itself. Each channel has addresses of its own.
    pub fn of_address(channel: &str, address: &str) -> Self {
        Self::derive(&["address", channel, address])
    }

    /// The id of what a customer wrote at a moment that the provider tells; where it tells none, the same text is the same reply.
    pub fn of_reply(customer: &str, channel: &str, provider: &str, at: Option<Millis>, text: &str) -> Self {
        let at = at.map_or_else(String::new, |at| at.to_string());
        Self::derive(&["reply", customer, channel, provider, &at, text])
    }

    /// Reads the text form, as it stands in sends and feedback.
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Id)
    }

    /// The same 128 bits as a number: a key that needs no text.
    pub fn as_u128(self) -> u128 {
        self.0.as_u128()
    }

    /// Each part is preceded by its length, so that no two lists of parts give the same name.
    pub(crate) fn derive(parts: &[&str]) -> Self {
        let mut hash = Sha1::new_with_prefix(NAMESPACE);
        for part in parts {
            hash.update(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            hash.update(part.as_bytes());
        }
        Self::of(hash)
    }

    /// The UUIDv5 of what was hashed: name space, then name. Not by `Uuid::new_v5`, which does without the processor's instructions for
    /// SHA-1: every row that is read derives the ids of its sends.
    fn of(hash: Sha1) -> Self {
        let digest: [u8; 20] = hash.finalize().into();
        let mut bytes = [0_u8; 16];
        bytes.copy_from_slice(&digest[..16]);
        Id(Builder::from_sha1_bytes(bytes).into_uuid())
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_hyphenated().encode_lower(&mut Uuid::encode_buffer()))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_u128(self.as_u128())
        }
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(Form)
        } else {
            // Our own reader and the library's both know its form.
            deserializer.deserialize_any(Form)
        }
    }
}

/// Takes an id in either form.
struct Form;

impl Visitor<'_> for Form {
    type Value = Id;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a UUID as 16 bytes or as text")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Id, E> {
        Uuid::from_slice(bytes).map(Id).map_err(E::custom)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Id, E> {
        Id::parse(text).ok_or_else(|| E::custom("not a UUID"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_space_is_what_it_says() {
        assert_eq!(NAMESPACE, Uuid::new_v5(&Uuid::NAMESPACE_URL, b"https://cascade.dev/id"));
    }

    #[test]
    fn the_same_cause_has_the_same_id_for_ever() {
        let instance = Id::of_instance("customer-1", "abandoned-cart", "cart-1", "event-1");
        assert_eq!(instance.to_string(), "502cf7f8-c49a-5e5c-a13b-cfe8a7083204");
        assert_eq!(Id::of_send(instance, 1, 0, 2).to_string(), "8f9b22f9-9da3-56c4-85fa-4f1aea6bed7e");
    }

    #[test]
    fn parts_that_only_join_alike_have_different_ids() {
        assert_ne!(Id::of_instance("a", "bc", "", "e"), Id::of_instance("ab", "c", "", "e"));
    }

    #[test]
    fn json_shows_it_as_text_and_reads_it_back() {
        let id = Id::of_instance("customer-1", "abandoned-cart", "cart-1", "event-1");
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, format!("\"{id}\""));
        assert_eq!(serde_json::from_str::<Id>(&json).unwrap(), id);
        assert_eq!(Id::parse(&id.to_string()), Some(id));
    }
}
