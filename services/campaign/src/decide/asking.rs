//! A message of a campaign with a budget: its price is asked for before it goes out, and everything is judged again when it is granted.
//!
//! What is granted and not needed, because something else happened meanwhile, is given back at once.

use schemas::{Customer, Demand, Fact, Grant, Id, Instance, Key, Millis, Reason, Refund, Refusal, Stage};

use crate::language::{Plan, Short};
use crate::limits;

use super::case::{Case, Fate, each};
use super::dispatch::{advance, channel_of, current, next_send};
use super::{ending, pause};

/// Asks for the price of the message at which an instance stands, if it needs a grant that it does not have. Returns whether it does.
pub(super) fn asks(
    case: &mut Case<'_>,
    customer: &Customer,
    plan: &Plan,
    instance: &mut Instance,
    send_before: Millis,
) -> bool {
    let Some(step) = current(plan, instance).filter(|_| plan.budget.is_some() && !instance.held_out) else {
        return false;
    };
    let price = channel_of(step, instance).and_then(|channel| case.fares(customer).price(step, channel));
    let minor = price.map_or(0, |price| price.minor);
    let send_id = next_send(instance);
    let has_it = |grant: &Grant| grant.send_id == send_id && grant.minor >= minor;
    if minor <= 0 || case.grant.as_ref().is_some_and(has_it) {
        return false;
    }
    // What was granted does not suffice any more: it makes room for what is asked now.
    if let Some(grant) = case.grant.take_if(|grant| grant.send_id == send_id) {
        give_back(case, &grant);
    }
    let customer_id = case.customer_id.to_owned();
    let demand = Demand { customer_id, send_id, version: plan.version, minor };
    case.say(Key::budget(&plan.name), Fact::Demand(demand));
    let entry = case.entry(Reason::BudgetAsked).instance(instance).step(step).about(send_id);
    let entry = channel_of(step, instance).into_iter().fold(entry, |entry, channel| entry.on(channel));
    case.write(entry.because("minor", minor.to_string()));
    (instance.stage, instance.due, instance.asked_at) = (Stage::Asking, send_before, Some(case.now()));
    true
}

/// The budget has room. The message is judged anew, and what is not needed after all is given back.
pub(super) fn granted(case: &mut Case<'_>, customer: &mut Customer, grant: &Grant) {
    case.grant = Some(grant.clone());
    answered(case, customer, grant.send_id, |case, customer, plan, instance| {
        let ready = instance.turn;
        advance(case, customer, plan, instance, ready)
    });
    if let Some(grant) = case.grant.take() {
        give_back(case, &grant);
    }
}

/// The budget has no room: the message waits for its next window, as long as it is valid, or its cascade ends. Nothing else is sent
/// instead.
pub(super) fn refused(case: &mut Case<'_>, customer: &mut Customer, refusal: &Refusal) {
    answered(case, customer, refusal.send_id, |case, customer, plan, instance| {
        no_room(case, customer, plan, instance, refusal)
    });
}

/// Goes on with the cascade that asked for this message, unless it is of a version that is not known here yet.
fn answered(
    case: &mut Case<'_>,
    customer: &mut Customer,
    send_id: Id,
    mut go_on: impl FnMut(&mut Case<'_>, &mut Customer, &Plan, &mut Instance) -> Fate,
) {
    each(case, customer, |case, customer, instance| {
        if instance.stage != Stage::Asking || next_send(instance) != send_id {
            return Fate::Runs;
        }
        let plans = case.plans;
        match plans.of(instance) {
            Some(plan) => go_on(case, customer, plan, instance),
            None => ask_again(case, instance),
        }
    });
}

fn no_room(
    case: &mut Case<'_>,
    customer: &mut Customer,
    plan: &Plan,
    instance: &mut Instance,
    refusal: &Refusal,
) -> Fate {
    let until = refusal.until;
    if instance.frozen_at.is_some() {
        let ready = instance.turn;
        return pause::stay(case, instance, ready);
    }
    if refusal.again {
        // The budget has not heard of the campaign yet: that is no word on what is left.
        let entry = case.entry(Reason::Delayed).instance(instance).because("budget", "campaign not known there yet");
        let entry = current(plan, instance).into_iter().fold(entry, |entry, step| entry.step(step));
        case.write(entry);
        return ask_again(case, instance);
    }
    let evidence = ("until", until.to_string());
    let send_before = instance.due;
    if plan.budget.is_none_or(|budget| budget.short == Short::Stop) || until >= send_before {
        return ending::close(case, customer, instance, Reason::BudgetSpent, &[evidence]);
    }
    let entry = case.entry(Reason::BudgetSpent).instance(instance).because(evidence.0, evidence.1);
    let entry = current(plan, instance).into_iter().fold(entry, |entry, step| entry.step(step));
    case.write(entry);
    (instance.stage, instance.due, instance.asked_at) = (Stage::Delayed, until.max(case.now()), None);
    Fate::Runs
}

/// Nobody could answer, or understand the answer: the budget is asked again soon, as long as the message is valid.
fn ask_again(case: &Case<'_>, instance: &mut Instance) -> Fate {
    let soon = case.now().saturating_add(limits::ASK_AGAIN).min(instance.due).max(case.now());
    (instance.stage, instance.due, instance.asked_at) = (Stage::Delayed, soon, None);
    Fate::Runs
}

/// A message goes out: its grant is used up, and what it costs less than that by now is given back. A grant for another one stays.
pub(super) fn spend(case: &mut Case<'_>, send_id: Id, price_minor: i64) {
    let Some(grant) = case.grant.take_if(|grant| grant.send_id == send_id) else { return };
    let minor = grant.minor.saturating_sub(price_minor);
    if minor > 0 {
        give_back(case, &Grant { minor, ..grant });
    }
}

fn give_back(case: &mut Case<'_>, grant: &Grant) {
    let Grant { campaign, send_id, minor, number } = grant;
    let entry = case.entry(Reason::BudgetReturned).about(*send_id).because("campaign", campaign.as_str());
    case.write(entry.because("minor", minor.to_string()));
    case.say(Key::budget(campaign), Fact::Refund(Refund { minor: *minor, number: *number }));
}
