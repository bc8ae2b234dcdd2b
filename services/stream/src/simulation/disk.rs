//! A disk that is as faithful as RocksDB without a write-ahead log: batches are whole, and a crash takes the last of them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rocksdb::{WriteBatch, WriteBatchIterator};

use crate::Error;
use crate::store::{Disk, Disks, Each};

type Keys = BTreeMap<Vec<u8>, Vec<u8>>;

/// One machine: key spaces, and whether the process on it lives. A dead process changes nothing any more.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    spaces: Arc<Mutex<BTreeMap<PathBuf, Space>>>,
    is_dead: Arc<AtomicBool>,
    /// Writes until the process dies of one.
    fuse: Arc<Mutex<Option<u32>>>,
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
        self.is_dead.store(true, Relaxed);
    }

    /// It will do so at a write to come.
    pub fn kill_at_write(&self, number: u32) {
        *held(&self.fuse) = Some(number);
    }

    /// Whether the process on it has ended.
    pub fn is_dead(&self) -> bool {
        self.is_dead.load(Relaxed)
    }

    /// Another process can start. Of the batches behind the last flush it finds the first `survivors(n)` of n again.
    pub fn revive(&self, mut survivors: impl FnMut(usize) -> usize) {
        self.is_dead.store(false, Relaxed);
        *held(&self.fuse) = None;
        for space in held(&self.spaces).values_mut() {
            let kept = survivors(space.batches.len() + 1).min(space.batches.len());
            for batch in space.batches.drain(..).take(kept) {
                batch.apply(&mut space.flushed);
            }
            space.keys = space.flushed.clone();
        }
    }

    /// A write: the process may die before it.
    fn burn(&self) -> Result<(), Error> {
        match &mut *held(&self.fuse) {
            Some(0) => self.kill(),
            Some(left) => *left -= 1,
            None => {}
        }
        match self.is_dead() {
            true => Err(Error::stop("write the state", "the process is dead")),
            false => Ok(()),
        }
    }

    /// The disk is lost.
    pub fn lose(&self) {
        held(&self.spaces).clear();
    }

    /// Everything in every key space, as it is now.
    pub fn contents(&self) -> BTreeMap<PathBuf, Keys> {
        held(&self.spaces).iter().map(|(path, space)| (path.clone(), space.keys.clone())).collect()
    }
}

/// One thread lives through a scene; a store has to be one that could move to another.
fn held<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Disks for Machine {
    fn open(&self, path: &Path) -> Result<Box<dyn Disk>, Error> {
        held(&self.spaces).entry(path.to_owned()).or_default();
        Ok(Box::new(Open { machine: self.clone(), path: path.to_owned() }))
    }

    fn remove(&self, path: &Path) -> Result<(), Error> {
        self.burn()?;
        held(&self.spaces).remove(path);
        Ok(())
    }
}

struct Open {
    machine: Machine,
    path: PathBuf,
}

impl Open {
    fn with<T: Default>(&self, act: impl FnOnce(&mut Space) -> T) -> T {
        held(&self.machine.spaces).get_mut(&self.path).map_or_else(T::default, act)
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
