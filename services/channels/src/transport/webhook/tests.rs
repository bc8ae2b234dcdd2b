//! Against a receiver that answers as Standard Webhooks has it.

use serde_json::json;

use super::super::double::{Double, Saying, message, recorded, replay, secret};
use super::*;

/// Of the specification's example, and of its signature below.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn config(url: String, word: &str) -> (Config, tempfile::NamedTempFile) {
    let ((secret, file), event) = (secret(word), default_type());
    (Config { url, secret, other_secret: None, event, allow_private_hosts: true, timeout_seconds: 20 }, file)
}

fn webhook(double: &Double) -> Box<dyn Transport> {
    open(&config(double.url(), SECRET).0).unwrap()
}

#[tokio::test]
async fn every_documented_answer_is_read_as_the_table_says() {
    let answers = recorded(include_str!("../answers/webhook.json"), include_str!("../webhook.rs"));
    replay(answers, &message("+79001234567"), webhook).await;
}

#[test]
fn the_signature_is_that_of_the_specification_s_example() {
    let (mut config, _file) = config("https://crm.example/".to_owned(), SECRET);
    config.other_secret = Some(config.secret.clone());
    let webhook = Webhook {
        client: Client::new(),
        url: Url::parse(&config.url).unwrap(),
        keys: config.keys().unwrap(),
        event: String::new(),
        allow_private: false,
    };
    let one = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    let signed = webhook.signatures("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
    assert_eq!(signed, format!("{one} {one}"));
}

#[tokio::test]
async fn the_receiver_gets_everything_it_needs_and_can_check_it() {
    let double = Double::saying(Saying::of(202, json!({"id": "task-7"}))).await;
    let (config, _file) = config(format!("{}/hooks/calls", double.url()), "plain words");
    let answer = open(&config).unwrap().hand_over(&message("+79001234567")).await;
    assert_eq!(answer, Answer::taken(Some("task-7".to_owned())));
    let asked = double.only();
    assert_eq!(asked.line(), "POST /hooks/calls HTTP/1.1");
    assert_eq!(asked.header("webhook-id"), Some("8f9b22f9-9da3-56c4-85fa-4f1aea6bed7e"));
    let timestamp = asked.header("webhook-timestamp").unwrap();
    assert!(
        (now_seconds() - timestamp.parse::<i64>().unwrap()).abs() <= 10,
        "by the wall, whatever business time it is"
    );
    let mut mac = Hmac::<Sha256>::new_from_slice(b"plain words").unwrap();
    mac.update(format!("8f9b22f9-9da3-56c4-85fa-4f1aea6bed7e.{timestamp}.").as_bytes());
    mac.update(&asked.body);
    let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    assert_eq!(asked.header("webhook-signature"), Some(expected.as_str()));
    let expected = json!({"type": "message.send", "timestamp": "1970-01-01T00:16:40Z", "data": {
        "send_id": "8f9b22f9-9da3-56c4-85fa-4f1aea6bed7e", "to": "+79001234567", "text": "Чайник ждёт",
        "title": "Ваша корзина", "link": "https://t.example/c/1", "receipt_token": "receipt-token", "send_before": 4_600_000, "valid_until": 4_600_000,
    }});
    assert_eq!(asked.json(), expected);
}

#[tokio::test]
async fn a_host_inside_is_not_called_unless_it_is_allowed() {
    let double = Double::saying(Saying::of(200, json!({}))).await;
    let port = double.address.port();
    for (url, code) in [
        (double.url(), "not_https"),
        (format!("https://127.0.0.1:{port}/"), "private_host"),
        (format!("https://localhost:{port}/"), "private_host"),
    ] {
        let (mut config, _file) = config(url, SECRET);
        config.allow_private_hosts = false;
        assert_eq!(open(&config).unwrap().hand_over(&message("+7")).await, Answer::not_taken(code), "{}", config.url);
    }
    assert!(double.asked().is_empty());
}

#[tokio::test]
async fn no_answer_leaves_the_outcome_unknown() {
    let broken = Double::saying(Saying::of(0, json!(null))).await;
    assert_eq!(webhook(&broken).hand_over(&message("+7")).await, Answer::unknown("connection_broke"));
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (mut config, _file) = config(format!("http://{}", silent.local_addr().unwrap()), SECRET);
    config.timeout_seconds = 1;
    assert_eq!(open(&config).unwrap().hand_over(&message("+7")).await, Answer::unknown("timeout"));
}

#[test]
fn a_bad_configuration_is_told_whole() {
    let (mut bad, _file) = config("http://10.0.0.1/".to_owned(), "whsec_!!!");
    (bad.timeout_seconds, bad.allow_private_hosts) = (0, false);
    assert_eq!(bad.problems().len(), 3, "{:?}", bad.problems());
}
