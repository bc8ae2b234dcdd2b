//! The cascade operator: joins the brain (`campaign::decide`) to the engine (`stream`).
//!
//! ```text
//! input ──> Operator (row, fact or deadline) ──> decide ──> row
//!                                                  ├──> send.<channel>, at commit
//!                                                  ├──> revoke
//!                                                  ├──> input: what one row says to another
//!                                                  ├──> suppression: what was refused, at an erasure
//!                                                  └──> journal ──> spans, of cascades that are followed
//! ```
//!
//! *What it is.* The codec of rows, the way of effects to their topics, and the counters. A send that is revoked in the
//! transaction that decided it never leaves: both are dropped.
//!
//! *What it is not.* It decides nothing, and knows neither time nor Kafka: the first is the brain's, the others the engine's.
//!
//! *Limits.* Sends, revocations and the changelog go to the partition of the input; the journal goes by customer id. What is forwarded
//! goes by the other row's key, and so does the revocation of a send that was published under a former id.

mod config;
mod metrics;
mod traces;
mod operator;

pub use config::Config;
pub use metrics::Metrics;
pub use operator::Operator;
pub use traces::Following;

use std::sync::atomic::AtomicBool;

use prometheus::Registry;
use schemas::Topics;
use stream::clock::Clock;
use stream::kafka::Settings;
use stream::{Error, Probe};

/// Runs the operator until `stop` is set.
///
/// # Errors
/// What somebody has to act upon: settings, permissions, a damaged disk.
pub fn run(
    settings: &Settings,
    topics: &Topics,
    config: &Config,
    clock: &Clock,
    probe: &Probe,
    stop: &AtomicBool,
    registry: &Registry,
) -> Result<(), Error> {
    let counters = |error: prometheus::Error| Error::stop("register metrics", error.to_string());
    let engine_metrics = stream::Metrics::new(registry, &topics.input()).map_err(counters)?;
    let metrics = metrics::Metrics::new(registry, &config.channels).map_err(counters)?;
    let input = topics.input();
    let engine = config.engine(topics);
    if config.suppressor.is_none() {
        tracing::warn!(
            "suppression.secret is not set: of those who are erased nobody will know that they did not want to be written to"
        );
    }
    stream::run(settings, &engine, clock, probe, stop, &engine_metrics, || {
        let operator = Operator::new(&input, &config.channels, config.suppressor.clone(), metrics.clone());
        operator.followed(config.following.clone())
    })
}
