//! What the tracker has to be told.

use std::net::SocketAddr;
use std::path::PathBuf;

use channels::transport::hook;
use schemas::token::{Key, Keyring};
use serde::Deserialize;

use crate::signature::Secret;

/// The tracker.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to listen. Port 0 takes any that is free.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// The keys of the channel workers.
    pub keys: Vec<Key>,
    /// Who may post receipts.
    #[serde(default)]
    pub providers: Vec<Provider>,
    /// Who may post events of the shop to `/events/<name>`.
    #[serde(default)]
    pub producers: Vec<Provider>,
    /// Seconds for which requests are still taken after the word to stop, while balancers hear that this one is not ready.
    #[serde(default)]
    pub linger_seconds: u64,
    /// Channels whose providers post to `/hooks/<channel>` on their own protocols.
    #[serde(default)]
    pub hooks: Vec<ChannelHook>,
}

/// A channel whose provider posts.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelHook {
    /// The channel.
    pub channel: String,
    /// Name of the provider in feedback, as the channel's worker has it.
    pub provider: String,
    /// How it is believed and read.
    pub hook: hook::Config,
}

/// Who posts signed requests: a provider to `/receipts/<name>`, a producer to `/events/<name>`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Name in the path and in feedback.
    pub name: String,
    /// Files that hold the secrets (`whsec_…` or plain text); several while one is replaced by another.
    #[serde(default)]
    pub secret_files: Vec<PathBuf>,
    /// Names of environment variables that hold secrets.
    #[serde(default)]
    pub secret_envs: Vec<String>,
    /// Channels of which a provider may speak; all where none is named. A producer speaks of none.
    #[serde(default)]
    pub channels: Vec<String>,
}

/// A provider whose receipts may come.
#[derive(Debug)]
pub(crate) struct Speaker {
    pub(crate) secrets: Vec<Secret>,
    channels: Vec<String>,
}

impl Speaker {
    /// Reads what he is believed by.
    ///
    /// # Errors
    /// One sentence for each secret that cannot be used.
    pub(crate) fn of(provider: &Provider) -> Result<Self, Vec<String>> {
        Ok(Speaker { secrets: provider.secrets("provider")?, channels: provider.channels.clone() })
    }

    /// Whether what he says of this channel counts.
    pub(crate) fn speaks_for(&self, channel: &str) -> bool {
        self.channels.is_empty() || self.channels.iter().any(|own| own == channel)
    }
}

fn default_listen() -> SocketAddr {
    ([127, 0, 0, 1], 8088).into()
}

impl Config {
    /// Everything that is wrong, each in a sentence; nothing if all is well.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Keyring::load(&self.keys).err().unwrap_or_default();
        for (role, all) in [("provider", &self.providers), ("producer", &self.producers)] {
            for one in all {
                let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
                if one.name.is_empty() || !one.name.chars().all(plain) {
                    problems.push(format!("{role} {:?}: a name is lower-case letters, digits, - and _", one.name));
                }
                if all.iter().filter(|other| other.name == one.name).count() > 1 {
                    problems.push(format!("{role} {} is given more than once", one.name));
                }
                if one.channels.iter().any(String::is_empty) {
                    problems.push(format!("{role} {}: a channel has a name", one.name));
                }
                if role == "producer" && !one.channels.is_empty() {
                    problems.push(format!("producer {}: only a provider has channels", one.name));
                }
                problems.extend(one.secrets(role).err().into_iter().flatten());
            }
        }
        for ChannelHook { channel, hook, .. } in &self.hooks {
            problems.extend(hook.problems().into_iter().map(|problem| format!("channel {channel}: {problem}")));
        }
        problems.dedup();
        problems
    }
}

impl Provider {
    /// Reads the secrets; `role` is what the problems call him.
    ///
    /// # Errors
    /// One sentence for each that cannot be used.
    pub(crate) fn secrets(&self, role: &str) -> Result<Vec<Secret>, Vec<String>> {
        let files = self.secret_files.iter().map(|path| {
            let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
            Secret::parse(&text)
        });
        let variables = self.secret_envs.iter().map(|name| {
            let text = std::env::var(name).map_err(|error| format!("${name}: {error}"))?;
            Secret::parse(&text)
        });
        let (good, bad): (Vec<_>, Vec<_>) = files.chain(variables).partition(Result::is_ok);
        let mut problems: Vec<_> =
            bad.into_iter().filter_map(Result::err).map(|problem| format!("{role} {}: {problem}", self.name)).collect();
        if good.is_empty() && problems.is_empty() {
            problems.push(format!("{role} {}: give a secret, what is posted must be signed", self.name));
        }
        if problems.is_empty() { Ok(good.into_iter().filter_map(Result::ok).collect()) } else { Err(problems) }
    }
}
