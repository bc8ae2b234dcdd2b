//! What must hold of every run, whatever the application does. I1 to I14 are the invariants of the engine's design.

use std::collections::BTreeMap;
use std::path::Path;

use super::cluster::Cluster;
use super::disk::Machine;
use super::partition::{Entry, Fate};
use super::world::Due;
use crate::clock::Millis;
use crate::control::{self, Barrier, Meta, Portion, Round, Sequence, Sweeps};
use crate::log::{CHANGELOG, INPUT};
use crate::planted::{Bug, is_planted};
use crate::recovery::number;
use crate::store::{Checkpoint, UNARMED};

type Verdict = Result<(), String>;

/// The changelog and the input, at the end of a run. Rows without META may stand before a BARRIER if their transaction was torn.
pub fn history(cluster: &Cluster) -> Verdict {
    let bare = cluster.unfenced().difference(cluster.torn()).count();
    check(bare == 0, || format!("I1: {bare} commits without positions that the group had let in"))?;
    (0..cluster.count(CHANGELOG)).try_for_each(|partition| {
        changelog(cluster, partition).map_err(|words| format!("partition {partition}: {words}"))
    })
}

/// Nobody commits behind a newer owner's BARRIER (I6), and never outside the group (I1); commits follow each other without a
/// gap, input and clock never go back (I4); each row is closed by the META of its own transaction, and no deadline overtakes
/// a record that was there when it fell due. Sweeps go on where they were.
fn changelog(cluster: &Cluster, partition: i32) -> Verdict {
    let mut owner: Option<Barrier> = None;
    let mut expected: Option<u64> = None;
    let mut last: Option<Meta> = None;
    let mut rows: Vec<Option<Sequence>> = Vec::new();
    let mut is_torn = true;
    for record in super::committed(cluster, CHANGELOG, partition, 0) {
        let words = |words: String| format!("offset {}: {words}", record.offset);
        match control::read(&record.key, record.value.as_deref()).map_err(words)? {
            control::Entry::Row { sequence, .. } => {
                is_torn &= record.transaction.is_some_and(|transaction| cluster.torn().contains(&transaction));
                rows.push(sequence);
            }
            control::Entry::Barrier(barrier) => {
                check(rows.is_empty() || is_torn, || {
                    format!("offset {}: rows without META before a BARRIER", record.offset)
                })?;
                rows.clear();
                is_torn = true;
                check(barrier.generation >= 0, || "I1: a BARRIER from outside the group".to_owned())?;
                expected = Some(last.as_ref().map_or(0, |meta| meta.sequence.epoch) + 1);
                owner = Some(barrier);
            }
            control::Entry::Meta(meta) => {
                let at = record.offset;
                // Whoever writes none at all is to be found by the harm that comes of it.
                let is_excused = is_planted(Bug::NoBarrier);
                check(owner.is_some() || is_excused, || format!("offset {at}: a META before any BARRIER"))?;
                check(Some(meta.sequence.epoch) == expected || is_excused, || {
                    format!("I6: offset {at}: {:?} of {} behind a newer BARRIER", meta.sequence, meta.owner)
                })?;
                check(is_excused || owner.as_ref().is_some_and(|owner| number(&owner.nonce) == meta.claim), || {
                    format!("I6: offset {at}: a META of another claim than the last BARRIER's")
                })?;
                let is_early = |round: &Round| reached(round) > round.now;
                check(meta.now <= record.business && !meta.rounds.iter().any(is_early), || {
                    format!("I12: offset {at}: something fired before its time")
                })?;
                let own = |sequence: &Option<Sequence>| sequence.is_none_or(|sequence| sequence == meta.sequence);
                check(rows.iter().all(own), || format!("offset {at}: META closes rows of another transaction"))?;
                follows(last.as_ref(), &meta).map_err(|words| format!("offset {at}: {words}"))?;
                watermark(cluster, partition, &meta).map_err(|words| format!("offset {at}: {words}"))?;
                rows.clear();
                is_torn = true;
                last = Some(*meta);
            }
        }
    }
    check(rows.is_empty(), || "rows without META at the end".to_owned())?;
    caught_up(cluster, partition, last.as_ref())
}

/// A sweep goes on where it was: each row is visited once, whoever owns the partition.
fn goes_on(last: Option<&Meta>, meta: &Meta) -> Verdict {
    let mut left = last.and_then(|last| last.sweeps.current.clone());
    let mut done = last.map(|last| last.sweeps.done.clone()).unwrap_or_default();
    // Which of the others stands still and which only waits for its turn, the application knows.
    let others = |sweeps: &Sweeps| -> BTreeMap<String, Portion> {
        sweeps.waiting.iter().chain(&sweeps.resting).map(|(name, left)| (name.clone(), left.clone())).collect()
    };
    let mut apart = last.map(|last| others(&last.sweeps)).unwrap_or_default();
    for swept in meta.rounds.iter().filter_map(|round| round.swept.clone()) {
        let Portion { name, at, behind, through } = swept;
        // Of one that stood still meanwhile only the latest moment counts.
        if let Some(other) = left.take_if(|left| left.name != name || left.at < at) {
            apart.insert(other.name.clone(), other);
        }
        let rested = apart.remove(&name).filter(|rested| rested.at == at);
        let from = match left.take().or(rested) {
            Some(from) => from,
            None => {
                let is_done = done.get(&name).is_some_and(|done| *done >= at);
                check(!is_done, || format!("the sweep {name} of {at} is done, and began once more"))?;
                Portion { name: name.clone(), at, behind: None, through: None }
            }
        };
        if through.is_none() {
            done.insert(name.clone(), at);
        }
        check((&from.name, from.at, &from.behind) == (&name, at, &behind), || {
            format!("the sweep {name} of {at} went on behind {behind:?}, and not as {from:?}")
        })?;
        left = through.is_some().then_some(Portion { name, at, behind: through, through: None });
    }
    if meta.sweeps.current != left
        && let Some(other) = left.take()
    {
        apart.insert(other.name.clone(), other);
    }
    check(meta.sweeps.done == done, || {
        format!("META knows of {:?} that it is done, and not of {done:?}", meta.sweeps.done)
    })?;
    let left_apart = others(&meta.sweeps);
    check(left_apart == apart, || format!("META leaves {left_apart:?} of other sweeps, and not {apart:?}"))?;
    check(meta.sweeps.current == left, || format!("META leaves {:?} of a sweep, and not {left:?}", meta.sweeps.current))
}

fn follows(last: Option<&Meta>, meta: &Meta) -> Verdict {
    goes_on(last, meta)?;
    check(meta.generation >= 0, || "I1: a commit from outside the group".to_owned())?;
    let Some(last) = last else {
        return check(meta.sequence.n == 1, || "I4: the first commit is not the first".to_owned());
    };
    let (before, after) = (last.sequence, meta.sequence);
    let is_next = if after.epoch == before.epoch { after.n == before.n + 1 } else { after.n == 1 };
    check(is_next, || format!("I4: {after:?} after {before:?}"))?;
    check(meta.next_offset >= last.next_offset, || "I4: the input went back".to_owned())?;
    check(meta.reference >= last.reference, || "the reference went back".to_owned())?;
    let readings: Vec<Millis> = last.rounds.iter().chain(&meta.rounds).map(|round| round.now).collect();
    check(readings.is_sorted(), || format!("I12: the clock went back: {readings:?}"))
}

/// Up to which moment deadlines have fired, or a sweep has come by.
fn reached(round: &Round) -> Millis {
    let through = round.fired_through.as_ref().map(|(due, _)| *due);
    let swept = round.swept.as_ref().map(|swept| swept.at);
    [through, swept].into_iter().flatten().fold(round.fired_until, Millis::max)
}

/// Everything that was in the input before business time was `t` is applied before a deadline of `t` fires, or a sweep of `t`
/// comes by.
fn watermark(cluster: &Cluster, partition: i32, meta: &Meta) -> Verdict {
    for round in &meta.rounds {
        let fired_until = reached(round);
        let missed = cluster
            .partition(INPUT, partition)
            .entries_from(round.next_offset)
            .iter()
            .find(|entry| entry.fate == Fate::Committed && entry.body.is_some() && entry.business < fired_until);
        if let Some(entry) = missed {
            let words = "deadlines fired up to {fired} before the record of offset {offset} was read";
            return Err(words
                .replace("{fired}", &fired_until.to_string())
                .replace("{offset}", &format!("{} (there since {})", entry.offset, entry.business)));
        }
    }
    Ok(())
}

/// At rest, every record of the input is applied, and the group's position says the same as META.
fn caught_up(cluster: &Cluster, partition: i32, last: Option<&Meta>) -> Verdict {
    let next = last.map_or(0, |meta| meta.next_offset);
    let missed = cluster.partition(INPUT, partition).committed_at(next).map(|(entry, _)| entry.offset);
    check(missed.is_none(), || format!("I4: lost: the input from offset {missed:?} on was never applied"))?;
    let group = cluster.committed(partition).map_err(|_| "a transaction is still open at rest".to_owned())?;
    let is_there = last.is_none() || group.is_some_and(|group| group >= next);
    check(is_there, || format!("the group stands at {group:?}, META at {next}"))
}

/// What lies on a disk: rows are those of the committed changelog as of the checkpoint's place in it, or newer ones (I2, I3); each
/// deadline has an index entry that is not later (I10).
pub fn disk(cluster: &Cluster, machine: &Machine, due: &Due<'_>) -> Verdict {
    machine.contents().iter().try_for_each(|(path, keys)| {
        space(cluster, path, keys, due).map_err(|words| format!("{}: {words}", path.display()))
    })
}

fn space(cluster: &Cluster, path: &Path, keys: &BTreeMap<Vec<u8>, Vec<u8>>, due: &Due<'_>) -> Verdict {
    let Some(checkpoint) = keys.get(b"M".as_slice()) else { return Ok(()) };
    let checkpoint: Checkpoint = serde_json::from_slice(checkpoint).map_err(|error| error.to_string())?;
    let Some(meta) = checkpoint.meta else { return Ok(()) };
    let name = path.to_string_lossy();
    let partition = name.rsplit('-').next().and_then(|number| number.parse().ok()).unwrap_or(0);
    if is_lost(cluster, partition, &meta)? {
        return Ok(());
    }
    let versions = versions(cluster, partition, checkpoint.next, meta.sequence)?;
    let found: BTreeMap<&[u8], (Millis, &[u8])> = keys
        .iter()
        .filter(|(key, _)| key.first() == Some(&b'R'))
        .filter_map(|(key, value)| {
            let (armed, bytes) = value.split_first_chunk::<8>()?;
            Some((&key[1..], (Millis::from_be_bytes(*armed), bytes)))
        })
        .collect();
    let none = [None];
    for key in found.keys().copied().chain(versions.keys().map(Vec::as_slice)) {
        let bytes = found.get(key).map(|(_, bytes)| bytes.to_vec());
        let allowed = versions.get(key).map_or(none.as_slice(), Vec::as_slice);
        check(allowed.contains(&bytes), || {
            let key = String::from_utf8_lossy(key);
            format!(
                "I2/I3: as of {}, {:?}, the row of {key} is none of the {} that may be there",
                checkpoint.next,
                meta.sequence,
                allowed.len()
            )
        })?;
    }
    for (key, (armed, bytes)) in found {
        let Some(due) = due(bytes) else { continue };
        let entry = [b"D".as_slice(), &armed.to_be_bytes(), key].concat();
        check(armed != UNARMED && armed <= due && keys.contains_key(&entry), || {
            format!("I10: nothing wakes {} at {due} (armed {armed})", String::from_utf8_lossy(key))
        })?;
    }
    Ok(())
}

/// Whether brokers have lost a commit that a store was a checkpoint of. Whoever opens it will see that.
fn is_lost(cluster: &Cluster, partition: i32, meta: &Meta) -> Result<bool, String> {
    if cluster.lost().iter().all(|(_, lost)| *lost != partition) {
        return Ok(false);
    }
    for (_, body) in cluster.decided(CHANGELOG, partition) {
        if let control::Entry::Meta(found) =
            control::read(body.key.as_deref().unwrap_or_default(), body.value.as_deref())?
            && *found == *meta
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Rows by their keys; none where there is no row.
type Versions = BTreeMap<Vec<u8>, Vec<Option<Vec<u8>>>>;

/// Of each key, the row as of the META at an offset or before it, and all later ones; the last commit of which there is anything is
/// `as_of`. Who is on the way to a META that was looked for takes all rows before it, also a torn one, which is written anew before
/// that META: so one behind the offset may be there, too, for as long as it is still to be replayed. Nor does he see a row that
/// compaction has removed: until he comes to the later one that took its place, he has an older one.
fn versions(cluster: &Cluster, partition: i32, place: i64, as_of: Sequence) -> Result<Versions, String> {
    let mut versions = Versions::new();
    let (mut rows, mut torn, mut overtaken) = (Vec::new(), Vec::new(), Vec::new());
    // A commit counts once it is decided, though its marker may still be missing.
    for (record, body) in cluster.decided(CHANGELOG, partition) {
        match control::read(body.key.as_deref().unwrap_or_default(), body.value.as_deref())? {
            control::Entry::Row { key, bytes, .. } => rows.push((record, key, bytes)),
            // What no META closed before it is torn.
            control::Entry::Barrier(_) => {
                torn.extend(rows.drain(..).filter(|(row, ..): &(&Entry, _, _)| row.offset > place))
            }
            control::Entry::Meta(meta) => {
                overtaken.append(&mut torn);
                for (row, key, bytes) in rows.drain(..) {
                    let known = versions.entry(key.to_vec()).or_insert_with(|| vec![None]);
                    if record.offset <= place && !row.is_gone {
                        known.clear();
                    }
                    // Each batch names the newest commit of which it holds anything.
                    if meta.sequence <= as_of {
                        known.push(bytes.map(<[u8]>::to_vec));
                    }
                }
            }
        }
    }
    for (_, key, bytes) in overtaken {
        versions.entry(key.to_vec()).or_insert_with(|| vec![None]).push(bytes.map(<[u8]>::to_vec));
    }
    Ok(versions)
}

fn check(holds: bool, words: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(words()) }
}
