//! A customer whose life is told fact by fact: so rows are what decisions make of them, and nobody writes one by hand.

use std::rc::Rc;

use campaign::{Effect, Input, Moment, Plans, decide, due};
use schemas::{
    Action, Actor, Cart, Consent, Contact, Customer, Fact, Feedback, Item, Millis, Origin, Profile, Registration,
    Status,
};

pub const CUSTOMER: &str = "customer-00000042";

/// A Wednesday afternoon: nobody sleeps.
const START: Millis = 1_700_056_800_000;

const MINUTE: Millis = 60_000;

/// A row, and when and under which campaigns it is decided about next.
#[derive(Clone)]
pub struct Life {
    pub plans: Rc<Plans>,
    pub row: Customer,
    pub now: Millis,
    told: usize,
}

impl Life {
    /// A customer with a profile.
    pub fn begin(plans: Rc<Plans>) -> Self {
        let mut life = Life { plans, row: Customer::default(), now: START, told: 0 };
        let profile = life.profile();
        life.tell(&profile);
        life
    }

    pub fn registered(mut self) -> Self {
        let registration = self.registration();
        self.tell(&registration);
        self
    }

    /// Somebody took the last message.
    pub fn handed_over(mut self) -> Self {
        let word = self.feedback(Status::Accepted);
        self.tell(&word);
        self
    }

    pub fn left_a_cart(mut self) -> Self {
        let cart = self.cart(4_990);
        self.tell(&cart);
        self
    }

    pub fn bought(mut self) -> Self {
        let purchase = self.action("purchase");
        self.tell(&purchase);
        self
    }

    /// Waits until the row asks for a look.
    pub fn until_due(mut self) -> Self {
        self.now = due(&self.row).expect("something runs");
        self
    }

    /// One decision, and a minute goes by.
    pub fn tell(&mut self, fact: &Fact) {
        let mut effects: Vec<Effect> = Vec::new();
        let input = Input::Fact { fact, appended_at: self.now, hops: 0 };
        let moment = Moment { now: self.now, partition: 3, offset: Some(1_234_567), due: None };
        decide(&self.plans, CUSTOMER, &mut self.row, input, &moment, &mut effects);
        assert!(!effects.is_empty(), "this kind of fact is written down");
        (self.now, self.told) = (self.now + MINUTE, self.told + 1);
    }

    fn event(&self) -> String {
        format!("1f0c2a64-7d5e-4c7e-9a50-{:012x}", self.told)
    }

    fn profile(&self) -> Fact {
        let channels = ["push", "email", "sms"];
        let contact =
            |channel: &str| Contact { channel: channel.to_owned(), address: format!("{channel}-of-{CUSTOMER}") };
        let consent = |channel: &str| Consent {
            channel: channel.to_owned(),
            granted: true,
            at: self.now,
            source: "web".to_owned(),
            text_version: "1".to_owned(),
        };
        Fact::Profile(Profile {
            event_id: self.event(),
            customer_id: CUSTOMER.to_owned(),
            occurred_at: self.now,
            contacts: channels.map(contact).to_vec(),
            consents: channels.map(consent).to_vec(),
            time_zone: Some("Europe/Berlin".to_owned()),
            locale: Some("de-DE".to_owned()),
            attributes: [("first_name".to_owned(), "Anna".to_owned())].into(),
            ..Profile::default()
        })
    }

    pub fn registration(&self) -> Fact {
        Fact::Registration(Registration {
            event_id: self.event(),
            customer_id: CUSTOMER.to_owned(),
            occurred_at: self.now,
            source: "web".to_owned(),
            ..Registration::default()
        })
    }

    /// One cart, in its state at this moment.
    pub fn cart(&self, total_minor: i64) -> Fact {
        let item = |sku: &str| Item { sku: sku.to_owned(), quantity: 1, price_minor: 1_000, ..Item::default() };
        Fact::Cart(Cart {
            event_id: self.event(),
            customer_id: CUSTOMER.to_owned(),
            occurred_at: self.now,
            cart_id: "cart-815".to_owned(),
            version: i64::try_from(self.told).expect("few facts are told"),
            total_minor,
            currency: "USD".to_owned(),
            items: ["4711", "4712", "4713"].map(item).to_vec(),
            link: Some("https://shop.test/cart/815".to_owned()),
        })
    }

    pub fn action(&self, action: &str) -> Fact {
        Fact::Action(Action {
            event_id: self.event(),
            customer_id: CUSTOMER.to_owned(),
            occurred_at: self.now,
            action: action.to_owned(),
            ..Action::default()
        })
    }

    /// A word about the last message.
    pub fn feedback(&self, status: Status) -> Fact {
        let sent = self.row.instances.iter().flat_map(|instance| &instance.sends).last().expect("a message is out");
        Fact::Feedback(Feedback {
            event_id: self.event(),
            customer_id: CUSTOMER.to_owned(),
            occurred_at: self.now,
            send_id: Some(sent.id.to_string()),
            channel: sent.channel.clone(),
            status,
            actor: Actor::Unspecified,
            provider: "fcm".to_owned(),
            ..Feedback::default()
        })
    }

    /// The fact as a record of `input`.
    pub fn record(&self, fact: Fact) -> schemas::Input {
        let origin = Origin { topic: "source".to_owned(), partition: 0, offset: 815, appended_at: self.now };
        schemas::Input { origin, fact, hops: 0 }
    }
}
