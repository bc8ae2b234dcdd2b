//! The tests that look at decisions as one program, but for the slow rules: whoever tries a thousand changes of the brain
//! (`tests/mutants.sh`) builds it a thousand times, and one program is sooner built than twenty. Nobody else needs it, so it is built
//! with the feature `mutants` only.
#![allow(clippy::duplicate_mod, reason = "each file brings what it needs along")]

#[path = "addresses.rs"]
mod addresses;
#[path = "again.rs"]
mod again;
#[path = "asleep.rs"]
mod asleep;
#[path = "budgets.rs"]
mod budgets;
#[path = "calls.rs"]
mod calls;
#[path = "caps.rs"]
mod caps;
#[path = "corners.rs"]
mod corners;
#[path = "edges.rs"]
mod edges;
#[path = "experiments.rs"]
mod experiments;
#[path = "joins.rs"]
mod joins;
#[path = "kept.rs"]
mod kept;
#[path = "launches.rs"]
mod launches;
#[path = "merges.rs"]
mod merges;
#[path = "migrations.rs"]
mod migrations;
#[path = "money.rs"]
mod money;
#[path = "moves.rs"]
mod moves;
#[path = "nights.rs"]
mod nights;
#[path = "races.rs"]
mod races;
#[path = "reference.rs"]
mod reference;
#[path = "sweeps.rs"]
mod sweeps;
#[path = "timelines.rs"]
mod timelines;
#[path = "triggers.rs"]
mod triggers;
#[path = "versions.rs"]
mod versions;
#[path = "words.rs"]
mod words;
