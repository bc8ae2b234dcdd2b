//! One partition: its rows, its deadlines, its place in the input.
//!
//! ```text
//! records, deadlines ──> rows in memory (dirty) ──> changelog rows + META ──> [commit] ──> rows in memory (unwritten)
//!                                                                      [now and then] ──> store, index, checkpoint
//! ```
//!
//! *Invariants.* The store holds nothing that is not committed. Every row with a deadline has an index entry at or before it
//! (lazily armed: a deadline that moves later writes nothing, and an entry that no longer fits its row is stale). Entries before
//! the horizon's place are never needed again. The clock of a partition never goes back.

mod firing;
mod write_back;

use std::collections::BTreeSet;
use std::time::Duration;

use crate::clock::{Millis, Tick};
use crate::control::{self, Ended, Format, Meta, Portion, Round, Sequence};
use crate::horizon::Horizon;
use crate::log::{Log, Target};
use crate::planted::{Bug, is_planted};
use crate::processor::{Incoming, Outbox, Processor};
use crate::store::{Checkpoint, Store, UNARMED};
use crate::sweep::Agenda;
use crate::table::{Slot, Table};
use crate::unread::Unread;
use crate::{Config, Error, Verdict};

use write_back::Saving;

/// An end of the input that lies before what was applied of it is believed after so long.
const CUT_OFF: Duration = Duration::from_secs(30);

/// The input is another, or not whole.
pub(crate) fn cut_off(partition: i32, next: i64, end: i64) -> Error {
    Error::stop(
        "go on with the input",
        format!(
            "partition {partition}: the input ends at {end}, but everything before {next} is applied: it was made anew, or has lost its end. \
             What is written up to there would be passed over; the page on disasters in the runbook says how to go on"
        ),
    )
}

/// Before the first commit of a partition.
const FIRST: Sequence = Sequence { epoch: 1, n: 0 };

/// One partition.
pub(crate) struct Task<P: Processor> {
    pub(crate) partition: i32,
    /// Everything before this offset of the input is applied.
    pub(crate) next: i64,
    /// The clock as this partition saw it last.
    pub(crate) now: Millis,
    /// Deadlines may fire up to here: all facts that were there at that moment are applied.
    pub(crate) watermark: Millis,
    /// What has to be consumed before the watermark reaches the moment at which it was asked for.
    pub(crate) target: Option<(Millis, i64)>,
    /// Since when the input is said to end before what was applied of it.
    cut_off: Option<Tick>,
    /// What waits in the input.
    pub(crate) unread: Unread,
    store: Store,
    table: Table<P::Row>,
    checkpoint: Checkpoint,
    sequence: Sequence,
    claim: u32,
    lineage: Vec<Ended>,
    committed_next: i64,
    horizon: Horizon,
    /// Deadlines that the open transaction set, of which the index does not know yet, are not before this.
    unindexed: Millis,
    /// No deadline up to here is still to fire.
    fired_until: Millis,
    /// Nor up to this one, where the budget did not suffice for all that were due.
    fired_through: Option<(Millis, Vec<u8>)>,
    agenda: Agenda,
    /// What a sweep visited in the round that is going on, and whether it visited anything in this transaction.
    swept: Option<Portion>,
    has_swept: bool,
    rounds: Vec<Round>,
    /// Whether deadlines fired in the round that is going on, and in the last one that was closed.
    fired: bool,
    fired_in_last: bool,
    /// Entries that fired without a change of the row: only the index has to learn of it.
    rearmed: Vec<Slot>,
    /// Keys that a torn transaction of an earlier owner wrote: written anew by the next commit.
    torn: BTreeSet<Box<[u8]>>,
    /// A row on its way into changelog or store.
    packed: Vec<u8>,
    /// Rows of the transaction that is being committed, and whether they are gone.
    produced: Vec<(Slot, bool)>,
    fired_since_retire: usize,
    /// As in [`Config`].
    retire_after: usize,
    /// As in [`Config`].
    save_rows: usize,
    needs_proof: bool,
    is_unsaved: bool,
    /// A checkpoint on its way.
    saving: Option<Saving>,
    /// Rows that waited when the horizon was marked, and still do.
    marked_rows: usize,
}

/// How a task begins, as recovery found it.
pub(crate) struct Start<'a> {
    pub(crate) partition: i32,
    pub(crate) store: Store,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) meta: Meta,
    pub(crate) torn: BTreeSet<Box<[u8]>>,
    /// As in [`Meta::claim`].
    pub(crate) claim: u32,
    pub(crate) config: &'a Config,
}

impl<P: Processor> Task<P> {
    pub(crate) fn new(start: Start<'_>) -> Self {
        let Start { partition, store, checkpoint, meta, torn, claim, config } = start;
        let lineage = meta.succession();
        Task {
            partition,
            next: meta.next_offset,
            now: meta.now,
            watermark: 0,
            target: None,
            cut_off: None,
            unread: Unread::default(),
            store,
            table: Table::new(),
            checkpoint,
            sequence: Sequence { epoch: meta.sequence.epoch + 1, n: 0 },
            claim,
            lineage,
            committed_next: meta.next_offset,
            horizon: Horizon::new(config.fire_window),
            unindexed: Millis::MAX,
            fired_until: 0,
            fired_through: None,
            agenda: Agenda::new(meta.sweeps),
            swept: None,
            has_swept: false,
            rounds: Vec::new(),
            fired: false,
            fired_in_last: false,
            rearmed: Vec::new(),
            // At once, though nothing else may change for long: compaction could prefer a torn row to the right one before it.
            needs_proof: !torn.is_empty(),
            torn,
            packed: Vec::new(),
            produced: Vec::new(),
            fired_since_retire: 0,
            retire_after: config.retire_after,
            save_rows: config.save_rows,
            is_unsaved: true,
            saving: None,
            marked_rows: 0,
        }
    }

    /// Whether the input, which is said to end here, has lost some of what was applied: then nobody knows what came since, and nothing
    /// fires. A leader that was just elected may name an old end, so only what lasts is believed.
    ///
    /// # Errors
    /// `Stop` if it lasts.
    pub(crate) fn is_cut_off(&mut self, end: i64) -> Result<bool, Error> {
        if end >= self.next {
            self.cut_off = None;
            return Ok(false);
        }
        match self.cut_off.get_or_insert_with(Tick::now).elapsed() {
            lasted if lasted < CUT_OFF => Ok(true),
            _ => Err(cut_off(self.partition, self.next, end)),
        }
    }

    /// Looks at the clock. That of a partition never goes back, across owners either.
    pub(crate) fn see(&mut self, now: Millis) {
        self.now = if is_planted(Bug::ClockGoesBack) { now } else { self.now.max(now) };
    }

    /// Brings the rows of `keys` into memory, with one sorted look-up for all that are missing, and says where each is.
    pub(crate) fn load(&mut self, processor: &P, keys: &[&[u8]]) -> Result<Vec<Slot>, Error> {
        let mut slots = Vec::with_capacity(keys.len());
        let mut missing: Vec<(&[u8], usize)> = Vec::new();
        for (index, key) in keys.iter().enumerate() {
            let found = self.table.find(key);
            if found.is_none() {
                missing.push((key, index));
            }
            slots.push(found.unwrap_or_default());
        }
        if missing.is_empty() {
            return Ok(slots);
        }
        missing.sort_unstable();
        let mut absent: Vec<&[u8]> = missing.iter().map(|(key, _)| *key).collect();
        absent.dedup();
        let (table, partition) = (&mut self.table, self.partition);
        let mut wanting = missing.iter().peekable();
        self.store.rows(&absent, |index, found| {
            let (row, armed) = match found {
                Some((armed, bytes)) => (unpack(processor, partition, bytes)?, armed),
                None => (P::Row::default(), UNARMED),
            };
            let slot = table.insert(absent[index], row, armed);
            while let Some((_, at)) = wanting.next_if(|(key, _)| *key == absent[index]) {
                slots[*at] = slot;
            }
            Ok(())
        })?;
        Ok(slots)
    }

    /// Applies a record without a key, or one whose row is at `slot`.
    pub(crate) fn apply(&mut self, processor: &mut P, record: &Incoming<'_>, slot: Option<Slot>, out: &mut Outbox) {
        if record.offset < self.next {
            return;
        }
        self.next = record.offset + 1;
        self.unread.read(record.appended_at);
        let Some(slot) = slot else {
            processor.broadcast(record, self.now, out);
            return;
        };
        if processor.record(&mut self.table.get(slot).row, record, self.now, out) {
            self.table.touch(slot);
            self.heed(processor, slot);
        }
    }

    /// There is nothing before `end` that is not applied: markers and aborted records, which nobody sees.
    pub(crate) fn pass(&mut self, end: i64) {
        self.unread.end();
        if self.next == self.committed_next {
            self.committed_next = self.committed_next.max(end);
        }
        self.next = self.next.max(end);
    }

    /// A deadline that the index will know only after the commit: until then none that is due later may fire, and none from there
    /// on counts as fired.
    fn heed(&mut self, processor: &P, slot: Slot) {
        let cached = self.table.get(slot);
        if let Some(due) = processor.due(&cached.row).filter(|due| *due < cached.armed) {
            self.unindexed = self.unindexed.min(due);
            self.fired_until = self.fired_until.min(due - 1);
            self.fired_through.take_if(|(through, key)| (*through, key.as_slice()) >= (due, &*cached.key));
        }
    }

    /// Closes a round: what was done since the last one was done under this reading of the clock. Rounds are told apart
    /// wherever deadlines fired between records, so that a replay does things in the same order.
    pub(crate) fn end_round(&mut self) {
        if self.is_unchanged() {
            return;
        }
        let fired = std::mem::take(&mut self.fired);
        let round = Round {
            now: self.now,
            next_offset: self.next,
            fired_until: self.fired_until,
            fired_through: self.fired_through.clone(),
            swept: self.swept.take(),
        };
        let goes_on = |last: &Round| {
            last.now == round.now
                && last.swept.is_none()
                && (!self.fired_in_last || last.next_offset == round.next_offset)
        };
        match self.rounds.last_mut() {
            Some(last) if goes_on(last) => {
                *last = round;
                self.fired_in_last |= fired;
            }
            _ => {
                self.rounds.push(round);
                self.fired_in_last = fired;
            }
        }
    }

    /// Whether there is nothing to commit.
    pub(crate) fn is_unchanged(&self) -> bool {
        self.next == self.committed_next
            && self.table.dirty().is_empty()
            && self.rearmed.is_empty()
            && !self.has_swept
            && !self.needs_proof
    }

    /// Whether anything was ever committed of it.
    pub(crate) fn has_meta(&self) -> bool {
        self.sequence > FIRST
    }

    /// Asks for a commit, though nothing may have changed.
    pub(crate) fn demand_proof(&mut self) {
        self.needs_proof = true;
    }

    /// Rows that the open transaction changed.
    pub(crate) fn dirty_len(&self) -> usize {
        self.table.dirty().len()
    }

    /// Puts the changed rows into the transaction.
    pub(crate) fn produce_rows<L: Log>(&mut self, processor: &P, log: &mut L) -> Result<(), Error> {
        self.sequence.n += 1;
        self.produced.clear();
        let mut key = Vec::new();
        for index in 0..self.table.dirty().len() {
            let slot = self.table.dirty()[index];
            self.packed.clear();
            control::start_row(self.sequence, &mut self.packed);
            let empty = self.packed.len();
            let cached = self.table.get(slot);
            processor.pack(&cached.row, &mut self.packed);
            control::row_key(&cached.key, &mut key);
            if !self.torn.is_empty() {
                self.torn.remove(&*cached.key);
            }
            let value = (self.packed.len() > empty).then_some(&*self.packed);
            log.produce(Target::Changelog(self.partition), &key, value, &[])?;
            self.produced.push((slot, value.is_none()));
        }
        self.produce_torn(log)
    }

    /// Puts META into the transaction, which closes the rows.
    pub(crate) fn produce_meta<L: Log>(&mut self, log: &mut L, mut meta: Meta) -> Result<(), Error> {
        meta.sequence = self.sequence;
        meta.claim = self.claim;
        meta.lineage.clone_from(&self.lineage);
        meta.next_offset = self.next;
        meta.now = self.now;
        meta.rounds = std::mem::take(&mut self.rounds);
        meta.sweeps.clone_from(self.agenda.sweeps());
        meta.format = Format::of(&meta.sweeps);
        let bytes = serde_json::to_vec(&meta).map_err(|error| Error::stop("write META", error.to_string()))?;
        self.checkpoint.meta = Some(meta);
        log.produce(Target::Changelog(self.partition), control::META_KEY, Some(&bytes), &[])
    }

    /// Whether rows of a torn transaction are still to be written anew.
    pub(crate) fn has_torn(&self) -> bool {
        !self.torn.is_empty()
    }

    /// Writes the keys of torn rows anew, as they really are.
    fn produce_torn<L: Log>(&mut self, log: &mut L) -> Result<(), Error> {
        if self.torn.is_empty() || is_planted(Bug::TornClosed) {
            return Ok(());
        }
        let torn: Vec<&[u8]> = self.torn.iter().map(|key| &**key).collect();
        let (mut key, mut value) = (Vec::new(), Vec::new());
        let (partition, sequence) = (self.partition, self.sequence);
        self.store.rows(&torn, |index, found| {
            control::row_key(torn[index], &mut key);
            value.clear();
            control::start_row(sequence, &mut value);
            let value = found.map(|(_, bytes)| {
                value.extend_from_slice(bytes);
                &*value
            });
            log.produce(Target::Changelog(partition), &key, value, &[])
        })
    }

    /// The transaction is committed: its rows wait for the store.
    pub(crate) fn after_commit(&mut self, processor: &P) {
        for (slot, is_gone) in std::mem::take(&mut self.produced) {
            self.arm(processor, slot, is_gone);
        }
        self.table.settle();
        for slot in std::mem::take(&mut self.rearmed) {
            self.arm(processor, slot, false);
            self.table.put_off(slot);
        }
        self.torn.clear();
        self.unindexed = Millis::MAX;
        (self.has_swept, self.needs_proof, self.is_unsaved) = (false, false, true);
        self.committed_next = self.next;
        self.unread.done();
    }

    /// The index wakes a row no later than it wants. A row that is gone needs no waking: its entry is stale.
    fn arm(&mut self, processor: &P, slot: Slot, is_gone: bool) {
        let cached = self.table.get(slot);
        let due = processor.due(&cached.row).unwrap_or(UNARMED);
        if is_gone {
            cached.armed = UNARMED;
        } else if due < cached.armed {
            (cached.armed, cached.is_indexed) = (due, false);
            self.horizon.arm(due, &cached.key);
            self.saving.iter_mut().for_each(|saving| saving.heed(due, &cached.key));
        }
    }

    /// Lets rows go that were not used of late.
    pub(crate) fn shrink_to(&mut self, rows: usize) {
        if self.table.len() > rows {
            self.table.shrink_to(rows);
        }
    }

    /// Every deadline up to here has fired and every sweep is done, if nothing is uncommitted. A sweep that waits for its pace
    /// does not count.
    pub(crate) fn settled_until(&self) -> Millis {
        let fired_until = self.fired_until();
        self.agenda.due().fold(fired_until, |until, sweep| until.min(sweep - 1))
    }

    /// Every deadline up to here has fired, if nothing is uncommitted.
    pub(crate) fn fired_until(&self) -> Millis {
        if self.horizon.head() > self.now { self.now } else { self.fired_until }
    }
}

pub(crate) fn unpack<P: Processor>(processor: &P, partition: i32, bytes: &[u8]) -> Result<P::Row, Error> {
    processor.unpack(bytes).map_err(|words| {
        Error::new(
            Verdict::Stop,
            "read a row",
            format!("partition {partition}: {words}; was the state written by a newer version?"),
        )
    })
}
