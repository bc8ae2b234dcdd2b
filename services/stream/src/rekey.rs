//! State under another number of partitions: every row of a changelog goes to where its key belongs in a new one.
//!
//! Nobody may be at work meanwhile: [`members`] and [`unread`] say whether somebody is, or has left something. Rows are written without a
//! META, so nothing of them counts until all are there and were read again; then one transaction writes the METAs of all partitions. A run
//! that was cut off leaves torn rows, which count for nobody: the new topics are made anew, and it is done again.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::admin::{Logged, config, refused};
use crate::control::{self, Entry, Meta, Sequence, Sweeps};
use crate::kafka::{Observer, Producer, Reader, Settings, partition_of};
use crate::rows::Rows;
use crate::{Error, Verdict};

const ANSWER: Duration = Duration::from_secs(10);

/// Rows in one transaction.
const TOGETHER: usize = 5_000;

/// Of all rows that are moved, and of the METAs behind them.
const FIRST: Sequence = Sequence { epoch: 1, n: 1 };

/// The topics of an application with state.
#[derive(Clone, Debug)]
pub struct Side {
    /// What it reads.
    pub input: String,
    /// Its state.
    pub changelog: String,
    /// What every replica reads whole.
    pub reference: String,
}

/// Rows, whatever partition they are in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many.
    pub rows: u64,
    /// Of all keys and bytes, in whatever order.
    pub digest: u128,
}

impl Sum {
    fn add(&mut self, key: &[u8], bytes: &[u8]) {
        let mut hash = xxhash_rust::xxh3::Xxh3::new();
        hash.update(&(key.len() as u64).to_be_bytes());
        hash.update(key);
        hash.update(bytes);
        self.rows += 1;
        self.digest = self.digest.wrapping_add(hash.digest128());
    }
}

/// Who is in a group now.
///
/// # Errors
/// `Retry` if the brokers do not answer, `Stop` if they refuse.
pub fn members(settings: &Settings, group: &str) -> Result<Vec<String>, Error> {
    let client: BaseConsumer<Logged> = config(settings)
        .create_with_context(Logged)
        .map_err(|error| Error::stop("configure the Kafka client", error.to_string()))?;
    let list =
        client.fetch_group_list(Some(group), ANSWER).map_err(|error| refused("ask who is in a group", &error))?;
    let members = list.groups().iter().filter(|found| found.name() == group).flat_map(|found| found.members());
    Ok(members.map(|member| member.client_id().to_owned()).collect())
}

/// Records of a topic that a group has not read yet; those without a key are nobody's and do not count.
///
/// # Errors
/// Those of Kafka.
pub fn unread(settings: &Settings, group: &str, topic: &str) -> Result<u64, Error> {
    let observer = Observer::new(settings, group)?;
    let partitions = observer.partitions(&[topic.to_owned()])?;
    let mut reader = Reader::new(settings)?;
    let index = reader.topic(topic)?;
    let mut count = 0;
    for position in observer.committed(&partitions)? {
        let (low, high) = reader.range(index, position.partition)?;
        let from = position.start_within(low, high)?;
        reader.read_from(index, position.partition, from, |record| count += u64::from(record.key().is_some()))?;
    }
    Ok(count)
}

/// Everything that counts in a changelog.
///
/// # Errors
/// Those of Kafka, and `Stop` for a record that is none of ours.
pub fn sum(settings: &Settings, changelog: &str) -> Result<Sum, Error> {
    let mut sum = Sum::default();
    for partition in 0..count(settings, changelog)? {
        Rows::read(settings, changelog, partition)?.closed.iter().for_each(|(key, bytes)| sum.add(key, bytes));
    }
    Ok(sum)
}

/// Moves the state of one side to the other, whose topics are new. `identity` is the transactional id.
///
/// # Errors
/// `Stop`, with what to do, if the old side is not at rest, the new one is not new, or what was written is not what was read; those of Kafka.
pub fn rekey(settings: &Settings, identity: &str, from: &Side, to: &Side) -> Result<Sum, Error> {
    let targets = count(settings, &to.changelog)?;
    require_new(settings, to, targets)?;
    let mut producer = Producer::new(settings, identity)?;
    let changelog = producer.topic(&to.changelog)?;
    let (mut sum, mut rest) = (Sum::default(), Rest::default());
    for partition in 0..count(settings, &from.changelog)? {
        let rows = Rows::read(settings, &from.changelog, partition)?;
        rest.take(settings, from, partition, &rows)?;
        let (mut key, mut value) = (Vec::new(), Vec::new());
        for (number, (id, bytes)) in rows.closed.iter().enumerate() {
            if number % TOGETHER == 0 && producer.is_open() {
                producer.commit()?;
            }
            producer.begin()?;
            control::row_key(id, &mut key);
            value.clear();
            control::start_row(FIRST, &mut value);
            value.extend_from_slice(bytes);
            producer.produce(changelog, Some(partition_of(id, targets)), Some(&key), Some(&value), &[])?;
            sum.add(id, bytes);
        }
        if producer.is_open() {
            producer.commit()?;
        }
    }
    let found = written(settings, &to.changelog, targets)?;
    if found != sum {
        let words =
            format!("{} rows were read and {} are there, or they differ; nothing counts yet", sum.rows, found.rows);
        return Err(Error::stop("move the state", words));
    }
    let mut reader = Reader::new(settings)?;
    let (input, reference) = (reader.topic(&to.input)?, reader.topic(&to.reference)?);
    let (_, reference) = reader.range(reference, 0)?;
    producer.begin()?;
    for partition in 0..targets {
        let meta = Meta {
            sequence: FIRST,
            next_offset: reader.range(input, partition)?.0,
            sweeps: rest.sweeps.clone().unwrap_or_default(),
            now: rest.now,
            reference,
            owner: identity.to_owned(),
            code: env!("CARGO_PKG_VERSION").to_owned(),
            ..Meta::default()
        };
        let bytes = serde_json::to_vec(&meta).map_err(|error| Error::stop("write a META", error.to_string()))?;
        producer.produce(changelog, Some(partition), Some(control::META_KEY), Some(&bytes), &[])?;
    }
    producer.commit()?;
    Ok(sum)
}

/// What all old partitions have in common when nothing goes on.
#[derive(Default)]
struct Rest {
    now: i64,
    sweeps: Option<Sweeps>,
}

impl Rest {
    /// # Errors
    /// `Stop` if this partition is not at rest.
    fn take(&mut self, settings: &Settings, from: &Side, partition: i32, rows: &Rows) -> Result<(), Error> {
        let restless = |words: String| Err(Error::stop("move the state", format!("partition {partition} {words}")));
        let next = rows.meta.as_ref().map(|meta| meta.next_offset);
        let mut reader = Reader::new(settings)?;
        let input = reader.topic(&from.input)?;
        let (low, _) = reader.range(input, partition)?;
        let mut left = 0_u64;
        reader.read_from(input, partition, next.unwrap_or(low).max(low), |record| {
            left += u64::from(record.key().is_some())
        })?;
        if left > 0 {
            return restless(format!(
                "of {} has {left} records that were not decided on: let the operator finish",
                from.input
            ));
        }
        if !rows.open.is_empty() {
            return restless("has rows of a torn transaction: start the operator once, and end it".to_owned());
        }
        let Some(meta) = &rows.meta else { return Ok(()) };
        self.now = self.now.max(meta.now);
        if meta.sweeps.current.is_some() {
            return restless("is in the midst of a sweep: let the operator finish it".to_owned());
        }
        // A partition that has no row has nothing to lose by it.
        match &self.sweeps {
            Some(known) if *known != meta.sweeps && !rows.closed.is_empty() => {
                restless("has not done the same sweeps as another one: let the operator finish them".to_owned())
            }
            Some(_) => Ok(()),
            None => {
                self.sweeps = (!rows.closed.is_empty()).then(|| meta.sweeps.clone());
                Ok(())
            }
        }
    }
}

fn count(settings: &Settings, topic: &str) -> Result<i32, Error> {
    let count = settings.partitions(topic)?;
    count.ok_or_else(|| Error::stop("count partitions", format!("there is no topic {topic}")))
}

fn require_new(settings: &Settings, to: &Side, targets: i32) -> Result<(), Error> {
    let mut reader = Reader::new(settings)?;
    for topic in [&to.changelog, &to.input] {
        let index = reader.topic(topic)?;
        for partition in 0..targets {
            let (low, high) = reader.range(index, partition)?;
            if (low, high) != (0, 0) {
                let words = format!(
                    "{topic}/{partition} is not new: delete this topic alone, no source topic, and make it again"
                );
                return Err(Error::new(Verdict::Stop, "move the state", words));
            }
        }
    }
    Ok(())
}

/// What stands in the new changelog, where it belongs.
fn written(settings: &Settings, changelog: &str, targets: i32) -> Result<Sum, Error> {
    let mut reader = Reader::new(settings)?;
    let topic = reader.topic(changelog)?;
    let mut sum = Sum::default();
    for partition in 0..targets {
        reader.read_whole(topic, partition, |record| {
            if let Ok(Entry::Row { key, sequence: Some(FIRST), bytes: Some(bytes) }) =
                control::read(record.key().unwrap_or_default(), record.value())
                && partition_of(key, targets) == partition
            {
                sum.add(key, bytes);
            }
        })?;
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_tells_rows_apart_and_not_their_order() {
        let of = |rows: &[(&[u8], &[u8])]| {
            let mut sum = Sum::default();
            rows.iter().for_each(|(key, bytes)| sum.add(key, bytes));
            sum
        };
        assert_eq!(of(&[(b"a", b"1"), (b"b", b"2")]), of(&[(b"b", b"2"), (b"a", b"1")]));
        assert_ne!(of(&[(b"a", b"1"), (b"b", b"2")]), of(&[(b"a", b"2"), (b"b", b"1")]));
        assert_ne!(of(&[(b"ab", b"1")]), of(&[(b"a", b"b1")]));
        assert_ne!(of(&[(b"a", b"1")]), of(&[(b"a", b"1"), (b"a", b"1")]));
    }
}
