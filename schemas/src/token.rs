//! What the worker writes into links and callbacks, and the tracker believes: a few facts about one send, signed.
//!
//! ```text
//! base64url( key id | kind | send id, 16 bytes | expiry, 8 bytes | customer, channel, target: length (2 bytes) and text | mac, 16 bytes )
//! ```
//!
//! The mac is HMAC-SHA256 over everything before it, cut to 128 bits: half of the digest, the least that RFC 2104 (section 5)
//! advises. Keys have ids, so that a new one can sign while links signed with the old one still work.
//!
//! Where there is no room for that, in the address that bounces go to, stands a mark of the send alone:
//!
//! ```text
//! hex( key id | send id, 16 bytes | mac, 10 bytes )
//! ```
//!
//! *Limits.* A token is signed, not secret: whoever holds one can read the customer id in it. It never holds an address.

use std::env::VarError;
use std::fmt;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::{Id, Millis};

/// Shorter secrets could be guessed, in bytes.
const SECRET_BYTES_MIN: usize = 16;

/// Length of the mac, in bytes.
const MAC_BYTES: usize = 16;

/// Length of the mac of a mark, in bytes: a local part of an address has 64 characters, and 80 bits are enough for what can only be
/// tried by mail.
const MARK_MAC_BYTES: usize = 10;

/// Stands before what a mark's mac is made of, so that no mark is ever a token, nor the other way round.
const MARK: &[u8] = b"mark";

/// Stands before what a pseudonym is made of, so that none is ever the mac of a token or of a mark.
const ADDRESS: &[u8] = b"address";

/// Length of a mark, as text.
pub const MARK_CHARACTERS: usize = 2 * (1 + 16 + MARK_MAC_BYTES);

/// No token is longer, as text: the longest link that mail programs pass on whole.
pub const TOKEN_CHARACTERS_MAX: usize = 2_000;

/// The facts that a token vouches for. `Debug` shows none of them.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// What its holder may do.
    pub kind: Kind,
    /// The send that it was made for.
    pub send_id: Id,
    /// Whom the send was for: the key of the feedback.
    pub customer_id: String,
    /// Channel of the send.
    pub channel: String,
    /// Not believed after this moment, in business time.
    pub expires_at: Millis,
    /// Where a click leads; empty for other kinds.
    pub target: String,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// What the holder of a token may do with it. A token of one kind is worth nothing where another is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Say that the message was opened.
    Open = 1,
    /// Follow one link.
    Click = 2,
    /// End messages on this channel.
    Unsubscribe = 3,
    /// Tell what became of the send (a provider; its request is signed as well).
    Receipt = 4,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        [Kind::Open, Kind::Click, Kind::Unsubscribe, Kind::Receipt].into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// Why a token is not believed. Says nothing of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Changed, cut short, signed with a key that is not known, or never ours.
    #[error("the token is not one of ours")]
    Forged,
    /// Genuine, but made for something else.
    #[error("the token is for something else")]
    WrongKind,
    /// Genuine, but too old.
    #[error("the token has expired")]
    Expired,
}

/// A signing key as configuration names it: the secret itself stands in a file or in the environment.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Goes into every token that this key signs. Never give the id of an old key to a new secret.
    pub id: u8,
    /// File that holds the secret; white space around it is dropped.
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
    /// Name of the environment variable that holds the secret.
    #[serde(default)]
    pub secret_env: Option<String>,
}

impl Key {
    fn secret(&self) -> Result<Vec<u8>, String> {
        let text = match (&self.secret_file, &self.secret_env) {
            (Some(path), None) => {
                std::fs::read_to_string(path).map_err(|error| format!("secret_file {}: {error}", path.display()))?
            }
            (None, Some(name)) => std::env::var(name).map_err(|error| match error {
                // The error's own words would show the secret.
                VarError::NotUnicode(_) => format!("secret_env {name} is not UTF-8"),
                VarError::NotPresent => format!("secret_env {name} is not set"),
            })?,
            _ => return Err("give either secret_file or secret_env".to_owned()),
        };
        let secret = text.trim().as_bytes().to_vec();
        match secret.len() {
            0..SECRET_BYTES_MIN => {
                Err(format!("the secret is shorter than {SECRET_BYTES_MIN} bytes: make a longer one"))
            }
            _ => Ok(secret),
        }
    }
}

/// Keys that sign and verify. `Debug` shows none of them.
#[derive(Clone)]
pub struct Keyring {
    keys: Vec<(u8, Hmac<Sha256>)>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|(id, _)| id)).finish()
    }
}

impl Keyring {
    /// Reads the secrets. The first key signs, all of them verify.
    ///
    /// # Errors
    /// One sentence for each key that cannot be used.
    pub fn load(keys: &[Key]) -> Result<Self, Vec<String>> {
        let mut secrets = Vec::new();
        let mut problems = Vec::new();
        for key in keys {
            match key.secret() {
                Ok(secret) => secrets.push((key.id, secret)),
                Err(problem) => problems.push(format!("signing key {}: {problem}", key.id)),
            }
        }
        if keys.is_empty() {
            problems.push("no signing key is given: links could not be trusted".to_owned());
        }
        if problems.is_empty() { Self::new(secrets).map_err(|problem| vec![problem]) } else { Err(problems) }
    }

    /// A ring of these secrets. The first signs, all of them verify.
    ///
    /// # Errors
    /// If there is none, one is too short, or two have the same id.
    pub fn new(secrets: Vec<(u8, Vec<u8>)>) -> Result<Self, String> {
        let mut keys = Vec::with_capacity(secrets.len());
        for (id, secret) in secrets {
            if secret.len() < SECRET_BYTES_MIN {
                return Err(format!(
                    "signing key {id}: the secret is shorter than {SECRET_BYTES_MIN} bytes: make a longer one"
                ));
            }
            if keys.iter().any(|(known, _)| *known == id) {
                return Err(format!("signing key {id} is given twice: give the new secret an id of its own"));
            }
            let mac = Hmac::new_from_slice(&secret).map_err(|error| format!("signing key {id}: {error}"))?;
            keys.push((id, mac));
        }
        if keys.is_empty() {
            Err("no signing key is given: links could not be trusted".to_owned())
        } else {
            Ok(Keyring { keys })
        }
    }

    /// The token as text for a URL. None if it would be longer than [`TOKEN_CHARACTERS_MAX`].
    pub fn sign(&self, token: &Token) -> Option<String> {
        let (id, mac) = &self.keys[0];
        let mut bytes = vec![*id, token.kind as u8];
        bytes.extend_from_slice(Uuid::try_parse(&token.send_id.to_string()).ok()?.as_bytes());
        bytes.extend_from_slice(&token.expires_at.to_be_bytes());
        for text in [&token.customer_id, &token.channel, &token.target] {
            bytes.extend_from_slice(&u16::try_from(text.len()).ok()?.to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        let signature = mac.clone().chain_update(&bytes).finalize().into_bytes();
        bytes.extend_from_slice(&signature[..MAC_BYTES]);
        Some(URL_SAFE_NO_PAD.encode(bytes)).filter(|text| text.len() <= TOKEN_CHARACTERS_MAX)
    }

    /// What a token says, if it is genuine, for `kind`, and not expired at `now` (business time).
    ///
    /// # Errors
    /// Why it is not believed.
    pub fn verify(&self, text: &str, kind: Kind, now: Millis) -> Result<Token, TokenError> {
        if text.len() > TOKEN_CHARACTERS_MAX {
            return Err(TokenError::Forged);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError::Forged)?;
        let body = self.body(&bytes).ok_or(TokenError::Forged)?;
        let token = parse(body).ok_or(TokenError::Forged)?;
        match token {
            token if token.kind != kind => Err(TokenError::WrongKind),
            token if token.expires_at < now => Err(TokenError::Expired),
            token => Ok(token),
        }
    }

    /// The mark of a send: [`MARK_CHARACTERS`] hexadecimal digits. Who gets it sees the send's id and nothing else.
    pub fn sign_send(&self, send_id: Id) -> String {
        let (id, mac) = &self.keys[0];
        let mut bytes = vec![*id];
        bytes.extend_from_slice(&send_id.as_u128().to_be_bytes());
        let signature = mac.clone().chain_update(MARK).chain_update(&bytes).finalize().into_bytes();
        bytes.extend_from_slice(&signature[..MARK_MAC_BYTES]);
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The send that a mark was made for, in whatever case the mark comes back.
    ///
    /// # Errors
    /// [`TokenError::Forged`].
    pub fn verify_send(&self, text: &str) -> Result<Id, TokenError> {
        let digits =
            Some(text.as_bytes()).filter(|digits| digits.len() == MARK_CHARACTERS).ok_or(TokenError::Forged)?;
        let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let byte = |pair: &[u8]| Some(digit(pair[0])? << 4 | digit(pair[1])?);
        let bytes: Vec<u8> = digits.chunks_exact(2).map(byte).collect::<Option<_>>().ok_or(TokenError::Forged)?;
        let (body, signature) = bytes.split_at(bytes.len() - MARK_MAC_BYTES);
        let (_, mac) = self.keys.iter().find(|(id, _)| body.first() == Some(id)).ok_or(TokenError::Forged)?;
        let expected = mac.clone().chain_update(MARK).chain_update(body).finalize().into_bytes();
        match bool::from(expected[..MARK_MAC_BYTES].ct_eq(signature)) {
            true => {
                Uuid::from_slice(&body[1..]).ok().and_then(|id| Id::parse(&id.to_string())).ok_or(TokenError::Forged)
            }
            false => Err(TokenError::Forged),
        }
    }

    /// By what an address is known where not even those who know all addresses may find it, but for holders of the keys: a code of 22
    /// characters for what [`Id::of_address`] gives. Of the first key.
    pub fn pseudonym(&self, address: Id) -> String {
        Self::pseudonym_by(&self.keys[0].1, address)
    }

    /// Those of all keys, the first one first.
    pub fn pseudonyms(&self, address: Id) -> impl Iterator<Item = String> {
        self.keys.iter().map(move |(_, mac)| Self::pseudonym_by(mac, address))
    }

    fn pseudonym_by(mac: &Hmac<Sha256>, address: Id) -> String {
        let code = mac.clone().chain_update(ADDRESS).chain_update(address.as_u128().to_be_bytes());
        URL_SAFE_NO_PAD.encode(&code.finalize().into_bytes()[..MAC_BYTES])
    }

    /// What was signed, if it was signed by one of the keys.
    fn body<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let (body, signature) = bytes.split_at_checked(bytes.len().checked_sub(MAC_BYTES)?)?;
        let (_, mac) = self.keys.iter().find(|(id, _)| body.first() == Some(id))?;
        let expected = mac.clone().chain_update(body).finalize().into_bytes();
        bool::from(expected[..MAC_BYTES].ct_eq(signature)).then_some(body)
    }
}

/// Takes apart what a key of ours has signed. The key id is behind us.
fn parse(body: &[u8]) -> Option<Token> {
    let (head, mut rest) = body.split_first_chunk::<26>()?;
    let kind = Kind::of(head[1])?;
    let send_id = Id::parse(&Uuid::from_slice(&head[2..18]).ok()?.to_string())?;
    let expires_at = Millis::from_be_bytes(head[18..26].try_into().ok()?);
    let mut text = || {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let (text, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        rest = after;
        String::from_utf8(text.to_vec()).ok()
    };
    let (customer_id, channel, target) = (text()?, text()?, text()?);
    rest.is_empty().then_some(Token { kind, send_id, customer_id, channel, expires_at, target })
}

#[cfg(test)]
mod tests;
