//! What a channel worker promises, on a real Kafka and with a provider that counts: killed at each point of a call, replaced while
//! it stands still, and with a provider that is away.
//!
//! ```text
//! cargo test --workspace --test worker                        1 000 sends under each policy, a kill at each point; an
//!                                                                 outage of ten minutes in six seconds, 6 000 sends
//! CASCADE_WORKER=long cargo test --workspace --test worker    1 000 sends and ten kills for each point under each policy;
//!                                                                 the outage in a minute, 60 000 sends
//! ```

mod points;
mod texts;
mod zombie;
mod outage;

/// Whether there is time.
fn is_long() -> bool {
    std::env::var("CASCADE_WORKER").as_deref() == Ok("long")
}
