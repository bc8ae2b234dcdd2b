//! Dead letters as they lie in their topic, and which of them somebody means.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use schemas::dead_letter;
use stream::kafka::{Reader, Record};

use crate::config::Common;
use crate::failure::{Exit, Failure};
use crate::{reading, topics};

/// Where a letter lies in `dead-letter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.partition, self.offset)
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts =
            text.split_once('/').and_then(|(partition, offset)| Some((partition.parse().ok()?, offset.parse().ok()?)));
        let (partition, offset) =
            parts.ok_or_else(|| "write PARTITION/OFFSET, as `cascade dlq list` shows it".to_owned())?;
        Ok(Place { partition, offset })
    }
}

/// Which dead letters are meant: all that fit everything that is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct Filter {
    /// These, as `list` shows their places: PARTITION/OFFSET
    #[arg(value_name = "PLACE")]
    pub places: Vec<Place>,
    /// Those of this customer
    #[arg(long, value_name = "ID")]
    pub customer: Option<String>,
    /// Those that were refused with this code
    #[arg(long)]
    pub code: Option<String>,
    /// Those that were refused there: intake, operator, channel
    #[arg(long)]
    pub stage: Option<String>,
    /// Those that came from this topic
    #[arg(long, value_name = "TOPIC")]
    pub from: Option<String>,
    /// Those that were refused at this moment or later, such as 2026-03-01T12:00:00Z
    #[arg(long, value_name = "MOMENT")]
    pub since: Option<Timestamp>,
    /// Those that were refused before this moment
    #[arg(long, value_name = "MOMENT")]
    pub until: Option<Timestamp>,
    /// At most so many: the newest of them to list (50, if nothing is said), else the oldest (all)
    #[arg(long, value_name = "COUNT")]
    pub limit: Option<usize>,
    /// Those that were redriven or dropped, too
    #[arg(long)]
    pub all: bool,
}

/// One record of `dead-letter`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Letter {
    /// Partition and offset.
    pub place: (i32, i64),
    /// When it was put there.
    pub at: i64,
    /// As in the source.
    pub key: Option<Vec<u8>>,
    /// As in the source.
    pub value: Option<Vec<u8>>,
    /// Bytes of the value, also where it is not kept.
    pub size: usize,
    /// Its own, and those that say why it is here.
    pub headers: Vec<(String, Vec<u8>)>,
    /// What somebody did about it.
    pub done: Option<String>,
}

impl Letter {
    fn of(record: &Record, keep: Keep) -> Self {
        Letter {
            place: (record.partition(), record.offset()),
            at: record.timestamp(),
            key: record.key().map(<[u8]>::to_vec),
            value: record.value().filter(|_| keep == Keep::Values).map(<[u8]>::to_vec),
            size: record.value().map_or(0, <[u8]>::len),
            headers: record.headers(),
            done: None,
        }
    }

    /// Where it lies.
    pub fn place(&self) -> Place {
        Place { partition: self.place.0, offset: self.place.1 }
    }

    /// The last header of this name, as text; empty without one.
    pub fn header(&self, name: &str) -> String {
        let found = self.headers.iter().rev().find(|(known, _)| known == name);
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
    }

    /// Whom it is about, as far as its key says.
    pub fn customer(&self) -> String {
        self.key.as_ref().map(|key| String::from_utf8_lossy(key).into_owned()).unwrap_or_default()
    }

    /// How often it was redriven before it came here. Its producer may have said anything: then `--at-most` has to be higher.
    pub fn redriven(&self) -> u32 {
        self.header(dead_letter::REDRIVEN).parse().unwrap_or(0)
    }
}

impl Filter {
    fn means(&self, letter: &Letter) -> bool {
        let same = |wanted: &Option<String>, found: String| wanted.as_ref().is_none_or(|wanted| *wanted == found);
        (self.places.is_empty() || self.places.contains(&letter.place()))
            && same(&self.customer, letter.customer())
            && same(&self.code, letter.header(dead_letter::CODE))
            && same(&self.stage, letter.header(dead_letter::STAGE))
            && same(&self.from, letter.header(dead_letter::TOPIC))
            && self.since.is_none_or(|since| letter.at >= since.as_millisecond())
            && self.until.is_none_or(|until| letter.at < until.as_millisecond())
    }

    /// The customer, if nothing else is said of what is meant.
    pub fn customer_alone(&self) -> Option<&str> {
        let alone = Filter { customer: self.customer.clone(), ..Filter::default() };
        self.customer.as_deref().filter(|_| *self == alone)
    }
}

/// What of the letters is wanted: values may be large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// All of them.
    Values,
    /// All but their values.
    Headers,
    /// Whom they are about and where they came from: what it takes to do something about very many of them.
    Origins,
}

/// Headers of ours that say where a letter came from, and what may be done about it.
const ORIGIN: [&str; 5] =
    [dead_letter::TOPIC, dead_letter::PARTITION, dead_letter::OFFSET, dead_letter::OMITTED, dead_letter::REDRIVEN];

/// The letters that are meant, of records that come in the order of their partitions. What is not meant, or done with, is not held.
pub struct Selection<'a> {
    filter: &'a Filter,
    keep: Keep,
    letters: BTreeMap<Place, Letter>,
}

impl<'a> Selection<'a> {
    /// Nothing yet.
    pub fn new(filter: &'a Filter, keep: Keep) -> Self {
        Selection { filter, keep, letters: BTreeMap::new() }
    }

    /// One more record. What was done about a letter is a record of its own behind it.
    pub fn take(&mut self, mut letter: Letter) {
        match note(&letter) {
            None if self.filter.means(&letter) => {
                if self.keep == Keep::Origins {
                    letter.headers.retain(|(name, _)| ORIGIN.contains(&name.as_str()));
                }
                self.letters.insert(letter.place(), letter);
            }
            None => {}
            // A note stands behind its letter. Where it does not, somebody has copied the topic, and its place is another letter's.
            Some((place, _)) if place.partition != letter.place.0 || place.offset >= letter.place.1 => {}
            Some((place, done)) if self.filter.all => {
                if let Some(letter) = self.letters.get_mut(&place) {
                    letter.done = Some(done);
                }
            }
            Some((place, _)) => drop(self.letters.remove(&place)),
        }
    }

    /// The oldest first: in the order in which they came, which those about one customer keep when they go back.
    pub fn finish(self) -> Vec<Letter> {
        let (mut letters, mut latest) = (Vec::with_capacity(self.letters.len()), (0, 0));
        for letter in self.letters.into_values() {
            // A broker's clock that was set back must not turn a partition's order round.
            let before = if latest.0 == letter.place.0 { latest.1 } else { i64::MIN };
            latest = (letter.place.0, before.max(letter.at));
            letters.push((latest.1, letter));
        }
        letters.sort_by_key(|(at, letter)| (*at, letter.place));
        letters.into_iter().map(|(_, letter)| letter).collect()
    }
}

/// With which letter what was done. A letter has a code, which we put behind the headers of its producer: whatever he writes before
/// it, it is no note of ours.
fn note(letter: &Letter) -> Option<(Place, String)> {
    let is_letter = letter.headers.iter().any(|(name, _)| name == dead_letter::CODE);
    let place = letter.header(dead_letter::DONE_WITH).parse().ok().filter(|_| !is_letter)?;
    Some((place, letter.header(dead_letter::DONE)))
}

/// Reads the topic and selects: the oldest first, and no more of them than are wanted.
///
/// # Errors
/// As for [`read_all`].
pub fn read(common: &Common, filter: &Filter, keep: Keep) -> Result<Vec<Letter>, Failure> {
    let mut letters = read_all(common, filter, keep)?;
    letters.truncate(filter.limit.unwrap_or(usize::MAX));
    Ok(letters)
}

/// Reads the topic and selects: the oldest first, whatever the limit is.
///
/// # Errors
/// Those of Kafka; `Unknown` if a place is named where no such letter lies.
pub fn read_all(common: &Common, filter: &Filter, keep: Keep) -> Result<Vec<Letter>, Failure> {
    topics::reach(common)?;
    let topic = common.topics.dead_letter();
    let mut selection = Selection::new(filter, keep);
    for partition in 0..reading::partitions(&common.kafka, &topic)? {
        reading::partition(&common.kafka, &topic, partition, |record| selection.take(Letter::of(record, keep)))?;
    }
    let found = |place: &&Place| selection.letters.contains_key(place);
    let missing: Vec<String> = filter.places.iter().filter(|place| !found(place)).map(ToString::to_string).collect();
    match missing.is_empty() {
        true => Ok(selection.finish()),
        false => Err(Failure::new(
            Exit::Unknown,
            format!(
                "no such letter that fits at {} of {topic}; `cascade dlq list --all` shows what there is",
                missing.join(", ")
            ),
        )),
    }
}

/// Some letters once more, in the same order, with all that is in them.
///
/// # Errors
/// Those of Kafka; `Unknown` if one is not there any more.
pub fn whole(reader: &mut Reader, topic: usize, some: &[Letter]) -> Result<Vec<Letter>, Failure> {
    let mut wanted: BTreeMap<i32, BTreeSet<i64>> = BTreeMap::new();
    for letter in some {
        wanted.entry(letter.place.0).or_default().insert(letter.place.1);
    }
    let mut found = BTreeMap::new();
    for (partition, offsets) in wanted {
        let (Some(first), Some(last)) = (offsets.first(), offsets.last()) else { continue };
        reader.replay(topic, partition, *first..last + 1, &mut |record| {
            if offsets.contains(&record.offset()) {
                let letter = Letter::of(record, Keep::Values);
                found.insert(letter.place, letter);
            }
            true
        })?;
    }
    let gone = |letter: &Letter| Failure::new(Exit::Unknown, format!("{} is not there any more", letter.place()));
    some.iter().map(|letter| found.remove(&letter.place).ok_or_else(|| gone(letter))).collect()
}
