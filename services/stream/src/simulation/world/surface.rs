//! What the world outside of the engine sees and does.

use super::{Stranger, TRANSACTION_TIMEOUT, World};
use crate::clock::Millis;
use crate::simulation::Committed;
use crate::simulation::intake::{self, Records};
use crate::simulation::partition::Body;

/// What the world outside of the engine sees and does.
pub struct Surface<'w, 'a> {
    pub(super) world: &'w World<'a>,
}

impl Surface<'_, '_> {
    /// Business time.
    pub fn now(&self) -> Millis {
        self.world.clock.now()
    }

    /// Some number below `bound`.
    pub fn random(&self, bound: usize) -> usize {
        self.world.random(bound)
    }

    /// Moves business time forward.
    pub fn advance(&mut self, span: Millis) {
        let now = self.now() + span;
        self.world.clock.set(now);
        self.world.set_clocks();
        self.world.cluster.borrow_mut().business = now;
    }

    /// Appends a record without a transaction. By topic as the engine numbers it.
    pub fn append(&mut self, topic: usize, partition: i32, key: &[u8], value: &[u8]) {
        let body = Body { key: Some(key.to_vec()), value: Some(value.to_vec()) };
        self.world.cluster.borrow_mut().append(topic, partition, body);
    }

    /// Appends records to the topics before the input: whoever moves them into it may be late.
    pub fn append_to_sources(&mut self, records: Records) {
        self.world.intake.borrow_mut().accept(self.now(), records);
    }

    /// Appends records to the input in one transaction, which is committed or aborted now or after a while. Returns whether it
    /// will be committed, if nothing goes wrong.
    pub fn append_together(&mut self, records: &[(Vec<u8>, Vec<u8>)]) -> bool {
        let world = self.world;
        let mut cluster = world.cluster.borrow_mut();
        let name = format!("stranger-{}", world.random(1_000_000_000));
        let Ok(producer) = intake::write(&mut cluster, &name, records.iter()) else { return false };
        let commit = !world.happens(100);
        let ends_at = cluster.now + if world.happens(700) { 0 } else { world.span(1, TRANSACTION_TIMEOUT / 2) };
        world.strangers.borrow_mut().push(Stranger { producer, ends_at, commit });
        commit
    }

    /// Committed records of an output from an offset on.
    pub fn read(&self, topic: usize, partition: i32, from: i64) -> Vec<Committed> {
        crate::simulation::committed(&self.world.cluster.borrow(), topic, partition, from)
    }
}
