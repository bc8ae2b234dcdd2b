//! The cascade on the engine, with the engine's usual settings.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use stream::clock::{Clock, Millis, Tick};
use stream::kafka::Settings;
use stream::{Config, Due, Incoming, Metrics, Outbox, Probe, Processor, Topics};
use tracing_subscriber::filter::LevelFilter;

use super::cascade::{Cascade, Row};
use super::meter::{self, Sample};
use crate::process::stop_on_sigterm;

/// What a process of it is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// Address of the broker.
    pub brokers: String,
    /// Properties of librdkafka.
    pub properties: BTreeMap<String, String>,
    /// Group, and prefix of the transactional ids.
    pub group: String,
    /// Topic that is read.
    pub input: String,
    /// Topic of its rows.
    pub changelog: String,
    /// Topics that are written, as in [`super::OUTPUTS`].
    pub outputs: Vec<String>,
    /// Where its stores lie.
    pub state_dir: PathBuf,
    /// Rows kept in memory; as many as usual, if none is said.
    pub rows: Option<usize>,
    /// Its threads.
    pub shards: usize,
    /// As for [`Cascade::new`].
    pub arm_at: Option<Millis>,
}

/// The application.
#[derive(Debug)]
struct Operator {
    cascade: Cascade,
    fired: Arc<AtomicU64>,
}

impl Processor for Operator {
    type Row = Row;

    fn unpack(&self, bytes: &[u8]) -> Result<Row, String> {
        Row::unpack(bytes).map_err(|error| error.to_string())
    }

    fn pack(&self, row: &Row, bytes: &mut Vec<u8>) {
        row.pack(bytes);
    }

    fn due(&self, row: &Row) -> Option<Millis> {
        row.due()
    }

    fn record(&mut self, row: &mut Row, record: &Incoming<'_>, now: Millis, out: &mut Outbox) -> bool {
        let (key, partition) = (record.key, Some(record.partition));
        self.cascade.event(row, key, record.value.unwrap_or_default(), now, &mut |topic, value| {
            out.publish(topic, partition, key, value);
        });
        // So the work wants it: a row is written for every event.
        true
    }

    fn deadline(&mut self, row: &mut Row, due: &Due<'_>, now: Millis, out: &mut Outbox) -> bool {
        self.fired.fetch_add(1, Ordering::Relaxed);
        self.cascade.due(row, due.key, now, &mut |topic, value| {
            out.publish(topic, Some(due.partition), due.key, value);
        });
        true
    }
}

/// The process itself: works until it is asked to end.
///
/// # Errors
/// What somebody has to act upon.
pub fn run(order: &str) -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(LevelFilter::WARN).with_ansi(false).init();
    let begun = Tick::now();
    let order: Order = serde_json::from_str(order)?;
    let topics = Topics { input: order.input, changelog: order.changelog, reference: None, outputs: order.outputs };
    let usual = Config::new(&order.group, "one", topics, order.state_dir);
    let config = Config { cache_rows: order.rows.unwrap_or(usual.cache_rows), shards: order.shards, ..usual };
    let settings = Settings { properties: Arc::new(order.properties), ..Settings::new(&order.brokers, "one") };
    let metrics = Metrics::new(&prometheus::Registry::new(), &config.topics.input)?;
    let (probe, fired) = (Probe::default(), Arc::new(AtomicU64::new(0)));
    let (stop, arm_at) = (stop_on_sigterm()?, order.arm_at);

    let (seen, counted) = (probe.clone(), Arc::clone(&fired));
    meter::start(move |sample| {
        // The input has no gaps: whoever loads it uses no transactions.
        let done: i64 = seen.positions().iter().map(|(_, _, next)| *next).sum();
        sample.events = u64::try_from(done).unwrap_or(0);
        sample.fired = counted.load(Ordering::Relaxed);
        sample.settled = arm_at.is_some_and(|at| seen.settled_until().is_some_and(|until| until >= at));
        sample.ready = seen.is_ready();
    })?;
    stream::run(&settings, &config, &Clock::system(), &probe, &stop, &metrics, || Operator {
        cascade: Cascade::new(arm_at),
        fired: Arc::clone(&fired),
    })?;
    meter::say(&Sample { ended: true, ..meter::spent(begun) });
    Ok(())
}
