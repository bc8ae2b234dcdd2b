//! A campaign is paused: its instances keep their place, and nothing of them goes out.
//!
//! *Frozen* instances have no deadline; all else that happens to a customer counts for them, too. Everybody is looked at when a
//! campaign is paused and when it is resumed, by a sweep, so that nobody has to look in between. A row that was not looked at during a
//! pause meets it afterwards all the same, and its waits are longer by it.

use schemas::{Customer, Instance, Millis, Reason, Stage};

use crate::language::{Anchor, Plan, Point, Step, Wait};

use super::case::{Case, Fate};
use super::dispatch::{current, waits_for_turn};
use super::{ending, moment, sooner};

/// Stands still. What waits at a worker is withdrawn, unless the pause is over already.
pub(super) fn freeze(case: &mut Case<'_>, instance: &mut Instance, paused_at: Millis, is_over: bool) {
    instance.frozen_at = Some(paused_at.min(case.now()));
    if is_over {
        return;
    }
    let entry = case.entry(Reason::Frozen).instance(instance);
    let entry = ending::withdraw(case, instance, Reason::Frozen, entry);
    case.write(entry);
}

/// Goes on: where it stood, or past what fell due meanwhile.
pub(super) fn thaw(
    case: &mut Case<'_>,
    customer: &Customer,
    instance: &mut Instance,
    resumed_at: Millis,
    goes_on: bool,
) {
    let Some(frozen_at) = instance.frozen_at.take() else { return };
    let standstill = Standstill { from: frozen_at, until: resumed_at.max(frozen_at) };
    if !goes_on {
        instance.skip_until = Some(standstill.until);
    } else if let Some(plan) = case.plans.of(instance) {
        standstill.put_off(case, customer, plan, instance);
    }
    sooner::follow(case, customer, instance);
    let entry = case.entry(Reason::Thawed).instance(instance);
    let entry = entry.because("paused_ms", standstill.until.saturating_sub(standstill.from).to_string());
    case.write(entry.because("policy", if goes_on { "continue" } else { "skip" }));
}

/// Nothing is chosen while it stands still: it stays between two messages, since `ready`.
pub(super) fn stay(case: &Case<'_>, instance: &mut Instance, ready: Millis) -> Fate {
    (instance.stage, instance.due, instance.turn) = (Stage::Delayed, case.now(), ready);
    Fate::Runs
}

/// Until when the message at which an instance stands is waited for, if it was handed over then: a pause is no part of a length.
pub(super) fn wait_over(
    case: &Case<'_>,
    customer: &Customer,
    plan: &Plan,
    instance: &Instance,
    handed_over_at: Millis,
) -> Millis {
    let over = moment::wait_over(plan, customer, instance, handed_over_at);
    match (current(plan, instance), case.plans.life(&plan.name)) {
        (Some(step), Some(life)) if is_length(&step.wait) && !is_from_trigger(&step.wait) => {
            life.lengthened(handed_over_at, over, case.now())
        }
        // The step was given up by a migration: what is waited for stays, or is a day.
        (None, _) if instance.stage == Stage::Waiting => instance.due,
        _ => over,
    }
}

fn is_length(wait: &Wait) -> bool {
    match wait {
        Wait::Active(_) => true,
        Wait::Until(point) => !point.is_dated() && point.shift.landing.is_none(),
    }
}

/// A pause puts off the moment from which such a wait counts.
fn is_from_trigger(wait: &Wait) -> bool {
    matches!(wait, Wait::Until(Point { anchor: Anchor::Trigger, .. }))
}

/// The time for which an instance stood still.
#[derive(Clone, Copy)]
struct Standstill {
    from: Millis,
    until: Millis,
}

impl Standstill {
    /// Puts off what the instance waits for. Lengths, those in days and months too, are longer by the time; a time of day that has passed
    /// comes again after its end; a date stays.
    fn put_off(self, case: &Case<'_>, customer: &Customer, plan: &Plan, instance: &mut Instance) {
        let length = self.until.saturating_sub(self.from);
        if instance.stage == Stage::Settling {
            // What came anew meanwhile settles from then on.
            let came = instance.settled_at.saturating_sub(plan.trigger.settle);
            let length = self.until.saturating_sub(came.max(self.from)).max(0);
            instance.settled_at = instance.settled_at.saturating_add(length);
            instance.due = instance.settled_at;
            return;
        }
        instance.settled_at = instance.settled_at.saturating_add(length);
        match (instance.stage, current(plan, instance)) {
            (Stage::Waiting, Some(step)) => self.put_off_wait(case, customer, plan, instance, step),
            (Stage::Waiting, None) => instance.due = instance.due.saturating_add(length),
            (Stage::Delayed, Some(step)) if waits_for_turn(step, instance) => {
                self.put_off_turn(customer, plan, instance, step);
            }
            (Stage::Delayed, _) => (instance.turn, instance.due) = (self.until, self.until),
            (Stage::Held | Stage::Asking, Some(step)) => {
                self.put_off_turn(customer, plan, instance, step);
                // Where its date is gone meanwhile, that is seen at once.
                let until = moment::valid_until(plan, customer, instance, step, instance.turn);
                instance.due = until.unwrap_or(self.until);
            }
            // Its answer, or the end of its validity, comes when it comes; if it was withdrawn its turn goes on.
            (Stage::Dispatched, Some(step)) if !step.start.is_dated() => {
                instance.turn = instance.turn.saturating_add(length);
            }
            _ => {}
        }
    }

    fn put_off_wait(self, case: &Case<'_>, customer: &Customer, plan: &Plan, instance: &mut Instance, step: &Step) {
        let zone = moment::zone(plan, customer).0;
        match &step.wait {
            wait if is_length(wait) => {
                let last = instance.sends.last();
                let from = last.map_or(self.from, |sent| sent.handed_over_at.unwrap_or(sent.send_before));
                let over = wait_over(case, customer, plan, instance, from);
                // It was still waited for: a shorter wait, to which it has moved meanwhile, is over at its end at the earliest.
                instance.due = if instance.due > self.from { over.max(self.until) } else { over };
            }
            Wait::Until(Point { shift, .. }) if !is_dated(&step.wait) && instance.due < self.until => {
                instance.due = shift.land(self.until, &zone);
            }
            _ => {}
        }
    }

    fn put_off_turn(self, customer: &Customer, plan: &Plan, instance: &mut Instance, step: &Step) {
        let length = self.until.saturating_sub(self.from);
        let Point { shift, .. } = &step.start;
        if step.start.is_dated() {
            // Its moment stands in the calendar.
        } else if instance.turn <= self.from || shift.landing.is_none() {
            // It was its turn, and something kept it back; or it is a length away.
            instance.turn = instance.turn.saturating_add(length);
        } else if instance.turn < self.until {
            instance.turn = shift.land(self.until, &moment::zone(plan, customer).0);
        }
        instance.due = instance.turn.max(self.until);
    }
}

fn is_dated(wait: &Wait) -> bool {
    matches!(wait, Wait::Until(point) if point.is_dated())
}
