//! Producers and consumers are upgraded one by one: what another version of a schema wrote is read by today's types.
//!
//! Foreign records are written here by the library's other path (`Value`), which shares nothing with the one under test.

mod samples;

use std::fmt::Debug;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use schemas::*;
use serde_json::{Value as Json, json};

/// A registry's id.
const ID: u32 = 7;

/// Our schema, changed.
fn schema_of<T: Record>(change: impl FnOnce(&mut Vec<Json>)) -> String {
    let mut schema: Json = serde_json::from_str(T::SCHEMA).unwrap();
    change(schema["fields"].as_array_mut().unwrap());
    schema.to_string()
}

/// The record's fields as the library's own values.
fn fields_of<T: Record>(record: &T) -> Vec<(String, Value)> {
    let schema = Schema::parse_str(T::SCHEMA).unwrap();
    let bytes = encode(record);
    match GenericDatumReader::builder(&schema).build().unwrap().read_value(&mut &bytes[5..]).unwrap() {
        Value::Record(fields) => fields,
        other => panic!("not a record: {other:?}"),
    }
}

/// Fields written with a schema, framed with the registry's id.
fn write(schema: &str, fields: Vec<(String, Value)>) -> Vec<u8> {
    let schema = Schema::parse_str(schema).unwrap();
    let datum =
        GenericDatumWriter::builder(&schema).build().unwrap().write_value_to_vec(Value::Record(fields)).unwrap();
    [&[0], ID.to_be_bytes().as_slice(), &datum].concat()
}

fn learnt(schema: &str) -> Ids {
    let mut ids = Ids::new();
    ids.learn(ID, schema).unwrap();
    ids
}

/// A cart written with our schema and these further fields at its front, each with a value.
fn cart_with(extra: &[(Json, Value)]) -> (String, Vec<u8>) {
    let schema = schema_of::<Cart>(|fields| {
        for (field, _) in extra.iter().rev() {
            fields.insert(0, field.clone());
        }
    });
    let new = extra.iter().map(|(field, value)| (field["name"].as_str().unwrap().to_owned(), value.clone()));
    let bytes = write(&schema, new.chain(fields_of(&samples::cart())).collect());
    (schema, bytes)
}

#[test]
fn an_older_schema_without_a_field_gives_the_default_and_without_a_required_one_is_refused() {
    #[derive(Default)]
    struct Drop {
        defaults: usize,
        refused: usize,
    }
    impl samples::Visitor for Drop {
        fn visit<T: Record + PartialEq + Debug>(&mut self, name: &str, record: T) {
            let schema: Json = serde_json::from_str(T::SCHEMA).unwrap();
            for field in schema["fields"].as_array().unwrap() {
                let dropped = field["name"].as_str().unwrap();
                let mut older = fields_of(&record);
                older.retain(|(name, _)| name != dropped);
                // A named type that is defined in the dropped field would be missing in the others.
                let text = schema_of::<T>(|fields| fields.retain(|field| field["name"] != dropped));
                let Ok(_) = Schema::parse_str(&text) else { continue };
                match field.get("default") {
                    Some(default) => {
                        let decoded: T = learnt(&text).decode(&write(&text, older)).unwrap();
                        let mut expected = serde_json::to_value(&record).unwrap();
                        expected[dropped] = default.clone();
                        assert_eq!(serde_json::to_value(decoded).unwrap(), expected, "{name} without {dropped}");
                        self.defaults += 1;
                    }
                    None => {
                        let error = Ids::new().learn(ID, &text).unwrap_err();
                        assert_eq!(error.code(), "incompatible_schema");
                        assert!(error.to_string().contains(dropped), "{error}");
                        self.refused += 1;
                    }
                }
            }
        }
    }
    let mut drop = Drop::default();
    samples::each(&mut drop);
    assert!(drop.defaults > 60 && drop.refused > 50, "{} defaults, {} refused", drop.defaults, drop.refused);
}

#[test]
fn a_newer_schema_with_fields_of_every_type_is_read_past_them() {
    let symbols = json!(["A", "B"]);
    let note = json!({"type": "record", "name": "Note", "fields": [
        {"name": "text", "type": "string"},
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": symbols}}]});
    let one =
        || Value::Record(vec![("text".into(), Value::String("x".into())), ("kind".into(), Value::Enum(1, "B".into()))]);
    let fixed = json!({"type": "fixed", "name": "Hash", "size": 3});
    let extra = [
        (json!({"name": "a", "type": "boolean"}), Value::Boolean(true)),
        (json!({"name": "b", "type": "double"}), Value::Double(0.5)),
        (json!({"name": "c", "type": "bytes"}), Value::Bytes(vec![255, 0])),
        (json!({"name": "d", "type": note}), one()),
        (json!({"name": "e", "type": "Kind"}), Value::Enum(0, "A".into())),
        (json!({"name": "f", "type": {"type": "array", "items": "Note"}}), Value::Array(vec![one(), one()])),
        (json!({"name": "g", "type": ["null", "Kind"]}), Value::Union(1, Box::new(Value::Enum(1, "B".into())))),
        (json!({"name": "h", "type": {"type": "map", "values": fixed}}), {
            Value::Map([("k".to_owned(), Value::Fixed(3, vec![1, 2, 3]))].into())
        }),
        (json!({"name": "i", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}}), {
            Value::Decimal(vec![1, 2].into())
        }),
        (
            json!({"name": "j", "type": {"type": "string", "logicalType": "uuid"}}),
            Value::Uuid(apache_avro::Uuid::nil()),
        ),
    ];
    let (schema, bytes) = cart_with(&extra);
    assert_eq!(learnt(&schema).decode::<Cart>(&bytes), Ok(samples::cart()));
}

#[test]
fn what_avro_promotes_is_read_and_a_new_symbol_is_unspecified() {
    let narrow = schema_of::<Cart>(|fields| {
        fields.iter_mut().find(|field| field["name"] == "version").unwrap()["type"] = json!("int");
    });
    let mut fields = fields_of(&samples::cart());
    fields.iter_mut().find(|(name, _)| name == "version").unwrap().1 = Value::Int(3);
    assert_eq!(learnt(&narrow).decode::<Cart>(&write(&narrow, fields)), Ok(samples::cart()));

    let grown = Feedback::SCHEMA.replace("\"COMPLAINED\"", "\"COMPLAINED\", \"FORWARDED\"");
    let feedback =
        Feedback { event_id: "e".into(), customer_id: "c".into(), channel: "email".into(), ..Feedback::default() };
    let mut fields = fields_of(&feedback);
    let forwarded = Value::Enum(Status::ALL.len() as u32, "FORWARDED".into());
    fields.iter_mut().find(|(name, _)| name == "status").unwrap().1 = forwarded;
    assert_eq!(learnt(&grown).decode::<Feedback>(&write(&grown, fields)), Ok(feedback));
}

#[test]
fn a_new_kind_of_fact_leaves_the_others_readable() {
    let mut newest = 0;
    let newer = schema_of::<Input>(|fields| {
        let branches = fields[1]["type"].as_array_mut().unwrap();
        newest = u32::try_from(branches.len()).unwrap();
        branches.push(json!({"type": "record", "name": "Parcel", "fields": [{"name": "order", "type": "string"}]}));
    });
    let old = Input { origin: Origin::default(), fact: Fact::Progress(Progress::default()), hops: 0 };
    let ids = learnt(&newer);
    assert_eq!(ids.decode::<Input>(&write(&newer, fields_of(&old))), Ok(old.clone()));

    let mut fields = fields_of(&old);
    fields[1].1 = Value::Union(newest, Box::new(Value::Record(vec![("order".into(), Value::String("o".into()))])));
    assert_eq!(ids.decode::<Input>(&write(&newer, fields)).unwrap_err().code(), "bad_datum");
}

#[test]
fn a_schema_that_would_be_misread_or_cost_too_much_is_refused() {
    let with = |field: Json| schema_of::<Cart>(|fields| fields.push(field));
    let retyped = |name: &str, to: Json| {
        schema_of::<Cart>(|fields| {
            let field = fields.iter_mut().find(|field| field["name"] == name).unwrap();
            *field = json!({"name": name, "type": to});
        })
    };
    let refused = [
        ("another unit of time", retyped("occurred_at", json!({"type": "long", "logicalType": "timestamp-micros"}))),
        ("another type", retyped("cart_id", json!("long"))),
        ("optional here only", retyped("link", json!("string"))),
        ("endless items", with(json!({"name": "x", "type": {"type": "array", "items": "null"}}))),
        ("endless items in disguise", {
            let nothing = json!({"type": "record", "name": "Nothing", "fields": [{"name": "n", "type": "null"}]});
            with(json!({"name": "x", "type": {"type": "array", "items": nothing}}))
        }),
        ("recursion", {
            let tree =
                json!({"type": "record", "name": "Tree", "fields": [{"name": "next", "type": ["null", "Tree"]}]});
            with(json!({"name": "x", "type": tree}))
        }),
        ("a giant", with(json!({"name": "x", "type": {"type": "fixed", "name": "Giant", "size": 1_i64 << 40}}))),
    ];
    for (what, schema) in refused {
        assert_eq!(Ids::new().learn(ID, &schema).unwrap_err().code(), "incompatible_schema", "{what}");
    }
}

#[test]
fn ids_say_what_they_do_not_know() {
    let mut ids = Ids::new();
    let cart = encode(&samples::cart());
    assert_eq!(ids.decode::<Cart>(&cart), Ok(samples::cart()));
    assert_eq!(ids.decode::<Action>(&cart).unwrap_err().code(), "wrong_record");

    let foreign = [&[0], ID.to_be_bytes().as_slice(), &cart[5..]].concat();
    assert_eq!(ids.decode::<Cart>(&foreign), Err(DecodeError::UnknownSchema { id: ID }));
    assert_eq!(ids.learn(ID, Cart::SCHEMA), Ok("dev.cascade.Cart"));
    assert_eq!(ids.decode::<Cart>(&foreign), Ok(samples::cart()));
    assert_eq!(ids.decode::<Action>(&foreign).unwrap_err().code(), "wrong_record");

    assert_eq!(ids.learn(Cart::ID, Cart::SCHEMA), Err(SchemaError::ReservedId(Cart::ID)));
    assert_eq!(ids.learn(8, "not a schema"), Err(SchemaError::Invalid));
    assert_eq!(ids.learn(8, &Cart::SCHEMA.replace("dev.cascade", "com.shop")), Err(SchemaError::UnknownRecord));
}

#[test]
fn a_registrys_id_is_written_once_it_was_given() {
    let mut ids = Ids::new();
    assert_eq!(ids.encode(&samples::cart()), encode(&samples::cart()));
    ids.write_as::<Cart>(ID).unwrap();
    let bytes = ids.encode(&samples::cart());
    assert_eq!(bytes[..5], [0, 0, 0, 0, 7]);
    assert_eq!(ids.decode(&bytes), Ok(samples::cart()));
}
