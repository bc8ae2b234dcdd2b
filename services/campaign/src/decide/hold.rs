//! A record that nobody could read may have been a purchase: until somebody has looked, nothing goes out.

use schemas::{Customer, Hold, Reason, Release, Stage, Unreadable};

use super::case::{Case, Fate, each};
use super::{dispatch, ending};

/// Holds the customer's sends, and withdraws those that wait at a worker.
pub(super) fn place(case: &mut Case<'_>, customer: &mut Customer, record: &Unreadable) {
    if customer.held.is_some() {
        return;
    }
    customer.held = Some(Hold { since: case.now(), code: record.code.clone() });
    let entry = case.entry(Reason::HoldPlaced).because("code", record.code.as_str());
    case.write(entry);
    withdraw(case, customer);
}

/// Withdraws what waits at a worker.
pub(super) fn withdraw(case: &mut Case<'_>, customer: &mut Customer) {
    each(case, customer, |case, _, instance| {
        if ending::pending(instance).is_some() {
            let entry = case.entry(Reason::Held).instance(instance);
            let entry = ending::withdraw(case, instance, Reason::Held, entry);
            case.write(entry);
        }
        Fate::Runs
    });
}

/// Ends the hold. What was due meanwhile is judged anew, with the clock as it is.
pub(super) fn release(case: &mut Case<'_>, customer: &mut Customer, release: &Release) -> bool {
    if customer.held.take().is_none() {
        return false;
    }
    let entry = case.entry(Reason::HoldReleased).because("note", release.note.as_str());
    case.write(entry);
    each(case, customer, |case, customer, instance| {
        let plans = case.plans;
        match plans.of(instance) {
            Some(plan) if instance.stage == Stage::Held => {
                let ready = instance.turn;
                dispatch::advance(case, customer, plan, instance, ready)
            }
            _ => Fate::Runs,
        }
    });
    true
}
