//! The manual: a guide with campaigns to begin from, then every key, value, name and reason, from the tables of the program.

use schemas::Reason;

use crate::calendar::spell;
use crate::channel::Channel;
use crate::language::{TRIGGERS, VALUES};
use crate::limits;
use crate::predicate::{FUNCTIONS, Vocabulary, of_item, of_profile};

use super::{keys, schema};

/// The manual of the campaign language, in Markdown.
pub fn manual() -> String {
    let campaign = keys::chapters(&schema::campaign(), "The campaign");
    let prices = keys::chapters(&schema::prices(), "The price table");
    let rates = keys::chapters(&schema::rates(), "The table of rates");
    let caps = keys::chapters(&schema::caps(), "The caps");
    [
        include_str!("guide.md"),
        &campaign,
        &prices,
        &rates,
        &caps,
        &values(),
        &expressions(),
        &channels(),
        &bounds(),
        &reasons(),
    ]
    .join("\n")
}

/// What may stand at a key.
fn values() -> String {
    let kinds = VALUES.iter().map(|(title, explanation)| format!("- **{title}**: {explanation}\n"));
    format!("## Values\n\n{}", kinds.collect::<String>())
}

fn expressions() -> String {
    let mut text = String::from(include_str!("expressions.md"));
    for (name, kind) in TRIGGERS {
        let names = Vocabulary::of_trigger(*kind);
        text.push_str(&format!("\n### With `on: {name}`\n\n{}", fields(names.described())));
        let more = [(names.has_items(), "`items`"), (names.has_attributes(), "`attributes`")];
        let more: Vec<&str> = more.into_iter().filter_map(|(is_there, name)| is_there.then_some(name)).collect();
        if !more.is_empty() {
            text.push_str(&format!("\nAnd {}.\n", more.join(" and ")));
        }
    }
    text.push_str(&format!("\n### An item of `items`\n\n{}", fields(of_item())));
    text.push_str(&format!("\n### `profile`, beside `profile.attributes`\n\n{}", fields(of_profile())));
    let functions = FUNCTIONS.iter().map(|function| [code(function.example), function.meaning.to_owned()]);
    text.push_str(&format!("\n### Functions\n\n{}", table(["for example", "which means"], functions)));
    text
}

fn fields(fields: impl Iterator<Item = (&'static str, &'static str, &'static str)>) -> String {
    table(["name", "is", "says"], fields.map(|(name, of, meaning)| [code(name), of.to_owned(), meaning.to_owned()]))
}

fn channels() -> String {
    let yes = |is_so: bool| if is_so { "yes" } else { "no" }.to_owned();
    let rows = Channel::all().iter().map(|channel| {
        let within = if channel.word_within > 0 { spell(channel.word_within) } else { String::new() };
        let (arrival, opening) = (yes(channel.delivered), yes(channel.opened));
        [code(channel.name), arrival, within, opening, yes(channel.person), yes(channel.paid)]
    });
    let heads =
        ["channel", "tells of arrival", "usually within", "tells of opening", "a person does it", "costs money"];
    format!(
        "## Channels\n\nWhat becomes known of a message, as a rule. `stop` and `next_if` rest on it. Whoever waits for less than is usual \
         goes on before a word can have come: `cascade check` warns of it.\n\n{}",
        table(heads, rows)
    )
}

fn bounds() -> String {
    let days = limits::LONGEST / (24 * 60 * 60 * 1000);
    format!(
        "## Bounds\n\n\
         - A campaign has at most {} messages; each channel of `any` counts as one.\n\
         - For one customer at most {} cascades run at a time; what would begin a further one is refused.\n\
         - A cascade that reaches nobody ends at once, and what is `on: end` of it follows at the same moment, however long the row of \
         campaigns is. Each of them begins at most {} times at one moment; then it is refused, with `OFTEN_ENOUGH`.\n\
         - No length of time is longer than {days} days, no name longer than {} characters.\n\
         - Of what customers did, {} actions are remembered that some campaign asks for, each with its `key`, and the last {} cascades. \
         What is forgotten first are old actions of which the customer did the same again: so sixteen later orders do not hide \
         that he bought for school; and of cascades those that no campaign asks for, then older ones of the same campaign. As long as a \
         `cooldown` is not over, it is remembered for each `key`, {} of them at most. Of goals with a condition, {} that were fulfilled are remembered.\n",
        limits::OPTIONS,
        limits::INSTANCES,
        limits::AT_ONCE,
        limits::NAME_LENGTH,
        limits::DONE,
        limits::PAST,
        limits::PAST_ASKED_FOR,
        limits::FULFILLED,
    )
}

/// The words of the journal and of rehearsals.
fn reasons() -> String {
    let rows = Reason::ALL.iter().skip(1).map(|reason| [code(&reason.to_string()), reason.sentence().to_owned()]);
    format!(
        "## Reasons\n\nEvery decision is written down with its reason. `cascade journal` tells them in sentences; a timeline, and \
         the metrics, call them by these words.\n\n{}",
        table(["reason", "which means"], rows)
    )
}

fn table<const N: usize>(heads: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let heads = line(&heads.map(str::to_owned)) + &line(&[(); N].map(|()| "---".to_owned()));
    rows.fold(heads, |text, cells| text + &line(&cells.map(|cell| cell.replace('|', "\\|"))))
}

fn code(text: &str) -> String {
    format!("`{text}`")
}
