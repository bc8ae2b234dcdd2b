//! Values of metrics' labels that come from configuration or data: so many, and no more.
//!
//! Each value is a series that Prometheus keeps for weeks. Whoever has thousands of them sees the first, and the others together.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};

/// So many values of a label have a series of their own.
pub const VALUES_MAX: usize = 200;

/// The value of all others.
pub const OTHER: &str = "__other__";

/// The values of one label that have a series of their own. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Values(Arc<RwLock<HashSet<String>>>);

impl Values {
    /// The value itself, if it is among the first [`VALUES_MAX`], else [`OTHER`].
    pub fn of<'a>(&self, value: &'a str) -> &'a str {
        let is_known = self.0.read().unwrap_or_else(PoisonError::into_inner).contains(value);
        if is_known {
            return value;
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= VALUES_MAX && !known.contains(value) {
            return OTHER;
        }
        known.insert(value.to_owned());
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_values_are_themselves_and_all_others_are_one() {
        let values = Values::default();
        let names: Vec<String> = (0..VALUES_MAX + 5).map(|number| format!("name-{number}")).collect();
        let shown: HashSet<&str> = names.iter().map(|name| values.of(name)).collect();
        assert_eq!((shown.len(), values.of("late")), (VALUES_MAX + 1, OTHER));
        assert_eq!(values.clone().of(&names[3]), "name-3", "who had a series keeps it");
        assert_eq!(values.of(OTHER), OTHER);
    }
}
