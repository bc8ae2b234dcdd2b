//! Queues, and what comes out of them: events and messages.

use std::ffi::CStr;
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::types::RDKafkaRespErr as Code;

use super::{Client, Partitions, millis, name_of, slice_of, text};

/// A queue of events or messages.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(super) pointer: *mut rd::rd_kafka_queue_t,
    /// Lives as long as the queue.
    pub(super) client: Arc<Client>,
}

// SAFETY: queues are thread-safe in librdkafka.
unsafe impl Send for Queue {}

impl Queue {
    /// The next event, waiting for it at most so long. What the client tells of itself now and then concerns nobody who asks, and lets
    /// him wait anew.
    pub(crate) fn poll(&self, wait: Duration) -> Option<Event> {
        loop {
            // SAFETY: null or an event that `Event` owns.
            let pointer = unsafe { rd::rd_kafka_queue_poll(self.pointer, millis(wait)) };
            let event = (!pointer.is_null()).then(|| Event { pointer })?;
            match (event.statistics(), &self.client.watch) {
                (Some(told), Some(watch)) => watch.take(told),
                _ => return Some(event),
            }
        }
    }

    /// Whether nothing has come that was not taken yet.
    pub(crate) fn is_empty(&self) -> bool {
        // SAFETY: no pointers besides the queue.
        unsafe { rd::rd_kafka_queue_length(self.pointer) == 0 }
    }

    /// Whether nobody else has its client any more.
    pub(crate) fn is_last(&self) -> bool {
        Arc::strong_count(&self.client) == 1
    }

    /// Appends at most `limit` messages to `messages`, waiting for the first at most so long. To be used on queues that hold
    /// messages only: on a member's queue librdkafka would drop the whole assignment.
    pub(crate) fn take(&self, wait: Duration, limit: usize, messages: &mut Vec<Message>) -> usize {
        messages.reserve(limit);
        let spare = messages.spare_capacity_mut();
        // SAFETY: `Message` is a transparent wrapper of the pointer; there is room for `limit` of them, and as many as are
        // returned were written.
        unsafe {
            let count = rd::rd_kafka_consume_batch_queue(self.pointer, millis(wait), spare.as_mut_ptr().cast(), limit);
            let count = usize::try_from(count).unwrap_or(0);
            messages.set_len(messages.len() + count);
            count
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: ours.
        unsafe { rd::rd_kafka_queue_destroy(self.pointer) }
    }
}

/// One event of a client.
#[derive(Debug)]
pub(crate) struct Event {
    pub(super) pointer: *mut rd::rd_kafka_event_t,
}

/// What a client has to say.
#[derive(Debug)]
pub(crate) enum Said {
    Assign(Partitions),
    Revoke(Partitions),
    /// A client-wide error, in words; fatal ones end the client.
    Trouble {
        words: String,
        fatal: bool,
    },
    Other,
}

impl Event {
    /// What the client tells of itself, in JSON, if it is that.
    fn statistics(&self) -> Option<&[u8]> {
        // SAFETY: the event lives as long as `self`, and its text, which ends with a NUL, as long as the event.
        unsafe {
            if rd::rd_kafka_event_type(self.pointer) != rd::RD_KAFKA_EVENT_STATS {
                return None;
            }
            let told = rd::rd_kafka_event_stats(self.pointer);
            (!told.is_null()).then(|| CStr::from_ptr(told).to_bytes())
        }
    }

    pub(crate) fn read(&self) -> Said {
        // SAFETY: the event lives as long as `self`; the list is copied, so that it can outlive it.
        unsafe {
            let code = rd::rd_kafka_event_error(self.pointer);
            match rd::rd_kafka_event_type(self.pointer) {
                rd::RD_KAFKA_EVENT_REBALANCE => {
                    let list = rd::rd_kafka_event_topic_partition_list(self.pointer);
                    let list = Partitions { pointer: rd::rd_kafka_topic_partition_list_copy(list) };
                    match code {
                        Code::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Said::Assign(list),
                        _ => Said::Revoke(list),
                    }
                }
                rd::RD_KAFKA_EVENT_ERROR => Said::Trouble {
                    words: format!("{}: {}", name_of(code), text(rd::rd_kafka_event_error_string(self.pointer))),
                    // A static member that was replaced is told so under the broker's code, not under the client's.
                    fatal: matches!(code, Code::RD_KAFKA_RESP_ERR__FATAL | Code::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID),
                },
                rd::RD_KAFKA_EVENT_DR => Said::Trouble { words: "a record was not delivered".to_owned(), fatal: false },
                _ => Said::Other,
            }
        }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: ours.
        unsafe { rd::rd_kafka_event_destroy(self.pointer) }
    }
}

/// A fetched record, or a word about its partition. Owns librdkafka's buffer until it is dropped.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct Message {
    pub(super) pointer: *mut rd::rd_kafka_message_t,
}

// SAFETY: a message is owned by one thread at a time and may be destroyed on any.
unsafe impl Send for Message {}

/// What a [`Message`] is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Record,
    /// Everything before the message's offset was delivered, and there is no more for now.
    End,
    /// The position does not exist (any more).
    OutOfRange,
    /// This user may not read the topic.
    Forbidden,
    Error(String),
}

impl Message {
    fn raw(&self) -> &rd::rd_kafka_message_t {
        // SAFETY: not null, alive until drop, never written by us.
        unsafe { &*self.pointer }
    }

    pub(crate) fn kind(&self) -> Kind {
        match self.raw().err {
            Code::RD_KAFKA_RESP_ERR_NO_ERROR => Kind::Record,
            Code::RD_KAFKA_RESP_ERR__PARTITION_EOF => Kind::End,
            Code::RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE | Code::RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET => {
                Kind::OutOfRange
            }
            Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED => Kind::Forbidden,
            code => Kind::Error(name_of(code)),
        }
    }

    /// The tag of the topic that it was fetched through.
    pub(crate) fn tag(&self) -> usize {
        // SAFETY: the message holds its topic; the opaque is an integer, never dereferenced.
        unsafe { rd::rd_kafka_topic_opaque(self.raw().rkt) }.addr()
    }

    pub(crate) fn partition(&self) -> i32 {
        self.raw().partition
    }

    pub(crate) fn offset(&self) -> i64 {
        self.raw().offset
    }

    /// Kafka's timestamp: machine time, -1 where there is none.
    pub(crate) fn timestamp(&self) -> i64 {
        let mut kind = rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the result goes to our stack.
        unsafe { rd::rd_kafka_message_timestamp(self.pointer, &raw mut kind) }
    }

    pub(crate) fn key(&self) -> Option<&[u8]> {
        slice_of(self.raw().key, self.raw().key_len)
    }

    pub(crate) fn value(&self) -> Option<&[u8]> {
        slice_of(self.raw().payload, self.raw().len)
    }

    /// The last header of this name. Copies nothing, and costs next to nothing where there are no headers.
    pub(crate) fn header(&self, wanted: &str) -> Option<&[u8]> {
        let mut list = ptr::null_mut();
        let mut found = None;
        // SAFETY: the list belongs to the message and is read only; names and values live as long.
        unsafe {
            if rd::rd_kafka_message_headers(self.pointer, &raw mut list) != Code::RD_KAFKA_RESP_ERR_NO_ERROR {
                return None;
            }
            let (mut index, mut name, mut value, mut size) = (0, ptr::null(), ptr::null(), 0);
            while rd::rd_kafka_header_get_all(list, index, &raw mut name, &raw mut value, &raw mut size)
                == Code::RD_KAFKA_RESP_ERR_NO_ERROR
            {
                if CStr::from_ptr(name).to_bytes() == wanted.as_bytes() {
                    found = slice_of(value.cast_mut(), size);
                }
                index += 1;
            }
        }
        found
    }

    /// All headers, in their order.
    pub(crate) fn headers(&self) -> Vec<(String, Vec<u8>)> {
        let mut list = ptr::null_mut();
        let mut found = Vec::new();
        // SAFETY: the list belongs to the message and is read only; names and values live as long.
        unsafe {
            if rd::rd_kafka_message_headers(self.pointer, &raw mut list) != Code::RD_KAFKA_RESP_ERR_NO_ERROR {
                return found;
            }
            let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
            while rd::rd_kafka_header_get_all(list, found.len(), &raw mut name, &raw mut value, &raw mut size)
                == Code::RD_KAFKA_RESP_ERR_NO_ERROR
            {
                found.push((text(name), slice_of(value.cast_mut(), size).unwrap_or_default().to_vec()));
            }
        }
        found
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        // SAFETY: ours.
        unsafe { rd::rd_kafka_message_destroy(self.pointer) }
    }
}
