//! Receipts, in the forms in which message centres write them.
//!
//! The standard (SMPP 3.4, appendix B) calls its form an example, `id:… sub:… dlvrd:… submit date:… done date:… stat:… err:… text:…`,
//! and so do the providers: fields are missing, change their places and their case, have blanks behind the colon. What is asked of a
//! text is its id and its state; everything from `text:` on is the customer's message and not looked at.

use schemas::Status;

use super::{Config, ReceiptId};

/// What a receipt says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The provider's id, as it is written there.
    pub id: String,
    /// The state; none where there is no information in it.
    pub status: Option<Status>,
    /// The state's word and the code of the error.
    pub code: Option<String>,
}

/// The parameters of a receipt that stand outside its text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    /// `receipted_message_id`.
    pub id: Option<String>,
    /// `message_state`.
    pub state: Option<u8>,
}

/// Reads a receipt; none if it names no message or no state. `dead` are the errors with which an undelivered message says that
/// nobody is there.
pub fn read(text: &[u8], parameters: &Parameters, dead: &[String]) -> Option<Receipt> {
    let fields = fields(text);
    let field = |name: &str| fields.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
    let id = parameters.id.as_deref().or_else(|| field("id")).and_then(first_word)?.to_owned();
    let error = field("err").and_then(first_word);
    let (word, status) = match (parameters.state, field("stat")) {
        (Some(state), _) => by_number(state),
        (None, Some(word)) => by_word(word)?,
        (None, None) => return None,
    };
    let is_dead = error.is_some_and(|error| dead.iter().any(|dead| without_zeros(dead) == without_zeros(error)));
    let status = match (word, status) {
        ("undeliv", Some(_)) if is_dead => Some(Status::BouncedHard),
        (_, status) => status,
    };
    // An error of nothing but zeros is none. What is no number is no code, but somebody's words, which may hold anything.
    let is_number = |error: &&str| error.bytes().all(|digit| digit.is_ascii_hexdigit());
    let error = error.filter(|error| !without_zeros(error).is_empty()).filter(is_number);
    let error = error.and_then(crate::transport::plain_code);
    let code = match (status, error) {
        (Some(Status::Delivered | Status::Opened | Status::Accepted | Status::Sent), _) => None,
        (_, Some(error)) => Some(format!("{word}_{error}")),
        (_, None) => Some(word.to_owned()),
    };
    Some(Receipt { id, status, code })
}

/// The id of a receipt as the answer to `submit_sm` had it.
pub(super) fn id_as_answered(id: &str, config: &Config) -> String {
    let (from, to): (u32, fn(u128) -> String) = match config.receipt_id {
        ReceiptId::Same => return id.to_owned(),
        ReceiptId::HexToDecimal => (16, |number| number.to_string()),
        ReceiptId::DecimalToHex => (10, |number| format!("{number:x}")),
    };
    let digits = if from == 16 { id.trim_start_matches("0x").trim_start_matches("0X") } else { id };
    u128::from_str_radix(digits, from).map_or_else(|_| id.to_owned(), to)
}

/// Names of fields. `submit date` and `done date` stand here so that their second words are not taken for values.
const NAMES: [&str; 8] = ["id", "sub", "dlvrd", "submit date", "done date", "stat", "err", "text"];

/// Names, in lower case, and values up to the next name, trimmed.
fn fields(text: &[u8]) -> Vec<(&'static str, String)> {
    let text = String::from_utf8_lossy(text);
    let lower = text.to_ascii_lowercase();
    let mut found: Vec<(usize, usize, &'static str)> = Vec::new();
    let mut at = 0;
    while let Some((start, end, name)) = next_name(&lower, at) {
        found.push((start, end, name));
        if name == "text" {
            break;
        }
        at = end;
    }
    let value = |index: usize| {
        let end = found.get(index + 1).map_or(text.len(), |(start, ..)| *start);
        text[found[index].1..end].trim_matches(|c: char| c.is_whitespace() || c == ',' || c == ';').to_owned()
    };
    (0..found.len()).map(|index| (found[index].2, value(index))).collect()
}

/// The next name with its colon, at the beginning or behind white space or a comma: where it begins, and where its value does.
fn next_name(lower: &str, from: usize) -> Option<(usize, usize, &'static str)> {
    lower[from..].match_indices(':').find_map(|(colon, _)| {
        let colon = from + colon;
        let before = lower[..colon].trim_end_matches(' ');
        let name = NAMES.into_iter().filter(|name| before.ends_with(name)).max_by_key(|name| name.len())?;
        let start = before.len() - name.len();
        let alone = lower[..start].chars().next_back().is_none_or(|c| c.is_whitespace() || c == ',' || c == ';');
        (alone && start >= from).then_some((start, colon + 1, name))
    })
}

/// Names that nobody knows may stand behind a value.
fn first_word(value: &str) -> Option<&str> {
    value.split_whitespace().next()
}

fn without_zeros(text: &str) -> &str {
    text.trim().trim_start_matches('0')
}

fn by_number(state: u8) -> (&'static str, Option<Status>) {
    match state {
        0 => ("scheduled", Some(Status::Accepted)),
        1 => ("enroute", Some(Status::Sent)),
        2 => ("delivrd", Some(Status::Delivered)),
        3 => ("expired", Some(Status::Failed)),
        4 => ("deleted", Some(Status::Failed)),
        5 => ("undeliv", Some(Status::Failed)),
        6 => ("acceptd", Some(Status::Accepted)),
        8 => ("rejectd", Some(Status::Refused)),
        9 => ("skipped", Some(Status::Failed)),
        _ => ("unknown", None),
    }
}

/// None for what is no word at all; a word that nobody knows says nothing.
fn by_word(word: &str) -> Option<(&'static str, Option<Status>)> {
    let word: String = word.split(|c: char| !c.is_ascii_alphabetic()).next()?.to_ascii_uppercase();
    Some(match word.as_str() {
        "" => return None,
        "ENROUTE" | "BUFFRED" | "BUFFERED" | "SENT" => by_number(1),
        "DELIVRD" | "DELIVERED" | "DELIVERD" => by_number(2),
        "READ" | "SEEN" => ("read", Some(Status::Opened)),
        "EXPIRED" => by_number(3),
        "DELETED" => by_number(4),
        "UNDELIV" | "UNDELIVERED" | "UNDELIVERABLE" | "UNDELIVRD" => by_number(5),
        "FAILED" => ("failed", Some(Status::Failed)),
        "SKIPPED" => by_number(9),
        "SCHEDULED" | "QUEUED" => by_number(0),
        "ACCEPTD" | "ACCEPTED" => by_number(6),
        "REJECTD" | "REJECTED" | "REFUSED" => by_number(8),
        _ => by_number(7),
    })
}

#[cfg(test)]
mod tests;
