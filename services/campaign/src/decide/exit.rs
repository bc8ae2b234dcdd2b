//! A message is given up: on to the step's next alternative, to the next step, or to the end.

use schemas::{Customer, Feedback, Instance, Millis, Outcome, Reason, Sent, Stage, Status};

use crate::channel::reason_of;
use crate::language::{Cause, Plan, Step};
use crate::limits;

use super::bill::{Move, learn};
use super::case::{Case, Entry, Fate};
use super::choice::is_open;
use super::dispatch::{self, advance, chances, current, exhausted, leave_behind, untry};
use super::moment;
use super::pause::wait_over;

/// Why a message is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// Somebody said that it did not arrive.
    NotDelivered,
    /// Worker or provider would not have it.
    Refused,
    /// It could not be handed over in time: an outage.
    Expired,
    /// Somebody else withdrew it.
    Revoked,
    /// The wait is over: no word of it.
    NoInformation,
    /// The wait is over: not opened.
    NotOpened,
    /// The wait is over: no goal.
    NoGoal,
    /// A person told that the task came to this.
    Outcome(Outcome),
}

impl Exit {
    pub fn reason(self) -> Reason {
        match self {
            Exit::NotDelivered => Reason::NotDelivered,
            Exit::Refused => Reason::Refused,
            Exit::Expired => Reason::Expired,
            Exit::Revoked => Reason::Revoked,
            Exit::NoInformation => Reason::NoInformation,
            Exit::NotOpened => Reason::NotOpened,
            Exit::NoGoal => Reason::NoGoal,
            Exit::Outcome(outcome) => reason_of(outcome).unwrap_or(Reason::NotDelivered),
        }
    }

    fn cause(self) -> Cause {
        match self {
            Exit::NotDelivered => Cause::NotDelivered,
            Exit::Refused | Exit::Expired | Exit::Revoked => Cause::CannotSend,
            Exit::NoInformation => Cause::NoInformation,
            Exit::NotOpened => Cause::NotOpened,
            Exit::NoGoal => Cause::NoGoal,
            Exit::Outcome(outcome) => Cause::Outcome(outcome),
        }
    }

    /// Whether a step leads on by it. Whom nobody could speak to, the message was not delivered to.
    fn leads_on(self, step: &Step) -> bool {
        let is_failure = matches!(self, Exit::Outcome(_)) && self.leaves_step_open();
        step.leads_on(self.cause()) || (is_failure && step.leads_on(Cause::NotDelivered))
    }

    /// Why a message was given up by what is known of it; none where nobody said that it failed.
    fn of(sent: &Sent) -> Option<Self> {
        Some(match sent.failed {
            Status::Unspecified | Status::Unknown => return None,
            _ if sent.outcome != Outcome::Unspecified => Exit::Outcome(sent.outcome),
            Status::Refused => Exit::Refused,
            Status::Expired => Exit::Expired,
            Status::Revoked => Exit::Revoked,
            _ => Exit::NotDelivered,
        })
    }

    /// It reached nobody, so "any of these" is still unfulfilled.
    fn leaves_step_open(self) -> bool {
        match self {
            Exit::NotDelivered | Exit::Refused | Exit::Expired | Exit::Revoked => true,
            Exit::Outcome(outcome) => outcome.status().is_some_and(|status| status > Status::Replied),
            Exit::NoInformation | Exit::NotOpened | Exit::NoGoal => false,
        }
    }
}

/// Whether a step of which nothing is left to try leads on: since none of it could be sent, or by what became of one that was.
pub(super) fn leads_on(step: &Step, index: usize, instance: &Instance) -> bool {
    let of_step = |sent: &&Sent| usize::try_from(sent.step).is_ok_and(|step| step == index);
    let mut failed = instance.sends.iter().filter(of_step).filter_map(Exit::of);
    step.leads_on(Cause::CannotSend) || failed.any(|exit| exit.leads_on(step))
}

/// Gives up the message at which the instance stands, which the entry tells. What follows it is valid from `ready` on.
pub(super) fn leave(
    case: &mut Case<'_>,
    customer: &mut Customer,
    plan: &Plan,
    instance: &mut Instance,
    exit: Exit,
    entry: Entry,
    ready: Millis,
) -> Fate {
    case.write(entry);
    // A step that a migration gave up: on to what comes next.
    let Some(step) = current(plan, instance) else { return advance(case, customer, plan, instance, ready) };
    if !(exit.leaves_step_open() && is_open(plan, &case.fares(customer), step, instance)) {
        leave_behind(instance, step);
        if !exit.leads_on(step) {
            return exhausted(case, customer, plan, instance);
        }
    }
    advance(case, customer, plan, instance, ready)
}

/// A command of ours was withdrawn because of a hold or a pause, and nobody saw it: the same message has another chance within its
/// validity. A withdrawal that we know nothing of gives the message up.
pub(super) fn withdrawn(case: &mut Case<'_>, customer: &mut Customer, plan: &Plan, instance: &mut Instance) -> Fate {
    let ours = instance.sends.last().is_some_and(|sent| sent.failed == Status::Revoked);
    let Some(step) = current(plan, instance).filter(|_| ours && chances(instance) < limits::ATTEMPTS) else {
        let now = case.now();
        let last = instance.sends.last_mut();
        let money = last.map_or_else(Move::default, |sent| learn(sent, |sent| sent.failed = Status::Revoked));
        let entry = about_last(case, plan, instance, Reason::Revoked).moves(money);
        return leave(case, customer, plan, instance, Exit::Revoked, entry, now);
    };
    // Its price was given back when it was withdrawn.
    let entry = about_last(case, plan, instance, Reason::Revoked);
    case.write(entry);
    again(case, customer, plan, instance, step)
}

/// It could not be handed over in time. Where only the night ended that time, the same message has another chance within its validity.
pub(super) fn expired(
    case: &mut Case<'_>,
    customer: &mut Customer,
    plan: &Plan,
    instance: &mut Instance,
    word: &Feedback,
) -> Fate {
    let now = case.now();
    let Some(last) = instance.sends.last_mut() else { return Fate::Runs };
    let (money, send_before) = (learn(last, |sent| sent.failed = Status::Expired), last.send_before);
    let entry = about_last(case, plan, instance, Reason::Expired).coded(word).moves(money);
    let goes_on = |step: &&Step| {
        let until = moment::valid_until(plan, customer, instance, step, instance.turn);
        until.is_some_and(|until| send_before.max(now) < until) && chances(instance) < limits::ATTEMPTS
    };
    match current(plan, instance).filter(goes_on) {
        Some(step) => {
            case.write(entry);
            again(case, customer, plan, instance, step)
        }
        None => leave(case, customer, plan, instance, Exit::Expired, entry, now),
    }
}

/// The message at which the instance stands has another chance: nobody saw its command.
fn again(case: &mut Case<'_>, customer: &mut Customer, plan: &Plan, instance: &mut Instance, step: &Step) -> Fate {
    let now = case.now();
    let send_before = instance.sends.last().map_or(now, |sent| sent.send_before);
    untry(instance, step);
    if customer.held.is_some() {
        (instance.stage, instance.due) = (Stage::Held, send_before);
        return Fate::Runs;
    }
    // It is this message's turn as before.
    let ready = instance.turn;
    (instance.stage, instance.due) = (Stage::Delayed, now);
    dispatch::advance(case, customer, plan, instance, ready)
}

/// Nobody answered until no worker could hand it over any more. It may have gone out all the same: undecided until its
/// wait is over, and never the cause of a dearer message, for silence is an outage of ours.
pub(super) fn silent(case: &mut Case<'_>, customer: &mut Customer, plan: &Plan, instance: &mut Instance) -> Fate {
    let Some(sent) = instance.sends.last_mut() else { return exhausted(case, customer, plan, instance) };
    let money = learn(sent, leave_in_doubt);
    let handed_over_by = sent.send_before;
    (instance.stage, instance.due) = (Stage::Waiting, wait_over(case, customer, plan, instance, handed_over_by));
    let entry = about_last(case, plan, instance, Reason::UnknownOutcome).because("answer", "none").moves(money);
    case.write(entry);
    Fate::Runs
}

/// It may have gone out, also where it was withdrawn. A provider that has deferred it, has it.
pub(super) fn leave_in_doubt(sent: &mut Sent) {
    if sent.failed != Status::BouncedSoft {
        sent.failed = Status::Unknown;
    }
}

/// An entry about the message at which the instance stands.
pub(super) fn about_last(case: &Case<'_>, plan: &Plan, instance: &Instance, reason: Reason) -> Entry {
    let entry = case.entry(reason).instance(instance);
    match instance.sends.last() {
        Some(sent) => entry.send(plan, sent),
        None => entry,
    }
}
