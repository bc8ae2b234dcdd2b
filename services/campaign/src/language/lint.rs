//! Warnings: allowed, but seldom meant.

use schemas::{Class, Millis};

use super::plan::{Cause, Level, Plan, TriggerKind};
use super::problem::Report;
use super::raw;

const HOUR: Millis = 3_600_000;
/// After the fourth message engagement falls sharply.
const STEPS: usize = 4;

/// Looks for what marketers regret.
pub(super) fn lint(raw: &raw::Campaign, plan: &Plan, report: &mut Report<'_>) {
    if plan.trigger.on == TriggerKind::Cart && plan.trigger.settle < HOUR {
        let place = raw.trigger.settle.as_ref().map_or(raw.trigger.on.referenced, |settle| settle.referenced);
        report.warning(place, "a reminder within an hour of leaving a cart annoys", "write `settle: 1h` or more");
    }
    if plan.class == Class::Marketing && plan.steps.len() > STEPS {
        report.warning(
            raw.steps[STEPS].name.referenced,
            "more than four messages: engagement falls sharply after the fourth",
            "let the cascade end earlier",
        );
    }
    for (step, written) in plan.steps.iter().zip(&raw.steps) {
        let mute = step.channels.iter().find(|channel| !channel.opened);
        if let (Some(mute), true) = (mute, step.leads_on(Cause::NotOpened)) {
            report.warning(
                written.name.referenced,
                format!("nobody learns whether a message on {} was opened: it leads on without that word", mute.name),
                "make it a step of its own",
            );
        }
        let silent = step.channels.iter().find(|channel| !channel.delivered);
        if let (Some(silent), Level::Delivered) = (silent, plan.stop) {
            report.warning(
                written.name.referenced,
                format!("nobody learns whether a message on {} arrived: it never stops the cascade", silent.name),
                "use another channel, or `stop: clicked`",
            );
        }
    }
}
