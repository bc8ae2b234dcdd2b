//! The campaign language: YAML to a validated plan.
//!
//! `raw` is the shape, which `yaml` reads, `check` turns it into a [`Plan`] and finds all errors of meaning at once, `lint` warns of what is
//! allowed but seldom meant. Every problem names line and column, shows the line and says what to do.

mod problem;
mod yaml;
mod ornaments;
mod values;
mod raw;
mod plan;
mod step;
mod check;
mod experiment;
mod pins;
mod lint;
mod together;
mod unknown;
#[cfg(test)]
mod tests;

pub use experiment::Experiment;
pub use plan::{
    Again, Allowance, Anchor, Asleep, AtNight, Cause, Endings, Goal, Level, Match, Night, Order, PREFERRED, Per, Plan,
    Point, Schedule, Short, Sleeper, Step, Template, Trigger, TriggerKind, Wait,
};
pub use problem::{Problem, Severity};
pub use together::together;
pub use unknown::unknown_past;

pub(crate) use check::{CLASSES, KINDS as TRIGGERS, RELEASE, channel, word};
pub(crate) use problem::{Place, Report, Source, nearest};
pub(crate) use raw::{
    Campaign as RawCampaign, Caps as RawCaps, Price as RawPrice, Prices as RawPrices, Rate as RawRate,
    Rates as RawRates,
};
pub(crate) use values::KINDS as VALUES;
pub(crate) use yaml::{Spanned, Word, read};

/// Reads one campaign version. What can be written, with what holds where it is left out, `raw` says at each key;
/// [`reference`](crate::reference) makes the manual of it, which stands in `deploy/campaigns/LANGUAGE.md`.
///
/// # Errors
/// Everything that is wrong with it; warnings do not count and are kept in [`Plan::warnings`].
pub fn parse(source_name: &str, yaml: &str) -> Result<Plan, Vec<Problem>> {
    let source = Source { name: source_name, text: yaml };
    understand(&source, Report::new(&source))
}

/// Reads one that stands in the topic `campaign`: what was taken once is never refused later, for its cascades run.
///
/// # Errors
/// As for [`parse`].
pub(crate) fn parse_record(source_name: &str, yaml: &str) -> Result<Plan, Vec<Problem>> {
    let source = Source { name: source_name, text: yaml };
    understand(&source, Report::of_record(&source))
}

fn understand(source: &Source<'_>, mut report: Report<'_>) -> Result<Plan, Vec<Problem>> {
    if !report.is_of_record() {
        ornaments::refuse(source)?;
    }
    let raw = yaml::read(source)?;
    let plan = check::plan(&raw, &mut report);
    if let Some(plan) = &plan {
        lint::lint(&raw, plan, &mut report);
    }
    let (warnings, errors): (Vec<Problem>, Vec<Problem>) =
        report.into_problems().into_iter().partition(|problem| problem.severity == Severity::Warning);
    match plan {
        Some(plan) if errors.is_empty() => Ok(Plan { warnings, ..plan }),
        _ => Err(errors),
    }
}
