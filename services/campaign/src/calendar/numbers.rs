//! The zone of a telephone number.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Zones by the first digits of their numbers.
static ZONES: LazyLock<BTreeMap<&str, &str>> = LazyLock::new(|| {
    let lines = include_str!("numbers.txt").lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_once(' '))
        .flat_map(|(zone, prefixes)| prefixes.split(' ').map(move |prefix| (prefix.trim_start_matches('+'), zone)))
        .collect()
});

/// Digits of the longest prefix.
const LONGEST: usize = 4;

/// The IANA name of the zone in which a number (ITU-T E.164) was given out; none where that is not known, or may be several. Its plus
/// may be left out, as providers do; not of eleven digits that begin with 8, as Russians write their own numbers among themselves.
pub(crate) fn zone_of_number(address: &str) -> Option<&'static str> {
    let digits = address.strip_prefix('+').unwrap_or(address);
    let is_local = digits.len() == address.len() && digits.len() == 11 && digits.starts_with('8');
    if digits.len() < 7 || is_local || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    (1..=LONGEST).rev().find_map(|length| ZONES.get(digits.get(..length)?).copied())
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, ZONES, zone_of_number};
    use crate::calendar;

    #[test]
    fn each_prefix_stands_in_one_line_and_names_a_zone() {
        let text = include_str!("numbers.txt");
        let written = text.lines().filter(|line| !line.starts_with('#')).flat_map(|line| line.split(' ').skip(1));
        assert_eq!(written.count(), ZONES.len(), "a prefix stands there twice");
        for (prefix, zone) in ZONES.iter() {
            assert!(calendar::zone(zone).is_some(), "{prefix}: {zone} is no zone");
            assert!((1..=LONGEST).contains(&prefix.len()) && prefix.bytes().all(|it| it.is_ascii_digit()), "{prefix}");
        }
    }

    #[test]
    fn the_longest_prefix_tells() {
        for (number, zone) in [
            ("+74951234567", Some("Europe/Moscow")),
            ("+78461234567", Some("Europe/Samara")),
            ("+74232123456", Some("Asia/Vladivostok")),
            ("+77012345678", Some("Asia/Almaty")),
            ("+79161234567", None),
            ("74232123456", Some("Asia/Vladivostok")),
            ("12125550123", Some("America/New_York")),
            // At home in Vladivostok, not abroad in Vietnam.
            ("84232123456", None),
            ("+12125550123", Some("America/New_York")),
            ("+18085550123", Some("Pacific/Honolulu")),
            // Of Tennessee, Florida and Kentucky the parts, each in its zone.
            ("+14235550123", Some("America/New_York")),
            ("+19315550123", Some("America/Chicago")),
            ("+16895550123", Some("America/New_York")),
            ("+18505550123", Some("America/Chicago")),
            ("+12705550123", Some("America/Chicago")),
            ("+18005550123", None),
            ("+35312345678", Some("Europe/Dublin")),
            ("+34123456789", None),
            ("+7495", None),
            ("+7495123456x", None),
            ("", None),
        ] {
            assert_eq!(zone_of_number(number), zone, "{number}");
        }
    }
}
