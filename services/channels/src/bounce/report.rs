//! The parts of a report that machines read: fields as in the head of a mail, in blocks with empty lines between.

use schemas::Status;

use crate::transport::email::NOBODY_THERE;

/// Fields by name, in lower case, with values that are unfolded and trimmed.
type Block = Vec<(String, String)>;

fn blocks(text: &[u8]) -> Vec<Block> {
    let text = String::from_utf8_lossy(text);
    let mut blocks = vec![Block::new()];
    for line in text.lines() {
        let Some(block) = blocks.last_mut() else { break };
        if line.trim().is_empty() {
            if !block.is_empty() {
                blocks.push(Block::new());
            }
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = block.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            block.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    blocks
}

fn field<'a>(block: &'a Block, name: &str) -> Option<&'a str> {
    block.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// What a `message/delivery-status` says; of several recipients, what is worst: each of our mails has one, whom a list may have
/// made many of.
pub(super) fn of_delivery(text: &[u8]) -> Option<(Status, Option<String>)> {
    let verdict = |block: &Block| {
        let action = field(block, "action")?.split(|c: char| !c.is_ascii_alphabetic()).next()?.to_ascii_lowercase();
        let status = status(block);
        let code = status.as_ref().map(|status| format!("dsn_{status}"));
        Some(match action.as_str() {
            "failed" if status.as_deref().is_some_and(|status| NOBODY_THERE.contains(&status)) => {
                (4, Status::BouncedHard, code)
            }
            "failed" => (3, Status::Failed, code.or_else(|| Some("dsn_failed".to_owned()))),
            "delayed" => (2, Status::BouncedSoft, code.or_else(|| Some("dsn_delayed".to_owned()))),
            "relayed" | "expanded" => (1, Status::Sent, None),
            "delivered" => (0, Status::Delivered, None),
            _ => return None,
        })
    };
    let worst = blocks(text).iter().filter_map(verdict).max_by_key(|(rank, ..)| *rank);
    worst.map(|(_, status, code)| (status, code))
}

/// The enhanced status of a recipient: the report's own, or the far server's where that one says nothing.
fn status(block: &Block) -> Option<String> {
    let own = field(block, "status").and_then(|value| value.split_whitespace().find_map(enhanced));
    match own.as_deref() {
        None | Some("5.0.0" | "4.0.0") => {
            let told = field(block, "diagnostic-code").and_then(|value| {
                let words = value
                    .split(|c: char| c.is_whitespace() || matches!(c, ';' | '(' | ')' | '[' | ']' | '<' | '>' | '-'));
                words.filter_map(|word| enhanced(word.trim_start_matches('#').trim_end_matches([',', ':', '.']))).next()
            });
            told.or(own)
        }
        Some(_) => own,
    }
}

/// A status as RFC 3463 writes it.
fn enhanced(word: &str) -> Option<String> {
    let parts: Vec<&str> = word.split('.').collect();
    let is_number = |part: &&str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_class = matches!(parts.first(), Some(&("2" | "4" | "5")));
    (parts.len() == 3 && is_class && parts.iter().all(is_number)).then(|| word.to_owned())
}

/// What a `message/feedback-report` says.
pub(super) fn of_complaint(text: &[u8]) -> Option<(Status, Option<String>)> {
    let blocks = blocks(text);
    let kind = blocks.iter().find_map(|block| field(block, "feedback-type"))?.to_ascii_lowercase();
    let status = match kind.as_str() {
        "abuse" | "fraud" => Status::Complained,
        "opt-out" | "opt-out-list" => Status::Unsubscribed,
        _ => return None,
    };
    Some((status, Some(format!("arf_{kind}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(text: &str) -> Option<(Status, Option<String>)> {
        of_delivery(text.as_bytes())
    }

    #[test]
    fn every_row_of_the_table_is_read_as_it_says() {
        let code = |status: &str| Some(format!("dsn_{status}"));
        let rows = NOBODY_THERE.map(|status| ("failed", status, Status::BouncedHard)).into_iter().chain([
            ("failed", "4.2.2", Status::Failed),
            ("failed", "5.2.2", Status::Failed),
            ("failed", "5.7.1", Status::Failed),
            ("failed", "4.4.7", Status::Failed),
            ("failed", "5.4.4", Status::Failed),
            ("delayed", "4.2.2", Status::BouncedSoft),
            ("delayed", "4.4.1", Status::BouncedSoft),
        ]);
        for (action, enhanced, status) in rows {
            let text = format!(
                "Reporting-MTA: dns; mx\n\nFinal-Recipient: rfc822; a@b\nAction: {action}\nStatus: {enhanced}\n"
            );
            assert_eq!(delivery(&text), Some((status, code(enhanced))), "{action} {enhanced}");
            assert_eq!(delivery(&text.replace('\n', "\r\n")), Some((status, code(enhanced))));
        }
        for (action, status) in
            [("delivered", Status::Delivered), ("relayed", Status::Sent), ("expanded", Status::Sent)]
        {
            assert_eq!(delivery(&format!("Action: {action}\nStatus: 2.0.0")), Some((status, None)));
        }
        assert_eq!(delivery("Action: Failed\n"), Some((Status::Failed, Some("dsn_failed".to_owned()))));
        assert_eq!(
            delivery("ACTION: failed (given up)\nStatus: 4.4.7 (delivery time expired)"),
            Some((Status::Failed, code("4.4.7")))
        );
        for nothing in ["", "Action: dreamt\nStatus: 5.1.1", "Reporting-MTA: dns; mx", "Status: 5.1.1"] {
            assert_eq!(delivery(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn the_far_servers_words_count_where_the_report_says_nothing() {
        let code = |diagnostic: &str| {
            delivery(&format!("Action: failed\nStatus: 5.0.0\nDiagnostic-Code: {diagnostic}\n")).unwrap().1.unwrap()
        };
        assert_eq!(code("smtp; 550 5.1.1 <a@b>: no such user"), "dsn_5.1.1");
        assert_eq!(code("smtp;\n 550-5.7.26 This mail is\n unauthenticated"), "dsn_5.7.26");
        assert_eq!(code("smtp; 550 #5.1.10 RESOLVER.ADR"), "dsn_5.1.10");
        assert_eq!(code("smtp; 554 host 10.5.1.1 said no"), "dsn_5.0.0", "an address of a network is no status");
        let own = "Action: failed\nStatus: 5.2.2\nDiagnostic-Code: smtp; 550 5.1.1 no";
        assert_eq!(delivery(own).unwrap().1.unwrap(), "dsn_5.2.2");
    }

    #[test]
    fn of_several_recipients_the_worst_counts() {
        let text = "Reporting-MTA: dns; mx\n\nAction: relayed\nStatus: 2.0.0\n\nAction: failed\nStatus: 5.1.1\n\nAction: failed\nStatus: 5.7.1\n";
        assert_eq!(delivery(text).unwrap().0, Status::BouncedHard);
    }

    #[test]
    fn complaints_are_told_by_their_type() {
        let rows = [
            ("abuse", Some(Status::Complained)),
            ("FRAUD", Some(Status::Complained)),
            ("opt-out", Some(Status::Unsubscribed)),
            ("opt-out-list", Some(Status::Unsubscribed)),
            ("not-spam", None),
            ("virus", None),
            ("auth-failure", None),
            ("other", None),
        ];
        for (kind, status) in rows {
            let text = format!("User-Agent: x/1\r\nVersion: 1\r\nFeedback-Type: {kind}\r\n");
            assert_eq!(of_complaint(text.as_bytes()).map(|(status, _)| status), status, "{kind}");
        }
        assert_eq!(of_complaint(b"Version: 1"), None);
    }
}
