//! Schema ids that others gave: a registry's, beside our own fixed ones.

use std::collections::HashMap;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;

use crate::codec::{self, DecodeError};
use crate::projection::{SchemaError, project};
use crate::record::{self, OWN_IDS, Record};

/// A schema lives as long as the process. So that a producer who registers one for each record cannot fill the memory:
const FOREIGN_MAX: usize = 1_000;

/// Which record each schema id stands for, and by which schema it was written. Knows our own ids from the start.
#[derive(Default)]
pub struct Ids {
    /// Name of the record that each stands for, and what reads it; none where it is our current schema under another id.
    foreign: HashMap<u32, (&'static str, Option<GenericDatumReader<'static>>)>,
    /// Ids under which records are written instead of our own, by the record's name.
    written: HashMap<&'static str, u32>,
}

impl Ids {
    /// Only our own ids.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether records with this id can be read.
    pub fn knows(&self, id: u32) -> bool {
        self.foreign.contains_key(&id) || record::name_of(id).is_some()
    }

    /// Learns that records with this id were written with this schema: an older or newer version of one of ours, recognised by
    /// its full name, which is given back. An id that is known already is left as it is: a registry never changes one.
    pub fn learn(&mut self, id: u32, schema: &str) -> Result<&'static str, SchemaError> {
        if OWN_IDS.contains(&id) {
            return Err(SchemaError::ReservedId(id));
        }
        if let Some((name, _)) = self.foreign.get(&id) {
            return Ok(name);
        }
        if self.foreign.len() >= FOREIGN_MAX {
            return Err(SchemaError::TooMany(FOREIGN_MAX));
        }
        let written = Schema::parse_str(schema).map_err(|_| SchemaError::Invalid)?;
        let full_name = written.name().ok_or(SchemaError::UnknownRecord)?.fullname(None);
        let (name, ours) = record::named(&full_name).ok_or(SchemaError::UnknownRecord)?;
        let ours = Schema::parse_str(ours).map_err(|_| SchemaError::Invalid)?;
        let reader = project(&written, &ours)?;
        let is_ours = written.canonical_form() == ours.canonical_form();
        self.foreign.insert(id, (name, (!is_ours).then_some(reader)));
        Ok(name)
    }

    /// From now on [`Ids::encode`] writes this record with the id that a registry gave to our current schema.
    pub fn write_as<T: Record>(&mut self, id: u32) -> Result<(), SchemaError> {
        self.learn(id, T::SCHEMA)?;
        self.written.insert(T::NAME, id);
        Ok(())
    }

    /// The record, framed with the registry's id where [`Ids::write_as`] gave one, else with our own.
    pub fn encode<T: Record>(&self, record: &T) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256);
        codec::encode_as(record, self.written.get(T::NAME).copied().unwrap_or(T::ID), &mut bytes);
        bytes
    }

    /// Reads a record under an id of ours or under one that was learnt.
    pub fn decode<T: Record>(&self, bytes: &[u8]) -> Result<T, DecodeError> {
        let (id, datum) = codec::unframe(bytes)?;
        match self.foreign.get(&id) {
            Some((found, _)) if *found != T::NAME => Err(DecodeError::WrongRecord { id, found, wanted: T::NAME }),
            Some((_, Some(reader))) => codec::read(reader, datum),
            Some((_, None)) => codec::read_current(datum),
            None => codec::decode_own(id, datum),
        }
    }
}
