//! What became of a send: told by the channel worker, by a provider's receipt, by the customer.

use serde::{Deserialize, Serialize};

use crate::Millis;
use crate::symbol::symbols;

/// One fact about one send. Keyed by customer id, so that it meets the cascade that sent it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Feedback {
    /// Unique for the fact: repeats carry the same id.
    pub event_id: String,
    /// Whom it is about; equal to the record's key.
    pub customer_id: String,
    /// When it happened, in business time.
    pub occurred_at: Millis,
    /// The send it is about, as text. A worker's unsubscribe without a send has none.
    pub send_id: Option<String>,
    /// Name of the channel.
    pub channel: String,
    /// What is said.
    pub status: Status,
    /// Who opened or clicked: a machine's open counts as delivered, not as opened.
    pub actor: Actor,
    /// Name of the provider, as configured.
    pub provider: String,
    /// The provider's own id of the message.
    pub provider_id: Option<String>,
    /// The provider's code for a refusal or failure; no address, no text of the message.
    pub code: Option<String>,
    /// What a person who did the task told of it; the status follows from it.
    pub outcome: Outcome,
}

impl Feedback {
    /// The status that is said: an outcome says it, whatever stands beside it; but who wants no more, wants no more.
    pub fn stated(&self) -> Status {
        match self.status {
            status @ (Status::Unsubscribed | Status::Complained) => status,
            status => self.outcome.status().unwrap_or(status),
        }
    }

    /// The status that is concluded: a machine that opens or clicks proves arrival, no more.
    pub fn meant(&self) -> Status {
        match self.stated() {
            Status::Opened | Status::Clicked if self.actor == Actor::Machine => Status::Delivered,
            status => status,
        }
    }
}

symbols! {
    /// What is said about a send. Positive statuses join on a lattice
    /// (`ACCEPTED < SENT < DELIVERED < OPENED < CLICKED < REPLIED`), negative ones stand beside it.
    pub enum Status {
        /// A symbol that this reader does not know. No conclusion is drawn.
        Unspecified = "UNSPECIFIED",
        /// The worker has handed the message over to the provider: the wait of the step begins.
        Accepted = "ACCEPTED",
        /// The provider has passed it on.
        Sent = "SENT",
        /// It arrived.
        Delivered = "DELIVERED",
        /// It was opened, by whom `actor` says.
        Opened = "OPENED",
        /// A link in it was followed, by whom `actor` says.
        Clicked = "CLICKED",
        /// The customer answered it.
        Replied = "REPLIED",
        /// The worker or the provider refused it: no address, no template, blocked. It will never go out.
        Refused = "REFUSED",
        /// Withdrawn before it was handed over.
        Revoked = "REVOKED",
        /// `send_before` had passed before it could be handed over.
        Expired = "EXPIRED",
        /// Nobody knows whether it was handed over (a crash in between), and policy says not to try again.
        Unknown = "UNKNOWN",
        /// Will never arrive: the address is dead.
        BouncedHard = "BOUNCED_HARD",
        /// Did not arrive now; the provider may still try.
        BouncedSoft = "BOUNCED_SOFT",
        /// The provider gave up.
        Failed = "FAILED",
        /// The customer wants no more on this channel.
        Unsubscribed = "UNSUBSCRIBED",
        /// The customer called it spam.
        Complained = "COMPLAINED",
    }
}

symbols! {
    /// What a task for a person came to, such as a call. Of several words about one task the one further down the list holds, in
    /// whatever order they come.
    pub enum Outcome {
        /// A symbol that this reader does not know, or no task for a person. The status counts.
        Unspecified = "UNSPECIFIED",
        /// Nobody answered.
        NoAnswer = "NO_ANSWER",
        /// The line was busy.
        Busy = "BUSY",
        /// Somebody else is there, or nobody: the address is dead.
        WrongNumber = "WRONG_NUMBER",
        /// The customer was spoken to, and nothing more is told.
        Reached = "REACHED",
        /// The customer wants to be asked later.
        Later = "LATER",
        /// The customer promised to do what was hoped for.
        Agreed = "AGREED",
        /// The customer does not want it.
        Declined = "DECLINED",
    }
}

impl Outcome {
    /// The status that it stands for; none where it says nothing.
    pub const fn status(self) -> Option<Status> {
        match self {
            Outcome::Unspecified => None,
            Outcome::NoAnswer | Outcome::Busy => Some(Status::Failed),
            Outcome::WrongNumber => Some(Status::BouncedHard),
            Outcome::Reached | Outcome::Later | Outcome::Agreed | Outcome::Declined => Some(Status::Replied),
        }
    }
}

symbols! {
    /// Who caused an open or a click.
    pub enum Actor {
        /// A symbol that this reader does not know.
        Unspecified = "UNSPECIFIED",
        /// The customer.
        Human = "HUMAN",
        /// A mail privacy proxy, a link scanner.
        Machine = "MACHINE",
    }
}
