//! What the canary counts. Names and help texts stand here and nowhere else.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounterVec, IntGauge, Opts, Registry};

/// A round is two hops of intake, two of the operator and one of a worker: some tenths of a second when all is well.
const ROUND_SECONDS: [f64; 12] = [0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0, 300.0];

/// How a round ended.
const OUTCOMES: [&str; 2] = ["returned", "lost"];

/// The canary's metrics.
#[derive(Clone, Debug)]
pub struct Metrics {
    rounds: IntCounterVec,
    trip: Histogram,
    missing: IntGauge,
}

impl Metrics {
    /// Registers them.
    ///
    /// # Errors
    /// If one of the names is taken.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Metrics {
            rounds: IntCounterVec::new(
                Opts::new("cascade_canary_rounds_total", "Rounds of synthetic customers that have ended, by outcome."),
                &["outcome"],
            )?,
            trip: Histogram::with_opts(
                HistogramOpts::new(
                    "cascade_canary_round_trip_seconds",
                    "From an action of a synthetic customer to the operator's word that its message was handed over.",
                )
                .buckets(ROUND_SECONDS.into()),
            )?,
            missing: IntGauge::new(
                "cascade_canary_missing_partitions",
                "Partitions of input whose synthetic customer did not come back from the last round that has ended.",
            )?,
        };
        registry.register(Box::new(metrics.rounds.clone()))?;
        registry.register(Box::new(metrics.trip.clone()))?;
        registry.register(Box::new(metrics.missing.clone()))?;
        // Shown from the start, so that the first one is seen as a rise.
        OUTCOMES.iter().for_each(|outcome| drop(metrics.rounds.with_label_values(&[outcome])));
        Ok(metrics)
    }

    pub(super) fn returned(&self, after: Duration) {
        self.rounds.with_label_values(&[OUTCOMES[0]]).inc();
        self.trip.observe(after.as_secs_f64());
    }

    pub(super) fn lost(&self) {
        self.rounds.with_label_values(&[OUTCOMES[1]]).inc();
    }

    pub(super) fn missing(&self, partitions: usize) {
        self.missing.set(i64::try_from(partitions).unwrap_or(i64::MAX));
    }
}
