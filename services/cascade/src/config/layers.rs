//! Where a value comes from: flag > environment > file > default.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::catalogue::{CHANNEL, KAFKA, is_secret, setting_of, variable_of};
use super::surroundings::Surroundings;

/// The layers of one run. Holds strings only; what they mean is read later.
pub struct Layers<'a> {
    flags: BTreeMap<String, String>,
    surroundings: &'a dyn Surroundings,
    path: Option<PathBuf>,
    file: BTreeMap<String, String>,
    sections: toml::Table,
    /// What is wrong with the layers as such.
    pub problems: Vec<String>,
}

/// A value and where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The text, as it was given.
    pub value: String,
    /// Who said so.
    pub from: From,
}

/// Who said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// The command line.
    Flag,
    /// This environment variable.
    Variable(String),
    /// The configuration file.
    File,
    /// Nobody.
    Default,
}

impl fmt::Display for From {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            From::Flag => f.write_str("flag"),
            From::Variable(name) => write!(f, "${name}"),
            From::File => f.write_str("file"),
            From::Default => f.write_str("default"),
        }
    }
}

impl<'a> Layers<'a> {
    /// Puts the layers together. Problems are kept, not returned: they are reported with all others.
    pub fn new(flags: BTreeMap<String, String>, config: Option<&Path>, surroundings: &'a dyn Surroundings) -> Self {
        let path = config.map(Path::to_path_buf).or_else(|| surroundings.variable("CASCADE_CONFIG").map(PathBuf::from));
        let mut layers = Layers {
            flags,
            surroundings,
            path,
            file: BTreeMap::new(),
            sections: toml::Table::new(),
            problems: Vec::new(),
        };
        if let Some(path) = layers.path.clone() {
            layers.read_file(&path);
        }
        layers.refuse_unknown();
        layers
    }

    /// The value of a key, by the first layer that has one.
    pub fn find(&mut self, key: &str) -> Option<Found> {
        if let Some(value) = self.flags.get(key) {
            return Some(Found { value: value.clone(), from: From::Flag });
        }
        if let Some(found) = self.find_variable(key) {
            return Some(found);
        }
        if let Some(value) = self.file.get(key) {
            return Some(Found { value: value.clone(), from: From::File });
        }
        let default = setting_of(key)?.default?;
        Some(Found { value: default.to_owned(), from: From::Default })
    }

    fn find_variable(&mut self, key: &str) -> Option<Found> {
        let name = variable_of(key);
        let direct = self.surroundings.variable(&name);
        let file = format!("{name}_FILE");
        let path = self.surroundings.variable(&file);
        match (direct, path) {
            (Some(_), Some(_)) => {
                self.problems.push(format!("{name} and {file} are both set: unset one of them"));
                None
            }
            (Some(value), None) => Some(Found { value, from: From::Variable(name) }),
            (None, Some(path)) => match self.surroundings.file(Path::new(&path)) {
                Ok(text) => {
                    Some(Found { value: text.trim_end_matches(['\r', '\n']).to_owned(), from: From::Variable(file) })
                }
                Err(error) => {
                    self.problems.push(format!(
                        "{file} names {path}, which cannot be read ({error}): check the path and its permissions"
                    ));
                    None
                }
            },
            (None, None) => None,
        }
    }

    /// An environment variable that is no setting's.
    pub fn variable(&self, name: &str) -> Option<String> {
        self.surroundings.variable(name).filter(|value| !value.is_empty())
    }

    /// The configuration file; empty where there is none.
    pub fn path(&self) -> String {
        self.path.as_ref().map_or_else(String::new, |path| path.display().to_string())
    }

    /// `$HOSTNAME`: a pod's name where there are pods.
    pub fn host(&self) -> Option<String> {
        self.variable("HOSTNAME")
    }

    /// Keys of librdkafka's properties that any layer has.
    pub fn kafka_keys(&self) -> Vec<String> {
        let mut keys: Vec<String> =
            self.flags.keys().chain(self.file.keys()).filter(|key| key.starts_with(KAFKA)).cloned().collect();
        keys.extend(self.surroundings.variables().iter().filter_map(|name| kafka_key(name)));
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// A channel's section: the file's, with the environment and the flags laid over it.
    pub fn section(&self, channel: &str) -> toml::Table {
        let mut section = self.sections.get(channel).and_then(toml::Value::as_table).cloned().unwrap_or_default();
        let prefix = format!("{CHANNEL}{channel}.");
        let start = variable_of(&prefix);
        let mut names = self.surroundings.variables();
        // A table comes before what is said of a part of it.
        names.sort_unstable();
        for name in names {
            let Some(value) = name.strip_prefix(&start).and_then(|_| self.surroundings.variable(&name)) else {
                continue;
            };
            put(&mut section, &name[start.len()..].to_lowercase().replace("__", "."), value_of(&value));
        }
        for (key, value) in &self.flags {
            if let Some(field) = key.strip_prefix(&prefix) {
                put(&mut section, field, value_of(value));
            }
        }
        section
    }

    /// Names of the channels that have a section in the file.
    pub fn sectioned(&self) -> Vec<String> {
        self.sections.keys().cloned().collect()
    }

    fn read_file(&mut self, path: &Path) {
        let text = match self.surroundings.file(path) {
            Ok(text) => text,
            Err(error) => {
                let path = path.display();
                return self
                    .problems
                    .push(format!("the configuration file {path} cannot be read ({error}): check --config"));
            }
        };
        match text.parse::<toml::Table>() {
            Ok(mut table) => {
                match table.remove("channel") {
                    None => {}
                    Some(toml::Value::Table(sections)) => self.sections = sections,
                    Some(_) => self.problems.push("channel must be a table: write [channel.sms] and so on".to_owned()),
                }
                let (flat, table): (toml::Table, toml::Table) =
                    table.into_iter().partition(|(key, _)| key.starts_with(CHANNEL));
                self.take_flat_sections(flat);
                flatten("", table, &mut self.file, &mut self.problems);
            }
            Err(error) => {
                let place = error.span().map_or(1, |span| text[..span.start.min(text.len())].lines().count().max(1));
                let path = path.display();
                self.problems.push(format!("{path}, line {place}: {}: correct the TOML", error.message()));
            }
        }
    }

    /// A file that a program wrote may have dotted keys as they are: `"channel.sms.transport.kind" = "http"`. Their values are what they are
    /// in TOML: a sender of digits in quotes is a text.
    fn take_flat_sections(&mut self, flat: toml::Table) {
        for (key, value) in flat {
            put(&mut self.sections, &key[CHANNEL.len()..], value);
        }
    }

    fn refuse_unknown(&mut self) {
        let open = |key: &str| key.starts_with(KAFKA) || key.starts_with(CHANNEL);
        let unknown = |key: &&String| !open(key) && setting_of(key).is_none();
        let from_flags = self.flags.keys().filter(unknown).map(|key| format!("--set {key}: there is no such setting"));
        let path = self.path();
        let from_file = self.file.keys().filter(unknown).map(|key| format!("{path}: there is no setting `{key}`"));
        let advice = "`cascade config explain` lists all";
        let mut problems: Vec<String> =
            from_flags.chain(from_file).map(|problem| format!("{problem}: {advice}")).collect();
        for key in self.flags.keys().filter(|key| is_secret(key)) {
            problems.push(format!(
                "{key} is a secret and must not stand on the command line: use {} or {}_FILE",
                variable_of(key),
                variable_of(key)
            ));
        }
        self.problems.extend(problems);
    }
}

/// `CASCADE_KAFKA_SASL_PASSWORD` is `kafka.sasl.password`: no property of librdkafka has an underscore in its name.
fn kafka_key(variable: &str) -> Option<String> {
    let property = variable.strip_prefix("CASCADE_KAFKA_")?;
    // Kubernetes describes a service called `cascade-kafka` by variables of these names.
    if property.starts_with("SERVICE_") || property == "PORT" || property.starts_with("PORT_") {
        return None;
    }
    let key = format!("{KAFKA}{}", property.to_lowercase().replace('_', "."));
    match key.strip_suffix(".file") {
        Some(property) if !PATHS.contains(&key.as_str()) => Some(property.to_owned()),
        _ => Some(key),
    }
}

/// Properties of librdkafka that end like a variable which names a file.
const PATHS: [&str; 2] =
    ["kafka.sasl.oauthbearer.assertion.private.key.file", "kafka.sasl.oauthbearer.assertion.jwt.template.file"];

fn flatten(prefix: &str, table: toml::Table, flat: &mut BTreeMap<String, String>, problems: &mut Vec<String>) {
    for (name, value) in table {
        let key = format!("{prefix}{name}");
        match text_of(&value) {
            Some(text) => drop(flat.insert(key, text)),
            None => match value {
                toml::Value::Table(inner) => flatten(&format!("{key}."), inner, flat, problems),
                _ => problems.push(format!("{key} must be a text, a number, true, false or a list of these")),
            },
        }
    }
}

/// What the environment or the command line says of a section. What reads as a number, truth, list or table of TOML is one; quotes around it
/// make it a text.
fn value_of(text: &str) -> toml::Value {
    let plain = text.parse::<i64>().is_ok() || text == "true" || text == "false" || text.starts_with(['"', '[', '{']);
    let value = plain.then(|| format!("value = {text}").parse::<toml::Table>().ok()?.remove("value")).flatten();
    value.unwrap_or_else(|| toml::Value::String(text.to_owned()))
}

/// Puts a value into a section, at a dotted place.
fn put(section: &mut toml::Table, place: &str, value: toml::Value) {
    match place.split_once('.') {
        None => drop(section.insert(place.to_owned(), value)),
        Some((name, rest)) => {
            let inner = section.entry(name).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            if !inner.is_table() {
                *inner = toml::Value::Table(toml::Table::new());
            }
            if let toml::Value::Table(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

fn text_of(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(truth) => Some(truth.to_string()),
        toml::Value::Array(items) => items.iter().map(text_of).collect::<Option<Vec<_>>>().map(|items| items.join(",")),
        _ => None,
    }
}
