//! How the operator runs.

use std::path::PathBuf;
use std::time::Duration;

use schemas::{Suppressor, Topics};
use stream::Upstream;

use crate::traces::Following;

/// How the operator runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// This replica among its like, stable over restarts.
    pub instance: String,
    /// Threads.
    pub shards: usize,
    /// Where the checkpoints of the state lie.
    pub state_dir: PathBuf,
    /// Channels whose send topics exist.
    pub channels: Vec<String>,
    /// A transaction is committed at this age at the latest.
    pub commit_age: Duration,
    /// Customers kept in memory, for each shard.
    pub cache_rows: usize,
    /// Bytes that are left free on the disk of `state_dir`: with less, no partition is taken over.
    pub disk_reserve: u64,
    /// Whether partitions of other replicas are kept warm here.
    pub standby: bool,
    /// Whether deadlines wait until intake has read what was in its topics when they fell due.
    pub waits_for_sources: bool,
    /// Makes the keyed hashes of what outlives an erasure; without one, nothing does.
    pub suppressor: Option<Suppressor>,
    /// Which cascades are followed, and where to.
    pub following: Following,
}

impl Config {
    /// The usual numbers.
    pub fn new(instance: &str, state_dir: PathBuf, channels: &[String]) -> Self {
        Config {
            instance: instance.to_owned(),
            shards: 1,
            state_dir,
            channels: channels.to_vec(),
            commit_age: Duration::from_millis(100),
            cache_rows: 1_000_000,
            disk_reserve: 256 << 20,
            standby: false,
            waits_for_sources: true,
            suppressor: None,
            following: Following::default(),
        }
    }

    /// The engine's configuration. The outputs stand in the order of `operator::Output`.
    pub(crate) fn engine(&self, topics: &Topics) -> stream::Config {
        let mut outputs =
            vec![topics.journal(), topics.revoke(), topics.dead_letter(), topics.input(), topics.suppression()];
        outputs.extend(self.channels.iter().map(|channel| topics.send(channel)));
        let group = topics.group("operator");
        let upstream = self.waits_for_sources.then(|| Upstream {
            group: topics.group("intake"),
            topics: topics.sources().map(|(name, _)| name).to_vec(),
        });
        let topics = stream::Topics {
            input: topics.input(),
            changelog: topics.changelog(),
            reference: Some(topics.campaign()),
            outputs,
        };
        stream::Config {
            upstream,
            shards: self.shards,
            commit_age: self.commit_age,
            cache_rows: self.cache_rows,
            disk_reserve: self.disk_reserve,
            standby: self.standby,
            ..stream::Config::new(&group, &self.instance, topics, self.state_dir.clone())
        }
    }
}
