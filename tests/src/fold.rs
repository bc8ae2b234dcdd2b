//! The pure brain, folded over `input`: what the operator must have done, whatever happened to it meanwhile.
//!
//! The clock readings are taken from the META records of the changelog, since nobody else knows them; the order of things
//! under one reading is the documented one: records, then deadlines. Everything else comes from `input` and `campaign`.

use std::collections::BTreeMap;

use campaign::{Effect, Input, Moment, Plans, decide, due};
use schemas::{Campaign, Customer, Fact, Send};

use crate::changelog::{Changelog, Meta, Round};
use crate::installation::Installation;
use crate::tail::Message;

/// What a fold comes to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The rows.
    pub customers: BTreeMap<String, Customer>,
    /// The send commands, by their id.
    pub sends: BTreeMap<String, Send>,
}

impl Installation {
    /// Checks that send topics and changelog are what a fold over `input` gives: nothing lost, nothing doubled.
    #[track_caller]
    pub fn assert_equal_to_a_fold(&self) {
        let changelog = Changelog::read(self.place.brokers(), &self.topics.changelog());
        changelog.assert_sound();
        let folded = self.fold(&changelog);
        let sends = self.sends();
        let published: BTreeMap<String, Send> = sends.iter().map(|send| (send.send_id.clone(), send.clone())).collect();
        assert_eq!(published.len(), sends.len(), "a command was published twice");
        assert_same_keys(&published, &folded.sends);
        assert!(published == folded.sends, "commands differ in what they say");
        let rows: BTreeMap<String, Customer> =
            changelog.rows().into_iter().map(|(key, row)| read_row(key, &row)).collect();
        assert_same_keys(&rows, &folded.customers);
        for (customer, row) in &rows {
            assert_eq!(row, &folded.customers[customer], "row of {customer}");
        }
    }

    fn fold(&self, changelog: &Changelog) -> Outcome {
        let plans = self.plans();
        let mut outcome = Outcome::default();
        let input = self.read(&self.topics.input());
        for partition in 0..self.partitions {
            let records: Vec<&Message> = input.iter().filter(|record| record.partition == partition).collect();
            let mut fold = Fold { plans: &plans, partition, records: &records, rows: BTreeMap::new() };
            for meta in changelog.metas(partition) {
                outcome.sends.extend(fold.transaction(meta));
            }
            assert!(fold.records.is_empty(), "partition {partition}: records that no META covers");
            fold.rows.retain(|_, row| *row != Customer::default());
            outcome.customers.append(&mut fold.rows);
        }
        outcome
    }

    fn plans(&self) -> Plans {
        let mut plans = Plans::default();
        for record in self.read(&self.topics.campaign()) {
            plans.apply(&record.decode::<Campaign>()).expect("it was checked before it was published");
        }
        plans
    }
}

/// One partition, as far as it is folded.
struct Fold<'a> {
    plans: &'a Plans,
    partition: i32,
    /// What is still to come.
    records: &'a [&'a Message],
    rows: BTreeMap<String, Customer>,
}

impl Fold<'_> {
    /// What one transaction publishes: a command that is withdrawn in it never leaves.
    fn transaction(&mut self, meta: &Meta) -> BTreeMap<String, Send> {
        let mut effects = Vec::new();
        for round in &meta.rounds {
            self.records_of(round, &mut effects);
            self.deadlines_of(round, &mut effects);
        }
        let mut sends = BTreeMap::new();
        for effect in effects {
            match effect {
                Effect::Send(send) => drop(sends.insert(send.send_id.clone(), *send)),
                Effect::Revoke(revoke) => drop(sends.remove(&revoke.send_id)),
                Effect::Journal(_) => {}
            }
        }
        sends
    }

    fn records_of(&mut self, round: &Round, effects: &mut Vec<Effect>) {
        let (now, later) =
            self.records.split_at(self.records.partition_point(|record| record.offset < round.next_offset));
        self.records = later;
        for record in now {
            let input: schemas::Input = record.decode();
            if matches!(input.fact, Fact::Progress(_)) {
                continue;
            }
            let customer = record.key_text();
            let row = self.rows.entry(customer.to_owned()).or_default();
            let fact = Input::Fact { fact: &input.fact, appended_at: input.origin.appended_at };
            let moment = Moment { now: round.now, partition: self.partition, offset: Some(record.offset), due: None };
            decide(self.plans, customer, row, fact, &moment, effects);
        }
    }

    fn deadlines_of(&mut self, round: &Round, effects: &mut Vec<Effect>) {
        for (customer, row) in &mut self.rows {
            while let Some(at) = due(row).filter(|at| round.has_fired(*at, customer)) {
                let moment = Moment { now: round.now, partition: self.partition, offset: None, due: Some(at) };
                decide(self.plans, customer, row, Input::Deadline, &moment, effects);
            }
        }
    }
}

fn read_row(key: Vec<u8>, row: &[u8]) -> (String, Customer) {
    (String::from_utf8(key).expect("keys are text"), schemas::decode(row).expect("it is a row"))
}

#[track_caller]
fn assert_same_keys<T>(found: &BTreeMap<String, T>, wanted: &BTreeMap<String, T>) {
    let missing: Vec<_> = wanted.keys().filter(|key| !found.contains_key(*key)).collect();
    let extra: Vec<_> = found.keys().filter(|key| !wanted.contains_key(*key)).collect();
    assert!(missing.is_empty() && extra.is_empty(), "lost: {missing:?}; nobody knows: {extra:?}");
}
