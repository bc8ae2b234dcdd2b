//! Caps: what one message too many comes to, and what is counted.

mod world;

use campaign::Caps;
use world::World;
use world::script::{check, play, told};

/// A campaign for each name: an email, and an SMS to those whom it did not reach.
fn capped(caps: &str, names: &[&str]) -> World {
    let definition = |name: &&str| {
        format!(
            "campaign: {name}
version: 1
zone: Europe/Moscow
trigger: {{on: action, action: {name}, key: key}}
goal: {{action: purchase}}
steps:
  - {{name: first, channel: email, template: t, wait: 3h, valid: 6h}}
  - {{name: second, any: [push, sms], template: t}}
"
        )
    };
    let definitions: Vec<String> = names.iter().map(definition).collect();
    let mut world = World::of_texts(&definitions);
    world.cap(&format!("caps: [{caps}]"));
    world
}

#[test]
fn one_message_too_many_ends_its_cascade_and_never_becomes_a_dearer_one() {
    check(
        capped("{most: 1, per: 24h, channel: email}", &["a", "b"]),
        "0 has email sms
         0 does a k
         10m does b k",
        "0 ENTERED
         0 send first by email
         10m ENTERED
         10m CAPPED",
    );
}

#[test]
fn a_skipped_message_makes_room_for_one_that_is_no_dearer() {
    let skip = "{most: 1, per: 24h, channel: email, then: skip}";
    let happens = |channels: &str| format!("0 has {channels}\n 0 does a k\n 10m does b k");
    let begin = "0 ENTERED\n 0 send first by email\n 10m ENTERED\n 10m CAPPED first email\n";
    let with_push = format!("{begin} 10m send second by push");
    check(capped(skip, &["a", "b"]), &happens("email push sms"), &with_push);
    check(capped(skip, &["a", "b"]), &happens("email sms"), &format!("{begin} 10m CANNOT_SEND second\n 10m EXHAUSTED"));
}

/// Whatever becomes of those that are no dearer: the way to the dearer ones is closed for good.
#[test]
fn what_follows_a_skipped_message_opens_no_way_to_a_dearer_one() {
    let of = |name: &str| {
        let steps = ["push", "email", "sms"]
            .map(|channel| format!("  - {{name: {channel}, channel: {channel}, template: t, wait: 3h}}\n"));
        let head = format!(
            "campaign: {name}\nversion: 1\ntrigger: {{on: action, action: {name}}}\ngoal: {{action: purchase}}\n"
        );
        format!("{head}steps:\n{}", steps.concat())
    };
    for word in ["accepted", "bounced", "failed"] {
        let mut world = World::of_texts(&[of("a"), of("b")]);
        world.cap("caps: [{most: 1, per: day, channel: push, then: skip}]");
        let happens = format!(
            "0 has push email sms\n 0 does a\n 1m delivered push\n 10m does b\n 11m {word} email\n 1d time passes"
        );
        happens.lines().for_each(|line| play(&mut world, line.trim()));
        let sent: Vec<&str> = world.sends().iter().map(|send| &*send.channel).collect();
        assert_eq!(sent, ["push", "email"], "{word}: {:?}", told(&world));
    }
}

#[test]
fn what_is_held_goes_out_as_soon_as_there_is_room_and_ends_where_it_would_be_too_late() {
    check(
        capped("{most: 2, per: 3h, channel: email, then: hold}", &["a", "b", "c"]),
        "0 has email
         0 does a k
         1h does b k
         2h does c k
         2h30m does a k2
         4h time passes",
        "0 ENTERED
         0 send first by email
         1h ENTERED
         1h send first by email
         2h ENTERED
         2h CAPPED first email
         2h30m ENTERED
         2h30m CAPPED first email
         3h NO_INFORMATION first email
         3h CANNOT_SEND second
         3h EXHAUSTED
         3h send first by email
         3h CAPPED first email
         4h NO_INFORMATION first email
         4h CANNOT_SEND second
         4h EXHAUSTED
         4h send first by email",
    );
    check(
        capped("{most: 1, per: 7d, channel: email, then: hold}", &["a", "b"]),
        "0 has email\n 0 does a k\n 1h does b k",
        "0 ENTERED\n 0 send first by email\n 1h ENTERED\n 1h CAPPED",
    );
}

#[test]
fn a_day_is_the_customers_own() {
    // The world begins at 1:13:20 in Moscow: the next day there begins 22h46m40s later.
    check(
        capped("{most: 1, per: day}", &["a", "b", "c"]),
        "0 has email
         0 does a k
         22h46m39s does b k
         22h46m40s does c k",
        "0 ENTERED
         0 send first by email
         3h NO_INFORMATION first email
         3h CANNOT_SEND second
         3h EXHAUSTED
         22h46m39s ENTERED
         22h46m39s CAPPED
         22h46m40s ENTERED
         22h46m40s send first by email",
    );
}

#[test]
fn what_nobody_got_does_not_count() {
    for answer in ["refused", "expired"] {
        let happens = format!("0 has email\n 0 worker off\n 0 does a k\n 1m {answer} first\n 10m does b k");
        let mut world = capped("{most: 1, per: 24h, channel: email}", &["a", "b"]);
        happens.lines().for_each(|line| play(&mut world, line.trim()));
        assert!(told(&world).contains(&"10m send first by email".to_owned()), "{answer}: {:?}", told(&world));
    }
    // A bounce for ever makes room for what follows upon it.
    let mut world = capped("{most: 1, per: 24h}", &["a"]);
    ["0 has email push", "0 does a k", "1m bounced first"].iter().for_each(|line| play(&mut world, line));
    assert_eq!(told(&world).last().map(String::as_str), Some("1m send second by push"), "{:?}", told(&world));
}

#[test]
fn what_was_handed_over_counts_whatever_becomes_of_it() {
    for word in ["failed", "delivered"] {
        let happens = format!("0 has email\n 0 does a k\n 1m {word} first\n 10m does b k");
        let mut world = capped("{most: 1, per: 24h, channel: email}", &["a", "b"]);
        happens.lines().for_each(|line| play(&mut world, line.trim()));
        assert!(told(&world).contains(&"10m CAPPED".to_owned()), "{word}: {:?}", told(&world));
    }
}

/// It was taken for one that never left, and arrived: it counts from its own moment, so there is room again five hours after that.
#[test]
fn what_counts_late_gives_room_as_early_as_if_it_had_always_counted() {
    let mut world = capped("{most: 2, per: 5h, channel: email, then: hold}", &["a", "b", "c"]);
    for line in ["0 has email push", "0 does a k", "1m revoked first", "2h does b k", "3h time passes"] {
        play(&mut world, line);
    }
    let first = world.sends()[0].send_id.clone();
    world.feedback(&first, "email", schemas::Status::Delivered, schemas::Actor::Unspecified);
    ["4h does c k", "6h time passes"].iter().for_each(|line| play(&mut world, line));
    let told = told(&world);
    assert!(told.contains(&"5h send first by email".to_owned()), "{told:?}");
}

#[test]
fn what_was_withdrawn_after_its_cascade_had_ended_does_not_count_either() {
    let mut world = capped("{most: 1, per: 24h, channel: email}", &["a", "b"]);
    let happens = "0 has email\n 0 worker off\n 0 does a k\n 1m does purchase\n 2m revoked first\n 10m does b k";
    happens.lines().for_each(|line| play(&mut world, line.trim()));
    assert!(told(&world).contains(&"10m send first by email".to_owned()), "{:?}", told(&world));
}

#[test]
fn what_customers_wait_for_is_not_counted_unless_a_cap_names_it() {
    let definition = |class: &str| {
        format!(
            "campaign: c
version: 1
class: {class}
trigger: {{on: action, action: lead, key: key}}
steps: [{{name: first, channel: sms, template: t}}]
"
        )
    };
    let world = |class: &str, cap: &str| {
        let mut world = World::new(&[&definition(class)]);
        world.cap(&format!("caps: [{{most: 1, per: week{cap}}}]"));
        world
    };
    let happens = "0 has sms\n 0 does lead one\n 1m does lead two";
    let once = "0 ENTERED\n 0 send first by sms\n 1m ENTERED\n 1m CAPPED";
    let twice = "0 ENTERED\n 0 send first by sms\n 1m ENTERED\n 1m send first by sms";
    check(world("marketing", ""), happens, once);
    check(world("transactional", ""), happens, twice);
    check(world("transactional", ", class: transactional"), happens, once);
    check(world("marketing", ", class: transactional"), happens, twice);
}

#[test]
fn the_journal_says_which_cap_and_until_when() {
    let mut world = capped("{most: 1, per: 24h, channel: [email, push]}", &["a", "b"]);
    for line in ["0 has email", "0 does a k", "1h does b k"] {
        play(&mut world, line);
    }
    let last = world.journal().into_iter().next_back().unwrap();
    let evidence: Vec<String> = last.evidence.iter().map(|(what, how)| format!("{what} = {how}")).collect();
    let until = world::BEGIN + world::DAY;
    assert_eq!(evidence, ["cap = 1 in 1d on email, push".to_owned(), "counted = 1".into(), format!("until = {until}")]);
}

#[test]
fn a_bad_table_of_caps_is_refused_with_all_its_mistakes_and_their_places() {
    let table = "caps:\n  - {most: 1, per: fortnight}\n  - {most: 101, per: day, channel: [sms, emial]}\n  - {most: 1, per: 0s, then: jump}\n";
    let problems = Caps::parse("caps.yaml", table).unwrap_err();
    let told: Vec<String> =
        problems.iter().map(|problem| problem.to_string().lines().next().unwrap_or_default().to_owned()).collect();
    assert_eq!(told.len(), 5, "{told:?}");
    for (told, word) in told.iter().zip(["fortnight", "all caps together", "emial", "no time at all", "jump"]) {
        assert!(told.contains(word), "{told} has no {word}");
    }
}
