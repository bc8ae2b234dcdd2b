//! Metrics of the process as such. What a service counts is in that service's own `metrics.rs`.

use prometheus::process_collector::ProcessCollector;
use prometheus::{IntGauge, Opts, Registry};

/// A registry with the process's own metrics and `cascade_build_info{service, version}`.
///
/// # Errors
/// If a name is taken, which cannot happen in a new registry.
pub fn registry(service: &str) -> Result<Registry, prometheus::Error> {
    let registry = Registry::new();
    registry.register(Box::new(ProcessCollector::for_self()))?;
    let about = Opts::new("cascade_build_info", "Always 1; the labels say which service of which version runs.");
    let info =
        IntGauge::with_opts(about.const_label("service", service).const_label("version", env!("CARGO_PKG_VERSION")))?;
    info.set(1);
    registry.register(Box::new(info))?;
    Ok(registry)
}
