//! The story that every crash interrupts: nothing was heard of two thousand customers for a month. A push goes out to each
//! at once, and to those who neither bought nor opened it an SMS after six hours.

use std::time::Duration;

use schemas::{Action, Consent, Contact, Inactivity, Profile, Record, encode};
use stream::clock::Millis;
use system_tests::installation::{DAY, Installation, Plan};
use system_tests::shop::address;
use system_tests::tail::Tail;

/// Each kill comes after so many records of the service since its last start: in the midst of what it has to do.
const SOME: usize = 100;

/// Slow enough that the hand-over of one step to all customers takes longer than a restart.
const RATE_PER_SECOND: u32 = 250;

/// Channels that customers have a contact for. The campaign knows more of them.
const CONTACTS: [&str; 2] = ["push", "sms"];

/// Customers, by number.
#[derive(Clone, Copy)]
pub struct Range(usize, usize);

/// All of them.
pub const CUSTOMERS: Range = Range(0, 2_000);

impl Range {
    /// The one half, and the other.
    pub fn halves(self) -> [Range; 2] {
        let middle = usize::midpoint(self.0, self.1);
        [Range(self.0, middle), Range(middle, self.1)]
    }

    /// How many.
    pub fn count(self) -> usize {
        self.1 - self.0
    }

    fn names(self) -> impl Iterator<Item = String> {
        (self.0..self.1).map(|number| format!("customer-{number}"))
    }
}

/// A Cascade and its customers.
pub struct Story {
    pub cascade: Installation,
}

impl Story {
    /// Every service runs, and every customer has a profile.
    pub fn begin(name: &str) -> Self {
        let plan = Plan::new(name, &["come-back"], &["push", "sms", "viber", "email"]);
        let mut cascade = Installation::prepare(&Plan { rate_per_second: RATE_PER_SECOND, ..plan });
        for service in ["tracker", "intake", "operator", "channel push", "channel sms"] {
            cascade.launch(service);
        }
        for service in cascade.services.values_mut() {
            service.wait_until_ready();
        }
        let story = Story { cascade };
        let topic = story.cascade.topics.profile();
        story.tell(CUSTOMERS.names().map(|customer| (story.profile(&customer), customer)), &topic);
        story.cascade.settle();
        story
    }

    /// Nothing was heard of these customers for a month.
    pub fn fall_silent(&self, customers: Range) {
        let silent = |customer: &String| Inactivity {
            event_id: format!("silence of {customer}"),
            customer_id: customer.clone(),
            occurred_at: self.cascade.now(),
            since: self.cascade.now() - 30 * DAY,
            days: 30,
            ..Inactivity::default()
        };
        let topic = self.cascade.topics.inactivity();
        self.tell(customers.names().map(|customer| (silent(&customer), customer)), &topic);
    }

    /// Every fifth customer is back.
    pub fn every_fifth_buys(&self) {
        let purchase = |customer: &String| Action {
            event_id: format!("purchase of {customer}"),
            customer_id: customer.clone(),
            occurred_at: self.cascade.now(),
            action: "purchase".to_owned(),
            ..Action::default()
        };
        let topic = self.cascade.topics.action();
        self.tell(CUSTOMERS.names().step_by(5).map(|customer| (purchase(&customer), customer)), &topic);
    }

    /// Business time moves on. What follows from that has begun when this returns, no more.
    pub fn let_pass(&mut self, span: Millis) {
        let later = self.cascade.now() + span;
        self.cascade.set_clock(later);
    }

    /// Follows what a service writes.
    pub fn tail(&self, topic: &str) -> Tail {
        Tail::of(self.cascade.place.brokers(), &[&self.cascade.place.topic(topic)])
    }

    /// Waits until the service has written some more, kills it, and starts it anew.
    #[track_caller]
    pub fn kill_in_mid_flow(&mut self, service: &str, written: &mut Tail) {
        written.poll(Duration::ZERO);
        let enough = written.seen().len() + SOME;
        written.until(&format!("{service} is in mid-flow"), |seen| seen.len() >= enough);
        self.cascade.kill(service);
        self.cascade.restart(service);
    }

    fn profile(&self, customer: &str) -> Profile {
        let now = self.cascade.now();
        let contact = |channel| Contact { channel: String::from(channel), address: address(customer, channel) };
        let consent = |channel| Consent {
            channel: String::from(channel),
            granted: true,
            at: now,
            source: "web".to_owned(),
            text_version: "1".to_owned(),
        };
        Profile {
            event_id: format!("profile of {customer}"),
            customer_id: customer.to_owned(),
            occurred_at: now,
            contacts: CONTACTS.map(contact).into(),
            consents: CONTACTS.map(consent).into(),
            time_zone: Some("Europe/Berlin".to_owned()),
            ..Profile::default()
        }
    }

    fn tell<T: Record>(&self, records: impl Iterator<Item = (T, String)>, topic: &str) {
        for (record, customer) in records {
            self.cascade.feed.send(topic, &customer, &encode(&record));
        }
        self.cascade.feed.flush();
    }
}
