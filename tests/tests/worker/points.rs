//! Kills at each point of a call. The program is the one that is shipped: each point is reached, and shown to be reached, from
//! outside, by what the provider lets through and by what is committed.
//!
//! `skip` never sends twice, `resend` never loses, and what came twice is exactly what was in doubt and had been taken.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use schemas::Status;
use system_tests::broker::broker;
use system_tests::commands::{Ledger, Noted, Places, TEMPLATE};
use system_tests::gate::{Gate, Gateway};
use system_tests::installation::{Installation, Plan};
use system_tests::wait::until;

use crate::is_long;

const WORKER: &str = "channel sms";

/// Of each round under one policy.
const SENDS: usize = 1_000;

/// Slow enough to be caught in between.
const RATE_PER_SECOND: u32 = 1_000;

/// So many at once, at most.
const BURST: u32 = 16;

/// A transaction that is still open after this time, while its worker stands still, has not been ended.
const STILL: Duration = Duration::from_millis(300);

/// Where a worker is killed, in the order of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Point {
    /// The provider takes nothing, what was intended was taken back: commands wait, without intent.
    Waiting,
    /// An intent is written, and not committed.
    Intending,
    /// The intent is committed, and the provider has heard nothing.
    Intended,
    /// The provider has heard it, and not taken it.
    Heard,
    /// The provider has taken it, and not answered.
    Taken,
    /// The answer has come, and its outcome is not committed.
    Answered,
    /// All that is intended has an outcome that is committed, and there is more to do.
    Settled,
}

const POINTS: [Point; 7] =
    [Point::Waiting, Point::Intending, Point::Intended, Point::Heard, Point::Taken, Point::Answered, Point::Settled];

#[test]
fn a_worker_that_skips_never_sends_twice_wherever_it_is_killed() {
    at_each_point("skip");
}

#[test]
fn a_worker_that_resends_never_loses_wherever_it_is_killed() {
    at_each_point("resend");
}

fn at_each_point(policy: &str) {
    if !is_long() {
        return Story::begin(policy, "all").live(&POINTS);
    }
    for point in POINTS {
        Story::begin(policy, &format!("{point:?}").to_lowercase()).live(&[point; 10]);
    }
}

/// What was found when the worker was killed.
struct Death {
    point: Point,
    /// Whatever it wrote lies before these.
    ends: Places,
    /// How often each message had been heard and taken by then.
    heard: BTreeMap<String, usize>,
    taken: BTreeMap<String, usize>,
}

struct Story {
    policy: String,
    cascade: Installation,
    gateway: Gateway,
    ledger: Ledger,
    commanded: Vec<String>,
    deaths: Vec<Death>,
}

impl Story {
    fn begin(policy: &str, name: &str) -> Self {
        let gateway = Gateway::open();
        let templates = [format!("{TEMPLATE}.sms")];
        let name = format!("killed-{policy}-{name}");
        let mut cascade = Installation::prepare(&Plan {
            on_unknown: Some(policy),
            rate_per_second: RATE_PER_SECOND,
            burst: BURST,
            gateway: Some(gateway.address),
            plain_templates: &templates,
            // A call waits until its worker was killed.
            session_seconds: 20,
            ..Plan::new(&name, &[], &["sms"])
        });
        cascade.bring_up(&[WORKER]);
        let ledger = Ledger::of(&cascade, "sms");
        Story { policy: policy.to_owned(), cascade, gateway, ledger, commanded: Vec::new(), deaths: Vec::new() }
    }

    fn live(mut self, points: &[Point]) {
        for point in points {
            self.command(SENDS / points.len());
            self.reach(*point);
            self.die(*point);
        }
        self.command(SENDS.saturating_sub(self.commanded.len()));
        until("every command has an outcome", || self.ledger.look().settled.len() == self.commanded.len());
        self.judge();
    }

    fn command(&mut self, count: usize) {
        self.commanded.extend(self.cascade.command("sms", count));
    }

    // How each point is reached. The worker stands still, or waits, when this is done.

    fn reach(&mut self, point: Point) {
        let taken = self.gateway.taken().len();
        match point {
            Point::Waiting => {
                let before = self.ledger.look().taken_back;
                self.gateway.set(Gate::Busy);
                self.catch(|noted, is_open| !is_open && noted.in_doubt.is_empty() && noted.taken_back > before);
            }
            Point::Intending => self.catch(|noted, is_open| is_open && noted.in_doubt.is_empty()),
            Point::Intended => {
                // What is under way comes to its end first.
                self.gateway.set(Gate::Unreached);
                let heard = self.gateway.heard();
                let is_new = |id: &String| !heard.contains_key(id);
                self.catch(|noted, is_open| !is_open && noted.in_doubt.iter().any(is_new));
            }
            Point::Heard => {
                self.gateway.set(Gate::Heard);
                until("a message is heard", || self.gateway.inside() > 0);
            }
            Point::Taken => {
                self.gateway.set(Gate::Taken);
                until("a message is taken", || self.gateway.taken().len() > taken);
            }
            Point::Answered => {
                self.gateway.set(Gate::Taken);
                until("a message is taken", || self.gateway.taken().len() > taken);
                let calls = |story: &mut Self| story.cascade.service(WORKER).metric("cascade_hand_over_seconds_count");
                let before = calls(self);
                // Who gets no answer of the broker cannot commit.
                signal(Signal::SIGSTOP);
                self.gateway.set(Gate::Answered);
                until("an answer has come back", || calls(self) > before);
            }
            Point::Settled => {
                let settled = self.ledger.look().settled.len();
                self.catch(|noted, is_open| !is_open && noted.in_doubt.is_empty() && noted.settled.len() > settled);
            }
        }
    }

    /// Stops the worker again and again until it stands where it should, with something left to do.
    fn catch(&mut self, stands: impl Fn(&Noted, bool) -> bool) {
        let mut chance = fastrand::Rng::with_seed(self.commanded.len() as u64);
        until("the worker stands where it should", || {
            std::thread::park_timeout(Duration::from_micros(chance.u64(0..12_000)));
            self.cascade.service(WORKER).process().freeze();
            let (is_open, noted) = (self.ledger.is_open(), self.ledger.look());
            let left = self.commanded.len() - noted.settled.len();
            let mut is_caught = left > 0 && stands(&noted, is_open);
            if is_caught && is_open {
                // The word that ends it may be on its way.
                std::thread::park_timeout(STILL);
                is_caught = self.ledger.is_open();
            }
            if !is_caught {
                self.cascade.service(WORKER).process().thaw();
            }
            if left < usize::try_from(BURST).unwrap_or_default() {
                // It was done before we looked.
                self.command(50);
            }
            is_caught
        });
    }

    fn die(&mut self, point: Point) {
        self.cascade.kill(WORKER);
        if point == Point::Answered {
            signal(Signal::SIGCONT);
        }
        // Whoever was inside has gone with his connection: what is not taken by now never will be.
        // A request that it had written and nobody had read yet must not be read when the gate is open again, as if it had come later.
        until("the provider has noticed", || self.gateway.inside() == 0 && self.gateway.connections() == 0);
        let (heard, taken) = (self.gateway.heard(), self.gateway.taken());
        self.deaths.push(Death { point, ends: self.ledger.ends(), heard, taken });
        self.gateway.set(Gate::Answered);
        self.cascade.restart(WORKER);
    }

    // What must hold.

    fn judge(mut self) {
        let (told, taken) = (self.cascade.told(), self.gateway.taken());
        let known: BTreeSet<&String> = self.commanded.iter().collect();
        assert!(taken.keys().all(|id| known.contains(id)), "nobody commanded this");
        // How often each was taken by the end of the last call whose outcome is in doubt.
        let mut before: BTreeMap<String, usize> = BTreeMap::new();
        let mut repeats = 0;
        let mut lines = Vec::new();
        for death in std::mem::take(&mut self.deaths) {
            let noted = self.ledger.look_before(&death.ends);
            assert_point(&death, &noted);
            let taken_here = noted.in_doubt.iter().filter(|id| {
                let times = |counts: &BTreeMap<String, usize>| counts.get(*id).copied().unwrap_or_default();
                let in_this_call = times(&death.taken) - times(&before);
                assert!(in_this_call <= 1, "{id} was taken twice of one intent");
                before.insert((*id).clone(), times(&death.taken));
                in_this_call == 1
            });
            let taken_here = taken_here.count();
            repeats += taken_here;
            lines.push(format!("{:?}: {} in doubt, {taken_here} of them taken", death.point, noted.in_doubt.len()));
        }
        for id in &self.commanded {
            let times = taken.get(id).copied().unwrap_or_default();
            let after = times - before.get(id).copied().unwrap_or_default();
            let (status, expected) = match (self.policy.as_str(), before.contains_key(id)) {
                ("skip", true) => (Status::Unknown, 0),
                _ => (Status::Accepted, 1),
            };
            assert_eq!(told[id], [status], "what is told of {id}, which was taken {times} times");
            assert_eq!(after, expected, "{id} ({status}) was taken {times} times");
            assert!(self.policy != "skip" || times <= 1, "{id} was sent twice");
        }
        let twice: usize = taken.values().map(|times| times - 1).sum();
        assert_eq!(twice, if self.policy == "skip" { 0 } else { repeats }, "duplicates");
        let unknown = told.values().filter(|told| told.contains(&Status::Unknown)).count();
        system_tests::tell(format_args!(
            "{} under {}: {unknown} unknown, {twice} came twice\n       {}",
            self.commanded.len(),
            self.policy,
            lines.join("\n       "),
        ));
    }
}

/// The worker died where it was meant to.
fn assert_point(Death { point, heard, taken, .. }: &Death, noted: &Noted) {
    let some = |counts: &BTreeMap<String, usize>| noted.in_doubt.iter().any(|id| counts.contains_key(id));
    let new = |counts: &BTreeMap<String, usize>| noted.in_doubt.iter().any(|id| !counts.contains_key(id));
    let is_there = match point {
        Point::Waiting | Point::Intending | Point::Settled => noted.in_doubt.is_empty(),
        Point::Intended => new(heard),
        Point::Heard => some(heard) && new(taken),
        Point::Taken | Point::Answered => some(taken),
    };
    assert!(is_there, "it died elsewhere than {point:?}: {:?} in doubt", noted.in_doubt);
}

fn signal(signal: Signal) {
    let id = i32::try_from(broker().process()).expect("process ids are small");
    kill(Pid::from_raw(id), signal).expect("it is ours");
}
