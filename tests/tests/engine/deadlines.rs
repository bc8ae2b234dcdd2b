//! Deadlines: once, never early, and never before facts that were already there.

use std::path::PathBuf;

use stream::clock::Clock;
use system_tests::feed::Feed;
use system_tests::summer::Settings;

use crate::steps::{Ground, by_key};

/// The tests' year begins here, in business time.
const START: i64 = 1_700_000_000_000;

fn drive(ground: &Ground, now: i64) -> PathBuf {
    let path = ground.place.path("clock");
    Clock::drive(&path, now).unwrap();
    path
}

fn driven(ground: &Ground, instance: &str) -> Settings {
    Settings { clock: Some(drive(ground, START)), ..Settings::new(&ground.place, instance) }
}

#[test]
fn each_deadline_fires_once_in_its_order_and_never_early() {
    let ground = Ground::new("once", 2);
    let settings = driven(&ground, "a");
    let mut summer = ground.start(&settings);
    for number in 1..=1_000_i64 {
        ground.say(&format!("k{number}"), &format!("+1 @{}", START + 10 * number));
    }
    ground.feed.flush();
    ground.wait_for_all_sums();

    let mut alarms = ground.tail("alarms");
    drive(&ground, START + 5_000);
    alarms.until("the first half has fired", |alarms| alarms.len() >= 500);
    summer.kill();
    let _summer = ground.start(&settings);
    drive(&ground, START + 20_000);
    alarms.until("all have fired", |alarms| alarms.len() >= 1_000);

    let fired = by_key(&ground.read("alarms"));
    assert_eq!(fired.len(), 1_000);
    for number in 1..=1_000_i64 {
        let now = if number <= 500 { START + 5_000 } else { START + 20_000 };
        let due = START + 10 * number;
        assert_eq!(fired[&format!("k{number}")], [format!("due {due} at {now}, sum 1")], "k{number}");
    }
    ground.changelog().assert_sound();
}

#[test]
fn a_deadline_never_overtakes_facts_that_were_there_when_it_fell_due() {
    let ground = Ground::new("overtake", 2);
    let settings = driven(&ground, "a");
    let mut summer = ground.start(&settings);
    for number in 0..2_000_i64 {
        ground.say(&format!("k{number}"), &format!("+1 @{}", START + 1_000));
    }
    ground.feed.flush();
    ground.wait_for_all_sums();
    summer.kill();

    // While nobody works everything falls due, and half of the keys are told to be calm.
    for number in (0..2_000).step_by(2) {
        ground.say(&format!("k{number}"), "calm");
    }
    ground.feed.flush();
    drive(&ground, START + 500_000);
    let _summer = ground.start(&settings);
    ground.tail("alarms").until("the other half has fired", |alarms| alarms.len() >= 1_000);
    ground.wait_for_all_sums();
    let fired = by_key(&ground.read("alarms"));
    assert_eq!(fired.len(), 1_000);
    assert!(fired.keys().all(|key| key[1..].parse::<u32>().unwrap() % 2 == 1), "a calm key was alarmed");
}

#[test]
fn an_open_foreign_transaction_holds_deadlines_back_until_it_is_known_what_it_says() {
    let ground = Ground::new("foreign", 2);
    let _summer = ground.start(&driven(&ground, "a"));
    let input = ground.place.topic("input");
    let mut alarms = ground.tail("alarms");
    let fired = |key: &'static str| {
        move |alarms: &[system_tests::tail::Message]| alarms.iter().any(|alarm| alarm.key_text() == key)
    };

    // Partition 0 has a deadline, and a transaction that may say `calm`; partition 1 shows that time goes on.
    for round in 0..2 {
        let due = START + 1_000 * (round + 1);
        ground.say_in(0, "held", &format!("+1 @{due}"));
        ground.say_in(1, if round == 0 { "free-0" } else { "free-1" }, &format!("+1 @{due}"));
        ground.wait_for_all_sums();
        let foreign = Feed::in_transaction(ground.place.brokers(), "foreign-producer");
        foreign.send_to(&input, 0, "held", b"calm");
        foreign.flush();
        drive(&ground, due);
        alarms.until("the other partition fires", if round == 0 { fired("free-0") } else { fired("free-1") });
        assert!(!fired("held")(alarms.seen()), "a deadline overtook an open transaction");
        if round == 0 {
            foreign.commit();
            ground.wait_for_all_sums();
        } else {
            foreign.abort();
            alarms.until("nothing stands against it any more", fired("held"));
        }
    }
    let held = &by_key(&ground.read("alarms"))["held"];
    assert_eq!(held, &[format!("due {} at {}, sum 2", START + 2_000, START + 2_000)], "what was called off stayed off");
    ground.assert_exactly_once_but_for_deadlines();
}

impl Ground {
    /// As `assert_exactly_once`, for the sums: rows have lost the deadlines that fired.
    fn assert_exactly_once_but_for_deadlines(&self) {
        let (told, _) = system_tests::summer::expected(&self.read("input"));
        assert_eq!(by_key(&self.read("sums")), told);
        self.changelog().assert_sound();
    }
}
