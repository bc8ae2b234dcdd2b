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

/// Why nobody should be moved so, though it can be done: what begins a cascade, and what it is about, say by which of its events a running
/// one is met again. Former versions have let such migrations into the topic, and all have to count them alike.
pub fn of_another_thing(from: &Plan, to: &Plan) -> Option<String> {
    let (was, is) = (&from.trigger, &to.trigger);
    if (was.on, &was.action) != (is.on, &is.action) {
        return Some(format!(
            "version {} begins by something else than version {}: let the cascades of the old one end, or stop the campaign",
            to.version, from.version
        ));
    }
    let written = |plan: &Plan| plan.trigger.key.as_ref().map(|key| key.as_written().trim().to_owned());
    if written(from) == written(to) {
        return None;
    }
    let named = |plan| written(plan).map_or_else(|| "no `key`".to_owned(), |key| format!("`key: {key}`"));
    Some(format!(
        "version {} has {} and version {} has {}: cascades that move would not be met again by what they are about",
        from.version,
        named(from),
        to.version,
        named(to)
    ))
}

fn index_of(plan: &Plan, name: &str) -> Option<usize> {
    plan.steps.iter().position(|step| step.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_was_said_once_is_never_refused_later() {
        let (old, new) = (plan(1, "on: cart, settle: 2h"), plan(2, "on: cart, settle: 2h, key: cart_id"));
        assert!(Migration::between(&old, &new, &BTreeMap::new()).is_ok(), "all have to count it alike");
        for (head, step) in [
            ("goal: {action: purchase, where: \"!was_in('x', 30)\"}\n", ""),
            ("", ", valid: until event.offer_ends"),
            ("", ", at: profile.attributes.birthday - 3 days 10:00"),
        ] {
            let text = format!(
                "campaign: c\nversion: 1\ntrigger: {{on: cart, settle: 2h}}\n{head}steps: [{{name: a, channel: email, template: t{step}}}]\n"
            );
            assert!(crate::language::parse("c.yaml", &text).is_err(), "{text}");
            assert!(crate::language::parse_record("c/1", &text).is_ok(), "{text}");
        }
    }

    fn plan(version: i32, trigger: &str) -> Plan {
        let text = format!(
            "campaign: c\nversion: {version}\ntrigger: {{{trigger}}}\nsteps: [{{name: a, channel: email, template: t}}]\n"
        );
        crate::language::parse("c.yaml", &text).unwrap_or_else(|problems| panic!("{}", problems[0]))
    }

    #[test]
    fn what_a_cascade_is_about_cannot_change_under_it() {
        const CART: &str = "on: cart, settle: 2h";
        let told = |from: &str, to: &str| of_another_thing(&plan(1, from), &plan(2, to));
        for key in ["", ", key: cart_id"] {
            let trigger = format!("{CART}{key}");
            assert_eq!(told(&trigger, &format!("{trigger}, where: total_minor > 5, max_age: 1h")), None);
        }
        let refused = |from: &str, to: &str| told(from, to).unwrap();
        let keyed = format!("{CART}, key: cart_id");
        for (from, to) in [(CART, &*keyed), (&*keyed, CART), (&*keyed, "on: cart, settle: 2h, key: currency")] {
            assert!(refused(from, to).contains("would not be met again"), "{from} {to}");
        }
        assert!(refused(CART, &keyed).contains("version 1 has no `key` and version 2 has `key: cart_id`"));
        for to in ["on: registration", "on: action, action: lead"] {
            assert!(refused("on: action, action: order, max_age: 2d", to).contains("begins by something else"), "{to}");
        }
    }
}
