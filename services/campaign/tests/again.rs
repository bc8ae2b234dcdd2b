//! The trigger comes again: the cart changed, there are two carts, the campaign has just ended, or it waits for the end.

mod world;

use schemas::{Campaign, CampaignKind, Reason};
use world::script::{check, play, told};
use world::{BEGIN, DAY, World};

/// Two reminders of a cart; the second costs money, so it asks once more what is in the cart.
const TWO_REMINDERS: &str = "
campaign: cart
version: 1
trigger: {on: cart, where: total_minor >= 1000, key: cart_id, settle: 1h, again: refresh}
goal: {action: purchase}
stop: goal
steps:
  - {name: first, channel: email, template: t, wait: 1d}
  - {name: second, channel: sms, template: t, when: total_minor >= 1000}
";

#[test]
fn a_cart_that_changes_after_the_first_reminder_is_spoken_of_as_it_is_now_and_moves_nothing() {
    let mut world = World::new(&[TWO_REMINDERS]);
    for line in ["0 has email sms", "0 cart c1 1 5000", "3h cart c1 2 7000", "2d time passes"] {
        play(&mut world, line);
    }
    assert_eq!(
        told(&world)[..5],
        ["0 ENTERED", "1h send first by email", "3h REFRESHED", "1d1h NO_GOAL first email", "1d1h send second by sms"]
    );
    let totals: Vec<&str> = world.sends().iter().map(|send| &*send.fields["total_minor"]).collect();
    assert_eq!(totals, ["5000", "7000"]);
}

#[test]
fn a_cart_that_became_small_begins_nothing_and_costs_nothing() {
    let settling = "0 has email sms\n 0 cart c1 1 5000\n 30m cart c1 2 500\n 9d time passes";
    check(World::new(&[TWO_REMINDERS]), settling, "0 ENTERED\n 30m WITHDRAWN\n 30m PREDICATE_FALSE");
    check(
        World::new(&[TWO_REMINDERS]),
        "0 has email sms
         0 cart c1 1 5000
         3h cart c1 2 500
         9d time passes",
        "0 ENTERED
         1h send first by email
         3h REFRESHED
         1d1h NO_GOAL first email
         1d1h STEP_SKIPPED second
         1d1h EXHAUSTED",
    );
}

#[test]
fn two_carts_are_two_cascades_unless_the_campaign_wants_one_at_a_time() {
    let happens = "0 has email sms
         0 cart c1 1 5000
         10m cart c2 1 5000
         20m cart c1 2 6000
         30m does purchase";
    check(
        World::new(&[TWO_REMINDERS]),
        happens,
        "0 ENTERED
         10m ENTERED
         20m REFRESHED
         30m GOAL_REACHED
         30m GOAL_REACHED",
    );
    let alone = TWO_REMINDERS.replace("where: total_minor >= 1000,", "where: \"!is_in('cart')\",");
    check(World::new(&[&alone]), happens, "0 ENTERED\n 10m PREDICATE_FALSE\n 20m REFRESHED\n 30m GOAL_REACHED");
}

#[test]
fn what_comes_again_is_ignored_unless_the_campaign_says_otherwise_and_never_begins_twice() {
    let ignoring = TWO_REMINDERS.replace(", again: refresh", "");
    let mut world = World::new(&[&ignoring]);
    for line in ["0 has email sms", "0 cart c1 1 5000", "0 again", "30m cart c1 2 7000", "1h time passes"] {
        play(&mut world, line);
    }
    assert_eq!(told(&world), ["0 ENTERED", "0 DUPLICATE", "30m ALREADY_RUNNING", "1h send first by email"]);
    assert_eq!(world.sends()[0].fields["total_minor"], "5000");
}

#[test]
fn after_its_end_a_campaign_rests_for_its_cooldown_and_on_this_key_only() {
    let definition = "
campaign: c
version: 1
trigger: {on: action, action: lead, key: key, cooldown: 7d}
goal: {action: purchase}
steps: [{name: only, channel: email, template: t}]
";
    let mut world = World::new(&[definition]);
    for line in ["0 has email", "0 does lead a", "1h delivered only", "7d does lead a", "7d does lead b"] {
        play(&mut world, line);
    }
    assert_eq!(told(&world)[4..], ["7d COOLING_DOWN", "7d ENTERED", "7d send only by email"]);
    world.pass_until(BEGIN + 7 * DAY + world::HOUR);
    play(&mut world, "0 does lead a");
    let last: Vec<String> = told(&world).split_off(7);
    assert_eq!(last, ["7d1h ENTERED", "7d1h send only by email"]);
}

/// Eight ends of other keys, and of other campaigns, do not make it forget that it rests.
#[test]
fn a_rest_is_remembered_however_often_the_campaign_ended_since() {
    let definition = "
campaign: c
version: 1
trigger: {on: action, action: lead, key: key, cooldown: 7d}
goal: {action: purchase, match: same key}
steps: [{name: only, channel: email, template: t}]
";
    let mut world = World::new(&[definition]);
    for line in ["0 worker off", "0 has email", "0 does lead a", "1m does purchase a"] {
        play(&mut world, line);
    }
    for key in 1..16 {
        play(&mut world, &format!("1h does lead k{key}"));
        play(&mut world, &format!("1h does purchase k{key}"));
    }
    let last = |world: &World| told(world).pop().unwrap();
    play(&mut world, "2d does lead a");
    assert_eq!(last(&world), "2d COOLING_DOWN");
    // Of that one it is the last end that counts; and what rests no more gives way.
    play(&mut world, "8d does lead a");
    play(&mut world, "8d does purchase a");
    play(&mut world, "9d does lead a");
    assert_eq!(last(&world), "9d COOLING_DOWN");
    assert_eq!(world.customer.past.len(), 8);
}

/// That a campaign was gone through is known by its last end: eight later ones of another push out none that is asked for.
#[test]
fn whether_a_campaign_was_gone_through_is_known_however_often_another_one_was() {
    let campaign = |name: &str, more: &str| {
        format!(
            "campaign: {name}
version: 1
trigger: {{on: action, action: {name}, key: key{more}}}
goal: {{action: purchase}}
steps: [{{name: only, channel: email, template: t}}]
"
        )
    };
    let (thanks, often) = (campaign("thanks", ""), campaign("often", ""));
    let asks = campaign("asks", ", where: \"!was_in('thanks') && !was_in('never')\"");
    let mut world = World::new(&[&thanks, &often, &asks]);
    for line in ["0 has email", "0 does thanks a", "1m does purchase"] {
        play(&mut world, line);
    }
    for key in 0..20 {
        play(&mut world, &format!("1h does often k{key}"));
        play(&mut world, "1h does purchase");
    }
    play(&mut world, "2h does asks a");
    assert_eq!(told(&world).pop().unwrap(), "2h PREDICATE_FALSE");
}

/// Whoever is told of a flight, and when it leaves by the profile too.
const FLIGHT: &str = "
campaign: flight
version: 1
class: transactional
trigger: {on: action, action: booked, key: key, again: refresh}
goal: {action: cancelled, match: same key}
stop: goal
steps:
  - {name: booked, channel: email, template: t, wait: 1h}
  - {name: soon, channel: sms, template: t, at: FROM.leaves_at - 2h, valid: until FROM.leaves_at}
";

/// The world begins on the 14th of November at 22:13:20.
fn leaves(by: &str, moves: &str) -> (World, String) {
    let world = World::new(&[&FLIGHT.replace("FROM", by)]);
    let (booked, moves) = match by {
        "event" => {
            ("0 does booked f leaves_at=2023-11-20T12:13:20Z".to_owned(), format!("2d does booked f leaves_at={moves}"))
        }
        _ => (
            "0 profile leaves_at=2023-11-20T12:13:20Z\n 0 does booked f".to_owned(),
            format!("2d profile leaves_at={moves}"),
        ),
    };
    (world, format!("0 has email sms\n {booked}\n {moves}\n 9d time passes"))
}

#[test]
fn a_date_that_moves_takes_what_waits_for_it_with_it() {
    for by in ["event", "profile"] {
        let told = |moves: &str| {
            let (mut world, happens) = leaves(by, moves);
            happens.lines().for_each(|line| play(&mut world, line.trim()));
            told(&world).into_iter().filter(|line| line.contains("soon")).collect::<Vec<_>>()
        };
        assert_eq!(told("2023-11-18T12:13:20Z")[0], "3d12h send soon by sms", "{by}: sooner");
        assert_eq!(told("2023-11-22T12:13:20Z")[..2], ["5d12h DELAYED soon", "7d12h send soon by sms"], "{by}: later");
        assert_eq!(told("2023-11-16T23:13:20Z")[0], "2d send soon by sms", "{by}: in an hour");
        assert_eq!(told("2023-11-16T12:13:20Z"), ["2d VALIDITY_OVER soon"], "{by}: it has left");
    }
}

#[test]
fn a_date_that_moves_in_a_pause_is_followed_when_it_is_over() {
    check(
        World::new(&[&FLIGHT.replace("FROM", "profile")]),
        "0 has email sms
         0 profile leaves_at=2023-11-20T12:13:20Z
         0 does booked f
         1d pause flight
         2d profile leaves_at=2023-11-18T12:13:20Z
         3d resume flight
         4d time passes",
        "0 ENTERED
         0 send booked by email
         1h NO_GOAL booked email
         1d FROZEN
         3d THAWED
         3d12h send soon by sms",
    );
}

/// Who has looked at a flat is called about the one that was looked at last.
const ANEW: &str = "
campaign: viewing
version: 1
trigger: {on: action, action: viewed, where: amount_minor >= 100, again: restart, cooldown: 5d}
goal: {action: purchase}
stop: goal
steps:
  - {name: first, channel: email, template: t, wait: 1d}
  - {name: second, channel: sms, template: t}
";

#[test]
fn a_cascade_that_restarts_ends_and_begins_anew_with_what_came_last() {
    let mut world = World::new(&[ANEW]);
    let happens = ["0 has email sms", "0 does viewed one amount_minor=100", "3h does viewed two amount_minor=200"];
    for line in happens.into_iter().chain(["4h does viewed three amount_minor=5", "2d time passes"]) {
        play(&mut world, line);
    }
    assert_eq!(
        told(&world)[..8],
        [
            "0 ENTERED",
            "0 send first by email",
            "3h RESTARTED",
            "3h ENTERED",
            "3h send first by email",
            "4h ALREADY_RUNNING",
            "1d3h NO_GOAL first email",
            "1d3h send second by sms"
        ]
    );
    let keys: Vec<&str> = world.sends().iter().map(|send| &*send.fields["key"]).collect();
    assert_eq!(keys, ["one", "two", "two"]);
    assert_ne!(world.sends()[0].send_id, world.sends()[1].send_id);
}

#[test]
fn a_campaign_begins_as_often_as_it_may_and_no_more() {
    let twice = ANEW.replace("again: restart, cooldown: 5d", "maximum: 2");
    check(
        World::new(&[&twice]),
        "0 has email
         0 does viewed one amount_minor=100
         2d does viewed two amount_minor=100
         4d does viewed three amount_minor=100",
        "0 ENTERED
         0 send first by email
         1d NO_GOAL first email
         1d NO_CONTACT second
         1d EXHAUSTED
         2d ENTERED
         2d send first by email
         3d NO_GOAL first email
         3d NO_CONTACT second
         3d EXHAUSTED
         4d OFTEN_ENOUGH",
    );
}

#[test]
fn a_restart_that_may_not_begin_ends_nothing() {
    let twice = ANEW.replace("cooldown: 5d", "maximum: 2");
    check(
        World::new(&[&twice]),
        "0 has email sms
         0 does viewed one amount_minor=100
         3h does viewed two amount_minor=100
         4h does viewed three amount_minor=100
         2d time passes",
        "0 ENTERED
         0 send first by email
         3h RESTARTED
         3h ENTERED
         3h send first by email
         4h OFTEN_ENOUGH
         1d3h NO_GOAL first email
         1d3h send second by sms",
    );
}

/// By the newest version it would not begin: the running one of the version before goes on.
#[test]
fn a_restart_asks_the_version_by_which_it_would_begin() {
    let stricter = ANEW.replace("version: 1", "version: 2").replace("amount_minor >= 100", "amount_minor >= 1000");
    let mut world = World::new(&[ANEW]);
    for line in ["0 has email sms", "0 does viewed one amount_minor=100"] {
        play(&mut world, line);
    }
    let record = Campaign {
        campaign: "viewing".into(),
        version: 2,
        kind: CampaignKind::Definition,
        definition: stricter,
        ..Campaign::default()
    };
    world.plans.apply(&record).unwrap();
    play(&mut world, "3h does viewed two amount_minor=200");
    assert!(told(&world).iter().any(|line| line == "3h ALREADY_RUNNING"), "{:?}", told(&world));
    play(&mut world, "4h does viewed three amount_minor=2000");
    assert!(told(&world).iter().any(|line| line == "4h RESTARTED"), "{:?}", told(&world));
}

#[test]
fn the_fourth_cart_is_forgotten_and_not_one_that_came_again() {
    let mut world = World::of_examples(&["cart-left"]);
    play(&mut world, "0 has email sms");
    for line in
        ["1m cart c1 1 empty", "2m cart c2 1 empty", "3m cart c3 1 empty", "4m cart c4 1 empty", "5m cart c1 9 empty"]
    {
        play(&mut world, line);
    }
    play(&mut world, "6m cart c5 1 empty");
    play(&mut world, "7m cart c1 8 5000");
    assert!(told(&world).iter().all(|line| !line.contains("ENTERED")), "{:?}", told(&world));
}

#[test]
fn a_version_that_began_nothing_is_newer_all_the_same() {
    for newest in ["cart c1 3 empty", "cart c1 3 100"] {
        let above = world::example("cart-left").replace("  on: cart\n", "  on: cart\n  where: total_minor >= 1000\n");
        let mut world = World::new(&[&above]);
        for line in ["0 has email sms", &format!("0 {newest}"), "1m cart c1 2 500000", "9d time passes"] {
            play(&mut world, line);
        }
        let told = told(&world);
        assert!(told.iter().any(|line| line.contains("SUPERSEDED")), "{newest}: {told:?}");
        assert!(!told.iter().any(|line| line.contains("ENTERED")), "{newest}: {told:?}");
        play(&mut world, "9d1m cart c1 4 500000");
        assert!(
            world::script::told(&world).iter().any(|line| line.contains("ENTERED")),
            "{newest}: a newer one begins"
        );
    }
}

#[test]
fn what_has_priority_comes_first_where_two_cascades_want_the_same_room() {
    let campaign = |name: &str, head: &str| {
        format!(
            "campaign: {name}
version: 1
{head}trigger: {{on: action, action: {name}}}
goal: {{action: purchase}}
steps:
  - {{name: {name}, channel: email, template: t, at: trigger + 2h}}
"
        )
    };
    let world = |head: &str| {
        let mut world = World::new(&[&campaign("a", ""), &campaign("b", head)]);
        world.cap("caps: [{most: 1, per: day}]");
        world
    };
    let happens = "0 has email\n 0 does a\n 0 does b\n 3h time passes";
    let begin = "0 ENTERED\n 0 ENTERED\n";
    check(world(""), happens, &format!("{begin} 2h send a by email\n 2h CAPPED"));
    check(world("priority: 1\n"), happens, &format!("{begin} 2h send b by email\n 2h CAPPED"));
    // Also where both begin with one event, and send at once.
    let one = |name: &str, head: &str| {
        campaign(name, head).replace(&format!("action: {name}}}"), "action: lead}").replace(", at: trigger + 2h", "")
    };
    let mut world = World::new(&[&one("a", ""), &one("b", "priority: 1\n")]);
    world.cap("caps: [{most: 1, per: day}]");
    check(world, "0 has email\n 0 does lead", "0 ENTERED\n 0 send b by email\n 0 ENTERED\n 0 CAPPED");
}

// Queue.

const QUEUE: &str = "
campaign: two
version: 1
trigger: {on: action, action: lead, key: key, where: amount_minor >= 0, again: queue, max_age: 5h}
goal: {action: purchase}
steps:
  - {name: first, channel: email, template: t, wait: 3h}
";

#[test]
fn a_trigger_that_queues_begins_when_the_running_one_has_ended_and_only_the_latest_does() {
    let mut world = World::new(&[QUEUE]);
    for line in [
        "0 has email",
        "0 does lead a n=1",
        "1h does lead a n=2",
        "2h does lead a n=3",
        "2h does lead a n=4 amount_minor=-1",
        "9h time passes",
    ] {
        play(&mut world, line);
    }
    assert_eq!(
        told(&world),
        [
            "0 ENTERED",
            "0 send first by email",
            "1h QUEUED",
            "2h QUEUED",
            "2h ALREADY_RUNNING",
            "3h NO_INFORMATION first email",
            "3h EXHAUSTED",
            "3h ENTERED",
            "3h send first by email",
            "6h NO_INFORMATION first email",
            "6h EXHAUSTED"
        ]
    );
    let told: Vec<&str> = world.sends().iter().map(|send| &*send.fields["n"]).collect();
    assert_eq!(told, ["1", "3"]);
    let queued: Vec<_> = world.journal().into_iter().filter(|entry| entry.reason == Reason::Queued).collect();
    assert_eq!(queued[1].evidence["instead_of"], queued[0].evidence["trigger"]);
}

/// It had been promised before the pause: it stands still until that is over, as the others do.
#[test]
fn what_queued_before_a_pause_begins_after_it() {
    let mut world = World::new(&[&QUEUE.replace("max_age: 5h", "max_age: 1d")]);
    for line in [
        "0 has email",
        "0 does lead a n=1",
        "1h does lead a n=2",
        "2h pause two",
        "3h delivered first",
        "4h does lead b",
    ] {
        play(&mut world, line);
    }
    assert_eq!(
        told(&world)[4..],
        ["3h DELIVERED first email", "3h STOP_REACHED", "3h ENTERED", "3h FROZEN", "4h CAMPAIGN_PAUSED"],
        "{:?}",
        told(&world)
    );
    play(&mut world, "9h resume two");
    play(&mut world, "10h time passes");
    assert_eq!(
        world.sends().iter().map(|send| &*send.fields["n"]).collect::<Vec<_>>(),
        ["1", "2"],
        "{:?}",
        told(&world)
    );
}

#[test]
fn what_queued_comes_to_nothing_if_it_is_too_old_or_the_goal_came() {
    let slow = QUEUE.replace("wait: 3h", "wait: 8h");
    let head = "0 has email\n 0 does lead a\n 1h does lead a\n";
    let begin = "0 ENTERED\n 0 send first by email\n 1h QUEUED\n";
    let end = "8h NO_INFORMATION first email\n 8h EXHAUSTED\n 8h TRIGGER_TOO_OLD";
    check(World::new(&[&slow]), &format!("{head} 9d time passes"), &format!("{begin} {end}"));
    check(
        World::new(&[&slow]),
        &format!("{head} 2h does purchase\n 9d time passes"),
        &format!("{begin} 2h GOAL_REACHED"),
    );
    check(
        World::new(&[&slow]),
        &format!("{head} 2h unsubscribed first\n 9d time passes"),
        &format!("{begin} 2h OPTED_OUT"),
    );
    check(
        World::new(&[&slow]),
        &format!("{head} 2h delivered first\n 3h time passes"),
        &format!("{begin} 2h DELIVERED first email\n 2h STOP_REACHED\n 2h ENTERED\n 2h send first by email"),
    );
}

const CARTS: &str = "
campaign: carts
version: 1
trigger: {on: cart, where: total_minor >= 1000, settle: 2h, again: refresh}
quiet: {hours: 22:00-9:00}
steps: [{name: first, channel: email, template: t, valid: 1d}]
";

/// The world begins at 22:13:20: what settles for two hours has its first message held for the morning.
#[test]
fn a_cart_that_changes_before_its_first_message_goes_out_settles_anew() {
    let begin = "0 has email\n 0 cart c1 1 5000\n";
    let held = "0 ENTERED\n 2h QUIET_HOURS first\n";
    // The night ends 10h46m40s after the begin.
    check(
        World::new(&[CARTS]),
        &format!("{begin} 10h46m39s cart c1 2 6000\n 12h46m39s time passes"),
        &format!("{held} 10h46m39s REFRESHED\n 12h46m39s send first by email"),
    );
    check(
        World::new(&[CARTS]),
        &format!("{begin} 10h cart c1 2 10\n 13h time passes"),
        &format!("{held} 10h WITHDRAWN\n 10h PREDICATE_FALSE"),
    );
}

/// A campaign without a key takes two carts for one, but knows an older version of the same one.
#[test]
fn an_older_version_of_an_emptied_cart_does_not_bring_it_back() {
    let begin = "0 has email\n 0 cart c1 1 5000\n 1h cart c1 3 0\n";
    let emptied = "0 ENTERED\n 1h WITHDRAWN\n";
    check(World::new(&[CARTS]), &format!("{begin} 1h10m cart c1 2 5000"), &format!("{emptied} 1h10m SUPERSEDED"));
    check(World::new(&[CARTS]), &format!("{begin} 1h10m cart c2 2 5000"), &format!("{emptied} 1h10m ENTERED"));
    check(World::new(&[CARTS]), "0 has email\n 0 cart c1 2 5000\n 1h cart c1 1 10", "0 ENTERED\n 1h SUPERSEDED");
}
