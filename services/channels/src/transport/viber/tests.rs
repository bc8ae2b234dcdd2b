//! Against a double that says what Viber's documentation says.

use super::super::double::{Double, Saying, message, recorded, replay, secret};
use super::*;

fn viber(double: &Double) -> Box<dyn Transport> {
    let (token, _file) = secret("445da6az1s345z78-dazcczb2542zv51a-e0vc5fva17480im9");
    let avatar = Some("https://shop.example/a.png".to_owned());
    open(&Config { token, sender: "Shop".to_owned(), avatar, url: double.url(), timeout_seconds: 20 }).unwrap()
}

#[tokio::test]
async fn every_documented_answer_is_read_as_the_table_says() {
    let answers = recorded(include_str!("../answers/viber.json"), include_str!("../viber.rs"));
    let mut numbers: Vec<u64> = answers.iter().filter_map(|saying| saying.body["status"].as_u64()).collect();
    numbers.dedup();
    assert_eq!(numbers, (0..=25).collect::<Vec<_>>(), "one for each number, and one that is not documented");
    replay(answers, &message("01234567890A="), viber).await;
}

#[tokio::test]
async fn the_subscriber_gets_title_text_and_link() {
    let double =
        Double::saying(Saying::of(200, json!({"status": 0, "message_token": 5_741_311_803_571_721_087_u64}))).await;
    let answer = viber(&double).hand_over(&message("01234567890A=")).await;
    assert_eq!(answer, Answer::taken(Some("5741311803571721087".to_owned())));
    let asked = double.only();
    assert_eq!(asked.line(), "POST /pa/send_message HTTP/1.1");
    assert_eq!(asked.header("x-viber-auth-token"), Some("445da6az1s345z78-dazcczb2542zv51a-e0vc5fva17480im9"));
    let expected = json!({
        "receiver": "01234567890A=",
        "min_api_version": 1,
        "sender": {"name": "Shop", "avatar": "https://shop.example/a.png"},
        "tracking_data": "receipt-token",
        "type": "text",
        "text": "Ваша корзина\n\nЧайник ждёт\n\nhttps://t.example/c/1",
    });
    assert_eq!(asked.json(), expected);
}

#[test]
fn a_bad_configuration_is_told_whole() {
    let token = Secret::Env("NO_SUCH_VARIABLE".to_owned());
    let bad = Config { token, sender: "x".repeat(29), avatar: None, url: "x".to_owned(), timeout_seconds: 0 };
    assert_eq!(bad.problems().len(), 4, "{:?}", bad.problems());
}
