//! How much one customer is written to, whatever campaigns there are.

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use schemas::{Class, Counted, Millis};

use crate::calendar::{self, Recurrence, spell};
use crate::channel::Channel;
use crate::language::{CLASSES, Problem, RawCaps, Report, Source, Word, channel, read, word};
use crate::limits;

/// The caps of all campaigns. A message counts from the decision on, and no more once it is certain that nobody got it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caps {
    caps: Vec<Cap>,
    shared: Shared,
}

/// What is done about an address that several customers have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Shared {
    /// Nothing: each customer is on his own.
    #[default]
    Off,
    /// What is heard of it counts for all who have it.
    Facts,
}

/// So many messages in a window, and no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cap {
    /// How many.
    pub most: usize,
    /// In which time.
    pub window: Window,
    /// Of which channels; of all, if none is named.
    pub channels: Vec<&'static Channel>,
    /// Of which class.
    pub class: Class,
    /// What becomes of the message that would be one too many.
    pub then: Then,
}

/// The time over which messages are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// The last so many milliseconds.
    Rolling(Millis),
    /// The day, week or month on the customer's calendar: it begins at these moments.
    Calendar(Recurrence),
}

/// What becomes of a message over a cap, the strictest last. It never makes room for a dearer one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Then {
    /// It waits until there is room, as long as it is valid; else its cascade ends.
    Hold,
    /// The next one's turn, unless that is dearer.
    Skip,
    /// Its cascade ends.
    Stop,
}

const MIDNIGHT: Time = Time::midnight();

const PERIODS: &[(&str, Recurrence)] = &[
    ("day", Recurrence::Daily(MIDNIGHT)),
    ("week", Recurrence::Weekly(Weekday::Monday, MIDNIGHT)),
    ("month", Recurrence::Monthly(1, MIDNIGHT)),
];

pub(crate) const THENS: &[(&str, Then)] = &[("stop", Then::Stop), ("skip", Then::Skip), ("hold", Then::Hold)];

pub(crate) const SHARED: &[(&str, Shared)] = &[("off", Shared::Off), ("facts", Shared::Facts)];

impl Caps {
    /// Reads a table: `caps:`, a list of `{most: 1, per: day, channel: sms}`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(source_name: &str, yaml: &str) -> Result<Self, Vec<Problem>> {
        let source = Source { name: source_name, text: yaml };
        let raw: RawCaps = read(&source)?;
        let mut report = Report::new(&source);
        let mut caps = Vec::new();
        let mut counted = 0;
        for raw in &raw.caps {
            let most = usize::try_from(raw.most.value).unwrap_or(usize::MAX);
            let before = counted;
            counted += most.min(limits::COUNTED + 1);
            if before <= limits::COUNTED && counted > limits::COUNTED {
                let sentence = format!("all caps together may count to {}", limits::COUNTED);
                let hint = "what is remembered of a customer is bounded: write smaller numbers";
                report.error(raw.most.referenced, sentence, hint);
            }
            let window = window(&raw.per, &mut report);
            let named = raw.channel.iter().flat_map(|names| names.value.0.iter().map(|name| (name, names.referenced)));
            let channels = named.filter_map(|(name, place)| channel(name, place, &mut report)).collect();
            let class = raw.class.as_ref().and_then(|class| word(class, CLASSES, "class", &mut report));
            let then = raw.then.as_ref().and_then(|then| word(then, THENS, "way on", &mut report));
            let (class, then) = (class.unwrap_or(Class::Marketing), then.unwrap_or(Then::Stop));
            caps.extend(window.map(|window| Cap { most, window, channels, class, then }));
        }
        let shared = raw.shared_addresses.as_ref();
        let shared = shared.and_then(|shared| word(shared, SHARED, "way with shared addresses", &mut report));
        let problems = report.into_problems();
        if problems.is_empty() { Ok(Caps { caps, shared: shared.unwrap_or_default() }) } else { Err(problems) }
    }

    /// Whether what is heard of an address counts for all who have it.
    pub(crate) fn share_addresses(&self) -> bool {
        self.shared == Shared::Facts
    }

    /// Whether a message counts for any cap.
    pub(crate) fn count(&self, channel: &str, class: Class) -> bool {
        self.caps.iter().any(|cap| cap.covers(channel, class))
    }

    /// Whether a message of then is still asked for.
    pub(crate) fn remember(&self, counted: &Counted, now: Millis, zone: &TimeZone) -> bool {
        let asks = |cap: &Cap| cap.covers(&counted.channel, counted.class) && cap.window.since(now, zone) <= counted.at;
        self.caps.iter().any(asks)
    }

    /// The cap that leaves no room for a message now; of several the strictest, and of those the one that does so for longest.
    pub(crate) fn full(
        &self,
        channel: &str,
        class: Class,
        counted: &[Counted],
        now: Millis,
        zone: &TimeZone,
    ) -> Option<Full<'_>> {
        let caps = self.caps.iter().filter(|cap| cap.covers(channel, class));
        caps.filter_map(|cap| cap.full(counted, now, zone)).max_by_key(|full| (full.cap.then, full.until))
    }
}

/// A cap that leaves no room.
pub(crate) struct Full<'c> {
    pub cap: &'c Cap,
    /// How many messages it counts.
    pub counted: usize,
    /// When there is room again; never, for a cap that allows none.
    pub until: Millis,
}

impl Cap {
    fn covers(&self, channel: &str, class: Class) -> bool {
        self.class == class && (self.channels.is_empty() || self.channels.iter().any(|it| it.name == channel))
    }

    /// Whether it leaves no room for one more.
    fn full(&self, counted: &[Counted], now: Millis, zone: &TimeZone) -> Option<Full<'_>> {
        let since = self.window.since(now, zone);
        let counts = |it: &&Counted| it.at >= since && self.covers(&it.channel, it.class);
        let mut times: Vec<Millis> = counted.iter().filter(counts).map(|it| it.at).collect();
        let surplus = times.len().checked_sub(self.most)?;
        // What was taken for withdrawn and arrived all the same counts late, from its own moment.
        times.sort_unstable();
        let until = match (times.get(surplus), self.window) {
            (None, _) => Millis::MAX,
            (Some(at), Window::Rolling(length)) => at.saturating_add(length),
            (Some(_), Window::Calendar(periods)) => periods.next(0, now, zone).unwrap_or(Millis::MAX),
        };
        Some(Full { cap: self, counted: times.len(), until })
    }
}

/// As it is written: `1 in a day on sms`.
impl std::fmt::Display for Cap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} in ", self.most)?;
        match self.window {
            Window::Rolling(length) => f.write_str(&spell(length))?,
            Window::Calendar(periods) => {
                let named = PERIODS.iter().find(|(_, known)| *known == periods);
                write!(f, "a {}", named.map_or("period", |(name, _)| name))?;
            }
        }
        let channels: Vec<&str> = self.channels.iter().map(|channel| channel.name).collect();
        if channels.is_empty() { Ok(()) } else { write!(f, " on {}", channels.join(", ")) }
    }
}

impl Window {
    /// From when on messages count.
    fn since(self, now: Millis, zone: &TimeZone) -> Millis {
        match self {
            Window::Rolling(length) => now.saturating_sub(length).saturating_add(1),
            Window::Calendar(periods) => periods.latest(0, now, zone).unwrap_or(Millis::MIN),
        }
    }
}

fn window(per: &Word, report: &mut Report<'_>) -> Option<Window> {
    if let Some((_, periods)) = PERIODS.iter().find(|(name, _)| *name == per.value) {
        return Some(Window::Calendar(*periods));
    }
    match calendar::span(&per.value) {
        Ok(0) => report.error(per.referenced, "no time at all", "for example `24h` or `day`"),
        Ok(length) => return Some(Window::Rolling(length)),
        Err(_) => {
            let hint = "`day`, `week` or `month` on the customer's calendar, or the last so long: `24h`, `7d`";
            report.error(per.referenced, format!("`{}` is no time to count in", per.value), hint);
        }
    }
    None
}
