//! From an assignment to a task that may go on: the one path after a start, a rebalance, a crash and every unknown outcome.
//!
//! 1. The stable committed offset first: the broker answers when no transaction of a predecessor is open.
//! 2. A BARRIER in a transaction that sends this offset again with a live generation: if it commits, we are the owner, and
//!    nothing of an earlier one can be committed after it.
//! 3. Meanwhile, beside the shard: the local store, if it is a checkpoint of this changelog, else an empty one, never merged;
//!    replay to the BARRIER. A standby is there already.
//! 4. Rows that no META closed are torn: set aside, and written anew by the first commit.
//! 5. The input goes on at the last META's offset.

use std::time::Duration;

use crate::clock::{Tick, machine_now};
use crate::control::{self, Barrier, Format, Meta};
use crate::engine::Surroundings;
use crate::log::{CHANGELOG, INPUT, Log, Target};
use crate::planted::{Bug, is_planted};
use crate::processor::Processor;
use crate::replica::Restored;
use crate::restorer::Restorer;
use crate::task::{Start, Task, cut_off};
use crate::{Error, Verdict};

/// A partition that is ours, on its way to become a task.
#[derive(Debug)]
pub(crate) struct Claim {
    /// Of its BARRIER.
    pub(crate) nonce: String,
    pub(crate) since: Tick,
    committed: Option<i64>,
    /// First offset of the input, and where it ended.
    input: (i64, i64),
}

/// After so long no further partition is asked for, so that those that have answered are claimed before their transaction times out.
const ASKED_AT_MOST: Duration = Duration::from_secs(3);

/// Claims partitions by BARRIERs in one transaction, which must be the only one that is open. Where a predecessor's transaction
/// still moves the offset of one, it and those behind it are left for another time: each such question takes a while, in which
/// the other partitions of the shard wait. `count` is that of the claims so far.
///
/// # Errors
/// Those of the log; `Fenced` outside of the group.
pub(crate) fn claim<L: Log>(
    log: &mut L,
    restorer: &mut dyn Restorer,
    owner: &str,
    count: &mut u64,
    partitions: &[i32],
) -> Result<Vec<(i32, Claim)>, Error> {
    let mut claims = Vec::new();
    let mut positions = Vec::new();
    let asked_from = Tick::now();
    for partition in partitions.iter().copied() {
        let committed = match log.committed(partition) {
            Err(error) if error.verdict() == Verdict::Retry => {
                tracing::info!(partition, "waits for the end of a predecessor's transaction: {error}");
                break;
            }
            committed => committed?,
        };
        // Where nobody takes a BARRIER, the transaction would take it from all others.
        let is_led = |log: &mut L| match is_planted(Bug::OneHoldsUpAll) {
            true => Ok(()),
            false => log.range(CHANGELOG, partition).map(drop),
        };
        let input = match is_led(log).and_then(|()| log.range(INPUT, partition)) {
            Err(error) if error.verdict() == Verdict::Retry => {
                tracing::info!(partition, "waits for a leader of its input and its changelog: {error}");
                // Where nobody says so at once, a question takes as long as it may, and a transaction lives no longer than that.
                if asked_from.elapsed() > ASKED_AT_MOST {
                    break;
                }
                continue;
            }
            range => range?,
        };
        let generation = log.generation();
        if generation < 0 {
            return Err(Error::new(Verdict::Fenced, "write a BARRIER", "this process is not in the group now"));
        }
        *count += 1;
        let nonce = format!("{owner}/{}/{}/{count}", machine_now(), std::process::id());
        restorer.restore(partition, &nonce);
        if !is_planted(Bug::NoBarrier) {
            let barrier =
                Barrier { format: Format::default(), nonce: nonce.clone(), generation, owner: owner.to_owned() };
            let bytes =
                serde_json::to_vec(&barrier).map_err(|error| Error::stop("write a BARRIER", error.to_string()))?;
            log.produce(Target::Changelog(partition), control::BARRIER_KEY, Some(&bytes), &[])?;
            positions.push((partition, committed.unwrap_or(input.0)));
        }
        claims.push((partition, Claim { nonce, since: Tick::now(), committed, input }));
    }
    if !positions.is_empty() {
        log.commit(&positions)?;
    }
    Ok(claims)
}

/// The task of a claimed partition that was restored.
///
/// # Errors
/// `Stop` if the input is another, or it or the changelog does not reach back to where it has to go on.
pub(crate) fn task<P: Processor>(
    claim: &Claim,
    restored: Restored,
    around: &Surroundings<'_>,
) -> Result<Task<P>, Error> {
    let Restored { partition, store, checkpoint, meta, torn, .. } = restored;
    let meta = starting_point(meta, claim, partition, &checkpoint.changelog)?;
    if !meta.input.is_empty() && meta.input != around.input {
        return Err(Error::stop(
            "go on with the input",
            format!(
                "partition {partition} is at offset {} of {}, but the input is {} now: it was made anew under its name, and what stands up to \
                 there would be passed over; the page on disasters in the runbook says how to go on",
                meta.next_offset, meta.input, around.input
            ),
        ));
    }
    let (first, end) = claim.input;
    // It was asked after the group's stable offset, so nobody before us has gone further since.
    if meta.next_offset > end {
        return Err(cut_off(partition, meta.next_offset, end));
    }
    if meta.next_offset < first {
        return Err(Error::stop(
            "go on with the input",
            format!(
                "partition {partition} must go on at offset {}, but the input begins at {}: its retention is too short",
                meta.next_offset, first
            ),
        ));
    }
    Ok(Task::new(Start {
        partition,
        store,
        checkpoint,
        meta,
        torn,
        claim: number(&claim.nonce),
        config: around.config,
    }))
}

/// A number of its own for each claim. Whoever comes later copies it, and nobody computes it again.
pub(crate) fn number(nonce: &str) -> u32 {
    u32::try_from(xxhash_rust::xxh3::xxh3_64(nonce.as_bytes()) >> 32).unwrap_or(0)
}

/// Where the input goes on. Without any META this is a first start, or the changelog was lost.
fn starting_point(meta: Option<Meta>, claim: &Claim, partition: i32, changelog: &str) -> Result<Meta, Error> {
    let (committed, (first, _)) = (claim.committed, claim.input);
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
                "the group is at offset {committed} of partition {partition}, but changelog {changelog} holds no META: it was lost or made \
                 anew; reset the group to start from nothing"
            ),
        )),
        (None, _) => Ok(Meta { next_offset: first, ..Meta::default() }),
    }
}
