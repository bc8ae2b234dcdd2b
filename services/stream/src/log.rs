//! The seam between the engine and Kafka. The shard's loop cannot tell who stands behind it: Kafka, or a simulation with
//! transactions, fencing and crashes from one seed.

use std::ops::Range;
use std::time::Duration;

use crate::Error;
use crate::clock::Millis;
use crate::kafka::{Change, Fetched};

/// Topics that the engine reads, as they are numbered in [`Fetched`].
pub const INPUT: usize = 0;
/// The state's truth: rows, META, BARRIER; partition by partition beside the input's.
pub const CHANGELOG: usize = 1;
/// What every replica must know alike (one partition).
pub const REFERENCE: usize = 2;

/// A record that was read.
pub trait Record {
    /// One of [`INPUT`], [`CHANGELOG`], [`REFERENCE`].
    fn topic(&self) -> usize;
    /// Partition.
    fn partition(&self) -> i32;
    /// Offset.
    fn offset(&self) -> i64;
    /// Kafka's timestamp: machine time.
    fn timestamp(&self) -> i64;
    /// Key.
    fn key(&self) -> Option<&[u8]>;
    /// Value.
    fn value(&self) -> Option<&[u8]>;
    /// The last header of this name. Nothing that is decided may rest on it.
    fn header(&self, name: &str) -> Option<&[u8]>;
}

/// What a transaction writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The changelog partition of this input partition.
    Changelog(i32),
    /// One of the engine's outputs; without a partition the key decides.
    Output(usize, Option<i32>),
}

/// Offset of the first record of a partition, whatever it is.
pub const BEGINNING: i64 = -2;

/// Changelogs, read beside the shards: committed records only.
pub trait Changelogs {
    /// What [`Changelogs::fetch`] brings.
    type Record: Record;

    /// First offset of a partition, and the next one that no open transaction hides.
    ///
    /// # Errors
    /// `Retry` if nobody answers.
    fn range(&mut self, partition: i32) -> Result<(i64, i64), Error>;

    /// Reads a partition from `offset` on, anew if it is read already.
    ///
    /// # Errors
    /// If the partition is unknown.
    fn start(&mut self, partition: i32, offset: i64) -> Result<(), Error>;

    /// Stops to read it.
    fn stop(&mut self, partition: i32);

    /// Begins anew with another client, which reads nothing yet.
    ///
    /// # Errors
    /// If the configuration is refused.
    fn renew(&mut self) -> Result<(), Error>;

    /// Appends what there is, at most `limit`, waiting for the first at most so long.
    ///
    /// # Errors
    /// `Stop` for a topic that went away.
    fn fetch(&mut self, wait: Duration, limit: usize, fetched: &mut Vec<Fetched<Self::Record>>) -> Result<(), Error>;
}

/// A partitioned, transactional log with group membership. All calls are blocking and come from one thread.
pub trait Log {
    /// What [`Log::fetch`] brings.
    type Record: Record;

    /// The next change of what is ours, waiting at most so long.
    ///
    /// # Errors
    /// `Fenced` if our identity was taken over.
    fn membership(&mut self, wait: Duration) -> Result<Option<Change>, Error>;

    /// Tells the group that a change was carried out.
    ///
    /// # Errors
    /// If the group has moved on.
    fn accept(&mut self, change: &Change) -> Result<(), Error>;

    /// The generation we are in now; negative outside.
    fn generation(&self) -> i32;

    /// The group's stable committed offset of an input partition.
    ///
    /// # Errors
    /// `Retry` while a transaction that moves it is open.
    fn committed(&mut self, partition: i32) -> Result<Option<i64>, Error>;

    /// First and next offset of a partition.
    ///
    /// # Errors
    /// `Retry` if nobody answers.
    fn range(&mut self, topic: usize, partition: i32) -> Result<(i64, i64), Error>;

    /// Reads a partition of INPUT or REFERENCE from `offset` on.
    ///
    /// # Errors
    /// If the partition is unknown.
    fn start(&mut self, topic: usize, partition: i32, offset: i64) -> Result<(), Error>;

    /// Stops to read it.
    fn stop(&mut self, topic: usize, partition: i32);

    /// Appends what there is, at most `limit`, waiting for the first at most so long.
    ///
    /// # Errors
    /// `Stop` for a partition that went away.
    fn fetch(&mut self, wait: Duration, limit: usize, fetched: &mut Vec<Fetched<Self::Record>>) -> Result<(), Error>;

    /// Reads `offsets` of one partition, committed records only and apart from [`Log::fetch`], until `each` says that it has
    /// enough (false). Waits for what is not there yet. Returns the offset after the last one read.
    ///
    /// # Errors
    /// `Retry` if nothing comes any more, `Stop` if the first offset does not exist.
    fn replay(
        &mut self,
        topic: usize,
        partition: i32,
        offsets: Range<i64>,
        each: &mut dyn FnMut(&Self::Record) -> bool,
    ) -> Result<i64, Error>;

    /// The next offsets of partitions as of now, open transactions included.
    ///
    /// # Errors
    /// `Retry` if nobody answers.
    fn ends(&mut self, topic: usize, partitions: &[i32]) -> Result<Vec<(i32, i64)>, Error>;

    /// Business time, at most `moment`, up to which everything that was in the topics before INPUT is in INPUT. Does not wait.
    fn complete_until(&mut self, moment: Millis) -> Millis;

    /// Adds a record to the transaction, which begins with the first one.
    ///
    /// # Errors
    /// `Abort` if it cannot be taken.
    fn produce(
        &mut self,
        target: Target,
        key: &[u8],
        value: Option<&[u8]>,
        headers: &[(&'static str, Vec<u8>)],
    ) -> Result<(), Error>;

    /// Before the record that says that all others are there, where the end of the transaction before this one may still come to the
    /// brokers a second time: it would end this one as it stands then. Waits until the brokers have all others, for nothing that is said to
    /// be there may be missing, and puts the input positions in, for nobody may say so whom the group would not let in any more.
    ///
    /// # Errors
    /// `Abort` if the brokers do not take it in time, `Fenced` if the group has moved on.
    fn settle(&mut self, positions: &[(i32, i64)]) -> Result<(), Error>;

    /// Puts the input positions into the transaction, fenced by the live generation, and commits it.
    ///
    /// # Errors
    /// Anything but success leaves the outcome unknown: [`Log::renew`] and recover.
    fn commit(&mut self, positions: &[(i32, i64)]) -> Result<(), Error>;

    /// Replaces the producer by one with the same identity: whatever the old one left open is ended.
    ///
    /// # Errors
    /// `Retry` while the coordinator is not to be had.
    fn renew(&mut self) -> Result<(), Error>;
}
