//! The life of a campaign: it is stopped, paused and resumed, and its instances move to another version.

mod world;

use campaign::{Effect, Plans, State, Turn};
use schemas::{Campaign, CampaignKind};
use world::script::{check, play, told};
use world::{BEGIN, DAY, HOUR, World, record};

/// A free message, and one that costs money three hours later.
const TWO: &str = "
campaign: two
version: 1
trigger: {on: action, action: lead}
goal: {action: purchase}
stop: goal
steps:
  - {name: first, channel: email, template: t, wait: 3h, valid: 1h}
  - {name: second, channel: sms, template: t, wait: 3h, valid: 1h}
";

fn said(kind: CampaignKind) -> Campaign {
    Campaign { campaign: "two".into(), kind, ..Campaign::default() }
}

fn migrated(from_version: i32, version: i32, steps: &[(&str, &str)]) -> Campaign {
    let steps = steps.iter().map(|(old, new)| ((*old).to_owned(), (*new).to_owned())).collect();
    Campaign { from_version, version, steps, ..said(CampaignKind::Migrated) }
}

// Stop.

#[test]
fn a_stop_withdraws_what_waits_and_lists_what_is_gone() {
    let mut world = World::new(&[TWO]);
    for line in ["0 has email sms", "0 does lead", "2h worker off", "4h stop two"] {
        play(&mut world, line);
    }
    assert_eq!(
        told(&world)[3..],
        ["3h send second by sms", "4h revoke sms CAMPAIGN_STOPPED", "4h CAMPAIGN_STOPPED second sms"]
    );
    let last = world.journal().last().map(|entry| (entry.evidence.clone(), entry.amount_minor)).unwrap();
    assert_eq!((last.0["handed_over"].as_str(), last.0["revoked"].as_str(), last.1), ("1", "sms", -4));
    assert_eq!(last.0["handed_over_sends"], format!("{} by email", world.sends()[0].send_id));
}

#[test]
fn a_stop_reaches_those_who_were_not_looked_at_before_the_campaign_ran_again() {
    let mut world = World::new(&[TWO]);
    for line in ["0 has email sms", "0 does lead"] {
        play(&mut world, line);
    }
    // Nobody is looked at in between.
    let at = |kind, hours| Campaign { applied_at: BEGIN + hours * HOUR, ..said(kind) };
    world.plans.apply(&at(CampaignKind::Stopped, 1)).unwrap();
    world.plans.apply(&at(CampaignKind::Resumed, 2)).unwrap();
    play(&mut world, "9d time passes");
    assert_eq!(told(&world)[2..], ["1h CAMPAIGN_STOPPED"]);
    play(&mut world, "9d does lead");
    assert_eq!(told(&world)[3..], ["9d ENTERED", "9d send first by email"]);
}

#[test]
fn what_is_said_of_a_campaign_is_swept_once_and_a_stopped_one_cannot_be_paused() {
    let mut plans = Plans::default();
    assert!(plans.apply(&said(CampaignKind::Stopped)).is_err(), "there is no such campaign");
    plans.apply(&record(TWO)).unwrap();
    assert_eq!((plans.state("two"), plans.next_sweep(0)), (Some(State::Running), None));
    plans.apply(&Campaign { applied_at: BEGIN, ..said(CampaignKind::Stopped) }).unwrap();
    plans.apply(&Campaign { applied_at: BEGIN + DAY, ..said(CampaignKind::Stopped) }).unwrap();
    assert_eq!(plans.state("two"), Some(State::Stopped { since: BEGIN }));
    assert!(plans.apply(&said(CampaignKind::Paused)).is_err());
    let sweeps = |now| {
        let mut sweeps = Vec::new();
        plans.sweeps(now, |sweep| {
            sweeps.extend((sweep.turn == Turn::Comes).then(|| (sweep.name.to_owned(), sweep.at, sweep.pace)));
        });
        sweeps
    };
    assert_eq!(sweeps(BEGIN - 1), []);
    assert_eq!(sweeps(BEGIN), [("two changed".to_owned(), BEGIN, None)]);
    assert_eq!((plans.next_sweep(BEGIN - 1), plans.next_sweep(BEGIN)), (Some(BEGIN), None));
}

// Pause.

#[test]
fn a_pause_that_continues_lengthens_waits_and_nothing_goes_out_meanwhile() {
    check(
        World::new(&[TWO]),
        "0 has email sms
         0 does lead
         1h pause two
         2h does lead
         30h resume two
         9d time passes",
        "0 ENTERED
         0 send first by email
         1h FROZEN
         2h ALREADY_RUNNING
         1d6h THAWED
         1d8h NO_GOAL first email
         1d8h send second by sms
         1d11h NO_GOAL second sms
         1d11h EXHAUSTED",
    );
}

#[test]
fn what_waits_at_a_worker_is_withdrawn_by_a_pause_and_goes_out_after_it() {
    check(
        World::new(&[TWO]),
        "0 has email sms
         0 worker off
         0 does lead
         10m pause two
         11m revoked first
         1d resume two
         1d accepted first
         1d4h time passes",
        "0 ENTERED
         0 send first by email
         10m revoke email FROZEN
         10m FROZEN first email
         11m REVOKED first email
         1d THAWED
         1d send first by email
         1d3h NO_GOAL first email
         1d3h send second by sms",
    );
}

/// The worker had handed it over and died before it could say so: nobody but it knows.
#[test]
fn what_a_pause_has_withdrawn_is_sent_again_only_if_the_worker_says_that_it_did_not_go_out() {
    check(
        World::new(&[TWO]),
        "0 has email sms
         0 worker off
         0 does lead
         10m pause two
         2h resume two
         3h time passes
         3h unknown first
         9d time passes",
        "0 ENTERED
         0 send first by email
         10m revoke email FROZEN
         10m FROZEN first email
         2h THAWED
         2h UNKNOWN_OUTCOME first email
         3h UNKNOWN_OUTCOME first email
         6h NO_GOAL first email
         6h send second by sms
         7h5m UNKNOWN_OUTCOME second sms
         10h NO_GOAL second sms
         10h EXHAUSTED",
    );
}

#[test]
fn a_pause_that_skips_passes_over_what_fell_due_meanwhile() {
    let three = format!("{TWO}  - {{name: third, channel: push, template: t, after: 1h}}\n");
    check(
        World::new(&[&three]),
        "0 has email sms push
         0 does lead
         1h pause two skip
         30h resume two
         32h time passes",
        "0 ENTERED
         0 send first by email
         1h FROZEN
         1d6h THAWED
         1d6h NO_GOAL first email
         1d6h VALIDITY_OVER second
         1d6h send third by push",
    );
}

#[test]
fn a_pause_that_ends_its_cascades_ends_them_when_it_is_over_and_new_ones_begin() {
    check(
        World::new(&[TWO]),
        "0 has email sms
         0 does lead
         1h pause two end
         30h resume two
         31h does lead
         32h time passes",
        "0 ENTERED
         0 send first by email
         1h FROZEN
         1d6h CAMPAIGN_STOPPED
         1d7h ENTERED
         1d7h send first by email",
    );
}

#[test]
fn in_a_pause_facts_count_and_the_goal_ends_the_cascade() {
    check(
        World::new(&[&TWO.replace("stop: goal\n", "")]),
        "0 has email sms
         0 does lead
         1h pause two
         2h bounced first
         30h resume two
         31h delivered second
         32h time passes",
        "0 ENTERED
         0 send first by email
         1h FROZEN
         2h NOT_DELIVERED first email
         1d6h THAWED
         1d6h send second by sms
         1d7h DELIVERED second sms
         1d7h STOP_REACHED",
    );
    check(
        World::new(&[TWO]),
        "0 has email sms
         0 does lead
         1h pause two
         2h does purchase
         30h resume two",
        "0 ENTERED
         0 send first by email
         1h FROZEN
         2h GOAL_REACHED",
    );
}

#[test]
fn a_purchase_that_is_met_together_with_the_end_of_a_pause_comes_first() {
    let mut world = World::new(&[TWO]);
    for line in ["0 has email sms", "0 does lead", "1h pause two skip", "4h time passes"] {
        play(&mut world, line);
    }
    world.plans.apply(&Campaign { applied_at: BEGIN + 4 * HOUR, ..said(CampaignKind::Resumed) }).unwrap();
    play(&mut world, "5h piled does purchase");
    assert_eq!(told(&world)[3..], ["5h THAWED", "5h GOAL_REACHED"]);
    let mut world = World::new(&[TWO]);
    for line in ["0 has email sms", "0 does lead", "1h pause two"] {
        play(&mut world, line);
    }
    world.sleep_until(BEGIN + 9 * HOUR);
    world.plans.apply(&Campaign { applied_at: BEGIN + 2 * HOUR, ..said(CampaignKind::Resumed) }).unwrap();
    play(&mut world, "9h piled does purchase");
    assert_eq!(told(&world)[3..], ["9h THAWED", "9h GOAL_REACHED"]);
    assert_eq!(world.sends().len(), 1);
}

#[test]
fn a_pause_that_nobody_met_lengthens_waits_all_the_same() {
    let mut world = World::new(&[TWO]);
    for line in ["0 has email sms", "0 does lead"] {
        play(&mut world, line);
    }
    world.sleep_until(BEGIN + 6 * HOUR);
    let at = |kind, hours| Campaign { applied_at: BEGIN + hours * HOUR, ..said(kind) };
    world.plans.apply(&at(CampaignKind::Paused, 1)).unwrap();
    world.plans.apply(&at(CampaignKind::Resumed, 6)).unwrap();
    play(&mut world, "7h time passes");
    assert_eq!(told(&world)[2..], ["6h THAWED"]);
    play(&mut world, "9h time passes");
    assert_eq!(told(&world)[3..], ["8h NO_GOAL first email", "8h send second by sms"]);
}

#[test]
fn a_word_about_a_hand_over_moves_nothing_that_a_pause_has_put_off() {
    check(
        World::new(&[TWO]),
        "0 has email sms
         0 does lead
         1h pause two
         3h delivered first
         30h resume two
         31h opened first
         33h time passes",
        "0 ENTERED
         0 send first by email
         1h FROZEN
         3h DELIVERED first email
         1d6h THAWED
         1d7h OPENED first email
         1d8h NO_GOAL first email
         1d8h send second by sms",
    );
}

#[test]
fn a_date_stays_and_a_time_of_day_is_reckoned_anew() {
    let at = |start: &str| {
        TWO.replace(
            "template: t, wait: 3h, valid: 1h}\n  - {name: s",
            &format!("template: t, wait: 3h, {start}}}\n  - {{name: s"),
        )
    };
    let world = |start: &str| World::new(&[&at(start)]);
    let begin = "0 ENTERED\n";
    // 2023-11-14T22:13:20Z is the begin of a world: 9:30 comes after 11h16m40s.
    check(
        world("at: 9:30"),
        "0 has email\n 0 does lead\n 1h pause two\n 20h resume two\n 1d12h time passes",
        &format!("{begin} 1h FROZEN\n 20h THAWED\n 1d11h16m40s send first by email"),
    );
    check(
        world("at: trigger + 5h"),
        "0 has email\n 0 does lead\n 1h pause two\n 20h resume two\n 1d2h time passes",
        &format!("{begin} 1h FROZEN\n 20h THAWED\n 1d send first by email"),
    );
    check(
        world("at: event.day - 1h, valid: until event.day"),
        "0 has email\n 0 does lead day=2023-11-15T05:00Z\n 1h pause two\n 20h resume two\n 2d time passes",
        &format!("{begin} 1h FROZEN\n 20h THAWED\n 20h VALIDITY_OVER first\n 20h EXHAUSTED"),
    );
}

// Migration.

/// The SMS has another name, a message stands before it, and waits are shorter.
const NEXT: &str = "
campaign: two
version: 2
trigger: {on: action, action: lead}
goal: {action: purchase}
stop: goal
steps:
  - {name: greeting, channel: push, template: t, wait: 1h}
  - {name: first, channel: email, template: t, wait: 2h, valid: 1h}
  - {name: between, channel: push, template: t, wait: 1h}
  - {name: last, channel: sms, template: t, wait: 3h, valid: 1h}
";

#[test]
fn instances_move_with_their_place_and_what_was_sent_stays_sent() {
    let mut world = World::new(&[TWO]);
    for line in ["0 has email sms push", "0 does lead", "1h time passes"] {
        play(&mut world, line);
    }
    world.say(&record(NEXT)).unwrap();
    assert!(world.say(&migrated(1, 2, &[])).is_err(), "nobody said where those at `second` go");
    world.say(&migrated(1, 2, &[("second", "last")])).unwrap();
    play(&mut world, "9d time passes");
    assert_eq!(
        told(&world)[2..],
        [
            "1h MIGRATED first",
            "2h NO_GOAL first email",
            "2h send between by push",
            "3h NO_GOAL between push",
            "3h send last by sms",
            "6h NO_GOAL last sms",
            "6h EXHAUSTED"
        ]
    );
    assert!(world.sends()[1..].iter().all(|send| send.version == 2));
}

#[test]
fn ids_never_meet_although_numbers_of_steps_change() {
    // What was step 1 is step 0, and step 1 is another one: the numbers are those of the first send.
    let turned = "
campaign: two
version: 2
trigger: {on: action, action: lead}
goal: {action: purchase}
stop: goal
steps:
  - {name: other, channel: email, template: t, wait: 3h}
  - {name: first, channel: email, template: t, wait: 1h}
  - {name: second, channel: sms, template: t}
";
    let mut world = World::new(&[turned]);
    world.plans.apply(&record(TWO)).unwrap();
    for line in ["0 has email sms", "0 does lead", "1h time passes"] {
        play(&mut world, line);
    }
    // Back to the first version: the e-mail of `other` was number 0, which is that of `first` there.
    world.say(&migrated(2, 1, &[("other", "")])).unwrap();
    play(&mut world, "2d time passes");
    let sends = world.sends();
    let names: Vec<(&str, i32)> = sends.iter().map(|send| (&*send.step, send.attempt)).collect();
    assert_eq!(names, [("other", 0), ("first", 1), ("second", 0)]);
    assert_ne!(sends[0].send_id, sends[1].send_id);
}

/// Without the first message.
fn one() -> String {
    TWO.replace("version: 1", "version: 2")
        .replace("  - {name: first, channel: email, template: t, wait: 3h, valid: 1h}\n", "")
}

/// The first message is with the worker when it is given up.
fn given_up_at_the_worker() -> World {
    let mut world = World::new(&[TWO]);
    for line in ["0 has email sms", "0 worker off", "0 does lead", "10m time passes"] {
        play(&mut world, line);
    }
    world.say(&record(&one())).unwrap();
    world.say(&migrated(1, 2, &[("first", "")])).unwrap();
    world
}

#[test]
fn whoever_stands_at_a_step_that_is_given_up_goes_on_once_its_message_is_back() {
    let mut world = given_up_at_the_worker();
    play(&mut world, "12m revoked first");
    let wanted = ["10m revoke email MIGRATED", "10m MIGRATED email", "12m REVOKED email", "12m send second by sms"];
    assert_eq!(told(&world)[2..], wanted);
}

#[test]
fn a_message_of_a_step_that_is_given_up_and_that_went_out_all_the_same_has_its_time() {
    let mut world = given_up_at_the_worker();
    for line in ["12m accepted first", "2d time passes"] {
        play(&mut world, line);
    }
    assert_eq!(told(&world)[2..5], ["10m revoke email MIGRATED", "10m MIGRATED email", "1d12m send second by sms"]);
}

#[test]
fn a_wait_for_a_message_of_a_step_that_is_given_up_goes_on() {
    let mut world = World::new(&[TWO]);
    for line in ["0 has email sms", "0 does lead", "1h time passes"] {
        play(&mut world, line);
    }
    world.say(&record(&one())).unwrap();
    world.say(&migrated(1, 2, &[("first", "")])).unwrap();
    play(&mut world, "4h time passes");
    assert_eq!(told(&world)[2..], ["1h MIGRATED", "3h send second by sms"]);
}

#[test]
fn a_step_that_is_given_up_is_not_sent_again_when_a_migration_brings_it_back() {
    let mut world = World::new(&[TWO]);
    for line in ["0 has email sms", "0 does lead", "1h time passes"] {
        play(&mut world, line);
    }
    world.say(&record(&one())).unwrap();
    world.say(&migrated(1, 2, &[("first", "")])).unwrap();
    world.say(&migrated(2, 1, &[])).unwrap();
    play(&mut world, "2d time passes");
    let names: Vec<String> = world.sends().iter().map(|send| send.step.clone()).collect();
    assert_eq!(names, ["first", "second"]);
}

#[test]
fn a_shorter_wait_that_would_be_over_long_since_is_over_now() {
    let long = TWO.replacen("wait: 3h", "wait: 7d", 1);
    let mut world = World::new(&[&long]);
    for line in ["0 has email sms", "0 does lead", "5d time passes"] {
        play(&mut world, line);
    }
    world.say(&record(&long.replace("version: 1", "version: 2").replace("wait: 7d", "wait: 1d"))).unwrap();
    world.say(&migrated(1, 2, &[])).unwrap();
    play(&mut world, "6d time passes");
    assert!(told(&world).contains(&"5d send second by sms".to_owned()), "{:?}", told(&world));
}

#[test]
fn a_pause_puts_off_what_counts_from_the_trigger_once() {
    let two = TWO.replace(
        "wait: 3h, valid: 1h}\n  - {name: second, channel: sms, template: t, wait: 3h",
        "next_if: [no goal]}\n  - {name: second, channel: sms, template: t, at: trigger + 1d, wait: 3h",
    );
    check(
        World::new(&[&two]),
        "0 has email sms\n 0 does lead\n 10h pause two\n 20h resume two\n 2d time passes",
        "0 ENTERED\n 0 send first by email\n 10h FROZEN\n 20h THAWED\n 1d10h NO_GOAL first email\n 1d10h send second by sms\n \
         1d13h NO_GOAL second sms\n 1d13h EXHAUSTED",
    );
}

#[test]
fn a_migration_is_taken_back_by_another_one() {
    let mut world = World::new(&[TWO]);
    for line in ["0 has email sms push", "0 does lead", "1h time passes"] {
        play(&mut world, line);
    }
    world.say(&record(NEXT)).unwrap();
    world.say(&migrated(1, 2, &[("second", "last")])).unwrap();
    world.say(&migrated(2, 1, &[("greeting", ""), ("between", ""), ("last", "second")])).unwrap();
    play(&mut world, "4h time passes");
    assert_eq!(
        told(&world)[2..6],
        ["1h MIGRATED first", "1h MIGRATED first", "3h NO_GOAL first email", "3h send second by sms"]
    );
    let moves: Vec<(i32, i32)> = world.plans.migrations("two").map(|(_, it)| (it.from, it.to)).collect();
    assert_eq!(moves, [(1, 2), (2, 1)]);
}

#[test]
fn a_migration_that_is_not_possible_says_why() {
    let mut plans = Plans::default();
    plans.apply(&record(TWO)).unwrap();
    plans.apply(&record(NEXT)).unwrap();
    let why = |from, to, steps: &[(&str, &str)]| {
        let problems = plans.clone().apply(&migrated(from, to, steps)).unwrap_err();
        problems.iter().map(|problem| problem.message.clone()).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(why(1, 3, &[]), "there is no version 3");
    assert_eq!(why(1, 1, &[]), "version 1 cannot move to itself");
    assert!(why(1, 2, &[]).starts_with("instances may stand at second, which version 2 does not have"));
    assert_eq!(why(1, 2, &[("second", "lost")]), "version 2 has no step lost");
    assert!(why(1, 2, &[("first", "last"), ("second", "last")]).starts_with("version 2 has a step first, too"));
}

#[test]
fn whoever_has_reached_what_the_other_version_stops_at_has_ended() {
    let stops = TWO.replace("version: 1", "version: 2").replace("stop: goal", "stop: opened");
    let mut world = World::new(&[TWO]);
    for line in ["0 has email sms", "0 does lead", "1h opened first"] {
        play(&mut world, line);
    }
    world.say(&record(&stops)).unwrap();
    world.say(&migrated(1, 2, &[])).unwrap();
    assert_eq!(told(&world)[3..], ["1h MIGRATED first", "1h STOP_REACHED"]);
    assert!(world.effects.iter().all(|(_, effect)| !matches!(effect, Effect::Revoke(_))));
}
