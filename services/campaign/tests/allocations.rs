//! What a decision allocates: nothing where it concerns nobody, and a condition never. One test, since the allocator counts for the whole
//! process.

mod world;

use std::alloc::System;

use campaign::{Input, Moment, Plans, decide, due};
use schemas::{Action, Cart, Customer, Fact, Item, Registration};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use world::script::play;
use world::{BEGIN, CUSTOMER, HOUR, World};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Allocations of one decision: the fewest of several, since tables are made at their first use and the test's machinery may allocate, too.
fn allocations(plans: &Plans, row: &Customer, input: Input<'_>, now: i64) -> usize {
    let is_fact = matches!(input, Input::Fact { .. });
    let moment = Moment { now, partition: 0, offset: is_fact.then_some(1), due: (!is_fact).then_some(now) };
    let mut effects = Vec::with_capacity(64);
    let counts = (0..5).map(|_| {
        effects.clear();
        let mut row = row.clone();
        let region = Region::new(ALLOCATOR);
        decide(plans, CUSTOMER, &mut row, input, &moment, &mut effects);
        let change = region.change();
        change.allocations + change.reallocations
    });
    counts.min().unwrap()
}

fn of_fact(plans: &Plans, row: &Customer, fact: &Fact) -> usize {
    allocations(plans, row, Input::Fact { fact, appended_at: BEGIN, hops: 0 }, BEGIN + HOUR)
}

/// One step on email, for whom `when` wants it, after one that waits for an hour.
fn definition(trigger: &str, when: &str) -> String {
    format!(
        "campaign: c
version: 1
trigger: {{{trigger}}}
goal: {{action: bought_it}}
stop: goal
steps:
  - {{name: call, channel: call, template: t, wait: 1h, next_if: [no goal, cannot send]}}
  - {{name: letter, channel: email, template: t{when}}}
"
    )
}

/// A customer of whom much is known, as he stands after these lines.
fn known(definition: &str, lines: &[&str]) -> (Plans, Customer) {
    let mut world = World::new(&[definition]);
    let said = "0 profile city=Perm age=41 ends=2023-11-20 born=2000-02-29 time_zone=Asia/Vladivostok locale=ru-RU";
    let other = "campaign: other
version: 1
trigger: {on: action, action: unheard, where: \"did('visit') && bought('toys') && heard_on('email') && !was_in('c')\"}
steps: [{name: a, channel: email, template: t}]
";
    world.plans.apply(&world::record(other)).unwrap();
    ["0 has email call", said, "0 does visit", "0 does purchase category=toys"]
        .iter()
        .chain(lines)
        .for_each(|line| play(&mut world, line));
    (world.plans.clone(), world.customer.clone())
}

/// Every kind of node that a trigger can ask, of the profile and the past.
const OF_CUSTOMERS: [&str; 20] = [
    "true",
    "has(profile.attributes.city) && profile.attributes.city != 'Omsk'",
    "!has(profile.attributes.cat) || profile.time_zone == ''",
    "profile.locale in ['ru-RU', 'en-US']",
    "profile.locale.startsWith('ru') && profile.locale.endsWith('RU') && profile.locale.contains('-')",
    "size(profile.attributes.city) == 4",
    "int(profile.attributes.age) >= 18",
    "int(profile.attributes.city) >= 18",
    "int(profile.attributes.age) > 40 ? true : false",
    "has_contact('email')",
    "has_consent('email')",
    "did('visit') && did('visit', 30)",
    "bought('toys', 30)",
    "heard_on('email', 30)",
    "was_in('other') || was_in('other', 30)",
    "is_in('other')",
    "days_since('visit') < 30",
    "days_until(profile.attributes.ends) < 30",
    "days_to_anniversary(profile.attributes.born) < 400",
    "occurred_at > 0 && has(profile.locale)",
];

/// The same, of a cart.
const OF_CARTS: [&str; 6] = [
    "-total_minor < 0 && total_minor + 1 - 2 * 3 / 4 % 5 <= 9000",
    "link == 'x' || currency == 'USD'",
    "size(items) == 1",
    "items.exists(i, i.category == 'toys' && i.price_minor * i.quantity > 1)",
    "items.all(i, i.sku != '')",
    "cart_id == 'c1' && version >= 1",
];

/// Of an event with attributes.
const OF_ACTIONS: [&str; 2] = ["has(attributes.city) && attributes.city == 'Perm'", "amount_minor > 0 || key == ''"];

/// Of earlier steps, and of what is kept of the trigger.
const OF_STEPS: [&str; 4] = [
    "was_sent('call') && !was_delivered('call') && !was_opened('call')",
    "outcome('call') == ''",
    "amount_minor == 0 && has_contact('email')",
    "attributes.city == 'Perm' || was_clicked('call') || was_replied('call')",
];

/// What a decision takes by which nothing begins, since this and something false is asked.
fn refused(trigger: &str, condition: &str, fact: &Fact) -> usize {
    let (plans, row) = known(&definition(&format!("{trigger}, where: \"{condition}has_contact('vk')\""), ""), &[]);
    of_fact(&plans, &row, fact)
}

fn skipped(condition: &str) -> usize {
    let when = format!(", when: \"{condition}has_contact('vk')\"");
    let (plans, row) = known(&definition("on: action, action: lead", &when), &["1h does lead city=Perm"]);
    allocations(&plans, &row, Input::Deadline, due(&row).unwrap())
}

#[test]
fn what_concerns_nobody_and_every_condition_allocate_nothing() {
    let item = Item { sku: "A1".into(), category: "toys".into(), quantity: 1, price_minor: 5 };
    let items = vec![item];
    let (cart_id, currency) = ("c1".to_owned(), "USD".to_owned());
    let cart = Fact::Cart(Cart {
        event_id: "e".into(),
        cart_id,
        version: 1,
        total_minor: 500,
        currency,
        items,
        ..Cart::default()
    });
    let attributes = [("city".to_owned(), "Perm".to_owned())].into();
    let action =
        Fact::Action(Action { event_id: "e".into(), action: "looked".into(), attributes, ..Action::default() });
    let registration = Fact::Registration(Registration { event_id: "e".into(), ..Registration::default() });

    let orders = World::of_examples(&["order-ready", "bonus-expiring", "come-back"]).plans.clone();
    let (_, running) = known(&definition("on: action, action: lead", ""), &["1h does lead"]);
    assert_eq!(running.instances.len(), 1);
    for (what, fact) in [("cart", &cart), ("action", &action), ("registration", &registration)] {
        assert_eq!(of_fact(&orders, &Customer::default(), fact), 0, "{what}, of somebody who is not known");
    }
    let (plans, _) = known(&definition("on: action, action: lead", ""), &[]);
    assert_eq!(of_fact(&plans, &running, &action), 0, "of somebody for whom a cascade runs");

    // Whom a sweep does not want, of him nothing is said.
    for condition in OF_CUSTOMERS {
        let trigger = format!("on: schedule, every: day 10:00, where: \"({condition}) && has_contact('vk')\"");
        let (plans, row) = known(&definition(&trigger, ""), &[]);
        assert_eq!(allocations(&plans, &row, Input::Sweep { campaign: "c" }, BEGIN + HOUR), 0, "{condition}");
    }
    // What a refusal takes is its entry in the journal, whatever was asked.
    let plain = refused("on: cart, settle: 1h", "", &cart);
    assert!(plain > 0, "an entry is written");
    for condition in OF_CUSTOMERS.iter().chain(&OF_CARTS) {
        assert_eq!(refused("on: cart, settle: 1h", &format!("({condition}) && "), &cart), plain, "{condition}");
    }
    let plain = refused("on: action, action: looked", "", &action);
    for condition in OF_ACTIONS {
        assert_eq!(refused("on: action, action: looked", &format!("({condition}) && "), &action), plain, "{condition}");
    }
    let plain = skipped("");
    for condition in OF_STEPS {
        assert_eq!(skipped(&format!("({condition}) && ")), plain, "{condition}");
    }
}
