//! What the ops endpoint answers.

use std::net::TcpListener;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header::CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus::{Encoder, TextEncoder};
use serde::{Deserialize, Serialize};
use stream::Probe;
use tokio_util::sync::CancellationToken;

use super::Shown;

/// How far a service has come: the answer of `/progress`. Whoever drives business time moves it on when all services have
/// seen the present moment and consumed what lies before it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Name of the service.
    pub service: String,
    /// Whether it can do its work now.
    pub ready: bool,
    /// The last reading of business time, in milliseconds since 1970; 0 for none.
    pub seen: i64,
    /// Every deadline up to here has fired, results included; none where there are no deadlines.
    pub settled: Option<i64>,
    /// Topic, partition, next offset: everything before is done with, results included.
    pub positions: Vec<(String, i32, i64)>,
}

impl Progress {
    pub(super) fn of(service: &str, probe: &Probe) -> Self {
        Progress {
            service: service.to_owned(),
            ready: probe.is_ready(),
            seen: probe.seen_until(),
            settled: probe.settled_until(),
            positions: probe.positions(),
        }
    }
}

/// Answers until it is told to end.
pub async fn serve(listener: TcpListener, shown: Shown, end: CancellationToken) {
    let answers = Router::new()
        .route("/metrics", get(metrics))
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/progress", get(progress))
        .with_state(shown);
    let served = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => axum::serve(listener, answers).with_graceful_shutdown(end.cancelled_owned()).await,
        Err(error) => Err(error),
    };
    if let Err(error) = served {
        tracing::error!(%error, "the ops endpoint has ended");
    }
}

async fn metrics(State(shown): State<Shown>) -> Response {
    let mut text = Vec::new();
    match TextEncoder::new().encode(&shown.registry.gather(), &mut text) {
        Ok(()) => ([(CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn health(State(shown): State<Shown>) -> (StatusCode, &'static str) {
    match shown.probe.is_healthy() {
        true => (StatusCode::OK, "healthy\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "the service's loop has ended with an error\n"),
    }
}

async fn ready(State(shown): State<Shown>) -> (StatusCode, &'static str) {
    match shown.probe.is_ready() {
        true => (StatusCode::OK, "ready\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready: starting, restoring or without partitions\n"),
    }
}

async fn progress(State(shown): State<Shown>) -> axum::Json<Progress> {
    axum::Json(Progress::of(&shown.service, &shown.probe))
}
