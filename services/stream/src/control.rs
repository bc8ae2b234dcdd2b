//! The changelog's format: rows, and the two control records that make them trustworthy.
//!
//! ```text
//! row      key 0x01 + key        value epoch, n (LEB128), then the row's bytes; tombstone: no value
//! META     key 0x00 'M'          value JSON, last record of every transaction in this partition
//! BARRIER  key 0x00 'B'          value JSON, first record of every owner
//! ```
//!
//! A row counts only once a META of its sequence (epoch, n) or a later one stands behind it: a torn transaction leaves rows
//! without META. A new owner writes a BARRIER, replays up to it, and knows all torn rows before it: those that no META closed. Its
//! first transaction writes their keys anew, so that a later META can close no torn row and compaction can keep none.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::Millis;

/// Key of META.
pub const META_KEY: &[u8] = &[0, b'M'];
/// Key of BARRIER.
pub const BARRIER_KEY: &[u8] = &[0, b'B'];
const ROW: u8 = 1;

/// Version of META, BARRIER and a store's checkpoint. One that is newer than what this code writes is refused as it is read: what it
/// has to say, nobody here would understand. Of several that could say a thing the oldest does, so that an older version reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Format(u32);

const NEWEST: u32 = 2;

impl Default for Format {
    fn default() -> Self {
        Format(1)
    }
}

impl Format {
    /// That of a META with these sweeps. Format 1 knows of one at a time.
    pub fn of(sweeps: &Sweeps) -> Self {
        if sweeps.waiting.is_empty() { Format(1) } else { Format(2) }
    }
}

impl TryFrom<u32> for Format {
    type Error = String;

    fn try_from(found: u32) -> Result<Self, String> {
        match found {
            0..=NEWEST => Ok(Format(found)),
            _ => Err(format!("its format is {found}, and this version knows those up to {NEWEST}: upgrade first")),
        }
    }
}

impl From<Format> for u32 {
    fn from(format: Format) -> u32 {
        format.0
    }
}

/// Position of a commit in the life of a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Sequence {
    /// Grows with each owner.
    pub epoch: u64,
    /// Grows with each commit of an owner, from 1.
    pub n: u64,
}

impl Sequence {
    /// Whether the META of this commit closes a row that stands before it: one of its own transaction, or an older one whose META was
    /// compacted away.
    pub fn closes(self, row: Option<Sequence>) -> bool {
        row.is_none_or(|row| row <= self)
    }
}

/// The last commit of an owner. Should brokers lose all of an owner's commits, the next one counts the same numbers again: the claim
/// tells the two apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Of this commit.
    #[serde(flatten)]
    pub sequence: Sequence,
    /// As in [`Meta::claim`].
    #[serde(default)]
    pub claim: u32,
}

/// What a transaction rests on: with this and `input` a replay gives the same bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Of this record.
    #[serde(default)]
    pub format: Format,
    /// Of this commit.
    pub sequence: Sequence,
    /// A number of the owner's claim, as good as its own.
    #[serde(default)]
    pub claim: u32,
    /// The last commits of the owners before, the latest last, [`LINEAGE`] at most: what this one builds upon.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lineage: Vec<Ended>,
    /// Next offset of `input`: the truth about the position; the group's offset is for fencing and lag.
    pub next_offset: i64,
    /// Name and id of the topic that has this offset; empty where nobody knew.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub input: String,
    /// Rounds of this transaction, in order.
    pub rounds: Vec<Round>,
    /// How far its sweeps are.
    #[serde(default, skip_serializing_if = "Sweeps::is_empty")]
    pub sweeps: Sweeps,
    /// The clock never goes back, across owners either.
    pub now: Millis,
    /// Next offset of the reference topic.
    pub reference: i64,
    /// Generation under which it was committed.
    pub generation: i32,
    /// Who committed it.
    pub owner: String,
    /// Version of the code.
    pub code: String,
}

/// Owners of whom META tells where they ended. A store that is older is restored.
pub const LINEAGE: usize = 8;

impl Meta {
    /// Whether this commit builds upon that one, or is it.
    pub fn includes(&self, other: &Meta) -> bool {
        let Ended { sequence, claim } = other.end();
        let mut known = self.lineage.iter().copied().chain([self.end()]);
        let ended = known.find(|ended| ended.sequence.epoch == sequence.epoch);
        ended.is_some_and(|ended| ended.claim == claim && ended.sequence.n >= sequence.n)
    }

    /// Where its owner ended, if this is its last commit.
    fn end(&self) -> Ended {
        Ended { sequence: self.sequence, claim: self.claim }
    }

    /// What the next owner's commits build upon.
    pub fn succession(&self) -> Vec<Ended> {
        let all: Vec<Ended> = self.lineage.iter().copied().chain([self.end()]).collect();
        all[all.len().saturating_sub(LINEAGE)..].to_vec()
    }
}

/// How far the sweeps of a partition are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sweeps {
    /// The latest moment that is done, by the sweep's name.
    pub done: BTreeMap<String, Millis>,
    /// The one that was visited last, if it goes on: what is left of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<Portion>,
    /// Others that go on in their turn, by name: what is left of each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub waiting: BTreeMap<String, Portion>,
    /// Those that stand still in their midst, by name: what is left of each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub resting: BTreeMap<String, Portion>,
}

impl Sweeps {
    fn is_empty(&self) -> bool {
        self.done.is_empty() && self.current.is_none() && self.waiting.is_empty() && self.resting.is_empty()
    }
}

/// Rows of a sweep, in the order of their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Portion {
    /// Of the sweep.
    pub name: String,
    /// Its moment.
    pub at: Millis,
    /// Rows behind this key; from the first on, if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<Vec<u8>>,
    /// Up to this one; to the last, if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<Vec<u8>>,
}

/// One clock reading, and what was done under it: records first, then deadlines, then rows of a sweep.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// The reading.
    pub now: Millis,
    /// Records were applied up to this offset of `input`.
    pub next_offset: i64,
    /// Deadlines were fired up to this moment.
    pub fired_until: Millis,
    /// And those behind it up to this one (due, key), where the budget did not suffice for all that were due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fired_through: Option<(Millis, Vec<u8>)>,
    /// Rows that a sweep visited, those that there were when the transaction began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swept: Option<Portion>,
}

/// The first word of a new owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Barrier {
    /// Of this record.
    #[serde(default)]
    pub format: Format,
    /// By which the owner recognises its own.
    pub nonce: String,
    /// Its generation.
    pub generation: i32,
    /// Who.
    pub owner: String,
}

/// A changelog record, read.
#[derive(Debug)]
pub enum Entry<'a> {
    /// A row; no bytes for one that was forgotten.
    Row {
        /// Key.
        key: &'a [u8],
        /// Commit that wrote it; none for a tombstone, which has no value to hold it.
        sequence: Option<Sequence>,
        /// The row's bytes.
        bytes: Option<&'a [u8]>,
    },
    /// Closes a transaction.
    Meta(Box<Meta>),
    /// An owner began.
    Barrier(Barrier),
}

/// Key of a row in the changelog.
pub fn row_key(key: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.push(ROW);
    out.extend_from_slice(key);
}

/// Starts the value of a row; the row's bytes follow.
pub fn start_row(sequence: Sequence, out: &mut Vec<u8>) {
    put_number(sequence.epoch, out);
    put_number(sequence.n, out);
}

/// Reads a changelog record.
///
/// # Errors
/// In words, if it is none of ours.
pub fn read<'a>(key: &'a [u8], value: Option<&'a [u8]>) -> Result<Entry<'a>, String> {
    match (key, value) {
        (META_KEY, Some(value)) => {
            serde_json::from_slice(value).map(Entry::Meta).map_err(|error| format!("META: {error}"))
        }
        (BARRIER_KEY, Some(value)) => {
            serde_json::from_slice(value).map(Entry::Barrier).map_err(|error| format!("BARRIER: {error}"))
        }
        ([ROW, key @ ..], None) => Ok(Entry::Row { key, sequence: None, bytes: None }),
        ([ROW, key @ ..], Some(value)) => {
            let (epoch, value) = take_number(value).ok_or("a row without its sequence")?;
            let (n, bytes) = take_number(value).ok_or("a row without its sequence")?;
            Ok(Entry::Row { key, sequence: Some(Sequence { epoch, n }), bytes: Some(bytes) })
        }
        _ => Err("a record that is neither row nor META nor BARRIER; does another application write here?".to_owned()),
    }
}

fn put_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

fn take_number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        number |= u64::from(byte & 0x7f).checked_shl(7 * u32::try_from(index).ok()?)?;
        if byte & 0x80 == 0 {
            return Some((number, &bytes[index + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_back_with_its_sequence() {
        for sequence in [Sequence { epoch: 1, n: 1 }, Sequence { epoch: 300, n: u64::MAX }] {
            let (mut key, mut value) = (Vec::new(), Vec::new());
            row_key(b"c1", &mut key);
            start_row(sequence, &mut value);
            value.extend_from_slice(b"row");
            match read(&key, Some(&value)) {
                Ok(Entry::Row { key: b"c1", sequence: Some(found), bytes: Some(b"row") }) => {
                    assert_eq!(found, sequence)
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// META with all that it can say. What stands in changelogs must be read by every later version: if this changes, its format does, and
    /// what was written before is still read.
    const META: &str = concat!(
        r#"{"format":1,"sequence":{"epoch":3,"n":7},"claim":11,"lineage":[{"epoch":2,"n":5,"claim":9}],"next_offset":42,"#,
        r#""input":"input/1","rounds":[{"now":1000,"next_offset":41,"fired_until":900,"fired_through":[950,[99,49]],"#,
        r#""swept":{"name":"launch","at":800,"behind":[97],"through":[98]}}],"#,
        r#""sweeps":{"done":{"pause":700},"current":{"name":"launch","at":800,"through":[122]},"resting":{"stop":{"name":"stop","at":600}}},"#,
        r#""now":1001,"reference":4,"generation":6,"owner":"one-0","code":"0.1.0"}"#
    );

    fn portion(name: &str, at: Millis, behind: Option<&[u8]>, through: Option<&[u8]>) -> Portion {
        let key = |key: Option<&[u8]>| key.map(<[u8]>::to_vec);
        Portion { name: name.to_owned(), at, behind: key(behind), through: key(through) }
    }

    fn sample() -> Meta {
        let round = Round {
            now: 1000,
            next_offset: 41,
            fired_until: 900,
            fired_through: Some((950, b"c1".to_vec())),
            swept: Some(portion("launch", 800, Some(b"a"), Some(b"b"))),
        };
        Meta {
            format: Format(1),
            sequence: Sequence { epoch: 3, n: 7 },
            claim: 11,
            lineage: vec![Ended { sequence: Sequence { epoch: 2, n: 5 }, claim: 9 }],
            next_offset: 42,
            input: "input/1".to_owned(),
            rounds: vec![round],
            sweeps: Sweeps {
                done: [("pause".to_owned(), 700)].into(),
                current: Some(portion("launch", 800, None, Some(b"z"))),
                waiting: BTreeMap::new(),
                resting: [("stop".to_owned(), portion("stop", 600, None, None))].into(),
            },
            now: 1001,
            reference: 4,
            generation: 6,
            owner: "one-0".to_owned(),
            code: "0.1.0".to_owned(),
        }
    }

    #[test]
    fn meta_is_read_and_written_as_it_was_released() {
        assert_eq!(META_KEY, [0, 77]);
        assert!(matches!(read(&[0, 77], Some(META.as_bytes())), Ok(Entry::Meta(found)) if *found == sample()));
        assert_eq!(serde_json::to_string(&sample()).unwrap(), META);
        // Two sweeps at once are another format.
        let mut several = sample();
        several.sweeps.waiting.insert("news".to_owned(), portion("news", 700, Some(b"k"), None));
        several.format = Format::of(&several.sweeps);
        let waiting = r#","waiting":{"news":{"name":"news","at":700,"behind":[107]}},"resting""#;
        let written = META.replace(r#""format":1"#, r#""format":2"#).replace(r#","resting""#, waiting);
        assert!(matches!(read(META_KEY, Some(written.as_bytes())), Ok(Entry::Meta(found)) if *found == several));
        assert_eq!(serde_json::to_string(&several).unwrap(), written);
        // What was left out stands for nothing.
        let least = r#"{"sequence":{"epoch":1,"n":1},"next_offset":1,"rounds":[],"now":1,"reference":0,"generation":1,"owner":"a","code":"b"}"#;
        let Ok(Entry::Meta(found)) = read(META_KEY, Some(least.as_bytes())) else { panic!("META of the first form") };
        assert_eq!(
            (found.claim, found.lineage.len(), found.input.as_str(), found.sweeps),
            (0, 0, "", Sweeps::default())
        );
    }

    #[test]
    fn barriers_and_rows_are_read_and_written_as_they_were_released() {
        let released = r#"{"format":1,"nonce":"one-0/5","generation":6,"owner":"one-0"}"#;
        let barrier =
            Barrier { format: Format(1), nonce: "one-0/5".to_owned(), generation: 6, owner: "one-0".to_owned() };
        assert_eq!(BARRIER_KEY, [0, 66]);
        assert!(matches!(read(&[0, 66], Some(released.as_bytes())), Ok(Entry::Barrier(found)) if found == barrier));
        assert_eq!(serde_json::to_string(&barrier).unwrap(), released);
        let (mut key, mut value) = (Vec::new(), Vec::new());
        row_key(b"c1", &mut key);
        start_row(Sequence { epoch: 3, n: 300 }, &mut value);
        assert_eq!((key, value), (vec![1, 99, 49], vec![3, 0xac, 2]));
    }

    #[test]
    fn a_newer_format_is_refused_in_words() {
        let meta = serde_json::to_string(&Meta::default()).unwrap();
        assert!(matches!(read(META_KEY, Some(meta.as_bytes())), Ok(Entry::Meta(found)) if *found == Meta::default()));
        let newer = meta.replace(r#""format":1"#, r#""format":3"#);
        let words = read(META_KEY, Some(newer.as_bytes())).unwrap_err();
        assert!(words.contains("its format is 3"), "{words}");
    }

    #[test]
    fn a_torn_number_is_refused() {
        assert!(read(&[ROW, b'k'], Some(&[0x80])).is_err());
        assert!(read(b"foreign", Some(b"x")).is_err());
    }
}
