//! What others say, and how far it is believed: clocks that are ahead, bounces that come late, carts without a key.

mod world;

use campaign::Effect;
use schemas::{Campaign, CampaignKind, Cart, Consent, Contact, Fact, Feedback, Item, Profile, Reason, Status};
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
