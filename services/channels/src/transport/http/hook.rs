//! What a gateway posts that no file here is written for: receipts, and answers where it has them. No code is needed: the section
//! `post` of the hook says how a post is believed, where in it what stands (JSON pointers), and what the gateway's words mean.
//!
//! | a gateway posts | is read as |
//! |---|---|
//! | a word that stands in `statuses`, in any case; what is not positive has the word as its code | that status |
//! | one that stands there as `nothing`, such as its own queue | nothing |
//! | one that does not stand there, or no word at all | unreadable: it is counted, and an alert speaks of many |
//! | what `reply` names as an answer | REPLIED; UNSUBSCRIBED for a stop word |
//! | a list of these, at the place that `list` names | each of them |
//!
//! | `post.proof` | is believed |
//! |---|---|
//! | `path` | where the secret stands behind the channel's name: `POST /hooks/<channel>/<secret>` |
//! | `{ header = "…" }` | where this header is the secret: the whole of it, `Basic …` included |
//! | `{ hmac = { header = "…" } }` | where this header, behind `prefix`, is the HMAC-SHA256 of the raw body, in `hex` or `base64` |
//!
//! A receipt is about our token, where the gateway hands it back, else about its own id of the message; an answer is about the latest
//! message to its sender. A time is a number of seconds or milliseconds since 1970 or a date of RFC 3339; what has no zone is none.
//!
//! *Limits.* Whoever reads one post, or the log of a proxy before the tracker, knows a secret that stands in the path: it is for gateways that
//! have nothing better. A form (`body = "form"`) holds one receipt. Signatures over more than the body are not known here.

use std::collections::BTreeMap;

use jiff::Timestamp;
use reqwest::header::{HeaderMap, HeaderName};
use schemas::{Millis, Status};
use serde::Deserialize;
use serde_json::Value;

use crate::transport::hook::{self, Hook, Said, Secrets, address, header, id, text, word};
use crate::transport::plain_code;

/// From here on a number is one of milliseconds: as seconds it would be after the year 5000.
const MILLISECONDS: i64 = 100_000_000_000;

/// How the posts of a gateway look: the section `post` of a hook.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Post {
    /// How they are believed.
    pub proof: Proof,
    /// What they are written in.
    #[serde(default)]
    pub body: Body,
    /// Where the list is, of posts that hold several; else the post itself is one.
    #[serde(default)]
    pub list: String,
    /// Where our own token of the receipt comes back.
    #[serde(default)]
    pub token: Option<String>,
    /// Where the gateway's id of the message is.
    pub id: String,
    /// Where its word for what became of it is.
    pub status: String,
    /// What its words mean.
    pub statuses: BTreeMap<String, Meaning>,
    /// Where the time is.
    #[serde(default)]
    pub time: Option<String>,
    /// How answers of customers look; none where it posts none.
    #[serde(default)]
    pub reply: Option<Reply>,
}

/// How a post is believed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Proof {
    /// The secret stands in the path.
    Path,
    /// This header is the secret.
    Header(String),
    /// A header holds the HMAC-SHA256 of the raw body.
    Hmac {
        /// Which one.
        header: String,
        /// How its bytes are written.
        #[serde(default)]
        encoding: Encoding,
        /// What stands before them.
        #[serde(default)]
        prefix: String,
    },
}

/// How bytes are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Hexadecimal digits.
    #[default]
    Hex,
    /// Base64, with its padding.
    Base64,
}

/// What a post is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// JSON.
    #[default]
    Json,
    /// `application/x-www-form-urlencoded`: one thing, whose fields have paths of one part.
    Form,
}

/// How an answer of a customer looks.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// Where it shows that it is one.
    pub at: String,
    /// What stands there; anything where this is left out.
    #[serde(default, deserialize_with = "hook::name")]
    pub is: Option<String>,
    /// Where its sender's address is.
    pub sender: String,
    /// Where its text is.
    pub text: String,
}

/// What a gateway's word means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Meaning {
    /// Nothing that is to be known.
    Nothing,
    /// It was passed on.
    Sent,
    /// It arrived.
    Delivered,
    /// The customer has opened it.
    Opened,
    /// It will never go out.
    Refused,
    /// Its time was over before it arrived.
    Expired,
    /// The address is dead.
    BouncedHard,
    /// It did not arrive now; the gateway may still try.
    BouncedSoft,
    /// The gateway gave up.
    Failed,
    /// The customer wants no more.
    Unsubscribed,
    /// The customer called it spam.
    Complained,
}

impl Meaning {
    fn status(self) -> Option<Status> {
        Some(match self {
            Meaning::Nothing => return None,
            Meaning::Sent => Status::Sent,
            Meaning::Delivered => Status::Delivered,
            Meaning::Opened => Status::Opened,
            Meaning::Refused => Status::Refused,
            Meaning::Expired => Status::Expired,
            Meaning::BouncedHard => Status::BouncedHard,
            Meaning::BouncedSoft => Status::BouncedSoft,
            Meaning::Failed => Status::Failed,
            Meaning::Unsubscribed => Status::Unsubscribed,
            Meaning::Complained => Status::Complained,
        })
    }
}

impl Post {
    /// Everything that is wrong, each in a sentence.
    pub(in crate::transport) fn problems(&self) -> Vec<String> {
        let reply = self
            .reply
            .iter()
            .flat_map(|reply| [("reply.at", &reply.at), ("reply.sender", &reply.sender), ("reply.text", &reply.text)]);
        let some = [("token", self.token.as_ref()), ("time", self.time.as_ref())];
        let some = some.into_iter().filter_map(|(key, path)| Some((key, path?)));
        let all =
            [("list", &self.list), ("id", &self.id), ("status", &self.status)].into_iter().chain(some).chain(reply);
        let is_path = |path: &str| path.is_empty() || path.starts_with('/');
        let wrong = all.filter(|(_, path)| !is_path(path));
        let mut problems: Vec<String> =
            wrong.map(|(key, _)| format!("hook.post.{key} must begin with a slash, as /message/id does")).collect();
        let named = match &self.proof {
            Proof::Path => None,
            Proof::Header(name) | Proof::Hmac { header: name, .. } => Some(name),
        };
        if named.is_some_and(|name| HeaderName::try_from(name).is_err()) {
            problems.push("hook.post.proof names something that no header can be called".to_owned());
        }
        if self.statuses.is_empty() {
            problems.push("hook.post.statuses is empty: say what the gateway's words mean".to_owned());
        }
        problems
    }
}

/// Reads a gateway's posts.
#[derive(Debug)]
pub(in crate::transport) struct Gateway {
    secrets: Secrets,
    stop_words: Vec<String>,
    post: Post,
}

impl Gateway {
    pub(in crate::transport) fn new(secrets: Secrets, stop_words: Vec<String>, post: &Post) -> Self {
        let mut post = post.clone();
        post.statuses = post.statuses.into_iter().map(|(word, meaning)| (word.to_lowercase(), meaning)).collect();
        Gateway { secrets, stop_words, post }
    }

    fn item(&self, item: &Value) -> Said {
        if let Some(reply) = self.post.reply.as_ref().filter(|reply| reply.is_one(item)) {
            return Said::reply(text(item, &reply.text), &self.stop_words, address(item, &reply.sender))
                .at(self.time(item));
        }
        let Some(word) = word(item, &self.post.status).map(|word| word.to_lowercase()) else {
            return Said::nothing("unreadable");
        };
        let status = match self.post.statuses.get(&word).map(|meaning| meaning.status()) {
            None => return Said::nothing("unreadable"),
            Some(None) => return Said::nothing("no_information"),
            Some(Some(status)) => status,
        };
        let token = self.post.token.as_ref().and_then(|path| text(item, path)).filter(|token| !token.is_empty());
        let is_bad = !matches!(status, Status::Sent | Status::Delivered | Status::Opened);
        Said {
            token: token.map(str::to_owned),
            // One that the configuration has: nothing of a person is in it.
            code: plain_code(&word).filter(|_| is_bad).map(|code| code.replace(['-', '.'], "_")),
            ..Said::of(status, id(item, &self.post.id)).at(self.time(item))
        }
    }

    fn time(&self, item: &Value) -> Option<Millis> {
        let told = word(item, self.post.time.as_ref()?)?;
        match told.parse::<i64>() {
            Ok(number) if number >= MILLISECONDS => Some(number),
            Ok(number) => number.checked_mul(1_000),
            Err(_) => Some(told.parse::<Timestamp>().ok()?.as_millisecond()),
        }
    }
}

impl Reply {
    fn is_one(&self, item: &Value) -> bool {
        match &self.is {
            Some(wanted) => word(item, &self.at).is_some_and(|found| found == *wanted),
            None => item.pointer(&self.at).is_some_and(|found| !found.is_null()),
        }
    }
}

/// A form as an object of texts. A field that is there twice is no field.
fn form(body: &[u8]) -> Value {
    let mut fields: BTreeMap<String, Value> = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(body) {
        let value = Value::from(value.into_owned());
        fields.entry(name.into_owned()).and_modify(|known| *known = Value::Null).or_insert(value);
    }
    fields.into_iter().collect()
}

impl Hook for Gateway {
    fn trusts(&self, headers: &HeaderMap, body: &[u8]) -> bool {
        match &self.post.proof {
            Proof::Path => false,
            Proof::Header(name) => header(headers, name).is_some_and(|secret| self.secrets.hold(secret)),
            Proof::Hmac { header: name, encoding, prefix } => {
                let signature = header(headers, name).and_then(|value| value.strip_prefix(prefix.as_str()));
                signature.is_some_and(|signature| match encoding {
                    Encoding::Hex => self.secrets.signed(body, signature),
                    Encoding::Base64 => self.secrets.signed_base64(body, signature),
                })
            }
        }
    }

    fn trusts_path(&self, word: &str) -> bool {
        self.post.proof == Proof::Path && self.secrets.hold(word)
    }

    fn read(&self, body: &[u8]) -> Vec<Said> {
        let post = match self.post.body {
            Body::Json => serde_json::from_slice(body).unwrap_or_default(),
            Body::Form => form(body),
        };
        match post.pointer(&self.post.list) {
            Some(Value::Array(items)) if items.is_empty() => vec![Said::nothing("no_information")],
            Some(Value::Array(items)) => items.iter().map(|item| self.item(item)).collect(),
            Some(item) => vec![self.item(item)],
            None => vec![Said::nothing("unreadable")],
        }
    }
}

#[cfg(test)]
mod tests;
