//! The shape of a definition, as it stands in the YAML: words with their places, nothing understood yet.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeOwned, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_saphyr::{Error, Spanned};

use super::problem::{Place, Problem, Severity, Source, nearest};

/// A word and where it stands.
pub(crate) type Word = Spanned<String>;

/// A campaign version.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Campaign {
    pub campaign: Word,
    pub version: Spanned<i32>,
    pub class: Option<Word>,
    pub zone: Option<Word>,
    pub quiet: Option<Quiet>,
    pub trigger: Trigger,
    pub goal: Option<Goal>,
    pub stop: Option<Word>,
    pub order: Option<Word>,
    pub priority: Option<i32>,
    pub experiment: Option<Experiment>,
    pub steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trigger {
    pub on: Word,
    pub action: Option<Word>,
    #[serde(rename = "where")]
    pub condition: Option<Word>,
    pub key: Option<Word>,
    pub settle: Option<Word>,
    pub max_age: Option<Word>,
    pub again: Option<Word>,
    pub of: Option<Spanned<Words>>,
    pub ended: Option<Spanned<Words>>,
    pub cooldown: Option<Word>,
    pub maximum: Option<Spanned<u32>>,
    pub at: Option<Word>,
    pub every: Option<Word>,
    pub pace: Option<Spanned<u32>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Quiet {
    pub hours: Word,
    pub policy: Option<Word>,
    pub release: Option<Word>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Goal {
    pub action: Spanned<Words>,
    #[serde(rename = "match")]
    pub matching: Option<Word>,
    #[serde(rename = "where")]
    pub condition: Option<Word>,
    pub grace: Option<Word>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Experiment {
    pub name: Option<Word>,
    pub variants: Option<Spanned<BTreeMap<String, u32>>>,
    pub hold_out: Option<Spanned<u32>>,
}

/// One template, or one for each variant.
#[derive(Deserialize)]
#[serde(untagged, expecting = "the name of a template, or one for each variant: `{a: friendly, b: short}`")]
pub(crate) enum Template {
    Same(String),
    ByVariant(BTreeMap<String, String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    pub name: Word,
    pub channel: Option<Word>,
    pub any: Option<Vec<Word>>,
    pub variant: Option<Spanned<Words>>,
    pub template: Spanned<Template>,
    pub when: Option<Word>,
    pub at: Option<Word>,
    pub after: Option<Word>,
    pub spread: Option<Word>,
    pub late: Option<Word>,
    pub wait: Option<Word>,
    pub next_if: Option<Spanned<Vec<Word>>>,
    pub valid: Option<Word>,
    pub quiet: Option<Word>,
    pub escalate_on_outage: Option<bool>,
}

/// The caps.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Caps {
    pub caps: Vec<Cap>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cap {
    pub most: Spanned<u32>,
    pub per: Word,
    pub channel: Option<Spanned<Words>>,
    pub class: Option<Word>,
    pub then: Option<Word>,
}

/// The price table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Prices {
    pub currency: Word,
    /// In the order of the file, so that the first mistake is told first.
    pub prices: Vec<Price>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Price {
    pub channel: Word,
    pub minor: Spanned<i64>,
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
