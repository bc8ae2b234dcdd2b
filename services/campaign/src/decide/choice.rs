//! Which message is next.

use std::cmp::{Ordering, Reverse};

use schemas::{Customer, Instance, Sent, Status};

use crate::channel::Channel;
use crate::language::{Order, PREFERRED, Plan, Step};

use super::fares::Fares;

/// The message whose turn it is, of those that were not tried: its step and its alternative. Among equals the first one as written; by
/// expected cost the cheaper one before that.
pub(super) fn next(plan: &Plan, fares: &Fares<'_>, customer: &Customer, instance: &Instance) -> Option<(usize, usize)> {
    let mut options = options(plan, instance, fares);
    let chosen = match plan.order {
        Order::AsWritten => options.next(),
        Order::ByCost => options.min_by_key(|it| fares.cost(it.step, it.channel)),
        Order::ByExpectedCost => options
            .map(|it| (Expected::of(fares.cost(it.step, it.channel), fares.per_mille(it.channel, plan.stop)), it))
            .min_by(|(one, it), (other, that)| {
                let cost = |it: &Candidate<'_>| fares.cost(it.step, it.channel);
                one.compare(other).then_with(|| cost(it).cmp(&cost(that)))
            })
            .map(|(_, it)| it),
        Order::ByResponse => options.min_by_key(|it| Reverse(fares.per_mille(it.channel, plan.stop))),
        Order::ByPreference => {
            let preferred = customer.attributes.get(PREFERRED).map(String::as_str);
            options.min_by_key(|it| Some(it.channel.name) != preferred)
        }
    };
    chosen.map(|it| (it.index, it.alternative))
}

/// Whether an alternative of this step is still to be tried.
pub(super) fn is_open(plan: &Plan, fares: &Fares<'_>, step: &Step, instance: &Instance) -> bool {
    options(plan, instance, fares).any(|it| it.step.first_option == step.first_option)
}

/// A message that can be chosen.
struct Candidate<'p> {
    step: &'p Step,
    channel: &'static Channel,
    /// Of the step in the plan.
    index: usize,
    /// Of the channel in the step.
    alternative: usize,
}

/// What may be paid for the next message at most, where something is closed: what could not go out in time, was withdrawn, or was never
/// answered makes no room for anything dearer, nor does what was kept back ([`Instance::ceiling`]). Only a word by which such a message
/// went out after all opens what it had closed.
pub(super) fn ceiling(plan: &Plan, fares: &Fares<'_>, instance: &Instance) -> Option<i64> {
    let sends = instance.sends.iter().enumerate();
    let closes = sends.filter(|(index, sent)| is_in_vain(sent) && !is_repeated(&instance.sends[index + 1..], sent));
    let costs = closes.filter_map(|(_, sent)| {
        // A step that a migration gave up was to be given up.
        let step = plan.steps.get(usize::try_from(sent.step).ok()?)?;
        let cost = fares.cost(step, Channel::find(&sent.channel)?);
        // The customer may have another address by now, or none.
        let cost = if sent.price_minor > 0 { cost.min(sent.price_minor) } else { cost };
        (!step.escalate_on_outage).then_some(cost)
    });
    costs.chain(instance.ceiling).min()
}

/// Nobody saw it, or nobody answered. What a worker does not know of a call that it made is no such thing: that is undecided until its
/// wait is over.
fn is_in_vain(sent: &Sent) -> bool {
    matches!(sent.failed, Status::Expired | Status::Revoked | Status::Unknown) && sent.handed_over_at.is_none()
}

/// The same message had a further chance.
fn is_repeated(later: &[Sent], sent: &Sent) -> bool {
    later.iter().any(|it| (it.step, &it.channel) == (sent.step, &sent.channel))
}

/// What is untried and not dearer than the ceiling, as written.
fn options<'p>(plan: &'p Plan, instance: &Instance, fares: &'p Fares<'_>) -> impl Iterator<Item = Candidate<'p>> + 'p {
    let (tried, ceiling) = (instance.tried, ceiling(plan, fares, instance));
    plan.steps.iter().enumerate().flat_map(move |(index, step)| {
        step.channels.iter().enumerate().filter_map(move |(alternative, channel)| {
            let open = tried & bit(step, alternative) == 0
                && ceiling.is_none_or(|ceiling| fares.cost(step, channel) <= ceiling);
            open.then_some(Candidate { step, channel, index, alternative })
        })
    })
}

/// The limit on a campaign's messages keeps every number below 63.
pub(super) fn bit(step: &Step, alternative: usize) -> i64 {
    1 << (step.first_option + alternative)
}

/// What reaching a customer costs on the average, as a fraction. What is free costs nothing, however few it reaches; what reaches
/// nobody costs more than anything.
struct Expected {
    cost: i128,
    reached: i128,
}

impl Expected {
    fn of(cost: i64, per_mille: u32) -> Self {
        match (cost, per_mille) {
            (0, _) => Expected { cost: 0, reached: 1 },
            (_, 0) => Expected { cost: 1, reached: 0 },
            (cost, reached) => Expected { cost: cost.into(), reached: reached.into() },
        }
    }

    fn compare(&self, other: &Self) -> Ordering {
        (self.cost * other.reached).cmp(&(other.cost * self.reached))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_compared_exactly() {
        let rank = |(cost, per_mille)| Expected::of(cost, per_mille);
        let cases = [
            ((0, 0), (1, 1000), Ordering::Less),
            ((0, 10), (0, 900), Ordering::Equal),
            ((4, 950), (2, 400), Ordering::Less),
            ((4, 800), (2, 400), Ordering::Equal),
            ((1, 0), (i64::MAX, 1), Ordering::Greater),
            ((1, 0), (9, 0), Ordering::Equal),
            ((i64::MAX, 999), (i64::MAX, 1000), Ordering::Greater),
            ((i64::MAX - 1, 1000), (i64::MAX, 1000), Ordering::Less),
        ];
        for (one, other, wanted) in cases {
            assert_eq!(rank(one).compare(&rank(other)), wanted, "{one:?} and {other:?}");
            assert_eq!(rank(other).compare(&rank(one)), wanted.reverse(), "{other:?} and {one:?}");
        }
    }
}
