//! A deadline falls due: the trigger has settled, a step's moment or validity has come, an answer or a reaction did not.

use schemas::{Customer, Instance, Stage, Status};

use crate::channel::Channel;
use crate::language::{Cause, Plan};
use crate::limits;

use super::case::{Case, Fate, each};
use super::dispatch::{advance, current, exhausted};
use super::exit::{Exit, about_last, leave, silent};

/// Looks at every instance whose moment has come. A deadline seen late is judged with the clock as it is.
pub(super) fn fire(case: &mut Case<'_>, customer: &mut Customer) {
    each(case, customer, |case, customer, instance| {
        let plans = case.plans;
        match plans.of(instance) {
            Some(plan) if instance.frozen_at.is_none() && instance.due <= case.now() => {
                due(case, customer, plan, instance)
            }
            None if instance.due <= case.now() => {
                instance.due = case.now().saturating_add(limits::ASK_AGAIN);
                Fate::Runs
            }
            _ => Fate::Runs,
        }
    });
}

fn due(case: &mut Case<'_>, customer: &mut Customer, plan: &Plan, instance: &mut Instance) -> Fate {
    match instance.stage {
        Stage::Settling => {
            let ready = instance.due;
            advance(case, customer, plan, instance, ready)
        }
        Stage::Delayed | Stage::Held | Stage::Asking => {
            // Its validity counts from its turn, however long something kept it back.
            let ready = instance.turn;
            advance(case, customer, plan, instance, ready)
        }
        // Also of what we have withdrawn: only the worker knows whether it came too late for that.
        Stage::Dispatched => silent(case, customer, plan, instance),
        Stage::Waiting => waited(case, customer, plan, instance),
        Stage::Unspecified => exhausted(case, customer, plan, instance),
    }
}

/// The step's wait is over. The first of its reasons that is true and selected leads on; the others are only told.
fn waited(case: &mut Case<'_>, customer: &mut Customer, plan: &Plan, instance: &mut Instance) -> Fate {
    let Some(sent) = instance.sends.last() else { return exhausted(case, customer, plan, instance) };
    let Some(step) = current(plan, instance) else {
        // It was given up by a migration, and the message had its time.
        let ready = instance.due;
        return advance(case, customer, plan, instance, ready);
    };
    let told_of_opening = Channel::find(&sent.channel).is_some_and(|channel| channel.opened);
    let unheard = sent.reached < Status::Delivered;
    let exit = if unheard && sent.failed == Status::BouncedSoft && step.leads_on(Cause::NotDelivered) {
        Exit::NotDelivered
    } else if told_of_opening && sent.reached < Status::Opened && step.leads_on(Cause::NotOpened) {
        Exit::NotOpened
    } else if step.leads_on(Cause::NoGoal) {
        Exit::NoGoal
    } else if unheard {
        Exit::NoInformation
    } else {
        return exhausted(case, customer, plan, instance);
    };
    let entry = about_last(case, plan, instance, exit.reason()).because("reached", sent.reached.as_str());
    // The wait was over then, however late we see it: an outage of ours makes nothing valid for longer.
    let ready = instance.due;
    leave(case, customer, plan, instance, exit, entry, ready)
}
