//! What is written down in several places is the same in all of them: schemas, types, catalogue and `asyncapi.yaml`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use schemas::*;
use serde_json::{Value as Json, json};

/// File, schema and full name of each record.
fn records() -> [(&'static str, &'static str, &'static str); 17] {
    [
        ("cart", Cart::SCHEMA, Cart::NAME),
        ("registration", Registration::SCHEMA, Registration::NAME),
        ("inactivity", Inactivity::SCHEMA, Inactivity::NAME),
        ("action", Action::SCHEMA, Action::NAME),
        ("profile", Profile::SCHEMA, Profile::NAME),
        ("feedback", Feedback::SCHEMA, Feedback::NAME),
        ("input", Input::SCHEMA, Input::NAME),
        ("row", Customer::SCHEMA, Customer::NAME),
        ("send", Send::SCHEMA, Send::NAME),
        ("revoke", Revoke::SCHEMA, Revoke::NAME),
        ("attempt", Attempt::SCHEMA, Attempt::NAME),
        ("journal", Journal::SCHEMA, Journal::NAME),
        ("campaign", Campaign::SCHEMA, Campaign::NAME),
        ("budget", Budget::SCHEMA, Budget::NAME),
        ("address", Address::SCHEMA, Address::NAME),
        ("reply", Reply::SCHEMA, Reply::NAME),
        ("suppression", Suppression::SCHEMA, Suppression::NAME),
    ]
}

/// Calls back with every named type that is defined in a schema.
fn definitions(schema: &Json, found: &mut impl FnMut(&str, &Json)) {
    match schema {
        Json::Array(parts) => parts.iter().for_each(|part| definitions(part, found)),
        Json::Object(parts) => {
            if let (Some(name), Some("record" | "enum" | "fixed")) =
                (parts.get("name"), parts.get("type").and_then(Json::as_str))
            {
                found(name.as_str().unwrap(), schema);
            }
            for key in ["fields", "type", "items", "values"] {
                parts.get(key).into_iter().for_each(|part| definitions(part, found));
            }
        }
        _ => {}
    }
}

/// The definition with what it contains replaced by names: the same type may contain a definition here and a reference there.
fn flat(schema: &Json, outermost: bool) -> Json {
    match schema {
        Json::Array(parts) => parts.iter().map(|part| flat(part, false)).collect(),
        Json::Object(parts)
            if !outermost && parts.contains_key("doc") && parts["type"].is_string() && is_named(schema) =>
        {
            parts["name"].clone()
        }
        Json::Object(parts) => {
            let parts = parts.iter().filter(|(key, _)| *key != "namespace");
            parts.map(|(key, part)| (key.clone(), flat(part, false))).collect::<serde_json::Map<_, _>>().into()
        }
        other => other.clone(),
    }
}

fn is_named(schema: &Json) -> bool {
    ["fields", "symbols", "size"].iter().any(|key| schema.get(key).is_some())
}

#[test]
fn a_type_that_stands_in_several_schemas_is_the_same_in_each() {
    let mut seen: BTreeMap<String, (&str, Json)> = BTreeMap::new();
    for (file, schema, _) in records() {
        definitions(&serde_json::from_str(schema).unwrap(), &mut |name, definition| {
            let definition = flat(definition, true);
            let (first, other) = seen.entry(name.to_owned()).or_insert_with(|| (file, definition.clone()));
            // Order of keys counts for nothing in JSON, so the comparison is by value.
            assert_eq!(*other, definition, "{name} is not the same in {first}.avsc and {file}.avsc");
        });
    }
    assert!(seen.len() > 25, "{}", seen.len());
}

#[test]
fn every_record_and_field_says_what_it_is() {
    for (file, schema, _) in records() {
        definitions(&serde_json::from_str(schema).unwrap(), &mut |name, definition| {
            assert!(definition["doc"].is_string(), "{name} in {file}.avsc has no doc");
            for field in definition["fields"].as_array().into_iter().flatten() {
                assert!(field["doc"].is_string(), "{name}.{} in {file}.avsc has no doc", field["name"]);
            }
        });
    }
}

#[test]
fn symbols_in_the_schemas_are_those_of_the_enums_and_unknown_ones_fall_back_on_the_first() {
    let mut symbols = BTreeMap::new();
    for (_, schema, _) in records() {
        definitions(&serde_json::from_str(schema).unwrap(), &mut |name, definition| {
            if definition["type"] == "enum" {
                assert_eq!(definition["default"], "UNSPECIFIED", "{name}");
                symbols.insert(name.to_owned(), definition["symbols"].clone());
            }
        });
    }
    let words = |all: &[&'static str]| json!(all);
    let expected = [
        ("Actor", words(&Actor::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>())),
        ("AttemptState", words(&AttemptState::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>())),
        ("CampaignKind", words(&CampaignKind::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>())),
        ("Class", words(&Class::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>())),
        ("OnResume", words(&OnResume::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>())),
        ("Outcome", words(&Outcome::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>())),
        ("Reason", words(&Reason::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>())),
        ("Stage", words(&Stage::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>())),
        ("Status", words(&Status::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>())),
    ];
    assert_eq!(symbols, expected.map(|(name, symbols)| (name.to_owned(), symbols)).into());
    assert_eq!((Status::of("OPENED"), Status::of("FORWARDED")), (Status::Opened, Status::Unspecified));
}

fn document() -> Json {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("asyncapi.yaml")).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

#[test]
fn asyncapi_describes_exactly_the_topics_of_the_catalogue() {
    let document = document();
    let mut described: BTreeMap<String, Json> = BTreeMap::new();
    for (name, channel) in document["channels"].as_object().unwrap() {
        let message = &document["components"]["messages"][name];
        assert_eq!(channel["messages"][name]["$ref"], format!("#/components/messages/{name}"));
        let kafka = &channel["bindings"]["kafka"];
        let schema = message["payload"]["schema"]["$ref"].as_str().map(|file| file.trim_start_matches("./").to_owned());
        let topic = json!({
            "partitions": kafka["partitions"], "settings": kafka["topicConfiguration"], "schema": schema,
            "key": message["bindings"]["kafka"]["key"]["description"],
        });
        described.insert(channel["address"].as_str().unwrap().to_owned(), topic);
    }

    let expected = Topics::new("").catalogue(&["{channel}"], 12).into_iter().map(|topic| {
        let file =
            records().into_iter().find(|(.., name)| *name == topic.record).map(|(file, ..)| format!("{file}.avsc"));
        let partitions = (topic.spread == Spread::One).then_some(topic.partitions);
        let settings = topic.settings(1).into_iter().filter(|(name, _)| DESCRIBED.contains(name));
        let settings: serde_json::Map<_, _> =
            settings.map(|(name, value)| (name.to_owned(), typed(name, &value))).collect();
        (topic.name, json!({"partitions": partitions, "settings": settings, "schema": file, "key": topic.key}))
    });
    assert_eq!(described, expected.collect());
}

/// Settings that AsyncAPI's binding for Kafka knows.
const DESCRIBED: [&str; 5] =
    ["cleanup.policy", "retention.ms", "retention.bytes", "delete.retention.ms", "max.message.bytes"];

/// A setting as the binding wants it: a list or a number.
fn typed(name: &str, value: &str) -> Json {
    if name == "cleanup.policy" {
        json!(value.split(',').collect::<Vec<_>>())
    } else {
        json!(value.parse::<i64>().unwrap())
    }
}

#[test]
fn asyncapi_names_every_header_of_a_dead_letter() {
    let document = document();
    let described =
        document["components"]["messages"]["deadLetter"]["headers"]["properties"].as_object().unwrap().clone();
    let mut described: Vec<&str> = described.keys().map(String::as_str).collect();
    let mut expected = vec![
        dead_letter::EXCEPTION,
        dead_letter::STACKTRACE,
        dead_letter::MESSAGE,
        dead_letter::TOPIC,
        dead_letter::PARTITION,
        dead_letter::OFFSET,
        dead_letter::CODE,
        dead_letter::STAGE,
        dead_letter::OMITTED,
    ];
    described.sort_unstable();
    expected.sort_unstable();
    assert_eq!(described, expected);
}

/// What nobody who serves a channel may miss.
#[test]
fn asyncapi_states_what_a_worker_must_know() {
    let document = document();
    for (channel, words) in [
        ("send", ["isolation.level=read_committed", "Guarantee:", "Duplicates:", "Order:"]),
        ("revoke", ["isolation.level=read_committed", "Guarantee:", "Duplicates:", "Order:"]),
        ("feedback", ["event_id", "Guarantee:", "Duplicates:", "Order:"]),
    ] {
        let said = document["channels"][channel]["description"].as_str().unwrap_or_default();
        for word in words {
            assert!(said.contains(word), "{channel} does not speak of {word}");
        }
    }
}

/// Workers of others know schemas by their ids, which stand in their sources.
#[test]
fn the_workers_beside_the_schemas_know_their_ids() {
    for file in ["README.md", "python/worker.py", "java/src/main/java/Worker.java"] {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("workers").join(file)).unwrap();
        let text = text.replace('_', "");
        for id in [Send::ID, Revoke::ID, Feedback::ID] {
            assert!(text.contains(&id.to_string()), "{file} does not name schema id {id}");
        }
    }
}
