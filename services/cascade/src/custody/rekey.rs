//! `cascade rekey`: the whole state under another number of partitions, in topics of another prefix. Offline, and all or nothing.

use std::fmt::Write;

use schemas::Topics;
use stream::kafka::{Producer, Reader, Record};
use stream::rekey::{self, Side, is_somebodys};

use crate::config::Common;
use crate::failure::{Exit, Failure};
use crate::{reading, topics};

/// Whence.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Prefix of the topics with the state as it is; topics.prefix and topics.partitions say where to. Empty for none
    #[arg(long, value_name = "PREFIX")]
    pub from_prefix: String,
    /// Do it. Without this it is only shown what stands in the way, and what would be moved
    #[arg(long)]
    pub yes: bool,
}

/// Moves campaigns and rows, if everything is at rest. What stands in the way is all looked for before anything is written, and without `yes`
/// as well.
///
/// # Errors
/// `Usage` for the same prefix, `NotNow` with all that stands in the way, `TopicMissing` and `TopicDiffers` for the new topics; those of Kafka.
pub fn run(common: &Common, args: &Args) -> Result<String, Failure> {
    let (old, new) = (Topics::new(&args.from_prefix), &common.topics);
    if old.input() == new.input() {
        let sentence = "a number of partitions is never changed in place: set topics.prefix to a new one";
        return Err(Failure::new(Exit::Usage, sentence));
    }
    topics::require(common, &[new.input(), new.changelog(), new.suppression(), new.campaign()])?;
    let (from, to) = (old.changelog(), new.changelog());
    let partitions = reading::partitions(&common.kafka, &from)?;
    let channels = topics::channels(common, &old)?;
    let mut obstacles = at_work(common, &old, &channels)?;
    obstacles.extend(left_over(common, &old, &channels)?);
    let campaigns = Copies::read(common, &old.campaign(), common.topics.campaign())?;
    let refusals = Copies::read(common, &old.suppression(), common.topics.suppression())?;
    obstacles.extend([&campaigns, &refusals].into_iter().filter_map(Copies::obstacle));
    let found = rekey::survey(&common.kafka, &side(&old), &side(new))?;
    obstacles.extend(found.obstacles);
    if !obstacles.is_empty() {
        let sentence = format!("not everything is at rest:\n  {}\nnothing was moved", obstacles.join("\n  "));
        return Err(Failure::new(Exit::NotNow, sentence));
    }
    if !args.yes {
        return Ok(format!(
            "{} rows of {from} ({partitions} partitions) would go to {to} ({} partitions), and nothing stands in the way; nothing was \
             moved: add --yes to do it\n",
            found.sum.rows, common.partitions
        ));
    }
    campaigns.copy(common)?;
    refusals.copy(common)?;
    let identity = format!("cascade-rekey-{to}");
    let sum = rekey::rekey(&common.kafka, &identity, &side(&old), &side(new))?;
    let found = rekey::sum(&common.kafka, &to)?;
    if found != sum {
        let sentence =
            format!("{} rows were moved and {} count: delete the new changelog, and tell us", sum.rows, found.rows);
        return Err(Failure::new(Exit::Unexpected, sentence));
    }
    let mut told = format!(
        "{} rows of {from} ({partitions} partitions) are in {to} ({} partitions), with the digest {:032x} here and there\n",
        sum.rows, common.partitions, sum.digest
    );
    let (campaigns, refusals) = (campaigns.records.len(), refusals.records.len());
    let _ = writeln!(
        told,
        "{campaigns} records about campaigns were copied, and {refusals} of refusals that outlive an erasure"
    );
    told.push_str("Start everything with topics.prefix and topics.partitions as now, and never again as before.\n");
    last_words(&old, &channels, &mut told);
    Ok(told)
}

/// What becomes of the old topics.
fn last_words(old: &Topics, channels: &[String], told: &mut String) {
    let catalogue = old.catalogue(channels, 1);
    let names: Vec<&str> =
        catalogue.iter().map(|topic| topic.name.as_str()).filter(|name| *name != old.journal()).collect();
    let _ = writeln!(
        told,
        "The old topics still hold what is known of people, and `cascade erase` does not look there any more. When all is well, delete {}; \
         and {}, which holds ids and no addresses, when nobody asks for its stories any more.",
        names.join(", "),
        old.journal()
    );
}

fn side(topics: &Topics) -> Side {
    Side { input: topics.input(), changelog: topics.changelog(), reference: topics.campaign() }
}

/// Who is still there. Each in a line.
fn at_work(common: &Common, old: &Topics, channels: &[String]) -> Result<Vec<String>, Failure> {
    let mut lines = Vec::new();
    for topics in [old, &common.topics] {
        let workers = channels.iter().map(|channel| workers(topics, channel));
        for group in [topics.group("intake"), topics.group("operator")].into_iter().chain(workers) {
            let members = common.kafka.members(&group)?;
            if !members.is_empty() {
                let members = members.join(", ");
                lines.push(format!(
                    "group {group} has members ({members}): end them, or wait until they have timed out"
                ));
            }
        }
    }
    Ok(lines)
}

/// What was not read yet. Of a source every record counts: whom it is about its value says, and the key only where that cannot be read.
fn left_over(common: &Common, old: &Topics, channels: &[String]) -> Result<Vec<String>, Failure> {
    let intake = old.group("intake");
    let sources = old.sources().into_iter().map(|(source, _)| (intake.clone(), source));
    let sends = channels.iter().map(|channel| (workers(old, channel), old.send(channel)));
    let mut lines = Vec::new();
    for (group, topic) in sources.chain([(old.group("operator"), old.input())]).chain(sends) {
        if common.kafka.partitions(&topic)?.is_none() {
            lines.push(format!(
                "there is no topic {topic} that this user may see: a channel that is new is to be left out of `channels` until the state is \
                 moved"
            ));
            continue;
        }
        // What has no key in `input` is how far the sources were read.
        let counts: fn(&Record) -> bool = if topic == old.input() { is_somebodys } else { |_| true };
        let count = rekey::unread(&common.kafka, &group, &topic, counts)?;
        if count > 0 {
            lines.push(format!(
                "{group} has not read {count} records of {topic}: start it until it has, without what writes there"
            ));
        }
    }
    Ok(lines)
}

/// The group of a channel's workers.
fn workers(topics: &Topics, channel: &str) -> String {
    format!("{}.workers", topics.send(channel))
}

/// A record as it is: key and value.
type Copied = (Option<Vec<u8>>, Option<Vec<u8>>);

/// What is taken along as it is, in its order, here and there: what was said about campaigns, and who must not be written to.
struct Copies {
    records: Vec<Copied>,
    there: Vec<Copied>,
    to: String,
}

impl Copies {
    fn read(common: &Common, from: &str, to: String) -> Result<Self, Failure> {
        let read = |topic: &str| {
            let mut records: Vec<Copied> = Vec::new();
            // What this user may not see is not taken for nothing.
            reading::partitions(&common.kafka, topic)?;
            let mut reader = Reader::new(&common.kafka)?;
            let index = reader.topic(topic)?;
            reader.read_whole(index, 0, |record| {
                records.push((record.key().map(<[u8]>::to_vec), record.value().map(<[u8]>::to_vec)));
            })?;
            Ok::<_, Failure>(records)
        };
        Ok(Copies { records: read(from)?, there: read(&to)?, to })
    }

    fn obstacle(&self) -> Option<String> {
        let is_free = self.there.is_empty() || self.there == self.records;
        (!is_free).then(|| {
            let to = &self.to;
            format!("{to} holds records, and other ones: delete this topic alone, no source topic, and make it again")
        })
    }

    /// A run that was cut off has copied them already.
    fn copy(&self, common: &Common) -> Result<(), Failure> {
        if self.there == self.records {
            return Ok(());
        }
        let mut producer = Producer::new(&common.kafka, &format!("cascade-{}", self.to))?;
        let topic = producer.topic(&self.to)?;
        producer.begin()?;
        for (key, value) in &self.records {
            producer.produce(topic, Some(0), key.as_deref(), value.as_deref(), &[])?;
        }
        producer.commit()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_that_are_there_are_those_of_a_run_that_was_cut_off_or_stand_in_the_way() {
        let said = |word: &str| vec![(Some(b"a/1".to_vec()), Some(word.as_bytes().to_vec()))];
        let found = |there| Copies { records: said("one"), there, to: "new.campaign".to_owned() }.obstacle();
        assert_eq!(found(Vec::new()), None);
        assert_eq!(found(said("one")), None);
        assert!(found(said("another")).is_some_and(|words| words.starts_with("new.campaign holds records")));
    }

    #[test]
    fn the_last_words_name_every_old_topic_and_leave_the_stories() {
        let (old, mut told) = (Topics::new("old"), String::new());
        last_words(&old, &["sms".to_owned()], &mut told);
        let (deleted, kept) = told.split_once("; and ").expect("what goes, and what may stay");
        for topic in old.catalogue(&["sms"], 1) {
            let (here, there) = if topic.name == old.journal() { (kept, deleted) } else { (deleted, kept) };
            assert!(here.contains(&topic.name) && !there.contains(&topic.name), "{} in {told}", topic.name);
        }
    }
}
