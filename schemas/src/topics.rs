//! The catalogue of topics, written once: `cascade topics plan|apply|verify`, every service and the documents work from it.
//!
//! Three things in it are not a matter of taste:
//!
//! * `input`, `changelog`, `revoke`, `send.*` and `attempt.*` have the same number of partitions. Partition p of each belongs
//!   to the same customers, and tasks, withdrawals and a worker's memory are found by p.
//! * What withdraws a command (`revoke`) and what remembers it (`attempt.*`) is kept longer than the command (`send.*`):
//!   otherwise a late worker would hand over what was withdrawn, or hand it over twice.
//! * State outlives every retention in `changelog`, which is compacted only: a cascade of half a year loses nothing. Its
//!   story is in `journal`, which is kept for more than a year.

use crate::codec::RECORD_BYTES_MAX;
use crate::{
    Action, Attempt, Campaign, Cart, Customer, Feedback, Inactivity, Input, Journal, Millis, Profile, Record,
    Registration, Reply, Revoke, Send, Suppression,
};

/// Names of all topics: a prefix, which may be empty, and the name after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topics {
    prefix: String,
}

/// One topic as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Full name, with the prefix.
    pub name: String,
    /// Number of partitions to create.
    pub partitions: i32,
    /// Whether an existing topic may have another number of partitions.
    pub spread: Spread,
    /// What becomes of old records.
    pub cleanup: Cleanup,
    /// How long records are kept that `cleanup` deletes. None: for ever.
    pub retention: Option<Millis>,
    /// Largest batch that the broker takes, in bytes.
    pub bytes_max: usize,
    /// Full name of the record's schema; empty where values are of other topics.
    pub record: &'static str,
    /// What the key is.
    pub key: &'static str,
    /// Who writes it.
    pub writers: &'static str,
    /// Who reads it.
    pub readers: &'static str,
}

/// How many partitions a topic has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// Exactly as many as `input`.
    Shared,
    /// Any number: nobody counts on it.
    Free,
    /// One, because its order is the order of all.
    One,
}

/// What becomes of old records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleanup {
    /// They are deleted when their retention is over.
    Delete,
    /// The last of each key is kept for ever.
    Compact,
    /// Both: the last of each key, until its retention is over.
    CompactDelete,
}

/// Why a name cannot be that of a topic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Characters that Kafka refuses, or that clash in the names of its metrics.
    #[error("`{0}` cannot be part of a topic's name: use lower-case letters, digits and `-` (a prefix also `.`)")]
    Characters(String),
    /// Kafka's limit.
    #[error("topic `{0}` has more than 249 characters: choose a shorter prefix or channel name")]
    TooLong(String),
}

/// Largest record that a source may hold, in bytes: intake wraps it, and the whole must stay under [`RECORD_BYTES_MAX`].
pub const SOURCE_BYTES_MAX: usize = 1_000_000;

/// Largest dead letter, in bytes as the brokers count them. What it holds may be compressed less well than it was in its source, or not at
/// all; so whoever writes one leaves out what is more than this, less [`OVERHEAD_BYTES`].
pub const DEAD_LETTER_BYTES_MAX: usize = 2 * RECORD_BYTES_MAX;

/// Frame, key and headers of a record that has its full size.
pub const OVERHEAD_BYTES: usize = 64 * 1024;

const MINUTE: Millis = 60_000;
const DAY: Millis = 24 * 60 * MINUTE;

/// Events that are no longer new. Long enough for a long week-end without intake.
const SOURCE_RETENTION: Millis = 14 * DAY;
/// What a replay reads. It holds personal data, so it is not kept longer than replays are of use.
const INPUT_RETENTION: Millis = 30 * DAY;
/// Commands hold addresses. Each names the moment after which it must not go out, which lies well before.
const SEND_RETENTION: Millis = 7 * DAY;
/// Longer than any command can be read.
const MEMORY_RETENTION: Millis = 2 * SEND_RETENTION;
/// A year can be explained, and compared with the year before.
const JOURNAL_RETENTION: Millis = 400 * DAY;
/// Time for people to read and to answer. It holds what customers wrote, so it is kept no longer.
const REPLY_RETENTION: Millis = 30 * DAY;
/// Time to look at what could not be read.
const DEAD_LETTER_RETENTION: Millis = 90 * DAY;
/// A reader that was away for less sees every tombstone.
const TOMBSTONE_RETENTION: Millis = 7 * DAY;
/// What was erased, or replaced, is gone from disks after this and the age of a segment.
const COMPACTION_DELAY: Millis = 7 * DAY;
/// A restore that is under way still finds the version of a row that it knows of.
const COMPACTION_LAG: Millis = 10 * MINUTE;

impl Topics {
    /// Names with this prefix, a dot after it; without one where it is empty.
    pub fn new(prefix: &str) -> Self {
        Topics { prefix: prefix.to_owned() }
    }

    /// The prefix; empty for none.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether Kafka takes the names for these channels.
    pub fn check(&self, channels: &[impl AsRef<str>]) -> Result<(), NameError> {
        let plain = |word: &str, extra: &str| {
            word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || extra.contains(c))
        };
        if !plain(&self.prefix, ".") || self.prefix.starts_with('.') || self.prefix.ends_with('.') {
            return Err(NameError::Characters(self.prefix.clone()));
        }
        if let Some(channel) =
            channels.iter().map(AsRef::as_ref).find(|channel| channel.is_empty() || !plain(channel, ""))
        {
            return Err(NameError::Characters(channel.to_owned()));
        }
        match self.catalogue(channels, 1).into_iter().find(|topic| topic.name.len() > 249) {
            Some(topic) => Err(NameError::TooLong(topic.name)),
            None => Ok(()),
        }
    }

    /// Consumer group of a service, and prefix of its transactional ids: under the same prefix as the topics, so that two
    /// installations on one cluster do not take each other for a restart.
    pub fn group(&self, service: &str) -> String {
        if self.prefix.is_empty() { format!("cascade.{service}") } else { self.name(service) }
    }

    fn name(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}.{name}", self.prefix) }
    }
}

/// One function for each topic that has one name.
macro_rules! names {
    ($($(#[$doc:meta])* $function:ident $name:literal;)*) => {
        impl Topics {
            $($(#[$doc])* pub fn $function(&self) -> String { self.name($name) })*
        }
    };
}

names! {
    /// Source of carts.
    cart "cart";
    /// Source of registrations.
    registration "registration";
    /// Source of inactivity.
    inactivity "inactivity";
    /// Source of actions.
    action "action";
    /// Source of profiles.
    profile "profile";
    /// Source of feedback: written by channel workers and the tracker, read by intake as the other sources are.
    feedback "feedback";
    /// Everything that the operator reads.
    input "input";
    /// The operator's state.
    changelog "changelog";
    /// Withdrawals of commands.
    revoke "revoke";
    /// What customers write back, for people.
    reply "reply";
    /// Why each thing was done.
    journal "journal";
    /// Who was erased and did not want to be written to, as keyed hashes.
    suppression "suppression";
    /// Campaign versions and the facts about them.
    campaign "campaign";
    /// What could not be read.
    dead_letter "dead-letter";
}

impl Topics {
    /// Commands of a channel.
    pub fn send(&self, channel: &str) -> String {
        self.name(&format!("send.{channel}"))
    }

    /// The memory of a channel's workers.
    pub fn attempt(&self, channel: &str) -> String {
        self.name(&format!("attempt.{channel}"))
    }

    /// The six topics that intake reads, with what is in them.
    pub fn sources(&self) -> [(String, &'static str); 6] {
        [
            (self.cart(), Cart::NAME),
            (self.registration(), Registration::NAME),
            (self.inactivity(), Inactivity::NAME),
            (self.action(), Action::NAME),
            (self.profile(), Profile::NAME),
            (self.feedback(), Feedback::NAME),
        ]
    }

    /// Every topic, in the order of a message's way. `partitions` is the number that `input` has.
    pub fn catalogue(&self, channels: &[impl AsRef<str>], partitions: i32) -> Vec<Topic> {
        let mut topics: Vec<Topic> =
            self.sources().into_iter().map(|(name, record)| source(name, record, partitions)).collect();
        topics.push(Topic {
            retention: Some(INPUT_RETENTION),
            key: "customer id, or a reserved key of a row that customers share; none for progress",
            ..topic(self.input(), Input::NAME, partitions, "intake, operator", "operator")
        });
        topics.push(Topic {
            cleanup: Cleanup::Compact,
            key: "customer id, or a reserved key of the engine",
            ..topic(self.changelog(), Customer::NAME, partitions, "operator", "operator")
        });
        for channel in channels.iter().map(AsRef::as_ref) {
            topics.push(Topic {
                retention: Some(SEND_RETENTION),
                ..topic(self.send(channel), Send::NAME, partitions, "operator", "channel workers")
            });
        }
        topics.push(Topic {
            retention: Some(MEMORY_RETENTION),
            ..topic(self.revoke(), Revoke::NAME, partitions, "operator", "channel workers")
        });
        for channel in channels.iter().map(AsRef::as_ref) {
            topics.push(Topic {
                cleanup: Cleanup::CompactDelete,
                retention: Some(MEMORY_RETENTION),
                key: "send id; the partition is that of its send",
                ..topic(self.attempt(channel), Attempt::NAME, partitions, "channel workers", "channel workers")
            });
        }
        topics.push(Topic {
            spread: Spread::Free,
            retention: Some(REPLY_RETENTION),
            ..topic(
                self.reply(),
                Reply::NAME,
                partitions,
                "channel workers, tracker, cascade bounces",
                "a shop's helpdesk",
            )
        });
        topics.push(Topic {
            spread: Spread::Free,
            retention: Some(JOURNAL_RETENTION),
            ..topic(self.journal(), Journal::NAME, partitions, "operator", "cascade journal, reports")
        });
        topics.push(Topic {
            // There are few, and whoever asks where it ends asks once.
            spread: Spread::One,
            cleanup: Cleanup::Compact,
            key: "keyed hash of a channel and a customer id or an address on it",
            ..topic(self.suppression(), Suppression::NAME, 1, "operator", "intake")
        });
        topics.push(Topic {
            spread: Spread::One,
            cleanup: Cleanup::Compact,
            key: "campaign/version, kind, or campaign/kind/applied_at",
            ..topic(self.campaign(), Campaign::NAME, 1, "cascade campaign", "operator, channel workers, cascade")
        });
        topics.push(Topic {
            spread: Spread::Free,
            retention: Some(DEAD_LETTER_RETENTION),
            bytes_max: DEAD_LETTER_BYTES_MAX,
            key: "as in the source",
            ..topic(self.dead_letter(), "", partitions, "intake, operator, channel workers", "cascade dead-letter")
        });
        topics
    }
}

/// With so many copies, two have to confirm what is written.
const COPIES_FOR_TWO: i32 = 3;

/// What most topics are: keyed by customer, as many partitions as `input`, records deleted some time.
fn topic(name: String, record: &'static str, partitions: i32, writers: &'static str, readers: &'static str) -> Topic {
    Topic {
        name,
        partitions,
        spread: Spread::Shared,
        cleanup: Cleanup::Delete,
        retention: None,
        bytes_max: RECORD_BYTES_MAX + OVERHEAD_BYTES,
        record,
        key: "customer id",
        writers,
        readers,
    }
}

/// Profiles are whole, so the last of each customer is kept: a new installation takes up the whole base.
fn source(name: String, record: &'static str, partitions: i32) -> Topic {
    let (cleanup, retention) =
        if record == Profile::NAME { (Cleanup::Compact, None) } else { (Cleanup::Delete, Some(SOURCE_RETENTION)) };
    let writers = if record == Feedback::NAME { "channel workers, tracker" } else { "the shop" };
    Topic { spread: Spread::Free, cleanup, retention, ..topic(name, record, partitions, writers, "intake") }
}

impl Topic {
    /// Kafka's settings of the topic that has so many copies, by Kafka's names.
    pub fn settings(&self, copies: i32) -> Vec<(&'static str, String)> {
        let mut settings = vec![
            ("cleanup.policy", self.cleanup.as_str().to_owned()),
            ("retention.ms", self.retention.unwrap_or(-1).to_string()),
            ("retention.bytes", "-1".to_owned()),
            ("max.message.bytes", self.bytes_max.to_string()),
            // The broker's clock: watermarks rest on it, and a producer's wrong clock cannot make a record old at once.
            ("message.timestamp.type", "LogAppendTime".to_owned()),
            // Old records go by whole segments: without this a record might stay for a week more than its retention says.
            ("segment.ms", DAY.to_string()),
        ];
        if self.cleanup != Cleanup::Delete {
            settings.extend([
                ("min.compaction.lag.ms", COMPACTION_LAG.to_string()),
                ("max.compaction.lag.ms", COMPACTION_DELAY.to_string()),
                ("delete.retention.ms", TOMBSTONE_RETENTION.to_string()),
                ("min.cleanable.dirty.ratio", "0.2".to_owned()),
            ]);
        }
        if copies >= COPIES_FOR_TWO {
            // "All copies that are in sync" may be one, and what one broker has confirmed goes with it. Two survive it, and with
            // three one may be away meanwhile. With fewer copies this would stop whoever writes.
            settings.push(("min.insync.replicas", "2".to_owned()));
        }
        settings
    }
}

impl Cleanup {
    /// As Kafka spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Cleanup::Delete => "delete",
            Cleanup::Compact => "compact",
            Cleanup::CompactDelete => "compact,delete",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANNELS: [&str; 3] = ["email", "push", "sms"];

    fn catalogue() -> Vec<Topic> {
        Topics::new("shop").catalogue(&CHANNELS, 12)
    }

    fn named(name: &str) -> Topic {
        catalogue().into_iter().find(|topic| topic.name == name).unwrap_or_else(|| panic!("no topic {name}"))
    }

    #[test]
    fn what_belongs_to_the_same_customers_has_the_same_partitions() {
        for topic in catalogue() {
            let name = topic.name.strip_prefix("shop.").unwrap();
            let shared = ["input", "changelog", "revoke"].contains(&name)
                || name.starts_with("send.")
                || name.starts_with("attempt.");
            assert_eq!(shared, topic.spread == Spread::Shared, "{name}");
            if shared {
                assert_eq!(topic.partitions, 12, "{name}");
            }
        }
    }

    #[test]
    fn withdrawals_and_memory_outlive_the_commands_that_they_are_about() {
        let kept = |name: &str| named(name).retention.unwrap();
        for channel in CHANNELS {
            assert!(kept("shop.revoke") > kept(&format!("shop.send.{channel}")));
            assert!(kept(&format!("shop.attempt.{channel}")) > kept(&format!("shop.send.{channel}")));
        }
    }

    #[test]
    fn of_three_copies_two_confirm_and_fewer_stop_nobody() {
        for topic in catalogue() {
            let least = |copies: i32| {
                let found = topic.settings(copies).into_iter().find(|(name, _)| *name == "min.insync.replicas");
                found.map(|(_, value)| value)
            };
            assert_eq!((least(1), least(2)), (None, None), "{}", topic.name);
            assert_eq!((least(3).as_deref(), least(5).as_deref()), (Some("2"), Some("2")), "{}", topic.name);
        }
    }

    #[test]
    fn state_and_campaigns_are_kept_for_ever() {
        for name in ["shop.changelog", "shop.campaign", "shop.profile", "shop.suppression"] {
            let topic = named(name);
            assert_eq!((topic.cleanup, topic.retention), (Cleanup::Compact, None), "{name}");
        }
        let settings = named("shop.changelog").settings(1);
        assert!(settings.contains(&("min.compaction.lag.ms", "600000".into())), "{settings:?}");
        assert!(settings.contains(&("delete.retention.ms", "604800000".into())), "{settings:?}");
        assert_eq!(named("shop.campaign").partitions, 1);
    }

    #[test]
    fn without_a_prefix_names_are_plain() {
        let topics = Topics::new("");
        assert_eq!(
            (topics.input(), topics.send("sms"), topics.dead_letter()),
            ("input".into(), "send.sms".into(), "dead-letter".into())
        );
    }

    #[test]
    fn names_that_kafka_would_refuse_or_confuse_are_refused_with_the_word() {
        assert_eq!(Topics::new("shop.eu-1").check(&CHANNELS), Ok(()));
        assert_eq!(Topics::new("shop_eu").check(&CHANNELS), Err(NameError::Characters("shop_eu".into())));
        assert_eq!(Topics::new("").check(&["whats.app"]), Err(NameError::Characters("whats.app".into())));
        assert!(matches!(Topics::new(&"a".repeat(245)).check(&CHANNELS), Err(NameError::TooLong(_))));
    }
}
