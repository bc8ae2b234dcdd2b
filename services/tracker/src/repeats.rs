//! Opens and clicks that were told lately. Anybody who has a link may follow it without end: for each send, a machine and a person open once
//! and click once in a while, and what comes beside that takes no room from others, in the spool or in Kafka.
//!
//! Nothing is lost by it: the same fact has the same id, and changes nothing a second time. What was told longer ago than [`WINDOW`], or before
//! [`MOST`] others, is told again.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use schemas::Feedback;
use stream::clock::Tick;

/// So long at least a fact is not told again, and at most twice as long.
pub(crate) const WINDOW: Duration = Duration::from_secs(600);

/// Of so many facts it is remembered, and of as many before them: some ten megabytes.
pub(crate) const MOST: usize = 200_000;

/// What was told lately. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Repeats {
    told: Arc<Mutex<Told>>,
    /// Of this process alone, so that nobody makes facts that look alike.
    hasher: RandomState,
}

#[derive(Debug)]
struct Told {
    begun: Tick,
    lately: HashSet<u64>,
    before: HashSet<u64>,
}

impl Repeats {
    pub(crate) fn new() -> Self {
        let told = Told { begun: Tick::now(), lately: HashSet::new(), before: HashSet::new() };
        Repeats { told: Arc::new(Mutex::new(told)), hasher: RandomState::new() }
    }

    /// Whether a fact is to be told: it was not, lately. From now on it was.
    pub(crate) fn is_new(&self, fact: &Feedback, now: Tick) -> bool {
        let mut told = self.told();
        if now >= told.begun.after(WINDOW) || told.lately.len() >= MOST {
            // Nothing came for so long that what was told lately is as old as what was told before.
            let is_old = now >= told.begun.after(2 * WINDOW);
            told.before = if is_old { HashSet::new() } else { std::mem::take(&mut told.lately) };
            (told.lately, told.begun) = (HashSet::new(), now);
        }
        let name = self.hasher.hash_one(&fact.event_id);
        !told.before.contains(&name) && told.lately.insert(name)
    }

    /// It was not told after all.
    pub(crate) fn forget(&self, fact: &Feedback) {
        let (name, mut told) = (self.hasher.hash_one(&fact.event_id), self.told());
        told.lately.remove(&name);
        told.before.remove(&name);
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(number: usize) -> Feedback {
        Feedback { event_id: format!("{number}/OPENED/HUMAN"), ..Feedback::default() }
    }

    #[test]
    fn a_fact_is_told_once_in_a_while_and_again_if_it_came_to_nothing() {
        let (repeats, now) = (Repeats::new(), Tick::now());
        assert!(repeats.is_new(&fact(1), now) && repeats.is_new(&fact(2), now));
        assert!(!repeats.is_new(&fact(1), now));
        repeats.forget(&fact(1));
        assert!(repeats.is_new(&fact(1), now));
        let later = now.after(WINDOW + Duration::from_secs(1));
        assert!(!repeats.is_new(&fact(1), later), "it is remembered for a window at least");
        assert!(repeats.is_new(&fact(1), later.after(WINDOW)));
        assert!(repeats.is_new(&fact(1), later.after(9 * WINDOW)), "nothing came for long");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (repeats, now) = (Repeats::new(), Tick::now());
        (0..3 * MOST).for_each(|number| assert!(repeats.is_new(&fact(number), now)));
        let told = repeats.told();
        assert!(told.lately.len() <= MOST && told.before.len() <= MOST);
        drop(told);
        assert!(!repeats.is_new(&fact(3 * MOST - 1), now));
    }
}
