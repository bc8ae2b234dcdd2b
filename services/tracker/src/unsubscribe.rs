//! Unsubscribe: a page that asks, and the one click of RFC 8058 that does it.
//!
//! Link scanners follow every link, so GET never unsubscribes. POST needs no cookie, no login and no body: mail programs send
//! `List-Unsubscribe=One-Click`, the page's form the same.

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use schemas::token::{Kind, Token};
use schemas::{Actor, Feedback, Record, Status};

use crate::fact;
use crate::server::Edge;

/// Nothing from elsewhere runs in the page, and no other page may frame it to catch a click.
const HEADERS: [(header::HeaderName, &str); 3] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; form-action 'self'; frame-ancestors 'none'; style-src 'unsafe-inline'",
    ),
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "no-referrer"),
];

/// The page that asks.
pub(crate) async fn ask(State(edge): State<Edge>, Path(token): Path<String>) -> Response {
    match edge.keys.verify(&token, Kind::Unsubscribe, edge.clock.now()) {
        // No action: the form posts to the page's own address.
        Ok(token) => page(
            StatusCode::OK,
            &format!(
                "<p>No more messages by {}?</p><form method=\"post\"><input type=\"hidden\" name=\"List-Unsubscribe\" \
                 value=\"One-Click\"><button>Unsubscribe</button></form>",
                channel(&token)
            ),
        ),
        Err(_) => page(StatusCode::NOT_FOUND, "<p>This link does not work any more.</p>"),
    }
}

/// Does it. 200 means that Kafka has it. It takes room as all do that wait for Kafka.
pub(crate) async fn act(State(edge): State<Edge>, Path(token): Path<String>) -> Response {
    let now = edge.clock.now();
    let Ok(token) = edge.keys.verify(&token, Kind::Unsubscribe, now) else {
        return page(StatusCode::NOT_FOUND, "<p>This link does not work any more.</p>");
    };
    let fact = fact::of(&token, Status::Unsubscribed, Actor::Unspecified, now);
    let publication = (Feedback::NAME, fact.customer_id.as_bytes(), edge.sink.publish(&fact));
    match edge.room.publish([publication]).await {
        Some(Ok(())) => {
            edge.metrics.fact(&fact);
            page(StatusCode::OK, &format!("<p>You will get no more messages by {}.</p>", channel(&token)))
        }
        refused => {
            if let Some(Err(refused)) = refused {
                tracing::warn!("an unsubscribe could not be published: {}", refused.0);
            }
            page(StatusCode::SERVICE_UNAVAILABLE, "<p>This did not work just now. Please try again in a minute.</p>")
        }
    }
}

/// A channel's name is configuration, but it comes from a URL: only what a name can hold is shown.
fn channel(token: &Token) -> String {
    token.channel.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect()
}

fn page(status: StatusCode, body: &str) -> Response {
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Unsubscribe</title><body style=\"font:1.1em sans-serif;max-width:32em;margin:4em auto;padding:0 1em\">{body}"
    );
    (status, HEADERS, Html(page)).into_response()
}
