//! Blocks: what a service of the user's says when a message is made, such as recommendations. A template has the answer, which is
//! JSON, as `blocks.<name>`; pages escape it like everything else.
//!
//! *When it is fetched.* When a message is rendered that asks for it, from `url`, in which `{customer_id}`, `{fields.sku}` and so on
//! are filled in and escaped. Meanwhile the message waits, and others go on. An answer holds for `cache_seconds`, for all messages
//! that come to the same address.
//!
//! | what happens | is read as |
//! |---|---|
//! | 2xx and JSON of at most 64 KiB, within `timeout_ms` | the block |
//! | anything else | the block fails for five seconds |
//! | five failures in a row | the service is left alone for a second, then for two, and so on up to thirty: all its blocks fail |
//!
//! A block that fails is its `fallback`. One that has none holds the message up until the service answers, or until it is not valid any
//! more: then it expires, like one whose provider is away, and nothing dearer follows from that.
//!
//! *What holds.* The loop of the worker waits for no service. No address of a customer's making is called: host and scheme are
//! the configuration's, and only what is public is called (`transport/guard.rs`), but where `allow_private_hosts` says so. Nor does a
//! customer choose the path: where what is filled in makes a step of it `.` or `..`, nothing is called, and the block fails. What is
//! kept is bounded: 32 MiB of memory for each block, as far as it can be told. `Debug` shows nothing of it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use minijinja::Value;
use reqwest::{Client, Url};
use schemas::{Id, Send};
use serde::Deserialize;
use stream::clock::Tick;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::content::{escaped, filled, is_known};
use crate::breaker::Breaker;
use crate::metrics::ChannelMetrics;
use crate::transport::{Secret, call, guard};

/// Fetches of one block that may be under way at once.
const AT_ONCE: usize = 64;

/// What failed is asked for again after so long.
const FAILED: Duration = Duration::from_secs(5);

/// What is kept of one block, in bytes of memory.
const KEPT_MAX: usize = 32 << 20;

/// What an entry costs beside its address and its value, in bytes.
const ENTRY: usize = 256;

/// What the allocator and a count of owners add to whatever is allocated, in bytes.
const ALLOCATED: usize = 40;

/// Entries of a node of a B-tree; each is at least half full.
const NODE: usize = 11;

/// One block: `[channel.<name>.content.blocks.<block>]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where it is fetched from, by GET.
    pub url: String,
    /// Goes out as `Authorization: Bearer …`.
    #[serde(default)]
    pub bearer: Option<Secret>,
    /// Longest fetch, in milliseconds.
    #[serde(default = "default_timeout")]
    pub timeout_ms: u64,
    /// An answer holds so long.
    #[serde(default = "default_cache")]
    pub cache_seconds: u64,
    /// What stands in for it when it cannot be had. None: the message waits.
    #[serde(default)]
    pub fallback: Option<serde_json::Value>,
    /// Also what is not public is called.
    #[serde(default)]
    pub allow_private_hosts: bool,
}

fn default_timeout() -> u64 {
    500
}

fn default_cache() -> u64 {
    300
}

impl Config {
    pub(super) fn problems(&self, name: &str) -> Vec<String> {
        let mut problems: Vec<String> =
            self.fault_of_url().map(|words| format!("content.blocks.{name}.url {words}")).into_iter().collect();
        let mut within = |what: &str, value: u64, most: u64| {
            if !(1..=most).contains(&value) {
                problems.push(format!("content.blocks.{name}.{what} must be from 1 to {most}"));
            }
        };
        within("timeout_ms", self.timeout_ms, 10_000);
        within("cache_seconds", self.cache_seconds, 86_400);
        if let Some(Err(error)) = self.bearer.as_ref().map(Secret::read) {
            problems.push(format!("content.blocks.{name}.bearer: {error}"));
        }
        problems
    }

    fn fault_of_url(&self) -> Option<&'static str> {
        let authority =
            self.url.split_once("://").map_or("", |(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default());
        if authority.contains(['{', '}']) {
            return Some("must name its host: only path and parameters can be filled in");
        }
        let names = self.url.split('{').skip(1).map(|part| part.split_once('}').map_or("", |(name, _)| name));
        if climbs(&self.url) {
            return Some("must not have a step . or .. in its path");
        }
        if names.into_iter().any(|name| !is_known(name)) {
            return Some(
                "has a { } that no command fills in: customer_id, send_id, campaign, template, channel, locale, fields.NAME",
            );
        }
        match Url::parse(&self.url.replace(['{', '}'], "")) {
            Ok(url) if guard::check(&url, self.allow_private_hosts).is_ok() && url.has_host() => None,
            _ => Some("must be an https:// address of a public host, or allow_private_hosts = true"),
        }
    }
}

/// The blocks of a channel. Copies share what they keep.
#[derive(Clone, Debug)]
pub struct Blocks {
    sources: Arc<BTreeMap<String, Source>>,
    runtime: Handle,
    metrics: Option<ChannelMetrics>,
}

#[derive(Debug)]
struct Source {
    config: Config,
    fallback: Option<Value>,
    client: Client,
    state: Arc<Mutex<State>>,
    fetches: Mutex<JoinSet<()>>,
}

#[derive(Default)]
struct State {
    kept: HashMap<Arc<str>, Kept>,
    /// The oldest goes first.
    order: VecDeque<Arc<str>>,
    bytes: usize,
    out: usize,
    breaker: Breaker,
}

/// Addresses and answers are a customer's: only how much there is of them is shown.
impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("kept", &self.kept.len())
            .field("bytes", &self.bytes)
            .field("out", &self.out)
            .field("breaker", &self.breaker)
            .finish_non_exhaustive()
    }
}

enum Kept {
    Fetching,
    Has { value: Value, until: Tick, bytes: usize },
    Failed { until: Tick },
}

/// What a template gets.
pub(super) enum Got {
    Value(Value),
    /// It is being fetched, or cannot be had for now.
    NotYet,
    /// No block has this name.
    Nothing,
}

impl Blocks {
    pub(super) fn open(
        configs: &BTreeMap<String, Config>,
        runtime: &Handle,
        metrics: Option<ChannelMetrics>,
    ) -> Result<Self, String> {
        let sources = configs.iter().map(|(name, config)| Ok((name.clone(), Source::open(name, config)?)));
        Ok(Blocks { sources: Arc::new(sources.collect::<Result<_, String>>()?), runtime: runtime.clone(), metrics })
    }

    /// Whether anything is being fetched.
    pub(super) fn is_fetching(&self) -> bool {
        self.sources.values().any(|source| locked(&source.state).out > 0)
    }

    /// The block for a command. Begins to fetch it where that has to be.
    pub(super) fn get(&self, name: &str, id: Id, send: &Send) -> Got {
        let Some(source) = self.sources.get(name) else { return Got::Nothing };
        let url = filled(&source.config.url, id, send, |value| escaped(value, ""));
        let (got, outcome) = source.get(&url, &self.runtime);
        if let (Some(metrics), Some(outcome)) = (&self.metrics, outcome) {
            metrics.block(name, outcome);
        }
        got
    }
}

impl Source {
    fn open(name: &str, config: &Config) -> Result<Self, String> {
        let mut builder = guard::client(Url::parse(&config.url).ok().as_ref(), 10, config.allow_private_hosts);
        if let Some(secret) = &config.bearer {
            builder = builder.default_headers(call::bearer("bearer", secret)?);
        }
        let client = builder.build().map_err(|error| format!("content.blocks.{name}: {error}"))?;
        Ok(Source {
            fallback: config.fallback.as_ref().map(value_of),
            config: config.clone(),
            client,
            state: Arc::default(),
            fetches: Mutex::default(),
        })
    }

    fn get(&self, url: &str, runtime: &Handle) -> (Got, Option<&'static str>) {
        if climbs(url) {
            return self.failed();
        }
        let now = Tick::now();
        let mut state = locked(&self.state);
        match state.kept.get(url) {
            Some(Kept::Fetching) => return (Got::NotYet, None),
            Some(Kept::Has { value, until, .. }) if now < *until => return (Got::Value(value.clone()), Some("had")),
            Some(Kept::Failed { until }) if now < *until => return self.failed(),
            _ => {}
        }
        let out = state.out;
        if state.breaker.is_open() && state.breaker.admits(out, AT_ONCE, now) == 0 {
            return self.failed();
        }
        let Ok(parsed) = Url::parse(url) else { return self.failed() };
        if out < AT_ONCE {
            state.out += 1;
            state.keep(url, Kept::Fetching);
            drop(state);
            self.fetch(url.into(), parsed, runtime);
        }
        (Got::NotYet, None)
    }

    fn failed(&self) -> (Got, Option<&'static str>) {
        match &self.fallback {
            Some(value) => (Got::Value(value.clone()), Some("fallback")),
            None => (Got::NotYet, Some("missing")),
        }
    }

    /// `key` is the address as it was asked for: a parser may write it in another way.
    fn fetch(&self, key: Arc<str>, url: Url, runtime: &Handle) {
        let request = self.client.get(url).timeout(Duration::from_millis(self.config.timeout_ms));
        let (state, keep) = (Arc::clone(&self.state), Duration::from_secs(self.config.cache_seconds));
        let mut fetches = self.fetches.lock().unwrap_or_else(PoisonError::into_inner);
        while fetches.try_join_next().is_some() {}
        fetches.spawn_on(
            async move {
                let answer = match call::ask(request).await {
                    Ok(reply) if reply.status.is_success() => reply.json().await,
                    _ => None,
                };
                let (now, mut state) = (Tick::now(), locked(&state));
                state.out = state.out.saturating_sub(1);
                match answer {
                    Some(json) => {
                        state.breaker.answered(now);
                        state.keep(
                            &key,
                            Kept::Has { until: now.after(keep), bytes: weight(&json), value: value_of(&json) },
                        );
                    }
                    None => {
                        state.breaker.failed(None, now);
                        state.keep(&key, Kept::Failed { until: now.after(FAILED) });
                    }
                }
            },
            runtime,
        );
    }
}

impl State {
    fn keep(&mut self, url: &str, kept: Kept) {
        let key: Arc<str> = url.into();
        self.bytes += kept.bytes(url);
        match self.kept.insert(Arc::clone(&key), kept) {
            Some(old) => self.bytes -= old.bytes(url),
            None => self.order.push_back(key),
        }
        while self.bytes > KEPT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            if let Some(old) = self.kept.remove(&oldest) {
                self.bytes -= old.bytes(&oldest);
            }
        }
    }
}

impl Kept {
    fn bytes(&self, url: &str) -> usize {
        match self {
            Kept::Has { bytes, .. } => url.len() + ENTRY + *bytes,
            Kept::Fetching | Kept::Failed { .. } => url.len() + ENTRY,
        }
    }
}

/// Whether a step of the path is `.` or `..`, in whatever way it is written (URL Standard, 4.1): the call would go elsewhere than the
/// configuration says.
fn climbs(url: &str) -> bool {
    let path = url.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase().replace("%2e", ".");
    path.split(['/', '\\']).any(|step| matches!(step, "." | ".."))
}

/// What [`value_of`] takes in memory, in bytes: rather more than less.
fn weight(json: &serde_json::Value) -> usize {
    let inside = match json {
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => 0,
        serde_json::Value::String(text) => ALLOCATED + text.len(),
        serde_json::Value::Array(list) => {
            ALLOCATED * 2 + size_of::<Vec<Value>>() + list.iter().map(weight).sum::<usize>()
        }
        serde_json::Value::Object(map) => {
            let node = ALLOCATED + NODE * (size_of::<String>() + size_of::<Value>());
            let nodes = node * (1 + map.len() / (NODE / 2));
            let entries: usize = map.iter().map(|(name, value)| ALLOCATED + name.len() + weight(value)).sum();
            ALLOCATED + size_of::<BTreeMap<String, Value>>() + nodes + entries
        }
    };
    size_of::<Value>() + inside
}

/// A service's JSON as a template has it.
fn value_of(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::from(()),
        serde_json::Value::Bool(truth) => Value::from(*truth),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Value::from(whole),
            (None, number) => Value::from(number.unwrap_or_default()),
        },
        serde_json::Value::String(text) => Value::from(text.as_str()),
        serde_json::Value::Array(list) => Value::from(list.iter().map(value_of).collect::<Vec<_>>()),
        serde_json::Value::Object(map) => {
            Value::from(map.iter().map(|(name, value)| (name.clone(), value_of(value))).collect::<BTreeMap<_, _>>())
        }
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
