//! State under another number of partitions: every row of a changelog goes to where its key belongs in a new one.
//!
//! Nobody may be at work meanwhile: [`Settings::members`] and [`unread`] say whether somebody is, or has left something, and [`survey`] what
//! else stands in the way. Rows are written without a META, so nothing of them counts until all are there and were read again; then one
//! transaction writes the METAs of all partitions. A run that was cut off leaves torn rows, which count for nobody: the new topics are
//! made anew, and it is done again.

use crate::Error;
use crate::control::{self, Entry, Meta, Sequence, Sweeps};
use crate::kafka::{Observer, Producer, Reader, Record, Settings, partition_of};
use crate::rows::Rows;

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

/// Records of a topic that a group has not read yet, as far as they count.
///
/// # Errors
/// Those of Kafka.
pub fn unread(settings: &Settings, group: &str, topic: &str, counts: impl Fn(&Record) -> bool) -> Result<u64, Error> {
    let observer = Observer::new(settings, group)?;
    let partitions = observer.partitions(&[topic.to_owned()])?;
    let mut reader = Reader::new(settings)?;
    let index = reader.topic(topic)?;
    let mut count = 0;
    for position in observer.committed(&partitions)? {
        let (low, high) = reader.range(index, position.partition)?;
        let from = position.start_within(low, high)?;
        reader.read_from(index, position.partition, from, |record| count += u64::from(counts(record)))?;
    }
    Ok(count)
}

/// Of a record of an application's input: that it is somebody's. What has no key is none, and nothing follows from it.
pub fn is_somebodys(record: &Record) -> bool {
    record.key().is_some()
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

/// What a look at both sides has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// What would be moved.
    pub sum: Sum,
    /// Why nothing can be moved now, each in a sentence.
    pub obstacles: Vec<String>,
}

/// Looks whether the old side is at rest, in all its partitions, and the new one new. Writes nothing.
///
/// # Errors
/// Those of Kafka, and `Stop` for a record that is none of ours.
pub fn survey(settings: &Settings, from: &Side, to: &Side) -> Result<Survey, Error> {
    let mut survey = Survey { obstacles: not_new(settings, to)?, ..Survey::default() };
    let mut rest = Rest::default();
    for partition in 0..count(settings, &from.changelog)? {
        let rows = Rows::read(settings, &from.changelog, partition)?;
        rows.closed.iter().for_each(|(key, bytes)| survey.sum.add(key, bytes));
        survey.obstacles.extend(rest.take(settings, from, partition, &rows)?);
    }
    Ok(survey)
}

/// Moves the state of one side to the other, whose topics are new. `identity` is the transactional id.
///
/// # Errors
/// `Stop`, with what to do, if the old side is not at rest, the new one is not new (nothing is written then), or what was written is not what was
/// read; those of Kafka.
pub fn rekey(settings: &Settings, identity: &str, from: &Side, to: &Side) -> Result<Sum, Error> {
    let before = survey(settings, from, to)?;
    refuse(&before.obstacles)?;
    let targets = count(settings, &to.changelog)?;
    let mut producer = Producer::new(settings, identity)?;
    let changelog = producer.topic(&to.changelog)?;
    let (mut sum, mut rest) = (Sum::default(), Rest::default());
    for partition in 0..count(settings, &from.changelog)? {
        let rows = Rows::read(settings, &from.changelog, partition)?;
        refuse(&rest.take(settings, from, partition, &rows)?)?;
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
    if found != sum || sum != before.sum {
        let words = format!(
            "{} rows were there, {} were read and {} are there now, or they differ; nothing counts yet",
            before.sum.rows, sum.rows, found.rows
        );
        return Err(Error::stop("move the state", words));
    }
    let metas = rest.metas(settings, identity, to, targets)?;
    producer.begin()?;
    for (partition, meta) in (0..targets).zip(&metas) {
        producer.produce(changelog, Some(partition), Some(control::META_KEY), Some(meta), &[])?;
    }
    producer.commit()?;
    Ok(sum)
}

fn refuse(obstacles: &[String]) -> Result<(), Error> {
    match obstacles.is_empty() {
        true => Ok(()),
        false => Err(Error::stop("move the state", obstacles.join("; "))),
    }
}

/// What all old partitions have in common when nothing goes on.
#[derive(Default)]
struct Rest {
    now: i64,
    sweeps: Option<Sweeps>,
}

impl Rest {
    /// Why this partition is not at rest.
    fn take(&mut self, settings: &Settings, from: &Side, partition: i32, rows: &Rows) -> Result<Vec<String>, Error> {
        let next = rows.meta.as_ref().map(|meta| meta.next_offset);
        let mut reader = Reader::new(settings)?;
        let input = reader.topic(&from.input)?;
        let (low, _) = reader.range(input, partition)?;
        let mut left = 0_u64;
        reader.read_from(input, partition, next.unwrap_or(low).max(low), |record| {
            left += u64::from(is_somebodys(record));
        })?;
        let mut restless = self.judge(rows);
        if left > 0 {
            restless.insert(0, format!("{left} records that were not decided on: let the operator finish"));
        }
        Ok(restless.into_iter().map(|words| format!("partition {partition} of {} has {words}", from.input)).collect())
    }

    /// The same of what the changelog says of it.
    fn judge(&mut self, rows: &Rows) -> Vec<String> {
        let mut restless = Vec::new();
        if !rows.open.is_empty() {
            restless.push("rows of a torn transaction: start the operator once, and end it".to_owned());
        }
        let Some(meta) = &rows.meta else { return restless };
        self.now = self.now.max(meta.now);
        if meta.sweeps.current.is_some() {
            restless.push("a sweep that is not done: let the operator finish it".to_owned());
        }
        for name in meta.sweeps.resting.keys() {
            restless.push(format!(
                "the sweep {name}, which stands still in its midst: let it go on, or give it another moment"
            ));
        }
        // A partition that has no row has nothing to lose by it.
        if rows.closed.is_empty() {
            return restless;
        }
        match &self.sweeps {
            Some(known) if *known != meta.sweeps && meta.sweeps.current.is_none() => {
                restless.push("not done the same sweeps as another one: let the operator finish them".to_owned());
            }
            Some(_) => {}
            None => self.sweeps = Some(meta.sweeps.clone()),
        }
        restless
    }

    /// With which the new partitions begin.
    fn metas(self, settings: &Settings, identity: &str, to: &Side, targets: i32) -> Result<Vec<Vec<u8>>, Error> {
        let mut reader = Reader::new(settings)?;
        let (input, reference) = (reader.topic(&to.input)?, reader.topic(&to.reference)?);
        let (_, reference) = reader.range(reference, 0)?;
        let sweeps = self.sweeps.unwrap_or_default();
        let meta = |partition| {
            let meta = Meta {
                sequence: FIRST,
                next_offset: reader.range(input, partition)?.0,
                sweeps: sweeps.clone(),
                now: self.now,
                reference,
                owner: identity.to_owned(),
                code: env!("CARGO_PKG_VERSION").to_owned(),
                ..Meta::default()
            };
            serde_json::to_vec(&meta).map_err(|error| Error::stop("write a META", error.to_string()))
        };
        (0..targets).map(meta).collect()
    }
}

fn count(settings: &Settings, topic: &str) -> Result<i32, Error> {
    let count = settings.partitions(topic)?;
    count.ok_or_else(|| Error::stop("count partitions", format!("there is no topic {topic}")))
}

/// Topics of the new side that hold, or held, something.
fn not_new(settings: &Settings, to: &Side) -> Result<Vec<String>, Error> {
    let mut reader = Reader::new(settings)?;
    let mut found = Vec::new();
    for topic in [&to.changelog, &to.input] {
        let index = reader.topic(topic)?;
        for partition in 0..count(settings, topic)? {
            if reader.range(index, partition)? != (0, 0) {
                found.push(format!("{topic} is not new: delete this topic alone, no source topic, and make it again"));
                break;
            }
        }
    }
    Ok(found)
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
    use crate::control::Portion;

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

    fn rows(keys: &[&str], sweeps: Sweeps) -> Rows {
        let closed = keys.iter().map(|key| (key.as_bytes().into(), b"row".as_slice().into()));
        let meta = Meta { sequence: FIRST, now: 7, sweeps, ..Meta::default() };
        Rows { closed: closed.collect(), meta: Some(meta), ..Rows::default() }
    }

    fn done(at: i64) -> Sweeps {
        Sweeps { done: [("sale".to_owned(), at)].into(), ..Sweeps::default() }
    }

    #[test]
    fn partitions_that_have_done_the_same_are_at_rest() {
        let mut rest = Rest::default();
        for rows in [rows(&["a"], done(1)), Rows::default(), rows(&["b"], done(1)), rows(&[], done(2))] {
            assert_eq!(rest.judge(&rows), Vec::<String>::new());
        }
        assert_eq!((rest.now, rest.sweeps), (7, Some(done(1))));
    }

    #[test]
    fn torn_rows_and_sweeps_that_are_not_done_stand_in_the_way() {
        let mut rest = Rest::default();
        let torn = Rows { open: vec![(b"a".as_slice().into(), Some(FIRST), None)], ..rows(&["a"], done(1)) };
        assert!(rest.judge(&torn)[0].contains("torn"));
        assert!(rest.judge(&Rows { meta: None, ..torn })[0].contains("torn"), "also where nothing was closed yet");
        assert!(rest.judge(&rows(&["b"], done(2)))[0].contains("the same sweeps"));
        let current = Some(Portion { name: "sale".to_owned(), at: 2, ..Portion::default() });
        let swept = rest.judge(&rows(&[], Sweeps { current, ..done(1) }));
        assert!(swept.len() == 1 && swept[0].contains("a sweep that is not done"), "{swept:?}");
    }
}
