//! Signatures of receipts and events, after the Standard Webhooks specification.
//!
//! ```text
//! webhook-id: msg_1            webhook-timestamp: 1674087231 (seconds)
//! webhook-signature: v1,base64(HMAC-SHA256(secret, id "." timestamp "." body)) [space v1,… while keys are exchanged]
//! ```
//!
//! Checked over the raw bytes before anything is parsed, in constant time. The timestamp must lie within five minutes of
//! machine time; what is replayed within them carries the same event ids and changes nothing.

use std::fmt;

use axum::http::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use channels::transport::hook;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

/// A request may be this much older or newer than our clock says, in milliseconds.
const WINDOW: i64 = 5 * 60 * 1_000;

/// Shorter secrets could be guessed, in bytes.
const SECRET_BYTES_MIN: usize = 16;

/// More signatures than anybody's exchange of keys needs.
const SIGNATURES_MAX: usize = 8;

/// A provider's signing secret. `Debug` does not show it.
#[derive(Clone)]
pub struct Secret(Hmac<Sha256>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Why a request is not believed. All of them are answered alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distrust {
    /// A header is missing or makes no sense.
    Headers,
    /// Too old or too new.
    Time,
    /// No signature fits.
    Signature,
}

impl Secret {
    /// Reads a secret: `whsec_` and base64, or plain text.
    ///
    /// # Errors
    /// In words, if it is too short or not base64.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let bytes = match text.strip_prefix("whsec_") {
            Some(encoded) => STANDARD.decode(encoded).map_err(|_| "what follows whsec_ must be base64".to_owned())?,
            None => text.as_bytes().to_vec(),
        };
        if bytes.len() < SECRET_BYTES_MIN {
            return Err(format!("the secret is shorter than {SECRET_BYTES_MIN} bytes: make a longer one"));
        }
        Hmac::new_from_slice(&bytes).map(Secret).map_err(|error| error.to_string())
    }

    /// The value of `webhook-signature` for a request.
    pub fn sign(&self, id: &str, timestamp: &str, body: &[u8]) -> String {
        format!("v1,{}", STANDARD.encode(self.mac(id, timestamp, body)))
    }

    fn mac(&self, id: &str, timestamp: &str, body: &[u8]) -> impl AsRef<[u8]> + use<> {
        let mac = self.0.clone().chain_update(id).chain_update(".").chain_update(timestamp).chain_update(".");
        mac.chain_update(body).finalize().into_bytes()
    }
}

/// Whether one of the secrets signed this request. `machine_now` is machine time in milliseconds.
///
/// # Errors
/// Why it is not believed.
pub fn verify(secrets: &[Secret], headers: &HeaderMap, body: &[u8], machine_now: i64) -> Result<(), Distrust> {
    let header = |name: &str| hook::header(headers, name).ok_or(Distrust::Headers);
    let (id, timestamp, signatures) =
        (header("webhook-id")?, header("webhook-timestamp")?, header("webhook-signature")?);
    let seconds: i64 = timestamp.parse().map_err(|_| Distrust::Headers)?;
    if seconds.saturating_mul(1_000).abs_diff(machine_now) > WINDOW.unsigned_abs() {
        return Err(Distrust::Time);
    }
    let given: Vec<Vec<u8>> = signatures
        .split(' ')
        .filter_map(|signature| STANDARD.decode(signature.strip_prefix("v1,")?).ok())
        .take(SIGNATURES_MAX)
        .collect();
    // Every pair is compared, so that time tells nothing about which secret was near.
    let mut fits = Choice::from(0);
    for secret in secrets {
        let expected = secret.mac(id, timestamp, body);
        for signature in &given {
            fits |= expected.as_ref().ct_eq(signature);
        }
    }
    if bool::from(fits) { Ok(()) } else { Err(Distrust::Signature) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(id: &str, timestamp: &str, signature: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [("webhook-id", id), ("webhook-timestamp", timestamp), ("webhook-signature", signature)] {
            headers.insert(name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn the_example_of_the_specification_verifies() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = br#"{"test": 2432232314}"#;
        let headers =
            headers("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(verify(&[secret], &headers, body, 1_614_265_330_000), Ok(()));
    }

    #[test]
    fn an_old_request_is_not_believed_and_a_new_secret_is_known_beside_the_old() {
        let (old, new) =
            (Secret::parse("the old secret, sixteen").unwrap(), Secret::parse("the new secret, sixteen").unwrap());
        let both = format!("v1a,ignored {} {}", old.sign("m", "1000", b"x"), new.sign("m", "1000", b"x"));
        let headers = headers("m", "1000", &both);
        assert_eq!(verify(std::slice::from_ref(&new), &headers, b"x", 1_000_000 + WINDOW), Ok(()));
        assert_eq!(verify(std::slice::from_ref(&new), &headers, b"x", 1_000_001 + WINDOW), Err(Distrust::Time));
        assert_eq!(verify(std::slice::from_ref(&new), &headers, b"x", 999_999 - WINDOW), Err(Distrust::Time));
        assert_eq!(verify(&[new], &HeaderMap::new(), b"x", 0), Err(Distrust::Headers));
        assert_eq!(verify(&[], &headers, b"x", 1_000_000), Err(Distrust::Signature));
    }

    #[test]
    fn secrets_that_protect_nothing_are_refused() {
        assert!(Secret::parse("short").is_err());
        assert!(Secret::parse("whsec_!!!").is_err());
    }

    proptest! {
        #[test]
        fn a_changed_body_id_or_time_is_not_believed(body in ".{1,80}", at in 0_usize..80, bit in 0_u8..8) {
            let secret = Secret::parse("a secret of sixteen").unwrap();
            let signature = secret.sign("m", "1000", body.as_bytes());
            let mut changed = body.clone().into_bytes();
            let at = at % changed.len();
            changed[at] ^= 1 << bit;
            let trust = |headers: &HeaderMap, body: &[u8]| verify(std::slice::from_ref(&secret), headers, body, 1_000_000);
            prop_assert_eq!(trust(&headers("m", "1000", &signature), body.as_bytes()), Ok(()));
            prop_assert_eq!(trust(&headers("m", "1000", &signature), &changed), Err(Distrust::Signature));
            prop_assert_eq!(trust(&headers("n", "1000", &signature), body.as_bytes()), Err(Distrust::Signature));
            prop_assert_eq!(trust(&headers("m", "1001", &signature), body.as_bytes()), Err(Distrust::Signature));
        }
    }
}
