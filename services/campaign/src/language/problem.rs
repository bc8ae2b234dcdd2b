//! What is wrong, where, and what to do about it.

use std::fmt;

use serde_saphyr::Location;

/// Something wrong or doubtful in a definition. `Display` shows it with its source line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whether the definition is refused because of it.
    pub severity: Severity,
    /// The name of the file or record, as it was given.
    pub source: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// The line as it stands in the source, or the part of a long one that is meant.
    text: String,
    /// Characters of the line before that part.
    before: usize,
    /// How many characters are meant.
    width: usize,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The definition is refused.
    Error,
    /// It is taken, but look again.
    Warning,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        writeln!(f, "{severity}: {}", self.message)?;
        writeln!(f, "{margin}--> {}:{}:{}", self.source, self.line, self.column)?;
        writeln!(f, "{margin} |")?;
        writeln!(f, "{number} | {}", self.text)?;
        write!(f, "{margin} | {}{}", " ".repeat(self.column.saturating_sub(self.before + 1)), "^".repeat(self.width))?;
        match &self.hint {
            Some(hint) => write!(f, "\n{margin} = help: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}

/// A definition's text and what to call it.
pub(crate) struct Source<'a> {
    pub name: &'a str,
    pub text: &'a str,
}

/// A stretch of one line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub line: usize,
    pub column: usize,
    pub width: usize,
}

impl From<Location> for Place {
    fn from(location: Location) -> Self {
        let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        Place { line: size(location.line()), column: size(location.column()), width: size(location.span().len()) }
    }
}

/// Characters of a line to either side of a place.
const SHOWN: usize = 200;
/// Characters of a sentence, which may quote what somebody wrote.
const SENTENCE: usize = 2_000;

fn cut(sentence: String) -> String {
    match sentence.char_indices().nth(SENTENCE) {
        Some((end, _)) => format!("{}…", &sentence[..end]),
        None => sentence,
    }
}

impl Source<'_> {
    pub fn problem(&self, severity: Severity, place: Place, message: String, hint: Option<String>) -> Problem {
        let line = place.line.max(1);
        let column = place.column.max(1);
        let whole = self.text.lines().nth(line - 1).unwrap_or_default();
        // Of a long line only what is around the place: nobody reads a megabyte.
        let before = if column > SHOWN { column - SHOWN / 2 } else { 0 };
        let text: String = whole.chars().skip(before).take(2 * SHOWN).collect();
        let rest = text.chars().count().saturating_sub(column - before - 1);
        let width = place.width.min(rest).max(1);
        let (message, hint) = (cut(message), hint.map(cut));
        Problem { severity, source: self.name.to_owned(), line, column, message, hint, text, before, width }
    }
}

/// Collects problems, so that all of them are told at once.
pub(crate) struct Report<'a> {
    pub source: &'a Source<'a>,
    problems: Vec<Problem>,
    is_record: bool,
}

impl<'a> Report<'a> {
    pub fn new(source: &'a Source<'a>) -> Self {
        Report { source, problems: Vec::new(), is_record: false }
    }

    /// The same for what stands in the topic already.
    pub fn of_record(source: &'a Source<'a>) -> Self {
        Report { is_record: true, ..Report::new(source) }
    }

    /// Whether it stands in the topic already: then nothing is refused that was ever taken.
    pub fn is_of_record(&self) -> bool {
        self.is_record
    }

    /// An error that former versions did not know: what they have let into the topic goes on as it did.
    pub fn error_since(&mut self, place: impl Into<Place>, message: impl Into<String>, hint: impl Into<String>) {
        let severity = if self.is_record { Severity::Warning } else { Severity::Error };
        self.add(severity, place.into(), message.into(), hint.into());
    }

    pub fn error(&mut self, place: impl Into<Place>, message: impl Into<String>, hint: impl Into<String>) {
        self.add(Severity::Error, place.into(), message.into(), hint.into());
    }

    pub fn warning(&mut self, place: impl Into<Place>, message: impl Into<String>, hint: impl Into<String>) {
        self.add(Severity::Warning, place.into(), message.into(), hint.into());
    }

    fn add(&mut self, severity: Severity, place: Place, message: String, hint: String) {
        let hint = (!hint.is_empty()).then_some(hint);
        self.problems.push(self.source.problem(severity, place, message, hint));
    }

    pub fn into_problems(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|problem| (problem.line, problem.column));
        self.problems
    }
}

/// "did you mean …" where something is near enough, else the list of what there is.
pub(crate) fn nearest<'n>(word: &str, known: impl IntoIterator<Item = &'n str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    // What is far longer than any of them is near to none.
    let is_short = word.len() <= SHOWN;
    let near = known
        .iter()
        .filter(|_| is_short)
        .map(|name| (strsim::damerau_levenshtein(word, name), *name))
        .filter(|(distance, name)| *distance <= (name.len() / 3).max(1))
        .min();
    match near {
        Some((_, name)) => format!("did you mean `{name}`?"),
        None if known.is_empty() => "there is none to choose from".to_owned(),
        None => format!("it can be {}", listed(&known)),
    }
}

fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}
