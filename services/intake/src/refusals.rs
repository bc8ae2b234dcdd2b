//! Who was erased and did not want to be written to: what is in `suppression`, and what follows from it for a profile.
//!
//! Everything is in memory, and read on to the present end before a batch with a profile is taken up: so whatever was committed there before
//! the profile was read is known.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use schemas::suppression::{mark_of_customer, marks_of_address};
use schemas::{Consent, Millis, Profile, Suppression, Suppressor};
use stream::kafka::{Reader, Record, Settings};
use stream::{Error, Verdict};

/// What a withdrawn consent says where it comes from.
pub const SOURCE: &str = "suppression";

/// What `cascade import` says where a cell has only a yes: its moment is that of the line, whenever the customer said so.
const IMPORT: &str = "import";

/// The one partition.
const PARTITION: i32 = 0;

/// So long a start waits for brokers that are restarted just then.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is kept, and the place up to which it was read.
#[derive(Debug)]
pub(crate) struct Refusals {
    reader: Reader,
    topic: usize,
    next: i64,
    kept: Kept,
    /// Whether there was a look since the batch was fetched.
    is_current: bool,
}

impl Refusals {
    /// Reads all there is. None without a secret, where there is nothing, either.
    ///
    /// # Errors
    /// `Stop` where something is kept and there is no secret to find it by, or this user may not read it; `Retry` if nobody answers for a
    /// minute, or until `stop` is set.
    pub(crate) fn open(
        settings: &Settings,
        name: &str,
        suppressor: Option<Suppressor>,
        stop: &AtomicBool,
    ) -> Result<Option<Self>, Error> {
        let mut reader = Reader::lasting(settings)?;
        let topic = reader.topic(name)?;
        let (low, high) = reader.await_range(topic, PARTITION, PATIENCE, stop)?;
        let Some(suppressor) = suppressor else {
            if low < high {
                let words = format!(
                    "{name} says who must not be written to, and suppression.secret is not set: set it as it was when that was written"
                );
                return Err(Error::stop("take in profiles", words));
            }
            return Ok(None);
        };
        let mut refusals = Refusals { reader, topic, next: low, kept: Kept::new(suppressor), is_current: false };
        match refusals.read_on() {
            Err(error) if error.verdict() == Verdict::Stop => return Err(error),
            // It is read before it is needed.
            Err(error) => tracing::warn!("who must not be written to is not known yet: {error}"),
            Ok(()) => {}
        }
        Ok(Some(refusals))
    }

    /// A batch was fetched: what was known before is not enough for it.
    pub(crate) fn fetched(&mut self) {
        self.is_current = false;
    }

    /// How many hashes are kept.
    pub(crate) fn len(&self) -> usize {
        self.kept.since.len()
    }

    /// Withdraws the consents that are not the customer's any more. How many.
    ///
    /// # Errors
    /// If the topic cannot be read to its end: then nobody knows.
    pub(crate) fn withdraw(&mut self, profile: &mut Profile) -> Result<u64, Error> {
        if !profile.consents.iter().any(|consent| consent.granted) {
            return Ok(0);
        }
        if !self.is_current {
            self.read_on()?;
            self.is_current = true;
        }
        Ok(self.kept.withdraw(profile))
    }

    fn read_on(&mut self) -> Result<(), Error> {
        let (low, high) = self.reader.range(self.topic, PARTITION)?;
        if high < self.next {
            tracing::warn!("the topic of suppressions begins anew: it is read from its first record");
            self.kept.since.clear();
            self.next = low;
        }
        if self.next < high {
            let kept = &mut self.kept;
            let from = self.next.max(low);
            self.next = self.reader.read_from(self.topic, PARTITION, from, |record| kept.take(record))?;
        }
        Ok(())
    }
}

/// Hashes, each with the moment of its erasure.
#[derive(Debug)]
struct Kept {
    suppressor: Suppressor,
    since: HashMap<u128, Millis>,
}

impl Kept {
    fn new(suppressor: Suppressor) -> Self {
        Kept { suppressor, since: HashMap::new() }
    }

    fn take(&mut self, record: &Record) {
        let said = record.value().map(schemas::decode::<Suppression>);
        match (record.key().and_then(Suppressor::code_in), said) {
            (Some(code), None) => _ = self.since.remove(&code),
            (Some(code), Some(Ok(said))) => _ = self.since.insert(code, said.since),
            _ => tracing::error!(offset = record.offset(), "a record of the suppressions cannot be read: passed over"),
        }
    }

    fn withdraw(&self, profile: &mut Profile) -> u64 {
        // As in most installations, where no profile is to pay for hashes.
        if self.since.is_empty() {
            return 0;
        }
        let mut count = 0;
        for consent in profile.consents.iter_mut().filter(|consent| consent.granted) {
            let of_customer = mark_of_customer(&profile.customer_id, &consent.channel);
            let contacts = profile.contacts.iter().filter(|contact| contact.channel == consent.channel);
            let of_addresses = contacts.flat_map(|contact| marks_of_address(&contact.channel, &contact.address));
            let marks = of_addresses.chain([of_customer]);
            let since = marks.filter_map(|mark| self.since.get(&self.suppressor.code(mark)).copied()).max();
            if let Some(since) = since.filter(|since| !is_given_after(consent, profile.occurred_at, *since)) {
                consent.granted = false;
                consent.at = since;
                SOURCE.clone_into(&mut consent.source);
                count += 1;
            }
        }
        count
    }
}

/// Whether a consent says itself that it is newer. None is newer than the profile that brings it.
fn is_given_after(consent: &Consent, told_at: Millis, since: Millis) -> bool {
    consent.source != IMPORT && consent.at.min(told_at) > since
}

#[cfg(test)]
mod tests {
    use schemas::Contact;

    use super::*;

    const ERASED_AT: Millis = 1_000;

    fn kept() -> Kept {
        let suppressor = Suppressor::new("a secret of sixteen").unwrap();
        let marks = [vec![mark_of_customer("c1", "email")], marks_of_address("sms", "+79001234567")].concat();
        let since = marks.into_iter().map(|mark| (suppressor.code(mark), ERASED_AT)).collect();
        Kept { suppressor, since }
    }

    fn profile(customer_id: &str, phone: &str, at: Millis, source: &str) -> Profile {
        let consent = |channel: &str| Consent {
            channel: channel.to_owned(),
            granted: true,
            at,
            source: source.to_owned(),
            ..Consent::default()
        };
        let contact =
            |channel: &str, address: &str| Contact { channel: channel.to_owned(), address: address.to_owned() };
        Profile {
            customer_id: customer_id.to_owned(),
            occurred_at: 5_000,
            contacts: vec![contact("email", "a@shop.example"), contact("sms", phone), contact("push", "token")],
            consents: ["email", "sms", "push"].map(consent).into(),
            ..Profile::default()
        }
    }

    /// The channels on which somebody may still be written to.
    fn granted(mut profile: Profile) -> Vec<String> {
        let count = kept().withdraw(&mut profile);
        let withdrawn = profile.consents.iter().filter(|consent| !consent.granted);
        let all: Vec<_> = withdrawn.map(|consent| (consent.at, consent.source.as_str())).collect();
        assert_eq!(all, vec![(ERASED_AT, SOURCE); all.len()]);
        assert_eq!(usize::try_from(count).unwrap(), all.len());
        profile.consents.into_iter().filter(|consent| consent.granted).map(|consent| consent.channel).collect()
    }

    #[test]
    fn a_customer_is_known_again_by_the_id_and_by_an_address_and_other_channels_stay() {
        assert_eq!(granted(profile("c1", "+79001234568", 500, "shop")), ["sms", "push"]);
        assert_eq!(granted(profile("c2", "7 900 123-45-67", 500, "shop")), ["email", "push"]);
        assert_eq!(granted(profile("c1", "79001234567", 0, "")), ["push"]);
        assert_eq!(granted(profile("c2", "+79001234568", 500, "shop")), ["email", "sms", "push"]);
    }

    #[test]
    fn only_a_consent_that_says_itself_that_it_is_later_counts() {
        assert_eq!(granted(profile("c1", "79001234567", ERASED_AT, "shop")), ["push"]);
        assert_eq!(granted(profile("c1", "79001234567", ERASED_AT + 1, "shop")), ["email", "sms", "push"]);
        assert_eq!(granted(profile("c1", "79001234567", ERASED_AT + 1, "import")), ["push"], "a cell has no moment");
        let old = Profile { occurred_at: ERASED_AT - 1, ..profile("c1", "79001234567", i64::MAX, "shop") };
        assert_eq!(granted(old), ["push"], "no consent is newer than its profile");
    }
}
