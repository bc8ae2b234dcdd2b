//! How many lines one place of the source may write: whoever floods it hides neither what others say nor fills a disk.

use std::collections::HashMap;
use std::time::Duration;

use stream::clock::Tick;
use tracing::callsite::Identifier;
use tracing::{Level, Metadata};

/// So long a budget lasts.
pub(super) const WINDOW: Duration = Duration::from_secs(10);

/// Lines of one place in this time.
pub(super) const LINES: u64 = 10;

/// The same where one place says what many do.
const LINES_OF_MANY: u64 = 100;

/// Libraries whose words all come from one place.
const MANY: [&str; 2] = ["librdkafka", "log"];

/// The budgets of all places.
#[derive(Debug, Default)]
pub(super) struct Budget(HashMap<Identifier, Window>);

/// What a place has said since.
#[derive(Debug)]
struct Window {
    begun: Tick,
    said: u64,
    of: &'static Metadata<'static>,
}

/// Lines that nobody sees, of one place.
#[derive(Clone, Debug)]
pub(super) struct LeftOut {
    /// Which.
    pub of: &'static Metadata<'static>,
    /// How many.
    pub lines: u64,
}

impl Budget {
    /// Whether this place may write another line now, and what was left out in times that are over.
    pub fn judge(&mut self, of: &'static Metadata<'static>, now: Tick) -> (Vec<LeftOut>, bool) {
        let mut left_out = Vec::new();
        self.0.retain(|_, window| {
            let lasts = now < window.begun.after(WINDOW);
            if !lasts && window.said > lines(window.of) {
                left_out.push(LeftOut { of: window.of, lines: window.said - lines(window.of) });
            }
            lasts
        });
        if *of.level() > Level::WARN {
            return (left_out, true);
        }
        let window = self.0.entry(of.callsite()).or_insert(Window { begun: now, said: 0, of });
        window.said += 1;
        (left_out, window.said <= lines(of))
    }
}

fn lines(of: &Metadata<'_>) -> u64 {
    if MANY.contains(&of.target()) { LINES_OF_MANY } else { LINES }
}
