//! What a running loop shows to the outside: is it ready, how far has it come.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::{Millis, Tick};
use crate::unread::Unread;

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
    /// Per partition read: since when its oldest unread record has waited, in machine time; 0 where none does.
    unread: Mutex<BTreeMap<(String, i32), Millis>>,
    /// Per stateful partition owned, by part: since when it is ours and nothing of it is processed; none while it is.
    unserved: Mutex<BTreeMap<(usize, i32), Option<Tick>>>,
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

    /// What waits in a partition, if that has changed.
    pub fn unread(&self, topic: &str, partition: i32, unread: &mut Unread) {
        let Some(news) = unread.news() else { return };
        let mut known = self.inner.unread.lock().unwrap_or_else(PoisonError::into_inner);
        match news {
            Some(since) => _ = known.insert((topic.to_owned(), partition), since),
            None => _ = known.remove(&(topic.to_owned(), partition)),
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

    /// This stateful partition is ours and nothing of it is processed yet, or any more: it has to be claimed and restored first.
    pub fn unserved(&self, partition: i32) {
        let mut known = self.inner.unserved.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry((self.part, partition)).or_default().get_or_insert_with(Tick::now);
    }

    /// It goes on.
    pub fn served(&self, partition: i32) {
        self.inner.unserved.lock().unwrap_or_else(PoisonError::into_inner).insert((self.part, partition), None);
    }

    /// For how long each stateful partition that is ours has been so without being processed; zero for those that are.
    pub fn unserved_for(&self) -> BTreeMap<i32, Duration> {
        let known = self.inner.unserved.lock().unwrap_or_else(PoisonError::into_inner);
        let mut longest = BTreeMap::new();
        for ((_, partition), since) in known.iter() {
            let known: &mut Duration = longest.entry(*partition).or_default();
            *known = since.map_or(Duration::ZERO, Tick::elapsed).max(*known);
        }
        longest
    }

    /// This partition belongs to somebody else now.
    pub fn released(&self, topic: &str, partition: i32) {
        self.inner.consumed.lock().unwrap_or_else(PoisonError::into_inner).remove(&(topic.to_owned(), partition));
        self.inner.settled.lock().unwrap_or_else(PoisonError::into_inner).remove(&partition);
        self.inner.unread.lock().unwrap_or_else(PoisonError::into_inner).remove(&(topic.to_owned(), partition));
        // Of another part it may be already.
        self.inner.unserved.lock().unwrap_or_else(PoisonError::into_inner).remove(&(self.part, partition));
    }

    /// By topic that is read: since when the oldest unread record of all its partitions that are ours has waited, in machine time; none where
    /// nothing waits.
    pub fn oldest_unread(&self) -> BTreeMap<String, Option<Millis>> {
        let unread = self.inner.unread.lock().unwrap_or_else(PoisonError::into_inner);
        let mut oldest = BTreeMap::<String, Option<Millis>>::new();
        for ((topic, _), since) in unread.iter() {
            let known = oldest.entry(topic.clone()).or_default();
            let since = (*since > 0).then_some(*since);
            *known = since.into_iter().chain(*known).min();
        }
        oldest
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_of_a_topic_is_that_of_the_partition_where_it_has_waited_longest() {
        let probe = Probe::default();
        assert_eq!(probe.oldest_unread(), BTreeMap::new());
        for (topic, partition, read) in
            [("cart", 0, Some(7)), ("cart", 1, Some(5)), ("cart", 2, None), ("action", 0, None)]
        {
            let mut unread = Unread::default();
            read.into_iter().for_each(|appended_at| unread.read(appended_at));
            unread.end();
            probe.unread(topic, partition, &mut unread);
        }
        let cart = || probe.oldest_unread().remove("cart");
        assert_eq!(cart(), Some(Some(5)));
        assert_eq!(probe.oldest_unread().remove("action"), Some(None), "nothing waits");
        probe.released("cart", 1);
        assert_eq!(cart(), Some(Some(7)));
        probe.released("cart", 0);
        assert_eq!(cart(), Some(None));
        probe.released("cart", 2);
        assert_eq!(cart(), None, "it is nobody's here");
    }

    #[test]
    fn a_partition_that_is_ours_is_unserved_from_its_assignment_until_it_goes_on() {
        let (probe, held) = (Probe::default(), |probe: &Probe| probe.unserved_for().remove(&0));
        let (one, two) = (probe.part(0), probe.part(1));
        assert_eq!(held(&probe), None, "it is nobody's here");
        one.unserved(0);
        while held(&probe).is_none_or(|held| held.is_zero()) {}
        let before = held(&probe);
        one.unserved(0);
        assert!(held(&probe) >= before, "claimed anew it is unserved since the same moment");
        one.served(0);
        assert_eq!(held(&probe), Some(Duration::ZERO));
        // It goes to the other part, and the first hears of it later.
        two.unserved(0);
        one.released("input", 0);
        while held(&probe).is_none_or(|held| held.is_zero()) {}
        two.released("input", 0);
        assert_eq!(held(&probe), None);
    }
}
