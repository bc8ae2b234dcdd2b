//! A collector of spans: takes OTLP over HTTP, and reads it by OpenTelemetry's own definitions.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as Status;
use prost::Message;

use crate::http::runtime;

/// A span as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Attribute `service.name` of its resource.
    pub service: String,
    /// Name.
    pub name: String,
    /// What part it plays.
    pub kind: SpanKind,
    /// Hexadecimal.
    pub trace: String,
    /// Hexadecimal.
    pub id: String,
    /// Hexadecimal; empty for none.
    pub parent: String,
    /// Traces and spans, as they stand in a `traceparent`.
    pub links: Vec<String>,
    /// Its own.
    pub attributes: BTreeMap<String, String>,
    /// Nanoseconds since 1970.
    pub began: u64,
    /// Nanoseconds since 1970.
    pub ended: u64,
    /// Whether it failed.
    pub is_error: bool,
}

/// Takes all spans, as long as this process lives.
#[derive(Clone, Debug)]
pub struct Collector {
    address: SocketAddr,
    spans: Arc<Mutex<Vec<Span>>>,
}

impl Collector {
    /// Opens it on a free port.
    pub fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        listener.set_nonblocking(true).expect("it is a socket");
        let spans = Arc::default();
        let routes = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&spans));
        let _inside = runtime().enter();
        let listener = tokio::net::TcpListener::from_std(listener).expect("it does not block");
        drop(runtime().spawn(async move { axum::serve(listener, routes).await }));
        Collector { address, spans }
    }

    /// Where it is, as the setting has it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What came so far.
    pub fn spans(&self) -> Vec<Span> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn take(State(spans): State<Arc<Mutex<Vec<Span>>>>, headers: HeaderMap, body: Bytes) -> (StatusCode, Vec<u8>) {
    if headers.get(header::CONTENT_TYPE).is_none_or(|kind| kind != "application/x-protobuf") {
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, Vec::new());
    }
    let Ok(request) = ExportTraceServiceRequest::decode(body) else { return (StatusCode::BAD_REQUEST, Vec::new()) };
    let mut spans = spans.lock().unwrap_or_else(PoisonError::into_inner);
    for resource in request.resource_spans {
        let about = resource.resource.map(|resource| attributes(resource.attributes)).unwrap_or_default();
        let service = about.get("service.name").cloned().unwrap_or_default();
        spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans).map(|span| read(&service, span)));
    }
    (StatusCode::OK, ExportTraceServiceResponse::default().encode_to_vec())
}

fn read(service: &str, span: v1::Span) -> Span {
    let links = span.links.iter().map(|link| format!("{}-{}", hexadecimal(&link.trace_id), hexadecimal(&link.span_id)));
    Span {
        service: service.to_owned(),
        kind: span.kind(),
        trace: hexadecimal(&span.trace_id),
        id: hexadecimal(&span.span_id),
        parent: hexadecimal(&span.parent_span_id),
        links: links.collect(),
        began: span.start_time_unix_nano,
        ended: span.end_time_unix_nano,
        is_error: span.status.is_some_and(|status| status.code() == Status::Error),
        name: span.name,
        attributes: attributes(span.attributes),
    }
}

fn attributes(pairs: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value| match value {
        any_value::Value::StringValue(text) => text,
        other => format!("{other:?}"),
    };
    let value = |pair: &KeyValue| pair.value.clone().and_then(|value| value.value).map(text).unwrap_or_default();
    pairs.into_iter().map(|pair| (pair.key.clone(), value(&pair))).collect()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
