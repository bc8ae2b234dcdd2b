//! That somebody did not want to be written to, kept beyond the erasure: nobody finds a person by it without a secret.
//!
//! A mark names a customer or an address, each on one channel. Its code, which is the key in the topic `suppression`, can be made by holders of
//! the installation's secret alone, so that not even a number can be found by trying all of them.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::{Id, Millis, devices};

/// Shorter secrets could be guessed, in bytes.
const SECRET_BYTES_MIN: usize = 16;

/// Somebody who was erased did not want to be written to. Topic `suppression`; whom it is about stands in the key, see [`Suppressor::key`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Suppression {
    /// When the customer was erased, in business time: only a later consent counts.
    pub since: Millis,
}

/// The mark of a customer on a channel.
pub fn mark_of_customer(customer_id: &str, channel: &str) -> Id {
    Id::derive(&["suppressed customer", channel, customer_id])
}

/// The marks of an address on its channel: one, or one for each device of a list.
pub fn marks_of_address(channel: &str, address: &str) -> Vec<Id> {
    let mark = |device: &String| Id::derive(&["suppressed address", channel, &normal(device)]);
    devices::of(address).iter().map(mark).collect()
}

/// An address as it is compared: letters' case and blanks do not count, nor what stands between and before the digits of a number. Rather two
/// addresses are taken for one than one for two.
fn normal(address: &str) -> String {
    let plain: String = address.chars().filter(|it| !it.is_whitespace()).flat_map(char::to_lowercase).collect();
    match plain.chars().all(|it| it.is_ascii_digit() || "+-().".contains(it)) {
        true => plain.chars().filter(char::is_ascii_digit).collect(),
        false => plain,
    }
}

/// Makes codes of marks with the secret of an installation. `Debug` does not show it.
#[derive(Clone)]
pub struct Suppressor(Hmac<Sha256>);

impl fmt::Debug for Suppressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Suppressor")
    }
}

impl Suppressor {
    /// With this secret; white space around it does not count.
    ///
    /// # Errors
    /// In words, if it is too short.
    pub fn new(secret: &str) -> Result<Self, String> {
        let secret = secret.trim().as_bytes();
        if secret.len() < SECRET_BYTES_MIN {
            return Err(format!("the secret is shorter than {SECRET_BYTES_MIN} bytes: make a longer one"));
        }
        Hmac::new_from_slice(secret).map(Suppressor).map_err(|error| error.to_string())
    }

    /// The code of a mark: half of HMAC-SHA-256.
    pub fn code(&self, mark: Id) -> u128 {
        let digest: [u8; 32] = self.0.clone().chain_update(mark.as_u128().to_be_bytes()).finalize().into_bytes().into();
        digest.first_chunk().map_or(0, |half| u128::from_be_bytes(*half))
    }

    /// The code as it is the key of a record: 32 hexadecimal digits.
    pub fn key(&self, mark: Id) -> String {
        format!("{:032x}", self.code(mark))
    }

    /// The code in a record's key.
    pub fn code_in(key: &[u8]) -> Option<u128> {
        let text = str::from_utf8(key).ok().filter(|text| text.len() == 32)?;
        u128::from_str_radix(text, 16).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suppressor() -> Suppressor {
        Suppressor::new("a secret of sixteen\n").unwrap()
    }

    #[test]
    fn an_address_is_one_in_all_its_spellings_and_no_other() {
        let same = |one: &str, other: &str| marks_of_address("sms", one) == marks_of_address("sms", other);
        assert!(same("+7 (900) 123-45-67", "79001234567"));
        assert!(same(" Ann@Shop.Example", "ann@shop.example"));
        assert!(!same("79001234567", "79001234568") && !same("a-1@shop.example", "a1@shop.example"));
        assert_ne!(marks_of_address("sms", "79001234567"), marks_of_address("viber", "79001234567"));
        assert_ne!(mark_of_customer("c1", "sms"), marks_of_address("sms", "c1")[0]);
    }

    #[test]
    fn each_device_of_a_list_is_an_address() {
        let marks = marks_of_address("push", r#"["token-a", {"endpoint": "https://push.example/b"}]"#);
        assert_eq!(marks.len(), 2);
        assert_eq!(marks[0], marks_of_address("push", "token-a")[0]);
        assert_eq!(marks[1], marks_of_address("push", r#"{"endpoint": "https://push.example/b"}"#)[0]);
    }

    #[test]
    fn a_code_is_of_its_secret_and_comes_back_from_its_key() {
        let mark = mark_of_customer("c1", "email");
        let (key, other) = (suppressor().key(mark), Suppressor::new("another one of sixteen").unwrap().key(mark));
        assert_eq!(key, "04a406114bc2cce8f955504de8b36f4a");
        assert_ne!(key, other);
        assert_eq!(Suppressor::code_in(key.as_bytes()), Some(suppressor().code(mark)));
        assert_eq!(Suppressor::code_in(b"c1"), None);
        assert!(Suppressor::new("too short").unwrap_err().contains("16 bytes"));
        assert_eq!(format!("{:?}", suppressor()), "Suppressor");
    }
}
