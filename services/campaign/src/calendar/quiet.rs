//! Hours in which nobody is written to.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use schemas::Millis;

use super::{instant, later, local};

/// Quiet hours, `[from, to)` on the customer's clock. They may reach over midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quiet {
    /// Their first moment.
    pub from: Time,
    /// The first moment behind them.
    pub to: Time,
}

/// No wait is cut into more pieces than this: years of nights.
const NIGHTS: usize = 2_000;

impl Quiet {
    /// When they end, if it is quiet at `at`.
    pub(crate) fn end(self, at: Millis, zone: &TimeZone) -> Option<Millis> {
        let here = local(at, zone)?;
        let (time, date) = (here.time(), here.date());
        let day = match (self.from < self.to, time >= self.from, time < self.to) {
            (true, true, true) | (false, false, true) => date,
            (false, true, false) => date.tomorrow().ok()?,
            _ => return None,
        };
        // Where clocks go back in between, the first of two ends lies before.
        let ends = [instant(day.to_datetime(self.to), zone), later(day.to_datetime(self.to), zone)];
        ends.into_iter().flatten().find(|end| *end > at)
    }

    /// When a length is over of which quiet hours are no part.
    pub(crate) fn active(self, from: Millis, length: Millis, zone: &TimeZone) -> Millis {
        let (mut at, mut left) = (from, length);
        for _ in 0..NIGHTS {
            at = self.end(at, zone).unwrap_or(at);
            let Some(night) = self.next(at, zone) else { break };
            if at.saturating_add(left) <= night {
                break;
            }
            left -= night - at;
            at = night;
        }
        at.saturating_add(left)
    }

    /// When they begin next, behind `at`.
    pub(crate) fn next(self, at: Millis, zone: &TimeZone) -> Option<Millis> {
        let date = local(at, zone)?.date();
        let today = instant(date.to_datetime(self.from), zone)?;
        if today > at { Some(today) } else { instant(date.tomorrow().ok()?.to_datetime(self.from), zone) }
    }
}
