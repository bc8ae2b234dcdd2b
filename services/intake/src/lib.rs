//! Intake: the door. What the shop, the channel workers and the tracker wrote is checked, made uniform and put into the one
//! topic that the operator reads, in one order per customer.
//!
//! ```text
//! cart, registration, inactivity, action, profile, feedback ──> normalize ──> input
//!                                                                   └──────> dead-letter (untouched, with the reason)
//! ```
//!
//! *What it is.* [`normalize`], a pure function from the bytes of one record to a fact or a [`Reject`] with a stable code, and
//! [`run`], the loop around it: each record's results, and the position behind it, are committed in one Kafka transaction. It
//! also tells every partition of `input` how far each source has been read (`Fact::Progress`).
//!
//! A profile of somebody who was erased and did not want to be written to is taken in with that consent withdrawn: who that is stands, as
//! keyed hashes, in `suppression`, which it holds in memory.
//!
//! *What it is not.* No state of its own, no business time, no decisions; it does not look for duplicates (the operator does, where the
//! customer's row is) and asks no registry (which schema ids there are is handed in).
//!
//! *Limits.* A source record has at most [`schemas::SOURCE_BYTES_MAX`] bytes. The order of two records of one customer is kept
//! within a source partition, not between topics. The customer is whom the record names; the key counts only where the record
//! cannot be read. A refused record holds this customer's sends until he is released.

mod reject;
mod normal;
mod check;
mod refusals;
mod progress;
mod forward;
mod metrics;

pub use normal::{Kind, Normal, Source, normalize};
pub use refusals::SOURCE as SUPPRESSION;
pub use reject::{CODES, Reject};

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use prometheus::Registry;
use schemas::{Ids, Suppressor, Topics};
use stream::admin::{self, Refusal};
use stream::clock::Clock;
use stream::kafka::Settings;
use stream::relay::{self, Relay};
use stream::{Error, Probe};

use forward::Forward;
use metrics::Metrics;
use refusals::Refusals;

/// How intake runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// Names of the topics.
    pub topics: Topics,
    /// Static membership: the name of this replica, the same after its restart.
    pub identity: Option<String>,
    /// Under load a transaction is committed at this age.
    pub commit_age: Duration,
    /// Under load a transaction is committed after so many records.
    pub commit_records: usize,
    /// Progress is told at most this often.
    pub progress_interval: Duration,
    /// Finds those who were erased and did not want to be written to; none without a secret.
    pub suppressor: Option<Suppressor>,
    /// Whether cascades are followed: then the place in a trace that a record came with goes on with it.
    pub follows: bool,
}

impl Config {
    /// The defaults, which suit a topic of a few hundred to a few hundred thousand records a second.
    pub fn new(topics: Topics) -> Self {
        Config {
            topics,
            identity: None,
            commit_age: Duration::from_millis(50),
            commit_records: 10_000,
            progress_interval: Duration::from_secs(10),
            suppressor: None,
            follows: false,
        }
    }
}

/// Runs until `stop` is set. `ids` are the schema ids that records may have.
///
/// # Errors
/// `Topics` if one is missing, else what [`relay::run`] says, and what keeps it from reading `suppression`; each says what to do.
pub fn run(
    settings: &Settings,
    config: &Config,
    ids: Ids,
    clock: &Clock,
    probe: &Probe,
    stop: &AtomicBool,
    registry: &Registry,
) -> Result<(), Refusal> {
    let sources = config.topics.sources();
    let outputs = [config.topics.input(), config.topics.dead_letter()];
    let suppression = config.topics.suppression();
    let needed = sources.iter().map(|(topic, _)| topic).chain(&outputs).chain([&suppression]);
    let needed: Vec<_> = needed.map(|topic| (topic.as_str(), None)).collect();
    admin::require(settings, &needed)?;

    let metrics = Metrics::new(registry).map_err(|error| Error::stop("register metrics", error.to_string()))?;
    let kind = |(topic, record): (String, &str)| Some((topic, Kind::of(record)?));
    let kinds: Vec<(String, Kind)> = sources.into_iter().filter_map(kind).collect();
    // One name for one installation: a second one on the same brokers has another prefix.
    let group = config.topics.group("intake");
    let plan = Relay {
        identity: config.identity.clone(),
        transactional_id: format!("{group}.{}", settings.instance),
        group,
        topics: kinds.iter().map(|(topic, _)| topic.clone()).collect(),
        outputs: outputs.into(),
        commit_age: config.commit_age,
        commit_records: config.commit_records,
    };
    let refusals = Refusals::open(settings, &suppression, config.suppressor.clone(), stop)?;
    let mut handler = Forward::new(kinds, ids, refusals, metrics, config.progress_interval).followed(config.follows);
    relay::run(settings, &plan, clock, probe, stop, &mut handler)?;
    Ok(())
}
