//! Rows in memory: cache, overlay and write-behind buffer in one. A row is clean or dirty (changed by the open transaction), and
//! either way it may be one that the store does not have yet.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use smallvec::SmallVec;

use crate::clock::Millis;

/// A row's place in the table, valid until rows are evicted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slot(u32);

/// A key, beside its row as long as it is no longer than most.
pub type Key = SmallVec<[u8; 24]>;

/// A row in memory.
#[derive(Debug)]
pub struct Cached<R> {
    /// Its key.
    pub key: Key,
    /// Its present state, uncommitted changes included.
    pub row: R,
    /// The deadline that is armed for it.
    pub armed: Millis,
    /// Whether the index in the store holds that one.
    pub is_indexed: bool,
    state: State,
    is_unwritten: bool,
    used: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Free,
    Clean,
    Dirty,
}

/// All rows in memory of one partition.
#[derive(Debug)]
pub struct Table<R> {
    hasher: DefaultHashBuilder,
    index: HashTable<u32>,
    slots: Vec<Cached<R>>,
    free: Vec<u32>,
    dirty: Vec<Slot>,
    unwritten: VecDeque<Slot>,
    hand: usize,
}

impl<R: Default> Table<R> {
    /// An empty table.
    pub fn new() -> Self {
        Table {
            hasher: DefaultHashBuilder::default(),
            index: HashTable::new(),
            slots: Vec::new(),
            free: Vec::new(),
            dirty: Vec::new(),
            unwritten: VecDeque::new(),
            hand: 0,
        }
    }

    /// Rows in memory.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Where a key is, if it is in memory.
    pub fn find(&self, key: &[u8]) -> Option<Slot> {
        self.index.find(self.hasher.hash_one(key), |at| *self.slots[*at as usize].key == *key).map(|at| Slot(*at))
    }

    /// Takes a row up as it stands in the store. The key must not be in memory.
    pub fn insert(&mut self, key: &[u8], row: R, armed: Millis) -> Slot {
        let cached = Cached {
            key: key.into(),
            row,
            armed,
            is_indexed: true,
            state: State::Clean,
            is_unwritten: false,
            used: true,
        };
        let at = match self.free.pop() {
            Some(at) => {
                self.slots[at as usize] = cached;
                at
            }
            None => {
                self.slots.push(cached);
                u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
            }
        };
        let (hasher, slots) = (&self.hasher, &self.slots);
        self.index.insert_unique(hasher.hash_one(key), at, |at| hasher.hash_one(&*slots[*at as usize].key));
        Slot(at)
    }

    /// The row at `slot`.
    pub fn get(&mut self, slot: Slot) -> &mut Cached<R> {
        let cached = &mut self.slots[slot.0 as usize];
        cached.used = true;
        cached
    }

    /// The row at `slot` was changed: it goes into the transaction.
    pub fn touch(&mut self, slot: Slot) {
        let cached = &mut self.slots[slot.0 as usize];
        if cached.state != State::Dirty {
            cached.state = State::Dirty;
            self.dirty.push(slot);
        }
    }

    /// What the open transaction changed, in the order of the first change.
    pub fn dirty(&self) -> &[Slot] {
        &self.dirty
    }

    /// The transaction is committed: what was dirty is clean, and waits for the store.
    pub fn settle(&mut self) {
        for slot in std::mem::take(&mut self.dirty) {
            self.slots[slot.0 as usize].state = State::Clean;
            self.put_off(slot);
        }
    }

    /// The row at `slot` is no more what the store has.
    pub fn put_off(&mut self, slot: Slot) {
        let cached = &mut self.slots[slot.0 as usize];
        if !cached.is_unwritten {
            cached.is_unwritten = true;
            self.unwritten.push_back(slot);
        }
    }

    /// Rows that wait for the store.
    pub fn unwritten_len(&self) -> usize {
        self.unwritten.len()
    }

    /// Those that have waited for longest wait no more, at most so many: whoever takes them, in the order of their keys, writes
    /// them.
    pub fn take_unwritten(&mut self, rows: usize) -> Vec<Slot> {
        let mut slots: Vec<Slot> = self.unwritten.drain(..rows.min(self.unwritten.len())).collect();
        slots.sort_unstable_by(|a, b| self.slots[a.0 as usize].key.cmp(&self.slots[b.0 as usize].key));
        slots.iter().for_each(|slot| self.slots[slot.0 as usize].is_unwritten = false);
        slots
    }

    /// Lets rows go that were not used of late, until at most `limit` are left, or none but those that wait for the store. Only
    /// between transactions, so that no [`Slot`] is held.
    pub fn shrink_to(&mut self, limit: usize) {
        assert!(self.dirty.is_empty(), "rows go between transactions only");
        while self.index.len() > limit.max(self.unwritten.len()) {
            self.hand = (self.hand + 1) % self.slots.len();
            let cached = &mut self.slots[self.hand];
            if cached.state == State::Free || cached.is_unwritten {
                continue;
            }
            if std::mem::take(&mut cached.used) {
                continue;
            }
            let hash = self.hasher.hash_one(&*cached.key);
            let hand = u32::try_from(self.hand).unwrap_or(u32::MAX);
            if let Ok(entry) = self.index.find_entry(hash, |at| *at == hand) {
                entry.remove();
            }
            cached.state = State::Free;
            cached.row = R::default();
            cached.key = Key::new();
            self.free.push(hand);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_again_until_they_are_evicted() {
        let mut table = Table::new();
        for number in 0..1000_u32 {
            table.insert(&number.to_be_bytes(), number, 0);
        }
        let slot = table.find(&7_u32.to_be_bytes()).unwrap();
        assert_eq!(table.get(slot).row, 7);
        table.shrink_to(100);
        assert_eq!(table.len(), 100);
        let left = (0..1000_u32).filter(|number| table.find(&number.to_be_bytes()).is_some()).count();
        assert_eq!(left, 100);
        for number in 1000..2000_u32 {
            table.insert(&number.to_be_bytes(), number, 0);
        }
        let slot = table.find(&1999_u32.to_be_bytes()).unwrap();
        assert_eq!(table.get(slot).row, 1999);
    }

    #[test]
    fn dirty_rows_come_once_and_in_order_of_first_change() {
        let mut table = Table::new();
        let (a, b) = (table.insert(b"a", 1, 0), table.insert(b"b", 2, 0));
        table.touch(b);
        table.touch(a);
        table.touch(b);
        assert_eq!(table.dirty(), [b, a]);
        table.settle();
        assert!(table.dirty().is_empty());
    }

    #[test]
    fn rows_that_the_store_does_not_have_stay_until_they_are_taken_for_it() {
        let mut table = Table::new();
        let slots: Vec<Slot> = (0..10_u8).rev().map(|number| table.insert(&[number], number, 0)).collect();
        slots[..4].iter().for_each(|slot| table.touch(*slot));
        table.settle();
        table.touch(slots[0]);
        table.settle();
        table.shrink_to(2);
        assert_eq!((table.len(), table.unwritten_len()), (4, 4));
        let taken = |table: &mut Table<u8>, rows| -> Vec<u8> {
            table.take_unwritten(rows).into_iter().map(|slot| table.get(slot).row).collect()
        };
        assert_eq!(taken(&mut table, 3), [7, 8, 9], "once each, the oldest, and in their order");
        assert_eq!(taken(&mut table, 3), [6]);
        table.shrink_to(2);
        assert_eq!(table.len(), 2);
    }
}
