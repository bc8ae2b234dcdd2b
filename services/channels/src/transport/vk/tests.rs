//! Against a double that says what VK's documentation says.

use serde_json::json;

use super::super::double::{Double, Saying, message, recorded, replay, secret};
use super::*;

fn vk(double: &Double) -> Box<dyn Transport> {
    let (token, _file) = secret("vk1.a.token");
    open(&Config { token, url: double.url(), version: default_version(), timeout_seconds: 20 }).unwrap()
}

#[tokio::test]
async fn every_documented_answer_is_read_as_the_table_says() {
    let answers = recorded(include_str!("../answers/vk.json"), include_str!("../vk.rs"));
    replay(answers, &message("12345"), vk).await;
}

#[tokio::test]
async fn the_user_gets_title_text_and_link() {
    let double = Double::saying(Saying::of(200, json!({"response": 17}))).await;
    vk(&double).hand_over(&message("12345")).await;
    let asked = double.only();
    assert_eq!(asked.line(), "POST /method/messages.send HTTP/1.1", "the token is not in the path");
    let form = Url::parse(&format!("http://x/?{}", String::from_utf8(asked.body).unwrap())).unwrap();
    let form: Vec<(String, String)> = form.query_pairs().into_owned().collect();
    let expected = [
        ("peer_id", "12345"),
        ("random_id", "1785458046"),
        ("message", "Ваша корзина\n\nЧайник ждёт\n\nhttps://t.example/c/1"),
        ("access_token", "vk1.a.token"),
        ("v", "5.199"),
    ];
    assert_eq!(form, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn repeats_have_the_same_number_and_others_another() {
    assert_eq!(random_id("8f9b22f9-9da3-56c4-85fa-4f1aea6bed7e"), Some(0x6a6b_ed7e));
    assert_eq!(random_id("8f9b22f9-9da3-56c4-8000-000000000000"), Some(1));
    assert_eq!(random_id("no id"), None);
}

#[test]
fn a_bad_configuration_is_told_whole() {
    let token = Secret::Env("NO_SUCH_VARIABLE".to_owned());
    let bad = Config { token, url: "x".to_owned(), version: default_version(), timeout_seconds: 0 };
    assert_eq!(bad.problems().len(), 3, "{:?}", bad.problems());
}
