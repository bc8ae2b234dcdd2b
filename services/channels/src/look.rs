//! The look at the withdrawals: everything that was withdrawn up to a moment is known, and the moment is recent.
//!
//! The brokers are asked where `revoke` ends, open transactions included: what the operator is about to withdraw counts as
//! withdrawn as soon as its record is written. Once everything before those ends was read, the look is complete; its moment is
//! that of the question.

use std::collections::BTreeMap;
use std::time::Duration;

use stream::clock::Tick;

/// A provider is called at most so long after the moment of the look.
pub const AGE_MAX: Duration = Duration::from_secs(1);

/// A look that is not complete after this time is given up: it would be too old for anything.
pub(crate) const PATIENCE: Duration = Duration::from_millis(800);

/// A look that is under way.
#[derive(Debug)]
pub struct Look {
    at: Tick,
    ends: BTreeMap<i32, i64>,
}

impl Look {
    /// `at` is the moment before the question, `ends` the answer: the next offset of each partition of `revoke`.
    pub fn new(at: Tick, ends: BTreeMap<i32, i64>) -> Self {
        Look { at, ends }
    }

    /// Its moment.
    pub fn at(&self) -> Tick {
        self.at
    }

    /// Everything before the ends was read; `read_until` names the next offset to read of a partition.
    pub fn is_complete(&self, read_until: impl Fn(i32) -> Option<i64>) -> bool {
        self.ends.iter().all(|(partition, end)| read_until(*partition).is_some_and(|next| next >= *end))
    }

    /// It took too long.
    pub fn is_stale(&self) -> bool {
        self.at.elapsed() > PATIENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_is_complete_once_every_partition_was_read_to_its_end() {
        let look = Look::new(Tick::now(), BTreeMap::from([(0, 5), (3, 0)]));
        assert!(!look.is_complete(|partition| Some(if partition == 0 { 4 } else { 0 })));
        assert!(look.is_complete(|partition| Some(if partition == 0 { 5 } else { 0 })));
        assert!(
            !look.is_complete(|partition| (partition == 0).then_some(9)),
            "a partition that is not read is not known"
        );
    }
}
