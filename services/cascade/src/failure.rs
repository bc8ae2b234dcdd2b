//! How a run ends when it cannot do what was asked: one sentence that says what to do, and a distinct exit code.

use std::fmt;
use std::io::Write;
use std::process::ExitCode;

/// What went wrong, as a shell script or a supervisor sees it. The numbers follow `sysexits.h` where it has one that fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Something nobody foresaw; also what a health check answers for an unhealthy service.
    Unexpected = 1,
    /// A rehearsal decided something else than its timeline expects.
    Differs = 2,
    /// Bad configuration or usage.
    Usage = 64,
    /// A campaign or a price table that cannot be applied.
    Campaign = 65,
    /// A topic is missing.
    TopicMissing = 66,
    /// A topic exists with the wrong partition count or settings.
    TopicDiffers = 67,
    /// Nothing is known of the customer who was asked for.
    Unknown = 68,
    /// Kafka does not answer.
    Unreachable = 69,
    /// The state directory cannot be created, read or written.
    State = 73,
    /// Another file, or an address to listen on, cannot be used.
    Input = 74,
    /// Not now: another process has taken over, or the same again may succeed later.
    NotNow = 75,
    /// Ctrl-C; the number is what shells make of that signal.
    Interrupted = 130,
    /// Told to end before its work was done.
    Terminated = 143,
}

impl Exit {
    /// Every code with its meaning, as `--help` prints it.
    pub const ALL: [(Exit, &str); 13] = [
        (Exit::Unexpected, "something unexpected, or an unhealthy service"),
        (Exit::Differs, "a rehearsal decided something else than its timeline expects"),
        (Exit::Usage, "bad configuration or usage"),
        (Exit::Campaign, "a campaign or price table that cannot be applied"),
        (Exit::TopicMissing, "a topic is missing"),
        (Exit::TopicDiffers, "a topic has the wrong partition count or settings"),
        (Exit::Unknown, "nothing is known of this customer"),
        (Exit::Unreachable, "Kafka does not answer"),
        (Exit::State, "the state directory cannot be used"),
        (Exit::Input, "another file or a listen address cannot be used"),
        (Exit::NotNow, "not now: somebody else took over, or try again later"),
        (Exit::Interrupted, "interrupted by Ctrl-C before its end"),
        (Exit::Terminated, "told to end before its end"),
    ];
}

/// An exit code and the sentence that goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The process's exit code.
    pub exit: Exit,
    /// What happened and what to do about it.
    pub sentence: String,
}

impl Failure {
    /// A failure of this kind. The sentence names what to do.
    pub fn new(exit: Exit, sentence: impl Into<String>) -> Self {
        Failure { exit, sentence: sentence.into() }
    }

    /// Something nobody foresaw.
    pub fn unexpected(error: impl fmt::Display) -> Self {
        Self::new(Exit::Unexpected, error.to_string())
    }

    /// Says it on stderr and gives back the exit code for `main` to return.
    pub fn tell(&self) -> ExitCode {
        // Nobody is left to tell if stderr is closed: the code says it too.
        let _ = writeln!(std::io::stderr(), "cascade: {}", self.sentence);
        ExitCode::from(self.exit as u8)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl std::error::Error for Failure {}

impl From<stream::Error> for Failure {
    fn from(error: stream::Error) -> Self {
        let exit = match (error.verdict(), error.operation()) {
            (stream::Verdict::Retry | stream::Verdict::Abort | stream::Verdict::Fenced, _) => Exit::NotNow,
            (stream::Verdict::Stop, "reach Kafka") => Exit::Unreachable,
            (stream::Verdict::Stop, "use the state directory") => Exit::State,
            (stream::Verdict::Stop, "configure the Kafka client" | "make a Kafka client") => {
                return Self::new(Exit::Usage, format!("{error}; correct the settings under `kafka.`"));
            }
            (stream::Verdict::Stop, _) => Exit::Unexpected,
        };
        Self::new(exit, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_code_is_distinct_and_documented_once() {
        let mut codes: Vec<u8> = Exit::ALL.iter().map(|(exit, _)| *exit as u8).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes, [1, 2, 64, 65, 66, 67, 68, 69, 73, 74, 75, 130, 143]);
    }

    #[test]
    fn a_lost_membership_is_not_an_unforeseen_error() {
        let fenced = stream::Error::new(stream::Verdict::Fenced, "commit", "another member owns the partition");
        assert_eq!(Failure::from(fenced).exit, Exit::NotNow);
        assert_eq!(Failure::from(stream::Error::stop("open", "damaged")).exit, Exit::Unexpected);
    }

    #[test]
    fn what_could_not_be_done_decides_the_exit_code() {
        let exit_of = |operation| Failure::from(stream::Error::stop(operation, "it did not work")).exit;
        assert_eq!(exit_of("reach Kafka"), Exit::Unreachable);
        assert_eq!(exit_of("use the state directory"), Exit::State);
        assert_eq!(exit_of("configure the Kafka client"), Exit::Usage);
    }
}
