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

pub use plan::{Again, Cause, Goal, Level, Match, Order, Plan, Point, Schedule, Step, Trigger, TriggerKind};
pub use problem::{Problem, Severity};

pub(crate) use duration::{spell, unbounded};
pub(crate) use problem::{Place, Report, Source, nearest};
pub(crate) use raw::{Prices as RawPrices, read};

/// Reads one campaign version. Everything that can be written, with what holds where it is left out:
///
/// ```yaml
/// campaign: cart-left            # letters, digits, - and _
/// version: 1                     # one more with each change; versions never change
/// class: marketing               # or transactional: no consent needed
/// trigger:
///   on: cart                     # or registration, inactivity, action, schedule
///   action: purchase             # only with `on: action`
///   where: total_minor >= 1000   # CEL over the record and the profile; always
///   key: cart_id                 # one instance for each value; one for each customer
///   settle: 2h                   # nothing new for so long; at once
///   max_age: 24h                 # an older record begins nothing; 24h
///   again: refresh               # a further record while it runs; ignore
///   # at: 2026-11-27T10:00+03:00 # only with `on: schedule`: when everybody is looked at,
///   # every: 7d                  # and again after so long; once
///   # pace: 100                  # so many customers of a partition in a second; as many as can be
/// goal:
///   action: [purchase]           # one or several
///   match: same key              # or any; any
///   where: amount_minor > 0      # CEL over the action; always
///   grace: 2h                    # so long before the trigger counts too; 0
/// stop: delivered                # or opened, clicked, replied, goal; delivered
/// order: as written              # or by cost; as written
/// steps:
///   - name: free
///     any: [push, email]         # the first that can be used; or `channel: email`
///     template: cart
///     when: has_contact('push')  # CEL over the kept fields, contacts and earlier steps; always
///     at: trigger + 1d           # counted from the end of settling; or
///     # after: 1d                # counted from the last hand-over; at once
///     spread: 30m                # so much later at most, not for all at the same moment; 0
///     late: 2h                   # seen so late (after an outage) it is skipped; or skip, fire; fire, as long as it is valid
///     wait: 3h                   # counted from the hand-over; until the next step's moment, or 1d for the last
///     next_if: [not delivered, no information, cannot send, not opened, no goal]   # what the stop level calls a failure
///     valid: 6h                  # how late it may be handed over; 1d
///     escalate_on_outage: true   # a dearer step may follow although only an outage kept this one back; false
/// ```
///
/// # Errors
/// Everything that is wrong with it; warnings do not count and are kept in [`Plan::warnings`].
pub fn parse(source_name: &str, yaml: &str) -> Result<Plan, Vec<Problem>> {
    let source = Source { name: source_name, text: yaml };
    let raw = raw::read(&source)?;
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
