//! What a running loop shows to the outside: is it ready, how far has it come.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Millis;

/// A window on a loop, or on several that are parts of one. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Probe {
    inner: Arc<Inner>,
    part: usize,
}

#[derive(Debug, Default)]
struct Inner {
    /// By part. Nothing is ready before anything is said.
    ready: Mutex<BTreeMap<usize, bool>>,
    failed: AtomicBool,
    /// Per partition owned: next offset, everything before which is consumed and its results are committed.
    consumed: Mutex<BTreeMap<(String, i32), i64>>,
    /// Per stateful partition: every deadline up to here has fired, and its results are committed.
    settled: Mutex<BTreeMap<i32, Millis>>,
    seen: AtomicI64,
}

impl Probe {
    /// Ready: partitions are assigned and restored. Not ready while it restores.
    pub fn is_ready(&self) -> bool {
        let ready = self.inner.ready.lock().unwrap_or_else(PoisonError::into_inner);
        !ready.is_empty() && ready.values().all(|ready| *ready)
    }

    /// Tells whether this part can do its work now.
    pub fn set_ready(&self, ready: bool) {
        self.inner.ready.lock().unwrap_or_else(PoisonError::into_inner).insert(self.part, ready);
    }

    /// The window of one of several parts; the whole is ready when all of them are. Not ready yet.
    #[must_use]
    pub fn part(&self, part: usize) -> Self {
        let probe = Probe { inner: Arc::clone(&self.inner), part };
        probe.set_ready(false);
        probe
    }

    /// Healthy until the loop has ended with an error.
    pub fn is_healthy(&self) -> bool {
        !self.inner.failed.load(Ordering::Relaxed)
    }

    /// The loop has ended with an error.
    pub fn set_failed(&self) {
        self.inner.failed.store(true, Ordering::Relaxed);
    }

    /// Everything before `next` in this partition is done with, results included.
    pub fn consumed(&self, topic: &str, partition: i32, next: i64) {
        let mut consumed = self.inner.consumed.lock().unwrap_or_else(PoisonError::into_inner);
        match consumed.get_mut(&(topic.to_owned(), partition)) {
            Some(position) => *position = next,
            None => drop(consumed.insert((topic.to_owned(), partition), next)),
        }
    }

    /// Every deadline of this partition up to `until` has fired, results included.
    pub fn settled(&self, partition: i32, until: Millis) {
        self.inner.settled.lock().unwrap_or_else(PoisonError::into_inner).insert(partition, until);
    }

    /// The loop has looked at business time and found `now`.
    pub fn seen(&self, now: Millis) {
        self.inner.seen.store(now, Ordering::Relaxed);
    }

    /// This partition belongs to somebody else now.
    pub fn released(&self, topic: &str, partition: i32) {
        self.inner.consumed.lock().unwrap_or_else(PoisonError::into_inner).remove(&(topic.to_owned(), partition));
        self.inner.settled.lock().unwrap_or_else(PoisonError::into_inner).remove(&partition);
    }

    /// How far each owned partition has been consumed: (topic, partition, next offset).
    pub fn positions(&self) -> Vec<(String, i32, i64)> {
        let consumed = self.inner.consumed.lock().unwrap_or_else(PoisonError::into_inner);
        consumed.iter().map(|((topic, partition), next)| (topic.clone(), *partition, *next)).collect()
    }

    /// The earliest moment up to which all deadlines have fired; none where there are no deadlines at all.
    pub fn settled_until(&self) -> Option<Millis> {
        self.inner.settled.lock().unwrap_or_else(PoisonError::into_inner).values().min().copied()
    }

    /// The last reading of business time.
    pub fn seen_until(&self) -> Millis {
        self.inner.seen.load(Ordering::Relaxed)
    }
}
