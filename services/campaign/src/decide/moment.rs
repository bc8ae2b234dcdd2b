//! When: the turn of a message, its validity, its wait, and quiet hours, all on the customer's own clock.

use jiff::tz::TimeZone;
use schemas::{Class, Contact, Customer, Id, Instance, Millis, Sent};

use crate::calendar::{self, Shift};
use crate::channel::Channel;
use crate::language::{Anchor, Asleep, AtNight, Night, Plan, Point, Step, Wait};
use crate::limits;

/// What stands in for a wait whose date nobody knows.
const DAY: Millis = 24 * 3_600_000;

/// When it is a message's turn, which cannot be before `ready`; none where that depends on a date that nobody knows. A dated
/// message has its moment whatever came before it. If the instance `waits` for this very message, its turn is counted already.
pub(super) fn turn(
    plan: &Plan,
    customer: &Customer,
    instance: &Instance,
    step: &Step,
    ready: Millis,
    waits: bool,
) -> Option<Millis> {
    let handed_over = |sent: &Sent| sent.handed_over_at.unwrap_or(sent.decided_at);
    let last = instance.sends.last().map_or(instance.settled_at, handed_over);
    let from = Clock { plan, customer, instance };
    let moment = match &step.start {
        // Counted once: it would move on and on.
        Point { anchor: Anchor::Turn, .. } if waits => return Some(instance.turn),
        Point { anchor: Anchor::Turn, shift } => from.way(*shift, ready),
        point => from.point(point, last)?,
    };
    let moment = moment.saturating_add(share(step.spread, || instance.id));
    Some(if step.start.is_dated() { moment } else { moment.max(ready) })
}

/// A moment in the calendar that is waited for; none where its date is not known.
pub(super) fn date(plan: &Plan, customer: &Customer, instance: &Instance, point: &Point) -> Option<Millis> {
    Clock { plan, customer, instance }.date(point)
}

/// Until when the message at which an instance stands may be handed over, if `turn` is its turn; none where that depends on a date that
/// nobody knows.
pub(super) fn valid_until(
    plan: &Plan,
    customer: &Customer,
    instance: &Instance,
    step: &Step,
    turn: Millis,
) -> Option<Millis> {
    let from = Clock { plan, customer, instance };
    match &step.valid {
        Point { anchor: Anchor::Turn, shift } => Some(from.way(*shift, turn)),
        // A date far ahead ends no validity for years: that is none that is missing.
        point if point.is_dated() => Some(from.dated(point)?.min(from.last_of_all())),
        point => from.point(point, turn),
    }
}

/// Until when the message at which an instance stands is waited for.
pub(super) fn wait_over(plan: &Plan, customer: &Customer, instance: &Instance, handed_over_at: Millis) -> Millis {
    let from = Clock { plan, customer, instance };
    let Some(step) = super::dispatch::current(plan, instance) else { return handed_over_at.saturating_add(DAY) };
    match (&step.wait, &plan.quiet) {
        (Wait::Until(point), _) => {
            let over = from.point(point, handed_over_at).unwrap_or_else(|| handed_over_at.saturating_add(DAY));
            over.max(handed_over_at.saturating_add(least_wait(point, instance)))
        }
        (Wait::Active(length), Some(night)) => night.hours.active(handed_over_at, *length, &from.zone()),
        (Wait::Active(length), None) => handed_over_at.saturating_add(*length),
    }
}

/// How long a message is waited for at least. Who waits until a moment, may come to it late: word of this message is waited for all the
/// same, before a dearer one follows.
fn least_wait(point: &Point, instance: &Instance) -> Millis {
    if matches!(point.anchor, Anchor::HandOver | Anchor::Turn) {
        return 0;
    }
    let channel = instance.sends.last().and_then(|sent| Channel::find(&sent.channel));
    channel.map_or(0, |channel| channel.word_within)
}

/// What is done with a message now, because it is quiet, and when it would go out if it waits: within the release, and before its
/// validity ends if that is only after the night.
pub(super) fn at_night(
    plan: &Plan,
    customer: &Customer,
    customer_id: &str,
    step: &Step,
    (now, send_before): (Millis, Millis),
) -> Option<(AtNight, Millis)> {
    let (Night { hours, release, .. }, policy) = night(plan, step)?;
    let zone = zone(plan, customer).0;
    let end = hours.end(now, &zone)?;
    // The day may be shorter than the release.
    let day = hours.next(end, &zone).map_or(Millis::MAX, |night| night.saturating_sub(end));
    let within = release.min(send_before.saturating_sub(end)).min(day);
    // All that waits for one customer has one moment, so that what goes first is what has priority.
    let of_customer = || Id::of_instance(customer_id, "", "", "");
    Some((policy, end.saturating_add(share(within, of_customer))))
}

/// Until when a message that goes to its worker now may be handed over: not in the quiet hours that come next, however long it waits
/// there.
pub(super) fn before_night(plan: &Plan, customer: &Customer, step: &Step, now: Millis, send_before: Millis) -> Millis {
    let Some((Night { hours, .. }, _)) = night(plan, step) else { return send_before };
    let next = hours.next(now, &zone(plan, customer).0);
    next.map_or(send_before, |night| send_before.min(night.saturating_sub(1)).max(now))
}

/// The quiet hours that concern a step, and what is done with it then.
fn night(plan: &Plan, step: &Step) -> Option<(Night, AtNight)> {
    let night = plan.quiet?;
    let policy = step.at_night.unwrap_or(night.policy);
    (policy != AtNight::Ignore).then_some((night, policy))
}

/// Since when nothing has come back on a channel, if that is so long that the contact counts as asleep.
pub(super) fn asleep_since(plan: &Plan, customer: &Customer, channel: &Channel, now: Millis) -> Option<Millis> {
    let Asleep { after, .. } = plan.asleep.filter(|_| plan.class == Class::Marketing && channel.opened)?;
    let heard = customer.heard.iter().find(|heard| heard.channel == channel.name)?;
    let since = Some(heard.unanswered_since).filter(|since| *since > 0)?;
    (after.lead(since, &zone(plan, customer).0) <= now).then_some(since)
}

/// A part of a span that goes with an id: ids are made by SHA-1, so the parts lie evenly.
fn share(span: Millis, id: impl FnOnce() -> Id) -> Millis {
    let part = u128::try_from(span).ok().filter(|span| *span > 0).map(|span| id().as_u128() % span);
    part.and_then(|part| Millis::try_from(part).ok()).unwrap_or(0)
}

/// From where moments of a cascade are counted.
struct Clock<'a> {
    plan: &'a Plan,
    customer: &'a Customer,
    instance: &'a Instance,
}

impl Clock<'_> {
    /// A point, where a message was last handed over at `last`; none where its date is not known.
    fn point(&self, point: &Point, last: Millis) -> Option<Millis> {
        match &point.anchor {
            Anchor::Turn | Anchor::HandOver => Some(self.way(point.shift, last)),
            Anchor::Trigger => Some(self.way(point.shift, self.instance.settled_at).max(last)),
            Anchor::Event(_) | Anchor::Profile(_) | Anchor::Moment(_) => self.date(point),
        }
    }

    /// As [`date`].
    fn date(&self, point: &Point) -> Option<Millis> {
        self.dated(point).filter(|at| *at <= self.last_of_all())
    }

    /// Nothing is waited for for years, whatever date an event or a profile brings.
    fn last_of_all(&self) -> Millis {
        self.instance.settled_at.saturating_add(limits::LONGEST)
    }

    /// A point in the calendar.
    fn dated(&self, point: &Point) -> Option<Millis> {
        let date = |text: Option<&str>| calendar::moment_of(text?, point.shift, &self.zone());
        match &point.anchor {
            Anchor::Event(field) => date(self.instance.fields.get(field)),
            Anchor::Profile(attribute) => date(self.customer.attributes.get(attribute).map(String::as_str)),
            Anchor::Moment(at) => Some(self.way(point.shift, *at)),
            Anchor::Turn | Anchor::Trigger | Anchor::HandOver => None,
        }
    }

    fn way(&self, shift: Shift, from: Millis) -> Millis {
        // The zone costs a look-up that lengths do not need.
        if shift.is_exact() { from.saturating_add(shift.millis) } else { shift.lead(from, &self.zone()) }
    }

    fn zone(&self) -> TimeZone {
        zone(self.plan, self.customer).0
    }
}

/// The customer's zone, and how it is known: from the profile, from where the telephone number was given out, or the campaign's.
pub(super) fn zone(plan: &Plan, customer: &Customer) -> (TimeZone, &'static str) {
    own_zone(customer).unwrap_or_else(|| (plan.zone.clone(), "campaign"))
}

/// The zone that is known of a customer, whatever the campaign, and how.
pub(crate) fn own_zone(customer: &Customer) -> Option<(TimeZone, &'static str)> {
    if let Some(zone) = customer.time_zone.as_deref().and_then(calendar::zone) {
        return Some((zone, "profile"));
    }
    let has_numbers = |contact: &&Contact| Channel::find(&contact.channel).is_some_and(|channel| channel.numbers);
    let numbers = customer.contacts.iter().filter(has_numbers).map(|contact| contact.address.as_str());
    numbers.filter_map(calendar::zone_of_number).find_map(calendar::zone).map(|zone| (zone, "number"))
}
