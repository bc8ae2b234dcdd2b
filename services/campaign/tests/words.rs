//! What others say, and how far it is believed: clocks that are ahead, bounces that come late, carts without a key.

mod world;

use campaign::Effect;
use schemas::{Action, Campaign, CampaignKind, Cart, Consent, Contact, Fact, Feedback, Item, Profile, Reason, Status};
use world::script::{check, play, told};
use world::{BEGIN, CUSTOMER, DAY, HOUR, World};

const TWO: &str = "
campaign: two
version: 1
trigger: {on: action, action: lead}
goal: {action: purchase}
steps:
  - {name: first, any: [sms, email], template: t, wait: 3h, valid: 1h}
  - {name: second, channel: push, template: t}
";

fn profile(at: i64, channel: &str, address: &str, granted: bool) -> Fact {
    let (channel, address) = (channel.to_owned(), address.to_owned());
    Fact::Profile(Profile {
        event_id: format!("profile of {at}"),
        customer_id: CUSTOMER.into(),
        occurred_at: at,
        consents: vec![Consent { channel: channel.clone(), granted, at, ..Consent::default() }],
        contacts: vec![Contact { channel, address }],
        ..Profile::default()
    })
}

#[test]
fn a_profile_from_the_future_shuts_out_no_withdrawal() {
    let mut world = World::new(&[TWO]);
    world.tell(profile(BEGIN + 400 * DAY, "sms", "1", true));
    world.pass_until(BEGIN + HOUR);
    world.tell(profile(BEGIN + HOUR, "sms", "1", false));
    play(&mut world, "2h does lead");
    assert_eq!(world.sends().len(), 0, "{:?}", told(&world));
}

#[test]
fn a_trigger_from_the_future_does_not_outrun_the_grace() {
    let mut world = World::of_examples(&["cart-left"]);
    for line in ["0 has email", "0 does purchase", "30m time passes"] {
        play(&mut world, line);
    }
    world.tell(Fact::Cart(Cart {
        event_id: "a cart from the future".into(),
        customer_id: CUSTOMER.into(),
        occurred_at: BEGIN + 5 * HOUR,
        cart_id: "c1".into(),
        version: 1,
        total_minor: 500,
        items: vec![Item::default()],
        ..Cart::default()
    }));
    assert_eq!(told(&world), ["30m GOAL_BEFORE"]);
}

#[test]
fn a_late_bounce_of_an_old_address_does_not_bury_the_new_one() {
    let bounced = |changed: bool| {
        let mut world = World::new(&[TWO]);
        world.tell(profile(BEGIN, "email", "old", true));
        for line in ["0 does lead", "10m delivered first", "1h time passes"] {
            play(&mut world, line);
        }
        if changed {
            world.tell(profile(BEGIN + HOUR, "email", "new", true));
        }
        world.pass_until(BEGIN + 2 * HOUR);
        let send_id = Some(world.sends()[0].send_id.clone());
        world.tell(Fact::Feedback(Feedback {
            event_id: "a late bounce".into(),
            customer_id: CUSTOMER.into(),
            occurred_at: BEGIN + 2 * HOUR,
            send_id,
            channel: "email".into(),
            status: Status::BouncedHard,
            ..Feedback::default()
        }));
        world.customer.contacts.len()
    };
    assert_eq!((bounced(true), bounced(false)), (1, 0), "the new one stays, the old one goes");
}

#[test]
fn a_campaign_that_is_stopped_gives_back_what_was_reserved() {
    let mut world = World::new(&[TWO]);
    for line in ["0 has sms", "0 worker off", "0 does lead"] {
        play(&mut world, line);
    }
    let stop = Campaign { campaign: "two".into(), kind: CampaignKind::Stopped, ..Campaign::default() };
    world.plans.apply(&stop).unwrap();
    play(&mut world, "30m does nothing");
    let amounts: Vec<i64> =
        world.journal().iter().map(|entry| entry.amount_minor).filter(|minor| *minor != 0).collect();
    assert_eq!(amounts, [4, -4]);
    assert!(
        world
            .effects
            .iter()
            .any(|(_, effect)| matches!(effect, Effect::Revoke(revoke) if revoke.reason == Reason::CampaignStopped))
    );
}

#[test]
fn without_a_key_versions_of_different_carts_are_not_compared() {
    let world = || {
        World::new(&["campaign: cart
version: 1
trigger: {on: cart}
goal: {action: purchase}
steps: [{name: a, channel: email, template: t}]
"])
    };
    check(
        world(),
        "0 has email
         0 cart c1 5 5000
         1h does purchase
         1d cart c2 1 5000",
        "0 ENTERED
         0 send a by email
         1h GOAL_REACHED
         1d ENTERED
         1d send a by email",
    );
    check(world(), "0 has email\n 0 cart c3 1 5000\n 1h cart c4 2 empty", "0 ENTERED\n 0 send a by email");
}

#[test]
fn a_refresh_sees_the_other_cascades() {
    let a = "campaign: a
version: 1
trigger: {on: registration}
steps: [{name: a, channel: email, template: t, wait: 2d}]
";
    let b = "campaign: b
version: 1
trigger: {on: cart, key: cart_id, settle: 1h, again: refresh, where: is_in('a')}
steps: [{name: b, channel: push, template: t}]
";
    check(
        World::new(&[a, b]),
        "0 has email push
         0 registers
         0 cart c1 1 5000
         10m cart c1 2 6000
         2h time passes",
        "0 ENTERED
         0 send a by email
         0 ENTERED
         10m REFRESHED
         1h10m send b by push",
    );
}

#[test]
fn an_older_profile_brings_no_consent_back_that_was_withdrawn_later_whatever_its_clock_says() {
    let mut world = World::new(&[TWO]);
    world.tell(profile(BEGIN - HOUR, "email", "1", true));
    for line in ["0 does lead", "10m unsubscribed first"] {
        play(&mut world, line);
    }
    let Fact::Profile(mut late) = profile(BEGIN - HOUR / 2, "email", "1", true) else { unreachable!() };
    late.consents[0].at = BEGIN + 3 * HOUR;
    world.pass_until(BEGIN + HOUR);
    world.tell(Fact::Profile(late));
    play(&mut world, "2h does lead");
    assert_eq!(world.sends().len(), 1, "{:?}", told(&world));
    assert!(!world.customer.consents[0].granted);
}

#[test]
fn however_much_a_profile_brings_a_withdrawal_stays() {
    let mut world = World::new(&[TWO]);
    world.tell(profile(BEGIN - HOUR, "email", "1", true));
    for line in ["0 does lead", "10m unsubscribed first"] {
        play(&mut world, line);
    }
    let Fact::Profile(mut wide) = profile(BEGIN + HOUR, "sms", "1", true) else { unreachable!() };
    let other = |index: i32| Consent { channel: format!("channel-{index}"), granted: true, ..Consent::default() };
    wide.consents.extend((0..100).map(other));
    world.pass_until(BEGIN + HOUR);
    world.tell(Fact::Profile(wide));
    let email = world.customer.consents.iter().find(|consent| consent.channel == "email");
    assert!(email.is_some_and(|consent| !consent.granted), "{:?}", world.customer.consents);
}

#[test]
fn withdrawals_on_channels_that_nobody_knows_fill_no_row() {
    let mut world = World::new(&[TWO]);
    world.tell(profile(BEGIN, "email", "1", true));
    for index in 0..1_000 {
        world.tell(Fact::Feedback(Feedback {
            event_id: format!("word {index}"),
            customer_id: CUSTOMER.into(),
            occurred_at: BEGIN,
            channel: format!("channel-{index}"),
            status: Status::Unsubscribed,
            ..Feedback::default()
        }));
    }
    assert_eq!(world.customer.consents.len(), 1);
}

#[test]
fn an_action_from_the_future_silences_nobody() {
    let mut world = World::of_examples(&["cart-left"]);
    play(&mut world, "0 has email");
    world.tell(Fact::Action(schemas::Action {
        event_id: "a purchase from the future".into(),
        customer_id: CUSTOMER.into(),
        occurred_at: BEGIN + 4_000 * DAY,
        action: "purchase".into(),
        ..schemas::Action::default()
    }));
    play(&mut world, "3d cart c1 1 500");
    assert_eq!(told(&world), ["3d ENTERED"]);
}

/// Sixteen such cascades, and nothing would ever begin for this customer again.
#[test]
fn a_date_in_the_year_9999_is_waited_for_by_nobody() {
    let dated = TWO.replace("template: t, wait: 3h, valid: 1h", "template: t, at: event.starts_at, wait: 3h");
    for starts_at in ["9999-12-31", "9223372036854775807"] {
        let mut world = World::new(&[&dated]);
        for line in ["0 has email", &format!("0 does lead starts_at={starts_at}")] {
            play(&mut world, line);
        }
        assert_eq!(told(&world), ["0 ENTERED", "0 NO_DATE first", "0 NO_CONTACT second", "0 EXHAUSTED"]);
    }
}

/// Contracts run for years.
#[test]
fn a_date_in_three_years_is_waited_for() {
    let dated = TWO.replace("template: t, wait: 3h, valid: 1h", "template: t, at: event.ends - 7d, wait: 3h");
    let mut world = World::new(&[&dated]);
    for line in ["0 has email", "0 does lead ends=2026-11-30T10:00:00Z", "1105d time passes", "1106d time passes"] {
        play(&mut world, line);
    }
    assert_eq!(world.sends().len(), 1, "{:?}", told(&world));
}

/// Half an hour earlier the same word would have ended it: the SMS would be the answer to "no more".
#[test]
fn whoever_wants_no_more_while_the_next_message_waits_for_the_morning_does_not_get_it() {
    let nightly = TWO.replace("channel: push, template: t", "channel: sms, template: t, valid: 1d").replace(
        "any: [sms, email], template: t, wait: 3h, valid: 1h",
        "channel: email, template: t, wait: 3h, next_if: [not opened]",
    ) + "quiet: {hours: 22:00-9:00}\n";
    let mut world = World::new(&[&nightly]);
    // It is 22:13; quiet hours are over at 9:00.
    for line in ["0 has email sms", "22h30m does lead", "26h time passes"] {
        play(&mut world, line);
    }
    let before = told(&world);
    world.tell(Fact::Feedback(Feedback {
        event_id: "no more".into(),
        customer_id: CUSTOMER.into(),
        occurred_at: BEGIN + 26 * HOUR,
        channel: "email".into(),
        status: Status::Unsubscribed,
        ..Feedback::default()
    }));
    play(&mut world, "9d time passes");
    assert_eq!(world.sends().len(), 1, "{:?} then {:?}", before, told(&world));
}

#[test]
fn a_step_leads_on_by_what_became_of_one_alternative_though_the_other_cannot_be_used() {
    let either = TWO
        .replace("any: [sms, email], template: t,", "any: [push, sms], template: t, next_if: [not delivered],")
        .replace("channel: push, template: t", "channel: email, template: t");
    let told_of = |channels: &str| {
        let mut world = World::new(&[&either]);
        for line in [&format!("0 has {channels}"), "0 does lead", "1m failed first"] {
            play(&mut world, line);
        }
        told(&world)
    };
    assert_eq!(told_of("push email").last().map(String::as_str), Some("1m send second by email"));
    assert_eq!(told_of("push sms email").last().map(String::as_str), Some("1m send first by sms"));
}

/// The row meets its cascade's end and is emptied in one look: what follows upon that end would begin for somebody who is forgotten.
#[test]
fn nothing_begins_in_a_row_that_is_erased() {
    let goal = TWO.replace("goal:", "stop: goal\ngoal:");
    let opened = TWO.replace("version: 1", "version: 2").replace("goal:", "stop: opened\ngoal:");
    let after = "
campaign: after
version: 1
trigger: {on: end, of: two, ended: stop, settle: 1h}
goal: {action: purchase}
steps:
  - {name: later, channel: email, template: t}
";
    let mut world = World::new(&[&goal, after]);
    for line in ["0 has email", "0 does lead", "1h opened first"] {
        play(&mut world, line);
    }
    // Nobody is looked at before the erasure comes.
    let (campaign, applied_at) = ("two".to_owned(), BEGIN + HOUR);
    let (kind, from_version, version) = (CampaignKind::Migrated, 1, 2);
    world.plans.apply(&world::record(&opened)).unwrap();
    let migrated = Campaign { campaign, kind, from_version, version, applied_at, ..Campaign::default() };
    world.plans.apply(&migrated).unwrap();
    world.erase();
    assert_eq!(told(&world)[3..], ["1h MIGRATED first", "1h STOP_REACHED", "1h ERASED"]);
    assert_eq!(world.customer, schemas::Customer::default());
}

/// Providers repeat what they have told for days.
#[test]
fn a_no_more_that_is_told_again_takes_no_newer_consent_away() {
    let mut world = World::new(&[TWO]);
    world.tell(profile(BEGIN - HOUR, "email", "1", true));
    let no_more = |event_id: &str| {
        Fact::Feedback(Feedback {
            event_id: event_id.into(),
            customer_id: CUSTOMER.into(),
            occurred_at: BEGIN + HOUR,
            channel: "email".into(),
            status: Status::Unsubscribed,
            ..Feedback::default()
        })
    };
    world.pass_until(BEGIN + HOUR);
    world.tell(no_more("first"));
    assert!(!world.customer.consents[0].granted);
    world.pass_until(BEGIN + 2 * HOUR);
    world.tell(profile(BEGIN + 2 * HOUR, "email", "1", true));
    play(&mut world, "2h does lead");
    world.tell(no_more("once more"));
    assert!(world.customer.consents[0].granted);
    assert_eq!((world.sends().len(), world.customer.instances.len()), (1, 1), "{:?}", told(&world));
}

/// A shop may call an attribute like a field of the event, or like the place where such a one is kept: in a trigger and in a step the same is
/// meant.
#[test]
fn an_attribute_that_is_called_like_a_field_is_not_taken_for_it() {
    let said = "currency == 'USD' && attributes.currency == 'points' && attributes.key == 'a' && attributes.version == '3' && \
                attributes.amount_minor == '' && attributes.plain == 'b'";
    let mut world = World::new(&[&format!(
        "campaign: c
version: 1
trigger: {{on: action, action: lead, where: \"{said}\"}}
steps:
  - {{name: forged, channel: email, template: t, when: \"key == 'a'\", next_if: [cannot send]}}
  - {{name: meant, channel: email, template: t, when: \"{said}\"}}
"
    )]);
    play(&mut world, "0 has email");
    let attributes =
        [("currency", "points"), ("key", "a"), ("version", "3"), ("attributes.amount_minor", "9"), ("plain", "b")];
    world.tell(Fact::Action(Action {
        event_id: "lead".into(),
        customer_id: CUSTOMER.into(),
        occurred_at: BEGIN,
        action: "lead".into(),
        currency: "USD".into(),
        attributes: attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        ..Action::default()
    }));
    let sent: Vec<&str> = world.sends().iter().map(|send| send.step.as_str()).collect();
    assert_eq!(sent, ["meant"], "{:?}", told(&world));
    assert_eq!(world.sends()[0].fields.get("version"), None, "no attribute is the revision");
}
