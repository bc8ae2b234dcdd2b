//! How to reach Kafka, and the properties that exactly-once rests on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::native::{Client, Role};
use super::statistics::{INTERVAL_MS, Statistics, Watch};
use crate::clock::Tick;
use crate::{Error, Verdict};

/// How to reach Kafka. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `host:port`, comma separated.
    pub brokers: String,
    /// Further properties of librdkafka (TLS, SASL, sizes), which win over our defaults but not over what exactly-once needs.
    pub properties: Arc<BTreeMap<String, String>>,
    /// Names the process in the brokers' logs; the prefix of member and transactional ids.
    pub instance: String,
    /// What the clients count of themselves.
    pub statistics: Statistics,
}

/// How long questions to the brokers may take before the answer is "not now".
pub(crate) const ANSWER: Duration = Duration::from_secs(10);

/// Between two questions to brokers that do not answer.
const MOMENT: Duration = Duration::from_millis(50);

/// That of the client library, where nothing else is set.
const SESSION_TIMEOUT: Duration = Duration::from_secs(45);

/// After so many milliseconds, less a fifth, the client library repeats a call at the earliest. Its own 100 would put a back-off of 150 into
/// the tail of small transactions. A producer has no other: how long it takes says whether a call may have been made twice.
pub(crate) const RETRY_BACKOFF_MS: u64 = 20;

/// Chosen by measurement, free to change.
const TUNING: [(&str, &str); 5] = [
    ("retry.backoff.ms", "20"),
    // A lone broker that has just started knows none of its topics for a moment. Whoever asks just then takes them for removed and asks no
    // sooner than this: with the usual five minutes it reads nothing meanwhile.
    ("topic.metadata.refresh.interval.ms", "10000"),
    ("reconnect.backoff.ms", "50"),
    ("reconnect.backoff.max.ms", "1000"),
    ("log.connection.close", "false"),
];

/// How large an answer to a reader may be.
const FETCHED: &str = "fetch.max.bytes";

const READING: [(&str, &str); 6] = [
    // Of all partitions of a broker. By default an answer has as much as the queue, which a slow link brings in half a minute, and whatever
    // is asked on the same connection waits behind it until it is given up.
    (FETCHED, "4194304"),
    // The default of 1 s stalls a partition whose queue was full once.
    ("fetch.queue.backoff.ms", "5"),
    ("queued.max.messages.kbytes", "16384"),
    // A partition that is added waits for the open fetch, and so does any question on the same connection.
    ("fetch.wait.max.ms", "100"),
    ("check.crcs", "true"),
    ("max.poll.interval.ms", "300000"),
];

const WRITING: [(&str, &str); 7] = [
    ("linger.ms", "5"),
    ("batch.size", "1000000"),
    ("batch.num.messages", "100000"),
    // How large a record may be, its topic says. By default the client refuses what is larger than 1 MB, as a dead letter may be.
    ("message.max.bytes", "10000000"),
    // Bounds the time that a commit waits for what was produced before it.
    ("queue.buffering.max.messages", "50000"),
    ("transaction.timeout.ms", "15000"),
    ("compression.type", "lz4"),
];

/// Asks brokers of which one may be restarted just then: again and again for as long as an answer may take, while it may be had. `ask` is
/// told how long that is, and `rest` lets a moment pass.
pub(crate) fn ask_again<T>(
    mut ask: impl FnMut(Duration) -> Result<T, Error>,
    rest: impl Fn(Duration),
) -> Result<T, Error> {
    let until = Tick::now().after(ANSWER);
    loop {
        match ask(until.remaining()) {
            Err(error) if error.verdict() == Verdict::Retry && !until.remaining().is_zero() => rest(MOMENT),
            answer => return answer,
        }
    }
}

impl Settings {
    /// Settings without further properties.
    pub fn new(brokers: &str, instance: &str) -> Self {
        Settings {
            brokers: brokers.to_owned(),
            properties: Arc::default(),
            instance: instance.to_owned(),
            statistics: Statistics::default(),
        }
    }

    /// Who is silent for so long is no member of a group any more.
    pub fn session_timeout(&self) -> Duration {
        let set = self.properties.get("session.timeout.ms").and_then(|value| value.parse().ok());
        set.map_or(SESSION_TIMEOUT, Duration::from_millis)
    }

    /// A client: our tuning, then what the user set, then what must hold.
    pub(super) fn client(&self, role: Role, must: &[(&str, &str)]) -> Result<Arc<Client>, Error> {
        self.make(role, must, None)
    }

    /// The same of one that is heard again and again, so that it can also tell of itself.
    pub(super) fn watched_client(&self, role: Role, must: &[(&str, &str)]) -> Result<Arc<Client>, Error> {
        let kind = match role {
            Role::Member => "member",
            Role::Reader => "reader",
            Role::Producer => "producer",
        };
        self.make(role, must, self.statistics.watch(kind))
    }

    fn make(&self, role: Role, must: &[(&str, &str)], watch: Option<Watch>) -> Result<Arc<Client>, Error> {
        let tuning = match role {
            Role::Member | Role::Reader => TUNING.iter().chain(READING.iter()),
            Role::Producer => TUNING.iter().chain(WRITING.iter()),
        };
        let mut all: BTreeMap<&str, &str> = tuning.copied().collect();
        all.extend(watch.as_ref().map(|_| ("statistics.interval.ms", INTERVAL_MS)));
        all.extend(self.properties.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        all.extend([("bootstrap.servers", self.brokers.as_str()), ("client.id", self.instance.as_str())]);
        all.extend(must.iter().copied());
        // The client refuses to fetch less than a record may have. Without a word it fetches as much as it needs.
        let bytes = |name: &str| all.get(name).and_then(|bytes| bytes.parse::<u64>().ok());
        if bytes("message.max.bytes") > bytes(FETCHED) && !self.properties.contains_key(FETCHED) {
            all.remove(FETCHED);
        }
        Client::new(role, all.into_iter(), watch)
    }

    /// The brokers answer, and it is this cluster.
    ///
    /// # Errors
    /// If nobody answers within `wait`.
    pub fn cluster_id(&self, wait: Duration) -> Result<String, Error> {
        let client = self.client(Role::Producer, &[])?;
        client.cluster_id(wait).ok_or_else(|| {
            Error::stop(
                "reach Kafka",
                format!(
                    "no broker answers at {}; check the address, and whether TLS or SASL settings are missing",
                    self.brokers
                ),
            )
        })
    }

    /// Name and id of a topic: one that is made anew under the name has another id.
    ///
    /// # Errors
    /// If the brokers do not answer, or there is no such topic.
    pub fn topic_identity(&self, topic: &str) -> Result<String, Error> {
        Ok(format!("{topic}/{}", self.client(Role::Producer, &[])?.topic_id(topic, ANSWER)?))
    }

    /// Client ids of those who are in a group now; none where there is no such group.
    ///
    /// # Errors
    /// `Retry` if nobody answers, `Stop` if this user may not look at it.
    pub fn members(&self, group: &str) -> Result<Vec<String>, Error> {
        Ok(self.client(Role::Producer, &[])?.describe(group, ANSWER)?.members)
    }

    /// Number of partitions of a topic, `None` if there is no such topic. A broker that is restarted just then is asked again.
    ///
    /// # Errors
    /// If the brokers do not answer.
    pub fn partitions(&self, topic: &str) -> Result<Option<i32>, Error> {
        let client = self.client(Role::Producer, &[])?;
        ask_again(|left| client.partitions(topic, left), |moment| drop(client.main_queue().poll(moment)))
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::ClientConfig;
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

    use super::*;
    use crate::kafka::{Fetched, Reader};

    /// An answer takes two seconds, so what comes at once came in one.
    #[test]
    fn an_answer_to_a_reader_is_small_however_many_partitions_there_are() {
        const PARTITIONS: i32 = 12;
        let brokers = MockCluster::new(1).unwrap();
        brokers.create_topic("wide", PARTITIONS, 1).unwrap();
        let producer: BaseProducer =
            ClientConfig::new().set("bootstrap.servers", brokers.bootstrap_servers()).create().unwrap();
        let large = vec![0_u8; 900_000];
        for partition in 0..PARTITIONS {
            producer.send(BaseRecord::<(), [u8]>::to("wide").partition(partition).payload(&large)).unwrap();
        }
        producer.flush(Duration::from_secs(20)).unwrap();
        let mut reader = Reader::new(&Settings::new(&brokers.bootstrap_servers(), "reader")).unwrap();
        let topic = reader.topic("wide").unwrap();
        (0..PARTITIONS).for_each(|partition| reader.start(topic, partition, 0).unwrap());
        brokers.broker_round_trip_time(-1, Duration::from_secs(2)).unwrap();
        let (mut answers, mut came, mut last) = (vec![0], 0, Tick::now());
        while came < PARTITIONS {
            let mut fetched = Vec::new();
            reader.fetch(Duration::from_millis(50), 100, &mut fetched).unwrap();
            let records = fetched.iter().filter(|item| matches!(item, Fetched::Record(_))).count();
            if records > 0 {
                if last.elapsed() > Duration::from_millis(300) {
                    answers.push(0);
                }
                (came, last) = (came + i32::try_from(records).unwrap(), Tick::now());
                *answers.last_mut().unwrap() += records;
            }
        }
        // Once the limit is reached, no further one is added.
        assert!(answers.iter().all(|records| *records <= 5), "{answers:?}");
    }

    #[test]
    fn whoever_has_larger_records_is_not_refused_on_account_of_our_own_sizes() {
        let with = |properties: &[(&str, &str)]| {
            let properties = properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            let settings = Settings { properties: Arc::new(properties.collect()), ..Settings::new("127.0.0.1:1", "a") };
            settings.client(Role::Reader, &[("group.id", "g")]).map(|_| ())
        };
        with(&[]).unwrap();
        with(&[("message.max.bytes", "10000000")]).unwrap();
        let contradiction = [("message.max.bytes", "10000000"), (FETCHED, "1000000")];
        assert!(with(&contradiction).unwrap_err().to_string().contains(FETCHED));
    }
}
