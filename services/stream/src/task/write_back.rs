//! Rows on their way into the store: in portions, between transactions, those that have waited for longest first. A checkpoint is
//! there as soon as all that waited when it was begun are.

use crate::Error;
use crate::clock::{Millis, machine_now};
use crate::planted::{Bug, is_planted};
use crate::processor::Processor;
use crate::store::{Changes, Cursor, UNARMED};
use crate::task::Task;

/// A checkpoint takes at most so many portions, if these are not too small.
const PORTIONS: usize = 20;

/// No more go into one batch: whoever writes stands still meanwhile, and so do the other partitions.
const ROWS_AT_ONCE: usize = 50_000;

/// A checkpoint on its way.
pub(super) struct Saving {
    /// Everything before this offset of the changelog is in the store then.
    next: i64,
    at: Millis,
    /// Entries of the index before this one are not needed then: all that are armed since lie behind it.
    retired: Option<Cursor>,
    /// Rows that are still missing: the first that wait.
    rows: usize,
    portion: usize,
}

impl Saving {
    /// An entry is armed.
    pub(super) fn heed(&mut self, due: Millis, key: &[u8]) {
        if !is_planted(Bug::RetiredLate) {
            self.retired = self.retired.take().map(|place| place.min(Cursor::at(due, key)));
        }
    }
}

impl<P: Processor> Task<P> {
    /// Whether a restart would replay more than it must.
    pub(crate) fn is_unsaved(&self) -> bool {
        self.is_unsaved && self.torn.is_empty()
    }

    /// Whether a checkpoint is on its way.
    pub(crate) fn is_saving(&self) -> bool {
        self.saving.is_some()
    }

    /// Begins a checkpoint up to where the changelog ends. Right only after a commit that followed upon the question where that is,
    /// and not before torn rows are written anew: the next owner must see them as torn, too.
    pub(crate) fn begin_save(&mut self, changelog_end: i64) {
        self.is_unsaved = false;
        let mut retired = self.saving.take().and_then(|saving| saving.retired);
        if self.fired_since_retire > self.retire_after {
            self.fired_since_retire = 0;
            // Not later ones: whose entry has fired, may wait for the store with the next.
            retired = Some(self.horizon.place());
        }
        let mut rows = self.table.unwritten_len();
        if is_planted(Bug::SavedEarly) {
            rows = rows.saturating_sub(1);
        }
        let portion = self.save_rows.max(rows / PORTIONS);
        self.saving = Some(Saving { next: changelog_end, at: machine_now(), retired, rows, portion });
    }

    /// The store follows: what waits beyond `waiting` rows, and, if it `may_save`, a portion of what a checkpoint waits for. Only
    /// where nothing is uncommitted, as for the others. Returns whether the checkpoint is there by that.
    pub(crate) fn write_back(&mut self, processor: &P, waiting: usize, may_save: bool) -> Result<bool, Error> {
        let beyond = self.table.unwritten_len().saturating_sub(waiting).min(ROWS_AT_ONCE);
        let portion = self.saving.as_ref().filter(|_| may_save).map_or(0, |saving| saving.portion);
        let rows = beyond.max(portion);
        if rows > 0 { self.write_rows(processor, rows) } else { Ok(false) }
    }

    /// The same with all that waits, which ends a checkpoint that is on its way.
    pub(crate) fn write_all(&mut self, processor: &P) -> Result<(), Error> {
        while self.is_saving() || self.table.unwritten_len() > 0 {
            self.write_rows(processor, ROWS_AT_ONCE)?;
        }
        Ok(())
    }

    /// Rows, their entries in the index and the META of the newest in one batch: should brokers lose a commit, whoever opens the
    /// store must see that it holds rows of it.
    fn write_rows(&mut self, processor: &P, rows: usize) -> Result<bool, Error> {
        let slots = self.table.take_unwritten(rows);
        let (mut changes, mut armed) = (Changes::default(), Vec::new());
        for slot in &slots {
            let cached = self.table.get(*slot);
            self.packed.clear();
            processor.pack(&cached.row, &mut self.packed);
            if self.packed.is_empty() {
                changes.delete_row(&cached.key);
                continue;
            }
            if cached.armed != UNARMED && !cached.is_indexed {
                cached.is_indexed = true;
                armed.push((cached.armed, *slot));
            }
            changes.put_row(&cached.key, cached.armed, &self.packed);
        }
        // In their order, too, as far as their moments go.
        armed.sort_unstable_by_key(|(due, _)| *due);
        for (due, slot) in armed {
            changes.arm(due, &self.table.get(slot).key);
        }
        if let Some(saving) = &mut self.saving {
            saving.rows = saving.rows.saturating_sub(slots.len());
        }
        let saved = self.saving.take_if(|saving| saving.rows == 0);
        if let Some(saved) = &saved {
            (self.checkpoint.next, self.checkpoint.saved_at) = (saved.next, saved.at);
            saved.retired.iter().for_each(|place| changes.retire_before(place));
        }
        changes.checkpoint(&self.checkpoint);
        self.store.write(changes)?;
        self.remind(slots.len());
        if saved.is_some() {
            self.store.flush()?;
        }
        Ok(saved.is_some())
    }

    /// So many of the rows that have waited for longest are in the store, with what was armed for them.
    fn remind(&mut self, rows: usize) {
        self.marked_rows = self.marked_rows.saturating_sub(rows);
        if self.marked_rows == 0 {
            self.horizon.written();
            self.horizon.mark();
            self.marked_rows = self.table.unwritten_len();
        }
        if self.marked_rows == 0 {
            self.horizon.written();
        }
    }
}
