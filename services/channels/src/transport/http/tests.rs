//! Against a peer on loopback that answers with given bytes.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;

/// Answers each connection with `answer` and hangs up; the first request goes to the returned task.
async fn serve(answer: &'static str) -> (SocketAddr, JoinSet<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        // The body ends with the only closing brace at the end of what was sent.
        while !request.ends_with(b"}") {
            stream.read_buf(&mut request).await.unwrap();
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(request).unwrap()
    });
    (address, tasks)
}

fn config(address: SocketAddr) -> Config {
    Config {
        url: format!("http://{address}/messages"),
        headers: BTreeMap::from([("x-account".to_owned(), "7".to_owned())]),
        bearer: None,
        provider_id_field: default_field(),
        timeout_seconds: 1,
    }
}

fn message() -> Message {
    Message {
        send_id: "8f9b22f9-9da3-56c4-85fa-4f1aea6bed7e".to_owned(),
        customer_id: "c1".to_owned(),
        address: "+79000000000".to_owned(),
        subject: None,
        text: "Привет!".to_owned(),
        html: None,
        link: Some("https://t.example/c/1".to_owned()),
        unsubscribe: None,
        receipt_token: Some("token".to_owned()),
        return_token: None,
        now: 0,
        send_before: 60_000,
        valid_until: 60_000,
    }
}

async fn answer(words: &'static str) -> (Answer, String) {
    let (address, mut tasks) = serve(words).await;
    let answer = open(&config(address)).unwrap().hand_over(&message()).await;
    (answer, tasks.join_next().await.unwrap().unwrap())
}

#[tokio::test]
async fn the_provider_gets_everything_it_needs_and_its_id_comes_back() {
    let (answer, request) = answer("HTTP/1.1 202 Accepted\r\ncontent-length: 19\r\n\r\n{\"provider_id\": 42}").await;
    assert_eq!(answer, Answer::taken(Some("42".to_owned())));
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /messages HTTP/1.1"), "{head}");
    assert!(head.contains("x-account: 7") && head.contains("idempotency-key: 8f9b22f9-"), "{head}");
    let body: Value = serde_json::from_str(body).unwrap();
    let expected = serde_json::json!({
        "send_id": "8f9b22f9-9da3-56c4-85fa-4f1aea6bed7e", "to": "+79000000000", "text": "Привет!",
        "link": "https://t.example/c/1", "receipt_token": "token",
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn a_status_is_read_as_the_table_says() {
    let cases = [
        ("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nnot json", Answer::taken(None)),
        ("HTTP/1.1 400 Bad\r\ncontent-length: 19\r\n\r\n{\"code\": \"blocked\"}", Answer::refused("blocked")),
        (
            "HTTP/1.1 410 Gone\r\ncontent-length: 24\r\n\r\n{\"code\": \"unregistered\"}",
            Answer::nobody_there("unregistered"),
        ),
        ("HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n", Answer::nobody_there("http_410")),
        ("HTTP/1.1 400 Bad\r\ncontent-length: 27\r\n\r\n{\"code\": \"call +7900 000 0\"}", Answer::refused("http_400")),
        ("HTTP/1.1 422 Bad\r\ncontent-length: 0\r\n\r\n", Answer::refused("http_422")),
        ("HTTP/1.1 413 Large\r\ncontent-length: 0\r\n\r\n", Answer::refused("http_413")),
        ("HTTP/1.1 503 Later\r\ncontent-length: 0\r\n\r\n", Answer::not_taken("http_503")),
        ("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n", Answer::unknown("http_500")),
    ];
    for (words, expected) in cases {
        assert_eq!(answer(words).await.0, expected, "{words}");
    }
}

#[tokio::test]
async fn a_fault_of_ours_refuses_nothing() {
    for (words, code) in [
        ("HTTP/1.1 401 Who\r\ncontent-length: 21\r\n\r\n{\"code\": \"bad_token\"}", "http_401"),
        ("HTTP/1.1 402 Pay\r\ncontent-length: 0\r\n\r\n", "http_402"),
        ("HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n", "http_403"),
        ("HTTP/1.1 404 Where\r\ncontent-length: 0\r\n\r\n", "http_404"),
        ("HTTP/1.1 405 How\r\ncontent-length: 0\r\n\r\n", "http_405"),
        ("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n", "http_302"),
    ] {
        assert_eq!(answer(words).await.0, Answer::not_taken(code), "{words}");
    }
}

#[tokio::test]
async fn the_pause_that_a_provider_asks_for_is_kept_within_bounds() {
    for (words, seconds) in [
        ("HTTP/1.1 429 Slow\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n", Some(7)),
        ("HTTP/1.1 429 Slow\r\nretry-after: 99999999\r\ncontent-length: 0\r\n\r\n", Some(600)),
        ("HTTP/1.1 429 Slow\r\nretry-after: Fri, 31 Dec 1999 23:59:59 GMT\r\ncontent-length: 0\r\n\r\n", None),
    ] {
        let expected = Answer::NotTaken { code: "http_429".to_owned(), retry_after: seconds.map(Duration::from_secs) };
        assert_eq!(answer(words).await.0, expected);
    }
}

#[tokio::test]
async fn a_provider_that_is_away_has_taken_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    assert_eq!(open(&config(address)).unwrap().hand_over(&message()).await, Answer::not_taken("connection"));
}

#[tokio::test]
async fn no_answer_leaves_the_outcome_unknown() {
    assert_eq!(answer("").await.0, Answer::unknown("connection_broke"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = open(&config(listener.local_addr().unwrap())).unwrap();
    assert_eq!(silent.hand_over(&message()).await, Answer::unknown("timeout"));
}

#[test]
fn a_bad_configuration_is_told_whole() {
    let mut bad = config(([127, 0, 0, 1], 1).into());
    bad.url = "ftp://x".to_owned();
    bad.headers.insert("bad header".to_owned(), "x".to_owned());
    bad.timeout_seconds = 0;
    assert_eq!(bad.problems().len(), 3, "{:?}", bad.problems());
}
