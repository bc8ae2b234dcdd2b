use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// A service on loopback that answers by path, and counts.
struct Service {
    port: u16,
    asked: Arc<AtomicUsize>,
    paths: Arc<Mutex<Vec<String>>>,
}

impl Service {
    fn start(answer: impl Fn(&str) -> (u16, String) + std::marker::Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let service =
            Service { port: listener.local_addr().unwrap().port(), asked: Arc::default(), paths: Arc::default() };
        let (asked, paths) = (Arc::clone(&service.asked), Arc::clone(&service.paths));
        stream::thread::spawn("a-service", move || {
            for connection in listener.incoming().flatten() {
                let mut connection = connection;
                let mut bytes = [0; 4_096];
                let count = connection.read(&mut bytes).unwrap_or(0);
                let head = String::from_utf8_lossy(&bytes[..count]).into_owned();
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                asked.fetch_add(1, Ordering::SeqCst);
                let (status, body) = answer(&path);
                paths.lock().unwrap().push(path);
                // Status 0: it never answers.
                if status == 0 {
                    std::thread::park();
                }
                let said =
                    format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
                let _ = connection.write_all(said.as_bytes());
            }
        })
        .unwrap();
        service
    }

    fn config(&self) -> Config {
        Config {
            url: format!("http://127.0.0.1:{}/for/{{customer_id}}?sku={{fields.sku}}", self.port),
            bearer: None,
            timeout_ms: 2_000,
            cache_seconds: 60,
            fallback: None,
            allow_private_hosts: true,
        }
    }
}

fn blocks(config: Config) -> (Blocks, tokio::runtime::Runtime) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    (Blocks::open(&BTreeMap::from([("recs".to_owned(), config)]), runtime.handle(), None).unwrap(), runtime)
}

fn send(customer: &str) -> Send {
    Send { customer_id: customer.to_owned(), fields: [("sku", "a&b/../c")].into(), ..Send::default() }
}

fn ask(blocks: &Blocks, customer: &str) -> Option<Value> {
    match blocks.get("recs", Id::of_instance(customer, "", "", ""), &send(customer)) {
        Got::Value(value) => Some(value),
        Got::NotYet => None,
        Got::Nothing => panic!("the block has a name"),
    }
}

/// Asks, waits until no fetch is under way, and asks again.
fn wait(blocks: &Blocks, customer: &str) -> Option<Value> {
    ask(blocks, customer);
    while blocks.is_fetching() {
        std::thread::yield_now();
    }
    ask(blocks, customer)
}

#[test]
fn a_block_is_fetched_once_for_all_who_come_to_the_same_address() {
    let service = Service::start(|_| (200, r#"{"title": "Tea", "list": [1, 2]}"#.to_owned()));
    let (blocks, _runtime) = blocks(service.config());
    assert!(ask(&blocks, "c/1").is_none(), "nobody waits for it");
    let value = wait(&blocks, "c/1").unwrap();
    assert_eq!(value.get_attr("title").unwrap().to_string(), "Tea");
    for _ in 0..10 {
        assert!(ask(&blocks, "c/1").is_some());
    }
    assert_eq!(service.asked.load(Ordering::SeqCst), 1);
    wait(&blocks, "c2").unwrap();
    assert_eq!(*service.paths.lock().unwrap(), ["/for/c%2F1?sku=a%26b%2F..%2Fc", "/for/c2?sku=a%26b%2F..%2Fc"]);
}

#[test]
fn what_fails_is_its_fallback_and_without_one_the_message_waits() {
    let answers = |path: &str| match path {
        path if path.contains("/none") => (404, "{}".to_owned()),
        path if path.contains("/text") => (200, "no json".to_owned()),
        path if path.contains("/much") => (200, format!("\"{}\"", "x".repeat(70_000))),
        _ => (500, String::new()),
    };
    for customer in ["none", "text", "much", "down"] {
        let service = Service::start(answers);
        let fallback = Some(serde_json::json!(["best of all"]));
        let (with, _runtime) = blocks(Config { fallback, ..service.config() });
        assert_eq!(wait(&with, customer).unwrap().to_string(), "['best of all']", "{customer}");
        let (without, _runtime) = blocks(service.config());
        assert!(wait(&without, customer).is_none(), "{customer}");
    }
}

#[test]
fn a_service_that_does_not_answer_holds_nobody_up() {
    let service = Service::start(|_| (0, String::new()));
    let (blocks, _runtime) =
        blocks(Config { timeout_ms: 100, fallback: Some(serde_json::json!("x")), ..service.config() });
    let began = Tick::now();
    assert!(ask(&blocks, "c1").is_none());
    assert!(began.elapsed() < Duration::from_millis(80), "asking returns at once");
    assert_eq!(wait(&blocks, "c1").unwrap().to_string(), "x");
}

#[test]
fn a_service_that_is_down_is_left_alone() {
    let service = Service::start(|_| (500, String::new()));
    let (blocks, _runtime) = blocks(Config { fallback: Some(serde_json::json!("x")), ..service.config() });
    for number in 0..40 {
        assert_eq!(wait(&blocks, &number.to_string()).unwrap().to_string(), "x");
    }
    let asked = service.asked.load(Ordering::SeqCst);
    assert!((5..10).contains(&asked), "{asked}");
}

#[test]
fn what_is_not_public_is_not_called() {
    let service = Service::start(|_| (200, "1".to_owned()));
    let url = format!("https://localhost:{}/", service.port);
    let config = Config { url, allow_private_hosts: false, fallback: Some(serde_json::json!("x")), ..service.config() };
    assert!(config.problems("recs").is_empty(), "its name alone says nothing");
    let (blocks, _runtime) = blocks(config);
    assert_eq!(wait(&blocks, "c1").unwrap().to_string(), "x");
    assert_eq!(service.asked.load(Ordering::SeqCst), 0);
}

#[test]
fn no_customer_chooses_the_path() {
    let service = Service::start(|_| (200, "1".to_owned()));
    let url = |path: &str| format!("http://127.0.0.1:{}{path}", service.port);
    let fallback = Some(serde_json::json!("x"));
    let recs = |path: &str| Config { url: url(path), fallback: fallback.clone(), ..service.config() };
    let (blocks, _runtime) = blocks(recs("/for/{customer_id}/recs?sku={customer_id}"));
    for customer in ["..", "."] {
        assert_eq!(wait(&blocks, customer).unwrap().to_string(), "x", "{customer}");
    }
    assert_eq!(wait(&blocks, "a..b").unwrap().to_string(), "1");
    assert_eq!(*service.paths.lock().unwrap(), ["/for/a..b/recs?sku=a..b"]);
    for path in ["/a/../b", "/.", "/%2e%2E/x", "/a/.%2e?x=1", "/a\\..\\b", "/{customer_id}/.."] {
        let problems = recs(path).problems("recs");
        assert!(problems.len() == 1 && problems[0].contains(". or .."), "{path}: {problems:?}");
    }
    assert!(recs("/a/b..c?d=/../e#/../").problems("recs").is_empty());
}

#[test]
fn debug_shows_nothing_of_what_was_fetched_and_for_whom() {
    let service = Service::start(|_| (200, r#"{"title": "Insulin"}"#.to_owned()));
    let (blocks, _runtime) = blocks(service.config());
    wait(&blocks, "anna").unwrap();
    let asked = crate::render::Asked {
        blocks,
        id: Id::of_instance("anna", "", "", ""),
        send: send("anna"),
        waits: Arc::default(),
    };
    for shown in [format!("{:?}", asked.blocks), format!("{asked:?}"), Value::from_object(asked).to_string()] {
        assert!(!shown.contains("Insulin") && !shown.contains("anna"), "{shown}");
    }
}

/// What values take, measured by what their parts take at the least: without the allocator's own.
fn taken(value: &Value) -> usize {
    let own = size_of::<Value>();
    match value.kind() {
        minijinja::value::ValueKind::Seq => {
            own + size_of::<Vec<Value>>() + value.try_iter().unwrap().map(|part| taken(&part)).sum::<usize>()
        }
        minijinja::value::ValueKind::Map => {
            let of =
                |key: Value| size_of::<String>() + key.as_str().unwrap().len() + taken(&value.get_item(&key).unwrap());
            own + size_of::<BTreeMap<String, Value>>() + value.try_iter().unwrap().map(of).sum::<usize>()
        }
        _ => own + value.as_str().map_or(0, str::len),
    }
}

#[test]
fn what_is_kept_is_bounded_by_the_memory_that_it_takes() {
    for (part, times) in [("[]", 20_000), ("0", 30_000), ("{\"a\":{}}", 7_000), ("\"\"", 20_000)] {
        let text = format!("[{}]", vec![part; times].join(","));
        let (json, mut state) = (serde_json::from_str(&text).unwrap(), State::default());
        let (value, bytes) = (value_of(&json), weight(&json));
        assert!(text.len() < 65_536 && taken(&value) > text.len() * 7, "it is small as a text: {}", taken(&value));
        for number in 0..200 {
            let until = Tick::now().after(Duration::from_secs(9));
            state.keep(&number.to_string(), Kept::Has { value: value.clone(), until, bytes });
        }
        let all = state.kept.len() * taken(&value);
        assert!(all <= KEPT_MAX && all > KEPT_MAX / 16, "{part}: {} of {all} bytes are kept", state.kept.len());
    }
}

#[test]
fn what_is_kept_is_bounded() {
    let mut state = State::default();
    let has = |all: usize| {
        let until = Tick::now().after(Duration::from_secs(9));
        Kept::Has { value: Value::from(1), until, bytes: all - ENTRY - 2 }
    };
    for number in 10..50 {
        state.keep(&number.to_string(), has(1 << 20));
    }
    assert!(state.bytes <= KEPT_MAX && state.kept.len() == 32 && state.order.len() == 32, "{}", state.kept.len());
    assert!(state.kept.contains_key("49") && !state.kept.contains_key("17"));
    state.keep("49", has(1_000));
    assert_eq!((state.kept.len(), state.bytes), (32, (31 << 20) + 1_000));
}
