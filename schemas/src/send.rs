//! What channel workers consume, and the memory they keep of it.

use serde::{Deserialize, Serialize};

use crate::symbol::symbols;
use crate::{Fields, Millis};

/// A command to hand one message over to a provider. Topic `send.<channel>`, keyed by customer id, in the partition of the
/// customer's input.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Send {
    /// UUIDv5 of (instance, step, alternative, attempt), as text. The provider's idempotency key where there is one.
    pub send_id: String,
    /// Whom it is about; equal to the record's key.
    pub customer_id: String,
    /// Name of the campaign.
    pub campaign: String,
    /// Version of the campaign.
    pub version: i32,
    /// Instance id, as text.
    pub instance: String,
    /// The step's name.
    pub step: String,
    /// Which attempt of the step, from 0.
    pub attempt: i32,
    /// Name of the channel.
    pub channel: String,
    /// What caps, quiet hours and one-click unsubscribe apply to.
    pub class: Class,
    /// Where to: secret. Not in logs, metrics or the journal.
    pub address: String,
    /// Name of the template, without the channel's suffix; behind an `@` the version of its files, where the campaign names one.
    pub template: String,
    /// BCP 47.
    pub locale: Option<String>,
    /// What the template may use: the trigger's fields and the profile's attributes.
    pub fields: Fields,
    /// When it was decided.
    pub decided_at: Millis,
    /// After this moment it must not be handed over any more.
    pub send_before: Millis,
    /// Until when the provider may go on trying to deliver it; 0 for no longer than `send_before`.
    pub valid_until: Millis,
    /// Reserved for it, in minor units.
    pub price_minor: i64,
    /// ISO 4217.
    pub currency: String,
    /// Segments of an SMS that this price pays for: a text that takes more is refused. 0 where none are counted.
    pub segments: i32,
    /// Kafka timestamp (machine time) of the record that caused it; 0 where a deadline did.
    pub caused_at: Millis,
}

impl Send {
    /// The template's name, and the version of its files, where the campaign names one: sixteen hexadecimal digits behind an `@`.
    pub fn text(&self) -> (&str, Option<&str>) {
        match self.template.rsplit_once('@') {
            Some((name, version)) if is_version(version) => (name, Some(version)),
            _ => (&self.template, None),
        }
    }
}

/// Whether this is the version of a template.
pub fn is_version(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
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

symbols! {
    /// What caps, quiet hours and one-click unsubscribe apply to.
    pub enum Class {
        /// A symbol that this reader does not know.
        Unspecified = "UNSPECIFIED",
        /// Caps, quiet hours and one-click unsubscribe apply.
        Marketing = "MARKETING",
        /// What the customer waits for: caps that do not name it do not apply, nor do consents.
        Transactional = "TRANSACTIONAL",
    }
}

/// Withdraws a command that was already published. Topic `revoke`, partition as its send's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Revoke {
    /// The send to withdraw, as text.
    pub send_id: String,
    /// Whom it is about; equal to the record's key.
    pub customer_id: String,
    /// Name of the channel.
    pub channel: String,
    /// When it was withdrawn.
    pub revoked_at: Millis,
    /// Why.
    pub reason: crate::Reason,
}

/// A worker's memory of one command: the intent before it calls the provider, the outcome after. Topic `attempt.<channel>`,
/// keyed by send id, partition as its send's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attempt {
    /// The send, as text; equal to the record's key.
    pub send_id: String,
    /// Whom it is about; chooses the partition.
    pub customer_id: String,
    /// How far the worker has come.
    pub state: AttemptState,
    /// Offset of the command in `send.<channel>`.
    pub offset: i64,
    /// When it was written down.
    pub at: Millis,
    /// What came of it; `UNSPECIFIED` for an intent.
    pub status: crate::Status,
    /// The provider's own id of the message.
    pub provider_id: Option<String>,
    /// Version of the template that made the message: a hash of its files.
    pub content: Option<String>,
    /// A code of channel and address, by which what comes back from there finds the send; none on channels where nobody answers.
    pub to: Option<String>,
}

symbols! {
    /// How far a worker has come with a command.
    pub enum AttemptState {
        /// A symbol that this reader does not know.
        Unspecified = "UNSPECIFIED",
        /// The call to the provider is about to be made: from here on its outcome is in doubt until it is written down.
        Intended = "INTENDED",
        /// The outcome is known.
        Settled = "SETTLED",
        /// The provider's id became known after the outcome was written. Its key is the send id and `/named`.
        Named = "NAMED",
    }
}
