//! A channel worker's settings: its section, and what it shares with the tracker.

use channels::transport::KINDS;
use serde::Deserialize;

use super::Common;
use super::catalogue::CHANNEL;
use super::reader::Reader;

/// Reads the section `channel.<name>` and completes it by what holds for all channels. None only if there are problems.
pub fn channel(name: &str, common: &Common, reader: &mut Reader<'_>) -> Option<channels::Config> {
    let known = &common.channels;
    if !known.iter().any(|channel| channel == name) {
        reader.problem(format!("there is no channel {name}: add it to the setting `channels` ({})", known.join(",")));
        return None;
    }
    let mut section = reader.section(name);
    if section.is_empty() {
        let kinds: Vec<&str> = KINDS.iter().map(|(kind, _)| *kind).collect();
        let example = format!("write [{CHANNEL}{name}.transport] with `kind` and so on into the configuration file");
        let kinds = format!("kinds are {}", kinds.join(", "));
        reader.problem(format!("channel {name} has no section, so nobody knows its provider: {example}; {kinds}"));
        return None;
    }
    section.insert("channel".to_owned(), name.into());
    let templates = reader.text("templates.dir");
    section.entry("templates").or_insert_with(|| templates.into());
    if let Some(tracking) = tracking(reader) {
        section.entry("tracking").or_insert(tracking);
    }
    match channels::Config::deserialize(toml::Value::Table(section)) {
        Ok(config) => {
            let within = config.problems_within(common.kafka.session_timeout());
            config.problems().into_iter().chain(within).for_each(|problem| reader.problem(problem));
            Some(config)
        }
        Err(error) => {
            reader.problem(format!("{CHANNEL}{name}: {}: correct the section", error.message()));
            None
        }
    }
}

/// How links to the tracker are made; none without `tracker.url`.
fn tracking(reader: &mut Reader<'_>) -> Option<toml::Value> {
    let url = reader.optional("tracker.url").filter(|url| !url.is_empty())?;
    let keys: Vec<toml::Value> =
        reader.keys("tracker.keys", "tracker.secret").into_iter().map(toml::Value::Table).collect();
    let mut tracking = toml::Table::new();
    tracking.insert("base_url".to_owned(), url.trim_end_matches('/').into());
    tracking.insert("keys".to_owned(), keys.into());
    Some(tracking.into())
}
