//! What the engine counts. Names and help texts stand here and nowhere else; those of RocksDB in `stores.rs`, those of Kafka's client in
//! `kafka/statistics.rs`.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use crate::stores::Stores;

/// The engine's metrics.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(crate) consumed: IntCounter,
    pub(crate) event_to_decision_seconds: Histogram,
    pub(crate) commit_seconds: Histogram,
    pub(crate) aborts: IntCounterVec,
    pub(crate) fired: IntCounter,
    pub(crate) swept: IntCounter,
    pub(crate) lateness_seconds: Histogram,
    pub(crate) watermark_lag_seconds: IntGaugeVec,
    pub(crate) restored: IntCounter,
    pub(crate) restore_seconds: Histogram,
    pub(crate) restore_remaining: IntGaugeVec,
    pub(crate) restore_eta_seconds: IntGaugeVec,
    pub(crate) standby_lag: IntGaugeVec,
    pub(crate) input_partitions: IntGauge,
    pub(crate) owned: IntGauge,
    pub(crate) lag: IntGaugeVec,
    pub(crate) stuck_seconds: IntGaugeVec,
    pub(crate) sources_behind: IntGauge,
    /// What the data bases say of themselves.
    pub(crate) stores: Stores,
}

impl Metrics {
    /// Registers them.
    ///
    /// # Errors
    /// If one of the names is taken.
    pub fn new(registry: &Registry, input: &str) -> prometheus::Result<Self> {
        let consumed = counters("cascade_events_consumed_total", "Records consumed, by topic.", "topic")?;
        let metrics = Metrics {
            consumed: consumed.with_label_values(&[input]),
            event_to_decision_seconds: event_to_decision_seconds()?,
            commit_seconds: seconds(
                "cascade_transaction_commit_seconds",
                "Time of a commit, from the first changelog row to the broker's answer.",
                &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0],
            )?,
            aborts: counters(
                "cascade_transaction_aborts_total",
                "Transactions that were given up and recovered from, by cause.",
                "cause",
            )?,
            fired: IntCounter::new("cascade_deadlines_fired_total", "Deadlines that fired.")?,
            swept: IntCounter::new("cascade_rows_swept_total", "Rows that sweeps have visited.")?,
            lateness_seconds: seconds(
                "cascade_deadline_lateness_seconds",
                "Greatest lateness of a batch of deadlines, in business time.",
                &[0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 3600.0, 21600.0, 86400.0],
            )?,
            watermark_lag_seconds: gauges(
                "cascade_watermark_lag_seconds",
                "Business time minus the moment up to which deadlines have fired.",
            )?,
            restored: IntCounter::new("cascade_restore_records_total", "Changelog records replayed.")?,
            restore_seconds: seconds(
                "cascade_restore_seconds",
                "Time from an assignment to a partition that goes on.",
                &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0],
            )?,
            restore_remaining: gauges(
                "cascade_restore_remaining_records",
                "Changelog offsets that a partition which is ours still has to replay.",
            )?,
            restore_eta_seconds: gauges(
                "cascade_restore_eta_seconds",
                "Seconds until it will have done so, at the rate so far; nothing while its changelog is not being read.",
            )?,
            standby_lag: gauges(
                "cascade_standby_lag_records",
                "Changelog offsets that a partition which is kept warm here is behind.",
            )?,
            input_partitions: IntGauge::new(
                "cascade_input_partitions",
                "Partitions that the input has: all of them should be some process's.",
            )?,
            owned: IntGauge::new(
                "cascade_partitions_owned",
                "Partitions that are this process's: processed, restored, or waiting for either.",
            )?,
            lag: gauges(
                "cascade_input_lag_records",
                "Offsets of the input that are not consumed yet, measured every few seconds.",
            )?,
            stuck_seconds: gauges(
                "cascade_input_stuck_seconds",
                "Time for which nothing of a partition was consumed though something waits; 0 if nothing does.",
            )?,
            sources_behind: IntGauge::new(
                "cascade_sources_behind",
                "1 while deadlines that are due wait for records that are still in the source topics.",
            )?,
            stores: Stores::default(),
        };
        registry.register(Box::new(consumed))?;
        metrics.register(registry)?;
        Ok(metrics)
    }

    fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        let histograms =
            [&self.event_to_decision_seconds, &self.commit_seconds, &self.lateness_seconds, &self.restore_seconds];
        for histogram in histograms {
            registry.register(Box::new(histogram.clone()))?;
        }
        for gauges in [
            &self.watermark_lag_seconds,
            &self.restore_remaining,
            &self.restore_eta_seconds,
            &self.standby_lag,
            &self.lag,
            &self.stuck_seconds,
        ] {
            registry.register(Box::new(gauges.clone()))?;
        }
        for gauge in [&self.input_partitions, &self.owned, &self.sources_behind] {
            registry.register(Box::new(gauge.clone()))?;
        }
        for counter in [&self.fired, &self.swept, &self.restored] {
            registry.register(Box::new(counter.clone()))?;
        }
        registry.register(Box::new(self.aborts.clone()))?;
        self.stores.show(registry)
    }
}

fn event_to_decision_seconds() -> prometheus::Result<Histogram> {
    seconds(
        "cascade_event_to_decision_seconds",
        "From the moment the oldest record of a transaction came into the input until what was decided is committed.",
        &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0, 3600.0],
    )
}

fn seconds(name: &str, help: &str, buckets: &[f64]) -> prometheus::Result<Histogram> {
    Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))
}

/// By partition.
fn gauges(name: &str, help: &str) -> prometheus::Result<IntGaugeVec> {
    IntGaugeVec::new(Opts::new(name, help), &["partition"])
}

fn counters(name: &str, help: &str, label: &str) -> prometheus::Result<IntCounterVec> {
    IntCounterVec::new(Opts::new(name, help), &[label])
}
