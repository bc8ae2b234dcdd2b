//! Warnings: allowed, but seldom meant.

mod moments;
mod reach;
#[cfg(test)]
mod tests;

use schemas::{Class, Millis};

use crate::calendar::spell;

use super::plan::{Anchor, Cause, Level, Plan, Point, Step, TriggerKind, Wait};
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
    reach::lint(raw, plan, report);
    for (index, (step, written)) in plan.steps.iter().zip(&raw.steps).enumerate() {
        let mute = step.channels.iter().find(|channel| !channel.opened);
        if let (Some(mute), true) = (mute, step.leads_on(Cause::NotOpened)) {
            report.warning(
                written.name.referenced,
                format!("nobody learns whether a message on {} was opened: where it is taken, the cascade ends without that word", mute.name),
                "make it a step of its own",
            );
        }
        calls(plan, step, written, report);
        receipts(plan, step, written, raw.steps.get(index + 1), report);
        moments::lint(plan, index, written, report);
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
    let usual = step.channels.iter().map(|channel| channel.word_within).max().unwrap_or(0);
    if let (Some(wait), true) = (&written.wait, waited_for(step).is_some_and(|length| length < usual)) {
        report.warning(
            wait.referenced,
            "nobody can have called so soon",
            "write `wait: 1d`: the outcome ends it sooner",
        );
    }
}

/// How long a message is waited for after its hand-over, where that is the same for everybody.
fn waited_for(step: &Step) -> Option<Millis> {
    match &step.wait {
        Wait::Until(Point { anchor: Anchor::HandOver, shift }) if shift.is_exact() => Some(shift.millis),
        Wait::Until(_) => None,
        Wait::Active(length) => Some(*length),
    }
}

/// A wait that is over before word can have come takes every message for one that nobody got.
fn receipts(plan: &Plan, step: &Step, written: &raw::Step, next: Option<&raw::Step>, report: &mut Report<'_>) {
    let for_word = matches!(plan.stop, Level::Delivered | Level::Opened)
        || [Cause::NotDelivered, Cause::NoInformation, Cause::NotOpened].into_iter().any(|it| step.leads_on(it))
            && !step.leads_on(Cause::NoGoal);
    let slowest = step.channels.iter().filter(|channel| !channel.person).max_by_key(|channel| channel.word_within);
    let (Some(channel), Some(length), true) = (slowest, waited_for(step), for_word) else { return };
    if length >= channel.word_within {
        return;
    }
    let place =
        written.wait.as_ref().or_else(|| next?.after.as_ref()).map_or(written.name.referenced, |it| it.referenced);
    let usual = spell(channel.word_within);
    report.warning(
        place,
        format!("word of a message on {} usually takes up to {usual}: this wait is over before it", channel.name),
        format!("wait for `{usual}` or longer"),
    );
}
