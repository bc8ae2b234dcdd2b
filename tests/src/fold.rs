//! The pure brain, folded over `input`: what the operator must have done, whatever happened to it meanwhile.
//!
//! Which facts were seen under which reading of the clock, and which deadlines had fired, the METAs of the changelog say,
//! since nobody else knows; under one reading records come before deadlines, and these before a sweep. Everything else comes from `input` and
//! `campaign`. A transaction matters in one respect: a send that is revoked in the transaction that decided it never leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use campaign::{Effect, Input, Moment, Plans, Row};
use schemas::{Campaign, Customer, Fact, Id, Journal, Record, Revoke, Send, Unreadable, decode, encode};
use stream::clock::Millis;

use crate::changelog::{Changelog, Round};
use crate::installation::{Installation, suppressor};
use crate::tail::Message;

/// What must have come of the input.
#[derive(Debug, Default)]
pub struct Account {
    /// The state, key by key.
    pub rows: BTreeMap<String, Row>,
    /// Commands that left.
    pub sends: Vec<Send>,
    /// Ids of commands that were withdrawn after they had left.
    pub revoked: Vec<String>,
    /// Every decision with its reason.
    pub journal: Vec<Journal>,
    /// Records that were set aside: they cannot be read, or are about nobody.
    pub set_aside: usize,
    /// What one row said to another, which stands in `input`: key and record.
    pub forwarded: Vec<(String, Vec<u8>)>,
    /// Refusals that outlive an erasure: marks, each with its moment.
    pub suppressed: Vec<(Id, Millis)>,
    /// Records of the input that no META covers.
    uncovered: Vec<Message>,
}

impl Account {
    /// The state of a customer; none where nothing is known.
    pub fn customer(&self, id: &str) -> Option<&Customer> {
        match self.rows.get(id)? {
            Row::Customer(customer) => Some(customer),
            Row::Budget(_) | Row::Address(_) => None,
        }
    }

    /// A record about a customer that no META covers; whether there may be one, the test knows. Intake goes on telling its progress,
    /// which concerns no customer.
    pub fn unseen(&self) -> Option<&Message> {
        self.uncovered.iter().find(|record| !record.key.is_empty())
    }
}

impl Installation {
    /// Checks that changelog, commands, withdrawals and journal are what a fold over `input` gives: nothing lost, nothing
    /// doubled. Returns the fold.
    #[track_caller]
    pub fn assert_equal_to_a_fold(&self) -> Account {
        let changelog = Changelog::read(self.place.brokers(), &self.topics.changelog());
        changelog.assert_sound();
        let mut account = fold(&self.read(&self.topics.campaign()), &self.read(&self.topics.input()), &changelog);
        assert_same_rows(changelog.rows(), &account.rows);
        let (mut found, mut wanted) = (forwarded(&self.read(&self.topics.input())), account.forwarded.clone());
        found.sort();
        wanted.sort();
        assert!(found == wanted, "{} records were forwarded, should be {}", found.len(), wanted.len());
        let sends = self.sends();
        let ids: BTreeSet<&str> = sends.iter().map(|send| send.send_id.as_str()).collect();
        assert_eq!(ids.len(), sends.len(), "a command was published twice");
        assert_same("commands", &sends, &account.sends);
        let mut revoked: Vec<String> =
            self.all(&self.topics.revoke()).into_iter().map(|revoke: Revoke| revoke.send_id).collect();
        revoked.sort();
        account.revoked.sort();
        assert_eq!(revoked, account.revoked, "withdrawals");
        let kept = self.read(&self.topics.suppression());
        let kept: BTreeSet<Vec<u8>> = kept.into_iter().map(|record| record.key).collect();
        let wanted = account.suppressed.iter().map(|(mark, _)| suppressor().key(*mark).into_bytes());
        assert_eq!(kept, wanted.collect(), "refusals that outlive an erasure");
        assert_same("entries of the journal", &self.all::<Journal>(&self.topics.journal()), &account.journal);
        account
    }

    fn all<T: Record>(&self, topic: &str) -> Vec<T> {
        self.read(topic).iter().map(Message::decode).collect()
    }
}

/// Folds. A campaign counts from the transaction on that was the first to know it.
pub fn fold(campaigns: &[Message], input: &[Message], changelog: &Changelog) -> Account {
    let mut account = Account::default();
    let partitions: BTreeSet<i32> =
        changelog.partitions().chain(input.iter().map(|message| message.partition)).collect();
    for partition in partitions {
        let mut campaigns = campaigns.iter().peekable();
        let mut facts = input.iter().filter(|message| message.partition == partition).peekable();
        let mut share = Share {
            plans: Plans::default(),
            partition,
            here: BTreeSet::new(),
            due: BTreeSet::new(),
            withheld: Vec::new(),
            account,
        };
        for meta in changelog.metas(partition) {
            while let Some(record) = campaigns.next_if(|record| record.offset < meta.reference) {
                let campaign: Campaign = record.decode();
                // One that is refused, everybody refuses alike.
                let _ = share.plans.apply(&campaign);
            }
            for round in &meta.rounds {
                while let Some(fact) = facts.next_if(|fact| fact.offset < round.next_offset) {
                    share.meet(fact, round);
                }
                share.fire(round);
                share.sweep(round);
            }
            share.account.sends.append(&mut share.withheld);
        }
        account = share.account;
        account.uncovered.extend(facts.cloned());
    }
    // A customer of whom nothing is known leaves no row.
    account.rows.retain(|_, row| !row.is_empty());
    account
}

/// Records of the input that came from no source: key and record.
pub fn forwarded(input: &[Message]) -> Vec<(String, Vec<u8>)> {
    let is_forwarded = |bytes: &[u8]| decode::<schemas::Input>(bytes).is_ok_and(|input| input.hops > 0);
    let value = |message: &Message| message.value.clone().filter(|bytes| is_forwarded(bytes));
    let key = |message: &Message| String::from_utf8_lossy(&message.key).into_owned();
    input.iter().filter_map(|message| Some((key(message), value(message)?))).collect()
}

/// One partition.
struct Share {
    plans: Plans,
    partition: i32,
    /// Its customers.
    here: BTreeSet<String>,
    /// When each customer must be looked at again.
    due: BTreeSet<(Millis, String)>,
    /// Commands of the open transaction.
    withheld: Vec<Send>,
    account: Account,
}

impl Share {
    fn meet(&mut self, message: &Message, round: &Round) {
        let (fact, appended_at, hops) = match decode::<schemas::Input>(message.value.as_deref().unwrap_or_default()) {
            Ok(input) => (input.fact, input.origin.appended_at, input.hops),
            Err(error) => {
                self.account.set_aside += 1;
                (Fact::Unreadable(Unreadable { code: error.code().to_owned() }), message.appended_at, 0)
            }
        };
        // Who it is about stands in the key. Progress is about nobody, and what has no key, or one that cannot be read, is set aside.
        let customer = std::str::from_utf8(&message.key).unwrap_or_default();
        if customer.is_empty() {
            let is_nobodys = !matches!(fact, Fact::Progress(_) | Fact::Unreadable(_));
            self.account.set_aside += usize::from(is_nobodys);
            return;
        }
        let moment = Moment { now: round.now, partition: self.partition, offset: Some(message.offset), due: None };
        self.decide(customer, Input::Fact { fact: &fact, appended_at, hops }, &moment);
    }

    fn fire(&mut self, round: &Round) {
        let has_fired = |(due, customer): &&(Millis, String)| round.has_fired(*due, customer);
        while let Some((due, customer)) = self.due.first().filter(has_fired).cloned() {
            let moment = Moment { now: round.now, partition: self.partition, offset: None, due: Some(due) };
            self.decide(&customer, Input::Deadline, &moment);
        }
    }

    /// Everybody who has a row by then is visited.
    fn sweep(&mut self, round: &Round) {
        let Some(swept) = &round.swept else { return };
        let has_row = |customer: &&String| self.account.rows.get(*customer).is_some_and(|row| !row.is_empty());
        let visited: Vec<String> =
            self.here.iter().filter(|customer| swept.includes(customer)).filter(has_row).cloned().collect();
        let moment = Moment { now: round.now, partition: self.partition, offset: None, due: Some(swept.at) };
        for customer in visited {
            self.decide(&customer, Input::Sweep { campaign: &swept.name }, &moment);
        }
    }

    fn decide(&mut self, customer: &str, input: Input<'_>, moment: &Moment) {
        self.here.insert(customer.to_owned());
        let row = self.account.rows.entry(customer.to_owned()).or_default();
        if let Some(due) = row.due() {
            self.due.remove(&(due, customer.to_owned()));
        }
        let mut effects = Vec::new();
        campaign::consider(&self.plans, customer, row, input, moment, &mut effects);
        self.due.extend(row.due().map(|due| (due, customer.to_owned())));
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
                Effect::Forward { to, input } => self.account.forwarded.push((to, encode(&*input))),
                Effect::Suppress { mark, since } => self.account.suppressed.push((mark, since)),
                Effect::SetAside { .. } => self.account.set_aside += 1,
            }
        }
    }
}

/// A row as it is written.
pub fn bytes_of(row: &Row) -> Vec<u8> {
    let mut bytes = Vec::new();
    row.encode_into(&mut bytes);
    bytes
}

/// The same customers, and the same bytes for each.
#[track_caller]
fn assert_same_rows(kept: BTreeMap<Vec<u8>, Vec<u8>>, folded: &BTreeMap<String, Row>) {
    let text = |key| String::from_utf8(key).expect("keys are text");
    let kept: BTreeMap<String, Vec<u8>> = kept.into_iter().map(|(key, row)| (text(key), row)).collect();
    let missing: Vec<_> = folded.keys().filter(|key| !kept.contains_key(*key)).collect();
    let extra: Vec<_> = kept.keys().filter(|key| !folded.contains_key(*key)).collect();
    assert!(missing.is_empty() && extra.is_empty(), "rows lost: {missing:?}; nobody knows: {extra:?}");
    for (customer, row) in folded {
        let kept = &kept[customer];
        if bytes_of(row) != *kept {
            let kept = Row::decode(kept).expect("a row can be read");
            panic!("{customer} is kept as\n{kept:?}\nand should be\n{row:?}");
        }
    }
}

/// The same records, each as often, in whatever order.
#[track_caller]
fn assert_same<T: Record + Debug>(what: &str, found: &[T], wanted: &[T]) {
    let (found, wanted) = (sorted(found), sorted(wanted));
    if found != wanted {
        let lost: Vec<T> = first_without(&wanted, &found);
        let extra: Vec<T> = first_without(&found, &wanted);
        let (found, wanted) = (found.len(), wanted.len());
        panic!("{found} {what}, should be {wanted}; lost: {lost:?}; nobody knows: {extra:?}");
    }
}

fn sorted<T: Record>(records: &[T]) -> Vec<Vec<u8>> {
    let mut bytes: Vec<_> = records.iter().map(encode).collect();
    bytes.sort();
    bytes
}

/// Some of those that are not among the others.
fn first_without<T: Record>(records: &[Vec<u8>], others: &[Vec<u8>]) -> Vec<T> {
    let missing = records.iter().filter(|record| others.binary_search(record).is_err());
    missing.take(3).map(|record| decode(record).expect("it can be read")).collect()
}
