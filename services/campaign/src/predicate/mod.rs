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
#[cfg(test)]
mod tests;

pub(crate) use compile::compile;
pub(crate) use scope::{Event, Scope};
pub(crate) use vocabulary::{Type, Vocabulary};

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

    /// Whether it holds. What is undefined does not.
    pub(crate) fn holds(&self, scope: &Scope<'_>) -> bool {
        matches!(eval::value(&self.node, scope), Some(Value::Bool(true)))
    }

    /// Its value as text; none where it is undefined.
    pub(crate) fn text(&self, scope: &Scope<'_>) -> Option<String> {
        match eval::value(&self.node, scope)? {
            Value::Text(text) => Some(text.to_owned()),
            Value::Int(number) => Some(number.to_string()),
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
