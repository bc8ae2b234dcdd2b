//! How old the commands are that wait: by partition, since when the oldest that is not done with stands in its topic.

use std::collections::{BTreeMap, VecDeque};

use schemas::Millis;
use stream::Probe;
use stream::clock::{Tick, machine_now};
use stream::kafka::{Reader, Record};
use stream::unread::{LOOK_BEHIND, Unread};

/// What waits in the partitions of a channel's topic. Commands are not done with in their order, so those that were read are remembered, as
/// far as the window holds.
#[derive(Debug)]
pub(crate) struct Waiting {
    topic: String,
    partitions: BTreeMap<i32, Queue>,
    looked: Tick,
}

#[derive(Debug, Default)]
struct Queue {
    unread: Unread,
    /// Offset and timestamp of what was read from the first on that is not done with.
    read: VecDeque<(i64, Millis)>,
}

impl Waiting {
    pub(crate) fn new(topic: &str) -> Self {
        Waiting { topic: topic.to_owned(), partitions: BTreeMap::new(), looked: Tick::now() }
    }

    /// A command was read.
    pub(crate) fn read(&mut self, record: &Record) {
        self.partitions.entry(record.partition()).or_default().read(record.offset(), record.timestamp());
    }

    /// There are no more for now.
    pub(crate) fn end(&mut self, partition: i32) {
        self.partitions.entry(partition).or_default().unread.end();
    }

    /// Everything before `next` is done with. `reader` knows by `topic` what is hidden behind the end.
    pub(crate) fn tell(
        &mut self,
        nexts: impl Iterator<Item = (i32, i64)>,
        reader: &Reader,
        topic: usize,
        probe: &Probe,
    ) {
        let looks_behind = self.looked.elapsed() > LOOK_BEHIND;
        if looks_behind {
            self.looked = Tick::now();
        }
        for (partition, next) in nexts {
            let Some(queue) = self.partitions.get_mut(&partition) else { continue };
            queue.done_before(next);
            if looks_behind && queue.read.is_empty() && queue.unread.is_at_end() {
                queue.unread.look_behind_the_end(reader.is_hidden(topic, partition, next), machine_now());
            }
            probe.unread(&self.topic, partition, &mut queue.unread);
        }
    }

    /// Everything that was read is dropped and will be read again.
    pub(crate) fn dropped(&mut self, probe: &Probe) {
        for (partition, queue) in &mut self.partitions {
            queue.read.clear();
            queue.unread.dropped();
            probe.unread(&self.topic, *partition, &mut queue.unread);
        }
    }

    /// A partition is somebody else's.
    pub(crate) fn released(&mut self, partition: i32) {
        self.partitions.remove(&partition);
    }
}

impl Queue {
    fn read(&mut self, offset: i64, appended_at: Millis) {
        // After a pause the reader may begin before what was read.
        if self.read.back().is_none_or(|(last, _)| *last < offset) {
            self.read.push_back((offset, appended_at));
        }
        self.unread.read(appended_at);
    }

    fn done_before(&mut self, next: i64) {
        let was_empty = self.read.is_empty();
        while self.read.pop_front_if(|(offset, _)| *offset < next).is_some() {}
        match self.read.front() {
            Some((_, appended_at)) => self.unread.done_before(*appended_at),
            // What was dropped is not read again yet: it waits on.
            None if was_empty && !self.unread.is_at_end() => {}
            None => self.unread.done(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(queue: &mut Queue) -> Option<Millis> {
        let probe = Probe::default();
        probe.unread("send", 0, &mut Unread::clone(&queue.unread));
        probe.oldest_unread().remove("send").flatten()
    }

    #[test]
    fn the_oldest_command_that_is_not_done_with_counts_though_others_are() {
        let mut queue = Queue::default();
        for (offset, appended_at) in [(10, 500), (12, 600), (13, 700)] {
            queue.read(offset, appended_at);
        }
        queue.unread.end();
        queue.done_before(10);
        assert_eq!(told(&mut queue), Some(500));
        queue.done_before(12);
        assert_eq!(told(&mut queue), Some(600));
        queue.done_before(15);
        assert_eq!(told(&mut queue), None, "nothing waits");
        queue.read(16, 800);
        assert_eq!(told(&mut queue), Some(800));
    }

    #[test]
    fn what_was_dropped_waits_on() {
        let mut queue = Queue::default();
        for (offset, appended_at) in [(10, 500), (11, 600)] {
            queue.read(offset, appended_at);
        }
        queue.read.clear();
        queue.unread.dropped();
        queue.done_before(10);
        assert_eq!(told(&mut queue), Some(500), "it is not read again yet");
        queue.read(11, 600);
        queue.done_before(11);
        assert_eq!(told(&mut queue), Some(600));
    }

    #[test]
    fn what_is_not_read_for_want_of_room_is_no_older_than_the_last_that_was() {
        let mut queue = Queue::default();
        queue.read(10, 500);
        queue.done_before(11);
        assert_eq!(told(&mut queue), Some(500));
        queue.unread.end();
        queue.done_before(11);
        assert_eq!(told(&mut queue), None, "there was no more");
    }
}
