//! The work on which the engine is measured beside others: a cascade of three steps, small enough to be written for each of
//! them, with all that a real one has. Rows, deadlines, duplicates, exactly-once.
//!
//! ```text
//! load ──> input ──> cascade (row, event or deadline) ──> row
//!                                              ├──> journal, one for each event
//!                                              └──> send.push, send.email, send.sms ──> judge
//! ```
//!
//! *What it is.* [`load`] makes the input, the same bytes from the same seed; [`cascade`] decides, as a pure function; [`operator`] puts
//! it on the engine; [`judge`] says which output is right, whoever made it: the same function, folded over the input in memory. For
//! the usual load the digests of that fold are known from elsewhere, see the tests of [`judge`].
//!
//! *What it is not.* The product: its campaigns, its contract and its brain have measurements of their own.

pub mod avro;
pub mod load;
pub mod cascade;
pub mod operator;
pub mod meter;
pub mod judge;

/// Partitions of every topic.
pub const PARTITIONS: i32 = 4;

/// What is written, in the order of the steps behind the journal.
pub const OUTPUTS: [&str; 4] = ["journal", "send.push", "send.email", "send.sms"];

/// FNV-1a, 64 bits.
pub fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
