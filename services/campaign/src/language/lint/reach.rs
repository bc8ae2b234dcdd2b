//! What can never have its turn.

use schemas::Class;

use crate::language::plan::{Order, Plan, Step};
use crate::language::problem::Report;
use crate::language::raw;
use crate::predicate::Predicate;

/// Looks for conditions that nobody fulfils, for messages behind an end, and for channels that are never taken.
pub(super) fn lint(raw: &raw::Campaign, plan: &Plan, report: &mut Report<'_>) {
    let never = |condition: &Option<Predicate>| condition.as_ref().is_some_and(Predicate::never_holds);
    if let (Some(written), true) = (&raw.trigger.condition, never(&plan.trigger.condition)) {
        report.warning(
            written.referenced,
            "this holds for nobody: the campaign never begins",
            "compare with what an event brings",
        );
    }
    let goal = raw.goal.as_ref().and_then(|goal| goal.condition.as_ref());
    if let (Some(written), true) = (goal, plan.goal.as_ref().is_some_and(|goal| never(&goal.condition))) {
        report.warning(
            written.referenced,
            "this holds for nobody: the goal is never reached",
            "compare with what an action brings",
        );
    }
    for (step, written) in plan.steps.iter().zip(&raw.steps) {
        condition(plan, step, written, report);
    }
    behind(raw, plan, report);
}

/// Whether a step, or one of its channels, is for nobody.
fn condition(plan: &Plan, step: &Step, written: &raw::Step, report: &mut Report<'_>) {
    let Some((when, place)) = step.when.as_ref().zip(written.when.as_ref()) else { return };
    if when.never_holds() {
        return report.warning(
            place.referenced,
            "this holds for nobody: the step is never sent",
            "remove the step, or correct the condition",
        );
    }
    let consent = plan.class != Class::Transactional;
    let never: Vec<&str> = step
        .channels
        .iter()
        .filter(|channel| when.excludes(channel.name, consent))
        .map(|channel| channel.name)
        .collect();
    if !never.is_empty() {
        let message = format!("whoever can be written to on {} is shut out here: it is never taken", never.join(", "));
        report.warning(place.referenced, message, "remove the channel, or correct the condition");
    }
}

/// Nothing leads on from a message that everybody gets but whom its night or validity passes over. Other orders try the steps below it before.
fn behind(raw: &raw::Campaign, plan: &Plan, report: &mut Report<'_>) {
    let is_end = |step: &Step| step.next_if.is_empty() && step.when.is_none() && step.variants.is_empty();
    let Some(end) = plan.steps.iter().position(is_end).filter(|_| plan.order == Order::AsWritten) else { return };
    if let Some(first) = raw.steps.get(end + 1) {
        report.warning(
            first.name.referenced,
            format!(
                "nothing leads on from `{}` once it went out, whatever it comes to: this is for those whom it passed over",
                plan.steps[end].name
            ),
            format!("say at `{}` what leads on: `next_if: [not delivered, cannot send]`", plan.steps[end].name),
        );
    }
}
