//! What became of a send: told by the channel worker, by a provider's receipt, by the customer.

use serde::{Deserialize, Serialize};

use crate::Millis;

/// One fact about one send. Keyed by customer id, so that it meets the cascade that sent it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feedback {
    /// Unique for the fact: repeats carry the same id.
    pub event_id: String,
    pub customer_id: String,
    pub occurred_at: Millis,
    /// The send it is about, as text. A worker's unsubscribe without a send has none.
    pub send_id: Option<String>,
    pub channel: String,
    pub status: Status,
    /// Who opened or clicked: a machine's open counts as delivered, not as opened.
    pub actor: Actor,
    pub provider: String,
    /// The provider's own id of the message.
    pub provider_id: Option<String>,
    /// The provider's code for a refusal or failure; no address, no text of the message.
    pub code: Option<String>,
}

/// What is said about a send. Positive statuses join on a lattice
/// (`ACCEPTED < SENT < DELIVERED < OPENED < CLICKED < REPLIED`), negative ones stand beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// A symbol that this reader does not know. No conclusion is drawn.
    #[default]
    Unspecified,
    /// The worker has handed the message over to the provider: the wait of the step begins.
    Accepted,
    /// The provider has passed it on.
    Sent,
    Delivered,
    Opened,
    Clicked,
    Replied,
    /// The worker or the provider refused it: no address, no template, blocked. It will never go out.
    Refused,
    /// Withdrawn before it was handed over.
    Revoked,
    /// `send_before` had passed before it could be handed over.
    Expired,
    /// Nobody knows whether it was handed over (a crash in between), and policy says not to try again.
    Unknown,
    /// Will never arrive: the address is dead.
    BouncedHard,
    /// Did not arrive now; the provider may still try.
    BouncedSoft,
    /// The provider gave up.
    Failed,
    /// The customer wants no more on this channel.
    Unsubscribed,
    /// The customer called it spam.
    Complained,
}

/// Who caused an open or a click.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Actor {
    #[default]
    Unspecified,
    Human,
    /// A mail privacy proxy, a link scanner.
    Machine,
}
