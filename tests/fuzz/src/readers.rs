//! Everything that reads what others wrote, as fuzz targets see it: whatever comes, reading ends, without a panic, and says what is
//! wrong. What can be read is used as well, so that nothing dangerous is let in.
//!
//! `tests/fuzz.sh` searches for hours if one likes; the tests of the crate `campaign` throw a little at the same functions each time.

use std::fmt::Debug;

use campaign::rehearsal::Timeline;
use campaign::{Plans, Prices, Problem, Rates};
use channels::bounce;
use channels::transport::smpp::receipt::{self, Parameters};
use schemas::token::Keyring;
use schemas::{Campaign, CampaignKind, Customer, Record};

/// A life in which each kind of trigger comes, and time in which deadlines fall due.
const LIFE: &str = "0 has email push sms
0 profile city=Omsk birthday=2000-02-29 locale=ru-RU
0 registers
1m cart c1 1 5000 category=toys
2m does purchase o1 amount_minor=500 sku=A1 category=toys starts_at=2026-06-02
3m silent 31
1h time passes
";

/// Conditions at their three places. The texts are their own YAML.
const CONDITIONS: [&str; 3] = [
    "{campaign: c, version: 1, trigger: {on: cart, key: cart_id, where: TEXT}, steps: [{name: a, channel: email, template: t}]}",
    "{campaign: c, version: 1, trigger: {on: action, action: purchase, key: TEXT}, steps: [{name: a, channel: email, template: t}]}",
    "{campaign: c, version: 1, trigger: {on: registration}, goal: {action: purchase, where: TEXT},
      steps: [{name: a, channel: email, template: t, wait: 1m}, {name: b, channel: push, template: t, when: TEXT}]}",
];

/// A campaign's definition; what is accepted is drawn and lived through.
pub fn campaign(text: &str) {
    match campaign::parse("fuzz", text) {
        Ok(plan) => {
            shown(&plan.warnings);
            assert!(!campaign::picture::text(&plan).is_empty() && !campaign::picture::mermaid(&plan).is_empty());
            live(text, LIFE);
        }
        Err(problems) => refused(&problems),
    }
}

/// A table of prices or of rates.
pub fn prices(text: &str) {
    for problems in [Prices::parse("fuzz", text).err(), Rates::parse("fuzz", text).err()].into_iter().flatten() {
        refused(&problems);
    }
}

/// A condition, or a key, in a campaign that is fine otherwise.
pub fn condition(text: &str) {
    let quoted = serde_json::Value::from(text).to_string();
    for place in CONDITIONS {
        let definition = place.replace("TEXT", &quoted);
        match campaign::parse("fuzz", &definition) {
            Ok(_) => live(&definition, LIFE),
            Err(problems) => refused(&problems),
        }
    }
}

/// A row as it comes, and behind our own frame; what can be read is written so that the same is read again.
pub fn row(bytes: &[u8]) {
    let framed = [&[0], Customer::ID.to_be_bytes().as_slice(), bytes].concat();
    for bytes in [bytes, &framed] {
        match schemas::decode::<Customer>(bytes) {
            Ok(row) => same(&schemas::decode(&schemas::encode(&row)), &Ok(row)),
            Err(error) => assert!(!error.code().is_empty()),
        }
    }
}

/// A timeline; what can be read is lived through.
pub fn timeline(text: &str) {
    const CAMPAIGN: &str = "{campaign: c, version: 1, trigger: {on: cart, key: cart_id, settle: 1h, again: refresh},
        goal: {action: purchase}, steps: [{name: free, any: [push, email], template: t, wait: 3h}, {name: sms, channel: sms, template: t}]}";
    live(CAMPAIGN, text);
}

/// A mail that came back. Nobody but us can sign, so a report is about one of our sends or says why not.
pub fn bounce(bytes: &[u8]) {
    let keys = Keyring::new(vec![(1, b"links are signed with this secret".to_vec())]);
    match bounce::read(bytes, &keys.expect("a key")) {
        Ok(bounce) => assert!(bounce.code.is_none_or(|code| code.starts_with("dsn_") || code.starts_with("arf_"))),
        Err(useless) => assert!(!useless.as_str().is_empty()),
    }
}

/// A receipt's text; what is read of it may be shown.
pub fn receipt(bytes: &[u8]) {
    let Some(receipt) = receipt::read(bytes, &Parameters::default(), &["1".to_owned()]) else { return };
    assert!(!receipt.id.is_empty() && !receipt.id.contains(char::is_whitespace));
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    assert!(receipt.code.is_none_or(|code| code.len() <= 64 && code.chars().all(plain)), "no address slips through");
}

fn live(definition: &str, timeline: &str) {
    let mut plans = Plans::default();
    let definition = definition.to_owned();
    let record = Campaign { kind: CampaignKind::Definition, definition, version: 1, ..Campaign::default() };
    // What stands in the record beside the definition is not what is examined here: a name of its own is refused.
    let applied = campaign::parse("fuzz", &record.definition)
        .map(|plan| plans.apply(&Campaign { campaign: plan.name, version: plan.version, ..record }));
    assert!(matches!(applied, Ok(Ok(_))), "what can be read can be put in force");
    match Timeline::parse("fuzz", timeline) {
        Ok(timeline) => match timeline.play(plans) {
            Ok(world) => {
                let _ = timeline.difference(&world);
            }
            Err(problems) => refused(&problems),
        },
        Err(problems) => refused(&problems),
    }
}

/// Nobody is refused without a word.
fn refused(problems: &[Problem]) {
    assert!(!problems.is_empty());
    shown(problems);
}

fn shown(problems: &[Problem]) {
    assert!(problems.iter().all(|problem| !problem.to_string().is_empty()));
}

fn same<T: PartialEq + Debug>(found: &T, wanted: &T) {
    assert_eq!(found, wanted);
}
