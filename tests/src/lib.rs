//! What the system tests share: a private Kafka, an oracle that looks at it from outside, and real processes to torment.
//!
//! *What it is.* Fixtures. Every test binary has one broker of its own, every test a prefix of its own for topics and groups
//! and a directory of its own for state and logs. What a test asserts of a running Cascade it has from a plain read-committed
//! consumer and from what providers received. What the program says of itself tells when to look; a metric is asserted only
//! where it is the matter.
//!
//! *What it is not.* No part of the product. Of the product's code these fixtures use the contract (`schemas`), the brain
//! (`campaign`) as a pure function to fold with and its timelines to live through, and of `stream` the clocks, the file that
//! drives them, how its clients are told where Kafka is, and threads that cannot die unseen. Three modules are there to run code of the product, not to look at it:
//! [`simulation`] puts the `operator` on the simulator of `stream`, [`summer`] and [`peers`] are processors for its engine.
//!
//! *Limits.* Linux only (`/proc`, signals, `setpriv`). A test waits for conditions, up to [`wait::PATIENCE`] each.

pub mod wait;
pub mod place;
pub mod broker;
pub mod process;
pub mod feed;
pub mod tail;
pub mod wire;
pub mod changelog;
pub mod summer;
pub mod cpu;
pub mod peers;
pub mod http;
pub mod providers;
pub mod collector;
pub mod gate;
pub mod service;
pub mod installation;
pub mod settle;
pub mod shop;
pub mod commands;
pub mod fold;
pub mod player;
pub mod simulation;

/// Says what a test measured. The harness would keep back what a passed test prints.
pub fn tell(words: impl std::fmt::Display) {
    use std::io::Write;
    // A closed stderr is no reason to fail.
    let _ = writeln!(std::io::stderr(), "     {words}");
}
