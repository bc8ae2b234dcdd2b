//! The HTTP edge: what comes back from mail programs, customers and providers becomes feedback, and what a shop without Kafka posts, facts.
//!
//! | request | does | answers |
//! |---|---|---|
//! | `GET /o/{token}.gif` | opened | a pixel, at once |
//! | `GET /c/{token}` | clicked | 302 to the address in the token, at once |
//! | `GET /u/{token}` | nothing | a page that asks |
//! | `POST /u/{token}` | unsubscribed (RFC 8058, one click) | 200 once Kafka has it |
//! | `POST /receipts/{provider}` | what the receipts say | 204 once Kafka has all of them |
//! | `POST /hooks/{channel}` | what a provider posts on its own protocol: receipts, answers | 200 once Kafka has all of it |
//! | `POST /hooks/{channel}/{secret}` | the same, of a gateway that signs nothing | the same |
//! | `GET /hooks/{channel}` | nothing | what Meta asks for before it posts, if it knows the token |
//! | `POST /events/{producer}` | carts, registrations, actions, profiles of a shop without Kafka | 204 once Kafka has all of them |
//! | `GET /health`, `GET /ready` | nothing | 200 or 503 |
//!
//! *What holds.* Tokens are signed, so there is no redirect to an address that we did not write, and no fact about a send that
//! we did not make. A token that is not believed changes nothing. What was answered 2xx is in Kafka, save opens and clicks,
//! which are spooled in memory (at most [`spool::LIMIT`]) and lost with the process: a customer must not wait for a broker. A
//! repeat of a fact carries the same event id; an open or click that was told in the last ten minutes is not told again. What waits for Kafka is bounded, and so is what one partition may have of that: beyond
//! it, receipts and events are answered 503. Every 503 but those of the probes says `retry-after`. No address and no token is ever logged.
//!
//! *What it is not.* It keeps nothing and decides nothing; who may be written to is the operator's business. Of the sends it remembers,
//! for channels with a hook, what stands in `attempt.<channel>`, and reads that anew after a restart.
//!
//! *Limits.* Bodies of at most 1 MiB, 64 MiB of them at once, requests of at most fifteen seconds, heads of at most ten and 16 KiB, 4 096 connections at once. A receipt
//! names its send, by the token that the provider was given or by id: receipts with a provider's id alone are refused; a hook finds
//! them. After a start a hook answers 503 until the latest sends are read. What strangers try stands in [`attacks`].

#[doc = include_str!("attacks.md")]
pub mod attacks {}

pub mod config;
mod door;
mod server;
mod sink;
mod repeats;
pub mod spool;
mod actor;
mod fact;
mod links;
mod unsubscribe;
mod batch;
pub mod receipts;
mod hooks;
mod ears;
pub mod events;
mod room;
pub mod signature;
mod metrics;

pub use config::Config;
pub use metrics::Metrics;
pub use server::{Edge, run, written};
pub use sink::{Refused, Sink};
