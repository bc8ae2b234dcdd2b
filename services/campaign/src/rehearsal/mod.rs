//! A rehearsal: what would be decided about one customer, in virtual time, before anything is in force.
//!
//! A *timeline* says what happens to the customer, line by line; [`Timeline::play`] lives through it in a [`World`], where
//! each deadline and each sweep falls due by itself as time passes. Lines with `=>` say what is expected to be decided: a
//! timeline with them is a test of its campaigns ([`Timeline::difference`]).
//!
//! The same lines can be lived through elsewhere, as the system tests do on the whole pipeline: a timeline's [lines](Timeline::lines)
//! say what happens when, a [`Narrator`] tells it as the records that a shop would write, and [`tell`] spells what was decided.
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
mod narrator;
mod world;
mod told;
mod difference;

pub use event::Event;
pub use narrator::Narrator;
pub use timeline::{Line, Timeline};
pub use told::{tell, told};
pub use world::{CUSTOMER, World};

/// What a timeline may say, for people: an example, then every line.
pub const GRAMMAR: &str = include_str!("grammar.txt");
