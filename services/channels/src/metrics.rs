//! What a worker counts. Names, labels and help texts stand here and nowhere else. No label holds an id or an address.

use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry};
use stream::labels::Values;

/// The metrics of all channels of a process.
#[derive(Clone, Debug)]
pub struct Metrics {
    hand_overs: IntCounterVec,
    decision_to_send_seconds: HistogramVec,
    residual_window_seconds: HistogramVec,
    hand_over_seconds: HistogramVec,
    rate_limit_wait_seconds: HistogramVec,
    paused: IntGaugeVec,
    reasons: Reasons,
    recoveries: IntCounterVec,
    pub(crate) words: Words,
    blocks: IntCounterVec,
    other_texts: IntCounterVec,
    spent: IntCounterVec,
    fenced: IntGaugeVec,
    /// Blocks are named in templates.
    block_names: Values,
    /// Templates are named in campaigns.
    template_names: Values,
}

/// What providers do not take, and why.
#[derive(Clone, Debug)]
struct Reasons {
    counters: IntCounterVec,
    paused: IntGaugeVec,
    known: Values,
}

impl Reasons {
    fn new(registry: &Registry) -> prometheus::Result<Self> {
        let options = Opts::new(
            "cascade_calls_not_taken_total",
            "Messages that a provider did not take for now, by its reason; the route is empty where there is one.",
        );
        let counters = IntCounterVec::new(options, &["channel", "route", "reason"])?;
        let options = Opts::new(
            "cascade_route_paused",
            "1 while a route of several is left alone because it takes nothing; others carry its messages.",
        );
        let paused = IntGaugeVec::new(options, &["channel", "route"])?;
        registry.register(Box::new(counters.clone()))?;
        registry.register(Box::new(paused.clone()))?;
        Ok(Reasons { counters, paused, known: Values::default() })
    }
}

/// What providers say of their own accord, by what it came to.
#[derive(Clone, Debug)]
pub struct Words {
    counters: IntCounterVec,
    channels: Values,
    outcomes: Values,
}

impl Words {
    /// Registers the counter.
    ///
    /// # Errors
    /// If its name is taken.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let options = Opts::new(
            "cascade_provider_words_total",
            "What providers said of their own accord, by what it came to: a status, unknown_send, unknown_sender, \
                 no_information, unreadable, again for what they have to repeat; or that they are not heard: conflict where another \
                 one hears, not_heard.",
        );
        let words = IntCounterVec::new(options, &["channel", "outcome"])?;
        registry.register(Box::new(words.clone()))?;
        Ok(Words { counters: words, channels: Values::default(), outcomes: Values::default() })
    }

    pub(crate) fn count(&self, channel: &str, outcome: &str) {
        self.counters.with_label_values(&[self.channels.of(channel), self.outcomes.of(outcome)]).inc();
    }
}

/// The metrics of one channel.
#[derive(Clone, Debug)]
pub struct ChannelMetrics {
    channel: String,
    all: Metrics,
    pub(crate) decision_to_send_seconds: Histogram,
    pub(crate) residual_window_seconds: Histogram,
    pub(crate) hand_over_seconds: Histogram,
    pub(crate) rate_limit_wait_seconds: Histogram,
}

impl Metrics {
    /// Registers them.
    ///
    /// # Errors
    /// If one of the names is taken.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let seconds = |name, help, buckets: &[f64]| {
            HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), &["channel"])
        };
        let counter = |name, help, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        let gauge = |name, help, labels: &[&str]| IntGaugeVec::new(Opts::new(name, help), labels);
        let metrics = Metrics {
            hand_overs: counter(
                "cascade_hand_overs_total",
                "Commands by what became of them: a status, or retry, rerouted or duplicate.",
                &["channel", "outcome"],
            )?,
            decision_to_send_seconds: seconds(
                "cascade_decision_to_send_seconds",
                "From the moment a command came into its topic until a provider has taken the message.",
                &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0, 3600.0, 21600.0],
            )?,
            residual_window_seconds: seconds(
                "cascade_residual_window_seconds",
                "Time between the last look at the withdrawals and the provider's call: what comes in it is too late.",
                &[0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0],
            )?,
            hand_over_seconds: seconds(
                "cascade_hand_over_seconds",
                "Time of a provider's call.",
                &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0],
            )?,
            rate_limit_wait_seconds: seconds(
                "cascade_rate_limit_wait_seconds",
                "Time that a command waited for the rate limit.",
                &[0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0],
            )?,
            paused: gauge(
                "cascade_provider_paused",
                "1 while the provider is left alone because it takes nothing.",
                &["channel"],
            )?,
            reasons: Reasons::new(registry)?,
            recoveries: counter(
                "cascade_channel_recoveries_total",
                "Times that everything uncommitted was dropped and read again.",
                &["channel"],
            )?,
            words: Words::new(registry)?,
            blocks: counter(
                "cascade_blocks_total",
                "Blocks that messages asked for: had, fallback, or missing where the message waits.",
                &["channel", "block", "outcome"],
            )?,
            other_texts: counter(
                "cascade_other_texts_total",
                "Messages that wait since their campaign names a version of the template that the worker has not got.",
                &["channel", "template"],
            )?,
            spent: counter(
                "cascade_spent_minor_total",
                "Prices of calls that were begun, in minor units; of those that were refused, too.",
                &["channel"],
            )?,
            fenced: gauge(
                "cascade_spend_fenced_partitions",
                "Partitions that have come to the limit of spend_per_hour in this hour: commands with a price wait there.",
                &["channel"],
            )?,
            block_names: Values::default(),
            template_names: Values::default(),
        };
        metrics.register(registry)?;
        Ok(metrics)
    }

    fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        for counters in [&self.hand_overs, &self.recoveries, &self.blocks, &self.spent, &self.other_texts] {
            registry.register(Box::new(counters.clone()))?;
        }
        for histograms in [
            &self.decision_to_send_seconds,
            &self.residual_window_seconds,
            &self.hand_over_seconds,
            &self.rate_limit_wait_seconds,
        ] {
            registry.register(Box::new(histograms.clone()))?;
        }
        for gauges in [&self.paused, &self.fenced] {
            registry.register(Box::new(gauges.clone()))?;
        }
        Ok(())
    }

    /// Those of one channel.
    pub(crate) fn of(&self, channel: &str) -> ChannelMetrics {
        ChannelMetrics {
            decision_to_send_seconds: self.decision_to_send_seconds.with_label_values(&[channel]),
            residual_window_seconds: self.residual_window_seconds.with_label_values(&[channel]),
            hand_over_seconds: self.hand_over_seconds.with_label_values(&[channel]),
            rate_limit_wait_seconds: self.rate_limit_wait_seconds.with_label_values(&[channel]),
            channel: channel.to_owned(),
            all: self.clone(),
        }
    }
}

impl ChannelMetrics {
    pub(crate) fn hand_over(&self, outcome: &str) {
        self.all.hand_overs.with_label_values(&[self.channel.as_str(), outcome]).inc();
    }

    pub(crate) fn paused(&self, paused: bool) {
        self.all.paused.with_label_values(&[self.channel.as_str()]).set(i64::from(paused));
    }

    pub(crate) fn route_paused(&self, route: &str, paused: bool) {
        self.all.reasons.paused.with_label_values(&[self.channel.as_str(), route]).set(i64::from(paused));
    }

    /// A message was not taken for now. What a transport of several routes says begins with the route's name and a colon.
    pub(crate) fn not_taken(&self, code: &str) {
        let (route, reason) = code.split_once(':').unwrap_or(("", code));
        let reason = self.all.reasons.known.of(reason);
        self.all.reasons.counters.with_label_values(&[self.channel.as_str(), route, reason]).inc();
    }

    pub(crate) fn words(&self) -> &Words {
        &self.all.words
    }

    pub(crate) fn block(&self, block: &str, outcome: &str) {
        let block = self.all.block_names.of(block);
        self.all.blocks.with_label_values(&[self.channel.as_str(), block, outcome]).inc();
    }

    pub(crate) fn other_text(&self, template: &str) {
        let template = self.all.template_names.of(template);
        self.all.other_texts.with_label_values(&[self.channel.as_str(), template]).inc();
    }

    pub(crate) fn spent(&self, minor: i64) {
        self.all.spent.with_label_values(&[self.channel.as_str()]).inc_by(u64::try_from(minor).unwrap_or(0));
    }

    pub(crate) fn fenced(&self, partitions: usize) {
        self.all.fenced.with_label_values(&[self.channel.as_str()]).set(i64::try_from(partitions).unwrap_or(i64::MAX));
    }

    pub(crate) fn recovery(&self) {
        self.all.recoveries.with_label_values(&[self.channel.as_str()]).inc();
    }
}
