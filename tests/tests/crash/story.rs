//! The story that every crash interrupts: nothing was heard of two thousand customers for a month. A push goes out to each
//! at once, and to those who neither bought nor opened it an SMS after six hours.

use campaign::Row;
use schemas::{Action, Consent, Contact, Feedback, Inactivity, Profile, Record, encode};
use stream::clock::Millis;
use system_tests::changelog::Changelog;
use system_tests::installation::{DAY, Installation, Plan};
use system_tests::shop::address;
use system_tests::tail::Ends;
use system_tests::wait::until;

/// Each kill comes after so many records of the service: in the midst of what it has to do.
const SOME: i64 = 100;

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
        cascade.bring_up(&["tracker", "intake", "operator", "channel push", "channel sms"]);
        let story = Story { cascade };
        story.tell_profiles();
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

    /// Gives a service work while it stands still. Kills it when some of that is written, be it uncommitted, and some is left
    /// to do; then starts it anew.
    #[track_caller]
    pub fn kill_in_mid_flow(&mut self, service: &str, work: impl FnOnce(&mut Self)) {
        let written = [match service {
            "intake" => self.cascade.topics.input(),
            "operator" => self.cascade.topics.changelog(),
            _ => self.cascade.topics.feedback(),
        }];
        self.cascade.service(service).process().freeze();
        let ends = Ends::new(self.cascade.place.brokers());
        let written = || ends.of(&written).into_values().sum::<i64>();
        let mut enough = written() + SOME;
        work(self);
        self.cascade.service(service).process().thaw();
        until(&format!("{service} is in mid-flow"), || {
            if written() < enough {
                return false;
            }
            let is_caught = self.freeze_with_work_left(service);
            if !is_caught {
                // It was done before we looked.
                enough = written() + SOME;
                self.tell_profiles();
            }
            is_caught
        });
        self.cascade.kill(service);
        self.cascade.restart(service);
    }

    /// Every customer has a profile. Told once more, it changes nothing.
    fn tell_profiles(&self) {
        let topic = self.cascade.topics.profile();
        self.tell(CUSTOMERS.names().map(|customer| (self.profile(&customer), customer)), &topic);
    }

    /// Stops a service where it stands, unless it has done everything.
    fn freeze_with_work_left(&mut self, service: &str) -> bool {
        self.cascade.service(service).process().freeze();
        let some = self.left(service) > 0;
        if !some {
            self.cascade.service(service).process().thaw();
        }
        some
    }

    /// Waits until workers have told so many outcomes.
    pub fn await_outcomes(&self, count: usize) {
        let feedback = self.cascade.topics.feedback();
        until("outcomes are told", || self.cascade.read(&feedback).len() >= count);
    }

    /// How much a service has yet to do of what is committed.
    fn left(&self, service: &str) -> usize {
        let (topics, count) = (&self.cascade.topics, |topic: &str| self.cascade.read(topic).len());
        match service.strip_prefix("channel ") {
            Some(channel) => {
                let told = self.cascade.read(&topics.feedback());
                let by_this = told.iter().filter(|told| told.decode::<Feedback>().channel == channel);
                count(&topics.send(channel)) - by_this.count()
            }
            None if service == "intake" => {
                let given: usize = topics.sources().iter().map(|(source, _)| count(source)).sum();
                let input = self.cascade.read(&topics.input());
                given - input.iter().filter(|record| !record.key.is_empty()).count()
            }
            None => self.left_for_the_operator(),
        }
    }

    /// Facts that no META covers, and customers whose deadline is over.
    fn left_for_the_operator(&self) -> usize {
        let changelog = Changelog::of(&self.cascade.read(&self.cascade.topics.changelog()));
        let input = self.cascade.read(&self.cascade.topics.input());
        let next = |partition| changelog.metas(partition).last().map_or(0, |meta| meta.next_offset);
        let facts = input.iter().filter(|fact| !fact.key.is_empty() && fact.offset >= next(fact.partition));
        let rows = changelog.rows().into_values().map(|row| Row::decode(&row).expect("a row can be read"));
        let due = rows.filter(|row| row.due().is_some_and(|due| due <= self.cascade.now()));
        facts.count() + due.count()
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
