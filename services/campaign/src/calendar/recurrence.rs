//! Days that come again.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use schemas::Millis;

use super::{instant, local};

/// Moments that come again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recurrence {
    /// After a length, counted from the first one.
    Length(Millis),
    /// Every day.
    Daily(Time),
    /// On a day of the week.
    Weekly(Weekday, Time),
    /// On a day of the month, or its last one.
    Monthly(i8, Time),
    /// On a day of the year; the 29th of February is the 28th in most years.
    Yearly(i8, i8, Time),
}

impl Recurrence {
    /// The latest moment up to `now`. `first` is where lengths count from.
    pub(crate) fn latest(self, first: Millis, now: Millis, zone: &TimeZone) -> Option<Millis> {
        let length = match self {
            Recurrence::Length(length) => Some(length),
            _ => None,
        };
        if let Some(length) = length {
            return now.checked_sub(first).filter(|passed| *passed >= 0).map(|passed| now - passed % length.max(1));
        }
        let today = local(now, zone)?.date();
        let back = |periods| self.day(today, periods).and_then(|(day, time)| instant(day.to_datetime(time), zone));
        (0..3).filter_map(back).find(|moment| *moment <= now)
    }

    /// The first moment behind `after`.
    pub(crate) fn next(self, first: Millis, after: Millis, zone: &TimeZone) -> Option<Millis> {
        if let Recurrence::Length(length) = self {
            return self.latest(first, after, zone).map_or(Some(first), |latest| latest.checked_add(length));
        }
        let today = local(after, zone)?.date();
        let ahead =
            |periods: i64| self.day(today, -periods).and_then(|(day, time)| instant(day.to_datetime(time), zone));
        (0..3).filter_map(ahead).find(|moment| *moment > after)
    }

    /// Its day in the period of `today`, or so many periods before; behind, if there are less than none.
    fn day(self, today: Date, periods: i64) -> Option<(Date, Time)> {
        let earlier = |span: jiff::Span| today.checked_sub(span).ok();
        let span = jiff::Span::new();
        Some(match self {
            Recurrence::Length(_) => return None,
            Recurrence::Daily(time) => (earlier(span.try_days(periods).ok()?)?, time),
            Recurrence::Weekly(weekday, time) => {
                let since = Millis::from(today.weekday().since(weekday));
                (earlier(span.try_days(since + 7 * periods).ok()?)?, time)
            }
            Recurrence::Monthly(day, time) => {
                let month = earlier(span.try_months(periods).ok()?)?.first_of_month();
                (in_month(month.year(), month.month(), day)?, time)
            }
            Recurrence::Yearly(month, day, time) => {
                let year = i64::from(today.year()).checked_sub(periods)?;
                (in_month(i16::try_from(year).ok()?, month, day)?, time)
            }
        })
    }
}

/// A day of a month, or its last one.
pub(super) fn in_month(year: i16, month: i8, day: i8) -> Option<Date> {
    let first = Date::new(year, month, 1).ok()?;
    Date::new(year, month, day.min(first.days_in_month())).ok()
}
