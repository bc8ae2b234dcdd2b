//! Where contenders meet: the same input, a broker on one core, the contender on another.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use system_tests::broker::broker;
use system_tests::cpu::seconds_of;
use system_tests::feed::{Feed, create_topics, create_topics_with};
use system_tests::peers::load::Event;
use system_tests::peers::{OUTPUTS, PARTITIONS};
use system_tests::place::Place;
use system_tests::process::Process;

/// One for the broker, one for the contender.
const CORES: [&str; 2] = ["0", "1"];

/// A changelog is cleaned while it is written, so that its size says something.
const CHANGELOG: [(&str, &str); 4] = [
    ("cleanup.policy", "compact"),
    ("segment.bytes", "16777216"),
    ("segment.ms", "5000"),
    ("min.cleanable.dirty.ratio", "0.01"),
];

/// A place with an input.
pub struct Ground {
    pub place: Place,
    /// Name of the topic that everybody reads.
    pub input: String,
    is_pinned: bool,
}

impl Ground {
    /// With these events, all of them there before anybody begins.
    pub fn new(name: &str, events: impl Iterator<Item = Event>) -> Self {
        let place = Place::new(name);
        let input = place.topic("input");
        create_topics(place.brokers(), &[(&input, PARTITIONS)]);
        let feed = Feed::new(place.brokers());
        for event in events {
            feed.send(&input, &event.key(), &event.value);
        }
        feed.flush();
        let ground = Ground { place, input, is_pinned: can_pin() };
        if ground.is_pinned {
            pin(broker().process());
        }
        ground
    }

    /// Whether everybody has a core of his own.
    pub fn is_pinned(&self) -> bool {
        self.is_pinned
    }

    /// Topics of a contender, as in [`OUTPUTS`], made anew.
    pub fn outputs(&self, contender: &str) -> Vec<String> {
        let names: Vec<String> = OUTPUTS.iter().map(|name| self.place.topic(&format!("{contender}.{name}"))).collect();
        let topics: Vec<(&str, i32)> = names.iter().map(|name| (name.as_str(), PARTITIONS)).collect();
        create_topics(self.place.brokers(), &topics);
        names
    }

    /// A changelog, made anew.
    pub fn changelog(&self, contender: &str) -> String {
        let name = self.place.topic(&format!("{contender}.changelog"));
        create_topics_with(self.place.brokers(), &[(&name, PARTITIONS)], &CHANGELOG);
        name
    }

    /// Properties that every client needs, and these.
    pub fn properties(&self, more: &[(&str, &str)]) -> BTreeMap<String, String> {
        let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let needed = self.place.properties().iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        needed.chain(more).collect()
    }

    /// Where a contender keeps its state; empty.
    pub fn state_dir(&self, contender: &str) -> PathBuf {
        let dir = self.place.path(&format!("{contender}-state"));
        std::fs::create_dir_all(&dir).expect("the directory can be made");
        dir
    }

    /// Starts a contender on its core.
    pub fn start(&self, contender: &str, program: &Path, arguments: &[String]) -> Process {
        let log = self.place.path(&format!("{contender}.log"));
        // Of a former start of it, whose words are not those of this one.
        let _ = std::fs::remove_file(&log);
        let none: [(&str, &str); 0] = [];
        if !self.is_pinned {
            return Process::start(program, arguments, none, &log);
        }
        let program = program.display().to_string();
        let pinned = ["-c".to_owned(), CORES[1].to_owned(), program].into_iter().chain(arguments.iter().cloned());
        Process::start(Path::new("taskset"), pinned, none, &log)
    }

    /// The same with this program itself.
    pub fn start_self(&self, contender: &str, order: &impl serde::Serialize) -> Process {
        let order = serde_json::to_string(order).expect("it is JSON");
        let program = std::env::current_exe().expect("a process knows its program");
        self.start(contender, &program, &["peers".to_owned(), contender.to_owned(), order])
    }

    /// Processor time that the broker has taken, in seconds.
    pub fn broker_cpu(&self) -> f64 {
        seconds_of(&broker().process().to_string())
    }
}

fn can_pin() -> bool {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    cores >= CORES.len() && Command::new("taskset").arg("--version").output().is_ok_and(|said| said.status.success())
}

/// All threads of a process to the core of the broker.
fn pin(process: u32) {
    let told = Command::new("taskset").args(["-a", "-c", "-p", CORES[0], &process.to_string()]).output();
    assert!(told.is_ok_and(|told| told.status.success()), "the broker can be given a core");
}
