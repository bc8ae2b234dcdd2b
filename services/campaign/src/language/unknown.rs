//! What a campaign asks of a past that nobody has written down yet.

use crate::plans::Plans;
use crate::predicate::{Asked, Predicate};

use super::problem::{Problem, Report, Source};
use super::yaml::Word;
use super::{check, yaml};

/// Warns of conditions that look back to before anything of it is remembered: rows remember what a campaign in force asks for, from then
/// on. `plans` are those that are in force before this one.
pub fn unknown_past(source_name: &str, yaml: &str, plans: &Plans) -> Vec<Problem> {
    let source = Source { name: source_name, text: yaml };
    let Ok(raw) = yaml::read::<super::RawCampaign>(&source) else { return Vec::new() };
    let Some(plan) = check::plan(&raw, &mut Report::new(&source)) else { return Vec::new() };
    let mut report = Report::new(&source);
    let mut look = |predicate: Option<&Predicate>, written: Option<&Word>| {
        let Some((predicate, written)) = predicate.zip(written) else { return };
        let mut told: Vec<Asked<'_>> = Vec::new();
        predicate.looks_back(&mut |asked, days| {
            if plans.asks_for(asked) || told.contains(&asked) {
                return;
            }
            told.push(asked);
            let back = days.map_or_else(|| "back".to_owned(), |days| format!("{days} days back"));
            let hint = "until then it is as if there had been none: let a campaign ask for it first, and begin with this one later";
            report.warning(
                written.referenced,
                format!("the condition looks {back}, but {} are remembered only from now on", what(asked)),
                hint,
            );
        });
    };
    look(plan.trigger.condition.as_ref(), raw.trigger.condition.as_ref());
    look(plan.trigger.key.as_ref(), raw.trigger.key.as_ref());
    let goals = plan.goal.as_ref().zip(raw.goal.as_ref());
    look(goals.and_then(|(goal, _)| goal.condition.as_ref()), goals.and_then(|(_, raw)| raw.condition.as_ref()));
    for (step, written) in plan.steps.iter().zip(&raw.steps) {
        look(step.when.as_ref(), written.when.as_ref());
    }
    report.into_problems()
}

fn what(asked: Asked<'_>) -> String {
    match asked {
        Asked::Action(action) => format!("actions `{action}`"),
        Asked::Purchase(what) => format!("purchases of `{what}`"),
        Asked::Channel(channel) | Asked::Silence(channel) => format!("reactions on {channel}"),
        Asked::Campaign(campaign) => format!("cascades of `{campaign}`"),
    }
}
