//! How a record that was written with another version of its schema is read by our type.
//!
//! The library decodes straight into a struct by the schema that the datum was written with, and does not resolve it against
//! ours. So the written schema is rewritten here, once, into one that means the same bytes and that the struct can be read by:
//!
//! * what our type knows keeps its shape; where Avro promotes (`int` to `long`, `bytes` to `string`) the wider type is put, as
//!   both are encoded alike;
//! * what our type does not know is reduced to what is needed to skip it (an enum becomes an `int`, a record a tuple), because
//!   the library cannot skip the values of enums and records;
//! * what our schema has and the written one lacks must have a default in our schema: the struct fills it in.
//!
//! A schema that could make a small record cost much (recursion, arrays of items without bytes) is refused.

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::schema::{
    DecimalSchema, InnerDecimalSchema, NamesRef, RecordSchema, ResolvedSchema, UnionSchema, UuidSchema,
};
use serde_json::{Value as Json, json};

use crate::codec::RECORD_BYTES_MAX;

/// A schema has at most so many parts after references were replaced by what they name (our largest has about 200).
const PARTS_MAX: usize = 10_000;

/// And is nested at most so deep.
const DEPTH_MAX: usize = 64;

/// What makes the library read a record as a tuple where the type is not known.
const TUPLE: &str = "org.apache.avro.rust.tuple";

/// Why a written schema cannot be read by our type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// `invalid_schema`: the text is no Avro schema.
    #[error("this is not a valid Avro schema")]
    Invalid,
    /// `unknown_record`: its full name is none of ours.
    #[error(
        "the schema's full name is none of ours: give it the name and namespace of our record, as in schemas/*.avsc"
    )]
    UnknownRecord,
    /// `incompatible_schema`: our type cannot be read from what it writes.
    #[error("{path} cannot be read: {problem}")]
    Incompatible {
        /// Where in the record, as `Cart.items[].sku`.
        path: String,
        /// What does not fit there.
        problem: &'static str,
    },
    /// `reserved_id`: the id is one of our own.
    #[error("schema id {0} is reserved for the built-in schemas: use a registry that counts from 1")]
    ReservedId(u32),
    /// `too_many_schemas`: no registry has so many versions of our few records.
    #[error("more than {0} foreign schemas: check that each producer registers its schema once, not for each record")]
    TooMany(usize),
}

impl SchemaError {
    /// The stable code that goes into labels and reports.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Invalid => "invalid_schema",
            Self::UnknownRecord => "unknown_record",
            Self::Incompatible { .. } => "incompatible_schema",
            Self::ReservedId(_) => "reserved_id",
            Self::TooMany(_) => "too_many_schemas",
        }
    }
}

/// The reader for our type of what `written` writes. It lives as long as the process: schemas are few and never change.
pub(crate) fn project(written: &Schema, ours: &Schema) -> Result<GenericDatumReader<'static>, SchemaError> {
    // The library's limit is global, and the first to set it wins: every reader of ours is made here.
    apache_avro::util::max_allocation_bytes(RECORD_BYTES_MAX);
    let (written_names, our_names) = (names(written)?, names(ours)?);
    let mut projection =
        Projection { written: written_names.get_names(), ours: our_names.get_names(), parts: 0, path: Vec::new() };
    let json = projection.known(written, ours)?.json;
    let alike = "two branches of a union in it are alike to us";
    let schema =
        Schema::parse(&json).map_err(|_| SchemaError::Incompatible { path: "$".to_owned(), problem: alike })?;
    GenericDatumReader::builder(Box::leak(Box::new(schema)))
        .human_readable(false)
        .build()
        .map_err(|_| SchemaError::Invalid)
}

fn names(schema: &Schema) -> Result<ResolvedSchema<'_>, SchemaError> {
    ResolvedSchema::try_from(schema).map_err(|_| SchemaError::Invalid)
}

/// A part of the rewritten schema.
struct Part {
    json: Json,
    /// Whether a value of it can take no bytes at all.
    empty: bool,
}

impl Part {
    /// Of a type whose values take at least one byte.
    fn solid(json: Json) -> Self {
        Part { json, empty: false }
    }
}

struct Projection<'a> {
    written: &'a NamesRef<'a>,
    ours: &'a NamesRef<'a>,
    parts: usize,
    path: Vec<String>,
}

impl<'a> Projection<'a> {
    /// What our type knows.
    fn known(&mut self, written: &'a Schema, ours: &'a Schema) -> Result<Part, SchemaError> {
        let (written, ours) = (self.resolve(self.written, written)?, self.resolve(self.ours, ours)?);
        self.count()?;
        match (written, ours) {
            (Schema::Record(written), Schema::Record(ours)) => self.known_record(written, ours),
            (Schema::Array(written), Schema::Array(ours)) => {
                let items = self.at("[]", |this| this.known(&written.items, &ours.items))?;
                self.array(items)
            }
            (Schema::Map(written), Schema::Map(ours)) => {
                let values = self.at("{}", |this| this.known(&written.types, &ours.types))?;
                Ok(Part::solid(json!({"type": "map", "values": values.json})))
            }
            (Schema::Union(written), Schema::Union(ours)) => self.known_union(written, ours),
            (_, Schema::Union(_)) => Err(self.incompatible("it must be a union here too: the bytes differ otherwise")),
            (Schema::Enum(written), Schema::Enum(_)) => Ok(Part::solid(
                json!({"type": "enum", "name": self.unique(written.name.name()), "symbols": written.symbols}),
            )),
            (Schema::Union(_), Schema::Enum(_)) => Err(self.incompatible("an enum must not be in a union here")),
            (Schema::Union(written), ours) => self.union(written, |this, _, branch| match branch {
                Schema::Null => this.skipped(branch),
                branch => this.known(branch, ours),
            }),
            (Schema::Fixed(written), Schema::Fixed(ours)) if written.size == ours.size => Ok(Part::solid(
                json!({"type": "fixed", "name": self.unique(written.name.name()), "size": written.size}),
            )),
            (Schema::Boolean, Schema::Boolean) => Ok(Part::solid(json!("boolean"))),
            (Schema::Int, Schema::Int) => Ok(Part::solid(json!("int"))),
            (Schema::Int | Schema::Long | Schema::TimestampMillis, Schema::Long | Schema::TimestampMillis) => {
                Ok(Part::solid(json!("long")))
            }
            (Schema::Bytes, Schema::Bytes) => Ok(Part::solid(json!("bytes"))),
            (Schema::String | Schema::Bytes | Schema::Uuid(UuidSchema::String), Schema::String) => {
                Ok(Part::solid(json!("string")))
            }
            _ => Err(self.incompatible("its type (or its unit of time) is another one than ours")),
        }
    }

    fn known_record(&mut self, written: &'a RecordSchema, ours: &'a RecordSchema) -> Result<Part, SchemaError> {
        if written.name.name() != ours.name.name() {
            return Err(self.incompatible("the record has another name than ours"));
        }
        for field in ours.fields.iter().filter(|field| field.default.is_none()) {
            if !written.lookup.contains_key(&field.name) {
                return self.at(&field.name, |this| Err(this.incompatible("the field is missing and has no default")));
            }
        }
        self.record(written, |this, name, schema| match ours.fields.iter().find(|field| field.name == name) {
            Some(field) => this.known(schema, &field.schema),
            None => this.skipped(schema),
        })
    }

    /// Branches are told apart by their index. So an optional value stays one, and of several records each keeps its place; one
    /// that we do not know yet can only come after those.
    fn known_union(&mut self, written: &'a UnionSchema, ours: &'a UnionSchema) -> Result<Part, SchemaError> {
        let optional = |union: &UnionSchema| union.variants().len() == 2 && union.variants().contains(&Schema::Null);
        if optional(ours) != optional(written) {
            return Err(self.incompatible("it is optional in one of the two schemas only"));
        }
        let value = ours.variants().iter().find(|branch| **branch != Schema::Null);
        self.union(written, |this, index, branch| match branch {
            Schema::Null => this.skipped(branch),
            branch => match if optional(ours) { value } else { ours.variants().get(index) } {
                Some(ours) => this.known(branch, ours),
                None => this.skipped_branch(branch),
            },
        })
    }

    /// What our type does not know: the least that says how many bytes it takes.
    fn skipped(&mut self, written: &'a Schema) -> Result<Part, SchemaError> {
        let written = self.resolve(self.written, written)?;
        self.count()?;
        match written {
            Schema::Null => Ok(Part { json: json!("null"), empty: true }),
            Schema::Boolean => Ok(Part::solid(json!("boolean"))),
            Schema::Int | Schema::Date | Schema::TimeMillis | Schema::Enum(_) => Ok(Part::solid(json!("int"))),
            Schema::Float => Ok(Part::solid(json!("float"))),
            Schema::Double => Ok(Part::solid(json!("double"))),
            Schema::Array(array) => {
                let items = self.at("[]", |this| this.skipped(&array.items))?;
                self.array(items)
            }
            Schema::Map(map) => {
                let values = self.at("{}", |this| this.skipped(&map.types))?;
                Ok(Part::solid(json!({"type": "map", "values": values.json})))
            }
            Schema::Union(union) => self.union(union, |this, _, branch| this.skipped_branch(branch)),
            Schema::Record(record) => self.skipped_record(record),
            Schema::Fixed(fixed)
            | Schema::Duration(fixed)
            | Schema::Uuid(UuidSchema::Fixed(fixed))
            | Schema::Decimal(DecimalSchema { inner: InnerDecimalSchema::Fixed(fixed), .. }) => self.fixed(fixed.size),
            Schema::String | Schema::Bytes | Schema::BigDecimal | Schema::Decimal(_) | Schema::Uuid(_) => {
                Ok(Part::solid(json!("bytes")))
            }
            Schema::Long
            | Schema::TimeMicros
            | Schema::TimestampMillis
            | Schema::TimestampMicros
            | Schema::TimestampNanos
            | Schema::LocalTimestampMillis
            | Schema::LocalTimestampMicros
            | Schema::LocalTimestampNanos => Ok(Part::solid(json!("long"))),
            Schema::Ref { .. } => Err(SchemaError::Invalid),
        }
    }

    /// A record is skipped as a tuple, which the library knows by an attribute. One with a single field is that field, and one
    /// with none is nothing: their bytes are the same, and a tuple of one would be read without end.
    fn skipped_record(&mut self, written: &'a RecordSchema) -> Result<Part, SchemaError> {
        match written.fields.as_slice() {
            [] => Ok(Part { json: json!("null"), empty: true }),
            [field] => self.at(&field.name, |this| this.skipped(&field.schema)),
            _ => {
                let mut part = self.record(written, |this, _, schema| this.skipped(schema))?;
                part.json[TUPLE] = json!(true);
                Ok(part)
            }
        }
    }

    /// Reduced types could be alike, which branches of a union must not be: each gets a name, as a tuple with nothing after it.
    fn skipped_branch(&mut self, written: &'a Schema) -> Result<Part, SchemaError> {
        let part = self.skipped(written)?;
        if *written == Schema::Null {
            return Ok(part);
        }
        let fields = json!([{"name": "value", "type": part.json}, {"name": "nothing", "type": "null"}]);
        self.count()?;
        Ok(Part::solid(json!({"type": "record", "name": self.unique("Branch"), "fields": fields, TUPLE: true})))
    }

    fn record(
        &mut self,
        written: &'a RecordSchema,
        mut part: impl FnMut(&mut Self, &str, &'a Schema) -> Result<Part, SchemaError>,
    ) -> Result<Part, SchemaError> {
        let name = self.unique(written.name.name());
        let mut fields = Vec::with_capacity(written.fields.len());
        let mut empty = true;
        for field in &written.fields {
            let part = self.at(&field.name, |this| part(this, &field.name, &field.schema))?;
            empty &= part.empty;
            fields.push(json!({"name": field.name, "type": part.json}));
        }
        Ok(Part { json: json!({"type": "record", "name": name, "fields": fields}), empty })
    }

    fn union(
        &mut self,
        written: &'a UnionSchema,
        mut part: impl FnMut(&mut Self, usize, &'a Schema) -> Result<Part, SchemaError>,
    ) -> Result<Part, SchemaError> {
        let mut branches = Vec::with_capacity(written.variants().len());
        for (index, branch) in written.variants().iter().enumerate() {
            let branch = self.resolve(self.written, branch)?;
            branches.push(self.at("", |this| part(this, index, branch))?.json);
        }
        Ok(Part::solid(Json::Array(branches)))
    }

    /// An array of items without bytes may claim any number of them, and each would be made.
    fn array(&self, items: Part) -> Result<Part, SchemaError> {
        if items.empty {
            return Err(self.incompatible("the items of an array must take at least one byte each"));
        }
        Ok(Part::solid(json!({"type": "array", "items": items.json})))
    }

    fn fixed(&mut self, size: usize) -> Result<Part, SchemaError> {
        if size > RECORD_BYTES_MAX {
            return Err(self.incompatible("it is larger than a record may be"));
        }
        Ok(Part { json: json!({"type": "fixed", "name": self.unique("Fixed"), "size": size}), empty: size == 0 })
    }

    /// A name that nothing else has: named types are written out wherever they are used.
    fn unique(&self, name: &str) -> String {
        format!("part{}.{name}", self.parts)
    }

    fn resolve(&self, names: &NamesRef<'a>, schema: &'a Schema) -> Result<&'a Schema, SchemaError> {
        match schema {
            Schema::Ref { name } => names.get(name).copied().ok_or(SchemaError::Invalid),
            schema => Ok(schema),
        }
    }

    fn at<T>(&mut self, step: &str, inner: impl FnOnce(&mut Self) -> Result<T, SchemaError>) -> Result<T, SchemaError> {
        self.path.push(step.to_owned());
        let result = inner(self);
        self.path.pop();
        result
    }

    fn count(&mut self) -> Result<(), SchemaError> {
        self.parts += 1;
        if self.parts > PARTS_MAX || self.path.len() > DEPTH_MAX {
            return Err(self.incompatible("the schema is recursive, or nested too deep, or too large"));
        }
        Ok(())
    }

    fn incompatible(&self, problem: &'static str) -> SchemaError {
        let steps: Vec<&str> = self.path.iter().map(String::as_str).filter(|step| !step.is_empty()).collect();
        SchemaError::Incompatible {
            path: format!("${}", steps.iter().map(|step| format!(".{step}")).collect::<String>()),
            problem,
        }
    }
}
