//! What a pause, a night or another version does to what is waited for.

mod world;

use campaign::rehearsal::{self, Timeline};
use schemas::{Campaign, CampaignKind};
use world::script::{check, play, told};
use world::{World, plans, record};

/// Two messages, of which the second comes after this wait, or at this moment.
fn two(wait: &str, second: &str) -> String {
    format!(
        "campaign: two\nversion: 1\ntrigger: {{on: action, action: lead}}\ngoal: {{action: purchase}}\nstop: goal\nsteps:\n  \
         - {{name: first, channel: email, template: t{wait}}}\n  - {{name: second, channel: sms, template: t{second}}}\n"
    )
}

/// What is decided.
fn lived(definition: &str, script: &str) -> Vec<String> {
    let timeline = Timeline::parse("script", script).unwrap_or_else(|problems| panic!("{}", problems[0]));
    let world = timeline.play(plans(&[definition])).unwrap_or_else(|problems| panic!("{}", problems[0]));
    rehearsal::told(&world)
}

/// When the second message goes out, if the campaign is paused meanwhile. It begins on a Monday at midnight.
fn second_at(wait: &str, second: &str, pause: &str) -> String {
    let script = format!("begin 2026-06-01T00:00Z\n0 has email sms\n0 does lead\n{pause}\n300d time passes\n");
    let told = lived(&two(wait, second), &script);
    let found = told.iter().find_map(|line| line.strip_suffix(" send second by sms"));
    found.unwrap_or_else(|| panic!("{told:#?}")).to_owned()
}

#[test]
fn lengths_are_longer_by_a_pause_and_no_more_also_those_in_days_and_months() {
    for (wait, second, pause, at) in [
        (", wait: 7d", "", "6d pause two\n8d resume two", "9d"),
        (", wait: 7 days", "", "6d pause two\n8d resume two", "9d"),
        (", wait: 7 days", "", "1d pause two\n6d resume two", "12d"),
        // To the first of September.
        (", wait: 3 months", "", "91d23h30m pause two\n92d30m resume two", "92d1h"),
        ("", ", after: 30 days", "29d23h pause two\n30d1h resume two", "30d2h"),
        ("", ", at: trigger + 7 days", "6d pause two\n8d resume two", "9d"),
    ] {
        assert_eq!(second_at(wait, second, pause), at, "{wait}{second} {pause}");
    }
}

#[test]
fn a_time_of_day_that_passed_in_a_pause_comes_again_and_one_that_did_not_stays() {
    for (wait, second, pause, at) in [
        (", wait: 7 days 10:00", "", "7d9h pause two\n7d11h resume two", "8d10h"),
        (", wait: 7 days 10:00", "", "1d pause two\n6d resume two", "7d10h"),
        ("", ", at: trigger + 7 days 10:00", "7d9h pause two\n7d11h resume two", "8d10h"),
        // Tuesdays.
        (", wait: next tuesday 10:00", "", "1d9h pause two\n1d11h resume two", "8d10h"),
        (", wait: next tuesday 10:00", "", "1d9h pause two\n8d9h resume two", "8d10h"),
        (", wait: next tuesday 10:00", "", "9h pause two\n1d9h resume two", "1d10h"),
    ] {
        assert_eq!(second_at(wait, second, pause), at, "{wait}{second} {pause}");
    }
}

/// Neither its turn nor the morning lay in the pause.
#[test]
fn a_pause_that_skips_leaves_alone_what_only_waits_through_it() {
    let night = two(", wait: 3h", "").replace("version: 1\n", "version: 1\nquiet: {hours: 22:00-9:00}\n");
    let at = |pause: &str| {
        let script = format!("begin 2026-06-01T23:00Z\n0 has email\n0 does lead\n{pause}\n12h time passes\n");
        let told = lived(&night, &script);
        told.into_iter().find_map(|line| line.strip_suffix(" send first by email").map(str::to_owned))
    };
    let morning = at("");
    assert!(morning.is_some());
    assert_eq!(at("1h pause two skip\n2h resume two"), morning);
    assert_eq!(at("9h pause two skip\n11h resume two"), None, "it would have gone out in it");
}

/// The day is shorter than the release.
#[test]
fn what_a_night_held_goes_out_before_the_next_one() {
    let text = two(", wait: 3h, valid: 30d", "");
    let text = text.replace("version: 1\n", "version: 1\nquiet: {hours: 22:00-9:00, release: 23h}\n");
    let told = lived(&text, "begin 2026-06-01T23:00Z\n0 has email\n0 does lead\n22h59m time passes\n");
    assert!(told.iter().any(|line| line.ends_with("send first by email")), "{told:#?}");
}

fn moved(from: &str, to: &str, happens: &str, at: &str) -> Vec<String> {
    let mut world = World::new(&[from, PURCHASES]);
    happens.lines().for_each(|line| play(&mut world, line.trim()));
    play(&mut world, &format!("{at} time passes"));
    world.say(&record(&to.replace("version: 1", "version: 2"))).unwrap();
    let (campaign, kind) = ("two".to_owned(), CampaignKind::Migrated);
    world.say(&Campaign { campaign, kind, from_version: 1, version: 2, ..Campaign::default() }).unwrap();
    play(&mut world, "30d time passes");
    told(&world)
}

/// Asks for purchases, and never begins.
const PURCHASES: &str = "
campaign: other
version: 1
trigger: {on: action, action: never, where: did('purchase')}
steps: [{name: only, channel: push, template: t}]
";

#[test]
fn a_version_may_bring_a_message_forward() {
    for (was, is, at) in [
        (", at: trigger + 10d", ", at: trigger + 3d", "3d"),
        (", at: trigger + 10d", ", at: trigger + 1d", "2d"),
        (", after: 10d", ", after: 3d", "3d"),
        (", after: 10d", ", after: 12d", "12d"),
    ] {
        let told = moved(&two("", was), &two("", is), "0 has email sms\n0 does lead", "2d");
        assert!(told.contains(&format!("{at} send second by sms")), "{was} {is}: {told:#?}");
    }
}

#[test]
fn who_did_what_another_version_hopes_for_is_not_written_to_by_it() {
    let without = two(", wait: 1d", "").replace("goal: {action: purchase}\nstop: goal", "stop: opened");
    let told = moved(&without, &two(", wait: 1d", ""), "0 has email sms\n0 does lead\n1h does purchase", "2h");
    assert_eq!(told.last().map(String::as_str), Some("2h GOAL_REACHED"), "{told:#?}");
    let told = moved(&without, &two(", wait: 1d", ""), "0 has email sms\n0 does purchase\n1h does lead", "2h");
    assert!(told.contains(&"1d1h send second by sms".to_owned()), "what was before the trigger is not it: {told:#?}");
}

/// The moment until which it would be waited for is past when it is handed over.
#[test]
fn word_of_a_message_is_waited_for_though_the_next_ones_moment_is_past() {
    let text = two("", ", at: event.d - 1 day 10:00").replace("stop: goal", "stop: delivered");
    let of = |word: &str| {
        let script = format!(
            "begin 2026-06-01T18:00Z\n0 has email sms\n0 does lead d=2026-06-02T12:00Z\n{word}\n1d time passes\n"
        );
        lived(&text, &script)
    };
    let told = of("14m delivered first");
    assert_eq!(told[2..], ["14m DELIVERED first email", "14m STOP_REACHED"], "{told:#?}");
    let told = of("");
    assert!(told.contains(&"15m send second by sms".to_owned()), "{told:#?}");
}

#[test]
fn an_end_for_which_another_cascade_runs_already_is_told() {
    let of = |text: &str| text.replace("two", "leads").replace("action: lead}", "action: lead, key: key}");
    let follower = "
campaign: follows
version: 1
trigger: {on: end, of: leads, ended: goal}
steps: [{name: only, channel: push, template: t, wait: 5d}]
";
    check(
        World::new(&[&of(&two(", wait: 1d", "")), follower]),
        "0 has email push
         0 does lead one
         0 does lead two
         1h does purchase",
        "0 ENTERED
         0 send first by email
         0 ENTERED
         0 send first by email
         1h GOAL_REACHED
         1h GOAL_REACHED
         1h ENTERED
         1h send only by push
         1h ALREADY_RUNNING",
    );
}

/// What ended the one is not what the other hopes for.
#[test]
fn what_follows_upon_a_purchase_hopes_for_another_one() {
    let follower = "
campaign: follows
version: 1
trigger: {on: end, of: two, ended: goal}
goal: {action: purchase}
stop: goal
steps: [{name: only, channel: push, template: t, wait: 5d}]
";
    check(
        World::new(&[&two(", wait: 1d", ""), follower]),
        "0 has email push
         0 does lead
         1h does purchase
         2h does purchase",
        "0 ENTERED
         0 send first by email
         1h GOAL_REACHED
         1h ENTERED
         1h send only by push
         2h GOAL_REACHED",
    );
}

/// Whoever withdraws the consent on a page of the shop's is not answered on another channel, as who follows the link in the message is not.
#[test]
fn a_consent_that_a_profile_withdraws_is_not_answered_by_another_channel() {
    for before in ["0 has email sms", "0 has sms"] {
        let told = {
            let mut world = World::new(&[&two(", wait: 1d", ", after: 1d").replace("stop: goal", "stop: opened")]);
            for line in [before, "0 does lead", "1h refuses email", "3d time passes"] {
                play(&mut world, line);
            }
            told(&world)
        };
        let is_answered = told.iter().any(|line| line.ends_with("send second by sms"));
        assert_eq!(is_answered, before == "0 has sms", "{told:#?}");
    }
}
