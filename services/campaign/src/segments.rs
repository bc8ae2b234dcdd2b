//! How many segments a text takes as an SMS (3GPP TS 23.038 and 23.040): each of them is paid for.

/// The default alphabet of seven bits, without the escape to its extension.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// What follows an escape, and so counts two.
const EXTENSION: &str = "\u{c}^{}\\[~]|€";

/// Septets of a text that is alone, and of one among several: a header says there how they belong together.
const SEPTETS: (usize, usize) = (160, 153);
/// The same for code units of UCS-2.
const UNITS: (usize, usize) = (70, 67);

/// The number of segments: in the alphabet of seven bits where it has every character, else in UCS-2. A text without a character is
/// a message all the same.
///
/// National alphabets, which some providers can switch on, are not reckoned with.
pub fn segments(text: &str) -> usize {
    match text.chars().map(septets).collect::<Option<Vec<usize>>>() {
        Some(septets) => parts(septets.into_iter(), SEPTETS),
        None => parts(text.chars().map(char::len_utf16), UNITS),
    }
}

fn septets(character: char) -> Option<usize> {
    if BASIC.contains(character) { Some(1) } else { EXTENSION.contains(character).then_some(2) }
}

/// A character is never cut: one of two units that has no room begins the next part.
fn parts(characters: impl Iterator<Item = usize> + Clone, (alone, among): (usize, usize)) -> usize {
    if characters.clone().sum::<usize>() <= alone {
        return 1;
    }
    let (parts, _) =
        characters.fold(
            (1, 0),
            |(parts, used), units| {
                if used + units > among { (parts + 1, units) } else { (parts, used + units) }
            },
        );
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_are_those_of_the_standard() {
        let cases = [
            ("", 0, 1),
            ("a", 160, 1),
            ("a", 161, 2),
            ("a", 306, 2),
            ("a", 307, 3),
            ("€", 80, 1),
            ("€", 81, 2),
            // 76 pairs fill 152 of 153 septets; the next one is not cut.
            ("€", 152, 2),
            ("€", 153, 3),
            ("ж", 70, 1),
            ("ж", 71, 2),
            ("ж", 134, 2),
            ("ж", 135, 3),
            ("😀", 35, 1),
            // 33 pairs fill 66 of 67 units.
            ("😀", 36, 2),
            ("😀", 66, 2),
            ("😀", 67, 3),
        ];
        for (character, count, wanted) in cases {
            assert_eq!(segments(&character.repeat(count)), wanted, "{count} of {character}");
        }
    }

    #[test]
    fn one_character_that_the_alphabet_lacks_makes_all_of_them_wide() {
        assert_eq!(segments(&("a".repeat(69) + "ç")), 1, "the alphabet has only the capital");
        assert_eq!(segments(&("a".repeat(70) + "ç")), 2);
        assert_eq!(segments(&("a".repeat(159) + "Ç")), 1);
        assert_eq!(segments(&("a".repeat(159) + "[")), 2);
        assert_eq!(segments(&("a".repeat(70) + "`")), 2, "a grave accent alone is in no table");
    }

    #[test]
    fn the_alphabet_is_whole() {
        assert_eq!(BASIC.chars().count(), 127);
        assert_eq!(EXTENSION.chars().count(), 10);
        assert!(EXTENSION.chars().all(|it| !BASIC.contains(it)));
    }
}
