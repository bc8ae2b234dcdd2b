//! What customers write back: the same on every channel.
//!
//! | the customer writes | status |
//! |---|---|
//! | one of `stop_words`, in any case, and nothing else | UNSUBSCRIBED |
//! | anything else | REPLIED |

use std::fmt;

use schemas::{Millis, Status};
use tokio::sync::oneshot;

use super::{About, Fate, Word};

/// No more of a text is kept, in characters.
const CHARACTERS_MAX: usize = 4_096;

/// What a customer wrote. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Text(String);

impl Text {
    /// The text, cut at 4 096 characters; none where nothing is in it.
    pub fn of(text: &str) -> Option<Self> {
        let text = text.trim();
        let end = text.char_indices().nth(CHARACTERS_MAX).map_or(text.len(), |(at, _)| at);
        (!text.is_empty()).then(|| Text(text[..end].to_owned()))
    }

    /// The text itself: for the topic `reply`, and for nothing else.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Text")
    }
}

/// What a provider's own form of a word was read as.
#[derive(Debug, PartialEq, Eq)]
pub struct Said {
    /// Which message it is about.
    pub about: About,
    /// What is said of it.
    pub status: Status,
    /// The provider's code, where it has one.
    pub code: Option<String>,
    /// What the customer wrote.
    pub text: Option<Text>,
    /// When it happened, by the provider's clock.
    pub occurred_at: Option<Millis>,
}

impl Said {
    /// About this, and nothing else.
    pub fn of(about: About) -> Self {
        Said { about, status: Status::Unspecified, code: None, text: None, occurred_at: None }
    }

    /// Nothing that anybody could use; why, as a label.
    pub fn nothing(why: &'static str) -> Self {
        Said::of(About::Nothing(why))
    }

    /// The word, and where its fate is told.
    pub fn word(self) -> (Word, oneshot::Receiver<Fate>) {
        let Said { about, status, code, text, occurred_at } = self;
        let (word, told) = Word::new(about, status);
        (Word { code, text, occurred_at, ..word }, told)
    }
}

/// Sends whose words find them, of each kind, where nothing else is configured.
pub(super) fn default_memory() -> usize {
    500_000
}

/// What is wrong with a number of sends that are remembered: each takes some two hundred bytes by its id, and as many by its address.
pub(super) fn memory_problem(key: &str, remembered: usize) -> Option<String> {
    const MOST: usize = 20_000_000;
    (!(1..=MOST).contains(&remembered)).then(|| format!("{key} must be from 1 to {MOST}"))
}

/// With these a customer wants no more, where nothing else is configured.
pub fn default_stop_words() -> Vec<String> {
    ["STOP", "СТОП"].map(str::to_owned).into()
}

/// What a text says.
pub fn status(text: &str, stop_words: &[String]) -> Status {
    let word = text.trim().to_lowercase();
    let stops = stop_words.iter().any(|stop| stop.to_lowercase() == word);
    if stops { Status::Unsubscribed } else { Status::Replied }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_and_shows_nothing() {
        let long = "ё".repeat(5_000);
        assert_eq!(Text::of(&long).unwrap().as_str().chars().count(), 4_096);
        assert_eq!((Text::of(" да\n").unwrap().as_str(), Text::of(" \n")), ("да", None));
        assert_eq!(format!("{:?}", Text::of("да")), "Some(Text)");
    }

    #[test]
    fn a_stop_word_alone_ends_it_all() {
        let words = default_stop_words();
        let said = |text| status(text, &words);
        assert_eq!(
            [said(" stop\n"), said("Стоп"), said("don't stop"), said("")],
            [Status::Unsubscribed, Status::Unsubscribed, Status::Replied, Status::Replied]
        );
    }
}
