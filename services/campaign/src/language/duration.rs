//! Durations as a marketer writes them: `90s`, `15m`, `3h`, `1d 12h`, `2w`.

use schemas::Millis;

use crate::limits::LONGEST;

const UNITS: [(&str, Millis); 5] =
    [("w", 7 * 24 * 3_600_000), ("d", 24 * 3_600_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];

/// What is wrong with a duration and what to write instead.
pub(crate) type Wrong = (&'static str, &'static str);

/// Reads a duration into milliseconds.
///
/// # Errors
/// A message and a hint.
pub(crate) fn parse(text: &str) -> Result<Millis, Wrong> {
    let total = unbounded(text)?;
    if total > LONGEST { Err(("this duration is too long", "at most 400 days: `400d`")) } else { Ok(total) }
}

/// A duration as it is written, without weeks and to the second: `1d12h`, `90s` as `1m30s`, `0`.
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

/// Reads a duration however long it is: where a sum overflows it is the longest there can be.
///
/// # Errors
/// A message and a hint.
pub(crate) fn unbounded(text: &str) -> Result<Millis, Wrong> {
    const SHAPE: Wrong =
        ("this is not a duration", "write a whole number and a unit: `90s`, `15m`, `3h`, `1d 12h`, `2w`");
    let mut total: Millis = 0;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(SHAPE);
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number: Millis = rest[..digits].parse().map_err(|_| SHAPE)?;
        let tail = &rest[digits..];
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let unit = &tail[..letters];
        if matches!(unit, "mo" | "month" | "months" | "y") {
            return Err(("months and years have no fixed length", "write days: `90d`"));
        }
        let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(SHAPE)?;
        total = number.checked_mul(*millis).and_then(|part| total.checked_add(part)).unwrap_or(Millis::MAX);
        rest = tail[letters..].trim_start();
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_whole_numbers_with_units() {
        assert_eq!(parse("1d 12h"), Ok(36 * 3_600_000));
        assert_eq!(parse("90s"), Ok(90_000));
        assert_eq!(parse("2w"), Ok(14 * 24 * 3_600_000));
        assert!(parse("1.5h").is_err());
        assert!(parse("3").is_err());
        assert!(parse("").is_err());
        assert_eq!(parse("3mo"), Err(("months and years have no fixed length", "write days: `90d`")));
        assert!(parse("99999999999999999999d").is_err());
        assert!(parse("9999999999999d").is_err());
    }

    #[test]
    fn what_is_spelled_is_read_as_the_same() {
        assert_eq!(spell(0), "0");
        for text in ["1d12h", "3h", "1m30s", "400d", "7d1h5m9s"] {
            assert_eq!(parse(text).map(spell), Ok(text.to_owned()));
        }
    }
}
