//! Which partitions are ours, and how their lanes come and go.
//!
//! To take a partition over is to learn, in this order: where the group stands (the brokers answer only once no transaction
//! moves it), what a predecessor wrote about the commands from there on, what was withdrawn. A lane works only then.

use std::collections::BTreeMap;
use std::time::Duration;

use stream::clock::Tick;
use stream::kafka::{Change, Fetched, Position, Producer};
use stream::{Error, Verdict};

use crate::fence::Fence;
use crate::lane::Lane;
use crate::ledger;
use crate::worker::Worker;

/// While the brokers do not tell positions, they are asked again after this time.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// A lane that still learns what a predecessor wrote: complete once `attempt` was read up to here.
#[derive(Debug)]
pub(crate) struct Learning {
    pub(crate) lane: Lane,
    next: i64,
    end: i64,
}

impl Worker<'_> {
    /// Carries out what the group says. While the worker rests after a failure, this is all it does.
    pub(crate) fn follow_group(&mut self) -> Result<(), Error> {
        while let Some(change) = self.group.change()? {
            match &change {
                Change::Assigned(partitions) => {
                    self.awaiting.extend(partitions.iter().map(|(_, partition)| *partition));
                }
                Change::Revoked { partitions, lost } => {
                    let partitions: Vec<i32> = partitions.iter().map(|(_, partition)| *partition).collect();
                    self.give_up(&partitions, *lost);
                }
            }
            self.group.accept(&change)?;
        }
        Ok(())
    }

    /// Waits for the calls of these partitions and writes down what came of them; where the partitions are gone already, a
    /// successor finds the intents.
    fn give_up(&mut self, partitions: &[i32], lost: bool) {
        let finished = match lost {
            true => Err(Error::new(Verdict::Fenced, "keep the partitions", "the group gave them to others")),
            false => self.finish_calls(partitions),
        };
        if let Err(error) = finished {
            self.start_over(&error);
        }
        for partition in partitions {
            self.awaiting.retain(|awaiting| awaiting != partition);
            self.learning.remove(partition);
            self.lanes.remove(partition);
            self.calls.release(*partition);
            self.stop_reading(*partition);
            self.unread.released(*partition);
            self.probe.released(&self.names.send, *partition);
        }
        self.divide();
    }

    /// Takes this worker's share of all rates.
    fn divide(&mut self) {
        let owned = self.lanes_count();
        self.limit.divide(owned, self.partitions);
        self.calls.divide(owned, self.partitions);
    }

    /// Takes over what is ours. A predecessor may have a transaction open there: then the brokers do not answer yet, and
    /// a later turn asks again.
    pub(crate) fn take_over(&mut self) -> Result<(), Error> {
        if self.awaiting.is_empty() || !self.ask.remaining().is_zero() {
            return Ok(());
        }
        let placed = self.place();
        self.divide();
        match placed {
            Err(error) if error.verdict() == Verdict::Retry => {
                tracing::warn!("partitions are not taken over yet: {error}");
                self.ask = Tick::now().after(ASK_AGAIN);
                Ok(())
            }
            placed => placed,
        }
    }

    fn place(&mut self) -> Result<(), Error> {
        if self.producer.is_none() {
            // First of all: this ends what an earlier producer of ours left open.
            let mut producer = Producer::new(self.settings, &self.names.transactional_id)?;
            self.outputs = (producer.topic(&self.names.attempt)?, producer.topic(&self.names.feedback)?);
            self.producer = Some(producer);
        }
        let wanted: Vec<_> = self.awaiting.iter().map(|partition| (self.names.send.clone(), *partition)).collect();
        let positions = self.group.committed(&wanted)?;
        // After the positions: what a predecessor committed with or before them lies below these ends.
        let ends = self.ends(&self.names.attempt, &self.awaiting)?;
        for position in positions {
            let end = ends.get(&position.partition).copied().unwrap_or_default();
            self.learn(&position, end)?;
            self.awaiting.retain(|partition| *partition != position.partition);
        }
        Ok(())
    }

    /// Starts to read a partition's three topics.
    fn learn(&mut self, position: &Position, end: i64) -> Result<(), Error> {
        let partition = position.partition;
        let mut range = |topic| self.reader.range(topic, partition).map_err(passing);
        let (low, high) = range(self.inputs.send)?;
        let next = position.start_within(low, high)?;
        let (attempt_low, _) = range(self.inputs.attempt)?;
        let (attempt_from, spent) = ledger::read_bookmark(&position.metadata).unwrap_or((attempt_low, ""));
        let attempt_from = attempt_from.max(attempt_low);
        let mut fence = Fence::new(self.config.spend_per_hour, self.partitions);
        fence.recall(spent);
        let (revoke_low, _) = range(self.inputs.revoke)?;
        self.reader.start(self.inputs.revoke, partition, revoke_low)?;
        self.reader.start(self.inputs.attempt, partition, attempt_from)?;
        let lane = Lane::new(next, revoke_low, attempt_from, self.config.on_unknown).behind(fence);
        self.learning.insert(partition, Learning { lane, next: attempt_from, end });
        self.learned(partition)
    }

    /// Takes in a record, or the end, of `attempt`.
    pub(crate) fn recall(&mut self, fetched: &Fetched) -> Result<(), Error> {
        let partition = match fetched {
            Fetched::Record(record) => {
                let Some(learning) = self.learning.get_mut(&record.partition()) else { return Ok(()) };
                // What lies behind the end is our own, written since.
                if record.offset() < learning.end {
                    ledger::recall(record, &mut learning.lane);
                }
                learning.next = record.offset() + 1;
                record.partition()
            }
            Fetched::End { partition, offset, .. } => {
                let Some(learning) = self.learning.get_mut(partition) else { return Ok(()) };
                learning.next = learning.next.max(*offset);
                *partition
            }
            Fetched::OutOfRange { .. } => return Ok(()),
        };
        self.learned(partition)
    }

    /// A lane that knows everything goes to work.
    fn learned(&mut self, partition: i32) -> Result<(), Error> {
        if self.learning.get(&partition).is_none_or(|learning| learning.next < learning.end) {
            return Ok(());
        }
        if let Some(Learning { mut lane, end, .. }) = self.learning.remove(&partition) {
            self.reader.stop(self.inputs.attempt, partition);
            self.reader.start(self.inputs.send, partition, lane.next())?;
            lane.attempts_end(end);
            self.probe.consumed(&self.names.send, partition, lane.next());
            self.lanes.insert(partition, lane);
        }
        Ok(())
    }

    /// The one way out of everything uncertain: everything uncommitted goes, and all lanes learn anew.
    pub(crate) fn start_over(&mut self, error: &Error) {
        tracing::warn!("everything uncommitted is dropped and read again: {error}");
        self.metrics.recovery();
        self.calls.dropped(std::iter::empty());
        self.unread.dropped(self.probe);
        self.probe.set_ready(false);
        self.producer = None;
        self.paused.clear();
        let lanes = std::mem::take(&mut self.lanes).into_keys();
        let all: Vec<i32> = lanes.chain(std::mem::take(&mut self.learning).into_keys()).collect();
        for partition in all {
            self.stop_reading(partition);
            if !self.awaiting.contains(&partition) {
                self.awaiting.push(partition);
            }
        }
        self.group.rest();
    }

    fn stop_reading(&mut self, partition: i32) {
        self.paused.remove(&partition);
        for topic in [self.inputs.send, self.inputs.revoke, self.inputs.attempt] {
            self.reader.stop(topic, partition);
        }
    }

    /// Partitions that are ours, whether they work already or not.
    pub(crate) fn owned(&self) -> Vec<i32> {
        self.lanes.keys().chain(self.learning.keys()).chain(&self.awaiting).copied().collect()
    }

    fn lanes_count(&self) -> u32 {
        u32::try_from(self.lanes.len() + self.learning.len()).unwrap_or(u32::MAX)
    }

    /// The next offsets of partitions of a topic, open transactions included.
    fn ends(&self, topic: &str, partitions: &[i32]) -> Result<BTreeMap<i32, i64>, Error> {
        let asked: Vec<_> = partitions.iter().map(|partition| (topic.to_owned(), *partition)).collect();
        Ok(self.ask(&asked)?.into_iter().map(|(_, partition, end)| (partition, end)).collect())
    }

    /// The same for `revoke` and `attempt` of all lanes, in one question: topic, partition, offset.
    pub(crate) fn look_ends(&self) -> Result<Vec<(String, i32, i64)>, Error> {
        let topics = [&self.names.revoke, &self.names.attempt];
        let of_lanes =
            |topic: &String| self.lanes.keys().map(|partition| (topic.clone(), *partition)).collect::<Vec<_>>();
        self.ask(&topics.into_iter().flat_map(of_lanes).collect::<Vec<_>>())
    }

    fn ask(&self, asked: &[(String, i32)]) -> Result<Vec<(String, i32, i64)>, Error> {
        match &self.producer {
            // A client may go on asking a leader that is none any more for minutes; a new one finds the present one at once.
            Some(producer) => {
                producer.ends(asked).map_err(|error| Error::new(Verdict::Abort, "ask for ends", error.to_string()))
            }
            None => Err(Error::new(Verdict::Retry, "ask for the ends of partitions", "there is no producer yet")),
        }
    }
}

/// The topics were there at the start: whatever the brokers say now instead of an offset (a leader that moves, one that has
/// just come back) passes.
fn passing(error: Error) -> Error {
    Error::new(Verdict::Retry, "ask for offsets", error.to_string())
}
