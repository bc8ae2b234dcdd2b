//! The brokers' settings, the copies of our topics, and the topics' own settings.

use std::collections::BTreeMap;

use stream::admin::{Mismatch, Topic};
use stream::inspect::{Broker, Cluster, Copies};

use super::finding::Finding;
use crate::config::Common;

/// Ours, see `stream`: longer transactions than this the brokers must allow.
const TRANSACTION_MS: i64 = 15_000;
const SESSION_MS: i64 = 45_000;

/// Looks at brokers and copies.
pub fn examine(common: &Common, cluster: &Cluster) -> Vec<Finding> {
    let mut findings = Vec::new();
    if cluster.brokers.len() < 3 {
        findings.push(Finding::advice(
            "brokers",
            format!(
                "there are {}: what one of them loses in a crash is lost, markers of transactions first",
                cluster.brokers.len()
            ),
            "three brokers, three copies, min.insync.replicas = 2",
        ));
    }
    // Whoever may not see a broker's settings is answered as if it had none.
    let (hidden, shown): (Vec<_>, Vec<_>) = cluster.brokers.iter().partition(|broker| broker.configs.is_empty());
    if !hidden.is_empty() {
        findings.push(Finding::advice(
            "brokers",
            "not authorized to see their settings, so nobody has looked at them",
            "give this user DescribeConfigs on the cluster (tools in deploy/kafka/acls.yaml)",
        ));
    }
    findings.extend(shown.into_iter().flat_map(|broker| one(common, broker, cluster.brokers.len())));
    findings.extend(copies(common, cluster));
    findings
}

fn one(common: &Common, broker: &Broker, count: usize) -> Vec<Finding> {
    let mut findings = Vec::new();
    let text = |name: &str| broker.configs.get(name).map(String::as_str);
    let number = |name: &str| text(name).and_then(|value| value.parse::<i64>().ok());
    let ours = |name: &str, otherwise: i64| {
        common.kafka.properties.get(name).and_then(|value| value.parse().ok()).unwrap_or(otherwise)
    };
    let mut threat = |name: &str, what: String, remedy: &str| {
        findings.push(Finding::threat(format!("broker {}, {name}", broker.id), what, remedy));
    };
    if text("group.coordinator.rebalance.protocols").is_none() {
        threat(
            "version",
            "does not know what Kafka 3.7 knows".to_owned(),
            "upgrade the brokers: 4.0 and later are tested",
        );
    }
    if text("unclean.leader.election.enable") == Some("true") {
        threat(
            "unclean.leader.election.enable",
            "true: a copy that lags may take the lead, and confirmed decisions are gone".to_owned(),
            "set it to false",
        );
    }
    if text("auto.create.topics.enable") == Some("true") {
        threat(
            "auto.create.topics.enable",
            "true: a name that somebody mistypes becomes a topic with the wrong partitions and retention".to_owned(),
            "set it to false; `cascade topics apply` makes what is needed",
        );
    }
    let timeout = ours("transaction.timeout.ms", TRANSACTION_MS);
    if number("transaction.max.timeout.ms").is_some_and(|most| most < timeout) {
        threat(
            "transaction.max.timeout.ms",
            format!("is less than our transactions' timeout of {timeout} ms: no producer can start"),
            "raise it, or lower kafka.transaction.timeout.ms",
        );
    }
    let session = ours("session.timeout.ms", SESSION_MS);
    let (least, most) = (number("group.min.session.timeout.ms"), number("group.max.session.timeout.ms"));
    if least.is_some_and(|least| session < least) || most.is_some_and(|most| session > most) {
        threat(
            "group.max.session.timeout.ms",
            format!(
                "our session timeout of {session} ms is not between {} and {}",
                least.unwrap_or(0),
                most.unwrap_or(0)
            ),
            "set kafka.session.timeout.ms to what the brokers take",
        );
    }
    if number("offsets.retention.minutes").is_some_and(|minutes| minutes < 7 * 24 * 60) {
        threat(
            "offsets.retention.minutes",
            "is less than a week: after a long outage intake and workers would not know where they were".to_owned(),
            "set it to 10080 or more",
        );
    }
    if text("log.cleaner.enable") == Some("false") {
        threat("log.cleaner.enable", "false: the changelog grows for ever".to_owned(), "set it to true");
    }
    for (name, least, what, remedy) in SHARED.iter().filter(|_| count >= 3) {
        if number(name).is_some_and(|found| found < *least) {
            threat(name, format!("is less than {least}: {what}"), remedy);
        }
    }
    findings
}

/// Where there are three brokers: settings of what brokers keep for us, the least that is safe, why, and what to do.
const SHARED: [(&str, i64, &str, &str); 3] = [
    (
        "transaction.state.log.replication.factor",
        3,
        "with one broker the outcome of transactions is lost",
        "set it to 3, and transaction.state.log.min.isr to 2, before the first transaction",
    ),
    (
        "transaction.state.log.min.isr",
        2,
        "the outcome of a transaction may be on one broker alone, and is lost with it",
        "set it to 2; a topic that is there: kafka-configs.sh --alter --topic __transaction_state --add-config min.insync.replicas=2",
    ),
    (
        "offsets.topic.replication.factor",
        3,
        "with one broker groups lose their places, and intake and workers begin anew",
        "set it to 3; a topic that is there gets copies by kafka-reassign-partitions.sh",
    ),
];

fn copies(common: &Common, cluster: &Cluster) -> Vec<Finding> {
    let catalogue = common.topics.catalogue(&common.channels, common.partitions);
    let wanted = usize::try_from(common.replication).unwrap_or(1);
    let mut findings = Vec::new();
    let mut few = Vec::new();
    for topic in &catalogue {
        let Some(partitions) = cluster.topics.get(&topic.name) else { continue };
        findings.extend(lagging(&topic.name, partitions));
        if partitions.iter().any(|partition| partition.wanted < wanted) {
            few.push(topic.name.as_str());
        }
    }
    if !few.is_empty() {
        findings.push(Finding::threat(
            format!("topics {}", few.join(", ")),
            format!("have fewer copies than the {wanted} of topics.replication"),
            "kafka-reassign-partitions.sh gives them more; `cascade topics apply` does so at creation only",
        ));
    }
    findings
}

fn lagging(topic: &str, partitions: &[Copies]) -> Option<Finding> {
    let place = format!("topic {topic}");
    if partitions.iter().any(|partition| !partition.has_leader) {
        let what = "a partition has no leader: whoever needs it waits";
        return Some(Finding::threat(place, what, "bring its brokers back"));
    }
    partitions.iter().any(|partition| partition.in_sync < partition.wanted).then(|| {
        let what = "copies are not up to date: one broker less, and writing stops or records are lost";
        Finding::threat(place, what, "look at the brokers that lag")
    })
}

/// Topics that the brokers make for themselves, and what is lost with their only copy. Settings of brokers say how they are made, and nothing
/// about those that are there: made when there was one broker, they have one copy for ever.
pub const INTERNAL: [(&str, &str); 2] = [
    (
        "__transaction_state",
        "the outcome of transactions is lost: what was confirmed may be undone, or nobody can write",
    ),
    ("__consumer_offsets", "groups lose their places: intake and workers begin anew"),
];

/// So many copies of them there are to be, and so many have to confirm what is written.
const SAFE_COPIES: usize = 3;
const SAFE_CONFIRMATIONS: i32 = 2;

/// Looks at the copies of topics that the brokers made for themselves. `own` has those of them that are there.
pub fn internal(cluster: &Cluster, own: &BTreeMap<String, Topic>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, lost) in INTERNAL {
        let Some(partitions) = cluster.topics.get(name) else { continue };
        findings.extend(lagging(name, partitions));
        // Fewer brokers cannot do better.
        if cluster.brokers.len() < SAFE_COPIES {
            continue;
        }
        let few = partitions.iter().map(|partition| partition.wanted).min().filter(|few| *few < SAFE_COPIES);
        if let Some(few) = few {
            findings.push(Finding::threat(
                format!("topic {name}"),
                format!("has partitions with {few} of {SAFE_COPIES} copies, and with their brokers {lost}"),
                "kafka-reassign-partitions.sh gives it more; brokers' settings hold only for what is made later",
            ));
        }
        let confirm = own.get(name).and_then(|topic| topic.configs.get("min.insync.replicas")?.parse::<i32>().ok());
        if let Some(found) = confirm.filter(|found| *found < SAFE_CONFIRMATIONS) {
            findings.push(Finding::threat(
                format!("topic {name}"),
                format!("has min.insync.replicas={found}: what is confirmed may be on one broker alone, and with it {lost}"),
                format!("kafka-configs.sh --alter --topic {name} --add-config min.insync.replicas={SAFE_CONFIRMATIONS}, once it has three copies"),
            ));
        }
    }
    findings
}

/// Topics that are missing or differ.
pub fn topics(mismatches: &[Mismatch]) -> Vec<Finding> {
    let finding = |mismatch: &Mismatch| {
        let sentence = mismatch.to_string();
        let (what, remedy) = sentence.split_once("; ").unwrap_or((&sentence, "`cascade topics apply`"));
        let name = match mismatch {
            Mismatch::Missing { topic } | Mismatch::Partitions { topic, .. } | Mismatch::Config { topic, .. } => topic,
        };
        Finding::threat(format!("topic {name}"), what, remedy)
    };
    mismatches.iter().map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Gravity;

    #[test]
    fn topics_of_the_brokers_own_are_judged_by_their_copies_and_not_by_how_new_ones_would_be_made() {
        let copies = |wanted, in_sync| {
            vec![Copies { has_leader: true, wanted: 3, in_sync: 3 }, Copies { has_leader: true, wanted, in_sync }]
        };
        let cluster = |count, wanted, in_sync| Cluster {
            brokers: vec![Broker::default(); count],
            topics: INTERNAL.map(|(name, _)| (name.to_owned(), copies(wanted, in_sync))).into(),
        };
        let own = |confirm: &str| {
            let configs: BTreeMap<_, _> = [("min.insync.replicas".to_owned(), confirm.to_owned())].into();
            INTERNAL.map(|(name, _)| (name.to_owned(), Topic { configs: configs.clone(), ..Topic::default() })).into()
        };
        assert_eq!(internal(&cluster(3, 3, 3), &own("2")), []);
        assert_eq!(internal(&Cluster::default(), &own("2")), []);
        assert_eq!(internal(&cluster(1, 1, 1), &own("1")), []);
        let places = |findings: &[Finding]| findings.iter().map(|found| found.place.clone()).collect::<Vec<_>>();
        let few = internal(&cluster(3, 1, 1), &own("2"));
        assert_eq!(places(&few), ["topic __transaction_state", "topic __consumer_offsets"]);
        assert!(
            few.iter().all(|found| found.gravity == Gravity::Threat && found.what.contains("1 of 3 copies")),
            "{few:?}"
        );
        let alone = internal(&cluster(3, 3, 3), &own("1"));
        assert!(
            alone.len() == 2 && alone.iter().all(|found| found.what.contains("min.insync.replicas=1")),
            "{alone:?}"
        );
        let lagging = internal(&cluster(3, 3, 2), &own("2"));
        assert!(lagging.len() == 2 && lagging.iter().all(|found| found.what.contains("not up to date")), "{lagging:?}");
    }

    #[test]
    fn a_cluster_as_it_should_be_gives_no_finding() {
        let settings = [
            ("group.coordinator.rebalance.protocols", "classic,consumer"),
            ("unclean.leader.election.enable", "false"),
            ("transaction.max.timeout.ms", "900000"),
        ];
        let configs = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let broker = |id| Broker { id, configs: std::collections::BTreeMap::clone(&configs) };
        let cluster = Cluster { brokers: (1..=3).map(broker).collect(), ..Cluster::default() };
        let common =
            crate::config::read(&crate::config::Flags::default(), &crate::config::Process, Common::read).unwrap();
        assert_eq!(examine(&common, &cluster), []);
        let configs = std::collections::BTreeMap::from([("log.cleaner.enable".to_owned(), "true".to_owned())]);
        let old = Cluster { brokers: vec![Broker { id: 1, configs }; 3], ..Cluster::default() };
        assert_eq!(examine(&common, &old).len(), 3);
        let mut sparing = cluster.brokers[0].configs.clone();
        let planted = ["transaction.state.log.min.isr", "offsets.topic.replication.factor"];
        sparing.extend(planted.map(|name| (name.to_owned(), "1".to_owned())));
        let sparing =
            |count| Cluster { brokers: vec![Broker { id: 1, configs: sparing.clone() }; count], ..Cluster::default() };
        let found = examine(&common, &sparing(3));
        assert_eq!(found.len(), 6, "{found:?}");
        for name in planted {
            assert!(
                found.iter().any(|finding| finding.place.ends_with(name) && finding.gravity == Gravity::Threat),
                "{name}: {found:?}"
            );
        }
        // One broker cannot do better.
        assert!(!examine(&common, &sparing(1)).iter().any(|finding| finding.gravity == Gravity::Threat));
        let hidden = Cluster { brokers: vec![Broker { id: 1, ..Broker::default() }; 3], ..Cluster::default() };
        let findings = examine(&common, &hidden);
        assert!(findings.len() == 1 && findings[0].what.contains("not authorized"), "{findings:?}");
    }
}
