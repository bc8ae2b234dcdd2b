//! How many records of `input` the operator does with a second of processor time, when there is plenty to do.

use std::fmt::Write;

use schemas::encode;
use stream::clock::Tick;
use system_tests::feed::{Feed, create_topics};

use crate::eye::{Volume, volume};
use crate::ground::{CHANNEL, Ground, PARTITIONS};
use crate::relay::{Relay, Spent};
use crate::workload::{FACTS, history, name};
use system_tests::cpu::load;

const CUSTOMERS: usize = 50_000;

/// Other work on the machine shows as a difference between rounds.
const ROUNDS: usize = 3;

/// Measures, and gives back a table.
pub fn measure() -> String {
    let before = load();
    let rounds: Vec<Round> = (1..=ROUNDS).map(Round::run).collect();
    let Round { read, written, .. } = &rounds[0];
    let mut table = format!(
        "{} records of {CUSTOMERS} customers, {:.1} MB in; {} records, {:.1} MB out\n\n",
        read.records,
        megabytes(*read),
        written.records,
        megabytes(*written)
    );
    let _ = writeln!(table, "{:<44}{:>8}{:>16}{:>10}{:>16}", "", "CPU s", "in per CPU s", "wall s", "in per wall s");
    for round in &rounds {
        row(&mut table, "cascade operator", round.read, round.operator);
        row(&mut table, "ceiling: the client library alone", round.read, round.ceiling);
    }
    let ratio = median(&rounds, |round| round.ceiling) / median(&rounds, |round| round.operator);
    let load = format!("load of the machine {before}, then {}", load());
    let _ = write!(table, "\ncascade reaches {ratio:.2} of its ceiling (CPU, median of {ROUNDS} rounds); {load}");
    table
}

/// One measurement of both, with topics of its own.
struct Round {
    read: Volume,
    written: Volume,
    operator: Spent,
    ceiling: Spent,
}

impl Round {
    fn run(number: usize) -> Self {
        let ground = Ground::new(&format!("bench-drain-{number}"));
        preload(&ground);
        let operator = through_operator(&ground);
        let (brokers, topics) = (ground.place.brokers(), &ground.topics);
        let read = volume(brokers, &[&topics.input()]);
        let outputs = [topics.journal(), topics.send(CHANNEL), topics.revoke(), topics.changelog()];
        let written = volume(brokers, &outputs.each_ref().map(String::as_str));
        let ceiling = through_relay(&ground, read, written);
        Round { read, written, operator, ceiling }
    }
}

fn median(rounds: &[Round], of: impl Fn(&Round) -> Spent) -> f64 {
    let mut all: Vec<f64> = rounds.iter().map(|round| of(round).cpu_seconds).collect();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn row(table: &mut String, what: &str, read: Volume, spent: Spent) {
    let per = |seconds: f64| read.records as f64 / seconds;
    let Spent { cpu_seconds, wall_seconds } = spent;
    let (per_cpu, per_wall) = (per(cpu_seconds), per(wall_seconds));
    let _ = writeln!(table, "{what:<44}{cpu_seconds:>8.2}{per_cpu:>16.0}{wall_seconds:>10.1}{per_wall:>16.0}");
}

fn megabytes(volume: Volume) -> f64 {
    volume.bytes as f64 / 1e6
}

/// Everybody becomes known, then everybody registers, and so on: a customer's facts lie far apart, as they do in life.
pub fn preload(ground: &Ground) {
    let feed = Feed::new(ground.place.brokers());
    let input = ground.topics.input();
    for turn in 0..FACTS {
        for number in 0..CUSTOMERS {
            let customer = name(number);
            feed.send(&input, &customer, &encode(&history(&customer, turn)));
        }
    }
    feed.flush();
}

/// From the start of its process until everything is done, results included.
fn through_operator(ground: &Ground) -> Spent {
    let begun = Tick::now();
    let mut operator = ground.start("operator");
    operator.wait_until_done(ground.place.brokers(), &ground.topics.input());
    Spent { cpu_seconds: operator.cpu_seconds(), wall_seconds: begun.elapsed().as_secs_f64() }
}

/// The same records in, and as many out, of the same size on average.
fn through_relay(ground: &Ground, read: Volume, written: Volume) -> Spent {
    let to = ground.place.topic("ceiling");
    create_topics(ground.place.brokers(), &[(&to, PARTITIONS)]);
    let brokers = ground.place.brokers();
    let relay = Relay {
        brokers: brokers.to_owned(),
        from: ground.topics.input(),
        to: to.clone(),
        out_percent: written.records * 100 / read.records,
        out_bytes: Some(written.bytes / written.records),
        linger_ms: 5,
        records: Some(read.records),
    };
    let spent = relay.run_to_end(&ground.place);
    let wanted = read.records * relay.out_percent / 100;
    assert_eq!(volume(brokers, &[&to]).records, wanted, "the ceiling did another amount of work");
    spent
}
