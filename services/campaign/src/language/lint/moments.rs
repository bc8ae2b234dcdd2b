//! Messages whose moment always comes when they may not go out: their validity is over, or it is night.
//!
//! Each is tried at every half hour of a day. What is lost at all of them is lost for everybody, whenever the cascade begins. Nights are
//! looked at only where nothing else moves the message: what goes before it, a spread, a customer's own zone beside a schedule.

use jiff::civil::{DateTime, date};
use jiff::tz::TimeZone;
use schemas::{Class, Millis};

use crate::calendar::{Shift, instant, spell_clock};
use crate::language::plan::{Anchor, AtNight, Night, Order, Plan, Step};
use crate::language::problem::Report;
use crate::language::raw;
use crate::language::yaml::Word;

const HALF_HOUR: Millis = 1_800_000;
const HALF_HOURS: Millis = 48;

/// Looks at one step.
pub(super) fn lint(plan: &Plan, index: usize, written: &raw::Step, report: &mut Report<'_>) {
    let Some(step) = plan.steps.get(index) else { return };
    let Some(chances) = chances(step) else { return };
    let moment = written.at.as_ref().or(written.after.as_ref());
    let place = |first: Option<&Word>| first.or(moment).map_or(written.name.referenced, |word| word.referenced);
    if chances.iter().all(Chance::is_over) {
        return report.warning(
            place(written.valid.as_ref()),
            "its validity ends before its moment comes: it is never sent",
            "let it be valid for longer, or write a length such as `6h`, which counts from its moment",
        );
    }
    let is_first = index == 0 && plan.order == Order::AsWritten && plan.trigger.settle == 0;
    let comes_at_its_moment = is_first && step.spread == 0 && plan.trigger.schedule.is_none();
    let Some(night) = plan.quiet.filter(|_| plan.class == Class::Marketing && comes_at_its_moment) else { return };
    let policy = step.at_night.unwrap_or(night.policy);
    if !chances.iter().all(|chance| chance.is_over() || chance.is_lost(night, policy)) {
        return;
    }
    let hours = format!("{}-{}", spell_clock(night.hours.from), spell_clock(night.hours.to));
    match policy {
        AtNight::Hold => report.warning(
            place(written.valid.as_ref()),
            format!("its moment lies in the quiet hours {hours}, and when they end it is not valid any more: it is never sent"),
            "let it be valid for longer, choose another moment, or write `quiet: ignore`",
        ),
        _ => report.warning(
            place(None),
            format!("its moment lies in the quiet hours {hours}, in which it is skipped: it is never sent"),
            "choose another moment, or write `quiet: hold`",
        ),
    }
}

/// When a message would go out, and until when it might, on a clock without a zone.
struct Chance {
    moment: Millis,
    valid_until: Millis,
}

impl Chance {
    fn is_over(&self) -> bool {
        self.valid_until <= self.moment
    }

    fn is_lost(&self, night: Night, policy: AtNight) -> bool {
        let Some(end) = night.hours.end(self.moment, &TimeZone::UTC) else { return false };
        match policy {
            AtNight::Hold => end >= self.valid_until,
            AtNight::Skip | AtNight::Expire => true,
            AtNight::Ignore => false,
        }
    }
}

/// What can become of a step's moment; none where its validity ends by something else that nobody knows.
fn chances(step: &Step) -> Option<Vec<Chance>> {
    let own = step.valid.anchor == Anchor::Turn;
    if !own && step.valid.anchor != step.start.anchor {
        return None;
    }
    let chance = |lead: &dyn Fn(Shift) -> Option<Millis>| {
        let moment = lead(step.start.shift)?;
        let valid_until = if own { step.valid.shift.lead(moment, &TimeZone::UTC) } else { lead(step.valid.shift)? };
        Some(Chance { moment, valid_until })
    };
    let midnight = instant(midsummer(), &TimeZone::UTC)?;
    let begins = (0..HALF_HOURS).map(|half| midnight + half * HALF_HOUR);
    let mut chances: Vec<Chance> =
        begins.map(|begin| chance(&|shift| Some(shift.lead(begin, &TimeZone::UTC)))).collect::<Option<_>>()?;
    if step.start.is_dated() {
        // A date may come without a time of day.
        chances.push(chance(&|shift| shift.lead_from_day(midsummer().date(), &TimeZone::UTC))?);
    }
    Some(chances)
}

/// A day like any other.
fn midsummer() -> DateTime {
    date(2026, 6, 24).at(0, 0, 0, 0)
}
