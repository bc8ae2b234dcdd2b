//! The row of a campaign's budget: it grants what fits into the window that runs, in the order in which it is asked.
//!
//! One row holds the whole budget, so that its sum is exact and nobody's share lies idle. What is granted counts at once; what is
//! given back makes room again, in the same window and once.

use schemas::{Budget, Demand, Fact, Grant, Id, Millis, Reason, Refund, Refusal};

use crate::language::{Allowance, Per, Plan};
use crate::limits;

use super::Input;
use super::case::{Case, Entry};
use super::memory::keep;

/// Considers what is said to a budget; all but facts of its own concerns others.
pub(super) fn consider(case: &mut Case<'_>, campaign: &str, budget: &mut Budget, input: Input<'_>) {
    match input {
        Input::Fact { fact: Fact::Demand(demand), .. } => answer(case, campaign, budget, demand),
        Input::Fact { fact: Fact::Refund(refund), .. } => take_back(case, campaign, budget, refund),
        _ => {}
    }
}

fn answer(case: &mut Case<'_>, campaign: &str, budget: &mut Budget, demand: &Demand) {
    let Demand { customer_id, send_id, version, minor } = demand.clone();
    let plans = case.plans;
    let Some(plan) = plans.newest(campaign).filter(|plan| plan.version >= version) else {
        // Where the message is decided its campaign is known already; here it will be soon.
        let until = case.now().saturating_add(limits::ASK_AGAIN);
        case.say(customer_id, Fact::Refusal(Refusal { send_id, until, again: true }));
        return;
    };
    let number = case.moment.offset.unwrap_or(0);
    turn_over(budget, plan, case.now(), number);
    // A budget that was lifted leaves room for everything.
    let limit = plan.budget.map_or(i64::MAX, |allowance| allowance.minor);
    let has_room = minor >= 0 && minor <= limit.saturating_sub(budget.granted);
    if has_room {
        budget.granted = budget.granted.saturating_add(minor);
    }
    let reason = if has_room { Reason::BudgetGranted } else { Reason::BudgetSpent };
    let entry = told(case.entry(reason).plan(plan), budget, send_id, minor);
    case.write(entry.because("of", limit.to_string()));
    let campaign = campaign.to_owned();
    case.say(
        customer_id,
        match has_room {
            true => Fact::Grant(Grant { campaign, send_id, minor, number }),
            false => Fact::Refusal(Refusal { send_id, until: budget.until, again: false }),
        },
    );
}

/// Begins a new window where the last one is over. Where the campaign counts in another time from now on, what is granted counts on.
fn turn_over(budget: &mut Budget, plan: &Plan, now: Millis, first: i64) {
    let per = plan.budget.map_or(Per::Day, |Allowance { per, .. }| per);
    let (since, until) = per.window(now, &plan.zone);
    if now >= budget.until {
        *budget = Budget { since, until, granted: 0, first, returned: Vec::new() };
    }
    (budget.since, budget.until) = (since, until);
}

fn take_back(case: &mut Case<'_>, campaign: &str, budget: &mut Budget, refund: &Refund) {
    let Refund { minor, number } = *refund;
    if number < budget.first || budget.returned.contains(&number) {
        return;
    }
    keep(&mut budget.returned, number, limits::RETURNED);
    budget.granted = budget.granted.saturating_sub(minor.max(0)).max(0);
    let entry = case.entry(Reason::BudgetReturned);
    let entry = case.plans.newest(campaign).into_iter().fold(entry, |entry, plan| entry.plan(plan));
    let entry = entry.because("minor", minor.to_string()).because("granted", budget.granted.to_string());
    case.write(entry);
}

fn told(entry: Entry, budget: &Budget, send_id: Id, minor: i64) -> Entry {
    let entry = entry.about(send_id).because("minor", minor.to_string());
    entry.because("granted", budget.granted.to_string()).because("until", budget.until.to_string())
}
