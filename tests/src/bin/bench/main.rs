//! Measurements, each beside a ceiling that was measured in the same run.
//!
//! ```text
//! cargo run -p system-tests --bin bench -- latency    record appended -> send command readable: when idle, and beside half of what the operator can do
//! cargo run -p system-tests --bin bench -- idle       what each service takes with nothing to do, and its memory with much to do
//! cargo run -p system-tests --bin bench -- drain      records of `input` that the operator does with a second of CPU
//! cargo run -p system-tests --bin bench -- traces     the same with cascades that are followed, beside the same without
//! cargo run -p system-tests --bin bench -- restore [CUSTOMERS]              a lost state directory, from the changelog
//! cargo run -p system-tests --bin bench -- deadlines [OUTSTANDING [HERD [STORES]]]   deadlines in one store or more, and many due at once
//! cargo run -p system-tests --bin bench -- growth [CUSTOMERS...]      what an event costs as more is kept
//! cargo run -p system-tests --bin bench -- brain [instructions]       what one decision costs: no Kafka, no other process
//! cargo run -p system-tests --bin bench -- peers [EVENTS [CUSTOMERS [uniform|hot|zipf]]] [--rows N]   the engine beside others
//! cargo run -p system-tests --bin bench -- worker [SENDS [http|smtp|smpp]]    one worker and a provider that answers after 50 ms, beside a bare client
//! cargo run -p system-tests --bin bench -- tracker [RECEIPTS]   receipts that are acknowledged once Kafka has them, also across a kill; by wrk, too
//! ```
//!
//! `cargo build -p cascade` comes first, or `CASCADE_BIN` names the program. Figures are for comparing two states of the code on one
//! quiet machine; the ratio to the ceiling may be compared between machines, too. For latency the ceiling is what one gets with the
//! client library's usual calls: two hops with a transaction each, as intake and operator have them. It is no bound: the engine
//! spares a wait in each commit, so that under load its ratio may fall below 1.

mod latency;
mod idle;
mod drain;
mod traces;
mod restore;
mod deadlines;
mod growth;
mod brain;
mod peers;
mod worker;
mod tracker;
mod ground;
mod workload;
mod relay;
mod eye;

use std::error::Error;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

// The product's allocator, for contenders that are this program: it takes the place of the system's, for librdkafka, too.
use tikv_jemallocator as _;

/// Makes `deploy/kafka/start.sh` start a broker for measurements.
const LARGE_BROKER: (&str, &str) = ("KAFKA_BENCH", "1");

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["relay", order] => told(&relay::run(order)),
        ["client", order] => told(&worker::call(order)),
        ["peers", contender @ ("raw" | "ours"), order] => ended(peers::become_contender(contender, order)),
        [
            "latency" | "idle" | "drain" | "traces" | "restore" | "deadlines" | "growth" | "peers" | "worker"
            | "tracker",
            ..,
        ] if std::env::var(LARGE_BROKER.0).is_err() => with_a_large_broker(&arguments),
        ["latency"] => told(&latency::measure()),
        ["idle"] => told(&idle::measure()),
        ["drain"] => told(&drain::measure()),
        ["traces"] => told(&traces::measure()),
        ["restore"] => told(&restore::measure(500_000)),
        ["restore", customers] => sized(&[customers], |sizes| restore::measure(sizes[0])),
        ["deadlines"] => told(&deadlines::measure(1_000_000, 100_000, 1)),
        ["deadlines", outstanding] => sized(&[outstanding], |sizes| deadlines::measure(sizes[0], sizes[0] / 10, 1)),
        ["deadlines", outstanding, herd] => {
            sized(&[outstanding, herd], |sizes| deadlines::measure(sizes[0], sizes[1], 1))
        }
        ["deadlines", outstanding, herd, stores] => sized(&[outstanding, herd, stores], |sizes| {
            deadlines::measure(sizes[0], sizes[1], i32::try_from(sizes[2]).unwrap_or(i32::MAX))
        }),
        ["growth"] => told(&growth::measure(&[1_000_000, 10_000_000], &|line| _ = told(line))),
        ["growth", ref customers @ ..] => sized(customers, |sizes| growth::measure(sizes, &|line| _ = told(line))),
        ["worker"] => told(&worker::measure(20_000, None)),
        ["worker", sends] => sized(&[sends], |sizes| worker::measure(sizes[0], None)),
        ["worker", sends, protocol] => match worker::Protocol::of(protocol) {
            Some(protocol) => sized(&[sends], |sizes| worker::measure(sizes[0], Some(protocol))),
            None => usage(),
        },
        ["tracker"] => told(&tracker::measure(50_000)),
        ["tracker", receipts] => sized(&[receipts], |sizes| tracker::measure(sizes[0])),
        ["brain"] => told(&brain::measure(false)),
        ["brain", "instructions"] => told(&brain::measure(true)),
        ["brain", "decide", number] => told(&brain::decide(number)),
        ["peers", ref words @ ..] => ended(peers::measure(words, &|table| _ = told(table)).map_err(Into::into)),
        _ => usage(),
    }
}

fn ended(result: Result<(), Box<dyn Error>>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    let _ = writeln!(std::io::stderr(), "{error}");
    ExitCode::FAILURE
}

fn usage() -> ExitCode {
    let _ = writeln!(
        std::io::stderr(),
        "usage: bench latency|idle|drain|traces|restore [CUSTOMERS]|deadlines [OUTSTANDING [HERD [STORES]]]|growth [CUSTOMERS...]|brain [instructions]|peers [EVENTS [CUSTOMERS [KEYS]]]|worker [SENDS]|tracker [RECEIPTS]"
    );
    ExitCode::from(64)
}

fn sized(sizes: &[&str], measure: impl Fn(&[usize]) -> String) -> ExitCode {
    let sizes: Result<Vec<usize>, _> = sizes.iter().map(|size| size.replace('_', "").parse()).collect();
    sizes.map_or_else(|_| usage(), |sizes| told(&measure(&sizes)))
}

/// Becomes the same program again: processes take their environment from whoever starts them, the broker from this one.
fn with_a_large_broker(arguments: &[&str]) -> ExitCode {
    let program = std::env::current_exe().expect("a process knows its program");
    let error = Command::new(program).args(arguments).env(LARGE_BROKER.0, LARGE_BROKER.1).exec();
    let _ = writeln!(std::io::stderr(), "cannot start again: {error}");
    ExitCode::FAILURE
}

fn told(text: &str) -> ExitCode {
    // Whoever closed the pipe has seen enough.
    let _ = writeln!(std::io::stdout(), "{text}");
    ExitCode::SUCCESS
}
