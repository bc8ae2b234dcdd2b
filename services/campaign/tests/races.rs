//! The cases that other systems get wrong: late words, holds, repeats. Small campaigns, one case each.

mod world;

use schemas::{Actor, Cart, Fact, Item, Reason, Status};
use world::script::{check, told};
use world::{BEGIN, CUSTOMER, DAY, HOUR, World};

/// An email, three hours, then an SMS; one arrival is enough.
const TWO_STEPS: &str = "
campaign: two
version: 1
trigger: {on: action, action: lead}
goal: {action: purchase}
steps:
  - {name: first, channel: email, template: t, wait: 3h, valid: 1h}
  - {name: second, channel: sms, template: t, valid: 1h}
";

#[test]
fn a_purchase_withdraws_the_command_that_waits_at_a_worker() {
    check(
        World::new(&[TWO_STEPS]),
        "0 worker off
         0 has email sms
         0 does lead
         10m does purchase
         20m revoked first
         20m again
         9d time passes",
        "0 ENTERED
         0 send first by email
         10m revoke email GOAL_REACHED
         10m GOAL_REACHED first email
         20m LATE_FEEDBACK email
         20m DUPLICATE",
    );
}

#[test]
fn a_wait_counts_from_the_hand_over() {
    check(
        World::new(&[TWO_STEPS]),
        "0 worker off
         0 has email sms
         0 does lead
         50m accepted first
         4h time passes",
        "0 ENTERED
         0 send first by email
         3h50m NO_INFORMATION first email
         3h50m send second by sms",
    );
}

#[test]
fn an_arrival_told_too_late_withdraws_the_next_message() {
    check(
        World::new(&[TWO_STEPS]),
        "0 has email sms
         0 does lead
         2h59m worker off
         3h10m delivered first
         3h11m revoked second",
        "0 ENTERED
         0 send first by email
         3h NO_INFORMATION first email
         3h send second by sms
         3h10m DOUBLE_REACHED first email
         3h10m revoke sms STOP_REACHED
         3h10m STOP_REACHED second sms
         3h11m LATE_FEEDBACK sms",
    );
}

#[test]
fn an_arrival_told_after_a_later_message_has_stopped_the_cascade_is_told_as_a_second_one() {
    let happens = |word: &str| format!("0 has email sms\n 0 does lead\n 181m delivered second\n 190m {word}");
    let decided = |word: &str| {
        format!(
            "0 ENTERED
             0 send first by email
             3h NO_INFORMATION first email
             3h send second by sms
             3h1m DELIVERED second sms
             3h1m STOP_REACHED
             3h10m {word}"
        )
    };
    check(World::new(&[TWO_STEPS]), &happens("delivered first"), &decided("DOUBLE_REACHED email"));
    // Not by the one that has stopped it, nor by what proves no arrival.
    check(World::new(&[TWO_STEPS]), &happens("opened second"), &decided("LATE_FEEDBACK sms"));
    check(World::new(&[TWO_STEPS]), &happens("accepted first"), &decided("LATE_FEEDBACK email"));
}

#[test]
fn an_opening_after_the_end_is_told_with_who_opened() {
    let mut world = World::new(&[TWO_STEPS]);
    world.profile(&["email"]);
    world.action("lead", None);
    world.action("purchase", None);
    let send = world.sends()[0].send_id.clone();
    for actor in [Actor::Machine, Actor::Human] {
        world.feedback(&send, "email", Status::Opened, actor);
        let told = world.journal().pop().unwrap();
        assert_eq!((told.reason, &*told.evidence["actor"]), (Reason::LateFeedback, actor.as_str()));
        assert_eq!((&*told.campaign, &*told.evidence["ended"]), ("two", "GOAL_REACHED"));
    }
}

#[test]
fn an_unsubscription_ends_the_cascade_and_the_consent() {
    check(
        World::new(&[TWO_STEPS]),
        "0 has email sms
         0 does lead
         1h unsubscribed first
         1h again
         2h does lead",
        "0 ENTERED
         0 send first by email
         1h OPTED_OUT
         1h DUPLICATE
         2h ENTERED
         2h NO_CONSENT first
         2h send second by sms",
    );
}

#[test]
fn a_dead_address_is_not_written_to_again_even_if_the_profile_brings_it_back() {
    check(
        World::new(&[TWO_STEPS]),
        "0 has email sms
         0 does lead
         1h bounced first
         1h1m delivered second
         2h has email sms
         2h does lead",
        "0 ENTERED
         0 send first by email
         1h NOT_DELIVERED first email
         1h send second by sms
         1h1m DELIVERED second sms
         1h1m STOP_REACHED
         2h ENTERED
         2h NO_CONTACT first
         2h send second by sms",
    );
}

#[test]
fn a_soft_bounce_waits_and_then_counts_as_not_delivered() {
    check(
        World::new(&[TWO_STEPS]),
        "0 has email sms
         0 does lead
         1h deferred first
         2h deferred first
         4h time passes",
        "0 ENTERED
         0 send first by email
         1h DEFERRED first email
         3h NOT_DELIVERED first email
         3h send second by sms",
    );
}

#[test]
fn while_a_customer_is_held_nothing_goes_out_and_a_release_judges_anew() {
    let cart = world::example("cart-left");
    check(
        World::new(&[&cart]),
        "0 has push
         0 cart c1 1 5000
         1h unreadable
         1h unreadable
         3h time passes
         4h release
         4h again",
        "0 ENTERED
         1h HOLD_PLACED
         2h HELD reminder
         4h HOLD_RELEASED
         4h send reminder by push
         4h DUPLICATE",
    );
    check(
        World::new(&[&cart]),
        "0 has push
         0 cart c1 1 5000
         1h unreadable
         3h does purchase
         4h release",
        "0 ENTERED
         1h HOLD_PLACED
         2h HELD reminder
         3h GOAL_REACHED
         4h HOLD_RELEASED",
    );
}

#[test]
fn a_hold_that_is_never_released_still_ends_the_cascade() {
    check(
        World::new(&[TWO_STEPS]),
        "0 has email sms
         0 unreadable
         0 does lead
         9d time passes",
        "0 HOLD_PLACED
         0 ENTERED
         0 HELD first
         1h VALIDITY_OVER first
         1h EXHAUSTED",
    );
}

#[test]
fn a_hold_withdraws_what_waits_at_a_worker_and_the_release_tries_once_more() {
    check(
        World::new(&[TWO_STEPS]),
        "0 worker off
         0 has email sms
         0 does lead
         10m unreadable
         11m revoked first
         30m release
         31m accepted first",
        "0 ENTERED
         0 send first by email
         10m HOLD_PLACED
         10m revoke email HELD
         10m HELD first email
         11m REVOKED first email
         30m HOLD_RELEASED
         30m send first by email",
    );
}

#[test]
fn two_commands_for_one_step_have_two_ids() {
    let mut world = World::new(&[TWO_STEPS]);
    for line in ["0 worker off", "0 has email", "0 does lead", "1m unreadable", "2m revoked first", "3m release"] {
        world::script::play(&mut world, line);
    }
    let sends = world.sends();
    assert_eq!(sends.iter().map(|send| send.attempt).collect::<Vec<_>>(), [0, 1]);
    assert_ne!(sends[0].send_id, sends[1].send_id);
}

#[test]
fn whoever_bought_while_the_operator_was_down_is_not_written_to() {
    let cart = world::example("cart-left");
    check(
        World::new(&[&cart]),
        "0 has push
         0 cart c1 1 5000
         8h down
         8h piled does purchase
         8h deadlines",
        "0 ENTERED
         8h GOAL_REACHED",
    );
}

#[test]
fn a_trigger_that_comes_too_late_begins_nothing() {
    let mut world = World::of_examples(&["cart-left"]);
    world.profile(&["push"]);
    world.now = BEGIN + 25 * HOUR;
    world.tell(Fact::Cart(Cart {
        event_id: "old".into(),
        customer_id: CUSTOMER.into(),
        occurred_at: BEGIN,
        cart_id: "c1".into(),
        version: 1,
        total_minor: 5000,
        items: vec![Item::default()],
        ..Cart::default()
    }));
    assert_eq!(told(&world), ["1d1h TRIGGER_TOO_OLD"]);
    assert!(world.customer.instances.is_empty());
}

#[test]
fn a_purchase_shortly_before_the_cart_begins_nothing() {
    check(
        World::of_examples(&["cart-left"]),
        "0 has push
         0 does purchase
         1h cart c1 1 5000
         3h cart c2 1 5000",
        "1h GOAL_BEFORE
         3h ENTERED",
    );
}

#[test]
fn a_paused_campaign_begins_nothing_and_a_stopped_one_ends() {
    check(
        World::of_examples(&["cart-left"]),
        "0 has push
         0 cart c1 1 5000
         1h pause cart-left
         1h cart c2 1 5000
         3h stop cart-left
         9d time passes",
        "0 ENTERED
         1h FROZEN
         1h CAMPAIGN_PAUSED
         3h CAMPAIGN_STOPPED",
    );
}

#[test]
fn an_erasure_ends_everything_and_empties_the_row() {
    let mut world = World::new(&[TWO_STEPS]);
    world.worker = false;
    world.profile(&["email"]);
    world.action("lead", None);
    world.erase();
    assert_eq!(
        told(&world),
        ["0 ENTERED", "0 send first by email", "0 revoke email ERASED", "0 ERASED first email", "0 ERASED"]
    );
    assert_eq!(world.customer, schemas::Customer::default());
}

#[test]
fn an_instance_stays_on_the_version_that_it_entered() {
    let newer = TWO_STEPS.replace("version: 1", "version: 2").replace("wait: 3h", "wait: 1h");
    let mut world = World::new(&[TWO_STEPS]);
    world.profile(&["email", "sms"]);
    world.action("lead", None);
    world.plans.apply(&world::record(&newer)).unwrap();
    world.pass_until(BEGIN + 3 * HOUR);
    assert_eq!(
        told(&world),
        ["0 ENTERED", "0 send first by email", "3h NO_INFORMATION first email", "3h send second by sms"]
    );
    assert!(world.sends().iter().all(|send| send.version == 1));
}

#[test]
fn a_version_never_changes() {
    let mut world = World::new(&[TWO_STEPS]);
    let changed = TWO_STEPS.replace("wait: 3h", "wait: 4h");
    assert!(world.plans.apply(&world::record(TWO_STEPS)).is_ok(), "the same text again is no change");
    let problems = world.plans.apply(&world::record(&changed)).unwrap_err();
    assert_eq!(problems[0].message, "this version exists with another text: versions never change");
}

#[test]
fn a_journal_entry_says_when_the_instance_is_looked_at_again_and_no_address() {
    let mut world = World::new(&[TWO_STEPS]);
    world.profile(&["email", "sms"]);
    world.action("lead", None);
    world.pass_until(BEGIN + 9 * DAY);
    for journal in world.journal() {
        let told = format!("{journal:?}");
        assert!(!told.contains("address-of") && !told.contains("2025550123"), "{journal:?}");
    }
    let ended = world.journal().into_iter().filter(|journal| !journal.instance.is_empty() && journal.next_at.is_none());
    assert_eq!(ended.map(|journal| journal.reason.as_str()).collect::<Vec<_>>(), ["NO_INFORMATION", "EXHAUSTED"]);
    let sent: Vec<_> = world.journal().into_iter().filter(|journal| journal.reason == schemas::Reason::Sent).collect();
    assert_eq!(sent[0].evidence.get("email"), Some("ok"));
    assert_eq!(sent[1].amount_minor, 4);
}

#[test]
fn an_arrival_told_too_late_cancels_a_message_that_still_waits_for_its_moment() {
    check(
        World::new(&["
campaign: patient
version: 1
trigger: {on: action, action: lead}
goal: {action: purchase}
stop: goal
steps:
  - {name: first, channel: email, template: t, wait: 3h, next_if: [not delivered, no information]}
  - {name: second, channel: sms, template: t, after: 5h}
"]),
        "0 has email sms
         0 does lead
         4h delivered first
         9d time passes",
        "0 ENTERED
         0 send first by email
         3h NO_INFORMATION first email
         4h DELIVERED first email
         4h STOP_REACHED",
    );
}

#[test]
fn a_receipt_that_comes_a_thousand_times_counts_once() {
    let mut world = World::new(&[&TWO_STEPS.replace("goal:", "stop: opened\ngoal:")]);
    world.profile(&["email", "sms"]);
    world.action("lead", None);
    let send = world.sends()[0].send_id.clone();
    // Each has an id of its own: nothing but the row's own state can tell that it is a repeat.
    for _ in 0..1000 {
        world.feedback(&send, "email", Status::Delivered, Actor::Unspecified);
    }
    assert_eq!(told(&world), ["0 ENTERED", "0 send first by email", "0 DELIVERED first email"]);
}

#[test]
fn a_bounce_after_the_arrival_leads_on_while_the_cascade_runs_and_not_after_its_end() {
    let happens = "0 has email sms\n 0 does lead\n 10m delivered first\n 1h bounced first";
    check(
        World::new(&[&TWO_STEPS.replace("goal:", "stop: opened\ngoal:")]),
        happens,
        "0 ENTERED
         0 send first by email
         10m DELIVERED first email
         1h NOT_DELIVERED first email
         1h send second by sms",
    );
    check(
        World::new(&[TWO_STEPS]),
        happens,
        "0 ENTERED
         0 send first by email
         10m DELIVERED first email
         10m STOP_REACHED
         1h LATE_FEEDBACK email",
    );
}

#[test]
fn an_unsubscription_ends_every_cascade_that_stands_on_the_channel() {
    let other = TWO_STEPS.replace("campaign: two", "campaign: other");
    check(
        World::new(&[TWO_STEPS, &other]),
        "0 has email sms
         0 does lead
         1h unsubscribed first
         9d time passes",
        "0 ENTERED
         0 send first by email
         0 ENTERED
         0 send first by email
         1h OPTED_OUT
         1h OPTED_OUT",
    );
}
