//! Opens and clicks. The answer never waits for Kafka.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use channels::link::landing;
use schemas::Status;
use schemas::token::Kind;

use crate::server::Edge;
use crate::{actor, fact};

/// A transparent GIF of one pixel.
const PIXEL: &[u8] =
    b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";

/// The pixel, whatever the token is worth: a broken image would annoy the reader and help nobody.
pub(crate) async fn open(
    State(edge): State<Edge>,
    Path(file): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let token = file.strip_suffix(".gif").unwrap_or(&file);
    let now = edge.clock.now();
    if let Ok(token) = edge.keys.verify(token, Kind::Open, now) {
        edge.spool.put(fact::of(&token, Status::Opened, actor::of(&method, &headers), now));
    }
    let headers = [(header::CONTENT_TYPE, "image/gif"), (header::CACHE_CONTROL, "no-store")];
    (headers, PIXEL).into_response()
}

/// To the address in the token, and to no other.
pub(crate) async fn click(
    State(edge): State<Edge>,
    Path(token): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let now = edge.clock.now();
    let Ok(token) = edge.keys.verify(&token, Kind::Click, now) else {
        return (StatusCode::NOT_FOUND, "This link does not work any more.\n").into_response();
    };
    // What is no web address, we have signed, but it leads nowhere.
    let target = landing(&token.target).and_then(|target| HeaderValue::try_from(target).ok());
    let Some(target) = target else { return StatusCode::NOT_FOUND.into_response() };
    edge.spool.put(fact::of(&token, Status::Clicked, actor::of(&method, &headers), now));
    let headers = [
        (header::LOCATION, target),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (StatusCode::FOUND, headers).into_response()
}
