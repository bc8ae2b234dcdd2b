//! The campaign language: YAML to a validated plan.
//!
//! `raw` reads the shape, `check` turns it into a [`Plan`] and finds all errors of meaning at once, `lint` warns of what is
//! allowed but seldom meant. Every problem names line and column, shows the line and says what to do.

mod problem;
mod raw;
mod plan;
mod step;
mod check;
mod experiment;
mod lint;
#[cfg(test)]
mod tests;

pub use experiment::Experiment;
pub use plan::{
    Again, Anchor, AtNight, Cause, Endings, Goal, Level, Match, Night, Order, Plan, Point, Schedule, Step, Template,
    Trigger, TriggerKind, Wait,
};
pub use problem::{Problem, Severity};

pub(crate) use check::{CLASSES, word};
pub(crate) use problem::{Place, Report, Source, nearest};
pub(crate) use raw::{Caps as RawCaps, Prices as RawPrices, Word, read};

/// Reads one campaign version. Everything that can be written, with what holds where it is left out:
///
/// ```yaml
/// campaign: cart-left            # letters, digits, - and _
/// version: 1                     # one more with each change; versions never change
/// class: marketing               # or transactional: no consent needed, no quiet hours
/// zone: Europe/Moscow            # of those of whose own nothing is known: no profile, no telling telephone number; UTC
/// quiet:                         # on the customer's clock; none
///   hours: 22:00-9:00
///   policy: hold                 # or skip (the next message), expire (and nothing dearer), ignore; hold
///   release: 30m                 # what was held goes out within so long after them; 30m
/// trigger:
///   on: cart                     # or registration, inactivity, action, schedule, end
///   action: purchase             # only with `on: action`
///   where: total_minor >= 1000   # CEL over the record and the profile; always
///   key: cart_id                 # one instance for each value; one for each customer
///   settle: 2h                   # nothing new for so long; at once
///   max_age: 24h                 # an older record begins nothing; 24h
///   again: refresh               # a further record while it runs; ignore
///   cooldown: 30d                # so long after its end it does not begin anew (as far as the row remembers); 0
///   # at: 2026-11-27T10:00+03:00 # only with `on: schedule`: when everybody is looked at,
///   # every: monday 10:00        # and again: 7d, day 10:00, monday 10:00, month 1 10:00, year 02-20 10:00; once
///   # pace: 100                  # so many customers of a partition in a second; as many as can be
///   # of: [welcome]              # only with `on: end`: of which campaigns,
///   # ended: [goal]              # and how they ended: goal, stop, exhausted, withdrawn; however they did
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
///     at: trigger + 1d           # from the end of settling; or of a date that the trigger or the profile brought:
///     # at: event.starts_at - 1 day 10:00   # `1 day` is a step of the calendar, `24h` a length
///     # at: profile.birthday - 3 days 10:00
///     # at: next tuesday 10:00   # from the moment when it is its turn; `10:00`: then or the next day
///     # after: 1d                # from the last hand-over; at once
///     spread: 30m                # so much later at most, not for all at the same moment; 0
///     late: 2h                   # seen so late (after an outage) it is skipped; or skip, fire; fire, as long as it is valid
///     wait: 3h                   # counted from the hand-over; until the next step's moment, or 1d for the last
///     # wait: 3h active          # quiet hours are no part of it
///     next_if: [not delivered, no information, cannot send, not opened, no goal]   # what the stop level calls a failure
///     valid: 6h                  # how late it may be handed over; 1d
///     # valid: until end of day  # or until 21:00, until event.offer_ends
///     quiet: ignore              # what the campaign says
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
