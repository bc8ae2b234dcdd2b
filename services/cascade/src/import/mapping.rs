//! Which field is read from which column.

use schemas::json::{Misfit, schema_of};
use serde_json::{Map, Value, json};

/// Fields, each with what it is read from.
#[derive(Clone, Debug, Default)]
pub struct Mapping {
    /// Field or `attributes.NAME`, `contacts.CHANNEL`, `consents.CHANNEL`; column.
    from: Vec<(String, String)>,
    fill: Vec<(String, String)>,
    /// All fields of the schema, and whether one must be there.
    fields: Vec<(String, bool)>,
}

impl Mapping {
    /// Reads `FIELD=COLUMN` and `FIELD=VALUE`.
    ///
    /// # Errors
    /// In words, for what is no field.
    pub fn parse(kind: &str, from: &[String], fill: &[String]) -> Result<Self, String> {
        let schema: Value = schema_of(kind).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let fields = schema["fields"].as_array().into_iter().flatten();
        let fields: Vec<(String, bool)> = fields
            .map(|field| (field["name"].as_str().unwrap_or_default().to_owned(), field.get("default").is_none()))
            .collect();
        let mut mapping = Mapping { fields, ..Mapping::default() };
        mapping.from = mapping.pairs("--map", from)?;
        mapping.fill = mapping.pairs("--fill", fill)?;
        Ok(mapping)
    }

    fn pairs(&self, flag: &str, texts: &[String]) -> Result<Vec<(String, String)>, String> {
        let pair = |text: &String| {
            let (field, rest) = text.split_once('=').ok_or_else(|| format!("{flag} {text} must be FIELD=…"))?;
            if !self.is_field(field) {
                let all: Vec<&str> = self.fields.iter().map(|(name, _)| name.as_str()).collect();
                return Err(format!("{flag} {text}: {field} is no field; there are {}", all.join(", ")));
            }
            Ok((field.to_owned(), rest.to_owned()))
        };
        texts.iter().map(pair).collect()
    }

    fn is_field(&self, path: &str) -> bool {
        let (head, rest) = path.split_once('.').map_or((path, None), |(head, rest)| (head, Some(rest)));
        let is_open = matches!(head, "attributes" | "contacts" | "consents");
        self.fields.iter().any(|(name, _)| name == head) && rest.is_none_or(|rest| is_open && !rest.is_empty())
    }

    /// The columns from which fields are read, by a head: what the mapping says, then what is called like a field.
    fn columns<'a>(&'a self, head: &'a [String]) -> impl Iterator<Item = (&'a str, &'a str)> {
        let said = self.from.iter().map(|(field, column)| (field.as_str(), column.as_str()));
        let is_said = |column: &str| self.from.iter().any(|(field, from)| field == column || from == column);
        let named = head.iter().filter(move |column| self.is_field(column) && !is_said(column));
        said.chain(named.map(|column| (column.as_str(), column.as_str())))
    }

    /// Whether all that must be there is there.
    ///
    /// # Errors
    /// In words, what is missing.
    pub fn require(&self, head: &[String]) -> Result<(), String> {
        if let Some((field, column)) = self.from.iter().find(|(_, column)| !head.contains(column)) {
            return Err(format!("--map {field}={column}: the file has no column {column}; it has {}", head.join(", ")));
        }
        let is_there = |field: &str| {
            self.columns(head).any(|(known, _)| known == field) || self.fill.iter().any(|(known, _)| known == field)
        };
        let needed = self.fields.iter().filter(|(name, must)| *must && name != "event_id");
        match needed.map(|(name, _)| name).find(|name| !is_there(name)) {
            Some(name) => Err(format!("nothing says {name}: give --map {name}=COLUMN, or --fill {name}=VALUE")),
            None => Ok(()),
        }
    }

    /// Columns that go nowhere.
    pub fn unused(&self, head: &[String]) -> Vec<String> {
        let used: Vec<&str> = self.columns(head).map(|(_, column)| column).collect();
        head.iter().filter(|column| !used.contains(&column.as_str())).cloned().collect()
    }

    /// The column that a field is read from.
    pub fn column_of<'a>(&'a self, path: &str, head: &'a [String]) -> Option<&'a str> {
        let found = self.columns(head).find(|(field, _)| *field == path);
        found.map(|(_, column)| column)
    }

    /// A record's fields. An empty cell says nothing. An object for which nothing is mapped is the record.
    ///
    /// # Errors
    /// For a line that is no object.
    pub fn apply(&self, line: Value, is_cells: bool) -> Result<Value, Misfit> {
        let Value::Object(mut line) = line else {
            return Err(Misfit { path: "the line".to_owned(), must: "must be an object".to_owned() });
        };
        let mut record = Map::new();
        for (field, column) in &self.from {
            if let Some(value) = line.remove(column) {
                put(&mut record, field, value);
            }
        }
        for (name, value) in line {
            if !is_cells && self.from.is_empty() {
                record.insert(name, value);
            } else if self.is_field(&name) && self.from.iter().all(|(field, _)| *field != name) {
                put(&mut record, &name, value);
            }
        }
        for (field, value) in &self.fill {
            put(&mut record, field, Value::from(value.as_str()));
        }
        finish(&mut record);
        Ok(Value::Object(record))
    }

    /// All that makes records another: part of what an import is recognised by.
    pub fn words(&self) -> String {
        format!("{:?} {:?}", self.from, self.fill)
    }
}

fn put(record: &mut Map<String, Value>, field: &str, value: Value) {
    if value.as_str().is_some_and(|text| text.trim().is_empty()) {
        return;
    }
    let Some((head, rest)) = field.split_once('.') else {
        record.insert(field.to_owned(), value);
        return;
    };
    match head {
        "contacts" => push(record, head, json!({"channel": rest, "address": value})),
        "consents" => push(record, head, json!({"channel": rest, "granted": value, "source": "import"})),
        _ => {
            let inner = record.entry(head).or_insert_with(|| Value::Object(Map::new()));
            if let Some(inner) = inner.as_object_mut() {
                inner.insert(rest.to_owned(), value);
            }
        }
    }
}

fn push(record: &mut Map<String, Value>, field: &str, value: Value) {
    if let Some(list) = record.entry(field).or_insert_with(|| Value::Array(Vec::new())).as_array_mut() {
        list.push(value);
    }
}

/// A consent from a cell is of the moment of its record.
fn finish(record: &mut Map<String, Value>) {
    let Some(at) = record.get("occurred_at").cloned() else { return };
    for consent in record.get_mut("consents").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(consent) = consent.as_object_mut().filter(|consent| consent.get("source") == Some(&"import".into()))
        {
            consent.entry("at").or_insert_with(|| at.clone());
            consent.entry("text_version").or_insert_with(|| "".into());
        }
    }
}
