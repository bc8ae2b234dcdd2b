//! What the engine relies on at the seam, observed on whatever stands behind it: once on simulated brokers, once on Kafka. The
//! simulation is honest as far as both say the same.
//!
//! *What it is.* Scenarios, each on fresh topics. Where the seam is too narrow for one (a member has to be silent, a topic to be
//! compacted, a request to come a second time), a [`Stage`] says how that is done here and there.
//!
//! *Limits.* Only what can be provoked on Kafka at will. Lost and late answers cannot: of those the simulation does what the client
//! library's documentation and source say of them. A late end of a transaction can, since whoever knows id and epoch of a producer
//! can send one; and a broker that goes away can, where a partition lies on it alone. What Kafka says then is observed, not believed.

mod ordinary;
mod hazards;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::resume_unwind;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{iter, thread};

use super::disk::Machine;
use super::log::SimulatedLog;
use super::world::{TOMBSTONES_KEPT, World};
use super::{Outside, Scene, Surface};
use crate::Topics;
use crate::clock::simulated;
use crate::kafka::log::KafkaLog;
use crate::kafka::{Change, Fetched, Settings};
use crate::log::{CHANGELOG, Log, Record, Target};
use crate::{Error, Verdict};

/// What was observed: of what, and how it is.
pub type Observations = Vec<(&'static str, String)>;

/// Turns that a group, or a marker, may take to settle.
const PATIENCE: usize = 600;
/// Turns without a change, before it is believed that none comes.
const QUIET_TURNS: usize = 15;

/// Where a scenario is played.
trait Stage {
    /// A process's view.
    type Log: Log;

    /// A process under this identity.
    fn open(&mut self, identity: &str) -> Result<Self::Log, Error>;

    /// What the process has produced is on its way.
    fn send(&mut self, log: &mut Self::Log) -> Result<(), Error>;

    /// Puts positions into the process's transaction, and leaves that open.
    fn offer(&mut self, log: &mut Self::Log, positions: &[(i32, i64)]) -> Result<(), Error>;

    /// The group hears nothing of the process for as long as nobody asks it for changes; or hears of it again.
    fn silence(&mut self, log: &mut Self::Log, is_silent: bool);

    /// The commit of the process's last transaction comes a second time, as when its client has repeated the request.
    fn commit_again(&mut self, log: &Self::Log, identity: &str) -> Result<(), Error>;

    /// Lets the changelog's first partition be compacted, soon.
    fn compact(&mut self, log: &mut Self::Log) -> Result<(), Error>;

    /// Nobody leads the changelog's second partition any more; or somebody does again.
    fn lead(&mut self, is_led: bool);
}

/// What a test does to Kafka beside what the engine's clients can do. Scenarios ask for it at the same time.
pub trait Hands: Sync {
    /// Makes fresh topics, each of two partitions, and names them. The changelog is compacted as soon as can be, and forgets
    /// tombstones a while after; each of its partitions lies on one broker alone, and they on different ones.
    fn topics(&self) -> Topics;

    /// Sends the commit of a transaction under this id, with the producer's own id and epoch.
    ///
    /// # Errors
    /// What is said instead of yes.
    fn commit_again(&self, transactional_id: &str) -> Result<(), String>;

    /// Stops the broker that leads the second partition of this changelog, and waits until the others know that nobody does; or starts
    /// it again.
    fn lead(&self, changelog: &str, is_led: bool);
}

/// Observes simulated brokers.
///
/// # Errors
/// If something failed that must not.
pub fn of_simulation(seed: u64) -> Result<Observations, Error> {
    simulated::set(Some(Duration::ZERO));
    let scene = Scene {
        seed,
        replicas: 0,
        partitions: 2,
        outputs: 1,
        into_input: None,
        standby: false,
        begin: 1,
        faults: 0,
        turns: 0,
        tears: false,
        bug: None,
        traced: false,
    };
    let mut observed = Observations::new();
    for number in 0..COUNT {
        let machine = Machine::default();
        let mut nobody = Nobody;
        let nobody_is_born =
            |_: &Rc<World<'_>>, _: usize, _: &Machine| Err(Error::stop("start", "nobody is simulated here"));
        let world = World::new(&scene, &[], &mut nobody, Box::new(nobody_is_born), Box::new(|_| None));
        let outcome = scenarios()[number](&mut observed, &mut Simulated { world: &world, machine });
        world.close();
        outcome?;
    }
    Ok(observed)
}

struct Simulated<'w, 'a> {
    world: &'w Rc<World<'a>>,
    machine: Machine,
}

impl<'a> Stage for Simulated<'_, 'a> {
    type Log = SimulatedLog<'a>;

    fn open(&mut self, identity: &str) -> Result<SimulatedLog<'a>, Error> {
        SimulatedLog::new(self.world, 0, &self.machine, identity)
    }

    fn send(&mut self, log: &mut SimulatedLog<'a>) -> Result<(), Error> {
        log.flush()
    }

    fn offer(&mut self, log: &mut SimulatedLog<'a>, positions: &[(i32, i64)]) -> Result<(), Error> {
        log.offer(positions)
    }

    fn silence(&mut self, log: &mut SimulatedLog<'a>, is_silent: bool) {
        log.silence(is_silent);
    }

    fn commit_again(&mut self, log: &SimulatedLog<'a>, _identity: &str) -> Result<(), Error> {
        log.commit_again()
    }

    fn compact(&mut self, _log: &mut SimulatedLog<'a>) -> Result<(), Error> {
        let mut cluster = self.world.cluster.borrow_mut();
        let tombstones = cluster.now - TOMBSTONES_KEPT;
        cluster.compact(CHANGELOG, 0, tombstones, 1.0);
        Ok(())
    }

    fn lead(&mut self, is_led: bool) {
        self.world.cluster.borrow_mut().depose((!is_led).then_some((CHANGELOG, 1)));
    }
}

/// Observes Kafka. What scenarios do most is to wait: so several are played at once, but for the one that takes a broker away.
///
/// # Errors
/// If something failed that must not.
pub fn of_kafka(settings: &Settings, hands: &dyn Hands) -> Result<Observations, Error> {
    let waiting = Mutex::new((0..COUNT).filter(|number| *number != LEADERLESS));
    let play_all = || {
        let numbers = iter::from_fn(|| waiting.lock().ok()?.next());
        numbers.map(|number| Ok((number, play_on_kafka(number, settings, hands)?))).collect::<Result<Vec<_>, Error>>()
    };
    let played: Vec<_> = thread::scope(|scope| {
        let lanes: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(play_all)).collect();
        lanes.into_iter().map(|lane| lane.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    let mut observed = BTreeMap::from([(LEADERLESS, play_on_kafka(LEADERLESS, settings, hands)?)]);
    for of_lane in played {
        observed.extend(of_lane?);
    }
    Ok(observed.into_values().flatten().collect())
}

fn play_on_kafka(number: usize, settings: &Settings, hands: &dyn Hands) -> Result<Observations, Error> {
    let mut observed = Observations::new();
    let mut properties = BTreeMap::clone(&settings.properties);
    let waiting = WAITING.iter().filter(|(waits, _)| *waits == number).flat_map(|(_, waiting)| *waiting);
    properties.extend(waiting.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let settings = &Settings { properties: Arc::new(properties), ..settings.clone() };
    scenarios()[number](&mut observed, &mut Real { settings, topics: &hands.topics(), hands })?;
    Ok(observed)
}

struct Real<'k> {
    settings: &'k Settings,
    topics: &'k Topics,
    hands: &'k dyn Hands,
}

impl Real<'_> {
    /// No other scenario knows this group.
    fn group(&self) -> String {
        format!("{}-group", self.topics.input)
    }
}

impl<'k> Stage for Real<'k> {
    type Log = KafkaLog<'k>;

    fn open(&mut self, identity: &str) -> Result<KafkaLog<'k>, Error> {
        KafkaLog::new(self.settings, self.topics, &self.group(), identity, None)
    }

    /// Its client sends by itself.
    fn send(&mut self, _log: &mut KafkaLog<'k>) -> Result<(), Error> {
        Ok(())
    }

    fn offer(&mut self, log: &mut KafkaLog<'k>, positions: &[(i32, i64)]) -> Result<(), Error> {
        log.offer(positions)
    }

    /// Its client leaves by itself when it is not asked for changes for too long.
    fn silence(&mut self, _log: &mut KafkaLog<'k>, _is_silent: bool) {}

    fn commit_again(&mut self, _log: &KafkaLog<'k>, identity: &str) -> Result<(), Error> {
        let said = self.hands.commit_again(&format!("{}-{identity}", self.group()));
        said.map_err(|words| Error::stop("commit once more", words))
    }

    /// Only what lies before the segment that is written to is compacted: a further record makes a new one.
    fn compact(&mut self, log: &mut KafkaLog<'k>) -> Result<(), Error> {
        put(log, FILLER)?;
        log.commit(&[(0, 1)])
    }

    fn lead(&mut self, is_led: bool) {
        self.hands.lead(&self.topics.changelog, is_led);
    }
}

/// A key that is none of the scenario's.
const FILLER: &str = "filler";

type Scenario<S> = fn(&mut Observations, &mut S) -> Result<(), Error>;

const COUNT: usize = 14;
/// Number of the scenario that takes a broker away.
const LEADERLESS: usize = 12;
/// How many are played at once on Kafka.
const AT_ONCE: usize = 5;

/// Scenarios that wait until somebody is given up, and what they have for that: nobody has time for five minutes of silence. Either a
/// member is given up or a transaction, so that it is known which of the two refuses.
const WAITING: [(usize, &[(&str, &str)]); 2] = [
    (
        6,
        &[
            ("session.timeout.ms", "4000"),
            ("heartbeat.interval.ms", "500"),
            ("max.poll.interval.ms", "4000"),
            ("transaction.timeout.ms", "60000"),
        ],
    ),
    (7, &[("transaction.timeout.ms", "4000")]),
];

fn scenarios<S: Stage>() -> [Scenario<S>; COUNT] {
    use hazards::{compacted, expelled, leaderless, moves, overdue, torn, torn_elsewhere};
    use ordinary::{aborts, comes_back, comes_back_amid, commits, fencing, open_transactions, sharing};
    [
        commits,
        aborts,
        fencing,
        sharing,
        open_transactions,
        comes_back,
        expelled,
        overdue,
        moves,
        torn,
        torn_elsewhere,
        compacted,
        leaderless,
        comes_back_amid,
    ]
}

/// Lets members join until together they own both partitions, or each has one.
fn settle<L: Log>(logs: &mut [&mut L]) -> Result<Vec<BTreeSet<i32>>, Error> {
    let mut owned = vec![BTreeSet::new(); logs.len()];
    let mut quiet = 0;
    for _ in 0..PATIENCE {
        let before = owned.clone();
        for (log, owned) in logs.iter_mut().zip(&mut owned) {
            hear(*log, owned)?;
        }
        quiet = if owned == before && owned.iter().all(|owned| !owned.is_empty()) { quiet + 1 } else { 0 };
        if quiet > QUIET_TURNS {
            break;
        }
    }
    Ok(owned)
}

/// Carries out the next change. True if something was lost.
fn hear<L: Log>(log: &mut L, owned: &mut BTreeSet<i32>) -> Result<bool, Error> {
    let Some(change) = log.membership(Duration::from_millis(50))? else { return Ok(false) };
    let numbers = |partitions: &[(String, i32)]| partitions.iter().map(|(_, partition)| *partition).collect();
    let mut is_lost = false;
    match &change {
        Change::Assigned(partitions) => owned.append(&mut numbers(partitions)),
        Change::Revoked { partitions, lost } => {
            let gone: BTreeSet<i32> = numbers(partitions);
            owned.retain(|partition| !gone.contains(partition));
            is_lost = *lost;
        }
    }
    log.accept(&change)?;
    Ok(is_lost)
}

fn put<L: Log>(log: &mut L, key: &str) -> Result<(), Error> {
    put_to(log, 0, key)
}

fn put_to<L: Log>(log: &mut L, partition: i32, key: &str) -> Result<(), Error> {
    log.produce(Target::Changelog(partition), key.as_bytes(), Some(b"value"), &[])
}

/// Keys that are read of changelog 0, until this one came and it says that there is nothing more.
fn read<L: Log>(log: &mut L, last: Option<&str>) -> Result<String, Error> {
    Ok(format!("{:?}", read_all(log, last, text)?))
}

fn read_all<L: Log>(
    log: &mut L,
    last: Option<&str>,
    told: impl Fn(&L::Record) -> String,
) -> Result<Vec<String>, Error> {
    log.start(CHANGELOG, 0, 0)?;
    let (mut keys, mut end, mut fetched) = (Vec::<String>::new(), None, Vec::new());
    for _ in 0..PATIENCE {
        log.fetch(Duration::from_millis(20), 100, &mut fetched)?;
        for item in fetched.drain(..) {
            match item {
                Fetched::Record(record) => keys.push(told(&record)),
                Fetched::End { offset, .. } => end = Some(offset),
                Fetched::OutOfRange { .. } => return Err(Error::stop("read", "there is no offset 0")),
            }
        }
        if end.is_some() && last.is_none_or(|last| keys.iter().any(|key| key == last)) {
            break;
        }
        // Time must pass for markers to appear.
        let _ = log.membership(Duration::from_millis(5))?;
    }
    log.stop(CHANGELOG, 0);
    Ok(keys)
}

fn text(record: &impl Record) -> String {
    String::from_utf8_lossy(record.key().unwrap_or_default()).into_owned()
}

/// Repeats what may be repeated.
fn patiently<L: Log, T>(log: &mut L, mut ask: impl FnMut(&mut L) -> Result<T, Error>) -> Result<T, Error> {
    for _ in 0..PATIENCE {
        match ask(log) {
            Err(error) if error.verdict() == Verdict::Retry => drop(log.membership(Duration::from_millis(20))?),
            answered => return answered,
        }
    }
    ask(log)
}

/// Nobody lives outside.
struct Nobody;

impl Outside for Nobody {
    fn live(&mut self, _: &mut Surface<'_, '_>) {}

    fn rest(&mut self, _: &mut Surface<'_, '_>) {}

    fn is_at_rest(&self) -> bool {
        true
    }
}
