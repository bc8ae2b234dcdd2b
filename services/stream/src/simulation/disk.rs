//! A disk that is as faithful as RocksDB without a write-ahead log: batches are whole, and a crash takes the last of them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rocksdb::{WriteBatch, WriteBatchIterator};

use crate::Error;
use crate::store::{Disk, Disks, Each};

type Keys = BTreeMap<Vec<u8>, Vec<u8>>;

/// One machine: key spaces, and whether the process on it lives. A dead process changes nothing any more.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    spaces: Rc<RefCell<BTreeMap<PathBuf, Space>>>,
    is_dead: Rc<Cell<bool>>,
    /// Writes until the process dies of one.
    fuse: Rc<Cell<Option<u32>>>,
}

#[derive(Debug, Default)]
struct Space {
    /// What survives a crash.
    flushed: Keys,
    /// Batches behind it, in their order.
    batches: Vec<Batch>,
    /// All of it.
    keys: Keys,
}

#[derive(Clone, Debug, Default)]
struct Batch {
    changes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    retired: Option<Range<Vec<u8>>>,
}

impl Batch {
    fn apply(&self, keys: &mut Keys) {
        for (key, value) in &self.changes {
            match value {
                Some(value) => drop(keys.insert(key.clone(), value.clone())),
                None => drop(keys.remove(key)),
            }
        }
        if let Some(range) = &self.retired {
            keys.retain(|key, _| !range.contains(key));
        }
    }
}

impl WriteBatchIterator for Batch {
    fn put(&mut self, key: &[u8], value: &[u8]) {
        self.changes.push((key.to_vec(), Some(value.to_vec())));
    }

    fn delete(&mut self, key: &[u8]) {
        self.changes.push((key.to_vec(), None));
    }
}

impl Machine {
    /// The process on it ends without a word.
    pub fn kill(&self) {
        self.is_dead.set(true);
    }

    /// It will do so at a write to come.
    pub fn kill_at_write(&self, number: u32) {
        self.fuse.set(Some(number));
    }

    /// Whether the process on it has ended.
    pub fn is_dead(&self) -> bool {
        self.is_dead.get()
    }

    /// Another process can start. Of the batches behind the last flush it finds the first `survivors(n)` of n again.
    pub fn revive(&self, mut survivors: impl FnMut(usize) -> usize) {
        self.is_dead.set(false);
        self.fuse.set(None);
        for space in self.spaces.borrow_mut().values_mut() {
            let kept = survivors(space.batches.len() + 1).min(space.batches.len());
            for batch in space.batches.drain(..).take(kept) {
                batch.apply(&mut space.flushed);
            }
            space.keys = space.flushed.clone();
        }
    }

    /// A write: the process may die before it.
    fn burn(&self) -> Result<(), Error> {
        match self.fuse.get() {
            Some(0) => self.kill(),
            fuse => self.fuse.set(fuse.map(|left| left - 1)),
        }
        match self.is_dead() {
            true => Err(Error::stop("write the state", "the process is dead")),
            false => Ok(()),
        }
    }

    /// The disk is lost.
    pub fn lose(&self) {
        self.spaces.borrow_mut().clear();
    }

    /// Everything in every key space, as it is now.
    pub fn contents(&self) -> BTreeMap<PathBuf, Keys> {
        self.spaces.borrow().iter().map(|(path, space)| (path.clone(), space.keys.clone())).collect()
    }
}

impl Disks for Machine {
    fn open(&self, path: &Path) -> Result<Box<dyn Disk>, Error> {
        self.spaces.borrow_mut().entry(path.to_owned()).or_default();
        Ok(Box::new(Open { machine: self.clone(), path: path.to_owned() }))
    }

    fn remove(&self, path: &Path) -> Result<(), Error> {
        self.burn()?;
        self.spaces.borrow_mut().remove(path);
        Ok(())
    }
}

struct Open {
    machine: Machine,
    path: PathBuf,
}

impl Open {
    fn with<T: Default>(&self, act: impl FnOnce(&mut Space) -> T) -> T {
        self.machine.spaces.borrow_mut().get_mut(&self.path).map_or_else(T::default, act)
    }
}

impl Disk for Open {
    fn get(&self, keys: &[Vec<u8>], each: &mut Each<'_>) -> Result<(), Error> {
        let found: Vec<Option<Vec<u8>>> =
            self.with(|space| keys.iter().map(|key| space.keys.get(key).cloned()).collect());
        found.iter().enumerate().try_for_each(|(index, value)| each(index, value.as_deref()))
    }

    fn scan(&self, from: &[u8], to: &[u8], each: &mut dyn FnMut(&[u8]) -> bool) -> Result<(), Error> {
        let found: Vec<Vec<u8>> =
            self.with(|space| space.keys.range(from.to_vec()..to.to_vec()).map(|(key, _)| key.clone()).collect());
        let _ = found.iter().all(|key| each(key));
        Ok(())
    }

    fn write(&self, batch: WriteBatch, retired: Option<Range<Vec<u8>>>) -> Result<(), Error> {
        self.machine.burn()?;
        let mut read = Batch { retired, ..Batch::default() };
        batch.iterate(&mut read);
        self.with(|space| {
            read.apply(&mut space.keys);
            space.batches.push(read);
        });
        Ok(())
    }

    fn flush(&self) -> Result<(), Error> {
        self.machine.burn()?;
        self.with(|space| {
            space.flushed = space.keys.clone();
            space.batches.clear();
        });
        Ok(())
    }
}
