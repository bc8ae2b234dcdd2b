//! An instance moves to another version of its campaign.
//!
//! What was sent stays sent: the ids of its sends are made of what they were when they were sent, and whatever is behind stays behind,
//! by the names of steps and channels; a step that is given up stays behind, too, should a later version have it again. So a migration
//! neither sends a message again nor makes an id twice.

use schemas::{Customer, Instance, Millis, Reason, Stage, Status};

use crate::language::{Anchor, Order, Plan};
use crate::migration::Migration;

use super::case::{Case, Fate};
use super::choice::bit;
use super::dispatch::{current, leave_behind};
use super::{ending, entry, goal, moment};

/// Stands at no step, or at none of a step's alternatives.
const NOWHERE: i32 = -1;

/// Moves an instance, if it is of the version that is left.
pub(super) fn migrate(
    case: &mut Case<'_>,
    customer: &mut Customer,
    instance: &mut Instance,
    migration: &Migration,
) -> Fate {
    let plans = case.plans;
    let Some(from) = plans.of(instance).filter(|_| instance.version == migration.from) else { return Fate::Runs };
    let Some(to) = plans.version(&instance.campaign, migration.to) else { return Fate::Runs };
    let was_over = wait_over(from, customer, instance);
    let standing = usize::try_from(instance.step).ok().filter(|step| *step < from.steps.len());
    let place = standing.and_then(|step| migration.place(step));
    let channel = current(from, instance).and_then(|step| {
        usize::try_from(instance.alternative).ok().and_then(|alternative| step.channels.get(alternative)).copied()
    });
    instance.tried = tried(from, to, instance, migration);
    give_up(from, instance, migration);
    for sent in &mut instance.sends {
        let place = usize::try_from(sent.step).ok().and_then(|step| migration.place(step));
        sent.step = place.map_or(NOWHERE, number);
    }
    instance.tried |= sent(to, instance);
    instance.version = to.version;
    let variants = to.experiment.iter().flat_map(|it| &it.variants);
    // Whoever has begun with one stays with it, whatever the shares are now.
    let stays = variants.map(|(name, _)| name).any(|name| instance.variant.as_ref() == Some(name));
    if !stays {
        instance.variant = to.experiment.as_ref().and_then(|it| it.variant(case.customer_id)).map(str::to_owned);
    }
    if instance.stage != Stage::Settling && to.order == Order::AsWritten {
        let behind = place.or_else(|| standing.map(|step| earlier(migration, step))).unwrap_or(0);
        to.steps[..behind].iter().enumerate().filter(|(step, _)| migration.is_new(*step)).for_each(|(_, step)| {
            leave_behind(instance, step);
        });
    }
    for step in to.steps.iter().filter(|step| instance.given_up.contains(&step.name)).collect::<Vec<_>>() {
        leave_behind(instance, step);
    }
    stand(instance, to, place, channel.map(|channel| channel.name));
    let has_ended = instance.sends.iter().any(|sent| to.stopped_by(sent));
    let mut entry = case.entry(Reason::Migrated).instance(instance).because("from_version", from.version.to_string());
    if let Some(step) = current(to, instance).filter(|_| instance.stage != Stage::Settling) {
        entry = entry.step(step);
    }
    if instance.step == NOWHERE && !has_ended {
        entry = ending::withdraw(case, instance, Reason::Migrated, entry);
    }
    case.write(entry);
    if has_ended {
        return ending::close(case, customer, instance, Reason::StopReached, &[("version", to.version.to_string())]);
    }
    let since = entry::occurred_at(to, instance);
    if let Some(action) = goal::reached_before(&customer.done, to, since, &instance.key, case.now()) {
        let evidence = [("action", action.to_owned()), ("version", to.version.to_string())];
        return ending::close(case, customer, instance, Reason::GoalReached, &evidence);
    }
    reckon(case.now(), customer, from, to, instance, was_over);
    Fate::Runs
}

/// What is behind, by names: a step that was done with stays so, whatever channels it has now.
fn tried(from: &Plan, to: &Plan, instance: &Instance, migration: &Migration) -> i64 {
    let mut tried = 0;
    for (index, step) in from.steps.iter().enumerate() {
        let Some(there) = migration.place(index).map(|place| &to.steps[place]) else { continue };
        let is_tried = |alternative: usize| instance.tried & bit(step, alternative) != 0;
        let is_behind = (0..step.channels.len()).all(is_tried);
        for (alternative, channel) in there.channels.iter().enumerate() {
            let was = step.channels.iter().position(|it| it.name == channel.name);
            if is_behind || was.is_some_and(is_tried) {
                tried |= bit(there, alternative);
            }
        }
    }
    tried
}

/// What went out is behind wherever it has a place: a version in between may not have had its channel there. What was withdrawn gets
/// another chance.
fn sent(to: &Plan, instance: &Instance) -> i64 {
    let mut tried = 0;
    for sent in instance.sends.iter().filter(|sent| sent.failed != Status::Revoked) {
        let Some(step) = usize::try_from(sent.step).ok().and_then(|step| to.steps.get(step)) else { continue };
        if let Some(alternative) = step.channels.iter().position(|channel| channel.name == sent.channel) {
            tried |= bit(step, alternative);
        }
    }
    tried
}

/// Remembers the steps that are no more, if something of them was sent.
fn give_up(from: &Plan, instance: &mut Instance, migration: &Migration) {
    for (index, step) in from.steps.iter().enumerate().filter(|(index, _)| migration.place(*index).is_none()) {
        let was_sent = instance.sends.iter().any(|sent| sent.step == number(index));
        if was_sent && !instance.given_up.contains(&step.name) {
            instance.given_up.push(step.name.clone());
        }
    }
}

/// Behind the last step before this one that has a place.
fn earlier(migration: &Migration, step: usize) -> usize {
    (0..step).rev().find_map(|step| migration.place(step)).map_or(0, |place| place + 1)
}

/// Where it stands now. An alternative that is none any more cannot get another chance.
fn stand(instance: &mut Instance, to: &Plan, place: Option<usize>, channel: Option<&str>) {
    if instance.stage == Stage::Settling {
        (instance.step, instance.alternative) = (0, 0);
        return;
    }
    let alternative = place.and_then(|place| to.steps[place].channels.iter().position(|it| Some(it.name) == channel));
    instance.step = place.map_or(NOWHERE, number);
    instance.alternative = alternative.map_or(NOWHERE, number);
}

/// Reckons anew what it waits for. A command that is out stays valid as long as it was said of it; and where the step was given up,
/// what comes next still waits until the message is answered, or its wait is over.
fn reckon(now: Millis, customer: &Customer, from: &Plan, to: &Plan, instance: &mut Instance, was_over: Option<Millis>) {
    if instance.step == NOWHERE {
        if !matches!(instance.stage, Stage::Dispatched | Stage::Waiting) {
            (instance.stage, instance.due, instance.turn) = (Stage::Delayed, now, now);
        }
        return;
    }
    match instance.stage {
        Stage::Settling => {
            let longer = to.trigger.settle.saturating_sub(from.trigger.settle);
            // Where the time is shorter, it is over now at the earliest: nothing was late.
            let settled_at = instance.settled_at.saturating_add(longer);
            instance.settled_at = settled_at.max(instance.settled_at.min(now));
            instance.due = instance.settled_at;
        }
        Stage::Waiting => {
            // The difference, so that what pauses have added stays.
            if let (Some(was), Some(is)) = (was_over, wait_over(to, customer, instance)) {
                let due = instance.due.saturating_add(is.saturating_sub(was));
                instance.due = due.max(instance.due.min(now));
            }
        }
        // Its moment is judged by the new version at once, also where it is earlier now; a time of day stays that of its turn.
        Stage::Delayed => {
            instance.due = instance.due.min(now);
            let start = current(to, instance).map(|step| &step.start.anchor);
            if matches!(start, Some(Anchor::Trigger | Anchor::HandOver)) {
                instance.turn = instance.turn.min(now);
            }
        }
        Stage::Asking => (instance.stage, instance.due) = (Stage::Delayed, now),
        Stage::Dispatched | Stage::Held | Stage::Unspecified => {}
    }
}

/// When the wait of the message at which it stands is over, without pauses.
fn wait_over(plan: &Plan, customer: &Customer, instance: &Instance) -> Option<Millis> {
    let sent = instance.sends.last().filter(|_| instance.stage == Stage::Waiting)?;
    Some(moment::wait_over(plan, customer, instance, sent.handed_over_at.unwrap_or(sent.send_before)))
}

fn number(index: usize) -> i32 {
    i32::try_from(index).unwrap_or(i32::MAX)
}
