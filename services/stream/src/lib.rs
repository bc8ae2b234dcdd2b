//! The exactly-once engine on Kafka and RocksDB. Knows nothing of messaging.
//!
//! *What it is.* Loops that read Kafka, change state and write Kafka, such that each record counts exactly once: [`relay`] for
//! what has no state (consume, transform, produce), [`run`] (feature `state`) for keyed state with deadlines, and the parts
//! of both ([`kafka`], [`publisher`], [`admin`]) for loops that talk to the outside. With the feature `simulation`, which only tests switch on, the
//! keyed engine also runs on brokers, disks and clocks made of memory.
//!
//! An application gives the keyed engine a [`Processor`] and hands it to [`run`]. The types that it needs for this stand here: what
//! its functions meet ([`Incoming`], [`Due`], [`Sweep`], [`Outbox`]) and what it runs with ([`Config`], [`Topics`], [`Upstream`], [`Metrics`],
//! [`Probe`], [`Error`], [`Verdict`]). Three more, which every loop needs, have rooms of their own: [`kafka::Settings`],
//! [`clock::Clock`] and [`clock::Millis`]. The whole of a small one:
//!
#![cfg_attr(feature = "state", doc = "```no_run")]
#![cfg_attr(not(feature = "state"), doc = "```ignore")]
#![doc = include_str!("../examples/counter.rs")]
//! ```
//!
//! What must always hold, and what shows it: [`invariants`].
//!
//! *What it is not.* No tokio on the data path, no schemas, no decisions. It never asks what time it is outside [`clock`].
//!
//! *Limits.* One topic of input per engine, at most 1 MiB per record; a shard is a thread with four librdkafka clients and
//! one RocksDB per partition that it owns. Transactions are Kafka's version 1 (librdkafka speaks no other): an outcome that is
//! not known is treated as a crash.

pub mod clock;
pub mod thread;
mod error;
pub mod unread;
mod probe;
pub mod kafka;
pub mod relay;
pub mod publisher;
pub mod shares;
pub mod labels;
pub mod traces;
pub mod admin;
pub mod inspect;

#[cfg(feature = "state")]
mod log;
#[cfg(feature = "state")]
mod processor;
#[cfg(feature = "state")]
mod control;
#[cfg(feature = "state")]
mod table;
#[cfg(feature = "state")]
mod store;
#[cfg(feature = "state")]
mod stores;
#[cfg(feature = "state")]
mod sweep;
#[cfg(feature = "state")]
mod horizon;
#[cfg(feature = "state")]
mod task;
#[cfg(feature = "state")]
mod replica;
#[cfg(feature = "state")]
mod restorer;
#[cfg(feature = "state")]
mod recovery;
#[cfg(feature = "state")]
mod rows;
#[cfg(feature = "state")]
pub mod audit;
#[cfg(feature = "state")]
pub mod rekey;
#[cfg(feature = "state")]
mod upstream;
#[cfg(feature = "state")]
mod shard;
#[cfg(feature = "state")]
mod engine;
#[cfg(feature = "state")]
mod metrics;
#[cfg(feature = "state")]
mod planted;
#[cfg(feature = "simulation")]
pub mod simulation;
#[cfg(feature = "simulation")]
pub mod bulk;

#[doc = include_str!("invariants.md")]
pub mod invariants {}

#[cfg(feature = "state")]
pub use engine::{Config, run};
pub use error::{Error, Verdict};
#[cfg(feature = "state")]
pub use kafka::log::Topics;
#[cfg(feature = "state")]
pub use metrics::Metrics;
pub use probe::Probe;
#[cfg(feature = "state")]
pub use processor::{Due, Incoming, Outbox, Processor, Sweep};
#[cfg(feature = "state")]
pub use rows::read_rows;
#[cfg(feature = "state")]
pub use upstream::Upstream;
