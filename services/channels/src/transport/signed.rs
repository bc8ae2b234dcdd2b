//! Tokens that we sign, by which providers know us (JWT, RFC 7519).

use std::fmt;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Serialize;
use web_push_native::p256::SecretKey;
use web_push_native::p256::pkcs8::der::Decode;
use web_push_native::p256::pkcs8::{DecodePrivateKey, EncodePrivateKey, PrivateKeyInfo, SecretDocument};

/// A private key, and what stands above each token. `Debug` shows nothing of it.
pub(super) struct Signer {
    key: EncodingKey,
    header: Header,
}

impl Signer {
    /// RS256 with a key in PEM, as in a Google service account.
    pub(super) fn rs256(pem: &str, key_id: Option<String>) -> Result<Self, String> {
        let bad = || "not an RSA key in PEM (PKCS#8)".to_owned();
        let (_, document) = SecretDocument::from_pem(pem).map_err(|_| bad())?;
        let info = PrivateKeyInfo::from_der(document.as_bytes()).map_err(|_| bad())?;
        Signer::proven(EncodingKey::from_rsa_der(info.private_key), Algorithm::RS256, key_id).map_err(|_| bad())
    }

    /// ES256 with a key in PEM, as Apple hands it out (`.p8`).
    pub(super) fn es256_pem(pem: &str, key_id: Option<String>) -> Result<Self, String> {
        let key = SecretKey::from_pkcs8_pem(pem).map_err(|_| "not a P-256 key in PEM (PKCS#8)".to_owned())?;
        Signer::es256(&key, key_id)
    }

    /// ES256.
    pub(super) fn es256(key: &SecretKey, key_id: Option<String>) -> Result<Self, String> {
        let der = key.to_pkcs8_der().map_err(|_| "the key cannot be used".to_owned())?;
        Signer::proven(EncodingKey::from_ec_der(der.as_bytes()), Algorithm::ES256, key_id)
    }

    /// A key that cannot sign is found when it is read, not with the first message.
    fn proven(key: EncodingKey, algorithm: Algorithm, key_id: Option<String>) -> Result<Self, String> {
        let signer = Signer { key, header: Header { kid: key_id, ..Header::new(algorithm) } };
        signer.sign(&serde_json::json!({})).map(|_| signer)
    }

    /// A token that says `claims`.
    pub(super) fn sign(&self, claims: &impl Serialize) -> Result<String, String> {
        encode(&self.header, claims, &self.key).map_err(|_| "the key cannot sign".to_owned())
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer")
    }
}

/// Seconds since 1970 as providers count them: they believe no token that is not of about now, whatever business time it is.
pub(super) fn now_seconds() -> i64 {
    stream::clock::machine_now() / 1_000
}
