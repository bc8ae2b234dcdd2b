//! `cascade topics plan|apply|verify|yaml`, and what a service checks before it starts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use schemas::{Spread, Topic, Topics};
use stream::admin::{self, Mismatch, Refusal, Step, Wanted};

use crate::config::Common;
use crate::failure::{Exit, Failure};
use crate::{cli, common};

/// Whose topics they are to be.
#[derive(Clone, Debug, clap::Args)]
pub struct YamlArgs {
    /// Name of Strimzi's Kafka resource
    #[arg(long, value_name = "NAME")]
    pub cluster: String,
}

/// How long the first contact with the brokers may take.
const FIRST_CONTACT: Duration = Duration::from_secs(15);

/// `cascade topics …`. Gives back what to print.
///
/// # Errors
/// Those of the tools.
pub fn run(command: cli::Topics) -> Result<String, Failure> {
    use cli::Topics as Command;
    match command {
        Command::Plan(flags) => plan(&common(&flags)?),
        Command::Apply(flags) => apply(&common(&flags)?),
        Command::Verify(flags) => verify(&common(&flags)?),
        Command::Yaml { args, flags } => Ok(yaml(&common(&flags)?, &args.cluster)),
    }
}

/// The catalogue as Strimzi's topic operator wants it. Names of ours are names of resources, too.
fn yaml(common: &Common, cluster: &str) -> String {
    let resource = |topic: &Topic| {
        let settings: String = topic
            .settings(common.replication)
            .iter()
            .map(|(name, value)| format!("    {name}: \"{value}\"\n"))
            .collect();
        format!(
            "---\napiVersion: kafka.strimzi.io/v1\nkind: KafkaTopic\nmetadata:\n  name: {name}\n  labels:\n    \
             strimzi.io/cluster: {cluster}\nspec:\n  partitions: {}\n  replicas: {}\n  config:\n{settings}",
            topic.partitions,
            common.replication,
            name = topic.name,
        )
    };
    common.topics.catalogue(&common.channels, common.partitions).iter().map(resource).collect()
}

/// The brokers answer.
///
/// # Errors
/// `Unreachable`, if nobody does; `Usage`, if a property of the client is wrong.
pub fn reach(common: &Common) -> Result<(), Failure> {
    Ok(common.kafka.cluster_id(FIRST_CONTACT).map(drop)?)
}

/// All topics of the catalogue that `needed` names exist, with the partition counts that matter.
///
/// # Errors
/// `Unreachable`, `TopicMissing` or `TopicDiffers`, one sentence for each topic.
pub fn require(common: &Common, needed: &[String]) -> Result<(), Failure> {
    reach(common)?;
    let catalogue = common.topics.catalogue(&common.channels, common.partitions);
    let wanted: Vec<(&str, Option<i32>)> = catalogue
        .iter()
        .filter(|topic| needed.contains(&topic.name))
        .map(|topic| (topic.name.as_str(), (topic.spread != Spread::Free).then_some(topic.partitions)))
        .collect();
    assert_eq!(wanted.len(), needed.len(), "every topic that a service needs is in the catalogue");
    Ok(admin::require(&common.kafka, &wanted)?)
}

/// What would be done, without doing it.
///
/// # Errors
/// `Unreachable`.
fn plan(common: &Common) -> Result<String, Failure> {
    Ok(steps(common)?.iter().map(|step| format!("{step}\n")).collect())
}

/// Creates what is missing and configures what differs.
///
/// # Errors
/// `TopicDiffers` if a partition count is wrong: then nothing is changed at all.
fn apply(common: &Common) -> Result<String, Failure> {
    let steps = steps(common)?;
    let refused_steps: Vec<Mismatch> = steps
        .iter()
        .filter_map(|step| if let Step::Refuse(mismatch) = step { Some(mismatch.clone()) } else { None })
        .collect();
    if !refused_steps.is_empty() {
        return Err(Refusal::Topics(refused_steps).into());
    }
    block(admin::apply(&common.kafka, &steps))??;
    let changes: Vec<String> =
        steps.iter().filter(|step| !matches!(step, Step::Keep(_))).map(|step| format!("done: {step}\n")).collect();
    Ok(if changes.is_empty() {
        format!("all {} topics are as they should be\n", steps.len())
    } else {
        changes.concat()
    })
}

/// Compares without changing.
///
/// # Errors
/// `TopicMissing` or `TopicDiffers`, one sentence for each topic and setting.
fn verify(common: &Common) -> Result<String, Failure> {
    let (existing, wanted) = compared(common)?;
    let mismatches = admin::verify(&existing, &wanted);
    match mismatches.is_empty() {
        true => Ok(format!("all {} topics are as they should be\n", wanted.len())),
        false => Err(Refusal::Topics(mismatches).into()),
    }
}

/// Those of a catalogue that exist, with their settings.
///
/// # Errors
/// `Unreachable`; `Usage` if this user may not see settings.
pub fn existing(common: &Common, catalogue: &[Topic]) -> Result<Existing, Failure> {
    reach(common)?;
    let names: Vec<&str> = catalogue.iter().map(|topic| topic.name.as_str()).collect();
    let existing = block(admin::existing(&common.kafka, &names))??;
    shown(&existing)?;
    Ok(existing)
}

/// Channels that are configured, and all others that have commands in topics of this prefix: they were configured once.
///
/// # Errors
/// Those of Kafka.
pub fn channels(common: &Common, topics: &Topics) -> Result<Vec<String>, Failure> {
    let stem = topics.send("");
    let found = admin::named(&common.kafka, &stem)?;
    let found = found.iter().filter_map(|name| name.strip_prefix(&stem)).map(str::to_owned);
    let all: BTreeSet<String> = common.channels.iter().cloned().chain(found).collect();
    Ok(all.into_iter().collect())
}

fn steps(common: &Common) -> Result<Vec<Step>, Failure> {
    let (existing, wanted) = compared(common)?;
    Ok(admin::plan(&existing, &wanted))
}

/// Topics by name, as they are.
pub type Existing = BTreeMap<String, admin::Topic>;

fn compared(common: &Common) -> Result<(Existing, Vec<Wanted>), Failure> {
    let catalogue = common.topics.catalogue(&common.channels, common.partitions);
    let existing = existing(common, &catalogue)?;
    let wanted = wanted_of(common, &catalogue, &existing);
    Ok((existing, wanted))
}

/// Brokers answer whoever may not see settings as if there were none, but every topic has some.
///
/// # Errors
/// `Usage`, naming the topics.
pub fn shown(existing: &Existing) -> Result<(), Failure> {
    let hidden = existing.iter().filter(|(_, topic)| topic.configs.is_empty()).map(|(name, _)| name.as_str());
    let hidden: Vec<&str> = hidden.collect();
    match hidden.is_empty() {
        true => Ok(()),
        false => Err(Failure::new(
            Exit::Usage,
            format!(
                "not authorized to see the settings of {}; give this user DescribeConfigs on them (deploy/kafka/acls.yaml)",
                hidden.join(", ")
            ),
        )),
    }
}

/// The topics of the catalogue as they should be, beside those that are there.
pub fn wanted_of(common: &Common, catalogue: &[Topic], existing: &Existing) -> Vec<Wanted> {
    catalogue.iter().map(|topic| wanted(topic, common.replication, existing.get(&topic.name))).collect()
}

fn wanted(topic: &Topic, replication: i32, existing: Option<&admin::Topic>) -> Wanted {
    let partitions = match (topic.spread, existing) {
        // Nobody counts on the number: a topic of the shop keeps what it has.
        (Spread::Free, Some(existing)) => existing.partitions,
        _ => topic.partitions,
    };
    // Copies are made at creation only: what is confirmed by how many depends on those that are there.
    let copies = existing.map_or(replication, |existing| existing.copies);
    let configs = topic.settings(copies).into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Wanted { name: topic.name.clone(), partitions, replication, configs }
}

/// One sentence for each kind of trouble, however many topics have it: on a new cluster it is all of them. A wrong count is
/// worse than a missing topic: `topics apply` cannot put it right.
impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let mismatches = match refusal {
            Refusal::Kafka(error) => return error.into(),
            Refusal::Topics(mismatches) => mismatches,
        };
        let mut missing = Vec::new();
        let mut miscounted: BTreeMap<(i32, i32), Vec<String>> = BTreeMap::new();
        let mut sentences = Vec::new();
        for mismatch in mismatches {
            match mismatch {
                Mismatch::Missing { topic } => missing.push(topic),
                Mismatch::Partitions { topic, found, wanted } => {
                    miscounted.entry((found, wanted)).or_default().push(topic)
                }
                Mismatch::Config { .. } => sentences.push(mismatch.to_string()),
            }
        }
        let exit = if miscounted.is_empty() && sentences.is_empty() { Exit::TopicMissing } else { Exit::TopicDiffers };
        sentences.extend(miscounted.into_iter().map(|((found, wanted), topics)| {
            let topics = topics.join(", ");
            format!(
                "{topics}: {found} partitions, but {wanted} are needed; a count is never changed in place, because keys would \
                 change their partition: set topics.partitions to {found}, or use another topics.prefix"
            )
        }));
        if !missing.is_empty() {
            let topics = missing.join(", ");
            sentences.push(format!(
                "missing topics: {topics}; create them with `cascade topics apply`, or check topics.prefix, \
                 or what this user may see (deploy/kafka/acls.yaml)"
            ));
        }
        Failure::new(exit, sentences.join("\n"))
    }
}

/// Waits for an answer of the admin client.
fn block<T>(answer: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::unexpected)?;
    Ok(runtime.block_on(answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing() -> Mismatch {
        Mismatch::Missing { topic: "input".to_owned() }
    }

    #[test]
    fn a_missing_topic_and_a_wrong_count_have_different_exit_codes() {
        let miscounted = Mismatch::Partitions { topic: "revoke".to_owned(), found: 3, wanted: 8 };
        assert_eq!(Failure::from(Refusal::Topics(vec![missing()])).exit, Exit::TopicMissing);
        assert_eq!(Failure::from(Refusal::Topics(vec![missing(), miscounted])).exit, Exit::TopicDiffers);
    }

    #[test]
    fn many_topics_with_the_same_trouble_make_one_sentence() {
        let miscounted = |topic: &str| Mismatch::Partitions { topic: topic.to_owned(), found: 3, wanted: 8 };
        let sentence =
            Failure::from(Refusal::Topics(vec![miscounted("revoke"), missing(), miscounted("input"), missing()]))
                .sentence;
        assert_eq!(sentence.lines().count(), 2, "{sentence}");
        assert!(sentence.starts_with("revoke, input: 3 partitions, but 8 are needed"), "{sentence}");
    }

    #[test]
    fn the_sentence_names_the_topic_and_the_command_that_helps() {
        let sentence = Failure::from(Refusal::Topics(vec![missing()])).sentence;
        assert!(sentence.contains("input") && sentence.contains("cascade topics apply"), "{sentence}");
    }

    #[test]
    fn a_topic_of_the_shop_keeps_its_partitions_and_ours_does_not() {
        let catalogue = schemas::Topics::new("").catalogue(&["sms"], 8);
        let existing = admin::Topic { partitions: 3, ..admin::Topic::default() };
        let count = |name: &str| {
            let topic = catalogue.iter().find(|topic| topic.name == name).unwrap();
            wanted(topic, 1, Some(&existing)).partitions
        };
        assert_eq!((count("cart"), count("input")), (3, 8));
    }

    #[test]
    fn two_copies_confirm_where_there_are_three_and_not_where_three_are_only_wished_for() {
        let catalogue = schemas::Topics::new("").catalogue(&["sms"], 8);
        let least = |replication, copies: Option<i32>| {
            let existing = copies.map(|copies| admin::Topic { copies, partitions: 8, ..admin::Topic::default() });
            wanted(&catalogue[0], replication, existing.as_ref()).configs.get("min.insync.replicas").cloned()
        };
        assert_eq!((least(3, None).as_deref(), least(1, None)), (Some("2"), None));
        // With one copy nobody could write any more.
        assert_eq!((least(3, Some(1)), least(1, Some(3)).as_deref()), (None, Some("2")));
    }

    #[test]
    fn strimzi_is_told_how_many_copies_confirm() {
        let common = |copies: &str| {
            let flags = crate::config::Flags::of(&[("topics.replication", copies)], None);
            crate::config::read(&flags, &crate::config::Process, Common::read).unwrap()
        };
        let named = |copies| yaml(&common(copies), "kafka").matches("    min.insync.replicas: \"2\"\n").count();
        assert_eq!((named("1"), named("3")), (0, yaml(&common("3"), "kafka").matches("kind: KafkaTopic").count()));
    }

    #[test]
    fn who_may_not_see_settings_is_told_so_and_not_that_they_are_wrong() {
        let seen =
            admin::Topic { configs: [("retention.ms".to_owned(), "5".to_owned())].into(), ..admin::Topic::default() };
        let mut existing = Existing::from([("cart".to_owned(), seen)]);
        shown(&existing).unwrap();
        existing.insert("input".to_owned(), admin::Topic::default());
        let failure = shown(&existing).unwrap_err();
        assert!(failure.sentence.contains("settings of input; give this user DescribeConfigs"), "{failure}");
    }
}
