//! What the operator counts. Names and help texts stand here and nowhere else.

use std::collections::BTreeMap;

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use schemas::{Fact, Journal, Reason};
use stream::labels::Values;

/// The operator's metrics.
#[derive(Clone, Debug)]
pub struct Metrics {
    decisions: IntCounterVec,
    sends: BTreeMap<String, IntCounter>,
    revokes: IntCounterVec,
    refused: IntCounterVec,
    held: IntCounter,
    forwarded: IntCounterVec,
    reserved: IntCounterVec,
    voided: IntCounterVec,
    charged: IntCounterVec,
    /// By reason, so that counting needs no look-up by label.
    by_reason: BTreeMap<Reason, IntCounter>,
    /// Channels as campaigns and rows name them: also those that were configured once.
    channels: Values,
}

impl Metrics {
    /// Registers them.
    ///
    /// # Errors
    /// If one of the names is taken.
    pub fn new(registry: &Registry, channels: &[String]) -> prometheus::Result<Self> {
        let decisions =
            IntCounterVec::new(Opts::new("cascade_decisions_total", "Journal records, by reason."), &["reason"])?;
        let sends =
            IntCounterVec::new(Opts::new("cascade_sends_total", "Send commands decided, by channel."), &["channel"])?;
        let revokes = IntCounterVec::new(
            Opts::new("cascade_revokes_total", "Withdrawals of published send commands, by channel."),
            &["channel"],
        )?;
        let refused = IntCounterVec::new(
            Opts::new("cascade_dead_letters_total", "Records that could not be read, by code."),
            &["code"],
        )?;
        let held = IntCounter::new("cascade_held_customers_total", "Times that a customer's sends were held.")?;
        let forwarded = IntCounterVec::new(
            Opts::new("cascade_forwarded_total", "What one row said to another, by what it is."),
            &["fact"],
        )?;
        let money = |name, help| IntCounterVec::new(Opts::new(name, help), &["channel"]);
        let reserved =
            money("cascade_money_reserved_minor_total", "Money set aside for sends, in minor units, by channel.")?;
        let voided = money("cascade_money_voided_minor_total", "Of it, what will not be owed after all, by channel.")?;
        let charged = money("cascade_money_charged_minor_total", "Of it, what is owed to the provider, by channel.")?;
        for counters in [&reserved, &voided, &charged] {
            registry.register(Box::new(counters.clone()))?;
            // Shown from the start, so that the first message is seen as a rise.
            channels.iter().for_each(|channel| drop(counters.with_label_values(&[channel])));
        }
        registry.register(Box::new(forwarded.clone()))?;
        registry.register(Box::new(decisions.clone()))?;
        registry.register(Box::new(sends.clone()))?;
        registry.register(Box::new(revokes.clone()))?;
        registry.register(Box::new(refused.clone()))?;
        registry.register(Box::new(held.clone()))?;
        let sends = channels.iter().map(|channel| (channel.clone(), sends.with_label_values(&[channel])));
        Ok(Metrics {
            sends: sends.collect(),
            decisions,
            revokes,
            refused,
            held,
            forwarded,
            reserved,
            voided,
            charged,
            by_reason: BTreeMap::new(),
            channels: Values::default(),
        })
    }

    pub(crate) fn decided(&mut self, journal: &Journal) {
        let reason = journal.reason;
        let decisions = &self.decisions;
        self.by_reason.entry(reason).or_insert_with(|| decisions.with_label_values(&[reason.as_str()])).inc();
        if reason == Reason::HoldPlaced {
            self.held.inc();
        }
        let moved = [
            (&self.reserved, journal.amount_minor),
            (&self.voided, journal.amount_minor.saturating_neg()),
            (&self.charged, journal.charged_minor),
        ];
        for (counters, amount) in moved {
            if let Some(amount) = u64::try_from(amount).ok().filter(|amount| *amount > 0) {
                counters.with_label_values(&[self.channels.of(&journal.channel)]).inc_by(amount);
            }
        }
    }

    pub(crate) fn sent(&self, channel: &str) {
        if let Some(counter) = self.sends.get(channel) {
            counter.inc();
        }
    }

    pub(crate) fn revoked(&self, channel: &str) {
        self.revokes.with_label_values(&[self.channels.of(channel)]).inc();
    }

    pub(crate) fn forwarded(&self, fact: &Fact) {
        let what = match fact {
            Fact::Merged(_) => "merged",
            Fact::Adopted(_) => "adopted",
            Fact::Demand(_) => "demand",
            Fact::Grant(_) => "grant",
            Fact::Refusal(_) => "refusal",
            Fact::Refund(_) => "refund",
            Fact::Holder(_) => "holder",
            Fact::Hearsay(_) => "hearsay",
            _ => "passed on",
        };
        self.forwarded.with_label_values(&[what]).inc();
    }

    pub(crate) fn refused(&self, code: &str) {
        self.refused.with_label_values(&[code]).inc();
    }
}
