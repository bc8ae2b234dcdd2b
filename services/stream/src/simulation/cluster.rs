//! Brokers in memory: partitions, transactions with their markers, and consumer offsets.
//!
//! What Kafka promises is kept, and what it does not promise is not: markers of one transaction appear partition by partition,
//! a request that was given up may still arrive, a reader of committed records sees nothing behind the first open transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::clock::Millis;
use crate::log::{CHANGELOG, INPUT, Target};
use crate::simulation::group::Group;
use crate::simulation::log::FIRST_OUTPUT;

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
    producer: Option<i64>,
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

    fn append(&mut self, entry: Entry) {
        self.end = entry.offset + 1;
        self.entries.push(entry);
    }

    /// Keeps the last committed record of each key before `before`, and no tombstone there that is older than `tombstones`.
    fn compact(&mut self, before: i64, tombstones: Millis) {
        let before = before.min(self.stable_end());
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

/// Why a broker refuses a request of a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A newer producer of this identity is there.
    Fenced,
    /// The last transaction is being ended: the same request later.
    Concurrent,
    /// The group has another generation, or does not know this member.
    Generation,
    /// No transaction is open.
    State,
}

/// One incarnation of a transactional producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Producer {
    /// Transactional id.
    pub name: String,
    /// Producer id.
    pub id: i64,
    /// Grows with each incarnation.
    pub epoch: i32,
}

#[derive(Debug, Default)]
struct Transaction {
    id: i64,
    epoch: i32,
    stage: Stage,
    /// Where it has written.
    places: BTreeSet<(usize, i32)>,
    /// Offsets of the group that go with it.
    offsets: BTreeMap<i32, i64>,
    begun_at: Millis,
    /// Counts this producer's transactions.
    number: u64,
    /// How the last one ended.
    last: Option<bool>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Empty,
    Ongoing,
    /// The outcome is decided; markers are still to be written.
    Ending {
        commit: bool,
    },
}

/// All of it.
#[derive(Debug, Default)]
pub struct Cluster {
    /// Machine time.
    pub now: Millis,
    /// Business time.
    pub business: Millis,
    /// Consumer group.
    pub group: Group,
    topics: Vec<Vec<Partition>>,
    transactions: BTreeMap<String, Transaction>,
    /// The group's committed offsets of INPUT.
    offsets: BTreeMap<i32, i64>,
    /// Ends of transactions under way: when they arrive, from whom, what they say.
    late: Vec<(Millis, Producer, bool)>,
    producers: i64,
    /// The output that is the input itself.
    into_input: Option<usize>,
}

impl Cluster {
    /// Topics with so many partitions each, numbered as [`Target`] and the engine number them.
    pub fn new(partitions: &[i32], session_timeout: Millis, business: Millis) -> Self {
        let topic = |count: &i32| (0..*count).map(|_| Partition::default()).collect();
        Cluster {
            topics: partitions.iter().map(topic).collect(),
            group: Group::new(partitions[INPUT], session_timeout),
            business,
            ..Cluster::default()
        }
    }

    /// The same, where one of the outputs is the input itself.
    pub fn into_input(self, output: Option<usize>) -> Self {
        Cluster { into_input: output, ..self }
    }

    /// One partition.
    pub fn partition(&self, topic: usize, partition: i32) -> &Partition {
        &self.topics[topic][usize::try_from(partition).unwrap_or(0)]
    }

    fn partition_mut(&mut self, topic: usize, partition: i32) -> &mut Partition {
        &mut self.topics[topic][usize::try_from(partition).unwrap_or(0)]
    }

    /// Partitions of a topic.
    pub fn count(&self, topic: usize) -> i32 {
        i32::try_from(self.topics[topic].len()).unwrap_or(0)
    }

    /// Appends a record outside of any transaction.
    pub fn append(&mut self, topic: usize, partition: i32, body: Body) {
        self.put((topic, partition), None, Some(Rc::new(body)));
    }

    fn put(&mut self, (topic, partition): (usize, i32), producer: Option<i64>, body: Option<Rc<Body>>) {
        let (appended_at, business) = (self.now, self.business);
        let log = self.partition_mut(topic, partition);
        let fate = if producer.is_some() { Fate::Open } else { Fate::Committed };
        log.append(Entry { offset: log.end, appended_at, business, body, producer, fate, is_gone: false });
    }

    /// Where a record goes; without a partition, the key decides.
    pub fn place(&self, target: Target, key: &[u8]) -> (usize, i32) {
        match target {
            Target::Changelog(partition) => (CHANGELOG, partition),
            Target::Output(output, partition) => {
                let topic = if self.into_input == Some(output) { INPUT } else { FIRST_OUTPUT + output };
                (topic, partition.unwrap_or_else(|| self.partition_of(topic, key)))
            }
        }
    }

    /// The partition of a key.
    pub fn partition_of(&self, topic: usize, key: &[u8]) -> i32 {
        key.iter().map(|byte| i32::from(*byte)).sum::<i32>() % self.count(topic)
    }

    // Transactions.

    /// A new incarnation of a producer. What an earlier one left open is aborted first.
    pub fn init(&mut self, name: &str) -> Result<Producer, Refusal> {
        let fresh = self.producers;
        let transaction = self
            .transactions
            .entry(name.to_owned())
            .or_insert_with(|| Transaction { id: fresh, ..Transaction::default() });
        if transaction.id == fresh {
            self.producers += 1;
        }
        match transaction.stage {
            Stage::Ending { .. } => Err(Refusal::Concurrent),
            Stage::Ongoing => {
                transaction.epoch += 1;
                transaction.stage = Stage::Ending { commit: false };
                Err(Refusal::Concurrent)
            }
            Stage::Empty => {
                transaction.epoch += 1;
                transaction.last = None;
                Ok(Producer { name: name.to_owned(), id: transaction.id, epoch: transaction.epoch })
            }
        }
    }

    fn transaction(&mut self, producer: &Producer) -> Result<&mut Transaction, Refusal> {
        let transaction = self.transactions.get_mut(&producer.name).ok_or(Refusal::Fenced)?;
        if (transaction.id, transaction.epoch) != (producer.id, producer.epoch) {
            return Err(Refusal::Fenced);
        }
        Ok(transaction)
    }

    /// Opens the transaction, unless it is open.
    fn open(&mut self, producer: &Producer) -> Result<&mut Transaction, Refusal> {
        let now = self.now;
        let transaction = self.transaction(producer)?;
        match transaction.stage {
            Stage::Ending { .. } => return Err(Refusal::Concurrent),
            Stage::Ongoing => {}
            Stage::Empty => {
                transaction.stage = Stage::Ongoing;
                transaction.begun_at = now;
                transaction.number += 1;
            }
        }
        Ok(transaction)
    }

    /// Writes a record into the producer's transaction. `known` is the number of the one that the client has open: if another
    /// request has ended that, the record is refused.
    pub fn write(
        &mut self,
        producer: &Producer,
        place: (usize, i32),
        body: &Rc<Body>,
        known: &mut Option<u64>,
    ) -> Result<(), Refusal> {
        let transaction = self.transaction(producer)?;
        if known.is_some_and(|known| known != transaction.number || transaction.stage != Stage::Ongoing) {
            return Err(Refusal::State);
        }
        let transaction = self.open(producer)?;
        transaction.places.insert(place);
        *known = Some(transaction.number);
        let (topic, partition) = place;
        let log = self.partition_mut(topic, partition);
        let end = log.end;
        log.open.entry(producer.id).or_insert(end);
        self.put(place, Some(producer.id), Some(Rc::clone(body)));
        Ok(())
    }

    /// Puts the group's positions into the transaction, if the group knows this member under this generation. With no
    /// generation at all nobody is asked.
    pub fn send_offsets(
        &mut self,
        producer: &Producer,
        positions: &[(i32, i64)],
        member: Option<(u64, i32)>,
    ) -> Result<(), Refusal> {
        self.open(producer)?;
        if member.is_some_and(|(member, generation)| !self.group.knows(member, generation)) {
            return Err(Refusal::Generation);
        }
        self.open(producer)?.offsets.extend(positions.iter().copied());
        Ok(())
    }

    /// Ends the producer's transaction. Markers follow.
    pub fn end(&mut self, producer: &Producer, commit: bool) -> Result<(), Refusal> {
        let transaction = self.transaction(producer)?;
        match transaction.stage {
            Stage::Ongoing => transaction.stage = Stage::Ending { commit },
            // The answer to the same request, which came twice.
            Stage::Ending { commit: known } if known == commit => {}
            Stage::Ending { .. } => return Err(Refusal::Concurrent),
            Stage::Empty if transaction.last == Some(commit) => {}
            Stage::Empty => return Err(Refusal::State),
        }
        transaction.last = Some(commit);
        Ok(())
    }

    /// An end that is still under way from an earlier request of this producer arrives now.
    pub fn end_arrives(&mut self, producer: &Producer) {
        if let Some(index) = self.late.iter().position(|(_, late, _)| late == producer) {
            let (_, producer, commit) = self.late.swap_remove(index);
            let _ = self.end(&producer, commit);
        }
    }

    /// Lets the end of a transaction arrive later.
    pub fn end_later(&mut self, producer: Producer, commit: bool, at: Millis) {
        self.late.push((at, producer, commit));
    }

    /// The group's position, if no open transaction moves it.
    pub fn committed(&self, partition: i32) -> Result<Option<i64>, Refusal> {
        let moves = |transaction: &Transaction| transaction.offsets.contains_key(&partition);
        if self.transactions.values().any(moves) {
            return Err(Refusal::Concurrent);
        }
        Ok(self.offsets.get(&partition).copied())
    }

    /// Everything in a partition whose commit is decided, whether its marker is there yet or not.
    pub fn decided(&self, topic: usize, partition: i32) -> impl Iterator<Item = (&Entry, &Rc<Body>)> {
        let is_committing = |t: &&Transaction| t.stage == Stage::Ending { commit: true };
        let committing: BTreeSet<i64> = self.transactions.values().filter(is_committing).map(|t| t.id).collect();
        let is_decided = move |entry: &&Entry| match entry.fate {
            Fate::Open => entry.producer.is_some_and(|producer| committing.contains(&producer)),
            fate => fate == Fate::Committed,
        };
        let entries = self.partition(topic, partition).entries_from(0).iter().filter(is_decided);
        entries.filter_map(|entry| Some((entry, entry.body.as_ref()?)))
    }

    /// Moves the group's position outside of any transaction.
    pub fn move_offsets(&mut self, positions: &[(i32, i64)]) {
        self.offsets.extend(positions.iter().copied());
    }

    /// Writes at most `limit` markers of transactions that are ending; `pick` says which of so many comes next.
    pub fn write_markers(&mut self, limit: usize, mut pick: impl FnMut(usize) -> usize) {
        for _ in 0..limit {
            let is_ending = |t: &Transaction| matches!(t.stage, Stage::Ending { .. });
            let ending: Vec<String> =
                self.transactions.iter().filter(|(_, t)| is_ending(t)).map(|(name, _)| name.clone()).collect();
            if ending.is_empty() {
                return;
            }
            let name = &ending[pick(ending.len())];
            self.write_marker(name, &mut pick);
        }
    }

    fn write_marker(&mut self, name: &str, pick: &mut impl FnMut(usize) -> usize) {
        let Some(transaction) = self.transactions.get_mut(name) else { return };
        let Stage::Ending { commit } = transaction.stage else { return };
        let targets = transaction.places.len() + usize::from(!transaction.offsets.is_empty());
        let chosen = if targets == 0 { 0 } else { pick(targets) };
        let id = transaction.id;
        if let Some(place) = transaction.places.iter().nth(chosen).copied() {
            transaction.places.remove(&place);
            self.mark(place, id, commit);
        } else {
            let offsets = std::mem::take(&mut transaction.offsets);
            if commit {
                self.offsets.extend(offsets);
            }
        }
        if let Some(transaction) = self.transactions.get_mut(name)
            && transaction.places.is_empty()
            && transaction.offsets.is_empty()
        {
            transaction.stage = Stage::Empty;
        }
    }

    fn mark(&mut self, place: (usize, i32), id: i64, commit: bool) {
        let log = self.partition_mut(place.0, place.1);
        let Some(first) = log.open.remove(&id) else { return };
        let fate = if commit { Fate::Committed } else { Fate::Aborted };
        let from = log.entries.partition_point(|entry| entry.offset < first);
        for entry in &mut log.entries[from..] {
            if entry.producer == Some(id) && entry.fate == Fate::Open {
                entry.fate = fate;
            }
        }
        self.put(place, None, None);
    }

    /// Lets time pass: late requests arrive, transactions time out, silent members are expelled.
    pub fn pass(&mut self, span: Millis, transaction_timeout: Millis, is_silent: impl Fn(u64) -> bool) {
        self.now += span;
        let now = self.now;
        let (due, waiting) = std::mem::take(&mut self.late).into_iter().partition(|(at, _, _)| *at <= now);
        self.late = waiting;
        let due: Vec<(Millis, Producer, bool)> = due;
        for (_, producer, commit) in due {
            // Whoever sent it has given it up: nobody hears the answer.
            let _ = self.end(&producer, commit);
        }
        for transaction in self.transactions.values_mut() {
            if transaction.stage == Stage::Ongoing && now - transaction.begun_at > transaction_timeout {
                transaction.epoch += 1;
                transaction.stage = Stage::Ending { commit: false };
            }
        }
        self.group.pass(now, is_silent);
    }

    /// Compacts a partition of the changelog.
    pub fn compact(&mut self, topic: usize, partition: i32, tombstones: Millis, share: f64) {
        let log = self.partition_mut(topic, partition);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "a place somewhere in between"
        )]
        let before = log.start + ((log.end - log.start) as f64 * share) as i64;
        log.compact(before, tombstones);
    }
}
