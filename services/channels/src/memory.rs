//! What a lane remembers by send id: withdrawals, and commands that are settled.

use std::collections::{HashSet, VecDeque};

use schemas::Id;

/// Withdrawals of one partition, as long as the topic keeps them.
#[derive(Debug, Default)]
pub(crate) struct Withdrawn {
    ids: HashSet<Id>,
    order: VecDeque<(i64, Id)>,
}

impl Withdrawn {
    pub(crate) fn insert(&mut self, offset: i64, id: Id) {
        if self.ids.insert(id) {
            self.order.push_back((offset, id));
        }
    }

    pub(crate) fn contains(&self, id: Id) -> bool {
        self.ids.contains(&id)
    }

    /// The topic has deleted everything before `low`: no command that it withdrew can be read any more, since commands are
    /// kept for less time than withdrawals.
    pub(crate) fn forget_before(&mut self, low: i64) {
        while let Some((_, id)) = self.order.pop_front_if(|(offset, _)| *offset < low) {
            self.ids.remove(&id);
        }
    }
}

/// The last so many ids.
#[derive(Debug)]
pub(crate) struct Recent {
    ids: HashSet<Id>,
    order: VecDeque<Id>,
    limit: usize,
}

impl Recent {
    pub(crate) fn new(limit: usize) -> Self {
        Recent { ids: HashSet::new(), order: VecDeque::new(), limit }
    }

    pub(crate) fn insert(&mut self, id: Id) {
        if self.ids.insert(id) {
            self.order.push_back(id);
        }
        if self.order.len() > self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }

    pub(crate) fn contains(&self, id: Id) -> bool {
        self.ids.contains(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> Id {
        Id::of_instance(name, "", "", "")
    }

    #[test]
    fn withdrawals_are_forgotten_with_the_topic() {
        let mut withdrawn = Withdrawn::default();
        withdrawn.insert(3, id("a"));
        withdrawn.insert(5, id("b"));
        withdrawn.forget_before(5);
        assert!(!withdrawn.contains(id("a")));
        assert!(withdrawn.contains(id("b")));
    }

    #[test]
    fn only_the_last_ids_are_remembered() {
        let mut recent = Recent::new(2);
        ["a", "b", "b", "c"].iter().for_each(|name| recent.insert(id(name)));
        assert_eq!(["a", "b", "c"].map(|name| recent.contains(id(name))), [false, true, true]);
    }
}
