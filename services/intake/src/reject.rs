//! Why a record is refused.

use schemas::DecodeError;

/// A record that is not taken in: it goes to `dead-letter` as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Reject {
    /// One of [`CODES`]. In headers, metrics and the journal.
    pub code: &'static str,
    /// What is wrong and what its producer has to do. Never a value of the record.
    pub message: String,
    /// Whom it is about, as far as that can be read: his sends are held.
    pub customer: Option<String>,
}

/// Every code, with its meaning. A code is never given another meaning.
pub const CODES: [(&str, &str); 13] = [
    // The bytes, as `schemas` judges them.
    ("not_framed", "no Confluent frame: not written with a schema registry's serialiser"),
    ("too_large", "more bytes than a source record may have"),
    ("unknown_schema", "the schema id in the frame is not known here"),
    ("wrong_record", "the schema is that of another topic's record"),
    ("bad_datum", "the bytes do not fit their schema"),
    ("trailing_bytes", "there are bytes after the record's end"),
    // The value.
    ("no_value", "a tombstone where it means nothing; only on `profile` it means erasure"),
    ("field_empty", "a field that identifies something is empty"),
    ("field_too_long", "a field that identifies something has more than 256 bytes"),
    ("field_invalid", "a field does not have the form that it must have"),
    ("time_out_of_range", "a time is not between 1970 and the year 9999; milliseconds are expected"),
    ("amount_out_of_range", "an amount or a number of pieces is negative, or absurdly high"),
    ("channel_twice", "a profile names a channel twice, so nobody knows which of both holds"),
];

impl Reject {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Reject { code, message: message.into(), customer: None }
    }

    /// Class of the error, for the header that Kafka Streams' tools show.
    pub fn class(&self) -> &'static str {
        match self.code {
            "not_framed" | "too_large" | "unknown_schema" | "wrong_record" | "bad_datum" | "trailing_bytes" => {
                "cascade.Undecodable"
            }
            _ => "cascade.Invalid",
        }
    }
}

impl From<DecodeError> for Reject {
    fn from(error: DecodeError) -> Self {
        Reject::new(error.code(), error.to_string())
    }
}
