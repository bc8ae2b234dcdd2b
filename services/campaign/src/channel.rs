//! What each channel can tell: the table that the linter and the waits rest on.

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
}

/// Receipts are as the vendors document them: a bot on Telegram learns neither of arrival nor of reading, an SMS is never
/// "opened", a web push reports only the click.
static CHANNELS: [Channel; 10] = [
    Channel { name: "push", delivered: true, opened: true, paid: false, numbers: false },
    Channel { name: "webpush", delivered: false, opened: false, paid: false, numbers: false },
    Channel { name: "email", delivered: true, opened: true, paid: false, numbers: false },
    Channel { name: "telegram", delivered: false, opened: false, paid: false, numbers: false },
    Channel { name: "vk", delivered: true, opened: true, paid: true, numbers: true },
    Channel { name: "max", delivered: true, opened: true, paid: true, numbers: true },
    Channel { name: "viber", delivered: true, opened: true, paid: true, numbers: true },
    Channel { name: "whatsapp", delivered: true, opened: true, paid: true, numbers: true },
    Channel { name: "sms", delivered: true, opened: false, paid: true, numbers: true },
    Channel { name: "call", delivered: false, opened: false, paid: true, numbers: true },
];

impl Channel {
    /// The channel of this name, if there is one.
    pub fn find(name: &str) -> Option<&'static Channel> {
        CHANNELS.iter().find(|channel| channel.name == name)
    }

    /// A message is paid for by segments.
    pub(crate) fn in_segments(&self) -> bool {
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
