//! Errors say what the caller must do.
//!
//! librdkafka knows hundreds of codes; for the engine there are four outcomes. Whoever handles an [`Error`] matches on
//! [`Error::verdict`], never on a code.

use std::fmt;

/// What must be done about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The same call again may succeed.
    Retry,
    /// The transaction's outcome is an abort or unknown: drop the producer and everything uncommitted, recover.
    Abort,
    /// Another member owns this now: drop everything uncommitted and wait for an assignment.
    Fenced,
    /// Somebody has to act: configuration, permissions, a damaged disk.
    Stop,
}

/// Something that did not work, and what to do about it.
#[derive(Clone, Debug, thiserror::Error)]
pub struct Error {
    operation: &'static str,
    detail: String,
    verdict: Verdict,
}

impl Error {
    /// An error that the caller answers by `verdict`.
    pub fn new(verdict: Verdict, operation: &'static str, detail: impl Into<String>) -> Self {
        Error { operation, detail: detail.into(), verdict }
    }

    /// An error that only a person can do something about.
    pub fn stop(operation: &'static str, detail: impl Into<String>) -> Self {
        Self::new(Verdict::Stop, operation, detail)
    }

    /// What could not be done, as a phrase: `reach Kafka`, `use the state directory`.
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// What the caller must do.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: {}", self.operation, self.detail)
    }
}
