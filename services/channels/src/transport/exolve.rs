//! SMS by MTS Exolve: `SendSMS` of its messaging API. The address is a phone number; Exolve wants its digits alone.
//!
//! The text goes out as it is; a title or link has to be written into the template, since every character costs.
//!
//! | Exolve says | is read as |
//! |---|---|
//! | 200 with `message_id` | taken |
//! | 200 without one | unknown |
//! | 4xx, `Number does not exist` | nobody is there |
//! | 4xx, `incorrect customer state`: our account | not taken for now: it would be so for everybody |
//! | other 400, 413, 422: `does not match regex pattern` | this message is refused |
//! | 401, 402, 403, 404 | not taken for now: it would be so for everybody |
//! | 429, 503 | not taken for now; `retry-after` is kept for all calls |
//! | everything else, also 500 | as `call.rs` says |
//!
//! A refusal without a code of Exolve's counts once it has taken something (`heard.rs`).
//!
//! *Limits.* Exolve's documentation has no list of errors: the words above are those that users of its API have met. It knows no repeats,
//! so a send of unknown outcome is best skipped (`on_unknown`). What became of a message it posts to the address that is given for
//! events of SMS, unsigned: a hook of the kind `http` reads it (`deploy/channels.toml`). The fields and words there are those of its method
//! `GetList`, as users of the API say; the page of the events itself was not at hand.

use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;
use serde_json::{Value, json};

use super::call::{self, Reply, default_timeout};
use super::{Answer, Call, Message, Secret, Transport, plain_code};

/// An application at MTS Exolve.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Who sends: a number that was bought there, or a name that operators have approved.
    #[serde(deserialize_with = "call::name")]
    pub sender: String,
    /// The application's API key.
    pub token: Secret,
    /// Id of the approved template that the text is made of.
    #[serde(default)]
    pub template_resource_id: Option<u64>,
    /// Server of the API.
    #[serde(default = "default_url")]
    pub url: String,
    /// Longest hand-over, in seconds.
    #[serde(default = "default_timeout")]
    pub timeout_seconds: u64,
}

fn default_url() -> String {
    "https://api.exolve.ru".to_owned()
}

impl Config {
    pub(super) fn timeout_seconds(&self) -> u64 {
        self.timeout_seconds
    }

    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = call::problems(&self.url, self.timeout_seconds, &[("token", &self.token)]);
        if self.sender.is_empty() {
            problems.push("transport.sender is empty: give a number or an approved name".to_owned());
        }
        problems
    }
}

#[derive(Debug)]
struct Exolve {
    client: Client,
    method: Url,
    sender: String,
    template: Option<u64>,
}

pub(super) fn open(config: &Config) -> Result<Box<dyn Transport>, String> {
    let base = call::url("url", &config.url)?;
    let client = call::client(&base, config.timeout_seconds).default_headers(call::bearer("token", &config.token)?);
    Ok(Box::new(Exolve {
        client: client.build().map_err(|error| error.to_string())?,
        method: call::under(&base, "messaging/v1/SendSMS")?,
        sender: config.sender.clone(),
        template: config.template_resource_id,
    }))
}

impl Transport for Exolve {
    fn hand_over<'a>(&'a self, message: &'a Message) -> Call<'a> {
        Box::pin(async move {
            let digits: String = message.address.chars().filter(char::is_ascii_digit).collect();
            let mut body = json!({"number": self.sender, "destination": digits, "text": message.text});
            if let Some(template) = self.template {
                body["template_resource_id"] = json!(template);
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
    let (status, told) = (reply.status, reply.by_status());
    let said = reply.json().await.unwrap_or_default();
    if status.is_success() {
        return match call::id(Some(&said), "/message_id") {
            Some(id) => Answer::taken(Some(id)),
            None => Answer::unknown("no_message_id"),
        };
    }
    let error = said.get("error").unwrap_or(&said);
    let words = error.get("message").or(Some(error)).and_then(Value::as_str).unwrap_or_default().to_lowercase();
    let code = call::word(error, "/code").as_deref().and_then(plain_code).map(|code| format!("exolve_{code}"));
    let code = code.unwrap_or_else(|| format!("http_{}", status.as_u16()));
    match status {
        status if !status.is_client_error() => told,
        _ if words.contains("number does not exist") => Answer::nobody_there("no_such_number"),
        _ if words.contains("customer state") => Answer::not_taken("customer_state"),
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
            Answer::refused(code)
        }
        _ => told,
    }
}

#[cfg(test)]
mod tests;
