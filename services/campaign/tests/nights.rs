//! Quiet hours: what waits, what is judged anew in the morning, and on whose clock.

mod rows;
mod world;

use campaign::rehearsal::{self, Timeline};
use rows::Rows;
use schemas::{Consent, Contact, Fact, Profile};
use world::script::{self, check, told};
use world::{BEGIN, HOUR, MINUTE, World};

/// An email, then an SMS. The world begins at 22:13:20 in UTC, an hour into the night.
fn nightly(quiet: &str, valid: &str) -> World {
    World::new(&[&of_nights(quiet, valid)])
}

fn of_nights(quiet: &str, valid: &str) -> String {
    format!(
        "campaign: c
version: 1
quiet: {{hours: 21:00-7:00{quiet}}}
trigger: {{on: action, action: lead, key: key}}
goal: {{action: purchase}}
steps:
  - {{name: first, channel: email, template: t, wait: 3h, valid: {valid}}}
  - {{name: second, channel: sms, template: t, quiet: ignore}}
"
    )
}

const EXACTLY: &str = ", release: 0s";

#[test]
fn what_waited_through_the_night_is_judged_anew_in_the_morning() {
    let begin = "0 has email sms\n 0 does lead k\n";
    let after = |meanwhile: &str| format!("{begin} 1h {meanwhile}\n 9h time passes");
    let waits = "0 ENTERED\n 0 QUIET_HOURS first\n";
    let morning = format!("{waits} 8h46m40s send first by email");
    check(nightly(EXACTLY, "1d"), &after("time passes"), &morning);
    check(nightly(EXACTLY, "1d"), &after("does purchase"), &format!("{waits} 1h GOAL_REACHED"));
    let refused = format!("{waits} 8h46m40s NO_CONSENT first\n 8h46m40s send second by sms");
    check(nightly(EXACTLY, "1d"), &after("refuses email"), &refused);
    let held = format!("{waits} 1h HOLD_PLACED\n 8h46m40s HELD first");
    check(nightly(EXACTLY, "1d"), &after("unreadable"), &held);
}

/// Nobody was late: it was kept back.
#[test]
fn what_waited_through_the_night_is_in_time_where_a_minute_late_is_too_late() {
    check(
        nightly(EXACTLY, "1d, late: skip"),
        "0 has email sms\n 0 does lead k\n 9h time passes",
        "0 ENTERED\n 0 QUIET_HOURS first\n 8h46m40s send first by email",
    );
}

#[test]
fn a_profile_in_the_night_wakes_nothing_that_waits_for_the_morning() {
    for at in ["event.day", "trigger + 1h", "1h"] {
        let start = if at == "1h" { "after: 1h".to_owned() } else { format!("at: {at}") };
        check(
            nightly(EXACTLY, &format!("1d, {start}")),
            "0 has email sms\n 0 does lead k day=2023-11-14T23:13:20Z\n 3h has email\n 9h time passes",
            "0 ENTERED\n 1h QUIET_HOURS first\n 8h46m40s send first by email",
        );
    }
}

#[test]
fn a_wait_counts_from_the_morning() {
    check(
        nightly(EXACTLY, "1d"),
        "0 has email sms
         0 does lead k
         12h time passes",
        "0 ENTERED
         0 QUIET_HOURS first
         8h46m40s send first by email
         11h46m40s NO_INFORMATION first email
         11h46m40s send second by sms",
    );
}

/// By day it would have been skipped, and the next one would have gone out.
#[test]
fn what_nobody_would_have_got_by_day_closes_nothing_at_night() {
    let campaign = |first: &str| {
        World::new(&[&format!(
            "campaign: c
version: 1
quiet: {{hours: 21:00-7:00, release: 0s}}
trigger: {{on: action, action: lead, key: key}}
goal: {{action: purchase}}
experiment: {{variants: {{a: 1, b: 99}}}}
steps:
  - {{name: first, channel: email, template: t, wait: 3h, {first}}}
  - {{name: second, channel: sms, template: t}}
"
        )])
    };
    let lasts = |has: &str, first: &str| {
        let mut world = campaign(first);
        for line in [&format!("0 has {has}"), "0 does lead k", "9h time passes"] {
            script::play(&mut world, line);
        }
        told(&world).pop().unwrap()
    };
    let goes_out = "8h46m40s send second by sms";
    for give_up in ["quiet: expire", "valid: 8h"] {
        assert_eq!(lasts("email sms", give_up), "0 EXHAUSTED", "nothing dearer follows what was kept back");
        assert_eq!(lasts("sms", give_up), goes_out, "there is no address for it");
        assert_eq!(
            lasts("email sms", &format!("when: has_contact('push'), {give_up}")),
            goes_out,
            "its condition fails"
        );
        assert_eq!(lasts("email sms", &format!("variant: a, {give_up}")), goes_out, "it is for others");
    }
}

#[test]
fn what_is_not_valid_until_the_morning_does_not_wait_and_nothing_dearer_follows() {
    let happens = "0 has email sms\n 0 does lead k\n 2d time passes";
    let given_up = "0 ENTERED\n 0 QUIET_HOURS first\n 0 EXHAUSTED";
    for valid in ["8h", "8h46m40s", "until end of day"] {
        check(nightly(EXACTLY, valid), happens, given_up);
    }
    check(nightly(", policy: expire", "1d"), happens, given_up);
    check(
        nightly(", policy: skip", "1d"),
        "0 has email sms\n 0 does lead k",
        "0 ENTERED\n 0 QUIET_HOURS first\n 0 send second by sms",
    );
}

/// When ten customers get what waited for the morning, counted from its begin.
fn in_the_morning(release: &str, valid: &str) -> Vec<i64> {
    let mut rows = Rows::new(&[&of_nights(release, valid)]);
    for customer in (0..10).map(|number| format!("c{number}")) {
        rows.profile(&customer, &["email"], &[]);
        rows.action(&customer, "lead", "k");
    }
    rows.settle();
    while let Some(due) = rows.rows.values().filter_map(campaign::Row::due).min().filter(|due| *due < BEGIN + 10 * HOUR)
    {
        rows.now = rows.now.max(due);
        rows.fire(0);
    }
    let morning = BEGIN + 8 * HOUR + 46 * MINUTE + 40_000;
    rows.sends.iter().map(|(_, send)| send.decided_at - morning).collect()
}

#[test]
fn what_was_held_through_the_night_goes_out_one_by_one() {
    let some = in_the_morning(", release: 1h", "1d");
    assert_eq!(some, in_the_morning(", release: 1h", "1d"), "the same customers have the same moments");
    assert!(some.len() == 10 && some.iter().all(|at| (0..HOUR).contains(at)), "{some:?}");
    assert!(some.iter().max().unwrap() - some.iter().min().unwrap() > 20 * MINUTE, "{some:?}");
}

/// Valid until twenty minutes after the night, of a release of an hour: nobody's share lies behind that.
#[test]
fn what_is_valid_for_a_part_of_the_release_goes_out_within_that_part() {
    let moments = in_the_morning(", release: 1h", "9h6m40s");
    assert!(moments.len() == 10 && moments.iter().all(|at| (0..20 * MINUTE).contains(at)), "{moments:?}");
    assert!(moments.iter().max().unwrap() - moments.iter().min().unwrap() > 5 * MINUTE, "{moments:?}");
}

/// Whatever their names: by names went the shares of the release.
#[test]
fn of_what_waited_for_one_customer_that_goes_first_which_has_priority() {
    for name in ["b", "news", "sale", "x1", "x2", "x3"] {
        let of = |name: &str, priority: i32| {
            let own = format!("campaign: {name}\npriority: {priority}\n");
            of_nights(", release: 1h", "1d").replace("campaign: c\n", &own)
        };
        let mut world = World::of_texts(&[of("a", 1), of(name, 5)]);
        world.cap("caps: [{most: 1, per: day, channel: email}]");
        ["0 has email", "0 does lead k", "10h time passes"].iter().for_each(|line| script::play(&mut world, line));
        let sent: Vec<&str> = world.sends().iter().map(|send| &*send.campaign).collect();
        assert_eq!(sent, [name]);
    }
}

/// Its worker was busy until the night, or down: nobody is woken by what was decided in the evening.
#[test]
fn what_its_worker_could_not_hand_over_before_the_night_has_another_chance_in_the_morning() {
    let evening = "0 worker off\n 0 has email sms\n 22h36m40s does lead k\n";
    let sent = "22h36m40s ENTERED\n 22h36m40s send first by email\n";
    check(
        nightly(EXACTLY, "1d"),
        &format!("{evening} 23h expired first\n 33h time passes"),
        &format!(
            "{sent} 23h EXPIRED first email
             23h QUIET_HOURS first
             1d8h46m40s send first by email"
        ),
    );
    let mut world = nightly(EXACTLY, "1d");
    evening.lines().for_each(|line| script::play(&mut world, line.trim()));
    let (night, decided_at) = (BEGIN + 22 * HOUR + 46 * MINUTE + 40_000, BEGIN + 22 * HOUR + 36 * MINUTE + 40_000);
    let send = &world.sends()[0];
    assert_eq!((send.send_before, send.valid_until), (night - 1, decided_at + 24 * HOUR), "the provider may try on");
    // Also where the worker comes back after a night of silence.
    check(
        nightly(EXACTLY, "1d"),
        &format!("{evening} 34h expired first\n 35h time passes"),
        &format!(
            "{sent} 1d10h EXPIRED first email
             1d10h send first by email"
        ),
    );
    // What is of no use in the morning does not wait for it, and nothing dearer follows.
    check(
        nightly(EXACTLY, "6h"),
        &format!("{evening} 23h expired first\n 33h time passes"),
        &format!("{sent} 23h EXPIRED first email\n 23h QUIET_HOURS first\n 23h EXHAUSTED"),
    );
    // Where night does not count, its validity does.
    let mut world = nightly(EXACTLY, "1d, quiet: ignore");
    evening.lines().for_each(|line| script::play(&mut world, line.trim()));
    assert_eq!(world.sends()[0].send_before, decided_at + 24 * HOUR);
}

#[test]
fn whoever_has_no_contact_has_none_in_the_morning() {
    check(nightly(EXACTLY, "1d"), "0 has sms\n 0 does lead k", "0 ENTERED\n 0 NO_CONTACT first\n 0 send second by sms");
}

#[test]
fn quiet_hours_that_stand_in_a_transactional_campaign_hold() {
    let order = of_nights(EXACTLY, "1d").replace("version: 1", "version: 1\nclass: transactional");
    check(
        World::new(&[&order]),
        "0 has email sms\n 0 does lead k\n 9h time passes",
        "0 ENTERED\n 0 QUIET_HOURS first\n 8h46m40s send first by email",
    );
}

#[test]
fn the_clock_is_the_customers_then_that_of_the_numbers_country_then_the_campaigns() {
    for (told_zone, number, known_by, zone) in [
        (Some("Asia/Tokyo"), "+48123456789", "profile", None),
        (None, "+48123456789", "number", Some("Europe/Warsaw")),
        (Some("Mars/Olympus"), "+48123456789", "number", Some("Europe/Warsaw")),
        (None, "+74012123456", "number", Some("Europe/Kaliningrad")),
        (None, "+79000000000", "campaign", Some("UTC")),
        (None, "+48", "campaign", Some("UTC")),
        (None, "+481234", "campaign", Some("UTC")),
        (None, "+48 is no number", "campaign", Some("UTC")),
    ] {
        let mut world = nightly(EXACTLY, "1d");
        let contact = |channel: &str, address: &str| Contact { channel: channel.into(), address: address.into() };
        let consent = Consent { channel: "email".into(), granted: true, ..Consent::default() };
        world.happens(Fact::Profile(Profile {
            contacts: vec![contact("email", "a@example.com"), contact("sms", number)],
            consents: vec![consent],
            time_zone: told_zone.map(Into::into),
            ..Profile::default()
        }));
        world.action("lead", Some("k"));
        let quiet = world.journal().into_iter().find(|entry| entry.reason == schemas::Reason::QuietHours);
        let evidence = quiet.map(|entry| (entry.evidence["zone_from"].as_str(), entry.evidence["zone"].as_str()));
        // In Tokyo it is morning: nothing is quiet, so the message goes out at once.
        assert_eq!(evidence, zone.map(|zone| (known_by, zone)), "{:?}", told(&world));
        assert_eq!(world.sends().len(), usize::from(zone.is_none()));
    }
}

/// A garbled date is no day more.
#[test]
fn what_is_valid_until_a_date_that_nobody_knows_is_not_sent() {
    let world = || {
        World::new(&["campaign: c
version: 1
trigger: {on: action, action: lead}
steps:
  - {name: first, channel: email, template: t, wait: 3h, valid: until event.offer_ends}
  - {name: second, channel: sms, template: t}
"])
    };
    let happens = |date: &str| format!("0 has email sms\n 0 does lead k {date}");
    for date in ["", "offer_ends=soon"] {
        check(world(), &happens(date), "0 ENTERED\n 0 NO_DATE first\n 0 send second by sms");
    }
    for date in ["offer_ends=2023-11-20", "offer_ends=2033-11-20"] {
        check(world(), &happens(date), "0 ENTERED\n 0 send first by email");
    }
}

#[test]
fn a_date_may_come_until_the_turn_of_what_is_valid_until_it() {
    let world = World::new(&["campaign: c
version: 1
trigger: {on: action, action: lead}
steps: [{name: only, channel: email, template: t, at: trigger + 2d, valid: until profile.offer_ends}]
"]);
    let happens = "0 has email\n 0 does lead k\n 1d profile offer_ends=2033-11-20\n 2d time passes";
    check(world, happens, "0 ENTERED\n 2d send only by email");
}

/// Plays a timeline, with its own beginning, and compares what it expects.
fn lives_through(definitions: &[&str], timeline: &str) {
    let timeline = Timeline::parse("nights", timeline).unwrap_or_else(|problems| panic!("{}", problems[0]));
    let world = timeline.play(world::plans(definitions)).unwrap_or_else(|problems| panic!("{}", problems[0]));
    assert!(timeline.expectations() > 0);
    let difference = timeline.difference(&world);
    assert_eq!(difference, None, "{}", difference.as_deref().unwrap_or_default());
}

/// In Berlin clocks go from 2:00 to 3:00 on the 29th of March 2026, and from 3:00 to 2:00 on the 25th of October.
#[test]
fn a_wait_and_a_night_in_which_clocks_change_end_when_the_clock_says_so() {
    let campaign = "campaign: c
version: 1
zone: Europe/Berlin
quiet: {hours: 22:00-7:00, release: 0s}
trigger: {on: action, action: lead}
goal: {action: purchase}
steps:
  - {name: first, channel: email, template: t, wait: 1 day 02:30}
  - {name: second, channel: sms, template: t, wait: 24h}
";
    // There is no 2:30: it is 3:00 in summer time, sixteen hours on. The night ends four hours later.
    lives_through(
        &[campaign],
        "begin 2026-03-28T10:00+01:00
         0 has email sms
         0 does lead
         3d time passes
         => 0 ENTERED
         => 0 send first by email
         => 16h NO_INFORMATION first email
         => 16h QUIET_HOURS second
         => 20h send second by sms
         => 1d20h NO_INFORMATION second sms
         => 1d20h EXHAUSTED",
    );
    // Half past two comes twice, and the first one counts. The night is an hour longer.
    lives_through(
        &[campaign],
        "begin 2026-10-24T10:00+02:00
         0 has email sms
         0 does lead
         3d time passes
         => 0 ENTERED
         => 0 send first by email
         => 16h30m NO_INFORMATION first email
         => 16h30m QUIET_HOURS second
         => 22h send second by sms
         => 1d22h NO_INFORMATION second sms
         => 1d22h EXHAUSTED",
    );
}

#[test]
fn what_comes_every_day_comes_once_on_the_day_on_which_clocks_change() {
    let campaign = "campaign: c
version: 1
zone: Europe/Berlin
trigger: {on: schedule, every: day 02:30, where: has_contact('email')}
goal: {action: purchase}
steps: [{name: only, channel: email, template: t, wait: 6h}]
";
    lives_through(
        &[campaign],
        "begin 2026-03-28T00:00+01:00
         0 has email
         3d time passes
         => 2h30m ENTERED
         => 2h30m send only by email
         => 8h30m NO_INFORMATION only email
         => 8h30m EXHAUSTED
         => 1d2h ENTERED
         => 1d2h send only by email
         => 1d8h NO_INFORMATION only email
         => 1d8h EXHAUSTED
         => 2d1h30m ENTERED
         => 2d1h30m send only by email
         => 2d7h30m NO_INFORMATION only email
         => 2d7h30m EXHAUSTED",
    );
    lives_through(
        &[campaign],
        "begin 2026-10-24T00:00+02:00
         0 has email
         3d time passes
         => 2h30m ENTERED
         => 2h30m send only by email
         => 8h30m NO_INFORMATION only email
         => 8h30m EXHAUSTED
         => 1d2h30m ENTERED
         => 1d2h30m send only by email
         => 1d8h30m NO_INFORMATION only email
         => 1d8h30m EXHAUSTED
         => 2d3h30m ENTERED
         => 2d3h30m send only by email
         => 2d9h30m NO_INFORMATION only email
         => 2d9h30m EXHAUSTED",
    );
}

/// A day of 23 hours, then one of 25.
#[test]
fn a_cap_per_day_counts_the_day_on_which_clocks_change_as_one() {
    let campaign = "campaign: c
version: 1
zone: Europe/Berlin
trigger: {on: action, action: lead, key: key}
goal: {action: purchase}
steps: [{name: only, channel: email, template: t, valid: 2d, wait: 30h}]
";
    for (begin, room) in [("2026-03-29T00:10+01:00", "22h50m"), ("2026-10-25T00:10+02:00", "1d50m")] {
        lives_through(
            &[campaign, "caps: [{most: 1, per: day, then: hold}]"],
            &format!(
                "begin {begin}
                 0 has email
                 0 does lead a
                 0 does lead b
                 1d5h time passes
                 => 0 ENTERED
                 => 0 send only by email
                 => 0 ENTERED
                 => 0 CAPPED only email
                 => {room} send only by email"
            ),
        );
    }
}

/// In March 2024 Almaty's clocks went from six hours ahead of UTC to five. Whoever waited was told of a morning by a program that had not
/// heard of it: an hour too early.
#[test]
fn a_moment_that_older_rules_of_a_zone_made_is_judged_by_those_of_today() {
    let campaign = "campaign: c
version: 1
zone: Asia/Almaty
quiet: {hours: 21:00-9:00, release: 0s}
trigger: {on: action, action: lead}
goal: {action: purchase}
steps: [{name: only, channel: email, template: t, valid: 1d, late: skip}]
";
    // 23:00 in Almaty; nine o'clock there is ten hours later, at 4:00 in UTC.
    let begin = 1_780_336_800_000;
    let mut world = rehearsal::World::new(world::plans(&[campaign]), begin);
    let mut play = |line: &str, older: Option<i64>| {
        let timeline = Timeline::parse("line", line).unwrap_or_else(|problems| panic!("{}", problems[0]));
        timeline.play_in(&mut world).unwrap_or_else(|problems| panic!("{}", problems[0]));
        if let Some(due) = older {
            let waits = &mut world.customer.instances[0];
            assert_eq!(std::mem::replace(&mut waits.due, due), begin + 10 * HOUR);
        }
        rehearsal::told(&world)
    };
    play("0 has email", None);
    play("0 does lead", Some(begin + 9 * HOUR));
    let told = play("11h time passes", None);
    assert_eq!(told, ["0 ENTERED", "0 QUIET_HOURS only", "9h QUIET_HOURS only", "10h send only by email"]);
}
