//! The keyed engine: several shards, each with several partitions, in one process.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use crate::clock::{Clock, Millis};
use crate::kafka::Settings;
use crate::kafka::log::{KafkaChangelogs, KafkaLog, Topics};
use crate::metrics::Metrics;
use crate::probe::Probe;
use crate::processor::Processor;
use crate::replica::Rules;
use crate::restorer::{self, Answer, Line, Replicas, Restorer, Word};
use crate::shard::Shard;
use crate::store::Budget;
use crate::upstream::{Upstream, Watch};
use crate::{Error, admin};

/// How the engine runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// Consumer group; prefix of the transactional ids.
    pub group: String,
    /// This process among its like, stable over restarts: shard k is the static member `<instance>-<k>`.
    pub instance: String,
    /// Threads.
    pub shards: usize,
    /// What is read and written.
    pub topics: Topics,
    /// Who fills the input: deadlines wait until everything that was in its topics when they fell due is in the input. With none,
    /// they wait only for what is in the input.
    pub upstream: Option<Upstream>,
    /// One data base per partition goes here.
    pub state_dir: PathBuf,
    /// A transaction is committed at this age at the latest; at once when there is nothing more to do.
    pub commit_age: Duration,
    /// And at so many records or rows.
    pub commit_records: usize,
    /// Rows kept in memory, for each shard.
    pub cache_rows: usize,
    /// Of these, committed rows that may wait for the store, half of them at most; those beyond are written to it, the oldest first.
    pub unwritten_rows: usize,
    /// Rows that are written to it at once when it is made to survive a crash; a twentieth of those that wait, if that is more.
    pub save_rows: usize,
    /// Index entries fired in one round of a partition: events flow in between.
    pub fire_budget: usize,
    /// Index entries that are looked up at once, to fire when their time has come.
    pub fire_window: usize,
    /// So many entries fire before those behind are removed from the store, by range.
    pub retire_after: usize,
    /// Rows that a sweep visits in one transaction of a partition.
    pub sweep_budget: usize,
    /// Whether partitions that others own are followed here, too, so that a take-over replays next to nothing.
    pub standby: bool,
    /// Changelogs longer than this (records) are searched for their last META before they are replayed: fewer records wait for
    /// theirs in memory.
    pub restore_window: i64,
    /// Bytes that are written to a store at once while it is restored.
    pub batch_bytes: usize,
    /// A process one of whose threads stands still for so long ends itself: somebody else has its partitions by then.
    pub stillness_max: Duration,
    /// How often the stores are made to survive a crash.
    pub save_age: Duration,
    /// A local state older than this (machine time, ms) is rebuilt; in any case one that is older than six sevenths of the changelog's
    /// `delete.retention.ms`, since it would not hear of all that was deleted meanwhile.
    pub checkpoint_age_max: Millis,
    /// RocksDB's block cache of the process.
    pub cache_bytes: usize,
    /// RocksDB's buffers of the process.
    pub buffer_bytes: usize,
    /// Bytes that are left free on the disk of `state_dir`: with less, no partition is taken over.
    pub disk_reserve: u64,
    /// Goes into META.
    pub code_version: String,
}

impl Config {
    /// The usual numbers.
    pub fn new(group: &str, instance: &str, topics: Topics, state_dir: PathBuf) -> Self {
        Config {
            group: group.to_owned(),
            instance: instance.to_owned(),
            shards: 1,
            topics,
            upstream: None,
            state_dir,
            commit_age: Duration::from_millis(100),
            commit_records: 40_000,
            cache_rows: 1_000_000,
            unwritten_rows: 500_000,
            save_rows: 5_000,
            fire_budget: 5_000,
            fire_window: 4_000,
            retire_after: 50_000,
            sweep_budget: 1_000,
            standby: false,
            stillness_max: Duration::from_secs(300),
            restore_window: 100_000,
            batch_bytes: 8 << 20,
            save_age: Duration::from_secs(10),
            checkpoint_age_max: 6 * 24 * 3600 * 1000,
            cache_bytes: 128 << 20,
            buffer_bytes: 256 << 20,
            disk_reserve: 256 << 20,
            code_version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// What a shard shares with its process.
pub(crate) struct Surroundings<'a> {
    pub(crate) config: &'a Config,
    /// Name and id of the input.
    pub(crate) input: &'a str,
    pub(crate) owner: String,
    pub(crate) clock: Clock,
    pub(crate) probe: Probe,
    /// Counts its turns, for whoever watches over it.
    pub(crate) turns: &'a AtomicU64,
    pub(crate) stop: &'a AtomicBool,
    pub(crate) metrics: Metrics,
    pub(crate) restorer: Box<dyn Restorer + 'a>,
}

/// Runs all shards until `stop` is set. If one of them cannot go on, the others are stopped, too.
///
/// # Errors
/// What somebody has to act upon, of the first shard that met it.
pub fn run<P: Processor + Send>(
    settings: &Settings,
    config: &Config,
    clock: &Clock,
    probe: &Probe,
    stop: &AtomicBool,
    metrics: &Metrics,
    processor: impl Fn() -> P + Sync,
) -> Result<(), Error> {
    make_directory(&config.state_dir)?;
    let Identities { cluster, input, changelog } = Identities::ask(settings, &config.topics)?;
    let config = &Config { checkpoint_age_max: checkpoint_age_max(settings, config)?, ..config.clone() };
    metrics.input_partitions.set(settings.partitions(&config.topics.input)?.unwrap_or(0).into());
    let budget = Budget::new(config.cache_bytes, config.buffer_bytes, config.disk_reserve).shown_in(&metrics.stores);
    let watch = config.upstream.as_ref().map(|_| Watch::new(clock, metrics.sources_behind.clone()));
    let turns = Turns::new(config);
    let parts: Vec<Probe> = (0..config.shards).map(|part| probe.part(part)).collect();
    let shard = |line: Line| {
        let _others = StopOthers(stop);
        let identity = format!("{}-{}", config.instance, line.shard);
        let around = Surroundings {
            config,
            input: &input,
            owner: identity.clone(),
            clock: clock.clone(),
            probe: parts[line.shard].clone(),
            turns: &turns.shards[line.shard],
            stop,
            metrics: metrics.clone(),
            restorer: Box::new(line),
        };
        let result = KafkaLog::new(settings, &config.topics, &config.group, &identity, watch.as_ref())
            .and_then(|log| Shard::new(around, log, processor()).run());
        if result.is_err() {
            probe.set_failed();
        }
        result
    };
    let restorer = |number: usize, words: Receiver<Word>, answers: Vec<Sender<Answer>>| {
        let _others = StopOthers(stop);
        let rules =
            Rules { config, cluster: &cluster, changelog: &changelog, disks: &budget, metrics: metrics.clone() };
        let changelogs = KafkaChangelogs::new(settings, &config.topics.changelog)?;
        let is_here = |partition: &i32| restorer::thread_of(*partition, config.shards) == number;
        let all = if config.standby { changelogs.count()? } else { 0 };
        Replicas::new(rules, changelogs, processor(), (0..all).filter(is_here).collect()).run(
            &words,
            &answers,
            &turns.restorers[number],
            stop,
        )
    };
    std::thread::scope(|scope| {
        let (shard, restorer, turns) = (&shard, &restorer, &turns);
        let upstream = config.upstream.as_ref().zip(turns.sources.as_ref());
        let watching = watch.as_ref().zip(upstream).map(|(watch, (upstream, turns))| {
            scope.spawn(move || {
                let _others = StopOthers(stop);
                watch.run(settings, upstream, turns, stop)
            })
        });
        scope.spawn(|| watch_over(turns, config.stillness_max, stop));
        // As many restoring threads as shards.
        let (words, heard): (Vec<_>, Vec<_>) = (0..config.shards).map(|_| mpsc::channel()).unzip();
        let (answers, lines): (Vec<_>, Vec<_>) = (0..config.shards).map(|_| mpsc::channel()).unzip();
        let lines = lines.into_iter().enumerate();
        let sharding: Vec<_> = lines
            .map(|(number, answers)| Line { shard: number, words: words.clone(), answers })
            .map(|line| scope.spawn(move || shard(line)))
            .collect();
        let restoring = heard.into_iter().enumerate().map(|(number, heard)| {
            let answers = answers.clone();
            scope.spawn(move || restorer(number, heard, answers))
        });
        let running: Vec<_> = sharding.into_iter().chain(restoring).chain(watching).collect();
        let ended = running.into_iter().map(|thread| {
            thread.join().unwrap_or_else(|_| Err(Error::stop("run the engine", "a thread panicked; see the log")))
        });
        // All are joined before the first error is returned.
        ended.collect::<Vec<_>>().into_iter().collect()
    })
}

/// What the state belongs to, by ids: whatever is made anew under its name is another.
struct Identities {
    cluster: String,
    input: String,
    changelog: String,
}

impl Identities {
    fn ask(settings: &Settings, topics: &Topics) -> Result<Self, Error> {
        let cluster = settings.cluster_id(Duration::from_secs(10))?;
        let [input, changelog] = [&topics.input, &topics.changelog].map(|topic| settings.topic_identity(topic));
        Ok(Identities { cluster, input: input?, changelog: changelog? })
    }
}

/// As in [`Config`], and less than the changelog keeps tombstones.
fn checkpoint_age_max(settings: &Settings, config: &Config) -> Result<Millis, Error> {
    let (topic, wanted) = (&config.topics.changelog, config.checkpoint_age_max);
    let kept = admin::setting(settings, topic, "delete.retention.ms")?.and_then(|kept| kept.parse::<Millis>().ok());
    let Some(kept) = kept else {
        tracing::warn!(
            "not authorized to see how long {topic} keeps tombstones; give this user DescribeConfigs on it (deploy/kafka/acls.yaml). A local \
             state that is older than {} hours is rebuilt",
            wanted / HOUR
        );
        return Ok(wanted);
    };
    let trusted = kept / 7 * 6;
    if trusted < wanted {
        tracing::warn!(
            "{topic} keeps tombstones for {} hours only: a local state as old as that is rebuilt",
            kept / HOUR
        );
    }
    Ok(wanted.min(trusted))
}

fn make_directory(path: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(path).map_err(|error| {
        Error::stop(
            "use the state directory",
            format!("{}: {error}; name another one or mend its rights", path.display()),
        )
    })
}

/// Turns of the threads that must not stand still.
struct Turns {
    shards: Vec<AtomicU64>,
    restorers: Vec<AtomicU64>,
    /// Of those who watch the sources, if anybody does.
    sources: Option<AtomicU64>,
}

impl Turns {
    fn new(config: &Config) -> Self {
        let none = || (0..config.shards).map(|_| AtomicU64::new(0)).collect();
        let sources = config.upstream.as_ref().map(|_| AtomicU64::new(0));
        Turns { shards: none(), restorers: none(), sources }
    }

    /// All of them, with what each is.
    fn each(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let shards = self.shards.iter().map(|turns| ("shard", turns));
        let restorers = self.restorers.iter().map(|turns| ("restorer", turns));
        let all = shards.chain(restorers).chain(self.sources.iter().map(|turns| ("sources", turns)));
        all.map(|(thread, turns)| (thread, turns.load(Ordering::Relaxed)))
    }
}

/// For how long each thread has stood still, as it was seen. Counted in looks, not in time, so that a process that was stopped as a
/// whole is not taken for one that hangs.
#[derive(Default)]
struct Stillness {
    seen: Vec<(u64, Duration)>,
}

impl Stillness {
    /// Looks at them, `LOOK` after the last time. Names one that has stood still for longer than `max`.
    fn look(&mut self, turns: &Turns, max: Duration) -> Option<(&'static str, Duration)> {
        self.seen.resize(turns.each().count(), (0, Duration::ZERO));
        let mut found = None;
        for ((thread, turn), (known, still)) in turns.each().zip(&mut self.seen) {
            *still = if turn == *known { *still + LOOK } else { Duration::ZERO };
            *known = turn;
            if *still > max {
                found = Some((thread, *still));
            }
        }
        found
    }
}

/// Ends the process if a thread has made no turn for too long: a call that never returns holds its partitions for ever.
fn watch_over(turns: &Turns, stillness_max: Duration, stop: &AtomicBool) {
    let mut stillness = Stillness::default();
    while !stop.load(Ordering::Relaxed) {
        std::thread::park_timeout(LOOK);
        if let Some((thread, still)) = stillness.look(turns, stillness_max) {
            tracing::error!(thread, seconds = still.as_secs(), "a thread stands still; the process ends itself");
            std::process::abort();
        }
    }
}

const HOUR: Millis = 3_600_000;

/// Between two looks at the threads.
const LOOK: Duration = Duration::from_millis(200);

/// A shard that ends, however it ends, ends the process: its partitions go to another one.
struct StopOthers<'a>(&'a AtomicBool);

impl Drop for StopOthers<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_of_whatever_kind_that_stands_still_is_found() {
        let topics = Topics { input: "in".into(), changelog: "log".into(), reference: None, outputs: Vec::new() };
        let mut config = Config::new("group", "one", topics, PathBuf::new());
        config.upstream = Some(Upstream { group: "before".into(), topics: Vec::new() });
        let max = 3 * LOOK;
        for stands in ["shard", "restorer", "sources"] {
            let (turns, mut stillness) = (Turns::new(&config), Stillness::default());
            let looks = (1..=10).map(|_| {
                let all = [("shard", &turns.shards[0]), ("restorer", &turns.restorers[0])];
                let all = all.into_iter().chain(turns.sources.iter().map(|sources| ("sources", sources)));
                for (_, turns) in all.filter(|(thread, _)| *thread != stands) {
                    turns.fetch_add(1, Ordering::Relaxed);
                }
                stillness.look(&turns, max)
            });
            assert_eq!(looks.flatten().next(), Some((stands, max + LOOK)));
        }
    }
}
