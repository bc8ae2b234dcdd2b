//! Looks in all of `attempt.<channel>` for ids that are not remembered, for many at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use stream::Error;
use stream::clock::Tick;
use stream::kafka::{Fetched, Reader, Settings};

use super::memory::{Memory, Name, Whose};
use super::taken;

/// Between two searches, at least; and at least nine times as long as the last one took.
const PAUSE: Duration = Duration::from_secs(10);

/// Records that are taken from the queue at once, and how long they are waited for.
const BATCH: usize = 4_096;
const WAIT: Duration = Duration::from_millis(50);

pub(super) struct Search {
    settings: Settings,
    topic: String,
    partitions: i32,
    not_before: Tick,
    pass: Option<Pass>,
}

/// One reading of the whole topic.
struct Pass {
    reader: Reader,
    topic: usize,
    /// Where the partitions that are not read yet ended at the beginning.
    ends: BTreeMap<i32, i64>,
    sought: Sought,
    began: Tick,
}

/// What is looked for. The last word about an id counts, by when it was written.
#[derive(Debug, Default)]
struct Sought {
    names: BTreeSet<Name>,
    found: HashMap<Name, (i64, Whose)>,
}

impl Search {
    pub(super) fn new(settings: &Settings, topic: &str, partitions: u32) -> Self {
        let partitions = i32::try_from(partitions).unwrap_or(i32::MAX);
        Search { settings: settings.clone(), topic: topic.to_owned(), partitions, not_before: Tick::now(), pass: None }
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.pass.is_some()
    }

    /// Reads on, or begins where something is wanted. True if a search has ended.
    pub(super) fn go_on(&mut self, memory: &Mutex<Memory>) -> bool {
        if self.pass.is_none() && self.not_before.remaining().is_zero() {
            let wanted = memory.lock().unwrap_or_else(PoisonError::into_inner).wanted();
            if !wanted.is_empty() {
                self.begin(wanted);
            }
        }
        let Some(pass) = &mut self.pass else { return false };
        match pass.read() {
            Ok(false) => false,
            Ok(true) => {
                let pause = PAUSE.max(pass.began.elapsed() * 9);
                self.not_before = Tick::now().after(pause);
                let sought = self.pass.take().map(|pass| pass.sought).unwrap_or_default();
                sought.tell(&mut memory.lock().unwrap_or_else(PoisonError::into_inner));
                true
            }
            // Who asked is told to ask again, and then it is looked for anew.
            Err(error) => {
                self.give_up(&error);
                false
            }
        }
    }

    fn begin(&mut self, wanted: BTreeSet<Name>) {
        tracing::info!(
            names = wanted.len(),
            "words are about sends that are not remembered: the attempts are searched"
        );
        match Pass::new(&self.settings, &self.topic, self.partitions, wanted) {
            Ok(pass) => self.pass = Some(pass),
            Err(error) => self.give_up(&error),
        }
    }

    fn give_up(&mut self, error: &Error) {
        tracing::warn!("the attempts cannot be searched for now: {error}");
        self.pass = None;
        self.not_before = Tick::now().after(PAUSE);
    }
}

impl Pass {
    fn new(settings: &Settings, name: &str, partitions: i32, names: BTreeSet<Name>) -> Result<Self, Error> {
        let mut reader = Reader::new(settings)?;
        let topic = reader.topic(name)?;
        let mut ends = BTreeMap::new();
        for partition in 0..partitions {
            let (low, high) = reader.range(topic, partition)?;
            if low < high {
                reader.start(topic, partition, low)?;
                ends.insert(partition, high);
            }
        }
        Ok(Pass { reader, topic, ends, sought: Sought { names, ..Sought::default() }, began: Tick::now() })
    }

    /// Reads a portion. True if that was all.
    fn read(&mut self) -> Result<bool, Error> {
        if self.ends.is_empty() {
            return Ok(true);
        }
        let mut fetched = Vec::new();
        self.reader.fetch(WAIT, BATCH, &mut fetched)?;
        for item in fetched {
            match item {
                Fetched::Record(record) => {
                    if let Some((names, whose)) = record.value().and_then(taken) {
                        names.into_iter().for_each(|name| self.sought.meet(name, &whose, record.timestamp()));
                    }
                    self.passed(record.partition(), record.offset() + 1);
                }
                Fetched::End { partition, offset, .. } => self.passed(partition, offset),
                // Retention was faster: on with what is left.
                Fetched::OutOfRange { partition, .. } => {
                    let (low, _) = self.reader.range(self.topic, partition)?;
                    self.reader.start(self.topic, partition, low)?;
                }
            }
        }
        Ok(self.ends.is_empty())
    }

    fn passed(&mut self, partition: i32, offset: i64) {
        if self.ends.get(&partition).is_some_and(|end| offset >= *end) {
            self.ends.remove(&partition);
            self.reader.stop(self.topic, partition);
        }
    }
}

impl Sought {
    fn meet(&mut self, name: Name, whose: &Whose, at: i64) {
        let is_later = self.found.get(&name).is_none_or(|(known, _)| *known <= at);
        if self.names.contains(&name) && is_later {
            self.found.insert(name, (at, whose.clone()));
        }
    }

    fn tell(mut self, memory: &mut Memory) {
        for name in self.names {
            let found = self.found.remove(&name).map(|(_, whose)| whose);
            memory.was_searched(name, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use schemas::Id;

    use super::super::memory::Known;
    use super::*;

    fn id(name: &str) -> Id {
        Id::of_instance(name, "", "", "")
    }

    #[test]
    fn what_fell_out_of_the_memory_is_found_in_the_topic_and_the_latest_counts() {
        for name in [Name::id, Name::to] {
            let mut memory = Memory::new(1);
            memory.insert(&name("1"), id("old"), "c1", 5);
            memory.insert(&name("2"), id("new"), "c2", 6);
            assert_eq!(memory.find(&[name("1")]), Known::NotYet);
            assert!(memory.is_to_be_searched(&[name("1")]) && memory.is_to_be_searched(&[name("9")]));
            let mut sought = Sought { names: memory.wanted(), ..Sought::default() };
            for (written, send, at) in [("1", "old", 5), ("1", "older", 4), ("2", "new", 6), ("3", "other", 7)] {
                sought.meet(name(written), &(id(send), send.to_owned()), at);
            }
            sought.tell(&mut memory);
            assert_eq!(memory.find(&[name("1")]), Known::Send(id("old"), "old".to_owned()));
            assert_eq!(memory.find(&[name("9")]), Known::Nothing);
            assert_eq!(memory.find(&[name("9"), name("1")]), Known::Send(id("old"), "old".to_owned()));
            assert_eq!(memory.find(&[name("9"), name("3")]), Known::NotYet, "nobody has asked for it");
            assert!(memory.wanted().is_empty());
            memory.was_searched(name("2"), None);
            memory.insert(&name("4"), id("last"), "c4", 7);
            assert_eq!(
                memory.find(&[name("2")]),
                Known::NotYet,
                "it was there while the search went on, and is not now"
            );
            memory.insert(&name("9"), id("newer"), "c9", 8);
            assert_eq!(
                memory.find(&[name("9")]),
                Known::Send(id("newer"), "c9".to_owned()),
                "what was found is old news"
            );
        }
    }
}
