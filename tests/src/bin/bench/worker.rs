//! Messages that one worker hands over in a second, from a full topic to a provider that answers after 50 ms, by HTTP, SMTP and SMPP,
//! each beside a bare client in a loop that keeps nothing, reads nothing and survives nothing.

mod bare;
mod doubles;

use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use stream::clock::Tick;
use system_tests::commands::TEMPLATE;
use system_tests::cpu::{self, load};
use system_tests::gate::Gateway;
use system_tests::installation::{Installation, Plan};
use system_tests::place::Place;
use system_tests::process::Process;
use system_tests::wait::until_within;

use crate::relay::Spent;
use bare::Calls;
pub use bare::call;
use doubles::Double;

/// What a provider takes for each.
const PAUSE: Duration = Duration::from_millis(50);

/// Calls under way at once, of both: the most that a worker may have.
const CALLS: usize = 64;

/// More than anybody can do.
const UNLIMITED: u32 = 1_000_000;

const PATIENCE: Duration = Duration::from_secs(900);

/// Other work on the machine shows as a difference between rounds.
const ROUNDS: usize = 3;

/// How messages are handed over.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub enum Protocol {
    Http,
    Smtp,
    Smpp,
}

impl Protocol {
    const ALL: [Protocol; 3] = [Protocol::Http, Protocol::Smtp, Protocol::Smpp];

    /// The channel that goes by it.
    fn channel(self) -> &'static str {
        match self {
            Protocol::Http => "push",
            Protocol::Smtp => "email",
            Protocol::Smpp => "sms",
        }
    }

    /// The one of a word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| format!("{protocol:?}").eq_ignore_ascii_case(word))
    }
}

/// The provider of a round.
enum Provider {
    Http(Gateway),
    Other(Double),
}

impl Provider {
    fn open(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Http => Provider::Http(Gateway::keeping_connections(PAUSE)),
            Protocol::Smtp => Provider::Other(Double::smtp(PAUSE)),
            Protocol::Smpp => Provider::Other(Double::smpp(PAUSE)),
        }
    }

    fn address(&self) -> SocketAddr {
        match self {
            Provider::Http(gateway) => gateway.address,
            Provider::Other(double) => double.address,
        }
    }

    fn answered(&self) -> usize {
        match self {
            Provider::Http(gateway) => gateway.answered(),
            Provider::Other(double) => double.answered(),
        }
    }
}

/// Measures so many messages by each protocol, or by one, and gives back a table.
pub fn measure(sends: usize, only: Option<Protocol>) -> String {
    let before = load();
    let mut table = format!(
        "{sends} messages, {CALLS} at once, answered after {} ms: at most {:.0} a second\n\n",
        PAUSE.as_millis(),
        CALLS as f64 / PAUSE.as_secs_f64()
    );
    let _ = writeln!(table, "{:<24}{:>12}{:>16}{:>12}", "", "a second", "CPU us a send", "wall s");
    for protocol in Protocol::ALL {
        if only.is_none_or(|only| only.channel() == protocol.channel()) {
            rounds(&mut table, protocol, sends);
        }
    }
    let _ = write!(table, "load of the machine {before}, then {}", load());
    table
}

fn rounds(table: &mut String, protocol: Protocol, sends: usize) {
    let (mut ratios, mut windows) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let (worker, window) = through_worker(protocol, round, sends);
        windows.push(window * 1e3);
        let bare = through_client(protocol, round, sends);
        row(table, &format!("cascade worker, {protocol:?}"), sends, worker);
        row(table, &format!("bare {protocol:?} client"), sends, bare);
        ratios.push((bare.wall_seconds / worker.wall_seconds, worker.cpu_seconds / bare.cpu_seconds));
    }
    let median = |of: fn(&(f64, f64)) -> f64| {
        let mut all: Vec<f64> = ratios.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    let _ = writeln!(
        table,
        "{:.2} of the client's rate at {:.1} times its CPU (medians of {ROUNDS} rounds); from the look at the withdrawals to the call \
         {:.0} ms on average\n",
        median(|(rate, _)| *rate),
        median(|(_, cpu)| *cpu),
        windows.iter().sum::<f64>() / ROUNDS as f64,
    );
}

fn row(table: &mut String, who: &str, sends: usize, spent: Spent) {
    let (rate, each) = (sends as f64 / spent.wall_seconds, spent.cpu_seconds * 1e6 / sends as f64);
    let _ = writeln!(table, "{who:<24}{rate:>12.0}{each:>16.0}{:>12.1}", spent.wall_seconds);
}

/// From the start of the worker, which finds all commands there, to the last answer. And the mean time from a look at the withdrawals
/// to a call that rests on it, in seconds. The time before the first message arrives is taken off.
fn through_worker(protocol: Protocol, round: usize, sends: usize) -> (Spent, f64) {
    let provider = Provider::open(protocol);
    let channel = protocol.channel();
    let templates = [format!("{TEMPLATE}.{channel}")];
    let mut cascade = Installation::prepare(&Plan {
        rate_per_second: UNLIMITED,
        gateway: Some(provider.address()),
        partitions: 4,
        plain_templates: &templates,
        ..Plan::new(&format!("bench-{channel}-{round}"), &[], &[channel])
    });
    lead_to(&cascade, protocol, provider.address());
    cascade.command_to(channel, sends, |customer| match protocol {
        Protocol::Smpp => format!("+7900{:07}", customer.rsplit('-').next().and_then(|n| n.parse().ok()).unwrap_or(0)),
        _ => format!("{customer}@example.test"),
    });
    let worker = format!("channel {channel}");
    cascade.launch(&worker);
    let id = cascade.service(&worker).process().id().to_string();
    until_within(PATIENCE, "the first is taken", || provider.answered() > 0);
    let (begun, cpu_before, first) = (Tick::now(), cpu::seconds_of(&id), provider.answered());
    until_within(PATIENCE, "all are answered", || provider.answered() >= sends);
    let wall_seconds = begun.elapsed().as_secs_f64();
    // As if those that were answered before had taken as long as the others.
    let share = sends as f64 / (sends - first) as f64;
    let cpu_seconds = (cpu::seconds_of(&id) - cpu_before) * share;
    let spent = Spent { cpu_seconds, wall_seconds: wall_seconds * share };
    assert_eq!(provider.answered(), sends, "each once");
    let mut window = |part| cascade.service(&worker).metric(&format!("cascade_residual_window_seconds_{part}"));
    (spent, window("sum") / window("count"))
}

/// Makes the channel's way the one to the double.
fn lead_to(cascade: &Installation, protocol: Protocol, to: SocketAddr) {
    let (host, port) = (to.ip().to_string(), to.port());
    let transport = match protocol {
        Protocol::Http => return,
        Protocol::Smtp => {
            json!({"kind": "email", "host": host, "port": port, "tls": "none", "from": "The Shop <news@shop.test>"})
        }
        Protocol::Smpp => {
            let password = cascade.place.path("smpp-password");
            std::fs::write(&password, "secret").expect("it can be written");
            json!({"kind": "smpp", "host": host, "port": port, "system_id": "bench", "password": {"file": password},
                "source": "SHOP", "window": CALLS, "receipts": false})
        }
    };
    let settings = cascade.place.path("cascade.toml");
    let text = std::fs::read_to_string(&settings).expect("it was written");
    let mut text: toml::Table = text.parse().expect("settings are TOML");
    let section = text["channel"][protocol.channel()].as_table_mut().expect("a channel is a table");
    section.insert("transport".to_owned(), toml::Value::try_from(transport).expect("settings are TOML"));
    std::fs::write(&settings, text.to_string()).expect("it can be written");
}

fn through_client(protocol: Protocol, round: usize, sends: usize) -> Spent {
    let place = Place::new(&format!("bench-client-{}-{round}", protocol.channel()));
    let provider = Provider::open(protocol);
    let calls = Calls { protocol, address: provider.address().to_string(), count: sends };
    let order = serde_json::to_string(&calls).expect("it is JSON");
    let program = std::env::current_exe().expect("a process knows its program");
    let log = place.path("client.log");
    let mut process = Process::start(&program, ["client", order.as_str()], [("RUST_LOG", "warn")], &log);
    until_within(PATIENCE, "the client ends", || !process.is_running());
    let said = process.said();
    let spent = serde_json::from_str(said.lines().last().unwrap_or_default());
    assert_eq!(provider.answered(), sends, "each once");
    spent.unwrap_or_else(|_| panic!("the client has failed:\n{said}"))
}
