//! The tracker's settings.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::reader::Reader;

/// Reads the tracker's settings. None only if there are problems.
pub fn tracker(reader: &mut Reader<'_>) -> Option<tracker::Config> {
    let mut table = toml::Table::new();
    table.insert("listen".to_owned(), reader.address("tracker.listen").to_string().into());
    table.insert("linger_seconds".to_owned(), reader.number::<i64>("tracker.linger", 0..=600).into());
    let keys: Vec<toml::Value> =
        reader.keys("tracker.keys", "tracker.secret").into_iter().map(toml::Value::Table).collect();
    if keys.is_empty() {
        return None;
    }
    table.insert("keys".to_owned(), keys.into());
    table.insert("providers".to_owned(), signers(reader, "tracker.providers").into());
    table.insert("producers".to_owned(), signers(reader, "tracker.producers").into());
    table.insert("hooks".to_owned(), hooks(reader).into());
    match tracker::Config::deserialize(toml::Value::Table(table)) {
        Ok(config) => {
            config.problems().into_iter().for_each(|problem| reader.problem(format!("tracker: {problem}")));
            Some(config)
        }
        Err(error) => {
            reader.problem(format!("tracker: {}", error.message()));
            None
        }
    }
}

/// The channels whose sections have a part `hook`.
fn hooks(reader: &mut Reader<'_>) -> Vec<toml::Value> {
    let mut hooks = Vec::new();
    for channel in reader.names("channels") {
        let mut section = reader.section(&channel);
        let Some(hook) = section.remove("hook") else { continue };
        let named = section.get("provider").and_then(toml::Value::as_str).filter(|name| !name.is_empty());
        let provider = named.unwrap_or(&channel).to_owned();
        hooks.push(toml::Value::Table(toml::Table::from_iter([
            ("channel".to_owned(), channel.into()),
            ("provider".to_owned(), provider.into()),
            ("hook".to_owned(), hook),
        ])));
    }
    hooks
}

/// What is told of somebody who may post.
#[derive(Default)]
struct Signer<'a> {
    channels: Option<Vec<&'a str>>,
    files: Vec<toml::Value>,
    variables: Vec<toml::Value>,
}

/// Who may post, each with the places of his secrets and, behind an @, his channels: one name may stand there several times.
pub(super) fn signers(reader: &mut Reader<'_>, key: &str) -> Vec<toml::Value> {
    let text = reader.text(key);
    let mut signers: BTreeMap<&str, Signer<'_>> = BTreeMap::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        match part.split_once(':') {
            None => reader.wrong(key, "must be NAME:PATH or NAME:env:VARIABLE for each of them, separated by commas"),
            Some((who, place)) => {
                let (name, channels) = who
                    .split_once('@')
                    .map_or((who, Vec::new()), |(name, channels)| (name, channels.split('+').map(str::trim).collect()));
                let signer = signers.entry(name).or_default();
                if signer.channels.get_or_insert_with(|| channels.clone()) != &channels {
                    reader.wrong(key, "must give a name that stands there several times the same channels each time");
                }
                match place.strip_prefix("env:") {
                    Some(variable) => signer.variables.push(variable.into()),
                    None => signer.files.push(place.into()),
                }
            }
        }
    }
    let table = |(name, signer): (&str, Signer<'_>)| {
        let channels: Vec<toml::Value> = signer.channels.into_iter().flatten().map(toml::Value::from).collect();
        toml::Value::Table(toml::Table::from_iter([
            ("name".to_owned(), name.into()),
            ("secret_files".to_owned(), signer.files.into()),
            ("secret_envs".to_owned(), signer.variables.into()),
            ("channels".to_owned(), channels.into()),
        ]))
    };
    signers.into_iter().map(table).collect()
}
