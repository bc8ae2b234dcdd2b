//! The stateless loop: consume, transform, produce, in one transaction with the group's positions.
//!
//! Whoever uses it writes a [`Handler`], which turns one record into any number of others. All that is uncertain (a commit
//! without answer, a producer that was fenced, a member that was replaced while it stood still) ends the same way: the
//! producer goes, everything uncommitted goes, and the loop starts again from the group's committed positions, which the
//! brokers name only once no transaction that moves them is open.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::admin::{self, Mismatch};
use crate::clock::{Clock, Tick, age, machine_now};
use crate::kafka::{Change, Fetched, Membership, Position, Producer, Reader, Record, Settings};
use crate::unread::{LOOK_BEHIND, Unread};
use crate::{Error, Probe, Verdict};

/// What a relay reads, writes and is called.
#[derive(Clone, Debug)]
pub struct Relay {
    /// Consumer group. Its committed offsets are the relay's only memory.
    pub group: String,
    /// Static membership: a restart under the same identity within the session timeout moves no partition.
    pub identity: Option<String>,
    /// Unique for this process, and the same after its restart: so the successor ends what the predecessor left open.
    pub transactional_id: String,
    /// Topics to read. A record's [`Record::topic`] is an index into this.
    pub topics: Vec<String>,
    /// Topics to write. The `output` of [`Out::produce`] is an index into this.
    pub outputs: Vec<String>,
    /// Under load a transaction is committed at this age.
    pub commit_age: Duration,
    /// Under load a transaction is committed after so many records.
    pub commit_records: usize,
}

/// Next offset of every partition that is ours, by index of topic and partition.
pub type Positions = BTreeMap<(usize, i32), i64>;

/// What is done with the records. Whatever it remembers of them beyond metrics it must forget in [`Handler::dropped`].
pub trait Handler {
    /// Records were fetched, which come now.
    fn fetched(&mut self) {}

    /// Turns a record into output. To skip a record is to produce nothing.
    ///
    /// # Errors
    /// Those of [`Out::produce`]; `Stop` if nobody but a person can help.
    fn record(&mut self, record: &Record, out: &mut Out<'_>) -> Result<(), Error>;

    /// Called once per round, for output that no single record causes. `positions` hold for what is in the open transaction.
    ///
    /// # Errors
    /// As for [`Handler::record`].
    fn tick(&mut self, positions: &Positions, out: &mut Out<'_>) -> Result<(), Error> {
        let _ = (positions, out);
        Ok(())
    }

    /// A transaction with so many records of input was committed, and committing it took so long. The oldest of them came into its topic so
    /// long before, if there are any.
    fn committed(&mut self, records: usize, took: Duration, waited: Option<Duration>) {
        let _ = (records, took, waited);
    }

    /// Everything since the last commit was dropped and will come again.
    fn dropped(&mut self, cause: Verdict) {
        let _ = cause;
    }
}

/// Where a [`Handler`] writes to. The first record begins the transaction.
#[derive(Debug)]
pub struct Out<'a> {
    producer: &'a mut Producer,
    partitions: &'a [i32],
}

impl Out<'_> {
    /// Adds a record. No `partition`: the key decides, by Java's murmur2.
    ///
    /// # Errors
    /// `Abort` if the brokers do not take records in time.
    pub fn produce(
        &mut self,
        output: usize,
        partition: Option<i32>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, &[u8])],
    ) -> Result<(), Error> {
        self.producer.begin()?;
        self.producer.produce(output, partition, key, value, headers)
    }

    /// How many partitions an output has: for what everybody must hear.
    pub fn partitions(&self, output: usize) -> i32 {
        self.partitions[output]
    }
}

/// Runs until `stop` is set: then it commits, leaves and returns.
///
/// # Errors
/// `Stop`, with what a person has to do: a missing topic, permissions, an identity that two processes claim.
pub fn run(
    settings: &Settings,
    plan: &Relay,
    clock: &Clock,
    probe: &Probe,
    stop: &AtomicBool,
    handler: &mut dyn Handler,
) -> Result<(), Error> {
    let ended = Loop::new(settings, plan, clock, probe, handler).and_then(|mut relay| {
        let ended = relay.run(stop);
        relay.finish(ended)
    });
    probe.set_ready(false);
    if ended.is_err() {
        probe.set_failed();
    }
    ended
}

/// So many records are taken from the queue at once.
const BATCH: usize = 1024;

/// While the brokers do not tell positions, they are asked again after this time.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// Stands for a partition's first record.
const FIRST: i64 = -2;

struct Loop<'a> {
    settings: &'a Settings,
    plan: &'a Relay,
    clock: &'a Clock,
    probe: &'a Probe,
    handler: &'a mut dyn Handler,
    /// Partition counts of the outputs.
    partitions: Vec<i32>,
    group: Membership,
    reader: Reader,
    producer: Option<Producer>,
    /// Ours, but not read yet.
    awaiting: Vec<(String, i32)>,
    /// When to ask for their positions.
    ask: Tick,
    /// Of those awaiting: the group's position does not exist in the log.
    astray: BTreeSet<(usize, i32)>,
    positions: Positions,
    /// What waits in each partition that is ours, and when it was last asked what is hidden.
    unread: BTreeMap<(usize, i32), Unread>,
    looked_behind: Tick,
    /// Partitions whose position moved since the last commit.
    moved: BTreeSet<(usize, i32)>,
    fetched: Vec<Fetched>,
    /// Records in the open transaction, and when the first of them came.
    records: usize,
    opened: Tick,
}

impl<'a> Loop<'a> {
    fn new(
        settings: &'a Settings,
        plan: &'a Relay,
        clock: &'a Clock,
        probe: &'a Probe,
        handler: &'a mut dyn Handler,
    ) -> Result<Self, Error> {
        let partitions = partitions_of_outputs(settings, plan)?;
        let aside = plan.outputs.first().map_or("", String::as_str);
        let mut reader = Reader::of_a_loop(settings)?;
        for topic in &plan.topics {
            reader.topic(topic)?;
        }
        Ok(Loop {
            partitions,
            group: Membership::join(settings, &plan.group, plan.identity.as_deref(), &plan.topics, aside)?,
            reader,
            producer: None,
            awaiting: Vec::new(),
            ask: Tick::now(),
            astray: BTreeSet::new(),
            positions: Positions::new(),
            unread: BTreeMap::new(),
            looked_behind: Tick::now(),
            moved: BTreeSet::new(),
            fetched: Vec::new(),
            records: 0,
            opened: Tick::now(),
            settings,
            plan,
            clock,
            probe,
            handler,
        })
    }

    fn run(&mut self, stop: &AtomicBool) -> Result<(), Error> {
        while !stop.load(Ordering::Relaxed) {
            match self.round() {
                Err(error) if error.verdict() == Verdict::Stop => return Err(error),
                Err(error) => self.start_over(&error),
                Ok(()) => {}
            }
            self.probe.set_ready(self.group.is_assigned() && self.awaiting.is_empty());
        }
        Ok(())
    }

    /// The way of a record: who owns it, read, transform, commit.
    fn round(&mut self) -> Result<(), Error> {
        self.probe.seen(self.clock.now());
        self.follow_group()?;
        self.take_over()?;
        let wait = if self.is_open() { Duration::ZERO } else { self.clock.patience() };
        self.reader.fetch(wait, BATCH, &mut self.fetched)?;
        self.producer.iter().for_each(|producer| producer.hear(Duration::ZERO));
        let idle = self.fetched.is_empty();
        self.transform()?;
        self.tell_unread();
        if let Some(producer) = self.producer.as_mut().filter(|_| idle && !self.moved.is_empty()) {
            // Only markers of the sources' own transactions were passed. Whoever asks how far we are must not wait for a record.
            producer.begin()?;
        }
        if self.is_open()
            && (idle || self.records >= self.plan.commit_records || self.opened.elapsed() >= self.plan.commit_age)
        {
            self.commit()?;
        }
        Ok(())
    }

    /// Carries out what the group says. While the loop rests after a failure, this is all it does.
    fn follow_group(&mut self) -> Result<(), Error> {
        while let Some(change) = self.group.change()? {
            match &change {
                Change::Assigned(partitions) => self.awaiting.extend(partitions.iter().cloned()),
                Change::Revoked { partitions, lost } => self.give_up(partitions, *lost),
            }
            self.group.accept(&change)?;
        }
        Ok(())
    }

    /// Finishes the work on partitions before they go; where they are gone already, there is nothing to finish.
    fn give_up(&mut self, partitions: &[(String, i32)], lost: bool) {
        let finished = if lost {
            // Best effort: what stays open delays those who read our outputs.
            if let Some(Err(error)) = self.producer.as_mut().map(Producer::abort) {
                tracing::warn!("{error}");
            }
            Err(Error::new(Verdict::Fenced, "keep the partitions", "the group gave them to others"))
        } else {
            self.commit()
        };
        if let Err(error) = finished {
            self.start_over(&error);
        }
        for (topic, partition) in partitions {
            self.awaiting.retain(|awaiting| awaiting != &(topic.clone(), *partition));
            if let Some(index) = self.plan.topics.iter().position(|known| known == topic) {
                self.reader.stop(index, *partition);
                self.positions.remove(&(index, *partition));
                self.unread.remove(&(index, *partition));
                self.moved.remove(&(index, *partition));
            }
            self.probe.released(topic, *partition);
        }
    }

    /// Starts to read what is ours, from where the group stands. A predecessor may have a transaction open there: then the
    /// brokers do not answer yet, and the next round asks again.
    fn take_over(&mut self) -> Result<(), Error> {
        if self.awaiting.is_empty() || !self.ask.remaining().is_zero() {
            return Ok(());
        }
        // To ask may take long; nothing is left open meanwhile.
        self.commit()?;
        match self.place() {
            Err(error) if error.verdict() == Verdict::Retry => {
                tracing::warn!("partitions are not taken over yet: {error}");
                self.ask = Tick::now().after(ASK_AGAIN);
                Ok(())
            }
            placed => placed,
        }
    }

    fn place(&mut self) -> Result<(), Error> {
        if self.producer.is_none() {
            // First of all: this ends what an earlier producer of ours left open.
            let mut producer = Producer::new(self.settings, &self.plan.transactional_id)?;
            for output in &self.plan.outputs {
                producer.topic(output)?;
            }
            self.producer = Some(producer);
        }
        for position in self.group.committed(&self.awaiting)? {
            let topic = self.reader.topic(&position.topic)?;
            let place = (topic, position.partition);
            // Asking for a range waits behind the reader's open fetch, so it is asked only where there is a reason.
            let next = if self.astray.contains(&place) {
                let (low, high) = self.reader.range(topic, position.partition)?;
                Some(position.start_within(low, high)?)
            } else {
                position.offset
            };
            self.reader.start(topic, position.partition, next.unwrap_or(FIRST))?;
            self.astray.remove(&place);
            if position.offset.is_some() && next != position.offset {
                // What was deleted unread counts as read, also for whoever waits until all of it is.
                self.moved.insert(place);
            }
            self.positions.insert(place, next.unwrap_or(0));
            self.probe.consumed(&position.topic, position.partition, next.unwrap_or(0));
            self.awaiting.retain(|(topic, partition)| (topic, *partition) != (&position.topic, position.partition));
        }
        Ok(())
    }

    fn transform(&mut self) -> Result<(), Error> {
        let Some(producer) = &mut self.producer else {
            self.fetched.clear();
            return Ok(());
        };
        if !self.fetched.is_empty() {
            self.handler.fetched();
        }
        for fetched in self.fetched.drain(..) {
            match fetched {
                Fetched::Record(record) => {
                    let place = (record.topic(), record.partition());
                    let Some(next) = self.positions.get_mut(&place).filter(|next| **next <= record.offset()) else {
                        continue;
                    };
                    if !producer.is_open() {
                        producer.begin()?;
                        self.opened = Tick::now();
                    }
                    self.handler.record(&record, &mut Out { producer, partitions: &self.partitions })?;
                    *next = record.offset() + 1;
                    self.unread.entry(place).or_default().read(record.timestamp());
                    self.moved.insert(place);
                    self.records += 1;
                }
                // What lies before the end and is no record (markers of transactions, aborted records) counts as consumed.
                Fetched::End { topic, partition, offset } => {
                    if self.positions.contains_key(&(topic, partition)) {
                        self.unread.entry((topic, partition)).or_default().end();
                    }
                    let Some(next) = self.positions.get_mut(&(topic, partition)).filter(|next| **next < offset) else {
                        continue;
                    };
                    *next = offset;
                    self.moved.insert((topic, partition));
                    if !producer.is_open() {
                        self.probe.consumed(&self.plan.topics[topic], partition, offset);
                    }
                }
                Fetched::OutOfRange { topic, partition } => {
                    self.reader.stop(topic, partition);
                    if self.positions.contains_key(&(topic, partition)) {
                        self.astray.insert((topic, partition));
                        self.awaiting.push((self.plan.topics[topic].clone(), partition));
                    }
                }
            }
        }
        if !self.positions.is_empty() && self.awaiting.is_empty() {
            let was_open = producer.is_open();
            self.handler.tick(&self.positions, &mut Out { producer, partitions: &self.partitions })?;
            if !was_open && producer.is_open() {
                self.opened = Tick::now();
            }
        }
        Ok(())
    }

    fn is_open(&self) -> bool {
        self.producer.as_ref().is_some_and(Producer::is_open)
    }

    /// Commits what is open, with the positions that moved.
    fn commit(&mut self) -> Result<(), Error> {
        let Some(producer) = self.producer.as_mut().filter(|producer| producer.is_open()) else { return Ok(()) };
        let began = Tick::now();
        let name = |((topic, partition), next): (&(usize, i32), &i64)| Position {
            topic: self.plan.topics[*topic].clone(),
            partition: *partition,
            offset: Some(*next),
            metadata: String::new(),
        };
        let moved = |(place, _): &(&(usize, i32), &i64)| self.moved.is_empty() || self.moved.contains(place);
        let positions: Vec<_> = self.positions.iter().filter(moved).map(name).collect();
        self.group.commit(producer, &positions)?;
        for position in &positions {
            self.probe.consumed(&position.topic, position.partition, position.offset.unwrap_or_default());
        }
        let waited = self.unread.values().filter_map(Unread::in_hand).min().map(age);
        self.handler.committed(std::mem::take(&mut self.records), began.elapsed(), waited);
        self.moved.clear();
        for (place, unread) in &mut self.unread {
            if self.positions.contains_key(place) {
                unread.done();
            }
        }
        self.tell_unread();
        Ok(())
    }

    /// Tells since when what waits has waited.
    fn tell_unread(&mut self) {
        let looks_behind = self.looked_behind.elapsed() > LOOK_BEHIND;
        if looks_behind {
            self.looked_behind = Tick::now();
        }
        for ((topic, partition), unread) in &mut self.unread {
            if looks_behind && unread.is_at_end() {
                let next = self.positions.get(&(*topic, *partition));
                let is_hidden = next.is_some_and(|next| self.reader.is_hidden(*topic, *partition, *next));
                unread.look_behind_the_end(is_hidden, machine_now());
            }
            self.probe.unread(&self.plan.topics[*topic], *partition, unread);
        }
    }

    /// The one way out of everything uncertain.
    fn start_over(&mut self, error: &Error) {
        tracing::warn!("everything uncommitted is dropped and read again: {error}");
        self.probe.set_ready(false);
        self.producer = None;
        self.fetched.clear();
        self.moved.clear();
        self.records = 0;
        for (topic, partition) in std::mem::take(&mut self.positions).into_keys() {
            self.reader.stop(topic, partition);
            let place = (self.plan.topics[topic].clone(), partition);
            if !self.awaiting.contains(&place) {
                self.awaiting.push(place);
            }
        }
        self.unread.values_mut().for_each(Unread::dropped);
        self.tell_unread();
        self.handler.dropped(error.verdict());
        self.group.rest();
    }

    /// Leaves the group; before, commits what is finished or, after an error, drops it.
    fn finish(mut self, ended: Result<(), Error>) -> Result<(), Error> {
        let finished = match &ended {
            Ok(()) => self.commit(),
            Err(_) => self.producer.as_mut().map_or(Ok(()), Producer::abort),
        };
        if let Err(error) = finished {
            // The next owner reads it again.
            tracing::warn!("{error}");
        }
        ended
    }
}

/// Partition counts of the outputs, and proof that every topic exists.
fn partitions_of_outputs(settings: &Settings, plan: &Relay) -> Result<Vec<i32>, Error> {
    let names: Vec<&str> = plan.topics.iter().chain(&plan.outputs).map(String::as_str).collect();
    let counts = admin::counts(settings, &names)?;
    if let Some(missing) = names.iter().find(|name| !counts.contains_key(**name)) {
        return Err(Mismatch::Missing { topic: (*missing).to_owned() }.into());
    }
    Ok(plan.outputs.iter().map(|output| counts[output]).collect())
}
