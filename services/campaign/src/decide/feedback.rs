//! What became of a message: positive words join on a lattice, negative ones stand beside it.

use std::borrow::Cow;

use schemas::{Customer, Feedback, Id, Instance, Millis, Outcome, Past, Reason, Sent, Stage, Status};

use crate::channel::reason_of;
use crate::language::{Cause, Plan};

use super::bill::{Move, learn};
use super::case::{Case, Fate, each};
use super::exit::{Exit, about_last, expired, leave, leave_in_doubt, withdrawn};
use super::pause::wait_over;
use super::{bill, ending, memory, merge, profile};

/// Considers a word about a send. Returns whether it changed anything that a repeat could change again.
pub(super) fn consider(case: &mut Case<'_>, customer: &mut Customer, word: &Feedback) -> bool {
    let word = &*stated(word);
    let id = word.send_id.as_deref().and_then(Id::parse);
    if matches!(word.status, Status::Unsubscribed | Status::Complained) {
        return profile::opt_out(case, customer, word, id);
    }
    let Some(id) = id.filter(|_| word.status != Status::Unspecified) else { return false };
    if (Status::Opened..=Status::Replied).contains(&word.meant()) {
        // Nobody reacts before it was decided, whatever his clock says.
        let sends = customer.instances.iter().flat_map(|instance| &instance.sends);
        let decided_at = sends.filter(|sent| sent.id == id).map(|sent| sent.decided_at).next();
        let at = word.occurred_at.min(case.now()).max(decided_at.unwrap_or(Millis::MIN));
        memory::hear(case.plans, customer, &word.channel, at);
    }
    let arrived = |sent: &Sent| sent.id == id && sent.reached >= Status::Delivered;
    // A later word of its arrival counts it again.
    let reached_nobody =
        matches!(word.status, Status::Refused | Status::Expired | Status::Revoked | Status::BouncedHard);
    if reached_nobody && !customer.instances.iter().any(|instance| instance.sends.iter().any(arrived)) {
        memory::uncount(customer, id);
    }
    if !customer.instances.iter().any(|instance| instance.sends.iter().any(|sent| sent.id == id)) {
        return late(case, customer, word, id);
    }
    each(case, customer, |case, customer, instance| {
        let plans = case.plans;
        let index = instance.sends.iter().position(|sent| sent.id == id);
        match (plans.of(instance), index) {
            (Some(plan), Some(index)) if word.meant() <= Status::Replied => {
                positive(case, customer, plan, instance, index, word)
            }
            (Some(plan), Some(index)) => negative(case, customer, plan, instance, index, word),
            _ => Fate::Runs,
        }
    })
}

/// The word with the status that it states.
fn stated(word: &Feedback) -> Cow<'_, Feedback> {
    match word.stated() {
        status if status == word.status => Cow::Borrowed(word),
        status => Cow::Owned(Feedback { status, ..word.clone() }),
    }
}

/// Positive words come before negative ones in the order of symbols, which is part of the contract.
const _: () = assert!((Status::Replied as u8) < (Status::Refused as u8));

/// A word about a send of a cascade that ended, or of none: harmless, told once where the send is known. Its money is the campaign's, also
/// where the cascade itself is forgotten by now.
fn late(case: &mut Case<'_>, customer: &mut Customer, word: &Feedback, id: Id) -> bool {
    let past = customer.past.iter().find(|past| past.sends.contains(&id));
    let reason = if past.is_some_and(|past| reaches_again(case, past, word, id)) {
        Reason::DoubleReached
    } else {
        Reason::LateFeedback
    };
    let mut entry = case.entry(reason).late(word);
    if let Some(past) = past {
        entry = entry.campaign(&past.campaign).because("ended", past.reason.as_str());
    }
    let ended_at = past.map(|past| past.ended_at);
    let settled = bill::late(customer, id, word.meant());
    let is_known = ended_at.is_some() || settled.is_some();
    if let Some((money, campaign)) = settled {
        entry = entry.campaign(&campaign).moves(money);
    }
    case.write(entry);
    // When it was sent is forgotten; not after its cascade had ended. Nor is it known under which of several ids, to whose address.
    let has_one_id = customer.formerly.iter().all(|former| former.adopted.is_none());
    if let (Status::BouncedHard, Some(ended_at), true) = (word.status, ended_at, has_one_id) {
        profile::bury(case, customer, &word.channel, ended_at);
    }
    is_known
}

/// Whether an earlier message of a cascade proves to have arrived after a later one has stopped it: the customer got both.
fn reaches_again(case: &Case<'_>, past: &Past, word: &Feedback, id: Id) -> bool {
    let stop = case.plans.newest(&past.campaign).map(|plan| plan.stop);
    let reached = word.meant();
    past.reason == Reason::StopReached
        && past.sends.last() != Some(&id)
        && (Status::Delivered..=Status::Replied).contains(&reached)
        && stop.is_none_or(|stop| stop.reached_by(reached, word.outcome))
}

fn positive(
    case: &mut Case<'_>,
    customer: &mut Customer,
    plan: &Plan,
    instance: &mut Instance,
    index: usize,
    word: &Feedback,
) -> Fate {
    let status = word.meant();
    let is_last = index + 1 == instance.sends.len();
    let sent = &mut instance.sends[index];
    // Only the worker knows when it handed over: whoever tells of what came later tells nothing of that. And his clock is bounded by
    // ours: not before the decision, not after now.
    let told_at = if word.status == Status::Accepted { word.occurred_at } else { case.now() };
    let at = told_at.min(case.now()).max(sent.decided_at);
    // That it may have gone out was no word that it did.
    let first = sent.reached == Status::Unspecified;
    let earlier = sent.handed_over_at.is_none_or(|known| at < known);
    let comes_to = word.outcome > sent.outcome;
    let further = status > sent.reached || comes_to;
    if !further && !earlier {
        return Fate::Runs;
    }
    let money = learn(sent, |sent| {
        sent.handed_over_at = if earlier { Some(at) } else { sent.handed_over_at };
        sent.reached = sent.reached.max(status);
        sent.outcome = sent.outcome.max(word.outcome);
        if matches!(sent.failed, Status::Unknown | Status::Expired | Status::Revoked) {
            sent.failed = Status::Unspecified;
        }
    });
    memory::count(case, customer, plan, sent);
    if first && status < Status::Opened {
        memory::speak(case.plans, customer, sent);
    }
    let (reached, handed_over_at) = (sent.reached, sent.handed_over_at.unwrap_or(at));
    if is_last && matches!(instance.stage, Stage::Dispatched | Stage::Waiting) {
        (instance.stage, instance.due) = (Stage::Waiting, wait_over(case, customer, plan, instance, handed_over_at));
    }
    let sent = &instance.sends[index];
    let outcome = sent.outcome;
    let step = usize::try_from(sent.step).ok().and_then(|step| plan.steps.get(step));
    // The step was left because of something that proves wrong now: what would follow it must not.
    let is_left = !is_last || matches!(instance.stage, Stage::Delayed | Stage::Held | Stage::Asking);
    let refuted = is_left && step.is_some_and(|step| step.satisfied_by(reached, outcome));
    let stops = plan.stopped_by(sent) || refuted;
    let leads_on = step.is_some_and(|step| step.leads_on(Cause::Outcome(outcome)));
    // What moves money is told, though it may decide nothing.
    let moves = || (money != Move::default()).then_some(Reason::HandedOver);
    let reason = match comes_to.then(|| reason_of(outcome)).flatten() {
        _ if stops && !is_last => Some(Reason::DoubleReached),
        Some(reason) => Some(reason),
        None => told(word, further, first).or_else(moves),
    };
    let entry = |case: &Case<'_>, instance: &Instance, reason| {
        let entry = case.entry(reason).instance(instance).send(plan, &instance.sends[index]);
        entry.told(word).moves(money)
    };
    if comes_to && leads_on && !is_left {
        let (exit, now) = (Exit::Outcome(outcome), case.now());
        let entry = entry(case, instance, exit.reason());
        return leave(case, customer, plan, instance, exit, entry, now);
    }
    if let Some(reason) = reason {
        let entry = entry(case, instance, reason);
        case.write(entry);
    }
    if comes_to && outcome == Outcome::Declined && !leads_on {
        return ending::close(case, customer, instance, Reason::TurnedDown, &[]);
    }
    if stops {
        let evidence = [("reached", reached.to_string())];
        return ending::close(case, customer, instance, Reason::StopReached, &evidence);
    }
    Fate::Runs
}

/// Under which reason a positive word is written down. "Passed on" after "accepted" decides nothing and is not told.
fn told(word: &Feedback, further: bool, first: bool) -> Option<Reason> {
    Some(match (word.status, word.meant()) {
        (Status::Accepted, _) => Reason::HandedOver,
        (Status::Sent, _) if first => Reason::HandedOver,
        (Status::Sent, _) => return None,
        _ if !further => return None,
        (Status::Opened | Status::Clicked, Status::Delivered) => Reason::MachineOpened,
        (_, Status::Opened) => Reason::Opened,
        (_, Status::Clicked) => Reason::Clicked,
        (_, Status::Replied) => Reason::Replied,
        _ => Reason::Delivered,
    })
}

fn negative(
    case: &mut Case<'_>,
    customer: &mut Customer,
    plan: &Plan,
    instance: &mut Instance,
    index: usize,
    word: &Feedback,
) -> Fate {
    let is_current = index + 1 == instance.sends.len() && matches!(instance.stage, Stage::Dispatched | Stage::Waiting);
    let sent = &instance.sends[index];
    // A human read it: whatever a provider says now is wrong. And whether it was handed over is known.
    if sent.reached >= Status::Opened || (word.status == Status::Unknown && sent.handed_over_at.is_some()) {
        return Fate::Runs;
    }
    // What went out under another id went to another address.
    if word.status == Status::BouncedHard && merge::former_id(instance, index).is_none() {
        profile::bury(case, customer, &sent.channel, sent.decided_at);
    }
    if is_current {
        return current_failed(case, customer, plan, instance, word);
    }
    let is_settled = !says_more(word.status, sent.failed);
    // Of outcomes the one further down the list holds, in whatever order they come.
    if is_settled && word.outcome <= sent.outcome {
        return Fate::Runs;
    }
    let money = learn(&mut instance.sends[index], |sent| {
        sent.failed = if is_settled { sent.failed } else { word.status };
        sent.outcome = sent.outcome.max(word.outcome);
    });
    let reason = match word.status {
        _ if word.outcome != Outcome::Unspecified => reason_of(word.outcome).unwrap_or(Reason::NotDelivered),
        Status::Refused => Reason::Refused,
        Status::Expired => Reason::Expired,
        Status::Revoked => Reason::Revoked,
        Status::Unknown => Reason::UnknownOutcome,
        Status::BouncedSoft => Reason::Deferred,
        _ => Reason::NotDelivered,
    };
    let entry = case.entry(reason).instance(instance).send(plan, &instance.sends[index]);
    case.write(entry.coded(word).moves(money));
    Fate::Runs
}

/// Whether a negative word outdoes what is known. Two may leave open what becomes of a message, and a provider that defers it has it:
/// so they join, in whatever order they come. Of the others the first holds.
fn says_more(word: Status, known: Status) -> bool {
    let vague = [Status::Unspecified, Status::Unknown, Status::BouncedSoft];
    let rank = |status| vague.iter().position(|it| *it == status).unwrap_or(vague.len());
    rank(word) > rank(known)
}

/// A negative word about the message at which the instance stands.
fn current_failed(
    case: &mut Case<'_>,
    customer: &mut Customer,
    plan: &Plan,
    instance: &mut Instance,
    word: &Feedback,
) -> Fate {
    let now = case.now();
    let Some(sent) = instance.sends.last_mut() else { return Fate::Runs };
    let handed_over = sent.handed_over_at.is_some();
    let exit = match word.status {
        Status::Revoked if handed_over => return Fate::Runs,
        Status::Revoked => return withdrawn(case, customer, plan, instance),
        Status::Unknown => {
            let at = word.occurred_at.min(now).max(sent.decided_at);
            let money = learn(sent, |sent| {
                leave_in_doubt(sent);
                sent.handed_over_at = Some(at);
            });
            (instance.stage, instance.due) = (Stage::Waiting, wait_over(case, customer, plan, instance, at));
            let entry = about_last(case, plan, instance, Reason::UnknownOutcome).coded(word).moves(money);
            case.write(entry);
            return Fate::Runs;
        }
        Status::BouncedSoft => {
            if says_more(word.status, sent.failed) {
                sent.failed = Status::BouncedSoft;
                let entry = about_last(case, plan, instance, Reason::Deferred).coded(word);
                case.write(entry);
            }
            return Fate::Runs;
        }
        Status::Refused => Exit::Refused,
        Status::Expired if !handed_over => return expired(case, customer, plan, instance, word),
        _ if word.outcome != Outcome::Unspecified => Exit::Outcome(word.outcome),
        _ => Exit::NotDelivered,
    };
    let money = learn(sent, |sent| (sent.failed, sent.outcome) = (word.status, sent.outcome.max(word.outcome)));
    let entry = about_last(case, plan, instance, exit.reason()).coded(word).moves(money);
    leave(case, customer, plan, instance, exit, entry, now)
}
