//! Against a push service that says what the RFCs say, and with the eyes of a browser: `http_ece`, an independent implementation,
//! opens what we have sealed, and `cryptography` checks our name. Their Python is the one of `schemas/tests/foreign.rs`.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use base64::engine::general_purpose::URL_SAFE;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use web_push_native::p256::pkcs8::{EncodePrivateKey, LineEnding};

use super::super::double::{Asked, Double, Saying, dead_beside, meaning, message, recorded, secret};
use super::*;

const AUTH: [u8; 16] = [9; 16];

/// The key of a browser.
fn browser() -> SecretKey {
    SecretKey::from_slice(&[5; 32]).unwrap()
}

fn point(key: &SecretKey) -> Vec<u8> {
    key.public_key().to_encoded_point(false).as_bytes().to_vec()
}

fn subscription(endpoint: &str) -> String {
    // One with padding, one without: browsers leave it out, libraries do not.
    let keys = json!({"p256dh": URL_SAFE.encode(point(&browser())), "auth": URL_SAFE_NO_PAD.encode(AUTH)});
    json!({"endpoint": endpoint, "expirationTime": null, "keys": keys}).to_string()
}

fn own() -> SecretKey {
    SecretKey::from_slice(&[3; 32]).unwrap()
}

fn config(key: &str) -> (Config, tempfile::NamedTempFile) {
    let (key, file) = secret(key);
    let subject = "mailto:push@shop.example".to_owned();
    (Config { key, subject, urgency: "high".to_owned(), allow_private_hosts: true, timeout_seconds: 20 }, file)
}

fn web_push() -> Box<dyn Transport> {
    open(&config(&own().to_pkcs8_pem(LineEnding::LF).unwrap()).0).unwrap()
}

fn created() -> Saying {
    Saying::of(201, Value::Null)
}

#[tokio::test]
async fn every_documented_answer_is_read_as_the_table_says() {
    for saying in recorded(include_str!("../answers/web_push.json"), include_str!("../web_push.rs")) {
        let double = Double::saying(saying.clone()).await;
        let (known, expected) = (Double::saying(created()).await, meaning(&saying.read_as));
        let web_push = web_push();
        let taken = web_push.hand_over(&message(&subscription(&known.url()))).await;
        assert_eq!(taken, Answer::taken(None));
        assert_eq!(web_push.hand_over(&message(&subscription(&double.url()))).await, expected, "{saying:?}");
    }
}

#[tokio::test]
async fn a_push_service_that_fails_or_wants_a_pause_holds_up_no_other() {
    let pause =
        Saying { headers: [("retry-after".to_owned(), "600".to_owned())].into(), ..Saying::of(429, Value::Null) };
    let (away, good) = (Double::saying(pause).await, Double::saying(created()).await);
    let web_push = web_push();
    assert!(!web_push.is_one_provider());
    let to = |double: &Double| message(&subscription(&double.url()));
    assert!(matches!(web_push.hand_over(&to(&away)).await, Answer::NotTaken { retry_after: Some(_), .. }));
    assert_eq!(web_push.hand_over(&to(&away)).await, Answer::not_taken("service_paused"));
    assert_eq!(web_push.hand_over(&to(&good)).await, Answer::taken(None));
    assert_eq!(away.asked().len(), 1);
    let refused = Double::saying(Saying::of(400, Value::Null)).await;
    let fresh = self::web_push();
    assert_eq!(fresh.hand_over(&to(&refused)).await, Answer::not_taken("http_400"), "it may be our fault");
}

#[tokio::test]
async fn a_push_service_whose_pause_is_over_is_tried_with_one_call() {
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let web_push = web_push();
    let to = message(&subscription(&format!("http://{}", mute.local_addr().unwrap())));
    let first = async {
        let (mut stream, _) = mute.accept().await.unwrap();
        let said = b"HTTP/1.1 429 Later\r\nretry-after: 0\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.read_exact(&mut [0; 8]).await.unwrap();
        stream.write_all(said).await.unwrap();
        while stream.read(&mut [0; 1_024]).await.is_ok_and(|read| read > 0) {}
    };
    let (answer, ()) = tokio::join!(web_push.hand_over(&to), first);
    assert!(matches!(answer, Answer::NotTaken { .. }), "{answer:?}");
    let trial = web_push.hand_over(&to);
    tokio::pin!(trial);
    tokio::select! {
        answer = &mut trial => panic!("a mute service answers {answer:?}"),
        _ = mute.accept() => {}
    }
    assert_eq!(web_push.hand_over(&to).await, Answer::not_taken("service_paused"));
}

/// Python with `http_ece`. A lock keeps two test runs from making the environment at once.
fn python() -> PathBuf {
    let named = |name| std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    let cache = named("CASCADE_CACHE")
        .or_else(|| named("XDG_CACHE_HOME").map(|cache| cache.join("cascade")))
        .or_else(|| named("HOME").map(|home| home.join(".cache/cascade")))
        .expect("set CASCADE_CACHE, XDG_CACHE_HOME or HOME: the Python environment is kept there");
    std::fs::create_dir_all(&cache).unwrap();
    let lock = std::fs::File::create(cache.join("venv.lock")).unwrap();
    lock.lock().unwrap();
    let venv = named("CASCADE_VENV").unwrap_or_else(|| cache.join("venv"));
    let python = venv.join("bin/python");
    let run = |command: &mut Command| assert!(command.status().unwrap().success(), "{command:?}");
    if !python.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&venv));
    }
    let asked = Command::new(&python).args(["-c", "import http_ece"]).stderr(Stdio::null()).status();
    if !asked.is_ok_and(|status| status.success()) {
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "http-ece==1.2.1"]));
    }
    python
}

/// What a browser reads, and the claims under our name once its signature is checked.
fn opened(asked: &Asked) -> (Value, Value) {
    let (token, name) =
        asked.header("authorization").unwrap().strip_prefix("vapid t=").unwrap().split_once(", k=").unwrap();
    let task = json!({
        "body": URL_SAFE.encode(&asked.body),
        "browser": URL_SAFE.encode(browser().to_bytes()),
        "auth": URL_SAFE.encode(AUTH),
        "token": token,
        "name": name,
    });
    let mut script = Command::new(python())
        .arg("-c")
        .arg(include_str!("browser.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    script.stdin.take().unwrap().write_all(task.to_string().as_bytes()).unwrap();
    let output = script.wait_with_output().unwrap();
    assert!(output.status.success(), "browser.py failed, see above");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    (told["plain"].clone(), told["claims"].clone())
}

#[tokio::test]
async fn a_browser_opens_it_and_the_push_service_knows_who_we_are() {
    let double = Double::saying(created()).await;
    let answer = web_push().hand_over(&message(&subscription(&format!("{}/push/1?a=b", double.url())))).await;
    assert_eq!(answer, Answer::taken(None));
    let asked = double.only();
    assert_eq!(asked.line(), "POST /push/1?a=b HTTP/1.1");
    for (name, value) in [
        ("ttl", "3600"),
        ("urgency", "high"),
        ("topic", "8f9b22f99da356c485fa4f1aea6bed7e"),
        ("content-encoding", "aes128gcm"),
    ] {
        assert_eq!(asked.header(name), Some(value), "{name}");
    }
    let (plain, claims) = opened(&asked);
    let expected = json!({
        "send_id": "8f9b22f9-9da3-56c4-85fa-4f1aea6bed7e",
        "title": "Ваша корзина",
        "body": "Чайник ждёт",
        "link": "https://t.example/c/1",
        "receipt_token": "receipt-token",
    });
    assert_eq!(plain, expected);
    assert_eq!(
        (claims["aud"].as_str(), claims["sub"].as_str()),
        (Some(&*double.url()), Some("mailto:push@shop.example"))
    );
    let left = claims["exp"].as_i64().unwrap() - now_seconds();
    assert!((1..=24 * 3_600).contains(&left), "RFC 8292 allows a day, it is {left} s");
}

#[tokio::test]
async fn several_browsers_count_once() {
    let (alive, gone) = (Double::saying(created()).await, Double::saying(Saying::of(410, Value::Null)).await);
    let of = |double: &Double| subscription(&double.url());
    let both = message(&format!("[{},{}]", of(&gone), of(&alive)));
    assert_eq!(web_push().hand_over(&both).await, dead_beside(None));
    let none = message(&format!("[{},{}]", of(&gone), of(&gone)));
    assert_eq!(web_push().hand_over(&none).await, Answer::nobody_there("http_410"));
}

#[tokio::test]
async fn an_endpoint_inside_is_not_called() {
    let double = Double::saying(created()).await;
    let port = double.address.port();
    let (mut config, _file) = config(&URL_SAFE_NO_PAD.encode(own().to_bytes()));
    config.allow_private_hosts = false;
    let web_push = open(&config).unwrap();
    for (endpoint, code) in [
        (double.url(), "not_https"),
        (format!("https://127.0.0.1:{port}/"), "private_host"),
        (format!("https://[::1]:{port}/"), "private_host"),
        (format!("https://localhost:{port}/"), "private_host"),
    ] {
        let answer = web_push.hand_over(&message(&subscription(&endpoint))).await;
        assert_eq!(answer, Answer::unfit(code), "{endpoint}");
    }
    assert!(double.asked().is_empty());
}

#[tokio::test]
async fn what_cannot_be_sealed_is_not_sent() {
    let double = Double::saying(created()).await;
    let good = subscription(&double.url());
    let bad = ["", "x", "{}", &good.replace("p256dh", "other"), &good.replace(&URL_SAFE_NO_PAD.encode(AUTH), "AAAA")];
    for subscription in bad {
        assert_eq!(web_push().hand_over(&message(subscription)).await, Answer::nobody_there("bad_subscription"));
    }
    let long = Message { text: "x".repeat(PLAIN_BYTES_MAX), ..message(&good) };
    assert_eq!(web_push().hand_over(&long).await, Answer::unfit("too_large"));
    assert!(double.asked().is_empty());
}

#[test]
fn a_key_is_pem_or_its_bytes() {
    let bytes = URL_SAFE.encode(own().to_bytes());
    for text in [own().to_pkcs8_pem(LineEnding::LF).unwrap().to_string(), bytes] {
        assert_eq!(config(&text).0.key(), Ok(own()));
    }
    let (mut bad, _file) = config("MARKED");
    (bad.subject, bad.urgency, bad.timeout_seconds) = ("x".to_owned(), "x".to_owned(), 0);
    assert_eq!(bad.problems().len(), 4, "{:?}", bad.problems());
    assert!(!format!("{:?}", bad.problems()).contains("MARKED"));
}
