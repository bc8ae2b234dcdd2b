//! What can be written in a campaign: a JSON Schema for editors, and a manual for people. Both are made from the shape of the
//! language and the tables of the checker, so that a new key stands in them as soon as it can be written.

mod schema;
mod keys;
mod manual;

pub use manual::manual;
pub use schema::{campaign, caps, prices, rates};
