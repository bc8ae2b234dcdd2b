//! State written straight into stores, for measurements of sizes that nobody wants to push through Kafka.
//!
//! What is written here stands in no changelog: it is gone on with as long as the directory lives, and cannot be restored.

use std::path::Path;

use crate::Error;
use crate::clock::{Millis, machine_now};
use crate::kafka::Settings;
use crate::replica::store_path;
use crate::store::{Budget, Changes, Checkpoint, Store};

/// Bytes of a batch.
const BATCH_BYTES: usize = 4 << 20;

/// The store of one partition, as an operator that has just been started for the first time would find it.
pub struct Bulk {
    store: Store,
    changes: Changes,
}

impl Bulk {
    /// Makes it in `state_dir`, where there is none yet.
    ///
    /// # Errors
    /// If the brokers do not answer, or the disk refuses.
    pub fn open(
        settings: &Settings,
        state_dir: &Path,
        input: &str,
        changelog: &str,
        partition: i32,
    ) -> Result<Self, Error> {
        let checkpoint = Checkpoint {
            cluster: settings.cluster_id(std::time::Duration::from_secs(10))?,
            changelog: settings.topic_identity(changelog)?,
            partition: Some(partition),
            saved_at: machine_now(),
            ..Checkpoint::default()
        };
        let store = Store::open(&store_path(state_dir, input, partition), &Budget::new(8 << 20, 128 << 20, 0))?;
        let mut changes = Changes::default();
        changes.checkpoint(&checkpoint);
        Ok(Bulk { store, changes })
    }

    /// Arms a deadline. All of them in their order, before the first row, are written fastest.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn arm(&mut self, due: Millis, key: &[u8]) -> Result<(), Error> {
        self.changes.arm(due, key);
        self.write_if_large()
    }

    /// Puts a row whose deadline is armed.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn put(&mut self, key: &[u8], due: Millis, row: &[u8]) -> Result<(), Error> {
        self.changes.put_row(key, due, row);
        self.write_if_large()
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn finish(self) -> Result<(), Error> {
        self.store.write(self.changes)?;
        self.store.flush()
    }

    fn write_if_large(&mut self) -> Result<(), Error> {
        if self.changes.len_bytes() < BATCH_BYTES {
            return Ok(());
        }
        self.store.write(std::mem::take(&mut self.changes))
    }
}
