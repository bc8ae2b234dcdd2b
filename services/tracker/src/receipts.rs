//! Receipts: what a provider says about messages that it took.
//!
//! ```json
//! [{"token": "…", "status": "delivered", "occurred_at": 1700000000000, "provider_id": "42", "code": "…"}]
//! ```
//!
//! One receipt or a list. Instead of the `token` that the provider was given with the message, a receipt may name `send_id`,
//! `customer_id` and `channel`: its request is signed as a whole. `occurred_at` (milliseconds since
//! 1970) is taken where it lies near business time, else it is now.
//!
//! | the provider's word (in any case, `-` as `_`) | status |
//! |---|---|
//! | `accepted`, `queued` | ACCEPTED |
//! | `sent`, `submitted` | SENT |
//! | `delivered` | DELIVERED |
//! | `opened`, `read`, `seen` | OPENED, by the customer; with `"machine": true` by a machine, which proves arrival only |
//! | `clicked` | CLICKED, likewise |
//! | `replied` | REPLIED |
//! | `rejected`, `refused`, `blocked` | REFUSED |
//! | `expired` | EXPIRED |
//! | `bounced`, `bounced_hard`, `hard_bounce` | BOUNCED_HARD |
//! | `deferred`, `bounced_soft`, `soft_bounce` | BOUNCED_SOFT |
//! | `failed`, `undelivered`, `undeliverable` | FAILED |
//! | `unsubscribed`, `stop` | UNSUBSCRIBED |
//! | `complained`, `complaint`, `spam` | COMPLAINED |
//!
//! Of a task for a person, such as a call, a receipt says `outcome` instead of `status`: `no_answer`, `busy`, `wrong_number`,
//! `reached`, `later`, `agreed` or `declined`. The status follows from it.
//!
//! A provider that was given channels (`NAME@CHANNEL+CHANNEL:…`) speaks for these alone, whether by token or by id.
//!
//! A receipt that says something else is counted and dropped: the rest of its request counts, since a provider that gets no 2xx
//! would repeat all of it for days.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use channels::echo::believed;
use channels::transport::plain_code;
use schemas::token::{Keyring, Kind};
use schemas::{Actor, Feedback, Id, Millis, Outcome, Record, Status};
use serde::Deserialize;

use crate::batch::Batch;
use crate::room::later;
use crate::server::Edge;
use crate::signature;

/// Receipts in one request.
const RECEIPTS_MAX: usize = 5_000;

#[derive(Deserialize)]
struct Receipt {
    token: Option<String>,
    send_id: Option<String>,
    customer_id: Option<String>,
    channel: Option<String>,
    #[serde(default)]
    status: String,
    outcome: Option<String>,
    occurred_at: Option<Millis>,
    provider_id: Option<String>,
    code: Option<String>,
    /// The provider says that a machine opened it, or followed its links.
    #[serde(default)]
    machine: bool,
}

/// 204 means that Kafka has every receipt that says something.
pub(crate) async fn post(
    State(edge): State<Edge>,
    Path(provider): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(speaker) = edge.providers.get(&provider) else { return StatusCode::NOT_FOUND.into_response() };
    if let Err(why) = signature::verify(&speaker.secrets, &headers, &body, stream::clock::machine_now()) {
        tracing::warn!(provider, ?why, "receipts are not believed");
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let read = match read(&body, &edge.keys, &provider, edge.clock.now()) {
        Ok(read) => read,
        Err(status) => return status.into_response(),
    };
    let mut facts = Vec::with_capacity(read.len());
    for fact in read {
        // Whose receipts are signed with one channel's secret says nothing of another's: a complaint there would be heeded for ever.
        match fact.filter(|fact| speaker.speaks_for(&fact.channel)) {
            Some(fact) => facts.push(fact),
            None => edge.metrics.unreadable_receipt(&provider),
        }
    }
    let publications = facts.iter().map(|fact| (Feedback::NAME, fact.customer_id.as_bytes(), edge.sink.publish(fact)));
    let Some(published) = edge.room.publish(publications).await else { return later() };
    match published {
        Ok(()) => {
            facts.iter().for_each(|fact| edge.metrics.fact(fact));
            StatusCode::NO_CONTENT.into_response()
        }
        Err(refused) => {
            tracing::warn!(provider, "receipts could not be published: {}", refused.0);
            later()
        }
    }
}

/// What stands in a body that is believed: a fact for each receipt, none for one that says nothing.
///
/// # Errors
/// The status of the answer, where it is no body of receipts.
pub fn read(body: &[u8], keys: &Keyring, provider: &str, now: Millis) -> Result<Vec<Option<Feedback>>, StatusCode> {
    let batch = Batch::<Receipt>::read(body, RECEIPTS_MAX)?;
    Ok(batch.all.into_iter().map(|receipt| fact(keys, provider, receipt, now)).collect())
}

fn fact(keys: &Keyring, provider: &str, receipt: Receipt, now: Millis) -> Option<Feedback> {
    let outcome = match &receipt.outcome {
        // A word that nobody knows says nothing, whatever stands beside it.
        Some(word) => Some(outcome(word)?),
        None => None,
    };
    let status = match outcome {
        Some((_, status)) => status,
        None => status(&receipt.status)?,
    };
    let outcome = outcome.map_or(Outcome::Unspecified, |(outcome, _)| outcome);
    let word = if outcome == Outcome::Unspecified { status.as_str() } else { outcome.as_str() };
    let (send_id, customer_id, channel) = match receipt.token {
        // How long a token is believed does not matter here: the request is signed.
        Some(token) => {
            let token = keys.verify(&token, Kind::Receipt, Millis::MIN).ok()?;
            (token.send_id, token.customer_id, token.channel)
        }
        None => (Id::parse(&receipt.send_id?)?, receipt.customer_id.filter(|id| !id.is_empty())?, receipt.channel?),
    };
    let actor = match status {
        Status::Opened | Status::Clicked if receipt.machine => Actor::Machine,
        Status::Opened | Status::Clicked => Actor::Human,
        _ => Actor::Unspecified,
    };
    // Whoever opens it after a machine is no repeat.
    let by = if actor == Actor::Machine { "/machine" } else { "" };
    Some(Feedback {
        event_id: format!("{send_id}/{word}/{provider}{by}"),
        customer_id,
        occurred_at: believed(receipt.occurred_at, now),
        send_id: Some(send_id.to_string()),
        channel,
        status,
        actor,
        provider: provider.to_owned(),
        provider_id: receipt.provider_id.filter(|id| id.len() <= 200),
        // A code is a word; a sentence could hold an address, and a number be one.
        code: receipt.code.as_deref().and_then(plain_code).map(str::to_owned),
        outcome,
    })
}

/// What a task came to, and the status that it stands for.
fn outcome(word: &str) -> Option<(Outcome, Status)> {
    let outcome = Outcome::of(&word.to_ascii_uppercase().replace(['-', ' '], "_"));
    outcome.status().map(|status| (outcome, status))
}

fn status(word: &str) -> Option<Status> {
    Some(match word.to_ascii_lowercase().replace('-', "_").as_str() {
        "accepted" | "queued" => Status::Accepted,
        "sent" | "submitted" => Status::Sent,
        "delivered" => Status::Delivered,
        "opened" | "read" | "seen" => Status::Opened,
        "clicked" => Status::Clicked,
        "replied" => Status::Replied,
        "rejected" | "refused" | "blocked" => Status::Refused,
        "expired" => Status::Expired,
        "bounced" | "bounced_hard" | "hard_bounce" => Status::BouncedHard,
        "deferred" | "bounced_soft" | "soft_bounce" => Status::BouncedSoft,
        "failed" | "undelivered" | "undeliverable" => Status::Failed,
        "unsubscribed" | "stop" => Status::Unsubscribed,
        "complained" | "complaint" | "spam" => Status::Complained,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_an_address_is_no_code() {
        let keys = Keyring::new(vec![(1, b"a secret of sixteen".to_vec())]).unwrap();
        let send_id = Id::of_instance("c1", "", "", "");
        for (code, kept) in [
            ("undeliv_001", true),
            ("5.1.1", true),
            ("call +7900", false),
            ("79001234567", false),
            ("to_79001234567", false),
            ("7-900-123-45-67", false),
            ("anna@shop.example", false),
            ("", false),
        ] {
            let body = serde_json::json!({
                "send_id": send_id.to_string(), "customer_id": "c1", "channel": "sms", "status": "undelivered", "code": code,
            });
            let read = read(body.to_string().as_bytes(), &keys, "sandbox", 0).unwrap();
            let told = read[0].as_ref().unwrap().code.as_deref();
            assert_eq!(told, kept.then_some(code), "{code}");
        }
    }
}
