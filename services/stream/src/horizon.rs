//! The deadlines that come next, in memory: one look into the store brings many of them, and one that is armed before the last
//! of them joins them here. So do, until the store has them, those that are armed behind it.
//!
//! ```text
//! index in the store: [ retired | near: in memory | behind `until`: in the store, or fresh ]
//!                                 ^ fires from here
//! ```
//!
//! *Invariant.* Whatever is armed and has not fired is near; or it is at `until` or behind it, and in the store or fresh.

use std::collections::BTreeSet;

use crate::Error;
use crate::clock::Millis;
use crate::planted::{Bug, is_planted};
use crate::store::{Cursor, Store};

/// An entry of the index.
pub(crate) type Entry = (Millis, Box<[u8]>);

/// How far a partition sees its deadlines in memory.
pub(crate) struct Horizon {
    near: BTreeSet<Entry>,
    until: Entry,
    /// Entries that the store may not have yet.
    fresh: BTreeSet<Entry>,
    /// Of these, those that it will have as soon as the rows that waited at the last mark are in it.
    marked: BTreeSet<Entry>,
    /// Entries that one look brings. Twice as many stay near, and those that joined them because the store may not have them.
    window: usize,
}

impl Horizon {
    /// Of a store that was not looked into yet.
    pub(crate) fn new(window: usize) -> Self {
        let (near, fresh, marked) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        Horizon { near, until: before(0), fresh, marked, window: window.max(1) }
    }

    /// No entry is due before this.
    pub(crate) fn head(&self) -> Millis {
        self.near.first().unwrap_or(&self.until).0
    }

    /// The first place whose entry is still to fire: what lies before it is never needed again.
    pub(crate) fn place(&self) -> Cursor {
        let (due, key) = self.near.first().unwrap_or(&self.until);
        Cursor::at(*due, key)
    }

    /// An entry that counts from now on.
    pub(crate) fn arm(&mut self, due: Millis, key: &[u8]) {
        let entry = (due, key.into());
        if entry >= self.until {
            self.fresh.insert(entry);
            return;
        }
        if is_planted(Bug::CursorStays) {
            return;
        }
        self.near.insert(entry);
        if self.near.len() > 2 * self.window
            && let Some(last) = self.near.pop_last()
        {
            self.until.clone_from(&last);
            self.fresh.insert(last);
        }
    }

    /// From now on [`Horizon::written`] is about what is armed by now.
    pub(crate) fn mark(&mut self) {
        self.marked.append(&mut self.fresh);
    }

    /// The store has what was armed at the last mark.
    pub(crate) fn written(&mut self) {
        self.marked.clear();
    }

    /// Takes the next entries up to `limit` out, at most `budget`. Those that are left, if any are due up to `limit`, begin at
    /// [`Horizon::head`].
    ///
    /// # Errors
    /// `Abort` if the store cannot be read.
    pub(crate) fn take(&mut self, store: &Store, limit: Millis, budget: usize) -> Result<Vec<Entry>, Error> {
        let mut entries = Vec::new();
        while entries.len() < budget && self.head() <= limit {
            if self.near.is_empty() {
                self.look(store)?;
                continue;
            }
            entries.extend(self.near.pop_first());
        }
        Ok(entries)
    }

    fn look(&mut self, store: &Store) -> Result<(), Error> {
        let (near, window) = (&mut self.near, self.window);
        let mut until = before(Millis::MAX);
        store.deadlines(&Cursor::at(self.until.0, &self.until.1), |due, key| {
            let entry = (due, key.into());
            if near.len() == window {
                until = entry;
                return false;
            }
            near.insert(entry);
            true
        })?;
        for waiting in [&mut self.fresh, &mut self.marked] {
            let behind = waiting.split_off(&until);
            near.append(&mut std::mem::replace(waiting, behind));
        }
        self.until = until;
        Ok(())
    }
}

/// Before all entries of a moment.
fn before(due: Millis) -> Entry {
    (due, Box::default())
}

#[cfg(all(test, feature = "simulation"))]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::simulation::Machine;
    use crate::store::Changes;

    fn store() -> Store {
        Store::open(Path::new("store"), &Machine::default()).unwrap()
    }

    fn arm(store: &Store, horizon: &mut Horizon, entries: &[(Millis, &str)]) {
        let mut changes = Changes::default();
        for (due, key) in entries {
            changes.arm(*due, key.as_bytes());
            horizon.arm(*due, key.as_bytes());
        }
        store.write(changes).unwrap();
    }

    fn taken(horizon: &mut Horizon, store: &Store, limit: Millis, budget: usize) -> String {
        let entries = horizon.take(store, limit, budget).unwrap();
        let words = entries.iter().map(|(due, key)| format!("{due}{}", String::from_utf8_lossy(key)));
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn entries_come_once_and_in_their_order_wherever_they_were_armed() {
        let (store, mut horizon) = (store(), Horizon::new(2));
        arm(&store, &mut horizon, &[(5, "a"), (1, "b"), (9, "c"), (3, "d"), (9, "e")]);
        assert_eq!(taken(&mut horizon, &store, 4, 1), "1b");
        // Before what is in memory, amid it, and behind it.
        arm(&store, &mut horizon, &[(2, "f"), (4, "g"), (7, "h")]);
        assert_eq!(taken(&mut horizon, &store, 4, 10), "2f 3d 4g");
        assert_eq!(horizon.head(), 5);
        // One that was passed already comes again when it is armed again.
        arm(&store, &mut horizon, &[(1, "b")]);
        assert_eq!(horizon.place(), Cursor::at(1, b"b"));
        assert_eq!(taken(&mut horizon, &store, 9, 4), "1b 5a 7h 9c");
        assert_eq!(taken(&mut horizon, &store, 9, 4), "9e");
        assert_eq!(horizon.head(), Millis::MAX);
    }

    #[test]
    fn what_the_store_does_not_have_yet_comes_all_the_same() {
        for is_marked in [false, true] {
            let (store, mut horizon) = (store(), Horizon::new(2));
            arm(&store, &mut horizon, &[(1, "a"), (4, "d"), (6, "f"), (8, "h")]);
            assert_eq!(taken(&mut horizon, &store, 1, 1), "1a");
            for (due, key) in [(5, "e"), (7, "g"), (3, "c"), (9, "i")] {
                horizon.arm(due, key.as_bytes());
            }
            // Whether or not somebody is about to write them.
            if is_marked {
                horizon.mark();
            }
            assert_eq!(taken(&mut horizon, &store, 6, 9), "3c 4d 5e 6f");
            assert_eq!(taken(&mut horizon, &store, 10, 9), "7g 8h 9i");
        }
    }

    #[test]
    fn only_what_was_armed_before_the_mark_is_known_to_be_written() {
        let (store, mut horizon) = (store(), Horizon::new(2));
        assert_eq!(taken(&mut horizon, &store, 0, 1), "");
        arm(&store, &mut horizon, &[(1, "a"), (2, "b"), (3, "c"), (4, "d")]);
        horizon.arm(8, b"h");
        horizon.mark();
        horizon.arm(9, b"i");
        let mut changes = Changes::default();
        changes.arm(8, b"h");
        store.write(changes).unwrap();
        horizon.written();
        assert_eq!(taken(&mut horizon, &store, 9, 9), "1a 2b 3c 4d 8h 9i");
    }

    #[test]
    fn what_is_in_memory_is_bounded() {
        let (store, mut horizon) = (store(), Horizon::new(2));
        assert_eq!(taken(&mut horizon, &store, 0, 1), "");
        let many: Vec<(Millis, String)> = (1..50).rev().map(|due| (due, "k".to_owned())).collect();
        for (due, key) in &many {
            arm(&store, &mut horizon, &[(*due, key)]);
            assert!(horizon.near.len() <= 4);
        }
        assert_eq!(taken(&mut horizon, &store, 100, 100).split(' ').count(), 49);
    }
}
