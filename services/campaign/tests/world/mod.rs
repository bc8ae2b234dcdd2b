//! One customer, a clock of our own, and everything that was decided: what the timelines and the rules are tested on.
#![allow(dead_code, reason = "each test file uses the part that it needs")]

pub mod script;
pub mod life;

use std::collections::BTreeMap;

use campaign::{Effect, Input, Moment, Plans, decide, due};
use schemas::{
    Action, Actor, Campaign, CampaignKind, Cart, Consent, Contact, Customer, Fact, Feedback, Inactivity, Item, Journal,
    Profile, Registration, Release, Send, Status, Unreadable,
};

pub const MINUTE: i64 = 60_000;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;
/// The clock's reading when a world begins.
pub const BEGIN: i64 = 1_700_000_000_000;
pub const CUSTOMER: &str = "customer-1";

pub struct World {
    pub plans: Plans,
    pub customer: Customer,
    pub now: i64,
    /// Every effect with the moment at which it was decided.
    pub effects: Vec<(i64, Effect)>,
    /// Whether a worker hands each command over at once.
    pub worker: bool,
    /// The fact that was told last, to be told again.
    pub last: Option<Fact>,
    /// Events so far, for their ids.
    count: i64,
    /// The latest moment of each sweep that is done.
    swept: BTreeMap<String, i64>,
}

impl World {
    pub fn new(definitions: &[&str]) -> Self {
        let mut plans = Plans::default();
        plans.apply(&prices()).unwrap();
        for definition in definitions {
            plans.apply(&record(definition)).unwrap();
        }
        World {
            plans,
            customer: Customer::default(),
            now: BEGIN,
            effects: Vec::new(),
            worker: true,
            last: None,
            count: 0,
            swept: BTreeMap::new(),
        }
    }

    /// A world with campaigns of `deploy/campaigns`.
    pub fn of_examples(names: &[&str]) -> Self {
        let texts: Vec<String> = names.iter().map(|name| example(name)).collect();
        World::new(&texts.iter().map(String::as_str).collect::<Vec<_>>())
    }

    pub fn next_id(&mut self) -> String {
        self.count += 1;
        format!("event-{}", self.count)
    }

    /// Hands one fact to `decide`, as it is.
    pub fn tell(&mut self, fact: Fact) {
        self.last = Some(fact.clone());
        let moment = Moment { now: self.now, partition: 0, offset: Some(self.count), due: None };
        self.decide(Input::Fact { fact: &fact, appended_at: self.now }, &moment);
    }

    fn decide(&mut self, input: Input<'_>, moment: &Moment) {
        let mut effects = Vec::new();
        decide(&self.plans, CUSTOMER, &mut self.customer, input, moment, &mut effects);
        let sends: Vec<Send> = effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Send(send) => Some((**send).clone()),
                _ => None,
            })
            .collect();
        self.effects.extend(effects.into_iter().map(|effect| (self.now, effect)));
        let answered = if self.worker { sends } else { Vec::new() };
        for send in &answered {
            self.feedback(&send.send_id, &send.channel, Status::Accepted, Actor::Unspecified);
        }
    }

    /// Lets time pass; each deadline is looked at when it falls due.
    pub fn pass_until(&mut self, moment: i64) {
        while self.fire_next(moment) {}
        self.now = self.now.max(moment);
    }

    /// Looks at the next deadline up to `moment`, if there is one.
    pub fn fire_next(&mut self, moment: i64) -> bool {
        let next = due(&self.customer).filter(|deadline| *deadline <= moment);
        if let Some(deadline) = next {
            self.now = self.now.max(deadline);
            self.fire();
        }
        next.is_some()
    }

    /// Lets time pass while the operator is down: no deadline is looked at.
    pub fn sleep_until(&mut self, moment: i64) {
        self.now = self.now.max(moment);
    }

    /// Looks at the deadlines that are due by now.
    pub fn fire(&mut self) {
        let deadline = due(&self.customer);
        let moment = Moment { now: self.now, partition: 0, offset: None, due: deadline };
        self.decide(Input::Deadline, &moment);
    }

    /// Lets the sweeps whose moments have come pass by.
    pub fn sweep(&mut self) {
        let mut due = Vec::new();
        self.plans.sweeps(self.now, |campaign, at, _| due.push((campaign.to_owned(), at)));
        for (campaign, at) in due {
            if self.swept.insert(campaign.clone(), at) < Some(at) {
                let moment = Moment { now: self.now, partition: 0, offset: None, due: Some(at) };
                self.decide(Input::Sweep { campaign: &campaign }, &moment);
            }
        }
    }

    pub fn feedback(&mut self, send_id: &str, channel: &str, status: Status, actor: Actor) {
        let event_id = self.next_id();
        let (send_id, channel) = (Some(send_id.to_owned()), channel.to_owned());
        let customer_id = CUSTOMER.to_owned();
        let occurred_at = self.now;
        self.tell(Fact::Feedback(Feedback {
            event_id,
            customer_id,
            occurred_at,
            send_id,
            channel,
            status,
            actor,
            ..Feedback::default()
        }));
    }

    pub fn cart(&mut self, cart_id: &str, version: i64, total_minor: i64) {
        let items = if total_minor > 0 {
            vec![Item { sku: "A1".into(), category: "toys".into(), quantity: 1, price_minor: total_minor }]
        } else {
            Vec::new()
        };
        let event_id = self.next_id();
        let cart = Cart {
            event_id,
            customer_id: CUSTOMER.into(),
            occurred_at: self.now,
            cart_id: cart_id.into(),
            version,
            total_minor,
            currency: "USD".into(),
            items,
            link: None,
        };
        self.tell(Fact::Cart(cart));
    }

    pub fn action(&mut self, action: &str, key: Option<&str>) {
        let event_id = self.next_id();
        self.tell(Fact::Action(Action {
            event_id,
            customer_id: CUSTOMER.into(),
            occurred_at: self.now,
            action: action.into(),
            key: key.map(Into::into),
            ..Action::default()
        }));
    }

    pub fn registration(&mut self) {
        let event_id = self.next_id();
        self.tell(Fact::Registration(Registration {
            event_id,
            customer_id: CUSTOMER.into(),
            occurred_at: self.now,
            source: "web".into(),
            ..Registration::default()
        }));
    }

    pub fn inactivity(&mut self, days: i32) {
        let event_id = self.next_id();
        self.tell(Fact::Inactivity(Inactivity {
            event_id,
            customer_id: CUSTOMER.into(),
            occurred_at: self.now,
            days,
            ..Inactivity::default()
        }));
    }

    /// A profile with an address and a consent for each of these channels.
    pub fn profile(&mut self, channels: &[&str]) {
        let event_id = self.next_id();
        let contact = |channel: &&str| Contact { channel: (*channel).into(), address: format!("address-of-{channel}") };
        let consent =
            |channel: &&str| Consent { channel: (*channel).into(), granted: true, at: self.now, ..Consent::default() };
        let profile = Profile {
            event_id,
            customer_id: CUSTOMER.into(),
            occurred_at: self.now,
            contacts: channels.iter().map(contact).collect(),
            consents: channels.iter().map(consent).collect(),
            ..Profile::default()
        };
        self.tell(Fact::Profile(profile));
    }

    pub fn erase(&mut self) {
        let event_id = self.next_id();
        self.tell(Fact::Profile(Profile {
            event_id,
            customer_id: CUSTOMER.into(),
            occurred_at: self.now,
            erased: true,
            ..Profile::default()
        }));
    }

    pub fn unreadable(&mut self) {
        self.tell(Fact::Unreadable(Unreadable { code: "not-avro".into() }));
    }

    pub fn release(&mut self) {
        let event_id = self.next_id();
        self.tell(Fact::Release(Release {
            event_id,
            customer_id: CUSTOMER.into(),
            occurred_at: self.now,
            note: "looked at".into(),
        }));
    }

    pub fn sends(&self) -> Vec<&Send> {
        self.effects
            .iter()
            .filter_map(|(_, effect)| match effect {
                Effect::Send(send) => Some(&**send),
                _ => None,
            })
            .collect()
    }

    pub fn journal(&self) -> Vec<&Journal> {
        self.effects
            .iter()
            .filter_map(|(_, effect)| match effect {
                Effect::Journal(journal) => Some(&**journal),
                _ => None,
            })
            .collect()
    }
}

/// The text of a file in `deploy/campaigns`.
pub fn example(name: &str) -> String {
    let path = format!("{}/../../deploy/campaigns/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The record that puts a definition in force.
pub fn record(definition: &str) -> Campaign {
    let plan = campaign::parse("test", definition).unwrap_or_else(|problems| {
        panic!("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    });
    Campaign {
        campaign: plan.name,
        version: plan.version,
        kind: CampaignKind::Definition,
        definition: definition.into(),
        applied_at: BEGIN,
    }
}

pub fn prices() -> Campaign {
    Campaign { kind: CampaignKind::Prices, definition: example("prices"), ..Campaign::default() }
}
