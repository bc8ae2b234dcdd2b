//! Promo codes. A code is *derived* from the send, not taken from a list: `promo_code()` in a template is the same for the same send
//! however often, wherever and after whatever crash it is rendered, and no pool has to be shared by replicas or can run out.
//!
//! *What a code is.* Characters of Crockford's alphabet (digits and capitals without I, L, O, U) in groups of five. The last five
//! are a check; those before it come from the send:
//!
//! ```text
//! own   = base32(HMAC-SHA256(secret, "code" 0 pool 0 send_id 0))[.. characters - 5]
//! check = base32(HMAC-SHA256(secret, "check" 0 pool 0 own 0))[.. 5]
//! ```
//!
//! The pool is the campaign's name, or what the template says: `promo_code("spring")`. `base32` takes bits from the left, five at a
//! time. So a shop that has the secret knows at its till whether a code is real ([`Codes::is_of`] is all there is to it), keeps
//! the codes that were used, and nothing else. Whoever guesses has one chance in 33 million a try.
//!
//! *What holds.* The same send and pool: the same code, as long as the secret stays (another one begins another pool). Two sends of a
//! pool: two codes, but for the chance that 75 bits (of the default's 20 characters) meet: for a million sends one in 10^11.
//! Each step of a cascade is a send of its own, and so has a code of its own.
//!
//! *Codes that a shop has already* come from where they are given out: as a field of the trigger or the profile, or as a block that
//! is fetched by `{send_id}` from a service that gives the same send the same code. Its *none left* is then an answer that is no 2xx,
//! and what becomes of the message is what the block says (see `blocks.rs`).

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use schemas::Id;
use sha2::Sha256;

/// Digits and capitals that nobody mistakes for one another.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Characters of the check.
const CHECK: usize = 5;

/// Makes codes. `Debug` does not show the secret.
#[derive(Clone)]
pub struct Codes {
    secret: Vec<u8>,
    characters: usize,
}

impl fmt::Debug for Codes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codes").field("characters", &self.characters).finish_non_exhaustive()
    }
}

impl Codes {
    /// Codes of so many characters, check included.
    pub fn new(secret: &str, characters: usize) -> Self {
        Codes { secret: secret.as_bytes().to_vec(), characters }
    }

    /// The code of a send.
    pub fn of(&self, pool: &str, send: Id) -> String {
        let own = self.derived("code", pool, &send.to_string(), self.characters.saturating_sub(CHECK));
        let whole = format!("{own}{}", self.derived("check", pool, &own, CHECK));
        let groups: Vec<&str> = (0..whole.len()).step_by(5).map(|at| &whole[at..whole.len().min(at + 5)]).collect();
        groups.join("-")
    }

    /// Whether a code is one of this pool, in whatever case and with whatever between its groups it was typed.
    pub fn is_of(&self, pool: &str, code: &str) -> bool {
        let plain: String = code.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect();
        let Some((own, check)) = plain.split_at_checked(self.characters.saturating_sub(CHECK)) else { return false };
        check == self.derived("check", pool, own, CHECK)
    }

    fn derived(&self, purpose: &str, pool: &str, of: &str, characters: usize) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.secret) else { return String::new() };
        for part in [purpose, pool, of] {
            mac.update(part.as_bytes());
            mac.update(&[0]);
        }
        base32(&mac.finalize().into_bytes(), characters)
    }
}

fn base32(bytes: &[u8], characters: usize) -> String {
    let bit = |at: usize| usize::from(bytes[at / 8] >> (7 - at % 8) & 1);
    let character = |at: usize| (at * 5..at * 5 + 5).fold(0, |value, at| value << 1 | bit(at));
    (0..characters.min(bytes.len() * 8 / 5)).map(|at| char::from(ALPHABET[character(at)])).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn id(name: &str) -> Id {
        Id::of_instance(name, "", "", "")
    }

    #[test]
    fn the_same_send_has_the_same_code_wherever_it_is_rendered() {
        let codes = || Codes::new("a secret of sixteen", 20);
        let code = codes().of("spring", id("c1"));
        assert_eq!(code, codes().of("spring", id("c1")));
        assert_eq!(code.len(), 23, "{code}");
        assert_ne!(code, codes().of("autumn", id("c1")));
        assert_ne!(code, Codes::new("another secret of mine", 20).of("spring", id("c1")));
    }

    /// Made by another implementation (Python's hmac): a shop's till can do the same.
    #[test]
    fn a_code_is_what_the_page_says() {
        let send = Id::parse("6f1d2c3b-0000-5000-8000-000000000001").unwrap();
        assert_eq!(Codes::new("a secret of sixteen", 20).of("spring", send), "CJRQN-F77KH-EYX42-V7JMW");
    }

    #[test]
    fn no_two_sends_share_one() {
        let codes = Codes::new("a secret of sixteen", 20);
        let all: HashSet<String> = (0..100_000).map(|number| codes.of("spring", id(&number.to_string()))).collect();
        assert_eq!(all.len(), 100_000);
    }

    #[test]
    fn a_till_knows_its_codes_and_no_others() {
        let codes = Codes::new("a secret of sixteen", 20);
        let code = codes.of("spring", id("c1"));
        assert!(codes.is_of("spring", &code));
        assert!(codes.is_of("spring", &code.to_lowercase().replace('-', " ")));
        assert!(!codes.is_of("autumn", &code));
        let wrong = format!("{}{}", if code.starts_with('0') { '1' } else { '0' }, &code[1..]);
        assert!(!codes.is_of("spring", &wrong) && !codes.is_of("spring", "") && !codes.is_of("spring", &code[..20]));
    }

    #[test]
    fn nothing_shows_the_secret() {
        assert!(!format!("{:?}", Codes::new("MARKED secret", 20)).contains("MARKED"));
    }
}
