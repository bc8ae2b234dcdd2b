//! The hygiene of lists: contacts from which nothing has come back for long.

mod world;

use campaign::Hygiene;
use proptest::prelude::*;
use schemas::{Contact, Customer, Fact, Feedback, Heard, Profile, Status};
use world::definition::campaigns;
use world::life::{life, live};
use world::script::{check, play, told};
use world::{BEGIN, DAY, World};

/// News by email, and to whom it does not go, by push or SMS.
fn news(asleep: &str) -> World {
    World::new(&[&format!(
        "campaign: news
version: 1
zone: Europe/Moscow
{asleep}trigger: {{on: action, action: news}}
steps:
  - {{name: letter, channel: email, template: t, wait: 1d}}
  - {{name: free, channel: push, template: t, wait: 1d, when: has_contact('push')}}
  - {{name: sms, channel: sms, template: t}}
"
    )])
}

/// A letter that nobody opens, and the same occasion again half a year later.
const UNHEARD: &str = "0 has email sms
0 does news
1h delivered letter
181d does news";
const BEGINS: &str = "0 ENTERED
0 send letter by email
1h DELIVERED letter email
1h STOP_REACHED
181d ENTERED
";

#[test]
fn whoever_sleeps_is_left_out_and_nothing_dearer_follows_unless_the_campaign_says_so() {
    let lives = |asleep: &str, then: &str| check(news(asleep), UNHEARD, &format!("{BEGINS}{then}"));
    lives("", "181d send letter by email");
    lives("asleep: {after: 180d, then: report}\n", "181d ASLEEP letter email\n 181d send letter by email");
    let left_out = "181d ASLEEP letter email\n 181d CANNOT_SEND letter\n";
    lives("asleep: {after: 180d}\n", &format!("{left_out} 181d STEP_SKIPPED free\n 181d EXHAUSTED"));
    lives("asleep: {after: 180d, then: go on}\n", &format!("{left_out} 181d STEP_SKIPPED free\n 181d send sms by sms"));
}

#[test]
fn the_journal_says_which_channel_was_left_out_because_it_sleeps() {
    let mut world = news("asleep: {after: 180d}\n");
    UNHEARD.lines().for_each(|line| play(&mut world, line));
    let words: Vec<String> = world
        .journal()
        .into_iter()
        .filter(|entry| matches!(entry.reason, schemas::Reason::Sent | schemas::Reason::CannotSend))
        .filter_map(|entry| entry.evidence.get("email").map(ToString::to_string))
        .collect();
    assert_eq!(words, ["ok", "asleep"]);
}

/// A message that is judged more than once, because its price is asked for or because a cap holds it back, is told of once.
#[test]
fn that_somebody_sleeps_is_told_once_however_often_the_message_is_judged() {
    let text = "campaign: news
version: 1
asleep: {after: 180d, then: report}
budget: {minor: 90, per: day}
trigger: {on: action, action: news}
steps: [{name: letter, channel: viber, template: t, valid: 9h}]
";
    let unheard = UNHEARD.replace("email sms", "viber");
    check(
        World::new(&[text]),
        &unheard,
        "0 ENTERED
         0 BUDGET_ASKED letter viber
         0 send letter by viber
         1h DELIVERED letter viber
         1h STOP_REACHED
         181d ENTERED
         181d BUDGET_ASKED letter viber
         181d ASLEEP letter viber
         181d send letter by viber",
    );
    let capped =
        text.replace("budget: {minor: 90, per: day}\n", "").replace("action: news}", "action: news, key: key}");
    let mut world = World::new(&[&capped]);
    world.cap("caps: [{most: 1, per: 1h, then: hold}]");
    for line in unheard.replace("news", "news a").lines().chain(["181d does news b", "182d time passes"]) {
        play(&mut world, line);
    }
    let found = told(&world);
    let sleeps: Vec<&str> = found.iter().map(String::as_str).filter(|line| line.contains("ASLEEP")).collect();
    assert_eq!(sleeps, ["181d ASLEEP letter viber", "181d1h ASLEEP letter viber"], "{found:?}");
    assert_eq!(world.sends().len(), 3);
}

#[test]
fn what_is_free_may_follow_for_whoever_sleeps() {
    check(
        news("asleep: {after: 180d, then: leave out}\n"),
        &UNHEARD.replace("sms", "push sms"),
        &format!("{BEGINS} 181d ASLEEP letter email\n 181d CANNOT_SEND letter\n 181d send free by push"),
    );
}

#[test]
fn one_reaction_wakes_and_a_machine_does_not() {
    let after = |word: &str| {
        let mut world = news("asleep: {after: 6 months}\n");
        let worker = if word == "refused" { "0 worker off" } else { "0 worker on" };
        for line in ["0 has email", worker, "0 does news", &format!("1h {word} letter"), "200d does news"] {
            play(&mut world, line);
        }
        world.sends().len()
    };
    assert_eq!((after("opened"), after("clicked"), after("replied")), (2, 2, 2));
    assert_eq!((after("delivered"), after("machine-opened"), after("accepted")), (1, 1, 1));
    // Nobody can answer what never went out.
    assert_eq!((after("refused"), after("bounced")), (2, 1), "the dead address gets nothing, the other one does");
}

#[test]
fn who_opens_before_anybody_tells_of_the_hand_over_is_awake() {
    let mut world = news("asleep: {after: 6 months}\n");
    for line in ["0 has email", "0 worker off", "0 does news", "1h opened letter", "200d does news"] {
        play(&mut world, line);
    }
    assert_eq!(world.sends().len(), 2, "{:?}", told(&world));
}

#[test]
fn a_reaction_whose_clock_is_years_behind_wakes_all_the_same() {
    let mut world = news("asleep: {after: 6 months}\n");
    for line in ["0 has email", "0 does news", "1h time passes"] {
        play(&mut world, line);
    }
    let send_id = Some(world.sends()[0].send_id.clone());
    world.tell(Fact::Feedback(Feedback {
        event_id: "opened".into(),
        customer_id: world::CUSTOMER.into(),
        occurred_at: 0,
        send_id,
        channel: "email".into(),
        status: Status::Opened,
        ..Feedback::default()
    }));
    play(&mut world, "200d does news");
    assert_eq!(world.sends().len(), 2, "{:?}", told(&world));
}

#[test]
fn a_profile_with_the_same_address_wakes_nobody() {
    let mut world = news("asleep: {after: 180d}\n");
    for line in ["0 has email", "0 does news", "1h delivered letter", "2d has email push", "181d does news"] {
        play(&mut world, line);
    }
    assert!(told(&world).contains(&"181d ASLEEP letter email".to_owned()), "{:?}", told(&world));
}

#[test]
fn another_address_is_awake() {
    let mut world = news("asleep: {after: 6 months}\n");
    for line in ["0 has email", "0 does news", "1h delivered letter"] {
        play(&mut world, line);
    }
    let now = world.now;
    assert!(world.customer.heard[0].unanswered_since > 0);
    let consents = world.customer.consents.clone();
    let mut contacts = world.customer.contacts.clone();
    contacts[0].address = "another@example.org".into();
    let profile = Profile { event_id: "moved".into(), occurred_at: now, contacts, consents, ..Profile::default() };
    world.tell(schemas::Fact::Profile(profile));
    assert_eq!(world.customer.heard[0].unanswered_since, 0);
    play(&mut world, "200d does news");
    assert_eq!(world.sends().len(), 2);
}

#[test]
fn an_old_reaction_does_not_wake() {
    let mut world = news("asleep: {after: 6 months}\n");
    for line in ["0 has email", "0 does news", "1h opened letter", "2d does news", "3d delivered letter"] {
        play(&mut world, line);
    }
    let since = world.customer.heard[0].unanswered_since;
    assert!(since > 0);
    let send_id = Some(world.sends()[0].send_id.clone());
    world.tell(schemas::Fact::Feedback(schemas::Feedback {
        event_id: "again".into(),
        occurred_at: BEGIN + DAY / 24,
        send_id,
        channel: "email".into(),
        status: schemas::Status::Opened,
        ..Default::default()
    }));
    assert_eq!(world.customer.heard[0].unanswered_since, since);
}

#[test]
fn silence_says_nothing_where_nothing_was_sent() {
    let mut world = news("asleep: {after: 6 months}\n");
    for line in ["0 has email", "300d does news"] {
        play(&mut world, line);
    }
    assert_eq!(world.sends().len(), 1);
}

#[test]
fn months_are_those_of_the_customers_calendar() {
    let asleep = |begin: &str, again: &str, zone: &str| {
        let text = "campaign: c
version: 1
asleep: {after: 1 month}
trigger: {on: action, action: news, key: key}
steps: [{name: letter, channel: email, template: t}]
";
        let lines =
            format!("begin {begin}\n0 has email\n0 profile time_zone={zone}\n0 does news a\n{again} does news b");
        let timeline = campaign::rehearsal::Timeline::parse("t", &lines).unwrap();
        let world = timeline.play(world::plans(&[text])).unwrap();
        world.sends().len() == 1
    };
    // From the last of January a month leads to the last of February, at the same time of day.
    assert!(asleep("2026-01-31T12:00Z", "28d", "UTC") && !asleep("2026-01-31T12:00Z", "27d23h", "UTC"));
    // In Moscow it is the first of February already.
    assert!(!asleep("2026-01-31T22:00Z", "27d23h59m", "Europe/Moscow"));
    assert!(asleep("2026-01-31T22:00Z", "28d", "Europe/Moscow"));
    // Clocks go forward meanwhile: a month is an hour shorter.
    assert!(asleep("2026-03-10T12:00Z", "30d23h", "Europe/Berlin"));
    assert!(!asleep("2026-03-10T12:00Z", "30d23h", "UTC"));
}

#[test]
fn customers_who_wait_for_a_message_get_it() {
    let text = "campaign: c
version: 1
class: transactional
asleep: {after: 2 months}
trigger: {on: action, action: order, key: key}
steps: [{name: letter, channel: email, template: t}]
";
    let mut world = World::new(&[text]);
    for line in ["0 has email", "0 does order a", "100d does order b"] {
        play(&mut world, line);
    }
    assert_eq!(world.sends().len(), 2);
    assert!(!told(&world).iter().any(|line| line.contains("ASLEEP")));
}

#[test]
fn a_contact_is_counted_once_by_what_is_known_of_it() {
    let contact = |channel: &str| Contact { channel: channel.into(), address: format!("a-{channel}") };
    let heard = |channel: &str, at, unanswered_since| Heard { channel: channel.into(), at, unanswered_since };
    let consents = |channels: &[&str]| {
        let granted =
            |channel: &&str| schemas::Consent { channel: (*channel).into(), granted: true, ..Default::default() };
        channels.iter().map(granted).collect::<Vec<_>>()
    };
    let now = BEGIN + 200 * DAY;
    let rows = [
        (vec![heard("email", BEGIN, 0)], consents(&["email"])),
        (vec![heard("email", BEGIN, now - DAY)], consents(&["email"])),
        (vec![heard("email", BEGIN, BEGIN + DAY)], consents(&["email"])),
        (vec![heard("email", 0, BEGIN)], consents(&["email", "sms"])),
        (vec![heard("email", 0, now - DAY)], consents(&["email"])),
        (vec![heard("email", 0, BEGIN)], consents(&[])),
        (vec![], consents(&["email"])),
    ];
    let mut hygiene = Hygiene::after("6 months").unwrap();
    for (heard, consents) in rows {
        let contacts = vec![contact("email"), contact("sms")];
        hygiene.look(&Customer { contacts, consents, heard, ..Customer::default() }, now);
    }
    let of = |name: &str| hygiene.channels().find(|(channel, _)| *channel == name).unwrap().1;
    let email = of("email");
    assert_eq!((email.all, email.without_consent), (7, 1));
    assert_eq!((email.awake, email.silent, email.asleep, email.unknown), (2, 1, 2, 1));
    assert_eq!((of("sms").all, of("sms").without_consent, of("sms").unknown), (7, 6, 1));
    assert!(Hygiene::after("10:00").is_err() && Hygiene::after("soon").is_err() && Hygiene::after("0d").is_err());
}

proptest! {
    #![proptest_config(world::cases(500))]

    /// Whoever reacted is awake, and only whoever was written to can be asleep; nobody is counted twice.
    #[test]
    fn only_whoever_was_written_to_and_said_nothing_is_asleep(campaigns in campaigns(), events in life()) {
        let mut world = World::of_texts(&campaigns);
        let mut written: std::collections::BTreeSet<String> = Default::default();
        live(&mut world, &events, |decision| {
            for (_, effect) in decision.effects {
                if let campaign::Effect::Send(send) = effect {
                    written.insert(send.channel.clone());
                }
            }
            if let Some(schemas::Fact::Profile(Profile { erased: true, .. })) = decision.fact {
                written.clear();
            }
            for heard in decision.world.customer.heard.iter().filter(|heard| heard.unanswered_since > 0) {
                assert!(written.contains(&heard.channel), "{heard:?}");
                assert!(heard.unanswered_since <= decision.world.now);
            }
        });
        let mut hygiene = Hygiene::after("1d").unwrap();
        hygiene.look(&world.customer, world.now);
        for (_, of) in hygiene.channels() {
            assert_eq!(of.all, of.without_consent + of.awake + of.silent + of.asleep + of.unknown);
        }
    }
}
