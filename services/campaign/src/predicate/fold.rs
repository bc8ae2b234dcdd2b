//! What can be said of an expression before anybody is looked at, for the linter. It need not find everything, but what it finds is so.

use super::eval::{calculate, compare, count, search};
use super::{Node, Value};

/// What is taken for granted of whoever it is asked about.
pub(super) struct Given<'g> {
    /// There is an address on this channel.
    pub contact: Option<&'g str>,
    /// There is a consent for it as well.
    pub consent: bool,
}

/// Whether it is true for nobody.
pub(super) fn never(node: &Node, given: &Given<'_>) -> bool {
    match node {
        Node::Both(left, right) => never(left, given) || never(right, given),
        Node::Either(left, right) => never(left, given) && never(right, given),
        other => value(other, given).is_some_and(|value| value != Some(Value::Bool(true))),
    }
}

/// Its value for everybody, `Some(None)` where it is undefined for everybody; none where that depends on whom it is asked about.
fn value<'a>(node: &'a Node, given: &Given<'_>) -> Option<Option<Value<'a>>> {
    let both = |left, right| Some(value(left, given)?.zip(value(right, given)?));
    Some(match node {
        Node::Bool(truth) => Some(Value::Bool(*truth)),
        Node::Int(number) => Some(Value::Int(*number)),
        Node::Text(text) => Some(Value::Text(text)),
        Node::HasContact(channel) if given.contact == Some(&**channel) => Some(Value::Bool(true)),
        Node::HasConsent(channel) if given.consent && given.contact == Some(&**channel) => Some(Value::Bool(true)),
        Node::Not(inner) => match value(inner, given)? {
            Some(Value::Bool(truth)) => Some(Value::Bool(!truth)),
            _ => None,
        },
        Node::Negative(inner) => match value(inner, given)? {
            Some(Value::Int(number)) => number.checked_neg().map(Value::Int),
            _ => None,
        },
        Node::Both(left, right) => return joined(left, right, given, false),
        Node::Either(left, right) => return joined(left, right, given, true),
        Node::Compare(how, left, right) => {
            both(left, right)?.map(|(left, right)| Value::Bool(compare(*how, left, right)))
        }
        Node::Calculate(how, left, right) => match both(left, right)? {
            Some((Value::Int(left), Value::Int(right))) => calculate(*how, left, right).map(Value::Int),
            _ => None,
        },
        Node::Search(how, text_in, part) => match both(text_in, part)? {
            Some((Value::Text(text), Value::Text(part))) => Some(Value::Bool(search(*how, text, part))),
            _ => None,
        },
        Node::Choose(condition, yes, no) => match value(condition, given)? {
            Some(Value::Bool(truth)) => return value(if truth { yes } else { no }, given),
            _ => None,
        },
        Node::Length(inner) => match value(inner, given)? {
            Some(Value::Text(text)) => Some(Value::Int(count(text.chars().count()))),
            _ => None,
        },
        _ => return None,
    })
}

/// `&&` is decided by one `false`, `||` by one `true`.
fn joined<'a>(left: &'a Node, right: &'a Node, given: &Given<'_>, decisive: bool) -> Option<Option<Value<'a>>> {
    let decided = Some(Some(Value::Bool(decisive)));
    let (left, right) = (value(left, given), value(right, given));
    if left == decided || right == decided {
        return decided;
    }
    let (left, right) = (left?, right?);
    Some(left.and(right))
}
