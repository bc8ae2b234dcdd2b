//! The hygiene of lists: which contacts are awake, which are asleep, and of which nobody can know.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use schemas::{Customer, Millis};

use crate::calendar::{self, Shift};
use crate::channel::Channel;
use crate::decide::own_zone;

/// Contacts of a channel by what is known of them. Each contact with a consent stands in one of the last four.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contacts {
    /// Addresses.
    pub all: u64,
    /// Of these, without a consent.
    pub without_consent: u64,
    /// The customer reacted, and nothing was sent since that was not answered, or not for so long.
    pub awake: u64,
    /// Something was sent that was not answered yet, but not so long ago; and the customer never reacted as far as is remembered.
    pub silent: u64,
    /// Nothing has come back for so long.
    pub asleep: u64,
    /// Nothing is remembered: nothing was sent, or no campaign asked for it then, or nobody learns of opening there.
    pub unknown: u64,
}

/// Counts contacts, customer by customer.
#[derive(Clone, Debug)]
pub struct Hygiene {
    after: Shift,
    channels: BTreeMap<String, Contacts>,
}

impl Hygiene {
    /// A contact is asleep so long after the first message that was not answered: `6 months`.
    ///
    /// # Errors
    /// What is wrong with the length, and what to write.
    pub fn after(after: &str) -> Result<Self, String> {
        let after = calendar::shift(after).map_err(|(message, hint)| format!("{message}: {hint}"))?;
        if after.landing.is_some() || after.about() <= 0 {
            return Err("this is no length: write `6 months` or `180d`".to_owned());
        }
        Ok(Hygiene { after, channels: BTreeMap::new() })
    }

    /// Looks at one customer, on his own calendar.
    pub fn look(&mut self, customer: &Customer, now: Millis) {
        for contact in &customer.contacts {
            let of = self.channels.entry(contact.channel.clone()).or_default();
            of.all += 1;
            let has_consent = |it: &schemas::Consent| it.channel == contact.channel && it.granted;
            if !customer.consents.iter().any(has_consent) {
                of.without_consent += 1;
                continue;
            }
            let tells = Channel::find(&contact.channel).is_some_and(|channel| channel.opened);
            let heard = customer.heard.iter().find(|heard| heard.channel == contact.channel);
            match heard.filter(|_| tells) {
                None => of.unknown += 1,
                Some(heard) if heard.unanswered_since > 0 => {
                    let zone = own_zone(customer).map_or(TimeZone::UTC, |(zone, _)| zone);
                    let is_asleep = self.after.lead(heard.unanswered_since, &zone) <= now;
                    let place = match (is_asleep, heard.at > 0) {
                        (true, _) => &mut of.asleep,
                        (false, true) => &mut of.awake,
                        (false, false) => &mut of.silent,
                    };
                    *place += 1;
                }
                Some(_) => of.awake += 1,
            }
        }
    }

    /// What was counted, by channel.
    pub fn channels(&self) -> impl Iterator<Item = (&str, Contacts)> {
        self.channels.iter().map(|(channel, contacts)| (channel.as_str(), *contacts))
    }
}
