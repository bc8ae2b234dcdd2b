//! Partitions that a shard waits for: what is shown of them, and clients that let them wait.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use prometheus::core::Collector;
use rdkafka::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::*;
use crate::Verdict;
use crate::clock::simulated;
use crate::kafka::log::KafkaChangelogs;
use crate::kafka::{Fetched, Settings};
use crate::log::Changelogs;
use crate::restorer::{Replicas, Word};

/// A changelog of which a few records have come, and the rest does not yet.
#[derive(Default)]
struct Slow {
    log: Vec<Written>,
    brought: usize,
    end: i64,
    /// Its client answers no question any more; each takes ten seconds to show that.
    is_mute: bool,
    /// Its client answers, and asks for no record any more.
    is_idle: bool,
    /// And no other client does.
    is_broken: bool,
    /// How long each of its answers is under way, with one record; meanwhile no question is answered.
    answer: Option<Duration>,
    /// When it has asked for the one that is under way.
    under_way: Duration,
    renewals: usize,
    started: Vec<(i32, i64)>,
    asked: Vec<i32>,
}

impl Changelogs for Slow {
    type Record = Written;

    fn range(&mut self, partition: i32) -> Result<(i64, i64), Error> {
        let is_held_up = self.answer.is_some() && !self.started.is_empty() && elapsed() > self.under_way;
        if self.is_mute || is_held_up {
            self.asked.push(partition);
            simulated::set(Some(elapsed() + Duration::from_secs(10)));
            return Err(Error::new(Verdict::Retry, "ask", "timed out"));
        }
        Ok((0, self.end))
    }

    fn start(&mut self, partition: i32, offset: i64) -> Result<(), Error> {
        self.started.push((partition, offset));
        self.under_way = elapsed();
        // All that has been written is of the first one.
        if partition == 0 {
            self.brought = self.log.iter().take_while(|record| record.offset < offset).count();
        }
        Ok(())
    }

    fn stop(&mut self, _: i32) {}

    fn renew(&mut self) -> Result<(), Error> {
        (self.is_mute, self.is_idle, self.under_way) = (false, self.is_broken, elapsed());
        self.renewals += 1;
        Ok(())
    }

    fn fetch(&mut self, _: Duration, limit: usize, fetched: &mut Vec<Fetched<Written>>) -> Result<(), Error> {
        if self.is_idle {
            return Ok(());
        }
        let limit = match self.answer {
            Some(answer) if elapsed() < self.under_way + answer => return Ok(()),
            Some(_) => 1,
            None => limit,
        };
        self.under_way = elapsed();
        let more = self.log.iter().skip(self.brought).take(limit);
        fetched.extend(more.cloned().map(Fetched::Record));
        self.brought = self.log.len().min(self.brought + limit);
        Ok(())
    }
}

/// On the simulated clock.
fn elapsed() -> Duration {
    Duration::from_millis(machine_now().unsigned_abs())
}

#[test]
fn whoever_waits_for_a_partition_sees_how_far_it_is_and_when_it_will_be_there() {
    let mut bench = Bench::new();
    bench.config.restore_window = 1_000;
    let rules = bench.rules();
    let (left, eta) = (rules.metrics.restore_remaining.clone(), rules.metrics.restore_eta_seconds.clone());
    let shown = || {
        let value = |gauges: &prometheus::IntGaugeVec| {
            Some(gauges.collect().first()?.get_metric().first()?.get_gauge().get_value())
        };
        (value(&left), value(&eta))
    };
    let log = (0..20)
        .flat_map(|n| [row(2 * n, "a", (1, 1 + n.unsigned_abs()), "word"), meta(2 * n + 1, (1, 1 + n.unsigned_abs()))]);
    let slow = Slow { log: log.collect(), end: 100, is_mute: false, is_idle: false, ..Slow::default() };
    simulated::set(Some(Duration::ZERO));
    let mut replicas = Replicas::new(rules, slow, Words, BTreeSet::new());
    replicas.hear(Word::Restore { shard: 0, partition: 0, nonce: "mine".to_owned() });
    replicas.work();
    assert_eq!(shown(), (None, None), "nothing is known yet");
    simulated::set(Some(Duration::from_secs(4)));
    replicas.fetch(Duration::ZERO).unwrap();
    replicas.work();
    assert_eq!(shown(), (Some(60.0), Some(6.0)), "forty records of a hundred in four seconds");
    simulated::set(Some(Duration::from_secs(6)));
    replicas.work();
    assert_eq!(shown(), (Some(60.0), Some(9.0)), "as long as nothing comes it takes ever longer");
    replicas.changelogs().log.push(barrier(99, "mine"));
    replicas.changelogs().brought = 40;
    replicas.fetch(Duration::ZERO).unwrap();
    replicas.work();
    let (_, answer) = replicas.answer().unwrap();
    assert_eq!(answer.outcome.map(|restored| restored.replayed).ok(), Some(41));
    assert_eq!(shown(), (None, None), "it is there");
    simulated::set(None);
}

#[test]
fn a_client_that_answers_nothing_any_more_is_replaced_and_holds_nobody_up_for_long() {
    let bench = Bench::new();
    let log = vec![row(0, "a", (1, 1), "word"), meta(1, (1, 1)), barrier(2, "mine")];
    let mute = Slow { log, end: 3, is_mute: true, is_idle: false, ..Slow::default() };
    simulated::set(Some(Duration::ZERO));
    let mut replicas = Replicas::new(bench.rules(), mute, Words, BTreeSet::new());
    for partition in 0..64 {
        replicas.hear(Word::Restore { shard: 0, partition, nonce: "mine".to_owned() });
    }
    for turn in 1..=3 {
        replicas.work();
        assert_eq!(machine_now(), 10_000 * turn, "no turn waits for more than one answer");
    }
    assert_eq!(replicas.changelogs().asked, [0, 1, 2], "each has its turn");
    assert!(!replicas.changelogs().is_mute, "there is a new client");
    replicas.work();
    replicas.fetch(Duration::ZERO).unwrap();
    replicas.work();
    let (_, answer) = replicas.answer().unwrap();
    assert_eq!(answer.outcome.map(|restored| restored.partition).ok(), Some(0));
    simulated::set(None);
}

/// Each answer takes longer than a client may say nothing. Whoever replaces it again and again comes nowhere.
#[test]
fn on_a_slow_link_a_client_is_given_ever_longer() {
    let mut bench = Bench::new();
    bench.config.restore_window = 1_000;
    let commits = (0..4_i64)
        .flat_map(|n| [row(2 * n, "a", (1, 1 + n.unsigned_abs()), "word"), meta(2 * n + 1, (1, 1 + n.unsigned_abs()))]);
    let log: Vec<Written> = commits.chain([barrier(8, "mine")]).collect();
    let slow = Slow { end: 9, log, answer: Some(Duration::from_secs(40)), ..Slow::default() };
    simulated::set(Some(Duration::ZERO));
    let mut replicas = Replicas::new(bench.rules(), slow, Words, BTreeSet::new());
    replicas.hear(Word::Restore { shard: 0, partition: 0, nonce: "mine".to_owned() });
    let restored = loop {
        simulated::set(Some(elapsed() + Duration::from_secs(1)));
        replicas.fetch(Duration::ZERO).unwrap();
        replicas.work();
        if let Some((_, answer)) = replicas.answer() {
            break answer.outcome.map(|restored| restored.replayed);
        }
        assert!(elapsed() < Duration::from_secs(20 * 60), "it brings nine answers of forty seconds each");
    };
    simulated::set(None);
    assert_eq!((restored.ok(), replicas.changelogs().renewals), (Some(9), 1));
}

#[test]
fn a_client_that_answers_and_brings_nothing_is_replaced_too() {
    let bench = Bench::new();
    let log = vec![row(0, "a", (1, 1), "word"), meta(1, (1, 1)), barrier(2, "mine")];
    let idle = Slow { log, end: 3, is_mute: false, is_idle: true, ..Slow::default() };
    simulated::set(Some(Duration::ZERO));
    let mut replicas = Replicas::new(bench.rules(), idle, Words, BTreeSet::new());
    let ask = || Word::Restore { shard: 0, partition: 0, nonce: "mine".to_owned() };
    let turn = |replicas: &mut Replicas<'_, Slow, Words>| {
        replicas.fetch(Duration::ZERO).unwrap();
        replicas.work();
        replicas.answer().map(|(_, answer)| answer.outcome.map(|restored| restored.replayed))
    };
    replicas.hear(ask());
    for second in 0..=60 {
        simulated::set(Some(Duration::from_secs(second)));
        assert!(turn(&mut replicas).is_none(), "it is given its time");
    }
    simulated::set(Some(Duration::from_secs(61)));
    assert_eq!(turn(&mut replicas).unwrap().unwrap_err().verdict(), Verdict::Retry);
    assert!(!replicas.changelogs().is_idle, "there is a new client");
    // So does the shard.
    replicas.hear(ask());
    let restored = [turn(&mut replicas), turn(&mut replicas)].into_iter().flatten().next();
    assert_eq!(restored.unwrap().ok(), Some(3));
    simulated::set(None);
}

#[test]
fn a_standby_that_is_left_behind_in_silence_gets_another_client() {
    let bench = Bench::new();
    let log = vec![row(0, "a", (1, 1), "word"), meta(1, (1, 1))];
    let idle = Slow { log, end: 2, is_mute: false, is_idle: true, ..Slow::default() };
    simulated::set(Some(Duration::ZERO));
    let mut replicas = Replicas::new(bench.rules(), idle, Words, BTreeSet::from([0]));
    let mut renewed = None;
    for second in (0..1_000).step_by(2) {
        simulated::set(Some(Duration::from_secs(second)));
        replicas.fetch(Duration::ZERO).unwrap();
        replicas.work();
        if !replicas.changelogs().is_idle {
            renewed.get_or_insert(second);
        }
    }
    simulated::set(None);
    // It is begun after a few seconds. From then on there is nothing more.
    assert!(renewed.is_some_and(|second| (300..320).contains(&second)), "{renewed:?}");
}

/// A partition that no client can read must not keep those beside it from their end, whether a shard waits for it or it is kept warm.
#[test]
fn what_no_client_heals_takes_new_ones_ever_less_often() {
    for (standbys, hours) in [(BTreeSet::new(), 4), (BTreeSet::from([0]), 8)] {
        let bench = Bench::new();
        let log = vec![row(0, "a", (1, 1), "word"), meta(1, (1, 1)), barrier(2, "mine")];
        let broken = Slow { log, end: 3, is_idle: true, is_broken: true, ..Slow::default() };
        simulated::set(Some(Duration::ZERO));
        let is_claimed = standbys.is_empty();
        let mut replicas = Replicas::new(bench.rules(), broken, Words, standbys);
        let ask = || Word::Restore { shard: 0, partition: 0, nonce: "mine".to_owned() };
        if is_claimed {
            replicas.hear(ask());
        }
        let mut moments = Vec::new();
        for second in 0..hours * 60 * 60 {
            simulated::set(Some(Duration::from_secs(second)));
            replicas.fetch(Duration::ZERO).unwrap();
            replicas.work();
            if replicas.answer().is_some() {
                replicas.hear(ask());
            }
            if replicas.changelogs().renewals > moments.len() {
                moments.push(second);
            }
        }
        simulated::set(None);
        let rests: Vec<u64> = moments.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(rests.len() > 4 && rests.is_sorted() && rests.iter().any(|rest| *rest >= 3_600), "{rests:?}");
    }
}

#[test]
fn who_is_followed_goes_on_where_he_stands_with_a_new_client() {
    let mut bench = Bench::new();
    bench.config.restore_window = 1_000;
    // Of the last commit the META has not come yet.
    let log =
        vec![row(0, "a", (1, 1), "word"), meta(1, (1, 1)), row(2, "a", (1, 2), "other"), row(3, "b", (1, 2), "word")];
    let slow = Slow { log, end: 9, ..Slow::default() };
    simulated::set(Some(Duration::ZERO));
    let mut replicas = Replicas::new(bench.rules(), slow, Words, BTreeSet::from([0]));
    for second in 0..80 {
        simulated::set(Some(Duration::from_secs(second)));
        if second == 10 {
            // Nothing is brought of it.
            replicas.hear(Word::Restore { shard: 0, partition: 1, nonce: "other".to_owned() });
        }
        replicas.fetch(Duration::ZERO).unwrap();
        replicas.work();
    }
    simulated::set(None);
    let Slow { renewals, started, .. } = replicas.changelogs();
    assert_eq!(*renewals, 1);
    assert_eq!(started.last(), Some(&(0, 2)), "{started:?}");
}

/// librdkafka itself, which waits at a client's end for every record that somebody holds: here a row whose META has not come yet.
#[test]
fn a_real_client_is_replaced_in_the_midst_of_a_commit() {
    let (done, ended) = std::sync::mpsc::channel();
    let body = move || {
        replace_amid_a_commit();
        done.send(())
    };
    std::thread::Builder::new().spawn(body).unwrap();
    assert!(ended.recv_timeout(Duration::from_secs(60)).is_ok(), "nobody waits for the end of the old client for ever");
}

fn replace_amid_a_commit() {
    let brokers = MockCluster::new(1).unwrap();
    brokers.create_topic("changelog", 2, 1).unwrap();
    let writer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", brokers.bootstrap_servers()).create().unwrap();
    let write = |partition: i32, records: &[Written]| {
        for Written { key, value, .. } in records {
            let record = BaseRecord::to("changelog").partition(partition).key(key).payload(value.as_ref().unwrap());
            writer.send(record).unwrap();
        }
        writer.flush(Duration::from_secs(10)).unwrap();
    };
    let commit = [row(0, "a", (1, 1), "word"), meta(1, (1, 1))];
    write(0, &commit);
    write(1, &commit);
    write(1, &[row(2, "b", (1, 2), "word")]);
    let mut bench = Bench::new();
    bench.config.restore_window = 1_000;
    let rules = bench.rules();
    let lag = rules.metrics.standby_lag.clone();
    let client = KafkaChangelogs::new(&Settings::new(&brokers.bootstrap_servers(), "restorer"), "changelog").unwrap();
    simulated::set(Some(Duration::ZERO));
    let mut replicas = Replicas::new(rules, client, Words, BTreeSet::from([1]));
    let mut second = 10;
    let mut turn = |replicas: &mut Replicas<'_, KafkaChangelogs, Words>, seconds: u64| {
        second += seconds;
        simulated::set(Some(Duration::from_secs(second)));
        replicas.fetch(Duration::from_millis(20)).unwrap();
        replicas.work();
        replicas.answer().map(|(_, answer)| (answer.partition, answer.outcome.map(|restored| restored.replayed)))
    };
    let is_held = || lag.collect()[0].get_metric().iter().any(|lag| lag.get_gauge().get_value() == 0.0);
    while !is_held() {
        turn(&mut replicas, 1);
    }

    // From now on it brings nothing, though it answers. What it asked for before comes to its end.
    brokers.request_errors(RDKafkaApiKey::Fetch, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION; 1_000]);
    std::thread::park_timeout(Duration::from_secs(1));
    write(0, &[barrier(2, "mine")]);
    write(1, &[meta(3, (1, 2)), barrier(4, "mine")]);
    let ask = |partition: i32| Word::Restore { shard: 0, partition, nonce: "mine".to_owned() };
    replicas.hear(ask(0));
    assert!(turn(&mut replicas, 1).is_none());
    let (partition, outcome) = turn(&mut replicas, 61).unwrap();
    assert_eq!((partition, outcome.unwrap_err().verdict()), (0, Verdict::Retry), "whoever waits for it hears of it");

    brokers.clear_request_errors(RDKafkaApiKey::Fetch);
    (0..2).for_each(|partition| replicas.hear(ask(partition)));
    let mut restored = BTreeMap::new();
    while restored.len() < 2 {
        restored.extend(turn(&mut replicas, 0).map(|(partition, outcome)| (partition, outcome.unwrap())));
    }
    simulated::set(None);
    assert_eq!(restored, BTreeMap::from([(0, 3), (1, 3)]), "each goes on where it stood");
}
