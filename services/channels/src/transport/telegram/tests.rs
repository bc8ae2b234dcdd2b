//! Against a double that says what the Bot API's documentation says.

use super::super::double::{Double, Saying, message, recorded, replay, secret};
use super::*;

fn config(token: Secret, url: &str, button: Option<&str>) -> Config {
    Config {
        token,
        url: url.to_owned(),
        button: button.map(str::to_owned),
        timeout_seconds: 20,
        receive: false,
        stop_words: default_stop_words(),
        replies_remembered: 7,
    }
}

fn bot(double: &Double, button: Option<&str>) -> Box<dyn Transport> {
    let (token, _file) = secret("110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw");
    open(&config(token, &double.url(), button)).unwrap()
}

#[tokio::test]
async fn every_documented_answer_is_read_as_the_table_says() {
    let answers = recorded(include_str!("../answers/telegram.json"), include_str!("../telegram.rs"));
    replay(answers, &message("12345"), |double| bot(double, None)).await;
}

#[tokio::test]
async fn the_bot_gets_title_text_and_link() {
    let double = Double::saying(Saying::of(200, json!({"ok": true}))).await;
    assert_eq!(bot(&double, None).hand_over(&message("12345")).await, Answer::taken(None));
    let asked = double.only();
    assert_eq!(asked.line(), "POST /bot110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/sendMessage HTTP/1.1");
    let text = "Ваша корзина\n\nЧайник ждёт\n\nhttps://t.example/c/1";
    assert_eq!(asked.json(), json!({"chat_id": "12345", "text": text}));
}

#[tokio::test]
async fn a_link_with_a_label_is_a_button() {
    let double = Double::saying(Saying::of(200, json!({"ok": true}))).await;
    bot(&double, Some("К корзине")).hand_over(&message("12345")).await;
    let button = json!({"inline_keyboard": [[{"text": "К корзине", "url": "https://t.example/c/1"}]]});
    let expected = json!({"chat_id": "12345", "text": "Ваша корзина\n\nЧайник ждёт", "reply_markup": button});
    assert_eq!(double.only().json(), expected);
}

#[test]
fn a_bad_configuration_is_told_whole() {
    let bad = Config {
        token: Secret::Env("NO_SUCH_VARIABLE".to_owned()),
        timeout_seconds: 46,
        replies_remembered: 0,
        ..config(Secret::Env(String::new()), "ftp://x", None)
    };
    assert_eq!(bad.problems().len(), 4, "{:?}", bad.problems());
}

#[tokio::test]
async fn the_bot_is_heard_once_somebody_listens_and_only_if_that_is_wanted() {
    let double = Double::saying(Saying::of(409, json!({"ok": false}))).await;
    assert!(bot(&double, None).ear().is_none());
    let (token, _file) = secret("110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw");
    let hears = open(&Config { receive: true, ..config(token, &double.url(), None) }).unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert!(double.asked().is_empty());
    let mut ear = hears.ear().unwrap();
    assert_eq!(ear.memory, 7);
    assert_eq!(ear.words.recv().await.unwrap().about, super::super::About::Nothing("conflict"));
    assert_eq!(double.only().line(), "POST /bot110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/getUpdates HTTP/1.1");
    drop(hears);
    assert!(ear.words.recv().await.is_none(), "it ends with the transport");
}
