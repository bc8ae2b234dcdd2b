//! What customers do in a measurement, as records of the contract.

use schemas::{Action, Cart, Consent, Contact, Fact, Input, Item, Millis, Origin, Profile, Registration};
use stream::clock::machine_now;

use crate::ground::CHANNEL;

/// What becomes known of a customer in [`history`].
pub const FACTS: usize = 6;

/// Number `number` of all customers.
pub fn name(number: usize) -> String {
    format!("customer-{number:08}")
}

/// One contact, with consent.
pub fn profile(customer: &str) -> Profile {
    let now = machine_now();
    let contact = Contact { channel: CHANNEL.to_owned(), address: format!("{customer}-address") };
    let consent = Consent {
        channel: CHANNEL.to_owned(),
        granted: true,
        at: now,
        source: "web".to_owned(),
        text_version: "1".to_owned(),
    };
    Profile {
        event_id: format!("{customer}-profile"),
        customer_id: customer.to_owned(),
        occurred_at: now,
        contacts: vec![contact],
        consents: vec![consent],
        time_zone: Some("Europe/Berlin".to_owned()),
        ..Profile::default()
    }
}

/// To which the campaign answers at once.
pub fn registration(customer: &str) -> Registration {
    Registration {
        event_id: format!("{customer}-registration"),
        customer_id: customer.to_owned(),
        occurred_at: machine_now(),
        source: "web".to_owned(),
        ..Registration::default()
    }
}

/// Fact `turn` of a customer's life: known, registered (which is answered by a message), a cart, two visits, a purchase (which
/// ends the cascade).
pub fn history(customer: &str, turn: usize) -> Input {
    let now = machine_now();
    let (topic, fact) = match turn {
        0 => ("profile", Fact::Profile(profile(customer))),
        1 => ("registration", Fact::Registration(registration(customer))),
        2 => ("cart", Fact::Cart(cart(customer, now))),
        3 => ("action", Fact::Action(action(customer, "visit", turn, now))),
        4 => ("action", Fact::Action(action(customer, "visit", turn, now))),
        _ => ("action", Fact::Action(action(customer, "purchase", turn, now))),
    };
    let origin = Origin { topic: topic.to_owned(), partition: 0, offset: 0, appended_at: now };
    Input { origin, fact, hops: 0 }
}

/// Somebody comes by, by an event of this id.
pub fn visit(customer: &str, event_id: String) -> Input {
    let mut visit = history(customer, 3);
    if let Fact::Action(action) = &mut visit.fact {
        action.event_id = event_id;
    }
    visit
}

fn cart(customer: &str, now: Millis) -> Cart {
    let item = Item { sku: "4711".to_owned(), quantity: 1, price_minor: 4_990, ..Item::default() };
    Cart {
        event_id: format!("{customer}-cart"),
        customer_id: customer.to_owned(),
        occurred_at: now,
        cart_id: format!("{customer}-cart"),
        version: 1,
        total_minor: 4_990,
        currency: "USD".to_owned(),
        items: vec![item],
        link: Some("https://shop.test/cart".to_owned()),
    }
}

fn action(customer: &str, action: &str, turn: usize, now: Millis) -> Action {
    Action {
        event_id: format!("{customer}-{turn}"),
        customer_id: customer.to_owned(),
        occurred_at: now,
        action: action.to_owned(),
        ..Action::default()
    }
}
