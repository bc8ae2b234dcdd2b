//! The schema for editors and the manual say what the checker says. A key that is new in the language fails here until it is
//! explained and has an example that works.

mod world;

use std::path::{Path, PathBuf};

use campaign::rehearsal::Timeline;
use campaign::{Caps, Plan, Plans, Prices, Rates, reference};
use jsonschema::Validator;
use schemas::{Campaign, CampaignKind};
use serde_json::{Map, Value, json};

const CAMPAIGNS: &str = "../../deploy/campaigns";

/// What is made of the language and kept in the repository, for those who have no program at hand.
fn kept() -> [(&'static str, String); 5] {
    [
        ("LANGUAGE.md", reference::manual()),
        ("campaign.schema.json", format!("{:#}\n", reference::campaign())),
        ("prices.schema.json", format!("{:#}\n", reference::prices())),
        ("rates.schema.json", format!("{:#}\n", reference::rates())),
        ("caps.schema.json", format!("{:#}\n", reference::caps())),
    ]
}

#[test]
fn the_manual_and_the_schemas_in_the_repository_are_those_of_this_language() {
    for (name, wanted) in kept() {
        let path = beside(CAMPAIGNS).join(name);
        if std::env::var_os("UPDATE_MANUAL").is_some() {
            std::fs::write(&path, &wanted).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(found == wanted, "{name} is out of date: UPDATE_MANUAL=1 cargo test -p campaign --test reference");
    }
}

#[test]
fn every_campaign_and_table_of_the_examples_fits_its_schema() {
    let campaign = validator(&reference::campaign());
    let tables = [("prices", validator(&reference::prices())), ("rates", validator(&reference::rates()))];
    for path in files() {
        let table = tables.iter().find(|(name, _)| path.ends_with(format!("{name}.yaml")));
        let schema = table.map_or(&campaign, |(_, schema)| schema);
        let errors: Vec<String> = schema.iter_errors(&read(&path)).map(|error| error.to_string()).collect();
        assert_eq!(errors, [""; 0], "{}", path.display());
    }
}

/// Each replaces something in a campaign that is right.
const MISTAKES: [(&str, &str); 21] = [
    ("campaign: c", "campaign: two words"),
    ("campaign: c\n", ""),
    ("version: 1", "version: 0"),
    ("version: 1", "version: first"),
    ("class: marketing", "class: advertising"),
    ("hours: 22:00-9:00", "hours: at night"),
    ("policy: hold", "policy: wait"),
    ("on: cart", "on: basket"),
    ("on: cart", "no: cart"),
    ("settle: 1h", "setle: 1h"),
    ("settle: 1h", "settle: an hour"),
    ("again: refresh", "again: rewind"),
    ("match: same key", "match: key"),
    ("stop: opened", "stop: read"),
    ("order: by cost", "order: cost"),
    ("channel: email", "channel: fax"),
    ("channel: email", "channel: email, any: [push]"),
    ("channel: email, ", ""),
    ("late: skip", "late: soon"),
    ("next_if: [not opened]", "next_if: [unopened]"),
    ("template: t, ", ""),
];

#[test]
fn each_of_these_mistakes_is_refused_by_the_schema_and_by_the_checker() {
    const RIGHT: &str = "campaign: c
version: 1
class: marketing
quiet: {hours: 22:00-9:00, policy: hold}
trigger: {on: cart, key: cart_id, settle: 1h, again: refresh}
goal: {action: purchase, match: same key}
stop: opened
order: by cost
steps: [{name: a, channel: email, template: t, late: skip, wait: 1h, next_if: [not opened]}]
";
    let schema = validator(&reference::campaign());
    let judge = |yaml: &str| (schema.is_valid(&parsed(yaml)), campaign::parse("c.yaml", yaml).is_ok());
    assert_eq!(judge(RIGHT), (true, true));
    for (right, wrong) in MISTAKES {
        let yaml = RIGHT.replacen(right, wrong, 1);
        assert!(yaml != RIGHT, "{right} is not in it");
        assert_eq!(judge(&yaml), (false, false), "{wrong}");
    }
}

#[test]
fn a_wrong_price_table_is_refused_by_the_schema_and_by_the_checker() {
    const RIGHT: &str = "currency: USD\nprices: [{channel: sms, minor: 4, prefix: '+7', charge: on delivery}]\n";
    let schema = validator(&reference::prices());
    let judge = |yaml: &str| (schema.is_valid(&parsed(yaml)), Prices::parse("prices.yaml", yaml).is_ok());
    assert_eq!(judge(RIGHT), (true, true));
    for (right, wrong) in [
        ("USD", "dollars"),
        ("sms", "fax"),
        ("minor: 4", "minor: -4"),
        ("minor: 4", "major: 4"),
        ("+7", "+seven"),
        ("on delivery", "on opening"),
    ] {
        assert_eq!(judge(&RIGHT.replacen(right, wrong, 1)), (false, false), "{wrong}");
    }
}

#[test]
fn a_wrong_table_of_rates_is_refused_by_the_schema_and_by_the_checker() {
    const RIGHT: &str = "rates: [{channel: email, delivered: 970, opened: 210, clicked: 25, from: 2026-12-01}]\n";
    let schema = validator(&reference::rates());
    let judge = |yaml: &str| (schema.is_valid(&parsed(yaml)), Rates::parse("rates.yaml", yaml).is_ok());
    assert_eq!(judge(RIGHT), (true, true));
    for (right, wrong) in [("email", "fax"), ("970", "1001"), ("210", "-1"), ("clicked", "bought")] {
        assert_eq!(judge(&RIGHT.replacen(right, wrong, 1)), (false, false), "{wrong}");
    }
    // What a schema cannot say.
    let twice = "{channel: email, delivered: 1, from: 2026-12-01T00:00Z}, {channel: email";
    let wrongs = [("210", "980"), ("delivered: 970, opened: 210, clicked: 25", "delivered: null"), ("12-01", "13-01")];
    for (right, wrong) in wrongs.into_iter().chain([("{channel: email", twice)]) {
        assert!(Rates::parse("rates.yaml", &RIGHT.replacen(right, wrong, 1)).is_err(), "{wrong}");
    }
}

#[test]
fn a_wrong_table_of_caps_is_refused_by_the_schema_and_by_the_checker() {
    const RIGHT: &str = "caps: [{most: 1, per: day, channel: [sms, push], class: marketing, then: hold}]\n";
    let schema = validator(&reference::caps());
    let judge = |yaml: &str| (schema.is_valid(&parsed(yaml)), Caps::parse("caps.yaml", yaml).is_ok());
    assert_eq!(judge(RIGHT), (true, true));
    for (right, wrong) in
        [("most: 1", "most: -1"), ("sms", "fax"), ("marketing", "spam"), ("hold", "jump"), ("per", "in")]
    {
        assert_eq!(judge(&RIGHT.replacen(right, wrong, 1)), (false, false), "{wrong}");
    }
}

#[test]
fn every_key_is_explained_and_has_an_example() {
    for root in [reference::campaign(), reference::prices(), reference::rates(), reference::caps()] {
        each_key(&root, &mut Vec::new(), &mut |path, schema, is_required| {
            let name = path.join(".");
            let explained = schema["description"].as_str().unwrap_or_default();
            assert!(!explained.is_empty(), "what does `{name}` mean? Write a comment at it in language/raw.rs");
            assert!(schema["examples"][0] != Value::Null, "`{name}`: add #[schemars(example = …)] in language/raw.rs");
            let says = explained.contains("Without it:") || schema.get("default").is_some();
            assert!(
                is_required != says,
                "`{name}`: what holds without it? Say `Without it: …`, or extend(\"default\" = …), \
                 if it can be left out, and only then"
            );
            // Names of channels have a chapter of their own.
            for word in
                words(schema).filter(|_| schema["title"].is_null() && !["any", "channel"].contains(&name_of(path)))
            {
                assert!(explained.contains(&format!("- `{word}`: ")), "`{name}`: what does `{word}` mean?");
            }
        });
    }
}

fn name_of(path: &[String]) -> &str {
    path.last().map_or("", String::as_str)
}

/// The closed set of words of a key, wherever in its schema.
fn words(schema: &Value) -> impl Iterator<Item = &str> {
    let inner = schema["anyOf"].as_array().into_iter().flatten();
    let sets = [schema, &schema["items"]].into_iter().chain(inner).filter_map(|schema| schema["enum"].as_array());
    sets.flatten().filter_map(Value::as_str)
}

#[test]
fn every_example_can_be_written_in_some_campaign() {
    let root = reference::campaign();
    let schema = validator(&root);
    let bases = campaigns();
    each_key(&root, &mut Vec::new(), &mut |path, key, _| {
        for example in key["examples"].as_array().unwrap() {
            let tried: Vec<Value> = bases.iter().flat_map(|base| with(base, &root, path, example)).collect();
            let is_right = |campaign: &&Value| understood(campaign).is_some();
            let Some(right) = tried.iter().find(is_right) else {
                panic!("`{}: {example}` can be written in no campaign of {CAMPAIGNS}", path.join("."))
            };
            assert!(schema.is_valid(right), "`{}: {example}` is right, but not for editors", path.join("."));
        }
    });
}

#[test]
fn a_default_that_is_written_says_the_same_as_none() {
    let root = reference::campaign();
    let bases = campaigns();
    each_key(&root, &mut Vec::new(), &mut |path, key, _| {
        let Some(default) = key.get("default") else { return };
        let without = bases.iter().filter(|base| !stands(base, path));
        let same = without.filter_map(|base| {
            let written = with(base, &root, path, default);
            written.iter().find_map(understood).map(|plan| plan == understood(base).unwrap())
        });
        let same: Vec<bool> = same.collect();
        assert!(!same.is_empty() && same.iter().all(|same| *same), "`{}` without it is not {default}", path.join("."));
    });
}

/// Calls for every key below, with its path and whether it must be there.
fn each_key(schema: &Value, path: &mut Vec<String>, call: &mut dyn FnMut(&[String], &Value, bool)) {
    let empty = Map::new();
    let group = if schema["items"].is_object() { &schema["items"] } else { schema };
    for (name, key) in group["properties"].as_object().unwrap_or(&empty) {
        path.push(name.clone());
        let is_required = group["required"].as_array().is_some_and(|keys| keys.contains(&json!(name)));
        call(path, key, is_required);
        each_key(key, path, call);
        path.pop();
    }
}

/// A campaign with a value at a key; one for each step, if it is a step's. A group that is not there yet is its own example.
fn with(base: &Value, schema: &Value, path: &[String], value: &Value) -> Vec<Value> {
    let put = |value: Value| {
        let mut new = base.clone();
        new[&path[0]] = value;
        new
    };
    if path.len() == 1 {
        return vec![put(value.clone())];
    }
    let of = &schema["properties"][&path[0]];
    match base.get(&path[0]).unwrap_or_else(|| &of["examples"][0]) {
        Value::Array(list) => {
            let one = |index: usize| {
                with(&list[index], &of["items"], &path[1..], value).into_iter().map(move |new| (index, new))
            };
            let each = (0..list.len()).flat_map(one);
            each.map(|(index, new)| {
                let mut list = list.clone();
                list[index] = new;
                put(list.into())
            })
            .collect()
        }
        group => with(group, of, &path[1..], value).into_iter().map(put).collect(),
    }
}

/// Whether a key stands somewhere in a campaign, or its group does not.
fn stands(base: &Value, path: &[String]) -> bool {
    match base {
        Value::Array(list) => list.iter().any(|item| stands(item, path)),
        _ => match (base.get(&path[0]), path.len()) {
            (None, length) => length > 1,
            (Some(_), 1) => true,
            (Some(inner), _) => stands(inner, &path[1..]),
        },
    }
}

/// The plan in a form that can be compared, without its warnings, which name places.
fn understood(campaign: &Value) -> Option<String> {
    let plan = campaign::parse("c.yaml", &campaign.to_string()).ok()?;
    Some(format!("{:?}", Plan { warnings: Vec::new(), ..plan }))
}

#[test]
fn every_campaign_of_the_manual_is_right_and_every_timeline_comes_true() {
    let manual = reference::manual();
    let mut played = 0;
    for chapter in manual.split("\n#") {
        let title = chapter.lines().next().unwrap_or_default();
        let mut plans = Plans::default();
        for (kind, text) in blocks(chapter) {
            if kind == "yaml" {
                let record = record(text).unwrap_or_else(|problems| panic!("{title}\n{}", problems[0]));
                plans.apply(&record).unwrap_or_else(|problems| panic!("{title}\n{}", problems[0]));
            } else {
                let timeline = Timeline::parse(title, text).unwrap_or_else(|problems| panic!("{}", problems[0]));
                assert!(timeline.expectations() > 0, "{title}: its timeline expects nothing");
                let world = timeline.play(plans.clone()).unwrap_or_else(|problems| panic!("{}", problems[0]));
                let difference = timeline.difference(&world);
                assert_eq!(difference, None, "{title}:\n{}", difference.as_deref().unwrap_or_default());
                played += 1;
            }
        }
    }
    assert!(played >= 5, "only {played} timelines");
}

/// The blocks of code with a language.
fn blocks(chapter: &str) -> impl Iterator<Item = (&str, &str)> {
    let blocks = chapter.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
    blocks.inspect(|(kind, _)| assert!(["yaml", "timeline"].contains(kind), "a block of `{kind}`"))
}

fn record(definition: &str) -> Result<Campaign, Vec<campaign::Problem>> {
    let definition = definition.to_owned();
    if definition.contains("\nprices:") {
        return Ok(Campaign { kind: CampaignKind::Prices, definition, ..Campaign::default() });
    }
    if definition.starts_with("rates:") {
        return Ok(Campaign { kind: CampaignKind::Rates, definition, ..Campaign::default() });
    }
    if definition.starts_with("caps:") {
        return Ok(Campaign { kind: CampaignKind::Caps, definition, ..Campaign::default() });
    }
    let plan = campaign::parse("LANGUAGE.md", &definition)?;
    let kind = CampaignKind::Definition;
    Ok(Campaign { campaign: plan.name, version: plan.version, kind, definition, ..Campaign::default() })
}

/// The campaigns of the examples and of the manual.
fn campaigns() -> Vec<Value> {
    let manual = reference::manual();
    let of_manual = blocks(&manual).filter(|(kind, text)| *kind == "yaml" && text.starts_with("campaign:"));
    let of_files = files().into_iter().filter(|path| !path.ends_with("prices.yaml") && !path.ends_with("rates.yaml"));
    of_files.map(|path| read(&path)).chain(of_manual.map(|(_, text)| parsed(text))).collect()
}

fn files() -> Vec<PathBuf> {
    [CAMPAIGNS.to_owned(), format!("{CAMPAIGNS}/scenarios")]
        .iter()
        .flat_map(|it| world::files(&beside(it), "yaml"))
        .collect()
}

fn beside(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &Path) -> Value {
    parsed(&std::fs::read_to_string(path).unwrap())
}

fn parsed(yaml: &str) -> Value {
    serde_saphyr::from_str(yaml).unwrap()
}

fn validator(schema: &Value) -> Validator {
    jsonschema::validator_for(schema).unwrap()
}
