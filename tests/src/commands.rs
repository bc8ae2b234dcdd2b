//! Send commands for one channel without anybody who decides about them, and what its workers write down about each.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rdkafka::consumer::BaseConsumer;
use schemas::{Attempt, AttemptState, Feedback, Id, Send, Status, encode};

use crate::feed::config;
use crate::installation::{DAY, Installation};
use crate::shop::address;
use crate::tail::{Ends, Message, Tail, end_of};

/// Next offset of each partition.
pub type Places = BTreeMap<i32, i64>;

/// The commands' template.
pub const TEMPLATE: &str = "hello";

impl Installation {
    /// Commands so many messages on a channel, each to somebody else, and returns their ids.
    pub fn command(&self, channel: &str, count: usize) -> Vec<String> {
        self.command_to(channel, count, |customer| address(customer, channel))
    }

    /// The same, to addresses of another form.
    pub fn command_to(&self, channel: &str, count: usize, address: impl Fn(&str) -> String) -> Vec<String> {
        let topic = self.topics.send(channel);
        let command = |_| {
            let customer = format!("customer-{}", self.event_number());
            let send = Send {
                send_id: Id::of_instance(&customer, &self.place.prefix, "", "").to_string(),
                customer_id: customer.clone(),
                channel: channel.to_owned(),
                address: address(&customer),
                template: TEMPLATE.to_owned(),
                decided_at: self.now(),
                send_before: self.now() + 7 * DAY,
                ..Send::default()
            };
            self.feed.send(&topic, &customer, &encode(&send));
            send.send_id
        };
        let ids = (0..count).map(command).collect();
        self.feed.flush();
        ids
    }

    /// What workers said of each send, in the order in which they did.
    pub fn told(&self) -> BTreeMap<String, Vec<Status>> {
        let mut told: BTreeMap<String, Vec<Status>> = BTreeMap::new();
        for message in self.read(&self.topics.feedback()) {
            let feedback: Feedback = message.decode();
            told.entry(feedback.send_id.unwrap_or_default()).or_default().push(feedback.status);
        }
        told
    }
}

/// Follows what the workers of a channel write down, as far as it is committed.
pub struct Ledger {
    topic: String,
    committed: Tail,
    stable: BaseConsumer,
    ends: Ends,
}

impl Ledger {
    /// That of this channel.
    pub fn of(cascade: &Installation, channel: &str) -> Self {
        let (brokers, topic) = (cascade.place.brokers(), cascade.topics.attempt(channel));
        let mut stable = config(brokers);
        let stable = stable.set("group.id", "oracle").set("isolation.level", "read_committed");
        Ledger {
            committed: Tail::of(brokers, &[&topic]),
            stable: stable.create().expect("the client's settings are right"),
            ends: Ends::new(brokers),
            topic,
        }
    }

    /// Where it ends, open transactions included.
    pub fn ends(&self) -> Places {
        let ends = self.ends.of(std::slice::from_ref(&self.topic));
        ends.into_iter().map(|((_, partition), end)| (partition, end)).collect()
    }

    /// Up to where every transaction has ended.
    fn stable_ends(&self) -> Places {
        let stable = |partition: &i32| (*partition, end_of(&self.stable, &self.topic, *partition));
        self.ends().keys().map(stable).collect()
    }

    /// Whether a transaction has written here and is open.
    pub fn is_open(&self) -> bool {
        self.stable_ends() != self.ends()
    }

    /// Everything that is committed by now.
    pub fn look(&mut self) -> Noted {
        self.committed.poll(Duration::from_millis(5));
        Noted::of(self.committed.seen(), None)
    }

    /// The same, up to these places.
    pub fn look_before(&mut self, places: &Places) -> Noted {
        self.committed.poll(Duration::from_millis(5));
        Noted::of(self.committed.seen(), Some(places))
    }
}

/// What workers have written down.
#[derive(Debug, Default)]
pub struct Noted {
    /// Intended, and nothing was said of what came of it: nobody knows, should the worker die now.
    pub in_doubt: BTreeSet<String>,
    /// Intended, and taken back.
    pub taken_back: usize,
    /// There is an outcome.
    pub settled: BTreeSet<String>,
}

impl Noted {
    fn of(seen: &[Message], before: Option<&Places>) -> Self {
        let mut noted = Noted::default();
        let is_meant = |message: &&Message| before.is_none_or(|before| message.offset < before[&message.partition]);
        for message in seen.iter().filter(is_meant) {
            let id = message.key_text().to_owned();
            let attempt = message.value.as_ref().map(|_| message.decode::<Attempt>());
            match attempt.map(|attempt| attempt.state) {
                Some(AttemptState::Intended) => drop(noted.in_doubt.insert(id)),
                Some(_) => {
                    noted.in_doubt.remove(&id);
                    noted.settled.insert(id);
                }
                None => {
                    noted.in_doubt.remove(&id);
                    noted.taken_back += 1;
                }
            }
        }
        noted
    }
}
