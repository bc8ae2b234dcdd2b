//! Gateways that nobody here has written a file for, each as its documents say that it posts.

use serde_json::json;

use super::*;
use crate::transport::hook::Config;
use crate::transport::hook::tests::{Posts, secrets, sign};
use crate::transport::replies::default_stop_words;
use crate::transport::smpp;

const SECRET: &str = "what-was-agreed-with-it";

fn gateway(post: Value) -> Gateway {
    Gateway::new(
        secrets(&["another one of ours", SECRET]),
        default_stop_words(),
        &serde_json::from_value(post).unwrap(),
    )
}

/// The one that stands in the examples.
fn exolve() -> Post {
    let page: toml::Table = include_str!("../../../../../../deploy/channels.toml").parse().unwrap();
    page["channel"]["sms"]["hook"]["post"].clone().try_into().unwrap()
}

fn proven(proof: Value) -> Gateway {
    gateway(json!({"proof": proof, "id": "/id", "status": "/status", "statuses": {"DELIVRD": "delivered"}}))
}

#[test]
fn every_documented_post_is_read_as_its_configuration_says() {
    let posts = Posts::of(include_str!("../../posts/http.json"), "");
    posts.check(|post| {
        Box::new(gateway(match post.hook.as_str() {
            "exolve" => return Box::new(Gateway::new(secrets(&[SECRET]), default_stop_words(), &exolve())),
            "infobip" => json!({"proof": "path", "list": "/results", "id": "/messageId", "status": "/status/groupName",
                "time": "/doneAt", "statuses": {"DELIVERED": "delivered", "UNDELIVERABLE": "bounced_hard", "PENDING": "nothing"}}),
            "lox24" => json!({"proof": "path", "id": "/data/id", "status": "/data/dlr_code", "token": "/data/callback_data",
                "time": "/created_at", "statuses": {"1": "delivered"}}),
            "alibaba" => json!({"proof": "path", "id": "/MessageId", "status": "/Status",
                "statuses": {"1": "sent", "2": "failed", "6": "expired"}}),
            "46elks" => json!({"proof": "path", "body": "form", "id": "/id", "status": "/status", "time": "/delivered",
                "statuses": {"sent": "sent", "delivered": "delivered", "failed": "failed"}}),
            "smsgate" => json!({"proof": "path", "id": "/message_id", "status": "/status", "time": "/timestamp",
                "statuses": {"delivered": "delivered"}, "reply": {"at": "/recipient_response",
                    "sender": "/recipient_response/recipient/phone", "text": "/recipient_response/content/text"}}),
            other => panic!("{other} is no gateway"),
        }))
    });
}

/// The words of message centres mean the same whichever way they come.
#[test]
fn the_example_of_a_gateway_reads_the_words_of_message_centres_as_the_table_of_smpp_says() {
    let page: toml::Table = include_str!("../../../../../../deploy/channels.toml").parse().unwrap();
    let post: Post = page["channel"]["gateway"]["hook"]["post"].clone().try_into().unwrap();
    assert!(post.statuses.contains_key("UNDELIV") && post.statuses.len() >= 7);
    for (word, meaning) in post.statuses {
        let text = format!("id:1 stat:{word} err:000");
        let receipt = smpp::receipt::read(text.as_bytes(), &smpp::receipt::Parameters::default(), &[]).unwrap();
        // That it was taken is known already.
        let status = receipt.status.filter(|status| *status != Status::Accepted);
        assert_eq!(meaning.status(), status, "{word}");
    }
}

#[test]
fn a_time_may_be_written_in_several_ways() {
    let at = |value: Value| {
        let gateway = gateway(
            json!({"proof": "path", "id": "/id", "status": "/s", "time": "/t", "statuses": {"d": "delivered"}}),
        );
        gateway.read(json!({"id": "1", "s": "D", "t": value}).to_string().as_bytes())[0].occurred_at
    };
    let expected = Some(1_795_856_400_000);
    assert_eq!(
        [at(json!(1_795_856_400)), at(json!("1795856400000")), at(json!("2026-11-28T12:00:00+03:00"))],
        [expected; 3]
    );
    assert_eq!(
        [at(json!("2026-11-28 12:00:00")), at(json!(i64::MAX / 2)), at(json!("")), at(json!({}))],
        [None, Some(i64::MAX / 2), None, None]
    );
}

#[test]
fn only_who_has_the_secret_in_the_path_is_believed() {
    let gateway = proven(json!("path"));
    assert!(gateway.trusts_path(SECRET) && gateway.trusts_path("another one of ours"));
    assert!(
        !gateway.trusts_path("") && !gateway.trusts_path(&SECRET[1..]) && !gateway.trusts_path("a guess of sixteen")
    );
    let mut headers = HeaderMap::new();
    headers.insert("x-token", SECRET.parse().unwrap());
    assert!(!gateway.trusts(&headers, b"{}"), "it is to stand in the path");
}

#[test]
fn only_who_has_the_secret_in_the_header_is_believed() {
    let gateway = proven(json!({"header": "X-Token"}));
    let believed = |values: &[&str]| {
        let mut headers = HeaderMap::new();
        values.iter().for_each(|value| _ = headers.append("x-token", value.parse().unwrap()));
        gateway.trusts(&headers, b"{}")
    };
    assert!(believed(&[SECRET]) && believed(&["another one of ours"]));
    assert!(!believed(&[]) && !believed(&[""]) && !believed(&[&SECRET[1..]]) && !believed(&["a guess of sixteen"]));
    assert!(!believed(&[SECRET, SECRET]), "of two nobody knows which one somebody has looked at");
    assert!(!gateway.trusts_path(SECRET), "it is to stand in the header");
}

#[test]
fn only_what_is_signed_with_the_secret_is_believed() {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    let body = br#"{"id": "1", "status": "DELIVRD"}"#;
    let hex = sign(SECRET, body);
    let bytes: Vec<u8> = (0..32).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect();
    let forged = sign("somebody else's secret", body);
    for (encoding, good, wrong) in [
        ("hex", hex.clone(), forged.clone()),
        ("base64", STANDARD.encode(&bytes), STANDARD.encode(&bytes[1..])),
        ("base64", STANDARD.encode(&bytes), hex.clone()),
        ("hex", hex.to_uppercase(), STANDARD.encode(&bytes)),
    ] {
        let gateway = proven(json!({"hmac": {"header": "x-signature", "encoding": encoding, "prefix": "sha256="}}));
        let believed = |value: &str, body: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert("x-signature", value.parse().unwrap());
            gateway.trusts(&headers, body)
        };
        let whole = format!("sha256={good}");
        assert!(believed(&whole, body));
        assert!(!believed(&whole, &body[1..]) && !believed(&whole, b"") && !believed(&whole[..whole.len() - 1], body));
        assert!(!believed(&good, body) && !believed("sha256=", body) && !believed(&format!("sha256={wrong}"), body));
        assert!(!believed(&format!("sha256={forged}"), body));
        assert!(!gateway.trusts(&HeaderMap::new(), body) && !gateway.trusts_path(SECRET));
    }
}

#[test]
fn a_configuration_says_all_that_is_wrong() {
    let (_, file) = crate::transport::double::secret("a secret / of sixteen");
    let config = |post: Value| -> Config {
        serde_json::from_value(json!({"kind": "http", "secret": {"file": file.path()}, "post": post})).unwrap()
    };
    let wrong = json!({"proof": {"header": "x y"}, "id": "id", "status": "/s", "time": "t", "statuses": {},
        "reply": {"at": "x", "sender": "/s", "text": "/t"}});
    assert_eq!(config(wrong).problems().len(), 5, "three paths, the header, and no words");
    let path = json!({"proof": "path", "id": "/id", "status": "/s", "statuses": {"d": "delivered"}});
    let problems = config(path).problems();
    assert!(problems.len() == 1 && problems[0].contains("letters, digits"), "{problems:?}");
    let bare: Config = serde_json::from_value(json!({"kind": "http", "secret": {"file": file.path()}})).unwrap();
    assert!(bare.problems()[0].starts_with("hook.post"), "{:?}", bare.problems());
    assert!(serde_json::from_value::<Post>(json!({"proof": "none"})).is_err());
}
