//! Against a double that says what Exolve's documentation, and those who have met more, say.

use super::super::double::{Double, Saying, message, recorded, replay, secret};
use super::*;

fn exolve(double: &Double, template_resource_id: Option<u64>) -> Box<dyn Transport> {
    let (token, _file) = secret("key");
    let (sender, url) = ("SHOP".to_owned(), double.url());
    open(&Config { sender, token, template_resource_id, url, timeout_seconds: 20 }).unwrap()
}

#[tokio::test]
async fn every_documented_answer_is_read_as_the_table_says() {
    let answers = recorded(include_str!("../answers/exolve.json"), include_str!("../exolve.rs"));
    replay(answers, &message("+7 900 123-45-67"), |double| exolve(double, None)).await;
}

#[tokio::test]
async fn exolve_gets_digits_and_the_text_alone() {
    for (template, expected) in [
        (None, json!({"number": "SHOP", "destination": "79001234567", "text": "Чайник ждёт"})),
        (
            Some(136_519),
            json!({"number": "SHOP", "destination": "79001234567", "text": "Чайник ждёт", "template_resource_id": 136_519}),
        ),
    ] {
        let double = Double::saying(Saying::of(200, json!({"message_id": "439166538239448536"}))).await;
        let answer = exolve(&double, template).hand_over(&message("+7 900 123-45-67")).await;
        assert_eq!(answer, Answer::taken(Some("439166538239448536".to_owned())));
        let asked = double.only();
        assert_eq!(asked.line(), "POST /messaging/v1/SendSMS HTTP/1.1");
        assert_eq!(asked.header("authorization"), Some("Bearer key"));
        assert_eq!(asked.json(), expected);
    }
}

#[test]
fn a_bad_configuration_is_told_whole() {
    let token = Secret::Env("NO_SUCH_VARIABLE".to_owned());
    let (sender, url) = (String::new(), "x".to_owned());
    let bad = Config { sender, token, template_resource_id: None, url, timeout_seconds: 0 };
    assert_eq!(bad.problems().len(), 4, "{:?}", bad.problems());
}
