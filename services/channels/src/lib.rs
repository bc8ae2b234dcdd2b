//! Channel workers: they hand send commands over to providers, and say what became of each.
//!
//! *The way of a command.* [`worker`] reads it from `send.<channel>` into the [`lane`] of its partition. There it waits for its
//! turn (rate limit, circuit breaker, an earlier message to the same customer). When that comes, its message is rendered, and
//! the worker takes a [`look`] at `revoke`. What was withdrawn or is too late goes no further. For the rest an intent is
//! written to `attempt.<channel>` in a transaction; only after it is committed the provider is called ([`calls`],
//! [`transport`]). The answer goes to `attempt.<channel>` and to `feedback`, in one transaction with the group's offsets.
//!
//! *What holds.*
//! * A provider is called at most [`look::AGE_MAX`] after a moment up to which every withdrawal was read. The time between is
//!   measured (`cascade_residual_window_seconds`); nothing can make it zero.
//! * A provider is called at most once for each committed intent. Intents are fenced by the group's generation: who stood
//!   still and was replaced cannot commit one, and without a fresh one calls nobody.
//! * An intent without an outcome (a crash in between, a connection that broke) is an unknown outcome. What happens then is
//!   declared for each channel: [`config::OnUnknown`].
//! * A provider's outage refuses nothing, nor does a login or path of ours that is wrong: commands wait, and expire when their
//!   validity ends.
//! * Offsets are committed only below the lowest command that is not finished.
//!
//! *What it is not.* It decides nothing. Consent, quiet hours and caps were judged by the operator; whatever changes after
//! that comes as a withdrawal. It keeps no state of its own: the topic `attempt.<channel>` is its memory.
//!
//! *Limits.* A rate limit holds for the channel as a whole as long as every worker of the group is configured alike, and
//! each takes the share of its partitions. Repeats of a command are recognised as far back as [`lane::MEMORY`] commands of
//! a partition.

pub mod config;
mod worker;
mod ownership;
pub mod lane;
mod memory;
mod choice;
pub mod look;
mod limit;
mod breaker;
pub mod render;
pub mod link;
mod ledger;
mod calls;
pub mod transport;
pub mod echo;
pub mod bounce;
mod metrics;

pub use config::{Config, OnUnknown};
pub use metrics::Metrics;
pub use worker::run;
