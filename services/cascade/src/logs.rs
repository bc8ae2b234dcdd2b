//! Logs: constant words with data in fields, on stderr, so that stdout belongs to what a command was asked for.
//!
//! Some lines are written because of what strangers send, and a fault may repeat itself a thousand times a second: what warns or is an
//! error has a budget, by the place in the source that says it. See `logs/budget.rs`.

mod budget;
mod line;

use std::any::Any;
use std::io::IsTerminal;
use std::panic::PanicHookInfo;

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
    if tracing_subscriber::registry().with(settings.levels.clone()).with(layer).try_init().is_ok() {
        std::panic::set_hook(Box::new(tell_panic));
    }
}

/// A panic is a line of the log like all others, with its place in the source. The standard hook would print what the panic says, and that may
/// be a part of a message: who cuts a text at a wrong place is told the text.
fn tell_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    let thread = std::thread::current();
    let (place, thread) = (place.unwrap_or_default(), thread.name().unwrap_or_default());
    tracing::error!(place, thread, words = words(panic.payload()), "a panic");
}

/// What a panic says, where it says nothing but what stands in the source.
fn words(payload: &dyn Any) -> &'static str {
    payload.downcast_ref::<&'static str>().copied().unwrap_or("what it says may hold data and is not shown")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_tells_words_of_the_source_and_no_data() {
        let said = |panics: fn(&str)| {
            let payload = std::panic::catch_unwind(|| panics("Анна")).expect_err("it panics");
            words(&*payload)
        };
        assert_eq!(said(|_| panic!("the queue is empty")), "the queue is empty");
        let telling: [fn(&str); 2] =
            [|text| assert!(text[..1].is_empty(), "cut in a letter"), |text| panic!("no such customer: {text}")];
        for panics in telling {
            assert_eq!(said(panics), "what it says may hold data and is not shown");
        }
    }
}
