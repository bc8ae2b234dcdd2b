//! Messages that one worker hands over in a second, from a full topic to a provider that answers after 50 ms, beside a bare HTTP
//! client in a loop that keeps nothing, reads nothing and survives nothing.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use stream::clock::Tick;
use system_tests::commands::TEMPLATE;
use system_tests::cpu::{self, load};
use system_tests::gate::Gateway;
use system_tests::http::client;
use system_tests::installation::{Installation, Plan};
use system_tests::place::Place;
use system_tests::process::Process;
use system_tests::wait::until_within;
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use crate::relay::Spent;

const WORKER: &str = "channel push";

/// What a provider takes for each.
const PAUSE: Duration = Duration::from_millis(50);

/// Calls under way at once, of both: the most that a worker may have.
const CALLS: usize = 64;

/// More than anybody can do.
const UNLIMITED: u32 = 1_000_000;

const PATIENCE: Duration = Duration::from_secs(900);

/// Other work on the machine shows as a difference between rounds.
const ROUNDS: usize = 3;

/// What a process of the bare client is to do.
#[derive(Debug, Deserialize, Serialize)]
pub struct Calls {
    url: String,
    count: usize,
}

/// Measures so many messages, and gives back a table.
pub fn measure(sends: usize) -> String {
    let before = load();
    let mut table = format!(
        "{sends} messages, {CALLS} at once, answered after {} ms: at most {:.0} a second\n\n",
        PAUSE.as_millis(),
        CALLS as f64 / PAUSE.as_secs_f64()
    );
    let _ = writeln!(table, "{:<24}{:>12}{:>16}{:>12}", "", "a second", "CPU us a send", "wall s");
    let (mut ratios, mut windows) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let (worker, window) = through_worker(round, sends);
        windows.push(window * 1e3);
        let bare = through_client(round, sends);
        row(&mut table, "cascade worker", sends, worker);
        row(&mut table, "bare HTTP client", sends, bare);
        ratios.push((bare.wall_seconds / worker.wall_seconds, worker.cpu_seconds / bare.cpu_seconds));
    }
    let median = |of: fn(&(f64, f64)) -> f64| {
        let mut all: Vec<f64> = ratios.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    let _ = write!(
        table,
        "\n{:.2} of the client's rate at {:.1} times its CPU (medians of {ROUNDS} rounds); from the look at the withdrawals to the call \
         {:.0} ms on average; load of the machine {before}, then {}",
        median(|(rate, _)| *rate),
        median(|(_, cpu)| *cpu),
        windows.iter().sum::<f64>() / ROUNDS as f64,
        load()
    );
    table
}

fn row(table: &mut String, who: &str, sends: usize, spent: Spent) {
    let (rate, each) = (sends as f64 / spent.wall_seconds, spent.cpu_seconds * 1e6 / sends as f64);
    let _ = writeln!(table, "{who:<24}{rate:>12.0}{each:>16.0}{:>12.1}", spent.wall_seconds);
}

/// From the first message that arrives to the last one; the commands are all there before. And the mean time from a look at the
/// withdrawals to a call that rests on it, in seconds.
fn through_worker(round: usize, sends: usize) -> (Spent, f64) {
    let gateway = Gateway::keeping_connections(PAUSE);
    let templates = [format!("{TEMPLATE}.push")];
    let mut cascade = Installation::prepare(&Plan {
        rate_per_second: UNLIMITED,
        gateway: Some(gateway.address),
        partitions: 4,
        plain_templates: &templates,
        ..Plan::new(&format!("bench-worker-{round}"), &[], &["push"])
    });
    cascade.command("push", sends);
    cascade.launch(WORKER);
    let id = cascade.service(WORKER).process().id().to_string();
    until_within(PATIENCE, "the first is taken", || gateway.inside() > 0);
    let (begun, cpu_before) = (Tick::now(), cpu::seconds_of(&id));
    until_within(PATIENCE, "all are answered", || gateway.answered() >= sends);
    let wall_seconds = begun.elapsed().as_secs_f64();
    let spent = Spent { cpu_seconds: cpu::seconds_of(&id) - cpu_before, wall_seconds };
    let taken = gateway.taken();
    assert!(taken.len() == sends && gateway.answered() == sends, "each once");
    let mut window = |part| cascade.service(WORKER).metric(&format!("cascade_residual_window_seconds_{part}"));
    (spent, window("sum") / window("count"))
}

fn through_client(round: usize, sends: usize) -> Spent {
    let place = Place::new(&format!("bench-client-{round}"));
    let gateway = Gateway::keeping_connections(PAUSE);
    let calls = Calls { url: format!("http://{}/", gateway.address), count: sends };
    let order = serde_json::to_string(&calls).expect("it is JSON");
    let program = std::env::current_exe().expect("a process knows its program");
    let log = place.path("client.log");
    let mut process = Process::start(&program, ["client", order.as_str()], [("RUST_LOG", "warn")], &log);
    until_within(PATIENCE, "the client ends", || !process.is_running());
    let said = process.said();
    let spent = serde_json::from_str(said.lines().last().unwrap_or_default());
    assert_eq!(gateway.answered(), sends, "each once");
    spent.unwrap_or_else(|_| panic!("the client has failed:\n{said}"))
}

/// The bare client itself.
pub fn call(order: &str) -> String {
    let calls: Calls = serde_json::from_str(order).expect("an order is JSON");
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("there is a thread left");
    let (begun, cpu_before) = (Tick::now(), cpu::seconds_of("self"));
    let calls = Arc::new((calls, AtomicUsize::new(0)));
    runtime.block_on(async {
        let mut loops = JoinSet::new();
        for _ in 0..CALLS {
            let calls = Arc::clone(&calls);
            loops.spawn(async move {
                let (calls, next) = &*calls;
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= calls.count {
                        return;
                    }
                    let body = json!({"send_id": number.to_string(), "to": "somebody", "text": TEMPLATE});
                    let answer = client().post(&calls.url).json(&body).send().await.expect("the provider answers");
                    assert!(answer.status().is_success());
                    answer.bytes().await.expect("it says its id");
                }
            });
        }
        loops.join_all().await;
    });
    let wall_seconds = begun.elapsed().as_secs_f64();
    let spent = Spent { cpu_seconds: cpu::seconds_of("self") - cpu_before, wall_seconds };
    serde_json::to_string(&spent).expect("it is JSON")
}
