//! The chapters about keys, from the schema.

use serde_json::{Map, Value};

/// A chapter for a definition as such, and one for each group of keys in it.
pub(super) fn chapters(schema: &Value, title: &str) -> String {
    let mut text = chapter(title, None, schema);
    for (name, schema) in keys(schema) {
        if let Some(group) = group(schema) {
            text.push_str(&chapter(&format!("{title}: `{name}`"), Some((name, schema)), group));
        }
    }
    text
}

/// All keys of a group.
fn chapter(title: &str, of: Option<(&str, &Value)>, group: &Value) -> String {
    let intro = of.map_or_else(String::new, |(_, schema)| format!("{}\n\n", string(schema, "description")));
    let required = group["required"].as_array().map_or(&[][..], Vec::as_slice);
    let place = of.map_or_else(String::new, |(name, _)| format!(" of `{name}`"));
    let keys = keys(group).map(|(name, schema)| {
        let is_required = required.iter().any(|known| known == name);
        format!("### `{name}`{place}\n\n{}", key(name, schema, is_required))
    });
    format!("## {title}\n\n{intro}{}", keys.collect::<String>())
}

fn key(name: &str, schema: &Value, is_required: bool) -> String {
    let mut lines = vec![string(schema, "description").to_owned()];
    let otherwise = match (is_required, schema.get("default")) {
        (true, _) => " It must be there.".to_owned(),
        (_, Some(default)) => format!(" Without it: `{}`.", written(default)),
        _ => String::new(),
    };
    lines.push(format!("Value: {}.{otherwise}", kind(schema)));
    let examples = schema["examples"].as_array().map_or(&[][..], Vec::as_slice);
    let examples: Vec<String> = examples.iter().map(|example| format!("`{name}: {}`", written(example))).collect();
    lines.push(format!("For example: {}", examples.join(" or ")));
    lines.join("\n\n") + "\n\n"
}

/// What can stand there, in words.
fn kind(schema: &Value) -> String {
    if let Some(title) = schema["title"].as_str() {
        return format!("[{title}]({})", if title == "a channel" { "#channels" } else { "#values" });
    }
    if let Some(options) = schema["anyOf"].as_array() {
        return options.iter().map(kind).collect::<Vec<_>>().join(", or ");
    }
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<String> = words.iter().map(|word| format!("`{}`", written(word))).collect();
        return words.join(", ");
    }
    match schema["type"].as_str() {
        Some("array") if group(schema).is_some() => "a list of groups of keys, see below".to_owned(),
        Some("array") => format!("a list, each of {}", kind(&schema["items"])),
        Some("object") => "a group of keys, see below".to_owned(),
        Some("boolean") => "`true` or `false`".to_owned(),
        Some("integer") => match schema["minimum"].as_i64() {
            Some(minimum) => format!("a whole number, at least {minimum}"),
            None => "a whole number".to_owned(),
        },
        _ => "[a word](#values)".to_owned(),
    }
}

/// The group of keys that stands at a key, alone or in a list.
fn group(schema: &Value) -> Option<&Value> {
    [schema, &schema["items"]].into_iter().find(|schema| schema.get("properties").is_some())
}

fn keys(group: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let keys = group["properties"].as_object().into_iter().flat_map(Map::iter);
    keys.map(|(name, schema)| (name.as_str(), schema))
}

fn string<'s>(schema: &'s Value, name: &str) -> &'s str {
    schema[name].as_str().unwrap_or_default()
}

/// A value as one line of YAML.
fn written(value: &Value) -> String {
    match value {
        Value::String(word) if is_plain(word) => word.clone(),
        Value::Array(list) => format!("[{}]", list.iter().map(written).collect::<Vec<_>>().join(", ")),
        Value::Object(keys) => {
            let keys = keys.iter().map(|(name, value)| format!("{name}: {}", written(value)));
            format!("{{{}}}", keys.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// Whether a word needs no quotes anywhere.
fn is_plain(word: &str) -> bool {
    let begins = word.starts_with(|first: char| first.is_ascii_alphanumeric());
    begins && !word.contains([',', '[', ']', '{', '}', '"', '#']) && !word.contains(": ") && !word.ends_with(':')
}
