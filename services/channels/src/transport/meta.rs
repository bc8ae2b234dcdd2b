//! WhatsApp (Cloud API), Messenger and Instagram: Meta's family, one way to speak to all three (`product`).
//!
//! The address is a phone number for WhatsApp, and the id that Meta gave a person for this page or account for the others.
//!
//! *WhatsApp's templates.* Outside the 24 hours after a customer's last word only messages of an approved template go out. A
//! message whose text is a JSON object with `type` goes out as it is, so a template of ours can name one of theirs:
//!
//! ```text
//! {"type": "template", "template": {"name": "cart_left", "language": {"code": "ru"},
//!   "components": [{"type": "body", "parameters": [{"type": "text", "text": {{ name|tojson }}}]}]}}
//! ```
//!
//! One that begins with a brace and names a `"type"`, but cannot be read, is a template of ours that is broken: it is refused (`bad_json`),
//! and no customer is shown it. Every other text goes out as text, with title and link. To Messenger and Instagram all texts go out like that.
//!
//! *Receipts.* WhatsApp hands `receipt_token` back with each status (`biz_opaque_callback_data`).
//!
//! | Meta says | is read as |
//! |---|---|
//! | 200 | taken; the provider's id is `messages[0].id`, or `message_id` |
//! | 100 with subcode `2018001` (no such user) | nobody is there |
//! | 100 with subcode `33` (there is no such sender, or no right to it) | not taken for now: it would be so for everybody |
//! | other 100 (a parameter is wrong), `131008`, `131009`, `131051`, `131052`, `131053` (the message), `132000`, `132005`, `132012` (what fills the template) | this message is refused |
//! | `131021` (to ourselves), `131026` (undeliverable), `131047` or 10 with subcode `2018278` or `2534022` (the time to answer is over), `131049`, `131050`, `130472`, `130497` (not this person now), 551 or 200 with subcode `1545041`, `2018065` or `2018108` (not available) | this message is refused |
//! | 4, 32, 613, `80007`, `130429`, `131048`, `131056`, `133016` (limits) | not taken for now |
//! | 0, 3, 10, 33, 190, 200 to 299, 368, `131005`, `131030`, `131031`, `131042`, `131045`, `131057`, `133010` (token, right, account, payment) | not taken for now: it would be so for everybody |
//! | 2, `131016`, `133004` (unavailable) | not taken for now; with a 5xx other than 503 unknown: it may have failed behind the door |
//! | 1, `131000` (something went wrong) | unknown |
//! | any that speaks of the message or the person, with a 5xx | unknown: a server that has failed is no judge of them |
//! | everything else | as `call.rs` says |
//!
//! `131026` says no more than that a number has no WhatsApp, an old one, or terms that are not accepted; so the address may be
//! good later.
//!
//! *Limits.* Meta knows no repeats. What comes later (`failed`, `131026` again) comes by its webhook.

pub(super) mod hook;

use reqwest::{Client, Url};
use serde::Deserialize;
use serde_json::{Value, json};

use super::call::{self, Reply, default_timeout};
use super::{Answer, Call, Message, Secret, Transport};

/// A business at Meta.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Which of them.
    pub product: Product,
    /// Who sends: id of the phone number (WhatsApp), the page (Messenger) or the account (Instagram).
    #[serde(deserialize_with = "call::name")]
    pub sender: String,
    /// Access token of a system user or page.
    pub token: Secret,
    /// Server of the Graph API.
    #[serde(default = "default_url")]
    pub url: String,
    /// Version of the Graph API.
    #[serde(default = "default_version")]
    pub version: String,
    /// Messenger and Instagram: tag under which a message may go out after the 24 hours, such as `HUMAN_AGENT`.
    #[serde(default)]
    pub tag: Option<String>,
    /// Longest hand-over, in seconds.
    #[serde(default = "default_timeout")]
    pub timeout_seconds: u64,
}

/// Meta's messengers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Product {
    /// WhatsApp Cloud API.
    Whatsapp,
    /// Facebook Messenger.
    Messenger,
    /// Instagram.
    Instagram,
}

fn default_url() -> String {
    "https://graph.facebook.com".to_owned()
}

fn default_version() -> String {
    "v23.0".to_owned()
}

impl Config {
    pub(super) fn timeout_seconds(&self) -> u64 {
        self.timeout_seconds
    }

    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = call::problems(&self.url, self.timeout_seconds, &[("token", &self.token)]);
        let is_id = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric());
        if !is_id(&self.sender) {
            problems.push("transport.sender must be an id of letters and digits".to_owned());
        }
        if self.tag.is_some() && self.product == Product::Whatsapp {
            problems.push("transport.tag is for messenger and instagram; WhatsApp has templates".to_owned());
        }
        problems
    }
}

#[derive(Debug)]
struct Meta {
    client: Client,
    method: Url,
    product: Product,
    tag: Option<String>,
}

pub(super) fn open(config: &Config) -> Result<Box<dyn Transport>, String> {
    let base = call::url("url", &config.url)?;
    let client = call::client(&base, config.timeout_seconds).default_headers(call::bearer("token", &config.token)?);
    Ok(Box::new(Meta {
        client: client.build().map_err(|error| error.to_string())?,
        method: call::under(&base, &format!("{}/{}/messages", config.version, config.sender))?,
        product: config.product,
        tag: config.tag.clone(),
    }))
}

impl Transport for Meta {
    fn hand_over<'a>(&'a self, message: &'a Message) -> Call<'a> {
        Box::pin(async move {
            let body = match self.product {
                Product::Whatsapp => whatsapp(message),
                Product::Messenger | Product::Instagram => Some(self.conversation(message)),
            };
            let Some(body) = body else { return Answer::unfit("bad_json") };
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

/// Longest word that WhatsApp hands back, in characters.
const CALLBACK_DATA_MAX: usize = 512;

/// None for a text that was meant to be a message of WhatsApp's, and is none.
fn whatsapp(message: &Message) -> Option<Value> {
    let read = serde_json::from_str::<Value>(&message.text);
    if read.is_err() && message.text.trim_start().starts_with('{') && message.text.contains("\"type\"") {
        return None;
    }
    let own = read.ok().filter(|own| own["type"].is_string());
    let mut body = own.unwrap_or_else(|| json!({"type": "text", "text": {"body": message.plain()}}));
    body["messaging_product"] = json!("whatsapp");
    body["recipient_type"] = json!("individual");
    body["to"] = json!(message.address);
    if let Some(token) = message.receipt_token.as_ref().filter(|token| token.len() <= CALLBACK_DATA_MAX) {
        body["biz_opaque_callback_data"] = json!(token);
    }
    Some(body)
}

impl Meta {
    fn conversation(&self, message: &Message) -> Value {
        let mut body = json!({"recipient": {"id": message.address}, "message": {"text": message.plain()}});
        match &self.tag {
            Some(tag) => (body["messaging_type"], body["tag"]) = (json!("MESSAGE_TAG"), json!(tag)),
            None => body["messaging_type"] = json!("UPDATE"),
        }
        body
    }
}

async fn read(reply: Reply) -> Answer {
    let (is_success, told, retry_after) = (reply.status.is_success(), reply.by_status(), reply.retry_after);
    let said = reply.json().await.unwrap_or_default();
    if is_success {
        let id = call::id(Some(&said), "/messages/0/id").or_else(|| call::id(Some(&said), "/message_id"));
        return Answer::taken(id);
    }
    let number = |path: &str| said.pointer(path).and_then(Value::as_u64);
    let Some(error) = number("/error/code") else { return told };
    let code = format!("meta_{error}");
    let has_failed = matches!(told, Answer::Unknown { .. });
    let later = || Answer::NotTaken { code: code.clone(), retry_after };
    let read = match (error, number("/error/error_subcode")) {
        (2 | 131_016 | 133_004, _) if has_failed => Answer::unknown(code),
        (100, Some(2_018_001)) => Answer::nobody_there(code),
        (100, Some(33)) => later(),
        (10, Some(2_018_278 | 2_534_022)) | (200, Some(1_545_041 | 2_018_065 | 2_018_108)) => Answer::refused(code),
        (error, _) if ABOUT_THE_MESSAGE.contains(&error) || ABOUT_THE_PERSON.contains(&error) => Answer::refused(code),
        (200..=299, _) => later(),
        (error, _) if NOT_NOW.contains(&error) => later(),
        (1 | 131_000, _) => Answer::unknown(code),
        _ if has_failed => Answer::unknown(code),
        _ => later(),
    };
    match read {
        Answer::Refused { code } | Answer::NobodyThere { code } if has_failed => Answer::unknown(code),
        read => read,
    }
}

const ABOUT_THE_MESSAGE: [u64; 9] = [100, 131_008, 131_009, 131_051, 131_052, 131_053, 132_000, 132_005, 132_012];

const ABOUT_THE_PERSON: [u64; 8] = [551, 130_472, 130_497, 131_021, 131_026, 131_047, 131_049, 131_050];

/// Limits, outages, and what is wrong with us: these come with many statuses, of which some would be read otherwise.
const NOT_NOW: [u64; 28] = [
    0, 2, 3, 4, 10, 32, 33, 190, 368, 613, 80_007, 130_429, 131_005, 131_016, 131_030, 131_031, 131_042, 131_045,
    131_048, 131_056, 131_057, 132_001, 132_007, 132_015, 132_016, 133_004, 133_010, 133_016,
];

#[cfg(test)]
mod tests;
