//! Against a double that speaks HTTP/2 and says what Apple's documentation says.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use web_push_native::p256::SecretKey;
use web_push_native::p256::elliptic_curve::sec1::ToEncodedPoint;
use web_push_native::p256::pkcs8::{EncodePrivateKey, LineEnding};

use super::super::double::{Asked, Double, Saying, dead_beside, meaning, message, recorded, secret};
use super::*;

fn key() -> SecretKey {
    SecretKey::from_slice(&[7; 32]).unwrap()
}

fn config(url: String) -> (Config, tempfile::NamedTempFile) {
    let (key, file) = secret(&key().to_pkcs8_pem(LineEnding::LF).unwrap());
    let (key_id, team_id, topic) = ("ABC123DEFG".to_owned(), "DEF123GHIJ".to_owned(), "example.shop".to_owned());
    (Config { key, key_id, team_id, topic, url, sound: Some("default".to_owned()), timeout_seconds: 20 }, file)
}

fn apns(double: &Double) -> Box<dyn Transport> {
    open(&config(double.url()).0).unwrap()
}

fn taken() -> Saying {
    Saying::of(200, Value::Null)
}

#[tokio::test]
async fn every_documented_answer_is_read_as_the_table_says() {
    let answers = recorded(include_str!("../answers/apns.json"), include_str!("../apns.rs"));
    for saying in answers {
        let expected = meaning(&saying.read_as);
        let said = saying.clone();
        let script = move |asked: &Asked| if asked.line().contains("/known ") { taken() } else { said.clone() };
        let double = Double::http2(script).await;
        let apns = apns(&double);
        assert_eq!(apns.hand_over(&message("known")).await, Answer::taken(None));
        assert_eq!(apns.hand_over(&message("a1b2c3")).await, expected, "{saying:?}");
    }
}

#[tokio::test]
async fn a_wrong_server_or_topic_of_ours_is_no_refusal_of_all_our_customers() {
    for reason in ["BadDeviceToken", "DeviceTokenNotForTopic"] {
        let double = Double::http2(move |_| Saying::of(400, json!({"reason": reason}))).await;
        assert_eq!(apns(&double).hand_over(&message("a1b2c3")).await, Answer::not_taken(reason));
    }
}

#[tokio::test]
async fn the_device_gets_everything_it_needs() {
    let double = Double::http2(|_| taken()).await;
    assert_eq!(apns(&double).hand_over(&message("a1b2c3")).await, Answer::taken(None));
    let asked = double.only();
    assert_eq!(asked.line(), "POST /3/device/a1b2c3 HTTP/2");
    for (name, value) in [
        ("apns-topic", "example.shop"),
        ("apns-push-type", "alert"),
        ("apns-priority", "10"),
        ("apns-id", "8f9b22f9-9da3-56c4-85fa-4f1aea6bed7e"),
    ] {
        assert_eq!(asked.header(name), Some(value), "{name}");
    }
    let left = asked.header("apns-expiration").unwrap().parse::<i64>().unwrap() - now_seconds();
    assert!((3_590..=3_600).contains(&left), "valid for an hour, but {left} s are left");
    let expected = json!({
        "aps": {"alert": {"body": "Чайник ждёт", "title": "Ваша корзина"}, "sound": "default"},
        "send_id": "8f9b22f9-9da3-56c4-85fa-4f1aea6bed7e",
        "link": "https://t.example/c/1",
        "receipt_token": "receipt-token",
    });
    assert_eq!(asked.json(), expected);
}

#[tokio::test]
async fn the_key_signs_who_we_are() {
    let double = Double::http2(|_| taken()).await;
    apns(&double).hand_over(&message("a1b2c3")).await;
    let asked = double.only();
    let token = asked.header("authorization").unwrap().strip_prefix("bearer ").unwrap();
    let point = key().public_key().to_encoded_point(false);
    let (x, y) = (URL_SAFE_NO_PAD.encode(point.x().unwrap()), URL_SAFE_NO_PAD.encode(point.y().unwrap()));
    let mut rules = Validation::new(Algorithm::ES256);
    rules.required_spec_claims.clear();
    let told = decode::<Value>(token, &DecodingKey::from_ec_components(&x, &y).unwrap(), &rules).unwrap();
    assert_eq!(told.header.kid.as_deref(), Some("ABC123DEFG"));
    assert_eq!(told.claims["iss"], "DEF123GHIJ");
}

#[test]
fn a_provider_token_serves_for_half_an_hour() {
    let (config, _file) = config("http://127.0.0.1:1".to_owned());
    let apns = Apns {
        client: Client::new(),
        base: Url::parse(&config.url).unwrap(),
        topic: String::new(),
        sound: None,
        signer: config.signer().unwrap(),
        team_id: config.team_id,
        heard: Heard::default(),
        kept: Mutex::default(),
    };
    let at = |now: i64| apns.bearer(now).unwrap();
    let issued = |value: &HeaderValue| {
        let claims = value.to_str().unwrap().split('.').nth(1).unwrap();
        serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()["iat"].as_i64().unwrap()
    };
    let first = at(SLOT * 1_000);
    assert_eq!(first, at(SLOT * 1_001 - 1), "the same to the end of the half hour");
    let next = at(SLOT * 1_001);
    assert_ne!(first, next);
    assert_eq!((issued(&first), issued(&next)), (SLOT * 1_000, SLOT * 1_001));
    assert!((20 * 60..60 * 60).contains(&SLOT), "Apple's limits");
}

#[tokio::test]
async fn what_is_no_token_does_not_reach_the_path() {
    let double = Double::http2(|_| taken()).await;
    for address in ["", "a/../b", "a?b", "a b"] {
        assert_eq!(apns(&double).hand_over(&message(address)).await, Answer::nobody_there("BadDeviceToken"));
    }
    assert!(double.asked().is_empty());
}

#[tokio::test]
async fn several_devices_count_once_and_each_has_an_id_of_its_own() {
    let double = Double::http2(|asked| match asked.line() {
        "POST /3/device/new HTTP/2" => taken(),
        _ => Saying::of(410, json!({"reason": "Unregistered"})),
    })
    .await;
    let apns = apns(&double);
    assert_eq!(apns.hand_over(&message(r#"["old","new"]"#)).await, dead_beside(None));
    assert_eq!(apns.hand_over(&message(r#"["old","older"]"#)).await, Answer::nobody_there("Unregistered"));
    let ids: std::collections::BTreeSet<String> =
        double.asked().iter().map(|asked| asked.header("apns-id").unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 3, "old has the same in both: {ids:?}");
    assert!(ids.iter().all(|id| Uuid::parse_str(id).is_ok()));
}

#[tokio::test]
async fn what_is_cut_off_is_unknown_and_what_is_away_took_nothing() {
    let double = Double::http2(|_| Saying::of(0, Value::Null)).await;
    assert_eq!(apns(&double).hand_over(&message("a1")).await, Answer::unknown("connection_broke"));
    let (away, _file) = config("http://127.0.0.1:1".to_owned());
    assert_eq!(open(&away).unwrap().hand_over(&message("a1")).await, Answer::not_taken("connection"));
}

#[test]
fn a_bad_configuration_is_told_whole_and_without_the_key() {
    let (key, _file) = secret("MARKED");
    let (key_id, team_id, topic) = ("x".to_owned(), "x".to_owned(), "\n".to_owned());
    let bad = Config { key, key_id, team_id, topic, url: "x".to_owned(), sound: None, timeout_seconds: 0 };
    assert_eq!(bad.problems().len(), 4, "{:?}", bad.problems());
    assert!(!format!("{:?}", bad.problems()).contains("MARKED"));
}
