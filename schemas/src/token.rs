//! What the worker writes into links and callbacks, and the tracker believes: a few facts about one send, sealed.
//!
//! ```text
//! base64url( key id | seal, 16 bytes | encrypted: kind, send id (16 bytes), expiry (8 bytes), customer, channel, target )
//! ```
//!
//! Each text is its length (2 bytes) and its bytes. The seal is that of AES-128-SIV (RFC 5297) with the key id as associated data: nobody
//! without the key makes a token or reads anything in it, and the same facts give the same token, so that a message that is handed over
//! again has the same links. Keys have ids, so that a new one can seal while links of the old one still work.
//!
//! Where there is no room for that, in the address that bounces go to, stands a mark of the send alone:
//!
//! ```text
//! hex( key id | send id, 16 bytes | mac, 10 bytes )
//! ```
//!
//! *Limits.* How long a token is tells how long customer id and target are. It never holds an address.

use std::env::VarError;
use std::fmt;
use std::path::PathBuf;

use aes_siv::siv::Aes128Siv;
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

/// Length of what a pseudonym keeps of its mac, in bytes.
const PSEUDONYM_BYTES: usize = 16;

/// Length of the mac of a mark, in bytes: a local part of an address has 64 characters, and 80 bits are enough for what can only be
/// tried by mail.
const MARK_MAC_BYTES: usize = 10;

/// What the key that seals is made of.
const SEAL: &[u8] = b"seal";

/// Stands before what a mark's mac is made of.
const MARK: &[u8] = b"mark";

/// Stands before what a pseudonym is made of, so that none is ever the mac of a mark, nor a key.
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
    /// Changed, cut short, sealed with a key that is not known, or never ours.
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
    keys: Vec<Secret>,
}

/// A key, by what is made with it.
#[derive(Clone)]
struct Secret {
    id: u8,
    /// Makes marks and pseudonyms.
    mac: Hmac<Sha256>,
    /// Makes and reads tokens.
    seal: [u8; 32],
}

impl Secret {
    fn new(id: u8, secret: &[u8]) -> Result<Self, String> {
        let mac = Hmac::<Sha256>::new_from_slice(secret).map_err(|error| format!("signing key {id}: {error}"))?;
        let seal = mac.clone().chain_update(SEAL).finalize().into_bytes().into();
        Ok(Secret { id, mac, seal })
    }

    fn seal(&self, facts: &[u8]) -> Option<Vec<u8>> {
        Aes128Siv::new(&self.seal.into()).encrypt([[self.id]], facts).ok()
    }

    fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        Aes128Siv::new(&self.seal.into()).decrypt([[self.id]], sealed).ok()
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| key.id)).finish()
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
            if keys.iter().any(|known: &Secret| known.id == id) {
                return Err(format!("signing key {id} is given twice: give the new secret an id of its own"));
            }
            keys.push(Secret::new(id, &secret)?);
        }
        if keys.is_empty() {
            Err("no signing key is given: links could not be trusted".to_owned())
        } else {
            Ok(Keyring { keys })
        }
    }

    /// The token as text for a URL. None if it would be longer than [`TOKEN_CHARACTERS_MAX`].
    pub fn sign(&self, token: &Token) -> Option<String> {
        let key = &self.keys[0];
        let mut bytes = vec![token.kind as u8];
        bytes.extend_from_slice(Uuid::try_parse(&token.send_id.to_string()).ok()?.as_bytes());
        bytes.extend_from_slice(&token.expires_at.to_be_bytes());
        for text in [&token.customer_id, &token.channel, &token.target] {
            bytes.extend_from_slice(&u16::try_from(text.len()).ok()?.to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        let token = [&[key.id], &*key.seal(&bytes)?].concat();
        Some(URL_SAFE_NO_PAD.encode(token)).filter(|text| text.len() <= TOKEN_CHARACTERS_MAX)
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
        let opened = bytes.split_first().and_then(|(id, sealed)| self.key(*id)?.open(sealed));
        let token = opened.and_then(|facts| parse(&facts)).ok_or(TokenError::Forged)?;
        match token {
            token if token.kind != kind => Err(TokenError::WrongKind),
            token if token.expires_at < now => Err(TokenError::Expired),
            token => Ok(token),
        }
    }

    /// The mark of a send: [`MARK_CHARACTERS`] hexadecimal digits. Who gets it sees the send's id and nothing else.
    pub fn sign_send(&self, send_id: Id) -> String {
        let key = &self.keys[0];
        let mut bytes = vec![key.id];
        bytes.extend_from_slice(&send_id.as_u128().to_be_bytes());
        let signature = key.mac.clone().chain_update(MARK).chain_update(&bytes).finalize().into_bytes();
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
        let key = body.first().and_then(|id| self.key(*id)).ok_or(TokenError::Forged)?;
        let expected = key.mac.clone().chain_update(MARK).chain_update(body).finalize().into_bytes();
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
        Self::pseudonym_by(&self.keys[0], address)
    }

    /// Those of all keys, the first one first.
    pub fn pseudonyms(&self, address: Id) -> impl Iterator<Item = String> {
        self.keys.iter().map(move |key| Self::pseudonym_by(key, address))
    }

    fn pseudonym_by(key: &Secret, address: Id) -> String {
        let code = key.mac.clone().chain_update(ADDRESS).chain_update(address.as_u128().to_be_bytes());
        URL_SAFE_NO_PAD.encode(&code.finalize().into_bytes()[..PSEUDONYM_BYTES])
    }

    fn key(&self, id: u8) -> Option<&Secret> {
        self.keys.iter().find(|key| key.id == id)
    }
}

/// Takes apart what a key of ours has sealed.
fn parse(facts: &[u8]) -> Option<Token> {
    let (head, mut rest) = facts.split_first_chunk::<25>()?;
    let kind = Kind::of(head[0])?;
    let send_id = Id::parse(&Uuid::from_slice(&head[1..17]).ok()?.to_string())?;
    let expires_at = Millis::from_be_bytes(head[17..25].try_into().ok()?);
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
