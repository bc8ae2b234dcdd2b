//! Ways to a provider. A new one is a file of its own beside these and one line in the table below.

mod apns;
pub(crate) mod call;
mod devices;
pub mod email;
mod exolve;
mod fcm;
pub(crate) mod guard;
mod heard;
pub mod hook;
mod http;
mod meta;
mod nowhere;
pub mod replies;
mod routes;
mod secret;
mod signed;
pub mod smpp;
pub mod telegram;
mod viber;
mod vk;
mod web_push;
mod webhook;

#[cfg(test)]
mod double;

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use schemas::{Millis, Status};
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};

use heard::{Believed, Heard};
pub use replies::Text;
pub use secret::Secret;

/// A message, ready to go. `Debug` shows nothing of it.
pub struct Message {
    /// The send: the provider's idempotency key where it has one.
    pub send_id: String,
    /// Whom it is for.
    pub customer_id: String,
    /// Where to.
    pub address: String,
    /// Subject of a mail, title of a push; none where the template has none.
    pub subject: Option<String>,
    /// The text.
    pub text: String,
    /// The page, where the template has one.
    pub html: Option<String>,
    /// Where a tap leads, where the template says so.
    pub link: Option<String>,
    /// One-click unsubscribe; only on marketing messages.
    pub unsubscribe: Option<String>,
    /// Handed back by the provider with each receipt; none without tracking.
    pub receipt_token: Option<String>,
    /// Comes back in the address of a bounce; none without tracking.
    pub return_token: Option<String>,
    /// Business time of the hand-over.
    pub now: Millis,
    /// Business time after which nobody may hand it over.
    pub send_before: Millis,
    /// Business time after which it is of no use, never before that: the provider is told where it understands that.
    pub valid_until: Millis,
}

impl Message {
    /// How long it is still valid.
    fn validity(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.valid_until - self.now).unwrap_or(0))
    }

    /// All that a reader is to see, for channels that know nothing but text: title, text, and where to go.
    pub fn plain(&self) -> String {
        let parts = [self.subject.as_deref(), Some(self.text.as_str()), self.link.as_deref()];
        let parts: Vec<&str> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
        parts.join("\n\n")
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message").field("send_id", &self.send_id).finish_non_exhaustive()
    }
}

/// What came of a call. Codes hold no address and no text of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The provider took it.
    Accepted {
        /// The provider's own id of the message.
        provider_id: Option<String>,
        /// What is to be said beside that, if anything.
        code: Option<String>,
    },
    /// The provider will never take this message; it says nothing of others.
    Refused {
        /// Why.
        code: String,
    },
    /// It was not offered to the provider: no provider could take it.
    Unfit {
        /// Why.
        code: String,
    },
    /// Nor any other message to this address: nobody is there.
    NobodyThere {
        /// Why.
        code: String,
    },
    /// It was certainly not taken, and a later call may succeed: an outage, or a fault of ours that meets every message.
    NotTaken {
        /// Why.
        code: String,
        /// Not before so long, as the provider asks.
        retry_after: Option<Duration>,
    },
    /// It was certainly not taken by this route of several, and another one is there for its next turn.
    Elsewhere {
        /// Why.
        code: String,
    },
    /// Nobody knows whether it was taken.
    Unknown {
        /// Why.
        code: String,
    },
    /// The provider was not called: the look at the withdrawals had become too old.
    Stale,
    /// The provider was not called: the validity had ended.
    TooLate,
}

impl Answer {
    /// The provider took it, and gave it this id.
    pub fn taken(provider_id: Option<String>) -> Self {
        Answer::Accepted { provider_id, code: None }
    }

    fn refused(code: impl Into<String>) -> Self {
        Answer::Refused { code: code.into() }
    }

    fn unfit(code: impl Into<String>) -> Self {
        Answer::Unfit { code: code.into() }
    }

    fn nobody_there(code: impl Into<String>) -> Self {
        Answer::NobodyThere { code: code.into() }
    }

    fn not_taken(code: impl Into<String>) -> Self {
        Answer::NotTaken { code: code.into(), retry_after: None }
    }

    fn unknown(code: impl Into<String>) -> Self {
        Answer::Unknown { code: code.into() }
    }
}

/// A call under way.
pub type Call<'a> = Pin<Box<dyn Future<Output = Answer> + std::marker::Send + 'a>>;

/// A way to a provider.
pub trait Transport: fmt::Debug + std::marker::Send + Sync {
    /// Hands one message over, in bounded time. Called at most once for each intent.
    fn hand_over<'a>(&'a self, message: &'a Message) -> Call<'a>;

    /// Whether a refusal with this code is the provider's own word about the message or its address, and no bare status, which may
    /// come from anybody and mean anything.
    fn is_own_word(&self, code: &str) -> bool {
        !code.starts_with("http_")
    }

    /// Hand-overs that may be under way at once, if the provider allows fewer than the channel's configuration.
    fn calls_max(&self) -> Option<usize> {
        None
    }

    /// Whether one provider takes all messages, so that an outage or a pause that it asks for is one of the whole channel. Where each
    /// address brings a server of its own, the transport keeps them apart itself.
    fn is_one_provider(&self) -> bool {
        true
    }

    /// Where the transport keeps several providers apart itself, and leaves all of them alone for now: how many calls may begin to try
    /// them again.
    fn left_alone(&self) -> Option<usize> {
        None
    }

    /// The routes that it keeps apart itself, by name, and whether each is left alone for now; none where it is one.
    fn routes(&self) -> Vec<(&str, bool)> {
        Vec::new()
    }

    /// This worker owns `owned` of `all` partitions of its channel: the share that it may take of the transport's own rates.
    fn divide(&self, _owned: u32, _all: u32) {}

    /// Whether people answer there, and are known by nothing but their address when they do: then what becomes of a send is written down
    /// with a code of it.
    fn is_answered(&self) -> bool {
        false
    }

    /// What the provider says of its own accord, over the connection that we opened. Asked once; none where it never does.
    fn ear(&self) -> Option<Ear> {
        None
    }
}

/// Where a provider is heard: over a connection that we opened, or in what it posts to us.
#[derive(Debug)]
pub struct Ear {
    /// What it says. Bounded: who cannot keep up makes the provider wait.
    pub words: mpsc::Receiver<Word>,
    /// Sends that are remembered by the provider's ids, and as many by their addresses, so that what it says finds them.
    pub memory: usize,
}

/// Something that a provider said of its own accord.
#[derive(Debug)]
pub struct Word {
    /// Which message it is about.
    pub about: About,
    /// What is said of it.
    pub status: Status,
    /// The provider's code, where it has one. Shown: no address is in it, nor any text.
    pub code: Option<String>,
    /// What the customer wrote, if that is what the word is.
    pub text: Option<Text>,
    /// When it happened, by the provider's clock; believed where that is near business time.
    pub occurred_at: Option<Millis>,
    /// To be told what became of it.
    pub fate: oneshot::Sender<Fate>,
}

impl Word {
    /// A word, and where its fate is told. Nothing but what it is about and its status: the rest is none.
    pub fn new(about: About, status: Status) -> (Self, oneshot::Receiver<Fate>) {
        let (fate, told) = oneshot::channel();
        (Word { about, status, code: None, text: None, occurred_at: None, fate }, told)
    }
}

/// How the provider names a message.
#[derive(Clone, PartialEq, Eq)]
pub enum About {
    /// By its own id.
    ProviderId(String),
    /// By the address that it went to: the latest one, of whatever route. A number with its plus or without, the id of a chat.
    Address(String),
    /// The send, as the transport itself remembers it.
    Send {
        /// The send.
        send_id: String,
        /// Whom it was for.
        customer_id: String,
    },
    /// The provider's id of a send, told after its hand-over had ended. Nobody waits for its fate.
    Named {
        /// The provider's id.
        provider_id: String,
        /// The send.
        send_id: String,
        /// Whom it was for.
        customer_id: String,
    },
    /// Nothing that anybody could use; why, as a label.
    Nothing(&'static str),
}

impl fmt::Debug for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            About::ProviderId(id) => f.debug_tuple("ProviderId").field(id).finish(),
            About::Address(_) => f.write_str("Address"),
            About::Nothing(why) => f.debug_tuple("Nothing").field(why).finish(),
            About::Send { send_id, .. } => f.debug_struct("Send").field("send_id", send_id).finish_non_exhaustive(),
            About::Named { send_id, .. } => f.debug_struct("Named").field("send_id", send_id).finish_non_exhaustive(),
        }
    }
}

/// What became of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is a fact: Kafka has it.
    Kept,
    /// No send is known that it could be about; said again, it would be no other.
    Useless,
    /// It could not be written down: the provider has to say it again.
    Again,
}

/// The table: what it is, name in Rust, module. A module is called as the `kind` in the configuration; it has `Config` (with
/// `problems` and `timeout_seconds`) and `open`.
macro_rules! transports {
    ($(#[doc = $about:literal] $name:ident $module:ident;)*) => {
        /// The way to the provider, by `kind`.
        #[derive(Clone, Debug, Deserialize)]
        #[serde(tag = "kind", rename_all = "snake_case")]
        pub enum Config {
            $(#[doc = $about] $name($module::Config),)*
        }

        /// Every kind, and what it is.
        pub const KINDS: &[(&str, &str)] = &[$((stringify!($module), $about.trim_ascii()),)*];

        impl Config {
            pub(crate) fn problems(&self) -> Vec<String> {
                match self {
                    $(Config::$name(config) => config.problems(),)*
                }
            }

            /// Longest hand-over.
            pub(crate) fn timeout_seconds(&self) -> u64 {
                match self {
                    $(Config::$name(config) => config.timeout_seconds(),)*
                }
            }

            /// Opens it. To be called inside a tokio runtime; fails for no connection.
            ///
            /// # Errors
            /// In words, if the configuration cannot be used.
            pub fn open(&self) -> Result<Box<dyn Transport>, String> {
                let transport = match self {
                    $(Config::$name(config) => $module::open(config),)*
                }?;
                // Each of several routes is opened here, too.
                let transport: Box<dyn Transport> =
                    if transport.routes().is_empty() { Box::new(Believed::over(transport)) } else { transport };
                Ok(Box::new(Discreet(transport)))
            }
        }
    };
}

transports! {
    /// Mail by SMTP.
    Email email;
    /// Anything that takes JSON by HTTP POST.
    Http http;
    /// Mobile push by Firebase Cloud Messaging.
    Fcm fcm;
    /// Mobile push by Apple.
    Apns apns;
    /// Push to browsers.
    WebPush web_push;
    /// A Telegram bot.
    Telegram telegram;
    /// WhatsApp (Cloud API), Messenger, Instagram.
    Meta meta;
    /// A Viber bot.
    Viber viber;
    /// A community of VK.
    Vk vk;
    /// SMS by MTS Exolve.
    Exolve exolve;
    /// A signed webhook: a gateway of one's own, or a CRM that calls people.
    Webhook webhook;
    /// SMS by SMPP 3.4.
    Smpp smpp;
    /// Nobody: for the canary, whose messages are for no customer.
    Nowhere nowhere;
    /// Several of these, of which the next takes over when one is out.
    Routes routes;
}

/// A provider's code as it may be shown: short, of plain characters, and without digits enough for a phone number, in a row or in groups.
/// What repeats the address itself is told apart where the address is known.
pub fn plain_code(code: &str) -> Option<&str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let is_number = |run: &str| run.len() >= 7;
    let all = code.bytes().filter(u8::is_ascii_digit).count();
    let has_number = all >= 10 || code.split(|c: char| !c.is_ascii_digit()).any(is_number);
    (!code.is_empty() && code.len() <= 48 && code.chars().all(plain) && !has_number).then_some(code)
}

/// A transport whose codes never repeat the address, whatever the provider says.
#[derive(Debug)]
struct Discreet(Box<dyn Transport>);

impl Transport for Discreet {
    fn hand_over<'a>(&'a self, message: &'a Message) -> Call<'a> {
        Box::pin(async move { without_address(self.0.hand_over(message).await, &message.address) })
    }

    fn is_own_word(&self, code: &str) -> bool {
        self.0.is_own_word(code)
    }

    fn calls_max(&self) -> Option<usize> {
        self.0.calls_max()
    }

    fn is_one_provider(&self) -> bool {
        self.0.is_one_provider()
    }

    fn left_alone(&self) -> Option<usize> {
        self.0.left_alone()
    }

    fn routes(&self) -> Vec<(&str, bool)> {
        self.0.routes()
    }

    fn divide(&self, owned: u32, all: u32) {
        self.0.divide(owned, all);
    }

    fn is_answered(&self) -> bool {
        self.0.is_answered()
    }

    fn ear(&self) -> Option<Ear> {
        self.0.ear()
    }
}

/// Shorter ones are words that a code may hold by chance, in characters.
const ADDRESS_MIN: usize = 5;

fn without_address(mut answer: Answer, address: &str) -> Answer {
    if let Answer::Accepted { code: Some(code), .. }
    | Answer::Refused { code }
    | Answer::Unfit { code }
    | Answer::NobodyThere { code }
    | Answer::NotTaken { code, .. }
    | Answer::Elsewhere { code }
    | Answer::Unknown { code } = &mut answer
    {
        let lower = code.to_lowercase();
        let repeats = |part: &String| {
            let part = part.trim_start_matches('+').to_lowercase();
            part.len() >= ADDRESS_MIN && lower.contains(&part)
        };
        if schemas::devices::of(address).iter().any(repeats) {
            *code = "hidden".to_owned();
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_that_may_be_an_address_is_not_shown() {
        for code in ["79001234567", "to_79001234567", "7-900-123-45-67", "anna@shop", "", "a b", "+7900"] {
            assert_eq!(plain_code(code), None, "{code}");
        }
        assert_eq!((plain_code("code_131026"), plain_code("5.1.1")), (Some("code_131026"), Some("5.1.1")));
        for (code, address, shown) in [
            ("bad_a1b2c3d4", "A1B2C3D4", "hidden"),
            ("bad_a1b2c3d4", r#"["x","a1b2c3d4"]"#, "hidden"),
            ("to.790012", "+790012", "hidden"),
            ("bad_a1b2c3d4", "other", "bad_a1b2c3d4"),
            ("bad", "bad", "bad"),
        ] {
            assert_eq!(without_address(Answer::refused(code), address), Answer::refused(shown), "{code} {address}");
        }
    }

    #[test]
    fn every_kind_is_known_by_its_name() {
        // Whom nobody has to be told of.
        let nobody = serde_json::from_value::<Config>(serde_json::json!({"kind": "nowhere"}));
        assert!(matches!(nobody, Ok(Config::Nowhere(_))));
        for (kind, about) in KINDS.iter().filter(|(kind, _)| *kind != "nowhere") {
            let empty = serde_json::json!({"kind": kind});
            let error = serde_json::from_value::<Config>(empty).unwrap_err().to_string();
            assert!(error.starts_with("missing field"), "{kind}: {error}");
            assert!(about.ends_with('.') && !about.starts_with(' '), "{kind}: {about}");
        }
    }

    #[test]
    fn the_examples_show_every_kind_with_its_defaults() {
        let text = include_str!("../../../../deploy/channels.toml");
        // What is commented out is an example, too: without the marks the page must be as good.
        let whole: String = text.lines().map(|line| format!("{}\n", commented(line).unwrap_or(line))).collect();
        let (plain, whole) = (opened(text), opened(&whole));
        assert_eq!(plain, whole, "what is commented out are the defaults");
        assert!(KINDS.iter().all(|(kind, _)| plain.contains_key(*kind)), "{:?}", plain.keys());
    }

    /// What the sections of a page come to, by kind.
    fn opened(page: &str) -> std::collections::BTreeMap<String, String> {
        let page: toml::Table = page.parse().unwrap();
        let sections = page["channel"].as_table().unwrap().iter();
        let configs = sections.map(|(name, section)| {
            let transport = section["transport"].clone();
            let kind = transport["kind"].as_str().unwrap().to_owned();
            let config = transport.try_into::<Config>().unwrap_or_else(|error| panic!("{name}: {error}"));
            let hook = section.get("hook").map(|hook| hook.clone().try_into::<hook::Config>());
            let hook = hook.transpose().unwrap_or_else(|error| panic!("{name}: {error}"));
            let content = section.get("content").cloned().unwrap_or_else(|| toml::Table::new().into());
            let content =
                content.try_into::<crate::render::content::Config>().unwrap_or_else(|error| panic!("{name}: {error}"));
            (kind, format!("{config:?} {content:?} {hook:?}"))
        });
        configs.collect()
    }

    /// A setting that is commented out.
    fn commented(line: &str) -> Option<&str> {
        let setting = line.strip_prefix("# ")?;
        let (name, _) = setting.split_once(" = ")?;
        name.chars().all(|c| c.is_ascii_lowercase() || c == '_').then_some(setting)
    }

    #[test]
    fn the_front_page_has_a_row_for_every_kind() {
        let page = include_str!("../lib.rs");
        for (kind, _) in KINDS {
            assert!(page.contains(&format!("//! | `{kind}` |")), "{kind} is missing in lib.rs");
        }
    }
}
