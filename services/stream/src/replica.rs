//! One partition's changelog on its way into the store: up to a BARRIER for an owner to be, or on and on as a standby.
//!
//! ```text
//! records ──> rows that no META closed yet ──> store ──> [BARRIER] ──> task
//! ```
//!
//! *Invariants.* The store holds rows that a META closed, and no others. What it is a checkpoint of is noted in the batch that
//! makes it true. What waits for its META is bounded: where the changelog is compacted, the METAs of most rows are gone, so
//! that the last one is looked for first.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Error;
use crate::clock::{Millis, Tick, machine_now};
use crate::control::{self, Entry, Meta, Sequence};
use crate::engine::Config;
use crate::log::{BEGINNING, Record};
use crate::metrics::Metrics;
use crate::planted::{Bug, is_planted};
use crate::processor::Processor;
use crate::store::{Changes, Checkpoint, Cursor, Disks, Store, UNARMED};
use crate::task::unpack;

/// What all replicas of a process have in common.
#[derive(Clone)]
pub(crate) struct Rules<'a> {
    pub(crate) config: &'a Config,
    /// Id of the Kafka cluster.
    pub(crate) cluster: &'a str,
    /// Name and id of the changelog.
    pub(crate) changelog: &'a str,
    pub(crate) disks: &'a dyn Disks,
    pub(crate) metrics: Metrics,
}

/// A partition that follows its changelog. `R` is a record of it.
pub(crate) struct Replica<'a, R> {
    rules: Rules<'a>,
    partition: i32,
    store: Store,
    checkpoint: Checkpoint,
    scout: Option<Scout>,
    /// The last META that is known to come.
    known: Option<(i64, Meta)>,
    /// Next offset.
    next: i64,
    /// Rows that no META has closed yet.
    open: Vec<R>,
    meta: Option<Meta>,
    /// Where the last META was read; none while only the store knows of one.
    meta_at: Option<i64>,
    changes: Changes,
    replayed: u64,
    noted: Tick,
    /// When anything was heard of it last.
    heard: Tick,
    was_at_end: bool,
    /// Machine time at which it is known to have held everything.
    current_at: Millis,
    /// As in [`Restored`].
    arrived_at: Millis,
}

/// Looks for the last META of a long changelog.
struct Scout {
    /// Looks from here on.
    from: i64,
    /// To here.
    until: i64,
    found: Option<(i64, Meta)>,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Read on.
    GoOn,
    /// Read from another offset on.
    From(i64),
    /// The BARRIER is reached.
    Arrived,
    /// The changelog has lost what the store holds: [`Replica::begin_behind`].
    Anew,
}

/// A partition as its changelog says it was at a BARRIER.
pub(crate) struct Restored {
    pub(crate) partition: i32,
    pub(crate) store: Store,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) meta: Option<Meta>,
    /// Keys of rows that no META closed.
    pub(crate) torn: BTreeSet<Box<[u8]>>,
    /// Records that were taken since its store was opened.
    pub(crate) replayed: u64,
    /// When the broker took the BARRIER, by the broker's clock.
    pub(crate) arrived_at: Millis,
}

impl Rules<'_> {
    fn nothing(&self, partition: i32) -> Checkpoint {
        Checkpoint {
            cluster: self.cluster.to_owned(),
            changelog: self.changelog.to_owned(),
            partition: Some(partition),
            saved_at: machine_now(),
            ..Checkpoint::default()
        }
    }

    /// The store, if it is a checkpoint of this partition's changelog and not too old; else an empty one.
    fn trusted(&self, store: Store, partition: i32) -> Result<(Store, Checkpoint), Error> {
        let nothing = self.nothing(partition);
        let Some(found) = store.checkpoint()? else {
            return Ok((store.wipe(self.disks)?, nothing));
        };
        let doubt = if found.cluster != nothing.cluster || found.changelog != nothing.changelog {
            "it belongs to another cluster, or to a changelog that was made anew"
        } else if found.partition.is_some_and(|found| found != partition) {
            "it belongs to another partition"
        } else if self.is_too_old(found.saved_at) {
            TOO_OLD
        } else {
            return Ok((store, Checkpoint { partition: nothing.partition, ..found }));
        };
        warn_of_wipe(partition, doubt);
        Ok((store.wipe(self.disks)?, nothing))
    }

    fn is_too_old(&self, current_at: Millis) -> bool {
        machine_now() - current_at > self.config.checkpoint_age_max && !is_planted(Bug::StaleStateMerged)
    }
}

/// Where the store of a partition lies.
pub(crate) fn store_path(state_dir: &Path, input: &str, partition: i32) -> PathBuf {
    state_dir.join(format!("{input}-{partition}"))
}

const TOO_OLD: &str = "it is older than the changelog keeps tombstones";

fn warn_of_wipe(partition: i32, doubt: &str) {
    tracing::warn!(partition, "the local state is wiped and restored from the changelog: {doubt}");
}

impl<'a, R: Record> Replica<'a, R> {
    /// Opens the partition's store.
    ///
    /// # Errors
    /// `Retry` while another shard of this process still has it, `Stop` if it cannot be used.
    pub(crate) fn open(rules: &Rules<'a>, partition: i32) -> Result<Self, Error> {
        let path = store_path(&rules.config.state_dir, &rules.config.topics.input, partition);
        let store = Store::open(&path, rules.disks)?;
        let (store, checkpoint) = rules.trusted(store, partition)?;
        Ok(Replica {
            rules: rules.clone(),
            partition,
            store,
            scout: None,
            known: None,
            next: checkpoint.next,
            open: Vec::new(),
            meta: checkpoint.meta.clone(),
            meta_at: None,
            current_at: checkpoint.saved_at,
            checkpoint,
            changes: Changes::default(),
            replayed: 0,
            noted: Tick::now(),
            heard: Tick::now(),
            was_at_end: false,
            arrived_at: 0,
        })
    }

    /// Where to begin to read a changelog that ends at `end` now.
    pub(crate) fn begin(&mut self, end: i64) -> i64 {
        let window = self.rules.config.restore_window;
        if end - self.next > window {
            let from = end - window;
            self.scout = Some(Scout { from, until: end, found: None });
            return from;
        }
        self.position()
    }

    /// Lets go of all records, since the client that brought them waits at its end for each that somebody holds. Where another client
    /// goes on; none where a META stands behind a record that is let go of: then the store has to be opened anew.
    pub(crate) fn let_go(&mut self) -> Option<i64> {
        let first = self.open.first().map(Record::offset);
        self.open.clear();
        if first.is_some_and(|first| self.meta_at.is_some_and(|at| at > first)) {
            return None;
        }
        self.next = first.unwrap_or(self.next);
        Some(self.scout.as_ref().map_or_else(|| self.position(), |scout| scout.from))
    }

    fn position(&self) -> i64 {
        if self.next == 0 { BEGINNING } else { self.next }
    }

    /// Offsets that are still to be read before `end`, where the changelog ends now.
    pub(crate) fn remaining(&mut self, end: i64) -> i64 {
        if self.next >= end {
            self.current_at = machine_now();
        }
        (end - self.next).max(0)
    }

    /// For how long nothing was heard of it.
    pub(crate) fn silence(&self) -> Duration {
        self.heard.elapsed()
    }

    /// Whether it has come to the end of its changelog for the first time.
    pub(crate) fn is_first_at_end(&mut self) -> bool {
        self.scout.is_none() && !std::mem::replace(&mut self.was_at_end, true)
    }

    /// Records that were taken.
    pub(crate) fn replayed(&self) -> u64 {
        self.replayed
    }

    /// Takes a record, with the nonce of the BARRIER that somebody waits for.
    ///
    /// # Errors
    /// `Stop` for a record that is none of ours.
    pub(crate) fn take<P: Processor>(&mut self, record: R, processor: &P, nonce: Option<&str>) -> Result<Next, Error> {
        let at = record.offset();
        self.heard = Tick::now();
        let entry = control::read(record.key().unwrap_or_default(), record.value()).map_err(|words| {
            Error::stop("read the changelog", format!("partition {}, offset {at}: {words}", self.partition))
        })?;
        if let Some(scout) = &mut self.scout {
            if let Entry::Meta(meta) = entry {
                scout.found = Some((at, *meta));
            }
            return Ok(self.look_on(at + 1));
        }
        self.next = at + 1;
        self.replayed += 1;
        match entry {
            Entry::Row { sequence, .. } => {
                let closes = |(end, known): &(i64, Meta)| at < *end && known.sequence.closes(sequence);
                if self.known.as_ref().is_some_and(closes) {
                    self.put(&record, processor)?;
                } else {
                    self.open.push(record);
                }
            }
            Entry::Meta(meta) => {
                self.close(*meta, processor)?;
                self.meta_at = Some(at);
            }
            Entry::Barrier(barrier) if nonce == Some(&barrier.nonce) => {
                self.arrived_at = record.timestamp();
                return Ok(if self.is_ahead() { Next::Anew } else { Next::Arrived });
            }
            Entry::Barrier(_) => {}
        }
        Ok(Next::GoOn)
    }

    /// Whether the store holds a commit that the changelog does not: brokers have lost one that they had confirmed. The META of a
    /// checkpoint, or one that builds upon it, stands behind its offset.
    fn is_ahead(&self) -> bool {
        let noted = self.checkpoint.meta.as_ref();
        let found = self.meta_at.and(self.meta.as_ref());
        noted.is_some_and(|noted| !found.is_some_and(|found| found.includes(noted)))
    }

    /// There is nothing more before `end` for now.
    pub(crate) fn pass(&mut self, end: i64, is_awaited: bool) -> Next {
        self.heard = Tick::now();
        if self.scout.is_some() {
            return self.look_on(end);
        }
        self.next = self.next.max(end);
        let ends_early = is_planted(Bug::RestoreToStableEnd) || is_planted(Bug::NoBarrier);
        if is_awaited && ends_early { Next::Arrived } else { Next::GoOn }
    }

    /// Everything before `next` was looked at for the last META.
    fn look_on(&mut self, next: i64) -> Next {
        let Some(scout) = self.scout.take_if(|scout| next >= scout.until) else { return Next::GoOn };
        let span = 8 * (scout.until - scout.from);
        if scout.found.is_none() && scout.from > self.next {
            let from = self.next.max(scout.until - span);
            self.scout = Some(Scout { from, ..scout });
            return Next::From(if from == 0 { BEGINNING } else { from });
        }
        self.known = scout.found;
        Next::From(self.position())
    }

    /// A META closes the rows before it, up to its sequence: those of its own transaction, and older ones whose META was
    /// compacted away. A torn row among them does no harm: the first transaction after a BARRIER writes torn keys anew, so
    /// that the right row follows before its META.
    fn close<P: Processor>(&mut self, meta: Meta, processor: &P) -> Result<(), Error> {
        let closed = meta.sequence;
        self.meta = Some(meta);
        let open = std::mem::take(&mut self.open);
        for record in open {
            match read_row(&record) {
                Some((_, sequence, _)) if closed.closes(sequence) => {
                    self.put(&record, processor)?;
                }
                _ => self.open.push(record),
            }
        }
        Ok(())
    }

    fn put<P: Processor>(&mut self, record: &R, processor: &P) -> Result<(), Error> {
        let Some((key, _, bytes)) = read_row(record) else { return Ok(()) };
        match bytes {
            Some(bytes) => {
                let due = processor.due(&unpack(processor, self.partition, bytes)?);
                if let Some(due) = due {
                    self.changes.arm(due, key);
                }
                self.changes.put_row(key, due.unwrap_or(UNARMED), bytes);
            }
            None => self.changes.delete_row(key),
        }
        if self.changes.len_bytes() > self.rules.config.batch_bytes {
            // It is read again from the same place on, and has to meet the commit to which these rows belong; and still one that
            // it held before, which may not have come yet, or be lost.
            let noted = self.checkpoint.meta.as_ref();
            let newer = noted.and_then(|noted| self.newest().filter(|newest| newest.includes(noted)).cloned());
            if newer.is_some() {
                self.checkpoint.meta = newer;
            }
            self.write()?;
        }
        Ok(())
    }

    /// The last commit of which the store may hold a row.
    fn newest(&self) -> Option<&Meta> {
        let known = self.known.as_ref().filter(|_| self.is_behind()).map(|(_, known)| known);
        known.or(self.meta.as_ref())
    }

    /// Whether the META that is known to come is still to come.
    fn is_behind(&self) -> bool {
        self.known.as_ref().is_some_and(|(at, _)| self.next <= *at)
    }

    /// The store follows, and knows what it is a checkpoint of then: should brokers lose a commit, whoever opens it must see that it
    /// holds rows of it. One that is a checkpoint of nothing yet counts for nothing after a crash.
    fn write(&mut self) -> Result<(), Error> {
        let mut changes = std::mem::take(&mut self.changes);
        if self.checkpoint.meta.is_some() {
            changes.checkpoint(&self.checkpoint);
        }
        self.store.write(changes)
    }

    fn begin_anew(self, doubt: &str) -> Result<Self, Error> {
        warn_of_wipe(self.partition, doubt);
        let Replica { rules, partition, store, .. } = self;
        drop(store.wipe(rules.disks)?);
        Self::open(&rules, partition)
    }

    /// Begins anew, because the changelog does not have the offset from which it was to be read.
    ///
    /// # Errors
    /// `Stop` if the store cannot be removed.
    pub(crate) fn begin_in_range(self) -> Result<Self, Error> {
        self.begin_anew("the changelog does not go back to it, or not as far: it was truncated or made anew")
    }

    /// Begins anew, because it holds what the changelog has lost.
    ///
    /// # Errors
    /// `Stop` if the store cannot be removed.
    pub(crate) fn begin_behind(self) -> Result<Self, Error> {
        self.begin_anew("it holds a commit that the changelog has lost")
    }

    /// Whether it has held less than everything for so long that tombstones may be missed.
    pub(crate) fn is_too_old(&self) -> bool {
        self.rules.is_too_old(self.current_at)
    }

    /// Begins anew, because it [is too old](Replica::is_too_old).
    ///
    /// # Errors
    /// `Stop` if the store cannot be removed.
    pub(crate) fn begin_afresh(self) -> Result<Self, Error> {
        self.begin_anew(TOO_OLD)
    }

    /// Notes how far it is, now and then, so that a restart replays no more than the tail.
    ///
    /// # Errors
    /// `Abort` if the disk refuses.
    pub(crate) fn note_if_due<P: Processor>(&mut self, processor: &P) -> Result<(), Error> {
        if self.noted.elapsed() < self.rules.config.save_age || self.scout.is_some() {
            return Ok(());
        }
        self.noted = Tick::now();
        // What it has to prove yet, it must not forget. On the way to a META that is known to come it holds rows of later commits
        // than the last one that it has met.
        if self.meta_at.is_none_or(|at| at == self.checkpoint.next) || self.is_ahead() || self.is_behind() {
            return Ok(());
        }
        self.note_meta();
        self.write()?;
        if let Some(fired_until) = self.meta.as_ref().and_then(fired_until) {
            self.retire(processor, fired_until)?;
        }
        self.store.flush()
    }

    /// No row asks to be looked at before this any more. One may still rely on an entry before it: where the entry had fired and
    /// the row had not changed, the changelog knows nothing of its new one, and a crash may have taken that from the store. What
    /// takes longer than [`RETIRE_MAX`] goes on the next time.
    fn retire<P: Processor>(&mut self, processor: &P, fired_until: Millis) -> Result<(), Error> {
        let begun = Tick::now();
        let (mut place, mut wanted) = (Cursor::start(), Cursor::at(fired_until, b""));
        while begun.elapsed() < RETIRE_MAX {
            let mut entries: Vec<(Box<[u8]>, Millis)> = Vec::new();
            self.store.deadlines(&place, |due, key| {
                let is_passed = due < fired_until && entries.len() < RETIRED_AT_ONCE;
                if is_passed {
                    entries.push((key.into(), due));
                }
                is_passed
            })?;
            let Some((key, due)) = entries.last() else {
                place = wanted.clone();
                break;
            };
            place = Cursor::behind(*due, key);
            entries.sort_unstable();
            let keys: Vec<&[u8]> = entries.iter().map(|(key, _)| &**key).collect();
            let mut moved = Changes::default();
            self.store.rows(&keys, |index, found| {
                if let Some((armed, bytes)) = found.filter(|(armed, _)| *armed == entries[index].1) {
                    let due = processor.due(&unpack(processor, self.partition, bytes)?).unwrap_or(UNARMED);
                    // One that is due again already: the store is ahead of the META, and the changelog comes to it yet.
                    wanted = wanted.clone().min(Cursor::at(due, keys[index]));
                    if due != armed {
                        if due != UNARMED {
                            moved.arm(due, keys[index]);
                        }
                        moved.put_row(keys[index], due, bytes);
                    }
                }
                Ok(())
            })?;
            self.store.write(moved)?;
        }
        // By itself, since a batch retires last.
        let mut passed = Changes::default();
        passed.retire_before(&place.min(wanted));
        self.store.write(passed)
    }

    /// Everything up to the last META is in the store, or about to be: it is what the store is a checkpoint of. It is to be read
    /// again, as a proof that the changelog still has it.
    fn note_meta(&mut self) {
        if let Some(at) = self.meta_at {
            self.checkpoint.next = at;
            self.checkpoint.meta.clone_from(&self.meta);
        }
        self.checkpoint.saved_at = self.current_at;
    }

    /// Ends at the BARRIER.
    ///
    /// # Errors
    /// `Abort` if the disk refuses.
    pub(crate) fn arrive(mut self) -> Result<Restored, Error> {
        self.current_at = machine_now();
        self.note_meta();
        self.write()?;
        let torn: BTreeSet<Box<[u8]>> =
            self.open.iter().filter_map(|record| Some(read_row(record)?.0.into())).collect();
        if !torn.is_empty() {
            tracing::warn!(partition = self.partition, rows = torn.len(), "rows of a torn transaction are set aside");
        }
        let Replica { partition, store, checkpoint, meta, replayed, arrived_at, .. } = self;
        Ok(Restored { partition, store, checkpoint, meta, torn, replayed, arrived_at })
    }
}

/// Index entries that are looked at in one go before they are retired.
const RETIRED_AT_ONCE: usize = 10_000;

/// The other replicas of the thread wait meanwhile, and whoever watches over it.
const RETIRE_MAX: Duration = Duration::from_secs(1);

/// Key, sequence and bytes.
type Row<'r> = (&'r [u8], Option<Sequence>, Option<&'r [u8]>);

fn read_row(record: &impl Record) -> Option<Row<'_>> {
    match control::read(record.key().unwrap_or_default(), record.value()) {
        Ok(Entry::Row { key, sequence, bytes }) => Some((key, sequence, bytes)),
        _ => None,
    }
}

/// Every deadline before this had fired at that commit.
fn fired_until(meta: &Meta) -> Option<Millis> {
    meta.rounds.last().map(|round| round.fired_until)
}

#[cfg(all(test, feature = "simulation"))]
mod tests;
