//! `cascade journal`: reads a customer's records and tells the story.

pub mod attribution;
pub mod story;

use schemas::{Journal, Reason};
use stream::kafka::partition_of;

use crate::config::Common;
use crate::failure::{Exit, Failure};
use crate::{reading, times, topics};

/// Whose story, told how.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The customer's id; without it the records of all customers in one campaign, one JSON object each
    #[arg(long, value_name = "ID", required_unless_present = "campaign")]
    pub customer: Option<String>,
    /// Only this campaign
    #[arg(long, value_name = "NAME")]
    pub campaign: Option<String>,
    /// Only this reason, such as CAMPAIGN_STOPPED
    #[arg(long, value_name = "REASON", value_parser = reason)]
    pub reason: Option<Reason>,
    /// Time zone to show times in, by its IANA name
    #[arg(long, value_name = "NAME", default_value = "UTC")]
    pub zone: String,
    /// One JSON object for each record instead of sentences
    #[arg(long)]
    pub json: bool,
}

fn reason(symbol: &str) -> Result<Reason, String> {
    match Reason::of(symbol) {
        Reason::Unspecified => {
            Err("there is no such reason: the manual of the campaign language lists them".to_owned())
        }
        reason => Ok(reason),
    }
}

impl Args {
    fn wants(&self, record: &Journal) -> bool {
        self.campaign.as_ref().is_none_or(|campaign| record.campaign == *campaign)
            && self.reason.is_none_or(|reason| record.reason == reason)
    }
}

/// The story, as text.
///
/// # Errors
/// Those of Kafka; `Usage` for an unknown time zone; `Unknown` if there is no story.
pub fn run(common: &Common, args: &Args) -> Result<String, Failure> {
    let zone = times::zone(&args.zone)?;
    topics::reach(common)?;
    let mut records = match &args.customer {
        Some(customer) => read(common, customer)?,
        None => read_all(common, args)?,
    };
    records.retain(|record| args.wants(record));
    if records.is_empty() {
        let about = args.campaign.as_ref().map(|campaign| format!(" in the campaign {campaign}")).unwrap_or_default();
        let advice = "check the id and the setting topics.prefix";
        let whom =
            args.customer.as_ref().map_or_else(|| "any customer".to_owned(), |customer| format!("customer {customer}"));
        let sentence = format!("nothing is known of {whom}{about}: {advice}");
        return Err(Failure::new(Exit::Unknown, sentence));
    }
    if let Some(customer) = args.customer.as_ref().filter(|_| !args.json) {
        return Ok(story::tell(customer, &records, &zone));
    }
    let lines: Result<Vec<String>, _> = records.iter().map(serde_json::to_string).collect();
    Ok(lines.map_err(Failure::unexpected)?.into_iter().map(|line| line + "\n").collect())
}

fn read(common: &Common, customer: &str) -> Result<Vec<Journal>, Failure> {
    let topic = common.topics.journal();
    let count = reading::partitions(&common.kafka, &topic)?;
    let parts: Result<Vec<_>, _> = where_it_may_be(customer, count, common.partitions)
        .into_iter()
        .map(|partition| read_partition(common, &topic, partition, customer))
        .collect();
    Ok(joined(parts?))
}

/// Partitions of the journal in which a story may stand. Partitions may be added to it, as to any topic that nobody else counts on: then what was
/// decided before stands where the key belonged earlier, and the story has two halves. With the number that all keyed topics have nothing was
/// added, and one partition is enough; a journal of a year is large.
fn where_it_may_be(customer: &str, count: i32, usual: i32) -> Vec<i32> {
    match count == usual {
        true => vec![partition_of(customer.as_bytes(), count)],
        false => (0..count).collect(),
    }
}

/// One story of its parts, each of which is in its order: the clock of a partition never goes back.
fn joined(parts: Vec<Vec<Journal>>) -> Vec<Journal> {
    let mut records: Vec<Journal> = parts.into_iter().flatten().collect();
    records.sort_by_key(|record| record.at);
    records
}

/// What is wanted of all customers.
fn read_all(common: &Common, args: &Args) -> Result<Vec<Journal>, Failure> {
    let topic = common.topics.journal();
    let mut records = Vec::new();
    for partition in 0..reading::partitions(&common.kafka, &topic)? {
        records.append(&mut read_where(common, &topic, partition, |_| true, |record| args.wants(record))?);
    }
    Ok(records)
}

fn read_partition(common: &Common, topic: &str, partition: i32, customer: &str) -> Result<Vec<Journal>, Failure> {
    read_where(common, topic, partition, |key| key == Some(customer.as_bytes()), |_| true)
}

fn read_where(
    common: &Common,
    topic: &str,
    partition: i32,
    is_of: impl Fn(Option<&[u8]>) -> bool,
    wants: impl Fn(&Journal) -> bool,
) -> Result<Vec<Journal>, Failure> {
    let mut records = Vec::new();
    reading::partition(&common.kafka, topic, partition, |record| {
        if !is_of(record.key()) {
            return;
        }
        match record.value().map(schemas::decode::<Journal>) {
            Some(Ok(read)) => records.extend(wants(&read).then_some(read)),
            Some(Err(error)) => {
                tracing::warn!(partition, offset = record.offset(), %error, "a journal record cannot be read")
            }
            None => {}
        }
    })?;
    Ok(records)
}

#[cfg(test)]
mod tests;
