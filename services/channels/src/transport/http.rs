//! Anything that takes JSON by HTTP POST: push, SMS, messengers, a shop's own gateway.
//!
//! ```json
//! {"send_id": "…", "to": "…", "text": "…", "title": "…", "link": "…", "receipt_token": "…"}
//! ```
//!
//! `send_id` also goes into the header `Idempotency-Key`. Fields without a value are left out.
//!
//! | the provider says | is read as |
//! |---|---|
//! | 2xx | taken; its id is the answer's field `provider_id_field` |
//! | 408, 429, 503 | not taken for now; `Retry-After` (in seconds) is kept for all calls |
//! | 410 | nobody is at this address any more; the reason as below |
//! | 400, 413, 422, 451 | this message is refused; the answer's field `code` is the reason where it has one |
//! | other 4xx, 3xx: a token, a path or a right of ours is wrong | not taken for now: it would be so for everybody |
//! | other 5xx | unknown: a gateway may fail after the provider has taken it |
//! | no connection | not taken for now |
//! | the connection breaks, or there is no answer in time | unknown |
//!
//! A 410, 400, 413, 422 or 451 without a `code` is no word of the gateway's own: it counts once the gateway has taken something (`heard.rs`).
//!
//! What became of a message, such a gateway posts to the tracker ([`hook`]), or signed in our own form (`POST /receipts/<name>`).

pub(super) mod hook;

use std::collections::BTreeMap;
use std::fmt;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, StatusCode, Url};
use serde::{Deserialize, Serialize};

use super::call::{self, Reply, default_timeout};
use super::{Answer, Call, Message, Secret, Transport, plain_code};

/// A provider with a JSON interface. `Debug` shows the names of the headers and not their values: keys stand there, too.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where messages are posted to.
    pub url: String,
    /// Further headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Goes out as `Authorization: Bearer …`.
    #[serde(default)]
    pub bearer: Option<Secret>,
    /// Field of the answer that holds the provider's own id of the message.
    #[serde(default = "default_field")]
    pub provider_id_field: String,
    /// Longest hand-over, in seconds.
    #[serde(default = "default_timeout")]
    pub timeout_seconds: u64,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("url", &self.url)
            .field("headers", &self.headers.keys())
            .field("bearer", &self.bearer)
            .field("provider_id_field", &self.provider_id_field)
            .field("timeout_seconds", &self.timeout_seconds)
            .finish()
    }
}

fn default_field() -> String {
    "provider_id".to_owned()
}

impl Config {
    pub(super) fn timeout_seconds(&self) -> u64 {
        self.timeout_seconds
    }

    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = call::problems(&self.url, self.timeout_seconds, &[]);
        problems.extend(self.header_map().err());
        problems
    }

    fn header_map(&self) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let parsed = HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value).ok());
            let (name, mut value) =
                parsed.ok_or_else(|| format!("transport.headers: {name} or its value cannot be a header"))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        if let Some(secret) = &self.bearer {
            headers.extend(call::bearer("bearer", secret)?);
        }
        Ok(headers)
    }
}

#[derive(Debug)]
struct Http {
    client: Client,
    url: Url,
    provider_id_field: String,
}

pub(super) fn open(config: &Config) -> Result<Box<dyn Transport>, String> {
    let url = call::url("url", &config.url)?;
    let client = call::client(&url, config.timeout_seconds)
        .default_headers(config.header_map()?)
        .build()
        .map_err(|error| error.to_string())?;
    Ok(Box::new(Http { client, url, provider_id_field: config.provider_id_field.clone() }))
}

#[derive(Serialize)]
struct Body<'a> {
    send_id: &'a str,
    to: &'a str,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt_token: Option<&'a str>,
}

impl Transport for Http {
    fn hand_over<'a>(&'a self, message: &'a Message) -> Call<'a> {
        Box::pin(async move {
            let body = Body {
                send_id: &message.send_id,
                to: &message.address,
                text: &message.text,
                title: message.subject.as_deref(),
                link: message.link.as_deref(),
                receipt_token: message.receipt_token.as_deref(),
            };
            let request = self.client.post(self.url.clone()).header("idempotency-key", &message.send_id).json(&body);
            match call::ask(request).await {
                Ok(reply) => self.read(reply).await,
                Err(answer) => answer,
            }
        })
    }

    /// Where it is one for SMS they do; which one it is only the hook at the tracker knows.
    fn is_answered(&self) -> bool {
        true
    }
}

impl Http {
    async fn read(&self, reply: Reply) -> Answer {
        let (status, by_status) = (reply.status, reply.by_status());
        let speaks_of_it = status == StatusCode::GONE || ABOUT_THE_MESSAGE.contains(&status);
        if !status.is_success() && !speaks_of_it {
            return by_status;
        }
        let said = reply.json().await;
        // The field's name may have any characters, so it is no path.
        let field = |name: &str| call::word(said.as_ref()?.get(name)?, "");
        if status.is_success() {
            return Answer::taken(field(&self.provider_id_field).filter(|id| id.len() <= 200));
        }
        let code = field("code")
            .as_deref()
            .and_then(plain_code)
            .map_or_else(|| format!("http_{}", status.as_u16()), str::to_owned);
        match status {
            StatusCode::GONE => Answer::nobody_there(code),
            _ => Answer::refused(code),
        }
    }
}

/// With these a provider speaks of this one message. Whatever else it will not have is a fault of ours that meets every
/// message: refusals of it would send everybody the next, dearer one.
const ABOUT_THE_MESSAGE: [StatusCode; 4] = [
    StatusCode::BAD_REQUEST,
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::UNPROCESSABLE_ENTITY,
    StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS,
];

#[cfg(test)]
mod tests;
