//! Conditions in campaigns. The text is CEL: its library parses; we check the types and compile to a small form of our own
//! that is evaluated on borrowed data, without allocation.
//!
//! *What is left out, on purpose.* Doubles (money is in minor units), time functions (there is no clock here), regular
//! expressions, maps and user-made lists. What an event does not say is undefined, and an undefined condition does not hold.

mod vocabulary;
mod compile;
mod macros;
mod scope;
mod eval;
mod fold;
#[cfg(test)]
mod tests;

pub(crate) use compile::compile;
pub(crate) use scope::{BOUGHT, Ended, Event, FULFILLING, PURCHASE_OF, Scope, Today};
pub(crate) use vocabulary::{FUNCTIONS, Type, Vocabulary, of_item, of_profile};

use std::borrow::Cow;

use jiff::tz::TimeZone;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use vocabulary::Field;

/// A compiled expression over an event, the profile and what became of earlier steps.
#[derive(Clone, Debug)]
pub struct Predicate {
    node: Node,
    text: Box<str>,
}

/// What is wrong with an expression, and where in it (in characters from its begin).
#[derive(Debug)]
pub(crate) struct Fault {
    pub start: usize,
    pub width: usize,
    pub message: String,
    pub hint: String,
}

impl Predicate {
    /// The expression as it is written.
    pub fn as_written(&self) -> &str {
        &self.text
    }

    /// By what a row recognises that it was fulfilled: the same for all campaigns and versions that ask the same. A day is the zone's.
    pub(crate) fn mark(&self, zone: &TimeZone) -> String {
        let zone = xxh3_64(zone.iana_name().unwrap_or_default().as_bytes());
        format!("{FULFILLING}{:016x}", xxh3_64_with_seed(self.text.as_bytes(), zone))
    }

    /// Whether it holds. What is undefined does not.
    pub(crate) fn holds(&self, scope: &Scope<'_>) -> bool {
        matches!(eval::value(&self.node, scope), Some(Value::Bool(true)))
    }

    /// Whether it can hold for nobody, whoever it is asked about: `1 > 2`.
    pub(crate) fn never_holds(&self) -> bool {
        fold::never(&self.node, &fold::Given { contact: None, consent: false })
    }

    /// Whether it can hold for nobody who has an address on this channel, and a `consent` for it if one is needed.
    pub(crate) fn excludes(&self, channel: &str, consent: bool) -> bool {
        fold::never(&self.node, &fold::Given { contact: Some(channel), consent })
    }

    /// What it asks of the past.
    pub(crate) fn asks<'p>(&'p self, each: &mut dyn FnMut(Asked<'p>)) {
        self.node.visit(&mut |node| match node {
            Node::DaysSince(action) | Node::Remembers(Memory::Did(action, _)) => each(Asked::Action(action)),
            Node::Remembers(Memory::Bought(what, _)) => each(Asked::Purchase(what)),
            Node::Remembers(Memory::HeardOn(channel, _)) => each(Asked::Channel(channel)),
            Node::Remembers(Memory::WasIn(campaign, _)) => each(Asked::Campaign(campaign)),
            _ => {}
        });
    }

    /// What it asks of what rows remember only since somebody asks for it, and how many days it looks back; none for ever.
    pub(crate) fn looks_back<'p>(&'p self, each: &mut dyn FnMut(Asked<'p>, Option<i64>)) {
        self.node.visit(&mut |node| match node {
            Node::DaysSince(action) => each(Asked::Action(action), None),
            Node::Remembers(Memory::Did(action, days)) => each(Asked::Action(action), *days),
            Node::Remembers(Memory::Bought(what, days)) => each(Asked::Purchase(what), *days),
            Node::Remembers(Memory::HeardOn(channel, days)) => each(Asked::Channel(channel), *days),
            _ => {}
        });
    }

    /// Each step of which it asks what it came to, by its index.
    pub(crate) fn outcomes(&self, each: &mut dyn FnMut(usize)) {
        self.node.visit(&mut |node| {
            if let Node::Outcome(step) = node {
                each(*step);
            }
        });
    }

    /// Its value as text; none where it is undefined.
    pub(crate) fn text<'a>(&'a self, scope: &Scope<'a>) -> Option<Cow<'a, str>> {
        match eval::value(&self.node, scope)? {
            Value::Text(text) => Some(Cow::Borrowed(text)),
            Value::Int(number) => Some(Cow::Owned(number.to_string())),
            Value::Bool(_) => None,
        }
    }
}

/// What an expression comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
enum Value<'a> {
    Bool(bool),
    Int(i64),
    Text(&'a str),
}

/// The compiled form. Types were checked before: what does not fit cannot occur, and counts as undefined if it did.
#[derive(Clone, Debug)]
enum Node {
    Bool(bool),
    Int(i64),
    Text(Box<str>),
    Field(Field),
    HasField(Field),
    Attribute(Of, Box<str>),
    HasAttribute(Of, Box<str>),
    Not(Box<Node>),
    Negative(Box<Node>),
    Both(Box<Node>, Box<Node>),
    Either(Box<Node>, Box<Node>),
    Compare(Compare, Box<Node>, Box<Node>),
    Calculate(Calculate, Box<Node>, Box<Node>),
    Choose(Box<Node>, Box<Node>, Box<Node>),
    OneOf(Box<Node>, Vec<Node>),
    Search(Search, Box<Node>, Box<Node>),
    Length(Box<Node>),
    ToInt(Box<Node>),
    CountItems,
    AnyItem(Box<Node>),
    EveryItem(Box<Node>),
    HasContact(Box<str>),
    HasConsent(Box<str>),
    Became(usize, schemas::Status),
    Outcome(usize),
    Remembers(Memory),
    DaysSince(Box<str>),
    DaysUntil(Box<Node>),
    DaysToAnniversary(Box<Node>),
}

/// What a row remembers, within so many days where they are given.
#[derive(Clone, Debug)]
enum Memory {
    Did(Box<str>, Option<i64>),
    Bought(Box<str>, Option<i64>),
    HeardOn(Box<str>, Option<i64>),
    WasIn(Box<str>, Option<i64>),
    IsIn(Box<str>),
}

/// What a row has to remember so that an expression can be evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked<'p> {
    Action(&'p str),
    /// A product or a category.
    Purchase(&'p str),
    Channel(&'p str),
    /// Since when nothing came back on a channel.
    Silence(&'p str),
    Campaign(&'p str),
}

impl Node {
    /// Shows each node of the tree.
    fn visit<'p>(&'p self, each: &mut dyn FnMut(&'p Node)) {
        each(self);
        match self {
            Node::Not(one)
            | Node::Negative(one)
            | Node::Length(one)
            | Node::ToInt(one)
            | Node::AnyItem(one)
            | Node::EveryItem(one)
            | Node::DaysUntil(one)
            | Node::DaysToAnniversary(one) => one.visit(each),
            Node::Both(left, right)
            | Node::Either(left, right)
            | Node::Compare(_, left, right)
            | Node::Calculate(_, left, right)
            | Node::Search(_, left, right) => [left, right].into_iter().for_each(|node| node.visit(each)),
            Node::Choose(condition, yes, no) => [condition, yes, no].into_iter().for_each(|node| node.visit(each)),
            Node::OneOf(needle, list) => {
                needle.visit(each);
                list.iter().for_each(|node| node.visit(each));
            }
            Node::Bool(_)
            | Node::Int(_)
            | Node::Text(_)
            | Node::Field(_)
            | Node::HasField(_)
            | Node::Attribute(..)
            | Node::HasAttribute(..)
            | Node::CountItems
            | Node::HasContact(_)
            | Node::HasConsent(_)
            | Node::Became(..)
            | Node::Outcome(_)
            | Node::Remembers(_)
            | Node::DaysSince(_) => {}
        }
    }
}

/// Whose attributes.
#[derive(Clone, Copy, Debug)]
enum Of {
    Event,
    Profile,
}

#[derive(Clone, Copy, Debug)]
enum Compare {
    Equal,
    Unequal,
    Less,
    AtMost,
    More,
    AtLeast,
}

#[derive(Clone, Copy, Debug)]
enum Calculate {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Clone, Copy, Debug)]
enum Search {
    StartsWith,
    EndsWith,
    Contains,
}
