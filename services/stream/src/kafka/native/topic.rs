//! A topic: produce to it, fetch from it.

use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

use rdkafka::bindings as rd;
use rdkafka::types::RDKafkaRespErr as Code;

use super::{Client, Queue, c_string, check, error_of};
use crate::Error;

/// A topic of one client. `tag` comes back with each message consumed through it.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(super) pointer: *mut rd::rd_kafka_topic_t,
    client: Arc<Client>,
}

// SAFETY: topic handles are reference counted and thread-safe in librdkafka.
unsafe impl Send for Topic {}

impl Topic {
    pub(crate) fn new(client: &Arc<Client>, name: &str, tag: usize) -> Result<Self, Error> {
        let c_name = c_string(name)?;
        // A copy of the client's own topic settings: a fresh conf would forget the partitioner and `auto.offset.reset`.
        // SAFETY: the conf is taken by `rd_kafka_topic_new`. The opaque is an integer that nobody dereferences.
        let pointer = unsafe {
            let conf = rd::rd_kafka_default_topic_conf_dup(client.pointer);
            rd::rd_kafka_topic_conf_set_opaque(conf, ptr::without_provenance_mut(tag));
            rd::rd_kafka_topic_new(client.pointer, c_name.as_ptr(), conf)
        };
        if pointer.is_null() {
            return Err(Error::stop("open a topic", name));
        }
        Ok(Topic { pointer, client: Arc::clone(client) })
    }

    /// Hands one record to the client, which copies it. `partition` -1 lets the key decide (murmur2).
    pub(crate) fn produce(&self, partition: i32, key: Option<&[u8]>, value: Option<&[u8]>) -> Result<(), Error> {
        let (key_pointer, key_len) = raw(key);
        let (value_pointer, value_len) = raw(value);
        // SAFETY: with MSG_F_COPY both slices are read during the call only.
        let code = unsafe {
            if rd::rd_kafka_produce(
                self.pointer,
                partition,
                rd::RD_KAFKA_MSG_F_COPY,
                value_pointer,
                value_len,
                key_pointer,
                key_len,
                ptr::null_mut(),
            ) == 0
            {
                Code::RD_KAFKA_RESP_ERR_NO_ERROR
            } else {
                rd::rd_kafka_last_error()
            }
        };
        check("produce", code)
    }

    /// The same with headers: a slower call, for dead letters.
    pub(crate) fn produce_with(
        &self,
        partition: i32,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, &[u8])],
    ) -> Result<(), Error> {
        use rd::rd_kafka_vtype_t as V;
        let (key, key_len) = raw(key);
        let (value, value_len) = raw(value);
        let mem = |ptr, size| rd::rd_kafka_vu_s__bindgen_ty_1 {
            mem: rd::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 { ptr, size },
        };
        // SAFETY: names and values are read during the call; on success the headers belong to the record, on failure they are
        // ours again and destroyed.
        unsafe {
            let list = rd::rd_kafka_headers_new(headers.len());
            for (name, value) in headers {
                rd::rd_kafka_header_add(
                    list,
                    name.as_ptr().cast(),
                    isize::try_from(name.len()).unwrap_or(0),
                    value.as_ptr().cast(),
                    isize::try_from(value.len()).unwrap_or(0),
                );
            }
            let arguments = [
                rd::rd_kafka_vu_t {
                    vtype: V::RD_KAFKA_VTYPE_RKT,
                    u: rd::rd_kafka_vu_s__bindgen_ty_1 { rkt: self.pointer },
                },
                rd::rd_kafka_vu_t {
                    vtype: V::RD_KAFKA_VTYPE_PARTITION,
                    u: rd::rd_kafka_vu_s__bindgen_ty_1 { i32_: partition },
                },
                rd::rd_kafka_vu_t {
                    vtype: V::RD_KAFKA_VTYPE_MSGFLAGS,
                    u: rd::rd_kafka_vu_s__bindgen_ty_1 { i: rd::RD_KAFKA_MSG_F_COPY },
                },
                rd::rd_kafka_vu_t { vtype: V::RD_KAFKA_VTYPE_KEY, u: mem(key, key_len) },
                rd::rd_kafka_vu_t { vtype: V::RD_KAFKA_VTYPE_VALUE, u: mem(value, value_len) },
                rd::rd_kafka_vu_t {
                    vtype: V::RD_KAFKA_VTYPE_HEADERS,
                    u: rd::rd_kafka_vu_s__bindgen_ty_1 { headers: list },
                },
            ];
            let error = rd::rd_kafka_produceva(self.client.pointer, arguments.as_ptr(), arguments.len());
            if error.is_null() {
                return Ok(());
            }
            rd::rd_kafka_headers_destroy(list);
            let code = rd::rd_kafka_error_code(error);
            rd::rd_kafka_error_destroy(error);
            check("produce", code)
        }
    }

    /// Starts to fetch a partition into `queue`.
    pub(crate) fn start(&self, partition: i32, offset: i64, queue: &Queue) -> Result<(), Error> {
        // SAFETY: topic and queue belong to the same client, which both keep alive.
        let failed = unsafe { rd::rd_kafka_consume_start_queue(self.pointer, partition, offset, queue.pointer) } != 0;
        // SAFETY: reads this thread's last error.
        if failed { Err(error_of("start to read a partition", unsafe { rd::rd_kafka_last_error() })) } else { Ok(()) }
    }

    /// The next offset of a partition that is fetched, open transactions included, as of the last fetch: no question to the brokers.
    pub(crate) fn end_as_of_the_last_fetch(&self, partition: i32) -> Option<i64> {
        let (mut low, mut high) = (0, 0);
        // SAFETY: the name lives as long as the topic, and both results are plain integers on our stack.
        let code = unsafe {
            let name = rd::rd_kafka_topic_name(self.pointer);
            rd::rd_kafka_get_watermark_offsets(self.client.pointer, name, partition, &raw mut low, &raw mut high)
        };
        (code == Code::RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0).then_some(high)
    }

    /// Stops to fetch it. Records of it that wait in the queue are dropped by librdkafka.
    pub(crate) fn stop(&self, partition: i32) {
        // SAFETY: no other pointers.
        unsafe { rd::rd_kafka_consume_stop(self.pointer, partition) };
    }
}

/// The partition of a key in a topic with so many partitions, as our producers and Java's default partitioner choose it.
pub fn partition_of(key: &[u8], partitions: i32) -> i32 {
    // SAFETY: the key is read during the call only, and the count is not zero. Topic and opaques are handed on for partitioners
    // of one's own: this one (`rdkafka_msg.c`) computes `(rd_murmur2(key, keylen) & 0x7fffffff) % partition_cnt` and touches
    // none of them, so they may be null.
    unsafe {
        rd::rd_kafka_msg_partitioner_murmur2(
            ptr::null(),
            key.as_ptr().cast(),
            key.len(),
            partitions.max(1),
            ptr::null_mut(),
            ptr::null_mut(),
        )
    }
}

fn raw(bytes: Option<&[u8]>) -> (*mut c_void, usize) {
    bytes.map_or((ptr::null_mut(), 0), |bytes| (bytes.as_ptr().cast_mut().cast(), bytes.len()))
}

impl Drop for Topic {
    fn drop(&mut self) {
        // SAFETY: ours, and the client still lives.
        unsafe { rd::rd_kafka_topic_destroy(self.pointer) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_lies_where_the_java_client_puts_it() {
        // The expected values are those of Kafka's own `UtilsTest.testMurmur2`.
        let known: [(&str, i32); 6] = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ];
        for (key, hash) in known {
            let hash = hash & 0x7fff_ffff;
            // With the greatest count all bits of the hash that count are seen.
            assert_eq!(partition_of(key.as_bytes(), i32::MAX), hash, "{key}");
            assert_eq!(partition_of(key.as_bytes(), 8), hash % 8, "{key}");
        }
    }

    #[test]
    fn where_a_key_stands_in_memory_does_not_matter() {
        let wanted = partition_of(b"a-little-bit-long-string", i32::MAX);
        for before in 1..4 {
            let shifted = ["...".get(..before).unwrap_or_default(), "a-little-bit-long-string"].concat();
            assert_eq!(partition_of(&shifted.as_bytes()[before..], i32::MAX), wanted);
        }
    }

    #[test]
    fn a_partition_is_never_negative() {
        assert!((0..500).all(|number| (0..8).contains(&partition_of(format!("key-{number}").as_bytes(), 8))));
    }

    #[test]
    fn no_key_and_no_partitions_are_no_trouble() {
        assert_eq!(partition_of(b"", i32::MAX), 0x106e_08d9);
        assert_eq!(partition_of(b"key", 0), 0);
    }
}
