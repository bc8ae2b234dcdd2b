//! One service of the product: the real binary, its ops endpoint, its log.

use std::path::PathBuf;

use serde::Deserialize;

use crate::http::get;
use crate::process::Process;
use crate::wait::{until, until_some};

/// A running service.
#[derive(Debug)]
pub struct Service {
    /// As on the command line: `intake`, `channel sms`.
    pub name: String,
    process: Process,
    ops: PathBuf,
}

/// What a service says of itself.
#[derive(Clone, Debug, Deserialize)]
pub struct Progress {
    /// Whether it can work.
    pub ready: bool,
    /// The business time that it saw last.
    pub seen: i64,
    /// Every deadline up to here has fired.
    pub settled: Option<i64>,
    /// Topic, partition, next offset.
    pub positions: Vec<(String, i32, i64)>,
}

impl Service {
    /// Takes a started process over; `ops` is the file that its ops address will stand in.
    pub(crate) fn of(name: &str, process: Process, ops: PathBuf) -> Self {
        Service { name: name.to_owned(), process, ops }
    }

    /// Waits until it is ready.
    pub fn wait_until_ready(&mut self) {
        let name = self.name.clone();
        until(&format!("{name} is ready"), || {
            assert!(self.process.is_running(), "{name} has ended:\n{}", self.process.said());
            self.progress().is_some_and(|progress| progress.ready)
        });
    }

    /// What it says of itself; none while it does not answer.
    pub fn progress(&self) -> Option<Progress> {
        let address = std::fs::read_to_string(&self.ops).ok()?;
        serde_json::from_str(&get(&format!("http://{}/progress", address.trim()))?).ok()
    }

    /// The value of a metric, summed over its labels.
    pub fn metric(&self, name: &str) -> f64 {
        self.metric_with(name, "")
    }

    /// All its metrics, as they are scraped.
    pub fn metrics(&self) -> String {
        until_some("metrics are answered", || {
            let address = std::fs::read_to_string(&self.ops).ok()?;
            get(&format!("http://{}/metrics", address.trim()))
        })
    }

    /// The value of a metric, summed over the series with this label, as in `le="1"`.
    pub fn metric_with(&self, name: &str, label: &str) -> f64 {
        let text = self.metrics();
        let values = text.lines().filter_map(|line| line.strip_prefix(name)?.rsplit_once(' '));
        let series = values.filter(|(labels, _)| labels.is_empty() || labels.starts_with('{'));
        let chosen = series.filter(|(labels, _)| labels.contains(label));
        chosen.filter_map(|(_, value)| value.parse::<f64>().ok()).sum()
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}
