//! One customer with several ids: what is known under a former id goes to the one under which the customer is known now.
//!
//! The profile names former ids. Each is asked once, and hands over its whole row; from then on it passes on whatever comes for it.
//! Cascades go on where they stood, under the ids of sends that they had.

use schemas::{
    Adopted, Adoption, Customer, Done, Fact, Former, Heard, Id, Instance, Merged, Millis, Reason, Unreadable,
};

use crate::limits;

use super::case::{Case, Fate, announce, each};
use super::{change, ending, entry, goal, hold, memory, profile, shared, sooner};

/// Passes on what comes for a customer who is known under another id now. False where there is none, or where it is about this row.
pub(super) fn has_moved(case: &mut Case<'_>, customer: &Customer, fact: &Fact) -> bool {
    let Some(to) = &customer.moved_to else { return false };
    match fact {
        // Whoever is to be forgotten under this id is forgotten here.
        Fact::Profile(profile) if profile.erased && case.hops == 0 => return false,
        // A ring of ids: what was known has come back.
        Fact::Adopted(adopted) if adopted.from == case.customer_id => return false,
        Fact::Merged(merged) => {
            let entry = case.entry(Reason::Superseded).because("into", merged.into.as_str());
            case.write(entry.because("moved_to", to.as_str()));
        }
        _ => case.pass_on(to, fact),
    }
    true
}

/// Asks former ids for what is known under them, each once.
pub(super) fn ask(case: &mut Case<'_>, customer: &mut Customer, formerly: &[String]) {
    for former in formerly {
        let is_known = customer.formerly.iter().any(|known| known.customer_id == *former);
        let is_id = !former.is_empty() && !former.contains(char::is_control) && former != case.customer_id;
        if is_known || !is_id {
            continue;
        }
        let entry = case.entry(Reason::FormerId).because("former", former.as_str());
        if customer.formerly.len() >= limits::FORMERLY {
            case.write(entry.because("left_out", limits::FORMERLY.to_string()));
            continue;
        }
        case.write(entry);
        customer.formerly.push(Former { customer_id: former.clone(), adopted: None });
        case.say(former.clone(), Fact::Merged(Merged { into: case.customer_id.to_owned() }));
    }
}

/// The customer is known under another id now: all that is known goes there.
pub(super) fn leave(case: &mut Case<'_>, customer: &mut Customer, merged: &Merged) {
    let into = &merged.into;
    if *into == case.customer_id {
        return;
    }
    let has_asked = customer.formerly.iter().any(|former| former.customer_id == *into && former.adopted.is_none());
    if has_asked && *case.customer_id < **into {
        // Each asks for the other: the one whose id comes first stays, and both see that alike.
        let entry = case.entry(Reason::Superseded).because("into", into.as_str());
        return case.write(entry);
    }
    // What ended with a change that the row has met just now is followed by nothing here: no cascade may stay behind.
    case.ended.clear();
    case.waiting.clear();
    let before = std::mem::take(&mut customer.contacts);
    shared::tell_changes(case, customer, &before);
    // Whoever takes the row over tells the addresses anew.
    (customer.contacts, customer.addresses_know) = (before, false);
    let row = std::mem::replace(customer, Customer { moved_to: Some(into.clone()), ..Customer::default() });
    let entry = case.entry(Reason::Moved).because("to", into.as_str());
    case.write(entry.because("cascades", row.instances.len().to_string()));
    for instance in &row.instances {
        // Under this id nothing is awaited any more.
        let entry = case.entry(Reason::Moved).instance(instance).because("to", into.as_str());
        case.write(entry);
    }
    let (from, number) = (case.customer_id.to_owned(), case.moment.offset.unwrap_or(-1));
    case.say(into.clone(), Fact::Adopted(Adopted { from, row: schemas::encode(&row), number }));
}

/// What was known under a former id has come.
pub(super) fn adopt(case: &mut Case<'_>, customer: &mut Customer, adopted: &Adopted) {
    let mut row: Customer = match schemas::decode(&adopted.row) {
        Ok(row) => row,
        Err(error) => {
            case.effects.push(super::Effect::SetAside { code: error.code() });
            return hold::place(case, customer, &Unreadable { code: error.code().to_owned() });
        }
    };
    let is_own = adopted.from == case.customer_id;
    let former = customer.formerly.iter_mut().find(|former| former.customer_id == adopted.from);
    match former {
        _ if is_own && customer.moved_to.is_some() => customer.moved_to = None,
        Some(former) if former.adopted.is_none() => former.adopted = Some(adopted.number),
        Some(former) if former.adopted == Some(adopted.number) => {
            let entry = case.entry(Reason::Duplicate);
            return case.write(entry);
        }
        Some(_) | None => {
            // What came home and is here still, is a repeat.
            row.instances.retain(|it| customer.instances.iter().all(|own| own.id != it.id));
            return forget(case, row, &adopted.from);
        }
    }
    let entry = case.entry(Reason::Adopted).because("from", adopted.from.as_str());
    case.write(entry.because("cascades", row.instances.len().to_string()));
    let instances = std::mem::take(&mut row.instances);
    let held = row.held.take();
    let own: Vec<Id> = customer.instances.iter().map(|own| own.id).collect();
    let (done_here, done_there) = (customer.done.clone(), row.done.clone());
    remember(case, customer, row);
    for instance in instances {
        take_in(case, customer, instance, &adopted.from);
    }
    if let (Some(held), None) = (held, &customer.held) {
        hold::place(case, customer, &Unreadable { code: held.code });
    } else if customer.held.is_some() {
        hold::withdraw(case, customer);
    }
    profile::opt_out_refused(case, customer);
    end_reached(case, customer, |instance| if own.contains(&instance.id) { &done_there } else { &done_here });
    each(case, customer, |case, customer, instance| {
        sooner::follow(case, customer, instance);
        Fate::Runs
    });
    change::meet(case, customer);
}

/// Nobody asked for it, or one of both was erased since: its cascades end, and nothing of it is kept.
fn forget(case: &mut Case<'_>, mut row: Customer, from: &str) {
    let now = case.now();
    let (ended, waiting) = (case.ended.len(), case.waiting.len());
    row.instances.iter_mut().for_each(|instance| stamp(instance, from, now));
    let entry = case.entry(Reason::Erased).because("from", from);
    case.write(entry);
    each(case, &mut row, |case, row, instance| ending::close(case, row, instance, Reason::Erased, &[]));
    profile::keep_refusals(case, &row, Some(from));
    case.ended.truncate(ended);
    case.waiting.truncate(waiting);
}

/// A cascade goes on here, unless the customer's own, on the same thing, does: of two the one that has said more, so that nothing is said
/// a second time.
fn take_in(case: &mut Case<'_>, customer: &mut Customer, mut instance: Instance, from: &str) {
    if from != case.customer_id {
        stamp(&mut instance, from, case.now());
    }
    let is_same = |own: &Instance| own.campaign == instance.campaign && own.key == instance.key;
    let start = case.effects.len();
    let running = customer.instances.len();
    let cart = instance.fields.get("cart_id").map_or(0, |cart_id| memory::passed(customer, cart_id));
    if (1..cart).contains(&memory::revision(&instance.fields)) {
        // A newer version of this cart began nothing.
        ending::close(case, customer, &mut instance, Reason::Withdrawn, &[("version", cart.to_string())]);
        announce(&mut case.effects[start..], &instance, Fate::Ended);
        return;
    }
    let own = customer.instances.iter().position(is_same);
    let evidence = match own {
        Some(index) if customer.instances[index].sends.len() < instance.sends.len() => {
            let mut own = customer.instances.remove(index);
            inherit(&mut own, &mut instance);
            if memory::revision(&own.fields) > memory::revision(&instance.fields) {
                instance.fields.clone_from(&own.fields);
            }
            let evidence = ("instead", instance.id.to_string());
            ending::close(case, customer, &mut own, Reason::Merged, &[evidence]);
            announce(&mut case.effects[start..], &own, Fate::Ended);
            None
        }
        Some(index) => {
            let own = &mut customer.instances[index];
            inherit(&mut instance, own);
            Some(("instead", own.id.to_string()))
        }
        None if running >= limits::INSTANCES => Some(("running", limits::INSTANCES.to_string())),
        None => None,
    };
    if let Some(evidence) = evidence {
        ending::close(case, customer, &mut instance, Reason::Merged, &[evidence]);
        announce(&mut case.effects[start..], &instance, Fate::Ended);
        return;
    }
    let start = case.effects.len();
    let entry = case.entry(Reason::Adopted).instance(&instance).because("from", from);
    case.write(entry);
    announce(&mut case.effects[start..], &instance, Fate::Runs);
    entry::join(case, customer, instance);
}

/// What waits for the end of one waits for the end of the other one now: the later of both.
fn inherit(from: &mut Instance, to: &mut Instance) {
    if let Some(queued) = from.queued.take()
        && to.queued.as_ref().is_none_or(|known| known.at < queued.at)
    {
        to.queued = Some(queued);
    }
}

/// Notes under which id the sends so far went out. Those of a still earlier id keep theirs.
fn stamp(instance: &mut Instance, from: &str, at: Millis) {
    let sends = i32::try_from(instance.sends.len()).unwrap_or(i32::MAX);
    match &mut instance.adoption {
        Some(adoption) if adoption.sends >= sends => adoption.at = at,
        adoption => *adoption = Some(Adoption { customer_id: from.to_owned(), sends, at }),
    }
}

/// The former id under which a send of this index went out; none where it went out under the present one.
pub(super) fn former_id(instance: &Instance, index: usize) -> Option<&str> {
    let went_before = |adoption: &&Adoption| usize::try_from(adoption.sends).is_ok_and(|sends| index < sends);
    instance.adoption.as_ref().filter(went_before).map(|adoption| &*adoption.customer_id)
}

/// Ends what has reached its goal under the other id: of what was done under its own, each has heard already, and its trigger is there.
fn end_reached<'d>(case: &mut Case<'_>, customer: &mut Customer, done_elsewhere: impl Fn(&Instance) -> &'d [Done]) {
    each(case, customer, |case, customer, instance| {
        let plans = case.plans;
        let Some(plan) = plans.of(instance) else { return Fate::Runs };
        let since = entry::occurred_at(plan, instance);
        let reached = goal::reached_before(done_elsewhere(instance), plan, since, &instance.key, case.now());
        match reached.map(str::to_owned) {
            Some(action) => ending::close(case, customer, instance, Reason::GoalReached, &[("action", action)]),
            None => Fate::Runs,
        }
    });
}

/// Joins two memories, each list within its limit.
fn remember(case: &mut Case<'_>, customer: &mut Customer, row: Customer) {
    let now = case.now();
    let contacts = row.contacts.clone();
    let before = customer.contacts.clone();
    if customer.profile_at.is_none() {
        customer.contacts = row.contacts;
        (customer.time_zone, customer.locale) = (row.time_zone, row.locale);
        (customer.attributes, customer.profile_at) = (row.attributes, row.profile_at);
        customer.consents = profile::consents(&customer.consents, &row.consents, now);
    } else {
        // Whoever wanted no more under the former id wants no more.
        customer.consents = profile::consents(&row.consents, &customer.consents, now);
    }
    for mark in row.dead {
        memory::bury(customer, mark);
    }
    let dead = &customer.dead;
    customer.contacts.retain(|it| !dead.contains(&memory::address_mark(&it.channel, &it.address)));
    shared::tell_changes(case, customer, &before);
    join(&mut customer.past, row.past, usize::MAX, |past| past.ended_at);
    memory::forget_past(case.plans, customer, now);
    join(&mut customer.counted, row.counted, limits::COUNTED, |counted| counted.at);
    join(&mut customer.unsettled, row.unsettled, limits::UNSETTLED, |_| 0);
    for done in row.done {
        memory::done(customer, &done.action, &done.key, done.occurred_at);
    }
    for mut heard in row.heard {
        // Silence at another address says nothing of this one.
        if memory::address(&contacts, &heard.channel) != memory::address(&customer.contacts, &heard.channel) {
            heard.unanswered_since = 0;
        }
        match customer.heard.iter_mut().find(|own| own.channel == heard.channel) {
            Some(own) => join_heard(own, &heard),
            None => customer.heard.push(heard),
        }
    }
    for begun in row.begun {
        match customer.begun.iter_mut().find(|own| own.campaign == begun.campaign) {
            Some(own) => own.times = own.times.saturating_add(begun.times),
            None => memory::keep(&mut customer.begun, begun, limits::BEGUN),
        }
    }
    for passed in row.passed {
        memory::pass(customer, &passed.cart_id, passed.version);
    }
    // Of both the newest: half of the room is enough for either.
    let own = customer.recent.split_off(customer.recent.len().saturating_sub(limits::RECENT / 2));
    customer.recent = row.recent;
    customer.recent.retain(|mark| !own.contains(mark));
    customer.recent.extend(own);
    customer.recent.drain(..customer.recent.len().saturating_sub(limits::RECENT));
    row.formerly.into_iter().filter(|former| former.customer_id != case.customer_id).for_each(|former| {
        still_to_come(customer, former);
    });
}

/// The last sign of life under either id, and since when nothing has followed it.
fn join_heard(own: &mut Heard, other: &Heard) {
    own.at = own.at.max(other.at);
    let since = [own.unanswered_since, other.unanswered_since].into_iter().filter(|since| *since > own.at).min();
    own.unanswered_since = since.unwrap_or(0);
}

/// What a former id has asked for comes here. Of ids that have come already as many are forgotten as is needed.
fn still_to_come(customer: &mut Customer, former: Former) {
    match customer.formerly.iter_mut().find(|own| own.customer_id == former.customer_id) {
        Some(own) => own.adopted = own.adopted.and(former.adopted),
        None => customer.formerly.push(former),
    }
    if customer.formerly.len() > limits::FORMERLY
        && let Some(index) = customer.formerly.iter().position(|former| former.adopted.is_some())
    {
        customer.formerly.remove(index);
    }
}

/// Joins two lists by their time, and forgets the oldest beyond the limit.
fn join<T>(own: &mut Vec<T>, other: Vec<T>, limit: usize, at: impl Fn(&T) -> Millis) {
    own.splice(..0, other);
    own.sort_by_key(at);
    own.drain(..own.len().saturating_sub(limit));
}
