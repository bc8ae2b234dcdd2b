//! A signed webhook (Standard Webhooks): a shop's own gateway, or the way of a call or another human task to a CRM.
//!
//! ```json
//! {"type": "message.send", "timestamp": "2026-03-01T09:00:00Z", "data":
//!   {"send_id": "…", "to": "…", "text": "…", "title": "…", "link": "…", "receipt_token": "…", "send_before": 1772359200000,
//!    "valid_until": 1772395200000}}
//! ```
//!
//! Whoever hands it on does so until `send_before` (quiet hours may begin then), and tells his provider `valid_until`; a task for a person is of use
//! until `valid_until`.
//!
//! Fields without a value are left out. The headers `webhook-id` (the send's id: repeats have the same), `webhook-timestamp` and
//! `webhook-signature` (`v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`; one for each secret, where there are two) say who it is from. Any library of Standard Webhooks checks them.
//!
//! *The outcome* of a task comes back as feedback: the CRM posts it to the tracker (`POST /receipts/<provider>`, signed likewise)
//! with `receipt_token` and what came of it.
//!
//! Only public hosts are called, by https, unless `allow_private_hosts` says otherwise (`guard.rs`): a CRM inside the same network
//! needs it.
//!
//! | the receiver says | is read as |
//! |---|---|
//! | 200, 202 and other 2xx | taken; its id is the answer's field `id` |
//! | 400, 413, 422, 451 | this message is refused; the answer's field `code` is the reason where it has one |
//! | 410: no webhook is wanted there any more, 401, 404 and other 4xx, 302 and other 3xx | not taken for now: it would be so for everybody |
//! | 408, 429, 503 | not taken for now; `retry-after` is kept for all calls |
//! | 500, 502, 504 and other 5xx | unknown |
//! | its name resolves to nothing public | not taken for now |
//! | everything else | as `call.rs` says |
//!
//! A 400, 413, 422 or 451 without a `code` counts once the receiver has taken something (`heard.rs`).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, StatusCode, Url};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::call::{self, Reply, default_timeout};
use super::guard::{self, Unfit};
use super::signed::now_seconds;
use super::{Answer, Call, Message, Secret, Transport, plain_code};

/// Who is called.
///
/// `Debug` does not show the address: many a receiver has a key in it.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where messages are posted to.
    pub url: String,
    /// What they are signed with: `whsec_…` or plain text.
    pub secret: Secret,
    /// They are signed with this, too, while receivers go over from one to the other.
    #[serde(default)]
    pub other_secret: Option<Secret>,
    /// Type of the event in the body.
    #[serde(default = "default_type")]
    pub event: String,
    /// Calls a host that is not public, too, and without TLS: one inside the same network, or behind a proxy that guards.
    #[serde(default)]
    pub allow_private_hosts: bool,
    /// Longest hand-over, in seconds.
    #[serde(default = "default_timeout")]
    pub timeout_seconds: u64,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("secret", &self.secret)
            .field("other_secret", &self.other_secret)
            .field("event", &self.event)
            .field("allow_private_hosts", &self.allow_private_hosts)
            .field("timeout_seconds", &self.timeout_seconds)
            .finish_non_exhaustive()
    }
}

fn default_type() -> String {
    "message.send".to_owned()
}

impl Config {
    pub(super) fn timeout_seconds(&self) -> u64 {
        self.timeout_seconds
    }

    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = call::problems(&self.url, self.timeout_seconds, &[]);
        if let Ok(url) = call::url("url", &self.url)
            && guard::check(&url, self.allow_private_hosts).is_err()
        {
            let words = "transport.url must be https and public, without a login, unless allow_private_hosts = true";
            problems.push(words.to_owned());
        }
        problems.extend(self.keys().err());
        problems
    }

    fn keys(&self) -> Result<Vec<Hmac<Sha256>>, String> {
        let other = self.other_secret.iter().map(|secret| ("other_secret", secret));
        std::iter::once(("secret", &self.secret))
            .chain(other)
            .map(|(name, secret)| key(name, &secret.of(name)?))
            .collect()
    }
}

fn key(name: &str, secret: &str) -> Result<Hmac<Sha256>, String> {
    let bytes = match secret.strip_prefix("whsec_") {
        Some(encoded) => {
            STANDARD.decode(encoded).map_err(|_| format!("transport.{name}: what follows whsec_ must be base64"))?
        }
        None => secret.as_bytes().to_owned(),
    };
    Hmac::new_from_slice(&bytes).map_err(|_| format!("transport.{name}: no key can be made of it"))
}

struct Webhook {
    client: Client,
    url: Url,
    keys: Vec<Hmac<Sha256>>,
    event: String,
    allow_private: bool,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An address may have a secret part, and the keys are secrets.
        f.debug_struct("Webhook").field("event", &self.event).finish_non_exhaustive()
    }
}

pub(super) fn open(config: &Config) -> Result<Box<dyn Transport>, String> {
    let url = call::url("url", &config.url)?;
    let client = guard::client(Some(&url), config.timeout_seconds, config.allow_private_hosts).build();
    Ok(Box::new(Webhook {
        client: client.map_err(|error| error.to_string())?,
        url,
        keys: config.keys()?,
        event: config.event.clone(),
        allow_private: config.allow_private_hosts,
    }))
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'a str,
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    send_id: &'a str,
    to: &'a str,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt_token: Option<&'a str>,
    send_before: i64,
    valid_until: i64,
}

impl Transport for Webhook {
    fn hand_over<'a>(&'a self, message: &'a Message) -> Call<'a> {
        Box::pin(async move {
            match guard::check(&self.url, self.allow_private) {
                Ok(()) => {}
                Err(Unfit::Scheme) => return Answer::not_taken("not_https"),
                Err(Unfit::Private) => return Answer::not_taken("private_host"),
            }
            let Ok(body) = serde_json::to_vec(&self.body(message)) else { return Answer::unfit("bad_request") };
            let timestamp = now_seconds();
            let request = self
                .client
                .post(self.url.clone())
                .header(CONTENT_TYPE, "application/json")
                .header("webhook-id", &message.send_id)
                .header("webhook-timestamp", timestamp)
                .header("webhook-signature", self.signatures(&message.send_id, timestamp, &body))
                .body(body);
            match call::ask(request).await {
                Ok(reply) => read(reply).await,
                // The address is ours: where it leads is the same for everybody.
                Err(Answer::Unfit { code }) => Answer::not_taken(code),
                Err(answer) => answer,
            }
        })
    }
}

impl Webhook {
    fn body<'a>(&'a self, message: &'a Message) -> Body<'a> {
        Body {
            r#type: &self.event,
            timestamp: Timestamp::from_millisecond(message.now).unwrap_or_default().to_string(),
            data: Data {
                send_id: &message.send_id,
                to: &message.address,
                text: &message.text,
                title: message.subject.as_deref(),
                link: message.link.as_deref(),
                receipt_token: message.receipt_token.as_deref(),
                send_before: message.send_before,
                valid_until: message.valid_until,
            },
        }
    }

    fn signatures(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let signed = self.keys.iter().map(|key| {
            let mut mac = key.clone();
            mac.update(format!("{id}.{timestamp}.").as_bytes());
            mac.update(body);
            format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
        });
        signed.collect::<Vec<_>>().join(" ")
    }
}

async fn read(reply: Reply) -> Answer {
    let (status, told) = (reply.status, reply.by_status());
    if status.is_success() {
        return Answer::taken(call::id(reply.json().await.as_ref(), "/id"));
    }
    if !ABOUT_THE_MESSAGE.contains(&status) {
        return told;
    }
    let code = reply.json().await.and_then(|said| call::word(&said, "/code"));
    let code = code.as_deref().and_then(plain_code).map(str::to_owned);
    Answer::refused(code.unwrap_or_else(|| format!("http_{}", status.as_u16())))
}

/// With these a receiver speaks of this one message.
const ABOUT_THE_MESSAGE: [StatusCode; 4] = [
    StatusCode::BAD_REQUEST,
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::UNPROCESSABLE_ENTITY,
    StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS,
];

#[cfg(test)]
mod tests;
