//! What each service takes: of the processor while there is nothing to do, of memory then and when there is much.

use std::fmt::Write;
use std::time::Duration;

use schemas::{Fact, encode};
use system_tests::cpu::load;
use system_tests::feed::Feed;
use system_tests::installation::deploy;

use crate::ground::{CHANNEL, Ground, Running};
use crate::workload::{history, name, profile, registration};

/// In the order in which they start.
const SERVICES: [&str; 4] = ["tracker", "intake", "operator", "channel push"];

/// After the start: caches fill, groups find together.
const CALM: Duration = Duration::from_secs(15);

/// With nothing to do.
const SPAN: Duration = Duration::from_secs(60);

/// Each is known, registers, gets a message and comes by twice.
const CUSTOMERS: usize = 100_000;

/// Measures, and gives back a table.
pub fn measure() -> String {
    let before = load();
    let ground = Ground::new("bench-idle");
    let settings = [("CASCADE_CONFIG", configuration(&ground))];
    let mut services = SERVICES.iter().map(|name| ground.start_with(name, &settings)).collect::<Vec<_>>();
    services.iter_mut().for_each(Running::wait_until_ready);
    std::thread::park_timeout(CALM);
    let cpu = |services: &[Running]| services.iter().map(Running::cpu_seconds).collect::<Vec<_>>();
    let memory = |services: &[Running], line| services.iter().map(|it| it.memory_mb(line)).collect::<Vec<_>>();
    let begun = cpu(&services);
    std::thread::park_timeout(SPAN);
    let (ended, rest) = (cpu(&services), memory(&services, "VmRSS"));
    load_up(&ground, &mut services);
    let peak = memory(&services, "VmHWM");
    let all = cpu(&services);
    services.into_iter().rev().for_each(Running::end);

    let mut table = format!(
        "{} s with nothing to do, then {} records of {CUSTOMERS} customers and a message to each\n\n{:<16}{:>16}{:>16}{:>16}{:>16}\n",
        SPAN.as_secs(),
        4 * CUSTOMERS,
        "",
        "idle, % of one",
        "at rest, MB",
        "at most, MB",
        "CPU s for it"
    );
    for (number, service) in SERVICES.iter().enumerate() {
        let idle = (ended[number] - begun[number]) * 100.0 / SPAN.as_secs_f64();
        let _ = writeln!(
            table,
            "{service:<16}{idle:>16.2}{:>16.0}{:>16.0}{:>16.1}",
            rest[number],
            peak[number],
            all[number] - ended[number]
        );
    }
    let sum = (ended.iter().sum::<f64>() - begun.iter().sum::<f64>()) * 100.0 / SPAN.as_secs_f64();
    let _ = write!(table, "\nall together {sum:.2} % of one processor; load of the machine {before}, then {}", load());
    table
}

/// A worker whose provider takes everything, and a tracker.
fn configuration(ground: &Ground) -> String {
    let (path, key) = (ground.place.path("cascade.toml"), ground.place.path("key"));
    let text = format!(
        "[templates]\ndir = \"{}\"\n\n[tracker]\nlisten = \"127.0.0.1:0\"\nkeys = \"1:{}\"\n\n[channel.{CHANNEL}]\nrate_per_second = 100000\n\
         on_unknown = \"resend\"\ntransport = {{kind = \"nowhere\"}}\n",
        deploy().join("templates").display(),
        key.display()
    );
    std::fs::write(&key, "links are signed with this secret").expect("the directory can be written to");
    std::fs::write(&path, text).expect("the directory can be written to");
    path.display().to_string()
}

/// Everything at once, from the shop's topics on, and waits until all is done.
fn load_up(ground: &Ground, services: &mut [Running]) {
    let (brokers, topics) = (ground.place.brokers(), &ground.topics);
    let feed = Feed::new(brokers);
    for number in 0..CUSTOMERS {
        let customer = name(number);
        feed.send(&topics.profile(), &customer, &encode(&profile(&customer)));
        feed.send(&topics.registration(), &customer, &encode(&registration(&customer)));
        for turn in 3..5 {
            if let Fact::Action(visit) = history(&customer, turn).fact {
                feed.send(&topics.action(), &customer, &encode(&visit));
            }
        }
    }
    feed.flush();
    for (number, topic) in
        [(1, topics.profile()), (1, topics.registration()), (1, topics.action()), (2, topics.input())]
    {
        services[number].wait_until_done(brokers, &topic);
    }
    services[3].wait_until_done(brokers, &topics.send(CHANNEL));
}
