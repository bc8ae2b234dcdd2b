//! Whoever hears what providers post: for each channel with a hook, a follower of `attempt.<channel>`.

use std::collections::HashMap;
use std::sync::Arc;

use channels::echo::{Echo, Origin};
use channels::pseudonym::Pseudonyms;
use channels::transport::Ear;
use schemas::Topics;
use schemas::token::Keyring;
use stream::Error;
use stream::clock::Clock;
use stream::kafka::Settings;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::config::{ChannelHook, Config};
use crate::hooks::Listening;
use crate::metrics::Metrics;

/// Words of one channel that may wait for its follower.
const WAITING: usize = 4_096;

/// Opens the hooks, and the other end of each. What comes back must live as long as the hooks are served. Asks the brokers, which blocks.
///
/// # Errors
/// `Stop` if a secret cannot be read or a topic is missing, `Retry` if the brokers do not answer.
pub(crate) fn listen(
    config: &Config,
    settings: &Settings,
    topics: &Topics,
    clock: &Clock,
    metrics: &Metrics,
    runtime: &Handle,
) -> Result<(HashMap<String, Listening>, Vec<Echo>), Error> {
    let stop = |problems: Vec<String>| Error::stop("start the tracker", problems.join("; "));
    let pseudonyms = Pseudonyms::new(Some(Arc::new(Keyring::load(&config.keys).map_err(stop)?)));
    let (mut hooks, mut echos) = (HashMap::new(), Vec::new());
    for ChannelHook { channel, provider, hook: config } in &config.hooks {
        let hook = config.open().map_err(stop)?;
        let (sender, words) = mpsc::channel(WAITING);
        let (attempt, feedback, reply) = (topics.attempt(channel), topics.feedback(), topics.reply());
        let partitions = settings.partitions(&attempt)?.unwrap_or_default().unsigned_abs();
        let origin = Origin {
            settings,
            attempt: &attempt,
            partitions,
            feedback: &feedback,
            reply: &reply,
            channel,
            provider,
            clock,
            pseudonyms: &pseudonyms,
            words: metrics.words(),
        };
        echos.push(Echo::listen(Ear { words, memory: config.receipts_remembered }, &origin, runtime)?);
        hooks.insert(channel.clone(), Listening { hook, words: sender });
    }
    Ok((hooks, echos))
}
