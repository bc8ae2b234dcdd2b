//! Places for what waits for the brokers, so shared out that one partition without a leader keeps its own waiting, and nobody else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::kafka::partition_of;

/// One partition may hold so small a part of all places.
const PART: usize = 4;

/// The places of one topic, of each partition so many. Cheap to clone. How many partitions there are is asked once: a topic that grows is
/// shared out less well until the next start.
#[derive(Clone, Debug)]
pub struct Shares {
    partitions: i32,
    most: usize,
    held: Arc<Mutex<HashMap<i32, usize>>>,
}

impl Shares {
    /// Of so many places a quarter for each partition; where there are fewer than four, their share; all where there is but one.
    pub fn of(places: usize, partitions: i32) -> Self {
        let parts = usize::try_from(partitions).unwrap_or(1).clamp(1, PART);
        Shares { partitions: partitions.max(1), most: places / parts, held: Arc::default() }
    }

    /// A place for a record under this key, until what is returned is dropped; none if there is no room in its partition.
    pub fn take(&self, key: &[u8]) -> Option<Share> {
        let partition = partition_of(key, self.partitions);
        let mut held = self.held();
        let count = held.entry(partition).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Share { shares: self.clone(), partition })
    }

    fn held(&self) -> MutexGuard<'_, HashMap<i32, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place that is taken.
#[derive(Debug)]
pub struct Share {
    shares: Shares,
    partition: i32,
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Some(count) = self.shares.held().get_mut(&self.partition) {
            *count = count.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key of each partition.
    fn keys(partitions: i32) -> Vec<String> {
        let of = |partition| {
            (0..)
                .map(|number: u32| number.to_string())
                .find(|key| partition_of(key.as_bytes(), partitions) == partition)
        };
        (0..partitions).filter_map(of).collect()
    }

    fn take(shares: &Shares, key: &str, count: usize) -> Option<Vec<Share>> {
        (0..count).map(|_| shares.take(key.as_bytes())).collect()
    }

    #[test]
    fn a_full_partition_takes_no_place_from_another() {
        let (shares, keys) = (Shares::of(80, 8), keys(8));
        let first = take(&shares, &keys[0], 20).unwrap();
        assert!(take(&shares, &keys[0], 1).is_none());
        let _others: Vec<_> = keys[1..].iter().map(|key| take(&shares, key, 20).unwrap()).collect();
        assert!(take(&shares, &keys[0], 1).is_none() && take(&shares, &keys[1], 1).is_none(), "now all are full");
        drop(first);
        assert!(take(&shares, &keys[0], 20).is_some());
    }

    #[test]
    fn few_partitions_share_all_places_and_a_single_partition_has_them() {
        let (shares, keys) = (Shares::of(80, 2), keys(2));
        let whole = take(&shares, &keys[0], 40).unwrap();
        assert!(take(&shares, &keys[0], 1).is_none() && take(&shares, &keys[1], 40).is_some());
        drop(whole);
        let single = Shares::of(80, 1);
        let _most = take(&single, "a", 79).unwrap();
        assert!(take(&single, "b", 2).is_none() && take(&single, "b", 1).is_some());
    }
}
