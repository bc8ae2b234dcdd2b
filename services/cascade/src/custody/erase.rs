//! `cascade erase`: forgets a customer, waits until that is done, and says what remains where, and for how long at most.
//!
//! The erasure is a tombstone in `profile`: it takes the profile out of that topic, and intake and operator treat it as the customer's wish to
//! be forgotten. It is the same record that a shop may write itself.

use std::fmt::Write;
use std::time::Duration;

use campaign::Row;
use schemas::{Cleanup, Reason, Topic};
use stream::admin;
use stream::clock::Tick;
use stream::kafka::partition_of;
use stream::publisher::Publisher;

use super::rows;
use crate::config::Common;
use crate::failure::{Exit, Failure};
use crate::reading::Decisions;
use crate::{reading, times, topics};

/// Whom.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The customer's id
    #[arg(long, value_name = "ID")]
    pub customer: String,
    /// Do it. Without this it is only shown what is known, and where
    #[arg(long)]
    pub yes: bool,
    /// Seconds to wait for the operator's word that it is done
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub patience: u64,
}

/// Erases, with proof.
///
/// # Errors
/// `NotNow` if nobody says within the patience that it is done: the wish stands in its topic, and will be met. Those of Kafka.
pub fn run(common: &Common, args: &Args) -> Result<String, Failure> {
    let names = &common.topics;
    let needed = [names.profile(), names.input(), names.changelog(), names.journal(), names.dead_letter()];
    topics::require(common, &needed)?;
    let before = rows::find(common, &args.customer)?;
    let mut told = match &before {
        None => format!("no row is known of customer {}\n", args.customer),
        Some((partition, _)) => format!("a row of customer {} is in partition {partition}\n", args.customer),
    };
    other_ids(before.as_ref().map(|(_, row)| row), &mut told);
    if args.yes {
        await_erasure(common, args)?;
        if rows::find(common, &args.customer)?.is_some() {
            let sentence =
                format!("customer {} was erased, and something came after it: look, and erase again", args.customer);
            return Err(Failure::new(Exit::NotNow, format!("{told}{sentence}")));
        }
        let _ = writeln!(told, "customer {} is forgotten: the operator has said so, and no row is left", args.customer);
    } else {
        told.push_str("nothing was erased: add --yes to do it\n");
    }
    remains(common, &args.customer, &mut told)?;
    Ok(told)
}

/// Ids that are erased each for itself.
fn other_ids(row: Option<&Row>, told: &mut String) {
    let Some(Row::Customer(customer)) = row else { return };
    let others = customer.formerly.iter().map(|former| &former.customer_id).chain(&customer.moved_to);
    for other in others {
        let _ = writeln!(told, "known under {other}, too: that id is erased by a command of its own");
    }
}

/// Writes the wish, and waits until the journal says that it was met.
fn await_erasure(common: &Common, args: &Args) -> Result<(), Failure> {
    let (profile, topic) = (common.topics.profile(), common.topics.journal());
    let customer = args.customer.as_bytes();
    let mut decisions = Decisions::from_now(&common.kafka, &topic, |count| vec![partition_of(customer, count)])?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::unexpected)?;
    let publisher = Publisher::new(&common.kafka, &[profile.as_str()])?;
    runtime.block_on(publisher.publish(&profile, None, Some(customer), None, &[]))?;
    let until = Tick::now().after(Duration::from_secs(args.patience));
    while !until.remaining().is_zero() {
        let mut is_done = false;
        decisions.hear(
            Duration::from_millis(200),
            |key| key == customer,
            |decision| is_done |= decision.reason == Reason::Erased && decision.campaign.is_empty(),
        )?;
        if is_done {
            return Ok(());
        }
    }
    let sentence = format!(
        "the wish to erase customer {} is in {profile}, and nobody has met it within {} s: see whether intake and operator run; ask again then",
        args.customer, args.patience
    );
    Err(Failure::new(Exit::NotNow, sentence))
}

/// What is left of somebody in a topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Left {
    /// Records with a value; tombstones hold nothing but the id.
    values: u64,
    /// Broker's time of the newest one with a value.
    newest: i64,
}

/// Says what remains in each topic, and until when at most, as the brokers keep it.
fn remains(common: &Common, customer: &str, told: &mut String) -> Result<(), Failure> {
    let existing = topics::existing(common)?;
    let mut any = false;
    for topic in common.topics.catalogue(&common.channels, common.partitions) {
        let Some(found) = existing.get(&topic.name) else { continue };
        let left = left(common, &topic, customer)?;
        if left.values == 0 {
            continue;
        }
        if !any {
            told.push_str("what remains, and until when at most:\n");
            any = true;
        }
        let until = match kept(&topic, found) {
            Some(kept) => times::utc(left.newest + kept),
            None => "for ever: its retention has no end; see `cascade topics verify`".to_owned(),
        };
        let _ = writeln!(told, "  {:<24} {:>6} records  {until}", topic.name, left.values);
    }
    if !any {
        told.push_str("nothing remains in any topic\n");
    }
    told.push_str("records with another key than the customer's id are not looked for: receipts and attempts hold ids of sends, and no address\n");
    Ok(())
}

/// For how long at most a record stays after it was written, or replaced by a tombstone, in milliseconds. Segments go whole: a record stays as
/// long as the newest one beside it.
fn kept(topic: &Topic, found: &admin::Topic) -> Option<i64> {
    let number = |name: &str| found.configs.get(name).and_then(|value| value.parse::<i64>().ok()).filter(|ms| *ms >= 0);
    let delay = || number("max.compaction.lag.ms").filter(|ms| *ms < i64::MAX);
    let ms = match topic.cleanup {
        Cleanup::Delete => number("retention.ms")?,
        Cleanup::Compact => delay()?,
        Cleanup::CompactDelete => number("retention.ms")?.min(delay().unwrap_or(i64::MAX)),
    };
    ms.checked_add(number("segment.ms")?)
}

/// Counts. A record of a customer is in the partition of the key, but for topics whose partitions may have been added to.
fn left(common: &Common, topic: &Topic, customer: &str) -> Result<Left, Failure> {
    let mut left = Left::default();
    let is_row = topic.name == common.topics.changelog();
    let count = reading::partitions(&common.kafka, &topic.name)?;
    let partitions = match topic.spread {
        schemas::Spread::Shared => {
            let home = partition_of(customer.as_bytes(), count);
            home..home + 1
        }
        _ => 0..count,
    };
    for partition in partitions {
        reading::partition(&common.kafka, &topic.name, partition, |record| {
            let key = record.key().unwrap_or_default();
            let whose = if is_row { key.get(1..).unwrap_or_default() } else { key };
            if whose == customer.as_bytes() && record.value().is_some() {
                left.values += 1;
                left.newest = left.newest.max(record.timestamp());
            }
        })?;
    }
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(settings: &[(&str, &str)]) -> admin::Topic {
        let configs = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        admin::Topic { configs: configs.collect(), ..admin::Topic::default() }
    }

    #[test]
    fn what_the_brokers_keep_counts_and_not_what_they_should() {
        let catalogue = schemas::Topics::new("").catalogue(&["sms"], 1);
        let named = |name: &str| catalogue.iter().find(|topic| topic.name == name).unwrap();
        let (input, changelog) = (named("input"), named("changelog"));
        assert_eq!(kept(input, &found(&[("retention.ms", "1000"), ("segment.ms", "10")])), Some(1010));
        assert_eq!(kept(input, &found(&[("retention.ms", "-1"), ("segment.ms", "10")])), None);
        assert_eq!(kept(changelog, &found(&[("max.compaction.lag.ms", "500"), ("segment.ms", "10")])), Some(510));
        let endless = i64::MAX.to_string();
        assert_eq!(kept(changelog, &found(&[("max.compaction.lag.ms", &endless), ("segment.ms", "10")])), None);
    }

    #[test]
    fn every_topic_with_somebodys_data_is_emptied_in_time() {
        for topic in schemas::Topics::new("").catalogue(&["sms"], 1) {
            let settings = topic.settings().into_iter().map(|(name, value)| (name.to_owned(), value));
            let own = admin::Topic { configs: settings.collect(), ..admin::Topic::default() };
            assert!(kept(&topic, &own).is_some(), "{} keeps what was erased for ever", topic.name);
        }
    }

    #[test]
    fn other_ids_are_named() {
        let mut told = String::new();
        let former = schemas::Former { customer_id: "c0".to_owned(), adopted: None };
        let customer = schemas::Customer {
            formerly: vec![former],
            moved_to: Some("c2".to_owned()),
            ..schemas::Customer::default()
        };
        other_ids(Some(&Row::Customer(customer)), &mut told);
        assert!(told.contains("known under c0") && told.contains("known under c2"), "{told}");
    }
}
