//! What people write to the address of a send, and how that is told from what machines write.
//!
//! Replies come to an address of their own, `help+r<mark>@…` (`mark_replies` of [`crate::transport::email`]). Programs that answer for somebody
//! write to the return address (RFC 3834, section 4) and say that they are programs; what does so is no reply, wherever it comes.
//!
//! | the mail has | is read as |
//! |---|---|
//! | `Auto-Submitted` with any word but `no`; `Precedence: bulk`, `junk`, `list` or `auto_reply`; `X-Autoreply`, `X-Autorespond` or `List-Id`; an empty `Return-Path` | nothing (`automatic`) |
//! | none of these, and a stop word as its whole first paragraph | UNSUBSCRIBED |
//! | none of these | REPLIED |

use mail_parser::Message;
use schemas::{Millis, Status};

use crate::transport::replies::{self, Text};

/// What a person wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The person's own words, without what they quote; none where they are no text.
    pub text: Option<Text>,
    /// When, by the mail's own word.
    pub at: Option<Millis>,
}

/// Whether a program has written it.
pub(super) fn is_automatic(mail: &Message<'_>) -> bool {
    let value = |name: &str| mail.header_raw(name).map(|value| value.trim().to_ascii_lowercase());
    let word = |name: &str| value(name).map(|value| value.split([';', ' ', '(']).next().unwrap_or_default().to_owned());
    word("Auto-Submitted").is_some_and(|word| word != "no")
        || word("Precedence").is_some_and(|word| ["bulk", "junk", "list", "auto_reply"].contains(&word.as_str()))
        || ["X-Autoreply", "X-Autorespond", "List-Id"].iter().any(|name| value(name).is_some())
        || value("Return-Path").is_some_and(|path| path == "<>")
}

/// What it says.
pub(super) fn read(mail: &Message<'_>) -> (Status, Written) {
    let text = mail.body_text(0).unwrap_or_default();
    let own = own_words(&text);
    let at = mail.date().and_then(|date| date.to_timestamp().checked_mul(1_000));
    // What a program puts below it, as "sent from my phone", does not count.
    let first = own.split("\n\n").next().unwrap_or_default();
    (replies::status(first, &replies::default_stop_words()), Written { text: Text::of(&own), at })
}

/// Without quoted lines, the line that announces them, and what a mail program puts below a rule.
fn own_words(text: &str) -> String {
    let is_quote = |line: &str| line.trim_start().starts_with('>');
    let is_rule = |line: &str| line.starts_with("-----") || line.starts_with("_____") || line == "-- ";
    let lines: Vec<&str> = text.lines().take_while(|line| !is_rule(line)).collect();
    let announces = |at: usize| {
        let next = lines[at + 1..].iter().find(|line| !line.trim().is_empty());
        lines[at].trim_end().ends_with(':') && next.is_some_and(|line| is_quote(line))
    };
    let is_blank = |at: usize| lines[at].trim().is_empty();
    // The announcement may take two lines. Behind a blank one it is a paragraph of its own.
    let begins_announcement = |at: usize| {
        let is_first = at > 0 && is_blank(at - 1);
        is_first && !is_blank(at) && at + 1 < lines.len() && announces(at + 1)
    };
    let own = (0..lines.len()).filter(|at| !is_quote(lines[*at]) && !announces(*at) && !begins_announcement(*at));
    own.map(|at| lines[at].trim_end()).collect::<Vec<_>>().join("\n").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use mail_parser::MessageParser;

    use super::*;

    fn parsed(headers: &str, text: &str) -> (bool, Status, Option<String>) {
        let mail = format!("From: a@b.example\r\nDate: Tue, 14 Nov 2023 22:13:20 +0000\r\n{headers}\r\n{text}");
        let mail = MessageParser::default().parse(mail.as_bytes()).unwrap();
        let (status, written) = read(&mail);
        assert_eq!(written.at, Some(1_700_000_000_000));
        (is_automatic(&mail), status, written.text.map(|text| text.as_str().to_owned()))
    }

    #[test]
    fn who_wants_no_more_says_so_whatever_his_program_puts_below() {
        for below in [
            "",
            "\n\nSent from my phone",
            "\n\nOn Tue, 14 Nov 2023 at 22:13, The Shop with a long name\n<news@shop.example> wrote:\n> Hello!",
            "\n-----Original Message-----\nFrom: the shop",
        ] {
            let (_, status, _) = parsed("", &format!("STOP{below}"));
            assert_eq!(status, Status::Unsubscribed, "{below:?}");
        }
        assert_eq!(parsed("", "Do not stop\n\nbye").1, Status::Replied);
    }

    #[test]
    fn every_row_of_the_table_is_read_as_it_says() {
        for header in [
            "Auto-Submitted: auto-replied",
            "auto-submitted: auto-generated; x=y",
            "Auto-Submitted: (away) x",
            "Precedence: bulk",
            "Precedence: JUNK",
            "Precedence: list",
            "Precedence: auto_reply",
            "X-Autoreply: yes",
            "X-Autorespond: away",
            "List-Id: <x.example>",
            "Return-Path: <>",
        ] {
            assert!(parsed(&format!("{header}\r\n"), "x").0, "{header}");
        }
        for header in [
            "",
            "Auto-Submitted: no\r\n",
            "Auto-Submitted: No (by hand)\r\n",
            "Precedence: first-class\r\n",
            "Return-Path: <a@b.example>\r\n",
        ] {
            assert_eq!(parsed(header, "да"), (false, Status::Replied, Some("да".to_owned())), "{header}");
        }
        assert_eq!(parsed("", "Stop\r\n\r\n> Your cart\r\n").1, Status::Unsubscribed);
        assert_eq!(parsed("", "Please don't stop\r\n").1, Status::Replied);
    }

    #[test]
    fn a_person_s_own_words_are_kept_and_what_they_quote_is_not() {
        let own = |text: &str| parsed("", text).2;
        let words = Some("Yes.\nTomorrow".to_owned());
        assert_eq!(own("Yes.\r\nTomorrow\r\n\r\nOn Tue, Shop wrote:\r\n\r\n> Your cart\r\n> waits\r\n"), words);
        assert_eq!(own("> Your cart?\r\nYes.\r\n> When?\r\nTomorrow\r\n"), words);
        assert_eq!(own("Yes.\r\nTomorrow\r\n-----Original Message-----\r\nFrom: Shop\r\n"), words);
        assert_eq!(own("Yes.\r\nTomorrow\r\n-- \r\nAnna\r\n"), words);
        assert_eq!(own("Two things:\r\na\r\n"), Some("Two things:\na".to_owned()));
        assert_eq!(own("> all\r\n"), None);
        let page = parsed("Content-Type: text/html\r\n", "<p>Yes.<br>Tomorrow</p>").2;
        assert!(page.is_some_and(|text| text.contains("Yes.") && !text.contains('<')));
    }
}
