//! The next message: whether it may go out, and the command.

use schemas::{Class, Contact, Customer, Fields, Id, Instance, Millis, Outcome, Reason, Send, Sent, Stage, Status};

use crate::caps::Then;
use crate::channel::Channel;
use crate::language::{Asleep, AtNight, Plan, Sleeper, Step};
use crate::limits;
use crate::predicate::Scope;
use crate::prices::Charge;

use super::case::{Case, Entry, Fate};
use super::choice::{self, bit, is_open, next};
use super::{Effect, asking, ending, exit, memory, moment, pause};

/// Chooses the next message and sends it, waits for its moment, or ends the instance. `ready` is when it was this
/// message's turn: its validity counts from then, however late the deadline is seen.
///
/// Every pass of the loop leaves a message behind for good, so it ends.
pub(super) fn advance(
    case: &mut Case<'_>,
    customer: &mut Customer,
    plan: &Plan,
    instance: &mut Instance,
    ready: Millis,
) -> Fate {
    if instance.frozen_at.is_some() {
        return pause::stay(case, instance, ready);
    }
    let start = case.effects.len();
    let mut ready = ready;
    while let Some((index, alternative)) = next_of_variant(case, customer, plan, instance) {
        let step = &plan.steps[index];
        let waits = waits_for(instance, index, alternative);
        let waited_until = waited_until(instance).filter(|_| waits);
        stand_at(instance, index, alternative);
        let Some(turn) = moment::turn(plan, customer, instance, step, ready, waits) else {
            pass_over(case, instance, step, Reason::NoDate);
            ready = case.now();
            continue;
        };
        if turn > case.now() {
            let told = case.effects.len() > start || !by_deadline(plan, instance);
            (instance.stage, instance.due, instance.turn) = (Stage::Delayed, turn, turn);
            if !told {
                let entry = case.entry(Reason::Delayed).instance(instance).step(step);
                case.write(entry);
            }
            return Fate::Runs;
        }
        // A date may come until its turn.
        let Some(send_before) = moment::valid_until(plan, customer, instance, step, turn) else {
            pass_over(case, instance, step, Reason::NoDate);
            ready = case.now();
            continue;
        };
        instance.turn = turn;
        let came = waited_until.map_or(turn, |until| until.max(turn));
        let passed_over = instance.skip_until.is_some_and(|until| came < until);
        let times = Times { ready, late: case.now().saturating_sub(came), passed_over, send_before };
        if let Some(kept) = keep_back(case, customer, plan, instance, step, &times) {
            if kept == Kept::Waits {
                return Fate::Runs;
            }
            leave_behind(instance, step);
        } else if !condition_holds(case, plan, step, instance, customer) {
            pass_over(case, instance, step, Reason::StepSkipped);
        } else if is_usable(case, customer, plan, instance, step, step.channels[alternative]) {
            match over_cap(case, customer, plan, instance, step, send_before) {
                Room::Is => {
                    if asking::asks(case, customer, plan, instance, send_before) {
                        return Fate::Runs;
                    }
                    report_asleep(case, customer, plan, instance, step);
                    send(case, customer, plan, instance, send_before);
                    return Fate::Runs;
                }
                Room::Later => return Fate::Runs,
                Room::Elsewhere => instance.tried |= bit(step, alternative),
                Room::Never(evidence) => {
                    return ending::close(case, customer, instance, Reason::Capped, &evidence);
                }
            }
        } else {
            instance.tried |= bit(step, alternative);
            if !is_open(plan, &case.fares(customer), step, instance) {
                let entry = refused(case, customer, plan, step, instance);
                case.write(entry);
                leave_behind(instance, step);
                if !exit::leads_on(step, index, instance) {
                    return exhausted(case, customer, plan, instance);
                }
            }
        }
        ready = case.now();
    }
    exhausted(case, customer, plan, instance)
}

/// The message whose turn it is. A variant is for ever: what is not for it is skipped, and has no turn that anybody could wait for.
fn next_of_variant(
    case: &mut Case<'_>,
    customer: &Customer,
    plan: &Plan,
    instance: &mut Instance,
) -> Option<(usize, usize)> {
    loop {
        let (index, alternative) = next(plan, &case.fares(customer), customer, instance)?;
        let step = &plan.steps[index];
        if step.is_for(instance.variant.as_deref()) {
            return Some((index, alternative));
        }
        stand_at(instance, index, alternative);
        pass_over(case, instance, step, Reason::StepSkipped);
    }
}

/// Until when something kept back the message at which an instance stands. How late it was before its price was asked for, was judged
/// then.
fn waited_until(instance: &Instance) -> Option<Millis> {
    match instance.stage {
        Stage::Delayed => Some(instance.due),
        Stage::Asking => instance.asked_at,
        _ => None,
    }
}

/// The turn of a message has come: since when it could be, how late that is seen, whether it came in a pause that is passed over, and
/// until when it may go out.
struct Times {
    ready: Millis,
    late: Millis,
    passed_over: bool,
    send_before: Millis,
}

/// What becomes of a message that cannot go out now.
#[derive(PartialEq, Eq)]
enum Kept {
    Waits,
    Left,
}

/// Keeps back a message whose validity is over, whose customer is held, or who sleeps.
fn keep_back(
    case: &mut Case<'_>,
    customer: &Customer,
    plan: &Plan,
    instance: &mut Instance,
    step: &Step,
    times: &Times,
) -> Option<Kept> {
    if case.now() >= times.send_before || times.late > step.late || times.passed_over {
        // What was over before its turn came was kept back by nobody.
        if times.ready < times.send_before {
            close_dearer(case, customer, plan, instance, step);
        }
        let entry = case.entry(Reason::ValidityOver).instance(instance).step(step);
        let entry = entry.because("valid_until", times.send_before.to_string());
        let entry = if times.passed_over { entry.because("paused", "its turn came meanwhile") } else { entry };
        case.write(entry.because("late_ms", times.late.to_string()));
        return Some(Kept::Left);
    }
    if let Some(hold) = &customer.held {
        let entry = case.entry(Reason::Held).instance(instance).step(step).because("code", hold.code.as_str());
        case.write(entry);
        (instance.stage, instance.due) = (Stage::Held, times.send_before);
        return Some(Kept::Waits);
    }
    // Who has no contact has none in the morning: what follows need not wait for that.
    if !step.channels.iter().any(|channel| eligible(plan.class, channel, customer).is_ok()) {
        return None;
    }
    let span = (case.now(), times.send_before);
    let (policy, release) = moment::at_night(plan, customer, case.customer_id, step, span)?;
    let waits = policy == AtNight::Hold && release < times.send_before;
    let entry = quiet(case, plan, customer, step, instance, waits);
    case.write(entry);
    if waits {
        (instance.stage, instance.due) = (Stage::Delayed, release);
        return Some(Kept::Waits);
    }
    if policy != AtNight::Skip {
        close_dearer(case, customer, plan, instance, step);
    }
    Some(Kept::Left)
}

/// What was kept back makes no room for anything dearer, if it would have gone out: one that is not for this customer, or has no contact,
/// is skipped at night as it is by day.
fn close_dearer(case: &Case<'_>, customer: &Customer, plan: &Plan, instance: &mut Instance, step: &Step) {
    if !condition_holds(case, plan, step, instance, customer) {
        return;
    }
    let fares = case.fares(customer);
    let is_usable = |channel: &&Channel| eligible(plan.class, channel, customer).is_ok();
    let chosen = channel_of(step, instance).filter(is_usable);
    let others = step.channels.iter().copied().filter(is_usable);
    let cost = chosen.or_else(|| others.min_by_key(|channel| fares.cost(step, channel)));
    if let Some(cost) = cost.map(|channel| fares.cost(step, channel)).filter(|_| !step.escalate_on_outage) {
        lower_ceiling(instance, cost);
    }
}

/// Whether there is a contact and a consent, unless the contact is asleep and left out.
fn is_usable(
    case: &mut Case<'_>,
    customer: &Customer,
    plan: &Plan,
    instance: &mut Instance,
    step: &Step,
    channel: &Channel,
) -> bool {
    if eligible(plan.class, channel, customer).is_err() || lacks_price(case, customer, plan, step, channel) {
        return false;
    }
    let asleep = plan.asleep.zip(moment::asleep_since(plan, customer, channel, case.now()));
    let Some((Asleep { then, .. }, since)) = asleep.filter(|(asleep, _)| asleep.then != Sleeper::Report) else {
        return true;
    };
    let entry = sleeps(case, instance, step, channel, then, since);
    case.write(entry);
    if then == Sleeper::LeaveOut {
        lower_ceiling(instance, case.fares(customer).cost(step, channel));
    }
    false
}

/// A message goes out to a contact that is asleep, which is only told: once, however often the message was judged before.
fn report_asleep(case: &mut Case<'_>, customer: &Customer, plan: &Plan, instance: &Instance, step: &Step) {
    let Some(channel) = channel_of(step, instance) else { return };
    let asleep = plan.asleep.zip(moment::asleep_since(plan, customer, channel, case.now()));
    if let Some((Asleep { then, .. }, since)) = asleep {
        let entry = sleeps(case, instance, step, channel, then, since);
        case.write(entry);
    }
}

fn sleeps(case: &Case<'_>, instance: &Instance, step: &Step, channel: &Channel, then: Sleeper, since: Millis) -> Entry {
    let policy = match then {
        Sleeper::Report => "report",
        Sleeper::LeaveOut => "leave out",
        Sleeper::GoOn => "go on",
    };
    let entry = case.entry(Reason::Asleep).instance(instance).step(step).on(channel);
    entry.because("unanswered_since", since.to_string()).because("policy", policy)
}

/// Whether caps leave room for a message.
enum Room {
    Is,
    /// It waits for room.
    Later,
    /// It is given up; one that is not dearer may follow.
    Elsewhere,
    /// Its cascade ends, because of this.
    Never(Vec<(&'static str, String)>),
}

/// Judges a message by the caps.
fn over_cap(
    case: &mut Case<'_>,
    customer: &Customer,
    plan: &Plan,
    instance: &mut Instance,
    step: &Step,
    send_before: Millis,
) -> Room {
    let (caps, now) = (case.plans.caps(), case.now());
    let Some(channel) = channel_of(step, instance).filter(|channel| caps.count(channel.name, plan.class)) else {
        return Room::Is;
    };
    let (zone, _) = moment::zone(plan, customer);
    let Some(full) = caps.full(channel.name, plan.class, &customer.counted, now, &zone) else { return Room::Is };
    let then = if full.cap.then == Then::Hold && full.until >= send_before { Then::Stop } else { full.cap.then };
    let mut evidence = vec![("cap", full.cap.to_string()), ("counted", full.counted.to_string())];
    if full.until < Millis::MAX {
        evidence.push(("until", full.until.to_string()));
    }
    if then == Then::Stop {
        return Room::Never(evidence);
    }
    let entry = case.entry(Reason::Capped).instance(instance).step(step).on(channel);
    case.write(evidence.into_iter().fold(entry, |entry, (what, how)| entry.because(what, how)));
    if then == Then::Hold {
        (instance.stage, instance.due) = (Stage::Delayed, full.until);
        Room::Later
    } else {
        lower_ceiling(instance, case.fares(customer).cost(step, channel));
        Room::Elsewhere
    }
}

/// Whether only a deadline can have brought the instance here: what entered or left a step was written down already.
fn by_deadline(plan: &Plan, instance: &Instance) -> bool {
    match instance.stage {
        Stage::Settling => plan.trigger.settle > 0,
        stage => stage == Stage::Delayed,
    }
}

/// The step at which an instance stands.
pub(super) fn current<'p>(plan: &'p Plan, instance: &Instance) -> Option<&'p Step> {
    usize::try_from(instance.step).ok().and_then(|step| plan.steps.get(step))
}

/// The channel at which an instance stands.
pub(super) fn channel_of(step: &Step, instance: &Instance) -> Option<&'static Channel> {
    usize::try_from(instance.alternative).ok().and_then(|index| step.channels.get(index)).copied()
}

fn lower_ceiling(instance: &mut Instance, cost: i64) {
    instance.ceiling = Some(instance.ceiling.map_or(cost, |ceiling| ceiling.min(cost)));
}

/// Puts a step behind, and says why.
fn pass_over(case: &mut Case<'_>, instance: &mut Instance, step: &Step, reason: Reason) {
    let entry = case.entry(reason).instance(instance).step(step);
    case.write(entry);
    leave_behind(instance, step);
}

/// Puts a step behind, with all of its alternatives.
pub(super) fn leave_behind(instance: &mut Instance, step: &Step) {
    for alternative in 0..step.channels.len() {
        instance.tried |= bit(step, alternative);
    }
}

/// Gives an alternative another chance: its command was withdrawn before anybody saw it.
pub(super) fn untry(instance: &mut Instance, step: &Step) {
    if let Ok(alternative) = usize::try_from(instance.alternative) {
        instance.tried &= !bit(step, alternative);
    }
}

/// Nothing is left.
pub(super) fn exhausted(case: &mut Case<'_>, customer: &mut Customer, plan: &Plan, instance: &mut Instance) -> Fate {
    let mut evidence = vec![("sends", instance.sends.len().to_string())];
    let count: usize = plan.steps.iter().map(|step| step.channels.len()).sum();
    let left = usize::try_from(instance.tried.count_ones()).unwrap_or(count);
    if left < count && choice::ceiling(plan, &case.fares(customer), instance).is_some() {
        evidence.push(("dearer", "stays closed after what did not go out".to_owned()));
    }
    ending::close(case, customer, instance, Reason::Exhausted, &evidence)
}

/// Whether the message at which an instance stands is still to go out.
pub(super) fn waits_for_turn(step: &Step, instance: &Instance) -> bool {
    usize::try_from(instance.alternative).is_ok_and(|alternative| instance.tried & bit(step, alternative) == 0)
}

/// Whether an instance waits for the turn of this very message.
fn waits_for(instance: &Instance, step: usize, alternative: usize) -> bool {
    let is_this = |number: i32, index: usize| usize::try_from(number) == Ok(index);
    let is_here = is_this(instance.step, step) && is_this(instance.alternative, alternative);
    is_here && matches!(instance.stage, Stage::Delayed | Stage::Held | Stage::Asking)
}

fn stand_at(instance: &mut Instance, step: usize, alternative: usize) {
    let number = |index: usize| i32::try_from(index).unwrap_or(i32::MAX);
    (instance.step, instance.alternative) = (number(step), number(alternative));
}

/// It is quiet: the message waits or is given up.
fn quiet(case: &Case<'_>, plan: &Plan, customer: &Customer, step: &Step, instance: &Instance, waits: bool) -> Entry {
    let (zone, known_by) = moment::zone(plan, customer);
    let entry = case.entry(Reason::QuietHours).instance(instance).step(step);
    let entry = entry.because("zone", zone.iana_name().unwrap_or("UTC")).because("zone_from", known_by);
    entry.because("policy", if waits { "hold" } else { "give up" })
}

/// Whether the step is for this customer as he is now.
fn condition_holds(case: &Case<'_>, plan: &Plan, step: &Step, instance: &Instance, customer: &Customer) -> bool {
    let scope = Scope::of_step(&instance.fields, customer, &instance.sends, case.today(plan));
    step.when.as_ref().is_none_or(|when| when.holds(&scope))
}

/// Where to, or why not: judged now, not when it was planned.
fn eligible<'c>(class: Class, channel: &Channel, customer: &'c Customer) -> Result<&'c Contact, Reason> {
    let contact = customer.contacts.iter().find(|contact| contact.channel == channel.name).ok_or(Reason::NoContact)?;
    if class == Class::Transactional || has_consent(customer, channel.name) {
        Ok(contact)
    } else {
        Err(Reason::NoConsent)
    }
}

/// Whether nobody knows what a message would cost, and its campaign may not spend more than its budget.
fn lacks_price(case: &Case<'_>, customer: &Customer, plan: &Plan, step: &Step, channel: &Channel) -> bool {
    plan.budget.is_some() && channel.paid && case.fares(customer).price(step, channel).is_none()
}

/// Whether the customer agreed to be written to on a channel.
pub(crate) fn has_consent(customer: &Customer, channel: &str) -> bool {
    customer.consents.iter().any(|consent| consent.channel == channel && consent.granted)
}

/// No channel of a step can be used. A step with one channel names the reason itself.
fn refused(case: &Case<'_>, customer: &Customer, plan: &Plan, step: &Step, instance: &Instance) -> Entry {
    let reason = match step.channels.as_slice() {
        [channel] => eligible(plan.class, channel, customer).err().unwrap_or(Reason::CannotSend),
        _ => Reason::CannotSend,
    };
    judged(case, reason, plan, step, customer, instance)
}

/// An entry with each channel's eligibility.
fn judged(
    case: &Case<'_>,
    reason: Reason,
    plan: &Plan,
    step: &Step,
    customer: &Customer,
    instance: &Instance,
) -> Entry {
    let fares = case.fares(customer);
    let ceiling = choice::ceiling(plan, &fares, instance);
    let entry = case.entry(reason).instance(instance).step(step);
    step.channels.iter().fold(entry, |entry, channel| {
        let word = match eligible(plan.class, channel, customer) {
            Ok(_) if ceiling.is_some_and(|ceiling| fares.cost(step, channel) > ceiling) => {
                "too dear after what did not go out"
            }
            Ok(_) if lacks_price(case, customer, plan, step, channel) => "no price, and there is a budget",
            Ok(_) if moment::asleep_since(plan, customer, channel, case.now()).is_some() => "asleep",
            Ok(_) => "ok",
            Err(Reason::NoContact) => "no contact",
            Err(_) => "no consent",
        };
        entry.because(channel.name, word)
    })
}

fn send(case: &mut Case<'_>, customer: &mut Customer, plan: &Plan, instance: &mut Instance, valid_until: Millis) {
    let Some(step) = current(plan, instance) else { return };
    let send_before = moment::before_night(plan, customer, step, case.now(), valid_until);
    let channel = channel_of(step, instance).and_then(|channel| eligible(plan.class, channel, customer).ok());
    let Some(Contact { channel, address }) = channel else { return };
    let attempt = attempts(instance);
    let known = channel_of(step, instance);
    let price = known.and_then(|channel| case.fares(customer).price(step, channel));
    let price_minor = price.map_or(0, |price| price.minor);
    let segments = known.filter(|_| price_minor > 0).and_then(|channel| step.segments_on(channel));
    let id = next_send(instance);
    asking::spend(case, id, price_minor);
    let sent = Sent {
        id,
        step: instance.step,
        number: instance.step,
        alternative: instance.alternative,
        attempt,
        channel: channel.clone(),
        price_minor,
        on_delivery: price_minor > 0 && price.is_some_and(|price| price.charge == Charge::OnDelivery),
        decided_at: case.now(),
        send_before,
        handed_over_at: None,
        reached: Status::Unspecified,
        failed: Status::Unspecified,
        outcome: Outcome::Unspecified,
    };
    let entry =
        judged(case, if instance.held_out { Reason::HeldOut } else { Reason::Sent }, plan, step, customer, instance);
    instance.tried |= usize::try_from(instance.alternative).map_or(0, |alternative| bit(step, alternative));
    if instance.held_out {
        return hold_out(case, customer, plan, instance, sent, entry);
    }
    case.effects.push(Effect::Send(Box::new(Send {
        send_id: sent.id.to_string(),
        customer_id: case.customer_id.to_owned(),
        campaign: plan.name.clone(),
        version: plan.version,
        instance: instance.id.to_string(),
        step: step.name.clone(),
        attempt,
        channel: channel.clone(),
        class: plan.class,
        address: address.clone(),
        template: plan.template(step, instance.variant.as_deref(), channel),
        locale: customer.locale.clone(),
        fields: fields(customer, instance),
        decided_at: case.now(),
        send_before,
        valid_until,
        price_minor,
        currency: case.plans.prices().currency.clone(),
        segments: segments.and_then(|segments| i32::try_from(segments).ok()).unwrap_or(0),
        caused_at: case.caused_at,
    })));
    case.write(entry.send(plan, &sent).amount(price_minor));
    memory::count(case, customer, plan, &sent);
    instance.sends.push(sent);
    instance.stage = Stage::Dispatched;
    instance.asked_at = None;
    // Where the night ends its time, a worker that comes back in the morning says so, and it has another chance.
    instance.due = valid_until.saturating_add(limits::ANSWER_MARGIN);
}

/// What a template may use: of the same name, the trigger's holds.
fn fields(customer: &Customer, instance: &Instance) -> Fields {
    if customer.attributes.is_empty() {
        return instance.fields.clone();
    }
    let mut fields = instance.fields.clone();
    let others = customer.attributes.iter().filter(|(name, _)| !instance.fields.contains_key(name));
    fields.extend(others.map(|(name, value)| (name.clone(), value.as_str())));
    fields
}

/// Goes on as if the message had been handed over and nobody reacted: what others get can be compared with that.
fn hold_out(
    case: &mut Case<'_>,
    customer: &Customer,
    plan: &Plan,
    instance: &mut Instance,
    mut sent: Sent,
    entry: Entry,
) {
    let spared = sent.price_minor.to_string();
    case.write(entry.send(plan, &sent).because("spared_minor", spared));
    (sent.price_minor, sent.handed_over_at) = (0, Some(case.now()));
    instance.sends.push(sent);
    (instance.stage, instance.due) = (Stage::Waiting, moment::wait_over(plan, customer, instance, case.now()));
}

/// The send that would be next.
pub(super) fn next_send(instance: &Instance) -> Id {
    Id::of_send(instance.id, instance.step, instance.alternative, attempts(instance))
}

/// Commands so far by the numbers of the alternative at which an instance stands: an id is made of them. Before a migration they may
/// have been those of another step, so that no id is made twice.
fn attempts(instance: &Instance) -> i32 {
    let same = |sent: &&Sent| (sent.number, sent.alternative) == (instance.step, instance.alternative);
    i32::try_from(instance.sends.iter().filter(same).count()).unwrap_or(i32::MAX)
}

/// Commands so far for the message at which an instance stands.
pub(super) fn chances(instance: &Instance) -> i32 {
    let Some(last) = instance.sends.last() else { return 0 };
    let same = |sent: &&Sent| (sent.step, &sent.channel) == (last.step, &last.channel);
    i32::try_from(instance.sends.iter().filter(same).count()).unwrap_or(i32::MAX)
}
