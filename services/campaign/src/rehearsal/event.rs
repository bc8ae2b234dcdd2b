//! What can happen on a line, understood.

use schemas::{Actor, Campaign, Fact, Outcome, Status};

use crate::channel::outcomes;

/// One happening.
#[derive(Clone, Debug)]
pub enum Event {
    /// The customer has an address and a consent on just these channels.
    Has(Vec<String>),
    /// The consents for these channels are withdrawn.
    Refuses(Vec<String>),
    /// All other that is known of the customer.
    Profile(Vec<(String, String)>),
    /// The customer is forgotten.
    Erased,
    /// A fact that is complete but for its id, its customer and its time.
    Fact(Box<Fact>),
    /// A word about the last message of a step.
    Word {
        /// The step's name.
        step: String,
        /// What is said.
        status: Status,
        /// By whom it was caused.
        actor: Actor,
        /// What it came to, where it was a task for a person.
        outcome: Outcome,
        /// The provider's code.
        code: Option<String>,
    },
    /// Something is said of a campaign's life, complete but for its time; a version that comes into force, but for its text.
    Said(Box<Campaign>),
    /// The last fact comes once more.
    Again,
    /// Whether the worker hands over at once.
    Worker(bool),
    /// Nobody looked until now.
    Down,
    /// What happens finds the deadlines unseen.
    Piled(Box<Event>),
    /// Everything that fell due is looked at now.
    Deadlines,
    /// Nothing else happens until now.
    Passes,
}

impl Event {
    /// Whether it finds unseen what fell due since the line above.
    pub fn is_unseen(&self) -> bool {
        matches!(self, Event::Down | Event::Deadlines | Event::Piled(_))
    }
}

/// What is said about a message, and by whom it was caused.
pub(super) const STATUSES: [(&str, Status, Actor); 17] = [
    ("accepted", Status::Accepted, Actor::Unspecified),
    ("sent", Status::Sent, Actor::Unspecified),
    ("delivered", Status::Delivered, Actor::Unspecified),
    ("opened", Status::Opened, Actor::Human),
    ("clicked", Status::Clicked, Actor::Human),
    ("replied", Status::Replied, Actor::Human),
    ("machine-opened", Status::Opened, Actor::Machine),
    ("machine-clicked", Status::Clicked, Actor::Machine),
    ("refused", Status::Refused, Actor::Unspecified),
    ("revoked", Status::Revoked, Actor::Unspecified),
    ("expired", Status::Expired, Actor::Unspecified),
    ("unknown", Status::Unknown, Actor::Unspecified),
    ("bounced", Status::BouncedHard, Actor::Unspecified),
    ("deferred", Status::BouncedSoft, Actor::Unspecified),
    ("failed", Status::Failed, Actor::Unspecified),
    ("unsubscribed", Status::Unsubscribed, Actor::Human),
    ("complained", Status::Complained, Actor::Human),
];

/// What was told of a task for a person: as in campaigns, with `-` for a space.
pub(super) fn outcome(word: &str) -> Option<Outcome> {
    outcomes().find(|(known, _)| known.replace(' ', "-") == word).map(|(_, outcome)| outcome)
}

/// The words that a happening begins with, besides the statuses.
pub(super) const WORDS: [&str; 21] = [
    "has",
    "refuses",
    "profile",
    "erased",
    "cart",
    "registers",
    "silent",
    "does",
    "again",
    "unreadable",
    "release",
    "apply",
    "pause",
    "resume",
    "stop",
    "migrate",
    "worker",
    "down",
    "piled",
    "deadlines",
    "time passes",
];
