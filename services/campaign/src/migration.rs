//! Where the instances of one version go on in another.

use std::collections::BTreeMap;

use crate::language::Plan;

/// A migration that is possible: each step of the version that is left has its place in the other one, or is given up knowingly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// The version that instances leave.
    pub from: i32,
    /// The version that they move to.
    pub to: i32,
    /// For each step of the one its index in the other; none where whoever stands there goes on with what comes next.
    places: Vec<Option<usize>>,
}

impl Migration {
    /// Finds the places: steps of one name are one step, and `renamed` says of all others which step they are now. Nothing for the
    /// new name: whoever stands there goes on with what comes next.
    ///
    /// # Errors
    /// A sentence for each thing that keeps it from being possible.
    pub fn between(from: &Plan, to: &Plan, renamed: &BTreeMap<String, String>) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        if from.version == to.version {
            problems.push(format!("version {} cannot move to itself", from.version));
        }
        for old in renamed.keys() {
            if index_of(from, old).is_none() {
                problems.push(format!("version {} has no step {old}", from.version));
            } else if index_of(to, old).is_some() {
                problems.push(format!("version {} has a step {old}, too: a step keeps its name", to.version));
            }
        }
        let mut places = Vec::new();
        for step in &from.steps {
            let name = renamed.get(&step.name).unwrap_or(&step.name);
            let place = index_of(to, name);
            if place.is_none() && !renamed.contains_key(&step.name) {
                problems.push(format!(
                    "instances may stand at {0}, which version {1} does not have: say which step it is now, `--map {0}=NEW`, or \
                     that they go on with what comes next, `--map {0}=`",
                    step.name, to.version
                ));
            } else if place.is_none() && !name.is_empty() {
                problems.push(format!("version {} has no step {name}", to.version));
            }
            places.push(place);
        }
        if problems.is_empty() { Ok(Migration { from: from.version, to: to.version, places }) } else { Err(problems) }
    }

    /// Where a step of the version that is left stands in the other one.
    pub fn place(&self, step: usize) -> Option<usize> {
        self.places.get(step).copied().flatten()
    }

    /// Whether a step of the other version was none before.
    pub fn is_new(&self, step: usize) -> bool {
        !self.places.contains(&Some(step))
    }
}

fn index_of(plan: &Plan, name: &str) -> Option<usize> {
    plan.steps.iter().position(|step| step.name == name)
}
