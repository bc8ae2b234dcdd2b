//! What a contender keeps: its size on the disk and in the log, and how fast it comes back from there.

use std::path::{Path, PathBuf};
use std::time::Duration;

use stream::clock::Tick;
use system_tests::broker::broker;
use system_tests::feed::Feed;
use system_tests::peers::PARTITIONS;

use super::ground::Ground;
use super::run::Run;

/// A cleaner rests for 15 seconds: what has not changed for longer is clean.
const CALM: Duration = Duration::from_secs(20);
const CLEANING: Duration = Duration::from_secs(300);
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// Figures of a contender's state.
#[derive(Clone, Debug)]
pub struct State {
    pub name: String,
    /// Bytes of its directory, and of its cleaned changelogs as they are stored.
    pub disk_bytes: u64,
    pub changelog_bytes: u64,
    /// Seconds of processor time, and of the wall, until a lost directory was there again.
    pub cpu_seconds: f64,
    pub wall_seconds: f64,
}

/// Bytes of all files under a directory.
pub fn bytes_in(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).expect("the directory can be read");
    let sizes = entries.map(|entry| {
        let entry = entry.expect("the directory can be read");
        let found = entry.metadata().expect("the file is there");
        if found.is_dir() { bytes_in(&entry.path()) } else { found.len() }
    });
    sizes.sum()
}

/// Bytes of the segments of compacted topics, once everything in them is cleaned. `nobody` is the key of a row that is not there.
pub fn cleaned_bytes(ground: &Ground, topics: &[String], nobody: &[u8]) -> u64 {
    let feed = Feed::new(ground.place.brokers());
    // The youngest segment is never cleaned: a record that comes after the segment's time begins another one.
    let begun = Tick::now();
    while begun.elapsed() < Duration::from_secs(6) {
        std::thread::park_timeout(BETWEEN_LOOKS);
    }
    for topic in topics {
        (0..PARTITIONS).for_each(|partition| feed.forget_in(topic, partition, nobody));
    }
    feed.flush();
    let size = || topics.iter().map(|topic| segments(topic)).sum::<u64>();
    let (begun, mut last, mut since) = (Tick::now(), size(), Tick::now());
    while since.elapsed() < CALM && begun.elapsed() < CLEANING {
        std::thread::park_timeout(BETWEEN_LOOKS);
        let now = size();
        if now != last {
            (last, since) = (now, Tick::now());
        }
    }
    last
}

/// Bytes of a topic's records on the broker's disk. Its indexes are allocated in advance, and not counted.
fn segments(topic: &str) -> u64 {
    let data = broker().dir().join("data");
    let partition = |number: i32| -> u64 {
        let Ok(files) = std::fs::read_dir(data.join(format!("{topic}-{number}"))) else { return 0 };
        let logs = files.filter_map(Result::ok).filter(|file| file.path().extension().is_some_and(|ext| ext == "log"));
        // The cleaner may have removed it just now.
        logs.map(|log| log.metadata().map_or(0, |found| found.len())).sum()
    };
    (0..PARTITIONS).map(partition).sum()
}

/// Removes the directory, starts the contender and waits until it is there again.
pub fn restore(mut run: impl FnMut() -> Run, state_dir: &PathBuf) -> (f64, f64) {
    std::fs::remove_dir_all(state_dir).expect("the directory can be removed");
    std::fs::create_dir_all(state_dir).expect("the directory can be made");
    let mut run = run();
    let samples = run.until(|sample| sample.ready);
    // Who says when he begins is spared what came before.
    let begun = samples.iter().find(|sample| sample.restoring).copied().unwrap_or_default();
    let ready = samples.last().copied().unwrap_or_default();
    run.end();
    (ready.cpu_seconds - begun.cpu_seconds, ready.wall_seconds - begun.wall_seconds)
}
