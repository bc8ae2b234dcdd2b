//! A shop on simulated brokers: random customers, campaigns, what is said of them, and words about messages; and the fold as judge.
//!
//! The engine, its store format and recovery are the real ones, and so are operator and brain. What is checked beyond the
//! engine's own invariants: rows, commands, withdrawals and journal are what `decide` folded over the input gives, and no
//! deadline was forgotten.

mod grammar;
mod judge;
mod marketer;
mod shop;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::AddAssign;

use operator::Operator;
use schemas::{Millis, Reason};
use stream::simulation::{Bug, Failure, Scene};

use crate::installation::suppressor;
use shop::Shop;

const CHANNELS: [&str; 6] = ["push", "email", "telegram", "viber", "whatsapp", "sms"];
/// Outputs of the operator in their order: journal, revoke, dead-letter, its own input, suppression, then the channels.
const JOURNAL: usize = 0;
const REVOKE: usize = 1;
const DEAD_LETTERS: usize = 2;
const INPUT: usize = 3;
const SUPPRESSION: usize = 4;
const SENDS: usize = 5;
/// Topics before the outputs.
const REFERENCE: usize = 2;
const FIRST_OUTPUT: usize = 3;

const BEGIN: Millis = 1_700_000_000_000;

/// A simulated shop; everything follows from its seed and its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Simulation {
    seed: u64,
    /// Customers.
    pub customers: usize,
    /// Things that happen to them, before messages are answered.
    pub events: usize,
    /// Campaigns that are there before anything happens.
    pub campaigns: usize,
    /// Things that are said of campaigns while it happens: new versions, pauses, stops, migrations, tables.
    pub sayings: usize,
    /// Kills, stops and losses, at most.
    pub faults: u32,
    /// Processes of the operator.
    pub replicas: usize,
    /// A mistake to be found.
    pub bug: Option<Bug>,
    /// Whether a transaction may be torn.
    tears: bool,
    /// Whether processes keep partitions of others warm.
    standby: bool,
}

/// What a run saw, to know that it saw something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sights {
    /// Records of the input.
    pub facts: usize,
    /// Commands.
    pub sends: usize,
    /// Withdrawals.
    pub revoked: usize,
    /// What one row said to another.
    pub forwarded: usize,
    /// Refusals that outlived an erasure.
    pub suppressed: usize,
    /// Owners of partitions, one after another.
    pub barriers: usize,
    /// Commands that torn transactions have left beside those that were decided again.
    pub torn: usize,
    /// Why something was decided.
    pub reasons: BTreeSet<Reason>,
    /// How often each fault has happened, and each thing that is looked for.
    pub seen: BTreeMap<&'static str, usize>,
    /// How often a process was killed before which call.
    pub deaths: BTreeMap<&'static str, usize>,
}

/// A run that showed a mistake.
#[derive(Debug)]
pub struct Mistake {
    /// What must never happen.
    pub words: String,
    /// What happened, call by call, if it was asked for.
    pub trace: Vec<String>,
}

impl Mistake {
    /// Mistakes against the same invariant are the same, as far as one can tell, or those that are told in the same words.
    pub fn kind(&self) -> String {
        let is_name = |word: &&str| {
            word.strip_prefix('I')
                .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
        };
        let told = || self.words.chars().filter(|c| !c.is_ascii_digit()).take(40).collect();
        self.words.split([' ', ':', '/']).find(is_name).map_or_else(told, str::to_owned)
    }
}

impl AddAssign for Sights {
    fn add_assign(&mut self, other: Sights) {
        self.facts += other.facts;
        self.sends += other.sends;
        self.revoked += other.revoked;
        self.forwarded += other.forwarded;
        self.suppressed += other.suppressed;
        self.barriers += other.barriers;
        self.torn += other.torn;
        self.reasons.extend(other.reasons);
        let count = |all: &mut BTreeMap<_, usize>, new: BTreeMap<&'static str, usize>| {
            new.into_iter().for_each(|(what, times)| *all.entry(what).or_default() += times);
        };
        count(&mut self.seen, other.seen);
        count(&mut self.deaths, other.deaths);
    }
}

impl Simulation {
    /// The shop of a seed.
    pub fn of_seed(seed: u64) -> Self {
        let mut chance = fastrand::Rng::with_seed(seed);
        Simulation {
            seed,
            customers: chance.usize(1..8),
            events: chance.usize(4..60),
            faults: chance.u32(0..14),
            replicas: chance.usize(1..4),
            bug: None,
            tears: chance.u32(..3) == 0,
            standby: chance.bool(),
            campaigns: chance.usize(1..8),
            sayings: chance.usize(0..12),
        }
    }

    /// Lives through it and judges.
    ///
    /// # Errors
    /// If anything is not as it must be.
    pub fn run(&self, traced: bool) -> Result<Sights, Mistake> {
        let channels: Vec<String> = CHANNELS.map(str::to_owned).to_vec();
        let registry = prometheus::Registry::new();
        let metrics = stream::Metrics::new(&registry, "input").expect("names are free");
        let counters = operator::Metrics::new(&registry, &channels).expect("names are free");
        let mut shop = Shop::new(self);
        let history = stream::simulation::run(
            &self.scene(traced),
            &metrics,
            &|| Operator::new("input", &channels, Some(suppressor()), counters.clone()),
            &mut shop,
        )
        .map_err(|Failure { words, trace }| Mistake { words, trace })?;
        self.judge(&history).map_err(|words| Mistake { words, trace: history.trace })
    }

    /// The smallest shop of the same seed that still shows a mistake, found by leaving out faults, events, customers and
    /// replicas.
    pub fn shrink(&self) -> Self {
        let kind = |simulation: &Simulation| simulation.run(false).err().map(|mistake| mistake.kind());
        let shown = kind(self);
        let mut smallest = self.clone();
        loop {
            // Halves first: a life that does not come to rest takes long to be known as one.
            let smaller = [
                Simulation { faults: smallest.faults / 2, ..smallest.clone() },
                Simulation { faults: smallest.faults.saturating_sub(1), ..smallest.clone() },
                Simulation { events: smallest.events / 2, ..smallest.clone() },
                Simulation { events: smallest.events.saturating_sub(1), ..smallest.clone() },
                Simulation { sayings: smallest.sayings.saturating_sub(1), ..smallest.clone() },
                Simulation { campaigns: (smallest.campaigns - 1).max(1), ..smallest.clone() },
                Simulation { customers: (smallest.customers - 1).max(1), ..smallest.clone() },
                Simulation { replicas: (smallest.replicas - 1).max(1), ..smallest.clone() },
            ];
            match smaller.into_iter().find(|next| next.size() != smallest.size() && kind(next) == shown) {
                Some(next) => smallest = next,
                None => return smallest,
            }
        }
    }

    /// How much there is of everything.
    pub fn size(&self) -> [usize; 6] {
        let faults = usize::try_from(self.faults).unwrap_or(usize::MAX);
        [self.replicas, self.customers, self.events, self.campaigns, self.sayings, faults]
    }

    fn scene(&self, traced: bool) -> Scene {
        Scene {
            seed: self.seed,
            replicas: self.replicas,
            partitions: 3,
            outputs: SENDS + CHANNELS.len(),
            into_input: Some(INPUT),
            begin: BEGIN,
            faults: self.faults,
            turns: 300,
            tears: self.tears,
            standby: self.standby,
            bug: self.bug,
            traced,
        }
    }
}
