//! A Viber bot: `send_message` of the REST bot API. The address is the subscriber's id. A bot may write to those who have
//! subscribed to it.
//!
//! The message is its title, text and link, one below the other. Viber hands `receipt_token` back with each reply
//! (`tracking_data`).
//!
//! | Viber says (`status` of a 200) | is read as |
//! |---|---|
//! | 0 | taken; the provider's id is `message_token` |
//! | 5 `receiverNotRegistered`, 6 `receiverNotSubscribed` | nobody is there |
//! | 3 `badData`, 4 `missingData`, 11 `receiverNoSuitableDevice`, 13 `apiVersionNotSupported`, 14 `incompatibleWithVersion`, 21 `unsupportedCountry` | this message is refused |
//! | 12 `tooManyRequests`, 23 `freeMessagesExceeded`, 24 `noBalance` | not taken for now |
//! | 1 `invalidUrl`, 2 `invalidAuthToken`, 7 `publicAccountBlocked`, 8 `publicAccountNotFound`, 9 `publicAccountSuspended`, 10 `webhookNotSet`, 15 `publicAccountNotAuthorized`, 16 `inchatReplyMessageNotAllowed`, 17 `publicAccountIsNotInline`, 18 `noPublicChat`, 19 `cannotSendBroadcast`, 20 `broadcastNotAllowed`, 22 `paymentUnsupported` | not taken for now: it would be so for everybody |
//! | other (a general error), or none | unknown |
//! | another HTTP status, such as 500 and 429 | as `call.rs` says |
//!
//! *Limits.* Viber knows no repeats. Delivered and seen come by its webhook, under `message_token`.

pub(super) mod hook;

use reqwest::header::HeaderMap;
use reqwest::{Client, Url};
use serde::Deserialize;
use serde_json::{Value, json};

use super::call::{self, Reply, default_timeout};
use super::{Answer, Call, Message, Secret, Transport};

/// A bot.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The bot's token.
    pub token: Secret,
    /// Name that the customer sees, of at most 28 characters.
    pub sender: String,
    /// Picture beside it: an https address.
    #[serde(default)]
    pub avatar: Option<String>,
    /// Server of the API.
    #[serde(default = "default_url")]
    pub url: String,
    /// Longest hand-over, in seconds.
    #[serde(default = "default_timeout")]
    pub timeout_seconds: u64,
}

fn default_url() -> String {
    "https://chatapi.viber.com".to_owned()
}

impl Config {
    pub(super) fn timeout_seconds(&self) -> u64 {
        self.timeout_seconds
    }

    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = call::problems(&self.url, self.timeout_seconds, &[("token", &self.token)]);
        if !(1..=28).contains(&self.sender.chars().count()) {
            problems.push("transport.sender must have from 1 to 28 characters".to_owned());
        }
        problems
    }
}

#[derive(Debug)]
struct Viber {
    client: Client,
    method: Url,
    sender: Value,
}

pub(super) fn open(config: &Config) -> Result<Box<dyn Transport>, String> {
    let base = call::url("url", &config.url)?;
    let token = call::hidden("token", &config.token.of("token")?)?;
    let headers = HeaderMap::from_iter([(reqwest::header::HeaderName::from_static("x-viber-auth-token"), token)]);
    let client = call::client(&base, config.timeout_seconds).default_headers(headers);
    let mut sender = json!({"name": config.sender});
    if let Some(avatar) = &config.avatar {
        sender["avatar"] = json!(avatar);
    }
    Ok(Box::new(Viber {
        client: client.build().map_err(|error| error.to_string())?,
        method: call::under(&base, "pa/send_message")?,
        sender,
    }))
}

impl Transport for Viber {
    fn hand_over<'a>(&'a self, message: &'a Message) -> Call<'a> {
        Box::pin(async move {
            let mut body = json!({
                "receiver": message.address,
                "min_api_version": 1,
                "sender": self.sender,
                "type": "text",
                "text": message.plain(),
            });
            if let Some(token) = &message.receipt_token {
                body["tracking_data"] = json!(token);
            }
            match call::ask(self.client.post(self.method.clone()).json(&body)).await {
                Ok(reply) => read(reply).await,
                Err(answer) => answer,
            }
        })
    }

    fn is_answered(&self) -> bool {
        true
    }
}

async fn read(reply: Reply) -> Answer {
    let (is_success, told) = (reply.status.is_success(), reply.by_status());
    if !is_success {
        return told;
    }
    let said = reply.json().await.unwrap_or_default();
    let Some(status) = said["status"].as_u64() else { return Answer::unknown("no_status") };
    let code = format!("viber_{status}");
    match status {
        0 => Answer::taken(call::id(Some(&said), "/message_token")),
        5 | 6 => Answer::nobody_there(code),
        3 | 4 | 11 | 13 | 14 | 21 => Answer::refused(code),
        1 | 2 | 7..=10 | 12 | 15..=20 | 22..=24 => Answer::not_taken(code),
        _ => Answer::unknown(code),
    }
}

#[cfg(test)]
mod tests;
