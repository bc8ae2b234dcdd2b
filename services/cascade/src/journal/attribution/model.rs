//! The models, and the facts that they join.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

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

/// What was told of sends and orders so far, in any order.
#[derive(Default)]
pub struct Facts {
    sends: HashMap<Id, Message>,
    /// By customer.
    touches: HashMap<String, Vec<Touch>>,
    /// By customer and event.
    orders: BTreeMap<(String, String), Order>,
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

/// A word about a message.
struct Touch {
    at: Millis,
    status: Status,
    send: Id,
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

impl Facts {
    /// A record of the journal: what was sent, and under which id a customer goes on.
    pub fn decided(&mut self, record: Journal) {
        match (record.reason, record.evidence.get("to")) {
            (Reason::Moved, Some(to)) => _ = self.known_as.insert(record.customer_id.clone(), to.to_owned()),
            (Reason::Erased, _) => _ = self.known_as.remove(&record.customer_id),
            _ => {}
        }
        let id = Id::parse(&record.send_id).filter(|_| record.reason == Reason::Sent);
        if let Some(id) = id {
            let Journal { send_id, campaign, version, step, channel, .. } = record;
            self.sends.insert(id, Message { send_id, campaign, version, step, channel });
        }
    }

    /// A word about a message.
    pub fn heard(&mut self, word: Feedback) {
        let (at, status) = (word.occurred_at, word.meant());
        let send = word.send_id.as_deref().and_then(Id::parse).filter(|_| Model::LastMessage.counts(status));
        if let Some(send) = send {
            self.touches.entry(word.customer_id).or_default().push(Touch { at, status, send });
        }
    }

    /// An order. What is told twice is one.
    pub fn ordered(&mut self, action: Action) {
        let Action { event_id, customer_id, occurred_at, amount_minor, currency, .. } = action;
        let place = (customer_id.clone(), event_id.clone());
        let order = Order { event_id, customer_id, occurred_at, amount_minor, currency };
        self.orders.entry(place).or_insert(order);
    }

    /// Each order with what it is owed to, by customer.
    pub fn credits(&self, model: Model, window: Millis) -> Vec<Credit<'_>> {
        let mut touches: HashMap<&str, Vec<&Touch>> = HashMap::new();
        for (customer, told) in &self.touches {
            let counted = told.iter().filter(|touch| model.counts(touch.status));
            touches.entry(self.now_known_as(customer)).or_default().extend(counted);
        }
        if model == Model::LastMessage {
            // It arrived when that was first known of; what was done with it later is no other arrival.
            touches.values_mut().for_each(|told| {
                told.sort_by_key(|touch| (touch.send, touch.at, Reverse(touch.status)));
                told.dedup_by_key(|touch| touch.send);
            });
        }
        // What was passed on to another id stands under both.
        let mut orders: BTreeMap<(&str, &str), &Order> = BTreeMap::new();
        for ((customer, mark), order) in &self.orders {
            orders.entry((self.now_known_as(customer), mark)).or_insert(order);
        }
        let credit = |((customer, _), order): ((&str, &str), _)| {
            let told = touches.get(customer).map(Vec::as_slice).unwrap_or_default();
            Credit { order, to: self.owed(order, told, window) }
        };
        orders.into_iter().map(credit).collect()
    }

    fn now_known_as<'c>(&'c self, customer: &'c str) -> &'c str {
        (0..limits::HOPS).fold(customer, |id, _| self.known_as.get(id).map_or(id, String::as_str))
    }

    /// The last of these within the window. Of several at one moment the one that says most, so that the order in which they were told
    /// does not matter.
    fn owed(&self, order: &Order, touches: &[&Touch], window: Millis) -> Option<Owed<'_>> {
        let since = order.occurred_at.saturating_sub(window);
        let counted = touches.iter().filter(|touch| (since..=order.occurred_at).contains(&touch.at));
        let known = counted.filter_map(|touch| Some((touch, self.sends.get(&touch.send)?)));
        let (touch, message) = known.max_by_key(|(touch, _)| (touch.at, touch.status, touch.send))?;
        Some(Owed { message, status: touch.status, at: touch.at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::Actor;

    const HOUR: Millis = 60 * 60 * 1000;

    fn sent(facts: &mut Facts, send: &str, step: &str) -> String {
        let send_id = Id::of_instance("c", "cart-left", "", send).to_string();
        let (campaign, step, channel) = ("cart-left".to_owned(), step.to_owned(), "email".to_owned());
        let reason = Reason::Sent;
        facts.decided(Journal { send_id: send_id.clone(), campaign, step, channel, reason, ..Journal::default() });
        send_id
    }

    fn heard(facts: &mut Facts, customer: &str, send: &str, (status, actor): (Status, Actor), at: Millis) {
        let (customer_id, send_id) = (customer.to_owned(), Some(send.to_owned()));
        let word = Feedback { customer_id, send_id, status, actor, occurred_at: at, ..Feedback::default() };
        facts.heard(word);
    }

    fn ordered(facts: &mut Facts, customer: &str, event: &str, at: Millis) {
        let (customer_id, event_id) = (customer.to_owned(), event.to_owned());
        let action = Action { customer_id, event_id, occurred_at: at, amount_minor: 5, ..Action::default() };
        facts.ordered(action);
    }

    /// Order by order the step that it is owed to.
    fn steps(facts: &Facts, model: Model) -> Vec<Option<&str>> {
        let credits = facts.credits(model, 10 * HOUR);
        credits.into_iter().map(|credit| credit.to.map(|to| &*to.message.step)).collect()
    }

    #[test]
    fn the_last_message_that_a_person_opened_gets_the_order_however_late_it_is_told() {
        let mut facts = Facts::default();
        ordered(&mut facts, "c", "order", 20 * HOUR);
        let [first, second, third] = ["first", "second", "third"].map(|step| sent(&mut facts, step, step));
        heard(&mut facts, "c", &second, (Status::Clicked, Actor::Human), 15 * HOUR);
        heard(&mut facts, "c", &first, (Status::Opened, Actor::Human), 12 * HOUR);
        heard(&mut facts, "c", &third, (Status::Opened, Actor::Machine), 18 * HOUR);
        heard(&mut facts, "c", &first, (Status::Opened, Actor::Human), 21 * HOUR);
        // It arrived before the third, though it was followed after that.
        heard(&mut facts, "c", &second, (Status::Clicked, Actor::Human), 19 * HOUR);
        assert_eq!(steps(&facts, Model::LastTouch), [Some("second")]);
        assert_eq!(steps(&facts, Model::LastMessage), [Some("third")]);
    }

    #[test]
    fn what_is_older_than_the_window_or_of_somebody_else_gets_nothing() {
        let mut facts = Facts::default();
        let send = sent(&mut facts, "one", "only");
        heard(&mut facts, "c", &send, (Status::Opened, Actor::Human), HOUR);
        for (customer, event, at) in [("c", "1", 11 * HOUR), ("c", "2", 11 * HOUR + 1), ("d", "1", 2 * HOUR)] {
            ordered(&mut facts, customer, event, at);
        }
        assert_eq!(steps(&facts, Model::LastTouch), [Some("only"), None, None]);
    }

    #[test]
    fn an_order_counts_once_and_what_was_read_under_a_former_id_counts() {
        let mut facts = Facts::default();
        let send = sent(&mut facts, "one", "only");
        heard(&mut facts, "anonymous", &send, (Status::Opened, Actor::Human), HOUR);
        for customer in ["anonymous", "known", "known"] {
            ordered(&mut facts, customer, "order", 2 * HOUR);
        }
        assert_eq!(steps(&facts, Model::LastTouch).len(), 2);
        let evidence = [("to", "known".to_owned())].into_iter().collect();
        let (customer_id, reason) = ("anonymous".to_owned(), Reason::Moved);
        facts.decided(Journal { customer_id, reason, evidence, ..Journal::default() });
        assert_eq!(steps(&facts, Model::LastTouch), [Some("only")]);
    }

    #[test]
    fn of_two_words_at_one_moment_the_one_that_says_most_counts_in_whatever_order_they_come() {
        for turned in [false, true] {
            let mut facts = Facts::default();
            let [first, second] = ["first", "second"].map(|step| sent(&mut facts, step, step));
            ordered(&mut facts, "c", "order", 2 * HOUR);
            let mut words = [(&first, Status::Clicked), (&second, Status::Opened)];
            if turned {
                words.reverse();
            }
            for (send, status) in words {
                heard(&mut facts, "c", send, (status, Actor::Human), HOUR);
            }
            assert_eq!(steps(&facts, Model::LastTouch), [Some("first")]);
        }
    }
}
