//! The engine alone, with the smallest application that has all its traits, on a real Kafka, with real processes.

mod steps;
mod state;
mod producer;
mod crashes;
mod deadlines;
mod members;
mod latency;
mod example;
