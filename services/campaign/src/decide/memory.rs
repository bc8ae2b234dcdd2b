//! What a row remembers of the past, each list within its limit.

use schemas::{
    Action, Begun, Contact, Counted, Customer, Done, Fact, Fields, Heard, Id, Instance, Millis, Passed, Past, Reason,
    Sent,
};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::language::Plan;
use crate::limits;
use crate::plans::Plans;
use crate::predicate::{Asked, FULFILLING, PURCHASE_OF};

use super::case::Case;
use super::{bill, goal, moment};

/// What a fact is recognised by when it comes again; none where it has no id.
pub(super) fn mark(fact: &Fact) -> Option<i64> {
    let (kind, id) = match fact {
        Fact::Cart(it) => (1, &it.event_id),
        Fact::Registration(it) => (2, &it.event_id),
        Fact::Inactivity(it) => (3, &it.event_id),
        Fact::Action(it) => (4, &it.event_id),
        Fact::Profile(it) => (5, &it.event_id),
        Fact::Feedback(it) => (6, &it.event_id),
        Fact::Release(it) => (7, &it.event_id),
        Fact::Unreadable(_) | Fact::Progress(_) | Fact::Merged(_) | Fact::Adopted(_) => return None,
        Fact::Demand(_) | Fact::Grant(_) | Fact::Refusal(_) | Fact::Refund(_) => return None,
        Fact::Holder(_) | Fact::Hearsay(_) => return None,
    };
    // A row keeps so many bits of it.
    (!id.is_empty()).then(|| (xxh3_64_with_seed(id.as_bytes(), kind) >> (64 - limits::MARK_BITS)).cast_signed())
}

/// Remembers a fact that changed something.
pub(super) fn remember(customer: &mut Customer, mark: i64) {
    keep(&mut customer.recent, mark, limits::RECENT);
}

/// What an address is recognised by.
pub(super) fn address_mark(channel: &str, address: &str) -> i64 {
    xxh3_64_with_seed(address.as_bytes(), xxh3_64(channel.as_bytes())).cast_signed()
}

/// Remembers an address as dead.
pub(super) fn bury(customer: &mut Customer, mark: i64) {
    if !customer.dead.contains(&mark) {
        keep(&mut customer.dead, mark, limits::DEAD);
    }
}

/// Where a customer with these contacts is written to on a channel.
pub(super) fn address<'c>(contacts: &'c [Contact], channel: &str) -> Option<&'c str> {
    contacts.iter().find(|contact| contact.channel == channel).map(|contact| contact.address.as_str())
}

/// A new address has not been silent yet, nor is one that is no more. Of channels that were none before nothing is waited for.
pub(super) fn meet_addresses(customer: &mut Customer, before: &[Contact]) {
    for heard in &mut customer.heard {
        let was = address(before, &heard.channel);
        if was.is_some() && was != address(&customer.contacts, &heard.channel) {
            heard.unanswered_since = 0;
        }
    }
}

/// Remembers of an action what campaigns ask for. Returns whether any of it was news. Nothing happens in the future: else one wrong clock
/// would silence the customer until then.
pub(super) fn act(case: &Case<'_>, customer: &mut Customer, action: &Action) -> bool {
    let (plans, at) = (case.plans, action.occurred_at.min(case.now()));
    // By the past without it, as for those that run.
    let hoping = plans.hoping_for(&action.action);
    let fulfilled: Vec<_> = hoping.flat_map(|plan| goal::fulfilled(case, plan, customer, action)).collect();
    let mut news = plans.asks_for(Asked::Action(&action.action)) && done(customer, &action.action, &action.key, at);
    if action.action == "purchase" {
        for item in &action.items {
            for what in [&item.sku, &item.category] {
                if plans.asks_for(Asked::Purchase(what)) {
                    news |= done(customer, PURCHASE_OF, &Some(what.clone()), at);
                }
            }
        }
    }
    for (name, key) in fulfilled {
        news |= done(customer, &name, &key, at);
    }
    news
}

/// Remembers a sign of life on a channel, if a campaign asks for it.
pub(super) fn hear(plans: &Plans, customer: &mut Customer, channel: &str, at: Millis) {
    if !plans.asks_for(Asked::Channel(channel)) {
        return;
    }
    match customer.heard.iter_mut().find(|heard| heard.channel == channel) {
        Some(heard) => {
            heard.at = heard.at.max(at);
            // What is older than the silence does not end it.
            if at >= heard.unanswered_since {
                heard.unanswered_since = 0;
            }
        }
        None => customer.heard.push(Heard { channel: channel.to_owned(), at, unanswered_since: 0 }),
    }
}

/// Remembers that a customer was spoken to on a channel and has not reacted yet, if a campaign asks for it.
pub(super) fn speak(plans: &Plans, customer: &mut Customer, sent: &Sent) {
    if !plans.asks_for(Asked::Silence(&sent.channel)) {
        return;
    }
    // The moment of the decision: words about one message come in any order.
    let unanswered_since = sent.decided_at;
    match customer.heard.iter_mut().find(|heard| heard.channel == sent.channel) {
        Some(heard) if heard.unanswered_since == 0 => heard.unanswered_since = unanswered_since,
        Some(_) => {}
        None => customer.heard.push(Heard { channel: sent.channel.clone(), at: 0, unanswered_since }),
    }
}

/// Remembers a message that a cap counts, and forgets those that none asks for any more.
pub(super) fn count(case: &Case<'_>, customer: &mut Customer, plan: &Plan, sent: &Sent) {
    let (caps, now) = (case.plans.caps(), case.now());
    if caps.count(&sent.channel, plan.class) && customer.counted.iter().all(|counted| counted.id != sent.id) {
        let (zone, _) = moment::zone(plan, customer);
        customer.counted.retain(|counted| caps.remember(counted, now, &zone));
        let counted = Counted { id: sent.id, channel: sent.channel.clone(), class: plan.class, at: sent.decided_at };
        keep(&mut customer.counted, counted, limits::COUNTED);
    }
}

/// Counts a message no more: nobody got it.
pub(super) fn uncount(customer: &mut Customer, id: Id) {
    customer.counted.retain(|counted| counted.id != id);
}

/// Remembers that a campaign that may begin only so often has begun.
pub(super) fn begun(customer: &mut Customer, campaign: &str) {
    match customer.begun.iter_mut().find(|begun| begun.campaign == campaign) {
        Some(begun) => begun.times = begun.times.saturating_add(1),
        None => keep(&mut customer.begun, Begun { campaign: campaign.to_owned(), times: 1 }, limits::BEGUN),
    }
}

/// How often a campaign has begun, as far as that is remembered.
pub(super) fn times(customer: &Customer, campaign: &str) -> i32 {
    customer.begun.iter().find(|begun| begun.campaign == campaign).map_or(0, |begun| begun.times)
}

/// Remembers of a cart that a version of it began nothing.
pub(super) fn pass(customer: &mut Customer, cart_id: &str, version: i64) {
    let version = version.max(passed(customer, cart_id));
    customer.passed.retain(|passed| passed.cart_id != cart_id);
    keep(&mut customer.passed, Passed { cart_id: cart_id.to_owned(), version }, limits::PASSED);
}

/// The newest version of a cart that began nothing, as far as that is remembered; 0 for none.
pub(super) fn passed(customer: &Customer, cart_id: &str) -> i64 {
    customer.passed.iter().find(|passed| passed.cart_id == cart_id).map_or(0, |passed| passed.version)
}

/// Of the same action and key only the latest is kept.
pub(super) fn done(customer: &mut Customer, action: &str, key: &Option<String>, occurred_at: Millis) -> bool {
    let known = customer.done.iter().position(|done| done.action == action && done.key == *key);
    let done = match known {
        Some(known) if customer.done[known].occurred_at >= occurred_at => return false,
        Some(known) => Done { occurred_at, ..customer.done.remove(known) },
        None => Done { action: action.to_owned(), key: key.clone(), occurred_at },
    };
    customer.done.push(done);
    let is_of_goals = |action: &str| action.contains(FULFILLING);
    let limit = if is_of_goals(action) { limits::FULFILLED } else { limits::DONE };
    let of_its_kind = |done: &&Done| is_of_goals(&done.action) == is_of_goals(action);
    if customer.done.len() > limit && customer.done.iter().filter(of_its_kind).count() > limit {
        let forgotten = least_needed(&customer.done, of_its_kind);
        customer.done.remove(forgotten);
    }
    true
}

/// Which of these is forgotten first: the oldest of those that a newer one of the same action stands in for, whatever that was about,
/// since most conditions ask when something was done at all. For what was bought nothing stands in: each is asked for by itself.
fn least_needed(done: &[Done], is_meant: impl Fn(&&Done) -> bool) -> usize {
    let stands_in =
        |old: &Done, new: &Done| new.action == old.action && new.key != old.key && new.occurred_at >= old.occurred_at;
    let is_spare = |it: &Done| it.action != PURCHASE_OF && done.iter().any(|other| stands_in(it, other));
    let numbered = || done.iter().enumerate().filter(|(_, it)| is_meant(it));
    let spare = numbered().filter(|(_, it)| is_spare(it)).min_by_key(|(_, it)| it.occurred_at);
    let oldest = || numbered().min_by_key(|(_, it)| it.occurred_at);
    spare.or_else(oldest).map_or(0, |(index, _)| index)
}

/// Remembers an instance that ended, so that late feedback finds its sends.
pub(super) fn past(plans: &Plans, customer: &mut Customer, instance: &mut Instance, ended_at: Millis, reason: Reason) {
    let past = Past {
        campaign: instance.campaign.clone(),
        key: instance.key.clone(),
        ended_at,
        reason,
        sends: instance.sends.iter().map(|sent| sent.id).collect(),
        revision: revision(&instance.fields),
    };
    bill::leave_open(customer, instance);
    customer.past.push(past);
    forget_past(plans, customer, ended_at);
}

/// Forgets cascades that ended beyond the limit: the oldest of what no campaign asks for, else of what a newer one stands in for. What is
/// asked for by itself has further room.
pub(super) fn forget_past(plans: &Plans, customer: &mut Customer, now: Millis) {
    while customer.past.len() > limits::PAST {
        let past = &customer.past;
        let unasked = past.iter().position(|it| !plans.asks_for(Asked::Campaign(&it.campaign)));
        let spare = || {
            (0..past.len()).find(|index| past[index + 1..].iter().any(|new| stands_in(plans, &past[*index], new, now)))
        };
        let oldest = || (past.len() > limits::PAST_ASKED_FOR).then_some(0);
        let Some(forgotten) = unasked.or_else(spare).or_else(oldest) else { return };
        customer.past.remove(forgotten);
    }
}

/// Whether the newer end says all that is asked of the older one: when the campaign ended last, and whether it rests with this key.
fn stands_in(plans: &Plans, old: &Past, new: &Past, now: Millis) -> bool {
    let cooldown = plans.newest(&old.campaign).map_or(0, |plan| plan.trigger.cooldown);
    let is_over = old.reason == Reason::Restarted || now >= old.ended_at.saturating_add(cooldown);
    // A restart is no end that one recovers from.
    let rests = || new.key == old.key && new.reason != Reason::Restarted;
    new.campaign == old.campaign && (is_over || rests())
}

/// The version of the thing that a trigger with these fields is about; 0 where it has none.
pub(super) fn revision(fields: &Fields) -> i64 {
    fields.get("version").and_then(|version| version.parse().ok()).unwrap_or(0)
}

/// Appends, and forgets the oldest beyond the limit.
pub(super) fn keep<T>(list: &mut Vec<T>, item: T, limit: usize) {
    list.push(item);
    list.drain(..list.len().saturating_sub(limit));
}
