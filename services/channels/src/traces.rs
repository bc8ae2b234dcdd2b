//! What a worker tells of commands whose header says that they are followed: each call of the provider, and in which span its feedback belongs.

use std::sync::Arc;

use schemas::trace::{Context, TRACEPARENT};
use schemas::{Id, Millis, Status};
use stream::clock::machine_now;
use stream::kafka::Record;
use stream::traces::{Kind, Span, Traces};

use crate::config::Config;
use crate::transport::Answer;

/// Name of a call's span.
const CALL: &str = "call";

/// Tells of the calls of a channel.
#[derive(Clone, Debug, Default)]
pub(crate) struct Teller {
    traces: Traces,
    channel: Arc<str>,
    provider: Arc<str>,
}

/// A call of which it is to be told.
#[derive(Debug)]
pub(crate) struct Followed {
    teller: Teller,
    sent: Context,
    id: Id,
    began: Millis,
}

/// The place of a command in its trace, if that is followed and anybody here tells of it.
#[inline]
pub(crate) fn place(traces: &Traces, record: &Record) -> Option<Context> {
    if !traces.is_on() {
        return None;
    }
    record.header(TRACEPARENT).and_then(Context::parse)
}

/// The header of what is said about a command that came to this.
pub(crate) fn header(sent: Context, status: Status) -> Vec<u8> {
    // What else it came to may have needed no call.
    let place = if status == Status::Accepted { sent.within(CALL) } else { sent };
    place.header()
}

impl Teller {
    pub(crate) fn of(config: &Config) -> Self {
        let (channel, provider) = (config.channel.as_str().into(), config.provider().into());
        Teller { traces: config.traces.clone(), channel, provider }
    }

    /// The call for this command.
    pub(crate) fn of_call(&self, sent: Context, id: Id) -> Followed {
        Followed { teller: self.clone(), sent, id, began: 0 }
    }
}

impl Followed {
    /// The call begins.
    pub(crate) fn begins(self) -> Self {
        Followed { began: machine_now(), ..self }
    }

    /// The provider has answered.
    pub(crate) fn ends(self, answer: &Answer) {
        let outcome = match answer {
            Answer::Accepted { .. } => "accepted",
            Answer::Refused { .. } => "refused",
            Answer::NobodyThere { .. } => "nobody there",
            Answer::Unfit { .. } => "unfit",
            Answer::Unknown { .. } => "unknown",
            Answer::NotTaken { .. } => "not taken",
            Answer::Elsewhere { .. } => "elsewhere",
            // Nobody was called.
            Answer::Stale | Answer::TooLate => return,
        };
        let Followed { teller: Teller { traces, channel, provider }, sent, id, began } = self;
        let is_taken = matches!(answer, Answer::Accepted { .. });
        // The call that was taken is the one of which the feedback knows; there may be others.
        let place = if is_taken { sent.within(CALL) } else { sent.within(&format!("{CALL} {began}")) };
        traces.tell(Span {
            trace: place.trace,
            id: place.span,
            parent: Some(sent.span),
            link: None,
            name: CALL,
            kind: Kind::Client,
            began,
            ended: machine_now().max(began),
            failed: (!is_taken).then_some(outcome),
            attributes: vec![
                ("cascade.send", id.to_string()),
                ("cascade.channel", channel.to_string()),
                ("cascade.provider", provider.to_string()),
                ("cascade.outcome", outcome.to_owned()),
            ],
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn each_call_is_a_span_of_its_send_and_feedback_belongs_to_the_one_that_was_taken() {
        let told = Arc::new(Mutex::default());
        let teller = Teller { traces: Traces::to(Arc::<Mutex<Vec<Span>>>::clone(&told)), ..Teller::default() };
        let instance = Id::of_instance("c1", "cart-left", "cart-1", "e1");
        let id = Id::of_send(instance, 0, 0, 0);
        let sent = Context::of_send(instance, id);
        let busy = Answer::NotTaken { code: "busy".to_owned(), retry_after: None };
        let answers = [busy, Answer::Stale, Answer::TooLate, Answer::taken(None)];
        answers.iter().for_each(|answer| teller.of_call(sent, id).begins().ends(answer));
        let spans = told.lock().unwrap();
        let [in_vain, taken] = &spans[..] else { panic!("of who was called: {spans:?}") };
        assert_eq!([in_vain.parent, taken.parent], [Some(sent.span); 2]);
        assert_eq!((in_vain.failed, taken.failed), (Some("not taken"), None));
        assert_ne!(in_vain.id, taken.id);
        let place = |status| Context::parse(&header(sent, status));
        assert_eq!(place(Status::Accepted), Some(Context { trace: taken.trace, span: taken.id }));
        assert_eq!(place(Status::Expired), Some(sent));
    }
}
