//! Whoever reads for long notices that its client has gone mute, and takes another one.
//!
//! When a broker comes back, librdkafka may have forgotten for good who leads a partition; it says nothing of that, and asks nobody any
//! more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::{READER, Reader, Started};
use crate::Error;
use crate::clock::Tick;
use crate::kafka::native::{Client, Role, Topic};
use crate::kafka::settings::Settings;

/// A partition of which nothing is heard for so long is looked at, and as long again after that its client counts as mute. Twice as long
/// after each replacement, so that what is only slow comes to an end in the end,
pub(super) const SILENCE: Duration = Duration::from_secs(10);

/// up to so many times that (what takes longer than a minute librdkafka gives up itself),
const GROWTH: u32 = 4;

/// and as before when none was needed for so many times that.
const CALM: u32 = 60;

/// Where partitions end, by topic and partition.
type Ends = BTreeMap<(usize, i32), i64>;

/// How long that look may take.
const LOOK: Duration = Duration::from_secs(3);

/// What a reader has to know to notice it.
#[derive(Debug)]
pub(super) struct Vigil {
    settings: Settings,
    is_watched: bool,
    /// [`SILENCE`], but for tests.
    first: Duration,
    /// What it has grown to.
    silence: Duration,
    replaced: Option<Tick>,
    looked: Tick,
    /// When we took all that there was in the queue.
    pub(super) emptied: Tick,
    /// Where silent partitions end, and when that was asked: they must have come nearer to it by the next time.
    owed: Ends,
    asked: Tick,
    /// Since when no question was answered.
    pub(super) unanswered: Option<Tick>,
}

impl Reader {
    pub(super) fn vigilant(settings: &Settings, is_watched: bool, silence: Duration) -> Result<Self, Error> {
        let client = match is_watched {
            true => settings.watched_client(Role::Reader, &READER),
            false => settings.client(Role::Reader, &READER),
        }?;
        let vigil = Vigil {
            settings: settings.clone(),
            is_watched,
            first: silence,
            silence,
            replaced: None,
            looked: Tick::now(),
            emptied: Tick::now(),
            owed: BTreeMap::new(),
            asked: Tick::now(),
            unanswered: None,
        };
        Ok(Reader::of(client, Some(vigil)))
    }

    /// Whoever has long heard nothing of a partition asks where it ends. If there is more, and none of it has come after as long again,
    /// or nobody has answered, there is a new client. As long as we do not come to the queue's end nobody is mute: it is we who are slow.
    pub(super) fn keep_vigil(&mut self) -> Result<(), Error> {
        let Some(vigil) = self.vigil.as_mut().filter(|vigil| vigil.looked.elapsed() >= vigil.silence / 6) else {
            return Ok(());
        };
        vigil.looked = Tick::now();
        if vigil.replaced.is_some_and(|at| at.elapsed() >= vigil.first * CALM) {
            (vigil.replaced, vigil.silence) = (None, vigil.first);
        }
        let silence = vigil.silence;
        if vigil.unanswered.is_some_and(|since| since.elapsed() >= silence) {
            tracing::warn!("no question to the brokers was answered for {silence:?}: asking with a new client");
            return self.renew();
        }
        if !self.records.is_empty() && vigil.emptied.elapsed() >= silence / 2 {
            vigil.owed.clear();
            return Ok(());
        }
        if !vigil.owed.is_empty() && vigil.asked.elapsed() < silence {
            return Ok(());
        }
        let owed = std::mem::take(&mut vigil.owed);
        let is_silent = |started: &&mut Started| started.heard.elapsed() >= silence;
        let mut silent: Vec<&mut Started> = self.started.iter_mut().filter(is_silent).collect();
        if silent.is_empty() {
            return Ok(());
        }
        if let Some(mute) = silent.iter().find(|silent| owed.get(&silent.place()).is_some_and(|end| silent.next < *end))
        {
            let topic = &self.topics[mute.topic].0;
            tracing::warn!(
                topic,
                partition = mute.partition,
                next = mute.next,
                "nothing is heard of it for {silence:?}, though there is more: reading with a new client"
            );
            return self.renew();
        }
        vigil.asked = Tick::now();
        let mut found = ends(&self.client, &self.topics, &silent);
        if found.is_err() {
            // It may be for one of them that none is told: nobody leads it.
            let all = silent.len();
            pass_over_leaderless(&self.client, &self.topics, &mut silent);
            if silent.len() < all {
                found = ends(&self.client, &self.topics, &silent);
            }
        }
        let ends = found.unwrap_or_else(|error| {
            tracing::warn!("nothing is heard of some partitions for {silence:?}: {error}");
            BTreeMap::new()
        });
        for silent in silent {
            match ends.get(&silent.place()) {
                Some(end) if *end <= silent.next => silent.heard = Tick::now(),
                end => _ = vigil.owed.insert(silent.place(), end.copied().unwrap_or(i64::MAX)),
            }
        }
        Ok(())
    }

    /// Reads the same with a new client.
    pub(super) fn renew(&mut self) -> Result<(), Error> {
        let Some(Vigil { settings, is_watched, first, silence, .. }) = &self.vigil else { return Ok(()) };
        let mut fresh = Reader::vigilant(settings, *is_watched, *first)?;
        if let Some(vigil) = &mut fresh.vigil {
            (vigil.replaced, vigil.silence) = (Some(Tick::now()), (*silence * 2).min(*first * GROWTH));
        }
        for (name, _) in &self.topics {
            fresh.topic(name)?;
        }
        for Started { topic, partition, next, .. } in &self.started {
            fresh.start(*topic, *partition, *next)?;
        }
        *self = fresh;
        Ok(())
    }
}

/// Where these end.
fn ends(client: &Arc<Client>, topics: &[(String, Topic)], silent: &[&mut Started]) -> Result<Ends, Error> {
    let asked: Vec<_> = silent.iter().map(|silent| (topics[silent.topic].0.clone(), silent.partition)).collect();
    let told = client.ends(&asked, LOOK)?.into_iter().map(|(topic, partition, end)| ((topic, partition), end));
    let told: BTreeMap<(String, i32), i64> = told.collect();
    let places = silent.iter().map(|silent| silent.place()).zip(&asked);
    Ok(places.filter_map(|(place, asked)| Some((place, *told.get(asked)?))).collect())
}

/// What nobody leads is silent for every client: no other one could do better, and a question about it takes the answers from those beside it.
fn pass_over_leaderless(client: &Arc<Client>, topics: &[(String, Topic)], silent: &mut Vec<&mut Started>) {
    let names: BTreeSet<usize> = silent.iter().map(|silent| silent.topic).collect();
    for topic in names {
        // No answer: it is seen below whether any question is answered.
        let Ok(Some(leaders)) = client.leaders(&topics[topic].0, LOOK) else { continue };
        silent.retain_mut(|silent| {
            let is_led = silent.topic != topic || leaders.get(&silent.partition).is_none_or(|leader| *leader >= 0);
            if !is_led {
                silent.heard = Tick::now();
            }
            is_led
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use rdkafka::ClientConfig;
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

    use super::*;
    use crate::Verdict;
    use crate::kafka::native::Partitions;
    use crate::kafka::reader::{ASK_AGAIN, Fetched};

    const TOPIC: &str = "cart";
    const SILENCE: Duration = Duration::from_millis(600);

    fn write(brokers: &MockCluster<'_, DefaultProducerContext>, value: &str) {
        write_to(&producer(brokers), 0, value);
    }

    fn producer(brokers: &MockCluster<'_, DefaultProducerContext>) -> BaseProducer {
        ClientConfig::new().set("bootstrap.servers", brokers.bootstrap_servers()).create().unwrap()
    }

    fn write_to(producer: &BaseProducer, partition: i32, value: &str) {
        producer.send(BaseRecord::<(), str>::to(TOPIC).partition(partition).payload(value)).unwrap();
        producer.flush(Duration::from_secs(10)).unwrap();
    }

    /// Values that come within the time, and how often an end was told.
    fn read(reader: &mut Reader, wait: Duration, wanted: usize) -> (Vec<String>, usize) {
        let (mut values, mut ends) = (Vec::new(), 0);
        let until = Tick::now().after(wait);
        while values.len() < wanted && !until.remaining().is_zero() {
            let mut fetched = Vec::new();
            reader.fetch(Duration::from_millis(20), 10, &mut fetched).unwrap();
            for item in fetched {
                match item {
                    Fetched::Record(record) => {
                        values.push(String::from_utf8(record.value().unwrap().to_vec()).unwrap())
                    }
                    Fetched::End { .. } => ends += 1,
                    Fetched::OutOfRange { .. } => panic!("offsets are there"),
                }
            }
        }
        (values, ends)
    }

    /// As librdkafka does by mistake, so here on purpose: it fetches no more, and says nothing.
    fn make_mute(reader: &Reader) {
        let all = Partitions::of(&[(TOPIC.to_owned(), 0)], Partitions::END).unwrap();
        reader.client.pause(&all).unwrap();
    }

    #[test]
    fn a_client_that_has_gone_mute_is_replaced_and_nothing_is_missed_or_read_twice() {
        let brokers = MockCluster::new(1).unwrap();
        brokers.create_topic(TOPIC, 1, 1).unwrap();
        write(&brokers, "one");
        let settings = Settings::new(&brokers.bootstrap_servers(), "reader");
        let mut reader = Reader::vigilant(&settings, false, SILENCE).unwrap();
        let topic = reader.topic(TOPIC).unwrap();
        reader.start(topic, 0, 0).unwrap();
        assert_eq!(read(&mut reader, Duration::from_secs(10), 1).0, ["one"]);
        let first = Arc::as_ptr(&reader.client);
        assert_eq!(read(&mut reader, 4 * SILENCE, 1), (Vec::new(), 1), "it is told once where the end is");
        assert_eq!(
            Arc::as_ptr(&reader.client),
            first,
            "where nothing comes because there is nothing, no client is replaced"
        );

        make_mute(&reader);
        write(&brokers, "two");
        write(&brokers, "three");
        assert_eq!(read(&mut reader, Duration::from_secs(10), 2).0, ["two", "three"]);
        assert_ne!(Arc::as_ptr(&reader.client), first);
        assert_eq!(
            reader.vigil.as_ref().map(|vigil| vigil.silence),
            Some(2 * SILENCE),
            "the next time it is given longer"
        );
    }

    #[test]
    fn a_mute_partition_is_noticed_beside_one_that_never_rests() {
        let brokers = MockCluster::new(1).unwrap();
        brokers.create_topic(TOPIC, 2, 1).unwrap();
        let mut reader =
            Reader::vigilant(&Settings::new(&brokers.bootstrap_servers(), "reader"), false, SILENCE).unwrap();
        let topic = reader.topic(TOPIC).unwrap();
        (0..2).for_each(|partition| reader.start(topic, partition, 0).unwrap());
        assert_eq!(read(&mut reader, SILENCE, 1).0.len(), 0);
        make_mute(&reader);
        write(&brokers, "of the mute one");
        let (writer, begun) = (producer(&brokers), Tick::now());
        let mut came = false;
        while !came && begun.elapsed() < 10 * SILENCE {
            write_to(&writer, 1, "of the other");
            // There is always something when it looks.
            while reader.records.is_empty() && begun.elapsed() < 10 * SILENCE {
                std::thread::park_timeout(Duration::from_millis(1));
            }
            came = read(&mut reader, Duration::from_secs(1), 1).0.contains(&"of the mute one".to_owned());
        }
        assert!(came);
    }

    #[test]
    fn what_nobody_leads_costs_nobody_his_client() {
        let brokers = MockCluster::new(1).unwrap();
        brokers.create_topic(TOPIC, 2, 1).unwrap();
        brokers.partition_leader(TOPIC, 1, None).unwrap();
        let settings = Settings::new(&brokers.bootstrap_servers(), "reader");
        let mut reader = Reader::vigilant(&settings, false, SILENCE).unwrap();
        let (topic, first) = (reader.topic(TOPIC).unwrap(), Arc::as_ptr(&reader.client));
        (0..2).for_each(|partition| reader.start(topic, partition, 0).unwrap());
        assert_eq!(read(&mut reader, 8 * SILENCE, 1), (Vec::new(), 1));
        assert_eq!(Arc::as_ptr(&reader.client), first, "in one there is nothing, and of the other nobody could tell");
    }

    #[test]
    fn whoever_is_slow_to_take_what_has_come_keeps_his_client() {
        const EACH: usize = 12;
        let brokers = MockCluster::new(1).unwrap();
        brokers.create_topic(TOPIC, 2, 1).unwrap();
        let writer = producer(&brokers);
        (0..2).for_each(|partition| (0..EACH).for_each(|_| write_to(&writer, partition, "one")));
        let mut reader =
            Reader::vigilant(&Settings::new(&brokers.bootstrap_servers(), "reader"), false, SILENCE).unwrap();
        let (topic, first) = (reader.topic(TOPIC).unwrap(), Arc::as_ptr(&reader.client));
        (0..2).for_each(|partition| reader.start(topic, partition, 0).unwrap());
        let (mut count, begun) = (0, Tick::now());
        while count < 2 * EACH && begun.elapsed() < Duration::from_secs(20) {
            let mut fetched = Vec::new();
            reader.fetch(Duration::from_secs(1), 1, &mut fetched).unwrap();
            count += fetched.iter().filter(|item| matches!(item, Fetched::Record(_))).count();
            // So one of the partitions is not heard of for longer than it would be given.
            std::thread::park_timeout(SILENCE / 4);
        }
        assert_eq!(count, 2 * EACH);
        assert_eq!(Arc::as_ptr(&reader.client), first);
    }

    #[test]
    fn where_no_question_is_answered_a_new_client_asks() {
        // Nobody listens there.
        let mut reader = Reader::vigilant(&Settings::new("127.0.0.1:1", "reader"), false, SILENCE).unwrap();
        let (topic, first) = (reader.topic(TOPIC).unwrap(), Arc::as_ptr(&reader.client));
        let Some(vigil) = reader.vigil.as_mut() else { panic!("it keeps a vigil") };
        vigil.unanswered = Some(Tick::now());
        let until = Tick::now().after(SILENCE + SILENCE / 2);
        while !until.remaining().is_zero() {
            assert!(read(&mut reader, SILENCE / 12, 1).0.is_empty());
        }
        assert_ne!(Arc::as_ptr(&reader.client), first);
        assert_eq!(reader.topic(TOPIC).unwrap(), topic, "topics keep their numbers");
    }

    #[test]
    fn whoever_starts_waits_for_a_broker_that_is_just_being_restarted() {
        let brokers = MockCluster::new(1).unwrap();
        brokers.create_topic(TOPIC, 1, 1).unwrap();
        // It asks for both ends, and the client asks each time again by itself.
        let gone = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE; 400];
        brokers.request_errors(RDKafkaApiKey::ListOffsets, &gone[..100]);
        let mut reader = Reader::lasting(&Settings::new(&brokers.bootstrap_servers(), "reader")).unwrap();
        let topic = reader.topic(TOPIC).unwrap();
        let (goes_on, has_to_end) = (AtomicBool::new(false), AtomicBool::new(true));
        let patience = Duration::from_secs(20);
        let begun = Tick::now();
        assert_eq!(reader.await_range(topic, 0, patience, &goes_on).unwrap(), (0, 0));
        assert!(begun.elapsed() >= ASK_AGAIN, "it was refused once at least");
        brokers.clear_request_errors(RDKafkaApiKey::ListOffsets);
        brokers.request_errors(RDKafkaApiKey::ListOffsets, &gone);
        let error = reader.await_range(topic, 0, patience, &has_to_end).unwrap_err();
        assert_eq!(error.verdict(), Verdict::Retry, "{error}");
    }
}
