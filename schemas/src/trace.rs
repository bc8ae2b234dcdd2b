//! What makes the parts of one cascade one trace: the context that W3C's `traceparent` carries, with ids that follow from ours.
//!
//! The trace of a cascade is its instance's id, a send's span the end of the send's id. So nobody has to remember or to pass on anything for
//! a step that is decided days later, a repeat of a decision has the same ids, and who has the id from `cascade journal` has the trace.

use std::fmt;

use crate::Id;

/// Name of the header. Of source records, and of `input`, `send.<channel>` and `feedback`.
pub const TRACEPARENT: &str = "traceparent";

/// Of an id of version 5 these bits follow from nothing but what it names.
const RANDOM: u64 = (1 << 62) - 1;

/// A place in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// Which trace.
    pub trace: u128,
    /// Which span of it.
    pub span: u64,
}

impl Context {
    /// The beginning of a cascade.
    pub fn of_instance(instance: Id) -> Self {
        let trace = instance.as_u128();
        Context { trace, span: low(trace) }
    }

    /// The decision that this message goes out.
    pub fn of_send(instance: Id, send: Id) -> Self {
        Context { trace: instance.as_u128(), span: low(send.as_u128()) }
    }

    /// What happens within it under this name: the same whenever it is said again.
    #[must_use]
    pub fn within(self, name: &str) -> Self {
        let id = Id::derive(&["span", &format!("{:016x}", self.span), name]);
        Context { span: low(self.trace ^ id.as_u128()), ..self }
    }

    /// Whether a cascade is followed, where one in so many is; none where it is 0.
    pub fn is_followed(instance: Id, one_in: u64) -> bool {
        (low(instance.as_u128()) & RANDOM).checked_rem(one_in) == Some(0)
    }

    /// Reads the header as W3C's Trace Context says, also one of a later version. None for what says nothing.
    pub fn parse(header: &[u8]) -> Option<Self> {
        let text = str::from_utf8(header).ok()?;
        let mut parts = text.splitn(5, '-');
        let [version, trace, span, flags] =
            [2, 32, 16, 2].map(|length| parts.next().filter(|part| is_hex(part, length)));
        let rest = parts.next();
        // Version 0 has nothing behind the flags; of `ff` nobody knows anything.
        if version? == "ff" || (version? == "00" && rest.is_some()) || flags.is_none() {
            return None;
        }
        let (trace, span) = (u128::from_str_radix(trace?, 16).ok()?, u64::from_str_radix(span?, 16).ok()?);
        (trace != 0 && span != 0).then_some(Context { trace, span })
    }

    /// Its header: this trace is followed.
    pub fn header(self) -> Vec<u8> {
        self.to_string().into_bytes()
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-01", self.trace, self.span)
    }
}

fn is_hex(part: &str, length: usize) -> bool {
    part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[expect(clippy::cast_possible_truncation, reason = "half of it is meant")]
fn low(id: u128) -> u64 {
    id as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSTANCE: &str = "502cf7f8-c49a-5e5c-a13b-cfe8a7083204";
    const SEND: &str = "8f9b22f9-9da3-56c4-85fa-4f1aea6bed7e";

    fn ids() -> (Id, Id) {
        (Id::parse(INSTANCE).unwrap(), Id::parse(SEND).unwrap())
    }

    #[test]
    fn the_trace_is_the_instance_and_the_span_the_send() {
        let (instance, send) = ids();
        let sent = Context::of_send(instance, send);
        assert_eq!(sent.to_string(), "00-502cf7f8c49a5e5ca13bcfe8a7083204-85fa4f1aea6bed7e-01");
        assert_eq!(Context::parse(&sent.header()), Some(sent));
        let called = sent.within("call");
        assert_eq!((called.trace, called), (sent.trace, sent.within("call")));
        assert!(![sent.span, Context::of_instance(instance).span, sent.within("other").span].contains(&called.span));
    }

    #[test]
    fn what_is_no_context_is_none() {
        let good = "00-502cf7f8c49a5e5ca13bcfe8a7083204-85fa4f1aea6bed7e-00";
        assert!(Context::parse(good.as_bytes()).is_some());
        assert!(Context::parse(good.replacen("00", "cc", 1).as_bytes()).is_some(), "a later version");
        assert!(Context::parse(format!("{}-more", good.replacen("00", "cc", 1)).as_bytes()).is_some());
        let none = "00-00000000000000000000000000000000-85fa4f1aea6bed7e-00";
        let no_span = "00-502cf7f8c49a5e5ca13bcfe8a7083204-0000000000000000-00";
        let more = format!("{good}-more");
        let bad = [
            "",
            "00",
            none,
            no_span,
            &good[1..],
            &good[..54],
            &more,
            &good.to_uppercase(),
            &good.replacen("00", "ff", 1),
        ];
        for header in bad {
            assert_eq!(Context::parse(header.as_bytes()), None, "{header}");
        }
        assert_eq!(Context::parse(b"\xff\xfe"), None);
    }

    #[test]
    fn one_in_so_many_is_followed() {
        let (instance, _) = ids();
        assert!(Context::is_followed(instance, 1) && !Context::is_followed(instance, 0));
        let of = |number: u32| Id::of_instance(&number.to_string(), "campaign", "", "");
        let followed = (0..20_000).filter(|number| Context::is_followed(of(*number), 100)).count();
        assert!((150..250).contains(&followed), "{followed} of 20 000");
    }
}
