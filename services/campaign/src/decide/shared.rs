//! Several customers with one address: what is said of it counts for each of them.
//!
//! The row of an address knows who has it. Customers tell it when they get the address or have it no more, and what they hear of it; it
//! tells the others. Nobody asks it before a message, so a customer who shares no address pays for changes of the profile alone.

use schemas::{Address, Contact, Customer, Fact, Hearsay, Holder, Id, Key, Reason, Status};

use crate::limits;

use super::case::Case;
use super::{Input, memory, profile};

/// Considers what is said to an address; all but facts of its own concerns others.
pub(super) fn consider(case: &mut Case<'_>, id: Id, address: &mut Address, input: Input<'_>) {
    match input {
        Input::Fact { fact: Fact::Holder(holder), .. } => meet(case, id, address, holder),
        Input::Fact { fact: Fact::Hearsay(word), .. } => tell_others(case, address, word),
        _ => {}
    }
}

/// Somebody has the address, or has it no more. Who comes later hears that it is not to be written to; with the last one all is
/// forgotten.
fn meet(case: &mut Case<'_>, id: Id, address: &mut Address, holder: &Holder) {
    let Holder { customer_id, holds } = holder;
    if !holds {
        address.owners.retain(|owner| owner != customer_id);
        if address.owners.is_empty() {
            *address = Address::default();
        }
        return;
    }
    if address.owners.contains(customer_id) || address.owners.len() >= limits::OWNERS {
        return;
    }
    address.owners.push(customer_id.clone());
    if let Some(occurred_at) = address.opted_out_at {
        let word = Hearsay { address: id, from: String::new(), status: Status::Unsubscribed, occurred_at };
        case.say_further(customer_id.clone(), Fact::Hearsay(word));
    }
}

fn tell_others(case: &mut Case<'_>, address: &mut Address, word: &Hearsay) {
    if address.owners.is_empty() {
        return;
    }
    if is_opt_out(word.status) {
        address.opted_out_at = address.opted_out_at.max(Some(word.occurred_at));
    }
    for owner in address.owners.iter().filter(|owner| **owner != word.from) {
        case.say_further(owner.clone(), Fact::Hearsay(word.clone()));
    }
}

fn is_opt_out(status: Status) -> bool {
    matches!(status, Status::Unsubscribed | Status::Complained)
}

fn id_of(contact: &Contact) -> Id {
    Id::of_address(&contact.channel, &contact.address)
}

/// Tells addresses which the customer has got, or has no more, since there were these. All are told where they do not know of the
/// customer: the table may have come in force after the profile.
pub(super) fn tell_changes(case: &mut Case<'_>, customer: &mut Customer, before: &[Contact]) {
    if !case.plans.caps().share_addresses() {
        customer.addresses_know &= customer.contacts == before;
        return;
    }
    let known = if customer.addresses_know { before } else { &[] };
    let gone = known.iter().filter(|contact| !customer.contacts.contains(contact)).map(|contact| (contact, false));
    let new = customer.contacts.iter().filter(|contact| !known.contains(contact)).map(|contact| (contact, true));
    for (contact, holds) in gone.chain(new) {
        let holder = Holder { customer_id: case.customer_id.to_owned(), holds };
        case.say(Key::address(id_of(contact)), Fact::Holder(holder));
    }
    customer.addresses_know = !customer.contacts.is_empty();
}

/// Tells an address that it is dead, or not to be written to any more, so that others who have it hear of it.
pub(super) fn tell_word(case: &mut Case<'_>, customer: &Customer, contact: &Contact, status: Status, occurred_at: i64) {
    if customer.addresses_know && case.plans.caps().share_addresses() {
        let (address, from) = (id_of(contact), case.customer_id.to_owned());
        case.say(Key::address(address), Fact::Hearsay(Hearsay { address, from, status, occurred_at }));
    }
}

/// Another customer has heard this of an address. It counts here, too, unless the address has changed, or the consent is newer.
pub(super) fn hear(case: &mut Case<'_>, customer: &mut Customer, word: &Hearsay) {
    let Some(contact) = customer.contacts.iter().find(|contact| id_of(contact) == word.address).cloned() else {
        return;
    };
    let at = word.occurred_at.min(case.now());
    if word.status != Status::BouncedHard {
        let consent = customer.consents.iter().find(|consent| consent.channel == contact.channel);
        match consent {
            _ if !is_opt_out(word.status) => return,
            Some(consent) if consent.granted && consent.at > at => return,
            // Nothing new, but a consent that is still on its way has to be newer than this word, too.
            Some(consent) if !consent.granted => {
                profile::withdraw(customer, &contact.channel, at);
                return;
            }
            _ => {}
        }
    }
    let entry = case.entry(Reason::SharedAddress).because("status", word.status.as_str());
    case.write(entry.because("channel", contact.channel.as_str()));
    if word.status == Status::BouncedHard {
        let before = customer.contacts.clone();
        customer.contacts.retain(|own| *own != contact);
        memory::bury(customer, memory::address_mark(&contact.channel, &contact.address));
        memory::meet_addresses(customer, &before);
        tell_changes(case, customer, &before);
    } else {
        profile::silence(case, customer, &contact.channel, word.status, at, None);
    }
}
