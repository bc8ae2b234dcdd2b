//! The customer did something: what was hoped for ends the cascade, at any moment and by any route.

use schemas::{Action, Customer, Done, Instance, Millis, Reason};

use crate::language::{Match, Plan, TriggerKind};
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
    let Some(goal) = &plan.goal else { return false };
    let is_its_own = || match goal.matching {
        Match::Any => true,
        Match::SameKey => action.key.as_deref() == Some(&*instance.key),
        Match::SameArticle => articles(action).any(|article| article == instance.key),
    };
    goal.actions.contains(&action.action) && is_its_own() && has_what_it_asks(case, plan, customer, action)
}

/// The articles of an action, and their categories.
fn articles(action: &Action) -> impl Iterator<Item = &str> {
    let names = action.items.iter().flat_map(|item| [&*item.sku, &*item.category]);
    names.filter(|name| !name.is_empty())
}

/// Whether a campaign's goal has no condition, or it holds of this action.
fn has_what_it_asks(case: &Case<'_>, plan: &Plan, customer: &Customer, action: &Action) -> bool {
    let condition = plan.goal.as_ref().and_then(|goal| goal.condition.as_ref());
    condition.is_none_or(|it| it.holds(&Scope::of_event(Event::Action(action), customer, case.today(plan))))
}

/// The actions, each with the key, as which a row remembers one of which a campaign's goal asks more than its name and key; none where
/// it does not fulfil that.
pub(super) fn fulfilled(
    case: &Case<'_>,
    plan: &Plan,
    customer: &Customer,
    action: &Action,
) -> Vec<(String, Option<String>)> {
    let Some((goal, mark)) = plan.goal.as_ref().and_then(|goal| Some((goal, goal.mark.as_deref()?))) else {
        return Vec::new();
    };
    if !has_what_it_asks(case, plan, customer, action) {
        return Vec::new();
    }
    let name = || action.action.clone() + mark;
    match goal.matching {
        Match::Any | Match::SameKey => vec![(name(), action.key.clone())],
        Match::SameArticle => articles(action).map(|article| (name(), Some(article.to_owned()))).collect(),
    }
}

/// The goal as it stands: an action since the trigger, less the grace. Of one with a condition counts what fulfilled it when it came.
pub(super) fn reached_before<'d>(
    done: &'d [Done],
    plan: &Plan,
    occurred_at: Millis,
    key: &str,
    now: Millis,
) -> Option<&'d str> {
    let goal = plan.goal.as_ref()?;
    // A clock that is ahead does not outrun the grace.
    let since = occurred_at.min(now).saturating_sub(goal.grace);
    // What ended the cascade on which this one follows is behind it.
    let since = if plan.trigger.on == TriggerKind::End { since.saturating_add(1) } else { since };
    let recent = done.iter().filter(|done| done.occurred_at >= since);
    let own = recent.filter(|done| goal.matching == Match::Any || done.key.as_deref() == Some(key));
    let mut actions = own.filter_map(|done| match &goal.mark {
        None => Some(&*done.action),
        Some(mark) => done.action.strip_suffix(&**mark),
    });
    actions.find(|action| goal.actions.iter().any(|it| it == action))
}
