//! The rules that never bend, one property each, over random lives with the examples, or random campaigns, in force. The numbers are those of
//! the list on the crate's front page.

mod world;

use std::collections::{BTreeMap, BTreeSet};

use campaign::{
    Anchor, AtNight, Channel, Effect, Input, Level, Match, Moment, Order, Plan, Plans, Point, Shift, State, Step, Wait,
    decide, due, limits,
};
use proptest::prelude::*;
use schemas::{
    Action, Actor, Cart, Class, Customer, Fact, Feedback, Instance, Item, Journal, Outcome, Reason, Send, Sent, Stage,
    Status,
};
use world::definition::{campaigns, cap};
use world::life::{Decision, event, life, live};
use world::{BEGIN, CUSTOMER, DAY, World};

const EXAMPLES: [&str; 6] = ["bonus-expiring", "cart-messenger", "cart-left", "come-back", "order-ready", "welcome"];

/// Of each rule.
const CASES: u32 = 6_300;

const ENDS: [Reason; 12] = [
    Reason::BudgetSpent,
    Reason::TurnedDown,
    Reason::Capped,
    Reason::Restarted,
    Reason::GoalReached,
    Reason::StopReached,
    Reason::Exhausted,
    Reason::OptedOut,
    Reason::Withdrawn,
    Reason::Erased,
    Reason::CampaignStopped,
    Reason::Unspecified,
];

/// A budget may let a message wait for its next window: then something is looked forward to.
fn is_end(entry: &Journal) -> bool {
    ENDS.contains(&entry.reason) && (entry.reason != Reason::BudgetSpent || entry.next_at.is_none())
}

fn examples() -> World {
    World::of_examples(&EXAMPLES)
}

/// Whether it is quiet where a message goes, reckoned without the calendar of the brain: on the customer's own clock, or on the campaign's
/// where that is not known.
fn is_quiet(plan: &Plan, customer: &Customer, send: &Send) -> bool {
    let Some(night) = plan.quiet else { return false };
    let step = plan.steps.iter().find(|step| step.name == send.step).unwrap();
    let (from, to) = (night.hours.from, night.hours.to);
    let is_night = |at: i64| {
        let time = local(plan, customer, at).time();
        if from < to { (from..to).contains(&time) } else { time >= from || time < to }
    };
    // Nor may it be handed over in the night that comes.
    let span = send.send_before - send.decided_at;
    let moments = (0..=20).map(|part| send.decided_at + span / 20 * part).chain([send.send_before]);
    step.at_night.unwrap_or(night.policy) != AtNight::Ignore && moments.into_iter().any(is_night)
}

/// Whether a message is known to have come to nothing, and nothing dearer may follow it.
fn is_in_vain(sent: &Sent) -> bool {
    matches!(sent.failed, Status::Expired | Status::Revoked | Status::Unknown) && sent.handed_over_at.is_none()
}

/// The last command for each message.
fn last_chances<'s>(sends: &[&'s Sent]) -> Vec<&'s Sent> {
    let is_last = |(index, sent): &(usize, &&'s Sent)| {
        sends[index + 1..].iter().all(|later| (later.step, &later.channel) != (sent.step, &sent.channel))
    };
    sends.iter().enumerate().filter(is_last).map(|(_, sent)| *sent).collect()
}

/// A moment on the customer's own clock, or on the campaign's where that is not known.
fn local(plan: &Plan, customer: &Customer, at: i64) -> jiff::Zoned {
    let own = customer.time_zone.as_deref().and_then(|name| jiff::tz::TimeZone::get(name).ok());
    jiff::Timestamp::from_millisecond(at).unwrap().to_zoned(own.unwrap_or_else(|| plan.zone.clone()))
}

fn plan_of<'w>(world: &'w World, send: &Send) -> &'w Plan {
    world.plans.version(&send.campaign, send.version).unwrap()
}

fn plan_of_instance<'w>(decision: &Decision<'w>, instance: &Instance) -> &'w Plan {
    decision.world.plans.version(&instance.campaign, instance.version).unwrap()
}

/// The sends of a decision, each with the sends of its instance before it.
fn sends<'d>(decision: &'d Decision<'_>) -> Vec<(&'d Send, Vec<&'d Sent>)> {
    let earlier = |send: &Send| {
        let instance =
            decision.world.customer.instances.iter().find(|instance| instance.id.to_string() == send.instance);
        let sends = instance.map(|instance| instance.sends.iter().collect::<Vec<_>>()).unwrap_or_default();
        sends.into_iter().take_while(|sent| sent.id.to_string() != send.send_id).collect()
    };
    decision
        .effects
        .iter()
        .filter_map(|(_, effect)| match effect {
            Effect::Send(send) => Some((&**send, earlier(send))),
            _ => None,
        })
        .collect()
}

fn is_repeat(decision: &Decision<'_>) -> bool {
    let told = |effect: &Effect| matches!(effect, Effect::Journal(entry) if entry.reason == Reason::Duplicate);
    decision.effects.iter().any(|(_, effect)| told(effect))
}

/// Whether an action is what an instance hopes for, as far as that is seen from outside: the one condition that campaigns have here always
/// holds.
fn hopes_for(plan: &Plan, instance: &Instance, action: &Action) -> bool {
    plan.goal.as_ref().is_some_and(|goal| {
        let is_its_own = match goal.matching {
            Match::Any => true,
            Match::SameKey => action.key.as_ref() == Some(&instance.key),
            Match::SameArticle => action.items.iter().any(|item| [&item.sku, &item.category].contains(&&instance.key)),
        };
        let holds = goal.condition.as_ref().is_none_or(|it| it.as_written() == "amount_minor >= 0");
        goal.actions.contains(&action.action) && is_its_own && holds
    })
}

/// Whether a word says that a message got as far as stops the cascade of this plan. What a call came to may lead on.
fn reaches_stop(plan: &Plan, word: &Feedback) -> bool {
    let wanted = match plan.stop {
        Level::Delivered => Status::Delivered,
        Level::Opened => Status::Opened,
        Level::Clicked => Status::Clicked,
        Level::Replied => Status::Replied,
        Level::Agreed | Level::Goal => return false,
    };
    let ladder = [Status::Delivered, Status::Opened, Status::Clicked, Status::Replied];
    let rung = |status| ladder.iter().position(|it| *it == status);
    let is_human = word.actor != Actor::Machine || word.status == Status::Delivered;
    is_human && word.outcome == Outcome::Unspecified && rung(word.status) >= rung(wanted)
}

/// An erasure takes the memory of what was there before with it: a repeat of an older event is then no repeat any more.
fn is_erasure(decision: &Decision<'_>) -> bool {
    matches!(decision.fact, Some(Fact::Profile(profile)) if profile.erased)
}

fn has_channel(customer: &Customer, class: Class, channel: &str) -> bool {
    customer.contacts.iter().any(|contact| contact.channel == channel)
        && (class == Class::Transactional || customer.consents.iter().any(|it| it.channel == channel && it.granted))
}

/// What decisions compare of a message now: its price with all segments, and for what is paid without a price the dearest.
fn cost(world: &World, step: &Step, channel: &Channel) -> i64 {
    let contact = world.customer.contacts.iter().find(|contact| contact.channel == channel.name);
    let price = world.plans.prices().price(channel, contact.map_or("", |contact| &contact.address), world.now);
    let segments = if channel.name == "sms" { i64::from(step.segments) } else { 1 };
    price.map_or(if channel.paid { i64::MAX } else { 0 }, |price| price.minor * segments)
}

/// The less it is, the sooner it is a message's turn; none where the order does not ask for price or rate. A fraction, of which
/// the part below may be nothing.
fn rank(world: &World, plan: &Plan, step: &Step, channel: &Channel) -> Option<(i128, i128)> {
    let rate = i128::from(world.plans.rates().per_mille(channel, plan.stop, world.now));
    let cost = i128::from(cost(world, step, channel));
    match plan.order {
        Order::ByCost => Some((cost, 1)),
        Order::ByExpectedCost if cost == 0 => Some((0, 1)),
        Order::ByExpectedCost if rate == 0 => Some((1, 0)),
        Order::ByExpectedCost => Some((cost, rate)),
        Order::ByResponse => Some((1000 - rate, 1)),
        Order::AsWritten | Order::ByPreference => None,
    }
}

proptest! {
    #![proptest_config(world::cases(CASES))]

    /// Rule 1. What is known leaves nothing running that hoped for it, or that it stops, and what has ended sends no more.
    #[test]
    fn rule_1_nothing_goes_out_after_a_stop_fact(campaigns in campaigns(), events in life()) {
        let mut world = World::of_texts(&campaigns);
        let mut ended: BTreeSet<String> = BTreeSet::new();
        live(&mut world, &events, |decision| {
            for (send, _) in sends(decision) {
                assert!(!ended.contains(&send.instance), "a send after the end");
            }
            if let Some(Fact::Action(action)) = decision.fact {
                let hoped = |it: &&Instance| hopes_for(plan_of_instance(decision, it), it, action);
                // What begins with the action hopes for the next one.
                let was_there = |it: &&Instance| decision.before.instances.iter().any(|before| before.id == it.id);
                let still = decision.world.customer.instances.iter().filter(was_there).filter(hoped);
                assert!(is_repeat(decision) || still.count() == 0, "a goal left an instance running");
            }
            if let Some(Fact::Feedback(word)) = decision.fact.filter(|_| !is_repeat(decision)) {
                // What a call came to before may have led on, and leads on.
                let of_word = |sent: &Sent| Some(sent.id.to_string()) == word.send_id && sent.outcome == Outcome::Unspecified;
                let stopped = decision.before.instances.iter().filter(|it| it.frozen_at.is_none() && it.adoption.is_none());
                let stopped = stopped.filter(|it| it.sends.iter().any(of_word) && reaches_stop(plan_of_instance(decision, it), word));
                for instance in stopped {
                    let still = decision.world.customer.instances.iter().any(|it| it.id == instance.id);
                    assert!(!still, "a message that got far enough left its instance running");
                }
            }
            for (_, effect) in decision.effects {
                match effect {
                    Effect::Journal(entry) if is_end(entry) => ended.insert(entry.instance.clone()),
                    _ => false,
                };
            }
            if is_erasure(decision) {
                ended.clear();
            }
        });
    }

    /// Rule 2. No two commands have one id, and none goes out twice for one (instance, step, channel, attempt).
    #[test]
    fn rule_2_a_message_is_commanded_once(campaigns in campaigns(), events in life()) {
        let mut world = World::of_texts(&campaigns);
        let (mut ids, mut names) = (BTreeSet::new(), BTreeSet::new());
        live(&mut world, &events, |decision| {
            if is_erasure(decision) {
                (ids, names) = (BTreeSet::new(), BTreeSet::new());
            }
            for (send, _) in sends(decision) {
                assert!(ids.insert(send.send_id.clone()), "an id twice");
                let name = (send.instance.clone(), send.step.clone(), send.channel.clone(), send.attempt);
                assert!(names.insert(name), "a message twice");
                assert!(send.attempt < limits::ATTEMPTS);
            }
        });
    }

    /// Rule 3. Under cost order a message goes out only when no cheaper one that could go was left out.
    #[test]
    fn rule_3_under_cost_order_the_cheaper_one_is_tried_first(campaigns in campaigns(), events in life()) {
        let mut world = World::of_texts(&campaigns);
        live(&mut world, &events, |decision| {
            for (_, effect) in decision.effects {
                let Effect::Send(send) = effect else { continue };
                let (world, plan) = (decision.world, plan_of(decision.world, send));
                let of_send = plan.steps.iter().find(|step| step.name == send.step).unwrap();
                let Some(sent) = rank(world, plan, of_send, Channel::find(&send.channel).unwrap()) else { continue };
                let instance = world.customer.instances.iter().find(|it| it.id.to_string() == send.instance);
                let tried = instance.map_or(0, |it| it.tried);
                let earlier: Vec<&Sent> = instance.iter().flat_map(|it| &it.sends).take_while(|sent| sent.id.to_string() != send.send_id).collect();
                let closing = last_chances(&earlier).into_iter().filter(|sent| is_in_vain(sent)).map(|sent| sent.price_minor);
                let ceiling = closing.chain(instance.and_then(|it| it.ceiling)).min();
                let options = plan.steps.iter().flat_map(|step| step.channels.iter().enumerate().map(move |(index, channel)| (step, step.first_option + index, *channel)));
                for (step, option, channel) in options {
                    let rank = rank(world, plan, step, channel).unwrap();
                    let allowed = ceiling.is_none_or(|ceiling| cost(world, step, channel) <= ceiling);
                    // What was tried could not be used, or went before.
                    let sooner = rank.0 * sent.1 < sent.0 * rank.1 && allowed && tried >> option & 1 == 0;
                    let usable = has_channel(&world.customer, send.class, channel.name);
                    assert!(!sooner || !usable, "{} before {}", send.channel, channel.name);
                }
            }
        });
    }

    /// Rule 4. The same life gives the same rows, sends and journal.
    #[test]
    fn rule_4_the_same_inputs_give_the_same_bytes(campaigns in campaigns(), events in life()) {
        let (mut one, mut other) = (World::of_texts(&campaigns), World::of_texts(&campaigns));
        live(&mut one, &events, |_| {});
        live(&mut other, &events, |_| {});
        assert_eq!(one.effects, other.effects);
        assert_eq!(one.customer, other.customer);
    }

    /// Rule 5. Contact, consent and validity are judged when the command is made.
    #[test]
    fn rule_5_no_marketing_without_consent_or_past_its_validity(campaigns in campaigns(), events in life()) {
        let mut world = World::of_texts(&campaigns);
        live(&mut world, &events, |decision| {
            for (send, _) in sends(decision) {
                assert!(has_channel(&decision.world.customer, send.class, &send.channel), "{send:?}");
                // The last moment before the night is one.
                assert!(send.decided_at <= send.send_before);
                let step = plan_of(decision.world, send).steps.iter().find(|step| step.name == send.step).unwrap();
                let Point { anchor, shift } = &step.valid;
                let is_length = *anchor == Anchor::Turn && *shift == Shift::exact(shift.millis);
                assert!(!is_length || send.send_before - send.decided_at <= shift.millis, "valid for too long: {send:?}");
                assert_eq!(send.decided_at, decision.world.now);
                let plan = plan_of(decision.world, send);
                assert!(!is_quiet(plan, &decision.world.customer, send), "in quiet hours: {send:?}");
            }
        });
    }

    /// Rule 5, caps. A message counts unless a word came that it never left.
    #[test]
    fn rule_5_no_marketing_over_a_cap(campaigns in campaigns(), cap in cap(), events in life()) {
        let mut world = World::of_texts(&campaigns);
        let table = cap.table();
        world.cap(&table);
        let mut counted: Vec<(String, i64)> = Vec::new();
        let mut ceilings: BTreeMap<String, i64> = BTreeMap::new();
        live(&mut world, &events, |decision| {
            if is_erasure(decision) {
                counted.clear();
                ceilings.clear();
            }
            for (_, effect) in decision.effects {
                match effect {
                    // What was held comes later, and what follows it follows it.
                    Effect::Journal(entry) if entry.reason == Reason::Capped && !table.contains("then: hold") => {
                        let plan = decision.world.plans.version(&entry.campaign, entry.version).unwrap();
                        let step = plan.steps.iter().find(|step| step.name == entry.step);
                        let channel = Channel::find(&entry.channel);
                        let limit = step.zip(channel).map_or(-1, |(step, channel)| cost(decision.world, step, channel));
                        ceilings.entry(entry.instance.clone()).and_modify(|it| *it = limit.min(*it)).or_insert(limit);
                    }
                    Effect::Send(send) => {
                        let limit = ceilings.get(&send.instance).copied().unwrap_or(i64::MAX);
                        assert!(send.price_minor <= limit, "dearer than what was capped: {send:?}");
                    }
                    _ => {}
                }
            }
            if let Some(Fact::Feedback(word)) = decision.fact
                && matches!(word.status, Status::Refused | Status::Expired | Status::Revoked)
            {
                counted.retain(|(id, _)| Some(id) != word.send_id.as_ref());
            }
            let is_counted = |send: &Send| send.class.to_string() == cap.class && cap.channel.is_none_or(|it| it == send.channel);
            for (send, _) in sends(decision).into_iter().filter(|(send, _)| is_counted(send)) {
                let there = |at: i64| local(plan_of(decision.world, send), &decision.world.customer, at);
                let within = counted.iter().filter(|(_, at)| cap.joins(&there(*at), &there(send.decided_at))).count();
                assert!(within < cap.most, "{within} messages, and one more: {cap:?} {send:?}");
                counted.push((send.send_id.clone(), send.decided_at));
            }
        });
    }

    /// Rule 6. Whatever happened, left alone every instance ends, and is told of once at its begin and once at its end.
    #[test]
    fn rule_6_every_instance_ends(campaigns in campaigns(), events in life()) {
        let mut world = World::of_texts(&campaigns);
        live(&mut world, &events, |_| {});
        world.resume_all();
        let mut rounds = 0;
        while world.fire_next(BEGIN + 5000 * DAY) {
            rounds += 1;
            assert!(rounds < 2000, "deadlines without end");
        }
        assert_eq!(due(&world.customer), None);
        let count = |counts: &dyn Fn(&Journal) -> bool| {
            let mut ids: Vec<_> = world.journal().into_iter().filter(|entry| !entry.instance.is_empty() && counts(entry)).map(|entry| (entry.instance.clone(), entry.at)).collect();
            ids.sort();
            ids.into_iter().map(|(id, _)| id).collect::<Vec<_>>()
        };
        assert_eq!(count(&|entry| entry.reason == Reason::Entered), count(&is_end));
    }

    /// Rule 7. A repeat changes neither the row nor what goes out.
    #[test]
    fn rule_7_a_repeat_changes_nothing(campaigns in campaigns(), events in life()) {
        let mut world = World::of_texts(&campaigns);
        for event in &events {
            let mut fact = None;
            live(&mut world, std::slice::from_ref(event), |decision| fact = decision.fact.cloned());
            let Some(fact) = fact else { continue };
            let (row, count) = (world.customer.clone(), world.effects.len());
            world.tell(fact);
            assert_eq!(world.customer, row);
            assert!(world.effects[count..].iter().all(|(_, effect)| matches!(effect, Effect::Journal(_))));
        }
    }

    /// Rule 7. Of a cart's versions the newest holds, in whatever order they come.
    #[test]
    fn rule_7_the_order_of_a_carts_versions_does_not_matter(order in Just((1..=6).collect::<Vec<i64>>()).prop_shuffle(), empty in prop::collection::vec(any::<bool>(), 6)) {
        let mut world = World::of_examples(&["cart-left"]);
        world.profile(&["push"]);
        for version in &order {
            let is_empty = empty[usize::try_from(*version - 1).unwrap()];
            world.pass_until(world.now + world::MINUTE);
            world.cart("c1", *version, if is_empty { 0 } else { 5_000 });
        }
        world.pass_until(world.now + 9 * DAY);
        assert_eq!(world.sends().is_empty(), empty[5], "{order:?} {empty:?}");
    }

    /// Rule 8. Who opts out hears no more of that cascade, and what an outage held back is not replaced by something dearer.
    #[test]
    fn rule_8_neither_an_opt_out_nor_an_outage_escalates(campaigns in campaigns(), events in life()) {
        let mut world = World::of_texts(&campaigns);
        live(&mut world, &events, |decision| {
            let told = match decision.fact {
                Some(Fact::Feedback(word)) if !is_repeat(decision) => Some(word),
                _ => None,
            };
            if let Some(word) = told.filter(|it| matches!(it.status, Status::Unsubscribed | Status::Complained)) {
                assert!(sends(decision).is_empty());
                let consents = &decision.world.customer.consents;
                assert!(consents.iter().all(|it| it.channel != word.channel || !it.granted));
                let of_word = |sent: &schemas::Sent| Some(sent.id.to_string()) == word.send_id;
                let goes_on = decision.world.customer.instances.iter().any(|it| it.sends.iter().any(of_word));
                assert!(!goes_on, "a cascade survives the opt-out that answered it");
                let stands = |it: &&schemas::Instance| it.sends.last().is_some_and(|sent| sent.channel == word.channel);
                let mut standing = decision.world.customer.instances.iter().filter(stands);
                let is_marketing = |it: &schemas::Instance| decision.world.plans.version(&it.campaign, it.version).is_some_and(|plan| plan.class == Class::Marketing);
                assert!(!standing.any(is_marketing), "a cascade goes on that spoke last on the channel that is not wanted");
            }
            for (send, earlier) in sends(decision) {
                // A step may say that a dearer one may follow.
                let may = |last: &&Sent| plan_of(decision.world, send).steps[usize::try_from(last.step).unwrap()].escalate_on_outage;
                // The same message may have another chance.
                let others = earlier.iter().copied().filter(|sent| sent.channel != send.channel).collect::<Vec<_>>();
                for last in last_chances(&others).into_iter().filter(|last| is_in_vain(last) && !may(last)) {
                    let step = &plan_of(decision.world, send).steps[usize::try_from(last.step).unwrap()];
                    // Prices change.
                    let limit = cost(decision.world, step, Channel::find(&last.channel).unwrap()).max(last.price_minor);
                    assert!(send.price_minor <= limit, "{} for {} after {limit}", send.channel, send.price_minor);
                }
            }
        });
    }

    /// Rule 9. A machine's open or click proves arrival and no more.
    #[test]
    fn rule_9_a_machine_opens_nothing(campaigns in campaigns(), events in life()) {
        let mut world = World::of_texts(&campaigns);
        let machines: Vec<_> = events.iter().map(|event| match event {
            world::life::Event::Word { back, status, .. } => world::life::Event::Word { back: *back, status: *status, actor: Actor::Machine, outcome: Outcome::Unspecified },
            other => other.clone(),
        }).collect();
        live(&mut world, &machines, |decision| {
            for sent in decision.world.customer.instances.iter().flat_map(|instance| &instance.sends) {
                assert!(sent.reached <= Status::Delivered || sent.reached == Status::Replied);
            }
        });
    }

    /// Rule 10. A step that goes on only if something was not delivered does not go on because nothing was heard.
    #[test]
    fn rule_10_no_information_is_not_a_failure(spans in prop::collection::vec(1..DAY, 1..20), words in prop::collection::vec(0..5_usize, 1..20)) {
        const PLAN: &str = "
campaign: strict
version: 1
trigger: {on: action, action: lead}
goal: {action: purchase}
stop: goal
steps:
  - {name: first, channel: email, template: t, wait: 3h, next_if: [not delivered]}
  - {name: second, channel: sms, template: t}
";
        let mut world = World::new(&[PLAN]);
        world.worker = false;
        world.profile(&["email", "sms"]);
        world.action("lead", None);
        let said = [Status::Accepted, Status::Sent, Status::Delivered, Status::Unknown, Status::Opened];
        for (span, word) in spans.iter().zip(&words) {
            world.pass_until(world.now + span);
            let send = world.sends()[0].clone();
            world.feedback(&send.send_id, "email", said[*word], Actor::Human);
        }
        world.pass_until(world.now + 99 * DAY);
        assert_eq!(world.sends().len(), 1);
    }

    /// Rule 11. While a command may still go out, nothing further is decided.
    #[test]
    fn rule_11_one_command_at_a_time(campaigns in campaigns(), events in life()) {
        let mut world = World::of_texts(&campaigns);
        let mut words: BTreeMap<String, Vec<Status>> = BTreeMap::new();
        live(&mut world, &events, |decision| {
            if let Some(Fact::Feedback(word)) = decision.fact
                && let Some(id) = &word.send_id
            {
                words.entry(id.clone()).or_default().push(word.status);
            }
            for (send, earlier) in sends(decision) {
                for sent in earlier {
                    // That we have withdrawn it is no answer: it may be at the provider's.
                    let told = words.get(&sent.id.to_string());
                    let answered = sent.handed_over_at.is_some() || told.is_some();
                    assert!(answered || send.decided_at >= sent.send_before + limits::ANSWER_MARGIN);
                    let is_same = sent.channel == send.channel && plan_of(decision.world, send).steps[usize::try_from(sent.step).unwrap()].name == send.step;
                    let came_back = told.is_some_and(|told| told.iter().any(|word| matches!(word, Status::Revoked | Status::Expired)));
                    assert!(came_back || !is_same, "a second command, though nobody said that the first did not go out: {send:?}");
                }
            }
        });
    }

    /// Rule 11. A wait of a length counts from the hand-over, as far as that is known.
    #[test]
    fn rule_11_a_wait_counts_from_the_hand_over(campaigns in campaigns(), events in life()) {
        let mut world = World::of_texts(&campaigns);
        live(&mut world, &events, |decision| {
            for instance in &decision.world.customer.instances {
                // Pauses are no part of a wait.
                if instance.changes > 0 { continue }
                let plan = decision.world.plans.version(&instance.campaign, instance.version).unwrap();
                let wait = usize::try_from(instance.step).ok().map(|step| &plan.steps[step].wait);
                let Some(Wait::Until(Point { anchor: Anchor::HandOver, shift })) = wait else { continue };
                let last = instance.sends.last().and_then(|sent| sent.handed_over_at);
                if let Some(at) = last.filter(|_| instance.stage == Stage::Waiting && *shift == Shift::exact(shift.millis)) {
                    assert_eq!(instance.due, at + shift.millis);
                }
            }
        });
    }

    /// Rule 12. While a customer is held nothing goes out.
    #[test]
    fn rule_12_nothing_goes_out_while_a_customer_is_held(campaigns in campaigns(), events in life()) {
        let mut world = World::of_texts(&campaigns);
        live(&mut world, &events, |decision| {
            assert!(decision.world.customer.held.is_none() || sends(decision).is_empty());
        });
    }

    /// While a campaign is paused or stopped nothing of it goes out, and nothing of it falls due.
    #[test]
    fn nothing_goes_out_while_a_campaign_is_paused(campaigns in campaigns(), events in life()) {
        let mut world = World::of_texts(&campaigns);
        live(&mut world, &events, |decision| {
            let state = |campaign: &str| decision.world.plans.state(campaign);
            for (send, _) in sends(decision) {
                assert_eq!(state(&send.campaign), Some(State::Running), "{send:?}");
            }
            for instance in &decision.world.customer.instances {
                let is_paused = matches!(state(&instance.campaign), Some(State::Paused { .. }));
                assert_eq!(instance.frozen_at.is_some(), is_paused, "{instance:?}");
            }
        });
    }

    /// Every list of a row stays within its limit.
    #[test]
    fn a_row_stays_bounded(campaigns in campaigns(), events in prop::collection::vec(event(), 200..400)) {
        let mut world = World::of_texts(&campaigns);
        live(&mut world, &events, |decision| {
            let row = &decision.world.customer;
            assert!(row.instances.len() <= limits::INSTANCES && row.past.len() <= limits::PAST_ASKED_FOR);
            assert!(row.done.len() <= limits::DONE + limits::FULFILLED && row.recent.len() <= limits::RECENT && row.dead.len() <= limits::DEAD);
            assert!(row.unsettled.len() <= limits::UNSETTLED && row.passed.len() <= limits::PASSED);
            assert!(row.consents.len() <= limits::CONTACTS && row.contacts.len() <= limits::CONTACTS);
            assert!(row.counted.len() <= limits::COUNTED && row.begun.len() <= limits::BEGUN);
            assert!(row.heard.len() <= Channel::names().count() && row.formerly.len() <= limits::FORMERLY);
            for instance in &row.instances {
                assert!(instance.sends.len() <= limits::OPTIONS * usize::try_from(limits::ATTEMPTS).unwrap());
            }
        });
    }

    /// Whatever times and amounts are told, a decision is made and nothing overflows.
    #[test]
    fn decide_is_total(campaigns in campaigns(), times in prop::collection::vec(any::<i64>(), 12), amounts in prop::collection::vec(any::<i64>(), 4)) {
        let mut world = World::of_texts(&campaigns);
        world.worker = false;
        world.profile(&["push", "email", "sms"]);
        for pair in times.windows(2) {
            world.now = pair[0];
            let item = Item { price_minor: amounts[0], ..Item::default() };
            world.tell(Fact::Cart(Cart { event_id: pair[1].to_string(), occurred_at: pair[1], cart_id: "c".into(), version: amounts[1], total_minor: amounts[2], items: vec![item], ..Cart::default() }));
            world.tell(Fact::Action(Action { event_id: pair[1].to_string(), occurred_at: pair[1], action: "lead".into(), amount_minor: amounts[3], ..Action::default() }));
            world.inactivity(i32::MAX);
            let last = world.sends().last().map(|send| (*send).clone());
            if let Some(send) = last {
                world.tell(Fact::Feedback(Feedback { occurred_at: pair[1], send_id: Some(send.send_id), channel: send.channel, status: Status::Accepted, ..Feedback::default() }));
            }
            world.fire();
        }
    }
}

#[test]
fn an_event_that_concerns_nobody_leaves_no_trace() {
    let plans = examples().plans.clone();
    let mut row = Customer::default();
    let mut effects = Vec::new();
    let fact = Fact::Action(Action { event_id: "e".into(), action: "looked".into(), ..Action::default() });
    let moment = Moment { now: BEGIN, partition: 0, offset: Some(1), due: None };
    decide(&plans, CUSTOMER, &mut row, Input::Fact { fact: &fact, appended_at: 0, hops: 0 }, &moment, &mut effects);
    assert_eq!((row, effects), (Customer::default(), Vec::new()));
}

#[test]
fn the_examples_cover_every_order_and_class() {
    let world = examples();
    let plans: Vec<&Plan> = world.plans.all().collect();
    assert!(plans.iter().any(|plan| plan.order == Order::ByCost));
    assert!(plans.iter().any(|plan| plan.class == Class::Transactional));
    assert!(plans.iter().any(|plan| plan.stop == Level::Goal));
    assert!(Plans::default().all().next().is_none());
}
