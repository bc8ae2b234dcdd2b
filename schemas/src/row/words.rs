//! Words that stand in most rows are written as one character.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The word at index 0 is written as the character 1. The list grows at its end and never changes otherwise; it has room for 30.
const WORDS: [&str; 22] = [
    "push",
    "webpush",
    "email",
    "telegram",
    "vk",
    "max",
    "viber",
    "whatsapp",
    "sms",
    "call",
    "cart_id",
    "version",
    "total_minor",
    "currency",
    "item_count",
    "link",
    "source",
    "since",
    "days",
    "action",
    "key",
    "amount_minor",
];

/// Each of them as it is written.
const WRITTEN: &str = "\u{1}\u{2}\u{3}\u{4}\u{5}\u{6}\u{7}\u{8}\u{9}\u{a}\u{b}\u{c}\u{d}\u{e}\u{f}\u{10}\u{11}\u{12}\u{13}\u{14}\u{15}\u{16}";

/// Stands before a text that begins like a word of the list, or with this character itself.
const LITERAL: char = '\u{1f}';

/// A text that may be one of the words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Word<'a>(pub Cow<'a, str>);

impl Serialize for Word<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match WORDS.iter().position(|word| *word == self.0) {
            Some(index) => serializer.serialize_str(&WRITTEN[index..=index]),
            None if self.0.starts_with(|first| first <= LITERAL) => {
                serializer.serialize_str(&format!("{LITERAL}{}", self.0))
            }
            None => serializer.serialize_str(&self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Word<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text)
    }
}

/// Takes a text and makes the word of it.
struct Text;

impl Visitor<'_> for Text {
    type Value = Word<'static>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or the character of a word")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        if let Some(literal) = text.strip_prefix(LITERAL) {
            return Ok(Word(Cow::Owned(literal.to_owned())));
        }
        match text.as_bytes() {
            // A newer version may have words that this one does not know.
            [code @ 1..=0x1e] => {
                let word = WORDS.get(usize::from(code - 1)).ok_or_else(|| E::custom("an unknown word"))?;
                Ok(Word(Cow::Borrowed(word)))
            }
            _ => Ok(Word(Cow::Owned(text.to_owned()))),
        }
    }
}
