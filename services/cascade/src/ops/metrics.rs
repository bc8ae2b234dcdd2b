//! Metrics of the process and its surroundings. What a service counts is in that service's own `metrics.rs`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::statvfs::statvfs;
use prometheus::core::{Collector, Desc};
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, GaugeVec, IntGauge, Opts, Registry};
use stream::{Probe, clock};

use crate::cli::VERSION;

/// A registry with the process's own metrics, its clock, whether it is ready, what waits for it, and `cascade_build_info{service, version}`. Every series in it,
/// also of what is registered later, says which installation it is of: one Prometheus may watch several, and must not add them up.
///
/// # Errors
/// If a name is taken, which cannot happen in a new registry.
pub fn registry(service: &str, installation: &str, probe: Probe) -> Result<Registry, prometheus::Error> {
    let everywhere = HashMap::from([("installation".to_owned(), installation.to_owned())]);
    let registry = Registry::new_custom(None, Some(everywhere))?;
    registry.register(Box::new(ProcessCollector::for_self()))?;
    registry.register(Box::new(MachineTime::new()?))?;
    registry.register(Box::new(Readiness::new(service, probe.clone())?))?;
    registry.register(Box::new(Times::unread(probe.clone())?))?;
    registry.register(Box::new(Times::unserved(probe)?))?;
    let about = Opts::new("cascade_build_info", "Always 1; the labels say which service of which version runs.");
    let info = IntGauge::with_opts(about.const_label("service", service).const_label("version", VERSION.as_str()))?;
    info.set(1);
    registry.register(Box::new(info))?;
    Ok(registry)
}

/// Shows how much room is left on the disk of a directory, and how many bytes are to stay free there.
///
/// # Errors
/// If a name is taken: one directory is watched, no more.
#[expect(clippy::cast_precision_loss, reason = "no disk has so many bytes that it would show")]
pub fn watch_disk(registry: &Registry, dir: PathBuf, reserve: u64) -> Result<(), prometheus::Error> {
    let reserved = Gauge::new(
        "cascade_state_disk_reserve_bytes",
        "Room that is to stay free on the disk of the state directory: with less, no partition is taken over.",
    )?;
    reserved.set(reserve as f64);
    registry.register(Box::new(reserved))?;
    registry.register(Box::new(Room {
        dir,
        free: Gauge::new(
            "cascade_state_disk_free_bytes",
            "Room on the disk of the state directory that is still free.",
        )?,
        size: Gauge::new("cascade_state_disk_size_bytes", "Size of the disk of the state directory.")?,
    }))
}

/// What this machine takes for the present: Prometheus compares it with its own clock.
struct MachineTime {
    now: Gauge,
}

impl MachineTime {
    fn new() -> Result<Self, prometheus::Error> {
        let now = Gauge::new(
            "cascade_machine_time_seconds",
            "What this machine takes for the present, in seconds since 1970, at the moment of the scrape.",
        )?;
        Ok(MachineTime { now })
    }
}

impl Collector for MachineTime {
    fn desc(&self) -> Vec<&Desc> {
        self.now.desc()
    }

    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 have 41 bits")]
    fn collect(&self) -> Vec<MetricFamily> {
        self.now.set(clock::machine_now() as f64 / 1000.0);
        self.now.collect()
    }
}

/// Whether the service can do its work, as `/ready` says.
struct Readiness {
    probe: Probe,
    ready: IntGauge,
}

impl Readiness {
    fn new(service: &str, probe: Probe) -> Result<Self, prometheus::Error> {
        let about =
            Opts::new("cascade_ready", "1 while the process can do its work, 0 while it cannot: as /ready says.");
        Ok(Readiness { probe, ready: IntGauge::with_opts(about.const_label("service", service))? })
    }
}

impl Collector for Readiness {
    fn desc(&self) -> Vec<&Desc> {
        self.ready.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.ready.set(self.probe.is_ready().into());
        self.ready.collect()
    }
}

/// Times by one label, as they are at the moment of the scrape: who hangs is behind by ever more.
struct Times {
    probe: Probe,
    gauges: GaugeVec,
    look: fn(&Probe) -> Vec<(String, Duration)>,
}

impl Times {
    /// How old the oldest record is that the loop has not consumed.
    fn unread(probe: Probe) -> Result<Self, prometheus::Error> {
        let about = Opts::new(
            "cascade_oldest_unread_seconds",
            "Age of the oldest record that is not consumed yet and committed, by topic; 0 where none waits.",
        );
        let look = |probe: &Probe| {
            let now = clock::machine_now();
            // A broker's clock may be ahead of ours.
            let age = |since: i64| Duration::from_millis(u64::try_from(now - since).unwrap_or(0));
            let oldest = probe.oldest_unread().into_iter();
            oldest.map(|(topic, since)| (topic, since.map_or(Duration::ZERO, age))).collect()
        };
        Ok(Times { probe, gauges: GaugeVec::new(about, &["topic"])?, look })
    }

    /// For how long partitions are this process's without being processed.
    fn unserved(probe: Probe) -> Result<Self, prometheus::Error> {
        let about = Opts::new(
            "cascade_partition_unserved_seconds",
            "Time for which a partition has been this process's without being processed, whatever it waits for; 0 while it is.",
        );
        let look = |probe: &Probe| {
            probe.unserved_for().into_iter().map(|(partition, time)| (partition.to_string(), time)).collect()
        };
        Ok(Times { probe, gauges: GaugeVec::new(about, &["partition"])?, look })
    }
}

impl Collector for Times {
    fn desc(&self) -> Vec<&Desc> {
        self.gauges.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.gauges.reset();
        for (label, time) in (self.look)(&self.probe) {
            self.gauges.with_label_values(&[&label]).set(time.as_secs_f64());
        }
        self.gauges.collect()
    }
}

struct Room {
    dir: PathBuf,
    free: Gauge,
    size: Gauge,
}

impl Collector for Room {
    fn desc(&self) -> Vec<&Desc> {
        self.free.desc().into_iter().chain(self.size.desc()).collect()
    }

    /// Nothing, where the disk does not answer: a value of yesterday would be worse.
    #[expect(clippy::cast_precision_loss, reason = "no disk has so many bytes that it would show")]
    fn collect(&self) -> Vec<MetricFamily> {
        let Ok(found) = statvfs(&self.dir) else { return Vec::new() };
        self.free.set(found.blocks_available().saturating_mul(found.fragment_size()) as f64);
        self.size.set(found.blocks().saturating_mul(found.fragment_size()) as f64);
        self.free.collect().into_iter().chain(self.size.collect()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value_of(registry: &Registry, name: &str) -> f64 {
        let families = registry.gather();
        families.iter().find(|family| family.name() == name).unwrap().get_metric()[0].get_gauge().get_value()
    }

    #[test]
    fn every_series_says_which_installation_it_is_of() {
        let registry = registry("operator", "shop", Probe::default()).unwrap();
        let counters = prometheus::IntCounterVec::new(Opts::new("later", "Registered by a service."), &["a"]).unwrap();
        counters.with_label_values(&["b"]).inc();
        registry.register(Box::new(counters)).unwrap();
        let families = registry.gather();
        assert!(families.iter().any(|family| family.name() == "later") && families.len() > 4);
        for metric in families.iter().flat_map(|family| family.get_metric()) {
            let named = metric.get_label().iter().find(|label| label.name() == "installation");
            assert_eq!(named.map(|label| label.value()), Some("shop"));
        }
    }

    #[test]
    fn what_waits_grows_older_from_scrape_to_scrape_though_the_loop_hangs() {
        let probe = Probe::default();
        let registry = registry("operator", "shop", probe.clone()).unwrap();
        let name = "cascade_oldest_unread_seconds";
        let is_shown =
            || registry.gather().iter().any(|family| family.name() == name && !family.get_metric().is_empty());
        assert!(!is_shown(), "a service that reads nothing");
        let mut unread = stream::unread::Unread::default();
        unread.read(clock::machine_now() - 60_000);
        probe.unread("input", 3, &mut unread);
        let before = value_of(&registry, name);
        assert!((60.0..90.0).contains(&before), "{before}");
        while value_of(&registry, name) <= before {}
        unread.end();
        unread.done();
        probe.unread("input", 3, &mut unread);
        assert!(value_of(&registry, name).abs() < f64::EPSILON);
        probe.released("input", 3);
        assert!(!is_shown());
    }

    #[test]
    fn a_partition_that_is_not_served_is_so_for_longer_from_scrape_to_scrape() {
        let probe = Probe::default();
        let registry = registry("operator", "shop", probe.clone()).unwrap();
        let name = "cascade_partition_unserved_seconds";
        let is_shown =
            || registry.gather().iter().any(|family| family.name() == name && !family.get_metric().is_empty());
        assert!(!is_shown(), "a service that has no state");
        probe.unserved(3);
        let before = value_of(&registry, name);
        while value_of(&registry, name) <= before {}
        probe.served(3);
        assert!(value_of(&registry, name).abs() < f64::EPSILON);
        probe.released("input", 3);
        assert!(!is_shown());
    }

    #[test]
    fn the_clock_the_disk_and_whether_it_is_ready_are_read_at_each_scrape() {
        let (dir, probe) = (tempfile::tempdir().unwrap(), Probe::default());
        let registry = registry("operator", "shop", probe.clone()).unwrap();
        for ready in [false, true, false] {
            probe.set_ready(ready);
            assert_eq!(value_of(&registry, "cascade_ready"), f64::from(u8::from(ready)));
        }
        watch_disk(&registry, dir.path().to_owned(), 256 << 20).unwrap();
        assert!((value_of(&registry, "cascade_state_disk_reserve_bytes") - 268_435_456.0).abs() < f64::EPSILON);
        let (free, size) = (
            value_of(&registry, "cascade_state_disk_free_bytes"),
            value_of(&registry, "cascade_state_disk_size_bytes"),
        );
        assert!(0.0 < free && free <= size, "{free} of {size} bytes are free");
        let before = value_of(&registry, "cascade_machine_time_seconds");
        // A clock that is read but once would keep this from ever ending.
        while value_of(&registry, "cascade_machine_time_seconds") <= before {}
        drop(dir);
        let measured = ["cascade_state_disk_free_bytes", "cascade_state_disk_size_bytes"];
        assert!(registry.gather().iter().all(|family| !measured.contains(&family.name())));
    }
}
