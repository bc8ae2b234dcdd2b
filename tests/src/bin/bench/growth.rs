//! What an event costs as more is kept: customers in the stores, and partitions. The operator with its usual settings; campaigns and
//! cascades of one customer are the brain's (`bench brain`).

use std::time::Duration;

use fastrand::Rng;
use schemas::encode;
use stream::clock::machine_now;
use system_tests::cpu::load;
use system_tests::feed::Feed;

use crate::deadlines::{fill, row_of_a_waiting_customer};
use crate::ground::{Ground, PARTITIONS, Running};
use crate::peers::bytes_in;
use crate::workload::{name, visit};

/// Of customers anywhere in the base, so that most find their row in the store and not in memory.
const EVENTS: usize = 300_000;

/// Partitions beside each other, with the least number of customers.
const SPREADS: [i32; 3] = [4, 16, 64];

const DAY: i64 = 24 * 3_600_000;

/// Measures, and tells each line of a table as it is there: sizes that are large take longer to be filled than to be measured.
pub fn measure(sizes: &[usize], tell: &dyn Fn(&str)) -> String {
    let before = load();
    let least = sizes.iter().copied().min().unwrap_or(1_000_000);
    let by_size = sizes.iter().map(|customers| (*customers, PARTITIONS));
    let by_spread = SPREADS.into_iter().filter(|partitions| *partitions != PARTITIONS).map(|it| (least, it));
    tell(&format!(
        "{EVENTS} events each\n\n{:>14}{:>12}{:>12}{:>16}{:>10}{:>16}{:>14}",
        "customers", "partitions", "store, GB", "events/CPU s", "ratio", "events/wall s", "memory, MB"
    ));
    let mut first = None;
    for (customers, partitions) in by_size.chain(by_spread) {
        let Grown { disk, cpu_seconds, wall_seconds, peak } = Grown::measure(customers, partitions);
        let per_cpu = EVENTS as f64 / cpu_seconds;
        let ratio = *first.get_or_insert(per_cpu) / per_cpu;
        tell(&format!(
            "{customers:>14}{partitions:>12}{:>12.2}{per_cpu:>16.0}{ratio:>10.2}{:>16.0}{peak:>14.0}",
            disk as f64 / 1e9,
            EVENTS as f64 / wall_seconds
        ));
    }
    format!("\nratio: cost of an event by that of the first line; load of the machine {before}, then {}", load())
}

struct Grown {
    disk: u64,
    cpu_seconds: f64,
    wall_seconds: f64,
    peak: f64,
}

impl Grown {
    fn measure(customers: usize, partitions: i32) -> Self {
        let ground = Ground::with(&format!("bench-growth-{customers}-{partitions}"), partitions);
        let row = row_of_a_waiting_customer(&ground);
        std::fs::remove_dir_all(ground.state_dir()).expect("the directory can be removed");
        // Nothing falls due meanwhile.
        fill(&ground, row, customers, 0, machine_now() + DAY);
        let disk = bytes_in(&ground.state_dir());
        let mut operator = ground.start("operator");
        operator.wait_until_ready();
        wait_until_idle(&operator);
        let (brokers, input) = (ground.place.brokers(), ground.topics.input());
        let (feed, mut chance) = (Feed::new(brokers), Rng::with_seed(7));
        let begun = (stream::clock::Tick::now(), operator.cpu_seconds());
        for number in 0..EVENTS {
            let customer = name(chance.usize(0..customers));
            // A visit each, and each another one.
            feed.send(&input, &customer, &encode(&visit(&customer, format!("{customer}-{number}"))));
        }
        feed.flush();
        operator.wait_until_done(brokers, &input);
        let (wall_seconds, cpu_seconds) = (begun.0.elapsed().as_secs_f64(), operator.cpu_seconds() - begun.1);
        let peak = operator.memory_mb("VmHWM");
        operator.end();
        Grown { disk, cpu_seconds, wall_seconds, peak }
    }
}

/// What was filled in one go may still be put in order.
fn wait_until_idle(operator: &Running) {
    let mut spent = operator.cpu_seconds();
    loop {
        std::thread::park_timeout(Duration::from_secs(2));
        let now = operator.cpu_seconds();
        if now - spent < 0.05 {
            return;
        }
        spent = now;
    }
}
