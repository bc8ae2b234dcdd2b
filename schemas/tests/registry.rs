//! Our side of Confluent's registry interface, against a small server that speaks it. The server is a double of a foreign
//! product: it shows that we ask and understand as the interface documents, not that every registry does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use schemas::registry::{Login, Registry, RegistryError};
use schemas::*;
use serde_json::{Value, json};

/// What the server holds, and what it was asked.
#[derive(Default)]
struct Shelf {
    schemas: HashMap<u32, String>,
    subjects: HashMap<String, u32>,
    asked: Vec<String>,
}

type Shared = Arc<Mutex<Shelf>>;

async fn by_id(State(shelf): State<Shared>, Path(id): Path<u32>, headers: HeaderMap) -> (StatusCode, Json<Value>) {
    if headers.get("authorization").is_none_or(|value| value != "Basic a2V5OnNlY3JldA==") {
        return (StatusCode::UNAUTHORIZED, Json(json!({"error_code": 401, "message": "Unauthorized"})));
    }
    let mut shelf = shelf.lock().unwrap();
    shelf.asked.push(format!("id {id}"));
    match shelf.schemas.get(&id) {
        Some(schema) => (StatusCode::OK, Json(json!({"schema": schema}))),
        None => (StatusCode::NOT_FOUND, Json(json!({"error_code": 40403, "message": "Schema not found"}))),
    }
}

async fn register(State(shelf): State<Shared>, Path(subject): Path<String>, body: String) -> (StatusCode, Json<Value>) {
    let body: Value = serde_json::from_str(&body).unwrap();
    let schema = body["schema"].as_str().unwrap().to_owned();
    let mut shelf = shelf.lock().unwrap();
    shelf.asked.push(format!("register {subject}"));
    if subject == "taken-value" {
        return (StatusCode::CONFLICT, Json(json!({"error_code": 409, "message": "incompatible"})));
    }
    let known = shelf.schemas.iter().find(|(_, text)| **text == schema).map(|(id, _)| *id);
    let id = known.unwrap_or(shelf.schemas.len() as u32 + 1);
    shelf.schemas.insert(id, schema);
    shelf.subjects.insert(subject, id);
    (StatusCode::OK, Json(json!({"id": id})))
}

/// A server on a port that the system chose, for as long as the runtime lives.
async fn serve() -> (String, Shared) {
    let shelf = Shared::default();
    let app = Router::new()
        .route("/api/schemas/ids/{id}", get(by_id))
        .route("/api/subjects/{subject}/versions", post(register))
        .with_state(shelf.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/api", listener.local_addr().unwrap());
    #[expect(clippy::disallowed_methods, reason = "the server ends with the test's runtime")]
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, shelf)
}

fn cart() -> Cart {
    Cart { event_id: "event-1".into(), customer_id: "customer-1".into(), cart_id: "cart-7".into(), ..Cart::default() }
}

fn login() -> Option<Login> {
    Some(Login { name: "key".into(), password: "secret".into() })
}

#[tokio::test]
async fn an_id_is_asked_for_once_and_then_read() {
    let (address, shelf) = serve().await;
    let registry = Registry::new(&address, login()).unwrap();
    shelf.lock().unwrap().schemas.insert(100_001, Cart::SCHEMA.to_owned());
    let bytes = encode(&cart());
    let foreign = [&[0], 100_001_u32.to_be_bytes().as_slice(), &bytes[5..]].concat();

    let mut ids = Ids::new();
    assert_eq!(ids.decode::<Cart>(&foreign), Err(DecodeError::UnknownSchema { id: 100_001 }));
    for _ in 0..3 {
        registry.learn(&mut ids, 100_001).await.unwrap();
    }
    assert_eq!(ids.decode::<Cart>(&foreign), Ok(cart()));
    assert_eq!(shelf.lock().unwrap().asked, ["id 100001"]);
}

#[tokio::test]
async fn our_schema_is_registered_under_the_topics_subject_and_written_with_its_id() {
    let (address, shelf) = serve().await;
    let registry = Registry::new(&format!("{address}/"), None).unwrap();
    let mut ids = Ids::new();
    let id = registry.register::<Cart>(&mut ids, "shop.cart").await.unwrap();
    assert_eq!(registry.register::<Cart>(&mut ids, "shop.cart").await.unwrap(), id);
    assert_eq!(shelf.lock().unwrap().subjects["shop.cart-value"], id);

    let bytes = ids.encode(&cart());
    assert_eq!(bytes[1..5], id.to_be_bytes());
    assert_eq!(ids.decode(&bytes), Ok(cart()));
}

#[tokio::test]
async fn refusals_say_what_to_do_and_whether_to_try_again() {
    let (address, shelf) = serve().await;
    let mut ids = Ids::new();
    let registry = Registry::new(&address, login()).unwrap();
    shelf.lock().unwrap().schemas.insert(5, r#"{"type": "record", "name": "Order", "fields": []}"#.to_owned());

    let unknown = registry.learn(&mut ids, 404).await.unwrap_err();
    assert!(matches!(unknown, RegistryError::Refused { status: 404, code: 40_403, .. }), "{unknown}");
    let anonymous = Registry::new(&address, None).unwrap().learn(&mut ids, 1).await.unwrap_err();
    assert!(matches!(anonymous, RegistryError::Refused { status: 401, .. }), "{anonymous}");
    let taken = registry.register::<Cart>(&mut ids, "taken").await.unwrap_err();
    assert!(matches!(taken, RegistryError::Refused { status: 409, .. }), "{taken}");
    let order = registry.learn(&mut ids, 5).await.unwrap_err();
    assert_eq!(order.code(), "unknown_record");
    for error in [unknown, anonymous, taken, order] {
        assert!(!error.is_passing(), "{error}");
    }
}

#[tokio::test]
async fn a_registry_that_is_away_is_said_to_be_away_without_its_password() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let registry = Registry::new(&format!("http://key:secret@{closed}"), None).unwrap();
    let error = registry.learn(&mut Ids::new(), 1).await.unwrap_err();
    assert_eq!(error.code(), "registry_unreachable");
    assert!(error.is_passing());
    assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    assert_eq!(Registry::new("registry:8081", None).err().unwrap().code(), "bad_registry_url");
}
