//! Time, chance and processes. One thread: while a call of one process is being served, others may run inside it, so that
//! every call is a place where the world can change.

mod faults;
mod surface;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::time::Duration;

use fastrand::Rng;

use super::cluster::{Cluster, Producer};
use super::disk::Machine;
use super::intake::Intake;
use super::{Outside, Scene, checks};
use crate::clock::{Clock, Millis, simulated};
use crate::log::{CHANGELOG, INPUT};
use crate::{Error, Verdict};

pub use faults::Mishap;
pub use surface::Surface;

/// Calls inside calls: deeper than this, time passes but nobody else runs.
const DEPTH_MAX: u32 = 2;
/// A transaction of a process that says nothing more is aborted after this.
const TRANSACTION_TIMEOUT: Millis = 20_000;
/// A member that is silent for longer is expelled.
pub const SESSION_TIMEOUT: Millis = 6_000;
/// No clock is behind by more than this.
const LAG_MAX: Millis = 3 * 3_600_000;
/// Compaction forgets tombstones of this age.
pub const TOMBSTONES_KEPT: Millis = 40_000;

/// A process of the engine.
pub trait Process {
    /// One turn of its loop.
    fn turn(&mut self) -> Result<(), Error>;

    /// The end that it was asked for.
    fn drain(&mut self);
}

/// Starts a process of a replica on a machine.
pub type Birth<'a> = dyn Fn(&Rc<World<'a>>, usize, &'a Machine) -> Result<Box<dyn Process + 'a>, Error> + 'a;

/// When a row must be looked at, by its bytes.
pub type Due<'a> = dyn Fn(&[u8]) -> Option<Millis> + 'a;

/// One replica: a place for a process with an identity.
struct Replica<'a> {
    process: Option<Box<dyn Process + 'a>>,
    machine: &'a Machine,
    /// A process of it is on the stack.
    is_running: bool,
    /// Grows when another process takes its place.
    incarnation: u32,
    starts_at: Millis,
    /// Business time as it sees it, and by how much that is behind.
    clock: Clock,
    behind: Millis,
}

/// The simulated world.
pub struct World<'a> {
    itself: Weak<World<'a>>,
    /// The brokers.
    pub cluster: RefCell<Cluster>,
    /// Business time as it is.
    clock: Clock,
    scene: &'a Scene,
    chance: RefCell<Rng>,
    replicas: RefCell<Vec<Replica<'a>>>,
    /// All machines: of the replicas, of processes in whose place others have come, and spare ones.
    hardware: &'a [Machine],
    spare: RefCell<Vec<&'a Machine>>,
    birth: Box<Birth<'a>>,
    /// When a row must be looked at, by its bytes.
    due: Box<Due<'a>>,
    outside: RefCell<Option<&'a mut dyn Outside>>,
    voices: RefCell<BTreeMap<u64, Voice>>,
    strangers: RefCell<Vec<Stranger>>,
    /// The topics before the input.
    pub intake: RefCell<Intake>,
    faults: Cell<u32>,
    /// Commits that may still come twice.
    repeats: Cell<u32>,
    faults_are_over: Cell<bool>,
    /// Whoever waits longer than this waits for ever.
    hope: Cell<Option<Millis>>,
    depth: Cell<u32>,
    trace: RefCell<Vec<String>>,
    seen: RefCell<BTreeMap<&'static str, usize>>,
    /// Before which calls processes were killed.
    deaths: RefCell<BTreeMap<&'static str, usize>>,
    trouble: RefCell<Option<String>>,
}

/// What lets the coordinator hear a member.
struct Voice {
    silent: Rc<Cell<bool>>,
    machine: Machine,
}

/// A transaction of somebody who writes to the input.
struct Stranger {
    producer: Producer,
    ends_at: Millis,
    commit: bool,
}

impl<'a> World<'a> {
    /// A world in which nothing has happened. The first machines belong to the replicas, the others are spare.
    pub fn new(
        scene: &'a Scene,
        machines: &'a [Machine],
        outside: &'a mut dyn Outside,
        birth: Box<Birth<'a>>,
        due: Box<Due<'a>>,
    ) -> Rc<Self> {
        let (used, spare) = machines.split_at(scene.replicas);
        let replica = |machine: &'a Machine| Replica {
            process: None,
            machine,
            is_running: false,
            incarnation: 0,
            starts_at: 0,
            clock: Clock::manual(scene.begin),
            behind: 0,
        };
        Rc::new_cyclic(|itself| World {
            itself: Weak::clone(itself),
            cluster: RefCell::new(
                Cluster::new(&scene.topics(), SESSION_TIMEOUT, scene.begin).into_input(scene.into_input),
            ),
            clock: Clock::manual(scene.begin),
            chance: RefCell::new(Rng::with_seed(scene.seed)),
            replicas: RefCell::new(used.iter().map(replica).collect()),
            hardware: machines,
            spare: RefCell::new(spare.iter().collect()),
            birth,
            due,
            outside: RefCell::new(Some(outside)),
            voices: RefCell::default(),
            strangers: RefCell::default(),
            intake: RefCell::default(),
            faults: Cell::new(scene.faults),
            repeats: Cell::new(if scene.tears { scene.faults } else { 0 }),
            faults_are_over: Cell::new(false),
            hope: Cell::new(None),
            depth: Cell::new(0),
            trace: RefCell::default(),
            seen: RefCell::default(),
            deaths: RefCell::default(),
            trouble: RefCell::default(),
            scene,
        })
    }

    /// Some number below `bound`.
    pub fn random(&self, bound: usize) -> usize {
        self.chance.borrow_mut().usize(..bound)
    }

    fn happens(&self, per_mille: u32) -> bool {
        self.chance.borrow_mut().u32(..1000) < per_mille
    }

    fn span(&self, from: Millis, to: Millis) -> Millis {
        self.chance.borrow_mut().i64(from..to)
    }

    /// One fault less to come, if there are any.
    fn fault(&self, per_mille: u32) -> bool {
        let comes = self.faults.get() > 0 && self.happens(per_mille);
        self.faults.set(self.faults.get() - u32::from(comes));
        comes
    }

    /// Writes down what happens, for whoever looks at one run.
    pub fn note(&self, words: impl FnOnce() -> String) {
        if self.scene.traced {
            let now = self.cluster.borrow().now;
            self.trace.borrow_mut().push(format!("{now:>9} {:>w$}{}", "", words(), w = 2 * self.depth.get() as usize));
        }
    }

    /// What was noted.
    pub fn take_trace(&self) -> Vec<String> {
        self.trace.take()
    }

    /// Writes down a fault, and counts it.
    pub fn happened(&self, what: &'static str, words: impl FnOnce() -> String) {
        self.count(what);
        self.note(words);
    }

    /// Counts what has happened, so that lives in which nothing does are known.
    pub fn count(&self, what: &'static str) {
        *self.seen.borrow_mut().entry(what).or_default() += 1;
    }

    /// What was counted, and how often a process was killed before which call.
    pub fn take_seen(&self) -> [BTreeMap<&'static str, usize>; 2] {
        [self.seen.take(), self.deaths.take()]
    }

    /// What must never happen did.
    pub fn report(&self, words: String) {
        self.note(|| format!("TROUBLE {words}"));
        self.trouble.borrow_mut().get_or_insert(words);
    }

    /// The first trouble that was reported.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.borrow().clone()
    }

    /// No faults from now on.
    pub fn calm(&self) {
        self.faults_are_over.set(true);
        self.faults.set(0);
        self.repeats.set(0);
        self.cluster.borrow_mut().calm();
        self.replicas.borrow_mut().iter_mut().for_each(|replica| replica.behind = 0);
        self.set_clocks();
    }

    /// Should somebody still wait at this moment, inside of a call, say, it is for ever: then all processes are killed.
    pub fn hope_until(&self, moment: Option<Millis>) {
        self.hope.set(moment);
    }

    /// Business time as a replica sees it.
    pub fn clock(&self, who: usize) -> Clock {
        self.replicas.borrow()[who].clock.clone()
    }

    fn set_clocks(&self) {
        let now = self.clock.now();
        self.replicas.borrow().iter().for_each(|replica| replica.clock.set(now - replica.behind));
    }

    // What the processes meet.

    /// Lets a process join the group; `silent` tells whether its heartbeats are missing.
    pub fn join(&self, identity: &str, silent: &Rc<Cell<bool>>, machine: &Machine) -> u64 {
        let id = {
            let mut cluster = self.cluster.borrow_mut();
            let now = cluster.now;
            cluster.group.join(identity, now)
        };
        self.note(|| format!("{identity} joins as member {id}"));
        self.voices.borrow_mut().insert(id, Voice { silent: Rc::clone(silent), machine: machine.clone() });
        id
    }

    /// Time passes for a process that waits, and others go on.
    pub fn wait(&self, span: Millis) {
        let until = self.cluster.borrow().now + span;
        while self.cluster.borrow().now < until {
            self.pump();
        }
    }

    // The world's own life.

    /// A little time, and something that happens in it.
    pub fn pump(&self) {
        if self.hope.get().is_some_and(|moment| moment < self.cluster.borrow().now) {
            self.hope.set(None);
            if self.cluster.borrow().speaks_to_nobody() {
                self.cluster.borrow_mut().depose(None);
            } else {
                self.report("I9: somebody waits for ever, though nothing stands against it".to_owned());
                self.hardware.iter().for_each(Machine::kill);
            }
        }
        let span = match self.random(20) {
            0 => self.span(200, 3_000),
            _ => self.span(1, 30),
        };
        self.pass(span);
        let markers = self.random(4);
        self.cluster.borrow_mut().write_markers(markers, |bound| self.random(bound));
        if self.depth.get() >= DEPTH_MAX {
            return;
        }
        self.depth.set(self.depth.get() + 1);
        let outside = self.outside.borrow_mut().take();
        if let Some(outside) = outside {
            let mut surface = Surface { world: self };
            match self.faults_are_over.get() {
                false => outside.live(&mut surface),
                true => outside.rest(&mut surface),
            }
            *self.outside.borrow_mut() = Some(outside);
        }
        self.let_one_run();
        self.depth.set(self.depth.get() - 1);
    }

    fn pass(&self, span: Millis) {
        let voices = self.voices.borrow();
        let is_silent = |id| voices.get(&id).is_none_or(|voice: &Voice| voice.silent.get() || voice.machine.is_dead());
        self.cluster.borrow_mut().pass(span, TRANSACTION_TIMEOUT, is_silent);
        drop(voices);
        let now = self.cluster.borrow().now;
        simulated::set(Some(Duration::from_millis(u64::try_from(now).unwrap_or(0))));
        let mut strangers = self.strangers.borrow_mut();
        strangers.retain(|stranger| {
            if stranger.ends_at <= now {
                // Timed out meanwhile: then it is aborted.
                let _ = self.cluster.borrow_mut().end(&stranger.producer, stranger.commit);
            }
            stranger.ends_at > now
        });
        drop(strangers);
        self.let_intake_run();
        self.may_restart_a_broker();
        self.may_lose_power();
        if self.happens(20) {
            let mut cluster = self.cluster.borrow_mut();
            let partition = self.chance.borrow_mut().i32(..self.scene.partitions);
            cluster.compact(CHANGELOG, partition, now - TOMBSTONES_KEPT, self.chance.borrow_mut().f64());
            self.count("compacted");
        }
    }

    fn let_intake_run(&self) {
        let mut intake = self.intake.borrow_mut();
        if self.fault(3) {
            intake.down_until = self.cluster.borrow().now + self.span(1_000, 20_000);
            self.happened("intake down", || "nobody reads the sources for a while".to_owned());
        }
        let mut cluster = self.cluster.borrow_mut();
        intake.end(&mut cluster);
        let (batches, commit) = (1 + self.random(8), !self.happens(100));
        let takes = if self.happens(900) { 0 } else { self.span(1, TRANSACTION_TIMEOUT / 2) };
        intake.begin(&mut cluster, batches, takes, commit);
    }

    fn let_one_run(&self) {
        if self.scene.replicas == 0 {
            return;
        }
        let who = self.random(self.scene.replicas);
        if self.fault(3) {
            self.set_back(who);
        }
        let (process, machine, incarnation) = {
            let mut replicas = self.replicas.borrow_mut();
            let replica = &mut replicas[who];
            if replica.is_running || replica.starts_at > self.cluster.borrow().now {
                return;
            }
            replica.is_running = true;
            (replica.process.take(), replica.machine, replica.incarnation)
        };
        let outcome = match process {
            Some(process) => self.run(who, process, machine),
            None => self.start(who, machine),
        };
        let mut replicas = self.replicas.borrow_mut();
        let replica = &mut replicas[who];
        // Whoever was replaced meanwhile has no place to return to.
        if replica.incarnation == incarnation {
            replica.is_running = false;
            replica.process = outcome;
            if replica.process.is_none() {
                drop(replicas);
                self.lay_to_rest(who, machine);
            }
        }
    }

    fn run(&self, who: usize, mut process: Box<dyn Process + 'a>, machine: &Machine) -> Option<Box<dyn Process + 'a>> {
        if self.fault(2) {
            self.note(|| format!("replica {who} is told to end"));
            process.drain();
            return None;
        }
        match process.turn() {
            Ok(()) => Some(process),
            Err(error) => self.ended(who, &error, machine),
        }
    }

    fn start(&self, who: usize, machine: &'a Machine) -> Option<Box<dyn Process + 'a>> {
        self.note(|| format!("replica {who} starts"));
        let itself = self.itself.upgrade()?;
        match (self.birth)(&itself, who, machine) {
            Ok(process) => Some(process),
            Err(error) => self.ended(who, &error, machine),
        }
    }

    fn ended(&self, who: usize, error: &Error, machine: &Machine) -> Option<Box<dyn Process + 'a>> {
        self.note(|| format!("replica {who} ends: {error}"));
        if error.verdict() == Verdict::Stop && !machine.is_dead() {
            self.report(format!("replica {who} stopped: {error}"));
        }
        None
    }

    /// The machine of a process that ended finds its disk as a crash or an orderly end leaves it.
    fn lay_to_rest(&self, who: usize, machine: &Machine) {
        let crashed = machine.is_dead();
        machine.revive(|batches| if crashed { self.random(batches) } else { batches });
        self.check(machine);
        if self.fault(100) {
            self.happened("disk lost", || format!("the disk of replica {who} is lost"));
            machine.lose();
        }
        let longest =
            if !self.faults_are_over.get() && self.happens(150) { 3 * TOMBSTONES_KEPT } else { 3 * SESSION_TIMEOUT };
        let pause = self.span(10, longest);
        self.replicas.borrow_mut()[who].starts_at = self.cluster.borrow().now + pause;
    }

    /// Checks what lies on a machine's disk.
    pub fn check(&self, machine: &Machine) {
        machine.contents().keys().for_each(|_| self.count("store checked"));
        if let Err(words) = checks::disk(&self.cluster.borrow(), machine, &*self.due) {
            self.report(words);
        }
    }

    /// What somebody still has to do, as far as one can see from outside.
    pub fn unrest(&self) -> Option<String> {
        if let Some(replica) = self.replicas.borrow().iter().position(|replica| replica.process.is_none()) {
            return Some(format!("replica {replica} does not run"));
        }
        if !self.outside.borrow().as_ref().is_some_and(|outside| outside.is_at_rest()) {
            return Some("the world outside goes on".to_owned());
        }
        if !self.intake.borrow().is_done() {
            return Some("the sources are not read to their end".to_owned());
        }
        let unread = (0..self.scene.partitions).find(|partition| self.is_unread(*partition));
        unread.map(|partition| format!("partition {partition} is not read to its end"))
    }

    /// Whether something in a partition of the input is not applied yet, or still open.
    pub fn is_unread(&self, partition: i32) -> bool {
        let cluster = self.cluster.borrow();
        let next = cluster.committed(partition).ok().flatten().unwrap_or(0);
        let log = cluster.partition(INPUT, partition);
        log.stable_end() < log.end() || log.committed_at(next).is_some()
    }

    /// The machines of the replicas.
    pub fn machines(&self) -> Vec<&'a Machine> {
        self.replicas.borrow().iter().map(|replica| replica.machine).collect()
    }

    /// Ends everything, so that nothing holds on to the world any more.
    pub fn close(&self) {
        let processes: Vec<_> =
            self.replicas.borrow_mut().iter_mut().filter_map(|replica| replica.process.take()).collect();
        for replica in self.replicas.borrow().iter() {
            replica.machine.kill();
        }
        drop(processes);
        simulated::set(None);
    }
}
