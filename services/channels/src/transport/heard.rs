//! Whether a provider's word against a message is believed. That nobody is at an address, or that a message is refused, lets the next, dearer
//! message go; so it is believed where it certainly speaks of this message, and not of us or of the provider's own trouble:
//!
//! | what was said | is believed |
//! |---|---|
//! | the provider's own word, such as `smtp_5.1.1`, `UNREGISTERED` or a `code` in its answer | from the first |
//! | a status and no word ([`Transport::is_own_word`]): a proxy or a wrong path says the same to everybody | once the provider has taken something since the start |
//! | what a transport says may mean us ([`Heard::of_address`]) | the same |
//! | any of these, when the last [`ROW`] answers were such and nothing was taken between | not before something is taken again |
//!
//! What is not believed is not taken for now, as in an outage: the breaker pauses, one message after the other tries whether it is over, and what is
//! not taken until its validity ends expires. So a relay that has lost its list of recipients, or a key that fits none of our addresses, makes a
//! handful of dearer messages and not a million.
//!
//! *The price.* Of [`ROW`] dead addresses in a row those behind them wait until one message was taken.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::{Answer, Call, Ear, Message, Transport};

/// So many words against messages in a row, with nothing taken between, and the provider counts as out. Where half of all addresses are
/// dead that happens to nobody.
pub(super) const ROW: u32 = 50;

/// What a provider has said in this process.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// It has taken something.
    has_taken: AtomicBool,
    /// Words against messages since it last did.
    row: AtomicU32,
}

impl Heard {
    /// Passes an answer on, and keeps in mind that something was taken.
    pub(super) fn note(&self, answer: Answer) -> Answer {
        if matches!(answer, Answer::Accepted { .. }) {
            self.has_taken.store(true, Ordering::Relaxed);
            self.row.store(0, Ordering::Relaxed);
        }
        answer
    }

    /// What is said of an address or a message and may as well be said of us: a server, a key or an app that does not go with any of our
    /// addresses.
    pub(super) fn of_address(&self, answer: Answer) -> Answer {
        if self.has_taken.load(Ordering::Relaxed) { answer } else { doubted(answer) }
    }

    /// What the provider certainly says of this address or message; too often in a row, and it says it of itself.
    fn in_a_row(&self, answer: Answer) -> Answer {
        let row = match &answer {
            Answer::Refused { .. } | Answer::NobodyThere { .. } => self.row.fetch_add(1, Ordering::Relaxed),
            _ => return self.note(answer),
        };
        if row == ROW {
            tracing::warn!(
                "a provider says no to one message after the other: that counts as an outage until it takes one"
            );
        }
        if row < ROW { answer } else { doubted(answer) }
    }
}

/// The same answer where it is not believed.
fn doubted(answer: Answer) -> Answer {
    match answer {
        Answer::NobodyThere { code } | Answer::Refused { code } => Answer::not_taken(code),
        answer => answer,
    }
}

/// A transport whose word against a message is believed as this page says.
#[derive(Debug)]
pub(super) struct Believed {
    transport: Box<dyn Transport>,
    heard: Heard,
}

impl Believed {
    pub(super) fn over(transport: Box<dyn Transport>) -> Self {
        Believed { transport, heard: Heard::default() }
    }

    fn believe(&self, answer: Answer) -> Answer {
        let is_own = match &answer {
            Answer::Refused { code } | Answer::NobodyThere { code } => self.transport.is_own_word(code),
            _ => true,
        };
        // What is not believed for want of a word says nothing of the row, either.
        let answer = if is_own { answer } else { self.heard.of_address(answer) };
        self.heard.in_a_row(answer)
    }
}

impl Transport for Believed {
    fn hand_over<'a>(&'a self, message: &'a Message) -> Call<'a> {
        Box::pin(async move { self.believe(self.transport.hand_over(message).await) })
    }

    fn is_own_word(&self, code: &str) -> bool {
        self.transport.is_own_word(code)
    }

    fn calls_max(&self) -> Option<usize> {
        self.transport.calls_max()
    }

    fn is_one_provider(&self) -> bool {
        self.transport.is_one_provider()
    }

    fn left_alone(&self) -> Option<usize> {
        self.transport.left_alone()
    }

    fn routes(&self) -> Vec<(&str, bool)> {
        self.transport.routes()
    }

    fn divide(&self, owned: u32, all: u32) {
        self.transport.divide(owned, all);
    }

    fn is_answered(&self) -> bool {
        self.transport.is_answered()
    }

    fn ear(&self) -> Option<Ear> {
        self.transport.ear()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Nobody;

    impl Transport for Nobody {
        fn hand_over<'a>(&'a self, _: &'a Message) -> Call<'a> {
            Box::pin(async { Answer::Stale })
        }
    }

    fn provider() -> Believed {
        Believed::over(Box::new(Nobody))
    }

    #[test]
    fn a_providers_own_word_is_believed_from_the_first_and_a_bare_status_once_something_was_taken() {
        let provider = provider();
        for answer in
            [Answer::nobody_there("smtp_5.1.1"), Answer::refused("no_such_number"), Answer::unknown("http_502")]
        {
            assert_eq!(provider.believe(answer.clone()), answer);
        }
        for bare in [Answer::nobody_there("http_410"), Answer::refused("http_410")] {
            assert_eq!(provider.believe(bare), Answer::not_taken("http_410"));
        }
        assert_eq!(provider.believe(Answer::taken(None)), Answer::taken(None));
        for bare in [Answer::nobody_there("http_410"), Answer::refused("http_400")] {
            assert_eq!(provider.believe(bare.clone()), bare);
        }
    }

    /// Rule 8: an outage of a provider never turns a free message into a paid one.
    #[test]
    fn of_a_provider_that_says_no_to_everybody_a_handful_is_believed() {
        let provider = provider();
        let mut believed = 0;
        for number in 0..10_000 {
            let no = if number % 2 == 0 { Answer::nobody_there("smtp_5.1.1") } else { Answer::refused("smtp_550") };
            match provider.believe(no.clone()) {
                Answer::NotTaken { retry_after: None, .. } => {}
                answer => {
                    assert_eq!(answer, no);
                    believed += 1;
                }
            }
            // What says nothing of the message does not end the row.
            provider.believe(Answer::not_taken("connection"));
            provider.believe(Answer::unknown("timeout"));
        }
        assert_eq!(believed, ROW);
        provider.believe(Answer::taken(None));
        let dead = Answer::nobody_there("smtp_5.1.1");
        assert_eq!(provider.believe(dead.clone()), dead, "it is well again");
    }

    #[test]
    fn dead_addresses_among_living_ones_are_all_believed() {
        let (provider, dead) = (provider(), Answer::nobody_there("smtp_5.1.1"));
        for number in 0..2_000 {
            if number % 20 == 19 {
                provider.believe(Answer::taken(None));
            }
            assert_eq!(provider.believe(dead.clone()), dead, "{number}");
        }
    }
}
