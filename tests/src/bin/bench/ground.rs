//! A Cascade with its usual settings on a broker of its own: what is measured is what one gets.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use schemas::Topics;
use system_tests::http::get;
use system_tests::installation::binary;
use system_tests::place::Place;
use system_tests::process::Process;
use system_tests::service::Progress;

use crate::eye::ends;
use system_tests::cpu;

/// Partitions of `input` and of everything beside it, unless a measurement wants others.
pub const PARTITIONS: i32 = 4;

/// The channel of the one campaign.
pub const CHANNEL: &str = "push";

/// Speaks at once, so that nothing is waited for.
const CAMPAIGN: &str = "\
campaign: at-once
version: 1
trigger: {on: registration}
goal: {action: purchase}
stop: goal
steps:
  - {name: hello, channel: push, template: welcome, wait: 1d}
";

const BETWEEN_QUESTIONS: Duration = Duration::from_millis(50);

/// Topics and a campaign, and no service yet.
pub struct Ground {
    /// Names of the topics.
    pub topics: Topics,
    /// Directories and the broker.
    pub place: Place,
    /// Of `input` and of everything beside it.
    pub partitions: i32,
}

impl Ground {
    /// Everything that services need to start.
    pub fn new(name: &str) -> Self {
        Ground::with(name, PARTITIONS)
    }

    /// The same with so many partitions.
    pub fn with(name: &str, partitions: i32) -> Self {
        let place = Place::new(name);
        let ground = Ground { topics: Topics::new(&place.prefix), place, partitions };
        let campaign = ground.place.path("at-once.yaml");
        std::fs::write(&campaign, CAMPAIGN).expect("the directory can be written to");
        ground.tool(&["topics", "apply"]);
        ground.tool(&["campaign", "apply", &campaign.display().to_string()]);
        ground
    }

    /// Starts a service, and does not wait until it is ready.
    pub fn start(&self, name: &str) -> Running {
        self.start_with(name, &[])
    }

    /// The same with further settings.
    pub fn start_with(&self, name: &str, more: &[(&'static str, String)]) -> Running {
        let file = name.replace(' ', "-");
        let ops = self.place.path(&format!("{file}.ops"));
        let _ = std::fs::remove_file(&ops);
        let mut settings = self.settings();
        settings.extend(more.iter().map(|(key, value)| (*key, value.into())));
        settings.push(("CASCADE_OPS_PORT_FILE", ops.clone().into()));
        let process = Process::start(&binary(), name.split(' '), settings, &self.place.path(&format!("{file}.log")));
        Running { name: name.to_owned(), process, ops }
    }

    fn tool(&self, arguments: &[&str]) {
        let ended =
            Command::new(binary()).args(arguments).envs(self.settings()).output().expect("the program can be run");
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    }

    fn settings(&self) -> Vec<(&'static str, OsString)> {
        vec![
            ("CASCADE_BROKERS", self.place.brokers().into()),
            ("CASCADE_INSTANCE", "one".into()),
            ("CASCADE_CHANNELS", CHANNEL.into()),
            ("CASCADE_TOPICS_PREFIX", self.place.prefix.clone().into()),
            ("CASCADE_TOPICS_PARTITIONS", self.partitions.to_string().into()),
            ("CASCADE_STATE_DIR", self.state_dir().into()),
        ]
    }

    /// Where the operator's stores lie.
    pub fn state_dir(&self) -> PathBuf {
        self.place.path("state")
    }
}

/// A service that runs.
pub struct Running {
    name: String,
    process: Process,
    ops: PathBuf,
}

impl Running {
    /// Waits, as long as it lives, until it is ready.
    pub fn wait_until_ready(&mut self) {
        while !self.progress().is_some_and(|progress| progress.ready) {
            assert!(self.process.is_running(), "{} has ended:\n{}", self.name, self.process.said());
            std::thread::park_timeout(BETWEEN_QUESTIONS);
        }
    }

    /// Ends it in an orderly way.
    pub fn end(mut self) {
        assert!(self.process.terminate().success(), "{}", self.process.said());
    }

    /// The present value of a metric, summed over its labels; 0 while it is not there.
    pub fn metric(&self, name: &str) -> f64 {
        let text = self.address().and_then(|address| get(&format!("http://{address}/metrics"))).unwrap_or_default();
        let values = text.lines().filter_map(|line| line.strip_prefix(name)?.rsplit_once(' '));
        let series = values.filter(|(labels, _)| labels.is_empty() || labels.starts_with('{'));
        series.filter_map(|(_, value)| value.parse::<f64>().ok()).sum()
    }

    /// As [`Process::memory_mb`].
    pub fn memory_mb(&self, line: &str) -> f64 {
        self.process.memory_mb(line)
    }

    /// Waits, as long as it lives, until it is done with everything that is in the topic now, results included.
    pub fn wait_until_done(&mut self, brokers: &str, topic: &str) {
        let ends = ends(brokers, topic);
        while !self.progress().is_some_and(|progress| is_past(&progress, topic, &ends)) {
            assert!(self.process.is_running(), "{} has ended:\n{}", self.name, self.process.said());
            // Its answers are its work, too: few questions are asked.
            std::thread::park_timeout(BETWEEN_QUESTIONS);
        }
    }

    /// Processor time that it has taken, in seconds.
    pub fn cpu_seconds(&self) -> f64 {
        cpu::seconds_of(&self.process.id().to_string())
    }

    fn progress(&self) -> Option<Progress> {
        serde_json::from_str(&get(&format!("http://{}/progress", self.address()?))?).ok()
    }

    fn address(&self) -> Option<String> {
        std::fs::read_to_string(&self.ops).ok().map(|address| address.trim().to_owned())
    }
}

fn is_past(progress: &Progress, topic: &str, ends: &[(i32, i64)]) -> bool {
    let next_of = |partition: i32| {
        let found = progress.positions.iter().find(|(name, at, _)| name == topic && *at == partition);
        found.map_or(0, |(_, _, next)| *next)
    };
    ends.iter().all(|(partition, end)| next_of(*partition) >= *end)
}
