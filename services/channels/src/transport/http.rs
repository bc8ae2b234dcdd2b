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
//! | 400, 409, 413, 422, 451 | this message is refused; the answer's field `code` is the reason where it has one |
//! | other 4xx, 3xx: a token, a path or a right of ours is wrong | not taken for now: it would be so for everybody |
//! | other 5xx | unknown: a gateway may fail after the provider has taken it |
//! | no connection | not taken for now |
//! | the connection breaks, or there is no answer in time | unknown |

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url, redirect};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Answer, Call, Message, Secret, Transport, plain_code};

/// A provider with a JSON interface.
#[derive(Clone, Debug, Deserialize)]
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

fn default_field() -> String {
    "provider_id".to_owned()
}

fn default_timeout() -> u64 {
    10
}

/// More of an answer is not read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// No pause is longer, whatever a provider asks for: a command that cannot wait expires.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(600);

impl Config {
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !Url::parse(&self.url).is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
            problems.push("transport.url must be an http:// or https:// address".to_owned());
        }
        problems.extend(self.header_map().err());
        if !(1..=45).contains(&self.timeout_seconds) {
            problems.push("transport.timeout_seconds must be from 1 to 45".to_owned());
        }
        problems
    }

    fn header_map(&self) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let parsed = HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value).ok());
            let (name, value) =
                parsed.ok_or_else(|| format!("transport.headers: {name} or its value cannot be a header"))?;
            headers.insert(name, value);
        }
        if let Some(secret) = &self.bearer {
            let token = secret.read().map_err(|error| format!("transport.bearer: {error}"))?;
            let value = HeaderValue::try_from(format!("Bearer {token}"));
            let mut value =
                value.map_err(|_| "transport.bearer: the token has characters that no header may have".to_owned())?;
            value.set_sensitive(true);
            headers.insert(reqwest::header::AUTHORIZATION, value);
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
    let url = Url::parse(&config.url).map_err(|error| format!("transport.url: {error}"))?;
    let builder = match url.host_str() {
        // A proxy that the environment names is for the world outside.
        Some("127.0.0.1" | "[::1]" | "localhost") => Client::builder().no_proxy(),
        _ => Client::builder(),
    };
    let client = builder
        .default_headers(config.header_map()?)
        .timeout(Duration::from_secs(config.timeout_seconds))
        .connect_timeout(Duration::from_secs(config.timeout_seconds.min(5)))
        // A redirect would carry the address and the token to somebody else.
        .redirect(redirect::Policy::none())
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
            match request.send().await {
                Ok(response) => self.read(response).await,
                Err(error) if error.is_builder() => Answer::refused("bad_request"),
                Err(error) if error.is_connect() => Answer::not_taken("connection"),
                Err(error) if error.is_timeout() => Answer::unknown("timeout"),
                Err(_) => Answer::unknown("connection_broke"),
            }
        })
    }
}

impl Http {
    async fn read(&self, response: Response) -> Answer {
        let status = response.status();
        let code = format!("http_{}", status.as_u16());
        let retry_after = retry_after(&response);
        match status {
            status if status.is_success() => Answer::Accepted {
                provider_id: field(response, &self.provider_id_field).await.filter(|id| id.len() <= 200),
            },
            StatusCode::GONE => Answer::nobody_there(said(response).await.unwrap_or(code)),
            status if ABOUT_THE_MESSAGE.contains(&status) => Answer::refused(said(response).await.unwrap_or(code)),
            StatusCode::SERVICE_UNAVAILABLE => Answer::NotTaken { code, retry_after },
            status if status.is_server_error() => Answer::unknown(code),
            _ => Answer::NotTaken { code, retry_after },
        }
    }
}

/// With these a provider speaks of this one message. Whatever else it will not have is a fault of ours that meets every
/// message: refusals of it would send everybody the next, dearer one.
const ABOUT_THE_MESSAGE: [StatusCode; 5] = [
    StatusCode::BAD_REQUEST,
    StatusCode::CONFLICT,
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::UNPROCESSABLE_ENTITY,
    StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS,
];

/// The provider's own reason.
async fn said(response: Response) -> Option<String> {
    field(response, "code").await.as_deref().and_then(plain_code).map(str::to_owned)
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

/// A text or number in the answer. The provider has spoken by its status already: an answer that cannot be read changes nothing.
async fn field(mut response: Response, name: &str) -> Option<String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > ANSWER_BYTES_MAX {
            return None;
        }
    }
    match serde_json::from_slice::<Value>(&bytes).ok()?.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
