//! How people and providers react to a message. Made up, but stated: out of a thousand messages of a channel so many arrive,
//! out of a thousand that arrived so many are opened, and so on, after delays in business time. Dice that hang on the send id
//! decide, so the same message always has the same fate.
//!
//! What can be known is as with real providers: a bot on Telegram learns neither of arrival nor of reading, an SMS is never
//! "opened"; there only a click tells something. Some mails are first opened by the mail program's own proxy, whoever reads them.

use std::collections::BTreeMap;

use schemas::Millis;

use super::chance::Chance;
use super::message::Message;

const SECOND_MS: Millis = 1_000;
const MINUTE_MS: Millis = 60 * SECOND_MS;

/// What is usual on a channel. Delays are drawn between two bounds, short ones more often.
#[derive(Clone, Copy, Debug)]
struct Habits {
    channel: &'static str,
    /// Whether the provider tells of arrival at all.
    has_receipts: bool,
    /// Messages that arrive, and messages of which the provider says that they did not. The rest is lost in silence.
    delivered_per_mille: u64,
    failed_per_mille: u64,
    delivery_seconds: (i64, i64),
    /// Of those that arrived; 0 where nobody learns of it.
    opened_per_mille: u64,
    opening_minutes: (i64, i64),
    /// Of those that were opened or, where nobody learns of that, of those that arrived.
    clicked_per_mille: u64,
    unsubscribed_per_mille: u64,
}

const HABITS: [Habits; 6] = [
    Habits {
        channel: "push",
        has_receipts: true,
        delivered_per_mille: 780,
        failed_per_mille: 120,
        delivery_seconds: (1, 20),
        opened_per_mille: 150,
        opening_minutes: (1, 180),
        clicked_per_mille: 500,
        unsubscribed_per_mille: 0,
    },
    Habits {
        channel: "email",
        has_receipts: true,
        delivered_per_mille: 985,
        failed_per_mille: 0,
        delivery_seconds: (1, 60),
        opened_per_mille: 280,
        opening_minutes: (5, 36 * 60),
        clicked_per_mille: 160,
        unsubscribed_per_mille: 8,
    },
    Habits {
        channel: "telegram",
        has_receipts: false,
        delivered_per_mille: 970,
        failed_per_mille: 0,
        delivery_seconds: (1, 10),
        opened_per_mille: 0,
        opening_minutes: (1, 360),
        clicked_per_mille: 90,
        unsubscribed_per_mille: 3,
    },
    Habits {
        channel: "viber",
        has_receipts: true,
        delivered_per_mille: 820,
        failed_per_mille: 100,
        delivery_seconds: (1, 60),
        opened_per_mille: 550,
        opening_minutes: (1, 480),
        clicked_per_mille: 120,
        unsubscribed_per_mille: 4,
    },
    Habits {
        channel: "whatsapp",
        has_receipts: true,
        delivered_per_mille: 930,
        failed_per_mille: 40,
        delivery_seconds: (1, 30),
        opened_per_mille: 750,
        opening_minutes: (1, 480),
        clicked_per_mille: 120,
        unsubscribed_per_mille: 4,
    },
    Habits {
        channel: "sms",
        has_receipts: true,
        delivered_per_mille: 960,
        failed_per_mille: 25,
        delivery_seconds: (2, 90),
        opened_per_mille: 0,
        opening_minutes: (1, 600),
        clicked_per_mille: 60,
        unsubscribed_per_mille: 0,
    },
];

/// Mails whose pixel is loaded by the mail program's own proxy, whoever reads them: of those that arrived.
const PREFETCHED_PER_MILLE: u64 = 350;

/// One thing that somebody does about a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reaction {
    /// The provider says that it arrived.
    Delivered,
    /// The provider says that it did not.
    Failed,
    /// The mail program's proxy loads the pictures.
    Prefetched,
    /// Somebody reads it.
    Opened,
    /// Somebody follows the first link.
    Clicked,
    /// Somebody wants no more.
    Unsubscribed,
}

/// What will be done about a message that was taken at `at`, and when.
pub fn reactions(message: &Message, at: Millis, chance: Chance) -> Vec<(Millis, Reaction)> {
    let Some(habits) = HABITS.iter().find(|habits| habits.channel == message.channel) else { return Vec::new() };
    let about = message.send_id.as_str();
    let mut reactions = Vec::new();
    let arrived_at = at + between(chance, about, "delivery", habits.delivery_seconds, SECOND_MS);
    let fate = chance.between(0, 999, about, "delivered").unsigned_abs();
    if fate >= habits.delivered_per_mille {
        if fate < habits.delivered_per_mille + habits.failed_per_mille {
            reactions.push((arrived_at, Reaction::Failed));
        }
        return reactions;
    }
    if habits.has_receipts {
        reactions.push((arrived_at, Reaction::Delivered));
    }
    if message.pixel.is_some() && chance.happens(PREFETCHED_PER_MILLE, about, "prefetched") {
        reactions.push((arrived_at + MINUTE_MS, Reaction::Prefetched));
    }
    let mut seen_at = arrived_at + between(chance, about, "opening", habits.opening_minutes, MINUTE_MS);
    if habits.opened_per_mille > 0 {
        if !chance.happens(habits.opened_per_mille, about, "opened") {
            return reactions;
        }
        reactions.push((seen_at, Reaction::Opened));
    }
    seen_at += chance.between(5, 120, about, "thinking") * SECOND_MS;
    if chance.happens(habits.clicked_per_mille, about, "clicked") {
        reactions.push((seen_at, Reaction::Clicked));
    }
    if chance.happens(habits.unsubscribed_per_mille, about, "unsubscribed") {
        reactions.push((seen_at + MINUTE_MS, Reaction::Unsubscribed));
    }
    reactions
}

fn between(chance: Chance, about: &str, question: &str, (low, high): (i64, i64), unit_ms: Millis) -> Millis {
    // Drawn in small steps, so that not everything happens on the full minute.
    chance.delay(low * unit_ms, high * unit_ms, about, question)
}

/// Reactions to come, in the order of time. What happens at the same moment is ordered by send id.
#[derive(Debug, Default)]
pub struct Agenda {
    entries: BTreeMap<(Millis, String, Reaction), Message>,
}

impl Agenda {
    /// Notes all reactions to a message.
    pub fn note(&mut self, message: &Message, at: Millis, chance: Chance) {
        for (when, reaction) in reactions(message, at, chance) {
            self.entries.insert((when, message.send_id.clone(), reaction), message.clone());
        }
    }

    /// Takes out what is due before `until`.
    pub fn due(&mut self, until: Millis) -> Vec<(Reaction, Message)> {
        let later = self.entries.split_off(&(until, String::new(), Reaction::Delivered));
        let due = std::mem::replace(&mut self.entries, later);
        due.into_iter().map(|((_, _, reaction), message)| (reaction, message)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(channel: &str, number: usize) -> Message {
        Message { channel: channel.to_owned(), send_id: format!("send-{number}"), ..Message::default() }
    }

    /// How many of 4 000 messages met with this reaction.
    fn count(channel: &str, wanted: Reaction) -> usize {
        let chance = Chance::seeded(1);
        let all = (0..4_000).flat_map(|number| reactions(&message(channel, number), 0, chance));
        all.filter(|(_, reaction)| *reaction == wanted).count()
    }

    #[test]
    fn every_channel_reacts_as_its_table_says() {
        for habits in HABITS.iter().filter(|habits| habits.has_receipts) {
            let expected = usize::try_from(habits.delivered_per_mille * 4).unwrap();
            let delivered = count(habits.channel, Reaction::Delivered);
            assert!(delivered.abs_diff(expected) < 100, "{}: {delivered} of {expected}", habits.channel);
            let expected = usize::try_from(habits.failed_per_mille * 4).unwrap();
            let failed = count(habits.channel, Reaction::Failed);
            assert!(failed.abs_diff(expected) < 80, "{}: {failed} of {expected}", habits.channel);
        }
        assert!(count("email", Reaction::Opened).abs_diff(1_103) < 100);
        assert_eq!(count("telegram", Reaction::Delivered) + count("telegram", Reaction::Opened), 0);
        assert!(count("telegram", Reaction::Clicked) > 250);
        assert_eq!(count("sms", Reaction::Opened), 0);
    }

    #[test]
    fn nothing_happens_to_a_message_before_it_arrived() {
        for number in 0..500 {
            let told = reactions(&message("email", number), 1_000, Chance::seeded(1));
            assert!(told.is_sorted_by_key(|(at, _)| *at), "{told:?}");
            assert!(told.iter().all(|(at, _)| *at > 1_000));
        }
    }

    #[test]
    fn the_agenda_gives_back_what_is_due_and_keeps_the_rest() {
        let mut agenda = Agenda::default();
        for number in 0..50 {
            agenda.note(&message("viber", number), 0, Chance::seeded(1));
        }
        let before = agenda.entries.len();
        let due = agenda.due(10 * SECOND_MS);
        assert!(!due.is_empty() && due.len() < before);
        assert!(agenda.entries.keys().all(|(at, ..)| *at >= 10 * SECOND_MS));
        assert_eq!(due.len() + agenda.entries.len(), before);
    }
}
