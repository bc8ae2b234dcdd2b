//! A migration: which step is which, and what changes for those who stand in the middle.

use crate::language::{Order, Plan, Step};
use crate::migration::Migration;

use super::words;

/// What changes for instances that move, as text.
pub fn migration(migration: &Migration, from: &Plan, to: &Plan) -> String {
    let mut text = format!("{}: version {} to version {}\n", from.name, from.version, to.version);
    let mut line = |indent: usize, line: String| text.push_str(&format!("{:indent$}{line}\n", ""));
    for (index, step) in from.steps.iter().enumerate() {
        match migration.place(index).map(|place| &to.steps[place]) {
            Some(there) => {
                let name = if step.name == there.name { String::new() } else { format!(" is {} now", there.name) };
                let changes = differences(&said(step), &said(there));
                let same = if changes.is_empty() { ": unchanged" } else { "" };
                line(2, format!("step {}{name}{same}", step.name));
                changes.into_iter().for_each(|change| line(4, change));
            }
            None => {
                line(2, format!("step {} is given up: whoever stands there goes on with what comes next", step.name))
            }
        }
    }
    for (_, step) in to.steps.iter().enumerate().filter(|(index, _)| migration.is_new(*index)) {
        let whom =
            if to.order == Order::AsWritten { "only for those who stand before it" } else { "for all who go on" };
        line(2, format!("step {} is new: {whom}", step.name));
    }
    differences(&around(from), &around(to)).into_iter().for_each(|change| line(2, change));
    text
}

/// All that is said of a step.
fn said(step: &Step) -> Vec<String> {
    let mut lines = vec![words::message(step)];
    lines.append(&mut words::step(step));
    lines.push(format!("goes on if: {}", words::leads_on(step)));
    lines
}

/// All that is said of a campaign but for its steps.
fn around(plan: &Plan) -> Vec<String> {
    let mut lines = vec![format!("its messages are {}", words::class(plan))];
    lines.push(format!("where no zone is known: {}", plan.zone.iana_name().unwrap_or("UTC")));
    lines.push(format!("priority {}", plan.priority));
    lines.append(&mut words::trigger(plan));
    lines.extend(plan.goal.as_ref().map(|goal| format!("goal: {}", words::goal(goal))));
    lines.extend(words::stop(plan.stop).map(|stop| format!("ends when {stop}")));
    lines.extend(words::choice(plan.order).map(|choice| format!("next is {choice}")));
    lines.extend(plan.templates.iter().map(|(name, version)| format!("says version {version} of {name}")));
    lines
}

/// What only one of them says.
fn differences(from: &[String], to: &[String]) -> Vec<String> {
    let gone = from.iter().filter(|line| !to.contains(line)).map(|line| format!("- {line}"));
    let new = to.iter().filter(|line| !from.contains(line)).map(|line| format!("+ {line}"));
    gone.chain(new).collect()
}
