//! One partition of the simulated brokers: records, markers, and which transactions are open on it.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::clock::Millis;

/// A record as its producer made it.
#[derive(Debug)]
pub struct Body {
    /// Key.
    pub key: Option<Vec<u8>>,
    /// Value.
    pub value: Option<Vec<u8>>,
}

/// What lies at an offset.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where.
    pub offset: i64,
    /// Machine time of the append.
    pub appended_at: Millis,
    /// Business time of the append.
    pub business: Millis,
    /// None for a marker.
    pub body: Option<Rc<Body>>,
    /// Whose transaction it is part of.
    pub producer: Option<i64>,
    /// Which transaction that is, as its client counts: what a client takes for one, the brokers may have ended in the middle.
    pub draft: Option<u64>,
    /// What became of that transaction.
    pub fate: Fate,
    /// Compaction has removed it; only whoever checks the run still sees it.
    pub is_gone: bool,
}

/// What became of a transaction, seen from one of its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Not decided, or the marker is not here yet.
    Open,
    /// Committed, or never part of a transaction.
    Committed,
    /// Nobody who reads committed records sees it.
    Aborted,
}

/// One partition.
#[derive(Debug, Default)]
pub struct Partition {
    entries: Vec<Entry>,
    /// First and next offset.
    start: i64,
    end: i64,
    /// Compaction has been here, up to this offset.
    compacted: i64,
    /// First offset of each open transaction, by producer.
    open: BTreeMap<i64, i64>,
}

impl Partition {
    /// First offset.
    pub fn start(&self) -> i64 {
        self.start
    }

    /// Next offset: the high watermark.
    pub fn end(&self) -> i64 {
        self.end
    }

    /// The last stable offset: before the first open transaction.
    pub fn stable_end(&self) -> i64 {
        self.open.values().copied().min().unwrap_or(self.end)
    }

    /// Everything from an offset on, whatever became of it.
    pub fn entries_from(&self, offset: i64) -> &[Entry] {
        &self.entries[self.entries.partition_point(|entry| entry.offset < offset)..]
    }

    /// The first committed record at or behind `offset`, if it is stable.
    pub fn committed_at(&self, offset: i64) -> Option<(&Entry, &Rc<Body>)> {
        let stable = self.stable_end();
        let entries = self.entries_from(offset).iter().take_while(|entry| entry.offset < stable);
        entries
            .filter(|entry| entry.fate == Fate::Committed && !entry.is_gone)
            .find_map(|entry| Some((entry, entry.body.as_ref()?)))
    }

    /// The same for whoever reads what is not committed.
    pub fn any_at(&self, offset: i64) -> Option<(&Entry, &Rc<Body>)> {
        self.entries_from(offset)
            .iter()
            .filter(|entry| !entry.is_gone)
            .find_map(|entry| Some((entry, entry.body.as_ref()?)))
    }

    /// Appends an entry, which knows its offset already.
    pub fn append(&mut self, entry: Entry) {
        self.end = entry.offset + 1;
        self.entries.push(entry);
    }

    /// A producer writes into a transaction that is open from here on, if it was not yet.
    pub fn open(&mut self, producer: i64) {
        self.open.entry(producer).or_insert(self.end);
    }

    /// A producer's open transaction ends, with this fate.
    pub fn close(&mut self, producer: i64, fate: Fate) {
        let Some(first) = self.open.remove(&producer) else { return };
        let from = self.entries.partition_point(|entry| entry.offset < first);
        for entry in &mut self.entries[from..] {
            if entry.producer == Some(producer) && entry.fate == Fate::Open {
                entry.fate = fate;
            }
        }
    }

    /// Loses what was committed last, though that was confirmed. Not where anything is open, nor what compaction has put in the place
    /// of older records, nor the last record that `keeps` says must be left. Returns the transaction that is lost.
    pub fn lose_tail(&mut self, keeps: impl Fn(&Body) -> bool) -> Option<u64> {
        let is_record = |entry: &&Entry| entry.body.is_some() && entry.fate == Fate::Committed;
        let lost = self.entries.iter().rfind(is_record).and_then(|entry| entry.draft)?;
        let is_lost = |entry: &Entry| entry.draft == Some(lost);
        let first = self.entries.iter().find(|entry| is_lost(entry)).map_or(0, |entry| entry.offset);
        let mut older = self.entries.iter().filter(is_record).filter(|entry| !is_lost(entry));
        let is_left = older.any(|entry| entry.body.as_ref().is_some_and(|body| keeps(body)));
        if !self.open.is_empty() || first < self.compacted || !is_left {
            return None;
        }
        self.entries.iter_mut().filter(|entry| entry.draft == Some(lost)).for_each(|entry| entry.fate = Fate::Aborted);
        Some(lost)
    }

    /// Keeps the last committed record of each key before `before`, and no tombstone there that is older than `tombstones`.
    pub fn compact(&mut self, before: i64, tombstones: Millis) {
        let before = before.min(self.stable_end());
        self.compacted = self.compacted.max(before);
        let mut seen: BTreeSet<Vec<u8>> = BTreeSet::new();
        for entry in self.entries.iter_mut().rev().filter(|entry| entry.offset < before) {
            entry.is_gone |= match &entry.body {
                Some(body) if entry.fate == Fate::Committed => {
                    let is_last = seen.insert(body.key.clone().unwrap_or_default());
                    !is_last || (body.value.is_none() && entry.appended_at < tombstones)
                }
                _ => true,
            };
        }
    }
}
