//! Evaluation: total, without allocation. `None` is "undefined": it spreads, except where `&&` or `||` is decided without it.

use schemas::{Outcome, Status};

use crate::channel::word_of;

use super::scope::Scope;
use super::{Calculate, Compare, Node, Search, Value};

pub(super) fn value<'a>(node: &'a Node, scope: &Scope<'a>) -> Option<Value<'a>> {
    Some(match node {
        Node::Bool(truth) => Value::Bool(*truth),
        Node::Int(number) => Value::Int(*number),
        Node::Text(text) => Value::Text(text),
        Node::Field(field) => return scope.field(*field),
        Node::HasField(field) => Value::Bool(scope.field(*field).is_some()),
        // An absent attribute is the empty text, so that "is not from Omsk" holds where nothing is known.
        Node::Attribute(of, name) => Value::Text(scope.attribute(*of, name).unwrap_or_default()),
        Node::HasAttribute(of, name) => Value::Bool(scope.attribute(*of, name).is_some()),
        Node::Not(inner) => Value::Bool(!truth(inner, scope)?),
        Node::Negative(inner) => Value::Int(number(inner, scope)?.checked_neg()?),
        Node::Both(left, right) => Value::Bool(joined(left, right, scope, false)?),
        Node::Either(left, right) => Value::Bool(joined(left, right, scope, true)?),
        Node::Compare(how, left, right) => Value::Bool(compare(*how, value(left, scope)?, value(right, scope)?)),
        Node::Calculate(how, left, right) => Value::Int(calculate(*how, number(left, scope)?, number(right, scope)?)?),
        Node::Choose(condition, yes, no) => return value(if truth(condition, scope)? { yes } else { no }, scope),
        Node::OneOf(needle, list) => {
            let needle = value(needle, scope)?;
            Value::Bool(one_of(needle, list, scope)?)
        }
        Node::Search(how, text_in, part) => Value::Bool(search(*how, text(text_in, scope)?, text(part, scope)?)),
        Node::Length(inner) => Value::Int(count(text(inner, scope)?.chars().count())),
        Node::ToInt(inner) => Value::Int(text(inner, scope)?.parse().ok()?),
        Node::CountItems => Value::Int(count(scope.items().len())),
        Node::AnyItem(condition) => Value::Bool(items(condition, scope, true)?),
        Node::EveryItem(condition) => Value::Bool(items(condition, scope, false)?),
        Node::HasContact(channel) => {
            Value::Bool(scope.customer.contacts.iter().any(|contact| contact.channel == **channel))
        }
        Node::HasConsent(channel) => {
            Value::Bool(scope.customer.consents.iter().any(|consent| consent.granted && consent.channel == **channel))
        }
        Node::Remembers(memory) => Value::Bool(scope.remembers(memory)),
        Node::DaysSince(action) => Value::Int(scope.days_since(action)?),
        Node::DaysUntil(date) => Value::Int(scope.days_until(text(date, scope)?, false)?),
        Node::DaysToAnniversary(date) => Value::Int(scope.days_until(text(date, scope)?, true)?),
        Node::Outcome(step) => Value::Text(word_of(outcome(*step, scope))),
        Node::Became(step, status) => Value::Bool(became(*step, *status, scope)),
    })
}

fn truth<'a>(node: &'a Node, scope: &Scope<'a>) -> Option<bool> {
    match value(node, scope)? {
        Value::Bool(truth) => Some(truth),
        _ => None,
    }
}

fn number<'a>(node: &'a Node, scope: &Scope<'a>) -> Option<i64> {
    match value(node, scope)? {
        Value::Int(number) => Some(number),
        _ => None,
    }
}

fn text<'a>(node: &'a Node, scope: &Scope<'a>) -> Option<&'a str> {
    match value(node, scope)? {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

/// `&&` is decided by one `false`, `||` by one `true`, whatever the other side is.
fn joined<'a>(left: &'a Node, right: &'a Node, scope: &Scope<'a>, decisive: bool) -> Option<bool> {
    let left = truth(left, scope);
    if left == Some(decisive) {
        return left;
    }
    match truth(right, scope) {
        Some(right) if right == decisive => Some(decisive),
        right => left.and(right),
    }
}

/// One equal element decides; without one, an element that is undefined might have been it.
fn one_of<'a>(needle: Value<'a>, list: &'a [Node], scope: &Scope<'a>) -> Option<bool> {
    let mut outcome = Some(false);
    for item in list {
        match value(item, scope) {
            Some(item) if item == needle => return Some(true),
            Some(_) => {}
            None => outcome = None,
        }
    }
    outcome
}

fn items<'a>(condition: &'a Node, scope: &Scope<'a>, decisive: bool) -> Option<bool> {
    let mut outcome = Some(!decisive);
    for item in scope.items() {
        match truth(condition, &Scope { item: Some(item), ..*scope }) {
            Some(truth) if truth == decisive => return Some(decisive),
            Some(_) => {}
            None => outcome = None,
        }
    }
    outcome
}

pub(super) fn compare(how: Compare, left: Value<'_>, right: Value<'_>) -> bool {
    match how {
        Compare::Equal => left == right,
        Compare::Unequal => left != right,
        Compare::Less => left < right,
        Compare::AtMost => left <= right,
        Compare::More => left > right,
        Compare::AtLeast => left >= right,
    }
}

pub(super) fn calculate(how: Calculate, left: i64, right: i64) -> Option<i64> {
    match how {
        Calculate::Add => left.checked_add(right),
        Calculate::Subtract => left.checked_sub(right),
        Calculate::Multiply => left.checked_mul(right),
        Calculate::Divide => left.checked_div(right),
        Calculate::Remainder => left.checked_rem(right),
    }
}

pub(super) fn search(how: Search, text: &str, part: &str) -> bool {
    match how {
        Search::StartsWith => text.starts_with(part),
        Search::EndsWith => text.ends_with(part),
        Search::Contains => text.contains(part),
    }
}

pub(super) fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// `ACCEPTED` stands for "a command was published", whatever became of it.
fn became(step: usize, status: Status, scope: &Scope<'_>) -> bool {
    let of_step = |sent: &&schemas::Sent| usize::try_from(sent.step) == Ok(step);
    scope.sends.iter().filter(of_step).any(|sent| status == Status::Accepted || sent.reached >= status)
}

/// What the last message of a step came to of which a person has told.
fn outcome(step: usize, scope: &Scope<'_>) -> Outcome {
    let of_step = |sent: &&schemas::Sent| usize::try_from(sent.step) == Ok(step);
    let told = scope.sends.iter().rev().filter(of_step).map(|sent| sent.outcome);
    told.into_iter().find(|outcome| *outcome != Outcome::Unspecified).unwrap_or_default()
}
