//! VK: `messages.send` in the name of a community. The address is the user's id (or a chat's `peer_id`). A community may write to
//! those who have allowed it.
//!
//! The message is its title, text and link, one below the other.
//!
//! *Repeats.* `random_id` is made of the send's id, and VK sends nothing twice under the same in one conversation, as far back as an hour
//! or a hundred messages: so `on_unknown: resend` is safe as long as a repeat comes within the hour. After a longer outage what was in
//! doubt may arrive twice.
//!
//! | VK says (in a 200) | is read as |
//! |---|---|
//! | `response` | taken; it is the provider's id |
//! | `error_code` 18 (deleted or banned), 113, 900 (has blocked us), 901 (has not allowed it), 902 (privacy), 917 (no access to the chat), 936 | nobody is there |
//! | 100 (a parameter is wrong), 910, 911, 913, 914, 921 (too big, or of a wrong form) | this message is refused |
//! | 6, 9, 29 (limits) | not taken for now |
//! | 2, 5, 7, 8, 14, 15, 17, 20, 21, 23, 24, 27, 28, 203, 912, 925, 943, 985 (token, rights, captcha, settings of the community) | not taken for now: it would be so for everybody |
//! | 1, 10 (unknown, internal) | unknown |
//! | other numbers | not taken for now |
//! | neither | unknown |
//! | another HTTP status, such as 503 | as `call.rs` says |

pub(super) mod hook;

use reqwest::{Client, Url};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::call::{self, Reply, default_timeout};
use super::secret::Hidden;
use super::{Answer, Call, Message, Secret, Transport};

/// A community.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The community's token, with the right to send messages.
    pub token: Secret,
    /// Server of the API.
    #[serde(default = "default_url")]
    pub url: String,
    /// Version of the API.
    #[serde(default = "default_version")]
    pub version: String,
    /// Longest hand-over, in seconds.
    #[serde(default = "default_timeout")]
    pub timeout_seconds: u64,
}

fn default_url() -> String {
    "https://api.vk.com".to_owned()
}

fn default_version() -> String {
    "5.199".to_owned()
}

impl Config {
    pub(super) fn timeout_seconds(&self) -> u64 {
        self.timeout_seconds
    }

    pub(super) fn problems(&self) -> Vec<String> {
        call::problems(&self.url, self.timeout_seconds, &[("token", &self.token)])
    }
}

#[derive(Debug)]
struct Vk {
    client: Client,
    method: Url,
    token: Hidden<String>,
    version: String,
}

pub(super) fn open(config: &Config) -> Result<Box<dyn Transport>, String> {
    let base = call::url("url", &config.url)?;
    Ok(Box::new(Vk {
        client: call::client(&base, config.timeout_seconds).build().map_err(|error| error.to_string())?,
        method: call::under(&base, "method/messages.send")?,
        token: Hidden(config.token.of("token")?),
        version: config.version.clone(),
    }))
}

impl Transport for Vk {
    fn hand_over<'a>(&'a self, message: &'a Message) -> Call<'a> {
        Box::pin(async move {
            let Some(random_id) = random_id(&message.send_id) else { return Answer::unfit("bad_send_id") };
            let form = [
                ("peer_id", message.address.as_str()),
                ("random_id", &random_id.to_string()),
                ("message", &message.plain()),
                ("access_token", &self.token.0),
                ("v", &self.version),
            ];
            match call::ask(self.client.post(self.method.clone()).form(&form)).await {
                Ok(reply) => read(reply).await,
                Err(answer) => answer,
            }
        })
    }

    fn is_answered(&self) -> bool {
        true
    }
}

/// The lower 31 bits of the send's id: VK's documents promise no more, and it compares within one conversation alone.
fn random_id(send_id: &str) -> Option<i32> {
    let (_, low) = Uuid::parse_str(send_id).ok()?.as_u64_pair();
    // Zero means to VK that there is none.
    Some(i32::try_from(low & 0x7fff_ffff).ok()?.max(1))
}

async fn read(reply: Reply) -> Answer {
    let (is_success, told) = (reply.status.is_success(), reply.by_status());
    if !is_success {
        return told;
    }
    let said = reply.json().await.unwrap_or_default();
    if let Some(id) = call::id(Some(&said), "/response") {
        return Answer::taken(Some(id));
    }
    let Some(error) = said.pointer("/error/error_code").and_then(Value::as_u64) else {
        return Answer::unknown("no_response");
    };
    let code = format!("vk_{error}");
    match error {
        18 | 113 | 900 | 901 | 902 | 917 | 936 => Answer::nobody_there(code),
        100 | 910 | 911 | 913 | 914 | 921 => Answer::refused(code),
        1 | 10 => Answer::unknown(code),
        _ => Answer::not_taken(code),
    }
}

#[cfg(test)]
mod tests;
