//! What a cluster is like, for those who look for trouble: its brokers' settings, and who holds which copy of a topic.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::Error;
use crate::admin::{Logged, config, refused};
use crate::kafka::Settings;

const ANSWER: Duration = Duration::from_secs(10);

/// A broker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Broker {
    /// Its number.
    pub id: i32,
    /// Its settings, as far as they are no secrets.
    pub configs: BTreeMap<String, String>,
}

/// A partition's copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copies {
    /// Whether somebody leads it.
    pub has_leader: bool,
    /// How many there are to be.
    pub wanted: usize,
    /// How many of them are up to date.
    pub in_sync: usize,
}

/// A cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    /// All brokers, by number.
    pub brokers: Vec<Broker>,
    /// Each topic with its partitions.
    pub topics: BTreeMap<String, Vec<Copies>>,
}

/// Asks the brokers about themselves.
///
/// # Errors
/// `Retry` if they do not answer, `Stop` if they refuse.
pub async fn cluster(settings: &Settings) -> Result<Cluster, Error> {
    let unmade = |error: rdkafka::error::KafkaError| Error::stop("configure the Kafka client", error.to_string());
    let onlooker: BaseConsumer<Logged> = config(settings)
        .set("allow.auto.create.topics", "false")
        .create_with_context(Logged::default())
        .map_err(unmade)?;
    let all = onlooker.fetch_metadata(None, ANSWER).map_err(|error| refused("ask for the cluster", &error))?;
    let ids: Vec<i32> = all.brokers().iter().map(rdkafka::metadata::MetadataBroker::id).collect();
    let asked: Vec<_> = ids.iter().map(|id| ResourceSpecifier::Broker(*id)).collect();
    let client: AdminClient<Logged> = config(settings).create_with_context(Logged::default()).map_err(unmade)?;
    let options = AdminOptions::new().request_timeout(Some(ANSWER));
    let mut brokers = Vec::new();
    // One at a time: librdkafka takes one broker in each request.
    for (id, resource) in ids.into_iter().zip(&asked) {
        let answers = client
            .describe_configs([resource], &options)
            .await
            .map_err(|error| refused("ask for the brokers' settings", &error))?;
        for answer in answers {
            let answer = answer
                .map_err(|code| refused("ask for the brokers' settings", &rdkafka::error::KafkaError::AdminOp(code)))?;
            let entries = answer.entries.into_iter();
            brokers
                .push(Broker { id, configs: entries.filter_map(|entry| Some((entry.name, entry.value?))).collect() });
        }
    }
    brokers.sort_by_key(|broker| broker.id);
    let copies = |partition: &rdkafka::metadata::MetadataPartition| Copies {
        has_leader: partition.leader() >= 0,
        wanted: partition.replicas().len(),
        in_sync: partition.isr().len(),
    };
    let topics =
        all.topics().iter().map(|topic| (topic.name().to_owned(), topic.partitions().iter().map(copies).collect()));
    Ok(Cluster { brokers, topics: topics.collect() })
}
