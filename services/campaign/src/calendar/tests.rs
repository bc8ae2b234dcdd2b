//! Days, clocks and their traps, with moments that were looked up.

use super::*;

const HOUR: Millis = 3_600_000;
const DAY: Millis = 24 * HOUR;

fn berlin() -> TimeZone {
    zone("Europe/Berlin").unwrap()
}

fn at(text: &str) -> Millis {
    text.parse::<Timestamp>().unwrap().as_millisecond()
}

fn shown(moment: Millis) -> String {
    Timestamp::from_millisecond(moment).unwrap().to_string()
}

fn led(from: &str, way: &str) -> String {
    shown(shift(way).unwrap().lead(at(from), &berlin()))
}

#[test]
fn who_was_born_on_a_leap_day_has_a_birthday_every_year() {
    let day = |text: &str| text.parse::<Date>().unwrap();
    for (today, next) in [
        ("2027-02-27", "2027-02-28"),
        ("2027-02-28", "2027-02-28"),
        ("2027-03-01", "2028-02-29"),
        ("2028-02-28", "2028-02-29"),
        ("2028-02-29", "2028-02-29"),
        ("2028-03-01", "2029-02-28"),
        ("2100-01-01", "2100-02-28"),
    ] {
        assert_eq!(next_anniversary(day("2000-02-29"), day(today)), Some(day(next)), "{today}");
    }
}

#[test]
fn a_length_is_no_step_of_the_calendar() {
    // Clocks go forward in the night to the 29th of March 2026: that day has 23 hours.
    assert_eq!(led("2026-03-28T09:00:00Z", "24h"), "2026-03-29T09:00:00Z");
    assert_eq!(led("2026-03-28T09:00:00Z", "1 day"), "2026-03-29T08:00:00Z");
    assert_eq!(led("2026-01-31T09:00:00Z", "1 month"), "2026-02-28T09:00:00Z");
    assert_eq!(led("2024-02-29T09:00:00Z", "1 year"), "2025-02-28T09:00:00Z");
    assert_eq!(led("2026-06-01T08:00:00Z", "1d 12h"), "2026-06-02T20:00:00Z");
}

#[test]
fn a_way_ends_at_a_time_of_day() {
    // Ten o'clock in Berlin in summer is eight in UTC.
    assert_eq!(led("2026-06-01T07:00:00Z", "10:00"), "2026-06-01T08:00:00Z");
    assert_eq!(led("2026-06-01T08:00:00Z", "10:00"), "2026-06-01T08:00:00Z");
    assert_eq!(led("2026-06-01T08:00:01Z", "10:00"), "2026-06-02T08:00:00Z");
    assert_eq!(led("2026-06-01T20:00:00Z", "1 day 10:00"), "2026-06-02T08:00:00Z");
    assert_eq!(led("2026-06-01T20:00:00Z", "24h 10:00"), "2026-06-03T08:00:00Z");
    // The first of June 2026 is a Monday.
    assert_eq!(led("2026-06-01T07:00:00Z", "next tuesday 10:00"), "2026-06-02T08:00:00Z");
    assert_eq!(led("2026-06-01T07:00:00Z", "next monday 10:00"), "2026-06-08T08:00:00Z");
}

#[test]
fn a_time_that_does_not_exist_is_the_first_moment_behind_the_gap_and_one_that_comes_twice_the_first() {
    assert_eq!(led("2026-03-28T09:00:00Z", "1 day 02:30"), "2026-03-29T01:00:00Z");
    assert_eq!(led("2026-10-24T09:00:00Z", "1 day 02:30"), "2026-10-25T00:30:00Z");
}

/// Its own start is the last moment before which the change does not lie.
#[test]
fn the_first_time_of_a_gap_is_skipped_with_it() {
    assert_eq!(led("2026-03-28T09:00:00Z", "1 day 02:00"), "2026-03-29T01:00:00Z");
    assert_eq!(led("2026-03-28T09:00:00Z", "1 day 01:59"), "2026-03-29T00:59:00Z");
    assert_eq!(led("2026-03-28T09:00:00Z", "1 day 03:00"), "2026-03-29T01:00:00Z");
    // Where clocks go forward at midnight, the day begins at one o'clock.
    let beirut = zone("Asia/Beirut").unwrap();
    let midnight = shift("1 day 00:00").unwrap().lead(at("2026-03-28T09:00:00Z"), &beirut);
    assert_eq!(shown(midnight), "2026-03-28T22:00:00Z");
    assert_eq!(moment_of("2026-03-29", Shift::default(), &beirut).map(shown).unwrap(), "2026-03-28T22:00:00Z");
    assert_eq!(day_of("1982-04-01", &zone("Europe/Moscow").unwrap()), Some(jiff::civil::date(1982, 4, 1)));
    let (cairo, midnights) = (zone("Africa/Cairo").unwrap(), recurrence("day 00:00").unwrap());
    let latest = |now: &str| midnights.latest(0, at(now), &cairo).map(shown).unwrap();
    let next = |after: &str| midnights.next(0, at(after), &cairo).map(shown).unwrap();
    assert_eq!(latest("2026-04-24T09:00:00Z"), "2026-04-23T22:00:00Z");
    assert_eq!(next("2026-04-23T09:00:00Z"), "2026-04-23T22:00:00Z");
    let two = recurrence("day 02:00").unwrap();
    assert_eq!(two.latest(0, at("2026-03-29T01:00:00Z"), &berlin()).map(shown).unwrap(), "2026-03-29T01:00:00Z");
    assert_eq!(two.next(0, at("2026-03-28T12:00:00Z"), &berlin()).map(shown).unwrap(), "2026-03-29T01:00:00Z");
    let night = Quiet { from: clock("22:00").unwrap(), to: clock("2:00").unwrap() };
    assert_eq!(night.end(at("2026-03-29T00:00:00Z"), &berlin()).map(shown).unwrap(), "2026-03-29T01:00:00Z");
}

/// Kazakhstan went from six hours to five on the first of March 2024. A moment that was reckoned by older rules is an hour early, and
/// whoever asks at that moment by newer ones is told to wait on.
#[test]
fn a_country_changes_its_law_and_programs_hear_of_it_one_after_the_other() {
    let (before, now) = (TimeZone::fixed(jiff::tz::offset(6)), zone("Asia/Almaty").unwrap());
    let led = |way: &str, zone| shown(shift(way).unwrap().lead(at("2024-02-29T06:00:00Z"), zone));
    assert_eq!(led("1 day", &before), "2024-03-01T06:00:00Z");
    assert_eq!(led("1 day", &now), "2024-03-01T07:00:00Z");
    assert_eq!(led("24h", &now), "2024-03-01T06:00:00Z");
    let night = Quiet { from: clock("22:00").unwrap(), to: clock("9:00").unwrap() };
    let held_until = night.end(at("2024-03-01T01:00:00Z"), &before).unwrap();
    assert_eq!(shown(held_until), "2024-03-01T03:00:00Z");
    assert_eq!(night.end(held_until, &now).map(shown).unwrap(), "2024-03-01T04:00:00Z");
}

#[test]
fn a_date_is_read_as_people_write_it() {
    let read = |text: &str, way: &str| moment_of(text, shift(way).unwrap(), &berlin()).map(shown);
    assert_eq!(read("2026-06-01", "10:00").unwrap(), "2026-06-01T08:00:00Z");
    assert_eq!(read("2026-06-01T19:00", "1h").unwrap(), "2026-06-01T18:00:00Z");
    assert_eq!(read("2026-06-01T19:00:00+03:00", "1 day").unwrap(), "2026-06-02T16:00:00Z");
    assert_eq!(read("1780308000000", "1h").unwrap(), "2026-06-01T11:00:00Z");
    assert_eq!(read("soon", "1h"), None);
    assert_eq!(read("", "1h"), None);
    assert_eq!(day_of("2026-06-01T23:30:00Z", &berlin()), Some(jiff::civil::date(2026, 6, 2)));
}

#[test]
fn quiet_hours_reach_over_midnight_and_have_half_open_bounds() {
    let night = Quiet { from: clock("22:00").unwrap(), to: clock("9:00").unwrap() };
    let end = |moment: &str| night.end(at(moment), &berlin()).map(shown);
    assert_eq!(end("2026-06-01T19:59:59Z"), None);
    assert_eq!(end("2026-06-01T20:00:00Z").unwrap(), "2026-06-02T07:00:00Z");
    assert_eq!(end("2026-06-02T06:59:59Z").unwrap(), "2026-06-02T07:00:00Z");
    assert_eq!(end("2026-06-02T07:00:00Z"), None);
    let noon = Quiet { from: clock("12:00").unwrap(), to: clock("14:00").unwrap() };
    assert_eq!(noon.end(at("2026-06-01T10:30:00Z"), &berlin()).map(shown).unwrap(), "2026-06-01T12:00:00Z");
    assert_eq!(noon.end(at("2026-06-01T12:00:00Z"), &berlin()), None);
}

#[test]
fn quiet_hours_are_no_part_of_an_active_wait() {
    let night = Quiet { from: clock("22:00").unwrap(), to: clock("9:00").unwrap() };
    let over = |from: &str, length| shown(night.active(at(from), length, &berlin()));
    assert_eq!(over("2026-06-01T08:00:00Z", 3 * HOUR), "2026-06-01T11:00:00Z");
    // 20:00 to 22:00, and an hour of the next morning.
    assert_eq!(over("2026-06-01T18:00:00Z", 3 * HOUR), "2026-06-02T08:00:00Z");
    assert_eq!(over("2026-06-01T23:00:00Z", 3 * HOUR), "2026-06-02T10:00:00Z");
    // Thirteen hours a day.
    assert_eq!(over("2026-06-01T07:00:00Z", 10 * 13 * HOUR), "2026-06-10T20:00:00Z");
    let never = Quiet { from: clock("10:00").unwrap(), to: clock("10:00").unwrap() };
    assert!(never.active(0, 3 * HOUR, &berlin()) >= 3 * HOUR);
}

#[test]
fn what_comes_again_came_last() {
    let latest = |text: &str, now: &str| recurrence(text).unwrap().latest(0, at(now), &berlin()).map(shown).unwrap();
    assert_eq!(latest("day 10:00", "2026-06-02T07:59:59Z"), "2026-06-01T08:00:00Z");
    assert_eq!(latest("day 10:00", "2026-06-02T08:00:00Z"), "2026-06-02T08:00:00Z");
    assert_eq!(latest("monday 10:00", "2026-06-08T07:00:00Z"), "2026-06-01T08:00:00Z");
    assert_eq!(latest("monday 10:00", "2026-06-10T07:00:00Z"), "2026-06-08T08:00:00Z");
    assert_eq!(latest("month 31 10:00", "2026-03-15T00:00:00Z"), "2026-02-28T09:00:00Z");
    assert_eq!(latest("year 02-29 10:00", "2026-03-01T00:00:00Z"), "2026-02-28T09:00:00Z");
    assert_eq!(latest("year 02-29 10:00", "2026-02-01T00:00:00Z"), "2025-02-28T09:00:00Z");
    let next = |text: &str, after: &str| recurrence(text).unwrap().next(0, at(after), &berlin()).map(shown).unwrap();
    assert_eq!(next("day 10:00", "2026-06-01T08:00:00Z"), "2026-06-02T08:00:00Z");
    assert_eq!(next("monday 10:00", "2026-06-01T07:59:59Z"), "2026-06-01T08:00:00Z");
    assert_eq!(next("monday 10:00", "2026-06-01T08:00:00Z"), "2026-06-08T08:00:00Z");
    assert_eq!(next("month 31 10:00", "2026-02-28T10:00:00Z"), "2026-03-31T08:00:00Z");
    assert_eq!(next("year 02-29 10:00", "2026-03-01T00:00:00Z"), "2027-02-28T09:00:00Z");
    assert_eq!(Recurrence::Length(7 * DAY).next(10 * DAY, 17 * DAY, &berlin()), Some(24 * DAY));
    assert_eq!(Recurrence::Length(7 * DAY).next(10 * DAY, 9 * DAY, &berlin()), Some(10 * DAY));
    assert_eq!(Recurrence::Length(7 * DAY).latest(10 * DAY, 23 * DAY, &berlin()), Some(17 * DAY));
    assert_eq!(Recurrence::Length(7 * DAY).latest(10 * DAY, 9 * DAY, &berlin()), None);
}

#[test]
fn a_moment_that_the_clock_shows_twice_or_not_at_all_comes_once_on_its_day() {
    let daily = recurrence("day 02:30").unwrap();
    let next = |after: &str| daily.next(0, at(after), &berlin()).map(shown).unwrap();
    let latest = |now: &str| daily.latest(0, at(now), &berlin()).map(shown).unwrap();
    // Clocks go back at 01:00 in UTC on the 25th of October 2026: half past two comes at 00:30 and at 01:30.
    assert_eq!(next("2026-10-24T12:00:00Z"), "2026-10-25T00:30:00Z");
    assert_eq!(next("2026-10-25T00:30:00Z"), "2026-10-26T01:30:00Z");
    assert_eq!(latest("2026-10-25T01:45:00Z"), "2026-10-25T00:30:00Z");
    // And in the night to the 29th of March it does not come: the first moment behind the gap stands for it.
    assert_eq!(next("2026-03-28T12:00:00Z"), "2026-03-29T01:00:00Z");
    assert_eq!(next("2026-03-29T01:00:00Z"), "2026-03-30T00:30:00Z");
}

#[test]
fn what_is_no_time_is_refused() {
    assert_eq!(span("1d 12h"), Ok(36 * HOUR));
    assert_eq!(span("90s"), Ok(90_000));
    assert_eq!(span("2w"), Ok(14 * DAY));
    for wrong in ["", "3", "1.5h", "h", "3 apples", "10:0", "25:00", "next 10:00", "tuesday", "10:00 1d", "-1d"] {
        assert!(shift(wrong).is_err(), "{wrong}");
    }
    for long in ["99999999999999999999d", "9999999999999d", "1831d", "6 years", "99999999999 days"] {
        assert!(shift(long).is_err(), "{long}");
    }
    assert!(span("3mo").unwrap_err().0.contains("no fixed length"));
    assert!(span("1 day").is_err() && span("10:00").is_err());
    for text in ["1d12h", "3h", "1m30s", "400d", "7d1h5m9s"] {
        assert_eq!(unbounded(text).map(spell), Ok(text.to_owned()));
    }
    for text in ["1d12h", "3 days 10:00", "1 month 2 days", "next tuesday 09:30", "10:00"] {
        assert_eq!(shift(text).map(|shift| shift.to_string()), Ok(text.to_owned()));
        assert_eq!(shift(text).map(|shift| shift.back().to_string()), Ok(text.to_owned()));
    }
    for text in ["7d", "day 10:00", "sunday 22:00", "month 31 10:00", "year 02-09 10:00"] {
        assert_eq!(recurrence(text).map(|recurrence| recurrence.to_string()), Ok(text.to_owned()));
    }
    assert_eq!((spell(0).as_str(), unbounded("99999999999999999999d")), ("0", Ok(Millis::MAX)));
    for wrong in ["", "day", "monday", "month 32 10:00", "year 13-01 10:00", "noday 10:00"] {
        assert!(recurrence(wrong).is_err(), "{wrong}");
    }
}

/// A year and a letter, as the time zone database counts its releases.
#[test]
fn the_rules_of_zones_have_a_version() {
    let (year, letter) = zones_version().split_at(4);
    assert!(year.parse::<u16>().is_ok_and(|year| year >= 2026), "{year}");
    assert!(letter.len() == 1 && letter.bytes().all(|byte| byte.is_ascii_lowercase()), "{letter}");
}

/// In New York it is ten past one twice in that night, and quiet both times.
#[test]
fn where_clocks_go_back_within_quiet_hours_both_hours_are_quiet() {
    let quiet = Quiet { from: clock("22:00").unwrap(), to: clock("1:30").unwrap() };
    let zone = zone("America/New_York").unwrap();
    let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_millisecond();
    for (now, end) in [
        ("2026-11-01T05:10:00Z", Some("2026-11-01T05:30:00Z")),
        ("2026-11-01T05:40:00Z", None),
        ("2026-11-01T06:10:00Z", Some("2026-11-01T06:30:00Z")),
        ("2026-11-01T06:30:00Z", None),
    ] {
        assert_eq!(quiet.end(at(now), &zone), end.map(at), "{now}");
    }
}
