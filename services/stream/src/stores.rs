//! What the open data bases of a process say of themselves, asked when somebody looks at the metrics.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGauge, Registry};
use rocksdb::{Cache, DB};

/// Name, help, property of RocksDB, and what the answers of all data bases make together.
type Question = (&'static str, &'static str, &'static str, fn(&[u64]) -> u64);

/// What is asked of each data base.
const QUESTIONS: [Question; 6] = [
    (
        "cascade_rocksdb_writes_stopped",
        "Data bases that take nothing until a compaction has made room.",
        "rocksdb.is-write-stopped",
        sum,
    ),
    (
        "cascade_rocksdb_delayed_write_bytes_per_second",
        "To how much the one is slowed down that suffers most; 0 while none is.",
        "rocksdb.actual-delayed-write-rate",
        |answers| answers.iter().copied().filter(|rate| *rate > 0).min().unwrap_or(0),
    ),
    (
        "cascade_rocksdb_level0_files",
        "Files in the first level of the data base that has most of them: each is looked into for every row.",
        "rocksdb.num-files-at-level0",
        |answers| answers.iter().copied().max().unwrap_or(0),
    ),
    (
        "cascade_rocksdb_pending_compaction_bytes",
        "What compactions still have to rewrite, estimated.",
        "rocksdb.estimate-pending-compaction-bytes",
        sum,
    ),
    (
        "cascade_rocksdb_live_data_bytes",
        "What is in the data bases, without what was replaced, estimated.",
        "rocksdb.estimate-live-data-size",
        sum,
    ),
    ("cascade_rocksdb_keys", "Rows and deadlines in the data bases, estimated.", "rocksdb.estimate-num-keys", sum),
];

fn sum(answers: &[u64]) -> u64 {
    answers.iter().sum()
}

/// The open data bases. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Stores(Arc<Mutex<Open>>);

#[derive(Default)]
struct Open {
    opened: u64,
    stores: BTreeMap<u64, Arc<DB>>,
    cache: Option<Cache>,
}

impl Stores {
    /// Shows them there.
    pub(crate) fn show(&self, registry: &Registry) -> prometheus::Result<()> {
        let gauges = QUESTIONS.iter().map(|(name, help, ..)| IntGauge::new(*name, *help)).collect::<Result<_, _>>()?;
        let cache =
            IntGauge::new("cascade_rocksdb_block_cache_bytes", "What all data bases keep of their files in memory.")?;
        registry.register(Box::new(Shown { stores: self.clone(), gauges, cache }))
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What they all keep blocks in.
    pub(crate) fn share(&self, cache: &Cache) {
        self.lock().cache = Some(cache.clone());
    }

    /// One more is open.
    pub(crate) fn add(&self, db: &Arc<DB>) -> Listed {
        let mut open = self.lock();
        open.opened += 1;
        let id = open.opened;
        open.stores.insert(id, Arc::clone(db));
        Listed { stores: self.clone(), id }
    }
}

impl fmt::Debug for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stores").field(&self.lock().stores.len()).finish()
    }
}

/// A place in the list, as long as the data base is in use. It is closed with the last of both, and nobody is asked meanwhile: who
/// opens it anew must not find it open.
pub(crate) struct Listed {
    stores: Stores,
    id: u64,
}

impl Drop for Listed {
    fn drop(&mut self) {
        let last = self.stores.lock().stores.remove(&self.id);
        // Closing takes its time; others need not wait for it.
        drop(last);
    }
}

struct Shown {
    stores: Stores,
    gauges: Vec<IntGauge>,
    cache: IntGauge,
}

impl Collector for Shown {
    fn desc(&self) -> Vec<&Desc> {
        self.gauges.iter().chain([&self.cache]).flat_map(Collector::desc).collect()
    }

    /// A data base that does not answer is left out.
    fn collect(&self) -> Vec<MetricFamily> {
        let open = self.stores.lock();
        for (gauge, (.., property, whole)) in self.gauges.iter().zip(QUESTIONS) {
            let answers: Vec<u64> =
                open.stores.values().filter_map(|db| db.property_int_value(property).ok().flatten()).collect();
            gauge.set(i64::try_from(whole(&answers)).unwrap_or(i64::MAX));
        }
        self.cache.set(open.cache.as_ref().map_or(0, |cache| i64::try_from(cache.get_usage()).unwrap_or(i64::MAX)));
        self.gauges.iter().chain([&self.cache]).flat_map(Collector::collect).collect()
    }
}

#[cfg(test)]
mod tests;
