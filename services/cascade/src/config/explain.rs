//! `cascade config explain`: each setting, its value and who set it. Secrets are named, not shown.

use std::io::Write;

use comfy_table::{Table, presets::NOTHING};

use super::catalogue::{CHANNEL, SETTINGS, is_secret, variable_of};
use super::flags::Flags;
use super::surroundings::Surroundings;
use crate::failure::{Exit, Failure};

/// A table of all settings as they would hold for a run with these flags and surroundings. It is written to `out` where
/// something is wrong with them: then above all one wants to see it.
///
/// # Errors
/// `Usage`, with all problems of the layers, one on each line.
pub fn explain(flags: &Flags, surroundings: &dyn Surroundings, out: &mut impl Write) -> Result<String, Failure> {
    let mut layers = flags.layers(surroundings);
    let mut keys: Vec<String> = SETTINGS.iter().map(|setting| setting.key.to_owned()).collect();
    keys.extend(layers.kafka_keys());
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(["setting", "value", "from", "environment"]);
    for key in keys {
        let (value, from) = match layers.find(&key) {
            Some(found) if is_secret(&key) => ("(hidden)".to_owned(), found.from.to_string()),
            Some(found) => (found.value, found.from.to_string()),
            None => ("-".to_owned(), "-".to_owned()),
        };
        let variable = variable_of(&key);
        table.add_row([key, value, from, variable]);
    }
    let channels = layers.find("channels").map(|found| found.value).unwrap_or_default();
    for channel in channels.split(',').map(str::trim) {
        let section = layers.section(channel);
        rows(&format!("{CHANNEL}{channel}"), &section, &mut table);
    }
    let table = format!("{}\n", table.trim_fmt());
    if layers.problems.is_empty() {
        return Ok(table);
    }
    // Whoever closed the pipe has seen enough.
    let _ = out.write_all(table.as_bytes());
    Err(Failure::new(Exit::Usage, layers.problems.join("\n")))
}

/// What is set in a channel's section, field by field.
fn rows(prefix: &str, section: &toml::Table, table: &mut Table) {
    for (name, value) in section {
        let key = format!("{prefix}.{name}");
        match value {
            toml::Value::Table(inner) => rows(&key, inner, table),
            _ => {
                let shown = if is_secret(&key) { "(hidden)".to_owned() } else { value.to_string() };
                let variable = variable_of(&key);
                table.add_row([key, shown, "section".to_owned(), variable]);
            }
        }
    }
}
