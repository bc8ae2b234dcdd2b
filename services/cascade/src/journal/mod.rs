//! `cascade journal`: reads a customer's records and tells the story.

pub mod story;

use schemas::Journal;
use stream::kafka::partition_of;

use crate::config::Common;
use crate::failure::{Exit, Failure};
use crate::{reading, times, topics};

/// Whose story, told how.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The customer's id
    #[arg(long, value_name = "ID")]
    pub customer: String,
    /// Only this campaign
    #[arg(long, value_name = "NAME")]
    pub campaign: Option<String>,
    /// Time zone to show times in, by its IANA name
    #[arg(long, value_name = "NAME", default_value = "UTC")]
    pub zone: String,
    /// One JSON object for each record instead of sentences
    #[arg(long)]
    pub json: bool,
}

/// The story, as text.
///
/// # Errors
/// Those of Kafka; `Usage` for an unknown time zone; `Unknown` if there is no story.
pub fn run(common: &Common, args: &Args) -> Result<String, Failure> {
    let zone = times::zone(&args.zone)?;
    topics::reach(common)?;
    let mut records = read(common, &args.customer)?;
    records.retain(|record| args.campaign.as_ref().is_none_or(|campaign| record.campaign == *campaign));
    if records.is_empty() {
        let about = args.campaign.as_ref().map(|campaign| format!(" in the campaign {campaign}")).unwrap_or_default();
        let advice = "check the id and the setting topics.prefix";
        let sentence = format!("nothing is known of customer {}{about}: {advice}", args.customer);
        return Err(Failure::new(Exit::Unknown, sentence));
    }
    if !args.json {
        return Ok(story::tell(&args.customer, &records, &zone));
    }
    let lines: Result<Vec<String>, _> = records.iter().map(serde_json::to_string).collect();
    Ok(lines.map_err(Failure::unexpected)?.into_iter().map(|line| line + "\n").collect())
}

fn read(common: &Common, customer: &str) -> Result<Vec<Journal>, Failure> {
    let topic = common.topics.journal();
    let count = reading::partitions(&common.kafka, &topic)?;
    let home = partition_of(customer.as_bytes(), count);
    let records = read_partition(common, &topic, home, customer)?;
    if !records.is_empty() {
        return Ok(records);
    }
    // Partitions may have been added to the journal after the customer's story began.
    let mut records = Vec::new();
    for partition in (0..count).filter(|partition| *partition != home) {
        records.append(&mut read_partition(common, &topic, partition, customer)?);
    }
    Ok(records)
}

fn read_partition(common: &Common, topic: &str, partition: i32, customer: &str) -> Result<Vec<Journal>, Failure> {
    let mut records = Vec::new();
    reading::partition(&common.kafka, topic, partition, |record| {
        if record.key() != Some(customer.as_bytes()) {
            return;
        }
        match record.value().map(schemas::decode::<Journal>) {
            Some(Ok(read)) => records.push(read),
            Some(Err(error)) => {
                tracing::warn!(partition, offset = record.offset(), %error, "a journal record cannot be read")
            }
            None => {}
        }
    })?;
    Ok(records)
}
