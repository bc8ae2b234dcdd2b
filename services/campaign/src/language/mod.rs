//! The campaign language: YAML to a validated plan.
//!
//! `raw` reads the shape, `check` turns it into a [`Plan`] and finds all errors of meaning at once, `lint` warns of what is
//! allowed but seldom meant. Every problem names line and column, shows the line and says what to do.

mod problem;
mod duration;
mod raw;
mod plan;
mod step;
mod check;
mod lint;
#[cfg(test)]
mod tests;

pub use plan::{Again, Cause, Goal, Level, Match, Order, Plan, Point, Step, Trigger, TriggerKind};
pub use problem::{Problem, Severity};

pub(crate) use problem::{Place, Report, Source, nearest};
pub(crate) use raw::{Prices as RawPrices, read};

/// Reads one campaign version.
///
/// # Errors
/// Everything that is wrong with it; warnings do not count and are kept in [`Plan::warnings`].
pub fn parse(source_name: &str, yaml: &str) -> Result<Plan, Vec<Problem>> {
    let source = Source { name: source_name, text: yaml };
    let raw = raw::read(&source).map_err(|problem| vec![problem])?;
    let mut report = Report::new(&source);
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
