//! Dead letters for people to read. Never a value: it holds personal data, and whoever may see it reads the topic.

use std::fmt::Write;

use comfy_table::{Table, presets::NOTHING};
use schemas::dead_letter;

use super::letter::Letter;
use crate::times;

/// A line for each: where it came from and why it was refused.
pub fn table(letters: &[Letter], limit: usize, topic: &str) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["at", "place", "customer", "stage", "code", "came from", "redriven", "what is wrong"]);
    for letter in letters.iter().take(limit) {
        table.add_row([
            times::utc(letter.at),
            letter.place().to_string(),
            letter.customer(),
            letter.header(dead_letter::STAGE),
            letter.header(dead_letter::CODE),
            source(letter),
            [letter.redriven().to_string(), letter.done.clone().unwrap_or_default()].join(" ").trim_end().to_owned(),
            letter.header(dead_letter::MESSAGE),
        ]);
    }
    format!("{}\n{} dead letters in {topic}\n", table.trim_fmt(), letters.len())
}

/// Everything about each but its value.
pub fn whole(letters: &[Letter]) -> String {
    let mut text = String::new();
    for letter in letters {
        let omitted = letter.header(dead_letter::OMITTED);
        let size = match &letter.value {
            Some(value) => format!("{} bytes, not shown{}", value.len(), frame(value)),
            None if omitted.is_empty() => "none, a tombstone".to_owned(),
            None => format!("too large to be kept here: {omitted} bytes stayed where it came from"),
        };
        let _ = writeln!(text, "{} at {}", letter.place(), times::utc(letter.at));
        let _ = writeln!(text, "  key    {}\n  value  {size}\n  from   {}", letter.customer(), source(letter));
        if let Some(done) = &letter.done {
            let _ = writeln!(text, "  done   {done}");
        }
        for (name, value) in &letter.headers {
            let _ = writeln!(text, "  {name}: {}", String::from_utf8_lossy(value));
        }
    }
    text
}

/// The schema that the bytes say they are of.
fn frame(value: &[u8]) -> String {
    match value {
        [0, a, b, c, d, ..] => format!(", schema id {}", u32::from_be_bytes([*a, *b, *c, *d])),
        _ => ", no Confluent frame".to_owned(),
    }
}

fn source(letter: &Letter) -> String {
    [dead_letter::TOPIC, dead_letter::PARTITION, dead_letter::OFFSET].map(|name| letter.header(name)).join("/")
}
