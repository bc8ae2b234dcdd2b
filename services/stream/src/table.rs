//! Rows in memory: cache and overlay in one. A row is clean (as in the store) or dirty (changed by the open transaction).

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::clock::Millis;

/// A row's place in the table, valid until rows are evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(u32);

/// A row in memory.
#[derive(Debug)]
pub struct Cached<R> {
    /// Its key.
    pub key: Box<[u8]>,
    /// Its present state, uncommitted changes included.
    pub row: R,
    /// The deadline that the index holds for it.
    pub armed: Millis,
    state: State,
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
        let cached = Cached { key: key.into(), row, armed, state: State::Clean, used: true };
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

    /// Whether the open transaction changed the row at `slot`.
    pub fn is_dirty(&self, slot: Slot) -> bool {
        self.slots[slot.0 as usize].state == State::Dirty
    }

    /// What the open transaction changed, in the order of the first change.
    pub fn dirty(&self) -> &[Slot] {
        &self.dirty
    }

    /// The transaction is committed and the store is written: what was dirty is clean.
    pub fn settle(&mut self) {
        for slot in self.dirty.drain(..) {
            self.slots[slot.0 as usize].state = State::Clean;
        }
    }

    /// Lets clean rows go that were not used of late, until at most `limit` are left. Only between transactions, so that
    /// no [`Slot`] is held.
    pub fn shrink_to(&mut self, limit: usize) {
        assert!(self.dirty.is_empty(), "rows go between transactions only");
        while self.index.len() > limit {
            self.hand = (self.hand + 1) % self.slots.len();
            let cached = &mut self.slots[self.hand];
            if cached.state == State::Free {
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
            cached.key = Box::default();
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
}
