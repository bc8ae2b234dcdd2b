//! Ways to a provider. A new one is a file of its own beside these and one line in the table below.

mod email;
mod http;
mod secret;

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use schemas::Millis;
use serde::Deserialize;

pub use secret::Secret;

/// A message, ready to go. `Debug` shows nothing of it.
pub struct Message {
    /// The send: the provider's idempotency key where it has one.
    pub send_id: String,
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
    /// Business time of the hand-over.
    pub now: Millis,
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
    },
    /// The provider will never take this message; it says nothing of others.
    Refused {
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
    fn refused(code: impl Into<String>) -> Self {
        Answer::Refused { code: code.into() }
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
}

/// The table: name in the configuration, module. The module has `Config` (with `problems`) and `open`.
macro_rules! transports {
    ($($(#[$doc:meta])* $name:ident $module:ident;)*) => {
        /// The way to the provider, by `kind`.
        #[derive(Clone, Debug, Deserialize)]
        #[serde(tag = "kind", rename_all = "snake_case")]
        pub enum Config {
            $($(#[$doc])* $name($module::Config),)*
        }

        impl Config {
            pub(crate) fn problems(&self) -> Vec<String> {
                match self {
                    $(Config::$name(config) => config.problems(),)*
                }
            }

            /// Opens it. To be called inside a tokio runtime; connects only when the first message goes out.
            ///
            /// # Errors
            /// In words, if the configuration cannot be used.
            pub fn open(&self) -> Result<Box<dyn Transport>, String> {
                match self {
                    $(Config::$name(config) => $module::open(config),)*
                }
            }
        }
    };
}

transports! {
    /// Mail by SMTP.
    Email email;
    /// Anything that takes JSON by HTTP POST.
    Http http;
}

/// A provider's code as it may be shown: short and of plain characters, so that no address slips through.
fn plain_code(code: &str) -> Option<&str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    (!code.is_empty() && code.len() <= 48 && code.chars().all(plain)).then_some(code)
}
