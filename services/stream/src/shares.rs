//! Places for what waits for the brokers, so shared out that one partition without a leader keeps its own waiting, and nobody else.

use std::collections::{BTreeMap, HashMap};
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

    /// Places for one record under each of these keys, until what is returned is dropped; none if there is no room in one of their
    /// partitions. What is larger than a share has it alone.
    pub fn take<'k>(&self, keys: impl IntoIterator<Item = &'k [u8]>) -> Option<Share> {
        let mut wanted = BTreeMap::<i32, usize>::new();
        for key in keys {
            *wanted.entry(partition_of(key, self.partitions)).or_default() += 1;
        }
        let mut held = self.held();
        let has_room = |(partition, count): (&i32, &usize)| match held.get(partition) {
            None | Some(0) => true,
            Some(held) => held + count <= self.most,
        };
        if !wanted.iter().all(has_room) {
            return None;
        }
        for (partition, count) in &wanted {
            *held.entry(*partition).or_default() += count;
        }
        Some(Share { shares: self.clone(), taken: wanted })
    }

    fn held(&self) -> MutexGuard<'_, HashMap<i32, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Places that are taken.
#[derive(Debug)]
pub struct Share {
    shares: Shares,
    taken: BTreeMap<i32, usize>,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.shares.held();
        for (partition, count) in &self.taken {
            if let Some(all) = held.get_mut(partition) {
                *all = all.saturating_sub(*count);
            }
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

    fn take(shares: &Shares, key: &str, count: usize) -> Option<Share> {
        shares.take(vec![key.as_bytes(); count])
    }

    #[test]
    fn a_full_partition_takes_no_place_from_another() {
        let (shares, keys) = (Shares::of(80, 8), keys(8));
        let first = take(&shares, &keys[0], 20).unwrap();
        assert!(take(&shares, &keys[0], 1).is_none());
        let _others: Vec<Share> = keys[1..].iter().map(|key| take(&shares, key, 20).unwrap()).collect();
        assert!(shares.take([keys[0].as_bytes(), keys[1].as_bytes()]).is_none(), "one of its partitions is full");
        drop(first);
        assert!(take(&shares, &keys[0], 20).is_some());
    }

    #[test]
    fn what_is_larger_than_a_share_has_it_alone_and_a_single_partition_has_all() {
        let (shares, keys) = (Shares::of(80, 2), keys(2));
        let whole = take(&shares, &keys[0], 100).unwrap();
        assert!(take(&shares, &keys[0], 1).is_none() && take(&shares, &keys[1], 40).is_some());
        drop(whole);
        let single = Shares::of(80, 1);
        let _most = take(&single, "a", 79).unwrap();
        assert!(take(&single, "b", 2).is_none() && take(&single, "b", 1).is_some());
    }
}
