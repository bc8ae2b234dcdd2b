//! Why providers do not take messages: counted, and logged where a reason is new.

use std::collections::BTreeSet;

use crate::metrics::ChannelMetrics;
use crate::transport::Answer;

/// More different reasons are counted and not logged.
const LOGGED: usize = 100;

/// What providers have said in this process.
#[derive(Debug, Default)]
pub(crate) struct Reasons {
    logged: BTreeSet<String>,
    /// Of the latest message that was not taken, or may not have been.
    pub(crate) last: Option<String>,
}

impl Reasons {
    /// Takes in an answer. Codes are the transports' own or plain words: no address is in them.
    pub(crate) fn hear(&mut self, answer: &Answer, metrics: &ChannelMetrics) {
        match answer {
            Answer::NotTaken { code, .. } => {
                metrics.hand_over("retry");
                metrics.not_taken(code);
                if self.is_new(code) {
                    tracing::warn!(code, "a provider does not take a message; it waits, and is tried again");
                }
                self.last = Some(code.clone());
            }
            Answer::Elsewhere { code } => {
                metrics.hand_over("rerouted");
                metrics.not_taken(code);
                if self.is_new(code) {
                    tracing::warn!(code, "a route does not take a message; another one is tried in its next turn");
                }
            }
            Answer::Unknown { code } => {
                tracing::info!(code, "whether the provider took a message is not known");
                self.last = Some(code.clone());
            }
            Answer::Accepted { .. }
            | Answer::Refused { .. }
            | Answer::NobodyThere { .. }
            | Answer::Unfit { .. }
            | Answer::Stale
            | Answer::TooLate => {}
        }
    }

    /// Once for each reason: an outage would fill the log.
    fn is_new(&mut self, code: &str) -> bool {
        self.logged.len() < LOGGED && !self.logged.contains(code) && self.logged.insert(code.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn each_message_that_is_not_taken_is_counted_with_its_route_and_each_reason_logged_once() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap().of("sms");
        let mut reasons = Reasons::default();
        let elsewhere = |code: &str| Answer::Elsewhere { code: code.to_owned() };
        let not_taken = |code: &str| Answer::NotTaken { code: code.to_owned(), retry_after: None };
        let said = [
            elsewhere("main:http_401"),
            elsewhere("main:http_401"),
            not_taken("spare:http_403"),
            not_taken("no_route"),
            Answer::taken(None),
        ];
        said.iter().for_each(|answer| reasons.hear(answer, &metrics));
        let shown = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        for line in [
            "reason=\"http_401\",route=\"main\"} 2",
            "reason=\"http_403\",route=\"spare\"} 1",
            "reason=\"no_route\",route=\"\"} 1",
        ] {
            assert!(
                shown.contains(&format!("cascade_calls_not_taken_total{{channel=\"sms\",{line}")),
                "{line} in {shown}"
            );
        }
        assert_eq!(reasons.logged.iter().collect::<Vec<_>>(), ["main:http_401", "no_route", "spare:http_403"]);
        assert_eq!(reasons.last.as_deref(), Some("no_route"));
    }
}
