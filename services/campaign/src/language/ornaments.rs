//! Marks of YAML, and keys behind which nothing stands: it would pass over them in silence.

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle};

use super::problem::{Place, Problem, Severity, Source};
use super::yaml::LOOKED_AT;

/// Refuses what YAML would pass over in silence: `where: !did('purchase')` is a tag and an empty value to it, so nothing would be asked of
/// anybody. So is a key behind which nothing stands.
///
/// # Errors
/// Each such place.
pub(super) fn refuse(source: &Source<'_>) -> Result<(), Vec<Problem>> {
    let mut problems = Vec::new();
    // For each open mapping whether its next node is a key; nothing for a list.
    let mut open: Vec<Option<bool>> = Vec::new();
    let mut last_key: Option<(String, Place)> = None;
    // What is no YAML is told by whoever reads the values.
    for (event, span) in Parser::new_from_str(source.text).map_while(Result::ok) {
        let (anchor, tag) = match &event {
            Event::Scalar(_, _, anchor, tag) => (*anchor > 0, tag.is_some()),
            Event::SequenceStart(_, anchor, tag) | Event::MappingStart(_, anchor, tag) => (*anchor > 0, tag.is_some()),
            Event::Alias(_) => (true, false),
            _ => (false, false),
        };
        if anchor || tag {
            let start = span.tag_start.filter(|_| tag).unwrap_or(span.start);
            problems.push(ornament(source, start.line(), start.col()));
        }
        let is_key = open.last().copied().flatten();
        match &event {
            Event::Scalar(word, ScalarStyle::Plain, ..) if is_key == Some(false) && !tag => {
                if let (true, Some((key, place))) = (["", "~", "null"].contains(&&**word), last_key.take()) {
                    let hint = format!("write what `{key}` is to be, or leave the key out");
                    let message = format!("nothing stands behind `{key}`");
                    problems.push(source.problem(Severity::Error, place, message, Some(hint)));
                }
            }
            Event::Scalar(word, ..) if is_key == Some(true) => {
                let (line, column) = (span.start.line(), span.start.col() + 1);
                last_key = Some((word.to_string(), Place { line, column, width: word.chars().count() }));
            }
            _ => {}
        }
        match event {
            Event::Scalar(..) | Event::Alias(_) => open.last_mut().into_iter().flatten().for_each(|key| *key = !*key),
            Event::MappingStart(..) => open.push(Some(true)),
            Event::SequenceStart(..) => open.push(None),
            Event::MappingEnd | Event::SequenceEnd => {
                open.pop();
                open.last_mut().into_iter().flatten().for_each(|key| *key = !*key);
            }
            _ => {}
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// A tag, an anchor or an alias, which begins in this column, counted from 0.
fn ornament(source: &Source<'_>, line: usize, column: usize) -> Problem {
    let text = source.text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    let word: String = text.chars().skip(column).take(LOOKED_AT).take_while(|sign| !sign.is_whitespace()).collect();
    let place = Place { line, column: column + 1, width: word.chars().count() };
    let message = "what begins with `!`, `&` or `*` is a mark to YAML, and no part of the value";
    let hint = "put the whole value in quotes: `\"!did('purchase')\"`";
    source.problem(Severity::Error, place, message.to_owned(), Some(hint.to_owned()))
}

#[cfg(test)]
mod tests {
    /// Each error with its place.
    fn errors(trigger: &str, step: &str) -> Vec<String> {
        let text =
            format!("campaign: c\nversion: 1\n{trigger}\nsteps:\n  - {{name: a, channel: email, template: t{step}}}\n");
        let told = |problem: &crate::Problem| format!("{}:{} {}", problem.line, problem.column, problem.message);
        crate::parse("c", &text).map_or_else(|problems| problems.iter().map(told).collect(), |_| Vec::new())
    }

    const MARK: &str = "what begins with `!`, `&` or `*` is a mark to YAML, and no part of the value";

    #[test]
    fn a_condition_that_yaml_takes_for_a_mark_is_refused_and_one_in_quotes_is_not() {
        let at = |place: &str| vec![format!("{place} {MARK}")];
        assert_eq!(errors("trigger: {on: action, action: lead, where: !did('purchase')}", ""), at("3:44"));
        let block = "trigger:\n  on: action\n  action: lead\n  where: !did('purchase') && has_contact('email')";
        assert_eq!(errors(block, "")[..1], at("6:10"));
        assert_eq!(errors("trigger: {on: registration}", ", when: !has_contact('sms')"), at("5:50"));
        assert_eq!(errors("trigger: {on: action, action: &a lead}", "").len(), 1);
        assert_eq!(errors("trigger: &t\n  on: registration", "").len(), 1);
        assert_eq!(errors("trigger: {on: action, action: lead, where: \"!did('purchase')\"}", ""), [""; 0]);
    }

    #[test]
    fn a_key_behind_which_nothing_stands_is_refused() {
        for nothing in ["", " ~", " null", "   # later"] {
            let trigger = format!("trigger:\n  on: registration\n  where:{nothing}");
            assert_eq!(errors(&trigger, ""), ["5:3 nothing stands behind `where`"], "{nothing}");
        }
        assert_eq!(errors("trigger: {on: registration}\nquiet:", ""), ["4:1 nothing stands behind `quiet`"]);
        assert_eq!(errors("trigger: {on: registration}", ", when: "), ["5:44 nothing stands behind `when`"]);
        assert_eq!(errors("trigger: {on: registration, where: \"\"}", "").len(), 1, "an empty word is no condition");
    }
}
