//! What a row remembers of the past, each list within its limit.

use schemas::{Action, Customer, Done, Fact, Instance, Millis, Past, Reason};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::limits;

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
        Fact::Unreadable(_) | Fact::Progress(_) => return None,
    };
    (!id.is_empty()).then(|| xxh3_64_with_seed(id.as_bytes(), kind).cast_signed())
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

/// Remembers what the customer did; of the same action and key only the latest. Returns whether that was news.
pub(super) fn done(customer: &mut Customer, action: &Action) -> bool {
    let known = customer.done.iter().position(|done| done.action == action.action && done.key == action.key);
    if let Some(known) = known {
        if customer.done[known].occurred_at >= action.occurred_at {
            return false;
        }
        customer.done.remove(known);
    }
    let done = Done { action: action.action.clone(), key: action.key.clone(), occurred_at: action.occurred_at };
    keep(&mut customer.done, done, limits::DONE);
    true
}

/// Remembers an instance that ended, so that late feedback finds its sends.
pub(super) fn past(customer: &mut Customer, instance: &mut Instance, ended_at: Millis, reason: Reason) {
    let past = Past {
        campaign: instance.campaign.clone(),
        key: instance.key.clone(),
        ended_at,
        reason,
        sends: instance.sends.iter().map(|sent| sent.id).collect(),
        revision: revision(instance),
    };
    keep(&mut customer.past, past, limits::PAST);
}

/// The version of the thing an instance is about; 0 where it has none.
pub(super) fn revision(instance: &Instance) -> i64 {
    instance.fields.get("version").and_then(|version| version.parse().ok()).unwrap_or(0)
}

/// Appends, and forgets the oldest beyond the limit.
fn keep<T>(list: &mut Vec<T>, item: T, limit: usize) {
    list.push(item);
    if list.len() > limit {
        list.drain(..list.len() - limit);
    }
}
