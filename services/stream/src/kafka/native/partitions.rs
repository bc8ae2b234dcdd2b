//! Lists of partitions, and the group's generation.

use std::ptr;
use std::slice;

use rdkafka::bindings as rd;

use super::{c_string, slice_of, text};
use crate::Error;
use crate::kafka::Position;

/// A list of partitions with offsets.
#[derive(Debug)]
pub(crate) struct Partitions {
    pub(super) pointer: *mut rd::rd_kafka_topic_partition_list_t,
}

// SAFETY: plain data, owned.
unsafe impl Send for Partitions {}

impl Partitions {
    /// Stands for "the end" where an offset is expected.
    pub(crate) const END: i64 = -1;

    pub(crate) fn with_capacity(size: usize) -> Self {
        // SAFETY: a fresh list, owned.
        Partitions { pointer: unsafe { rd::rd_kafka_topic_partition_list_new(i32::try_from(size).unwrap_or(0)) } }
    }

    pub(crate) fn of(partitions: &[(String, i32)], offset: i64) -> Result<Self, Error> {
        let mut list = Partitions::with_capacity(partitions.len());
        for (topic, partition) in partitions {
            list.add(topic, *partition, Some(offset), "")?;
        }
        Ok(list)
    }

    pub(crate) fn add(
        &mut self,
        topic: &str,
        partition: i32,
        offset: Option<i64>,
        metadata: &str,
    ) -> Result<(), Error> {
        let name = c_string(topic)?;
        // SAFETY: the element points into the list, which we own. librdkafka frees `metadata` with the list, so it is
        // allocated by the same allocator (`rd_kafka_mem_malloc`).
        unsafe {
            let element = rd::rd_kafka_topic_partition_list_add(self.pointer, name.as_ptr(), partition);
            if let Some(offset) = offset {
                (*element).offset = offset;
            }
            if !metadata.is_empty() {
                let copy = rd::rd_kafka_mem_malloc(ptr::null_mut(), metadata.len());
                ptr::copy_nonoverlapping(metadata.as_ptr(), copy.cast(), metadata.len());
                (*element).metadata = copy;
                (*element).metadata_size = metadata.len();
            }
        }
        Ok(())
    }

    pub(super) fn elements(&self) -> &[rd::rd_kafka_topic_partition_t] {
        // SAFETY: the list is ours, and lives as long as we do.
        unsafe { elements_of(self.pointer) }
    }

    /// An offset that is one of librdkafka's logical ones ("none stored" above all) is none.
    pub(crate) fn positions(&self) -> Vec<Position> {
        let read = |element: &rd::rd_kafka_topic_partition_t| Position {
            topic: text(element.topic),
            partition: element.partition,
            offset: (element.offset >= 0).then_some(element.offset),
            metadata: String::from_utf8_lossy(slice_of(element.metadata, element.metadata_size).unwrap_or_default())
                .into_owned(),
        };
        self.elements().iter().map(read).collect()
    }
}

/// The elements of a list.
///
/// # Safety
/// The list outlives what is returned.
pub(super) unsafe fn elements_of<'a>(
    list: *const rd::rd_kafka_topic_partition_list_t,
) -> &'a [rd::rd_kafka_topic_partition_t] {
    // SAFETY: `elems` is an array of `cnt` elements that the list owns; an empty list has none.
    unsafe {
        let list = &*list;
        match usize::try_from(list.cnt) {
            Ok(count) if count > 0 => slice::from_raw_parts(list.elems, count),
            _ => &[],
        }
    }
}

impl Drop for Partitions {
    fn drop(&mut self) {
        // SAFETY: ours.
        unsafe { rd::rd_kafka_topic_partition_list_destroy(self.pointer) }
    }
}

/// The group's generation and our place in it, at one moment.
#[derive(Debug)]
pub(crate) struct GroupMetadata {
    pub(super) pointer: *mut rd::rd_kafka_consumer_group_metadata_t,
}

// SAFETY: plain data, owned.
unsafe impl Send for GroupMetadata {}
// SAFETY: nobody writes it.
unsafe impl Sync for GroupMetadata {}

impl GroupMetadata {
    /// What librdkafka gave, if it gave anything: of nothing there is nothing to give back either.
    pub(super) fn of(pointer: *mut rd::rd_kafka_consumer_group_metadata_t) -> Option<Self> {
        (!pointer.is_null()).then(|| GroupMetadata { pointer })
    }

    /// Negative while we are no member: offsets sent with it would not be fenced.
    pub(crate) fn generation(&self) -> i32 {
        // SAFETY: read only.
        unsafe { rd::rd_kafka_consumer_group_metadata_generation_id(self.pointer) }
    }
}

impl Drop for GroupMetadata {
    fn drop(&mut self) {
        // SAFETY: ours.
        unsafe { rd::rd_kafka_consumer_group_metadata_destroy(self.pointer) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_client_tells_nothing_of_its_group_nothing_is_given_back() {
        assert!(GroupMetadata::of(ptr::null_mut()).is_none());
    }
}
