//! What one call of `decide` works with, and how it writes down what was decided.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemas::{
    Actor, Customer, Fact, Feedback, Grant, Id, Instance, Journal, Millis, Origin, Outcome, Queued, Reason, Sent,
};

use crate::channel::Channel;
use crate::language::{Plan, Step};
use crate::limits;
use crate::plans::Plans;
use crate::predicate::{Ended, Today};

use super::bill::Move;
use super::fares::Fares;
use super::{Effect, Input, Moment};

/// One call of `decide`.
pub(super) struct Case<'a> {
    pub plans: &'a Plans,
    pub customer_id: &'a str,
    pub moment: &'a Moment,
    /// Machine time of the record that caused it; 0 for a deadline.
    pub caused_at: Millis,
    /// How often the fact was passed on.
    pub hops: i32,
    pub effects: &'a mut Vec<Effect>,
    /// Cascades that ended by this call, upon which others may follow.
    pub ended: Vec<Ended>,
    /// Triggers that waited for the end of cascades that ended by this call.
    pub waiting: Vec<Waiting>,
    /// How often each campaign began by this call upon the end of another.
    pub followed: BTreeMap<String, usize>,
    /// What the campaign's budget has granted to a message, until it goes out.
    pub grant: Option<Grant>,
}

/// A trigger that waited for the end of a cascade.
pub(super) struct Waiting {
    pub campaign: String,
    pub key: String,
    pub queued: Queued,
}

/// What an instance is after it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Runs,
    Ended,
}

/// What stands as the topic of a forwarded record's origin.
const FORWARDED: &str = "input";

impl<'a> Case<'a> {
    pub fn new(
        plans: &'a Plans,
        key: &'a str,
        input: Input<'_>,
        moment: &'a Moment,
        effects: &'a mut Vec<Effect>,
    ) -> Self {
        let (caused_at, hops) = match input {
            Input::Fact { appended_at, hops, .. } => (appended_at, hops),
            Input::Deadline | Input::Sweep { .. } => (0, 0),
        };
        let (ended, waiting, followed) = (Vec::new(), Vec::new(), BTreeMap::new());
        Case { plans, customer_id: key, moment, caused_at, hops, effects, ended, waiting, followed, grant: None }
    }
}

impl Case<'_> {
    /// Says something of its own to another row.
    pub fn say(&mut self, to: String, fact: Fact) {
        self.forward(to, fact, 1);
    }

    /// Says what follows from what came from another row; in silence no further than records may go.
    pub fn say_further(&mut self, to: String, fact: Fact) {
        let hops = self.hops.saturating_add(1);
        if hops <= limits::HOPS {
            self.forward(to, fact, hops);
        }
    }

    /// Passes on what came, to whom it is meant for. What has come too far already is set aside.
    pub fn pass_on(&mut self, to: &str, fact: &Fact) {
        let hops = self.hops.saturating_add(1);
        let is_far = hops > limits::HOPS;
        let entry = self.entry(if is_far { Reason::TooFar } else { Reason::Forwarded });
        self.write(entry.because("to", to));
        if is_far {
            self.effects.push(Effect::SetAside { code: "too_far" });
        } else {
            self.forward(to.to_owned(), fact.clone(), hops);
        }
    }

    fn forward(&mut self, to: String, fact: Fact, hops: i32) {
        let origin = Origin {
            topic: FORWARDED.to_owned(),
            partition: self.moment.partition,
            offset: self.moment.offset.unwrap_or(-1),
            appended_at: self.caused_at,
        };
        self.effects.push(Effect::Forward { to, input: Box::new(schemas::Input { origin, fact, hops }) });
    }

    pub fn now(&self) -> Millis {
        self.moment.now
    }

    /// The moment as a campaign's conditions see it.
    pub fn today<'p>(&self, plan: &'p Plan) -> Today<'p> {
        Today { now: self.now(), zone: &plan.zone }
    }

    /// What messages cost this customer now.
    pub fn fares<'f>(&self, customer: &'f Customer) -> Fares<'f>
    where
        Self: 'f,
    {
        Fares { plans: self.plans, contacts: &customer.contacts, now: self.now() }
    }

    /// A journal entry to be filled and written.
    pub fn entry(&self, reason: Reason) -> Entry {
        Entry(Box::new(Journal {
            customer_id: self.customer_id.to_owned(),
            at: self.moment.now,
            partition: self.moment.partition,
            offset: self.moment.offset,
            due: self.moment.due,
            reason,
            ..Journal::default()
        }))
    }

    pub fn write(&mut self, entry: Entry) {
        self.effects.push(Effect::Journal(entry.0));
    }
}

/// Looks at each running instance, in the order in which they were entered; those that ended go. `visit` sees the customer
/// without its instances. Returns whether anything was decided.
///
/// The entries that a visit wrote get the moment at which the instance will be looked at again, as it is in the end.
pub(super) fn each(
    case: &mut Case<'_>,
    customer: &mut Customer,
    mut visit: impl FnMut(&mut Case<'_>, &mut Customer, &mut Instance) -> Fate,
) -> bool {
    let before = case.effects.len();
    let mut instances = std::mem::take(&mut customer.instances);
    instances.retain_mut(|instance| {
        let start = case.effects.len();
        let fate = visit(case, customer, instance);
        announce(&mut case.effects[start..], instance, fate);
        fate == Fate::Runs
    });
    customer.instances = instances;
    case.effects.len() > before
}

/// Writes into entries about an instance when it will be looked at again.
pub(super) fn announce(effects: &mut [Effect], instance: &Instance, fate: Fate) {
    for effect in effects {
        if let Effect::Journal(journal) = effect {
            journal.next_at = (fate == Fate::Runs && instance.frozen_at.is_none()).then_some(instance.due);
        }
    }
}

/// A journal entry in the making.
pub(super) struct Entry(Box<Journal>);

impl Entry {
    pub fn plan(mut self, plan: &Plan) -> Self {
        self.0.campaign.clone_from(&plan.name);
        self.0.version = plan.version;
        self
    }

    /// A campaign of which no version is at hand.
    pub fn campaign(mut self, name: &str) -> Self {
        name.clone_into(&mut self.0.campaign);
        self
    }

    pub fn instance(mut self, instance: &Instance) -> Self {
        self.0.campaign.clone_from(&instance.campaign);
        self.0.version = instance.version;
        self.0.instance = instance.id.to_string();
        self
    }

    pub fn step(mut self, step: &Step) -> Self {
        self.0.step.clone_from(&step.name);
        self
    }

    pub fn on(mut self, channel: &Channel) -> Self {
        self.0.channel = channel.name.to_owned();
        self
    }

    pub fn send(mut self, plan: &Plan, sent: &Sent) -> Self {
        self = self.command(sent);
        match usize::try_from(sent.step).ok().and_then(|step| plan.steps.get(step)) {
            Some(step) => self.step(step),
            None => self,
        }
    }

    /// A send whose step nobody knows any more.
    pub fn command(mut self, sent: &Sent) -> Self {
        self.0.channel.clone_from(&sent.channel);
        self.0.send_id = sent.id.to_string();
        self
    }

    pub fn because(mut self, what: impl Into<Cow<'static, str>>, how: impl Into<String>) -> Self {
        self.0.evidence.insert(what, how);
        self
    }

    /// A send that is not decided yet, or was by somebody else.
    pub fn about(mut self, send_id: Id) -> Self {
        self.0.send_id = send_id.to_string();
        self
    }

    /// The provider's code for what went wrong; it holds no address.
    pub fn coded(self, word: &Feedback) -> Self {
        let entry = self.because("status", word.status.as_str()).comes_to(word);
        match &word.code {
            Some(code) => entry.because("code", code.as_str()),
            None => entry,
        }
    }

    /// A word about a send that no running instance knows.
    pub fn late(mut self, word: &Feedback) -> Self {
        self.0.channel.clone_from(&word.channel);
        self.0.send_id = word.send_id.clone().unwrap_or_default();
        self.told(word)
    }

    /// What a word says, and who opened or clicked.
    pub fn told(self, word: &Feedback) -> Self {
        let entry = self.because("status", word.status.as_str()).comes_to(word);
        match word.actor {
            Actor::Unspecified => entry,
            actor => entry.because("actor", actor.as_str()),
        }
    }

    /// What a task for a person came to.
    fn comes_to(self, word: &Feedback) -> Self {
        match word.outcome {
            Outcome::Unspecified => self,
            outcome => self.because("outcome", outcome.as_str()),
        }
    }

    /// Money that is moved.
    pub fn moves(mut self, money: Move) -> Self {
        (self.0.amount_minor, self.0.charged_minor) = (money.amount, money.charged);
        self
    }

    /// Money reserved (positive) or given back (negative), in minor units.
    pub fn amount(self, minor: i64) -> Self {
        self.moves(Move { amount: minor, charged: 0 })
    }
}
