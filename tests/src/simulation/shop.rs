//! Everybody outside of the operator: customers, channel workers and providers, and the marketer's words on their way.

use std::collections::BTreeMap;

use schemas::{
    Action, Actor, Cart, Consent, Contact, Fact, Feedback, Inactivity, Input, Item, Millis, Origin, Profile, Progress,
    Registration, Release, Send, Status, decode, encode,
};
use stream::simulation::{Outside, Surface};

use super::marketer::Marketer;
use super::{CHANNELS, FIRST_OUTPUT, REFERENCE, SENDS, Simulation};

const MINUTE: Millis = 60_000;
const HOUR: Millis = 60 * MINUTE;
const DAY: Millis = 24 * HOUR;

/// Everybody outside of the operator.
pub struct Shop {
    customers: usize,
    events: usize,
    told: usize,
    marketer: Marketer,
    /// Next offset to be read, by channel and partition.
    read: BTreeMap<(usize, i32), i64>,
    /// Words about messages that are still to be said: when, about whom, what.
    words: Vec<(Millis, Feedback)>,
    ends_at: Millis,
    is_over: bool,
}

impl Shop {
    /// A shop in which nothing has happened.
    pub fn new(simulation: &Simulation) -> Self {
        Shop {
            customers: simulation.customers,
            events: simulation.events,
            told: 0,
            marketer: Marketer::new(simulation.seed, simulation.campaigns, simulation.sayings),
            read: BTreeMap::new(),
            words: Vec::new(),
            ends_at: 0,
            is_over: false,
        }
    }

    fn tell(&mut self, surface: &mut Surface<'_, '_>, facts: Vec<(String, Fact)>) {
        let now = surface.now();
        let record = |(customer, fact): (String, Fact)| {
            let origin = Origin { topic: "source".to_owned(), appended_at: now, ..Origin::default() };
            (customer.into_bytes(), encode(&Input { origin, fact, hops: 0 }))
        };
        let records: Vec<_> = facts.into_iter().map(record).collect();
        surface.append_to_sources(records);
    }

    fn event_id(&mut self) -> String {
        self.told += 1;
        format!("event-{}", self.told)
    }

    fn something_happens(&mut self, surface: &mut Surface<'_, '_>) {
        if self.told < self.customers {
            let customer = format!("c{}", self.told);
            let profile = profile(surface, self.event_id(), customer.clone());
            return self.tell(surface, vec![(customer, Fact::Profile(profile))]);
        }
        let count = 1 + surface.random(3);
        let facts: Vec<(String, Fact)> = (0..count)
            .map(|_| {
                let customer = format!("c{}", surface.random(self.customers));
                let fact = self.fact(surface, &customer);
                (customer, fact)
            })
            .collect();
        match surface.random(30) {
            0 => drop(surface.append_together(&[(facts[0].0.clone().into_bytes(), b"no record".to_vec())])),
            1 => self.tell(surface, vec![(String::new(), Fact::Progress(Progress::default()))]),
            _ => self.tell(surface, facts),
        }
    }

    fn fact(&mut self, surface: &Surface<'_, '_>, customer: &str) -> Fact {
        let (event_id, customer_id, occurred_at) = (self.event_id(), customer.to_owned(), surface.now());
        match surface.random(16) {
            0..4 => Fact::Profile(profile(surface, event_id, customer_id)),
            4..8 => Fact::Cart(Cart {
                event_id,
                customer_id,
                occurred_at,
                cart_id: format!("cart-{}", surface.random(2)),
                version: i64::try_from(self.told).unwrap_or(0),
                total_minor: [0, 5_000, 9_000][surface.random(3)],
                currency: "USD".to_owned(),
                items: vec![Item { sku: "4711".to_owned(), quantity: 1, price_minor: 100, ..Item::default() }],
                link: None,
            }),
            8..13 => Fact::Action(Action {
                event_id,
                customer_id,
                occurred_at,
                action: ["purchase", "bonus_expiring", "order_ready", "visit", "lead"][surface.random(5)].to_owned(),
                key: [None, Some("k1".to_owned())][surface.random(2)].clone(),
                ..Action::default()
            }),
            13 => Fact::Registration(Registration { event_id, customer_id, occurred_at, ..Registration::default() }),
            14 => {
                Fact::Inactivity(Inactivity { event_id, customer_id, occurred_at, days: 30, ..Inactivity::default() })
            }
            _ => Fact::Release(Release { event_id, customer_id, occurred_at, note: "looked at".to_owned() }),
        }
    }

    /// Channel workers hand over what they find, and plan what will be heard of it.
    fn work(&mut self, surface: &Surface<'_, '_>) {
        for channel in 0..CHANNELS.len() {
            for partition in 0..3 {
                let next = self.read.entry((channel, partition)).or_default();
                for record in surface.read(FIRST_OUTPUT + SENDS + channel, partition, *next) {
                    *next = record.offset + 1;
                    let send: Send = decode(record.value.as_deref().unwrap_or_default()).expect("it is a command");
                    let now = surface.now();
                    for (status, actor, after) in fate(surface) {
                        let word = Feedback {
                            event_id: format!("{}/{status}", send.send_id),
                            customer_id: send.customer_id.clone(),
                            send_id: Some(send.send_id.clone()),
                            channel: send.channel.clone(),
                            status,
                            actor,
                            ..Feedback::default()
                        };
                        self.words.push((now + after, word));
                    }
                }
            }
        }
    }

    fn say(&mut self, surface: &mut Surface<'_, '_>) {
        let now = surface.now();
        let (due, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.words).into_iter().partition(|(at, _)| *at <= now);
        self.words = later;
        for (at, word) in due {
            let fact = Fact::Feedback(Feedback { occurred_at: at, ..word.clone() });
            self.tell(surface, vec![(word.customer_id.clone(), fact)]);
        }
    }

    fn publish(&mut self, surface: &mut Surface<'_, '_>) {
        let Some(said) = self.marketer.next(surface.now()) else { return };
        surface.append(REFERENCE, 0, said.campaign.as_bytes(), &encode(&said));
    }
}

impl Outside for Shop {
    fn live(&mut self, surface: &mut Surface<'_, '_>) {
        if self.marketer.is_preparing() || surface.random(30) == 0 {
            self.publish(surface);
        }
        if self.told < self.events && surface.random(3) == 0 {
            self.something_happens(surface);
        }
        self.work(surface);
        self.say(surface);
        let span = match surface.random(12) {
            0 => surface.random(180) as Millis * MINUTE,
            1 => surface.random(30) as Millis * HOUR,
            _ => 1 + surface.random(2_000) as Millis,
        };
        surface.advance(span);
    }

    fn rest(&mut self, surface: &mut Surface<'_, '_>) {
        self.work(surface);
        self.say(surface);
        if self.ends_at == 0 {
            self.ends_at = surface.now() + 12 * DAY;
        }
        let is_busy = surface.now() < self.ends_at || !self.words.is_empty();
        // Where a sweep has a pace, it needs time to go on.
        surface.advance(if is_busy { 3 * HOUR } else { 300 });
        self.is_over = self.words.is_empty() && surface.now() >= self.ends_at;
    }

    fn is_at_rest(&self) -> bool {
        self.is_over
    }
}

/// What is heard of a message: status, who opened, after how long.
fn fate(surface: &Surface<'_, '_>) -> Vec<(Status, Actor, Millis)> {
    let soon = surface.random(20) as Millis * MINUTE;
    let accepted = (Status::Accepted, Actor::Unspecified, surface.random(3) as Millis * MINUTE);
    let said = |status| (status, Actor::Unspecified, soon);
    match surface.random(10) {
        0 => vec![],
        1 => vec![accepted],
        2 => vec![said(Status::Refused)],
        3 => vec![accepted, said(Status::BouncedHard)],
        4 => vec![said(Status::Unknown), (Status::Delivered, Actor::Unspecified, 5 * HOUR)],
        5 => vec![accepted, (Status::Opened, Actor::Machine, soon)],
        6 => vec![accepted, said(Status::Unsubscribed)],
        7 => vec![accepted, said(Status::Delivered), (Status::Opened, Actor::Human, 26 * HOUR)],
        _ => vec![accepted, said(Status::Delivered), said(Status::Delivered)],
    }
}

fn profile(surface: &Surface<'_, '_>, event_id: String, customer_id: String) -> Profile {
    let known: Vec<&str> = CHANNELS.into_iter().filter(|_| surface.random(3) > 0).collect();
    let now = surface.now();
    let number = ["+12025550", "+4479460"][surface.random(2)];
    // Some have the address of somebody else.
    let alike = surface.random(3) == 0;
    let address = |channel: &str| match channel {
        "email" | "sms" if alike => format!("shared-{channel}"),
        "viber" | "whatsapp" | "sms" => format!("{number}{}", customer_id.trim_start_matches('c')),
        _ => format!("{customer_id}-{channel}"),
    };
    let contact = |channel: &&str| Contact { channel: (*channel).to_owned(), address: address(channel) };
    let consent =
        |channel: &&str| Consent { channel: (*channel).to_owned(), granted: true, at: now, ..Consent::default() };
    Profile {
        contacts: known.iter().map(contact).collect(),
        consents: known.iter().map(consent).collect(),
        erased: surface.random(6) == 0,
        // Some are somebody else, who may say the same of them.
        formerly: if surface.random(4) == 0 { vec![format!("c{}", surface.random(4))] } else { Vec::new() },
        time_zone: [None, Some("Europe/Berlin".to_owned())][surface.random(2)].clone(),
        attributes: BTreeMap::from([("preferred_channel".to_owned(), CHANNELS[surface.random(6)].to_owned())]),
        occurred_at: now,
        event_id,
        customer_id,
        ..Profile::default()
    }
}
