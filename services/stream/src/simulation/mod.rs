//! The engine on simulated brokers, disks and clocks, all from one seed.
//!
//! *What it is.* The real shard, store format and recovery of every replica, run on one thread behind the seams [`crate::log::Log`]
//! and [`crate::store::Disks`]. Processes are killed, stopped and replaced at every call; requests and answers get lost or come late;
//! brokers go away for a while; transactions are left open, or torn by a commit that comes twice; clocks are set back; the changelog is
//! compacted; disks are lost; when everybody loses power, so is what brokers had confirmed last. What happened is given back, to be
//! compared with what should have.
//!
//! *What it is not.* No Kafka: a conformance suite runs the same checks on both. No RocksDB: a disk here is a sorted map that
//! loses unflushed batches, the last ones first, and never tears one.
//!
//! *Limits.* One input topic, one consumer group; no retention of the input; a process that stands still inside another one's
//! turn goes on only after it. A broker that is away comes back with all that it had. Confirmed commits are lost of changelogs alone,
//! and only when no process lives that has seen them: whoever goes on with what is lost cannot know. Compaction stops before
//! torn rows that are still to be written anew, which its lag of ten minutes sees to in Kafka.

pub mod conformance;
mod checks;
mod cluster;
mod disk;
mod group;
mod intake;
mod log;
mod partition;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use cluster::Cluster;
pub(crate) use disk::Machine;
use log::{FIRST_OUTPUT, SimulatedChangelogs, SimulatedLog};
use partition::Body;
use world::{Process, SESSION_TIMEOUT, TOMBSTONES_KEPT, World};

pub use crate::planted::Bug;
pub use world::Surface;

use crate::Error;
use crate::Topics;
use crate::clock::{Millis, simulated};
use crate::engine::{Config, Surroundings};
use crate::log::{CHANGELOG, INPUT, REFERENCE};
use crate::metrics::Metrics;
use crate::planted::plant;
use crate::probe::Probe;
use crate::processor::Processor;
use crate::replica::Rules;
use crate::restorer::{Answer, Replicas, Restorer, Word};
use crate::shard::Shard;

/// What is simulated.
#[derive(Clone, Debug)]
pub struct Scene {
    /// Everything that chance decides follows from it.
    pub seed: u64,
    /// Processes of the engine.
    pub replicas: usize,
    /// Partitions of the input.
    pub partitions: i32,
    /// Outputs of the application.
    pub outputs: usize,
    /// Which of them is the input itself, if any is.
    pub into_input: Option<usize>,
    /// Business time at the beginning.
    pub begin: Millis,
    /// Whether processes keep partitions of others warm.
    pub standby: bool,
    /// At most so many faults.
    pub faults: u32,
    /// So much happens before the faults are over.
    pub turns: u32,
    /// Whether a commit may come twice and hit the next transaction, as Kafka's transactions of version 1 allow.
    pub tears: bool,
    /// A mistake to be found.
    pub bug: Option<Bug>,
    /// Whether to write down what happens.
    pub traced: bool,
}

impl Scene {
    fn topics(&self) -> Vec<i32> {
        let mut topics = vec![self.partitions; FIRST_OUTPUT + self.outputs];
        topics[REFERENCE] = 1;
        topics
    }
}

/// The world outside of the engine.
pub trait Outside {
    /// Something may happen: records for the input, answers to outputs, a little business time.
    fn live(&mut self, surface: &mut Surface<'_, '_>);

    /// The same after the faults, until everything has come to rest.
    fn rest(&mut self, surface: &mut Surface<'_, '_>);

    /// Whether it has nothing more to do.
    fn is_at_rest(&self) -> bool;
}

/// A committed record.
#[derive(Clone, Debug)]
pub struct Committed {
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// Machine time of its append.
    pub appended_at: Millis,
    /// Business time of its append.
    pub business: Millis,
    /// What its client took for one transaction; none outside of any.
    pub transaction: Option<u64>,
    /// Key; empty for none.
    pub key: Vec<u8>,
    /// Value; none for a tombstone.
    pub value: Option<Vec<u8>>,
}

/// What happened, as a reader of committed records sees it.
#[derive(Debug)]
pub struct History {
    /// The input.
    pub input: Vec<Committed>,
    /// The changelog, as if it had never been compacted.
    pub changelog: Vec<Committed>,
    /// The reference topic.
    pub reference: Vec<Committed>,
    /// The outputs, by their index.
    pub outputs: Vec<Vec<Committed>>,
    /// Transactions of which only a part is there: the end of an earlier one has hit them, or the brokers have lost what they had
    /// confirmed of a changelog.
    pub torn: BTreeSet<u64>,
    /// How often each fault has happened, and each thing that is looked for.
    pub seen: BTreeMap<&'static str, usize>,
    /// How often a process was killed before which call.
    pub deaths: BTreeMap<&'static str, usize>,
    /// Business time at the end.
    pub ended_at: Millis,
    /// What was written down.
    pub trace: Vec<String>,
}

/// A run that broke a rule of the engine.
#[derive(Debug)]
pub struct Failure {
    /// Which.
    pub words: String,
    /// What was written down.
    pub trace: Vec<String>,
}

/// Lives through a scene.
///
/// # Errors
/// If one of the engine's invariants did not hold, or it did not come to rest.
pub fn run<P: Processor>(
    scene: &Scene,
    metrics: &Metrics,
    processor: &dyn Fn() -> P,
    outside: &mut dyn Outside,
) -> Result<History, Failure> {
    plant(scene.bug);
    simulated::set(Some(Duration::ZERO));
    let config = config(scene);
    let (stop, turns) = (AtomicBool::new(false), AtomicU64::new(0));
    let machines: Vec<Machine> = (0..scene.replicas + 4).map(|_| Machine::default()).collect();
    let judge = processor();
    let due = |bytes: &[u8]| judge.unpack(bytes).ok().and_then(|row| judge.due(&row));
    let world = World::new(
        scene,
        &machines,
        outside,
        Box::new(|world, who, machine| {
            let identity = format!("replica-{who}");
            let log = SimulatedLog::new(world, who, machine, &identity)?;
            let rules = Rules {
                config: &config,
                cluster: "simulated",
                changelog: "changelog",
                disks: machine,
                metrics: metrics.clone(),
            };
            let standbys = (0..if scene.standby { scene.partitions } else { 0 }).collect();
            let around = Surroundings {
                config: &config,
                input: "input",
                owner: identity,
                clock: world.clock(who),
                probe: Probe::default(),
                turns: &turns,
                stop: &stop,
                metrics: metrics.clone(),
                restorer: Box::new(Beside(Replicas::new(rules, log.changelogs(), processor(), standbys))),
            };
            let mut shard = Shard::new(around, log, processor());
            shard.begin()?;
            Ok(Box::new(shard))
        }),
        Box::new(due),
    );
    let outcome = live(scene, &world);
    world.close();
    plant(None);
    outcome
}

/// The restoring thread of a process, which gets its turn whenever the shard asks.
struct Beside<'a, P>(Replicas<'a, SimulatedChangelogs<'a>, P>);

impl<P: Processor> Restorer for Beside<'_, P> {
    fn restore(&mut self, partition: i32, nonce: &str) {
        self.0.hear(Word::Restore { shard: 0, partition, nonce: nonce.to_owned() });
    }

    fn release(&mut self, partition: i32) {
        self.0.hear(Word::Release { shard: 0, partition });
    }

    fn restored(&mut self) -> Result<Option<Answer>, Error> {
        self.0.fetch(Duration::ZERO)?;
        self.0.work();
        Ok(self.0.answer().map(|(_, answer)| answer))
    }
}

impl<L: crate::log::Log, P: Processor> Process for Shard<'_, L, P> {
    fn turn(&mut self) -> Result<(), Error> {
        self.step()
    }

    fn drain(&mut self) {
        Shard::drain(self);
    }
}

fn live(scene: &Scene, world: &World<'_>) -> Result<History, Failure> {
    for _ in 0..scene.turns {
        if world.trouble().is_none() {
            world.pump();
        }
    }
    world.calm();
    come_to_rest(scene, world);
    // Whoever owns a partition serves it still, though nothing has happened there for days.
    prove_served(scene, world, None, SERVED);
    if scene.seed.is_multiple_of(LEADERLESS) && scene.partitions > 1 {
        // A partition that nobody leads holds up no other, not even when all begin anew.
        let partition = i32::try_from(world.random(scene.partitions.unsigned_abs() as usize)).unwrap_or(0);
        let sick = ([INPUT, CHANGELOG][world.random(2)], partition);
        world.note(|| format!("nobody leads {sick:?}"));
        world.cluster.borrow_mut().depose(Some(sick));
        world.machines().into_iter().for_each(Machine::kill);
        prove_served(scene, world, Some(partition), BEGUN_ANEW);
        world.cluster.borrow_mut().depose(None);
    }
    // Meanwhile time went on, and something may have fallen due.
    come_to_rest(scene, world);
    let cluster = world.cluster.borrow();
    for machine in world.machines() {
        world.check(machine);
    }
    if let Err(words) = checks::history(&cluster) {
        world.report(words);
    }
    let (trace, [seen, deaths]) = (world.take_trace(), world.take_seen());
    match world.trouble() {
        Some(words) => Err(Failure { words, trace }),
        None => Ok(History {
            input: all(&cluster, INPUT),
            changelog: all(&cluster, CHANGELOG),
            reference: all(&cluster, REFERENCE),
            outputs: (0..scene.outputs).map(|output| all(&cluster, FIRST_OUTPUT + output)).collect(),
            torn: cluster.torn().iter().copied().chain(cluster.lost().iter().map(|(lost, _)| *lost)).collect(),
            seen,
            deaths,
            ended_at: cluster.business,
            trace,
        }),
    }
}

/// Turns in which nothing is left to do, before that is believed.
const QUIET_TURNS: u32 = 150;
/// How long it takes until a record is applied when nothing stands against it, and when all processes have to begin anew before.
const SERVED: Millis = 60_000;
const BEGUN_ANEW: Millis = 300_000;
/// One life in so many meets a partition that nobody leads.
const LEADERLESS: u64 = 4;

/// Waits until nobody has anything left to do.
fn come_to_rest(scene: &Scene, world: &World<'_>) {
    let mut quiet = 0;
    for _ in 0..50 * scene.turns {
        quiet = if world.unrest().is_none() { quiet + 1 } else { 0 };
        if quiet > QUIET_TURNS || world.trouble().is_some() {
            return;
        }
        world.pump();
    }
    world.report(format!("it does not come to rest: {:?}", world.unrest()));
}

/// Says something in each partition but this one, which is to be applied within so long. It is about nobody, so nothing comes of it.
fn prove_served(scene: &Scene, world: &World<'_>, but: Option<i32>, span: Millis) {
    let others: Vec<i32> = (0..scene.partitions).filter(|partition| Some(*partition) != but).collect();
    for partition in &others {
        world.cluster.borrow_mut().append(INPUT, *partition, Body { key: None, value: None });
    }
    let left = || others.iter().copied().find(|partition| world.is_unread(*partition));
    let until = world.cluster.borrow().now + span;
    world.hope_until(Some(until));
    while world.cluster.borrow().now < until && world.trouble().is_none() {
        // What came of it is to be seen, too.
        if left().is_none() && (but.is_some() || world.cluster.borrow().is_settled()) {
            break;
        }
        world.pump();
    }
    world.hope_until(None);
    // Who has waited for ever for the missing leader was given it back.
    let excused = but.is_some() && (world.cluster.borrow().is_led() || world.cluster.borrow().speaks_to_nobody());
    if let Some(partition) = left().filter(|_| !excused) {
        world.report(format!("I9: partition {partition} is not served, though nothing stands against it"));
    }
}

fn all(cluster: &Cluster, topic: usize) -> Vec<Committed> {
    (0..cluster.count(topic)).flat_map(|partition| committed(cluster, topic, partition, 0)).collect()
}

/// Committed records of a partition from an offset on, compacted ones, too.
fn committed(cluster: &Cluster, topic: usize, partition: i32, from: i64) -> Vec<Committed> {
    let log = cluster.partition(topic, partition);
    let stable = log.stable_end();
    let entries = log.entries_from(from).iter().take_while(|entry| entry.offset < stable);
    let record = |entry: &partition::Entry| {
        let body = entry.body.as_ref().filter(|_| entry.fate == partition::Fate::Committed)?;
        Some(Committed {
            partition,
            offset: entry.offset,
            appended_at: entry.appended_at,
            business: entry.business,
            transaction: entry.draft,
            key: body.key.clone().unwrap_or_default(),
            value: body.value.clone(),
        })
    };
    entries.filter_map(record).collect()
}

/// Short ages, so that a short life sees a lot.
fn config(scene: &Scene) -> Config {
    let topics = Topics {
        input: "input".to_owned(),
        changelog: "changelog".to_owned(),
        reference: Some("reference".to_owned()),
        outputs: (0..scene.outputs).map(|output| format!("output-{output}")).collect(),
    };
    Config {
        commit_age: Duration::from_millis(40),
        commit_records: 8,
        cache_rows: 4,
        unwritten_rows: 3,
        save_rows: 1,
        fire_budget: 3,
        fire_window: 2,
        retire_after: 2,
        sweep_budget: 2,
        save_age: Duration::from_millis(SESSION_TIMEOUT.unsigned_abs() / 3),
        checkpoint_age_max: TOMBSTONES_KEPT / 2,
        restore_window: 12,
        batch_bytes: 300,
        ..Config::new("group", "replica", topics, "state".into())
    }
}
