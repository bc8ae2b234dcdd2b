//! From an assignment to a task that may go on: the one path after a start, a rebalance, a crash and every unknown outcome.
//!
//! 1. The stable committed offset first: the broker answers when no transaction of a predecessor is open.
//! 2. A BARRIER in a transaction that sends this offset again with a live generation: if it commits, we are the owner, and
//!    nothing of an earlier one can be committed after it.
//! 3. The local store, if it is a checkpoint of this changelog; else an empty one. Never merged.
//! 4. Replay from the checkpoint to the BARRIER. Rows wait until a META closes them; those that none closed are torn.
//! 5. The input goes on at the last META's offset.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::clock::machine_now;
use crate::control::{self, Barrier, Entry, Meta, Sequence};
use crate::log::{CHANGELOG, INPUT, Log, Record, Target};
use crate::planted::{Bug, is_planted};
use crate::processor::Processor;
use crate::store::{Changes, Checkpoint, Disks, Store, UNARMED};
use crate::task::{Start, Task, unpack};
use crate::{Error, Verdict};

/// Who recovers, and into what.
pub(crate) struct Recovery<'a> {
    pub(crate) cluster: &'a str,
    pub(crate) changelog: &'a str,
    pub(crate) owner: &'a str,
    pub(crate) disks: &'a dyn Disks,
    /// A checkpoint older than this (machine time, ms) is not trusted: tombstones may have been compacted away since.
    pub(crate) age_max: i64,
}

/// Bytes of a batch while restoring.
const BATCH_BYTES: usize = 8 << 20;

impl Recovery<'_> {
    /// Recovers a partition into `store`; says how many records were replayed.
    pub(crate) fn run<L: Log, P: Processor>(
        &self,
        log: &mut L,
        processor: &P,
        partition: i32,
        store: Store,
    ) -> Result<(Task<P>, u64), Error> {
        let committed = log.committed(partition)?;
        let (first, _) = log.range(INPUT, partition)?;
        let nonce = match is_planted(Bug::NoBarrier) {
            true => String::new(),
            false => self.write_barrier(log, partition, committed.unwrap_or(first))?,
        };
        let (low, high) = log.range(CHANGELOG, partition)?;
        let (store, mut checkpoint) = self.trusted(store, partition, low, high)?;
        let mut replay = Replay::new(processor, partition, &store, checkpoint.meta.clone());
        let from = checkpoint.next.max(low);
        let ends_early = is_planted(Bug::RestoreToStableEnd) || is_planted(Bug::NoBarrier);
        let until = if ends_early { high } else { i64::MAX };
        let next = replay_to_barrier(log, partition, from..until, &nonce, &mut replay)?;
        let (meta, torn, replayed) = replay.finish()?;
        // What was replayed is in the store now, and nobody else has written since the BARRIER: the first commit notes it.
        checkpoint.meta.clone_from(&meta);
        if torn.is_empty() {
            (checkpoint.next, checkpoint.saved_at) = (next, machine_now());
        }
        let meta = self.starting_point(meta, committed, first, partition)?;
        if meta.next_offset < first {
            return Err(Error::stop(
                "go on with the input",
                format!(
                    "partition {partition} must go on at offset {}, but the input begins at {first}: its retention is too short",
                    meta.next_offset
                ),
            ));
        }
        Ok((Task::new(Start { partition, store, checkpoint, meta, torn }), replayed))
    }

    fn write_barrier<L: Log>(&self, log: &mut L, partition: i32, offset: i64) -> Result<String, Error> {
        let generation = log.generation();
        if generation < 0 {
            return Err(Error::new(Verdict::Fenced, "write a BARRIER", "this process is not in the group now"));
        }
        let nonce = format!("{}/{}/{}", self.owner, machine_now(), std::process::id());
        let barrier = Barrier { nonce: nonce.clone(), generation, owner: self.owner.to_owned() };
        let bytes = serde_json::to_vec(&barrier).map_err(|error| Error::stop("write a BARRIER", error.to_string()))?;
        log.produce(Target::Changelog(partition), control::BARRIER_KEY, Some(&bytes), &[])?;
        log.commit(&[(partition, offset)])?;
        Ok(nonce)
    }

    /// The store, if it is a checkpoint of this changelog and not too old; else an empty one.
    fn trusted(&self, store: Store, partition: i32, low: i64, high: i64) -> Result<(Store, Checkpoint), Error> {
        let empty = Checkpoint {
            cluster: self.cluster.to_owned(),
            changelog: self.changelog.to_owned(),
            ..Checkpoint::default()
        };
        let Some(found) = store.checkpoint()? else {
            return Ok((store.wipe(self.disks)?, empty));
        };
        let doubt = if found.cluster != empty.cluster || found.changelog != empty.changelog {
            "it belongs to another cluster or changelog"
        } else if found.next > high {
            "it is ahead of the changelog, which was truncated or made anew"
        } else if found.next < low {
            "it is older than the changelog's first record"
        } else if machine_now() - found.saved_at > self.age_max {
            "it is older than the changelog keeps tombstones"
        } else {
            return Ok((store, found));
        };
        if is_planted(Bug::StaleStateMerged) {
            return Ok((store, found));
        }
        tracing::warn!(partition, "the local state is wiped and restored from the changelog: {doubt}");
        Ok((store.wipe(self.disks)?, empty))
    }

    /// Where the input goes on. Without any META this is a first start, or the changelog was lost.
    fn starting_point(
        &self,
        meta: Option<Meta>,
        committed: Option<i64>,
        first: i64,
        partition: i32,
    ) -> Result<Meta, Error> {
        match (meta, committed) {
            (Some(meta), committed) => {
                if committed.is_some_and(|committed| committed != meta.next_offset) {
                    tracing::warn!(
                        partition,
                        ?committed,
                        next = meta.next_offset,
                        "the group's offset differs from META, which holds"
                    );
                }
                Ok(meta)
            }
            (None, Some(committed)) if committed > first => Err(Error::stop(
                "find the state",
                format!(
                    "the group is at offset {committed} of partition {partition}, but changelog {} holds no META: it was lost or made anew; \
                     reset the group to start from nothing",
                    self.changelog
                ),
            )),
            (None, _) => Ok(Meta { next_offset: first, ..Meta::default() }),
        }
    }
}

/// Replays until our own BARRIER, however long it takes to be seen. Returns the offset behind it.
fn replay_to_barrier<L: Log, P: Processor>(
    log: &mut L,
    partition: i32,
    offsets: Range<i64>,
    nonce: &str,
    replay: &mut Replay<'_, P>,
) -> Result<i64, Error> {
    let mut outcome = Ok(());
    let next = log.replay(CHANGELOG, partition, offsets, &mut |record| match replay.take(record, nonce) {
        Ok(is_over) => !is_over,
        Err(error) => {
            outcome = Err(error);
            false
        }
    })?;
    outcome.map(|()| next)
}

/// Rows on their way from the changelog into the store.
struct Replay<'a, P: Processor> {
    processor: &'a P,
    partition: i32,
    store: &'a Store,
    changes: Changes,
    /// Rows that no META has closed yet.
    open: Vec<Open>,
    meta: Option<Meta>,
    /// Records that were taken.
    replayed: u64,
}

/// A row that waits for its META.
struct Open {
    key: Box<[u8]>,
    /// None for a tombstone.
    sequence: Option<Sequence>,
    bytes: Option<Box<[u8]>>,
}

/// What a replay found: the last META, the keys of torn rows, and how many records there were.
type Found = (Option<Meta>, BTreeSet<Box<[u8]>>, u64);

impl<'a, P: Processor> Replay<'a, P> {
    fn new(processor: &'a P, partition: i32, store: &'a Store, meta: Option<Meta>) -> Self {
        Replay { processor, partition, store, changes: Changes::default(), open: Vec::new(), meta, replayed: 0 }
    }

    /// Takes one record; true for our own BARRIER.
    fn take(&mut self, record: &impl Record, nonce: &str) -> Result<bool, Error> {
        let entry = control::read(record.key().unwrap_or_default(), record.value()).map_err(|words| {
            Error::stop(
                "read the changelog",
                format!("partition {}, offset {}: {words}", self.partition, record.offset()),
            )
        })?;
        self.replayed += 1;
        match entry {
            Entry::Row { key, sequence, bytes } => {
                self.open.push(Open { key: key.into(), sequence, bytes: bytes.map(Into::into) });
            }
            Entry::Meta(meta) => self.close(meta)?,
            Entry::Barrier(barrier) => return Ok(barrier.nonce == nonce),
        }
        Ok(false)
    }

    /// A META closes the rows before it, up to its sequence: those of its own transaction, and older ones whose META was
    /// compacted away. A torn row among them does no harm: the first transaction after a BARRIER writes torn keys anew, so
    /// that the right row follows before its META.
    fn close(&mut self, meta: Meta) -> Result<(), Error> {
        let is_closed = |open: &Open| open.sequence.is_none_or(|sequence| sequence <= meta.sequence);
        let (closed, open) = std::mem::take(&mut self.open).into_iter().partition(is_closed);
        self.open = open;
        for Open { key, bytes, .. } in closed {
            match bytes {
                Some(bytes) => {
                    let due = self.processor.due(&unpack(self.processor, self.partition, &bytes)?);
                    if let Some(due) = due {
                        self.changes.arm(due, &key);
                    }
                    self.changes.put_row(&key, due.unwrap_or(UNARMED), &bytes);
                }
                None => self.changes.delete_row(&key),
            }
            if self.changes.len_bytes() > BATCH_BYTES {
                self.store.write(std::mem::take(&mut self.changes))?;
            }
        }
        self.meta = Some(meta);
        Ok(())
    }

    fn finish(mut self) -> Result<Found, Error> {
        self.store.write(std::mem::take(&mut self.changes))?;
        let torn: BTreeSet<_> = self.open.into_iter().map(|open| open.key).collect();
        if !torn.is_empty() {
            tracing::warn!(partition = self.partition, rows = torn.len(), "rows of a torn transaction are set aside");
        }
        Ok((self.meta, torn, self.replayed))
    }
}
