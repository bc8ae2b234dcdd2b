//! What a worker has to be told.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use stream::traces::Traces;

use crate::lease::Lease;
use crate::render::content;
use crate::{limit, link, transport};

/// A channel and its provider.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name of the channel: its commands are in `send.<channel>`.
    pub channel: String,
    /// Name of the provider in feedback; the channel's name where it is empty.
    #[serde(default)]
    pub provider: String,
    /// Hand-overs per second that the provider takes from all workers of the channel together.
    #[serde(default = "default_rate")]
    pub rate_per_second: u32,
    /// Hand-overs that may come at once after a pause; as many as in a second where it is 0.
    #[serde(default)]
    pub burst: u32,
    /// Hand-overs per second of all workers together to one destination: the part of a mail address behind the @, or the first digits of a
    /// number, of which the longest count. Who has to wait for that holds up nobody else, unless 4 096 of a partition wait: then what is
    /// behind them waits in the topic. Those who wait take their turns in the order of their offsets.
    #[serde(default, deserialize_with = "limit::read")]
    pub rates: BTreeMap<String, u32>,
    /// Calls that may be under way at once, in one worker.
    #[serde(default = "default_calls")]
    pub calls_max: usize,
    /// What to do when nobody knows whether a message was handed over.
    #[serde(default)]
    pub on_unknown: OnUnknown,
    /// What the channel's messages may cost in an hour, in minor units of the price table's currency, all workers together; 0: no
    /// limit. See `fence.rs`.
    #[serde(default)]
    pub spend_per_hour: i64,
    /// Directory of the templates: `<template>.<channel>.txt`, and beside it `.html`, `.subject`, `.link` where wanted.
    pub templates: PathBuf,
    /// Links and pixels that tell the tracker of opens, clicks and unsubscribes; none where it is left out.
    #[serde(default)]
    pub tracking: Option<link::Config>,
    /// What templates may use: deep links, promo codes, blocks of other services.
    #[serde(default)]
    pub content: content::Config,
    /// The way to the provider.
    pub transport: transport::Config,
    /// What the provider posts to the tracker, which reads this; a worker does nothing with it.
    #[serde(default)]
    pub hook: Option<transport::hook::Config>,
    /// Where spans go, if anywhere.
    #[serde(skip)]
    pub traces: Traces,
}

/// What to do when nobody knows whether a message was handed over: the worker died between intent and outcome, or the
/// connection broke before the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUnknown {
    /// Report it as unknown and never send it again: at most once. For paid channels.
    #[default]
    Skip,
    /// Send it again with the same id while it is valid: at least once. For free channels, and for providers that know
    /// repeats by their id. After three calls of which nobody knows what came, it is reported as unknown as well.
    Resend,
}

/// Default of [`Config::rate_per_second`].
fn default_rate() -> u32 {
    50
}

/// Default of [`Config::calls_max`].
fn default_calls() -> usize {
    CALLS_MAX
}

/// A lease begins before the intent of its call is written: so long that may take.
const INTENT: Duration = Duration::from_secs(1);

/// More calls at once would only make the residual window longer.
pub const CALLS_MAX: usize = 64;

impl Config {
    /// Everything that is wrong, each in a sentence; nothing if all is well.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut check = |good: bool, words: String| {
            if !good {
                problems.push(format!("channel {}: {words}", self.channel));
            }
        };
        check(!self.channel.is_empty(), "channel is empty: name it as in the topic send.<channel>".to_owned());
        check(self.rate_per_second > 0, "rate_per_second must be at least 1".to_owned());
        check((1..=CALLS_MAX).contains(&self.calls_max), format!("calls_max must be from 1 to {CALLS_MAX}"));
        check(
            self.on_unknown == OnUnknown::Skip || !matches!(self.transport, transport::Config::Routes(_)),
            "on_unknown must be \"skip\" where there are routes: else a message could go out by two of them".to_owned(),
        );
        let templates = self.templates.display();
        check(
            self.templates.is_dir(),
            format!("{templates} is no directory of templates: correct templates.dir, or templates in the section"),
        );
        check(self.spend_per_hour >= 0, "spend_per_hour must not be negative; 0 is no limit".to_owned());
        let parts = self.tracking.iter().flat_map(link::Config::problems).chain(self.transport.problems());
        let parts = parts.chain(self.content.problems()).chain(limit::problems(&self.rates));
        parts.for_each(|words| check(false, words));
        problems
    }

    /// What is wrong in a group that takes who is silent for `session` for dead: a call that is still allowed to go on when its lease
    /// ends would be given up, and what came of it be unknown, as a rule.
    pub fn problems_within(&self, session: Duration) -> Option<String> {
        let (longest, lease) = (Duration::from_secs(self.transport.timeout_seconds()), Lease::length(session));
        let is_routes = matches!(self.transport, transport::Config::Routes(_));
        let whose = if is_routes { "a route's timeout_seconds" } else { "transport.timeout_seconds" };
        (longest + INTENT > lease).then(|| {
            format!(
                "channel {}: {whose} is {}, but a call may go on for {} s at most: three quarters of the session timeout of {} s, less \
                 {} s for writing its intent; lower it, or set kafka.session.timeout.ms to {} or more",
                self.channel,
                longest.as_secs(),
                lease.saturating_sub(INTENT).as_secs(),
                session.as_secs_f64(),
                INTENT.as_secs(),
                ((longest + INTENT) * 4).as_millis().div_ceil(3),
            )
        })
    }

    /// Name of the provider in feedback.
    pub fn provider(&self) -> &str {
        if self.provider.is_empty() { &self.channel } else { &self.provider }
    }

    /// Hand-overs that may come at once.
    pub fn burst(&self) -> u32 {
        if self.burst == 0 { self.rate_per_second } else { self.burst }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(transport: serde_json::Value, session_seconds: u64) -> Option<String> {
        let config = serde_json::json!({"channel": "sms", "templates": "x", "transport": transport});
        serde_json::from_value::<Config>(config).unwrap().problems_within(Duration::from_secs(session_seconds))
    }

    #[test]
    fn a_call_may_not_take_longer_than_its_lease() {
        let http =
            |seconds: u64| serde_json::json!({"kind": "http", "url": "https://x.example/", "timeout_seconds": seconds});
        let mail = serde_json::json!({"kind": "email", "host": "x", "port": 25, "from": "a@x.example"});
        assert_eq!(problem(mail, 45), None, "all defaults go together");
        assert_eq!((problem(http(3), 6), problem(http(32), 45)), (None, None));
        assert_eq!(
            problem(http(33), 45).unwrap(),
            "channel sms: transport.timeout_seconds is 33, but a call may go on for 32 s at most: three quarters of the session timeout \
             of 45 s, less 1 s for writing its intent; lower it, or set kafka.session.timeout.ms to 45334 or more"
        );
        let routes = serde_json::json!({"kind": "routes", "order": ["a", "b"], "routes": {"a": http(3), "b": http(4)}});
        assert!(problem(routes, 6).unwrap().contains("a route's timeout_seconds is 4,"));
        assert_eq!(problem(serde_json::json!({"kind": "nowhere"}), 6), None);
    }
}
