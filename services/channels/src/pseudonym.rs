//! By what an address stands in `attempt.<channel>`, so that what comes back from it finds the send.
//!
//! Where signing keys are configured (`tracking.keys`), it is a code that nobody makes without them: a phone number cannot be found
//! by trying all of them. All workers of a channel and the tracker have the same keys, so all of them make the same code. It is made with
//! the first key, and looked for with each: while keys are exchanged as links ask for it (the new one is added everywhere before it
//! is put first anywhere), what was written with either is found.
//!
//! Where no keys are configured it is a plain hash of channel and address, as the operator's rows of addresses are. Who may read
//! `attempt.<channel>` can then find the number by trying all of them; that he may not is up to the access rules of Kafka, as it
//! is for the commands, in which the number stands itself.

use std::sync::Arc;

use schemas::Id;
use schemas::token::Keyring;

/// Makes the codes of addresses. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Pseudonyms(Option<Arc<Keyring>>);

impl Pseudonyms {
    /// With these keys, which are the same for whoever writes codes and looks for them; none gives plain hashes.
    pub fn new(keys: Option<Arc<Keyring>>) -> Self {
        Pseudonyms(keys)
    }

    /// The one that is written.
    pub(crate) fn of(&self, channel: &str, address: &str) -> String {
        let id = Id::of_address(channel, number(address));
        self.0.as_ref().map_or_else(|| id.to_string(), |keys| keys.pseudonym(id))
    }

    /// All that may have been written: with each key, and before there was one.
    pub(crate) fn all(&self, channel: &str, address: &str) -> Vec<String> {
        let id = Id::of_address(channel, number(address));
        let keyed = self.0.iter().flat_map(|keys| keys.pseudonyms(id));
        keyed.chain([id.to_string()]).collect()
    }
}

/// Numbers come back with and without their plus.
fn number(address: &str) -> &str {
    address.trim().trim_start_matches('+')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyed(secrets: &[(u8, &str)]) -> Pseudonyms {
        let secrets = secrets.iter().map(|(id, secret)| (*id, secret.as_bytes().to_vec()));
        Pseudonyms::new(Some(Arc::new(Keyring::new(secrets.collect()).unwrap())))
    }

    const OLD: (u8, &str) = (1, "a secret of sixteen");
    const NEW: (u8, &str) = (2, "another one of sixteen");

    #[test]
    fn an_address_is_found_through_an_exchange_of_keys_and_from_before_there_was_one() {
        let (before, old, both, turned) =
            (Pseudonyms::default(), keyed(&[OLD]), keyed(&[OLD, NEW]), keyed(&[NEW, OLD]));
        let written = [&before, &old, &both, &turned].map(|codes| codes.of("sms", "+79001234567"));
        for (code, finders) in written.iter().zip([
            [&before, &old, &turned],
            [&old, &both, &turned],
            [&old, &both, &turned],
            [&both, &turned, &turned],
        ]) {
            for finder in finders {
                assert!(finder.all("sms", " 79001234567").contains(code), "{code} {finder:?}");
                assert!(
                    !finder.all("sms", "79001234568").contains(code)
                        && !finder.all("viber", "79001234567").contains(code)
                );
            }
        }
        assert_eq!(written[1], written[2], "the first key makes it");
        assert!(!keyed(&[NEW]).all("sms", "79001234567").contains(&written[1]), "nobody makes it without the key");
        assert!(!written[1].contains("9001234567") && written[1].len() == 22, "{}", written[1]);
    }
}
