//! What customers write back, for people who answer them.

use serde::{Deserialize, Serialize};

use crate::Millis;

/// What a customer wrote. Topic `reply`, keyed by customer id. Nothing is decided by it: the fact beside it (`REPLIED`,
/// `UNSUBSCRIBED`) stands in `feedback`. `Debug` shows no text.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reply {
    /// Unique for the reply: repeats carry the same id.
    pub event_id: String,
    /// Who wrote; equal to the record's key.
    pub customer_id: String,
    /// Name of the channel.
    pub channel: String,
    /// Name of the provider, as configured.
    pub provider: String,
    /// The send that it answers, as text: the one that it names, else the latest to this address.
    pub send_id: Option<String>,
    /// What was written, at most 4 096 characters of it: secret. Not in logs, metrics or the journal.
    pub text: String,
    /// When it was written, in business time; when it came, where the provider does not say.
    pub occurred_at: Millis,
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reply")
            .field("event_id", &self.event_id)
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}
