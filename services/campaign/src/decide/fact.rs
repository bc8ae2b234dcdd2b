//! A fact comes in.

use schemas::{Customer, Fact, Reason};

use crate::language::TriggerKind;
use crate::predicate::Event;

use super::case::Case;
use super::entry::Cause;
use super::{again, asking, entry, feedback, goal, hold, memory, merge, profile, shared};

/// Considers one fact. A repeat of one that changed something changes nothing. Returns whether this one may have.
pub(super) fn consider(case: &mut Case<'_>, customer: &mut Customer, fact: &Fact) -> bool {
    if merge::has_moved(case, customer, fact) {
        return false;
    }
    let mark = memory::mark(fact);
    if mark.is_some_and(|mark| customer.recent.contains(&mark)) {
        let entry = case.entry(Reason::Duplicate);
        case.write(entry);
        return false;
    }
    let mut passed = false;
    let changed = match fact {
        Fact::Cart(cart) => {
            let event = Event::Cart(cart);
            let cause = Cause { kind: TriggerKind::Cart, event, id: &cart.event_id, occurred_at: cart.occurred_at };
            let before = memory::passed(customer, &cart.cart_id);
            let began = begin(case, customer, &cause);
            passed = memory::passed(customer, &cart.cart_id) != before;
            began
        }
        Fact::Registration(it) => {
            let event = Event::Registration(it);
            let kind = TriggerKind::Registration;
            begin(case, customer, &Cause { kind, event, id: &it.event_id, occurred_at: it.occurred_at })
        }
        Fact::Inactivity(it) => {
            let event = Event::Inactivity(it);
            let kind = TriggerKind::Inactivity;
            begin(case, customer, &Cause { kind, event, id: &it.event_id, occurred_at: it.occurred_at })
        }
        Fact::Action(action) => {
            // The goal first: what was hoped for ends a cascade before it may begin another one.
            let reached = goal::check(case, customer, action);
            let event = Event::Action(action);
            let kind = TriggerKind::Action;
            let began =
                begin(case, customer, &Cause { kind, event, id: &action.event_id, occurred_at: action.occurred_at });
            let remembered = memory::act(case, customer, action);
            reached || began || remembered
        }
        Fact::Feedback(word) => feedback::consider(case, customer, word),
        Fact::Release(release) => hold::release(case, customer, release),
        other => return consider_by_itself(case, customer, other, mark),
    };
    if let (true, Some(mark)) = (changed, mark) {
        memory::remember(customer, mark);
    }
    // A reaction, or a cart, may be remembered, though nothing follows from it.
    changed || passed || matches!(fact, Fact::Feedback(_))
}

/// What is recognised in a way of its own when it comes again.
fn consider_by_itself(case: &mut Case<'_>, customer: &mut Customer, fact: &Fact, mark: Option<i64>) -> bool {
    match fact {
        Fact::Profile(profile) => profile::replace(case, customer, profile, mark),
        Fact::Unreadable(record) => hold::place(case, customer, record),
        Fact::Merged(merged) => merge::leave(case, customer, merged),
        Fact::Adopted(adopted) => merge::adopt(case, customer, adopted),
        Fact::Grant(grant) => asking::granted(case, customer, grant),
        Fact::Refusal(refusal) => asking::refused(case, customer, refusal),
        Fact::Hearsay(word) => shared::hear(case, customer, word),
        _ => return false,
    }
    true
}

/// Meets the instances that run on the same key, then the campaigns that it may begin.
fn begin(case: &mut Case<'_>, customer: &mut Customer, cause: &Cause<'_>) -> bool {
    let met = again::meet(case, customer, cause);
    entry::enter(case, customer, cause) || met
}
