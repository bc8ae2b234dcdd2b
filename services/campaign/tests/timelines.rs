//! The example campaigns, played with a clock of our own.

mod world;

use world::World;
use world::script::{self, check};

#[test]
fn bonus_expiring_stops_when_the_free_message_arrived() {
    check(
        World::of_examples(&["bonus-expiring"]),
        "0 has push email sms
         0 does bonus_expiring b1
         1m delivered free
         3d time passes",
        "0 ENTERED
         0 send free by push
         1m DELIVERED free push
         1m STOP_REACHED",
    );
}

#[test]
fn bonus_expiring_pays_for_an_sms_only_where_nothing_free_was_confirmed() {
    check(
        World::of_examples(&["bonus-expiring"]),
        "0 has email sms
         0 does bonus_expiring b1
         3d time passes",
        "0 ENTERED
         0 send free by email
         3h NO_INFORMATION free email
         3h send sms by sms
         1d3h NO_INFORMATION sms sms
         1d3h EXHAUSTED",
    );
}

#[test]
fn a_refused_push_falls_to_the_email_of_the_same_step_at_once() {
    check(
        World::of_examples(&["bonus-expiring"]),
        "0 worker off
         0 has push email sms
         0 does bonus_expiring b1
         1m refused free
         2m accepted free
         3m delivered free",
        "0 ENTERED
         0 send free by push
         1m REFUSED free push
         1m send free by email
         3m DELIVERED free email
         3m STOP_REACHED",
    );
}

#[test]
fn a_customer_with_one_contact_gets_one_attempt() {
    check(
        World::of_examples(&["bonus-expiring"]),
        "0 has sms
         0 does bonus_expiring b1
         1h delivered sms",
        "0 ENTERED
         0 CANNOT_SEND free
         0 send sms by sms
         1h DELIVERED sms sms
         1h STOP_REACHED",
    );
}

#[test]
fn cart_messenger_sends_whatsapp_only_to_those_outside_the_bot_who_did_not_open() {
    let happens = |channels: &str| {
        format!(
            "0 has {channels}
             0 cart c1 1 5000
             10d time passes"
        )
    };
    check(
        World::of_examples(&["cart-messenger"]),
        &happens("email whatsapp"),
        "0 ENTERED
         1h send letter by email
         1d1h NOT_OPENED letter email
         1d1h NO_CONTACT bot
         1d1h send whatsapp by whatsapp
         2d1h NOT_OPENED whatsapp whatsapp
         2d1h EXHAUSTED",
    );
    check(
        World::of_examples(&["cart-messenger"]),
        &happens("email whatsapp telegram"),
        "0 ENTERED
         1h send letter by email
         1d1h NOT_OPENED letter email
         1d1h send bot by telegram
         2d1h NO_INFORMATION bot telegram
         2d1h EXHAUSTED",
    );
}

#[test]
fn order_ready_sends_an_sms_after_three_hours_unread_and_needs_no_consent() {
    let mut world = World::of_examples(&["order-ready"]);
    world.profile(&["email", "sms"]);
    world.customer.consents.clear();
    check(
        world,
        "0 does order_ready o1
         1h machine-opened letter
         4h opened sms",
        "0 ENTERED
         0 send letter by email
         1h MACHINE_OPENED letter email
         3h NOT_OPENED letter email
         3h send sms by sms
         4h OPENED sms sms
         4h STOP_REACHED",
    );
    check(
        World::of_examples(&["order-ready"]),
        "0 has email sms
         0 does order_ready o1
         1h does order_fetched o2
         2h does order_fetched o1",
        "0 ENTERED
         0 send letter by email
         2h GOAL_REACHED",
    );
}

#[test]
fn cart_left_reminds_three_times_unless_something_was_bought() {
    check(
        World::of_examples(&["cart-left"]),
        "0 has push email
         0 cart c1 1 5000
         1h cart c1 2 7000
         20d time passes",
        "0 ENTERED
         1h REFRESHED
         3h send reminder by push
         1d3h NO_GOAL reminder push
         1d3h send discount by email
         2d3h NO_GOAL discount email
         2d3h send last-chance by email
         2d15h NO_GOAL last-chance email
         2d15h EXHAUSTED",
    );
    check(
        World::of_examples(&["cart-left"]),
        "0 has push email
         0 cart c1 1 5000
         1d does purchase
         20d time passes",
        "0 ENTERED
         2h send reminder by push
         1d GOAL_REACHED",
    );
}

#[test]
fn an_emptied_cart_ends_the_cascade_and_a_late_older_version_does_not_begin_it_again() {
    check(
        World::of_examples(&["cart-left"]),
        "0 has push
         0 cart c1 1 5000
         1h cart c1 3 empty
         1h1m cart c1 2 5000
         2h cart c1 4 5000
         3h does purchase",
        "0 ENTERED
         1h WITHDRAWN
         1h1m SUPERSEDED
         2h ENTERED
         3h GOAL_REACHED",
    );
}

#[test]
fn welcome_counts_its_moments_from_the_registration() {
    check(
        World::of_examples(&["welcome"]),
        "0 has email sms
         0 registers
         8d time passes
         100d does purchase
         300d time passes",
        "0 ENTERED
         1d send reminder by email
         7d NO_GOAL reminder email
         7d send first50 by sms
         90d NO_GOAL first50 sms
         90d send quarter by email
         100d GOAL_REACHED",
    );
}

#[test]
fn come_back_tries_the_cheapest_channel_first_whatever_the_order_of_the_file() {
    check(
        World::of_examples(&["come-back"]),
        "0 has sms viber email push
         0 silent 31
         30d time passes",
        "0 ENTERED
         0 send email by email
         2d NOT_OPENED email email
         2d send push by push
         2d6h NOT_OPENED push push
         2d6h send viber by viber
         3d6h NOT_OPENED viber viber
         3d6h send sms by sms
         4d6h NO_INFORMATION sms sms
         4d6h EXHAUSTED",
    );
}

/// A campaign that looks at everybody once a week, from an hour after the world's beginning on.
fn weekly(step: &str) -> World {
    World::new(&[&format!(
        "campaign: weekly
version: 1
trigger: {{on: schedule, at: 2023-11-14T23:13:20Z, every: 7d, where: has_contact('email')}}
goal: {{action: purchase, grace: 2h}}
steps: [{{name: offer, channel: email, template: t, valid: 6h{step}}}]
"
    )])
}

#[test]
fn a_schedule_meets_everybody_at_each_of_its_moments_and_once() {
    check(
        weekly(""),
        "0 has email
         0 sweep
         1h sweep
         1h5m sweep
         1h10m delivered offer
         7d sweep
         7d1h sweep
         8d7h time passes",
        "1h ENTERED
         1h send offer by email
         1h10m DELIVERED offer email
         1h10m STOP_REACHED
         7d1h ENTERED
         7d1h send offer by email
         8d1h NO_INFORMATION offer email
         8d1h EXHAUSTED",
    );
}

#[test]
fn a_schedule_begins_with_nobody_who_is_not_meant_who_bought_or_too_late() {
    check(weekly(""), "0 has sms\n 1h sweep", "");
    check(weekly(""), "0 has email\n 30m does purchase\n 1h sweep", "1h GOAL_BEFORE");
    check(weekly(""), "0 has email\n 1d2h sweep", "");
}

#[test]
fn a_step_seen_too_late_is_skipped_and_one_in_time_is_not() {
    let late = |policy: &str| {
        let steps = format!(
            "campaign: c
version: 1
trigger: {{on: registration}}
steps:
  - {{name: first, channel: email, template: t, at: trigger + 1h, valid: 1d, wait: 2d{policy}}}
  - {{name: second, channel: push, template: t}}
"
        );
        World::new(&[&steps])
    };
    let seen = |at: &str| format!("0 has email push\n 0 registers\n {at} down\n {at} deadlines");
    check(late(""), &seen("4h"), "0 ENTERED\n 4h send first by email");
    check(late(", late: fire"), &seen("4h"), "0 ENTERED\n 4h send first by email");
    check(late(", late: 3h"), &seen("4h"), "0 ENTERED\n 4h send first by email");
    check(late(", late: 3h"), &seen("4h1s"), "0 ENTERED\n 4h1s VALIDITY_OVER first\n 4h1s send second by push");
    check(late(", late: skip"), &seen("1h1m"), "0 ENTERED\n 1h1m send first by email");
    check(late(", late: skip"), &seen("1h1m1s"), "0 ENTERED\n 1h1m1s VALIDITY_OVER first\n 1h1m1s send second by push");
}

#[test]
fn a_spread_gives_each_cascade_a_moment_of_its_own_and_keeps_it() {
    let spread = || {
        World::new(&["campaign: c
version: 1
trigger: {on: action, action: order, key: key}
steps: [{name: only, channel: email, template: t, at: trigger + 1h, spread: 30m}]
"])
    };
    let moments = |keys: std::ops::Range<usize>| {
        let mut world = spread();
        script::play(&mut world, "0 has email");
        for key in keys {
            script::play(&mut world, &format!("0 does order k{key}"));
        }
        world.pass_until(world::BEGIN + 2 * world::HOUR);
        world.sends().iter().map(|send| send.decided_at - world::BEGIN).collect::<Vec<_>>()
    };
    let (some, again) = (moments(0..10), moments(0..10));
    assert_eq!(some, again, "the same cascades have the same moments");
    assert!(some.iter().all(|at| (world::HOUR..world::HOUR + 30 * world::MINUTE).contains(at)), "{some:?}");
    let span = some.iter().max().unwrap() - some.iter().min().unwrap();
    assert!(some.len() == 10 && span > 10 * world::MINUTE, "{some:?}");
}
