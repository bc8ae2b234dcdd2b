//! Turns strings into values and collects everything that is wrong on the way.

use std::fmt::Display;
use std::net::{SocketAddr, ToSocketAddrs};
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::catalogue::variable_of;
use super::layers::{From, Layers};

/// Reads typed values. A value that cannot be read becomes a problem and a harmless stand-in, so that reading goes on and
/// all problems come out at once; [`Reader::finish`] lets no stand-in escape.
pub struct Reader<'a> {
    pub(super) layers: Layers<'a>,
    problems: Vec<String>,
}

impl<'a> Reader<'a> {
    /// Reads from these layers.
    pub fn new(layers: Layers<'a>) -> Self {
        Reader { layers, problems: Vec::new() }
    }

    /// What was read, or everything that was wrong.
    ///
    /// # Errors
    /// All problems, one sentence each.
    pub fn finish<T>(mut self, value: T) -> Result<T, Vec<String>> {
        let mut problems = std::mem::take(&mut self.layers.problems);
        problems.append(&mut self.problems);
        // A secret that two parts ask for is complained about once.
        let mut seen = std::collections::BTreeSet::new();
        problems.retain(|problem| seen.insert(problem.clone()));
        if problems.is_empty() { Ok(value) } else { Err(problems) }
    }

    /// A text, empty ones included; none if nobody set it.
    pub fn optional(&mut self, key: &str) -> Option<String> {
        self.layers.find(key).map(|found| found.value)
    }

    /// A text that somebody must set.
    pub fn required(&mut self, key: &str) -> String {
        match self.optional(key).filter(|value| !value.is_empty()) {
            Some(value) => value,
            None => {
                self.problems
                    .push(format!("{key} is not set: set {} or `{key}` in the configuration file", variable_of(key)));
                String::new()
            }
        }
    }

    /// A text with a default, possibly empty.
    pub fn text(&mut self, key: &str) -> String {
        self.optional(key).unwrap_or_default()
    }

    /// A number within these bounds.
    pub fn number<N>(&mut self, key: &str, bounds: RangeInclusive<N>) -> N
    where
        N: FromStr + PartialOrd + Display + Copy,
    {
        let text = self.text(key);
        match text.parse::<N>() {
            Ok(number) if bounds.contains(&number) => number,
            _ => {
                self.wrong(key, &format!("must be a whole number from {} to {}", bounds.start(), bounds.end()));
                *bounds.start()
            }
        }
    }

    /// An address to listen on.
    pub fn address(&mut self, key: &str) -> SocketAddr {
        let text = self.text(key);
        match text.to_socket_addrs().ok().and_then(|mut all| all.next()) {
            Some(address) => address,
            None => {
                self.wrong(key, "must be an address and a port, such as 127.0.0.1:9100");
                SocketAddr::from(([127, 0, 0, 1], 0))
            }
        }
    }

    /// Signing keys, each as the table that `schemas::token::Key` is read from. The secrets themselves are read by their users.
    /// Where `key` is not set, the variables of `alone` may name one key, which has the id 1.
    pub fn keys(&mut self, key: &str, alone: &str) -> Vec<toml::Table> {
        let variable = variable_of(alone);
        let text = match self.optional(key).filter(|text| !text.is_empty()) {
            Some(text) => text,
            None => match (self.layers.variable(&format!("{variable}_FILE")), self.layers.variable(&variable)) {
                (Some(path), _) => format!("1:{path}"),
                (None, Some(_)) => format!("1:env:{variable}"),
                (None, None) => {
                    self.problem(format!("links cannot be signed without a key: set {variable}_FILE or `{key}`"));
                    return Vec::new();
                }
            },
        };
        let mut keys = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let Some((id, place)) = part.split_once(':').and_then(|(id, place)| Some((id.parse::<u8>().ok()?, place)))
            else {
                self.wrong(
                    key,
                    "must be ID:PATH or ID:env:NAME for each key, separated by commas; an ID is from 0 to 255",
                );
                continue;
            };
            let (field, value) = match place.strip_prefix("env:") {
                Some(name) => ("secret_env", name),
                None => ("secret_file", place),
            };
            keys.push(toml::Table::from_iter([
                ("id".to_owned(), toml::Value::from(i64::from(id))),
                (field.to_owned(), toml::Value::from(value)),
            ]));
        }
        keys
    }

    /// Comma-separated names.
    pub fn names(&mut self, key: &str) -> Vec<String> {
        let text = self.text(key);
        let names: Vec<String> =
            text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        if names.is_empty() || names.iter().any(|name| !is_name(name)) {
            self.wrong(key, "must be names of lower-case letters, digits and dashes, separated by commas");
        }
        names
    }

    /// The value that `parse` makes of the text; `wanted` completes the sentence "… must be".
    pub fn parsed<T>(&mut self, key: &str, wanted: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let text = self.text(key);
        let parsed = parse(&text);
        if parsed.is_none() {
            self.wrong(key, &format!("must be {wanted}"));
        }
        parsed
    }

    /// Name of this machine or pod, where the surroundings tell it.
    pub fn host(&self) -> Option<String> {
        self.layers.host()
    }

    /// A channel's section.
    pub fn section(&self, channel: &str) -> toml::Table {
        self.layers.section(channel)
    }

    /// Names of the channels that have a section in the file.
    pub fn sectioned(&self) -> Vec<String> {
        self.layers.sectioned()
    }

    /// Keys of librdkafka's properties that any layer has.
    pub fn kafka_keys(&self) -> Vec<String> {
        self.layers.kafka_keys()
    }

    /// Something is wrong that is not about one key alone.
    pub fn problem(&mut self, sentence: String) {
        self.problems.push(sentence);
    }

    /// Something else is wrong with this key's value. Says where the value came from, never the value of a secret.
    pub fn wrong(&mut self, key: &str, must: &str) {
        let Some(found) = self.layers.find(key) else {
            return self.problems.push(format!("{key} is not set and {must}: set {}", variable_of(key)));
        };
        let shown = if super::catalogue::is_secret(key) { String::new() } else { format!(" `{}`", found.value) };
        let place = match found.from {
            From::Default => String::new(),
            From::Flag => " (from the command line)".to_owned(),
            From::File => format!(" (from {})", self.layers.path()),
            variable @ From::Variable(_) => format!(" (from {variable})"),
        };
        self.problems.push(format!("{key}{shown}{place} {must}"));
    }
}

fn is_name(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}
