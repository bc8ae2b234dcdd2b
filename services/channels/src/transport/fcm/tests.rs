//! Against a double that says what Google's documentation says, and gives tokens for assertions that a key has signed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};

use super::super::double::{Asked, Double, Saying, dead_beside, meaning, message, recorded, secret};
use super::*;

/// A service account of nobody's.
fn fcm(double: &Double) -> Box<dyn Transport> {
    let account = json!({
        "type": "service_account",
        "project_id": "shop",
        "client_email": "push@shop.iam.example",
        "private_key_id": "k1",
        "private_key": include_str!("key.pem"),
        "token_uri": format!("{}/token", double.url()),
    });
    let (service_account, _file) = secret(&account.to_string());
    open(&Config { service_account, url: double.url(), timeout_seconds: 20 }).unwrap()
}

fn token(lifetime_seconds: u64) -> Saying {
    Saying::of(200, json!({"access_token": "ya29.token", "expires_in": lifetime_seconds, "token_type": "Bearer"}))
}

fn is_login(asked: &Asked) -> bool {
    asked.line().starts_with("POST /token ")
}

fn taken(device: &str) -> Saying {
    Saying::of(200, json!({"name": format!("projects/shop/messages/{device}")}))
}

fn device(asked: &Asked) -> String {
    asked.json().pointer("/message/token").unwrap().as_str().unwrap().to_owned()
}

#[tokio::test]
async fn every_documented_answer_is_read_as_the_table_says() {
    for saying in recorded(include_str!("../answers/fcm.json"), include_str!("../fcm.rs")) {
        let (expected, of_login) = (meaning(&saying.read_as), saying.about.starts_with("login"));
        let said = saying.clone();
        let double = Double::start(move |asked| match is_login(asked) {
            true if !of_login => token(3_599),
            false if device(asked) == "known" => taken("7"),
            _ => said.clone(),
        })
        .await;
        let fcm = fcm(&double);
        if !of_login {
            assert_eq!(fcm.hand_over(&message("known")).await, meaning("accepted 7"));
        }
        assert_eq!(fcm.hand_over(&message("device")).await, expected, "{saying:?}");
        assert_eq!(double.asked().len(), if of_login { 1 } else { 3 });
    }
}

#[tokio::test]
async fn a_wrong_project_of_ours_is_no_refusal_of_all_our_customers() {
    let mismatch = json!({"error": {"details": [{"errorCode": "SENDER_ID_MISMATCH"}]}});
    let double =
        Double::start(move |asked| if is_login(asked) { token(3_599) } else { Saying::of(403, mismatch.clone()) })
            .await;
    assert_eq!(fcm(&double).hand_over(&message("device")).await, meaning("not_taken SENDER_ID_MISMATCH"));
}

#[tokio::test]
async fn the_app_gets_everything_it_needs() {
    let double = Double::start(|asked| if is_login(asked) { token(3_599) } else { taken("7") }).await;
    assert_eq!(fcm(&double).hand_over(&message("device")).await, meaning("accepted 7"));
    let asked = double.asked();
    assert_eq!(asked[1].line(), "POST /v1/projects/shop/messages:send HTTP/1.1");
    assert_eq!(asked[1].header("authorization"), Some("Bearer ya29.token"));
    let mut body = asked[1].json();
    let until = body.pointer_mut("/message/apns/headers/apns-expiration").unwrap().take();
    let left = until.as_str().unwrap().parse::<i64>().unwrap() - now_seconds();
    assert!((3_590..=3_600).contains(&left), "valid for an hour, but {left} s are left");
    let expected = json!({"message": {
        "token": "device",
        "notification": {"body": "Чайник ждёт", "title": "Ваша корзина"},
        "data": {
            "send_id": "8f9b22f9-9da3-56c4-85fa-4f1aea6bed7e",
            "link": "https://t.example/c/1",
            "receipt_token": "receipt-token",
        },
        "android": {"ttl": "3600s"},
        "apns": {"headers": {"apns-expiration": null}},
        "webpush": {"headers": {"TTL": "3600"}},
    }});
    assert_eq!(body, expected);
}

#[tokio::test]
async fn the_account_s_key_signs_for_the_token() {
    let double = Double::start(|asked| if is_login(asked) { token(3_599) } else { taken("7") }).await;
    fcm(&double).hand_over(&message("device")).await;
    let form = String::from_utf8(double.asked()[0].body.clone()).unwrap();
    let assertion = form.split("assertion=").nth(1).unwrap();
    assert!(form.starts_with("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&"), "{form}");
    let public = STANDARD.decode(include_str!("key.public").replace('\n', "")).unwrap();
    let mut rules = Validation::new(Algorithm::RS256);
    rules.set_audience(&[format!("{}/token", double.url())]);
    let told = decode::<Value>(assertion, &DecodingKey::from_rsa_der(&public), &rules).unwrap();
    assert_eq!(told.header.kid.as_deref(), Some("k1"));
    assert_eq!(told.claims["iss"], "push@shop.iam.example");
    assert_eq!(told.claims["scope"], "https://www.googleapis.com/auth/firebase.messaging");
    assert_eq!(told.claims["exp"].as_i64().unwrap() - told.claims["iat"].as_i64().unwrap(), 3_600);
}

#[tokio::test]
async fn a_token_serves_until_shortly_before_its_end_and_for_all_calls_at_once() {
    // Of a lifetime this short half is its use; a second ends by itself while the test runs.
    for (lifetime, logins) in [(3_599, 1), (0, 2)] {
        let double = Double::start(move |asked| if is_login(asked) { token(lifetime) } else { taken("7") }).await;
        let (fcm, message) = (fcm(&double), message("device"));
        let (one, other) = tokio::join!(fcm.hand_over(&message), fcm.hand_over(&message));
        assert_eq!((one, other), (meaning("accepted 7"), meaning("accepted 7")));
        assert_eq!(double.asked().iter().filter(|asked| is_login(asked)).count(), logins, "lifetime {lifetime} s");
    }
}

#[tokio::test]
async fn a_token_that_is_not_believed_is_not_used_again() {
    let calls = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&calls);
    let double = Double::start(move |asked| {
        if is_login(asked) {
            return token(3_599);
        }
        match counted.fetch_add(1, Ordering::SeqCst) {
            0 => Saying::of(401, json!({"error": {"code": 401, "status": "UNAUTHENTICATED"}})),
            _ => taken("7"),
        }
    })
    .await;
    let fcm = fcm(&double);
    assert_eq!(fcm.hand_over(&message("device")).await, meaning("not_taken UNAUTHENTICATED"));
    assert_eq!(fcm.hand_over(&message("device")).await, meaning("accepted 7"));
    assert_eq!(double.asked().iter().filter(|asked| is_login(asked)).count(), 2);
}

#[tokio::test]
async fn without_a_token_nobody_was_called() {
    for (saying, expected) in [
        (Saying::of(200, json!({"access_token": "x"})), "not_taken oauth_200"),
        (Saying::of(500, Value::Null), "not_taken oauth_500"),
        // Hangs up: for a call of FCM itself this would be unknown.
        (Saying::of(0, Value::Null), "not_taken oauth_connection"),
    ] {
        let double = Double::saying(saying.clone()).await;
        assert_eq!(fcm(&double).hand_over(&message("device")).await, meaning(expected), "{saying:?}");
        assert!(double.asked().iter().all(is_login));
    }
}

#[tokio::test]
async fn several_devices_count_once() {
    let double = Double::start(|asked| {
        if is_login(asked) {
            return token(3_599);
        }
        match device(asked).as_str() {
            "new" => taken("new"),
            _ => Saying::of(404, json!({"error": {"details": [{"errorCode": "UNREGISTERED"}]}})),
        }
    })
    .await;
    let fcm = fcm(&double);
    assert_eq!(fcm.hand_over(&message(r#"["old","new"]"#)).await, dead_beside(Some("new")));
    assert_eq!(fcm.hand_over(&message(r#"["old","older"]"#)).await, meaning("nobody_there UNREGISTERED"));
    assert_eq!(double.asked().iter().filter(|asked| !is_login(asked)).count(), 4);
}

#[test]
fn a_bad_configuration_is_told_whole_and_without_the_key() {
    let account = json!({"project_id": "shop", "client_email": "x", "private_key": "MARKED", "token_uri": "x"});
    for text in [account.to_string(), "MARKED".to_owned()] {
        let (service_account, _file) = secret(&text);
        let problems = Config { service_account, url: "x".to_owned(), timeout_seconds: 0 }.problems();
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert!(!format!("{problems:?}").contains("MARKED"), "{problems:?}");
    }
}
