//! What providers post to us of their own accord, each on its own protocol. The tracker takes it in (`POST /hooks/<channel>`); what is
//! known of a provider stands beside its transport, in `<provider>/hook.rs`, with a table of what it posts and what that is read as.
//!
//! *How a post is believed.* Over the raw body, before anything of it is parsed (but for VK, whose secret stands in it), in constant time.
//! While a secret is exchanged for another, `other_secret` is believed beside it.
//!
//! | provider | proof | signed time | who repeats a post |
//! |---|---|---|---|
//! | Meta | `X-Hub-Signature-256`: HMAC-SHA256 of the body with the app secret | of each event | changes nothing; older than [`REPLAY`] it is not believed |
//! | Viber | `X-Viber-Content-Signature`: HMAC-SHA256 of the body with the bot's token | of each event | the same |
//! | VK | `secret` in the body | of messages | the same; a `message_deny` has no time, and changes nothing twice |
//! | Telegram | `X-Telegram-Bot-Api-Secret-Token`: the secret itself | of messages and members | the same |
//! | any gateway (`http`) | what its section `post` says: the secret in the path or a header, or an HMAC-SHA256 of the body | what `post.time` names, where the proof covers it | the same; without a time, and changes nothing twice |
//!
//! None of them signs when a request was made, and all repeat for hours or days what was not taken: so a narrow window would lose what
//! was true. That a repeat changes nothing follows from ids of facts, which are made of the send, the status and the provider.
//!
//! *What a post is about*, in the order in which it is looked for: our own token, where the provider hands it back; its id of a message;
//! the address that it came from, which stands for the latest message to it.
//!
//! *Limits.* Where a channel has several routes, our own notes put the route's name before a provider's id, which a post does not know: there it
//! finds its send by token or address alone.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::HeaderMap;
use schemas::{Millis, Status};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::meta::{self, Product};
use super::replies::{self, Text};
use super::{About, Secret, call, http, telegram, viber, vk};

/// What is older by the provider's own signed time is a replay: Meta repeats for seven days, and nobody longer.
pub const REPLAY: Duration = Duration::from_secs(8 * 86_400);

/// Shorter secrets could be guessed, in bytes.
const SECRET_BYTES_MIN: usize = 16;

/// Longer ids and addresses are nobody's, in bytes.
const WORD_BYTES_MAX: usize = 200;

/// The section `hook` of a channel.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Who posts.
    pub kind: Kind,
    /// What it proves itself by: the app secret (Meta), the bot's token (Viber), or what was given it when the hook was set (VK, Telegram, others).
    pub secret: Secret,
    /// Believed beside it, while one is exchanged for the other.
    #[serde(default)]
    pub other_secret: Option<Secret>,
    /// A customer who answers one of these, in any case, wants no more.
    #[serde(default = "replies::default_stop_words")]
    pub stop_words: Vec<String>,
    /// Sends that are remembered, so that what is posted finds them; others are searched for.
    #[serde(default = "default_remembered")]
    pub receipts_remembered: usize,
    /// Meta: which of its messengers.
    #[serde(default)]
    pub product: Option<Product>,
    /// Meta: the sender that the posts must be for, as the transport has it. One app may serve others, too.
    #[serde(default, deserialize_with = "name")]
    pub sender: Option<String>,
    /// Meta: what it shows when the hook is set, before it posts anything.
    #[serde(default)]
    pub verify_token: Option<Secret>,
    /// VK: the community.
    #[serde(default)]
    pub group_id: Option<u64>,
    /// VK: what it wants to hear when the hook is set.
    #[serde(default)]
    pub confirmation: Option<String>,
    /// Any other gateway: how its posts look.
    #[serde(default)]
    pub post: Option<http::hook::Post>,
}

/// Who posts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// WhatsApp, Messenger, Instagram.
    Meta,
    /// A Viber bot.
    Viber,
    /// A community of VK.
    Vk,
    /// A Telegram bot.
    Telegram,
    /// Any gateway, as `post` says.
    Http,
}

fn default_remembered() -> usize {
    100_000
}

pub(super) fn name<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    call::name(deserializer).map(Some)
}

/// Reads what one provider posts.
pub trait Hook: fmt::Debug + Send + Sync {
    /// The answer to a GET, by which a provider asks whether somebody listens here before it posts anything; none for whoever does not
    /// know what was agreed.
    fn challenge(&self, _query: &[(String, String)]) -> Option<String> {
        None
    }

    /// Whether the provider has posted this, by its headers and raw body.
    fn trusts(&self, headers: &HeaderMap, body: &[u8]) -> bool;

    /// Whether the provider has posted what came with this word behind the channel's name in the path.
    fn trusts_path(&self, _word: &str) -> bool {
        false
    }

    /// What it says. Whatever cannot be read is a word about nothing, and takes nothing else with it.
    fn read(&self, body: &[u8]) -> Vec<Said>;

    /// What it wants to hear.
    fn answer(&self, _body: &[u8]) -> String {
        String::new()
    }
}

/// One thing that a provider says. `Debug` shows no address, no text and no token.
#[derive(Clone, PartialEq, Eq)]
pub struct Said {
    /// Our own token of a receipt, handed back: where it is believed, nothing else is asked.
    pub token: Option<String>,
    /// What it is about, the surest first.
    pub about: Vec<About>,
    /// What is said of it.
    pub status: Status,
    /// The provider's code, where it has one.
    pub code: Option<String>,
    /// What the customer wrote.
    pub text: Option<Text>,
    /// When it happened, by the provider's clock.
    pub occurred_at: Option<Millis>,
}

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Said").field("about", &self.about).field("status", &self.status).finish_non_exhaustive()
    }
}

impl From<replies::Said> for Said {
    fn from(said: replies::Said) -> Self {
        let replies::Said { about, status, code, text, occurred_at } = said;
        Said { token: None, about: vec![about], status, code, text, occurred_at }
    }
}

impl Said {
    pub(super) fn of(status: Status, about: impl IntoIterator<Item = About>) -> Self {
        let about: Vec<About> = about.into_iter().collect();
        let about = if about.is_empty() { vec![About::Nothing("unreadable")] } else { about };
        Said { token: None, about, status, code: None, text: None, occurred_at: None }
    }

    /// A word that nobody could use; why, as a label.
    pub(super) fn nothing(why: &'static str) -> Self {
        Said::of(Status::Unspecified, [About::Nothing(why)])
    }

    /// A customer's message, whatever he wrote or sent.
    pub(super) fn reply(text: Option<&str>, stop_words: &[String], about: impl IntoIterator<Item = About>) -> Self {
        let text = text.unwrap_or_default();
        Said { text: Text::of(text), ..Said::of(replies::status(text, stop_words), about) }
    }

    pub(super) fn at(self, occurred_at: Option<Millis>) -> Self {
        Said { occurred_at, ..self }
    }
}

impl Config {
    /// Everything that is wrong, each in a sentence.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut needs = |kind: Kind, is_there: bool, what: &str| {
            if is_there != (self.kind == kind) {
                let must = if is_there { "is for another kind: leave it out" } else { "is missing" };
                problems.push(format!("{what} {must}"));
            }
        };
        needs(Kind::Meta, self.product.is_some(), "hook.product (whatsapp, messenger or instagram)");
        needs(Kind::Meta, self.sender.is_some(), "hook.sender (the id that transport.sender names)");
        needs(Kind::Meta, self.verify_token.is_some(), "hook.verify_token (what you write into Meta's form)");
        needs(Kind::Vk, self.group_id.is_some(), "hook.group_id (the community's number)");
        needs(Kind::Vk, self.confirmation.is_some(), "hook.confirmation (the string that VK wants to hear)");
        needs(Kind::Http, self.post.is_some(), "hook.post (how its posts look)");
        problems.extend(self.post.iter().flat_map(http::hook::Post::problems));
        problems.extend(replies::memory_problem("hook.receipts_remembered", self.receipts_remembered));
        problems.extend(self.secrets().err().into_iter().flatten());
        problems.extend(self.verify().err().into_iter().flatten());
        problems
    }

    /// Opens it.
    ///
    /// # Errors
    /// Everything that is wrong, each in a sentence.
    pub fn open(&self) -> Result<Box<dyn Hook>, Vec<String>> {
        let problems = self.problems();
        if !problems.is_empty() {
            return Err(problems);
        }
        let (secrets, stop_words) = (self.secrets()?, self.stop_words.clone());
        Ok(match (self.kind, self.product) {
            (Kind::Viber, _) => Box::new(viber::hook::Viber { secrets, stop_words }),
            (Kind::Vk, _) => Box::new(vk::hook::Vk {
                secrets,
                stop_words,
                group: self.group_id.unwrap_or_default(),
                confirmation: self.confirmation.clone().unwrap_or_default(),
            }),
            (Kind::Telegram, _) => Box::new(telegram::hook::Telegram { secrets, stop_words }),
            (Kind::Http, _) => match &self.post {
                Some(post) => Box::new(http::hook::Gateway::new(secrets, stop_words, post)),
                None => return Err(self.problems()),
            },
            (Kind::Meta, product) => Box::new(meta::hook::Meta {
                secrets,
                stop_words,
                verify: self.verify()?,
                product: product.unwrap_or(Product::Whatsapp),
                sender: self.sender.clone().unwrap_or_default(),
            }),
        })
    }

    fn secrets(&self) -> Result<Secrets, Vec<String>> {
        let other = self.other_secret.as_ref().map(|secret| ("hook.other_secret", secret));
        let secrets = Secrets::read([("hook.secret", &self.secret)].into_iter().chain(other))?;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
        let stands_in_path = self.post.as_ref().is_some_and(|post| post.proof == http::hook::Proof::Path);
        if stands_in_path && secrets.0.iter().any(|secret| !secret.chars().all(is_plain)) {
            return Err(vec!["hook.secret stands in a path: make it of letters, digits, - and _ alone".to_owned()]);
        }
        Ok(secrets)
    }

    fn verify(&self) -> Result<Secrets, Vec<String>> {
        Secrets::read(self.verify_token.as_ref().map(|secret| ("hook.verify_token", secret)))
    }
}

/// What a provider proves itself by. `Debug` shows nothing of it.
#[derive(Clone)]
pub(super) struct Secrets(Vec<String>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets")
    }
}

impl Secrets {
    fn read<'a>(places: impl IntoIterator<Item = (&'static str, &'a Secret)>) -> Result<Self, Vec<String>> {
        let read = places.into_iter().map(|(key, place)| {
            let secret = place.read().map_err(|error| format!("{key}: {error}"))?;
            if secret.len() < SECRET_BYTES_MIN {
                return Err(format!("{key} is shorter than {SECRET_BYTES_MIN} bytes: make a longer one"));
            }
            Ok(secret)
        });
        let (good, bad): (Vec<_>, Vec<_>) = read.partition(Result::is_ok);
        let bad: Vec<String> = bad.into_iter().filter_map(Result::err).collect();
        if bad.is_empty() { Ok(Secrets(good.into_iter().filter_map(Result::ok).collect())) } else { Err(bad) }
    }

    /// Whether one of them signed the body: `hex` is the HMAC-SHA256, in hexadecimal digits of either case.
    pub(super) fn signed(&self, body: &[u8], hex: &str) -> bool {
        bytes(hex).is_some_and(|given| self.made(body, &given))
    }

    /// The same of one that is written in base64.
    pub(super) fn signed_base64(&self, body: &[u8], base64: &str) -> bool {
        STANDARD.decode(base64).is_ok_and(|given| self.made(body, &given))
    }

    fn made(&self, body: &[u8], given: &[u8]) -> bool {
        self.any(|secret| {
            let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes());
            mac.map_or_else(|_| Choice::from(0), |mac| mac.chain_update(body).finalize().into_bytes().ct_eq(given))
        })
    }

    /// Whether it is one of them.
    pub(super) fn hold(&self, word: &str) -> bool {
        // Of digests, which are all of one length: the time tells nothing about the secret's.
        let given = Sha256::digest(word);
        self.any(|secret| Sha256::digest(secret).ct_eq(&given))
    }

    /// All are asked, so that time tells nothing about which was near.
    fn any(&self, fits: impl Fn(&str) -> Choice) -> bool {
        self.0.iter().fold(Choice::from(0), |found, secret| found | fits(secret)).into()
    }
}

/// The only header of this name. Of two nobody knows which one somebody on the way has looked at.
pub fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut all = headers.get_all(name).iter();
    let one = all.next()?.to_str().ok()?;
    all.next().is_none().then_some(one)
}

fn bytes(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(hex.as_bytes().chunks(2)) {
        let digit = |digit: &u8| char::from(*digit).to_digit(16);
        *byte = u8::try_from(digit(digits.first()?)? * 16 + digit(digits.get(1)?)?).ok()?;
    }
    Some(bytes)
}

/// A text or number that names something.
pub(super) fn word(value: &Value, path: &str) -> Option<String> {
    call::word(value, path).filter(|word| !word.is_empty() && word.len() <= WORD_BYTES_MAX)
}

/// The provider's id of a message, as something that can be looked for.
pub(super) fn id(value: &Value, path: &str) -> Option<About> {
    word(value, path).map(About::ProviderId)
}

/// Whose address it is.
pub(super) fn address(value: &Value, path: &str) -> Option<About> {
    word(value, path).map(About::Address)
}

/// What somebody wrote.
pub(super) fn text<'a>(value: &'a Value, path: &str) -> Option<&'a str> {
    value.pointer(path)?.as_str()
}

/// The items of a list.
pub(super) fn list<'a>(value: &'a Value, path: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(path).and_then(Value::as_array).into_iter().flatten()
}

/// Milliseconds since 1970.
pub(super) fn millis(value: &Value, path: &str) -> Option<Millis> {
    call::word(value, path)?.parse().ok()
}

/// Seconds since 1970, as milliseconds.
pub(super) fn seconds(value: &Value, path: &str) -> Option<Millis> {
    millis(value, path)?.checked_mul(1_000)
}

#[cfg(test)]
pub(super) mod tests;
