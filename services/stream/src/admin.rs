//! Topics: what is there, what is wanted, and the steps between.
//!
//! Nothing here ever deletes a topic or changes a partition count: keys would change their partition, and with it their
//! owner, their order and their state.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigSource, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::metadata::{Metadata, MetadataTopic};
use rdkafka::types::RDKafkaErrorCode as Code;

use crate::clock::Tick;
use crate::kafka::{ANSWER, Settings, Watch, ask_again};
use crate::{Error, Verdict};

/// A topic as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Full name, prefix included.
    pub name: String,
    /// Partitions.
    pub partitions: i32,
    /// Copies of each partition. Checked at creation only: brokers move copies by themselves.
    pub replication: i32,
    /// Topic configuration; what is not named stays as the brokers have it.
    pub configs: BTreeMap<String, String>,
}

/// A topic as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topic {
    /// Partitions.
    pub partitions: i32,
    /// Copies of the partition that has fewest.
    pub copies: i32,
    /// Every configuration value in force.
    pub configs: BTreeMap<String, String>,
    /// Those of them that were set for this very topic.
    pub own: BTreeMap<String, String>,
}

/// What is not as it should be, in a sentence that says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// There is no such topic.
    #[error("there is no topic {topic}; create it with `cascade topics apply`")]
    Missing {
        /// Name.
        topic: String,
    },
    /// The topic has another number of partitions.
    #[error(
        "topic {topic} has {found} partitions, but {wanted} are needed; a count is never changed in place, because keys would \
         change their partition: set the wanted count to {found}, or use another topic prefix"
    )]
    Partitions {
        /// Name.
        topic: String,
        /// How many there are.
        found: i32,
        /// How many there should be.
        wanted: i32,
    },
    /// A topic is configured differently.
    #[error("topic {topic} has {key}={found}, but {wanted} is needed; set it with `cascade topics apply`")]
    Config {
        /// Name.
        topic: String,
        /// Configuration key.
        key: String,
        /// Its value.
        found: String,
        /// Its value as it should be.
        wanted: String,
    },
}

/// Topics are not as a service needs them. Several sentences, if several are wrong.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Refusal {
    /// The brokers did not answer, or refused.
    #[error(transparent)]
    Kafka(#[from] Error),
    /// The topics are not as they should be.
    #[error("{}", sentences(.0))]
    Topics(Vec<Mismatch>),
}

impl From<Mismatch> for Error {
    fn from(mismatch: Mismatch) -> Self {
        Error::stop("use the topics", mismatch.to_string())
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Kafka(error) => error,
            Refusal::Topics(mismatches) => Error::stop("use the topics", sentences(&mismatches)),
        }
    }
}

fn sentences(mismatches: &[Mismatch]) -> String {
    mismatches.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// One step from what is to what should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The topic is missing.
    Create(Wanted),
    /// These values differ; the rest of the topic's own configuration stays.
    Configure {
        /// Name.
        topic: String,
        /// The topic's own configuration as it will be, whole: the protocol replaces all of it.
        configs: BTreeMap<String, String>,
        /// What changes.
        changes: Vec<Mismatch>,
    },
    /// Cannot be done; the mismatch says why and what to do instead.
    Refuse(Mismatch),
    /// Is as it should be.
    Keep(String),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Create(topic) => write!(f, "create {} with {} partitions", topic.name, topic.partitions),
            Step::Configure { topic, changes, .. } => {
                write!(f, "configure {topic}:")?;
                for change in changes {
                    if let Mismatch::Config { key, found, wanted, .. } = change {
                        write!(f, " {key}={found} -> {wanted}")?;
                    }
                }
                Ok(())
            }
            Step::Refuse(mismatch) => write!(f, "refused: {mismatch}"),
            Step::Keep(topic) => write!(f, "keep {topic}"),
        }
    }
}

/// What is wrong with the topics, in the order in which they are wanted. Nothing if a service may start.
pub fn verify(existing: &BTreeMap<String, Topic>, wanted: &[Wanted]) -> Vec<Mismatch> {
    let mut found = Vec::new();
    for wanted in wanted {
        let Some(topic) = existing.get(&wanted.name) else {
            found.push(Mismatch::Missing { topic: wanted.name.clone() });
            continue;
        };
        found.extend(miscounted(&wanted.name, topic.partitions, wanted.partitions));
        found.extend(wanted.configs.iter().filter(|(key, value)| topic.configs.get(*key) != Some(value)).map(
            |(key, value)| Mismatch::Config {
                topic: wanted.name.clone(),
                key: key.clone(),
                found: topic.configs.get(key).cloned().unwrap_or_default(),
                wanted: value.clone(),
            },
        ));
    }
    found
}

fn miscounted(topic: &str, found: i32, wanted: i32) -> Option<Mismatch> {
    (found != wanted).then(|| Mismatch::Partitions { topic: topic.to_owned(), found, wanted })
}

/// The steps from what is to what should be, in the order in which the topics are wanted.
pub fn plan(existing: &BTreeMap<String, Topic>, wanted: &[Wanted]) -> Vec<Step> {
    let step = |wanted: &Wanted| {
        let Some(topic) = existing.get(&wanted.name) else { return Step::Create(wanted.clone()) };
        let mut changes = verify(existing, std::slice::from_ref(wanted));
        match changes.iter().position(|mismatch| matches!(mismatch, Mismatch::Partitions { .. })) {
            Some(index) => Step::Refuse(changes.swap_remove(index)),
            None if changes.is_empty() => Step::Keep(wanted.name.clone()),
            None => {
                let mut configs = topic.own.clone();
                configs.extend(wanted.configs.clone());
                Step::Configure { topic: wanted.name.clone(), configs, changes }
            }
        }
    };
    wanted.iter().map(step).collect()
}

/// What the brokers have of these topics; those that do not exist are left out.
///
/// # Errors
/// `Retry` if the brokers do not answer, `Stop` if they refuse.
pub async fn existing(settings: &Settings, topics: &[&str]) -> Result<BTreeMap<String, Topic>, Error> {
    let all = metadata(settings, &onlooker(settings)?)?;
    let mut found: BTreeMap<String, Topic> = those(&all, topics)
        .map(|topic| {
            let copies =
                topic.partitions().iter().map(|partition| count(partition.replicas().len())).min().unwrap_or(0);
            let partitions = count(topic.partitions().len());
            (topic.name().to_owned(), Topic { partitions, copies, ..Topic::default() })
        })
        .collect();
    let names: Vec<String> = found.keys().cloned().collect();
    let asked: Vec<_> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
    if asked.is_empty() {
        return Ok(found);
    }
    let answers = client(settings)?
        .describe_configs(&asked, &options())
        .await
        .map_err(|error| refused("ask for topics", &error))?;
    for (name, answer) in names.into_iter().zip(answers) {
        let answer = answer.map_err(|code| refused("ask for topics", &KafkaError::AdminOp(code)))?;
        let topic = found.entry(name).or_default();
        for entry in answer.entries {
            let Some(value) = entry.value else { continue };
            if matches!(entry.source, ConfigSource::DynamicTopic) {
                topic.own.insert(entry.name.clone(), value.clone());
            }
            topic.configs.insert(entry.name, value);
        }
    }
    Ok(found)
}

/// A setting of a topic, as the brokers have it; none where this user may not see it.
///
/// # Errors
/// `Retry` if the brokers do not answer.
#[cfg(feature = "state")]
pub(crate) fn setting(settings: &Settings, topic: &str, name: &str) -> Result<Option<String>, Error> {
    let client = client(settings)?;
    let (asked, options) = ([ResourceSpecifier::Topic(topic)], options());
    let answers = pollster::block_on(client.describe_configs(&asked, &options))
        .map_err(|error| refused("ask for a setting", &error))?;
    match answers.into_iter().next() {
        Some(Ok(found)) => Ok(found.entry_map().get(name).and_then(|entry| entry.value.clone())),
        Some(Err(Code::TopicAuthorizationFailed)) | None => Ok(None),
        Some(Err(code)) => Err(refused("ask for a setting", &KafkaError::AdminOp(code))),
    }
}

/// Carries the steps out. A topic that somebody else created meanwhile counts as created.
///
/// # Errors
/// `Stop` with the brokers' reason. Steps before the failed one stay done: to apply again goes on from there.
pub async fn apply<'a>(settings: &Settings, steps: &'a [Step]) -> Result<(), Error> {
    let client = client(settings)?;
    for step in steps {
        match step {
            Step::Create(topic) => {
                let mut new = NewTopic::new(&topic.name, topic.partitions, TopicReplication::Fixed(topic.replication));
                for (key, value) in &topic.configs {
                    new = new.set(key, value);
                }
                let answers = client
                    .create_topics([&new], &options())
                    .await
                    .map_err(|error| refused("create a topic", &error))?;
                match answers.into_iter().next() {
                    Some(Err((name, code))) if code != Code::TopicAlreadyExists => {
                        return Err(Error::stop("create a topic", format!("{name}: {code}")));
                    }
                    _ => {}
                }
            }
            Step::Configure { topic, configs, .. } => {
                let mut alter = AlterConfig::new(ResourceSpecifier::Topic(topic));
                for (key, value) in configs {
                    alter = alter.set(key, value);
                }
                let answers = client
                    .alter_configs([&alter], &options())
                    .await
                    .map_err(|error| refused("configure a topic", &error))?;
                if let Some(Err((_, code))) = answers.into_iter().next() {
                    return Err(Error::stop("configure a topic", format!("{topic}: {code}")));
                }
            }
            Step::Refuse(_) | Step::Keep(_) => {}
        }
    }
    let created = |step: &'a Step| if let Step::Create(topic) = step { Some(topic.name.as_str()) } else { None };
    wait_for(settings, &steps.iter().filter_map(created).collect::<Vec<_>>())
}

/// A broker may not have heard yet of topics that were made a moment ago.
const HEARSAY: Duration = Duration::from_secs(2);

/// What a service checks before it starts: its topics exist, with the number of partitions given (`None`: any).
///
/// # Errors
/// One sentence for each topic that is missing or miscounted.
pub fn require(settings: &Settings, topics: &[(&str, Option<i32>)]) -> Result<(), Refusal> {
    let names: Vec<_> = topics.iter().map(|(topic, _)| *topic).collect();
    let client = onlooker(settings)?;
    let until = Tick::now().after(HEARSAY);
    let counts = loop {
        let counts = counted(settings, &client, &names)?;
        if counts.len() == topics.len() || until.remaining().is_zero() {
            break counts;
        }
        drop(client.poll(Duration::from_millis(50)));
    };
    let mut wrong = Vec::new();
    for (topic, wanted) in topics {
        match counts.get(*topic) {
            None => wrong.push(Mismatch::Missing { topic: (*topic).to_owned() }),
            Some(found) => wrong.extend(wanted.and_then(|wanted| miscounted(topic, *found, wanted))),
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(Refusal::Topics(wrong)) }
}

/// Names of all topics that begin so, as far as this user may see them.
///
/// # Errors
/// `Retry` if the brokers do not answer, `Stop` if they refuse.
pub fn named(settings: &Settings, beginning: &str) -> Result<Vec<String>, Error> {
    let all = metadata(settings, &onlooker(settings)?)?;
    let wanted = all.topics().iter().filter(|topic| topic.name().starts_with(beginning) && topic.error().is_none());
    Ok(wanted.map(|topic| topic.name().to_owned()).collect())
}

/// Partition counts of those of the topics that exist.
pub(crate) fn counts(settings: &Settings, topics: &[&str]) -> Result<BTreeMap<String, i32>, Error> {
    counted(settings, &onlooker(settings)?, topics)
}

/// A client to ask for topics with: a consumer, which creates none by asking.
fn onlooker(settings: &Settings) -> Result<BaseConsumer<Logged>, Error> {
    config(settings)
        .set("allow.auto.create.topics", "false")
        .create_with_context(Logged::default())
        .map_err(|error| Error::stop("configure the Kafka client", error.to_string()))
}

fn counted(
    settings: &Settings,
    client: &BaseConsumer<Logged>,
    topics: &[&str],
) -> Result<BTreeMap<String, i32>, Error> {
    let all = metadata(settings, client)?;
    Ok(those(&all, topics).map(|topic| (topic.name().to_owned(), count(topic.partitions().len()))).collect())
}

/// Those of the topics that exist.
fn those<'a>(all: &'a Metadata, topics: &'a [&str]) -> impl Iterator<Item = &'a MetadataTopic> {
    all.topics().iter().filter(|topic| topics.contains(&topic.name()) && topic.error().is_none())
}

fn count(of: usize) -> i32 {
    i32::try_from(of).unwrap_or(i32::MAX)
}

/// What this user may see of the cluster. A broker that is restarted just then is no reason to give up.
fn metadata(settings: &Settings, client: &BaseConsumer<Logged>) -> Result<Metadata, Error> {
    let ask = |left| client.fetch_metadata(None, left).map_err(|error| refused("ask for topics", &error));
    ask_again(ask, |moment| drop(client.poll(moment))).map_err(|error| match error.verdict() {
        Verdict::Retry => Error::new(
            Verdict::Retry,
            "ask for topics",
            format!(
                "no broker answers at {}; check the address, and whether TLS or SASL settings are missing",
                settings.brokers
            ),
        ),
        _ => error,
    })
}

/// Brokers hear of a new topic only after its creation was confirmed: who starts a service right then must not be refused.
fn wait_for(settings: &Settings, topics: &[&str]) -> Result<(), Error> {
    let client = onlooker(settings)?;
    let until = Tick::now().after(ANSWER);
    while counted(settings, &client, topics)?.len() < topics.len() {
        if until.remaining().is_zero() {
            return Err(Error::new(
                Verdict::Retry,
                "see the new topics",
                "the brokers do not show all of them yet; verify",
            ));
        }
        // Nothing is subscribed: this only waits, and serves the client meanwhile.
        drop(client.poll(Duration::from_millis(50)));
    }
    Ok(())
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ANSWER)).operation_timeout(Some(ANSWER))
}

fn client(settings: &Settings) -> Result<AdminClient<Logged>, Error> {
    config(settings)
        .create_with_context(Logged::default())
        .map_err(|error| Error::stop("configure the Kafka client", error.to_string()))
}

pub(crate) fn refused(operation: &'static str, error: &KafkaError) -> Error {
    let verdict = match error.rdkafka_error_code() {
        Some(
            Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::OperationTimedOut
            | Code::RequestTimedOut
            | Code::DestroyBroker,
        ) => Verdict::Retry,
        _ => Verdict::Stop,
    };
    Error::new(verdict, operation, error.to_string())
}

/// The client crate's own form of the settings, for what does not lie on the data path.
pub(crate) fn config(settings: &Settings) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.extend(settings.properties.iter().map(|(name, value)| (name.clone(), value.clone())));
    config.set("bootstrap.servers", &settings.brokers).set("client.id", &settings.instance);
    config.set_log_level(RDKafkaLogLevel::Info);
    config
}

/// Sends librdkafka's own log where ours goes. It names brokers and topics, never a record's content.
#[derive(Clone, Debug, Default)]
pub(crate) struct Logged {
    /// Takes what the client tells of itself.
    pub(crate) watch: Option<Arc<Watch>>,
}

impl ConsumerContext for Logged {}

impl ClientContext for Logged {
    fn stats_raw(&self, told: &[u8]) {
        self.watch.iter().for_each(|watch| watch.take(told));
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, words: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
                tracing::error!(target: "librdkafka", facility, "{words}");
            }
            RDKafkaLogLevel::Warning => tracing::warn!(target: "librdkafka", facility, "{words}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::info!(target: "librdkafka", facility, "{words}")
            }
            RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", facility, "{words}"),
        }
    }

    fn error(&self, error: KafkaError, words: &str) {
        tracing::warn!("the Kafka client reports: {error}: {words}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn wanted() -> Wanted {
        Wanted {
            name: "input".to_owned(),
            partitions: 6,
            replication: 1,
            configs: map(&[("cleanup.policy", "delete")]),
        }
    }

    fn existing(partitions: i32, policy: &str) -> BTreeMap<String, Topic> {
        let topic = Topic {
            copies: 1,
            partitions,
            configs: map(&[("cleanup.policy", policy), ("retention.ms", "5"), ("segment.bytes", "9")]),
            own: map(&[("retention.ms", "5")]),
        };
        BTreeMap::from([("input".to_owned(), topic)])
    }

    #[test]
    fn a_missing_topic_is_created() {
        assert_eq!(plan(&BTreeMap::new(), &[wanted()]), [Step::Create(wanted())]);
        assert_eq!(verify(&BTreeMap::new(), &[wanted()]), [Mismatch::Missing { topic: "input".to_owned() }]);
    }

    #[test]
    fn a_topic_as_wanted_is_kept() {
        assert_eq!(plan(&existing(6, "delete"), &[wanted()]), [Step::Keep("input".to_owned())]);
        assert_eq!(verify(&existing(6, "delete"), &[wanted()]), []);
    }

    #[test]
    fn a_partition_count_is_never_changed_even_if_the_configuration_is_wrong_too() {
        let miscounted = Mismatch::Partitions { topic: "input".to_owned(), found: 4, wanted: 6 };
        assert_eq!(plan(&existing(4, "compact"), &[wanted()]), [Step::Refuse(miscounted.clone())]);
        assert_eq!(verify(&existing(4, "compact"), &[wanted()]).first(), Some(&miscounted));
    }

    #[test]
    fn what_else_was_configured_for_the_topic_stays_and_defaults_are_not_nailed_down() {
        let steps = plan(&existing(6, "compact"), &[wanted()]);
        let Step::Configure { configs, .. } = &steps[0] else { panic!("{steps:?}") };
        assert_eq!(configs, &map(&[("cleanup.policy", "delete"), ("retention.ms", "5")]));
        assert_eq!(steps[0].to_string(), "configure input: cleanup.policy=compact -> delete");
    }
}
