//! Several rows that say something to each other: what is said waits in a queue for each pair of rows, as in the log, and a test
//! chooses which of them goes on.
#![allow(dead_code, reason = "each test file uses the part that it needs")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use campaign::{Effect, Input, Moment, Plans, Row, consider};
use schemas::{
    Action, Cart, Consent, Contact, Fact, Feedback, Grant, Instance, Item, Journal, Key, Origin, Profile, Revoke, Send,
    Status,
};

use super::world::{BEGIN, DAY, HOUR, plans};

/// What comes from no row.
const OUTSIDE: &str = "";

pub struct Rows {
    pub plans: Plans,
    pub rows: BTreeMap<String, Row>,
    /// What was said and did not come yet, by who said it and to whom.
    queues: BTreeMap<(String, String), VecDeque<schemas::Input>>,
    pub now: i64,
    offset: i64,
    events: usize,
    /// Commands, each with the key under which it was published.
    pub sends: Vec<(String, Send)>,
    pub revokes: Vec<Revoke>,
    pub journal: Vec<Journal>,
    /// What budgets granted, and when.
    pub grants: Vec<(i64, Grant)>,
    /// Numbers of grants that were given back.
    pub refunds: BTreeSet<i64>,
    /// Records that went too far.
    pub set_aside: Vec<&'static str>,
    /// Marks of what outlives an erasure.
    pub suppressed: Vec<schemas::Id>,
    /// The most that any record was passed on.
    pub hops: i32,
}

impl Rows {
    pub fn new(definitions: &[&str]) -> Self {
        Rows {
            plans: plans(definitions),
            rows: BTreeMap::new(),
            queues: BTreeMap::new(),
            now: BEGIN,
            offset: 0,
            events: 0,
            sends: Vec::new(),
            revokes: Vec::new(),
            journal: Vec::new(),
            grants: Vec::new(),
            refunds: BTreeSet::new(),
            set_aside: Vec::new(),
            suppressed: Vec::new(),
            hops: 0,
        }
    }

    /// A fact comes from a source.
    pub fn tell(&mut self, key: &str, fact: Fact) {
        let input = schemas::Input { origin: Origin { appended_at: self.now, ..Origin::default() }, fact, hops: 0 };
        self.queues.entry((OUTSIDE.to_owned(), key.to_owned())).or_default().push_back(input);
    }

    fn event(&mut self) -> String {
        self.events += 1;
        format!("event-{}", self.events)
    }

    pub fn action(&mut self, customer: &str, action: &str, key: &str) {
        let (event_id, customer_id, occurred_at) = (self.event(), customer.to_owned(), self.now);
        let (action, key) = (action.to_owned(), Some(key.to_owned()));
        self.tell(
            customer,
            Fact::Action(Action { event_id, customer_id, occurred_at, action, key, ..Action::default() }),
        );
    }

    pub fn cart(&mut self, customer: &str, cart_id: &str) {
        let (event_id, customer_id, occurred_at) = (self.event(), customer.to_owned(), self.now);
        let items = vec![Item { sku: "A1".into(), quantity: 1, price_minor: 9, ..Item::default() }];
        let cart_id = cart_id.to_owned();
        self.tell(customer, Fact::Cart(Cart { event_id, customer_id, occurred_at, cart_id, items, ..Cart::default() }));
    }

    /// A profile with an address and a consent for each of these channels.
    pub fn profile(&mut self, customer: &str, channels: &[&str], formerly: &[&str]) {
        let now = self.now;
        let address = |channel: &str| format!("{customer}-{channel}");
        let contact = |channel: &&str| Contact { channel: (*channel).to_owned(), address: address(channel) };
        let consent =
            |channel: &&str| Consent { channel: (*channel).to_owned(), granted: true, at: now, ..Consent::default() };
        let profile = Profile {
            event_id: self.event(),
            customer_id: customer.to_owned(),
            occurred_at: now,
            contacts: channels.iter().map(contact).collect(),
            consents: channels.iter().map(consent).collect(),
            formerly: formerly.iter().map(|id| (*id).to_owned()).collect(),
            ..Profile::default()
        };
        self.tell(customer, Fact::Profile(profile));
    }

    pub fn erase(&mut self, customer: &str) {
        let (event_id, customer_id, occurred_at) = (self.event(), customer.to_owned(), self.now);
        let profile = Profile { event_id, customer_id, occurred_at, erased: true, ..Profile::default() };
        self.tell(customer, Fact::Profile(profile));
    }

    /// A word about one of the sends so far, counted from the newest: it was handed over, or it arrived nowhere. It comes for
    /// the id under which the send was published.
    pub fn word(&mut self, back: usize, arrives: bool) {
        let status = if arrives { Status::Accepted } else { Status::Failed };
        let Some(index) = self.sends.len().checked_sub(back + 1) else { return };
        let (key, send) = self.sends[index].clone();
        let word = Feedback {
            event_id: format!("{}/{status}", send.send_id),
            customer_id: key.clone(),
            occurred_at: self.now,
            send_id: Some(send.send_id),
            channel: send.channel,
            status,
            ..Feedback::default()
        };
        self.tell(&key, Fact::Feedback(word));
    }

    /// The next record of one of the queues comes.
    pub fn deliver(&mut self, which: usize) {
        let filled: Vec<_> =
            self.queues.iter().filter(|(_, queue)| !queue.is_empty()).map(|(pair, _)| pair.clone()).collect();
        if let Some(pair) = which.checked_rem(filled.len()).map(|index| filled[index].clone()) {
            self.take(&pair);
        }
    }

    fn take(&mut self, pair: &(String, String)) {
        let Some(input) = self.queues.get_mut(pair).and_then(VecDeque::pop_front) else { return };
        self.offset += 1;
        self.hops = self.hops.max(input.hops);
        let said = Input::Fact { fact: &input.fact, appended_at: input.origin.appended_at, hops: input.hops };
        let moment = Moment { now: self.now, partition: 0, offset: Some(self.offset), due: None };
        self.decide(&pair.1, said, &moment);
    }

    fn decide(&mut self, key: &str, input: Input<'_>, moment: &Moment) {
        let mut effects = Vec::new();
        let row = self.rows.entry(key.to_owned()).or_default();
        let before = row.clone();
        let may_have_changed = consider(&self.plans, key, row, input, moment, &mut effects);
        assert!(may_have_changed || *row == before || row.is_empty(), "{before:?} has become {row:?} by {input:?}");
        // Rows are what their bytes say.
        let mut bytes = Vec::new();
        row.encode_into(&mut bytes);
        assert!(bytes.is_empty() || Row::decode(&bytes).as_ref() == Ok(row), "{row:?}");
        for effect in effects {
            match effect {
                Effect::Send(send) => self.sends.push((key.to_owned(), *send)),
                Effect::Revoke(revoke) => self.revokes.push(revoke),
                Effect::Journal(entry) => self.journal.push(*entry),
                Effect::SetAside { code } => self.set_aside.push(code),
                Effect::Suppress { mark, .. } => self.suppressed.push(mark),
                Effect::Forward { to, input } => {
                    match &input.fact {
                        Fact::Grant(grant) => self.grants.push((self.now, grant.clone())),
                        Fact::Refund(refund) => _ = self.refunds.insert(refund.number),
                        _ => {}
                    }
                    self.queues.entry((key.to_owned(), to)).or_default().push_back(*input);
                }
            }
        }
    }

    /// A deadline of one of the rows fires, if one is due and everything from outside has come to it.
    pub fn fire(&mut self, which: usize) -> bool {
        let from_outside = |key: &str| self.queues.get(&(OUTSIDE.to_owned(), key.to_owned()));
        let is_due = |key: &str, row: &Row| {
            row.due().is_some_and(|due| due <= self.now) && from_outside(key).is_none_or(VecDeque::is_empty)
        };
        let due: Vec<String> =
            self.rows.iter().filter(|(key, row)| is_due(key, row)).map(|(key, _)| key.clone()).collect();
        let Some(key) = which.checked_rem(due.len()).map(|index| due[index].clone()) else { return false };
        let moment = Moment { now: self.now, partition: 0, offset: None, due: self.rows[&key].due() };
        self.decide(&key, Input::Deadline, &moment);
        true
    }

    /// How much was said and did not come yet.
    pub fn waiting(&self) -> usize {
        self.queues.values().map(VecDeque::len).sum()
    }

    /// Everything from outside comes.
    pub fn settle_outside(&mut self) {
        let outside: Vec<_> = self.queues.keys().filter(|(from, _)| from == OUTSIDE).cloned().collect();
        for pair in outside {
            while self.queues.get(&pair).is_some_and(|queue| !queue.is_empty()) {
                self.take(&pair);
            }
        }
    }

    /// Everything comes that was said, and what follows from it.
    pub fn settle(&mut self) {
        for _ in 0..10_000 {
            if self.queues.values().all(VecDeque::is_empty) {
                return;
            }
            self.deliver(0);
        }
        panic!("it goes on and on");
    }

    /// Time passes until nothing is waited for any more.
    pub fn live_out(&mut self) {
        let end = self.now + 60 * DAY;
        while self.now < end {
            self.settle();
            let fired = (0..10_000).take_while(|_| self.fire(0)).count();
            assert!(fired < 10_000, "deadlines without end");
            self.settle();
            let next = self.rows.values().filter_map(Row::due).min();
            let Some(next) = next else { return };
            self.now = self.now.max(next.min(self.now + HOUR));
        }
    }

    /// Cascades that run, of whomever.
    pub fn running(&self) -> Vec<&Instance> {
        let rows = self.rows.values().filter_map(|row| match row {
            Row::Customer(customer) => Some(&customer.instances),
            Row::Budget(_) | Row::Address(_) => None,
        });
        rows.flatten().collect()
    }

    /// A customer's row.
    pub fn customer(&self, id: &str) -> schemas::Customer {
        assert_eq!(Key::of(id), Key::Customer(id));
        match self.rows.get(id) {
            Some(Row::Customer(customer)) => customer.clone(),
            _ => schemas::Customer::default(),
        }
    }
}
