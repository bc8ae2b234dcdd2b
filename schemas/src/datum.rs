//! The datum of a record in its current schema, straight between bytes and struct: no schema is walked, no name compared.
//!
//! It rests on what tests hold each record to: the fields of a struct stand in the order of the schema's, what is optional is a union
//! of null and something, and the variants of an enum are the symbols or branches of the schema, in their order. Data of other
//! versions and of others' schemas are read by their own schemas.
//!
//! | what `serde` calls | what Avro writes |
//! |---|---|
//! | struct | its fields |
//! | option | the branch, 0 for none and 1, then the value |
//! | enum | the variant's index, then what it holds |
//! | sequence, map | a block with its length, then one without any |
//! | `u128` | a `fixed` of 16 bytes |

mod read;
mod write;

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};

/// Appends the datum.
pub(crate) fn write<T: Serialize>(value: &T, bytes: &mut Vec<u8>) -> Result<(), Unfit> {
    value.serialize(&mut write::Writer { bytes })
}

/// Reads a datum, and moves `bytes` behind it; as far as it could be read, if it is none.
pub(crate) fn read<T: DeserializeOwned>(bytes: &mut &[u8]) -> Result<T, Unfit> {
    let mut reader = read::Reader { rest: bytes };
    let value = T::deserialize(&mut reader);
    *bytes = reader.rest;
    value
}

/// A value that no datum can hold, or bytes that are none of the type. Says nothing, so that it holds no value of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unfit;

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it does not fit")
    }
}

impl std::error::Error for Unfit {}

impl serde::ser::Error for Unfit {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Unfit
    }
}

impl serde::de::Error for Unfit {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Unfit
    }
}
