//! Workers that share no code with the product, as `schemas/workers` shows them, beside the real operator and intake.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Json, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use schemas::{Feedback, Id, Journal, Reason, Revoke, Send, Status, encode};
use serde_json::{Value, json};
use stream::clock::machine_now;
use system_tests::feed::Feed;
use system_tests::installation::{DAY, HOUR, Installation, MINUTE, Plan};
use system_tests::process::Process;
use system_tests::wait::until;

/// An SMS costs money: it goes only where the push, which somebody else's worker hands over, did not arrive.
const OFFER: &str = "
campaign: offer
version: 1
trigger: {on: action, action: lead, key: key}
goal: {action: purchase}
stop: delivered
steps:
  - {name: push, channel: push, template: offer, wait: 3h, next_if: [not delivered, no information, cannot send], valid: 6h}
  - {name: sms, channel: sms, template: offer, valid: 6h}
";

/// What the worker's provider was asked, by address: how often, and the idempotency keys.
type Asked = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

/// Answers as the address says.
async fn answer(State(asked): State<Asked>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let to = body["to"].as_str().unwrap_or_default().to_owned();
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or_default();
    assert_eq!(body["send_id"], key);
    let calls = {
        let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        let calls = asked.entry(to.clone()).or_default();
        calls.push(key.to_owned());
        calls.len()
    };
    match to.split('-').next().unwrap_or_default() {
        "ann" => Json(json!({"provider_id": "p-1", "status": "delivered"})).into_response(),
        "ben" => Json(json!({"provider_id": "p-2", "status": "failed"})).into_response(),
        "dan" => StatusCode::UNPROCESSABLE_ENTITY.into_response(),
        // Down at first.
        "eve" if calls == 1 => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        "fay" if calls == 1 => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        // Taken, in words that are no JSON.
        "gus" => (StatusCode::ACCEPTED, "OK").into_response(),
        _ => Json(json!({"provider_id": "p-3"})).into_response(),
    }
}

fn provider() -> (SocketAddr, Asked) {
    let asked = Asked::default();
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = listener.local_addr().expect("it is bound");
    listener.set_nonblocking(true).expect("it is a socket");
    let routes = Router::new().route("/messages", post(answer)).with_state(Arc::clone(&asked));
    let serve = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("it does not block");
            axum::serve(listener, routes).await.expect("it serves");
        });
    };
    stream::thread::spawn("provider", serve).expect("there is a thread left");
    (address, asked)
}

fn workers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/workers")
}

/// Program, arguments.
type Words = (PathBuf, Vec<String>);

fn must(command: &mut Command, remedy: &str) {
    let done = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; {remedy}"));
    let said = [done.stdout, done.stderr].concat();
    assert!(done.status.success(), "{command:?}: {}; {remedy}", String::from_utf8_lossy(&said));
}

/// The environment of Python is made on first use, where `deploy/env.sh` says; whoever else makes it holds the same lock.
fn python() -> Words {
    let cache = std::env::var("HOME").expect("a home") + "/.cache/cascade";
    let cache = PathBuf::from(std::env::var("CASCADE_CACHE").unwrap_or(cache));
    let venv = std::env::var_os("CASCADE_VENV").map_or_else(|| cache.join("venv"), PathBuf::from);
    let program = venv.join("bin/python");
    std::fs::create_dir_all(&cache).expect("the cache can be written to");
    let lock = File::create(cache.join("venv.lock")).expect("the cache can be written to");
    lock.lock().expect("it can be locked");
    if !program.exists() {
        must(Command::new("python3").args(["-m", "venv"]).arg(&venv), "install Debian's python3 and python3-venv");
    }
    let wanted = workers().join("python/requirements.txt");
    let mut pip = Command::new(&program);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]).arg(wanted);
    must(&mut pip, "let pip reach PyPI, or a mirror");
    (program, vec![workers().join("python/worker.py").display().to_string()])
}

/// Built by Maven outside of the checkout; what it has fetched before, it does not fetch again.
fn java() -> Words {
    let to = std::env::current_exe().expect("a process knows its program").with_file_name("own-worker-java");
    let maven = |more: &[&str]| {
        let mut command = Command::new("mvn");
        command.args(["-q", "-B", "process-classes", "-f"]).arg(workers().join("java/pom.xml")).args(more);
        command.arg(format!("-Dbuild.to={}", to.display()));
        command.args(std::env::var("KAFKA_VERSION").map(|version| format!("-Dkafka.version={version}")).ok());
        command
    };
    if !maven(&["-o"]).output().is_ok_and(|done| done.status.success()) {
        must(&mut maven(&[]), "deploy/setup.sh installs a JDK and Maven");
    }
    let quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn";
    let classes = format!("{0}/classes:{0}/lib/*", to.display());
    ("java".into(), ["-Xmx256m", quiet, "-cp", &classes, "Worker"].map(str::to_owned).into())
}

struct Story {
    shop: Installation,
    words: Words,
    worker: Option<Process>,
    provider: SocketAddr,
    asked: Asked,
    name: &'static str,
}

impl Story {
    fn begin(name: &'static str, words: Words) -> Self {
        let templates = ["offer.push".to_owned(), "offer.sms".to_owned()];
        // Its clock is the machine's, so business time begins there.
        let begin = machine_now();
        let plan = Plan { plain_templates: &templates, begin, ..Plan::new(name, &[OFFER], &["push", "sms"]) };
        let mut shop = Installation::prepare(&plan);
        shop.bring_up(&["tracker", "intake", "operator", "channel sms"]);
        let (provider, asked) = provider();
        Story { shop, words, worker: None, provider, asked, name }
    }

    fn start_worker(&mut self) {
        let (program, arguments) = &self.words;
        let environment = [
            ("BROKERS", self.shop.place.plain_brokers().to_owned()),
            ("TOPICS_PREFIX", self.shop.place.prefix.clone()),
            ("CHANNEL", "push".to_owned()),
            ("PROVIDER_URL", format!("http://{}/messages", self.provider)),
            ("SCHEMAS", workers().join("..").display().to_string()),
            ("no_proxy", "127.0.0.1".to_owned()),
            ("PYTHONDONTWRITEBYTECODE", "1".to_owned()),
        ];
        let log = self.shop.place.path("worker.log");
        self.worker = Some(Process::start(program, arguments, environment, &log));
    }

    fn stop_worker(&mut self) {
        self.worker.take().expect("it was started").terminate();
    }

    fn lead(&self, customer: &str) {
        self.shop.action(customer, "lead", Some("k"), &[]);
    }

    /// What was said of the first send of this customer, in its order.
    fn told(&self, customer: &str) -> Vec<Status> {
        let told = self.shop.read(&self.shop.topics.feedback());
        let of_worker = |fact: &Feedback| fact.customer_id == customer && fact.provider == self.name;
        told.iter()
            .map(|record| {
                let fact: Feedback = record.decode();
                assert_eq!(record.key_text(), fact.customer_id);
                fact
            })
            .filter(of_worker)
            .map(|fact| fact.status)
            .collect()
    }

    fn until_told(&mut self, customer: &str, expected: &[Status]) {
        until(&format!("{expected:?} of {customer} is told"), || {
            let worker = self.worker.as_mut().expect("it was started");
            assert!(worker.is_running(), "the worker has ended:\n{}", worker.said());
            self.told(customer).len() >= expected.len()
        });
        assert_eq!(self.told(customer), expected, "{customer}");
    }

    fn asked(&self, customer: &str) -> Vec<String> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.get(&format!("{customer}-push")).cloned().unwrap_or_default()
    }

    /// A command by hand, as a transaction of an operator writes it.
    fn command(&self, customer: &str, send_before: i64) -> Send {
        Send {
            send_id: Id::of_instance(customer, "by-hand", "", "").to_string(),
            customer_id: customer.to_owned(),
            channel: "push".to_owned(),
            address: format!("{customer}-push"),
            template: "offer".to_owned(),
            send_before,
            ..Send::default()
        }
    }

    fn journal(&self, customer: &str) -> Vec<Reason> {
        let journal = self.shop.read(&self.shop.topics.journal());
        let entries = journal.iter().map(|record| record.decode::<Journal>());
        entries.filter(|entry| entry.customer_id == customer).map(|entry| entry.reason).collect()
    }
}

fn lives_through(name: &'static str, words: Words) {
    let mut story = Story::begin(name, words);
    let customers = ["ann", "ben", "cid", "dan", "eve", "fay", "gus"];
    for customer in customers {
        story.shop.customer(customer, &["push", "sms"]);
    }
    story.shop.settle();
    withdrawn_before_anybody_looks(&mut story);
    for customer in ["ann", "ben", "dan", "eve", "fay", "gus"] {
        story.lead(customer);
    }
    story.until_told("ann", &[Status::Accepted, Status::Delivered]);
    story.until_told("ben", &[Status::Accepted, Status::Failed]);
    story.until_told("dan", &[Status::Refused]);
    story.until_told("eve", &[Status::Accepted]);
    story.until_told("fay", &[Status::Accepted]);
    story.until_told("gus", &[Status::Accepted]);
    assert_eq!(story.asked("gus").len(), 1, "what was taken is not sent again");
    for again in ["eve", "fay"] {
        let keys = story.asked(again);
        assert_eq!(keys.len(), 2, "{again}: the first time it was not taken");
        assert_eq!(keys[0], keys[1], "{again}: the same idempotency key");
    }
    // Failed and refused: the dearer step goes at once. Delivered: it never does.
    story.shop.settle();
    let sms = || {
        let mut sms: Vec<String> = story.shop.received();
        sms.sort_unstable();
        sms
    };
    assert_eq!(sms(), ["sms to ben-sms", "sms to dan-sms"]);
    assert!(story.journal("ann").contains(&Reason::StopReached), "{:?}", story.journal("ann"));
    never_decided_and_too_late(&mut story);
    // Nobody tells of eve's, fay's and gus's any more: no information, three hours after the hand-over.
    story.shop.pass(4 * HOUR);
    story.shop.pass(DAY);
    let received = story.shop.received();
    assert_eq!(received.iter().filter(|sent| sent.contains("ann") || sent.contains("cid")).count(), 0, "{received:?}");
    assert_eq!(received.len(), 5, "{received:?}");
}

/// While the worker is away, a command is published and withdrawn. It says so, and hands nothing over.
fn withdrawn_before_anybody_looks(story: &mut Story) {
    story.lead("cid");
    until("the command is published", || !story.shop.sends().is_empty());
    story.shop.settle();
    story.shop.purchase("cid");
    story.shop.settle();
    let withdrawn: Vec<Revoke> =
        story.shop.read(&story.shop.topics.revoke()).iter().map(|record| record.decode()).collect();
    assert_eq!(withdrawn.len(), 1, "{withdrawn:?}");
    story.start_worker();
    story.until_told("cid", &[Status::Revoked]);
    assert!(story.asked("cid").is_empty());
}

/// What a transaction wrote that was given up was never decided; what is too late does not go out; what comes twice goes once.
fn never_decided_and_too_late(story: &mut Story) {
    let topic = story.shop.topics.send("push");
    let soon = machine_now() + 10 * MINUTE;
    let brokers = story.shop.place.brokers();
    let given_up = Feed::in_transaction(brokers, &format!("{}-given-up", story.name));
    let (never, late, twice) =
        (story.command("gil", soon), story.command("hal", machine_now() - MINUTE), story.command("ina", soon));
    for partition in 0..story.shop.partitions {
        given_up.send_to(&topic, partition, &never.customer_id, &encode(&never));
    }
    given_up.flush();
    given_up.abort();
    for command in [&late, &twice, &twice] {
        story.shop.tell(&topic, &command.customer_id, command);
    }
    story.shop.feed.flush();
    story.until_told("hal", &[Status::Expired]);
    story.until_told("ina", &[Status::Accepted]);
    // A successor begins where this one ended: nothing is sent again.
    story.stop_worker();
    story.start_worker();
    for (partition, customer) in [(0, "joe"), (1, "kim")] {
        let last = story.command(customer, soon);
        story.shop.feed.send_to(&topic, partition, customer, &encode(&last));
    }
    story.shop.feed.flush();
    story.until_told("joe", &[Status::Accepted]);
    story.until_told("kim", &[Status::Accepted]);
    assert_eq!(story.asked("ina").len(), 1, "it stood there twice");
    assert!(story.asked("gil").is_empty() && story.asked("hal").is_empty());
    assert_eq!(story.asked("ann").len(), 1);
}

#[test]
fn a_worker_in_python_serves_a_channel() {
    lives_through("python", python());
}

#[test]
fn a_worker_in_java_serves_a_channel() {
    lives_through("java", java());
}
