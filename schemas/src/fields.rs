//! A few texts by name, as commands, running cascades and the journal carry them.

use std::borrow::Cow;
use std::fmt;
use std::ops::Index;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Texts by name, in the order of their names; each name once. They are few, and most names are constants of the code: so they are one
/// vector, and such a name is not copied.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Fields(Vec<(Cow<'static, str>, String)>);

impl Fields {
    /// The text of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.place(name).ok().map(|place| self.0[place].1.as_str())
    }

    /// Whether there is one of this name.
    pub fn contains_key(&self, name: &str) -> bool {
        self.place(name).is_ok()
    }

    /// Sets it, whatever it was before.
    pub fn insert(&mut self, name: impl Into<Cow<'static, str>>, text: impl Into<String>) {
        let name = name.into();
        match self.place(&name) {
            Ok(place) => self.0[place].1 = text.into(),
            Err(place) => {
                // A trigger brings four to seven.
                if self.0.is_empty() {
                    self.0.reserve(8);
                }
                self.0.insert(place, (name, text.into()));
            }
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Name and text, in the order of the names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> + Clone {
        self.0.iter().map(|(name, text)| (&**name, text.as_str()))
    }

    fn place(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| (**known).cmp(name))
    }
}

impl Index<&str> for Fields {
    type Output = String;

    fn index(&self, name: &str) -> &String {
        match self.place(name) {
            Ok(place) => &self.0[place].1,
            Err(_) => panic!("there is no field {name}"),
        }
    }
}

impl<N: Into<Cow<'static, str>>, T: Into<String>> Extend<(N, T)> for Fields {
    fn extend<I: IntoIterator<Item = (N, T)>>(&mut self, fields: I) {
        fields.into_iter().for_each(|(name, text)| self.insert(name, text));
    }
}

impl<N: Into<Cow<'static, str>>, T: Into<String>> FromIterator<(N, T)> for Fields {
    fn from_iter<I: IntoIterator<Item = (N, T)>>(all: I) -> Self {
        let mut fields = Fields::default();
        fields.extend(all);
        fields
    }
}

impl<N: Into<Cow<'static, str>>, T: Into<String>, const LEN: usize> From<[(N, T); LEN]> for Fields {
    fn from(fields: [(N, T); LEN]) -> Self {
        fields.into_iter().collect()
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries)
    }
}

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("texts by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Fields::default();
        while let Some((name, text)) = map.next_entry::<String, String>()? {
            fields.insert(name, text);
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_stands_once_and_in_its_place() {
        let mut fields = Fields::from([("b", "1"), ("a", "2"), ("b", "3")]);
        fields.insert("c".to_owned(), "4");
        assert_eq!(fields.iter().collect::<Vec<_>>(), [("a", "2"), ("b", "3"), ("c", "4")]);
        assert_eq!((fields.get("b"), fields.get("d"), &*fields["c"]), (Some("3"), None, "4"));
        assert_eq!(serde_json::from_str::<Fields>(&serde_json::to_string(&fields).unwrap()).unwrap(), fields);
    }
}
