//! How far a contender is and what it has spent, said by itself again and again, so that whoever measures needs not ask.

use std::io::Write;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stream::clock::Tick;

use crate::cpu;

/// Between two samples.
const PERIOD: Duration = Duration::from_millis(50);

/// What stands in one line of a contender's output, as JSON.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Sample {
    /// Since the process began, in seconds.
    pub wall_seconds: f64,
    /// Processor time that the process has taken, in seconds.
    pub cpu_seconds: f64,
    /// Events that are done, results included.
    pub events: u64,
    /// Deadlines that have fired.
    pub fired: u64,
    /// Whether the results of those are committed, too.
    pub settled: bool,
    /// Whether it has begun to restore its state, where it says so.
    pub restoring: bool,
    /// Whether its state is there.
    pub ready: bool,
    /// Whether this is its last word: everything is closed.
    pub ended: bool,
}

/// Says something now and then, from a thread of its own. `look` fills in what only the contender knows.
///
/// # Errors
/// If the system has no thread left.
pub fn start(look: impl Fn(&mut Sample) + Send + 'static) -> std::io::Result<()> {
    let begun = Tick::now();
    stream::thread::spawn("meter", move || {
        loop {
            let mut sample = spent(begun);
            look(&mut sample);
            say(&sample);
            std::thread::park_timeout(PERIOD);
        }
    })?;
    Ok(())
}

/// What this process has spent since `begun`.
pub fn spent(begun: Tick) -> Sample {
    let (wall_seconds, cpu_seconds) = (begun.elapsed().as_secs_f64(), cpu::seconds_of("self"));
    Sample { wall_seconds, cpu_seconds, ..Sample::default() }
}

/// One line.
pub fn say(sample: &Sample) {
    let line = serde_json::to_string(sample).expect("it is JSON");
    // Whoever does not listen any more needs to hear no more.
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// The samples in what a contender has said.
pub fn samples(said: &str) -> Vec<Sample> {
    // The last line may not be whole yet.
    said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}
