//! What the engine relies on at the seam, observed on whatever stands behind it: once on simulated brokers, once on Kafka. The
//! simulation is honest as far as both say the same.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use super::disk::Machine;
use super::log::SimulatedLog;
use super::world::World;
use super::{Outside, Scene, Surface};
use crate::clock::simulated;
use crate::kafka::{Change, Fetched, KafkaLog, Settings, Topics};
use crate::log::{CHANGELOG, Log, Record, Target};
use crate::{Error, Verdict};

/// What was observed: of what, and how it is.
pub type Observations = Vec<(&'static str, String)>;

/// Turns that a group, or a marker, may take to settle.
const PATIENCE: usize = 600;
/// Turns without a change, before it is believed that none comes.
const QUIET_TURNS: usize = 15;

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
        let outcome =
            scenarios()[number](&mut observed, &mut |identity| SimulatedLog::new(&world, 0, &machine, identity));
        world.close();
        outcome?;
    }
    Ok(observed)
}

/// Observes Kafka. `topics` makes fresh topics, each of two partitions, and names them.
///
/// # Errors
/// If something failed that must not.
pub fn of_kafka(settings: &Settings, mut topics: impl FnMut() -> Topics) -> Result<Observations, Error> {
    let mut observed = Observations::new();
    for scenario in scenarios() {
        let topics = topics();
        let group = format!("{}-group", topics.input);
        scenario(&mut observed, &mut |identity| KafkaLog::new(settings, &topics, &group, identity, None))?;
    }
    Ok(observed)
}

type Opens<'o, L> = dyn FnMut(&str) -> Result<L, Error> + 'o;
type Scenario<L> = fn(&mut Observations, &mut Opens<'_, L>) -> Result<(), Error>;

const COUNT: usize = 6;

fn scenarios<L: Log>() -> [Scenario<L>; COUNT] {
    [commits, aborts, fencing, sharing, open_transactions, comes_back]
}

/// What is committed is seen, with its marker; nothing was there before.
fn commits<L: Log>(observed: &mut Observations, open: &mut Opens<'_, L>) -> Result<(), Error> {
    let mut log = open("a")?;
    let owned = settle(&mut [&mut log])?;
    observed.push(("a lone member owns", format!("{owned:?}")));
    observed.push(("a new group stands at", format!("{:?}", log.committed(0)?)));
    observed.push(("an empty partition holds", format!("{:?}", log.range(CHANGELOG, 0)?)));
    put(&mut log, "one")?;
    put(&mut log, "two")?;
    log.commit(&[(0, 7)])?;
    observed.push(("after a commit one reads", read(&mut log, Some("two"))?));
    observed.push(("the partition holds", format!("{:?}", log.range(CHANGELOG, 0)?)));
    observed.push(("and ends at", format!("{:?}", log.ends(CHANGELOG, &[0])?)));
    observed.push(("the group stands at", format!("{:?}", patiently(&mut log, |log| log.committed(0))?)));
    observed.push(("and elsewhere at", format!("{:?}", log.committed(1)?)));
    let mut seen = Vec::new();
    let next = log.replay(CHANGELOG, 0, 0..i64::MAX, &mut |record| {
        seen.push(text(record));
        false
    })?;
    observed.push(("a replay that has enough ends at", format!("{next} with {seen:?}")));
    observed.push(("a replay of nothing ends at", format!("{}", log.replay(CHANGELOG, 0, 1..1, &mut |_| true)?)));
    Ok(())
}

/// What was not committed is never seen, and a new producer goes on.
fn aborts<L: Log>(observed: &mut Observations, open: &mut Opens<'_, L>) -> Result<(), Error> {
    let mut log = open("a")?;
    settle(&mut [&mut log])?;
    put(&mut log, "never")?;
    patiently(&mut log, L::renew)?;
    put(&mut log, "later")?;
    log.commit(&[(0, 3)])?;
    observed.push(("after a renewal one reads", read(&mut log, Some("later"))?));
    observed.push(("and the group stands at", format!("{:?}", patiently(&mut log, |log| log.committed(0))?)));
    Ok(())
}

/// Of two processes with one identity, the older one is refused.
fn fencing<L: Log>(observed: &mut Observations, open: &mut Opens<'_, L>) -> Result<(), Error> {
    let mut old = open("a")?;
    settle(&mut [&mut old])?;
    put(&mut old, "kept")?;
    old.commit(&[(0, 1)])?;
    let mut new = open("a")?;
    let owned = settle(&mut [&mut new])?;
    observed.push(("a successor owns", format!("{owned:?}")));
    let refused = put(&mut old, "zombie").and_then(|()| old.commit(&[(0, 2)]));
    let verdict = refused.err().map(|error| error.verdict());
    let is_refused = matches!(verdict, Some(Verdict::Fenced | Verdict::Abort));
    observed.push(("its predecessor's commit is refused", is_refused.to_string()));
    put(&mut new, "successor")?;
    new.commit(&[(0, 2)])?;
    observed.push(("then one reads", read(&mut new, Some("successor"))?));
    Ok(())
}

/// Two members share the partitions: one gives up what the other one gets, and is not robbed of it.
fn sharing<L: Log>(observed: &mut Observations, open: &mut Opens<'_, L>) -> Result<(), Error> {
    let mut first = open("a")?;
    settle(&mut [&mut first])?;
    let alone = first.generation();
    let mut second = open("b")?;
    let mut lost_any = false;
    let mut owned = [BTreeSet::from([0, 1]), BTreeSet::new()];
    let mut quiet = 0;
    for _ in 0..PATIENCE {
        for (log, owned) in [&mut first, &mut second].into_iter().zip(&mut owned) {
            lost_any |= hear(log, owned)?;
        }
        quiet += usize::from(owned.iter().all(|owned| owned.len() == 1));
        if quiet > QUIET_TURNS {
            break;
        }
    }
    let together: BTreeSet<i32> = owned.iter().flatten().copied().collect();
    observed.push(("two members own", format!("{} and {}, together {together:?}", owned[0].len(), owned[1].len())));
    observed.push(("something was lost", lost_any.to_string()));
    observed.push(("the generation has grown", (first.generation() > alone).to_string()));
    let mine = owned[0].first().copied().unwrap_or_default();
    put_to(&mut first, mine, "mine")?;
    observed.push(("a member commits in the new generation", first.commit(&[(mine, 5)]).is_ok().to_string()));
    Ok(())
}

/// An open transaction hides what is committed behind it, but not that something is there.
fn open_transactions<L: Log>(observed: &mut Observations, open: &mut Opens<'_, L>) -> Result<(), Error> {
    let (mut first, mut second) = (open("a")?, open("b")?);
    settle(&mut [&mut first, &mut second])?;
    // It is known to be open once the brokers have something of it.
    for number in 0..PATIENCE {
        put(&mut first, &format!("slow-{number}"))?;
        let _ = first.membership(Duration::from_millis(20))?;
        if second.ends(CHANGELOG, &[0])?[0].1 > 0 {
            break;
        }
    }
    put(&mut second, "quick")?;
    second.commit(&[(0, 1)])?;
    let (_, stable) = second.range(CHANGELOG, 0)?;
    observed.push(("behind an open transaction one reads", read(&mut second, None)?));
    observed.push(("the range ends before it", format!("{stable}")));
    observed.push(("the end counts it", (second.ends(CHANGELOG, &[0])?[0].1 > 2).to_string()));
    first.commit(&[(1, 1)])?;
    let all = read(&mut second, Some("quick"))?;
    observed
        .push(("once it is committed, both are read", (all.contains("slow-0") && all.contains("quick")).to_string()));
    Ok(())
}

/// A process that ends and comes back under its identity finds its partitions, in the same generation.
fn comes_back<L: Log>(observed: &mut Observations, open: &mut Opens<'_, L>) -> Result<(), Error> {
    let (mut stays, mut leaves) = (open("a")?, open("b")?);
    settle(&mut [&mut stays, &mut leaves])?;
    let before = leaves.generation();
    drop(leaves);
    let mut back = open("b")?;
    let owned = settle(&mut [&mut back])?;
    observed.push(("who comes back owns", format!("{} partition", owned[0].len())));
    observed.push(("in the same generation", (back.generation() == before).to_string()));
    Ok(())
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
    log.start(CHANGELOG, 0, 0)?;
    let (mut keys, mut end, mut fetched) = (Vec::<String>::new(), None, Vec::new());
    for _ in 0..PATIENCE {
        log.fetch(Duration::from_millis(20), 100, &mut fetched)?;
        for item in fetched.drain(..) {
            match item {
                Fetched::Record(record) => keys.push(text(&record)),
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
    Ok(format!("{keys:?}"))
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
