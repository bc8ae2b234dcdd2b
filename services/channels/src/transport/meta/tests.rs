//! Against a double that says what Meta's documentation says.

use super::super::double::{Double, Saying, message, recorded, replay, secret};
use super::*;

fn config(double: &Double, product: Product) -> (Config, tempfile::NamedTempFile) {
    let (token, file) = secret("EAAJB");
    let (sender, url, version) = ("106540352242922".to_owned(), double.url(), default_version());
    (Config { product, sender, token, url, version, tag: None, timeout_seconds: 20 }, file)
}

fn meta(double: &Double, product: Product) -> Box<dyn Transport> {
    open(&config(double, product).0).unwrap()
}

fn taken() -> Saying {
    Saying::of(200, json!({"messages": [{"id": "wamid.1"}]}))
}

#[tokio::test]
async fn every_documented_answer_is_read_as_the_table_says() {
    let answers = recorded(include_str!("../answers/meta.json"), include_str!("../meta.rs"));
    replay(answers, &message("79001234567"), |double| meta(double, Product::Whatsapp)).await;
}

#[tokio::test]
async fn whatsapp_gets_text_and_hands_the_token_back() {
    let double = Double::saying(taken()).await;
    meta(&double, Product::Whatsapp).hand_over(&message("79001234567")).await;
    let asked = double.only();
    assert_eq!(asked.line(), "POST /v23.0/106540352242922/messages HTTP/1.1");
    assert_eq!(asked.header("authorization"), Some("Bearer EAAJB"));
    let expected = json!({
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "79001234567",
        "type": "text",
        "text": {"body": "Ваша корзина\n\nЧайник ждёт\n\nhttps://t.example/c/1"},
        "biz_opaque_callback_data": "receipt-token",
    });
    assert_eq!(asked.json(), expected);
}

#[tokio::test]
async fn a_text_that_is_a_message_of_whatsapp_s_goes_out_as_it_is() {
    let double = Double::saying(taken()).await;
    let text =
        r#"{"type": "template", "template": {"name": "cart_left", "language": {"code": "ru"}}, "to": "somebody else"}"#;
    let own = Message { text: text.to_owned(), receipt_token: Some("x".repeat(513)), ..message("79001234567") };
    meta(&double, Product::Whatsapp).hand_over(&own).await;
    let expected = json!({
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "79001234567",
        "type": "template",
        "template": {"name": "cart_left", "language": {"code": "ru"}},
    });
    assert_eq!(double.only().json(), expected);
}

#[tokio::test]
async fn a_text_that_only_looks_like_json_stays_a_text() {
    for text in ["{\"name\": 1}", "{hello}", "[1]"] {
        let double = Double::saying(taken()).await;
        let plain = Message { text: text.to_owned(), subject: None, link: None, ..message("79001234567") };
        meta(&double, Product::Whatsapp).hand_over(&plain).await;
        assert_eq!(double.only().json()["text"], json!({"body": text}));
    }
}

#[tokio::test]
async fn a_message_of_whatsapp_s_that_is_broken_is_shown_to_nobody() {
    for text in [
        r#"{"type": "template", "template": {"name": "cart_left""#,
        "\n{\"type\": \"text\", \"text\": {\"body\": \"Say \"hi\"\"}}",
    ] {
        let double = Double::saying(taken()).await;
        let broken = Message { text: text.to_owned(), ..message("79001234567") };
        assert_eq!(meta(&double, Product::Whatsapp).hand_over(&broken).await, Answer::unfit("bad_json"), "{text}");
        assert!(double.asked().is_empty());
    }
}

#[tokio::test]
async fn messenger_and_instagram_get_a_conversation() {
    for (product, tag, kind) in
        [(Product::Messenger, None, "UPDATE"), (Product::Instagram, Some("HUMAN_AGENT"), "MESSAGE_TAG")]
    {
        let double = Double::saying(Saying::of(200, json!({"recipient_id": "1", "message_id": "m_1"}))).await;
        let (mut config, _file) = config(&double, product);
        config.tag = tag.map(str::to_owned);
        let answer = open(&config).unwrap().hand_over(&message("1254477777772919")).await;
        assert_eq!(answer, Answer::taken(Some("m_1".to_owned())));
        let body = double.only().json();
        assert_eq!(body["recipient"], json!({"id": "1254477777772919"}));
        assert_eq!(body["message"], json!({"text": "Ваша корзина\n\nЧайник ждёт\n\nhttps://t.example/c/1"}));
        assert_eq!((body["messaging_type"].as_str(), body["tag"].as_str()), (Some(kind), tag));
    }
}

#[test]
fn a_bad_configuration_is_told_whole() {
    let bad = Config {
        product: Product::Whatsapp,
        sender: "../me".to_owned(),
        token: Secret::Env("NO_SUCH_VARIABLE".to_owned()),
        url: "x".to_owned(),
        version: default_version(),
        tag: Some("HUMAN_AGENT".to_owned()),
        timeout_seconds: 0,
    };
    assert_eq!(bad.problems().len(), 5, "{:?}", bad.problems());
}
