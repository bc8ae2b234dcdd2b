//! The coordinator of the one consumer group: static members, cooperative and sticky.
//!
//! What a member owns moves in two steps, as in Kafka: first its owner gives it up, then the other one gets it. A member that
//! was silent for too long is expelled without being told; whoever joins under its identity replaces it. What a member that is replaced was
//! to give up is nobody's then, until the group shares anew: its successor sees to that after a while, as `kafka/gap.rs` does.

use std::collections::{BTreeMap, BTreeSet};

use crate::clock::Millis;
use crate::planted::{Bug, is_planted};

/// All that the coordinator knows.
#[derive(Debug, Default)]
pub struct Group {
    partitions: i32,
    timeout: Millis,
    generation: i32,
    joined: u64,
    members: BTreeMap<u64, Member>,
    owners: BTreeMap<i32, u64>,
    /// Partitions that nobody gets before the group shares anew, and when somebody sees to that.
    nobodys: BTreeSet<i32>,
    seen_at: Millis,
    /// Members whose identity was taken over.
    replaced: BTreeSet<u64>,
}

#[derive(Debug)]
struct Member {
    instance: String,
    seen: Millis,
    target: BTreeSet<i32>,
}

/// When somebody has noticed that partitions are nobody's, and has joined for their sake.
const NOTICING: Millis = 5_000;

/// How a member stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// In the group, under this generation.
    Member(i32),
    /// Expelled for its silence.
    Expelled,
    /// Somebody else has its identity.
    Replaced,
}

impl Group {
    /// An empty group.
    pub fn new(partitions: i32, timeout: Millis) -> Self {
        Group { partitions, timeout, ..Group::default() }
    }

    /// Lets a process join under a static identity. Its predecessor, if the group still knows one, is replaced, and keeps its
    /// partitions for it.
    pub fn join(&mut self, instance: &str, now: Millis) -> u64 {
        self.joined += 1;
        let id = self.joined;
        let old = self.members.iter().find(|(_, member)| member.instance == instance).map(|(old, _)| *old);
        let target = old.and_then(|old| self.members.remove(&old)).map(|member| member.target);
        let is_known = target.is_some();
        let target = target.unwrap_or_default();
        self.members.insert(id, Member { instance: instance.to_owned(), seen: now, target });
        if let Some(old) = old {
            self.replaced.insert(old);
            // The new process holds nothing yet. Nobody asks for what it was about to give up.
            let gone: Vec<i32> =
                self.owners.extract_if(.., |_, owner| *owner == old).map(|(partition, _)| partition).collect();
            let left = self.members.get(&id).map(|member| member.target.clone()).unwrap_or_default();
            self.nobodys.extend(gone.into_iter().filter(|partition| !left.contains(partition)));
            self.seen_at = now + NOTICING;
        }
        if !is_known {
            self.rebalance();
        }
        id
    }

    /// How a member stands.
    pub fn standing(&self, id: u64) -> Standing {
        if self.replaced.contains(&id) {
            return Standing::Replaced;
        }
        self.members.get(&id).map_or(Standing::Expelled, |_| Standing::Member(self.generation))
    }

    /// Whether offsets of this member under this generation are taken.
    pub fn knows(&self, id: u64, generation: i32) -> bool {
        self.standing(id) == Standing::Member(generation)
    }

    /// Whether a partition is that of this identity.
    pub fn is_owned_by(&self, instance: &str, partition: i32) -> bool {
        let owner = self.owners.get(&partition).and_then(|id| self.members.get(id));
        owner.is_some_and(|owner| owner.instance == instance)
    }

    /// What a member must give up of what it owns.
    pub fn to_revoke(&self, id: u64, owned: &BTreeSet<i32>) -> Vec<i32> {
        self.members.get(&id).map_or_else(Vec::new, |member| owned.difference(&member.target).copied().collect())
    }

    /// What a member gets beyond what it owns. It is the owner from now on.
    pub fn assign(&mut self, id: u64, owned: &BTreeSet<i32>) -> Vec<i32> {
        let Some(member) = self.members.get(&id) else { return Vec::new() };
        let is_free = |partition: &i32| {
            !owned.contains(partition) && !self.owners.contains_key(partition) && !self.nobodys.contains(partition)
        };
        let assigned: Vec<i32> = member.target.iter().copied().filter(is_free).collect();
        self.owners.extend(assigned.iter().map(|partition| (*partition, id)));
        assigned
    }

    /// A member has given up partitions.
    pub fn revoked(&mut self, id: u64, partitions: &[i32]) {
        for partition in partitions {
            if self.owners.get(partition) == Some(&id) {
                self.owners.remove(partition);
            }
        }
        self.nobodys.clear();
        self.generation += 1;
    }

    /// Expels a member: its word that it goes on did not arrive in time.
    pub fn expel(&mut self, id: u64) {
        if self.members.remove(&id).is_some() {
            self.owners.retain(|_, owner| *owner != id);
            self.rebalance();
        }
    }

    /// Lets time pass.
    pub fn pass(&mut self, now: Millis, is_silent: impl Fn(u64) -> bool) {
        let timeout = self.timeout;
        for (id, member) in &mut self.members {
            if !is_silent(*id) {
                member.seen = now;
            }
        }
        let before = self.members.len();
        self.members.retain(|_, member| now - member.seen <= timeout);
        if self.members.len() < before {
            let members = &self.members;
            self.owners.retain(|_, owner| members.contains_key(owner));
            self.rebalance();
        } else if !self.nobodys.is_empty() && now >= self.seen_at && !is_planted(Bug::GapStays) {
            self.rebalance();
        }
    }

    /// Spreads the partitions evenly, moving as few as possible.
    fn rebalance(&mut self) {
        self.nobodys.clear();
        self.generation += 1;
        let count = self.members.len();
        if count == 0 {
            return;
        }
        let partitions = usize::try_from(self.partitions).unwrap_or(0);
        let (share, mut larger) = (partitions / count, partitions % count);
        let mut free: BTreeSet<i32> = (0..self.partitions).collect();
        for member in self.members.values_mut() {
            let quota = share + usize::from(larger > 0 && member.target.len() > share);
            larger -= usize::from(quota > share);
            member.target = member.target.iter().copied().take(quota).collect();
            free.retain(|partition| !member.target.contains(partition));
        }
        for member in self.members.values_mut() {
            let quota = share + usize::from(larger > 0 && member.target.len() <= share);
            while member.target.len() < quota
                && let Some(partition) = free.pop_first()
            {
                larger -= usize::from(member.target.len() == share);
                member.target.insert(partition);
            }
        }
    }
}
