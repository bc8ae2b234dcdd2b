//! Logs: constant words with data in fields, on stderr, so that stdout belongs to what a command was asked for.
//!
//! Some lines are written because of what strangers send, and a fault may repeat itself a thousand times a second: what warns or is an
//! error has a budget, by the place in the source that says it. See `logs/budget.rs`.

mod budget;
mod line;

use std::io::IsTerminal;

use stream::clock::Tick;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use line::Lines;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For eyes.
    Text,
    /// One object per line, for machines.
    Json,
}

/// What is logged, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How log lines look.
    pub format: Format,
    /// Levels, by target.
    pub levels: Targets,
    /// This process among its like.
    pub instance: String,
    /// Which installation it belongs to, as its metrics say.
    pub installation: String,
}

/// What the tools call themselves, each of which runs for a moment.
pub const TOOLS: &str = "tools";

/// Starts logging for the rest of the process, which is this service.
pub fn start(settings: &Settings, service: &str) {
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && settings.format == Format::Text)
        .event_format(Lines::new(settings, service, Tick::now));
    // A second start can only be a test's: the first one's settings stay.
    let _ = tracing_subscriber::registry().with(settings.levels.clone()).with(layer).try_init();
}
