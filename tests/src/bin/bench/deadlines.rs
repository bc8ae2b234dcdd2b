//! Many deadlines in the stores of one process, and many of them due in one moment: how fast they fire, and what that does
//! to events that come meanwhile.

use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use schemas::{Customer, Millis, decode, encode};
use stream::bulk::Bulk;
use stream::clock::{Clock, Tick, machine_now};
use stream::kafka::{Settings, partition_of};
use system_tests::changelog::Changelog;
use system_tests::feed::Feed;

use crate::ground::{CHANNEL, Ground};
use crate::latency::{Taken, travel};
use crate::peers::bytes_in;
use crate::workload::{history, name};
use system_tests::cpu::load;

const HOUR: Millis = 3_600_000;

/// Events of customers that have no deadline: before the herd, and beside it at least.
const PROBES: usize = 400;

const BETWEEN_LOOKS: Duration = Duration::from_millis(200);

/// Measures, and gives back a table.
pub fn measure(outstanding: usize, herd: usize, stores: i32) -> String {
    let before = load();
    let ground = Ground::with("bench-deadlines", stores);
    let now = machine_now();
    let row = row_of_a_waiting_customer(&ground);
    std::fs::remove_dir_all(ground.state_dir()).expect("the directory can be removed");
    let begun = Tick::now();
    fill(&ground, row, outstanding, herd, now + HOUR);
    let filled = begun.elapsed().as_secs_f64();
    let disk = bytes_in(&ground.state_dir());

    let clock = ground.place.path("clock");
    Clock::drive(&clock, now).expect("the clock can be driven");
    let settings =
        [("CASCADE_CLOCK", format!("driven:{}", clock.display())), ("CASCADE_SOURCES_WAIT", "no".to_owned())];
    let mut operator = ground.start_with("operator", &settings);
    operator.wait_until_ready();
    let feed = Feed::new(ground.place.brokers());
    let calm_until = outstanding + PROBES;
    (outstanding..calm_until + PROBES).for_each(|number| introduce(&ground, &feed, number));
    feed.flush();
    operator.wait_until_done(ground.place.brokers(), &ground.topics.input());
    let calm = probe(&ground, outstanding..calm_until);
    let at_rest = operator.memory_mb("VmRSS");

    Clock::drive(&clock, now + HOUR + 1).expect("the clock can be driven");
    let (begun, cpu) = (Tick::now(), operator.cpu_seconds());
    let has_fired = AtomicBool::new(false);
    let busy = std::thread::scope(|scope| {
        // As long as the herd takes, however long that is.
        let goes_on = |number: &usize| *number < calm_until + PROBES || !has_fired.load(Ordering::Relaxed);
        let known = |number: &usize| introduce(&ground, &feed, number + PROBES);
        let numbers = (calm_until..).take_while(goes_on).inspect(known);
        let busy = scope.spawn(|| probe(&ground, numbers));
        while operator.metric("cascade_deadlines_fired_total") < herd as f64 {
            std::thread::park_timeout(BETWEEN_LOOKS);
        }
        let spent = (begun.elapsed().as_secs_f64(), operator.cpu_seconds() - cpu);
        has_fired.store(true, Ordering::Relaxed);
        (spent, busy.join().expect("every event is answered"))
    });
    let ((wall, cpu), busy) = busy;
    let peak = operator.memory_mb("VmHWM");
    operator.end();

    let mut table = format!(
        "{outstanding} deadlines, stores: {stores}, filled in {filled:.0} s; {:.1} GB on disk, {:.0} bytes each\n\
         resident memory: {at_rest:.0} MB before, {peak:.0} MB at most\n\n",
        disk as f64 / 1e9,
        disk as f64 / outstanding as f64
    );
    let _ = writeln!(
        table,
        "{herd} due at once: {:.0} fired per CPU second, {:.0} per second ({wall:.1} s, {cpu:.1} CPU s)\n",
        herd as f64 / cpu,
        herd as f64 / wall
    );
    let _ = writeln!(table, "{:<60}{:>8}{:>8}{:>8}{:>8}", "event -> send readable, ms", "p50", "p90", "p99", "max");
    crate::latency::row(&mut table, &format!("before ({} events)", calm.count()), &calm);
    let beside = format!("from the moment on at which the herd is due ({} events)", busy.count());
    crate::latency::row(&mut table, &beside, &busy);
    let _ = write!(table, "\nload of the machine {before}, then {}", load());
    table
}

/// A customer is known before it registers.
fn introduce(ground: &Ground, feed: &Feed, number: usize) {
    let customer = name(number);
    feed.send(&ground.topics.input(), &customer, &encode(&history(&customer, 0)));
}

/// Registrations at their pace, each answered by a command.
fn probe(ground: &Ground, customers: impl Iterator<Item = usize>) -> Taken {
    let record = |number: usize| {
        let customer = name(number);
        let value = encode(&history(&customer, 1));
        (customer, value)
    };
    travel(ground.place.brokers(), &ground.topics.input(), &ground.topics.send(CHANNEL), customers, record)
}

/// A customer to whom a message went out, as the operator keeps it.
pub fn row_of_a_waiting_customer(ground: &Ground) -> Customer {
    // Not one of those that are written into the stores: the changelog would hold another row of it.
    let (customer, input) = ("sample", ground.topics.input());
    let feed = Feed::new(ground.place.brokers());
    for turn in 0..2 {
        feed.send(&input, customer, &encode(&history(customer, turn)));
    }
    feed.flush();
    let mut operator = ground.start("operator");
    operator.wait_until_done(ground.place.brokers(), &input);
    operator.end();
    let rows = Changelog::read(ground.place.brokers(), &ground.topics.changelog()).rows();
    decode(rows.values().next().expect("the customer has a row")).expect("a row can be read")
}

/// The same row for everybody; the herd is due at `moment`, the others one by one a day later.
pub fn fill(ground: &Ground, mut row: Customer, outstanding: usize, herd: usize, moment: Millis) {
    let settings = Settings::new(ground.place.brokers(), "bench");
    let (input, changelog) = (ground.topics.input(), ground.topics.changelog());
    std::fs::create_dir_all(ground.state_dir()).expect("the directory can be made");
    let open = |partition| {
        Bulk::open(&settings, &ground.state_dir(), &input, &changelog, partition).expect("a store can be made")
    };
    let mut stores: Vec<Bulk> = (0..ground.partitions).map(open).collect();
    let due =
        |number: usize| if number < herd { moment } else { moment + 24 * HOUR + Millis::try_from(number).unwrap_or(0) };
    let home = |customer: &str| usize::try_from(partition_of(customer.as_bytes(), ground.partitions)).unwrap_or(0);
    for number in 0..outstanding {
        let customer = name(number);
        stores[home(&customer)].arm(due(number), customer.as_bytes()).expect("the disk takes it");
    }
    for number in 0..outstanding {
        let customer = name(number);
        row.instances[0].due = due(number);
        stores[home(&customer)].put(customer.as_bytes(), due(number), &encode(&row)).expect("the disk takes it");
    }
    stores.into_iter().for_each(|store| store.finish().expect("the disk takes it"));
}
