//! What is wrong with campaigns that are right by themselves: two texts of one version, and campaigns that begin one another for ever.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use schemas::Reason;

use crate::predicate::Asked;

use super::plan::{Level, Plan};
use super::problem::{Place, Problem, Report, Source};
use super::{check, raw, yaml};

/// A file that was understood by itself.
struct File<'a> {
    source: Source<'a>,
    raw: raw::Campaign,
    plan: Plan,
}

/// Looks at campaign versions together, each with the name of its file and its text. What is wrong with one by itself is not told
/// again: see [`parse`](super::parse).
pub fn together(files: &[(&str, &str)]) -> Vec<Problem> {
    let files: Vec<File<'_>> = files.iter().filter_map(|(name, text)| understand(name, text)).collect();
    let mut problems = twice(&files);
    problems.extend(circles(&files));
    problems
}

fn understand<'a>(name: &'a str, text: &'a str) -> Option<File<'a>> {
    let source = Source { name, text };
    let raw = yaml::read(&source).ok()?;
    let plan = check::plan(&raw, &mut Report::new(&source))?;
    Some(File { source, raw, plan })
}

/// A version has one text.
fn twice(files: &[File<'_>]) -> Vec<Problem> {
    let mut first: BTreeMap<(&str, i32), &File<'_>> = BTreeMap::new();
    let mut problems = Vec::new();
    for file in files {
        let before = *first.entry((&file.plan.name, file.plan.version)).or_insert(file);
        if before.source.text == file.source.text {
            continue;
        }
        let mut report = Report::new(&file.source);
        report.error(
            file.raw.version.referenced,
            format!(
                "version {} of {} stands in {}, too, with another text",
                file.plan.version, file.plan.name, before.source.name
            ),
            "a version has one text: give one of them another number, or remove it",
        );
        problems.extend(report.into_problems());
    }
    problems
}

/// Campaigns of which each begins where another one ends, all the way round, and none of them ever says that it is enough.
fn circles(files: &[File<'_>]) -> Vec<Problem> {
    let mut newest: BTreeMap<&str, &File<'_>> = BTreeMap::new();
    for file in files {
        let known = newest.entry(&file.plan.name).or_insert(file);
        if known.plan.version < file.plan.version {
            *known = file;
        }
    }
    let mut problems = Vec::new();
    for (name, file) in &newest {
        let Some(circle) = circle(name, &newest) else { continue };
        // It is told once for each of its campaigns, at the place where that one follows.
        let Some(of) = &file.raw.trigger.of else { continue };
        let mut report = Report::new(&file.source);
        report.error(
            Place::from(of.referenced),
            format!("these campaigns begin one another for ever: {}", circle.join(" -> ")),
            "bound one of them: `maximum: 3`, `cooldown: 30d`, or `ended: goal`",
        );
        problems.extend(report.into_problems());
    }
    problems
}

/// The shortest way round from a campaign to itself: each one named is begun by the end of the one before it.
fn circle<'f>(name: &'f str, newest: &BTreeMap<&'f str, &'f File<'_>>) -> Option<Vec<&'f str>> {
    let mut before: BTreeMap<&str, &str> = BTreeMap::new();
    let mut reached = vec![name];
    let mut next = 0;
    while let Some(ended) = reached.get(next).copied() {
        next += 1;
        for (follower, _) in newest.iter().filter(|(_, file)| follows(&file.plan, &newest[ended].plan)) {
            if *follower == name {
                let mut way = vec![name, ended];
                while let Some(earlier) = before.get(way.last().copied().unwrap_or(name)) {
                    way.push(earlier);
                }
                // From the campaign round to itself; one that follows upon itself is refused elsewhere.
                way.reverse();
                return Some(way).filter(|way| way.len() > 2);
            }
            if !before.contains_key(follower) {
                before.insert(follower, ended);
                reached.push(follower);
            }
        }
    }
    None
}

/// Whether the end of a campaign begins this one without an end of its own: nothing bounds how often, and no deed of the customer is
/// needed for it.
fn follows(plan: &Plan, ended: &Plan) -> bool {
    let Some(endings) = &plan.trigger.endings else { return false };
    // That a message arrived is nobody's deed.
    let by_deed = |reason: &Reason| match reason {
        Reason::GoalReached | Reason::Withdrawn | Reason::TurnedDown => true,
        Reason::StopReached => ended.stop > Level::Delivered,
        _ => false,
    };
    let mut asks_of_campaigns = false;
    if let Some(condition) = &plan.trigger.condition {
        condition.asks(&mut |asked| asks_of_campaigns |= matches!(asked, Asked::Campaign(_)));
    }
    let is_bounded = plan.trigger.maximum.is_some()
        || plan.trigger.cooldown > 0
        || asks_of_campaigns
        || endings.reasons.iter().all(by_deed);
    !is_bounded && endings.of.contains(&ended.name)
}
