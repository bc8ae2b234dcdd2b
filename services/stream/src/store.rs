//! RocksDB: a checkpoint of the changelog, one data base per partition.
//!
//! One key space with prefixes (so that sorted files can be ingested later):
//!
//! ```text
//! 'R' key                      row: armed deadline (8 bytes, big-endian, i64::MAX for none), then the row's bytes
//! 'D' due (8, big-endian) key  deadline index, empty value
//! 'M'                          what this data base is a checkpoint of
//! ```
//!
//! *Invariant.* The write-ahead log is off; a row, its entry in the index and the name of the newest commit go in one batch. After a
//! crash the data base has all rows before the recorded position, each as it was there or later, and the changelog's tail from there
//! on brings it up to date. Replaying more than needed does no harm, since the tail ends where it ends.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, DB, DBCompressionType, Direction, ErrorKind, IteratorMode, Options,
    ReadOptions, WriteBatch, WriteBufferManager, WriteOptions,
};
use serde::{Deserialize, Serialize};

use crate::clock::Millis;
use crate::control::{Format, Meta};
use crate::stores::{Listed, Stores};
use crate::{Error, Verdict};

/// File beside those of a data base whose files turned out to be damaged.
const DAMAGED: &str = "DAMAGED";

/// Extension of a data base that is being deleted.
const REMOVED: &str = "removed";

/// No deadline is armed.
pub const UNARMED: Millis = Millis::MAX;

/// Takes the value of a key, by the key's index.
pub type Each<'a> = dyn FnMut(usize, Option<&[u8]>) -> Result<(), Error> + 'a;

/// A sorted key space on which a store lies: RocksDB, or a simulated one that forgets what was not flushed.
pub trait Disk: Send {
    /// Values of `keys`, which must be sorted.
    ///
    /// # Errors
    /// `Abort` if it cannot be read; those of `each`.
    fn get(&self, keys: &[Vec<u8>], each: &mut Each<'_>) -> Result<(), Error>;

    /// Keys from `from` on and before `to`, in their order, until `each` says false.
    ///
    /// # Errors
    /// `Abort` if it cannot be read.
    fn scan(&self, from: &[u8], to: &[u8], each: &mut dyn FnMut(&[u8]) -> bool) -> Result<(), Error>;

    /// Writes a batch, whole, and forgets the keys of `retired`.
    ///
    /// # Errors
    /// `Abort` if the disk refuses: what is in memory is ahead of the store then, so it has to be recovered.
    fn write(&self, batch: WriteBatch, retired: Option<Range<Vec<u8>>>) -> Result<(), Error>;

    /// Makes everything written so far survive a crash.
    ///
    /// # Errors
    /// As for [`Disk::write`].
    fn flush(&self) -> Result<(), Error>;
}

/// Where key spaces come from.
pub trait Disks {
    /// Opens the one at `path`, making it if there is none.
    ///
    /// # Errors
    /// `Stop` if it cannot be used, `Retry` while somebody else of this process still does.
    fn open(&self, path: &Path) -> Result<Box<dyn Disk>, Error>;

    /// Removes the one at `path`, which is closed.
    ///
    /// # Errors
    /// `Stop` if it cannot be removed.
    fn remove(&self, path: &Path) -> Result<(), Error>;
}

/// RocksDB. What all stores of a process share: one bound on memory, however many partitions it owns.
pub struct Budget {
    /// Bytes that are left free on the disk: with less, no partition is taken over.
    reserve: u64,
    cache: Cache,
    buffers: WriteBufferManager,
    stores: Stores,
}

/// What a data base is a checkpoint of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Of the data base.
    #[serde(default)]
    pub format: Format,
    /// Id of the Kafka cluster.
    pub cluster: String,
    /// Name and id of the changelog topic.
    pub changelog: String,
    /// Partition of it; unknown of a data base that was noted last before this was.
    #[serde(default)]
    pub partition: Option<i32>,
    /// Everything before this changelog offset is in the data base.
    pub next: i64,
    /// META of the last commit of which anything is in it: whoever reads on from `next` has to meet it.
    pub meta: Option<Meta>,
    /// Machine time at which `next` was written.
    pub saved_at: Millis,
}

/// The data base of one partition.
pub struct Store {
    disk: Box<dyn Disk>,
    path: PathBuf,
}

/// Changes that go together.
#[derive(Default)]
pub struct Changes {
    batch: WriteBatch,
    retired: Option<Range<Vec<u8>>>,
    buffer: Vec<u8>,
}

/// An open RocksDB.
struct Rocks {
    db: Arc<DB>,
    path: PathBuf,
    unlogged: WriteOptions,
    /// After `db`, so that the data base is closed with it. None for one that is only looked at.
    _listed: Option<Listed>,
}

impl Budget {
    /// `cache_bytes` for blocks read, `buffer_bytes` for rows not yet in files, `reserve` bytes left free on the disk.
    pub fn new(cache_bytes: usize, buffer_bytes: usize, reserve: u64) -> Self {
        let cache = Cache::new_lru_cache(cache_bytes);
        Budget {
            reserve,
            // Beside the cache: charged to it, full buffers would leave no room for filters and indexes.
            buffers: WriteBufferManager::new_write_buffer_manager(buffer_bytes, true),
            cache,
            stores: Stores::default(),
        }
    }

    /// Those that it opens say there how they are.
    #[must_use]
    pub(crate) fn shown_in(mut self, stores: &Stores) -> Self {
        stores.share(&self.cache);
        self.stores = stores.clone();
        self
    }

    fn options(&self) -> Options {
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(&self.cache);
        // A row that is looked up costs the unpacking of its block. Larger ones, or zstd in the last level, take less of the disk where
        // there are millions of rows, and up to half as much again of the processor (tests/BENCH.md).
        blocks.set_block_size(4 << 10);
        blocks.set_bloom_filter(10.0, false);
        // In memory as far as they are used, in pieces: those of a hundred million rows take more than the cache has.
        blocks.set_cache_index_and_filter_blocks(true);
        blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
        blocks.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
        blocks.set_partition_filters(true);
        blocks.set_pin_top_level_index_and_filter(true);
        blocks.set_format_version(6);
        let mut options = Options::default();
        options.create_if_missing(true);
        options.set_block_based_table_factory(&blocks);
        options.set_write_buffer_manager(&self.buffers);
        options.set_write_buffer_size(32 << 20);
        // Keys that nobody has heard of are most of what is looked up in vain. It is taken from the budget as soon as a store is open:
        // ten bits for each of some hundred thousand keys.
        options.set_memtable_whole_key_filtering(true);
        options.set_memtable_prefix_bloom_ratio(0.005);
        options.set_level_compaction_dynamic_level_bytes(true);
        options.set_compression_type(DBCompressionType::Lz4);
        // Most keys that are looked up are there, and then in the last level, whose filters are nine tenths of all: there a block is read
        // at once. A key that is new costs the reading of a block (tests/BENCH.md).
        options.set_optimize_filters_for_hits(true);
        options.set_max_background_jobs(2);
        options.set_keep_log_file_num(2);
        options.set_max_open_files(256);
        options
    }

    /// A disk that runs full stops everything on it, in the midst of what it does: better not to begin. Room may be made.
    fn require_room(&self, path: &Path) -> Result<(), Error> {
        let found = nix::sys::statvfs::statvfs(path).map_err(|error| unusable(path, error.desc()))?;
        let left = found.blocks_available().saturating_mul(found.fragment_size());
        if left >= self.reserve {
            return Ok(());
        }
        let (left, reserve) = (left >> 20, self.reserve >> 20);
        Err(Error::new(
            Verdict::Abort,
            "take over a partition",
            format!(
                "{}: {left} MiB are left on the disk, and {reserve} MiB are to stay free; make room",
                path.display()
            ),
        ))
    }

    fn wipe_damage(&self, path: &Path, words: &str) -> Result<(), Error> {
        tracing::warn!(path = %path.display(), "the local state is damaged; it is wiped and restored: {words}");
        self.remove(path)
    }
}

impl Disks for Budget {
    fn open(&self, path: &Path) -> Result<Box<dyn Disk>, Error> {
        let removed = path.with_added_extension(REMOVED);
        if removed.exists() {
            std::fs::remove_dir_all(&removed).map_err(|error| unusable(path, &error.to_string()))?;
        }
        if path.join(DAMAGED).exists() {
            self.wipe_damage(path, "what it holds could not be read")?;
        }
        std::fs::create_dir_all(path).map_err(|error| unusable(path, &error.to_string()))?;
        self.require_room(path)?;
        let db = match open_db(path, self) {
            Err(error) if is_damage(&error) => {
                self.wipe_damage(path, error.as_ref())?;
                open_db(path, self)
            }
            opened => opened,
        };
        let db = db.map_err(|error| match error.as_ref().contains("lock hold") {
            // Another shard of this process is about to let go of it.
            true => Error::new(Verdict::Retry, "use the state directory", error.to_string()),
            false => unusable(path, error.as_ref()),
        })?;
        let mut unlogged = WriteOptions::default();
        unlogged.disable_wal(true);
        let db = Arc::new(db);
        let listed = Some(self.stores.add(&db));
        Ok(Box::new(Rocks { db, path: path.to_owned(), unlogged, _listed: listed }))
    }

    /// Moved away at one stroke first: a process that is killed while it deletes leaves no half of a data base behind.
    fn remove(&self, path: &Path) -> Result<(), Error> {
        let removed = path.with_added_extension(REMOVED);
        let remove = || {
            if removed.exists() {
                std::fs::remove_dir_all(&removed)?;
            }
            std::fs::rename(path, &removed)?;
            std::fs::remove_dir_all(&removed)
        };
        remove().map_err(|error: std::io::Error| unusable(path, &error.to_string()))
    }
}

impl Rocks {
    /// The partition is recovered after this; if its files are damaged, from the changelog alone.
    fn refused(&self, operation: &'static str, error: &rocksdb::Error) -> Error {
        if is_damage(error)
            && let Err(error) = std::fs::write(self.path.join(DAMAGED), b"")
        {
            return unusable(&self.path, &error.to_string());
        }
        Error::new(Verdict::Abort, operation, error.to_string())
    }
}

impl Disk for Rocks {
    fn get(&self, keys: &[Vec<u8>], each: &mut Each<'_>) -> Result<(), Error> {
        let column = self.db.cf_handle("default").ok_or_else(|| unusable(&self.path, "no default column family"))?;
        let found = self.db.batched_multi_get_cf(column, keys.iter(), true);
        for (index, value) in found.into_iter().enumerate() {
            each(index, value.map_err(|error| self.refused("read the state", &error))?.as_deref())?;
        }
        Ok(())
    }

    fn scan(&self, from: &[u8], to: &[u8], each: &mut dyn FnMut(&[u8]) -> bool) -> Result<(), Error> {
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(from);
        options.set_iterate_upper_bound(to);
        for entry in self.db.iterator_opt(IteratorMode::From(from, Direction::Forward), options) {
            let (key, _) = entry.map_err(|error| self.refused("read the state", &error))?;
            if !each(&key) {
                break;
            }
        }
        Ok(())
    }

    fn write(&self, mut batch: WriteBatch, retired: Option<Range<Vec<u8>>>) -> Result<(), Error> {
        if let Some(Range { start, end }) = retired {
            batch.delete_range(start, end);
        }
        self.db.write_opt(batch, &self.unlogged).map_err(|error| self.refused("write the state", &error))
    }

    fn flush(&self) -> Result<(), Error> {
        self.db.flush().map_err(|error| self.refused("flush the state", &error))
    }
}

impl Store {
    /// Opens the store at `path`, making it if there is none.
    ///
    /// # Errors
    /// Those of [`Disks::open`].
    pub fn open(path: &Path, disks: &dyn Disks) -> Result<Self, Error> {
        Ok(Store { disk: disks.open(path)?, path: path.to_owned() })
    }

    /// Closes and removes everything, and opens an empty one.
    ///
    /// # Errors
    /// As for [`Store::open`].
    pub fn wipe(self, disks: &dyn Disks) -> Result<Self, Error> {
        let Store { disk, path } = self;
        drop(disk);
        disks.remove(&path)?;
        Store::open(&path, disks)
    }

    /// Opens the one at `path` to look at it: as it was last flushed, whoever else has it open.
    ///
    /// # Errors
    /// `Stop` if it cannot be read.
    pub fn look(path: &Path) -> Result<Self, Error> {
        let options = Options::default();
        let opened = DB::open_cf_with_opts_for_read_only(&options, path, [("default", options.clone())], false);
        let db = opened.map_err(|error| unusable(path, error.as_ref()))?;
        let disk = Rocks { db: Arc::new(db), path: path.to_owned(), unlogged: WriteOptions::default(), _listed: None };
        Ok(Store { disk: Box::new(disk), path: path.to_owned() })
    }

    /// What it is a checkpoint of; none for an empty one.
    ///
    /// # Errors
    /// `Abort` if it cannot be read.
    pub fn checkpoint(&self) -> Result<Option<Checkpoint>, Error> {
        let mut found = None;
        self.disk.get(&[b"M".to_vec()], &mut |_, bytes| {
            let read = bytes.map(serde_json::from_slice).transpose();
            found = read.unwrap_or_else(|error| {
                tracing::warn!(path = %self.path.display(), "the local state's checkpoint counts for nothing: {error}");
                None
            });
            Ok(())
        })?;
        Ok(found)
    }

    /// Rows of `keys`, which must be sorted: (armed deadline, bytes), none for absent ones.
    ///
    /// # Errors
    /// `Abort` if it cannot be read.
    pub fn rows(
        &self,
        keys: &[&[u8]],
        mut each: impl FnMut(usize, Option<(Millis, &[u8])>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let prefixed: Vec<Vec<u8>> = keys.iter().map(|key| [b"R", *key].concat()).collect();
        self.disk.get(&prefixed, &mut |index, row| match row.and_then(|bytes| bytes.split_first_chunk::<8>()) {
            Some((armed, bytes)) => each(index, Some((Millis::from_be_bytes(*armed), bytes))),
            None => each(index, None),
        })
    }

    /// Keys of rows behind this one in their order, of all of them if there is none, until `each` says false.
    ///
    /// # Errors
    /// `Abort` if it cannot be read.
    pub fn keys(&self, behind: Option<&[u8]>, mut each: impl FnMut(&[u8]) -> bool) -> Result<(), Error> {
        let from = behind.map_or_else(|| b"R".to_vec(), |key| [b"R", key, b"\0"].concat());
        self.disk.scan(&from, b"S", &mut |key| each(&key[1..]))
    }

    /// Index entries behind `cursor` in their order, (due, key), until `each` says false.
    ///
    /// # Errors
    /// `Abort` if it cannot be read.
    pub fn deadlines(&self, cursor: &Cursor, mut each: impl FnMut(Millis, &[u8]) -> bool) -> Result<(), Error> {
        self.disk.scan(&cursor.0, b"E", &mut |key| match key[1..].split_first_chunk::<8>() {
            Some((due, key)) => each(Millis::from_be_bytes(*due), key),
            None => true,
        })
    }

    /// Writes changes, whole.
    ///
    /// # Errors
    /// `Abort` if the disk refuses: what is in memory is ahead of the store then, so it has to be recovered.
    pub fn write(&self, changes: Changes) -> Result<(), Error> {
        self.disk.write(changes.batch, changes.retired)
    }

    /// Makes everything written so far survive a crash.
    ///
    /// # Errors
    /// As for [`Store::write`].
    pub fn flush(&self) -> Result<(), Error> {
        self.disk.flush()
    }
}

impl Changes {
    /// Puts a row with its armed deadline.
    pub fn put_row(&mut self, key: &[u8], armed: Millis, row: &[u8]) {
        self.buffer.clear();
        self.buffer.extend_from_slice(&armed.to_be_bytes());
        self.buffer.extend_from_slice(row);
        self.batch.put([b"R", key].concat(), &self.buffer);
    }

    /// Forgets a row. Its index entry stays and is found stale.
    pub fn delete_row(&mut self, key: &[u8]) {
        self.batch.delete([b"R", key].concat());
    }

    /// Arms a deadline.
    pub fn arm(&mut self, due: Millis, key: &[u8]) {
        self.batch.put(index_key(due, key), b"");
    }

    /// Retires all index entries before `cursor`.
    pub fn retire_before(&mut self, cursor: &Cursor) {
        self.retired = Some(b"D".to_vec()..cursor.0.clone());
    }

    /// Records what the store is a checkpoint of, from this batch on.
    pub fn checkpoint(&mut self, checkpoint: &Checkpoint) {
        if let Ok(bytes) = serde_json::to_vec(checkpoint) {
            self.batch.put(b"M", bytes);
        }
    }

    /// Bytes so far.
    pub fn len_bytes(&self) -> usize {
        self.batch.size_in_bytes()
    }
}

/// A place in the deadline index.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor(Vec<u8>);

impl Cursor {
    /// Before all entries.
    pub fn start() -> Self {
        Cursor(b"D".to_vec())
    }

    /// At an entry.
    pub fn at(due: Millis, key: &[u8]) -> Self {
        Cursor(index_key(due, key))
    }

    /// Just behind an entry.
    pub fn behind(due: Millis, key: &[u8]) -> Self {
        let mut place = index_key(due, key);
        place.push(0);
        Cursor(place)
    }
}

fn open_db(path: &Path, budget: &Budget) -> Result<DB, rocksdb::Error> {
    let options = budget.options();
    DB::open_cf_with_opts(&options, path, [("default", options.clone())])
}

/// Part of it is wrong or gone. The directory itself is there, so a file that is not found is one of the data base's own.
fn is_damage(error: &rocksdb::Error) -> bool {
    error.kind() == ErrorKind::Corruption || error.as_ref().contains("No such file")
}

/// Due times are positive, so their big-endian bytes sort as they do.
fn index_key(due: Millis, key: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(9 + key.len());
    bytes.push(b'D');
    bytes.extend_from_slice(&due.max(0).to_be_bytes());
    bytes.extend_from_slice(key);
    bytes
}

fn unusable(path: &Path, words: &str) -> Error {
    Error::stop(
        "use the state directory",
        format!(
            "{}: {words}; check its owner and the disk, or delete it: the state is restored from the changelog",
            path.display()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands in data bases of released versions: if this changes, the format does, and what was written before is still read.
    #[test]
    fn a_checkpoint_is_read_and_written_as_it_was_released() {
        let meta = r#"{"format":1,"sequence":{"epoch":3,"n":7},"claim":11,"next_offset":42,"rounds":[],"now":1001,"reference":4,"generation":6,"owner":"one-0","code":"0.1.0"}"#;
        let released = format!(
            r#"{{"format":1,"cluster":"c","changelog":"changelog/1","partition":1,"next":70,"meta":{meta},"saved_at":2000}}"#
        );
        let checkpoint: Checkpoint = serde_json::from_str(&released).unwrap();
        let expected = Checkpoint {
            cluster: "c".to_owned(),
            changelog: "changelog/1".to_owned(),
            partition: Some(1),
            next: 70,
            meta: serde_json::from_str(meta).unwrap(),
            saved_at: 2000,
            ..Checkpoint::default()
        };
        assert_eq!(checkpoint, expected);
        let before: Checkpoint = serde_json::from_str(&released.replace(r#""partition":1,"#, "")).unwrap();
        assert_eq!(before, Checkpoint { partition: None, ..expected });
        let mut changes = Changes::default();
        changes.checkpoint(&checkpoint);
        // A put of RocksDB: 1, then key and value behind their lengths.
        let batch = changes.batch.data();
        let (head, value) = batch.split_at(batch.len() - released.len());
        assert_eq!(String::from_utf8_lossy(value), released);
        assert!(head.windows(3).any(|put| put == [1, 1, b'M']), "{head:?}");
    }
}
