//! How a shape is read: each value with its place, and the reader's errors in words of our own.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{DeserializeOwned, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_saphyr::{Error, Location};

use super::problem::{Place, Problem, Severity, Source, nearest};

/// A value and where it stands.
pub(crate) struct Spanned<T> {
    pub value: T,
    pub referenced: Location,
}

/// A word and where it stands.
pub(crate) type Word = Spanned<String>;

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Spanned<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let serde_saphyr::Spanned { value, referenced, .. } = serde_saphyr::Spanned::deserialize(deserializer)?;
        Ok(Spanned { value, referenced })
    }
}

/// Editors see the value.
impl<T: JsonSchema> JsonSchema for Spanned<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// One word or a list of words.
pub(crate) struct Words(pub Vec<String>);

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;
        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Words;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a word or a list of words")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Words, E> {
                Ok(Words(vec![word.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Words, A::Error> {
                let mut words = Vec::new();
                while let Some(word) = list.next_element()? {
                    words.push(word);
                }
                Ok(Words(words))
            }
        }
        deserializer.deserialize_any(OneOrMany)
    }
}

/// Reads the shape.
///
/// # Errors
/// The first thing that is not YAML or has no place in the shape.
pub(crate) fn read<T: DeserializeOwned>(source: &Source<'_>) -> Result<T, Vec<Problem>> {
    serde_saphyr::from_str(source.text).map_err(|error| vec![problem(source, error.without_snippet())])
}

fn problem(source: &Source<'_>, error: &Error) -> Problem {
    let place = error.location().map_or(Place { line: 1, column: 1, width: 1 }, Place::from);
    let (message, hint) = match error {
        Error::SerdeUnknownField { field, expected, .. } => {
            (format!("unknown key `{field}`"), nearest(field, expected.iter().copied()))
        }
        Error::SerdeMissingField { field, .. } => {
            (format!("the key `{field}` is missing"), format!("add `{field}: …` beside it"))
        }
        Error::DuplicateMappingKey { key, .. } => {
            (format!("the key `{}` stands here twice", key.as_deref().unwrap_or("?")), "remove one of them".to_owned())
        }
        Error::SerdeInvalidType { unexpected, expected, .. } => {
            (format!("{unexpected} cannot stand here"), format!("write {expected}"))
        }
        Error::InvalidScalar { ty: "boolean", .. } => {
            ("only yes or no can stand here".to_owned(), "write `true` or `false`".to_owned())
        }
        Error::InvalidScalar { .. } => {
            ("only a whole number can stand here".to_owned(), "write digits only, such as `1`".to_owned())
        }
        other => (plain(&other.to_string()), "check the indentation and the colons around this place".to_owned()),
    };
    source.problem(Severity::Error, place, message, Some(hint))
}

/// The first line without the place, which is told in our own way.
fn plain(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let line = line.strip_prefix("error: ").unwrap_or(line);
    match line.split_once(": ") {
        Some((place, rest)) if place.starts_with("line ") => rest.to_owned(),
        _ => line.split(" at line ").next().unwrap_or(line).to_owned(),
    }
}
