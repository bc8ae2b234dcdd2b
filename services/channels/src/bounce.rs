//! Mails that come back: delivery reports (RFC 3464), complaints (ARF, RFC 5965), and what people write ([`reply`]).
//!
//! | the report says | status | code |
//! |---|---|---|
//! | failed, with an enhanced status of an address that does not exist (5.1.1, 5.1.2, 5.1.3, 5.1.6, 5.1.10, 5.2.1) | BOUNCED_HARD | `dsn_<status>` |
//! | failed, with any other status: mailbox full (4.2.2, 5.2.2), policy (5.7.1: our fault or the domain's, never the address's), given up (4.4.7) | FAILED | `dsn_<status>` |
//! | delayed | BOUNCED_SOFT | `dsn_<status>` |
//! | delivered | DELIVERED | – |
//! | relayed, expanded: nobody will tell more | SENT | – |
//! | complaint: `abuse`, `fraud` | COMPLAINED | `arf_<type>` |
//! | complaint: `opt-out`, `opt-out-list` | UNSUBSCRIBED | `arf_<type>` |
//! | complaint: `not-spam`, `virus`, `auth-failure`, whatever else | nothing | |
//!
//! Where the status says nothing (`5.0.0`, or none at all), the one in the words of the far server (`Diagnostic-Code`) counts.
//!
//! *How a report finds its send.* By the mark in the address that it was sent to (`Delivered-To`, `X-Original-To`, `To`, and what a
//! complaint names), and by the token among the headers of the mail
//! that it encloses ([`crate::transport::email`]). Both are signed; a report with neither is of no use, whoever wrote it. The token
//! names the customer, too; where a report encloses no headers, the customer is looked up in `attempt.<channel>` by the send.
//! If they name different sends, the address counts: the mail system wrote it, the enclosure may be any mail.
//!
//! *What it is not.* No mailbox is asked over a network: `cascade bounces` reads a Maildir, an mbox or a pipe. Notices of absence, whatever
//! else is written to the return address in words, and reports in forms of their own (qmail's) say nothing here.

pub mod reply;
mod report;

use mail_parser::{Message, MessageParser, MessagePart, PartType};
use schemas::token::{Keyring, Kind, MARK_CHARACTERS, Token};
use schemas::{Id, Millis, Status};

use crate::transport::email::{REPLY_MARK, TOKEN_HEADER};
use reply::Written;

/// A longer mail is cut off: what counts stands before the enclosed mail's text.
pub const MAIL_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What a mail that came back says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounce {
    /// Which send it is about.
    pub send_id: Id,
    /// Customer and channel; none if the report does not say so.
    pub whose: Option<(String, String)>,
    /// What became of it.
    pub status: Status,
    /// Why.
    pub code: Option<String>,
    /// What a person wrote; none for a report.
    pub written: Option<Written>,
}

/// Why a mail says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Useless {
    /// It is no mail at all.
    Unreadable,
    /// It holds no report, and is no reply.
    NoReport,
    /// A program has written it for somebody.
    Automatic,
    /// The report says nothing that counts.
    NoInformation,
    /// The report is about no send of ours.
    NotOurs,
}

impl Useless {
    /// A word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Useless::Unreadable => "unreadable",
            Useless::NoReport => "no_report",
            Useless::Automatic => "automatic",
            Useless::NoInformation => "no_information",
            Useless::NotOurs => "not_ours",
        }
    }
}

/// Reads a mail that came back.
///
/// # Errors
/// Why it says nothing.
pub fn read(mail: &[u8], keys: &Keyring) -> Result<Bounce, Useless> {
    let mail = &mail[..mail.len().min(MAIL_BYTES_MAX)];
    let mail = MessageParser::default().parse(mail).filter(|mail| !mail.parts.is_empty()).ok_or(Useless::Unreadable)?;
    let (status, code) = match verdict(&mail) {
        Err(Useless::NoReport) => return answer(&mail, keys),
        told => told?,
    };
    let mark = marks(&mail, None).find_map(|mark| keys.verify_send(&mark).ok());
    let token = enclosed(&mail).into_iter().find_map(|text| keys.verify(&text, Kind::Receipt, Millis::MIN).ok());
    let (send_id, whose) = match (mark, token) {
        (None, Some(Token { send_id, customer_id, channel, .. })) => (send_id, Some((customer_id, channel))),
        (Some(mark), Some(token)) if token.send_id == mark => (mark, Some((token.customer_id, token.channel))),
        (Some(mark), _) => (mark, None),
        (None, None) => return Err(Useless::NotOurs),
    };
    Ok(Bounce { send_id, whose, status, code, written: None })
}

/// What is no report may be a person's reply.
fn answer(mail: &Message<'_>, keys: &Keyring) -> Result<Bounce, Useless> {
    let mut marks = marks(mail, Some(REPLY_MARK)).peekable();
    marks.peek().ok_or(Useless::NoReport)?;
    let send_id = marks.find_map(|mark| keys.verify_send(&mark).ok()).ok_or(Useless::NotOurs)?;
    if reply::is_automatic(mail) {
        return Err(Useless::Automatic);
    }
    let (status, written) = reply::read(mail);
    Ok(Bounce { send_id, whose: None, status, code: None, written: Some(written) })
}

/// What the report says, from the first part that is one.
fn verdict(mail: &Message<'_>) -> Result<(Status, Option<String>), Useless> {
    for part in &mail.parts {
        match kind(part).as_str() {
            "message/delivery-status" | "message/global-delivery-status" => {
                return report::of_delivery(part.contents()).ok_or(Useless::NoInformation);
            }
            "message/feedback-report" => return report::of_complaint(part.contents()).ok_or(Useless::NoInformation),
            _ => {}
        }
    }
    Err(Useless::NoReport)
}

fn kind(part: &MessagePart<'_>) -> String {
    use mail_parser::MimeHeaders;
    let kind = part.content_type().map(|kind| format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or_default()));
    kind.unwrap_or_default().to_ascii_lowercase()
}

/// Headers in which mail systems say whom a mail was for. Any other one may quote what a stranger has written.
const RECIPIENT_HEADERS: [&str; 3] = ["delivered-to", "x-original-to", "to"];

/// Everything that looks like a mark, behind a sign of its own or none, in an address that the mail was for, or that the report names.
fn marks(mail: &Message<'_>, sign: Option<char>) -> impl Iterator<Item = String> {
    let mut found = Vec::new();
    for (name, value) in mail.headers_raw() {
        if RECIPIENT_HEADERS.iter().any(|header| name.eq_ignore_ascii_case(header)) {
            found.extend(marks_in(value, sign));
        }
    }
    let reports = mail.parts.iter().filter(|part| kind(part) == "message/feedback-report");
    reports.for_each(|part| found.extend(marks_in(&String::from_utf8_lossy(part.contents()), sign)));
    found.into_iter()
}

/// Marks stand between a plus, or a plus and the sign, and an at. In either case: some mail systems change it.
fn marks_in(text: &str, sign: Option<char>) -> impl Iterator<Item = String> {
    text.match_indices('@').filter_map(move |(at, _)| {
        let start = at.checked_sub(MARK_CHARACTERS)?;
        let (before, mark) = (text.get(..start)?, text.get(start..at)?);
        let before = match sign {
            Some(sign) => before.strip_suffix([sign, sign.to_ascii_uppercase()])?,
            None => before,
        };
        before.ends_with('+').then(|| mark.to_owned())
    })
}

/// The tokens of the mails that the report encloses, whole or with their headers alone.
fn enclosed(mail: &Message<'_>) -> Vec<String> {
    let mut tokens = Vec::new();
    for part in &mail.parts {
        match (&part.body, kind(part).as_str()) {
            (PartType::Message(inner), _) => tokens.extend(token_of(inner)),
            (_, "text/rfc822-headers" | "message/global-headers" | "message/rfc822-headers") => {
                let headers = MessageParser::default().parse_headers(part.contents());
                tokens.extend(headers.as_ref().and_then(token_of));
            }
            _ => {}
        }
    }
    tokens
}

fn token_of(mail: &Message<'_>) -> Option<String> {
    // Of an enclosed mail the library may make one without any part, not even its head, and then looks for that.
    mail.parts.first()?;
    let value = mail.header_raw(TOKEN_HEADER)?;
    // Whoever folded it on the way has put white space into it.
    Some(value.chars().filter(|c| !c.is_whitespace()).collect())
}

#[cfg(test)]
mod tests;
