//! Bytes of a record: a Confluent frame around an Avro datum.
//!
//! ```text
//! 0x00 | schema id, 4 bytes big-endian | Avro datum
//! ```
//!
//! Our own schemas have fixed ids (see [`Record::ID`]), so that no registry is needed to run. Records under ids of a registry
//! are read with [`Ids`](crate::Ids).
//!
//! A datum in one of our current schemas goes straight between bytes and struct (`datum`). Any other is decoded by the schema that it
//! was written with; what the writer did not know yet is filled in by `#[serde(default)]`. A reader schema is never configured: the
//! library's direct path does not resolve.

use apache_avro::reader::datum::GenericDatumReader;
use serde::de::DeserializeOwned;

use crate::{Record, datum, record};

/// No record is larger, in bytes: decoding refuses it, and with it every length inside that claims more.
pub const RECORD_BYTES_MAX: usize = 1024 * 1024;

/// Length of the frame before the datum.
const FRAME_BYTES: usize = 5;

/// Why bytes are not a record of the wanted type. Never holds a value of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// `not_framed`: the first byte is not 0, or there are fewer than 5 bytes.
    #[error(
        "no Confluent frame (a zero byte and a schema id of four bytes): write the record with a schema registry's serialiser"
    )]
    NotFramed,
    /// `too_large`: more than [`RECORD_BYTES_MAX`] bytes.
    #[error("{bytes} bytes are more than a record may have ({RECORD_BYTES_MAX}): make it smaller")]
    TooLarge {
        /// Length of the refused record.
        bytes: usize,
    },
    /// `unknown_schema`: neither an id of ours nor one that was learnt.
    #[error("schema id {id} is not known: register the schema, and point `registry` at that registry")]
    UnknownSchema {
        /// The id in the frame.
        id: u32,
    },
    /// `wrong_record`: the schema is known, but is that of another record.
    #[error("schema id {id} is of {found}, but {wanted} is expected on this topic: check the producer's topic")]
    WrongRecord {
        /// The id in the frame.
        id: u32,
        /// Full name of the record that the id stands for.
        found: &'static str,
        /// Full name of the record that the caller wants.
        wanted: &'static str,
    },
    /// `bad_datum`: the bytes do not fit the schema, or the value does not fit our type.
    #[error("the datum does not fit its schema, at byte {at}: check which schema the producer writes with")]
    BadDatum {
        /// Where reading stopped, counted from the frame's first byte.
        at: usize,
    },
    /// `trailing_bytes`: the datum ends before the record does.
    #[error("the datum ends at byte {at}, the record later: check which schema the producer writes with")]
    TrailingBytes {
        /// Where the datum ends, counted from the frame's first byte.
        at: usize,
    },
}

impl DecodeError {
    /// The stable code that goes into dead letters, labels and the journal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFramed => "not_framed",
            Self::TooLarge { .. } => "too_large",
            Self::UnknownSchema { .. } => "unknown_schema",
            Self::WrongRecord { .. } => "wrong_record",
            Self::BadDatum { .. } => "bad_datum",
            Self::TrailingBytes { .. } => "trailing_bytes",
        }
    }
}

/// The record, framed with our own schema id.
pub fn encode<T: Record>(record: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    encode_into(record, &mut bytes);
    bytes
}

/// Appends the record, framed with our own schema id.
pub fn encode_into<T: Record>(record: &T, bytes: &mut Vec<u8>) {
    encode_as(record, T::ID, bytes);
}

/// Appends the record, framed with the id that a registry gave to our current schema.
#[expect(
    clippy::expect_used,
    reason = "a golden test writes every record: its type and its schema fit, and a Vec takes everything"
)]
pub(crate) fn encode_as<T: Record>(record: &T, id: u32, bytes: &mut Vec<u8>) {
    bytes.push(0);
    bytes.extend_from_slice(&id.to_be_bytes());
    datum::write(record, bytes).expect("the type fits its own schema");
}

/// Reads a record that was framed with one of our own schema ids.
pub fn decode<T: Record>(bytes: &[u8]) -> Result<T, DecodeError> {
    let (id, datum) = unframe(bytes)?;
    decode_own(id, datum)
}

/// Splits a framed record into its schema id and its datum.
pub(crate) fn unframe(bytes: &[u8]) -> Result<(u32, &[u8]), DecodeError> {
    match bytes {
        _ if bytes.len() > RECORD_BYTES_MAX => Err(DecodeError::TooLarge { bytes: bytes.len() }),
        [0, a, b, c, d, datum @ ..] => Ok((u32::from_be_bytes([*a, *b, *c, *d]), datum)),
        _ => Err(DecodeError::NotFramed),
    }
}

/// Reads a datum written with one of our own schemas, of any released version.
pub(crate) fn decode_own<T: Record>(id: u32, datum: &[u8]) -> Result<T, DecodeError> {
    if id == T::ID {
        return read_current(datum);
    }
    match T::compiled().reader(id) {
        Some(reader) => read(reader, datum),
        None => Err(match record::name_of(id) {
            Some(found) if found != T::NAME => DecodeError::WrongRecord { id, found, wanted: T::NAME },
            _ => DecodeError::UnknownSchema { id },
        }),
    }
}

/// Reads one datum and nothing after it.
pub(crate) fn read<T: DeserializeOwned>(reader: &GenericDatumReader<'_>, datum: &[u8]) -> Result<T, DecodeError> {
    read_with(datum, |rest| reader.read_deser(rest))
}

/// Reads one datum of the current schema and nothing after it.
pub(crate) fn read_current<T: Record>(datum: &[u8]) -> Result<T, DecodeError> {
    read_with(datum, datum::read)
}

fn read_with<T, E>(datum: &[u8], read: impl FnOnce(&mut &[u8]) -> Result<T, E>) -> Result<T, DecodeError> {
    let mut rest = datum;
    let value = read(&mut rest);
    let at = FRAME_BYTES + datum.len() - rest.len();
    match value {
        Err(_) => Err(DecodeError::BadDatum { at }),
        Ok(_) if !rest.is_empty() => Err(DecodeError::TrailingBytes { at }),
        Ok(value) => Ok(value),
    }
}
