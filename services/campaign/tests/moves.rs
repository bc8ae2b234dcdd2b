//! Pauses and migrations at their edges: what stays where it was, and what does not. Each of these cases notices a change of the brain in
//! one place that no other test noticed (`tests/mutants.sh`).

mod world;

use schemas::{Campaign, CampaignKind};
use world::script::{TWO, check, lived, play, told};
use world::{BEGIN, HOUR, MINUTE, World, record};

#[test]
fn a_wait_until_a_time_of_day_that_passes_in_a_pause_is_over_at_the_next_one() {
    check(
        World::new(&[&TWO.replacen("wait: 3h", "wait: 1 day 9:30", 1)]),
        "0 has email sms\n 0 does lead\n 1h pause two\n 20h resume two\n 2d time passes",
        "0 ENTERED
         0 send first by email
         1h FROZEN
         20h THAWED
         1d11h16m40s NO_INFORMATION first email
         1d11h16m40s send second by sms
         1d14h16m40s NO_INFORMATION second sms
         1d14h16m40s EXHAUSTED",
    );
}

/// The world begins at 22:13:20.
#[test]
fn a_time_of_day_that_comes_after_the_pause_or_with_its_end_stays() {
    let morning = "1h FROZEN\n TIME THAWED\n 11h16m40s NO_INFORMATION first email\n 11h16m40s send second by sms";
    for resumed in ["2h", "11h16m40s"] {
        let waits = TWO.replacen("wait: 3h", "wait: 1 day 9:30", 1);
        let happens = format!("0 has email sms\n 0 does lead\n 1h pause two\n {resumed} resume two\n 12h time passes");
        let decided = format!("0 ENTERED\n 0 send first by email\n {}", morning.replace("TIME", resumed));
        check(World::new(&[&waits]), &happens, &decided);
        let starts = TWO.replacen("wait: 3h", "wait: 3h, at: 9:30", 1);
        let decided = format!("0 ENTERED\n 1h FROZEN\n {resumed} THAWED\n 11h16m40s send first by email");
        check(World::new(&[&starts]), &happens, &decided);
    }
}

/// It is given out again, as valid as if it had gone out at its turn: a date stays, all other moments are put off.
#[test]
fn what_a_pause_takes_back_is_valid_as_long_as_before_it_and_the_pause() {
    let valid = |start: &str| {
        let first = TWO.replacen("valid: 1h", &format!("valid: 2h{start}"), 1);
        let world = lived(
            &first,
            "0 worker off
             0 has email
             0 does lead day=2023-11-14T22:14:20Z
             10m pause two
             40m resume two
             41m revoked first",
        );
        world.sends().iter().map(|send| send.send_before - BEGIN).collect::<Vec<_>>()
    };
    assert_eq!(valid(", at: event.day"), [2 * HOUR + MINUTE, 2 * HOUR + MINUTE]);
    assert_eq!(valid(""), [2 * HOUR, 2 * HOUR + 30 * MINUTE]);
    // And if the customer is held when it comes back, through one more pause.
    check(
        World::new(&[&TWO.replacen("valid: 1h", "valid: 2h, at: event.day", 1)]),
        "0 worker off
         0 has email
         0 does lead day=2023-11-14T22:14:20Z
         10m pause two
         40m resume two
         41m unreadable
         42m revoked first
         50m pause two
         55m resume two
         2h1m time passes",
        "0 ENTERED
         1m send first by email
         10m revoke email FROZEN
         10m FROZEN first email
         40m THAWED
         41m HOLD_PLACED
         42m REVOKED first email
         50m FROZEN
         55m THAWED
         2h1m VALIDITY_OVER first
         2h1m EXHAUSTED",
    );
}

/// From one version to another, with what becomes of steps that are not there.
fn moves(world: &mut World, from_version: i32, version: i32, steps: &[(&str, &str)]) {
    let steps = steps.iter().map(|(old, new)| ((*old).to_owned(), (*new).to_owned())).collect();
    let (campaign, kind) = ("two".to_owned(), CampaignKind::Migrated);
    world.say(&Campaign { campaign, kind, from_version, version, steps, ..Campaign::default() }).unwrap();
}

/// It has moved to a shorter wait in the pause, which is over at its end and not before: what follows is valid from then on.
#[test]
fn a_wait_that_became_shorter_in_a_pause_is_over_with_the_pause() {
    let mut world = lived(TWO, "0 has email sms\n 0 does lead\n 1h pause two\n 2h time passes");
    world.say(&record(&TWO.replace("version: 1", "version: 2").replacen("wait: 3h", "wait: 30m", 1))).unwrap();
    moves(&mut world, 1, 2, &[]);
    for line in ["20h resume two", "21h time passes"] {
        play(&mut world, line);
    }
    let wanted = ["20h THAWED", "20h NO_INFORMATION first email", "20h send second by sms"];
    assert_eq!(told(&world)[4..], wanted, "{:?}", told(&world));
}

#[test]
fn what_went_out_is_behind_although_a_version_in_between_did_not_have_its_channel() {
    let either = TWO.replace("channel: email", "any: [email, sms]");
    let mut world = lived(&either, "0 has email sms push\n 0 does lead\n 10m time passes");
    world.say(&record(&either.replace("version: 1", "version: 2").replace("[email, sms]", "[push, sms]"))).unwrap();
    moves(&mut world, 1, 2, &[]);
    moves(&mut world, 2, 1, &[]);
    play(&mut world, "20m failed first");
    assert_eq!(told(&world).last().map(String::as_str), Some("20m send first by sms"), "{:?}", told(&world));
}

#[test]
fn what_is_new_before_a_step_that_is_given_up_is_behind() {
    let between = "  - {name: between, channel: push, template: t, wait: 3h}\n  - {name: second,";
    let three = TWO.replace("  - {name: second,", between);
    let new = "steps:\n  - {name: new, channel: push, template: t, wait: 1h}\n";
    let mut world = lived(&three, "0 has email sms push\n 0 does lead\n 4h time passes");
    world.say(&record(&TWO.replace("version: 1", "version: 2").replace("steps:\n", new))).unwrap();
    moves(&mut world, 1, 2, &[("between", "")]);
    play(&mut world, "7h time passes");
    let sends: Vec<&str> = world.sends().iter().map(|send| &*send.step).collect();
    assert_eq!(sends, ["first", "between", "second"], "{:?}", told(&world));
}

#[test]
fn what_waits_at_a_worker_is_left_there_where_its_step_has_a_place() {
    let mut world = lived(TWO, "0 worker off\n 0 has email sms\n 0 does lead\n 10m time passes");
    world.say(&record(&TWO.replace("version: 1", "version: 2").replacen("wait: 3h", "wait: 2h", 1))).unwrap();
    moves(&mut world, 1, 2, &[]);
    for line in ["20m accepted first", "3h time passes"] {
        play(&mut world, line);
    }
    let wanted = ["10m MIGRATED first", "2h20m NO_INFORMATION first email", "2h20m send second by sms"];
    assert_eq!(told(&world)[2..], wanted);
}

#[test]
fn who_has_moved_stands_at_the_same_channel() {
    let either = TWO.replace("channel: email", "any: [push, email]");
    let mut world = lived(&either, "0 worker off\n 0 has email sms\n 0 does lead\n 10m time passes");
    world.say(&record(&either.replace("version: 1", "version: 2"))).unwrap();
    moves(&mut world, 1, 2, &[]);
    for line in ["20m unreadable", "21m revoked first", "30m release"] {
        play(&mut world, line);
    }
    assert_eq!(told(&world).last().map(String::as_str), Some("30m send first by email"), "{:?}", told(&world));
}

#[test]
fn a_step_that_is_given_up_before_anything_of_it_went_out_goes_out_when_it_is_back() {
    let mut world = lived(TWO, "0 has email sms\n 0 does lead\n 1h time passes");
    let second = "  - {name: second, channel: sms, template: t, wait: 3h, valid: 1h}\n";
    world.say(&record(&TWO.replace("version: 1", "version: 2").replace(second, ""))).unwrap();
    moves(&mut world, 1, 2, &[("second", "")]);
    moves(&mut world, 2, 1, &[]);
    play(&mut world, "4h time passes");
    assert_eq!(told(&world)[4..], ["3h NO_INFORMATION first email", "3h send second by sms"]);
}

#[test]
fn what_was_passed_over_stays_behind_in_another_version() {
    let by_cost = TWO.replace("steps:", "order: by cost\nsteps:");
    let mut world = lived(&by_cost, "0 has sms\n 0 does lead\n 1h time passes");
    world.say(&record(&by_cost.replace("version: 1", "version: 2"))).unwrap();
    moves(&mut world, 1, 2, &[]);
    for line in ["2h has sms email", "9h time passes"] {
        play(&mut world, line);
    }
    assert_eq!(told(&world).last().map(String::as_str), Some("3h EXHAUSTED"), "{:?}", told(&world));
}

#[test]
fn the_channels_of_a_step_that_were_open_are_open_in_another_version() {
    let many = TWO.replace("channel: email", "any: [email, telegram, push]");
    let mut world = lived(&many, "0 has email telegram push\n 0 does lead\n 1m failed first\n 2m time passes");
    world.say(&record(&many.replace("version: 1", "version: 2"))).unwrap();
    moves(&mut world, 1, 2, &[]);
    for line in ["3m failed first", "4m failed first"] {
        play(&mut world, line);
    }
    let channels: Vec<&str> = world.sends().iter().map(|send| &*send.channel).collect();
    assert_eq!(channels, ["email", "telegram", "push"]);
    let mut world = lived(&many, "0 has email telegram push\n 0 does lead\n 2m time passes");
    world.say(&record(&many.replace("version: 1", "version: 2"))).unwrap();
    moves(&mut world, 1, 2, &[]);
    play(&mut world, "3m failed first");
    assert_eq!(world.sends()[1].channel, "telegram");
}

/// It was passed over for want of an address, which has come meanwhile.
#[test]
fn a_channel_that_was_passed_over_is_behind_although_others_of_its_step_are_not() {
    let many = TWO.replace("channel: email", "any: [push, email, telegram]");
    let mut world = lived(&many, "0 has email telegram\n 0 does lead\n 1m time passes");
    world.say(&record(&many.replace("version: 1", "version: 2"))).unwrap();
    moves(&mut world, 1, 2, &[]);
    for line in ["2m has push email telegram", "3m failed first"] {
        play(&mut world, line);
    }
    let channels: Vec<&str> = world.sends().iter().map(|send| &*send.channel).collect();
    assert_eq!(channels, ["email", "telegram"]);
}

#[test]
fn what_is_new_goes_out_where_the_first_step_is_given_up() {
    let new = "- {name: new, channel: push, template: t, wait: 1h}";
    let mut world = lived(TWO, "0 has email sms push\n 0 does lead\n 1h time passes");
    let first = "- {name: first, channel: email, template: t, wait: 3h, valid: 1h}";
    world.say(&record(&TWO.replace("version: 1", "version: 2").replace(first, new))).unwrap();
    moves(&mut world, 1, 2, &[("first", "")]);
    play(&mut world, "3h time passes");
    assert_eq!(world.sends()[1].step, "new");
}

/// Also where nobody knows the date any more.
#[test]
fn a_wait_until_a_date_that_passes_in_a_pause_is_over_with_it() {
    let steps = "steps:
  - {name: first, channel: email, template: t}
  - {name: second, channel: sms, template: t, at: profile.day + 1 day 10:00, valid: 1h}
";
    let dated = format!("{}{steps}", TWO.split_once("steps:").unwrap().0);
    for (meanwhile, then) in [("time passes", "VALIDITY_OVER"), ("profile city=Kazan", "NO_DATE")] {
        check(
            World::new(&[&dated]),
            &format!(
                "0 has email sms
                 0 profile day=2023-11-14
                 0 does lead
                 1h pause two
                 12h {meanwhile}
                 20h resume two
                 2d time passes"
            ),
            &format!(
                "0 ENTERED
                 0 send first by email
                 1h FROZEN
                 20h THAWED
                 20h NO_INFORMATION first email
                 20h {then} second
                 20h EXHAUSTED"
            ),
        );
    }
}

#[test]
fn a_pause_lengthens_the_wait_for_a_message_of_a_step_that_is_given_up() {
    let mut world = lived(TWO, "0 has email sms\n 0 does lead\n 1h time passes");
    let first = "  - {name: first, channel: email, template: t, wait: 3h, valid: 1h}\n";
    world.say(&record(&TWO.replace("version: 1", "version: 2").replace(first, ""))).unwrap();
    moves(&mut world, 1, 2, &[("first", "")]);
    for line in ["2h pause two", "5h resume two", "7h time passes"] {
        play(&mut world, line);
    }
    assert_eq!(told(&world)[3..], ["2h FROZEN", "5h THAWED", "6h send second by sms"]);
}

#[test]
fn what_is_new_before_where_one_stands_goes_out_if_nothing_has_gone_out_or_cost_decides() {
    let new = "steps:\n  - {name: new, channel: push, template: t, wait: 1h}\n";
    let lives = |one: &str, then: &str| {
        let mut world = lived(one, "0 has email sms push\n 0 does lead\n 30m time passes");
        world.say(&record(&one.replace("version: 1", "version: 2").replace("steps:\n", new))).unwrap();
        moves(&mut world, 1, 2, &[]);
        play(&mut world, "9h time passes");
        assert_eq!(world.sends().iter().map(|it| &*it.step).collect::<Vec<_>>().join(" "), then);
    };
    lives(TWO, "first second");
    lives(&TWO.replace("steps:", "order: by cost\nsteps:"), "first new second");
    lives(&TWO.replace("action: lead", "action: lead, settle: 1h"), "new first second");
}
