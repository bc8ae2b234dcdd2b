//! What each channel can tell: the tables that the linter and the waits rest on.

use schemas::{Millis, Outcome, Reason};

/// A channel and what becomes known of a message on it.
///
/// "Known" means that providers of this channel report it as a rule. A word that comes nevertheless is believed.
#[derive(Debug, PartialEq, Eq)]
pub struct Channel {
    /// Its name, as in contacts, consents and the topic `send.<channel>`.
    pub name: &'static str,
    /// Receipts of arrival exist.
    pub delivered: bool,
    /// Opening or reading is reported.
    pub opened: bool,
    /// A message costs money: what counts as dear where no price is known.
    pub paid: bool,
    /// Its addresses are telephone numbers, by which prices differ.
    pub numbers: bool,
    /// A message is a task for a person, who tells what it came to.
    pub person: bool,
    /// How long it usually takes until somebody tells whether a message arrived, or what a call came to: so long it is
    /// waited for at least. Zero where nobody tells.
    pub word_within: Millis,
}

const MINUTE: Millis = 60_000;

/// Receipts are as the vendors document them: a bot on Telegram learns neither of arrival nor of reading, an SMS is never
/// "opened", a web push reports only the click. Who was spoken to in a call got the message and has, so to speak, opened it.
///
/// Word of arrival takes seconds where a telephone is on. An operator tries an SMS for minutes before a receipt says more; a
/// mail server answers at once, but one that greylists, or that sends a bounce back by mail, takes a quarter of an hour; a person
/// calls when there is time.
static CHANNELS: [Channel; 11] = [
    Channel { name: "push", delivered: true, opened: true, word_within: MINUTE, ..SILENT },
    Channel { name: "webpush", ..SILENT },
    Channel { name: "email", delivered: true, opened: true, word_within: 15 * MINUTE, ..SILENT },
    Channel { name: "telegram", ..SILENT },
    Channel { name: "vk", ..MESSENGER },
    Channel { name: "max", ..MESSENGER },
    Channel { name: "viber", ..MESSENGER },
    Channel { name: "whatsapp", ..MESSENGER },
    Channel { name: "sms", opened: false, word_within: 5 * MINUTE, ..MESSENGER },
    Channel { name: "call", person: true, word_within: 60 * MINUTE, ..MESSENGER },
    // Of the canary alone, whose messages are for nobody.
    Channel { name: "canary", ..SILENT },
];

/// Free, and nothing becomes known of its messages.
const SILENT: Channel =
    Channel { name: "", delivered: false, opened: false, paid: false, numbers: false, person: false, word_within: 0 };

/// Paid, by telephone number, with receipts of arrival and of reading.
const MESSENGER: Channel =
    Channel { delivered: true, opened: true, paid: true, numbers: true, word_within: 2 * MINUTE, ..SILENT };

impl Channel {
    /// The channel of this name, if there is one.
    pub fn find(name: &str) -> Option<&'static Channel> {
        CHANNELS.iter().find(|channel| channel.name == name)
    }

    /// A message is paid for by segments.
    pub fn in_segments(&self) -> bool {
        self.name == "sms"
    }

    /// Every channel.
    pub(crate) fn all() -> &'static [Channel] {
        &CHANNELS
    }

    /// Every channel's name, for hints.
    pub fn names() -> impl Iterator<Item = &'static str> {
        CHANNELS.iter().map(|channel| channel.name)
    }
}

/// What a task for a person came to: its word in campaigns, and the reason under which the journal tells it.
const OUTCOMES: [(&str, Outcome, Reason); 7] = [
    ("no answer", Outcome::NoAnswer, Reason::NoAnswer),
    ("busy", Outcome::Busy, Reason::Busy),
    ("wrong number", Outcome::WrongNumber, Reason::WrongNumber),
    ("reached", Outcome::Reached, Reason::Reached),
    ("later", Outcome::Later, Reason::Later),
    ("agreed", Outcome::Agreed, Reason::Agreed),
    ("declined", Outcome::Declined, Reason::Declined),
];

/// The words for outcomes.
pub(crate) fn outcomes() -> impl Iterator<Item = (&'static str, Outcome)> {
    OUTCOMES.iter().map(|(word, outcome, _)| (*word, *outcome))
}

/// The word for an outcome; empty where nobody has told.
pub(crate) fn word_of(outcome: Outcome) -> &'static str {
    OUTCOMES.iter().find(|(_, known, _)| *known == outcome).map_or("", |(word, ..)| word)
}

/// The reason under which an outcome is told; none where nobody has told.
pub(crate) fn reason_of(outcome: Outcome) -> Option<Reason> {
    OUTCOMES.iter().find(|(_, known, _)| *known == outcome).map(|(.., reason)| *reason)
}
