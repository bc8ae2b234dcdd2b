//! A date moves: whoever waits for it looks at the new one. Where it comes later nothing is to be done: at the old moment all is judged
//! anew.

use schemas::{Customer, Instance, Millis, Stage};

use crate::language::{Plan, Step, Wait};

use super::case::Case;
use super::dispatch::{current, waits_for_turn};
use super::moment;

/// Looks at an instance sooner if the date for which it waits is sooner now, by its event or by the customer's profile. One that stands
/// still has no moment; it looks when it goes on.
pub(super) fn follow(case: &Case<'_>, customer: &Customer, instance: &mut Instance) {
    let Some(plan) = case.plans.of(instance).filter(|_| instance.frozen_at.is_none()) else { return };
    let Some(step) = current(plan, instance) else { return };
    let moment = match instance.stage {
        Stage::Delayed if waits_for_turn(step, instance) => turn(customer, plan, instance, step),
        Stage::Waiting => match &step.wait {
            Wait::Until(point) => moment::date(plan, customer, instance, point),
            Wait::Active(_) => None,
        },
        _ => None,
    };
    if let Some(moment) = moment {
        instance.due = instance.due.min(moment.max(case.now()));
    }
}

/// The turn of a dated message, if it is sooner than it was: what its turn has come for is kept back by something else.
fn turn(customer: &Customer, plan: &Plan, instance: &Instance, step: &Step) -> Option<Millis> {
    let turn = moment::turn(plan, customer, instance, step, instance.turn, true)?;
    (step.start.is_dated() && turn < instance.turn).then_some(turn)
}
