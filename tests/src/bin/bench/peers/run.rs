//! What a contender has done, from what it says of itself.

use std::time::Duration;

use stream::clock::Tick;
use system_tests::peers::judge::{Tally, found};
use system_tests::peers::meter::{Sample, samples};
use system_tests::process::Process;

use super::ground::Ground;

const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// Nobody needs longer, whatever the size.
const PATIENCE: Duration = Duration::from_secs(1_800);

/// The kernel counts processor time in these.
const TICK_SECONDS: f64 = 0.01;

/// A contender that works.
pub struct Run {
    name: String,
    process: Process,
    broker_before: f64,
}

impl Run {
    /// Watches a process that was just started.
    pub fn of(name: &str, process: Process, broker_before: f64) -> Self {
        Run { name: name.to_owned(), process, broker_before }
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Waits, as long as it lives, until a sample is as wished; gives back all up to that one.
    pub fn until(&mut self, wished: impl Fn(&Sample) -> bool) -> Vec<Sample> {
        let end = Tick::now().after(PATIENCE);
        loop {
            let is_running = self.process.is_running();
            let mut samples = self.samples();
            if let Some(found) = samples.iter().position(&wished) {
                samples.truncate(found + 1);
                return samples;
            }
            assert!(is_running, "{} has ended:\n{}", self.name, self.process.said());
            assert!(!end.remaining().is_zero(), "{} does not come to an end", self.name);
            std::thread::park_timeout(BETWEEN_LOOKS);
        }
    }

    /// Broker's CPU since it was started, in seconds.
    pub fn broker_cpu(&self, ground: &Ground) -> f64 {
        ground.broker_cpu() - self.broker_before
    }

    fn samples(&self) -> Vec<Sample> {
        samples(&self.process.said())
    }

    /// Asks it to end, waits for that, and gives back its last word.
    pub fn end(mut self) -> Sample {
        let ended = self.process.terminate();
        let last = self.samples().pop().filter(|sample| sample.ended);
        last.unwrap_or_else(|| panic!("{} did not end well ({ended}):\n{}", self.name, self.process.said()))
    }
}

/// Figures of a run over the whole input.
#[derive(Clone, Debug)]
pub struct Drained {
    pub name: String,
    /// Events for each second of processor time: of the whole run, start included, and from the moment when half of them were done.
    pub whole: f64,
    pub half: f64,
    /// Events for each second, from the first one that was done.
    pub per_second: f64,
    /// Processor time of the contender until all was done, what it took to close beyond that, and the broker's, in seconds.
    pub cpu_seconds: f64,
    pub closing_seconds: f64,
    pub broker_seconds: f64,
    /// Whether what it wrote is right; none where it is not judged.
    pub is_right: Option<bool>,
}

/// Lets a contender do all of it. After the last event it is given `tail` for its last commit, which counts.
pub fn drain(ground: &Ground, mut run: Run, events: u64, tail: Duration) -> Drained {
    let mut samples = run.until(|sample| sample.events >= events);
    if !tail.is_zero() {
        let end = samples.last().map_or(0.0, |sample| sample.wall_seconds) + tail.as_secs_f64();
        samples.extend(run.until(|sample| sample.wall_seconds >= end).pop());
    }
    let broker_seconds = run.broker_cpu(ground);
    let name = run.name().to_owned();
    let last = samples.last().copied().unwrap_or_default();
    let at = |least: u64| samples.iter().find(|sample| sample.events >= least).copied().unwrap_or_default();
    let (first, half, done) = (at(1), at(events / 2), at(events));
    Drained {
        name,
        whole: events as f64 / last.cpu_seconds,
        half: (events - half.events) as f64 / (last.cpu_seconds - half.cpu_seconds).max(TICK_SECONDS),
        per_second: (events - first.events) as f64 / (done.wall_seconds - first.wall_seconds),
        cpu_seconds: last.cpu_seconds,
        closing_seconds: run.end().cpu_seconds - last.cpu_seconds,
        broker_seconds,
        is_right: None,
    }
}

impl Drained {
    /// With what lies in its topics, beside what should.
    pub fn judged(mut self, ground: &Ground, outputs: &[String], right: &[Tally; 4]) -> Self {
        self.is_right = Some(found(ground.place.brokers(), outputs) == *right);
        self
    }
}
