//! The words of a line, each with its place.

use crate::language::{Place, Report};

/// A word without its quotes.
pub(super) struct Word {
    pub text: String,
    pub place: Place,
}

/// Takes a line apart, up to its comment. None where a quote is not closed, which is told.
pub(super) fn split(line: &str, number: usize, report: &mut Report<'_>) -> Option<Vec<Word>> {
    let mut words: Vec<Word> = Vec::new();
    let mut quoted = false;
    let mut inside = false;
    for (index, sign) in line.chars().enumerate() {
        if sign.is_whitespace() && !quoted {
            inside = false;
            continue;
        }
        if !inside {
            if sign == '#' {
                break;
            }
            inside = true;
            let place = Place { line: number, column: index + 1, width: 0 };
            words.push(Word { text: String::new(), place });
        }
        let Some(word) = words.last_mut() else { continue };
        word.place.width += 1;
        match sign {
            '"' => quoted = !quoted,
            sign => word.text.push(sign),
        }
    }
    if let (true, Some(word)) = (quoted, words.last()) {
        report.error(word.place, "this quote is not closed", "write `\"` behind the value");
        return None;
    }
    Some(words)
}
