//! From a partition that is ours to one that goes on: claimed, restored beside, and taken over with a reference that is no older than
//! its last commit's.

use std::time::Duration;

use super::Shard;
use crate::clock::Tick;
use crate::engine::Surroundings;
use crate::log::{INPUT, Log, REFERENCE, Record};
use crate::planted::{Bug, is_planted};
use crate::processor::Processor;
use crate::recovery::{self, Claim};
use crate::restorer::Answer;
use crate::{Error, Verdict};

/// How long a partition that could not be claimed or restored waits for the next time.
const CLAIM_PAUSE: Duration = Duration::from_millis(500);
/// And after this one where restoring failed: each claim is a transaction.
const CLAIM_REST: Duration = Duration::from_secs(5);

impl<L: Log, P: Processor> Shard<'_, L, P> {
    /// Claims partitions that are ours and that nobody restores yet.
    pub(super) fn claim_waiting(&mut self) -> Result<(), Error> {
        let mut waiting: Vec<i32> =
            self.coming.iter().filter(|(_, claim)| claim.is_none()).map(|(partition, _)| *partition).collect();
        if is_planted(Bug::ClaimForgotten) && waiting.len() == 1 {
            waiting.clear();
        }
        if waiting.is_empty() || !self.claims_from.remaining().is_zero() {
            return Ok(());
        }
        // One that has to wait is not always the first.
        let turn = self.claims_turn % waiting.len();
        waiting.rotate_left(turn);
        // BARRIERs are a transaction of their own: nothing else may be open.
        self.commit()?;
        let Surroundings { restorer, owner, .. } = &mut self.around;
        // Should it fail, another one is the first the next time.
        self.claims_turn = turn + 1;
        let claims = recovery::claim(&mut self.log, &mut **restorer, owner, &mut self.claims, &waiting)?;
        if claims.len() < waiting.len() {
            self.claims_from = Tick::now().after(CLAIM_PAUSE);
            self.claims_turn = turn + claims.len() + 1;
        }
        self.coming.extend(claims.into_iter().map(|(partition, claim)| (partition, Some(claim))));
        Ok(())
    }

    /// Goes on with partitions that are restored.
    pub(super) fn take_over_restored(&mut self) -> Result<(), Error> {
        while let Some(Answer { partition, nonce, outcome }) = self.around.restorer.restored()? {
            let is_ours = |claim: &&Claim| claim.nonce == nonce;
            let Some(claim) = self.coming.get(&partition).and_then(Option::as_ref).filter(is_ours) else {
                // Claimed anew meanwhile, or not ours any more: whoever wants it opens it again.
                continue;
            };
            let restored = match outcome {
                Err(error) if error.verdict() != Verdict::Stop => {
                    tracing::warn!(partition, "cannot be restored for now, and is claimed anew: {error}");
                    self.coming.insert(partition, None);
                    self.claims_from = Tick::now().after(CLAIM_REST);
                    continue;
                }
                outcome => outcome?,
            };
            let (replayed, known) = (restored.replayed, restored.meta.as_ref().map_or(0, |meta| meta.reference));
            let since = claim.since;
            if let Some(ahead) = self.around.clock.ahead_of(restored.arrived_at, since.elapsed()) {
                return Err(clock_is_ahead(partition, ahead));
            }
            let task = recovery::task(claim, restored, &self.around)?;
            // It must know at least what the last META was written with, which is taken up between two transactions only.
            self.commit()?;
            self.catch_up_with_reference()?;
            if self.reference < known && self.around.config.topics.reference.is_some() {
                return Err(self.reference_is_another(known));
            }
            self.log.start(INPUT, partition, task.next)?;
            let millis = since.elapsed().as_millis();
            tracing::info!(partition, records = replayed, next = task.next, %millis, "partition recovered");
            self.coming.remove(&partition);
            self.tasks.insert(partition, task);
            self.around.probe.served(partition);
        }
        Ok(())
    }

    /// Reads the reference topic to its end, so that no task goes on with less than its META was written with.
    pub(super) fn catch_up_with_reference(&mut self) -> Result<(), Error> {
        if self.around.config.topics.reference.is_none() {
            return Ok(());
        }
        let (first, end) = self.log.range(REFERENCE, 0)?;
        let processor = &mut self.processor;
        if self.reference > end {
            return Err(self.reference_is_another(self.reference));
        }
        let from = self.reference.max(first);
        let next = self.log.replay(REFERENCE, 0, from..end, &mut |record| {
            processor.reference(record.key().unwrap_or_default(), record.value());
            true
        })?;
        self.reference = next;
        self.log.start(REFERENCE, 0, next)
    }

    /// What was read of it is no longer there: it was made anew, or has lost its end. A new process reads all of it, and does not go
    /// on where that is less than what was decided with.
    pub(super) fn reference_is_another(&self, known: i64) -> Error {
        let topic = self.around.config.topics.reference.as_deref().unwrap_or_default();
        let words = format!(
            "{topic} does not reach to offset {known} any more: it was made anew, or has lost its end; start again, and if that says the \
                     same, write again what is missing"
        );
        Error::stop("go on with the reference", words)
    }
}

/// Deadlines would fire before their time, before anybody could buy, and META would keep the wrong time.
fn clock_is_ahead(partition: i32, ahead: Duration) -> Error {
    let words = format!(
        "this machine's clock is {} minutes ahead of that of the broker which leads partition {partition} of the changelog; set right \
         whichever is wrong",
        ahead.as_secs() / 60
    );
    Error::stop("go on by this clock", words)
}
