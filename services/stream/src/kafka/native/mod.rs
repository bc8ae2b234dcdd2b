//! librdkafka, called directly: configuration, transactions, batch consume, produce.
//!
//! Why not through the client crate's own types: its `commit_transaction` waits in steps of 100 ms, it hides the group's
//! generation, and it cannot consume in batches from a queue of one's own. With delivery reports as *events*
//! (`RD_KAFKA_EVENT_DR`) librdkafka's flush returns when the last acknowledgement is in, not at the next 10 ms step.
//!
//! This is the one module of the workspace with `unsafe`. Every pointer is owned by exactly one of the types below and given
//! back in its `Drop`; handles that others point into (client, topic) outlive them by an `Arc`.

#![expect(unsafe_code, reason = "librdkafka's transaction, produce and batch functions are called directly")]

mod client;
mod topic;
mod queue;
mod partitions;

pub(crate) use client::{Client, Role};
pub(crate) use partitions::{GroupMetadata, Partitions};
pub(crate) use queue::{Kind, Message, Queue, Said};
pub(crate) use topic::Topic;
pub use topic::partition_of;

use std::ffi::{CStr, CString, c_char, c_void};
use std::slice;
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::types::RDKafkaRespErr as Code;

use crate::{Error, Verdict};

/// librdkafka's timeouts: whole milliseconds, rounded up so that a short wait is never a busy loop.
fn millis(wait: Duration) -> i32 {
    i32::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(i32::MAX)
}

fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: librdkafka hands out NUL-terminated strings that live as long as the object they come from, which the caller holds.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}

fn name_of(code: Code) -> String {
    // SAFETY: a static string for every code.
    text(unsafe { rd::rd_kafka_err2str(code) })
}

/// What to do about a bare code that a call returned.
fn error_of(operation: &'static str, code: Code) -> Error {
    let verdict = match code {
        Code::RD_KAFKA_RESP_ERR__FENCED
        | Code::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID
        | Code::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION
        | Code::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID => Verdict::Fenced,
        // A client keeps asking a leader that was replaced, or knows none, until its metadata are renewed: a new client heals it at
        // once. That all topics are there was seen to at the start.
        Code::RD_KAFKA_RESP_ERR__FATAL
        | Code::RD_KAFKA_RESP_ERR__STATE
        | Code::RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION
        | Code::RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH
        | Code::RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH => Verdict::Abort,
        Code::RD_KAFKA_RESP_ERR__TIMED_OUT
        | Code::RD_KAFKA_RESP_ERR__TRANSPORT
        | Code::RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN
        | Code::RD_KAFKA_RESP_ERR__QUEUE_FULL
        | Code::RD_KAFKA_RESP_ERR__WAIT_COORD
        | Code::RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE
        | Code::RD_KAFKA_RESP_ERR__RESOLVE
        // The broker that was asked is not in the cluster now: it is just being restarted.
        | Code::RD_KAFKA_RESP_ERR__DESTROY_BROKER => Verdict::Retry,
        // What Kafka's own client tries again (its `RetriableException`s), as far as we can hear it. A broker that has just come
        // back does not know its topics yet.
        Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART
        | Code::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE
        | Code::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION
        | Code::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT
        | Code::RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE
        | Code::RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE
        | Code::RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION
        | Code::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS
        | Code::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE
        | Code::RD_KAFKA_RESP_ERR_NOT_COORDINATOR
        | Code::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS
        | Code::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND
        | Code::RD_KAFKA_RESP_ERR_NOT_CONTROLLER
        | Code::RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS
        | Code::RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR
        | Code::RD_KAFKA_RESP_ERR_LISTENER_NOT_FOUND
        | Code::RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE
        | Code::RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT
        | Code::RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED => Verdict::Retry,
        _ => Verdict::Stop,
    };
    Error::new(verdict, operation, name_of(code))
}

fn check(operation: &'static str, code: Code) -> Result<(), Error> {
    if code == Code::RD_KAFKA_RESP_ERR_NO_ERROR { Ok(()) } else { Err(error_of(operation, code)) }
}

/// Takes an error object of a transactional call. librdkafka says itself what may be done: the same call again, an abort, or
/// (all the rest) a new producer.
fn check_error(operation: &'static str, error: *mut rd::rd_kafka_error_t) -> Result<(), Error> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: not null, so it is an error object that we own and destroy once, after the last use.
    unsafe {
        let code = rd::rd_kafka_error_code(error);
        let detail = format!("{} ({})", text(rd::rd_kafka_error_string(error)), text(rd::rd_kafka_error_name(error)));
        let retriable = rd::rd_kafka_error_is_retriable(error) != 0;
        rd::rd_kafka_error_destroy(error);
        let verdict = match error_of(operation, code).verdict() {
            Verdict::Fenced => Verdict::Fenced,
            _ if retriable => Verdict::Retry,
            // A timeout, a demanded abort, a fatal error: nothing says what the broker did. One path for all of them.
            _ => Verdict::Abort,
        };
        Err(Error::new(verdict, operation, detail))
    }
}

fn c_string(value: &str) -> Result<CString, Error> {
    CString::new(value).map_err(|_| Error::stop("name a topic", "the name holds a NUL byte"))
}

/// Puts a producer of the client crate out of use, as an answer of the brokers may.
#[cfg(test)]
pub(crate) fn break_for_good(client: *mut rd::rd_kafka_t) {
    // SAFETY: the caller holds the client that this handle is of; the text is NUL-terminated and copied.
    unsafe {
        rd::rd_kafka_test_fatal_error(client, Code::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, c"a test".as_ptr())
    };
}

fn slice_of<'a>(pointer: *mut c_void, len: usize) -> Option<&'a [u8]> {
    // SAFETY: librdkafka gives pointer and length of one buffer; callers bind the lifetime to the owner.
    (!pointer.is_null()).then(|| unsafe { slice::from_raw_parts(pointer.cast::<u8>(), len) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_that_comes_and_goes_is_asked_again_and_a_refusal_is_for_people() {
        let verdict = |code| error_of("ask", code).verdict();
        for passing in [
            Code::RD_KAFKA_RESP_ERR__TRANSPORT,
            Code::RD_KAFKA_RESP_ERR__DESTROY_BROKER,
            Code::RD_KAFKA_RESP_ERR__RESOLVE,
            Code::RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE,
            Code::RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
        ] {
            assert_eq!(verdict(passing), Verdict::Retry, "{passing:?}");
        }
        assert_eq!(verdict(Code::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID), Verdict::Fenced);
        assert_eq!(verdict(Code::RD_KAFKA_RESP_ERR__FATAL), Verdict::Abort);
        assert_eq!(verdict(Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED), Verdict::Stop);
        assert_eq!(verdict(Code::RD_KAFKA_RESP_ERR__AUTHENTICATION), Verdict::Stop);
    }
}
