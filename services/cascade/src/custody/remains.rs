//! What is left under a customer's id in each topic, and when it is gone, as the brokers keep it.
//!
//! *Dates.* Segments go whole: a record stays as long as the newest one beside it. Where records are deleted by age, that counts from the newest
//! value. Where the last of each key is kept, a value goes when what replaces it, a tombstone, is cleaned with it: that counts from the
//! tombstone, and a value that is the last word stays until there is one. A date holds where the partition is still written to: brokers
//! clean no segment that is open, and close one only for the next record.

use std::fmt::Write;

use schemas::{Attempt, Campaign, Record, Spread, Suppression, Topic};
use stream::admin;
use stream::kafka::partition_of;

use crate::config::Common;
use crate::failure::Failure;
use crate::{reading, times, topics};

/// What is left of a key in one partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Left {
    /// Records with a value; tombstones hold nothing but the id.
    values: u64,
    /// Broker's time of the newest one with a value.
    newest: i64,
    /// Broker's time of the first tombstone behind it; none where it is the last word.
    replaced: Option<i64>,
}

impl Left {
    fn take(&mut self, at: i64, has_value: bool) {
        if has_value {
            (self.values, self.newest, self.replaced) = (self.values + 1, at.max(self.newest), None);
        } else if self.values > 0 {
            self.replaced.get_or_insert(at);
        }
    }

    /// The last word is a value, which compaction never takes away.
    fn stands(&self) -> bool {
        self.values > 0 && self.replaced.is_none()
    }
}

/// How long it stays, the longest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Until {
    /// At most until then.
    Date(i64),
    /// Until a tombstone comes.
    Erased,
    /// The brokers were told to keep it.
    Never,
}

/// Partitions of `profile` in which the customer's last word is a value. More than one, or another than the key's, where the topic was
/// enlarged: compaction looks at each partition by itself.
///
/// # Errors
/// Those of Kafka.
pub fn standing(common: &Common, customer: &str) -> Result<Vec<i32>, Failure> {
    let profile = common.topics.profile();
    let all = left(common, &profile, Spread::Free, customer)?;
    Ok(all.into_iter().filter(|(_, left)| left.stands()).map(|(partition, _)| partition).collect())
}

/// Says what remains in each topic, and until when at most, and what was not looked for.
///
/// # Errors
/// Those of Kafka.
pub fn tell(common: &Common, customer: &str, told: &mut String) -> Result<(), Failure> {
    let channels = topics::channels(common, &common.topics)?;
    let catalogue = common.topics.catalogue(&channels, common.partitions);
    let existing = topics::existing(common, &catalogue)?;
    let mut any = false;
    // The keys of these are ids of sends, names of campaigns, and keyed hashes.
    let keyed_otherwise = [Attempt::NAME, Campaign::NAME, Suppression::NAME];
    for topic in catalogue.iter().filter(|topic| !keyed_otherwise.contains(&topic.record)) {
        let Some(found) = existing.get(&topic.name) else { continue };
        let all = left(common, &topic.name, topic.spread, customer)?;
        let Some(until) = all.iter().map(|(_, left)| until(topic, found, left)).max() else { continue };
        if !any {
            told.push_str("what remains, and until when at most:\n");
            any = true;
        }
        let until = match until {
            Until::Date(at) => times::utc(at),
            Until::Erased => "until it is erased".to_owned(),
            Until::Never => "for ever: its retention has no end; see `cascade topics verify`".to_owned(),
        };
        let values: u64 = all.iter().map(|(_, left)| left.values).sum();
        let _ = writeln!(told, "  {:<24} {values:>6} records  {until}", topic.name);
    }
    if !any {
        told.push_str("nothing remains under this key in any topic\n");
    }
    let _ = writeln!(
        told,
        "looked for were records whose key is this id, in the topics of {} alone; not looked for:",
        match common.topics.prefix() {
            "" => "no prefix".to_owned(),
            prefix => format!("the prefix {prefix}"),
        }
    );
    told.push_str(NOT_LOOKED_FOR);
    Ok(())
}

/// Whoever answers for it has to know of these.
const NOT_LOOKED_FOR: &str = "  \
  topics of another prefix, such as those from before a `cascade rekey`: they are to be deleted
  records of the shop without a key, or with another one, whose value names this customer, and dead letters of these
  what two ids told each other when they were merged: it has the other id as its key, and what was known lives on in that id's row
  attempt.* (ids of sends, of this customer and of providers, and codes of addresses), and what budgets and shared addresses were told (this id): no address in it
";

/// When the last value of a partition is gone at the latest.
fn until(topic: &Topic, found: &admin::Topic, left: &Left) -> Until {
    let number = |name: &str| found.configs.get(name).and_then(|value| value.parse::<i64>().ok()).filter(|ms| *ms >= 0);
    let policy = found.configs.get("cleanup.policy").map_or(topic.cleanup.as_str(), String::as_str);
    let has = |word: &str| policy.split(',').any(|part| part.trim() == word);
    let segment = number("segment.ms");
    let delay = number("max.compaction.lag.ms").filter(|ms| *ms < i64::MAX);
    let by_age = || left.newest.checked_add(number("retention.ms")?)?.checked_add(segment?);
    // Segments of such a topic are closed at the delay, too.
    let by_tombstone = || left.replaced?.checked_add(delay?)?.checked_add(segment.unwrap_or(i64::MAX).min(delay?));
    let dates = [has("delete").then(by_age).flatten(), has("compact").then(by_tombstone).flatten()];
    match dates.into_iter().flatten().min() {
        Some(at) => Until::Date(at),
        None if has("compact") && left.stands() && delay.is_some() => Until::Erased,
        None => Until::Never,
    }
}

/// What each partition has under the customer's id, those with nothing left out. A record of a customer is in the partition of the key, but for
/// topics whose partitions may have been added to.
fn left(common: &Common, topic: &str, spread: Spread, customer: &str) -> Result<Vec<(i32, Left)>, Failure> {
    let is_row = topic == common.topics.changelog();
    let count = reading::partitions(&common.kafka, topic)?;
    let partitions = match spread {
        Spread::Shared => {
            let home = partition_of(customer.as_bytes(), count);
            home..home + 1
        }
        Spread::Free | Spread::One => 0..count,
    };
    let mut all = Vec::new();
    for partition in partitions {
        let mut left = Left::default();
        reading::partition(&common.kafka, topic, partition, |record| {
            let key = record.key().unwrap_or_default();
            let whose = if is_row { key.get(1..).unwrap_or_default() } else { key };
            if whose == customer.as_bytes() {
                left.take(record.timestamp(), record.value().is_some());
            }
        })?;
        if left.values > 0 {
            all.push((partition, left));
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDLESS: &str = "9223372036854775807";

    fn found(policy: &str, settings: &[(&str, &str)]) -> admin::Topic {
        let all = settings.iter().copied().chain([("cleanup.policy", policy)]);
        let configs = all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        admin::Topic { configs, ..admin::Topic::default() }
    }

    fn named(name: &str) -> Topic {
        schemas::Topics::new("").catalogue(&["sms"], 1).into_iter().find(|topic| topic.name == name).unwrap()
    }

    /// Records of one key, with a value or without.
    fn of(records: &[(i64, bool)]) -> Left {
        let mut left = Left::default();
        records.iter().for_each(|(at, has_value)| left.take(*at, *has_value));
        left
    }

    #[test]
    fn what_is_deleted_by_age_counts_from_the_newest_value() {
        let input = named("input");
        let day = [("retention.ms", "1000"), ("segment.ms", "10")];
        let left = of(&[(100, true), (200, true), (900, false)]);
        assert_eq!((left.values, until(&input, &found("delete", &day), &left)), (2, Until::Date(1_210)));
        let endless = [("retention.ms", "-1"), ("segment.ms", "10")];
        assert_eq!(until(&input, &found("delete", &endless), &left), Until::Never);
    }

    #[test]
    fn what_is_compacted_counts_from_the_tombstone_behind_it_and_stands_without_one() {
        let profile = named("profile");
        let kept = found("compact", &[("max.compaction.lag.ms", "500"), ("segment.ms", "10"), ("retention.ms", "7")]);
        let until = |records: &[(i64, bool)]| until(&profile, &kept, &of(records));
        assert_eq!(until(&[(100, true)]), Until::Erased);
        assert_eq!(until(&[(100, true), (9_000, false)]), Until::Date(9_510));
        assert_eq!(until(&[(100, true), (9_000, false), (20_000, false)]), Until::Date(9_510), "asked for once more");
        assert_eq!(until(&[(100, true), (9_000, false), (20_000, true)]), Until::Erased, "told anew");
        assert_eq!(of(&[(9_000, false)]).values, 0);
    }

    #[test]
    fn what_is_compacted_without_an_end_of_the_delay_has_no_date() {
        let (profile, left) = (named("profile"), of(&[(100, true), (200, false)]));
        let endless = found("compact", &[("max.compaction.lag.ms", ENDLESS), ("segment.ms", "10")]);
        assert_eq!(until(&profile, &endless, &left), Until::Never);
        let closed_late = found("compact", &[("max.compaction.lag.ms", "500"), ("segment.ms", ENDLESS)]);
        assert_eq!(until(&profile, &closed_late, &left), Until::Date(1_200));
    }

    #[test]
    fn what_is_compacted_and_deleted_goes_by_age_if_nothing_replaces_it_before() {
        let attempt = named("attempt.sms");
        let kept = [("max.compaction.lag.ms", "500"), ("segment.ms", "10"), ("retention.ms", "2000")];
        let both = found("compact,delete", &kept);
        assert_eq!(until(&attempt, &both, &of(&[(100, true)])), Until::Date(2_110));
        assert_eq!(until(&attempt, &both, &of(&[(100, true), (300, false)])), Until::Date(810));
        assert_eq!(until(&attempt, &both, &of(&[(100, true), (1_900, false)])), Until::Date(2_110));
    }

    #[test]
    fn of_several_partitions_the_longest_counts() {
        let all = [Until::Date(7), Until::Erased, Until::Date(9)];
        assert_eq!(all.into_iter().max(), Some(Until::Erased));
        assert_eq!([Until::Date(7), Until::Date(9)].into_iter().max(), Some(Until::Date(9)));
        assert_eq!([Until::Never, Until::Erased].into_iter().max(), Some(Until::Never));
    }

    #[test]
    fn every_topic_with_somebodys_data_is_emptied_in_time() {
        for topic in schemas::Topics::new("").catalogue(&["sms"], 1) {
            let settings = topic.settings(1).into_iter().map(|(name, value)| (name.to_owned(), value));
            let own = admin::Topic { configs: settings.collect(), ..admin::Topic::default() };
            let erased = until(&topic, &own, &of(&[(100, true), (200, false)]));
            assert!(matches!(erased, Until::Date(_)), "{} keeps what was erased for ever", topic.name);
        }
    }
}
