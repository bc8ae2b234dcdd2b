//! Times as a marketer writes them: lengths (`90s`, `15m`, `3h`, `1d 12h`, `2w`), steps of the calendar (`1 day`, `3 weeks`,
//! `6 months`), and where they end (`10:00`, `next tuesday 10:00`).

use std::fmt;

use jiff::civil::{Time, Weekday};
use schemas::Millis;

use super::{Landing, Recurrence, Shift};
use crate::limits::LONGEST;

/// What is wrong with a time and what to write instead.
pub(crate) type Wrong = (&'static str, &'static str);

const HOUR: Millis = 3_600_000;
const UNITS: [(&str, Millis); 5] = [("w", 7 * 24 * HOUR), ("d", 24 * HOUR), ("h", HOUR), ("m", 60_000), ("s", 1_000)];

const SHAPE: Wrong = (
    "this is not a time",
    "write a length such as `90s`, `15m`, `3h`, `1d 12h`, `2w`, or days of the calendar: `1 day`, `3 months 10:00`",
);
const TOO_LONG: Wrong = ("this duration is too long", "at most 1830 days, five years: `1830d`");

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

/// The units of lengths, the longest first.
pub(crate) fn units() -> impl Iterator<Item = &'static str> {
    UNITS.iter().map(|(unit, _)| *unit)
}

/// A length in milliseconds.
///
/// # Errors
/// A message and a hint.
pub(crate) fn span(text: &str) -> Result<Millis, Wrong> {
    let shift = shift(text)?;
    if shift.is_exact() {
        return Ok(shift.millis);
    }
    Err(("this is not a length: months, and days of the calendar, have no fixed one", "write `24h`, `7d`, `90d`"))
}

/// A way: lengths or steps of the calendar, then where it ends. `next tuesday 10:00` and `10:00` alone are ways, too.
///
/// # Errors
/// A message and a hint.
pub(crate) fn shift(text: &str) -> Result<Shift, Wrong> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut shift = Shift::default();
    let mut rest = words.as_slice();
    let mut is_empty = true;
    while let [word, tail @ ..] = rest {
        rest = match (word.bytes().all(|byte| byte.is_ascii_digit()), tail) {
            (true, [unit, tail @ ..]) => {
                step(&mut shift, word.parse().map_err(|_| TOO_LONG)?, unit)?;
                tail
            }
            _ if word.contains(':') || *word == "next" => break,
            _ => {
                shift.millis = shift.millis.saturating_add(length(word)?);
                tail
            }
        };
        is_empty = false;
    }
    shift.landing = match rest {
        [] if is_empty => return Err(SHAPE),
        [] => None,
        [time] => Some(Landing::At(clock(time)?)),
        ["next", day, time] => Some(Landing::Next(weekday(day)?, clock(time)?)),
        _ => return Err(SHAPE),
    };
    if shift.about() > LONGEST { Err(TOO_LONG) } else { Ok(shift) }
}

/// A length however long it is: where a sum overflows it is the longest there can be.
///
/// # Errors
/// A message and a hint.
pub(crate) fn unbounded(text: &str) -> Result<Millis, Wrong> {
    if text.trim().is_empty() {
        return Err(SHAPE);
    }
    text.split_whitespace().try_fold(0, |total: Millis, word| match length(word) {
        Err(TOO_LONG) => Ok(Millis::MAX),
        length => Ok(total.saturating_add(length?)),
    })
}

/// A length as it is written, without weeks and to the second: `1d12h`, `90s` as `1m30s`, `0`.
pub(crate) fn spell(span: Millis) -> String {
    let mut text = String::new();
    let mut rest = span.max(0);
    for (unit, millis) in &UNITS[1..] {
        if rest / millis > 0 {
            text.push_str(&format!("{}{unit}", rest / millis));
        }
        rest %= millis;
    }
    if text.is_empty() { "0".to_owned() } else { text }
}

/// As it is written, the way back without its sign.
impl fmt::Display for Shift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps = |number: i32, unit: &str| match number.abs() {
            0 => None,
            1 => Some(format!("1 {unit}")),
            number => Some(format!("{number} {unit}s")),
        };
        let length = (self.millis != 0).then(|| spell(self.millis.saturating_abs()));
        let landing = self.landing.map(|landing| match landing {
            Landing::At(time) => spell_clock(time),
            Landing::Next(day, time) => format!("next {} {}", spell_day(day), spell_clock(time)),
        });
        let parts = [steps(self.months, "month"), steps(self.days, "day"), length, landing];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        f.write_str(if parts.is_empty() { "0" } else { "" })?;
        f.write_str(&parts.join(" "))
    }
}

/// As it is written.
impl fmt::Display for Recurrence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Recurrence::Length(length) => f.write_str(&spell(*length)),
            Recurrence::Daily(time) => write!(f, "day {}", spell_clock(*time)),
            Recurrence::Weekly(day, time) => write!(f, "{} {}", spell_day(*day), spell_clock(*time)),
            Recurrence::Monthly(day, time) => write!(f, "month {day} {}", spell_clock(*time)),
            Recurrence::Yearly(month, day, time) => write!(f, "year {month:02}-{day:02} {}", spell_clock(*time)),
        }
    }
}

/// `09:30`.
pub(crate) fn spell_clock(time: Time) -> String {
    time.strftime("%H:%M").to_string()
}

fn spell_day(day: Weekday) -> &'static str {
    WEEKDAYS.iter().find(|(_, known)| *known == day).map_or("", |(name, _)| name)
}

/// `1d12h`: numbers with units.
fn length(word: &str) -> Result<Millis, Wrong> {
    let mut total: Millis = 0;
    let mut rest = word;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let tail = &rest[digits..];
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let unit = &tail[..letters];
        if matches!(unit, "mo" | "month" | "months" | "y") {
            return Err(("months and years have no fixed length", "write `90d`, or calendar months: `3 months`"));
        }
        let number: Millis = match rest[..digits].parse() {
            Ok(number) => number,
            Err(_) if digits == 0 => return Err(SHAPE),
            Err(_) => return Err(TOO_LONG),
        };
        let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(SHAPE)?;
        total = number.checked_mul(*millis).and_then(|part| total.checked_add(part)).ok_or(TOO_LONG)?;
        rest = &tail[letters..];
    }
    Ok(total)
}

/// `3 days`: a step of the calendar.
fn step(shift: &mut Shift, number: i32, unit: &str) -> Result<(), Wrong> {
    let (part, size) = match unit {
        "day" | "days" => (&mut shift.days, 1),
        "week" | "weeks" => (&mut shift.days, 7),
        "month" | "months" => (&mut shift.months, 1),
        "year" | "years" => (&mut shift.months, 12),
        _ => return Err(SHAPE),
    };
    *part = number.checked_mul(size).and_then(|steps| part.checked_add(steps)).ok_or(TOO_LONG)?;
    if shift.days > 400 || shift.months > 13 { Err(TOO_LONG) } else { Ok(()) }
}

/// A time of day: `10:00`, `9:30`.
///
/// # Errors
/// A message and a hint.
pub(crate) fn clock(text: &str) -> Result<Time, Wrong> {
    let parts = text.split_once(':').filter(|(_, minutes)| minutes.len() == 2);
    let time = parts.and_then(|(hours, minutes)| Time::new(hours.parse().ok()?, minutes.parse().ok()?, 0, 0).ok());
    time.ok_or(("this is not a time of day", "write hours and minutes: `10:00`, `21:30`"))
}

fn weekday(text: &str) -> Result<Weekday, Wrong> {
    let found = WEEKDAYS.iter().find(|(name, _)| *name == text).map(|(_, day)| *day);
    found.ok_or(("this is no day of the week", "write it in full: `tuesday`"))
}

/// What comes again: `7d`, `day 10:00`, `monday 10:00`, `month 1 10:00`, `year 02-20 10:00`.
///
/// # Errors
/// A message and a hint.
pub(crate) fn recurrence(text: &str) -> Result<Recurrence, Wrong> {
    const WORDS: Wrong = (
        "this is nothing that comes again",
        "write `7d`, `day 10:00`, `monday 10:00`, `month 1 10:00` or `year 02-20 10:00`",
    );
    let words: Vec<&str> = text.split_whitespace().collect();
    let between = |text: &str, most: i8| text.parse().ok().filter(|number| (1..=most).contains(number)).ok_or(WORDS);
    Ok(match words.as_slice() {
        ["day", time] => Recurrence::Daily(clock(time)?),
        ["month", day, time] => Recurrence::Monthly(between(day, 31)?, clock(time)?),
        ["year", date, time] => {
            let (month, day) = date.split_once('-').ok_or(WORDS)?;
            Recurrence::Yearly(between(month, 12)?, between(day, 31)?, clock(time)?)
        }
        [day, time] if time.contains(':') => Recurrence::Weekly(weekday(day)?, clock(time)?),
        _ => Recurrence::Length(span(text)?),
    })
}
