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
//! *Invariant.* The write-ahead log is off and everything of one commit is in one batch: after a crash the data base is an older,
//! whole state, and the changelog's tail from the recorded position on brings it up to date. Replaying more than needed does
//! no harm, since the tail ends where it ends.

use std::path::{Path, PathBuf};

use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, Direction, ErrorKind, IteratorMode, Options, ReadOptions,
    WriteBatch, WriteBufferManager, WriteOptions,
};
use serde::{Deserialize, Serialize};

use crate::clock::Millis;
use crate::control::Meta;
use crate::{Error, Verdict};

/// No deadline is armed.
pub const UNARMED: Millis = Millis::MAX;

/// What all stores of a process share: one bound on memory, however many partitions it owns.
pub struct Budget {
    cache: Cache,
    buffers: WriteBufferManager,
}

/// What a data base is a checkpoint of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Id of the Kafka cluster.
    pub cluster: String,
    /// Changelog topic.
    pub changelog: String,
    /// Everything before this changelog offset is in the data base.
    pub next: i64,
    /// META of the last commit that is in it.
    pub meta: Option<Meta>,
    /// Machine time at which `next` was written.
    pub saved_at: Millis,
}

/// The data base of one partition.
pub struct Store {
    db: DB,
    path: PathBuf,
    unlogged: WriteOptions,
}

/// Changes of one commit.
#[derive(Default)]
pub struct Changes {
    batch: WriteBatch,
    buffer: Vec<u8>,
}

impl Budget {
    /// `cache_bytes` for blocks read, `buffer_bytes` for rows not yet in files.
    pub fn new(cache_bytes: usize, buffer_bytes: usize) -> Self {
        let cache = Cache::new_lru_cache(cache_bytes);
        Budget {
            buffers: WriteBufferManager::new_write_buffer_manager_with_cache(buffer_bytes, true, cache.clone()),
            cache,
        }
    }

    fn options(&self) -> Options {
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(&self.cache);
        blocks.set_block_size(8 << 10);
        blocks.set_bloom_filter(10.0, false);
        blocks.set_cache_index_and_filter_blocks(true);
        blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
        blocks.set_format_version(6);
        let mut options = Options::default();
        options.create_if_missing(true);
        options.set_block_based_table_factory(&blocks);
        options.set_write_buffer_manager(&self.buffers);
        options.set_write_buffer_size(32 << 20);
        options.set_level_compaction_dynamic_level_bytes(true);
        options.set_compression_type(DBCompressionType::Lz4);
        options.set_bottommost_compression_type(DBCompressionType::Zstd);
        options.set_max_background_jobs(2);
        options.set_keep_log_file_num(2);
        options.set_max_open_files(256);
        options
    }
}

impl Store {
    /// Opens the data base at `path`, making it if there is none.
    ///
    /// # Errors
    /// `Stop` if the directory cannot be used; a damaged data base is wiped by the caller.
    pub fn open(path: &Path, budget: &Budget) -> Result<Self, Error> {
        std::fs::create_dir_all(path).map_err(|error| unusable(path, &error.to_string()))?;
        let db = match open_db(path, budget) {
            Err(error) if error.kind() == ErrorKind::Corruption => {
                tracing::warn!(path = %path.display(), "the local state is damaged; it is wiped and restored: {error}");
                std::fs::remove_dir_all(path).map_err(|error| unusable(path, &error.to_string()))?;
                open_db(path, budget)
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
        Ok(Store { db, path: path.to_owned(), unlogged })
    }

    /// Closes and removes everything, and opens an empty one.
    ///
    /// # Errors
    /// As for [`Store::open`].
    pub fn wipe(self, budget: &Budget) -> Result<Self, Error> {
        let path = self.path.clone();
        drop(self);
        std::fs::remove_dir_all(&path).map_err(|error| unusable(&path, &error.to_string()))?;
        Store::open(&path, budget)
    }

    /// What it is a checkpoint of; none for an empty one.
    ///
    /// # Errors
    /// `Stop` if it cannot be read.
    pub fn checkpoint(&self) -> Result<Option<Checkpoint>, Error> {
        let bytes = self.db.get(b"M").map_err(|error| unusable(&self.path, error.as_ref()))?;
        // A checkpoint that this version cannot read counts as none: the store is rebuilt.
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// Rows of `keys`, which must be sorted: (armed deadline, bytes), none for absent ones.
    ///
    /// # Errors
    /// `Stop` if it cannot be read.
    pub fn rows(
        &self,
        keys: &[&[u8]],
        mut each: impl FnMut(usize, Option<(Millis, &[u8])>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let prefixed: Vec<Vec<u8>> = keys.iter().map(|key| [b"R", *key].concat()).collect();
        let column = self.db.cf_handle("default").ok_or_else(|| unusable(&self.path, "no default column family"))?;
        let found = self.db.batched_multi_get_cf(column, prefixed.iter(), true);
        for (index, row) in found.into_iter().enumerate() {
            let row = row.map_err(|error| unusable(&self.path, error.as_ref()))?;
            match row.as_deref().and_then(|bytes| bytes.split_first_chunk::<8>()) {
                Some((armed, bytes)) => each(index, Some((Millis::from_be_bytes(*armed), bytes)))?,
                None => each(index, None)?,
            }
        }
        Ok(())
    }

    /// Index entries behind `cursor` in their order, (due, key), until `each` says false.
    ///
    /// # Errors
    /// `Stop` if it cannot be read.
    pub fn deadlines(&self, cursor: &Cursor, mut each: impl FnMut(Millis, &[u8]) -> bool) -> Result<(), Error> {
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(cursor.0.clone());
        options.set_iterate_upper_bound(b"E".to_vec());
        for entry in self.db.iterator_opt(IteratorMode::From(&cursor.0, Direction::Forward), options) {
            let (key, _) = entry.map_err(|error| unusable(&self.path, error.as_ref()))?;
            if let Some((due, key)) = key[1..].split_first_chunk::<8>()
                && !each(Millis::from_be_bytes(*due), key)
            {
                break;
            }
        }
        Ok(())
    }

    /// Writes the changes of one commit, whole.
    ///
    /// # Errors
    /// `Abort` if the disk refuses: what is in memory is ahead of the store then, so it has to be recovered.
    pub fn write(&self, changes: Changes) -> Result<(), Error> {
        self.db
            .write_opt(changes.batch, &self.unlogged)
            .map_err(|error| Error::new(Verdict::Abort, "write the state", error.to_string()))
    }

    /// Makes everything written so far survive a crash.
    ///
    /// # Errors
    /// As for [`Store::write`].
    pub fn flush(&self) -> Result<(), Error> {
        self.db.flush().map_err(|error| Error::new(Verdict::Abort, "flush the state", error.to_string()))
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
        self.batch.delete_range(b"D".to_vec(), cursor.0.clone());
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

/// A place in the deadline index: the first entry that has not been looked at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor(Vec<u8>);

impl Cursor {
    /// Before all entries.
    pub fn start() -> Self {
        Cursor(b"D".to_vec())
    }

    /// Before all entries of `due`.
    pub fn before(due: Millis) -> Self {
        Cursor(index_key(due, b""))
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
