//! The operator's state of one customer: what the changelog holds and RocksDB keeps.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Consent, Contact, Id, Millis, Status};

/// Everything that decisions about one customer rest on. Bounded: each list has a limit that `campaign` states and keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Customer {
    pub contacts: Vec<Contact>,
    pub consents: Vec<Consent>,
    pub time_zone: Option<String>,
    pub locale: Option<String>,
    pub attributes: BTreeMap<String, String>,
    /// When the profile was last replaced; older profile records are ignored.
    pub profile_at: Option<Millis>,
    /// Set while a record of unknown meaning waits for somebody to look at it.
    pub held: Option<Hold>,
    /// Cascades that run, in the order in which they were entered.
    pub instances: Vec<Instance>,
    /// Cascades that ended, newest last.
    pub past: Vec<Past>,
    /// What the customer did, newest last.
    pub done: Vec<Done>,
    /// xxh3-64 of the last event ids, newest last: a repeat is recognised by them.
    pub recent: Vec<i64>,
}

/// Why a customer's sends are held (rule 12).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    pub since: Millis,
    pub code: String,
}

/// One run of one campaign version for one customer and one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    pub id: Id,
    pub campaign: String,
    pub version: i32,
    /// The business key (a cart's id), empty where the campaign has none.
    pub key: String,
    /// The event id of the trigger.
    pub trigger: String,
    pub entered_at: Millis,
    pub stage: Stage,
    /// The step that stands at `stage`.
    pub step: i32,
    /// Which of the step's alternatives.
    pub alternative: i32,
    /// When this instance must be looked at again, whatever happens. Never absent while it runs: every instance ends.
    pub due: Millis,
    /// The trigger's fields that predicates and templates use.
    pub fields: BTreeMap<String, String>,
    /// What was sent, in the order of the decisions.
    pub sends: Vec<Sent>,
}

/// Where an instance stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Stage {
    #[default]
    Unspecified,
    /// Entered; waits for the trigger to settle before its first step.
    Settling,
    /// A command is out and may still be handed over: nothing further is decided.
    Dispatched,
    /// Handed over: the step's wait runs.
    Waiting,
}

/// A send command and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    pub id: Id,
    pub step: i32,
    pub alternative: i32,
    pub attempt: i32,
    pub channel: String,
    pub price_minor: i64,
    pub decided_at: Millis,
    pub send_before: Millis,
    pub handed_over_at: Option<Millis>,
    /// The join of the positive statuses so far; `UNSPECIFIED` for none.
    pub reached: Status,
    /// The negative or final word so far; `UNSPECIFIED` for none.
    pub failed: Status,
}

/// A cascade that ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    pub campaign: String,
    pub key: String,
    pub ended_at: Millis,
    /// Symbol of [`Reason`](crate::Reason).
    pub reason: crate::Reason,
    /// The sends of an ended instance whose feedback may still come, so that late receipts are recognised.
    pub sends: Vec<Id>,
}

/// Something the customer did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    pub action: String,
    pub key: Option<String>,
    /// When it happened, as told.
    pub occurred_at: Millis,
}
