//! Receipts that the tracker takes in a second, each acknowledged only once Kafka has it, and how long a provider waits for that.
//! In the midst of a last round it is killed: what it had acknowledged has to be there.
//!
//! The ceiling is the same client at a server that does nothing. Where `wrk` is installed, it posts such receipts, too.

mod wrk;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use schemas::{Feedback, Id};
use serde_json::json;
use stream::clock::Tick;
use system_tests::cpu::{self, load};
use system_tests::gate::Gateway;
use system_tests::http::{client, runtime};
use system_tests::installation::{Installation, Plan};
use system_tests::tail::Ends;
use system_tests::wait::until;
use tokio::task::JoinSet;

const TRACKER: &str = "tracker";

/// Requests under way at once.
const POSTERS: usize = 64;

/// Measures so many receipts, and gives back a table.
pub fn measure(receipts: usize) -> String {
    let before = load();
    let mut cascade = Installation::prepare(&Plan { partitions: 4, ..Plan::new("bench-tracker", &[], &["push"]) });
    cascade.bring_up(&[TRACKER]);
    let mut table = format!("{receipts} receipts, one in a request, {POSTERS} requests at once\n\n");
    let _ = writeln!(
        table,
        "{:<36}{:>12}{:>10}{:>10}{:>10}{:>16}",
        "", "a second", "p50 ms", "p99 ms", "max ms", "CPU us each"
    );

    let nobody = Gateway::keeping_connections(Duration::ZERO);
    let requests = (0..receipts).map(|number| {
        let body = json!({"send_id": number.to_string()});
        (String::new(), client().post(format!("http://{}/", nobody.address)).json(&body))
    });
    row(&mut table, "ceiling: a server that does nothing", &post(requests.collect()), None);

    let mut acknowledged = BTreeSet::new();
    let id = cascade.service(TRACKER).process().id().to_string();
    let cpu_before = cpu::seconds_of(&id);
    let posted = post(signed(&cascade, "first", receipts));
    row(&mut table, "cascade tracker", &posted, Some(cpu::seconds_of(&id) - cpu_before));
    assert_eq!(posted.acknowledged.len(), receipts, "everything is acknowledged");
    acknowledged.extend(posted.acknowledged);

    let by_wrk = wrk::measure(&cascade, &signed(&cascade, "wrk", receipts));

    let requests = signed(&cascade, "second", receipts);
    let killed = std::thread::scope(|scope| {
        let posted = scope.spawn(|| post(requests));
        wait_for_a_quarter(&cascade, receipts);
        cascade.kill(TRACKER);
        posted.join().expect("the posters end")
    });
    assert!((1..receipts).contains(&killed.acknowledged.len()), "it was killed in the midst of it");
    let count = killed.acknowledged.len();
    acknowledged.extend(killed.acknowledged);
    let feedback = cascade.read(&cascade.topics.feedback());
    let there: BTreeSet<String> = feedback.iter().filter_map(|message| message.decode::<Feedback>().send_id).collect();
    let lost = acknowledged.difference(&there).count();
    assert_eq!(lost, 0, "acknowledged, and not in Kafka");
    let _ = writeln!(table, "{}", by_wrk.as_deref().unwrap_or("wrk is not installed: apt-get install wrk"));
    let _ = write!(
        table,
        "\nof {} receipts that were acknowledged, {count} of them before a kill -9, {lost} are not in Kafka; load of the machine {before}, then {}",
        acknowledged.len(),
        load()
    );
    table
}

/// Waits until a quarter of so many more is in Kafka.
fn wait_for_a_quarter(cascade: &Installation, of: usize) {
    let ends = Ends::new(cascade.place.brokers());
    let topic = [cascade.topics.feedback()];
    let sum = || ends.of(&topic).into_values().sum::<i64>();
    let enough = sum() + i64::try_from(of / 4).unwrap_or(i64::MAX);
    until("receipts are under way", || sum() >= enough);
}

/// Requests with a receipt each, made before anything is measured.
fn signed(cascade: &Installation, round: &str, count: usize) -> Vec<(String, reqwest::RequestBuilder)> {
    let receipt = |number: usize| {
        let customer = format!("{round}-{number}");
        let send_id = Id::of_instance(&customer, "", "", "").to_string();
        let body = json!({
            "send_id": send_id,
            "customer_id": customer,
            "channel": "push",
            "status": "delivered",
            "occurred_at": cascade.now(),
        });
        (send_id, cascade.receipt_request(&body.to_string()))
    };
    (0..count).map(receipt).collect()
}

/// What came of requests.
struct Posted {
    acknowledged: Vec<String>,
    waits: Vec<Duration>,
    wall_seconds: f64,
}

/// Sends requests from all sides, each once, until nobody answers.
fn post(requests: Vec<(String, reqwest::RequestBuilder)>) -> Posted {
    let open = Arc::new(Mutex::new(requests));
    let begun = Tick::now();
    let done = runtime().block_on(async {
        let mut posters = JoinSet::new();
        for _ in 0..POSTERS {
            let open = Arc::clone(&open);
            posters.spawn(async move {
                let next = || open.lock().unwrap_or_else(PoisonError::into_inner).pop();
                let mut done = Vec::new();
                while let Some((id, request)) = next() {
                    let asked = Tick::now();
                    let Ok(answer) = request.send().await else { break };
                    if answer.status().is_success() {
                        done.push((id, asked.elapsed()));
                    }
                    // The connection is of use again once all is read.
                    if answer.bytes().await.is_err() {
                        break;
                    }
                }
                done
            });
        }
        posters.join_all().await
    });
    let wall_seconds = begun.elapsed().as_secs_f64();
    let (acknowledged, mut waits): (Vec<String>, Vec<Duration>) = done.into_iter().flatten().unzip();
    waits.sort_unstable();
    Posted { acknowledged, waits, wall_seconds }
}

fn row(table: &mut String, who: &str, posted: &Posted, cpu_seconds: Option<f64>) {
    let count = posted.waits.len();
    let at = |share: f64| posted.waits[((count - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    let (rate, cpu) = (count as f64 / posted.wall_seconds, cpu_seconds.map(|cpu| cpu * 1e6 / count as f64));
    let cpu = cpu.map_or_else(String::new, |cpu| format!("{cpu:.0}"));
    let _ = writeln!(table, "{who:<36}{rate:>12.0}{:>10.1}{:>10.1}{:>10.1}{cpu:>16}", at(0.5), at(0.99), at(1.0));
}
