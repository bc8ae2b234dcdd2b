//! The two times, and the only place that may ask for either.
//!
//! *Business time* decides: deadlines, quiet hours, validity. It is handed down from `main` and recorded in META. *Machine
//! time* runs the process: commit age, watchdogs, provider limits, latencies. It is monotonic and never scaled.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::Error;

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type Millis = i64;

/// Business time. Cheap to clone; all clones show the same time.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System(Arc<Mutex<Steady>>),
    Manual(Arc<AtomicI64>),
    Driven(Arc<File>),
}

impl Clock {
    /// The system's wall clock. A leap forward is believed only after it has lasted for a while: deadlines that fired cannot be taken
    /// back, and META would keep the wrong time for ever.
    pub fn system() -> Self {
        Clock(Source::System(Arc::default()))
    }

    /// A clock that stands still until [`Clock::set`] moves it.
    pub fn manual(now: Millis) -> Self {
        Clock(Source::Manual(Arc::new(AtomicI64::new(now))))
    }

    /// A clock that another process drives by writing eight big-endian bytes to `path` (see [`Clock::drive`]). For the demo
    /// and for system tests, where several processes on one machine live through a year in minutes.
    ///
    /// # Errors
    /// If the file cannot be read or does not hold a time yet.
    pub fn driven(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(|error| {
            Error::stop("open the driven clock", format!("{}: {error}; start the driver first", path.display()))
        })?;
        let clock = Clock(Source::Driven(Arc::new(file)));
        match clock.now() {
            0 => Err(Error::stop("read the driven clock", format!("{} holds no time yet", path.display()))),
            _ => Ok(clock),
        }
    }

    /// Now.
    pub fn now(&self) -> Millis {
        match &self.0 {
            Source::System(steady) => steady.lock().unwrap_or_else(PoisonError::into_inner).judge(wall(), Tick::now()),
            Source::Manual(now) => now.load(Ordering::SeqCst),
            Source::Driven(file) => {
                let mut bytes = [0; 8];
                // A driver writes all eight bytes in one call; a failed read shows no progress rather than a wrong time.
                file.read_exact_at(&mut bytes, 0).map_or(0, |()| Millis::from_be_bytes(bytes))
            }
        }
    }

    /// How far it is ahead of another machine's clock, which showed `shown` so long ago. None for a clock that is not the system's, and
    /// where a few minutes do no harm.
    #[cfg(feature = "state")]
    pub(crate) fn ahead_of(&self, shown: Millis, ago: Duration) -> Option<Duration> {
        let Source::System(_) = &self.0 else { return None };
        let expected = shown + Millis::try_from(ago.as_millis()).unwrap_or(Millis::MAX);
        let ahead = self.now() - expected;
        (ahead > LEAP).then(|| Duration::from_millis(ahead.unsigned_abs()))
    }

    /// Moves a manual clock. Others go by themselves.
    pub fn set(&self, now: Millis) {
        if let Source::Manual(clock) = &self.0 {
            clock.store(now, Ordering::SeqCst);
        }
    }

    /// Writes `now` for all [`Clock::driven`] readers of `path`.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn drive(path: &Path, now: Millis) -> std::io::Result<()> {
        File::options().create(true).write(true).truncate(false).open(path)?.write_all_at(&now.to_be_bytes(), 0)
    }

    /// How long a loop may wait before it looks at the clock again: a driven clock jumps, a system clock flows.
    pub fn patience(&self) -> Duration {
        match self.0 {
            Source::System(_) => Duration::from_millis(100),
            Source::Manual(_) | Source::Driven(_) => Duration::from_millis(2),
        }
    }
}

/// A leap of the wall clock that is larger than this is doubted, and so is one that is farther ahead of the brokers', in ms.
const LEAP: Millis = 10 * 60_000;
/// Until it has lasted for so long.
const DOUBT: Duration = Duration::from_secs(300);

/// A wall clock that is held to the monotonic one.
#[derive(Debug, Default)]
struct Steady {
    /// The last reading that was believed.
    last: Option<(Millis, Tick)>,
    /// Since when a leap is doubted.
    doubted: Option<Tick>,
}

impl Steady {
    /// What time it is, if the wall says `wall` now.
    fn judge(&mut self, wall: Millis, now: Tick) -> Millis {
        let Some((last, at)) = self.last else {
            self.last = Some((wall, now));
            return wall;
        };
        let passed = now.0.saturating_duration_since(at.0);
        let expected = last + Millis::try_from(passed.as_millis()).unwrap_or(Millis::MAX);
        if wall - expected <= LEAP {
            (self.last, self.doubted) = (Some((wall, now)), None);
            return wall;
        }
        let since = *self.doubted.get_or_insert_with(|| {
            tracing::error!(
                minutes = (wall - expected) / 60_000,
                "the clock leapt forward; it is not believed for now"
            );
            now
        });
        if now.0.saturating_duration_since(since.0) < DOUBT {
            return expected;
        }
        tracing::warn!("the clock stayed where it leapt to; it is believed");
        (self.last, self.doubted) = (Some((wall, now)), None);
        wall
    }
}

/// Machine time: a point on the monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(Instant);

impl Tick {
    /// Now.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the monotonic clock")]
    pub fn now() -> Self {
        #[cfg(feature = "simulation")]
        if let Some(simulated) = simulated::elapsed() {
            return Tick(simulated::origin() + simulated);
        }
        Tick(Instant::now())
    }

    /// Time since then.
    pub fn elapsed(self) -> Duration {
        Tick::now().0 - self.0
    }

    /// The moment `wait` after this one.
    pub fn after(self, wait: Duration) -> Self {
        Tick(self.0 + wait)
    }

    /// Time until then, zero when it has passed.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Tick::now().0)
    }
}

/// Wall-clock machine time, as Kafka stamps records: for latencies between processes, never for decisions.
pub fn machine_now() -> Millis {
    #[cfg(feature = "simulation")]
    if let Some(simulated) = simulated::elapsed() {
        return Millis::try_from(simulated.as_millis()).unwrap_or(Millis::MAX);
    }
    wall()
}

/// How long ago that was, by the same clock. Another machine's may be ahead: what seems to come is now.
pub fn age(machine_time: Millis) -> Duration {
    Duration::from_millis(u64::try_from(machine_now().saturating_sub(machine_time)).unwrap_or(0))
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
fn wall() -> Millis {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX))
}

/// Machine time of a simulation: on the thread that sets it, it stands still until it is set again.
#[cfg(feature = "simulation")]
pub(crate) mod simulated {
    use std::cell::Cell;
    use std::sync::OnceLock;
    use std::time::{Duration, Instant};

    thread_local! {
        static ELAPSED: Cell<Option<Duration>> = const { Cell::new(None) };
    }

    /// Sets it; with none, the thread lives in real time again.
    pub fn set(elapsed: Option<Duration>) {
        ELAPSED.set(elapsed);
    }

    pub(super) fn elapsed() -> Option<Duration> {
        ELAPSED.get()
    }

    /// Any instant will do: only differences are seen.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the monotonic clock")]
    pub(super) fn origin() -> Instant {
        static ORIGIN: OnceLock<Instant> = OnceLock::new();
        *ORIGIN.get_or_init(Instant::now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Millis = 3_600_000;

    #[test]
    fn a_leap_forward_is_believed_only_after_it_has_lasted() {
        let (begin, mut steady) = (Tick::now(), Steady::default());
        let mut at = |seconds: u64, wall: Millis| steady.judge(wall, begin.after(Duration::from_secs(seconds)));
        assert_eq!(at(0, HOUR), HOUR);
        assert_eq!(at(1, HOUR + 1_000), HOUR + 1_000);
        assert_eq!(at(2, 900 * HOUR), HOUR + 2_000, "time goes on as the machine's does");
        assert_eq!(at(3, HOUR + 3_000), HOUR + 3_000, "it was a slip");
        assert_eq!(at(4, 900 * HOUR), HOUR + 4_000);
        assert_eq!(at(303, 900 * HOUR + 299_000), HOUR + 303_000);
        assert_eq!(at(304, 900 * HOUR + 300_000), 900 * HOUR + 300_000, "it has lasted");
        assert_eq!(at(305, HOUR), HOUR, "back is back: partitions never follow");
    }

    #[cfg(feature = "state")]
    #[test]
    fn a_clock_that_is_ahead_of_the_brokers_is_noticed() {
        let (clock, minutes) = (Clock::system(), |minutes: u64| Duration::from_secs(60 * minutes));
        let shown = clock.now() - 20 * 60_000;
        let ahead = clock.ahead_of(shown, minutes(1)).map(|ahead| ahead.as_secs() / 60);
        assert_eq!(ahead, Some(19));
        assert_eq!(clock.ahead_of(shown, minutes(15)), None, "brokers' clocks are no better than that");
        assert_eq!(clock.ahead_of(shown, minutes(60)), None, "nobody is messaged too early by a clock that is behind");
        assert_eq!(Clock::manual(clock.now()).ahead_of(shown, minutes(0)), None, "a driven time is no machine's");
    }
}
