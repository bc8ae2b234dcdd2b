//! Whether a changelog is as it should be, and whether a local store agrees with it: for tools that own nothing.

use std::path::Path;

use crate::Error;
use crate::kafka::{Reader, Settings, partition_of};
use crate::replica::store_path;
use crate::rows::Rows;
use crate::store::Store;

/// What a look at one partition found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Rows that count.
    pub rows: u64,
    /// Rows of transactions that were torn: the next owner's first commit writes their keys anew.
    pub torn: usize,
    /// How far the state has come with the input; none where there is none yet.
    pub next_offset: Option<i64>,
    /// Rows of the local store that were compared; none where there is no store.
    pub compared: Option<u64>,
    /// What is wrong, each in a sentence.
    pub problems: Vec<String>,
}

/// Looks at a partition. `judge` says what is wrong with a row, by its key, if anything is. In `state_dir`, if it is given, the store is
/// compared, read-only: what was written behind the store's place in the changelog may differ, all else may not.
///
/// # Errors
/// Those of Kafka, and `Stop` for a record that is none of ours or a store that cannot be read.
pub fn audit(
    settings: &Settings,
    (input, changelog): (&str, &str),
    partition: i32,
    state_dir: Option<&Path>,
    mut judge: impl FnMut(&[u8], &[u8]) -> Option<String>,
) -> Result<Audit, Error> {
    let store = state_dir.map(|dir| store_path(dir, input, partition)).filter(|path| path.is_dir());
    let rows = match &store {
        None => Rows::read(settings, changelog, partition)?,
        Some(_) => Rows::read_with_places(settings, changelog, partition)?,
    };
    let mut reader = Reader::new(settings)?;
    let (input_index, changelog_index) = (reader.topic(input)?, reader.topic(changelog)?);
    let count = reader.partitions(changelog_index)?;
    let (low, high) = reader.range(input_index, partition)?;
    let mut audit = Audit {
        rows: rows.closed.len() as u64,
        torn: rows.open.len(),
        next_offset: rows.meta.as_ref().map(|meta| meta.next_offset),
        ..Audit::default()
    };
    let mut wrong = |words: String| audit.problems.push(format!("partition {partition}: {words}"));
    if let Some(offset) = rows.disorder {
        wrong(format!("META at offset {offset} is older than the one before it"));
    }
    match audit.next_offset {
        None if !rows.closed.is_empty() => wrong("there are rows and no META".to_owned()),
        Some(next) if next < low => {
            wrong(format!(
                "it must go on at offset {next} of {input}, which begins at {low}: its retention is too short"
            ));
        }
        Some(next) if next > high => {
            wrong(format!("it has come to offset {next} of {input}, which ends at {high}: was the topic made anew?"));
        }
        _ => {}
    }
    for (key, bytes) in &rows.closed {
        let home = partition_of(key, count);
        if home != partition {
            wrong(format!("a row that belongs to partition {home} is here: was the number of partitions changed?"));
        }
        if let Some(words) = judge(key, bytes) {
            wrong(words);
        }
    }
    if let Some(path) = store {
        let identity = settings.topic_identity(changelog)?;
        audit.compared = Some(compare(&path, &rows, &identity, &mut audit.problems, partition)?);
    }
    Ok(audit)
}

/// Rows of the store beside those of the changelog.
fn compare(path: &Path, rows: &Rows, identity: &str, problems: &mut Vec<String>, partition: i32) -> Result<u64, Error> {
    let store = Store::look(path)?;
    let Some(checkpoint) = store.checkpoint()? else { return Ok(0) };
    if checkpoint.changelog != identity {
        let words = "the local store is of another changelog: whoever opens it wipes it";
        problems.push(format!("partition {partition}: {words}"));
        return Ok(0);
    }
    // What came behind the store's place may be in it or not.
    let is_settled =
        |key: &[u8]| rows.written.iter().all(|written| written.get(key).is_none_or(|offset| *offset < checkpoint.next));
    let mut keys: Vec<Box<[u8]>> = Vec::new();
    store.keys(None, |key| {
        keys.push(key.into());
        true
    })?;
    let (mut compared, mut differing, mut unknown) = (0, 0_u64, 0_u64);
    let asked: Vec<&[u8]> = keys.iter().map(AsRef::as_ref).filter(|key| is_settled(key)).collect();
    store.rows(&asked, |index, row| {
        compared += 1;
        match (rows.closed.get(asked[index]), row) {
            (Some(kept), Some((_, bytes))) => differing += u64::from(**kept != *bytes),
            _ => unknown += 1,
        }
        Ok(())
    })?;
    let here: std::collections::BTreeSet<&[u8]> = keys.iter().map(AsRef::as_ref).collect();
    let missing = rows.closed.keys().filter(|key| is_settled(key) && !here.contains(key.as_ref())).count();
    for (count, words) in [
        (differing, "differ from the changelog"),
        (unknown, "are in the store and not in the changelog"),
        (missing as u64, "are in the changelog and not in the store"),
    ] {
        if count > 0 {
            problems.push(format!("partition {partition}: {count} rows {words}: delete the store, it is restored"));
        }
    }
    Ok(compared)
}
