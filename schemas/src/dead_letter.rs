//! Headers of a dead letter: the six of KIP-1034, and ours. Key, value and the record's own headers stay untouched, unless they are more than
//! the topic takes: then the largest of them stay where they are, in the source, and [`OMITTED`] says so.

/// Class of the error.
pub const EXCEPTION: &str = "__streams.errors.exception";
/// Always empty: a place in our code helps nobody who looks at a record.
pub const STACKTRACE: &str = "__streams.errors.stacktrace";
/// What is wrong, without any value of the record.
pub const MESSAGE: &str = "__streams.errors.message";
/// Source topic.
pub const TOPIC: &str = "__streams.errors.topic";
/// Source partition.
pub const PARTITION: &str = "__streams.errors.partition";
/// Source offset.
pub const OFFSET: &str = "__streams.errors.offset";
/// Our documented code.
pub const CODE: &str = "cascade.error.code";
/// Where it was refused: `intake`, `operator`, `channel`.
pub const STAGE: &str = "cascade.error.stage";
/// So many bytes of the record found no room here: its value, or its own headers, too. What came here of it cannot be given back.
pub const OMITTED: &str = "cascade.omitted.bytes";
/// How often it was given back to its source before.
pub const REDRIVEN: &str = "cascade.redrive.count";
/// Of a note behind the letters: what was done, `redriven` or `dropped`.
pub const DONE: &str = "cascade.done";
/// Of a note: with which letter, as partition/offset of this topic.
pub const DONE_WITH: &str = "cascade.done.with";
