//! The one topic that the operator reads: every fact about a customer, in one order.

use serde::{Deserialize, Serialize};

use crate::{
    Action, Adopted, Cart, Demand, Feedback, Grant, Hearsay, Holder, Inactivity, Merged, Millis, Profile, Refund,
    Refusal, Registration,
};

/// One fact and where it came from. Keyed by customer id; `Progress` has no key and goes to every partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// The source record that the fact was made from.
    pub origin: Origin,
    /// What is said. New branches are added at the end.
    pub fact: Fact,
    /// How often it was passed on from one row to another: 0 for what came from a source.
    #[serde(default)]
    pub hops: i32,
}

/// The source record that a fact was made from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Origin {
    /// Source topic.
    pub topic: String,
    /// Source partition.
    pub partition: i32,
    /// Source offset.
    pub offset: i64,
    /// The source record's Kafka timestamp: machine time.
    pub appended_at: Millis,
}

/// What is said. The order of the variants is the order of the branches in `input.avsc`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fact {
    /// A cart changed.
    Cart(Cart),
    /// Somebody became a customer.
    Registration(Registration),
    /// Nothing was heard of the customer for a while.
    Inactivity(Inactivity),
    /// The customer did something.
    Action(Action),
    /// All that is known of the customer, anew.
    Profile(Profile),
    /// What became of a send.
    Feedback(Feedback),
    /// A record of unknown meaning came.
    Unreadable(Unreadable),
    /// Somebody released the customer.
    Release(Release),
    /// How far intake has come; about no customer.
    Progress(Progress),
    /// Forwarded to a former id.
    Merged(Merged),
    /// Forwarded by a former id.
    Adopted(Adopted),
    /// Forwarded to a budget.
    Demand(Demand),
    /// Forwarded by a budget: yes.
    Grant(Grant),
    /// Forwarded by a budget: no.
    Refusal(Refusal),
    /// Forwarded to a budget.
    Refund(Refund),
    /// Forwarded to an address.
    Holder(Holder),
    /// Forwarded to an address, or by it.
    Hearsay(Hearsay),
}

/// A record that nobody could read, of a customer whom one can: a fact of unknown meaning. His sends are held until the
/// customer is released.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Unreadable {
    /// The documented code of the refusal, as in the dead letter's headers.
    pub code: String,
}

/// Somebody looked at what could not be read and says that the customer may be written to again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Release {
    /// Unique for the release.
    pub event_id: String,
    /// Whom it is about; equal to the record's key.
    pub customer_id: String,
    /// When it happened, in business time.
    pub occurred_at: Millis,
    /// Who and why, for the journal.
    pub note: String,
}

/// How far intake has come: everything in this source partition up to `until` is in `input` by now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// Source topic.
    pub topic: String,
    /// Source partition.
    pub partition: i32,
    /// Next offset to be read.
    pub offset: i64,
    /// Machine time of the broker (Kafka timestamps).
    pub until: Millis,
}
