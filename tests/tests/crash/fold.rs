//! The oracle's account of what must have come of the input: `decide`, folded over it.
//!
//! Which facts were seen under which reading of the clock, and up to where deadlines had fired, the METAs of the changelog
//! say. A transaction matters in one respect: a send that is revoked in the transaction that decided it never leaves.

use std::collections::{BTreeMap, BTreeSet};

use campaign::{Effect, Input, Moment, Plans};
use schemas::{Campaign, Customer, Fact, Journal, Send};
use stream::clock::Millis;
use system_tests::changelog::{Changelog, Round};
use system_tests::installation::Installation;
use system_tests::tail::Message;

/// What must have come of the input.
#[derive(Default)]
pub struct Account {
    /// The state, customer by customer.
    pub rows: BTreeMap<String, Customer>,
    /// Commands that left.
    pub sends: Vec<Send>,
    /// Ids of commands that were withdrawn after they had left.
    pub revoked: Vec<String>,
    /// Every decision with its reason.
    pub journal: Vec<Journal>,
}

/// Folds.
pub fn fold(cascade: &Installation, changelog: &Changelog) -> Account {
    let mut plans = Plans::default();
    for message in cascade.read(&cascade.topics.campaign()) {
        plans.apply(&message.decode::<Campaign>()).expect("a campaign that was applied is right");
    }
    let input = cascade.read(&cascade.topics.input());
    let mut account = Account::default();
    for partition in 0..cascade.partitions {
        let mut facts = input.iter().filter(|message| message.partition == partition).peekable();
        let mut share = Share { plans: &plans, partition, due: BTreeSet::new(), withheld: Vec::new(), account };
        for meta in changelog.metas(partition) {
            for round in &meta.rounds {
                while let Some(fact) = facts.next_if(|fact| fact.offset < round.next_offset) {
                    share.meet(fact, round);
                }
                share.fire(round);
            }
            share.account.sends.append(&mut share.withheld);
        }
        // Intake goes on telling its progress; that concerns no customer.
        assert_eq!(facts.find(|fact| !fact.key.is_empty()), None, "partition {partition}: never seen by the operator");
        account = share.account;
    }
    // A customer of whom nothing is known leaves no row.
    account.rows.retain(|_, row| *row != Customer::default());
    account
}

/// One partition.
struct Share<'a> {
    plans: &'a Plans,
    partition: i32,
    /// When each customer must be looked at again.
    due: BTreeSet<(Millis, String)>,
    /// Commands of the open transaction.
    withheld: Vec<Send>,
    account: Account,
}

impl Share<'_> {
    fn meet(&mut self, message: &Message, round: &Round) {
        let input: schemas::Input = message.decode();
        if matches!(input.fact, Fact::Progress(_)) {
            return;
        }
        let moment = Moment { now: round.now, partition: self.partition, offset: Some(message.offset), due: None };
        let fact = Input::Fact { fact: &input.fact, appended_at: input.origin.appended_at };
        self.decide(message.key_text(), fact, &moment);
    }

    fn fire(&mut self, round: &Round) {
        while let Some((due, customer)) = self.due.first().filter(|(due, _)| *due <= round.fired_until).cloned() {
            let moment = Moment { now: round.now, partition: self.partition, offset: None, due: Some(due) };
            self.decide(&customer, Input::Deadline, &moment);
        }
    }

    fn decide(&mut self, customer: &str, input: Input<'_>, moment: &Moment) {
        let row = self.account.rows.entry(customer.to_owned()).or_default();
        if let Some(due) = campaign::due(row) {
            self.due.remove(&(due, customer.to_owned()));
        }
        let mut effects = Vec::new();
        campaign::decide(self.plans, customer, row, input, moment, &mut effects);
        self.due.extend(campaign::due(row).map(|due| (due, customer.to_owned())));
        for effect in effects {
            match effect {
                Effect::Send(send) => self.withheld.push(*send),
                Effect::Revoke(revoke) => {
                    let before = self.withheld.len();
                    self.withheld.retain(|send| send.send_id != revoke.send_id);
                    if self.withheld.len() == before {
                        self.account.revoked.push(revoke.send_id);
                    }
                }
                Effect::Journal(journal) => self.account.journal.push(*journal),
            }
        }
    }
}
