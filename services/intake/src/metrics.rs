//! Names, labels and help of everything that intake counts.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use stream::Verdict;

use crate::refusals::Refusals;

/// What takes longer than some seconds waited for this service.
const EVENT_TO_INPUT_SECONDS: [f64; 13] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0, 3600.0];
/// Commits take milliseconds; what takes seconds is an outage.
const COMMIT_SECONDS: [f64; 11] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0];

#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    consumed: IntCounterVec,
    refused: IntCounterVec,
    commit: Histogram,
    event_to_input: Histogram,
    aborts: IntCounterVec,
    withdrawn: IntCounter,
    remembered: IntGauge,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Metrics {
            consumed: IntCounterVec::new(
                Opts::new("cascade_events_consumed_total", "Records read; after a failure some are read again."),
                &["topic"],
            )?,
            refused: IntCounterVec::new(
                Opts::new(
                    "cascade_dead_letters_total",
                    "Records refused and put into dead-letter, by documented code.",
                ),
                &["code"],
            )?,
            commit: Histogram::with_opts(
                HistogramOpts::new("cascade_transaction_commit_seconds", "Time that committing a transaction took.")
                    .buckets(COMMIT_SECONDS.into()),
            )?,
            event_to_input: Histogram::with_opts(
                HistogramOpts::new(
                    "cascade_event_to_input_seconds",
                    "From the moment the oldest record of a transaction came into its topic until it stands in the input.",
                )
                .buckets(EVENT_TO_INPUT_SECONDS.into()),
            )?,
            aborts: IntCounterVec::new(
                Opts::new(
                    "cascade_transaction_aborts_total",
                    "Times that everything uncommitted was dropped, by cause.",
                ),
                &["cause"],
            )?,
            withdrawn: IntCounter::new(
                "cascade_consents_suppressed_total",
                "Consents of profiles withdrawn because their customer was erased and had not wanted to be written to.",
            )?,
            remembered: IntGauge::new(
                "cascade_suppressions",
                "Keyed hashes of customers and addresses that were erased and are not to be written to.",
            )?,
        };
        registry.register(Box::new(metrics.consumed.clone()))?;
        registry.register(Box::new(metrics.refused.clone()))?;
        registry.register(Box::new(metrics.commit.clone()))?;
        registry.register(Box::new(metrics.event_to_input.clone()))?;
        registry.register(Box::new(metrics.aborts.clone()))?;
        registry.register(Box::new(metrics.withdrawn.clone()))?;
        registry.register(Box::new(metrics.remembered.clone()))?;
        // Shown from the start, so that the first one is seen as a rise. Codes are not: there the alert takes a new series for one.
        for cause in [Verdict::Retry, Verdict::Abort, Verdict::Fenced, Verdict::Stop] {
            metrics.aborts.with_label_values(&[name_of(cause)]);
        }
        Ok(metrics)
    }

    pub(crate) fn consumed(&self, topic: &str) {
        self.consumed.with_label_values(&[topic]).inc();
    }

    pub(crate) fn refused(&self, code: &str) {
        self.refused.with_label_values(&[code]).inc();
    }

    pub(crate) fn withdrawn(&self, consents: u64) {
        self.withdrawn.inc_by(consents);
    }

    pub(crate) fn remembered(&self, refusals: Option<&Refusals>) {
        self.remembered.set(refusals.map_or(0, |refusals| i64::try_from(refusals.len()).unwrap_or(i64::MAX)));
    }

    pub(crate) fn committed(&self, took: Duration, waited: Option<Duration>) {
        self.commit.observe(took.as_secs_f64());
        waited.into_iter().for_each(|waited| self.event_to_input.observe(waited.as_secs_f64()));
    }

    pub(crate) fn dropped(&self, cause: Verdict) {
        self.aborts.with_label_values(&[name_of(cause)]).inc();
    }
}

fn name_of(cause: Verdict) -> &'static str {
    match cause {
        Verdict::Retry => "timeout",
        Verdict::Abort => "unknown_outcome",
        Verdict::Fenced => "fenced",
        Verdict::Stop => "stopped",
    }
}
