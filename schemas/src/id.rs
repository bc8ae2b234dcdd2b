//! Identifiers that are derived, never drawn.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// An identifier of 16 bytes: a UUIDv5 of what it names, so that a repeat is recognisable. Avro `fixed(16)` in our own rows;
/// in records for others it is written as text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(Uuid);

/// The name space of every id of this project (itself a UUIDv5 of the URL `https://cascade.dev/id`).
const NAMESPACE: Uuid = Uuid::from_u128(0x7b0c_52a5_6a0e_5f3e_9a55_3c1d_1f6a_90d4);

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
        Id(Uuid::new_v5(&NAMESPACE, &name))
    }

    /// Reads the text form, as it stands in sends and feedback.
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Id)
    }

    /// Each part is preceded by its length, so that no two lists of parts give the same name.
    fn derive(parts: &[&str]) -> Self {
        let mut name = Vec::with_capacity(parts.iter().map(|part| part.len() + 4).sum());
        for part in parts {
            name.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            name.extend_from_slice(part.as_bytes());
        }
        Id(Uuid::new_v5(&NAMESPACE, &name))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.as_hyphenated())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0.as_bytes())
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl serde::de::Visitor<'_> for Bytes {
            type Value = Id;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("16 bytes")
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Id, E> {
                Uuid::from_slice(bytes).map(Id).map_err(E::custom)
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}
