//! The models, and the facts that they join.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

use campaign::limits;
use clap::ValueEnum;
use schemas::{Action, Feedback, Id, Journal, Millis, Reason, Status};
use serde::Serialize;

/// To what an order is owed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Model {
    /// The last message that the customer opened, followed or answered; machines do not count
    #[default]
    LastTouch,
    /// The last message that is known to have arrived, read or not
    LastMessage,
}

impl Model {
    /// In words.
    pub fn meaning(self) -> &'static str {
        match self {
            Model::LastTouch => "the last message that a person opened, followed or answered",
            Model::LastMessage => "the last message that arrived",
        }
    }

    fn counts(self, status: Status) -> bool {
        let least = match self {
            Model::LastTouch => Status::Opened,
            Model::LastMessage => Status::Delivered,
        };
        (least..=Status::Replied).contains(&status)
    }
}

/// What is asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Question {
    /// To what an order is owed.
    pub model: Model,
    /// How long before the order at most.
    pub window: Millis,
    /// Only orders from this moment on.
    pub from: Option<Millis>,
    /// Only orders before this moment.
    pub to: Option<Millis>,
}

impl Question {
    /// Whether an order of this moment is meant.
    fn wants(&self, at: Millis) -> bool {
        self.from.is_none_or(|from| from <= at) && self.to.is_none_or(|to| at < to)
    }

    /// Whether a word of this moment can be within the window of an order that is meant.
    fn reaches(&self, at: Millis) -> bool {
        self.from.is_none_or(|from| from.saturating_sub(self.window) <= at) && self.to.is_none_or(|to| at < to)
    }

    /// Whether a word has to be kept. With the last message an arrival long ago, too: what was done with the message later is no other
    /// arrival.
    fn needs(&self, touch: &Touch) -> bool {
        let is_early = self.model == Model::LastMessage && self.to.is_none_or(|to| touch.at < to);
        self.model.counts(touch.status.0) && (is_early || self.reaches(touch.at))
    }
}

/// What `input` tells, in any order: words about messages, and orders. Of it only what the question needs is kept.
#[derive(Default)]
pub struct Told {
    question: Question,
    /// By customer, each list sorted.
    touches: HashMap<String, Vec<Touch>>,
    /// By customer and event.
    orders: BTreeMap<(String, String), Order>,
}

/// The same, and what the journal tells, in any order: of sends only those of which somebody was told what came of them.
pub struct Facts {
    told: Told,
    /// Those about which something counts.
    wanted: HashSet<Id>,
    sends: HashMap<Id, Message>,
    /// The id under which a customer went on.
    known_as: HashMap<String, String>,
}

/// A message, as the journal tells of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    pub send_id: String,
    pub campaign: String,
    pub version: i32,
    pub step: String,
    pub channel: String,
}

/// A word about a message. Of several about one the first comes first, and of those of one moment the one that says most.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Touch {
    send: Id,
    at: Millis,
    status: Reverse<Status>,
}

/// What was hoped for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Order {
    pub event_id: String,
    pub customer_id: String,
    pub occurred_at: Millis,
    pub amount_minor: i64,
    pub currency: String,
}

/// An order and the message that it is owed to; none where it is owed to no message.
#[derive(Debug, Serialize)]
pub struct Credit<'f> {
    #[serde(flatten)]
    pub order: &'f Order,
    pub to: Option<Owed<'f>>,
}

/// A message and what came of it.
#[derive(Debug, Serialize)]
pub struct Owed<'f> {
    #[serde(flatten)]
    pub message: &'f Message,
    pub status: Status,
    pub at: Millis,
}

impl Told {
    /// Nothing yet.
    pub fn of(question: Question) -> Self {
        Told { question, ..Told::default() }
    }

    /// A word about a message.
    pub fn heard(&mut self, word: Feedback) {
        let (at, status) = (word.occurred_at, Reverse(word.meant()));
        let send = word.send_id.as_deref().and_then(Id::parse);
        let touch = send.map(|send| Touch { send, at, status }).filter(|touch| self.question.needs(touch));
        let Some(touch) = touch else { return };
        let told = self.touches.entry(word.customer_id).or_default();
        let place = told.partition_point(|known| *known < touch);
        if self.question.model == Model::LastMessage {
            // It arrived when that was first known of.
            match told.get(place).filter(|later| later.send == touch.send) {
                Some(_) => told[place] = touch,
                None if place > 0 && told[place - 1].send == touch.send => {}
                None => told.insert(place, touch),
            }
        } else if told.get(place) != Some(&touch) {
            told.insert(place, touch);
        }
    }

    /// An order. What is told twice is one, and has one moment.
    pub fn ordered(&mut self, action: Action) {
        if !self.question.wants(action.occurred_at) {
            return;
        }
        let Action { event_id, customer_id, occurred_at, amount_minor, currency, .. } = action;
        let place = (customer_id.clone(), event_id.clone());
        let order = Order { event_id, customer_id, occurred_at, amount_minor, currency };
        self.orders.entry(place).or_insert(order);
    }

    /// That is all that `input` tells.
    pub fn whole(self) -> Facts {
        let reaching = self.touches.values().flatten().filter(|touch| self.question.reaches(touch.at));
        let wanted = reaching.map(|touch| touch.send).collect();
        Facts { told: self, wanted, sends: HashMap::new(), known_as: HashMap::new() }
    }
}

impl Facts {
    /// A record of the journal: what was sent, and under which id a customer goes on.
    pub fn decided(&mut self, record: Journal) {
        match (record.reason, record.evidence.get("to")) {
            (Reason::Moved, Some(to)) => _ = self.known_as.insert(record.customer_id.clone(), to.to_owned()),
            (Reason::Erased, _) => _ = self.known_as.remove(&record.customer_id),
            _ => {}
        }
        let id = Id::parse(&record.send_id).filter(|id| record.reason == Reason::Sent && self.wanted.contains(id));
        if let Some(id) = id {
            let Journal { send_id, campaign, version, step, channel, .. } = record;
            self.sends.insert(id, Message { send_id, campaign, version, step, channel });
        }
    }

    /// Each order that is meant with what it is owed to, by customer.
    pub fn credits(&self) -> Vec<Credit<'_>> {
        let mut touches: HashMap<&str, Vec<&Touch>> = HashMap::new();
        for (customer, told) in &self.told.touches {
            touches.entry(self.now_known_as(customer)).or_default().extend(told);
        }
        if self.told.question.model == Model::LastMessage {
            // Under several ids each has said when it arrived.
            touches.values_mut().for_each(|told| {
                told.sort();
                told.dedup_by_key(|touch| touch.send);
            });
        }
        // What was passed on to another id stands under both.
        let mut orders: BTreeMap<(&str, &str), &Order> = BTreeMap::new();
        for ((customer, mark), order) in &self.told.orders {
            orders.entry((self.now_known_as(customer), mark)).or_insert(order);
        }
        let credit = |((customer, _), order): ((&str, &str), _)| {
            let told = touches.get(customer).map(Vec::as_slice).unwrap_or_default();
            Credit { order, to: self.owed(order, told) }
        };
        orders.into_iter().map(credit).collect()
    }

    fn now_known_as<'c>(&'c self, customer: &'c str) -> &'c str {
        (0..limits::HOPS).fold(customer, |id, _| self.known_as.get(id).map_or(id, String::as_str))
    }

    /// The last of these within the window. Of several at one moment the one that says most, so that the order in which they were told
    /// does not matter.
    fn owed(&self, order: &Order, touches: &[&Touch]) -> Option<Owed<'_>> {
        let since = order.occurred_at.saturating_sub(self.told.question.window);
        let counted = touches.iter().filter(|touch| (since..=order.occurred_at).contains(&touch.at));
        let known = counted.filter_map(|touch| Some((touch, self.sends.get(&touch.send)?)));
        let (touch, message) = known.max_by_key(|(touch, _)| (touch.at, touch.status.0, touch.send))?;
        Some(Owed { message, status: touch.status.0, at: touch.at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::{Actor, Fact};

    const HOUR: Millis = 60 * 60 * 1000;

    /// What both topics hold.
    #[derive(Default)]
    struct Story {
        input: Vec<Fact>,
        journal: Vec<Journal>,
    }

    impl Story {
        fn sent(&mut self, send: &str, step: &str) -> String {
            let send_id = Id::of_instance("c", "cart-left", "", send).to_string();
            let (campaign, step, channel) = ("cart-left".to_owned(), step.to_owned(), "email".to_owned());
            let reason = Reason::Sent;
            let entry = Journal { send_id: send_id.clone(), campaign, step, channel, reason, ..Journal::default() };
            self.journal.push(entry);
            send_id
        }

        fn heard(&mut self, customer: &str, send: &str, (status, actor): (Status, Actor), at: Millis) {
            let (customer_id, send_id) = (customer.to_owned(), Some(send.to_owned()));
            let word = Feedback { customer_id, send_id, status, actor, occurred_at: at, ..Feedback::default() };
            self.input.push(Fact::Feedback(word));
        }

        fn ordered(&mut self, customer: &str, event: &str, at: Millis) {
            let (customer_id, event_id) = (customer.to_owned(), event.to_owned());
            let action = Action { customer_id, event_id, occurred_at: at, amount_minor: 5, ..Action::default() };
            self.input.push(Fact::Action(action));
        }

        fn moved(&mut self, customer: &str, to: &str) {
            let evidence = [("to", to.to_owned())].into_iter().collect();
            let (customer_id, reason) = (customer.to_owned(), Reason::Moved);
            self.journal.push(Journal { customer_id, reason, evidence, ..Journal::default() });
        }

        fn facts(&self, question: Question) -> Facts {
            let mut told = Told::of(question);
            for fact in self.input.iter().cloned() {
                match fact {
                    Fact::Feedback(word) => told.heard(word),
                    Fact::Action(action) => told.ordered(action),
                    _ => {}
                }
            }
            let mut facts = told.whole();
            self.journal.iter().cloned().for_each(|entry| facts.decided(entry));
            facts
        }

        /// Order by order the step that it is owed to.
        fn steps(&self, model: Model) -> Vec<Option<String>> {
            let facts = self.facts(Question { model, window: 10 * HOUR, ..Question::default() });
            facts.credits().into_iter().map(|credit| credit.to.map(|to| to.message.step.clone())).collect()
        }
    }

    fn some(step: &str) -> Option<String> {
        Some(step.to_owned())
    }

    #[test]
    fn the_last_message_that_a_person_opened_gets_the_order_however_late_it_is_told() {
        let mut story = Story::default();
        story.ordered("c", "order", 20 * HOUR);
        let [first, second, third] = ["first", "second", "third"].map(|step| story.sent(step, step));
        story.heard("c", &second, (Status::Clicked, Actor::Human), 15 * HOUR);
        story.heard("c", &first, (Status::Opened, Actor::Human), 12 * HOUR);
        story.heard("c", &third, (Status::Opened, Actor::Machine), 18 * HOUR);
        story.heard("c", &first, (Status::Opened, Actor::Human), 21 * HOUR);
        // It arrived before the third, though it was followed after that.
        story.heard("c", &second, (Status::Clicked, Actor::Human), 19 * HOUR);
        assert_eq!(story.steps(Model::LastTouch), [some("second")]);
        assert_eq!(story.steps(Model::LastMessage), [some("third")]);
    }

    #[test]
    fn what_is_older_than_the_window_or_of_somebody_else_gets_nothing() {
        let mut story = Story::default();
        let send = story.sent("one", "only");
        story.heard("c", &send, (Status::Opened, Actor::Human), HOUR);
        for (customer, event, at) in [("c", "1", 11 * HOUR), ("c", "2", 11 * HOUR + 1), ("d", "1", 2 * HOUR)] {
            story.ordered(customer, event, at);
        }
        assert_eq!(story.steps(Model::LastTouch), [some("only"), None, None]);
    }

    #[test]
    fn an_order_counts_once_and_what_was_read_under_a_former_id_counts() {
        let mut story = Story::default();
        let send = story.sent("one", "only");
        story.heard("anonymous", &send, (Status::Opened, Actor::Human), HOUR);
        for customer in ["anonymous", "known", "known"] {
            story.ordered(customer, "order", 2 * HOUR);
        }
        assert_eq!(story.steps(Model::LastTouch).len(), 2);
        story.moved("anonymous", "known");
        assert_eq!(story.steps(Model::LastTouch), [some("only")]);
    }

    #[test]
    fn of_two_words_at_one_moment_the_one_that_says_most_counts_in_whatever_order_they_come() {
        for turned in [false, true] {
            let mut story = Story::default();
            let [first, second] = ["first", "second"].map(|step| story.sent(step, step));
            story.ordered("c", "order", 2 * HOUR);
            let mut words = [(&first, Status::Clicked), (&second, Status::Opened)];
            if turned {
                words.reverse();
            }
            for (send, status) in words {
                story.heard("c", send, (status, Actor::Human), HOUR);
            }
            assert_eq!(story.steps(Model::LastTouch), [some("first")]);
        }
    }

    /// A story of three ids, of which one or two may go on under another one.
    fn any_story(seed: u64) -> Story {
        let mut state = seed;
        let mut any = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let customers = ["a", "b", "c"];
        let statuses = [Status::Delivered, Status::Opened, Status::Clicked, Status::Replied, Status::Failed];
        let mut story = Story::default();
        let sends = ["1", "2", "3", "4"].map(|step| story.sent(step, step));
        for _ in 0..any(16) {
            let customer = customers[any(3) as usize];
            let (send, status) = (sends[any(4) as usize].clone(), statuses[any(5) as usize]);
            let actor = if any(4) == 0 { Actor::Machine } else { Actor::Human };
            story.heard(customer, &send, (status, actor), any(40) as Millis * HOUR);
        }
        for event in 0..any(8) {
            // An event has one moment, under whatever ids and however often it is told.
            let at = (event * 7 % 40) as Millis * HOUR;
            for _ in 0..=any(2) {
                story.ordered(customers[any(3) as usize], &event.to_string(), at);
            }
        }
        for customer in ["a", "b"] {
            if any(2) == 0 {
                story.moved(customer, "c");
            }
        }
        story
    }

    #[test]
    fn what_is_let_go_of_changes_no_answer() {
        let mut owed = 0;
        for seed in 0..2_000 {
            let story = any_story(seed);
            for model in [Model::LastTouch, Model::LastMessage] {
                let whole = Question { model, window: 10 * HOUR, ..Question::default() };
                let asked = Question { from: Some(15 * HOUR), to: Some(30 * HOUR), ..whole };
                let told = |facts: &Facts| -> Vec<String> {
                    let credits = facts.credits();
                    let meant = credits.iter().filter(|credit| asked.wants(credit.order.occurred_at));
                    meant.map(|credit| format!("{credit:?}")).collect()
                };
                let facts = story.facts(asked);
                assert_eq!(told(&facts), told(&story.facts(whole)), "seed {seed}, {model:?}");
                assert_eq!(told(&facts).len(), facts.credits().len(), "of another time");
                owed += facts.credits().iter().filter(|credit| credit.to.is_some()).count();
            }
        }
        assert!(owed > 1_000, "{owed}");
    }

    #[test]
    fn what_no_order_that_is_meant_can_be_owed_to_is_not_kept() {
        let mut story = Story::default();
        for (send, at) in [("early", 4), ("in time", 6), ("late", 30), ("never read", 50)] {
            let id = story.sent(send, send);
            story.heard("c", &id, (Status::Delivered, Actor::Machine), at * HOUR);
            story.heard("c", &id, (Status::Opened, Actor::Human), at * HOUR);
            story.ordered("c", send, at * HOUR);
        }
        let of = |model| {
            let (from, to) = (Some(15 * HOUR), Some(30 * HOUR));
            story.facts(Question { model, window: 10 * HOUR, from, to })
        };
        let kept = |facts: &Facts| {
            (facts.told.touches.values().map(Vec::len).sum::<usize>(), facts.sends.len(), facts.told.orders.len())
        };
        assert_eq!(kept(&of(Model::LastTouch)), (1, 1, 0));
        // Since when a message has been there has to be known.
        assert_eq!(kept(&of(Model::LastMessage)), (2, 1, 0));
        assert_eq!(kept(&story.facts(Question { window: 10 * HOUR, ..Question::default() })), (4, 4, 4));
    }
}
