//! One customer, a clock of our own, and everything that was decided.

use std::collections::BTreeMap;

use schemas::{Actor, Campaign, CampaignKind, Customer, Fact, Feedback, Journal, Millis, Send, Status};

use crate::{Effect, Input, Moment, Plans, Problem, Row, Turn, consider, decide, due};

use super::event::Event;
use super::narrator::{Narrator, Wrong};

/// The customer of every world.
pub const CUSTOMER: &str = "customer-1";

/// A world of one customer, in virtual time.
#[derive(Clone, Debug)]
pub struct World {
    /// The campaigns in force.
    pub plans: Plans,
    /// The customer's row.
    pub customer: Customer,
    /// The clock's reading.
    pub now: Millis,
    /// Every effect with the moment at which it was decided.
    pub effects: Vec<(Millis, Effect)>,
    /// Whether a worker hands each command over at once.
    pub worker: bool,
    /// The fact that was told last, to be told again.
    pub last: Option<Fact>,
    begin: Millis,
    narrator: Narrator,
    /// Answers of the worker so far, for their ids.
    answers: i64,
    /// What caused each fact, by its offset.
    causes: Vec<String>,
    /// What causes the facts that come now.
    cause: String,
    /// Up to when sweeps are done.
    swept_until: Millis,
    /// When something was said of a campaign last.
    said_at: Option<Millis>,
    /// The latest moment of each sweep that is done.
    swept: BTreeMap<String, Millis>,
    /// Deadlines and sweeps so far.
    moments: usize,
    /// Rows to which something was forwarded: budgets, and ids under which the customer was known.
    others: BTreeMap<String, Row>,
    /// Records that were forwarded to them so far, for their offsets.
    forwarded: i64,
    /// Versions that come into force later, by campaign and number, with their texts.
    to_come: BTreeMap<(String, i32), String>,
}

impl World {
    /// A world in which nothing has happened yet.
    pub fn new(plans: Plans, begin: Millis) -> Self {
        World {
            plans,
            customer: Customer::default(),
            now: begin,
            effects: Vec::new(),
            worker: true,
            last: None,
            begin,
            narrator: Narrator::of(CUSTOMER),
            answers: 0,
            causes: Vec::new(),
            cause: String::new(),
            swept_until: begin,
            said_at: None,
            swept: BTreeMap::new(),
            moments: 0,
            others: BTreeMap::new(),
            forwarded: 0,
            to_come: BTreeMap::new(),
        }
    }

    /// The clock's reading when it began.
    pub fn begin(&self) -> Millis {
        self.begin
    }

    /// A version is not in force until it is applied. Gives back whether there is such a one.
    pub(super) fn withhold(&mut self, campaign: &str, version: i32) -> bool {
        let key = (campaign.to_owned(), version);
        if let Some(text) = self.plans.withhold(campaign, version) {
            self.to_come.insert(key, text);
            return true;
        }
        self.to_come.contains_key(&key)
    }

    /// Something is said of a campaign now, and everybody hears it at once.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn say(&mut self, record: &Campaign) -> Result<(), Vec<Problem>> {
        // Two words are not said in the same millisecond: the latter would be swept for in the next one.
        let now = self.said_at.map_or(self.now, |said| self.now.max(said + 1));
        self.plans.apply(&Campaign { applied_at: now, ..record.clone() })?;
        (self.now, self.said_at) = (now, Some(now));
        self.sweep();
        Ok(())
    }

    /// Hands one fact to `decide`, as it is.
    pub fn tell(&mut self, fact: Fact) {
        self.last = Some(fact.clone());
        let offset = i64::try_from(self.causes.len()).unwrap_or(i64::MAX);
        self.causes.push(self.cause.clone());
        let moment = Moment { now: self.now, partition: 0, offset: Some(offset), due: None };
        self.decide(Input::Fact { fact: &fact, appended_at: self.now, hops: 0 }, &moment);
    }

    /// A fact happens now to the customer: it gets its id, customer and time here.
    pub fn happens(&mut self, fact: Fact) {
        let fact = self.narrator.whole(fact, self.now);
        self.tell(fact);
    }

    /// A word about a message.
    pub fn feedback(&mut self, send_id: &str, channel: &str, status: Status, actor: Actor) {
        let (send_id, channel) = (Some(send_id.to_owned()), channel.to_owned());
        self.happens(Fact::Feedback(Feedback { send_id, channel, status, actor, ..Feedback::default() }));
    }

    /// The worker has handed a message over. Its answers are no events of the timeline and are counted by themselves.
    fn answer(&mut self, send_id: String, channel: String) {
        self.answers += 1;
        self.tell(Fact::Feedback(Feedback {
            event_id: format!("answer-{}", self.answers),
            customer_id: CUSTOMER.to_owned(),
            occurred_at: self.now,
            send_id: Some(send_id),
            channel,
            status: Status::Accepted,
            ..Feedback::default()
        }));
    }

    fn decide(&mut self, input: Input<'_>, moment: &Moment) {
        let mut effects = Vec::new();
        decide(&self.plans, CUSTOMER, &mut self.customer, input, moment, &mut effects);
        let sends: Vec<(String, String)> = effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Send(send) if self.worker => Some((send.send_id.clone(), send.channel.clone())),
                _ => None,
            })
            .collect();
        let mut forwarded = Vec::new();
        for effect in effects {
            match effect {
                Effect::Forward { to, input } => forwarded.push((to, *input)),
                effect => self.effects.push((self.now, effect)),
            }
        }
        for (send_id, channel) in sends {
            let cause = std::mem::replace(&mut self.cause, "The worker answers.".to_owned());
            self.answer(send_id, channel);
            self.cause = cause;
        }
        for (to, input) in forwarded {
            self.deliver(&to, &input);
        }
    }

    /// Another row answers at once, and is not told of: only what it says to the customer.
    fn deliver(&mut self, to: &str, input: &schemas::Input) {
        let said = Input::Fact { fact: &input.fact, appended_at: self.now, hops: input.hops };
        if to == CUSTOMER {
            let offset = i64::try_from(self.causes.len()).unwrap_or(i64::MAX);
            self.causes.push("Another row answers.".to_owned());
            let moment = Moment { now: self.now, partition: 0, offset: Some(offset), due: None };
            return self.decide(said, &moment);
        }
        self.forwarded += 1;
        let moment = Moment { now: self.now, partition: 1, offset: Some(self.forwarded), due: None };
        let mut effects = Vec::new();
        consider(&self.plans, to, self.others.entry(to.to_owned()).or_default(), said, &moment, &mut effects);
        for effect in effects {
            if let Effect::Forward { to, input } = effect {
                self.deliver(&to, &input);
            }
        }
    }

    /// Lets time pass; each deadline and each sweep is looked at when it falls due.
    pub fn pass_until(&mut self, moment: Millis) {
        while self.fire_next(moment) {}
        self.now = self.now.max(moment);
    }

    /// Looks at the next deadline or sweep up to `moment`, if there is one. At the same moment deadlines come first.
    pub fn fire_next(&mut self, moment: Millis) -> bool {
        let deadline = due(&self.customer).filter(|deadline| *deadline <= moment);
        let sweep = self.plans.next_sweep(self.swept_until).filter(|sweep| *sweep <= moment);
        match (deadline, sweep) {
            (None, None) => return false,
            (Some(deadline), sweep) if sweep.is_none_or(|sweep| deadline <= sweep) => {
                self.now = self.now.max(deadline);
                self.fire();
            }
            (_, Some(sweep)) => {
                self.now = self.now.max(sweep);
                self.sweep();
            }
            (Some(_), None) => return false,
        }
        true
    }

    /// Lets time pass while the operator is down: no deadline is looked at.
    pub fn sleep_until(&mut self, moment: Millis) {
        self.now = self.now.max(moment);
    }

    /// Looks at the deadlines that are due by now.
    pub fn fire(&mut self) {
        self.moments += 1;
        let deadline = due(&self.customer);
        let moment = Moment { now: self.now, partition: 0, offset: None, due: deadline };
        self.decide(Input::Deadline, &moment);
    }

    /// Lets the sweeps whose moments have come pass by. They meet nobody of whom nothing is known, and of several moments
    /// that nobody saw only the latest counts.
    pub fn sweep(&mut self) {
        self.moments += 1;
        let mut due = Vec::new();
        self.plans.sweeps(self.now, |sweep| {
            if sweep.turn == Turn::Comes {
                due.push((sweep.name.to_owned(), sweep.at));
            }
        });
        self.swept_until = self.now;
        for (campaign, at) in due {
            if self.swept.insert(campaign.clone(), at) < Some(at) && self.customer != Customer::default() {
                let moment = Moment { now: self.now, partition: 0, offset: None, due: Some(at) };
                self.decide(Input::Sweep { campaign: &campaign }, &moment);
            }
        }
    }

    /// How many deadlines and sweeps fell due so far.
    pub(super) fn moments(&self) -> usize {
        self.moments
    }

    /// Names what causes the facts that come from now on.
    pub(super) fn caused_by(&mut self, cause: String) {
        self.cause = cause;
    }

    /// What caused a journal entry; none where a moment did.
    pub fn cause(&self, journal: &Journal) -> Option<&str> {
        let index = usize::try_from(journal.offset?).ok()?;
        self.causes.get(index).map(String::as_str)
    }

    /// Something happens now. Time has passed before it.
    pub(super) fn act(&mut self, event: &Event) -> Result<(), Wrong> {
        match event {
            Event::Again => match self.last.clone() {
                Some(fact) => self.tell(fact),
                None => return Err(("nothing was told that could come again".to_owned(), "remove it".to_owned())),
            },
            Event::Said(said) => {
                let mut said = Campaign::clone(said);
                if said.kind == CampaignKind::Definition {
                    let text = self.to_come.remove(&(said.campaign.clone(), said.version));
                    let in_force = || ("this version is in force already".to_owned(), "remove the line".to_owned());
                    said.definition = text.ok_or_else(in_force)?;
                }
                self.say(&said).map_err(|problems| {
                    let what = problems.first().map(|problem| problem.message.clone()).unwrap_or_default();
                    (what, "look at the campaigns that are in force".to_owned())
                })?;
            }
            Event::Worker(on) => self.worker = *on,
            Event::Deadlines => {
                self.fire();
                self.sweep();
            }
            Event::Piled(event) => return self.act(event),
            told => {
                let sent = |step: &str| last_of(step, &self.effects);
                let fact = self.narrator.fact(told, self.now, sent)?;
                fact.into_iter().for_each(|fact| self.tell(fact));
            }
        }
        Ok(())
    }

    /// The customer has an address and a consent on just these channels.
    pub fn has<C: AsRef<str>>(&mut self, channels: &[C]) {
        let fact = self.narrator.has(channels, self.now);
        self.tell(fact);
    }

    /// The customer is forgotten.
    pub fn erase(&mut self) {
        let fact = self.narrator.erased(self.now);
        self.tell(fact);
    }

    /// Every send so far.
    pub fn sends(&self) -> Vec<&Send> {
        self.effects
            .iter()
            .filter_map(|(_, effect)| match effect {
                Effect::Send(send) => Some(&**send),
                _ => None,
            })
            .collect()
    }

    /// Every journal entry so far.
    pub fn journal(&self) -> Vec<&Journal> {
        self.effects
            .iter()
            .filter_map(|(_, effect)| match effect {
                Effect::Journal(journal) => Some(&**journal),
                _ => None,
            })
            .collect()
    }
}

/// Id and channel of the last message of a step.
fn last_of(step: &str, effects: &[(Millis, Effect)]) -> Option<(String, String)> {
    effects.iter().rev().find_map(|(_, effect)| match effect {
        Effect::Send(send) if send.step == step => Some((send.send_id.clone(), send.channel.clone())),
        _ => None,
    })
}
