//! `cascade rekey`: the whole state under another number of partitions, in topics of another prefix. Offline, and all or nothing.

use std::fmt::Write;

use schemas::Topics;
use stream::kafka::{Producer, Reader};
use stream::rekey::{self, Side};

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

/// Moves campaigns and rows, if everything is at rest.
///
/// # Errors
/// `Usage` for the same prefix, `NotNow` with all that stands in the way, `TopicMissing` and `TopicDiffers` for the new topics; those of Kafka.
pub fn run(common: &Common, args: &Args) -> Result<String, Failure> {
    let (old, new) = (Topics::new(&args.from_prefix), &common.topics);
    if old.input() == new.input() {
        let sentence = "a number of partitions is never changed in place: set topics.prefix to a new one";
        return Err(Failure::new(Exit::Usage, sentence));
    }
    topics::require(common, &[new.input(), new.changelog(), new.campaign()])?;
    let obstacles = obstacles(common, &old)?;
    if !obstacles.is_empty() {
        let sentence = format!("not everything is at rest:\n{}nothing was moved", obstacles.concat());
        return Err(Failure::new(Exit::NotNow, sentence));
    }
    let partitions = reading::partitions(&common.kafka, &old.changelog())?;
    let (from, to) = (old.changelog(), new.changelog());
    if !args.yes {
        let sum = rekey::sum(&common.kafka, &from)?;
        return Ok(format!(
            "{} rows of {from} ({partitions} partitions) would go to {to} ({} partitions); nothing was moved: add --yes to do it\n",
            sum.rows, common.partitions
        ));
    }
    let campaigns = copy_campaigns(common, &old.campaign())?;
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
    let _ = writeln!(told, "{campaigns} records about campaigns were copied");
    let _ =
        writeln!(told, "Start everything with topics.prefix and topics.partitions as now, and never again as before.");
    Ok(told)
}

fn side(topics: &Topics) -> Side {
    Side { input: topics.input(), changelog: topics.changelog(), reference: topics.campaign() }
}

/// Who is still there, and what was not read yet. Each in a line.
fn obstacles(common: &Common, old: &Topics) -> Result<Vec<String>, Failure> {
    let kafka = &common.kafka;
    let mut lines = Vec::new();
    for topics in [old, &common.topics] {
        let workers = common.channels.iter().map(|channel| format!("{}.workers", topics.send(channel)));
        for group in [topics.group("intake"), topics.group("operator")].into_iter().chain(workers) {
            let members = rekey::members(kafka, &group)?;
            if !members.is_empty() {
                lines.push(format!(
                    "  group {group} has members ({}): end them, or wait until they have timed out\n",
                    members.join(", ")
                ));
            }
        }
    }
    let intake = old.group("intake");
    let sources = old.sources().into_iter().map(|(name, _)| (intake.clone(), name));
    let sends = common.channels.iter().map(|channel| (format!("{}.workers", old.send(channel)), old.send(channel)));
    for (group, topic) in sources.chain(sends) {
        let count = rekey::unread(kafka, &group, &topic)?;
        if count > 0 {
            lines.push(format!(
                "  {group} has not read {count} records of {topic}: start it until it has, without what writes there\n"
            ));
        }
    }
    Ok(lines)
}

/// A record as it is: key and value.
type Copied = (Option<Vec<u8>>, Option<Vec<u8>>);

/// Campaigns as they are, in their order. A run that was cut off has copied them already.
fn copy_campaigns(common: &Common, from: &str) -> Result<usize, Failure> {
    let to = common.topics.campaign();
    let read = |topic: &str| {
        let mut records: Vec<Copied> = Vec::new();
        let mut reader = Reader::new(&common.kafka)?;
        let index = reader.topic(topic)?;
        reader.read_whole(index, 0, |record| {
            records.push((record.key().map(<[u8]>::to_vec), record.value().map(<[u8]>::to_vec)));
        })?;
        Ok::<_, Failure>(records)
    };
    let (records, there) = (read(from)?, read(&to)?);
    if there == records {
        return Ok(records.len());
    }
    if !there.is_empty() {
        let sentence = format!(
            "{to} holds campaigns already, and other ones: delete this topic alone, no source topic, and make it again"
        );
        return Err(Failure::new(Exit::TopicDiffers, sentence));
    }
    let mut producer = Producer::new(&common.kafka, &format!("cascade-{to}"))?;
    let topic = producer.topic(&to)?;
    producer.begin()?;
    for (key, value) in &records {
        producer.produce(topic, Some(0), key.as_deref(), value.as_deref(), &[])?;
    }
    producer.commit()?;
    Ok(records.len())
}
