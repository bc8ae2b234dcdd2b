//! One thread: a group member, a producer, and the tasks of the partitions that it owns.
//!
//! ```text
//! loop:  rebalances ──> reference ──> sweeps ──> records ──> deadlines ──> commit
//! ```
//!
//! Work goes in rounds: one reading of the clock, records, the deadlines due up to the watermark. A commit takes all tasks
//! together: rows, META, outputs and input positions in one transaction.

mod commit;
mod report;
mod take_over;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::clock::{Millis, Tick};
use crate::engine::Surroundings;
use crate::kafka::{Change, Fetched};
use crate::log::{INPUT, Log, REFERENCE, Record};
use crate::planted::{Bug, is_planted};
use crate::processor::{Headers, Incoming, Outbox, Processor};
use crate::recovery::Claim;
use crate::table::Slot;
use crate::task::{Task, cut_off};
use crate::{Error, Verdict};

/// Records of one round: enough to make the look-up of missing rows one sorted sweep, few enough to keep a round short.
const ROUND_RECORDS: usize = 4096;

/// How long a turn may wait for records while partitions are being restored.
const RESTORING: Duration = Duration::from_millis(5);

/// One shard.
pub(crate) struct Shard<'a, L: Log, P: Processor> {
    around: Surroundings<'a>,
    log: L,
    processor: P,
    /// Partitions that are ours and go on.
    tasks: BTreeMap<i32, Task<P>>,
    /// Partitions that are ours and not there yet; claimed, or still to be claimed.
    coming: BTreeMap<i32, Option<Claim>>,
    /// Claims so far.
    claims: u64,
    /// No claim before this, and by which partition it begins.
    claims_from: Tick,
    claims_turn: usize,
    out: Outbox,
    fetched: Vec<Fetched<L::Record>>,
    /// Partitions that are ours, as the gauge has them.
    owned: i64,
    /// Next offset of the reference topic.
    reference: i64,
    /// Since when something waits to be committed.
    open_since: Option<Tick>,
    open_records: usize,
    saved: Tick,
    measured: Tick,
    /// Partitions of the input in which something waits, up to where they were consumed, and since when no further.
    waiting: BTreeMap<i32, (i64, Tick)>,
    /// Partitions of the input whose end nobody could tell, from when on it is asked again, and after what rest.
    leaderless: BTreeMap<i32, (Tick, Duration)>,
    /// The group has spoken, if only to say that there is nothing for us.
    assigned: bool,
    /// Another process joined under our identity.
    expelled: bool,
}

impl<'a, L: Log, P: Processor> Shard<'a, L, P> {
    pub(crate) fn new(around: Surroundings<'a>, log: L, processor: P) -> Self {
        Shard {
            around,
            log,
            processor,
            tasks: BTreeMap::new(),
            coming: BTreeMap::new(),
            claims: 0,
            claims_from: Tick::now(),
            claims_turn: 0,
            out: Outbox::default(),
            fetched: Vec::new(),
            owned: 0,
            reference: 0,
            open_since: None,
            open_records: 0,
            saved: Tick::now(),
            measured: Tick::now(),
            waiting: BTreeMap::new(),
            leaderless: BTreeMap::new(),
            assigned: false,
            expelled: false,
        }
    }

    /// Runs until it is told to stop, or until somebody has to act.
    pub(crate) fn run(mut self) -> Result<(), Error> {
        self.begin()?;
        while !self.around.stop.load(Ordering::Relaxed) {
            self.around.turns.fetch_add(1, Ordering::Relaxed);
            self.step()?;
        }
        self.drain();
        Ok(())
    }

    /// What comes before the first turn.
    pub(crate) fn begin(&mut self) -> Result<(), Error> {
        while !self.around.stop.load(Ordering::Relaxed)
            && let Err(error) = self.catch_up_with_reference()
        {
            self.around.turns.fetch_add(1, Ordering::Relaxed);
            self.give_up(&error)?;
        }
        Ok(())
    }

    /// One turn of the loop, and what follows if it fails. An error is one that somebody has to act upon.
    pub(crate) fn step(&mut self) -> Result<(), Error> {
        match self.turn() {
            Err(error) if !self.expelled => self.give_up(&error),
            turned => turned,
        }
    }

    /// One turn of the loop.
    fn turn(&mut self) -> Result<(), Error> {
        while let Some(change) = self.hear(Duration::ZERO)? {
            self.change(&change)?;
        }
        self.claim_waiting()?;
        self.take_over_restored()?;
        self.around.probe.set_ready(self.assigned && self.coming.is_empty());
        self.sweep()?;
        let patience = self.around.clock.patience();
        let wait = match self.open_since {
            Some(_) => Duration::ZERO,
            // Entries that no longer fit their rows fire without a change.
            None if self.tasks.values().any(Task::has_more_due) => Duration::ZERO,
            None if self.coming.is_empty() => patience,
            None => patience.min(RESTORING),
        };
        let mut fetched = std::mem::take(&mut self.fetched);
        let taken = self.log.fetch(wait, ROUND_RECORDS, &mut fetched);
        let is_idle = fetched.is_empty();
        let applied = taken.and_then(|()| self.apply(&fetched));
        fetched.clear();
        self.fetched = fetched;
        applied?;
        let fired = self.fire()?;
        self.publish_ready()?;
        self.tell_unread();
        self.measure_lag_if_due()?;
        self.commit_if_due(is_idle && fired == 0)
    }

    /// The next change of what is ours. A member that was expelled stays so: the process has to begin anew.
    fn hear(&mut self, wait: Duration) -> Result<Option<Change>, Error> {
        let heard = self.log.membership(wait);
        self.expelled |= heard.is_err();
        heard
    }

    /// Carries out a change of what is ours.
    fn change(&mut self, change: &Change) -> Result<(), Error> {
        match change {
            Change::Assigned(partitions) => {
                self.log.accept(change)?;
                self.coming.extend(partitions.iter().map(|(_, partition)| (*partition, None)));
                partitions.iter().for_each(|(_, partition)| self.around.probe.unserved(*partition));
                self.assigned = true;
                self.show_owned();
            }
            Change::Revoked { partitions, lost } => {
                // Given up only after it is finished; what is lost is finished by its new owner.
                let finished = if *lost { Ok(()) } else { self.commit().and_then(|()| self.save()) };
                for (_, partition) in partitions {
                    self.log.stop(INPUT, *partition);
                    self.tasks.remove(partition);
                    self.coming.remove(partition);
                    self.around.restorer.release(*partition);
                    self.around.probe.released(&self.around.config.topics.input, *partition);
                    self.report_nothing_of(*partition);
                }
                // Before the brokers are needed again: who lost everything because they are away has to be seen so.
                self.show_owned();
                if *lost {
                    self.abandon()?;
                }
                self.log.accept(change)?;
                finished?;
            }
        }
        Ok(())
    }

    /// The shards of a process have one gauge.
    fn show_owned(&mut self) {
        let owned = i64::try_from(self.tasks.len() + self.coming.len()).unwrap_or(0);
        self.around.metrics.owned.add(owned - std::mem::replace(&mut self.owned, owned));
    }

    /// Applies what was fetched: rows first, in one look-up per partition, then the records in their order.
    fn apply(&mut self, fetched: &[Fetched<L::Record>]) -> Result<(), Error> {
        let now = self.around.clock.now();
        self.around.probe.seen(now);
        let mut keys: BTreeMap<i32, Vec<&[u8]>> = BTreeMap::new();
        for item in fetched {
            if let Fetched::Record(record) = item
                && record.topic() == INPUT
                && let Some(key) = key_of(record)
            {
                keys.entry(record.partition()).or_default().push(key);
            }
        }
        let mut slots: Slots = BTreeMap::new();
        for (partition, keys) in keys {
            if let Some(task) = self.tasks.get_mut(&partition) {
                slots.insert(partition, task.load(&self.processor, &keys)?.into_iter());
            }
        }
        self.tasks.values_mut().for_each(|task| task.see(now));
        for item in fetched {
            self.take(item, &mut slots)?;
        }
        Ok(())
    }

    fn take(&mut self, item: &Fetched<L::Record>, slots: &mut Slots) -> Result<(), Error> {
        match item {
            Fetched::Record(record) if record.topic() == REFERENCE => {
                if record.offset() < self.reference {
                    return Ok(());
                }
                // A new version is taken up between two transactions only.
                self.commit()?;
                self.processor.reference(record.key().unwrap_or_default(), record.value());
                self.reference = record.offset() + 1;
            }
            Fetched::Record(record) => {
                if let Some(task) = self.tasks.get_mut(&record.partition()) {
                    let key = key_of(record);
                    let incoming = Incoming {
                        partition: record.partition(),
                        offset: record.offset(),
                        appended_at: record.timestamp(),
                        key: key.unwrap_or_default(),
                        value: record.value(),
                        headers: Headers::of(record),
                    };
                    let slot = key.map(|_| match slots.get_mut(&record.partition()).and_then(Iterator::next) {
                        Some(slot) => slot,
                        None => unreachable!("rows are loaded before they are used"),
                    });
                    task.apply(&mut self.processor, &incoming, slot, &mut self.out);
                    self.open_records += 1;
                    self.open_since.get_or_insert_with(Tick::now);
                }
            }
            Fetched::End { topic: INPUT, partition, offset } => {
                if let Some(task) = self.tasks.get_mut(partition) {
                    // Markers and aborted records move the position, too; they need no commit of their own.
                    task.pass(*offset);
                }
            }
            Fetched::OutOfRange { topic: INPUT, partition } => {
                if let Some(next) = self.task(*partition).map(|task| task.next) {
                    return Err(self.input_has_a_gap(*partition, next));
                }
            }
            Fetched::OutOfRange { topic: REFERENCE, .. } => return Err(self.reference_is_another(self.reference)),
            Fetched::End { .. } | Fetched::OutOfRange { .. } => {}
        }
        Ok(())
    }

    /// The next offset of the input is not there.
    fn input_has_a_gap(&mut self, partition: i32, next: i64) -> Error {
        match self.log.range(INPUT, partition) {
            Ok((_, end)) if end < next => cut_off(partition, next, end),
            Ok((first, _)) if next < first => Error::stop(
                "go on with the input",
                format!("partition {partition}: offset {next} was deleted; the retention of the input is too short"),
            ),
            // It is there after all. Whoever claims the partition anew sees what is wrong with it, if anything is.
            Ok(_) => {
                Error::new(Verdict::Retry, "go on with the input", format!("partition {partition}: no offset {next}"))
            }
            // Nobody knows yet why: a topic that was just made anew has a leader of whom not everybody has heard.
            Err(error) => error,
        }
    }

    /// Begins a transaction with the next rows of sweeps that the watermark has reached.
    fn sweep(&mut self) -> Result<(), Error> {
        let now = self.around.clock.now();
        for task in self.tasks.values_mut() {
            task.see(now);
            task.plan_sweeps(&self.processor);
            if self.open_since.is_none() {
                let visited = task.sweep(&mut self.processor, self.around.config.sweep_budget, &mut self.out)?;
                self.around.metrics.swept.inc_by(u64::try_from(visited).unwrap_or(0));
            }
        }
        if !self.tasks.values().all(Task::is_unchanged) {
            self.open_since.get_or_insert_with(Tick::now);
        }
        self.publish_ready()
    }

    /// Fires deadlines that the watermark has reached.
    fn fire(&mut self) -> Result<usize, Error> {
        self.advance_watermarks()?;
        let mut fired_in_all = 0;
        for task in self.tasks.values_mut() {
            let (fired, lateness) = task.fire(&mut self.processor, self.around.config.fire_budget, &mut self.out)?;
            if fired > 0 {
                fired_in_all += fired;
                self.around.metrics.fired.inc_by(u64::try_from(fired).unwrap_or(0));
                self.around.metrics.lateness_seconds.observe(seconds(lateness));
            }
            if !task.is_unchanged() {
                self.open_since.get_or_insert_with(Tick::now);
            }
            task.end_round();
        }
        Ok(fired_in_all)
    }

    /// The watermark: a deadline fires only when everything that was in the input, or in a topic before it, when the clock was
    /// read is applied. What counts is the high watermark, not the last stable offset: an open transaction may hide the record
    /// that makes it pointless.
    fn advance_watermarks(&mut self) -> Result<(), Error> {
        let mut asked = Vec::new();
        for task in self.tasks.values_mut() {
            if let Some((moment, end)) = task.target
                && task.next >= end
            {
                task.watermark = moment;
                task.target = None;
            }
            if task.target.is_none() && task.is_due(task.now) && task.watermark < task.now {
                let moment = self.log.complete_until(task.now);
                if moment > task.watermark {
                    asked.push((task.partition, moment));
                }
            }
        }
        if asked.is_empty() {
            return Ok(());
        }
        let partitions: Vec<i32> = asked.iter().map(|(partition, _)| *partition).collect();
        let ends = self.ends_of_input(&partitions)?.into_iter().collect::<BTreeMap<_, _>>();
        for (partition, moment) in asked {
            if let (Some(task), Some(end)) = (self.tasks.get_mut(&partition), ends.get(&partition)) {
                if task.is_cut_off(*end)? {
                    continue;
                }
                if task.next >= *end || is_planted(Bug::DeadlinesFirst) {
                    task.watermark = moment;
                } else {
                    task.target = Some((moment, *end));
                }
            }
        }
        Ok(())
    }

    fn task(&mut self, partition: i32) -> Option<&mut Task<P>> {
        self.tasks.get_mut(&partition)
    }

    /// The one path for every unknown outcome: forget what is uncommitted, replace the producer, recover.
    fn give_up(&mut self, error: &Error) -> Result<(), Error> {
        let cause = match error.verdict() {
            Verdict::Stop => {
                self.around.probe.set_failed();
                return Err(error.clone());
            }
            Verdict::Fenced => "fenced",
            Verdict::Abort => "abort",
            Verdict::Retry => "retry",
        };
        self.around.metrics.aborts.with_label_values(&[cause]).inc();
        tracing::warn!(cause, "everything uncommitted is dropped and recovered: {error}");
        self.abandon()?;
        // The group may be about to tell us that the partitions are no longer ours: hear it before trying again.
        match self.hear(Duration::from_millis(200)) {
            Ok(Some(change)) => match self.change(&change) {
                Err(error) if error.verdict() == Verdict::Stop => Err(error),
                Err(error) => {
                    tracing::warn!("a change of partitions failed and is tried anew: {error}");
                    self.abandon()
                }
                Ok(()) => Ok(()),
            },
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Drops everything in memory that is not committed, and the producer with its transaction.
    fn abandon(&mut self) -> Result<(), Error> {
        self.around.probe.set_ready(false);
        self.out.clear();
        self.open_since = None;
        self.open_records = 0;
        self.tasks.values_mut().for_each(|task| task.unread.dropped());
        self.tell_unread();
        for (partition, _) in std::mem::take(&mut self.tasks) {
            self.log.stop(INPUT, partition);
            self.coming.insert(partition, None);
            self.around.probe.unserved(partition);
        }
        self.coming.values_mut().for_each(|claim| *claim = None);
        while let Err(error) = self.log.renew() {
            // Brokers that are away for long are no call that hangs.
            self.around.turns.fetch_add(1, Ordering::Relaxed);
            if error.verdict() == Verdict::Stop || self.around.stop.load(Ordering::Relaxed) {
                return Err(error);
            }
            tracing::warn!("cannot replace the producer yet: {error}");
        }
        // Records of the reference topic may have been fetched and dropped with the rest.
        match self.around.config.topics.reference {
            Some(_) => self.log.start(REFERENCE, 0, self.reference),
            None => Ok(()),
        }
    }

    /// The last commit before the end. If it fails, the next owner recovers: nothing is lost.
    pub(crate) fn drain(&mut self) {
        let finished = self.commit().and_then(|()| self.save());
        if let Err(error) = finished {
            tracing::warn!("ended without a last commit; the next owner recovers: {error}");
        }
        self.tasks.clear();
    }
}

/// Where the rows of fetched records are, by partition, in the order of the records that have a key.
type Slots = BTreeMap<i32, std::vec::IntoIter<Slot>>;

/// A record with an empty key has none.
fn key_of(record: &impl Record) -> Option<&[u8]> {
    record.key().filter(|key| !key.is_empty())
}

fn seconds(span: Millis) -> f64 {
    Duration::from_millis(u64::try_from(span).unwrap_or(0)).as_secs_f64()
}
