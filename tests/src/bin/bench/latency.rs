//! How long a lone record takes from the shop to a command that a channel worker can read.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::Message as _;
use rdkafka::error::KafkaError;
use schemas::encode;
use stream::clock::Tick;
use system_tests::feed::{Feed, create_topics};

use crate::eye::reader;
use crate::ground::{CHANNEL, Ground};
use crate::relay::Relay;
use crate::workload::{self, history, name, profile, registration};
use system_tests::cpu::load;

const WARM_UP: usize = 100;
const SAMPLES: usize = 400;

/// Twenty records in a second: each finds everything idle.
const PACE: Duration = Duration::from_millis(50);

/// To find out what the operator can do.
const VISITS: usize = 1_000_000;
const VISITORS: usize = 100_000;

/// Between two looks at whether more is to come.
const GLANCE: Duration = Duration::from_millis(100);

/// Longer than this without any and the records are lost.
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures, and gives back a table.
pub fn measure() -> String {
    let before = load();
    let ground = Ground::new("bench-latency");
    let (cascade, decided, busy, rate) = through_cascade(&ground);
    let two = through_relays(&ground, &["two-a", "two-b", "two-c"]);
    let one = through_relays(&ground, &["one-a", "one-b"]);

    let mut table = format!(
        "record appended -> result readable (read_committed), {SAMPLES} records, {} in a second, times in ms\n\n",
        Duration::from_secs(1).as_millis() / PACE.as_millis()
    );
    let _ = writeln!(table, "{:<60}{:>8}{:>8}{:>8}{:>8}", "", "p50", "p90", "p99", "max");
    row(&mut table, "cascade: source -> intake -> input -> operator -> send", &cascade);
    row(&mut table, "ceiling: the client library alone, two transactions", &two);
    row(&mut table, "cascade: input -> operator -> send", &decided);
    row(&mut table, "ceiling: one transaction", &one);
    row(&mut table, "cascade: input -> operator -> send, busy", &busy);
    let ratio = cascade.at(50).as_secs_f64() / two.at(50).as_secs_f64();
    let _ = write!(
        table,
        "\nbusy: beside {rate:.0} visits in a second, half of what is done when all of them are there at once\n\
         cascade takes {ratio:.2} times its ceiling (p50); load of the machine {before}, then {}",
        load()
    );
    table
}

/// One line of a table.
pub fn row(table: &mut String, what: &str, taken: &Taken) {
    let _ = write!(table, "{what:<60}");
    for percent in [50, 90, 99, 100] {
        let _ = write!(table, "{:>8.1}", taken.at(percent).as_secs_f64() * 1e3);
    }
    table.push('\n');
}

/// Times that records took, in order of length.
pub struct Taken(Vec<Duration>);

impl Taken {
    /// Of so many records.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// So many of a hundred records took no longer.
    fn at(&self, percent: usize) -> Duration {
        self.0[(self.0.len() * percent).div_ceil(100).max(1) - 1]
    }
}

/// Customers are known before; each registers, and the campaign answers at once: from the source, then from `input`, then from there while
/// others come by at half of the rate at which the operator can take them. The last is this rate, in a second.
fn through_cascade(ground: &Ground) -> (Taken, Taken, Taken, f64) {
    let (brokers, topics) = (ground.place.brokers(), &ground.topics);
    let [mut intake, mut operator] = ["intake", "operator"].map(|name| ground.start(name));
    intake.wait_until_ready();
    operator.wait_until_ready();
    let feed = Feed::new(brokers);
    let each = WARM_UP + SAMPLES;
    for number in 0..3 * each {
        feed.send(&topics.profile(), &name(number), &encode(&profile(&name(number))));
    }
    feed.flush();
    intake.wait_until_done(brokers, &topics.profile());
    operator.wait_until_done(brokers, &topics.input());
    let cascade = departures(brokers, &topics.registration(), &topics.send(CHANNEL));
    intake.end();
    let registered = |numbers| {
        let record = |number: usize| (name(number), encode(&history(&name(number), 1)));
        travel(brokers, &topics.input(), &topics.send(CHANNEL), numbers, record)
    };
    let decided = registered(each..2 * each);
    let begun = Tick::now();
    (0..VISITS).for_each(|number| visit(&feed, &topics.input(), number));
    feed.flush();
    operator.wait_until_done(brokers, &topics.input());
    let rate = VISITS as f64 / begun.elapsed().as_secs_f64() / 2.0;
    let is_over = AtomicBool::new(false);
    let busy = std::thread::scope(|scope| {
        scope.spawn(|| come_by(&feed, &topics.input(), rate, &is_over));
        let busy = registered(2 * each..3 * each);
        is_over.store(true, Ordering::Relaxed);
        busy
    });
    (cascade, decided, busy, rate)
}

/// Visits at a rate, until it is over.
fn come_by(feed: &Feed, input: &str, rate: f64, is_over: &AtomicBool) {
    let (begun, mut count) = (Tick::now(), VISITS);
    // Not for ever, should the records beside it be lost.
    while !is_over.load(Ordering::Relaxed) && begun.elapsed() < 2 * PATIENCE {
        let wanted = VISITS + (begun.elapsed().as_secs_f64() * rate) as usize;
        (count..wanted).for_each(|number| visit(feed, input, number));
        count = wanted.max(count);
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// One of many customers comes by, who do not register.
fn visit(feed: &Feed, input: &str, number: usize) {
    let customer = format!("visitor-{}", number % VISITORS);
    feed.send(input, &customer, &encode(&workload::visit(&customer, format!("visit-{number}"))));
}

/// Registrations of everybody from topic to topic.
fn departures(brokers: &str, source: &str, sink: &str) -> Taken {
    travel(brokers, source, sink, 0..WARM_UP + SAMPLES, |number| (name(number), encode(&registration(&name(number)))))
}

/// The same records from topic to topic, by a process of the plain loop between each two.
fn through_relays(ground: &Ground, stations: &[&str]) -> Taken {
    let brokers = ground.place.brokers();
    let topics: Vec<String> = stations.iter().map(|station| ground.place.topic(station)).collect();
    let wanted: Vec<(&str, i32)> = topics.iter().map(|topic| (topic.as_str(), crate::ground::PARTITIONS)).collect();
    create_topics(brokers, &wanted);
    let relays: Vec<_> = topics
        .windows(2)
        .map(|way| Relay {
            brokers: brokers.to_owned(),
            from: way[0].clone(),
            to: way[1].clone(),
            out_percent: 100,
            out_bytes: None,
            linger_ms: 0,
            records: None,
        })
        .map(|relay| relay.start(&ground.place))
        .collect();
    let taken = departures(brokers, &topics[0], &topics[topics.len() - 1]);
    drop(relays);
    taken
}

/// Records on their way.
#[derive(Default)]
struct Journey {
    /// When each customer's record left.
    left: Mutex<BTreeMap<String, Duration>>,
    /// No more will leave.
    is_complete: AtomicBool,
}

/// Writes records at their pace into `source`, as long as there are numbers, and looks for their keys in `sink`. The first ones are not
/// counted.
pub fn travel(
    brokers: &str,
    source: &str,
    sink: &str,
    numbers: impl Iterator<Item = usize>,
    record: impl Fn(usize) -> (String, Vec<u8>),
) -> Taken {
    let begun = Tick::now();
    let journey = Journey::default();
    let arrived = std::thread::scope(|scope| {
        let arrivals = scope.spawn(|| arrivals(brokers, sink, &journey, begun));
        let feed = Feed::new(brokers);
        for (index, number) in numbers.enumerate() {
            let slot = begun.after(PACE * u32::try_from(index + 20).expect("samples are few"));
            while !slot.remaining().is_zero() {
                std::thread::park_timeout(slot.remaining());
            }
            let (customer, value) = record(number);
            let mut left = journey.left.lock().unwrap_or_else(PoisonError::into_inner);
            left.insert(customer.clone(), begun.elapsed());
            drop(left);
            feed.send(source, &customer, &value);
            feed.flush();
        }
        journey.is_complete.store(true, Ordering::Relaxed);
        arrivals.join().expect("every record arrives")
    });
    // Names are numbered in the order of their departures.
    let left = journey.left.into_inner().unwrap_or_else(PoisonError::into_inner);
    let measured = left.iter().skip(WARM_UP);
    let mut taken: Vec<Duration> = measured.map(|(customer, left)| arrived[customer] - *left).collect();
    taken.sort_unstable();
    Taken(taken)
}

/// When each customer's record could be read, counted from `begun`.
fn arrivals(brokers: &str, sink: &str, journey: &Journey, begun: Tick) -> BTreeMap<String, Duration> {
    let consumer = reader(brokers, &[sink]);
    let (mut arrived, mut heard) = (BTreeMap::new(), Tick::now());
    loop {
        // Asked first: what leaves after it is counted by the next look.
        let is_complete = journey.is_complete.load(Ordering::Relaxed);
        let left = || journey.left.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = left().len() - arrived.len();
        if is_complete && missing == 0 {
            return arrived;
        }
        match consumer.poll(GLANCE) {
            Some(Ok(message)) => {
                let (now, key) = (begun.elapsed(), String::from_utf8_lossy(message.key().unwrap_or_default()));
                if left().contains_key(&*key) {
                    arrived.entry(key.into_owned()).or_insert(now);
                    heard = Tick::now();
                }
            }
            Some(Err(KafkaError::PartitionEOF(_))) | None => {
                assert!(missing == 0 || heard.elapsed() < PATIENCE, "{missing} records do not arrive in {sink}");
            }
            Some(Err(error)) => panic!("cannot read {sink}: {error}"),
        }
    }
}
