//! The JSON Schemas of a campaign and of tables of prices, rates and caps, for editors: completion, a word of help at each key, a red line under
//! what cannot stand there. What a schema cannot say, `cascade check` says.

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema};
use serde_json::Value;

use crate::language::{RawCampaign, RawCaps, RawPrices, RawRates};

/// What a campaign may be.
pub fn campaign() -> Value {
    of::<RawCampaign>("A campaign of Cascade")
}

/// What a price table may be.
pub fn prices() -> Value {
    of::<RawPrices>("A price table of Cascade")
}

/// What a table of rates may be.
pub fn rates() -> Value {
    of::<RawRates>("A table of rates of Cascade")
}

/// What a table of caps may be.
pub fn caps() -> Value {
    of::<RawCaps>("The caps of Cascade")
}

fn of<T: JsonSchema>(title: &str) -> Value {
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.with_transform(Plain).into_generator().into_root_schema_for::<T>();
    schema.insert("title".to_owned(), title.into());
    schema.to_value()
}

/// Leaves out what only programs need: a key without a value, which nobody writes on purpose, and widths of numbers.
#[derive(Clone)]
struct Plain;

impl Transform for Plain {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        schema.remove("format");
        let Some(keys) = schema.as_object_mut() else { return };
        for list in ["type", "enum", "anyOf"] {
            if let Some(Value::Array(options)) = keys.get_mut(list) {
                options.retain(|option| !is_null(option));
            }
        }
        if let Some(Value::Array(kinds)) = keys.get("type")
            && let [kind] = kinds.as_slice()
        {
            let kind = kind.clone();
            keys.insert("type".to_owned(), kind);
        }
        if let Some(Value::Array(options)) = keys.get("anyOf")
            && let [Value::Object(only)] = options.as_slice()
        {
            let only = only.clone();
            keys.shift_remove("anyOf");
            keys.extend(only);
        }
    }
}

fn is_null(option: &Value) -> bool {
    option.is_null() || option == "null" || option.get("type").is_some_and(|kind| kind == "null")
}
