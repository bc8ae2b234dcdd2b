//! Reads a changelog from outside, by what its format says, and checks what must hold of every one.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use crate::tail::{Message, read};

/// Everything that is committed in a changelog.
#[derive(Debug)]
pub struct Changelog {
    partitions: BTreeMap<i32, Vec<Entry>>,
}

/// A record of it.
#[derive(Clone, Debug)]
pub enum Entry {
    /// The state of a key; none where it was forgotten.
    Row(Vec<u8>, Option<Vec<u8>>),
    /// Closes a transaction.
    Meta(Meta),
    /// An owner begins.
    Barrier(Barrier),
}

/// What a transaction rests on.
#[derive(Clone, Debug, Deserialize)]
pub struct Meta {
    /// Of this commit.
    pub sequence: Sequence,
    /// Next offset of the input.
    pub next_offset: i64,
    /// What was done under which reading of the clock.
    pub rounds: Vec<Round>,
    /// How far its sweeps are.
    #[serde(default)]
    pub sweeps: Sweeps,
    /// Next offset of the reference topic.
    pub reference: i64,
    /// Generation of the group under which it was committed.
    pub generation: i32,
    /// Who committed it.
    pub owner: String,
    /// Kafka's timestamp: machine time.
    #[serde(skip)]
    pub written_at: i64,
}

/// Position of a commit in the life of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Sequence {
    /// Grows with each owner.
    pub epoch: u64,
    /// Grows with each commit.
    pub n: u64,
}

/// One reading of the clock.
#[derive(Clone, Debug, Deserialize)]
pub struct Round {
    /// The reading.
    pub now: i64,
    /// Records before this offset were applied by its end.
    pub next_offset: i64,
    /// Deadlines up to here were fired by its end.
    pub fired_until: i64,
    /// And those up to this one (due, key), where not all that were due were fired.
    #[serde(default)]
    pub fired_through: Option<(i64, Vec<u8>)>,
    /// Rows that a sweep visited at its end.
    #[serde(default)]
    pub swept: Option<Portion>,
}

/// How far the sweeps of a partition are.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Sweeps {
    /// The latest moment that is done, by the sweep's name.
    pub done: BTreeMap<String, i64>,
    /// The one that is going on, and what it has visited.
    #[serde(default)]
    pub current: Option<Portion>,
}

/// Rows that a sweep visited.
#[derive(Clone, Debug, Deserialize)]
pub struct Portion {
    /// Of the sweep.
    pub name: String,
    /// Its moment.
    pub at: i64,
    /// Rows behind this key; from the first on, if there is none.
    #[serde(default)]
    pub behind: Option<Vec<u8>>,
    /// Up to this one; to the last, if there is none.
    #[serde(default)]
    pub through: Option<Vec<u8>>,
}

impl Portion {
    /// Whether the row of this key is among them.
    pub fn includes(&self, key: &str) -> bool {
        let is_behind = self.behind.as_ref().is_none_or(|behind| key.as_bytes() > behind.as_slice());
        is_behind && self.through.as_ref().is_none_or(|through| key.as_bytes() <= through.as_slice())
    }
}

impl Round {
    /// Whether this deadline of this key was fired by its end.
    pub fn has_fired(&self, due: i64, key: &str) -> bool {
        let is_within = |(last, last_key): &(i64, Vec<u8>)| (due, key.as_bytes()) <= (*last, last_key.as_slice());
        due <= self.fired_until || self.fired_through.as_ref().is_some_and(is_within)
    }
}

/// A time without a commit.
#[derive(Clone, Debug)]
pub struct Pause {
    /// Where.
    pub partition: i32,
    /// How long.
    pub length: Duration,
    /// Who had committed before it.
    pub before: String,
    /// And who did after it.
    pub after: String,
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Pause { partition, length, before, after } = self;
        let seconds = length.as_secs_f64();
        write!(f, "partition {partition} was not served for {seconds:.2} s, between {before} and {after}")
    }
}

/// The first word of an owner.
#[derive(Clone, Debug, Deserialize)]
pub struct Barrier {
    /// Generation of the group.
    pub generation: i32,
    /// Who.
    pub owner: String,
}

impl Changelog {
    /// Reads all of it.
    pub fn read(brokers: &str, topic: &str) -> Self {
        Changelog::of(&read(brokers, topic))
    }

    /// What these records say.
    pub fn of(messages: &[Message]) -> Self {
        let mut partitions: BTreeMap<i32, Vec<Entry>> = BTreeMap::new();
        for message in messages {
            partitions.entry(message.partition).or_default().push(entry(message));
        }
        Changelog { partitions }
    }

    /// The state as the log has it: the last row of each key.
    pub fn rows(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let mut rows = BTreeMap::new();
        for entry in self.partitions.values().flatten() {
            match entry {
                Entry::Row(key, Some(row)) => drop(rows.insert(key.clone(), row.clone())),
                Entry::Row(key, None) => drop(rows.remove(key)),
                Entry::Meta(_) | Entry::Barrier(_) => {}
            }
        }
        rows
    }

    /// Partitions that have an owner, or had one.
    pub fn partitions(&self) -> impl Iterator<Item = i32> {
        self.partitions.keys().copied()
    }

    /// Every META of a partition, in order.
    pub fn metas(&self, partition: i32) -> impl Iterator<Item = &Meta> {
        self.partitions.get(&partition).into_iter().flatten().filter_map(|entry| match entry {
            Entry::Meta(meta) => Some(meta),
            Entry::Row(..) | Entry::Barrier(_) => None,
        })
    }

    /// The longest time between two commits of a partition, of those that ended after `since` (machine time). Where there is
    /// always something to commit, it is the longest time for which the partition was not served.
    pub fn longest_pause(&self, partition: i32, since: i64) -> Option<Pause> {
        let metas: Vec<&Meta> = self.metas(partition).collect();
        let pauses = metas.windows(2).filter(|pair| pair[1].written_at > since).map(|pair| Pause {
            partition,
            length: Duration::from_millis(u64::try_from(pair[1].written_at - pair[0].written_at).unwrap_or(0)),
            before: pair[0].owner.clone(),
            after: pair[1].owner.clone(),
        });
        pauses.max_by_key(|pause| pause.length)
    }

    /// Whose partition it is: the owner of its last record that has one.
    pub fn owner(&self, partition: i32) -> Option<&str> {
        self.partitions.get(&partition)?.iter().rev().find_map(|entry| match entry {
            Entry::Meta(meta) => Some(meta.owner.as_str()),
            Entry::Barrier(barrier) => Some(barrier.owner.as_str()),
            Entry::Row(..) => None,
        })
    }

    /// How often an owner began.
    pub fn barriers(&self) -> usize {
        self.partitions.values().flatten().filter(|entry| matches!(entry, Entry::Barrier(_))).count()
    }

    /// Checks what must hold of every changelog: nobody writes after a newer owner's BARRIER; every row is closed by a META;
    /// commits follow each other without a gap; input, deadlines and clock never go back; nothing is written outside the group.
    #[track_caller]
    pub fn assert_sound(&self) {
        for (partition, entries) in &self.partitions {
            let mut owner: Option<&Barrier> = None;
            let mut last: Option<&Meta> = None;
            let mut open_rows = 0;
            for entry in entries {
                match entry {
                    Entry::Row(..) => open_rows += 1,
                    Entry::Barrier(barrier) => {
                        assert_eq!(open_rows, 0, "partition {partition}: rows without META before a BARRIER");
                        assert!(barrier.generation >= 0, "partition {partition}: a BARRIER from outside the group");
                        owner = Some(barrier);
                    }
                    Entry::Meta(meta) => {
                        open_rows = 0;
                        let owner = owner.unwrap_or_else(|| panic!("partition {partition}: a META before any BARRIER"));
                        assert_eq!(meta.owner, owner.owner, "partition {partition}: a zombie wrote");
                        assert_follows(*partition, last, meta);
                        last = Some(meta);
                    }
                }
            }
            assert_eq!(open_rows, 0, "partition {partition}: rows without META at the end");
        }
    }
}

#[track_caller]
fn assert_follows(partition: i32, last: Option<&Meta>, meta: &Meta) {
    assert!(meta.generation >= 0, "partition {partition}: a commit from outside the group");
    let Some(last) = last else { return };
    let (before, after) = (last.sequence, meta.sequence);
    let is_next =
        (after.epoch == before.epoch && after.n == before.n + 1) || (after.epoch == before.epoch + 1 && after.n == 1);
    assert!(is_next, "partition {partition}: {after:?} after {before:?}");
    assert!(meta.next_offset >= last.next_offset, "partition {partition}: the input went back");
    assert!(meta.reference >= last.reference, "partition {partition}: the reference went back");
    let readings: Vec<i64> = last.rounds.iter().chain(&meta.rounds).map(|round| round.now).collect();
    assert!(readings.is_sorted(), "partition {partition}: the clock went back: {readings:?}");
}

fn entry(message: &Message) -> Entry {
    let json = || message.value.as_deref().expect("control records have a value");
    match message.key.as_slice() {
        [0, b'M'] => {
            let meta: Meta = serde_json::from_slice(json()).expect("META is JSON");
            Entry::Meta(Meta { written_at: message.appended_at, ..meta })
        }
        [0, b'B'] => Entry::Barrier(serde_json::from_slice(json()).expect("BARRIER is JSON")),
        [1, key @ ..] => Entry::Row(key.to_owned(), message.value.as_deref().map(|value| row(value).to_owned())),
        key => panic!("a foreign record in the changelog, key {key:?}"),
    }
}

/// A row's bytes stand behind two numbers, epoch and n, in LEB128: seven bits in each byte, the last without the eighth.
fn row(value: &[u8]) -> &[u8] {
    let after_number = |bytes: &[u8]| bytes.iter().position(|byte| byte & 0x80 == 0).expect("a number ends") + 1;
    let value = &value[after_number(value)..];
    &value[after_number(value)..]
}
