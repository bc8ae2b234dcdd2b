//! How a text becomes an SMS (3GPP TS 23.038 and 23.040). Each segment is paid for, so those who reckon with them and those who
//! cut them must agree: both do it here.

/// The default alphabet of seven bits, without the escape to its extension.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// What follows an escape, and so counts two.
const EXTENSION: &str = "\u{c}^{}\\[~]|€";
/// Codes of the extension, in its order.
const EXTENSION_CODES: [u8; 10] = [0x0a, 0x14, 0x28, 0x29, 0x2f, 0x3c, 0x3d, 0x3e, 0x40, 0x65];
/// Leads to the extension.
const ESCAPE: u8 = 0x1b;

/// Septets of a text that is alone, and of one among several: a header says there how they belong together.
const SEPTETS: (usize, usize) = (160, 153);
/// The same for code units of UCS-2.
const UNITS: (usize, usize) = (70, 67);

/// What the characters of a text are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alphabet {
    /// The default alphabet of seven bits and its extension; an octet for each septet, not packed.
    Seven,
    /// Units of sixteen bits, the upper octet first. Characters beyond them take two, as in UTF-16.
    Ucs2,
}

/// The number of segments: in the alphabet of seven bits where it has every character, else in UCS-2. A text without a character is
/// a message all the same.
///
/// National alphabets, which some providers can switch on, are not reckoned with.
pub fn segments(text: &str) -> usize {
    match alphabet(text) {
        Alphabet::Seven => parts(text.chars().filter_map(septets), SEPTETS),
        Alphabet::Ucs2 => parts(text.chars().map(char::len_utf16), UNITS),
    }
}

/// The alphabet that a text is sent in.
pub fn alphabet(text: &str) -> Alphabet {
    if text.chars().all(|character| septets(character).is_some()) { Alphabet::Seven } else { Alphabet::Ucs2 }
}

/// The octets of a text in its alphabet, whole.
pub fn octets(text: &str) -> Vec<u8> {
    cut_at(text, usize::MAX).concat()
}

/// The octets of each segment of a text, in order, without the header that says how they belong together. There are as many as
/// [`segments`] says.
pub fn cut(text: &str) -> Vec<Vec<u8>> {
    let one = segments(text) == 1;
    match alphabet(text) {
        Alphabet::Seven => cut_at(text, if one { SEPTETS.0 } else { SEPTETS.1 }),
        Alphabet::Ucs2 => cut_at(text, if one { UNITS.0 * 2 } else { UNITS.1 * 2 }),
    }
}

/// A character is never cut.
fn cut_at(text: &str, octets_max: usize) -> Vec<Vec<u8>> {
    let alphabet = alphabet(text);
    let mut cut = vec![Vec::new()];
    for character in text.chars() {
        let octets = match alphabet {
            Alphabet::Seven => seven(character),
            Alphabet::Ucs2 => character.encode_utf16(&mut [0; 2]).iter().flat_map(|unit| unit.to_be_bytes()).collect(),
        };
        match cut.last_mut() {
            Some(last) if last.len() + octets.len() <= octets_max => last.extend(octets),
            _ => cut.push(octets),
        }
    }
    cut
}

/// The text that octets of an alphabet stand for; what stands for nothing becomes U+FFFD.
pub fn text_of(octets: &[u8], alphabet: Alphabet) -> String {
    match alphabet {
        Alphabet::Seven => {
            let mut escaped = false;
            let mut text = String::new();
            for octet in octets {
                match octet {
                    &ESCAPE if !escaped => escaped = true,
                    octet => {
                        let extended = EXTENSION_CODES.iter().position(|code| code == octet).filter(|_| escaped);
                        let character = match extended {
                            Some(at) => EXTENSION.chars().nth(at),
                            None => basic(*octet),
                        };
                        text.push(character.unwrap_or(char::REPLACEMENT_CHARACTER));
                        escaped = false;
                    }
                }
            }
            text
        }
        Alphabet::Ucs2 => {
            let units = octets.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        }
    }
}

fn septets(character: char) -> Option<usize> {
    if BASIC.contains(character) { Some(1) } else { EXTENSION.contains(character).then_some(2) }
}

/// The codes of a character; none for one that the alphabet lacks.
fn seven(character: char) -> Vec<u8> {
    let code = |at: usize| u8::try_from(at).unwrap_or(u8::MAX);
    if let Some(at) = BASIC.chars().position(|known| known == character) {
        // The table leaves the escape out.
        return vec![code(if at < usize::from(ESCAPE) { at } else { at + 1 })];
    }
    let extended = EXTENSION.chars().position(|known| known == character);
    extended.map_or_else(Vec::new, |at| vec![ESCAPE, EXTENSION_CODES[at]])
}

fn basic(code: u8) -> Option<char> {
    let at = usize::from(code);
    BASIC.chars().nth(if at < usize::from(ESCAPE) { at } else { at.checked_sub(1)? })
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

    #[test]
    fn characters_have_the_codes_of_the_standard() {
        // The corners of the tables of TS 23.038, 6.2.1 and 6.2.1.1.
        let cases =
            [("@", 0x00), ("Δ", 0x10), ("Ξ", 0x1a), ("Æ", 0x1c), ("¿", 0x60), ("Ä", 0x5b), ("z", 0x7a), ("à", 0x7f)];
        cases.iter().for_each(|(text, code)| assert_eq!(octets(text), [*code], "{text}"));
        let extended =
            [("^", 0x14), ("{", 0x28), ("\\", 0x2f), ("[", 0x3c), ("~", 0x3d), ("]", 0x3e), ("|", 0x40), ("€", 0x65)];
        extended.iter().for_each(|(text, code)| assert_eq!(octets(text), [0x1b, *code], "{text}"));
        assert_eq!(octets("Я😀"), [0x04, 0x2f, 0xd8, 0x3d, 0xde, 0x00]);
    }

    #[test]
    fn every_character_is_read_back() {
        for text in [BASIC, EXTENSION, "Привет, 😀", "a€b[c]"] {
            assert_eq!(text_of(&octets(text), alphabet(text)), text);
        }
        assert_eq!(
            text_of(&[0x1b, 0x41, 0x61], Alphabet::Seven),
            "Aa",
            "an escape to nowhere shows the basic character"
        );
        assert_eq!(text_of(&[0x04, 0x2f, 0xd8, 0x3d, 0x00], Alphabet::Ucs2), "Я\u{fffd}");
    }

    #[test]
    fn a_text_is_cut_into_as_many_segments_as_are_reckoned_with_and_nothing_is_lost() {
        for character in ["a", "€", "ж", "😀"] {
            for count in [0, 1, 35, 36, 66, 67, 70, 71, 80, 81, 134, 135, 152, 153, 160, 161, 306, 307] {
                let text = character.repeat(count);
                let cut = cut(&text);
                assert_eq!(cut.len(), segments(&text), "{count} of {character}");
                assert_eq!(cut.concat(), octets(&text));
                let room = if cut.len() == 1 { 160 } else { 153 };
                assert!(
                    cut.iter().all(|part| part.len() <= if alphabet(&text) == Alphabet::Seven { room } else { 140 })
                );
            }
        }
        assert_eq!(cut(&"€".repeat(81))[0].len(), 152, "a pair is not cut");
    }
}
