//! What is known of the customer: profile, consents, dead addresses, erasure.

use schemas::suppression::{mark_of_customer, marks_of_address};
use schemas::{Class, Consent, Customer, Feedback, Id, Instance, Millis, Profile, Reason, Status};

use crate::channel::Channel;
use crate::limits;

use super::Effect;
use super::case::{Case, Fate, each};
use super::{ending, memory, merge, shared, sooner};

/// Takes over a profile, whole. A consent withdrawn later than the profile's own word on it stays withdrawn, and a dead
/// address does not come back.
pub(super) fn replace(case: &mut Case<'_>, customer: &mut Customer, profile: &Profile, mark: Option<i64>) {
    if profile.erased {
        return erase(case, customer);
    }
    if case.hops > 0 && customer.profile_at.is_some() {
        let entry = case.entry(Reason::Superseded);
        case.write(entry.because("profile", "of a former id"));
        // Whoever wants no more under the former id wants no more.
        let mut told = profile.consents.clone();
        told.iter_mut().for_each(|consent| consent.at = consent.at.min(case.now()));
        customer.consents = consents(&told, &customer.consents, case.now());
        opt_out_refused(case, customer);
        return merge::ask(case, customer, &profile.formerly);
    }
    // Nothing happens in the future: a clock that is ahead must not shut out what comes after it.
    let told_at = profile.occurred_at.min(case.now());
    if customer.profile_at.is_some_and(|known| known > told_at) {
        let entry = case.entry(Reason::Superseded);
        return case.write(entry);
    }
    let dead = &customer.dead;
    let alive = |contact: &&schemas::Contact| !dead.contains(&memory::address_mark(&contact.channel, &contact.address));
    let contacts = profile.contacts.iter().filter(alive).take(limits::CONTACTS).cloned().collect();
    let before = std::mem::replace(&mut customer.contacts, contacts);
    memory::meet_addresses(customer, &before);
    shared::tell_changes(case, customer, &before);
    let told = consents(&customer.consents, &profile.consents, told_at);
    let formerly = std::mem::replace(&mut customer.consents, told);
    customer.time_zone.clone_from(&profile.time_zone);
    customer.locale.clone_from(&profile.locale);
    let short = |(_, value): &(&String, &String)| value.len() <= limits::FIELD_BYTES;
    let attributes = profile.attributes.iter().filter(short).take(limits::ATTRIBUTES);
    customer.attributes = attributes.map(|(name, value)| (name.clone(), value.clone())).collect();
    customer.profile_at = Some(told_at);
    let entry = case.entry(Reason::ProfileUpdated);
    case.write(entry);
    each(case, customer, |case, customer, instance| {
        if pending_without_consent(case, customer, instance) || is_answer(case, customer, &formerly, instance) {
            return opted_out(case, customer, instance, "PROFILE");
        }
        sooner::follow(case, customer, instance);
        Fate::Runs
    });
    merge::ask(case, customer, &profile.formerly);
    if let Some(mark) = mark {
        memory::remember(customer, mark);
    }
}

/// Ends cascades of which something waits at a worker that the customer said, under whatever id, to want no more. That nothing is said of
/// a channel here is no refusal: it went out by a consent under the other id.
pub(super) fn opt_out_refused(case: &mut Case<'_>, customer: &mut Customer) {
    each(case, customer, |case, customer, instance| {
        let is_refused =
            |channel: &str| customer.consents.iter().any(|consent| consent.channel == channel && !consent.granted);
        let waits = ending::pending(instance).is_some_and(|sent| is_refused(&sent.channel));
        match waits && pending_without_consent(case, customer, instance) {
            true => opted_out(case, customer, instance, "PROFILE"),
            false => Fate::Runs,
        }
    });
}

/// A withdrawal outlives a grant that is not newer. None is newer than the profile that brings it.
pub(super) fn consents(known: &[Consent], told: &[Consent], told_at: Millis) -> Vec<Consent> {
    let withdrawn = |channel: &str, at: Millis| {
        known.iter().find(|consent| consent.channel == channel && !consent.granted && consent.at >= at)
    };
    let kept = |consent: &Consent| {
        let at = consent.at.min(told_at);
        withdrawn(&consent.channel, at).cloned().unwrap_or_else(|| Consent { at, ..consent.clone() })
    };
    let mut consents: Vec<Consent> = told.iter().map(kept).collect();
    let untold = known.iter().filter(|consent| !consent.granted);
    let untold: Vec<_> = untold.filter(|known| told.iter().all(|told| told.channel != known.channel)).collect();
    // However much a profile brings, it pushes out no withdrawal.
    consents.truncate(limits::CONTACTS.saturating_sub(untold.len()));
    consents.extend(untold.into_iter().cloned());
    consents
}

/// Marks by which those are known again who do not want to be written to: of a customer's former ids and these, and of the address, on each
/// channel that was refused.
pub fn refusals<'a>(customer: &'a Customer, ids: impl IntoIterator<Item = &'a str>) -> Vec<Id> {
    let formerly = customer.formerly.iter().map(|former| &*former.customer_id);
    let ids: Vec<&str> = formerly.chain(ids).collect();
    let mut marks = Vec::new();
    for Consent { channel, .. } in customer.consents.iter().filter(|consent| !consent.granted) {
        marks.extend(ids.iter().map(|id| mark_of_customer(id, channel)));
        let contacts = customer.contacts.iter().filter(|contact| contact.channel == *channel);
        marks.extend(contacts.flat_map(|contact| marks_of_address(channel, &contact.address)));
    }
    marks
}

/// What outlives an erasure: that the customer, under whatever id, did not want to be written to.
pub(super) fn keep_refusals(case: &mut Case<'_>, customer: &Customer, other: Option<&str>) {
    let since = case.now();
    let marks = refusals(customer, other.into_iter().chain([case.customer_id]));
    case.effects.extend(marks.into_iter().map(|mark| Effect::Suppress { mark, since }));
}

/// The right to be forgotten: everything goes, even what was remembered; but not what was refused.
fn erase(case: &mut Case<'_>, customer: &mut Customer) {
    each(case, customer, |case, customer, instance| ending::close(case, customer, instance, Reason::Erased, &[]));
    // Nothing follows upon these ends, nor upon those of a change that the row has met just now: it would begin in an empty row.
    case.ended.clear();
    case.waiting.clear();
    keep_refusals(case, customer, None);
    let before = std::mem::take(&mut customer.contacts);
    shared::tell_changes(case, customer, &before);
    *customer = Customer::default();
    let entry = case.entry(Reason::Erased);
    case.write(entry);
}

/// The customer wants no more on a channel: the consent goes, and so does every cascade that stands on this channel. It is
/// never answered by another channel.
pub(super) fn opt_out(case: &mut Case<'_>, customer: &mut Customer, word: &Feedback, id: Option<Id>) -> bool {
    let at = word.occurred_at.min(case.now());
    if !silence(case, customer, &word.channel, word.status, at, id) {
        let entry = case.entry(Reason::OptedOut).late(word);
        case.write(entry);
    }
    if let Some(contact) = customer.contacts.iter().find(|contact| contact.channel == word.channel) {
        shared::tell_word(case, customer, contact, word.status, at);
    }
    true
}

/// Takes the consent for a channel away, and ends the cascade of this send and every marketing cascade that stands on the channel. Returns
/// whether there was any.
pub(super) fn silence(
    case: &mut Case<'_>,
    customer: &mut Customer,
    channel: &str,
    status: Status,
    at: Millis,
    id: Option<Id>,
) -> bool {
    let of_send = |instance: &Instance| id.is_some_and(|id| instance.sends.iter().any(|sent| sent.id == id));
    let is_withdrawn = withdraw(customer, channel, at);
    each(case, customer, |case, customer, instance| {
        let class = case.plans.of(instance).map(|plan| plan.class);
        let is_unwanted = is_withdrawn && class == Some(Class::Marketing) && stands_on(instance, channel);
        if of_send(instance) || is_unwanted { opted_out(case, customer, instance, status.as_str()) } else { Fate::Runs }
    })
}

/// Takes the consent for a channel away. Of several withdrawals the latest counts: it outlives what was granted before it. Of a channel
/// that neither campaigns nor the customer know nothing is kept. An older word, which may be told once more at any time, takes no newer
/// consent away. Returns whether the customer wants no more there.
pub(super) fn withdraw(customer: &mut Customer, channel: &str, at: Millis) -> bool {
    let is_newer = |consent: &Consent| consent.channel == channel && consent.granted && consent.at > at;
    if customer.consents.iter().any(is_newer) {
        return false;
    }
    let is_the_customers = customer.consents.iter().any(|consent| consent.channel == channel);
    if Channel::find(channel).is_none() && !is_the_customers {
        return true;
    }
    let withdrawn = customer.consents.iter().filter(|consent| consent.channel == channel && !consent.granted);
    let at = withdrawn.map(|consent| consent.at).fold(at, Millis::max);
    customer.consents.retain(|consent| consent.channel != channel);
    customer.consents.push(Consent {
        channel: channel.to_owned(),
        granted: false,
        at,
        source: "feedback".to_owned(),
        text_version: String::new(),
    });
    true
}

/// Whether the last message was on this channel, also where the next one waits for its moment already: it would be an answer.
fn stands_on(instance: &Instance, channel: &str) -> bool {
    instance.sends.last().is_some_and(|sent| sent.channel == channel)
}

fn pending_without_consent(case: &Case<'_>, customer: &Customer, instance: &Instance) -> bool {
    let marketing = case.plans.of(instance).is_some_and(|plan| plan.class == Class::Marketing);
    let refused =
        |channel: &str| !customer.consents.iter().any(|consent| consent.channel == channel && consent.granted);
    marketing && ending::pending(instance).is_some_and(|sent| refused(&sent.channel))
}

/// Whether the last message was on a channel on which the customer wants no more since, and did before.
fn is_answer(case: &Case<'_>, customer: &Customer, formerly: &[Consent], instance: &Instance) -> bool {
    let marketing = case.plans.of(instance).is_some_and(|plan| plan.class == Class::Marketing);
    let says = |consents: &[Consent], granted: bool| {
        consents.iter().any(|consent| consent.granted == granted && stands_on(instance, &consent.channel))
    };
    marketing && says(formerly, true) && says(&customer.consents, false)
}

fn opted_out(case: &mut Case<'_>, customer: &mut Customer, instance: &mut Instance, by: &str) -> Fate {
    let channel = instance.sends.last().map_or_else(String::new, |sent| sent.channel.clone());
    ending::close(case, customer, instance, Reason::OptedOut, &[("status", by.to_owned()), ("channel", channel)])
}

/// Forgets a dead address, for as long as the profile has not changed since it was written to.
pub(super) fn bury(case: &mut Case<'_>, customer: &mut Customer, channel: &str, written_at: Millis) {
    if customer.profile_at.is_some_and(|changed| changed > written_at) {
        return;
    }
    let Some(index) = customer.contacts.iter().position(|contact| contact.channel == channel) else { return };
    let before = customer.contacts.clone();
    let contact = customer.contacts.remove(index);
    memory::bury(customer, memory::address_mark(&contact.channel, &contact.address));
    memory::meet_addresses(customer, &before);
    let now = case.now();
    shared::tell_word(case, customer, &contact, Status::BouncedHard, now);
    shared::tell_changes(case, customer, &before);
}
