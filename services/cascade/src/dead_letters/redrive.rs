//! A second chance for dead letters: back to where they came from, each in one transaction with the note that it was done.

use schemas::dead_letter;
use stream::kafka::{Producer, Reader};

use super::letter::{self, Filter, Keep, Letter};
use super::profiles;
use crate::config::Common;
use crate::failure::{Exit, Failure};
use crate::topics;

/// Which letters, and whether it is meant.
#[derive(Clone, Debug, clap::Args)]
pub struct Chance {
    #[command(flatten)]
    pub filter: Filter,
    /// Do it. Without this it is only shown what would be done
    #[arg(long)]
    pub yes: bool,
    /// Leave letters alone that were redriven so often already
    #[arg(long, value_name = "TIMES", default_value_t = 3)]
    pub at_most: u32,
}

/// What a note says that was done with a letter.
const REDRIVEN: &str = "redriven";
const DROPPED: &str = "dropped";

/// Why a letter is not redriven.
fn obstacle(letter: &Letter, sources: &[String], at_most: u32) -> Option<String> {
    let source = letter.header(dead_letter::TOPIC);
    // Its own count does not rise: what came of it has another place.
    if letter.done.as_deref() == Some(REDRIVEN) {
        return Some("went back already; if it was refused again, that is a letter of its own".to_owned());
    }
    if letter.redriven() >= at_most {
        return Some(format!("was redriven {} times and came back each time", letter.redriven()));
    }
    let omitted = letter.header(dead_letter::OMITTED);
    if !omitted.is_empty() {
        let [partition, offset] = [dead_letter::PARTITION, dead_letter::OFFSET].map(|name| letter.header(name));
        return Some(format!("is not whole: {omitted} bytes stayed in {source}, at {partition}/{offset}"));
    }
    // A command has its moment: whether it may still go out, the operator decides anew.
    (!sources.contains(&source)).then(|| format!("came from {source}, which nobody else may write to"))
}

/// What goes back: without the headers that say why it was here, and with the count.
pub fn revived(letter: &Letter) -> Vec<(String, Vec<u8>)> {
    let ours = |name: &str| name.starts_with("__streams.errors.") || name.starts_with("cascade.");
    let mut headers: Vec<(String, Vec<u8>)> = letter.headers.iter().filter(|(name, _)| !ours(name)).cloned().collect();
    headers.push((dead_letter::REDRIVEN.to_owned(), (letter.redriven() + 1).to_string().into_bytes()));
    headers
}

/// Writes letters back to where they came from, the oldest first. What is refused there again comes back with a higher count.
///
/// # Errors
/// Those of Kafka; `NotNow` if the answer to the commit did not come: `cascade dlq list` shows whether it was done.
pub fn redrive(common: &Common, chance: &Chance) -> Result<String, Failure> {
    let mut sources: Vec<String> = common.topics.sources().into_iter().map(|(name, _)| name).collect();
    sources.push(common.topics.input());
    // Before anything is read: what an earlier run still does is done by now or never, so that no letter goes back twice.
    let post = if chance.yes { Some(Post::open(common)?) } else { None };
    let letters = letter::read(common, &chance.filter, Keep::Origins)?;
    let overtaken = profiles::overtaken(common, &letters)?;
    let mut lines = Vec::new();
    let mut going = Vec::new();
    for letter in letters {
        let (place, source) = (letter.place(), letter.header(dead_letter::TOPIC));
        let newer = || format!("is not the last word: {source} has a newer record of this customer");
        match obstacle(&letter, &sources, chance.at_most).or_else(|| overtaken.contains(&place).then(newer)) {
            Some(why) => lines.push(format!("{place} stays: it {why}\n")),
            None => {
                lines.push(format!("{place} {} to {source}\n", if chance.yes { "went back" } else { "would go back" }));
                going.push(letter);
            }
        }
    }
    if let Some(mut post) = post {
        post.give_back(common, &going)?;
    }
    Ok(format!("{}{}", lines.concat(), summary(going.len(), chance.yes, REDRIVEN)))
}

/// Notes that nothing will be done about letters any more.
///
/// # Errors
/// Those of Kafka.
pub fn dismiss(common: &Common, chance: &Chance) -> Result<String, Failure> {
    let post = if chance.yes { Some(Post::open(common)?) } else { None };
    let (letters, done) = undone(letter::read(common, &chance.filter, Keep::Origins)?);
    if let Some(mut post) = post {
        post.dismiss(&letters)?;
    }
    let verb = if chance.yes { "is dropped" } else { "would be dropped" };
    let stay = done.iter().map(|letter| {
        format!("{} stays: it was {} already\n", letter.place(), letter.done.as_deref().unwrap_or_default())
    });
    let lines: String = letters.iter().map(|letter| format!("{} {verb}\n", letter.place())).chain(stay).collect();
    Ok(format!("{lines}{}", summary(letters.len(), chance.yes, DROPPED)))
}

/// Those that nothing was done about, and the others: another note would hide that they went back.
pub(super) fn undone(letters: Vec<Letter>) -> (Vec<Letter>, Vec<Letter>) {
    letters.into_iter().partition(|letter| letter.done.is_none())
}

fn summary(count: usize, is_meant: bool, done: &str) -> String {
    match is_meant {
        true => {
            format!(
                "{count} dead letters {done}; who is held because of them stays so until `cascade dlq release` with the same filter (without its --limit)\n"
            )
        }
        false => format!("nothing was done: with --yes {count} dead letters are {done}\n"),
    }
}

/// Letters in one transaction: far fewer than its time-out allows.
const TOGETHER: usize = 500;

/// Bytes of values in one transaction, unless one letter alone has more.
const TOGETHER_BYTES: usize = 8 << 20;

/// Splits them into what goes in one transaction, and is held in memory at once.
pub fn batches(letters: &[Letter]) -> Vec<&[Letter]> {
    let (mut batches, mut from, mut bytes) = (Vec::new(), 0, 0);
    for (index, letter) in letters.iter().enumerate() {
        if index > from && (index - from == TOGETHER || bytes + letter.size > TOGETHER_BYTES) {
            batches.push(&letters[from..index]);
            (from, bytes) = (index, 0);
        }
        bytes += letter.size;
    }
    batches.extend((from < letters.len()).then(|| &letters[from..]));
    batches
}

/// Writes letters and the notes about them. If it fails in the middle, those before are done with and noted, the others are neither.
struct Post {
    producer: Producer,
    graveyard: String,
    notes: usize,
}

impl Post {
    /// From here on an earlier run writes nothing any more.
    fn open(common: &Common) -> Result<Self, Failure> {
        let graveyard = common.topics.dead_letter();
        topics::require(common, std::slice::from_ref(&graveyard))?;
        let mut producer = Producer::new(&common.kafka, &format!("cascade-redrive-{graveyard}"))?;
        let notes = producer.topic(&graveyard)?;
        Ok(Post { producer, graveyard, notes })
    }

    /// Each goes back with the note about it. What is in them is read a portion at a time: there may be very many.
    fn give_back(&mut self, common: &Common, letters: &[Letter]) -> Result<(), Failure> {
        let mut reader = Reader::new(&common.kafka)?;
        let topic = reader.topic(&self.graveyard)?;
        for batch in batches(letters) {
            let whole = letter::whole(&mut reader, topic, batch)?;
            self.producer.begin()?;
            for letter in &whole {
                let source = self.producer.topic(&letter.header(dead_letter::TOPIC))?;
                let headers = revived(letter);
                let headers: Vec<(&str, &[u8])> =
                    headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
                self.producer.produce(source, None, letter.key.as_deref(), letter.value.as_deref(), &headers)?;
                self.note(letter, REDRIVEN)?;
            }
            self.commit()?;
        }
        Ok(())
    }

    fn dismiss(&mut self, letters: &[Letter]) -> Result<(), Failure> {
        for batch in letters.chunks(TOGETHER) {
            self.producer.begin()?;
            batch.iter().try_for_each(|letter| self.note(letter, DROPPED))?;
            self.commit()?;
        }
        Ok(())
    }

    fn note(&mut self, letter: &Letter, done: &str) -> Result<(), Failure> {
        let place = letter.place().to_string();
        let note = [(dead_letter::DONE_WITH, place.as_bytes()), (dead_letter::DONE, done.as_bytes())];
        self.producer.produce(self.notes, Some(letter.place.0), letter.key.as_deref(), None, &note)?;
        Ok(())
    }

    fn commit(&mut self) -> Result<(), Failure> {
        self.producer.commit().map_err(|error| match Failure::from(error) {
            failure if failure.exit == Exit::NotNow => Failure::new(
                Exit::NotNow,
                format!("{}; `cascade dlq list --all` shows how much was done", failure.sentence),
            ),
            failure => failure,
        })
    }
}

#[cfg(test)]
pub(super) fn obstacle_of(letter: &Letter, sources: &[String], at_most: u32) -> Option<String> {
    obstacle(letter, sources, at_most)
}
