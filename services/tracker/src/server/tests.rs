//! The whole edge on loopback, with a sink in memory. What Kafka makes of it is the system tests' business.

use std::collections::HashMap;
use std::sync::Mutex;

use reqwest::header::{CACHE_CONTROL, LOCATION, USER_AGENT};
use reqwest::{Client, Method, StatusCode, redirect};
use schemas::json::SourceRecord;
use schemas::token::{Key, Kind};
use schemas::{Actor, Feedback, Millis, Outcome, Status};
use tempfile::TempDir;
use tokio::sync::Notify;

use super::*;
use crate::config::Provider;
use crate::fact::tests::token;
use crate::room::{self, BODY_BYTES_MAX};
use crate::sink::{Publication, Refused};

mod attacks;
mod hooks;

const NOW: Millis = 500_000;

/// Remembers what it took; refuses while told to.
#[derive(Default)]
struct Memory {
    facts: Mutex<Vec<Feedback>>,
    records: Mutex<Vec<SourceRecord>>,
    /// Answers for no events until told that it may, but for those of customers `o…`.
    waits: Option<Arc<Notify>>,
    refuses: Mutex<bool>,
    came: Notify,
}

impl Sink for Memory {
    fn publish<'a>(&'a self, feedback: &'a Feedback) -> Publication<'a> {
        Box::pin(async move {
            if *self.refuses.lock().unwrap() {
                return Err(Refused("no broker".to_owned()));
            }
            self.facts.lock().unwrap().push(feedback.clone());
            self.came.notify_one();
            Ok(())
        })
    }

    fn put<'a>(&'a self, record: &'a SourceRecord) -> Publication<'a> {
        Box::pin(async move {
            if *self.refuses.lock().unwrap() {
                return Err(Refused("no broker".to_owned()));
            }
            self.records.lock().unwrap().push(record.clone());
            self.came.notify_one();
            if let Some(answer) = self.waits.as_ref().filter(|_| !record.key.starts_with('o')) {
                answer.notified().await;
            }
            Ok(())
        })
    }
}

struct Fixture {
    url: String,
    keys: Keyring,
    secret: Secret,
    memory: Arc<Memory>,
    client: Client,
    shutdown: CancellationToken,
    server: JoinSet<Result<(), Error>>,
    _files: TempDir,
}

impl Fixture {
    async fn start() -> Self {
        Self::on(Memory::default()).await
    }

    async fn on(memory: Memory) -> Self {
        Self::that_lingers(memory, 0).await
    }

    async fn that_lingers(memory: Memory, linger_seconds: u64) -> Self {
        Self::made(memory, HashMap::new(), Limits::default(), linger_seconds, 1).await
    }

    async fn with(memory: Memory, hooks: HashMap<String, Listening>, limits: Limits) -> Self {
        Self::made(memory, hooks, limits, 0, 1).await
    }

    /// Where each topic has so many partitions.
    async fn over(memory: Memory, partitions: i32) -> Self {
        Self::made(memory, HashMap::new(), Limits::default(), 0, partitions).await
    }

    async fn made(
        memory: Memory,
        hooks: HashMap<String, Listening>,
        limits: Limits,
        linger_seconds: u64,
        partitions: i32,
    ) -> Self {
        let files = TempDir::new().unwrap();
        std::fs::write(files.path().join("key"), "a signing key of ours").unwrap();
        std::fs::write(files.path().join("secret"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let keys = vec![Key { id: 1, secret_file: Some(files.path().join("key")), secret_env: None }];
        let secret_files = vec![files.path().join("secret")];
        let sandbox =
            Provider { name: "sandbox".to_owned(), secret_files, secret_envs: Vec::new(), channels: Vec::new() };
        let named = |name: &str| Provider { name: name.to_owned(), ..sandbox.clone() };
        let producers = ["crm", "site"].map(named).into();
        let desk = Provider { channels: vec!["call".to_owned()], ..named("desk") };
        let providers = vec![sandbox, desk];
        let listen = ([127, 0, 0, 1], 0).into();
        let config = Config { listen, keys, providers, producers, hooks: Vec::new(), linger_seconds };
        assert_eq!(config.problems(), Vec::<String>::new());
        let (memory, shutdown) = (Arc::new(memory), CancellationToken::new());
        let (tell, told) = tokio::sync::oneshot::channel();
        let mut server = JoinSet::new();
        let fixture_keys = Keyring::load(&config.keys).unwrap();
        let (sink, stop): (Arc<dyn Sink>, _) = (Arc::clone(&memory) as Arc<dyn Sink>, shutdown.clone());
        server.spawn(async move {
            let metrics = Metrics::new(&prometheus::Registry::new()).unwrap();
            let partitions = Topics::default().sources().map(|(_, record)| (record, partitions)).into();
            let bound = |address| tell.send(address).unwrap();
            serve(
                &config,
                Behind { sink, partitions, hooks, limits },
                Clock::manual(NOW),
                &Probe::default(),
                metrics,
                stop,
                bound,
            )
            .await
        });
        Fixture {
            url: format!("http://{}", told.await.unwrap()),
            keys: fixture_keys,
            secret: Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap(),
            memory,
            client: Client::builder().redirect(redirect::Policy::none()).build().unwrap(),
            shutdown,
            server,
            _files: files,
        }
    }

    fn sign(&self, kind: Kind, target: &str) -> String {
        self.keys.sign(&token(kind, target)).unwrap()
    }

    async fn get(&self, path: &str) -> reqwest::Response {
        self.client.get(format!("{}{path}", self.url)).header(USER_AGENT, "Thunderbird").send().await.unwrap()
    }

    async fn post(&self, path: &str) -> StatusCode {
        let request = self.client.post(format!("{}{path}", self.url));
        request.form(&HashMap::from([("List-Unsubscribe", "One-Click")])).send().await.unwrap().status()
    }

    async fn receipts(&self, body: &str, signature: Option<&str>) -> StatusCode {
        self.signed("/receipts/sandbox", body, signature).await.status()
    }

    async fn signed(&self, path: &str, body: &str, signature: Option<&str>) -> reqwest::Response {
        let timestamp = (stream::clock::machine_now() / 1_000).to_string();
        let signature = signature.map_or_else(|| self.secret.sign("msg_1", &timestamp, body.as_bytes()), str::to_owned);
        let request = self.client.post(format!("{}{path}", self.url)).body(body.to_owned());
        let request = request.header("webhook-id", "msg_1").header("webhook-timestamp", timestamp);
        request.header("webhook-signature", signature).send().await.unwrap()
    }

    /// Waits until so many facts came.
    async fn facts(&self, count: usize) -> Vec<Feedback> {
        loop {
            let facts = self.memory.facts.lock().unwrap().clone();
            if facts.len() >= count {
                return facts;
            }
            self.memory.came.notified().await;
        }
    }

    fn nothing_came(&self) -> bool {
        self.memory.facts.lock().unwrap().is_empty()
    }
}

#[tokio::test]
async fn an_open_is_told_and_its_pixel_is_never_stored() {
    let edge = Fixture::start().await;
    let pixel = edge.get(&format!("/o/{}.gif", edge.sign(Kind::Open, ""))).await;
    assert_eq!(pixel.headers()[CACHE_CONTROL], "no-store");
    assert!(pixel.bytes().await.unwrap().starts_with(b"GIF89a"));
    let fact = &edge.facts(1).await[0];
    assert_eq!((fact.status, fact.actor, fact.occurred_at), (Status::Opened, Actor::Human, NOW));
    assert_eq!((fact.customer_id.as_str(), fact.channel.as_str()), ("c1", "email"));
}

#[tokio::test]
async fn a_proxys_open_is_a_machines() {
    let edge = Fixture::start().await;
    let request = edge.client.get(format!("{}/o/{}.gif", edge.url, edge.sign(Kind::Open, "")));
    request.header(USER_AGENT, "Mozilla/5.0 (via ggpht.com GoogleImageProxy)").send().await.unwrap();
    assert_eq!(edge.facts(1).await[0].actor, Actor::Machine);
}

#[tokio::test]
async fn who_only_asks_what_is_there_or_fetches_ahead_is_a_machine_and_is_led_on_all_the_same() {
    let edge = Fixture::start().await;
    let (click, open) = (Kind::Click, Kind::Open);
    for (number, (method, kind, header)) in [
        (Method::HEAD, click, None),
        (Method::HEAD, open, None),
        (Method::GET, click, Some(("sec-purpose", "prefetch;prerender"))),
        (Method::GET, click, Some(("purpose", "Prefetch"))),
        (Method::GET, open, Some(("purpose", "prefetch"))),
        (Method::GET, click, Some(("sec-purpose", "navigate"))),
    ]
    .into_iter()
    .enumerate()
    {
        // Each is of another send: of one the same is told once.
        let send_id = schemas::Id::of_instance(&number.to_string(), "", "", "");
        let target = if kind == click { "https://shop.example/" } else { "" };
        let token = edge.keys.sign(&schemas::token::Token { send_id, ..token(kind, target) }).unwrap();
        let url = format!("{}/{}/{token}", edge.url, if kind == click { "c" } else { "o" });
        let request = edge.client.request(method.clone(), url).header(USER_AGENT, "Mozilla/5.0 (X11) Firefox/128.0");
        let request = header.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let answer = request.send().await.unwrap();
        let leads = answer.headers().get(LOCATION).map(reqwest::header::HeaderValue::as_bytes);
        assert_eq!(leads, (kind == click).then_some(&b"https://shop.example/"[..]), "{method} {header:?}");
    }
    let facts: Vec<_> = edge.facts(6).await.into_iter().map(|fact| (fact.status, fact.actor)).collect();
    let count = |status, actor| facts.iter().filter(|fact| **fact == (status, actor)).count();
    assert_eq!((count(Status::Clicked, Actor::Machine), count(Status::Opened, Actor::Machine)), (3, 2), "{facts:?}");
    assert_eq!(count(Status::Clicked, Actor::Human), 1, "somebody who follows the link");
}

#[tokio::test]
async fn a_click_leads_where_the_token_says_even_without_kafka() {
    let edge = Fixture::start().await;
    *edge.memory.refuses.lock().unwrap() = true;
    let token = edge.sign(Kind::Click, "https://shop.example/cart?a=1&b=%D0%B0");
    let answer = edge.get(&format!("/c/{token}")).await;
    assert_eq!(answer.status(), StatusCode::FOUND);
    assert_eq!(answer.headers()[LOCATION], "https://shop.example/cart?a=1&b=%D0%B0");
    *edge.memory.refuses.lock().unwrap() = false;
    assert_eq!(edge.facts(1).await[0].status, Status::Clicked, "the fact is spooled until Kafka takes it");
}

#[tokio::test]
async fn a_token_for_something_else_or_a_forged_one_leads_nowhere() {
    let edge = Fixture::start().await;
    let open = edge.sign(Kind::Open, "");
    let mut forged = edge.sign(Kind::Click, "https://shop.example/");
    forged.replace_range(60..61, if forged.as_bytes()[60] == b'A' { "B" } else { "A" });
    for path in [
        format!("/c/{open}"),
        format!("/c/{forged}"),
        "/c/x".to_owned(),
        format!("/u/{open}"),
        "/c/https%3A%2F%2Fevil.example".to_owned(),
    ] {
        let answer = edge.get(&path).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        assert!(!answer.headers().contains_key(LOCATION));
    }
    assert_eq!(edge.post(&format!("/u/{open}")).await, StatusCode::NOT_FOUND);
    assert!(edge.nothing_came());
}

#[tokio::test]
async fn looking_at_the_unsubscribe_page_changes_nothing_and_one_click_does_it() {
    let edge = Fixture::start().await;
    let path = format!("/u/{}", edge.sign(Kind::Unsubscribe, ""));
    let page = edge.get(&path).await;
    assert_eq!(page.status(), StatusCode::OK);
    assert!(page.text().await.unwrap().contains("<form method=\"post\">"));
    assert!(edge.nothing_came());
    assert_eq!(edge.post(&path).await, StatusCode::OK);
    assert_eq!(edge.facts(1).await[0].status, Status::Unsubscribed);
}

#[tokio::test]
async fn an_unsubscribe_is_not_acknowledged_before_kafka_has_it() {
    let edge = Fixture::start().await;
    *edge.memory.refuses.lock().unwrap() = true;
    assert_eq!(edge.post(&format!("/u/{}", edge.sign(Kind::Unsubscribe, ""))).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(edge.receipts(r#"{"status": "delivered"}"#, None).await, StatusCode::NO_CONTENT, "nothing to publish");
    let known = format!(r#"{{"token": "{}", "status": "delivered"}}"#, edge.sign(Kind::Receipt, ""));
    assert_eq!(edge.receipts(&known, None).await, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn whoever_is_told_that_it_did_not_work_is_told_when_to_come_again() {
    let edge = Fixture::start().await;
    *edge.memory.refuses.lock().unwrap() = true;
    let path = format!("{}/u/{}", edge.url, edge.sign(Kind::Unsubscribe, ""));
    let refused = edge.client.post(path).send().await.unwrap();
    assert_eq!(
        (refused.status(), refused.headers()["retry-after"].as_bytes()),
        (StatusCode::SERVICE_UNAVAILABLE, &b"2"[..])
    );

    // Kafka does not answer within a request's time.
    let silent = Memory { waits: Some(Arc::new(Notify::new())), ..Memory::default() };
    let limits = Limits { request: Duration::from_millis(50), ..Limits::default() };
    let edge = Fixture::with(silent, HashMap::new(), limits).await;
    let late = edge.signed("/events/crm", &purchase("", "c1"), None).await;
    assert_eq!((late.status(), late.headers()["retry-after"].as_bytes()), (StatusCode::SERVICE_UNAVAILABLE, &b"2"[..]));
}

#[tokio::test]
async fn receipts_become_facts_by_token_or_by_id() {
    let edge = Fixture::start().await;
    let id = token(Kind::Receipt, "").send_id;
    let body = format!(
        r#"[{{"token": "{}", "status": "DELIVERED", "occurred_at": 499000, "provider_id": "42"}},
            {{"send_id": "{id}", "customer_id": "c9", "channel": "sms", "status": "undelivered", "occurred_at": 99999999999, "code": "call +7900"}},
            {{"send_id": "{id}", "customer_id": "c9", "channel": "sms", "status": "gone fishing"}},
            {{"send_id": "no id", "customer_id": "c9", "channel": "sms", "status": "delivered"}}]"#,
        edge.sign(Kind::Receipt, "")
    );
    assert_eq!(edge.receipts(&body, None).await, StatusCode::NO_CONTENT);
    let mut facts = edge.facts(2).await;
    facts.sort_by(|a, b| a.customer_id.cmp(&b.customer_id));
    assert_eq!(facts.len(), 2);
    assert_eq!(
        (facts[0].status, facts[0].occurred_at, facts[0].provider_id.as_deref()),
        (Status::Delivered, 499_000, Some("42"))
    );
    assert_eq!(facts[0].event_id, format!("{id}/DELIVERED/sandbox"));
    assert_eq!((facts[1].status, facts[1].occurred_at), (Status::Failed, NOW), "a time far ahead is not believed");
    assert_eq!(
        (facts[1].customer_id.as_str(), facts[1].code.as_deref()),
        ("c9", None),
        "a code that could hold an address is dropped"
    );
    assert_eq!(edge.receipts(&body, None).await, StatusCode::NO_CONTENT);
    let ids: std::collections::BTreeSet<_> = edge.facts(4).await.into_iter().map(|fact| fact.event_id).collect();
    assert_eq!(ids.len(), 2, "a repeat carries the same ids");
}

#[tokio::test]
async fn a_provider_tells_machines_apart() {
    let edge = Fixture::start().await;
    let id = token(Kind::Receipt, "").send_id;
    let of = |status: &str, more: &str| {
        format!(r#"{{"send_id": "{id}", "customer_id": "c9", "channel": "sms", "status": "{status}"{more}}}"#)
    };
    let machine = r#", "machine": true"#;
    let body = [of("opened", machine), of("opened", ""), of("clicked", machine), of("delivered", machine)].join(", ");
    assert_eq!(edge.receipts(&format!("[{body}]"), None).await, StatusCode::NO_CONTENT);
    let facts = edge.facts(4).await;
    let actors: Vec<_> = facts.iter().map(|fact| (fact.status, fact.actor)).collect();
    let wanted = [
        (Status::Opened, Actor::Machine),
        (Status::Opened, Actor::Human),
        (Status::Clicked, Actor::Machine),
        (Status::Delivered, Actor::Unspecified),
    ];
    assert_eq!(actors, wanted);
    assert_ne!(facts[0].event_id, facts[1].event_id, "whoever opens it after a machine is no repeat");
}

#[tokio::test]
async fn a_provider_speaks_for_its_own_channels_alone() {
    let edge = Fixture::start().await;
    let id = token(Kind::Receipt, "").send_id;
    let of = |channel: &str| {
        format!(r#"{{"send_id": "{id}", "customer_id": "c9", "channel": "{channel}", "status": "complained"}}"#)
    };
    // The token is one of e-mail: whoever holds it does not speak for that by it.
    let by_token = format!(r#"{{"token": "{}", "status": "complained"}}"#, edge.sign(Kind::Receipt, ""));
    let body = format!("[{}, {by_token}, {}]", of("email"), of("call"));
    assert_eq!(edge.signed("/receipts/desk", &body, None).await.status(), StatusCode::NO_CONTENT);
    let told = |facts: Vec<Feedback>| facts.into_iter().map(|fact| fact.channel).collect::<Vec<_>>();
    assert_eq!(told(edge.facts(1).await), ["call"]);
    assert_eq!(edge.receipts(&body, None).await, StatusCode::NO_CONTENT);
    assert_eq!(told(edge.facts(4).await)[1..], ["email", "email", "call"], "who is bound to no channel speaks for all");
}

#[tokio::test]
async fn receipts_that_are_not_signed_change_nothing() {
    let edge = Fixture::start().await;
    let body = format!(r#"{{"token": "{}", "status": "delivered"}}"#, edge.sign(Kind::Receipt, ""));
    assert_eq!(edge.receipts(&body, Some("v1,AAAA")).await, StatusCode::UNAUTHORIZED);
    assert_eq!(edge.post("/receipts/sandbox").await, StatusCode::UNAUTHORIZED);
    assert_eq!(edge.post("/receipts/nobody").await, StatusCode::NOT_FOUND);
    assert_eq!(edge.receipts("not json", None).await, StatusCode::BAD_REQUEST);
    assert_eq!(edge.receipts(&" ".repeat(BODY_BYTES_MAX + 1), None).await, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(edge.nothing_came());
}

#[tokio::test]
async fn who_is_told_to_stop_is_not_ready_and_still_takes_what_was_sent_to_it() {
    let mut edge = Fixture::that_lingers(Memory::default(), 2).await;
    assert_eq!(edge.get("/ready").await.status(), StatusCode::OK);
    edge.shutdown.cancel();
    while edge.get("/ready").await.status() == StatusCode::OK {
        tokio::task::yield_now().await;
    }
    // A new connection, as from a balancer that has not heard.
    let click = format!("{}/c/{}", edge.url, edge.sign(Kind::Click, "https://shop.example/"));
    let newcomer = Client::builder().redirect(redirect::Policy::none()).build().unwrap();
    assert_eq!(newcomer.get(click).send().await.unwrap().status(), StatusCode::FOUND);
    edge.server.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(edge.facts(1).await.len(), 1);
    assert!(edge.client.get(&edge.url).send().await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn what_was_spooled_is_published_before_the_end() {
    let mut edge = Fixture::start().await;
    assert_eq!(edge.get("/ready").await.status(), StatusCode::OK);
    *edge.memory.refuses.lock().unwrap() = true;
    edge.get(&format!("/c/{}", edge.sign(Kind::Click, "https://shop.example/"))).await;
    edge.shutdown.cancel();
    *edge.memory.refuses.lock().unwrap() = false;
    edge.server.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(edge.facts(1).await.len(), 1);
}

#[tokio::test]
async fn what_a_call_came_to_is_a_fact_with_the_status_that_it_stands_for() {
    let edge = Fixture::start().await;
    let id = token(Kind::Receipt, "").send_id;
    let of = |outcome: &str| format!(r#"{{"send_id": "{id}", "customer_id": "c9", "channel": "call", {outcome}}}"#);
    let body = format!(
        "[{}, {}, {}]",
        of(r#""outcome": "no-answer""#),
        of(r#""outcome": "Agreed", "status": "failed""#),
        of(r#""outcome": "gone fishing", "status": "delivered""#)
    );
    assert_eq!(edge.receipts(&body, None).await, StatusCode::NO_CONTENT);
    let mut facts = edge.facts(2).await;
    facts.sort_by_key(|fact| fact.outcome);
    let told: Vec<_> = facts.iter().map(|fact| (fact.outcome, fact.status, fact.event_id.clone())).collect();
    let wanted = [(Outcome::NoAnswer, Status::Failed), (Outcome::Agreed, Status::Replied)];
    assert_eq!(told, wanted.map(|(outcome, status)| (outcome, status, format!("{id}/{outcome}/sandbox"))));
}

fn purchase(event: &str, customer: &str) -> String {
    format!(
        r#"{{"type": "action", "data": {{{event} "customer_id": "{customer}", "occurred_at": 7, "action": "purchase"}}}}"#
    )
}

#[tokio::test]
async fn events_become_records_in_their_order_and_a_repeat_has_the_same_ids() {
    let edge = Fixture::start().await;
    let body = format!("[{}, {}]", purchase(r#""event_id": "o-1","#, "c1"), purchase("", "c1"));
    for _ in 0..2 {
        assert_eq!(edge.signed("/events/crm", &body, None).await.status(), StatusCode::NO_CONTENT);
    }
    for (path, event) in [("/events/crm", ""), ("/events/crm", r#""event_id": null,"#), ("/events/site", "")] {
        assert_eq!(edge.signed(path, &purchase(event, "c2"), None).await.status(), StatusCode::NO_CONTENT, "{event}");
    }
    let records = edge.memory.records.lock().unwrap().clone();
    let read = |record: &SourceRecord| schemas::decode::<schemas::Action>(&record.value).unwrap();
    let ids: Vec<String> = records.iter().map(|record| read(record).event_id).collect();
    // What one producer has said does not make what another one says, under the same id of a request, a repeat.
    assert_eq!(ids, ["o-1", "crm/msg_1/1", "o-1", "crm/msg_1/1", "crm/msg_1", "crm/msg_1", "site/msg_1"]);
    assert_eq!((records[0].key.as_str(), read(&records[0]).action.as_str()), ("c1", "purchase"));
}

#[tokio::test]
async fn events_that_do_not_fit_or_are_not_signed_are_not_taken() {
    let edge = Fixture::start().await;
    let good = purchase(r#""event_id": "o-1","#, "c1");
    let bad = format!("[{good}, {}]", good.replace("occurred_at", "occured_at"));
    let answer = edge.signed("/events/crm", &bad, None).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    let said: serde_json::Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(said["event"], 1);
    assert!(said["error"].as_str().unwrap().starts_with("occured_at is no field"), "{said}");
    for (path, body, signature, expected) in [
        ("/events/crm", good.as_str(), Some("v1,AAAA"), StatusCode::UNAUTHORIZED),
        ("/events/sandbox", &good, None, StatusCode::NOT_FOUND),
        ("/events/crm", "{}", None, StatusCode::BAD_REQUEST),
        ("/events/crm", &good.replace("action", "feedback"), None, StatusCode::BAD_REQUEST),
        ("/events/crm", &format!("[{}]", vec![good.as_str(); 1_001].join(",")), None, StatusCode::PAYLOAD_TOO_LARGE),
        ("/events/crm", &good.replace("purchase", &"x".repeat(999_000)), None, StatusCode::PAYLOAD_TOO_LARGE),
        ("/events/crm", &" ".repeat(BODY_BYTES_MAX + 1), None, StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        assert_eq!(edge.signed(path, body, signature).await.status(), expected, "{path}");
    }
    assert!(edge.memory.records.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_waits_for_kafka_is_bounded_and_whoever_comes_then_is_told_when_to_come_again() {
    let answer = Arc::new(Notify::new());
    let edge = Fixture::on(Memory { waits: Some(Arc::clone(&answer)), ..Memory::default() }).await;
    let many = format!("[{}]", vec![purchase("", "c1"); events::EVENTS_MAX].join(","));
    let (full, mut under_way) = (room::PLACES / events::EVENTS_MAX, JoinSet::new());
    let edge = Arc::new(edge);
    for _ in 0..full {
        let (edge, many) = (Arc::clone(&edge), many.clone());
        under_way.spawn(async move { edge.signed("/events/crm", &many, None).await.status() });
    }
    while edge.memory.records.lock().unwrap().len() < full * events::EVENTS_MAX {
        edge.memory.came.notified().await;
    }
    let refused = edge.signed("/events/crm", &purchase("", "c1"), None).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "2");
    let unsubscribe = format!("/u/{}", edge.sign(Kind::Unsubscribe, ""));
    assert_eq!(edge.post(&unsubscribe).await, StatusCode::SERVICE_UNAVAILABLE, "one click takes room as all others do");
    assert!(under_way.try_join_next().is_none(), "nobody is answered before Kafka has answered");
    answer.notify_waiters();
    while let Some(status) = under_way.join_next().await {
        assert_eq!(status.unwrap(), StatusCode::NO_CONTENT);
    }
    *edge.memory.refuses.lock().unwrap() = true;
    let refused = edge.signed("/events/crm", &purchase("", "c1"), None).await;
    assert_eq!(
        (refused.status(), &refused.headers()["retry-after"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"2".parse().unwrap())
    );
}

#[tokio::test]
async fn a_partition_that_kafka_does_not_answer_for_keeps_nobody_else_out() {
    let waits = Arc::new(Notify::new());
    let edge = Arc::new(Fixture::over(Memory { waits: Some(Arc::clone(&waits)), ..Memory::default() }, 12).await);
    let home = |customer: &str| stream::kafka::partition_of(customer.as_bytes(), 12);
    let mut others = (0..).map(|number| format!("o{number}")).filter(|customer| home(customer) != home("c1"));
    let many = format!("[{}]", vec![purchase("", "c1"); events::EVENTS_MAX].join(","));
    let mut under_way = JoinSet::new();
    for _ in 0..room::PLACES / 4 / events::EVENTS_MAX {
        let (edge, many) = (Arc::clone(&edge), many.clone());
        under_way.spawn(async move { edge.signed("/events/crm", &many, None).await.status() });
    }
    let came = |count: usize| {
        let edge = Arc::clone(&edge);
        async move {
            while edge.memory.records.lock().unwrap().len() < count {
                edge.memory.came.notified().await;
            }
        }
    };
    came(room::PLACES / 4).await;
    let refused = edge.signed("/events/crm", &purchase("", "c1"), None).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE, "its partition has its share already");
    let body = purchase("", &others.next().unwrap());
    let other = Arc::clone(&edge);
    under_way.spawn(async move { other.signed("/events/site", &body, None).await.status() });
    came(room::PLACES / 4 + 1).await;
    waits.notify_waiters();
    while let Some(status) = under_way.join_next().await {
        assert_eq!(status.unwrap(), StatusCode::NO_CONTENT);
    }
}

#[tokio::test]
async fn whoever_posts_with_one_that_waits_gives_his_own_place_back() {
    let waits = Arc::new(Notify::new());
    let edge = Arc::new(Fixture::over(Memory { waits: Some(Arc::clone(&waits)), ..Memory::default() }, 12).await);
    let others = (0..events::EVENTS_MAX - 1).map(|number| purchase("", &format!("o{number}")));
    let mixed = format!("[{}]", others.chain([purchase("", "c1")]).collect::<Vec<_>>().join(","));
    let mut under_way = JoinSet::new();
    for posted in 1..=room::PLACES / events::EVENTS_MAX {
        let (poster, mixed) = (Arc::clone(&edge), mixed.clone());
        under_way.spawn(async move { poster.signed("/events/crm", &mixed, None).await.status() });
        while edge.memory.records.lock().unwrap().len() < posted * events::EVENTS_MAX {
            edge.memory.came.notified().await;
        }
    }
    assert_eq!(edge.signed("/events/site", &purchase("", "o7"), None).await.status(), StatusCode::NO_CONTENT);
    waits.notify_waiters();
    while let Some(status) = under_way.join_next().await {
        assert_eq!(status.unwrap(), StatusCode::NO_CONTENT);
    }
}
