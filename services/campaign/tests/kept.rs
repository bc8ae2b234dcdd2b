//! What a row remembers, how much of it, and that whoever keeps rows is told when one has changed.

mod rows;
mod world;

use rows::Rows;
use schemas::{Action, Cart, Customer, Fact, Feedback, Item, Reason, Status};
use world::World;
use world::script::play;

const ASKS: &str = "
campaign: cart
version: 1
trigger: {on: cart, where: total_minor >= 1000, key: cart_id}
goal: {action: purchase}
steps: [{name: first, channel: email, template: t, when: '!heard_on(\"email\", 3)'}]
";

/// Nothing follows from them, and the row is another one: `Rows` sees that it is said to be.
#[test]
fn a_cart_and_a_reaction_may_change_a_row_although_nothing_follows_from_them() {
    let mut rows = Rows::new(&[ASKS]);
    rows.profile("ada", &["email"], &[]);
    rows.settle();
    let before = rows.customer("ada");
    let (event_id, customer_id, occurred_at) = ("a cart".to_owned(), "ada".to_owned(), rows.now);
    let cart = Cart { event_id, customer_id, occurred_at, cart_id: "c1".into(), version: 3, ..Cart::default() };
    rows.tell("ada", Fact::Cart(cart));
    rows.settle();
    let between = rows.customer("ada");
    assert_ne!(between, before, "a version of the cart has passed");
    rows.tell("ada", {
        let (event_id, customer_id, occurred_at) = ("a word".to_owned(), "ada".to_owned(), rows.now);
        let send_id = Some(schemas::Id::of_instance("a", "b", "c", "d").to_string());
        let (channel, status) = ("email".to_owned(), Status::Clicked);
        Fact::Feedback(Feedback { event_id, customer_id, occurred_at, send_id, channel, status, ..Feedback::default() })
    });
    rows.settle();
    assert_ne!(rows.customer("ada"), between, "a sign of life");
}

/// What a row takes without the profile, whose size is that of what it says: an answer adds itself and the mark of its event.
#[test]
fn a_row_whose_message_is_out_takes_eighty_bytes() {
    let mut world = World::new(&["
campaign: welcome
version: 1
trigger: {on: registration}
goal: {action: purchase}
steps: [{name: first, channel: push, template: t, wait: 1d}]
"]);
    ["0 worker off", "0 has push"].iter().for_each(|line| play(&mut world, line));
    world.registration();
    let size = |world: &World| {
        let known = world.customer.clone();
        let (instances, recent) = (known.instances, known.recent[1..].to_vec());
        assert_eq!(instances.iter().map(|instance| instance.sends.len()).collect::<Vec<_>>(), [1]);
        schemas::encode(&Customer { instances, recent, ..Customer::default() }).len()
    };
    assert!(size(&world) <= 80, "{}", size(&world));
    let send = world.sends()[0].send_id.clone();
    world.feedback(&send, "push", Status::Accepted, schemas::Actor::Unspecified);
    assert!(size(&world) <= 92, "{}", size(&world));
}

/// Each cascade ends with the purchase after it; a word about its message comes last.
#[test]
fn eight_cascades_that_ended_are_known() {
    let text = "
campaign: lead
version: 1
trigger: {on: action, action: lead, key: key}
goal: {action: bought, match: same key}
steps: [{name: first, channel: email, template: t}]
";
    let is_known = |others: usize| {
        let mut world = World::new(&[text]);
        for line in ["0 worker off", "0 has email", "0 does lead k", "0 does bought k"] {
            play(&mut world, line);
        }
        let first = world.sends()[0].send_id.clone();
        (0..others).for_each(|key| {
            play(&mut world, &format!("1h does lead k{key}"));
            play(&mut world, &format!("1h does bought k{key}"));
        });
        world.feedback(&first, "email", Status::Delivered, schemas::Actor::Unspecified);
        let late = world.journal().into_iter().rfind(|entry| entry.reason == Reason::LateFeedback).unwrap();
        late.evidence.contains_key("ended")
    };
    assert_eq!((is_known(7), is_known(8)), (true, false));
}

/// Of people of whom nothing else is known nothing is kept: whoever only looks around would be in the base for ever.
#[test]
fn a_version_that_began_nothing_is_kept_of_whoever_is_known_and_where_nothing_else_tells_of_it() {
    let passed = |happens: &str| {
        let mut world = World::new(&[&ASKS.replace("key: cart_id", "key: cart_id, settle: 1h, again: refresh")]);
        happens.lines().for_each(|line| play(&mut world, line.trim()));
        world.customer.passed.iter().map(|it| (it.cart_id.clone(), it.version)).collect::<Vec<_>>()
    };
    let of = |cart: &str, version: i64| vec![(cart.to_owned(), version)];
    assert_eq!(passed("0 cart c1 3 100"), []);
    assert_eq!(passed("0 has email\n 0 cart c1 3 100"), of("c1", 3));
    assert_eq!(passed("0 cart c1 1 5000\n 0 cart c2 3 100"), of("c2", 3), "a cascade runs");
    assert_eq!(passed("0 cart c1 1 5000\n 2h cart c2 3 100"), of("c2", 3), "a cascade has run");
    assert_eq!(passed("0 has email\n 0 cart c1 1 5000\n 1m cart c1 2 6000"), [], "the cascade that runs knows it");
    assert_eq!(passed("0 has push\n 0 cart c1 2 5000\n 2h cart c1 2 6000"), [], "the one that ended does");
    assert_eq!(passed("0 has email\n 0 cart c1 3 100\n 1m cart c1 2 100"), of("c1", 3));
}

#[test]
fn sixteen_things_that_were_done_are_known() {
    let asks = ASKS.replace("total_minor >= 1000", "did('visit')");
    let known = |visits: usize| {
        let mut world = World::new(&[&asks]);
        (0..visits).for_each(|key| play(&mut world, &format!("{key}m does visit k{key}")));
        (world.customer.done.len(), world.customer.done[0].key.clone())
    };
    assert_eq!(known(16), (16, Some("k0".to_owned())));
    assert_eq!(known(17), (16, Some("k1".to_owned())));
}

/// The second order of the same second brings nothing new of what was bought, but it is another order: `Rows` sees that it is said.
#[test]
fn an_order_is_news_though_what_was_bought_is_none() {
    let mut rows = Rows::new(&[&ASKS.replace("total_minor >= 1000", "\"!bought('shoes', 9)\"")]);
    for order in ["o1", "o2"] {
        let (event_id, customer_id, action) = (order.to_owned(), "ada".to_owned(), "purchase".to_owned());
        let items = vec![Item { sku: "shoes".into(), quantity: 1, ..Item::default() }];
        let (occurred_at, key) = (rows.now, Some(order.to_owned()));
        rows.tell("ada", {
            Fact::Action(Action { event_id, customer_id, occurred_at, action, key, items, ..Action::default() })
        });
        rows.settle();
    }
    assert_eq!(rows.customer("ada").done.len(), 3, "two orders, and shoes");
}

/// What a campaign asks for goes last.
#[test]
fn of_cascades_that_ended_those_are_kept_for_which_a_campaign_asks() {
    let of = |name: &str, more: &str| {
        format!(
            "campaign: {name}
version: 1
trigger: {{on: action, action: {name}, key: key{more}}}
steps: [{{name: first, channel: email, template: t}}]
"
        )
    };
    let mut world =
        World::new(&[&of("asked", ""), &of("other", ""), &of("asking", ", where: \"was_in('asked', 30)\"")]);
    play(&mut world, "0 does asked k");
    (0..12).for_each(|key| play(&mut world, &format!("1m does other k{key}")));
    let past: Vec<&str> = world.customer.past.iter().map(|past| &*past.campaign).collect();
    assert_eq!((past.len(), past[0]), (8, "asked"), "{past:?}");
}
