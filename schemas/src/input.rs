//! The one topic that the operator reads: every fact about a customer, in one order.

use serde::{Deserialize, Serialize};

use crate::{Action, Cart, Feedback, Inactivity, Millis, Profile, Registration};

/// One fact and where it came from. Keyed by customer id; `Progress` has no key and goes to every partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    pub origin: Origin,
    pub fact: Fact,
}

/// The source record that a fact was made from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    /// The source record's Kafka timestamp: machine time.
    pub appended_at: Millis,
}

/// What is said. The order of the variants is the order of the branches in `input.avsc`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fact {
    Cart(Cart),
    Registration(Registration),
    Inactivity(Inactivity),
    Action(Action),
    Profile(Profile),
    Feedback(Feedback),
    Unreadable(Unreadable),
    Release(Release),
    Progress(Progress),
}

/// A record that nobody could read, of a customer whom one can: a fact of unknown meaning. His sends are held until the
/// record was redriven or he was released.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreadable {
    /// The documented code of the refusal, as in the dead letter's headers.
    pub code: String,
}

/// Somebody looked at what could not be read and says that the customer may be written to again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    pub event_id: String,
    pub customer_id: String,
    pub occurred_at: Millis,
    /// Who and why, for the journal.
    pub note: String,
}

/// How far intake has come: everything in this source partition up to `until` is in `input` by now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    pub topic: String,
    pub partition: i32,
    /// Next offset to be read.
    pub offset: i64,
    /// Machine time of the broker (Kafka timestamps).
    pub until: Millis,
}
