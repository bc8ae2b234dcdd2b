//! What channel workers consume, and the memory they keep of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Millis;

/// A command to hand one message over to a provider. Topic `send.<channel>`, keyed by customer id, in the partition of the
/// customer's input.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Send {
    /// UUIDv5 of (instance, step, alternative, attempt), as text. The provider's idempotency key where there is one.
    pub send_id: String,
    pub customer_id: String,
    pub campaign: String,
    pub version: i32,
    /// Instance id, as text.
    pub instance: String,
    /// The step's name.
    pub step: String,
    pub attempt: i32,
    pub channel: String,
    pub class: Class,
    /// Where to: secret. Not in logs, metrics or the journal.
    pub address: String,
    /// Name of the template, without the channel's suffix.
    pub template: String,
    pub locale: Option<String>,
    /// What the template may use: the trigger's fields and the profile's attributes.
    pub fields: BTreeMap<String, String>,
    pub decided_at: Millis,
    /// After this moment it must not be handed over any more.
    pub send_before: Millis,
    /// Reserved for it, in minor units.
    pub price_minor: i64,
    pub currency: String,
    /// Kafka timestamp (machine time) of the record that caused it; 0 where a deadline did.
    pub caused_at: Millis,
}

impl std::fmt::Debug for Send {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Send")
            .field("send_id", &self.send_id)
            .field("channel", &self.channel)
            .field("template", &self.template)
            .finish_non_exhaustive()
    }
}

/// What caps, quiet hours and one-click unsubscribe apply to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Class {
    #[default]
    Unspecified,
    Marketing,
    Transactional,
}

/// Withdraws a command that was already published. Topic `revoke`, partition as its send's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoke {
    pub send_id: String,
    pub customer_id: String,
    pub channel: String,
    pub revoked_at: Millis,
    pub reason: crate::Reason,
}

/// A worker's memory of one command: the intent before it calls the provider, the outcome after. Topic `attempt.<channel>`,
/// keyed by send id, partition as its send's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    pub send_id: String,
    pub customer_id: String,
    pub state: AttemptState,
    /// Offset of the command in `send.<channel>`.
    pub offset: i64,
    pub at: Millis,
    /// What came of it; `UNSPECIFIED` for an intent.
    pub status: crate::Status,
    pub provider_id: Option<String>,
}

/// How far a worker has come with a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AttemptState {
    #[default]
    Unspecified,
    /// The call to the provider is about to be made: from here on its outcome is in doubt until it is written down.
    Intended,
    /// The outcome is known.
    Settled,
}
