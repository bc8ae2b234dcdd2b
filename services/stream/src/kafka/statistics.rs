//! What Kafka's client counts of itself, as metrics.
//!
//! Only of clients whose events somebody hears again and again: what nobody hears, they keep for ever. Those of one kind in a process are
//! one series.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use prometheus::{GaugeVec, IntCounterVec, IntGaugeVec, Opts, Registry};
use serde::Deserialize;

/// How often a client tells, in milliseconds.
pub(crate) const INTERVAL_MS: &str = "10000";

/// The clients of a process, and what they said last. Cheap to clone; shows nothing until it is told where.
#[derive(Clone, Debug, Default)]
pub struct Statistics(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    gauges: OnceLock<Gauges>,
    clients: Mutex<Clients>,
}

#[derive(Debug, Default)]
struct Clients {
    made: u64,
    alive: BTreeMap<u64, (&'static str, Page)>,
}

#[derive(Debug)]
struct Gauges {
    queue_messages: IntGaugeVec,
    queue_bytes: IntGaugeVec,
    round_trip: GaugeVec,
    timed_out: IntCounterVec,
    disconnects: IntCounterVec,
}

/// What librdkafka tells (its STATISTICS.md), as far as it is shown.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Page {
    msg_cnt: i64,
    msg_size: i64,
    brokers: BTreeMap<String, Broker>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Broker {
    req_timeouts: u64,
    disconnects: u64,
    rtt: Times,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Times {
    p99: i64,
}

impl Statistics {
    /// Shows them there, those of clients that are made from now on.
    ///
    /// # Errors
    /// If a name is taken.
    pub fn show(&self, registry: &Registry) -> prometheus::Result<()> {
        let gauges = |name, help| IntGaugeVec::new(Opts::new(name, help), &["client"]);
        let counters = |name, help| IntCounterVec::new(Opts::new(name, help), &["client"]);
        let shown = Gauges {
            queue_messages: gauges(
                "cascade_kafka_queue_messages",
                "Records that Kafka's clients hold until brokers have confirmed them.",
            )?,
            queue_bytes: gauges("cascade_kafka_queue_bytes", "Their size.")?,
            round_trip: GaugeVec::new(
                Opts::new(
                    "cascade_kafka_round_trip_p99_seconds",
                    "99th percentile of a request's time, of the slowest broker within ten seconds; a reader's has the wait for records in it.",
                ),
                &["client"],
            )?,
            timed_out: counters(
                "cascade_kafka_requests_timed_out_total",
                "Requests to which no broker answered in time.",
            )?,
            disconnects: counters("cascade_kafka_disconnects_total", "Connections to brokers that were lost.")?,
        };
        for gauges in [&shown.queue_messages, &shown.queue_bytes] {
            registry.register(Box::new(gauges.clone()))?;
        }
        for counters in [&shown.timed_out, &shown.disconnects] {
            registry.register(Box::new(counters.clone()))?;
        }
        registry.register(Box::new(shown.round_trip.clone()))?;
        // Who shows them twice is refused above.
        let _ = self.0.gauges.set(shown);
        Ok(())
    }

    /// A new client of this kind; none where nothing is shown.
    pub(crate) fn watch(&self, kind: &'static str) -> Option<Watch> {
        self.0.gauges.get()?;
        let mut clients = self.0.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.made += 1;
        let id = clients.made;
        clients.alive.insert(id, (kind, Page::default()));
        Some(Watch { all: self.clone(), id, kind })
    }

    fn show_all_of(&self, kind: &'static str, clients: &Clients) {
        let Some(gauges) = self.0.gauges.get() else { return };
        let pages = || clients.alive.values().filter(|(of, _)| *of == kind).map(|(_, page)| page);
        gauges.queue_messages.with_label_values(&[kind]).set(pages().map(|page| page.msg_cnt).sum());
        gauges.queue_bytes.with_label_values(&[kind]).set(pages().map(|page| page.msg_size).sum());
        let slowest = pages().flat_map(|page| page.brokers.values()).map(|broker| broker.rtt.p99).max();
        let slowest = u64::try_from(slowest.unwrap_or(0)).unwrap_or(0);
        let seconds = std::time::Duration::from_micros(slowest).as_secs_f64();
        gauges.round_trip.with_label_values(&[kind]).set(seconds);
    }
}

/// One client, as long as it lives.
#[derive(Debug)]
pub(crate) struct Watch {
    all: Statistics,
    id: u64,
    kind: &'static str,
}

impl Watch {
    /// Takes what the client tells.
    pub(crate) fn take(&self, told: &[u8]) {
        let page = match serde_json::from_slice::<Page>(told) {
            Ok(page) => page,
            Err(error) => return tracing::debug!("the client's statistics cannot be read: {error}"),
        };
        let mut clients = self.all.0.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((_, known)) = clients.alive.get_mut(&self.id) else { return };
        let before = std::mem::replace(known, page.clone());
        if let Some(gauges) = self.all.0.gauges.get() {
            // Brokers come and go, and what the client counted of them with them.
            let since = |count: fn(&Broker) -> u64| -> u64 {
                let known = |name: &String| before.brokers.get(name).map_or(0, count);
                page.brokers.iter().map(|(name, broker)| count(broker).saturating_sub(known(name))).sum()
            };
            gauges.timed_out.with_label_values(&[self.kind]).inc_by(since(|broker| broker.req_timeouts));
            gauges.disconnects.with_label_values(&[self.kind]).inc_by(since(|broker| broker.disconnects));
        }
        self.all.show_all_of(self.kind, &clients);
    }

    /// Nothing of it counts any more.
    pub(crate) fn end(&self) {
        let mut clients = self.all.0.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.alive.remove(&self.id);
        self.all.show_all_of(self.kind, &clients);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests;
