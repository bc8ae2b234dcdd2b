//! A synthetic customer for each partition of `input`, and the round that each is on.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::{Id, Journal, Reason};
use stream::clock::Tick;
use stream::kafka::partition_of;

/// Name of the channel, the campaign and everything else of the canary's.
pub const CANARY: &str = "canary";

/// All of them, by customer.
#[derive(Debug)]
pub struct Flock {
    birds: BTreeMap<String, Bird>,
}

/// One.
#[derive(Debug, Default)]
struct Bird {
    /// The round that has begun and not ended.
    round: Option<Round>,
    /// When the last one began.
    begun: Option<Tick>,
    /// The last round that has ended was lost.
    is_missing: bool,
}

/// A round under way.
#[derive(Debug)]
struct Round {
    /// Of the cascade that answers it.
    instance: String,
    event: String,
    since: Tick,
    /// Its action is to be published: it was not yet, or the brokers did not take it.
    is_to_begin: bool,
}

/// An action to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The customer.
    pub customer: String,
    /// Id of the event, and business key of the cascade.
    pub event: String,
}

impl Flock {
    /// Customers `canary-<n>` such that each of so many partitions has one.
    pub fn of(partitions: i32) -> Self {
        let mut homes = BTreeMap::new();
        let mut number = 0_u32;
        while homes.len() < usize::try_from(partitions).unwrap_or(0) {
            let customer = format!("{CANARY}-{number}");
            homes.entry(partition_of(customer.as_bytes(), partitions)).or_insert(customer);
            number += 1;
        }
        Flock { birds: homes.into_values().map(|customer| (customer, Bird::default())).collect() }
    }

    /// Ids of the customers.
    pub fn customers(&self) -> impl Iterator<Item = &str> {
        self.birds.keys().map(String::as_str)
    }

    /// Actions that are to be published now: of rounds that begin, and of those whose action the brokers did not take. Rounds have numbers that
    /// grow, `number` being the first.
    pub fn due(&mut self, interval: Duration, mut number: u64) -> Vec<Start> {
        let mut due = Vec::new();
        for (customer, bird) in &mut self.birds {
            let is_time = bird.begun.is_none_or(|begun| begun.elapsed() >= interval);
            if bird.round.is_none() && is_time {
                let event = format!("{customer}/{number}");
                number += 1;
                let instance = Id::of_instance(customer, CANARY, &event, &event).to_string();
                bird.round = Some(Round { instance, event, since: Tick::now(), is_to_begin: true });
                bird.begun = Some(Tick::now());
            }
            if let Some(round) = bird.round.as_mut().filter(|round| round.is_to_begin) {
                round.is_to_begin = false;
                due.push(Start { customer: customer.clone(), event: round.event.clone() });
            }
        }
        due
    }

    /// The brokers did not take the action: it is due again, as long as its round is on.
    pub fn stays(&mut self, start: &Start) {
        if let Some(round) = self.birds.get_mut(&start.customer).and_then(|bird| bird.round.as_mut()) {
            round.is_to_begin |= round.event == start.event;
        }
    }

    /// The operator has said something: how long the round took that ends by it.
    pub fn hear(&mut self, entry: &Journal) -> Option<Duration> {
        let bird = self.birds.get_mut(&entry.customer_id)?;
        let is_it = |round: &&mut Round| entry.reason == Reason::HandedOver && entry.instance == round.instance;
        let after = bird.round.as_mut().filter(is_it)?.since.elapsed();
        (bird.round, bird.is_missing) = (None, false);
        Some(after)
    }

    /// Gives up rounds that have taken longer than this; the customers whose they are.
    pub fn give_up(&mut self, patience: Duration) -> Vec<&str> {
        let mut lost = Vec::new();
        for (customer, bird) in &mut self.birds {
            if bird.round.as_ref().is_some_and(|round| round.since.elapsed() > patience) {
                (bird.round, bird.is_missing) = (None, true);
                lost.push(customer.as_str());
            }
        }
        lost
    }

    /// Customers that did not come back from the last round.
    pub fn missing(&self) -> usize {
        self.birds.values().filter(|bird| bird.is_missing).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(start: &Start, reason: Reason) -> Journal {
        let instance = Id::of_instance(&start.customer, CANARY, &start.event, &start.event).to_string();
        Journal { customer_id: start.customer.clone(), instance, reason, ..Journal::default() }
    }

    #[test]
    fn each_partition_has_one() {
        let flock = Flock::of(7);
        let homes: Vec<i32> = flock.customers().map(|customer| partition_of(customer.as_bytes(), 7)).collect();
        assert_eq!(homes.iter().collect::<std::collections::BTreeSet<_>>().len(), 7, "{homes:?}");
    }

    #[test]
    fn a_round_ends_by_the_word_about_its_own_cascade() {
        let mut flock = Flock::of(2);
        let first = flock.due(Duration::ZERO, 1);
        assert_eq!(flock.due(Duration::ZERO, 9), [], "both are on their way");
        flock.stays(&first[1]);
        assert_eq!(
            flock.due(Duration::ZERO, 9),
            first[1..],
            "what the brokers did not take is published again, as it was"
        );
        assert_eq!(flock.hear(&word(&first[0], Reason::Sent)), None);
        assert!(flock.hear(&word(&first[0], Reason::HandedOver)).is_some());
        assert_eq!(flock.hear(&word(&first[0], Reason::HandedOver)), None, "a repeat ends nothing");
        let second = flock.due(Duration::ZERO, 9);
        assert_eq!(second.len(), 1, "the other one is still on its way");
        assert_eq!(flock.hear(&word(&first[0], Reason::HandedOver)), None, "nor does a word about the round before");
        flock.stays(&first[0]);
        assert_eq!(flock.due(Duration::from_secs(3600), 20), [], "nor does it begin again");
    }

    #[test]
    fn who_does_not_come_back_is_missing_until_a_round_succeeds() {
        let mut flock = Flock::of(1);
        let lost = flock.due(Duration::ZERO, 1);
        assert_eq!(flock.give_up(Duration::from_secs(3600)), Vec::<&str>::new());
        assert_eq!((flock.give_up(Duration::ZERO).len(), flock.missing()), (1, 1));
        let again = flock.due(Duration::ZERO, 2);
        assert_eq!(flock.hear(&word(&lost[0], Reason::HandedOver)), None, "too late is lost");
        assert_eq!(flock.missing(), 1);
        assert!(flock.hear(&word(&again[0], Reason::HandedOver)).is_some());
        assert_eq!(flock.missing(), 0);
    }
}
