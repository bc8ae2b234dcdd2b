//! Warnings: allowed, but seldom meant.

use schemas::{Class, Millis};

use super::plan::{Cause, Level, Plan, Step, TriggerKind, Wait};
use super::problem::Report;
use super::raw;

const HOUR: Millis = 3_600_000;
const MONTH: Millis = 30 * 24 * HOUR;
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
    if let Some(written) = &raw.asleep {
        asleep(plan, written, report);
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
        calls(plan, step, written, report);
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

/// Whom silence says something of.
fn asleep(plan: &Plan, written: &raw::Asleep, report: &mut Report<'_>) {
    let place = written.after.referenced;
    if plan.class == Class::Transactional {
        let hint = "remove it, or write `class: marketing`";
        report.warning(place, "customers wait for these messages: nobody is left out of them", hint);
    } else if !plan.steps.iter().any(|step| step.channels.iter().any(|channel| channel.opened)) {
        let hint = "remove it: silence says nothing where nobody learns of opening";
        report.warning(place, "no channel of this campaign tells of opening", hint);
    }
    if plan.asleep.is_some_and(|asleep| asleep.after.about() < MONTH) {
        report.warning(place, "a month of silence is no sleep", "write `after: 6 months`");
    }
}

/// People call by day, and not within minutes.
fn calls(plan: &Plan, step: &Step, written: &raw::Step, report: &mut Report<'_>) {
    if !step.is_for_person() {
        return;
    }
    let place = written.name.referenced;
    if plan.class == Class::Marketing && plan.quiet.is_none() {
        report.warning(
            place,
            "somebody may have to call at night",
            "add `quiet: {hours: 21:00-10:00}` to the campaign",
        );
    }
    let is_short = match &step.wait {
        Wait::Until(point) => !point.is_dated() && point.shift.is_exact() && point.shift.millis < HOUR,
        Wait::Active(length) => *length < HOUR,
    };
    if let (Some(wait), true) = (&written.wait, is_short) {
        report.warning(
            wait.referenced,
            "nobody can have called so soon",
            "write `wait: 1d`: the outcome ends it sooner",
        );
    }
}
