//! What providers say of a message, over random lives with random campaigns in force: in any order, and while nothing is said yet. Rules 3 and
//! 7 of the list on the crate's front page.

mod world;

use campaign::{Anchor, Effect, Point, Shift, Wait};
use proptest::prelude::*;
use schemas::{Actor, Customer, Fact, Feedback, Outcome, Status};
use world::definition::campaigns;
use world::life::{Event, life, live};
use world::{BEGIN, CUSTOMER, HOUR, MINUTE, World};

/// With how many minutes ago it happened.
type Word = (Status, Actor, i64);

/// A word that leaves open whether another message follows, or stops the cascade.
fn word() -> impl Strategy<Value = Word> {
    let status = prop::sample::select(vec![
        Status::Accepted,
        Status::Sent,
        Status::Delivered,
        Status::Opened,
        Status::Clicked,
        Status::Replied,
        Status::Unknown,
        Status::BouncedSoft,
    ]);
    (status, prop::sample::select(vec![Actor::Human, Actor::Human, Actor::Machine]), 0..5_i64)
}

/// A life, and behind it these words about the newest message, all told at one moment.
fn after(campaigns: &[String], events: &[Event], words: &[Word]) -> World {
    let mut world = World::of_texts(campaigns);
    live(&mut world, events, |_| {});
    let Some(send) = world.sends().last().map(|send| (*send).clone()) else { return world };
    let mut sent = world.customer.instances.iter().flat_map(|instance| &instance.sends);
    // What was given up is decided.
    if sent.any(|sent| sent.id.to_string() == send.send_id && sent.failed != Status::Unspecified) {
        return world;
    }
    let now = world.now;
    // Of an unknown outcome the moment counts only where nothing else is known.
    let are_told_apart = words.iter().all(|(status, ..)| *status != Status::Unknown);
    for (status, actor, minutes) in words {
        world.tell(Fact::Feedback(Feedback {
            event_id: format!("{status}-{actor}-{minutes}"),
            customer_id: CUSTOMER.into(),
            occurred_at: if are_told_apart { now - minutes * MINUTE } else { now },
            send_id: Some(send.send_id.clone()),
            channel: send.channel.clone(),
            status: *status,
            actor: *actor,
            ..Feedback::default()
        }));
    }
    world
}

/// Without by which events repeats are known: a word that changed nothing is none of them.
fn known(world: &World) -> Customer {
    let mut row = Customer { recent: Vec::new(), ..world.customer.clone() };
    for sent in row.instances.iter_mut().flat_map(|instance| &mut instance.sends) {
        // A soft bounce is not believed after an opening; before it, it is noted. Either way what arrived is not asked for it.
        if sent.reached >= Status::Delivered {
            sent.failed = Status::Unspecified;
        }
    }
    row
}

proptest! {
    #![proptest_config(world::cases(6_300))]

    /// Rule 3. Whether a message got through is undecided until its wait is over, also where its outcome is unknown: nothing follows it before,
    /// unless a word came that it did not, or what it came to leads on.
    #[test]
    fn rule_3_nothing_follows_what_is_undecided(campaigns in campaigns(), events in life()) {
        let mut world = World::of_texts(&campaigns);
        live(&mut world, &events, |decision| {
            for (_, effect) in decision.effects {
                let Effect::Send(send) = effect else { continue };
                let instances = &decision.world.customer.instances;
                // Pauses are no part of a wait.
                let Some(instance) = instances.iter().find(|it| it.id.to_string() == send.instance && it.changes == 0) else { continue };
                let before = instance.sends.iter().take_while(|sent| sent.id.to_string() != send.send_id);
                let Some(last) = before.last().filter(|last| last.outcome == Outcome::Unspecified) else { continue };
                let is_undecided = matches!(last.failed, Status::Unspecified | Status::Unknown | Status::BouncedSoft);
                let plan = decision.world.plans.version(&instance.campaign, instance.version).unwrap();
                let wait = &plan.steps[usize::try_from(last.step).unwrap()].wait;
                let Wait::Until(Point { anchor: Anchor::HandOver, shift }) = wait else { continue };
                if let Some(at) = last.handed_over_at.filter(|_| is_undecided && *shift == Shift::exact(shift.millis)) {
                    assert!(send.decided_at >= at + shift.millis, "{send:?} follows {last:?}");
                }
            }
        });
    }

    /// Rule 7. Between two decisions the order in which words of one message come does not matter.
    #[test]
    fn rule_7_words_of_one_message_may_come_in_any_order(
        campaigns in campaigns(),
        events in life(),
        (words, shuffled) in prop::collection::vec(word(), 2..6).prop_flat_map(|words| (Just(words.clone()), Just(words).prop_shuffle())),
    ) {
        let (one, other) = (after(&campaigns, &events, &words), after(&campaigns, &events, &shuffled));
        assert_eq!(known(&one), known(&other));
        assert_eq!(one.sends(), other.sends());
    }

    /// Rule 7. Between two decisions the order in which statuses of one message arrive does not matter.
    #[test]
    fn rule_7_the_order_of_statuses_does_not_matter(order in Just(vec![
        (Status::Accepted, 1), (Status::Sent, 2), (Status::Delivered, 3), (Status::Delivered, 5),
        (Status::Opened, 4), (Status::Clicked, 6), (Status::BouncedSoft, 2),
    ]).prop_shuffle()) {
        let after = |order: &[(Status, i64)]| {
            let mut world = World::of_examples(&["cart-left"]);
            world.worker = false;
            world.profile(&["push"]);
            world.cart("c1", 1, 5000);
            world.pass_until(BEGIN + 3 * HOUR);
            let send = world.sends()[0].clone();
            for (index, (status, minutes)) in order.iter().enumerate() {
                world.tell(Fact::Feedback(Feedback {
                    event_id: format!("{index}-{status}"),
                    customer_id: CUSTOMER.into(),
                    occurred_at: send.decided_at + minutes * MINUTE,
                    send_id: Some(send.send_id.clone()),
                    channel: send.channel.clone(),
                    status: *status,
                    ..Feedback::default()
                }));
            }
            world.customer.instances.clone()
        };
        let mut sorted = order.clone();
        sorted.sort();
        let strip = |mut instances: Vec<schemas::Instance>| {
            // A soft bounce after an opening is not believed; before it, it is noted and then outdone.
            for sent in instances.iter_mut().flat_map(|instance| &mut instance.sends) { sent.failed = Status::Unspecified; }
            instances
        };
        assert_eq!(strip(after(&order)), strip(after(&sorted)));
    }
}
