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

/// So much of a line says what kind of value begins there.
pub(super) const LOOKED_AT: usize = 200;

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
        Error::SerdeInvalidType { unexpected, expected, .. } => unfit(unexpected, expected),
        Error::MultipleDocuments { .. } => (
            "a second document begins here".to_owned(),
            "a file holds one campaign or one table: move this into a file of its own".to_owned(),
        ),
        Error::Eof { .. } => {
            ("the file ends before it says anything".to_owned(), "begin it with `campaign: cart-left`".to_owned())
        }
        Error::Unexpected { expected, .. } => of_another_kind(source, place, expected),
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

/// A word that YAML takes for something else.
fn unfit(unexpected: &str, expected: &str) -> (String, String) {
    if unexpected.starts_with("boolean") {
        let message = "this is yes or no to YAML, as `y`, `n`, `yes`, `no`, `on`, `off`, `true` and `false` are";
        return (message.to_owned(), format!("write {expected}, such a one in quotes: `\"y\"`"));
    }
    if unexpected.starts_with("integer") || unexpected.starts_with("floating") {
        return (
            format!("{unexpected} is a number to YAML"),
            format!("write {expected}, and what looks like a number in quotes"),
        );
    }
    (format!("{unexpected} cannot stand here"), format!("write {expected}"))
}

/// A list where a word belongs, and the like.
fn of_another_kind(source: &Source<'_>, place: Place, expected: &str) -> (String, String) {
    let line = source.text.lines().nth(place.line.saturating_sub(1)).unwrap_or_default();
    let rest: String = line.chars().skip(place.column.saturating_sub(1)).take(LOOKED_AT).collect();
    let found = match rest.chars().next() {
        Some('[') => "a list",
        Some('-') if rest.starts_with("- ") => "a list",
        Some('{') => "a group of keys",
        _ if rest.contains(": ") || rest.ends_with(':') => "a group of keys",
        _ => "a word",
    };
    let (wanted, hint) = match expected {
        "string scalar" | "scalar" => ("one word", "write one word, or one number"),
        "mapping start" | "mapping" => {
            ("a group of keys", "write keys with their values: `{key: value}`, or one below the other, further in")
        }
        "sequence start" | "sequence" => {
            ("a list", "write `[first, second]`, or each on a line of its own behind `- `")
        }
        _ => {
            return (
                format!("expected {expected}"),
                "check the indentation and the colons around this place".to_owned(),
            );
        }
    };
    if found == wanted || (found, wanted) == ("a word", "one word") {
        return (format!("{wanted} belongs here"), hint.to_owned());
    }
    (format!("this is {found}, but {wanted} belongs here"), hint.to_owned())
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
