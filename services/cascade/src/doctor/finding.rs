//! What was found, and what to do about it.

use std::fmt::Write;

use crate::failure::Failure;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gravity {
    /// A promise may be broken, or a service will not start.
    Threat,
    /// It works, and could be better.
    Advice,
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub gravity: Gravity,
    /// Where: a setting, a topic, a broker.
    pub place: String,
    /// What is so.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl Finding {
    /// Something that threatens a promise.
    pub fn threat(place: impl Into<String>, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Finding { gravity: Gravity::Threat, place: place.into(), what: what.into(), remedy: remedy.into() }
    }

    /// Something that could be better.
    pub fn advice(place: impl Into<String>, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Finding { gravity: Gravity::Advice, ..Finding::threat(place, what, remedy) }
    }

    /// What kept us from looking. The sentence of a failure says what to do.
    pub fn of(failure: &Failure, place: &str) -> Self {
        let (what, remedy) = failure.sentence.split_once(';').unwrap_or((&failure.sentence, "do as it says"));
        Finding::threat(place, what, remedy.trim())
    }
}

/// A paragraph for each, the worst first.
pub fn tell(findings: &[Finding]) -> String {
    if findings.is_empty() {
        return "nothing threatens the promises\n".to_owned();
    }
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by_key(|finding| finding.gravity);
    let mut text = String::new();
    let threats = findings.iter().filter(|finding| finding.gravity == Gravity::Threat).count();
    let _ = writeln!(text, "{} findings, {threats} of them threaten a promise", findings.len());
    for finding in sorted {
        let mark = if finding.gravity == Gravity::Threat { "THREAT" } else { "advice" };
        let _ = writeln!(text, "\n{mark}  {}: {}\n        {}", finding.place, finding.what, finding.remedy);
    }
    text
}
