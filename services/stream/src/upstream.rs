//! How far the input is complete: the watermark's second level.
//!
//! What is not in the input yet may be in a topic before it, while whoever moves it is down or behind. So before deadlines fire, it
//! is asked: when the clock showed this moment, where did the source topics end, and has the group that reads them
//! committed everything before those ends? Then all of it is in the input, before the end that the input has now.
//!
//! No clock is compared with another one, and nobody has to tell of progress: offsets alone decide.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use prometheus::IntGauge;

use crate::Error;
use crate::clock::{Clock, Millis, Tick};
use crate::kafka::{Observer, Settings};

/// Who fills the input.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Consumer group.
    pub group: String,
    /// What it reads.
    pub topics: Vec<String>,
}

/// What shards ask, and one thread answers.
#[derive(Debug)]
pub struct Watch {
    clock: Clock,
    complete_until: AtomicI64,
    is_wanted: Mutex<bool>,
    wanted: Condvar,
    is_behind: IntGauge,
}

/// How often topics are counted anew: what is in a partition that is younger is not waited for.
const COUNT_AGAIN: Duration = Duration::from_secs(1);
/// How long to wait after the brokers gave no answer.
const REST: Duration = Duration::from_millis(500);

impl Watch {
    pub fn new(clock: &Clock, is_behind: IntGauge) -> Self {
        Watch {
            clock: clock.clone(),
            complete_until: AtomicI64::new(0),
            is_wanted: Mutex::new(false),
            wanted: Condvar::new(),
            is_behind,
        }
    }

    /// Business time up to which the input is complete. If that is before `moment`, it will be looked further.
    pub fn complete_until(&self, moment: Millis) -> Millis {
        let until = self.complete_until.load(Ordering::Acquire);
        if until < moment {
            *self.is_wanted.lock().unwrap_or_else(PoisonError::into_inner) = true;
            self.wanted.notify_one();
        }
        until.min(moment)
    }

    /// Looks, whenever somebody wants to know, until `stop` is set. Counts its turns for whoever watches over it.
    ///
    /// # Errors
    /// If the client cannot be made.
    pub fn run(
        &self,
        settings: &Settings,
        upstream: &Upstream,
        turns: &AtomicU64,
        stop: &AtomicBool,
    ) -> Result<(), Error> {
        let observer = Observer::new(settings, &upstream.group)?;
        let mut sources = Sources::default();
        while !stop.load(Ordering::Relaxed) {
            turns.fetch_add(1, Ordering::Relaxed);
            if !self.wait_for_a_question() {
                continue;
            }
            let moment = self.clock.now();
            let hold = |wait| {
                turns.fetch_add(1, Ordering::Relaxed);
                self.is_behind.set(1);
                observer.rest(wait);
                !stop.load(Ordering::Relaxed)
            };
            match sources.look(&observer, upstream, || hold(self.clock.patience() / 4)) {
                Ok(true) => {
                    self.complete_until.fetch_max(moment, Ordering::Release);
                    self.is_behind.set(0);
                }
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!("deadlines wait, because it is not known how far the sources were read: {error}");
                    hold(REST);
                }
            }
        }
        Ok(())
    }

    fn wait_for_a_question(&self) -> bool {
        let is_wanted = self.is_wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.wanted.wait_timeout_while(is_wanted, REST, |is_wanted| !*is_wanted);
        let (mut is_wanted, _) = waited.unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *is_wanted)
    }
}

/// The partitions of the source topics.
#[derive(Default)]
struct Sources {
    partitions: Vec<Place>,
    counted: Option<Tick>,
}

impl Sources {
    /// Waits until everything that is in the sources now has been read; `goes_on` is asked in between. True if it has been.
    fn look(
        &mut self,
        observer: &Observer,
        upstream: &Upstream,
        mut goes_on: impl FnMut() -> bool,
    ) -> Result<bool, Error> {
        if self.counted.is_none_or(|counted| counted.elapsed() > COUNT_AGAIN) {
            self.partitions = observer.partitions(&upstream.topics)?;
            self.counted = Some(Tick::now());
        }
        let mut behind = ends(observer, &self.partitions)?;
        behind.retain(|_, end| *end > 0);
        loop {
            let asked: Vec<Place> = behind.keys().cloned().collect();
            let mut beyond = Vec::new();
            for position in observer.committed(&asked)? {
                let place = (position.topic, position.partition);
                let next = match position.offset {
                    Some(next) => next,
                    // Nothing was ever read: right only where there is nothing.
                    None => observer.first(&place.0, place.1)?,
                };
                match behind.get(&place) {
                    Some(end) if next > *end => beyond.push((place, next)),
                    Some(end) if next == *end => _ = behind.remove(&place),
                    _ => {}
                }
            }
            // It may have grown since its end was asked. A topic that was made anew, or has lost its end, has not: nobody knows what
            // of it was read.
            for place in within(observer, beyond)? {
                behind.remove(&place);
            }
            if behind.is_empty() {
                return Ok(true);
            }
            if !goes_on() {
                return Ok(false);
            }
        }
    }
}

/// Topic and partition.
type Place = (String, i32);

/// Where partitions end now.
fn ends(observer: &Observer, places: &[Place]) -> Result<BTreeMap<Place, i64>, Error> {
    let ends = observer.ends(places)?.into_iter();
    Ok(ends.map(|(topic, partition, end)| ((topic, partition), end)).collect())
}

/// Of next offsets in partitions those that are within them as they are now.
fn within(observer: &Observer, positions: Vec<(Place, i64)>) -> Result<Vec<Place>, Error> {
    if positions.is_empty() {
        return Ok(Vec::new());
    }
    let places: Vec<Place> = positions.iter().map(|(place, _)| place.clone()).collect();
    let ends = ends(observer, &places)?;
    let is_within = |(place, next): (Place, i64)| ends.get(&place).is_some_and(|end| next <= *end).then_some(place);
    Ok(positions.into_iter().filter_map(is_within).collect())
}
