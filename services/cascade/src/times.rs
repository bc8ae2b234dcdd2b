//! Moments, as people write them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::failure::{Exit, Failure};

/// The zone of this IANA name.
///
/// # Errors
/// `Usage` if there is none.
pub fn zone(name: &str) -> Result<TimeZone, Failure> {
    TimeZone::get(name).map_err(|_| {
        Failure::new(Exit::Usage, format!("there is no time zone {name}: use an IANA name such as Europe/Berlin"))
    })
}

/// A moment in a zone: `Mon 2 Mar 2026, 07:00:00`.
pub fn local(at: schemas::Millis, zone: &TimeZone) -> String {
    match Timestamp::from_millisecond(at) {
        Ok(moment) => moment.to_zoned(zone.clone()).strftime("%a %-d %b %Y, %H:%M:%S").to_string(),
        Err(_) => format!("{at} ms"),
    }
}

/// A moment in UTC: `2026-03-02T12:00:00Z`.
pub fn utc(at: schemas::Millis) -> String {
    Timestamp::from_millisecond(at).map_or_else(|_| format!("{at} ms"), |moment| moment.to_string())
}
