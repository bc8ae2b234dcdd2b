//! A rehearsal: what would be decided about one customer, in virtual time, before anything is in force.
//!
//! A *timeline* says what happens to the customer, line by line; [`Timeline::play`] lives through it in a [`World`], where
//! each deadline and each sweep falls due by itself as time passes. Lines with `=>` say what is expected to be decided: a
//! timeline with them is a test of its campaigns ([`Timeline::difference`]).
//!
//! # The grammar
//!
//! ```text
#![doc = include_str!("grammar.txt")]
//! ```

mod words;
mod event;
mod line;
mod timeline;
mod world;
mod told;
mod difference;

pub use timeline::Timeline;
pub use told::told;
pub use world::{CUSTOMER, World};

/// What a timeline may say, for people: an example, then every line.
pub const GRAMMAR: &str = include_str!("grammar.txt");
