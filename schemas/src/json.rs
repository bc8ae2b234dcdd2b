//! A source's record from JSON: how it comes by HTTP or stands in a file. The schema decides what fits; the bytes are those that a
//! producer on Kafka would have written.
//!
//! Beside what Avro says, these are taken: a whole number or a truth as text, a moment as RFC 3339 (`2026-03-01T09:00:00Z`), a number or
//! a truth where a map wants text, and null where a field has a default.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::{Action, Cart, Inactivity, Profile, Record, Registration, encode};

/// What can come from outside in JSON, by the word that names it: the name of its topic.
pub const KINDS: [(&str, &str); 5] = [
    ("cart", Cart::NAME),
    ("registration", Registration::NAME),
    ("inactivity", Inactivity::NAME),
    ("action", Action::NAME),
    ("profile", Profile::NAME),
];

/// A record of a source, as it goes to Kafka. `Debug` does not show what is in it.
#[derive(Clone, PartialEq, Eq)]
pub struct SourceRecord {
    /// Full name of its schema.
    pub record: &'static str,
    /// The customer's id.
    pub key: String,
    /// The framed record.
    pub value: Vec<u8>,
}

impl std::fmt::Debug for SourceRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SourceRecord").field("record", &self.record).finish_non_exhaustive()
    }
}

/// What of the JSON does not fit. Holds no value of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path} {must}")]
pub struct Misfit {
    /// Where: `items[2].quantity`.
    pub path: String,
    /// What is to be done.
    pub must: String,
}

impl Misfit {
    fn new(path: &str, must: impl Into<String>) -> Self {
        Misfit { path: path.to_owned(), must: must.into() }
    }
}

/// The schema of the records of this kind; none for a word that is no kind.
pub fn schema_of(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "cart" => Cart::SCHEMA,
        "registration" => Registration::SCHEMA,
        "inactivity" => Inactivity::SCHEMA,
        "action" => Action::SCHEMA,
        "profile" => Profile::SCHEMA,
        _ => return None,
    })
}

/// The record of this kind that the JSON describes.
///
/// # Errors
/// The first thing that does not fit.
pub fn read(kind: &str, json: Value) -> Result<SourceRecord, Misfit> {
    match kind {
        "cart" => framed::<Cart>(json),
        "registration" => framed::<Registration>(json),
        "inactivity" => framed::<Inactivity>(json),
        "action" => framed::<Action>(json),
        "profile" => framed::<Profile>(json),
        _ => Err(Misfit::new("type", "must be cart, registration, inactivity, action or profile")),
    }
}

fn framed<T: Record>(mut json: Value) -> Result<SourceRecord, Misfit> {
    let schema: Value = serde_json::from_str(T::SCHEMA).map_err(|_| Misfit::new("type", "has no schema"))?;
    Fit { known: Map::new() }.value(&schema, &mut json, "")?;
    let key = json["customer_id"].as_str().unwrap_or_default().to_owned();
    let record: T = serde_json::from_value(json).map_err(|_| Misfit::new("data", "does not fit its schema"))?;
    Ok(SourceRecord { record: T::NAME, key, value: encode(&record) })
}

/// Makes JSON fit a schema.
struct Fit {
    /// Named types that were defined so far.
    known: Map<String, Value>,
}

impl Fit {
    fn value(&mut self, schema: &Value, json: &mut Value, path: &str) -> Result<(), Misfit> {
        match schema {
            Value::String(name) if self.known.contains_key(name) => {
                let schema = self.known[name].clone();
                self.value(&schema, json, path)
            }
            Value::String(plain) => scalar(plain, json, path),
            Value::Array(branches) if json.is_null() => {
                let may = branches.iter().any(|branch| branch == "null");
                if may { Ok(()) } else { Err(Misfit::new(path, "must not be null")) }
            }
            Value::Array(branches) => match branches.iter().find(|branch| *branch != "null") {
                Some(branch) => self.value(branch, json, path),
                None => Ok(()),
            },
            _ => self.complex(schema, json, path),
        }
    }

    fn complex(&mut self, schema: &Value, json: &mut Value, path: &str) -> Result<(), Misfit> {
        match schema["type"].as_str() {
            Some("record") => {
                if let Some(name) = schema["name"].as_str() {
                    self.known.insert(name.to_owned(), schema.clone());
                }
                self.record(schema, json, path)
            }
            Some("array") => {
                let items = json.as_array_mut().ok_or_else(|| Misfit::new(path, "must be a list"))?;
                let fit = |(index, item): (usize, &mut Value)| {
                    self.value(&schema["items"], item, &format!("{path}[{index}]"))
                };
                items.iter_mut().enumerate().try_for_each(fit)
            }
            Some("map") => {
                let values = json.as_object_mut().ok_or_else(|| Misfit::new(path, "must be an object"))?;
                // Names of entries are the producer's own, and may be anybody's.
                values.values_mut().try_for_each(|value| {
                    if matches!(value, Value::Number(_) | Value::Bool(_)) {
                        *value = Value::String(value.to_string());
                    }
                    self.value(&schema["values"], value, &format!("{path}.*"))
                })
            }
            Some("long") if schema["logicalType"] == "timestamp-millis" => moment(json, path),
            Some(plain) => scalar(plain, json, path),
            // A type in a type, as with unions.
            None => self.value(&schema["type"], json, path),
        }
    }

    fn record(&mut self, schema: &Value, json: &mut Value, path: &str) -> Result<(), Misfit> {
        let whole = if path.is_empty() { "the record" } else { path };
        let object = json.as_object_mut().ok_or_else(|| Misfit::new(whole, "must be an object"))?;
        let fields: Vec<&Value> = schema["fields"].as_array().into_iter().flatten().collect();
        let place = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        if let Some(stray) = object.keys().find(|name| fields.iter().all(|field| field["name"] != name.as_str())) {
            return Err(Misfit::new(&place(stray), "is no field of the schema: correct its name, or leave it out"));
        }
        for field in fields {
            let name = field["name"].as_str().unwrap_or_default();
            let has_default = field.get("default").is_some();
            if has_default && object.get(name).is_some_and(Value::is_null) {
                object.remove(name);
            }
            match object.get_mut(name) {
                Some(value) => self.value(&field["type"], value, &place(name))?,
                None if has_default => {}
                None => return Err(Misfit::new(&place(name), "is missing")),
            }
        }
        Ok(())
    }
}

fn scalar(plain: &str, json: &mut Value, path: &str) -> Result<(), Misfit> {
    let must = match (plain, &*json) {
        ("string", Value::String(_)) | ("boolean", Value::Bool(_)) => return Ok(()),
        ("boolean", Value::String(text)) if text == "true" || text == "false" => {
            *json = Value::Bool(text == "true");
            return Ok(());
        }
        ("long" | "int", _) => match whole(json).filter(|number| plain == "long" || i32::try_from(*number).is_ok()) {
            Some(number) => {
                *json = number.into();
                return Ok(());
            }
            None => "must be a whole number",
        },
        ("string", _) => "must be text",
        _ => "must be true or false",
    };
    Err(Misfit::new(path, must))
}

fn whole(json: &Value) -> Option<i64> {
    json.as_i64().or_else(|| json.as_str()?.trim().parse().ok())
}

fn moment(json: &mut Value, path: &str) -> Result<(), Misfit> {
    let stated = json.as_str().and_then(|text| text.trim().parse::<Timestamp>().ok()).map(Timestamp::as_millisecond);
    match whole(json).or(stated) {
        Some(millis) => {
            *json = millis.into();
            Ok(())
        }
        None => Err(Misfit::new(path, "must be a moment such as 2026-03-01T09:00:00Z, or milliseconds since 1970 UTC")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Item, decode};

    fn action() -> Value {
        json!({"event_id": "e1", "customer_id": "c1", "occurred_at": 1_000, "action": "purchase"})
    }

    fn misfit(changes: Value) -> String {
        let mut record = action();
        for (name, value) in changes.as_object().unwrap() {
            record[name] = value.clone();
        }
        read("action", record).unwrap_err().to_string()
    }

    #[test]
    fn the_bytes_are_those_of_a_producer_on_kafka() {
        let mut said = action();
        said["items"] = json!([{"sku": "4711", "quantity": "2"}]);
        said["attributes"] = json!({"points": 5, "gift": true, "note": "x"});
        said["occurred_at"] = "2026-03-01T09:00:00+01:00".into();
        said["key"] = Value::Null;
        said["amount_minor"] = Value::Null;
        let found = read("action", said).unwrap();
        let item = Item { sku: "4711".to_owned(), quantity: 2, ..Item::default() };
        let attributes = [("points", "5"), ("gift", "true"), ("note", "x")];
        let expected = Action {
            event_id: "e1".to_owned(),
            customer_id: "c1".to_owned(),
            occurred_at: 1_772_352_000_000,
            action: "purchase".to_owned(),
            items: vec![item],
            attributes: attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            ..Action::default()
        };
        assert_eq!(decode::<Action>(&found.value).unwrap(), expected);
        assert_eq!((found.record, found.key.as_str(), &found.value), (Action::NAME, "c1", &encode(&expected)));
    }

    #[test]
    fn what_does_not_fit_is_named_by_its_place_and_never_shown() {
        assert_eq!(misfit(json!({"custmer": "x"})).split(' ').next(), Some("custmer"));
        assert_eq!(misfit(json!({"amount_minor": 1.5})), "amount_minor must be a whole number");
        assert_eq!(
            misfit(json!({"items": [{"sku": "a"}, {"sku": "b", "quantity": 1_u64 << 40}]})),
            "items[1].quantity must be a whole number"
        );
        assert_eq!(misfit(json!({"attributes": {"Ann": ["+7900"]}})), "attributes.* must be text");
        assert!(misfit(json!({"occurred_at": "yesterday"})).starts_with("occurred_at must be a moment"));
        assert_eq!(misfit(json!({"items": [{}]})), "items[0].sku is missing");
        assert_eq!(read("action", json!([])).unwrap_err().to_string(), "the record must be an object");
        assert!(read("feedback", action()).unwrap_err().to_string().starts_with("type must be"));
    }

    #[test]
    fn every_kind_has_a_schema_and_a_profile_its_nested_records() {
        for (kind, record) in KINDS {
            assert!(schema_of(kind).unwrap().contains(record.rsplit('.').next().unwrap()), "{kind}");
        }
        let profile = json!({"event_id": "e", "customer_id": "c", "occurred_at": 1, "erased": "false", "locale": "de",
            "contacts": [{"channel": "sms", "address": "+7900"}], "formerly": ["b"]});
        let found = decode::<Profile>(&read("profile", profile).unwrap().value).unwrap();
        assert_eq!(
            (found.contacts[0].address.as_str(), found.locale.as_deref(), found.erased),
            ("+7900", Some("de"), false)
        );
        assert_eq!(found.formerly, ["b"]);
    }
}
