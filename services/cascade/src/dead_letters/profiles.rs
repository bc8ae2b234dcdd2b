//! Letters of a compacted topic: given back behind a newer record of the same key, an old one would be the last word for ever.

use std::collections::{BTreeMap, BTreeSet};

use schemas::dead_letter;
use stream::kafka::{Reader, partition_of};

use super::letter::{Letter, Place};
use crate::config::Common;
use crate::failure::Failure;
use crate::reading;

/// Where the last record of each key stands, in each partition that was looked at.
pub(super) type Newest = BTreeMap<Vec<u8>, BTreeMap<i32, i64>>;

/// The letters behind whose record a newer one of the same customer stands in `profile`.
///
/// # Errors
/// Those of Kafka.
pub fn overtaken(common: &Common, letters: &[Letter]) -> Result<BTreeSet<Place>, Failure> {
    let topic = common.topics.profile();
    let ours: Vec<&Letter> = letters.iter().filter(|letter| letter.header(dead_letter::TOPIC) == topic).collect();
    if ours.is_empty() {
        return Ok(BTreeSet::new());
    }
    let count = reading::partitions(&common.kafka, &topic)?;
    let mut newest: Newest = ours.iter().filter_map(|letter| Some((letter.key.clone()?, BTreeMap::new()))).collect();
    let mut reader = Reader::new(&common.kafka)?;
    let index = reader.topic(&topic)?;
    for (partition, from) in looked_at(&ours, count) {
        let (low, _) = reader.range(index, partition)?;
        reader.read_from(index, partition, low.max(from), |record| {
            if let Some(places) = record.key().and_then(|key| newest.get_mut(key)) {
                places.insert(partition, record.offset());
            }
        })?;
    }
    Ok(ours.into_iter().filter(|letter| is_overtaken(letter, &newest)).map(Letter::place).collect())
}

/// Partitions to look at, and from where on: behind the letters' own records, and, where partitions were added since, all of the one that the
/// key belongs to now.
fn looked_at(letters: &[&Letter], count: i32) -> BTreeMap<i32, i64> {
    let mut from = BTreeMap::new();
    for letter in letters {
        let (Some((partition, offset)), Some(key)) = (origin(letter), letter.key.as_deref()) else { continue };
        let home = partition_of(key, count);
        let places = [(partition, offset + 1), (home, if home == partition { offset + 1 } else { 0 })];
        for (partition, first) in places.into_iter().filter(|(partition, _)| (0..count).contains(partition)) {
            let known = from.entry(partition).or_insert(first);
            *known = first.min(*known);
        }
    }
    from
}

/// Whether there is a newer record than that of the letter.
pub(super) fn is_overtaken(letter: &Letter, newest: &Newest) -> bool {
    let places = letter.key.as_ref().and_then(|key| newest.get(key));
    let (Some((own, offset)), Some(places)) = (origin(letter), places) else { return false };
    places.iter().any(|(partition, last)| *partition != own || *last > offset)
}

fn origin(letter: &Letter) -> Option<(i32, i64)> {
    Some((letter.header(dead_letter::PARTITION).parse().ok()?, letter.header(dead_letter::OFFSET).parse().ok()?))
}
