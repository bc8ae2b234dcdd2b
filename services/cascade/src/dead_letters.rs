//! `cascade dlq`: what could not be read, and the release of a customer who is held because of it.

use comfy_table::{Table, presets::NOTHING};
use schemas::{Fact, Input, Origin, Release, dead_letter};
use stream::kafka::{Producer, Record};

use crate::config::Common;
use crate::failure::Failure;
use crate::{reading, times, topics};

/// Which dead letters to list.
#[derive(Clone, Debug, clap::Args)]
pub struct ListArgs {
    /// Only those of this customer
    #[arg(long, value_name = "ID")]
    pub customer: Option<String>,
    /// At most so many, the newest
    #[arg(long, default_value_t = 50)]
    pub limit: usize,
}

/// Whom to release.
#[derive(Clone, Debug, clap::Args)]
pub struct ReleaseArgs {
    /// The customer's id
    #[arg(long, value_name = "ID")]
    pub customer: String,
    /// Who releases and why, for the journal
    #[arg(long)]
    pub note: String,
}

struct Letter {
    at: i64,
    row: [String; 7],
}

/// A table of dead letters: where they came from and why they were refused. Never a value.
///
/// # Errors
/// Those of Kafka.
pub fn list(common: &Common, args: &ListArgs) -> Result<String, Failure> {
    topics::reach(common)?;
    let topic = common.topics.dead_letter();
    let mut letters = Vec::new();
    for partition in 0..reading::partitions(&common.kafka, &topic)? {
        reading::partition(&common.kafka, &topic, partition, |record| {
            let key = record.key().map(|key| String::from_utf8_lossy(key).into_owned()).unwrap_or_default();
            if args.customer.as_ref().is_none_or(|customer| key == *customer) {
                letters.push(Letter { at: record.timestamp(), row: row(record, key) });
            }
        })?;
    }
    letters.sort_by_key(|letter| std::cmp::Reverse(letter.at));
    let count = letters.len();
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(["at", "place", "customer", "stage", "code", "came from", "what is wrong"]);
    for letter in letters.into_iter().take(args.limit) {
        table.add_row(letter.row);
    }
    Ok(format!("{}\n{count} dead letters in {topic}\n", table.trim_fmt()))
}

fn row(record: &Record, key: String) -> [String; 7] {
    let headers = record.headers();
    let header = |name: &str| {
        let found = headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
    };
    let place = format!("{}/{}", record.partition(), record.offset());
    let source =
        format!("{}/{}/{}", header(dead_letter::TOPIC), header(dead_letter::PARTITION), header(dead_letter::OFFSET));
    let (stage, code, message) = (header(dead_letter::STAGE), header(dead_letter::CODE), header(dead_letter::MESSAGE));
    [times::utc(record.timestamp()), place, key, stage, code, source, message]
}

/// Says in `input` that a held customer may be written to again.
///
/// # Errors
/// Those of Kafka; `NotNow` if the answer to the commit did not come: releasing again does no harm.
pub fn release(common: &Common, args: &ReleaseArgs) -> Result<String, Failure> {
    let topic = common.topics.input();
    topics::require(common, std::slice::from_ref(&topic))?;
    let now = common.time.clock()?.now();
    let release = Release {
        event_id: format!("release/{}/{now}", args.customer),
        customer_id: args.customer.clone(),
        occurred_at: now,
        note: args.note.clone(),
    };
    let origin = Origin {
        topic: "cascade dlq release".to_owned(),
        appended_at: stream::clock::machine_now(),
        ..Origin::default()
    };
    let value = schemas::encode(&Input { origin, fact: Fact::Release(release), hops: 0 });
    let mut producer = Producer::new(&common.kafka, &format!("cascade-release-{topic}"))?;
    let index = producer.topic(&topic)?;
    producer.begin()?;
    producer.produce(index, None, Some(args.customer.as_bytes()), Some(&value), &[])?;
    producer.commit()?;
    Ok(format!("{} is released: see `cascade journal --customer {}`\n", args.customer, args.customer))
}
