//! Kafka, as the loops above need it: who owns what ([`Member`], and [`Membership`] over failures), what is written there
//! ([`Reader`]), what we write ([`Producer`]).
//!
//! Three clients instead of one, on purpose. A group member that also fetches serves rebalances and records from one queue,
//! and a batch call on that queue drops the assignment. So the member never fetches: it only tells which partitions are ours.
//! The reader has no group and reads exactly what it is told, from where it is told.

mod native;
mod settings;
mod position;
mod member;
mod gap;
mod membership;
mod reader;
mod producer;
mod statistics;
#[cfg(feature = "state")]
mod observer;
#[cfg(feature = "state")]
pub(crate) mod log;

pub use member::{Change, Generation, Member};
pub use membership::Membership;
#[cfg(test)]
pub(crate) use native::break_for_good;
pub use native::partition_of;
#[cfg(feature = "state")]
pub(crate) use observer::Observer;
pub use position::Position;
pub use producer::Producer;
pub use reader::{Fetched, Reader, Record};
pub use settings::Settings;
pub(crate) use settings::{ANSWER, ask_again};
pub use statistics::Statistics;
pub(crate) use statistics::{INTERVAL_MS, Watch};
