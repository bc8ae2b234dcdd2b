//! The customer did something: what was hoped for ends the cascade, at any moment and by any route.

use schemas::{Action, Customer, Instance, Reason};

use crate::language::{Match, Plan};
use crate::predicate::{Event, Scope};

use super::case::{Case, Fate, each};
use super::ending;

/// Ends each instance whose goal this is. An action that comes while an instance runs counts whatever its own clock says:
/// on the safe side of "nobody is messaged after they bought".
pub(super) fn check(case: &mut Case<'_>, customer: &mut Customer, action: &Action) -> bool {
    if customer.instances.is_empty() {
        return false;
    }
    each(case, customer, |case, customer, instance| {
        let plans = case.plans;
        match plans.of(instance) {
            Some(plan) if is_goal(case, plan, instance, customer, action) => {
                let evidence = [("action", action.action.clone())];
                ending::close(case, customer, instance, Reason::GoalReached, &evidence)
            }
            _ => Fate::Runs,
        }
    })
}

fn is_goal(case: &Case<'_>, plan: &Plan, instance: &Instance, customer: &Customer, action: &Action) -> bool {
    let today = case.today(plan);
    let Some(goal) = &plan.goal else { return false };
    goal.actions.contains(&action.action)
        && (goal.matching == Match::Any || action.key.as_deref() == Some(&*instance.key))
        && goal.condition.as_ref().is_none_or(|it| it.holds(&Scope::of_event(Event::Action(action), customer, today)))
}
