//! A Telegram bot: `sendMessage` of the Bot API. The address is the chat's id. A bot may write to those who have started it.
//!
//! The message is its title, text and link, one below the other; a link under a label of its own, where `button` names one.
//!
//! | the bot API says | is read as |
//! |---|---|
//! | 200 | taken; the provider's id is `message_id` |
//! | 403 `bot was blocked by the user`, `user is deactivated`, `bot can't initiate conversation`, `bot was kicked`, and whatever else it forbids: it is about this chat | nobody is there |
//! | 400 `chat not found`, `user not found`, `PEER_ID_INVALID`, or with `migrate_to_chat_id` | nobody is there |
//! | other 400: `message is too long`, `message text is empty`, `can't parse entities` | this message is refused |
//! | 413 | this message is refused |
//! | 429 | not taken for now; `retry_after` is kept for all calls, since Telegram counts them by bot |
//! | 401, 404: the token is wrong | not taken for now: it would be so for everybody |
//! | any status without a `description`: somebody else has answered | as `call.rs` says |
//! | everything else | as `call.rs` says |
//!
//! *Replies.* With `receive = true` the worker hears what people tell the bot ([`poll`]): a reply, a stop word, and that somebody has blocked it
//! ([`updates`]). Without, or where a webhook leads what they tell to the tracker, it does not ask.
//!
//! *Limits.* Telegram tells nobody whether a message was delivered or read, and knows no repeats: of two calls for the same send
//! it makes two messages.

pub(super) mod hook;
mod poll;
pub mod updates;

use std::sync::Mutex;

use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::call::{self, Reply, default_timeout};
use super::replies::{default_memory, default_stop_words, memory_problem};
use super::secret::Hidden;
use super::{Answer, Call, Ear, Message, Secret, Transport};
use poll::{Poller, RESTS};

/// A bot.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The bot's token.
    pub token: Secret,
    /// Server of the Bot API.
    #[serde(default = "default_url")]
    pub url: String,
    /// Label of the button that leads to the message's link; the link stands in the text where it is left out.
    #[serde(default)]
    pub button: Option<String>,
    /// Longest hand-over, in seconds.
    #[serde(default = "default_timeout")]
    pub timeout_seconds: u64,
    /// Whether the worker asks what people tell the bot. Not where a webhook is set for it.
    #[serde(default)]
    pub receive: bool,
    /// Replies with which a customer wants no more, in any case, with a slash or without.
    #[serde(default = "default_stop_words")]
    pub stop_words: Vec<String>,
    /// Chats whose replies find their sends, those that were written to last.
    #[serde(default = "default_memory")]
    pub replies_remembered: usize,
}

fn default_url() -> String {
    "https://api.telegram.org".to_owned()
}

impl Config {
    pub(super) fn timeout_seconds(&self) -> u64 {
        self.timeout_seconds
    }

    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = call::problems(&self.url, self.timeout_seconds, &[("token", &self.token)]);
        problems.extend(memory_problem("transport.replies_remembered", self.replies_remembered));
        problems
    }
}

#[derive(Debug)]
struct Telegram {
    client: Client,
    /// Holds the token.
    method: Hidden<Url>,
    button: Option<String>,
    hearing: Option<Hearing>,
}

/// What it takes to hear.
#[derive(Debug)]
struct Hearing {
    ear: Mutex<Option<(Ear, Poller)>>,
    runtime: Handle,
    /// Ends with the transport.
    tasks: Mutex<JoinSet<()>>,
}

/// Words that may wait; Telegram is asked for no more then.
const WORDS: usize = 256;

impl Hearing {
    fn new(config: &Config, base: &Url) -> Result<Self, String> {
        let (words, heard) = mpsc::channel(WORDS);
        let method = call::under(base, &format!("bot{}/getUpdates", config.token.of("token")?))?;
        let client = call::client(base, poll::WAIT_SECONDS + poll::SLACK_SECONDS).build();
        let client = client.map_err(|error| error.to_string())?;
        let stop_words = config.stop_words.clone();
        let poller = Poller { client, method: Hidden(method), stop_words, words, rests: RESTS };
        let ear = Ear { words: heard, memory: config.replies_remembered };
        Ok(Hearing { ear: Mutex::new(Some((ear, poller))), runtime: Handle::current(), tasks: Mutex::default() })
    }

    /// Begins to ask once somebody listens.
    fn begin(&self) -> Option<Ear> {
        let (ear, poller) = self.ear.lock().ok()?.take()?;
        self.tasks.lock().ok()?.spawn_on(poller.poll(), &self.runtime);
        Some(ear)
    }
}

pub(super) fn open(config: &Config) -> Result<Box<dyn Transport>, String> {
    let base = call::url("url", &config.url)?;
    let method = call::under(&base, &format!("bot{}/sendMessage", config.token.of("token")?))?;
    let client = call::client(&base, config.timeout_seconds).build().map_err(|error| error.to_string())?;
    let hearing = config.receive.then(|| Hearing::new(config, &base)).transpose()?;
    Ok(Box::new(Telegram { client, method: Hidden(method), button: config.button.clone(), hearing }))
}

impl Transport for Telegram {
    fn hand_over<'a>(&'a self, message: &'a Message) -> Call<'a> {
        Box::pin(async move {
            let request = self.client.post(self.method.0.clone()).json(&self.body(message));
            match call::ask(request).await {
                Ok(reply) => read(reply).await,
                Err(answer) => answer,
            }
        })
    }

    fn is_answered(&self) -> bool {
        true
    }

    fn ear(&self) -> Option<Ear> {
        self.hearing.as_ref()?.begin()
    }
}

impl Telegram {
    fn body(&self, message: &Message) -> Value {
        let Some((label, link)) = self.button.as_ref().zip(message.link.as_ref()) else {
            return json!({"chat_id": message.address, "text": message.plain()});
        };
        let words = [message.subject.as_deref(), Some(&*message.text)];
        let words: Vec<&str> = words.into_iter().flatten().filter(|words| !words.is_empty()).collect();
        json!({
            "chat_id": message.address,
            "text": words.join("\n\n"),
            "reply_markup": {"inline_keyboard": [[{"text": label, "url": link}]]},
        })
    }
}

async fn read(reply: Reply) -> Answer {
    let (status, by_status) = (reply.status, reply.by_status());
    let said = reply.json().await.unwrap_or_default();
    // A proxy on the way says the same statuses, and means everybody.
    let Some(description) = said["description"].as_str().or_else(|| status.is_success().then_some("")) else {
        return by_status;
    };
    let is = |words: &str| description.contains(words);
    match status {
        status if status.is_success() => Answer::taken(call::id(Some(&said), "/result/message_id")),
        StatusCode::FORBIDDEN => Answer::nobody_there(known(description, &FORBIDDEN).unwrap_or("telegram_403")),
        StatusCode::BAD_REQUEST if is("chat not found") || is("user not found") || is("PEER_ID_INVALID") => {
            Answer::nobody_there("chat_not_found")
        }
        StatusCode::BAD_REQUEST if said.pointer("/parameters/migrate_to_chat_id").is_some() => {
            Answer::nobody_there("chat_migrated")
        }
        StatusCode::BAD_REQUEST => Answer::refused(known(description, &BAD_REQUEST).unwrap_or("telegram_400")),
        StatusCode::PAYLOAD_TOO_LARGE => Answer::refused("telegram_413"),
        StatusCode::TOO_MANY_REQUESTS => {
            let asked = said.pointer("/parameters/retry_after").and_then(Value::as_u64).map(call::pause);
            match by_status {
                Answer::NotTaken { code, retry_after } => Answer::NotTaken { code, retry_after: asked.or(retry_after) },
                other => other,
            }
        }
        _ => by_status,
    }
}

/// Words of a description, and our code for them: a description itself may name a chat.
type Known = (&'static str, &'static str);

const FORBIDDEN: [Known; 4] = [
    ("bot was blocked", "bot_blocked"),
    ("user is deactivated", "user_deactivated"),
    ("can't initiate conversation", "not_started"),
    ("bot was kicked", "bot_kicked"),
];

const BAD_REQUEST: [Known; 3] =
    [("message is too long", "too_long"), ("message text is empty", "empty"), ("can't parse entities", "bad_entities")];

fn known(description: &str, codes: &[Known]) -> Option<&'static str> {
    codes.iter().find(|(words, _)| description.contains(words)).map(|(_, code)| *code)
}

#[cfg(test)]
mod tests;
