//! What is told of cascades that are followed: each entry of the journal is a span of the cascade's trace.
//!
//! ```text
//! intake ──> ENTERED ──> SENT ──> (the worker's call) ──> intake ──> HANDED_OVER
//!               │          └──> intake ──> DELIVERED, OPENED, …
//!               └──> intake ──> GOAL_REACHED
//! ```
//!
//! The hop through intake is told here, from the moments that Kafka has noted; so intake does nothing for it. Nothing is in a row: which
//! cascade is followed, and the ids of all spans, follow from the ids of instance and send. A transaction that is aborted may have told spans
//! already; they are told again with the same ids.

use std::cell::Cell;

use schemas::trace::{Context, TRACEPARENT};
use schemas::{Id, Journal, Origin, Reason, Send};
use stream::Incoming;
use stream::clock::machine_now;
use stream::traces::{Kind, Span, Traces};

/// Which cascades are followed, and where to. None, unless it is told.
#[derive(Clone, Debug, Default)]
pub struct Following {
    traces: Traces,
    one_in: u64,
}

/// The record on which a decision rests.
#[derive(Debug)]
pub(crate) struct Cause<'a> {
    record: &'a Incoming<'a>,
    /// Where it came from, if that can be read.
    origin: Option<&'a Origin>,
    /// The cascade that was told of its way through intake.
    told: Cell<Option<Id>>,
}

impl<'a> Cause<'a> {
    pub(crate) fn of(record: &'a Incoming<'a>, origin: Option<&'a Origin>) -> Self {
        Cause { record, origin, told: Cell::new(None) }
    }
}

impl Following {
    /// One cascade in so many.
    pub fn new(traces: Traces, one_in: u64) -> Self {
        Following { one_in: if traces.is_on() { one_in } else { 0 }, traces }
    }

    /// The header of a send command; none where its cascade is not followed.
    pub(crate) fn header(&self, send: &Send) -> Vec<(&'static str, Vec<u8>)> {
        let place = self.instance(&send.instance).and_then(|instance| {
            let id = Id::parse(&send.send_id)?;
            Some((TRACEPARENT, Context::of_send(instance, id).header()))
        });
        place.into_iter().collect()
    }

    /// Tells of a decision, if its cascade is followed.
    pub(crate) fn tell(&self, journal: &Journal, cause: Option<&Cause<'_>>) {
        if let Some(instance) = self.instance(&journal.instance) {
            self.tell_of(instance, journal, cause);
        }
    }

    #[inline]
    fn instance(&self, text: &str) -> Option<Id> {
        if self.one_in == 0 {
            return None;
        }
        Id::parse(text).filter(|instance| Context::is_followed(*instance, self.one_in))
    }

    fn tell_of(&self, instance: Id, journal: &Journal, cause: Option<&Cause<'_>>) {
        let root = Context::of_instance(instance);
        let sent = Id::parse(&journal.send_id).map(|send| Context::of_send(instance, send));
        let came_with = cause.and_then(|cause| Context::parse(cause.record.header(TRACEPARENT)?));
        let own = came_with.filter(|place| place.trace == root.trace);
        let before = if journal.reason == Reason::Entered { None } else { own.or(sent).or(Some(root)) };
        let hop = cause.and_then(|cause| {
            let foreign = came_with.filter(|_| own.is_none());
            self.tell_of_intake(instance, before, foreign, cause)
        });
        let parent = hop.or(before);
        let (id, parent, kind) = match (journal.reason, sent) {
            (Reason::Entered, _) => (root, parent, Kind::Internal),
            (Reason::Sent, Some(sent)) => (sent, Some(root), Kind::Producer),
            _ => (decision(root, journal), parent, Kind::Internal),
        };
        let ended = machine_now();
        // What leads to a command is seen in the span before it.
        let began = cause.filter(|_| kind != Kind::Producer).map_or(ended, |cause| cause.record.appended_at);
        self.traces.tell(Span {
            trace: root.trace,
            id: id.span,
            parent: parent.map(|parent| parent.span),
            link: None,
            name: journal.reason.as_str(),
            kind,
            began: began.min(ended),
            ended,
            failed: None,
            attributes: vec![
                ("cascade.instance", journal.instance.clone()),
                ("cascade.campaign", journal.campaign.clone()),
                ("cascade.version", journal.version.to_string()),
                ("cascade.step", journal.step.clone()),
                ("cascade.channel", journal.channel.clone()),
                ("cascade.send", journal.send_id.clone()),
            ],
        });
    }

    /// From the record of a source to the one of `input`: once, however much is decided on it. None where it came another way.
    fn tell_of_intake(
        &self,
        instance: Id,
        before: Option<Context>,
        foreign: Option<Context>,
        cause: &Cause<'_>,
    ) -> Option<Context> {
        let Cause { record, origin, told } = cause;
        let origin = origin.filter(|origin| origin.appended_at > 0)?;
        let root = Context::of_instance(instance);
        let hop = root.within(&format!("intake {} {}", record.partition, record.offset));
        if told.replace(Some(instance)) == Some(instance) {
            return Some(hop);
        }
        self.traces.tell(Span {
            trace: root.trace,
            id: hop.span,
            parent: before.map(|before| before.span),
            link: foreign.map(|place| (place.trace, place.span)),
            name: "intake",
            kind: Kind::Consumer,
            began: origin.appended_at.min(record.appended_at),
            ended: record.appended_at,
            failed: None,
            attributes: vec![
                ("messaging.destination.name", origin.topic.clone()),
                ("messaging.destination.partition.id", origin.partition.to_string()),
                ("messaging.kafka.offset", origin.offset.to_string()),
                ("cascade.input.partition", record.partition.to_string()),
                ("cascade.input.offset", record.offset.to_string()),
            ],
        });
        Some(hop)
    }
}

/// The same decision has the same span, however often it is taken.
fn decision(root: Context, journal: &Journal) -> Context {
    let Journal { partition, offset, due, reason, step, channel, .. } = journal;
    root.within(&format!("{partition} {offset:?} {due:?} {reason} {step} {channel}"))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn entry(reason: Reason) -> Journal {
        let instance = Id::of_instance("c1", "cart-left", "cart-1", "e1");
        let send_id =
            if reason == Reason::Entered { String::new() } else { Id::of_send(instance, 0, 0, 0).to_string() };
        Journal { instance: instance.to_string(), send_id, reason, due: Some(7), ..Journal::default() }
    }

    fn all() -> (Arc<Mutex<Vec<Span>>>, Following) {
        let told = Arc::new(Mutex::default());
        let following = Following::new(Traces::to(Arc::<Mutex<Vec<Span>>>::clone(&told)), 1);
        (told, following)
    }

    fn send() -> Send {
        let Journal { instance, send_id, .. } = entry(Reason::Sent);
        Send { instance, send_id, ..Send::default() }
    }

    #[test]
    fn each_entry_is_a_span_of_its_cascade_and_the_same_whenever_it_is_told() {
        let (told, following) = all();
        let reasons = [Reason::Entered, Reason::Sent, Reason::NoInformation, Reason::NoInformation];
        reasons.iter().for_each(|reason| following.tell(&entry(*reason), None));
        let spans = told.lock().unwrap();
        let [root, sent, late, again] = &spans[..] else { panic!("{spans:?}") };
        assert_eq!((root.parent, sent.parent, late.parent), (None, Some(root.id), Some(sent.id)));
        assert_eq!((late.id, late.kind), (again.id, Kind::Internal));
        assert!(spans.iter().all(|span| span.trace == root.trace && span.id != 0));
        let place = Context { trace: sent.trace, span: sent.id };
        assert_eq!(following.header(&send()), [(TRACEPARENT, place.header())]);
    }

    #[test]
    fn without_a_collector_and_of_what_concerns_no_cascade_nothing_is_told() {
        let nowhere = Following::new(Traces::default(), 1);
        assert_eq!(nowhere.header(&send()), []);
        nowhere.tell(&entry(Reason::Entered), None);
        let (told, following) = all();
        following.tell(&Journal { reason: Reason::ProfileUpdated, ..Journal::default() }, None);
        assert_eq!(told.lock().unwrap()[..], []);
    }
}
