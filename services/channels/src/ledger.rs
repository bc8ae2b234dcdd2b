//! What a worker writes and reads back: intents, outcomes, feedback.

use schemas::trace::TRACEPARENT;
use schemas::{Actor, Attempt, AttemptState, Feedback, Id, Millis, Outcome, Send, Status, decode, encode};
use stream::Error;
use stream::kafka::{Producer, Record};

use crate::lane::{Lane, Line};
use crate::pseudonym::Pseudonyms;
use crate::traces;

/// Writes into the open transaction.
pub(crate) struct Ledger<'a> {
    pub(crate) producer: &'a mut Producer,
    /// Index of `attempt.<channel>`.
    pub(crate) attempt: usize,
    /// Index of `feedback`.
    pub(crate) feedback: usize,
    pub(crate) provider: &'a str,
    /// Makes codes of addresses, on channels where people answer.
    pub(crate) pseudonyms: Option<&'a Pseudonyms>,
}

impl Ledger<'_> {
    /// The provider is about to be called.
    pub(crate) fn intend(
        &mut self,
        partition: i32,
        offset: i64,
        id: Id,
        send: &Send,
        now: Millis,
        content: Option<&str>,
    ) -> Result<(), Error> {
        let attempt = Attempt {
            send_id: id.to_string(),
            customer_id: send.customer_id.clone(),
            state: AttemptState::Intended,
            offset,
            at: now,
            status: Status::Unspecified,
            provider_id: None,
            content: content.map(str::to_owned),
            to: None,
        };
        self.producer.produce(
            self.attempt,
            Some(partition),
            Some(attempt.send_id.as_bytes()),
            Some(&encode(&attempt)),
            &[],
        )
    }

    /// The provider certainly did not take it: the intent is void. A tombstone says so, and lets compaction drop both.
    pub(crate) fn take_back(&mut self, partition: i32, id: Id) -> Result<(), Error> {
        self.producer.produce(self.attempt, Some(partition), Some(id.to_string().as_bytes()), None, &[])
    }

    /// It is finished.
    pub(crate) fn settle(&mut self, partition: i32, line: &Line<'_>) -> Result<(), Error> {
        let attempt = Attempt {
            send_id: line.id.to_string(),
            customer_id: line.send.customer_id.clone(),
            state: AttemptState::Settled,
            offset: line.offset,
            at: line.outcome.occurred_at,
            status: line.outcome.status,
            provider_id: line.outcome.provider_id.clone(),
            content: line.content.as_deref().map(str::to_owned),
            to: self.pseudonyms.and_then(|codes| to(line, codes)),
        };
        let key = Some(attempt.send_id.as_bytes());
        self.producer.produce(self.attempt, Some(partition), key, Some(&encode(&attempt)), &[])?;
        let feedback = feedback(line, self.provider);
        let key = Some(feedback.customer_id.as_bytes());
        let place = line.place.map(|place| traces::header(place, line.outcome.status));
        let header = place.as_ref().map(|place| (TRACEPARENT, place.as_slice()));
        self.producer.produce(self.feedback, None, key, Some(&encode(&feedback)), header.as_slice())
    }
}

/// As what the address is written down, of what may have gone out.
fn to(line: &Line<'_>, codes: &Pseudonyms) -> Option<String> {
    let has_gone = matches!(line.outcome.status, Status::Accepted | Status::Unknown);
    has_gone.then(|| codes.of(&line.send.channel, &line.send.address))
}

fn feedback(line: &Line<'_>, provider: &str) -> Feedback {
    Feedback {
        // A worker says one thing about a send, once; should it ever repeat itself, the repeat is recognised.
        event_id: format!("{}/{}", line.id, line.outcome.status),
        customer_id: line.send.customer_id.clone(),
        occurred_at: line.outcome.occurred_at,
        send_id: Some(line.id.to_string()),
        channel: line.send.channel.clone(),
        status: line.outcome.status,
        actor: Actor::Unspecified,
        provider: provider.to_owned(),
        provider_id: line.outcome.provider_id.clone(),
        code: line.outcome.code.clone(),
        outcome: Outcome::Unspecified,
    }
}

/// Takes in what a predecessor wrote.
pub(crate) fn recall(record: &Record, lane: &mut Lane) {
    match record.value() {
        None => {
            let key = record.key().and_then(|key| std::str::from_utf8(key).ok());
            key.and_then(Id::parse).into_iter().for_each(|id| lane.intent_was_idle(id));
        }
        Some(bytes) => match decode::<Attempt>(bytes).map(|attempt| (Id::parse(&attempt.send_id), attempt)) {
            Ok((Some(id), attempt)) if attempt.state == AttemptState::Intended => lane.intended(id, attempt.offset),
            Ok((Some(id), attempt)) if attempt.state == AttemptState::Settled => lane.was_settled(id, attempt.offset),
            // For those who look for a receipt's send.
            Ok((_, attempt)) if attempt.state == AttemptState::Named => {}
            Ok(_) => tracing::error!(offset = record.offset(), "a record of our memory says nothing that we know"),
            Err(error) => tracing::error!(offset = record.offset(), "a record of our memory cannot be read: {error}"),
        },
    }
}

/// The metadata of a committed position: where a successor begins to read `attempt`, and what was spent.
pub(crate) fn bookmark(attempt_from: i64, spent: &str) -> String {
    format!("attempt={attempt_from} spent={spent}")
}

/// Reads [`bookmark`]; none for a position that no worker committed.
pub(crate) fn read_bookmark(metadata: &str) -> Option<(i64, &str)> {
    let (attempt_from, spent) = metadata.split_once(" spent=").unwrap_or((metadata, ""));
    Some((attempt_from.strip_prefix("attempt=")?.parse().ok()?, spent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lane::Outcome;

    #[test]
    fn a_bookmark_is_read_back() {
        assert_eq!(read_bookmark(&bookmark(17, "4:200")), Some((17, "4:200")));
        assert_eq!(read_bookmark("attempt=17"), Some((17, "")));
        assert_eq!(read_bookmark(""), None);
        assert_eq!(read_bookmark("attempt=x"), None);
    }

    #[test]
    fn the_code_of_the_address_is_written_of_what_may_have_gone_out() {
        let send = Send { channel: "sms".to_owned(), address: "+7900".to_owned(), ..Send::default() };
        let codes = Pseudonyms::default();
        let written =
            [Status::Accepted, Status::Unknown, Status::Refused, Status::Revoked, Status::Expired].map(|status| {
                let outcome = Outcome::of(status, None, 9);
                to(
                    &Line {
                        offset: 1,
                        id: Id::of_instance("c1", "", "", ""),
                        send: &send,
                        content: None,
                        place: None,
                        outcome,
                    },
                    &codes,
                )
            });
        let code = Some(codes.of("sms", "7900"));
        assert_eq!(written, [code.clone(), code, None, None, None]);
    }

    #[test]
    fn feedback_about_one_fact_has_one_id_and_no_address() {
        let id = Id::of_instance("c1", "", "", "");
        let send = Send {
            customer_id: "c1".to_owned(),
            channel: "sms".to_owned(),
            address: "+7900".to_owned(),
            ..Send::default()
        };
        let line = Line {
            offset: 1,
            id,
            send: &send,
            content: None,
            place: None,
            outcome: Outcome::of(Status::Refused, Some("blocked"), 9),
        };
        let said = feedback(&line, "sandbox");
        assert_eq!(said.event_id, format!("{id}/REFUSED"));
        assert_eq!((said.occurred_at, said.code.as_deref()), (9, Some("blocked")));
        assert!(!format!("{said:?}").contains("+7900"));
    }
}
