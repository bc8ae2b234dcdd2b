//! The contract: every record that crosses a topic, in the order in which a message meets them.
//!
//! *What it is.* The Avro schemas (`*.avsc`, built in), the Rust types that are written and read with them, the one codec
//! (Confluent framing), the catalogue of topics, and the golden bytes of every released version.
//!
//! *What it is not.* No Kafka client, no decisions, no clock. A type that does not cross a topic lives with its owner.
//!
//! ```text
//! source ──> input ──> row (changelog) ──> send, revoke ──> attempt ──> reply, feedback ──> input …
//!                  └─> journal, suppression   campaign ──┘
//! ```
//!
//! *Limits.* A record is at most 1 MiB. Times are milliseconds since 1970 UTC, money is in minor units of one currency, both
//! as `i64`; there are no floats. Keys of topics are plain UTF-8, never Avro: producers in other languages hash them.
//!
//! *To add a field:* to the struct and, with a default, at the end of the record in every `*.avsc` that holds it; one of a row
//! to `row/packed.rs`, too, where the compiler asks for it. Until the first release that is all; delete the golden bytes that
//! it changes, and write them anew with `UPDATE_GOLDEN=1 cargo test -p schemas`. After it, the released schema is kept as a
//! file of its own and the new one goes to the end of its list in `record.rs`: it gets an id of its own, and golden bytes. An
//! enum grows by symbols at its end, `Fact` by branches; older readers take an unknown symbol for the default, and refuse an
//! unknown branch, so that readers of `input` are upgraded before its writers. Golden bytes are decoded by tests for as long as
//! this crate lives.

mod symbol;
mod id;
mod fields;
mod source;
mod feedback;
mod input;
mod forwarded;
mod row;
mod send;
mod reply;
mod reason;
mod journal;
mod campaign;
pub mod dead_letter;
pub mod token;
pub mod sms;
pub mod devices;
pub mod suppression;
pub mod trace;
mod datum;
mod codec;
mod record;
pub mod json;
mod projection;
mod ids;
pub mod registry;
mod topics;

pub use campaign::{Campaign, CampaignKind, OnResume};
pub use codec::{DecodeError, RECORD_BYTES_MAX, decode, encode, encode_into};
pub use feedback::{Actor, Feedback, Outcome, Status};
pub use fields::Fields;
pub use forwarded::{Address, Adopted, Budget, Demand, Grant, Hearsay, Holder, Key, Merged, Refund, Refusal};
pub use id::Id;
pub use ids::Ids;
pub use input::{Fact, Input, Origin, Progress, Release, Unreadable};
pub use journal::Journal;
pub use projection::SchemaError;
pub use reason::Reason;
pub use record::Record;
pub use reply::Reply;
pub use row::{
    Adoption, Begun, Counted, Customer, Done, Former, Heard, Hold, Instance, Passed, Past, Queued, Sent, Stage,
    Unsettled,
};
pub use send::{Attempt, AttemptState, Class, Revoke, Send, is_version};
pub use source::{Action, Cart, Consent, Contact, Inactivity, Item, Profile, Registration};
pub use suppression::{Suppression, Suppressor};
pub use topics::{Cleanup, DEAD_LETTER_BYTES_MAX, NameError, OVERHEAD_BYTES, SOURCE_BYTES_MAX, Spread, Topic, Topics};

/// Milliseconds since 1970-01-01T00:00:00Z. Always business time, unless a field says otherwise.
pub type Millis = i64;
