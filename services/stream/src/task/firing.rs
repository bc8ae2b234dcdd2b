//! What comes with the time: deadlines, and rows that a sweep visits.

use crate::Error;
use crate::clock::Millis;
use crate::processor::{Due, Outbox, Processor};
use crate::store::UNARMED;
use crate::table::Slot;
use crate::task::Task;

/// A row may ask to be looked at again at once; more often than this in a row is a fault of the application.
const REPEATS_MAX: usize = 64;

impl<P: Processor> Task<P> {
    /// Looks at what is to be swept.
    pub(crate) fn plan_sweeps(&mut self, processor: &P) {
        self.agenda.plan(processor, self.now);
    }

    /// Visits the next rows of a sweep whose moment the watermark has reached, at most `budget`. Only where nothing is
    /// uncommitted. Returns how many were visited.
    pub(crate) fn sweep(&mut self, processor: &mut P, budget: usize, out: &mut Outbox) -> Result<usize, Error> {
        let Some((mut portion, rows)) = self.agenda.take(self.now.min(self.watermark)) else { return Ok(0) };
        let budget = budget.min(rows);
        // It goes through the store, so that all rows have to be there.
        self.write_all(processor)?;
        let mut keys: Vec<Box<[u8]>> = Vec::new();
        self.store.keys(portion.behind.as_deref(), |key| {
            if keys.len() == budget {
                portion.through = keys.last().map(|last| last.to_vec());
                return false;
            }
            keys.push(key.into());
            true
        })?;
        let slots = self.load(processor, &keys.iter().map(|key| &**key).collect::<Vec<_>>())?;
        for (key, slot) in keys.iter().zip(slots) {
            let due = Due { partition: self.partition, key, at: portion.at };
            if processor.sweep(&mut self.table.get(slot).row, &portion.name, &due, self.now, out) {
                self.table.touch(slot);
                self.heed(processor, slot);
            }
        }
        self.has_swept = true;
        self.swept = Some(portion.clone());
        self.end_round();
        self.agenda.visited(portion, keys.len(), processor, self.now);
        Ok(keys.len())
    }

    /// Whether the index may hold something that is due at `now`, or a sweep waits for the watermark.
    pub(crate) fn is_due(&self, now: Millis) -> bool {
        self.horizon.head() <= now || self.agenda.due().any(|sweep| sweep > self.watermark)
    }

    /// Whether more deadlines may fire as soon as somebody asks: the last budget did not suffice.
    pub(crate) fn has_more_due(&self) -> bool {
        self.horizon.head() <= self.now.min(self.watermark)
    }

    /// Fires what is due up to the watermark, at most `budget` entries. Returns (fired, greatest lateness in ms).
    pub(crate) fn fire(
        &mut self,
        processor: &mut P,
        budget: usize,
        out: &mut Outbox,
    ) -> Result<(usize, Millis), Error> {
        let limit = self.now.min(self.watermark).min(self.unindexed - 1);
        if self.horizon.head() > limit {
            self.fired_until = self.fired_until.max(limit);
            return Ok((0, 0));
        }
        let entries = self.horizon.take(&self.store, limit, budget)?;
        let slots = self.load(processor, &entries.iter().map(|(_, key)| &**key).collect::<Vec<_>>())?;
        let through = match entries.last() {
            Some((due, key)) if self.horizon.head() <= limit => {
                self.fired_through = Some((*due, key.to_vec()));
                Some((*due, &**key))
            }
            _ => {
                (self.fired_until, self.fired_through) = (limit, None);
                None
            }
        };
        self.fired |= !entries.is_empty();
        self.fired_since_retire += entries.len();
        let is_within = |at: Millis, key: &[u8]| through.map_or(at <= limit, |through| (at, key) <= through);
        let mut fired = (0, 0);
        for ((due, key), slot) in entries.iter().zip(slots) {
            if self.fire_one(processor, *due, (key, slot), &is_within, out) {
                fired = (fired.0 + 1, fired.1.max(self.now - due));
            }
        }
        Ok(fired)
    }

    /// Fires one entry of the index, unless it is stale. A row whose deadline has moved on since it was armed fires only if
    /// that is among those that fire now, too: what happens must not depend on when the index was written.
    fn fire_one(
        &mut self,
        processor: &mut P,
        due: Millis,
        (key, slot): (&[u8], Slot),
        is_within: &impl Fn(Millis, &[u8]) -> bool,
        out: &mut Outbox,
    ) -> bool {
        let cached = self.table.get(slot);
        if cached.armed != due {
            return false;
        }
        cached.armed = UNARMED;
        let mut changed = false;
        for _ in 0..REPEATS_MAX {
            match processor.due(&cached.row) {
                Some(at) if is_within(at, key) => {
                    let due = Due { partition: self.partition, key, at };
                    changed |= processor.deadline(&mut cached.row, &due, self.now, out);
                }
                _ => break,
            }
        }
        if changed {
            self.table.touch(slot);
        } else {
            self.rearmed.push(slot);
        }
        self.heed(processor, slot);
        changed
    }
}
