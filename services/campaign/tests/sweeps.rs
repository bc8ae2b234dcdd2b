//! Campaigns that begin by themselves at moments: when they look at everybody, and that they do so once.

mod world;

use campaign::{Plans, Turn};
use schemas::{Campaign, CampaignKind};
use world::{BEGIN, DAY, HOUR, record};

fn said(kind: CampaignKind) -> Campaign {
    Campaign { campaign: "two".into(), kind, ..Campaign::default() }
}

const DAILY: &str = "
campaign: two
version: 1
trigger: {on: schedule, at: 2023-11-13T12:00Z, every: day 12:00, max_age: 6h}
goal: {action: purchase}
steps:
  - {name: first, channel: email, template: t, wait: 3h}
";

#[test]
fn a_sweep_is_named_whatever_becomes_of_its_campaign_so_that_it_is_not_done_again() {
    let once = DAILY.replace("at: 2023-11-13T12:00Z, every: day 12:00", "at: 2023-11-14T12:00Z");
    let mut plans = Plans::default();
    plans.apply(&record(&once)).unwrap();
    let noon = BEGIN - BEGIN % DAY + 12 * HOUR;
    let turn = |plans: &Plans, now| {
        let mut turns = Vec::new();
        plans.sweeps(now, |sweep| turns.extend((sweep.name == "two").then_some((sweep.at, sweep.turn))));
        turns
    };
    assert_eq!(turn(&plans, noon - 1), [(noon, Turn::Passed)], "it has not come yet");
    assert_eq!(turn(&plans, noon + HOUR), [(noon, Turn::Comes)]);
    plans.apply(&Campaign { applied_at: noon, ..said(CampaignKind::Paused) }).unwrap();
    assert_eq!(turn(&plans, noon + 2 * HOUR), [(noon, Turn::Rests)]);
    plans.apply(&Campaign { applied_at: noon, ..said(CampaignKind::Resumed) }).unwrap();
    assert_eq!(turn(&plans, noon + 3 * HOUR), [(noon, Turn::Comes)]);
    plans.apply(&Campaign { applied_at: noon, ..said(CampaignKind::Stopped) }).unwrap();
    assert_eq!(turn(&plans, noon + 4 * HOUR), [(noon, Turn::Passed)]);
    plans.apply(&record(&once.replace("version: 1", "version: 2"))).unwrap();
    assert_eq!(turn(&plans, noon + 6 * HOUR), [(noon, Turn::Comes)]);
    assert_eq!(turn(&plans, noon + 6 * HOUR + 1), [(noon, Turn::Passed)]);
    let patient = once.replace("version: 1", "version: 3").replace("max_age: 6h", "max_age: 7d");
    plans.apply(&record(&patient)).unwrap();
    assert_eq!(turn(&plans, noon + 3 * DAY), [(noon, Turn::Comes)]);
    let later = patient.replace("version: 3", "version: 4").replace("2023-11-14T12:00Z", "2023-12-14T12:00Z");
    plans.apply(&record(&later)).unwrap();
    assert_eq!(turn(&plans, noon + 3 * DAY), [(noon + 30 * DAY, Turn::Passed)]);
    let other = "trigger: {on: action, action: lead}";
    let trigger = later.lines().find(|line| line.starts_with("trigger:")).unwrap();
    plans.apply(&record(&later.replace("version: 4", "version: 5").replace(trigger, other))).unwrap();
    assert_eq!(turn(&plans, noon + 3 * DAY), [(noon + 30 * DAY, Turn::Passed)], "nor is it forgotten then");
}

#[test]
fn what_comes_daily_begins_at_its_first_moment_after_it_came_into_force() {
    // In force since 22:13.
    let mut plans = Plans::default();
    plans.apply(&record(DAILY)).unwrap();
    let noon = BEGIN - BEGIN % DAY + 12 * HOUR;
    let comes = |plans: &Plans, now| {
        let mut moments = Vec::new();
        plans.sweeps(now, |sweep| moments.extend((sweep.turn == Turn::Comes).then_some(sweep.at)));
        moments
    };
    assert!(comes(&plans, BEGIN + HOUR).is_empty());
    assert_eq!(comes(&plans, noon + DAY), [noon + DAY]);
    // Another version with the same hours does not lose the noon before it; one with others begins with them.
    let applied_at = noon + 2 * DAY + HOUR;
    let version = |version: i32, hour: &str| {
        let text = DAILY.replace("version: 1", &format!("version: {version}")).replace("day 12:00", hour);
        Campaign { applied_at, ..record(&text) }
    };
    plans.apply(&version(2, "day 12:00, pace: 10")).unwrap();
    assert_eq!(comes(&plans, applied_at), [noon + 2 * DAY]);
    plans.apply(&version(3, "day 11:00")).unwrap();
    assert!(comes(&plans, applied_at).is_empty());
    assert_eq!(comes(&plans, noon + 3 * DAY), [noon + 3 * DAY - HOUR]);
}

#[test]
fn a_version_that_names_a_moment_that_another_one_has_had_is_known() {
    let noon = BEGIN - BEGIN % DAY + 12 * HOUR;
    let version = |version: i32, schedule: &str, applied_at: i64| {
        let text = DAILY.replace("version: 1", &format!("version: {version}"));
        Campaign { applied_at, ..record(&text.replace("at: 2023-11-13T12:00Z, every: day 12:00", schedule)) }
    };
    let met = |versions: &[(&str, i64)]| {
        let mut plans = Plans::default();
        for (number, (schedule, applied_at)) in (1..).zip(versions) {
            plans.apply(&version(number, schedule, *applied_at)).unwrap();
        }
        plans.met_before(plans.newest("two").unwrap(), versions.last().unwrap().1)
    };
    const NOON: &str = "at: 2023-11-14T12:00Z";
    let before = noon - HOUR;
    assert_eq!(met(&[(NOON, before)]), None, "it is the first");
    assert_eq!(met(&[(NOON, before), (NOON, noon)]), Some((1, noon)));
    assert_eq!(met(&[(NOON, before), ("at: 2023-11-14T11:59Z", noon + HOUR)]), Some((1, noon)));
    assert_eq!(met(&[(NOON, before), ("at: 2023-11-14T12:01Z", noon + HOUR)]), None, "a later moment");
    assert_eq!(met(&[(NOON, before), (NOON, noon - 1)]), None, "it has not come");
    // The first was replaced before its moment came, and the second's has not.
    let postponed = ("at: 2023-11-14T20:00Z", noon - 1);
    assert_eq!(met(&[(NOON, before), postponed, (NOON, noon + HOUR)]), None);
    assert_eq!(met(&[(NOON, before), (NOON, noon + 1), (NOON, noon + 2)]), Some((2, noon)));
    // It came into force too late for its moment.
    assert_eq!(met(&[(NOON, noon + 7 * HOUR), (NOON, noon + 8 * HOUR)]), None);
    // What comes again has had its latest moment, unless it came into force after that.
    const AGAIN: &str = "at: 2023-11-13T12:00Z, every: day 12:00";
    assert_eq!(met(&[(AGAIN, before), (NOON, noon + HOUR)]), Some((1, noon)));
    assert_eq!(met(&[(AGAIN, noon + 1), (NOON, noon + HOUR)]), None);
    assert_eq!(met(&[(NOON, before), (AGAIN, noon + HOUR)]), None, "what comes again has a next moment");
}
