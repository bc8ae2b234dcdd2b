//! Who lives behind a household's number. The data hold no addresses: they are made up here, and obviously so.
//!
//! The rule, per thousand households: e-mail 700, push 500, Telegram 250, WhatsApp 300, a telephone 900, which takes SMS and, with
//! 450 of them, Viber. For each address 950 in a thousand gave permission with the shop's card, the others refused.

use schemas::{Consent, Contact, Millis, Profile};

use super::chance::Chance;
use super::shop;

/// One household in so many thousandths has an address on this channel. What hangs on the telephone stands below.
const REACHABLE_PER_MILLE: [(&str, u64); 4] = [("push", 500), ("email", 700), ("telegram", 250), ("whatsapp", 300)];
const TELEPHONE_PER_MILLE: u64 = 900;
const VIBER_PER_MILLE: u64 = 450;
const CONSENT_PER_MILLE: u64 = 950;

/// A household's customer id.
pub fn customer_id(household: u32) -> String {
    format!("h{household}")
}

/// All that the shop knows of a household at this moment.
pub fn profile(household: u32, at: Millis, chance: Chance) -> Profile {
    let customer_id = customer_id(household);
    let contacts = contacts(household, &customer_id, chance);
    let consents = contacts.iter().map(|contact| consent(&contact.channel, &customer_id, at, chance)).collect();
    Profile {
        event_id: format!("profile/{customer_id}/{at}"),
        customer_id,
        occurred_at: at,
        contacts,
        consents,
        time_zone: Some(shop::ZONE.to_owned()),
        locale: Some("en-US".to_owned()),
        ..Profile::default()
    }
}

fn contacts(household: u32, customer_id: &str, chance: Chance) -> Vec<Contact> {
    let mut contacts = Vec::new();
    let mut add = |channel: &str, address: String| contacts.push(Contact { channel: channel.to_owned(), address });
    for (channel, per_mille) in REACHABLE_PER_MILLE {
        if chance.happens(per_mille, customer_id, channel) {
            add(channel, address(channel, household));
        }
    }
    if chance.happens(TELEPHONE_PER_MILLE, customer_id, "telephone") {
        if chance.happens(VIBER_PER_MILLE, customer_id, "viber") {
            add("viber", address("viber", household));
        }
        add("sms", address("sms", household));
    }
    contacts
}

/// `.test` is a domain that never exists; 555-0100 to 555-0199 are numbers that no telephone has.
fn address(channel: &str, household: u32) -> String {
    match channel {
        "email" => format!("h{household}@example.test"),
        "push" => format!("device-of-h{household}"),
        "telegram" => format!("9{household:09}"),
        _ => format!("+1{:03}55501{:02}", 201 + household / 100, household % 100),
    }
}

fn consent(channel: &str, customer_id: &str, at: Millis, chance: Chance) -> Consent {
    Consent {
        channel: channel.to_owned(),
        granted: chance.happens(CONSENT_PER_MILLE, customer_id, &format!("consent/{channel}")),
        at,
        source: "shop card".to_owned(),
        text_version: "2017-01".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channels_of(household: u32) -> Vec<String> {
        profile(household, 0, Chance::seeded(1)).contacts.into_iter().map(|contact| contact.channel).collect()
    }

    #[test]
    fn channels_are_as_frequent_as_the_rule_says() {
        let of = |channel: &str| {
            (1..=2000).filter(|household| channels_of(*household).contains(&channel.to_owned())).count()
        };
        for (channel, expected) in
            [("push", 1000), ("email", 1400), ("telegram", 500), ("whatsapp", 600), ("sms", 1800), ("viber", 810)]
        {
            assert!(of(channel).abs_diff(expected) < 80, "{channel}: {}", of(channel));
        }
    }

    #[test]
    fn addresses_are_fictional_and_nobody_shares_one() {
        let mut seen = std::collections::BTreeSet::new();
        for household in 1..=2500 {
            assert!(seen.insert(address("sms", household)));
            assert!(address("sms", household)[5..].starts_with("55501"));
            assert_eq!(address("sms", household).len(), 12);
        }
        assert_eq!(address("email", 7), "h7@example.test");
    }

    #[test]
    fn every_address_has_a_permission_or_a_refusal_with_its_evidence() {
        let profile = profile(42, 5, Chance::seeded(1));
        let channels: Vec<_> = profile.contacts.iter().map(|contact| &contact.channel).collect();
        assert_eq!(channels, profile.consents.iter().map(|consent| &consent.channel).collect::<Vec<_>>());
        assert!(profile.consents.iter().all(|consent| consent.at == 5 && !consent.source.is_empty()));
    }
}
