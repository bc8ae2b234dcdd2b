//! A client: configuration, group membership, transactions, questions to the brokers.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CString, c_char};
use std::ptr;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::types::RDKafkaRespErr as Code;

use super::partitions::elements_of;
use super::{GroupMetadata, Partitions, Queue, Topic, c_string, check, check_error, millis, name_of, text};
use crate::kafka::Watch;
use crate::{Error, Verdict};

/// A group, as its coordinator says.
#[derive(Debug, Default)]
pub(crate) struct Description {
    /// Whether it is not about to share its partitions anew.
    pub(crate) is_stable: bool,
    /// Client ids.
    pub(crate) members: Vec<String>,
    /// Topic and number of what its members were given.
    pub(crate) owned: BTreeSet<(String, i32)>,
}

/// The kind of client to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Member,
    Reader,
    Producer,
}

/// A librdkafka client with the events that we want instead of callbacks.
#[derive(Debug)]
pub(crate) struct Client {
    pub(super) pointer: *mut rd::rd_kafka_t,
    is_member: bool,
    /// Takes what it tells of itself.
    pub(super) watch: Option<Watch>,
}

// SAFETY: librdkafka clients are thread-safe by contract (INTRODUCTION.md, "Threads and callbacks").
unsafe impl Send for Client {}
// SAFETY: as above.
unsafe impl Sync for Client {}

impl Client {
    /// Makes a client. Unknown or bad properties are refused with librdkafka's own words.
    pub(crate) fn new<'a>(
        role: Role,
        properties: impl Iterator<Item = (&'a str, &'a str)>,
        watch: Option<Watch>,
    ) -> Result<Arc<Self>, Error> {
        // SAFETY: no pointers.
        require_version(unsafe { rd::rd_kafka_version() })?;
        // SAFETY: `conf` is ours until `rd_kafka_new` succeeds and takes it; on every other way out it is destroyed. The buffer
        // is as long as we say.
        unsafe {
            let conf = rd::rd_kafka_conf_new();
            let mut buffer = [0; 512];
            for (name, value) in properties {
                let set = CString::new(name).ok().zip(CString::new(value).ok()).map(|(name, value)| {
                    rd::rd_kafka_conf_set(conf, name.as_ptr(), value.as_ptr(), buffer.as_mut_ptr(), buffer.len())
                });
                if set != Some(rd::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK) {
                    rd::rd_kafka_conf_destroy(conf);
                    return Err(Error::stop(
                        "configure the Kafka client",
                        format!("{name}: {}", text(buffer.as_ptr())),
                    ));
                }
            }
            let mut events = rd::RD_KAFKA_EVENT_DR | rd::RD_KAFKA_EVENT_ERROR | rd::RD_KAFKA_EVENT_REBALANCE;
            if watch.is_some() {
                events |= rd::RD_KAFKA_EVENT_STATS;
            }
            rd::rd_kafka_conf_set_events(conf, events);
            rd::rd_kafka_conf_set_log_cb(conf, Some(log));
            let kind = match role {
                Role::Member | Role::Reader => rd::rd_kafka_type_t::RD_KAFKA_CONSUMER,
                Role::Producer => rd::rd_kafka_type_t::RD_KAFKA_PRODUCER,
            };
            let pointer = rd::rd_kafka_new(kind, conf, buffer.as_mut_ptr(), buffer.len());
            if pointer.is_null() {
                rd::rd_kafka_conf_destroy(conf);
                return Err(Error::stop("make a Kafka client", text(buffer.as_ptr())));
            }
            Ok(Arc::new(Client { pointer, is_member: role == Role::Member, watch }))
        }
    }

    /// What it tells of itself from now on does not count.
    pub(crate) fn tell_no_more(&self) {
        if let Some(watch) = &self.watch {
            watch.end();
        }
    }

    /// The queue on which the client's own events (errors, failed deliveries) arrive.
    pub(crate) fn main_queue(self: &Arc<Self>) -> Queue {
        // SAFETY: the client lives; the queue keeps it alive.
        Queue { pointer: unsafe { rd::rd_kafka_queue_get_main(self.pointer) }, client: Arc::clone(self) }
    }

    /// The queue of a group member: rebalances and errors.
    pub(crate) fn member_queue(self: &Arc<Self>) -> Queue {
        // SAFETY: as above.
        Queue { pointer: unsafe { rd::rd_kafka_queue_get_consumer(self.pointer) }, client: Arc::clone(self) }
    }

    /// An empty queue of our own.
    pub(crate) fn new_queue(self: &Arc<Self>) -> Queue {
        // SAFETY: as above.
        Queue { pointer: unsafe { rd::rd_kafka_queue_new(self.pointer) }, client: Arc::clone(self) }
    }

    /// The cluster's id, or none within the time.
    pub(crate) fn cluster_id(&self, wait: Duration) -> Option<String> {
        // SAFETY: the returned string is ours to free.
        unsafe {
            let id = rd::rd_kafka_clusterid(self.pointer, millis(wait));
            if id.is_null() {
                return None;
            }
            let found = text(id);
            rd::rd_kafka_mem_free(self.pointer, id.cast());
            Some(found)
        }
    }

    /// Number of partitions of a topic; `None` if it does not exist.
    pub(crate) fn partitions(self: &Arc<Self>, topic: &str, wait: Duration) -> Result<Option<i32>, Error> {
        let leaders = self.leaders(topic, wait)?;
        Ok(leaders.and_then(|leaders| i32::try_from(leaders.len()).ok()).filter(|count| *count > 0))
    }

    /// Who leads each partition of a topic, as the brokers say now: a broker's id, or -1 for nobody. `None` if there is no such topic.
    pub(crate) fn leaders(self: &Arc<Self>, topic: &str, wait: Duration) -> Result<Option<BTreeMap<i32, i32>>, Error> {
        let handle = Topic::new(self, topic, 0)?;
        let mut metadata: *const rd::rd_kafka_metadata = ptr::null();
        // SAFETY: `metadata` is set on success only and destroyed once; the arrays are as long as the counts say, and what is read of them
        // is copied before.
        unsafe {
            let code = rd::rd_kafka_metadata(self.pointer, 0, handle.pointer, &raw mut metadata, millis(wait));
            check("ask the brokers for metadata", code)?;
            let topics = slice::from_raw_parts((*metadata).topics, usize::try_from((*metadata).topic_cnt).unwrap_or(0));
            let found = topics.first().filter(|found| found.err == Code::RD_KAFKA_RESP_ERR_NO_ERROR);
            let leaders = found.map(|found| {
                let count = usize::try_from(found.partition_cnt).unwrap_or(0);
                let partitions = if count == 0 { &[] } else { slice::from_raw_parts(found.partitions, count) };
                partitions.iter().map(|partition| (partition.id, partition.leader)).collect()
            });
            rd::rd_kafka_metadata_destroy(metadata);
            Ok(leaders)
        }
    }

    /// The topic's id, which another topic of the same name does not have.
    pub(crate) fn topic_id(self: &Arc<Self>, topic: &str, wait: Duration) -> Result<String, Error> {
        let name = c_string(topic)?;
        let queue = self.new_queue();
        let what = "ask for a topic's id";
        // SAFETY: the collection copies the name and is destroyed once after the call; the result's parts live as long as the event
        // that we hold to the end; topics are an array of the length that is returned, of one that was asked for.
        unsafe {
            let collection = rd::rd_kafka_TopicCollection_of_topic_names([name.as_ptr()].as_mut_ptr(), 1);
            rd::rd_kafka_DescribeTopics(self.pointer, collection, ptr::null(), queue.pointer);
            rd::rd_kafka_TopicCollection_destroy(collection);
            let Some(event) = queue.poll(wait) else {
                return Err(Error::new(Verdict::Retry, what, "no answer in time"));
            };
            check(what, rd::rd_kafka_event_error(event.pointer))?;
            let result = rd::rd_kafka_event_DescribeTopics_result(event.pointer);
            let mut count = 0;
            let topics = rd::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
            if count == 0 {
                return Err(Error::new(Verdict::Retry, what, "an answer without a topic"));
            }
            check(what, rd::rd_kafka_error_code(rd::rd_kafka_TopicDescription_error(*topics)))?;
            Ok(text(rd::rd_kafka_Uuid_base64str(rd::rd_kafka_TopicDescription_topic_id(*topics))))
        }
    }

    /// How a group stands; nobody is in one that there is not. Whoever may not look hears that, and not that it is empty.
    pub(crate) fn describe(self: &Arc<Self>, group: &str, wait: Duration) -> Result<Description, Error> {
        let name = c_string(group)?;
        let queue = self.new_queue();
        let what = "ask who is in a group";
        // SAFETY: the name is copied during the call; the result's parts live as long as the event that we hold to the end; groups are
        // an array of the length that is returned, of one that was asked for; members are asked for below their count.
        unsafe {
            let mut names = [name.as_ptr()];
            rd::rd_kafka_DescribeConsumerGroups(self.pointer, names.as_mut_ptr(), 1, ptr::null(), queue.pointer);
            let Some(event) = queue.poll(wait) else {
                return Err(Error::new(Verdict::Retry, what, format!("no answer in time about {group}")));
            };
            check(what, rd::rd_kafka_event_error(event.pointer))?;
            let result = rd::rd_kafka_event_DescribeConsumerGroups_result(event.pointer);
            let mut count = 0;
            let groups = rd::rd_kafka_DescribeConsumerGroups_result_groups(result, &raw mut count);
            if count == 0 {
                return Err(Error::new(Verdict::Retry, what, format!("an answer without {group}")));
            }
            match rd::rd_kafka_error_code(rd::rd_kafka_ConsumerGroupDescription_error(*groups)) {
                Code::RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND => return Ok(Description::default()),
                Code::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED => {
                    let words = format!("not authorized: give this user Describe on the group {group}");
                    return Err(Error::stop(what, words));
                }
                code => check(what, code)?,
            }
            let state = rd::rd_kafka_ConsumerGroupDescription_state(*groups);
            let is_stable = state == rd::rd_kafka_consumer_group_state_t::RD_KAFKA_CONSUMER_GROUP_STATE_STABLE;
            let count = rd::rd_kafka_ConsumerGroupDescription_member_count(*groups);
            let (mut members, mut owned) = (Vec::new(), BTreeSet::new());
            for index in 0..count {
                let member = rd::rd_kafka_ConsumerGroupDescription_member(*groups, index);
                members.push(text(rd::rd_kafka_MemberDescription_client_id(member)));
                let assignment = rd::rd_kafka_MemberDescription_assignment(member);
                let list = rd::rd_kafka_MemberAssignment_partitions(assignment);
                owned.extend(elements_of(list).iter().map(|it| (text(it.topic), it.partition)));
            }
            Ok(Description { is_stable, members, owned })
        }
    }

    /// First and next offset of a partition, by the client's isolation level.
    pub(crate) fn watermarks(
        self: &Arc<Self>,
        topic: &str,
        partition: i32,
        wait: Duration,
    ) -> Result<(i64, i64), Error> {
        let name = c_string(topic)?;
        let ask = || {
            let (mut low, mut high) = (0, 0);
            // SAFETY: both results are plain integers on our stack.
            let code = unsafe {
                rd::rd_kafka_query_watermark_offsets(
                    self.pointer,
                    name.as_ptr(),
                    partition,
                    &raw mut low,
                    &raw mut high,
                    millis(wait),
                )
            };
            (code, (low, high))
        };
        let what = "ask for a partition's offsets";
        let (mut code, mut range) = ask();
        if is_hearsay(code) {
            self.renew_leaders(topic, wait);
            (code, range) = ask();
        }
        // librdkafka asks for both ends apart. Should the first question be refused and the second one be answered in the same moment, as
        // when a leader comes back between the two, it forgets the refusal and takes the partition for an empty one: whoever believed
        // that would take all that is in it for deleted. So what is empty is asked about once more.
        if code == Code::RD_KAFKA_RESP_ERR_NO_ERROR && range.0 == range.1 {
            (code, range) = ask();
        }
        answered(what, code)
            .map(|()| range)
            .map_err(|error| Error::new(error.verdict(), what, format!("{topic}/{partition}: {}", name_of(code))))
    }

    /// Learns anew who leads the partitions of a topic. Who knows of one that nobody leads does not ask again by himself.
    fn renew_leaders(self: &Arc<Self>, topic: &str, wait: Duration) {
        if let Err(error) = self.partitions(topic, wait) {
            tracing::debug!(topic, "its leaders are not known for now: {error}");
        }
    }

    // Group membership.

    pub(crate) fn subscribe(&self, topics: &[String]) -> Result<(), Error> {
        let mut list = Partitions::with_capacity(topics.len());
        for topic in topics {
            list.add(topic, -1, None, "")?;
        }
        // SAFETY: the list is read during the call only.
        check("subscribe", unsafe { rd::rd_kafka_subscribe(self.pointer, list.pointer) })
    }

    pub(crate) fn assign(&self, added: &Partitions) -> Result<(), Error> {
        // SAFETY: the list is read during the call only.
        check_error("take over partitions", unsafe { rd::rd_kafka_incremental_assign(self.pointer, added.pointer) })
    }

    pub(crate) fn unassign(&self, removed: &Partitions) -> Result<(), Error> {
        // SAFETY: the list is read during the call only.
        check_error("give up partitions", unsafe { rd::rd_kafka_incremental_unassign(self.pointer, removed.pointer) })
    }

    pub(crate) fn pause(&self, partitions: &Partitions) -> Result<(), Error> {
        // SAFETY: the list is written during the call only (an error per partition).
        check("pause partitions", unsafe { rd::rd_kafka_pause_partitions(self.pointer, partitions.pointer) })
    }

    /// The group took the partitions away before it asked: whatever was going on must not be committed.
    pub(crate) fn is_assignment_lost(&self) -> bool {
        // SAFETY: no pointers besides the client.
        unsafe { rd::rd_kafka_assignment_lost(self.pointer) != 0 }
    }

    /// Fills in the group's committed offsets. With `read_committed` the broker answers only when no transaction that moves
    /// them is open.
    pub(crate) fn committed(&self, partitions: &Partitions, wait: Duration) -> Result<(), Error> {
        // SAFETY: the list is written during the call only.
        let code = unsafe { rd::rd_kafka_committed(self.pointer, partitions.pointer, millis(wait)) };
        // Of single partitions the broker may refuse to say anything though the call as a whole succeeds: that is no "none stored".
        let refused = partitions.elements().iter().map(|element| element.err);
        std::iter::once(code).chain(refused).try_for_each(|code| check("fetch the group's offsets", code))
    }

    /// Metadata of the group as of now.
    pub(crate) fn group_metadata(&self) -> Option<GroupMetadata> {
        // SAFETY: null or an object that `GroupMetadata` owns.
        GroupMetadata::of(unsafe { rd::rd_kafka_consumer_group_metadata(self.pointer) })
    }

    // Transactions. All of these block until the broker has answered or the time is over.

    pub(crate) fn init_transactions(&self, wait: Duration) -> Result<(), Error> {
        // SAFETY: no pointers besides the client.
        check_error("init transactions", unsafe { rd::rd_kafka_init_transactions(self.pointer, millis(wait)) })
    }

    pub(crate) fn begin(&self) -> Result<(), Error> {
        // SAFETY: as above.
        check_error("begin a transaction", unsafe { rd::rd_kafka_begin_transaction(self.pointer) })
    }

    pub(crate) fn send_offsets(
        &self,
        offsets: &Partitions,
        group: &GroupMetadata,
        wait: Duration,
    ) -> Result<(), Error> {
        // SAFETY: both are read during the call only.
        check_error("send offsets to the transaction", unsafe {
            rd::rd_kafka_send_offsets_to_transaction(self.pointer, offsets.pointer, group.pointer, millis(wait))
        })
    }

    /// Waits until what was produced is delivered, or its failure is heard; so it is to be called again after hearing.
    pub(crate) fn flush(&self, wait: Duration) -> Result<(), Error> {
        // SAFETY: no pointers besides the client.
        check("hand records over to the brokers", unsafe { rd::rd_kafka_flush(self.pointer, millis(wait)) })
    }

    /// Does that first; so it is to be called again after hearing, too.
    pub(crate) fn commit(&self, wait: Duration) -> Result<(), Error> {
        // SAFETY: no pointers besides the client.
        check_error("commit a transaction", unsafe { rd::rd_kafka_commit_transaction(self.pointer, millis(wait)) })
    }

    /// Records that are dropped by it report that, and it waits until the reports are heard: to be called again after that.
    pub(crate) fn abort(&self, wait: Duration) -> Result<(), Error> {
        // SAFETY: as above.
        check_error("abort a transaction", unsafe { rd::rd_kafka_abort_transaction(self.pointer, millis(wait)) })
    }

    /// The next offsets of partitions; of a client that reads uncommitted, open transactions included. librdkafka's newer question
    /// for the same (`ListOffsets`) can end the process: its worker, begun on this thread, goes on with what the client's own
    /// thread has freed, if the answer to another question names the leaders just then.
    pub(crate) fn ends(
        self: &Arc<Self>,
        partitions: &[(String, i32)],
        wait: Duration,
    ) -> Result<Vec<(String, i32, i64)>, Error> {
        let what = "ask for the ends of partitions";
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let ask = || {
            let list = Partitions::of(partitions, Partitions::END)?;
            // SAFETY: the list is written during the call only.
            Ok::<_, Error>((unsafe { rd::rd_kafka_offsets_for_times(self.pointer, list.pointer, millis(wait)) }, list))
        };
        let (mut code, mut list) = ask()?;
        let is_outdated = |element: &rd::rd_kafka_topic_partition_t| is_hearsay(element.err);
        if is_hearsay(code) || list.elements().iter().any(is_outdated) {
            let topics: BTreeSet<&str> = partitions.iter().map(|(topic, _)| topic.as_str()).collect();
            topics.into_iter().for_each(|topic| self.renew_leaders(topic, wait));
            (code, list) = ask()?;
        }
        answered(what, code)?;
        let end = |found: &rd::rd_kafka_topic_partition_t| {
            answered(what, found.err).map(|()| (text(found.topic), found.partition, found.offset))
        };
        list.elements().iter().map(end).collect()
    }
}

/// librdkafka's word for partitions that nobody leads, as far as it has heard.
const NOBODY_LEADS: Code = Code::RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;

/// Whether the answer rests on what the client has heard long ago: that nobody leads a partition, or that somebody does who was deposed
/// since, a broker that is about to go, say.
fn is_hearsay(code: Code) -> bool {
    [NOBODY_LEADS, Code::RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH, Code::RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH]
        .contains(&code)
}

/// The outcome of a question about topics that are known to exist. That a partition has no leader now is nothing that another
/// client could heal.
fn answered(what: &'static str, code: Code) -> Result<(), Error> {
    match code {
        NOBODY_LEADS => Err(Error::new(Verdict::Retry, what, "nobody leads it")),
        code => check(what, code),
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let last = Last(self.pointer);
        if !self.is_member {
            return last.destroy();
        }
        // A member that is just joining may wait for ever for an answer that nobody gives any more. Whoever owned partitions
        // has finished with them before, so nobody has to wait for it.
        if let Err(error) = crate::thread::spawn("member-ends", move || last.destroy()) {
            tracing::warn!("a group member is left to end with the process: {error}");
        }
    }
}

/// The pointer of a client that nobody uses any more.
struct Last(*mut rd::rd_kafka_t);

// SAFETY: the only one that is left, and librdkafka lets any thread destroy a client.
unsafe impl Send for Last {}

impl Last {
    /// Without the closing rebalance: a static member does not leave the group.
    fn destroy(self) {
        // SAFETY: last owner; queues and topics hold an `Arc` of the client and are gone by now. Messages hold none: librdkafka waits here
        // for those that somebody still has, so whoever keeps messages lets go of them before the reader that they came by.
        unsafe { rd::rd_kafka_destroy_flags(self.0, rd::RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE) }
    }
}

/// librdkafka's own log. It names brokers and topics, never a record's content.
unsafe extern "C" fn log(_: *const rd::rd_kafka_t, level: i32, facility: *const c_char, message: *const c_char) {
    let (facility, message) = (text(facility), text(message));
    // What the user sets is for clients of all kinds: that some do without a property concerns nobody.
    let level = if facility == "CONFWARN" && message.contains("will be ignored by this") { 7 } else { level };
    match level {
        0..=3 => tracing::error!(target: "librdkafka", facility, "{message}"),
        4 => tracing::warn!(target: "librdkafka", facility, "{message}"),
        5 | 6 => tracing::info!(target: "librdkafka", facility, "{message}"),
        _ => tracing::debug!(target: "librdkafka", facility, "{message}"),
    }
}

/// The library that is linked may be another one than ours was compiled against. An older one lacks what is relied upon.
fn require_version(linked: i32) -> Result<(), Error> {
    if i64::from(linked) >= i64::from(rd::RD_KAFKA_VERSION) {
        return Ok(());
    }
    Err(Error::stop(
        "make a Kafka client",
        format!("librdkafka {linked:#x} is linked, and at least {:#x} is needed", rd::RD_KAFKA_VERSION),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_library_than_the_one_it_was_compiled_against_is_refused() {
        assert!(require_version(rd::RD_KAFKA_VERSION).is_ok());
        let refused = require_version(0x0205_00ff).unwrap_err();
        assert_eq!(refused.verdict(), crate::Verdict::Stop);
        assert!(refused.to_string().contains("librdkafka 0x20500ff is linked"), "{refused}");
    }
}
