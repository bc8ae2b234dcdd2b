//! Reads topics from their first record to their present end, as far as it is committed.

use stream::kafka::{Reader, Record, Settings};

use crate::failure::{Exit, Failure};

/// Hands over every record of one partition.
///
/// # Errors
/// Those of Kafka.
pub fn partition(settings: &Settings, topic: &str, partition: i32, each: impl FnMut(&Record)) -> Result<(), Failure> {
    let mut reader = Reader::new(settings)?;
    let index = reader.topic(topic)?;
    reader.read_whole(index, partition, each)?;
    Ok(())
}

/// Number of partitions of a topic.
///
/// # Errors
/// `TopicMissing`, `Unreachable`.
pub fn partitions(settings: &Settings, topic: &str) -> Result<i32, Failure> {
    let count = settings.partitions(topic).map_err(|error| Failure::new(Exit::Unreachable, error.to_string()))?;
    count.ok_or_else(|| {
        let sentence =
            format!("there is no topic {topic} that this user may see; create it with `cascade topics apply`, or check the topic prefix");
        Failure::new(Exit::TopicMissing, sentence)
    })
}
