//! Events of the shop without Kafka: what a CRM or a site posts, signed, becomes records of the source topics.
//!
//! ```json
//! [{"type": "action", "data": {"event_id": "o-17", "customer_id": "c1", "occurred_at": "2026-03-01T09:00:00Z", "action": "purchase"}}]
//! ```
//!
//! One event or a list. `type` is `cart`, `registration`, `inactivity`, `action` or `profile`, `data` has the fields of that record's
//! schema, and `schemas::json` says what fits. Nothing else is checked here: the records go to the topics where a producer on Kafka would
//! have written them, the same bytes, and intake refuses what it refuses of everybody.
//!
//! *Repeats.* `event_id` makes an event unique; one without it, or with null, is named after the producer, `webhook-id` and its place in the
//! list, which stay the same when a request is repeated.
//!
//! | answer | means |
//! |---|---|
//! | 204 | Kafka has all of them |
//! | 400 | one does not fit (`{"event": 3, "error": "items[0].sku is missing"}`, counted from 0), and none was taken: it would not fit again |
//! | 401, 404 | the signature is not believed; there is no such producer |
//! | 413 | too many, or too large |
//! | 503, with `retry-after` | not all are in Kafka, or nobody knows: repeat the request as it is |

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use schemas::SOURCE_BYTES_MAX;
use schemas::json::{self, Misfit, SourceRecord};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::batch::Batch;
use crate::room::later;
use crate::server::Edge;
use crate::signature;

/// Events in one request.
pub const EVENTS_MAX: usize = 1_000;

/// Largest record with its key, in bytes: what the client adds must still be under its limit.
pub const EVENT_BYTES_MAX: usize = SOURCE_BYTES_MAX - 16 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    data: Value,
}

/// Takes events of one producer.
pub(crate) async fn post(
    State(edge): State<Edge>,
    Path(producer): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(secrets) = edge.producers.get(&producer) else { return StatusCode::NOT_FOUND.into_response() };
    if let Err(why) = signature::verify(secrets, &headers, &body, stream::clock::machine_now()) {
        tracing::warn!(producer, ?why, "events are not believed");
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
    let records = match read(&body, &producer, id) {
        Ok(records) => records,
        Err(Unfit { status, event, error: Some(error) }) => {
            return (status, Json(json!({"event": event, "error": error}))).into_response();
        }
        Err(Unfit { status, .. }) => return status.into_response(),
    };
    let publications = records.iter().map(|record| (record.record, record.key.as_bytes(), edge.sink.put(record)));
    let Some(published) = edge.room.publish(publications).await else { return later() };
    match published {
        Ok(()) => {
            records.iter().for_each(|record| edge.metrics.event(record.record));
            StatusCode::NO_CONTENT.into_response()
        }
        Err(refused) => {
            tracing::warn!(producer, "events could not be published: {}", refused.0);
            later()
        }
    }
}

/// Why nothing is taken of a body.
#[derive(Debug)]
pub struct Unfit {
    /// Status of the answer.
    pub status: StatusCode,
    /// Which event it is, counted from 0, if it is one of them.
    pub event: Option<usize>,
    /// What is wrong, where there is something to say.
    pub error: Option<String>,
}

/// What stands in a body that is believed; `id` is the one of the request. All of it fits, or nothing is taken.
///
/// # Errors
/// The answer, if one does not fit, or there are too many.
pub fn read(body: &[u8], producer: &str, id: &str) -> Result<Vec<SourceRecord>, Unfit> {
    let misfit = |event, error: String| Unfit { status: StatusCode::BAD_REQUEST, event, error: Some(error) };
    let batch = Batch::<Event>::read(body, EVENTS_MAX).map_err(|status| match status {
        StatusCode::BAD_REQUEST => misfit(None, "must be {\"type\": …, \"data\": {…}}, or a list of these".to_owned()),
        status => Unfit { status, event: None, error: None },
    })?;
    let mut records = Vec::with_capacity(batch.all.len());
    for (index, event) in batch.all.into_iter().enumerate() {
        // Of two producers neither knows what the other counts by.
        let name = if batch.is_list { format!("{producer}/{id}/{index}") } else { format!("{producer}/{id}") };
        let record = record(event, name).map_err(|error| misfit(Some(index), error.to_string()))?;
        if record.key.len() + record.value.len() > EVENT_BYTES_MAX {
            return Err(Unfit { status: StatusCode::PAYLOAD_TOO_LARGE, event: None, error: None });
        }
        records.push(record);
    }
    Ok(records)
}

fn record(mut event: Event, name: String) -> Result<SourceRecord, Misfit> {
    if let Some(data) = event.data.as_object_mut()
        && data.get("event_id").is_none_or(Value::is_null)
    {
        data.insert("event_id".to_owned(), Value::String(name));
    }
    json::read(&event.kind, event.data)
}
