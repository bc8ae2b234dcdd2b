//! The summing application as a process that can really be killed. See `system_tests::summer`.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use prometheus::{Registry, TextEncoder};
use stream::clock::Clock;
use stream::{Config, Metrics, Probe, Topics};
use system_tests::process::stop_on_sigterm;
use system_tests::summer::{Settings, Summer};

fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    let told: Settings = serde_json::from_str(&std::env::args().nth(1).ok_or("settings are missing")?)?;
    let topic = |name: &str| format!("{}.{name}", told.group);
    let topics = Topics {
        input: topic("input"),
        changelog: topic("changelog"),
        reference: None,
        outputs: vec![topic("sums"), topic("alarms")],
    };
    let config = Config {
        shards: told.shards,
        commit_records: told.commit_records,
        cache_rows: told.cache_rows,
        save_age: Duration::from_millis(told.save_age_ms),
        standby: told.standby,
        disk_reserve: told.disk_reserve,
        stillness_max: Duration::from_millis(told.stillness_max_ms),
        ..Config::new(&told.group, &told.instance, topics, told.state_dir.clone())
    };
    let kafka = stream::kafka::Settings {
        properties: Arc::new(told.properties.clone()),
        ..stream::kafka::Settings::new(&told.brokers, &told.instance)
    };
    let clock = match &told.clock {
        Some(path) => Clock::driven(path)?,
        None => Clock::system(),
    };
    let registry = Registry::new();
    let metrics = Metrics::new(&registry, &config.topics.input)?;
    if let Some(path) = told.metrics {
        stream::thread::spawn("metrics", move || show(&registry, &path))?;
    }
    let stop = stop_on_sigterm()?;
    say("joining");
    let trips = told.trips;
    Ok(stream::run(&kafka, &config, &clock, &Probe::default(), &stop, &metrics, || Summer { trips })?)
}

/// Until the process ends. Whoever reads the file finds all of it.
fn show(registry: &Registry, path: &PathBuf) {
    let new = path.with_extension("new");
    loop {
        let text = TextEncoder::new().encode_to_string(&registry.gather()).expect("metrics have names");
        std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, path)).expect("it can be written");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

#[expect(clippy::print_stderr, reason = "a test waits for this word")]
fn say(word: &str) {
    eprintln!("{word}");
}
