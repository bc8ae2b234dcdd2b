//! The example campaigns, each with the timelines that stand beside it, and what needs campaigns of its own.

mod world;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use campaign::rehearsal::Timeline;
use world::World;
use world::script::{self, check};

/// The examples that run in the demo, and the rest of the catalogue of scenarios. Timelines are called `<campaign>.timeline`, or
/// `<campaign>.<what>.timeline` for what else may happen; campaigns that belong together stand with a `+` between them.
const EXAMPLES: [(&str, &str); 2] = [
    ("../../deploy/campaigns", "../../deploy/campaigns/timelines"),
    ("../../deploy/campaigns/scenarios", "../../deploy/campaigns/scenarios"),
];

#[test]
fn every_timeline_of_the_examples_comes_true() {
    for (campaigns, timelines) in EXAMPLES {
        let mut played = BTreeSet::new();
        for path in files(timelines, "timeline") {
            let name = path.display().to_string();
            let text = std::fs::read_to_string(&path).unwrap();
            let timeline = Timeline::parse(&name, &text).unwrap_or_else(|problems| panic!("{}", problems[0]));
            assert!(timeline.expectations() > 0, "{name} expects nothing: add `=>` lines");
            let names: Vec<String> = stem(&path).split('+').map(str::to_owned).collect();
            let definitions: Vec<String> =
                names.iter().map(|name| world::text(&format!("{campaigns}/{name}.yaml"))).collect();
            let definitions: Vec<&str> = definitions.iter().map(String::as_str).collect();
            let world = timeline.play(world::plans(&definitions)).unwrap_or_else(|it| panic!("{}", it[0]));
            let difference = timeline.difference(&world);
            assert_eq!(difference, None, "{name}:\n{}", difference.as_deref().unwrap_or_default());
            played.extend(names);
        }
        let known: BTreeSet<String> = files(campaigns, "yaml").iter().map(|path| stem(path)).collect();
        let missing: Vec<&String> = known.iter().filter(|name| !is_table(name) && !played.contains(*name)).collect();
        assert!(missing.is_empty(), "add a timeline for {missing:?} to {timelines}");
    }
}

/// A page of YAML that a marketer can read at one glance.
#[test]
fn every_example_fits_on_a_page_and_warns_of_nothing() {
    for path in EXAMPLES.iter().flat_map(|(campaigns, _)| files(campaigns, "yaml")) {
        let (name, text) = (path.display().to_string(), std::fs::read_to_string(&path).unwrap());
        assert!(text.lines().count() <= 50, "{name} has {} lines", text.lines().count());
        if !is_table(&stem(&path)) {
            let plan = campaign::parse(&name, &text).unwrap_or_else(|problems| panic!("{}", problems[0]));
            assert!(plan.warnings.is_empty(), "{}", plan.warnings[0]);
        }
    }
}

/// Files that hold no campaign.
fn is_table(name: &str) -> bool {
    ["prices", "rates"].contains(&name)
}

/// The files of a directory beside this crate, by name.
fn files(directory: &str, extension: &str) -> Vec<PathBuf> {
    world::files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(directory), extension)
}

/// The campaign's name: up to the first dot.
fn stem(path: &Path) -> String {
    let name = path.file_name().unwrap().to_str().unwrap();
    name.split('.').next().unwrap().to_owned()
}

/// Most conditions ask when something was done at all: what is older of the same kind is forgotten before what only one entry tells.
#[test]
fn many_orders_hide_neither_what_was_bought_nor_that_it_was() {
    let orders: Vec<String> = (1..=20).map(|order| format!("{order}h does purchase o{order}")).collect();
    let mut school = World::new(&[&world::example("scenarios/school")]);
    play(&mut school, &["0 has email", "0 does purchase category=school"]);
    play(&mut school, &orders);
    play(&mut school, &["300d time passes"]);
    assert_eq!(script::told(&school).iter().filter(|line| line.contains("send list")).count(), 1);

    for (condition, holds) in [("!bought('sneakers', 90)", false), ("did('visit')", true)] {
        let mut shop = World::new(&[&format!(
            "campaign: advertisement
version: 1
trigger: {{on: action, action: looked, where: \"{condition}\"}}
goal: {{action: purchase}}
steps: [{{name: offer, channel: email, template: t}}]
"
        )]);
        play(&mut shop, &["0 has email", "0 does visit", "0 does purchase sku=sneakers"]);
        play(&mut shop, &orders);
        play(&mut shop, &["2d does looked"]);
        let entered = script::told(&shop).iter().any(|line| line.contains("ENTERED"));
        assert_eq!(entered, holds, "{condition}");
    }
}

fn play(world: &mut World, lines: &[impl AsRef<str>]) {
    lines.iter().for_each(|line| script::play(world, line.as_ref()));
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
         1h5m time passes
         1h10m delivered offer
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
    check(weekly(""), "0 has sms\n 1h time passes", "");
    check(weekly(""), "0 has email\n 30m does purchase\n 1h time passes", "1h GOAL_BEFORE");
    check(weekly(""), "0 has email\n 1d2h down\n 1d2h deadlines", "");
}

#[test]
fn a_sweep_that_is_seen_the_day_after_meets_those_whose_day_it_was() {
    let birthday = || {
        World::new(&["campaign: birthday
version: 1
trigger: {on: schedule, every: day 12:00, where: days_to_anniversary(profile.attributes.birthday) == 0}
goal: {action: purchase}
steps: [{name: wish, channel: email, template: t}]
"])
    };
    // The world begins on the 14th of November at 22:13:20; it is seen on the 16th.
    let born = |day: &str| format!("0 has email\n 0 profile birthday={day}\n 27h down\n 27h deadlines");
    check(birthday(), &born("1990-11-15"), "1d3h ENTERED\n 1d3h send wish by email");
    check(birthday(), &born("1990-11-16"), "");
}

#[test]
fn the_channel_that_a_customer_likes_best_speaks_first_if_it_can() {
    let world = || {
        World::new(&["campaign: c
version: 1
trigger: {on: registration}
order: by preference
steps:
  - {name: free, any: [push, email], template: t, wait: 1h}
  - {name: chat, channel: telegram, template: t, wait: 1h}
"])
    };
    let told = |channels: &str, preferred: &str| {
        let mut world = world();
        for line in [
            &format!("0 has {channels}"),
            &format!("0 profile preferred_channel={preferred}"),
            "0 registers",
            "9h time passes",
        ] {
            script::play(&mut world, line);
        }
        world.sends().iter().map(|send| send.channel.clone()).collect::<Vec<_>>()
    };
    assert_eq!(told("push email telegram", "telegram"), ["telegram", "push"]);
    assert_eq!(told("push email telegram", "email"), ["email", "telegram"]);
    assert_eq!(told("push email", "telegram"), ["push"]);
    assert_eq!(told("push email telegram", "fax"), ["push", "telegram"]);
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

/// Everybody got the first message in the same second.
#[test]
fn a_spread_gives_a_later_message_a_moment_of_its_own_as_well() {
    let mut world = World::new(&["campaign: c
version: 1
trigger: {on: action, action: order, key: key}
stop: goal
goal: {action: purchase}
steps:
  - {name: first, channel: email, template: t, wait: 3h}
  - {name: second, channel: email, template: t, spread: 30m}
"]);
    script::play(&mut world, "0 has email");
    (0..10).for_each(|key| script::play(&mut world, &format!("0 does order k{key}")));
    world.pass_until(world::BEGIN + 4 * world::HOUR);
    let sends = world.sends();
    let second = sends.iter().filter(|send| send.step == "second").map(|send| send.decided_at - world::BEGIN);
    let moments: Vec<i64> = second.collect();
    assert!(
        moments.iter().all(|at| (3 * world::HOUR..3 * world::HOUR + 30 * world::MINUTE).contains(at)),
        "{moments:?}"
    );
    let span = moments.iter().max().unwrap() - moments.iter().min().unwrap();
    assert!(moments.len() == 10 && span > 10 * world::MINUTE, "{moments:?}");
}
