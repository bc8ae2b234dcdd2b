//! The life of a campaign: stops, pauses and migrations, in the order in which they were said.
//!
//! An instance counts how many of them are behind it, and meets the others when its row is next looked at. So it does not matter when
//! that is: what was said in between, such as a pause and its end, is met in its order, by every replica alike.

use schemas::{Millis, OnResume};

use crate::migration::Migration;

/// What was said.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// Running instances end.
    Stopped,
    /// They keep their place.
    Paused,
    /// They go on, or not.
    Resumed(OnResume),
    /// Those of one version move to another.
    Migrated(Migration),
}

/// What was said, and when.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub at: Millis,
    pub change: Change,
}

/// What a campaign does now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// It takes new instances.
    #[default]
    Running,
    /// It takes none, and running ones keep their place.
    Paused {
        /// Since when.
        since: Millis,
        /// What becomes of them when the pause is over.
        on_resume: OnResume,
    },
    /// It takes none, and running ones have ended.
    Stopped {
        /// Since when.
        since: Millis,
    },
}

/// What was said of one campaign, and what it does now.
#[derive(Clone, Debug, Default)]
pub(crate) struct Life {
    said: Vec<Said>,
    state: State,
}

impl Life {
    pub fn state(&self) -> State {
        self.state
    }

    /// A further pause only says anew what becomes of running instances in the end.
    pub fn pause(&mut self, at: Millis, on_resume: OnResume) {
        let since = match self.state {
            State::Paused { since, .. } => since,
            _ => self.say(at, Change::Paused),
        };
        self.state = State::Paused { since, on_resume };
    }

    pub fn resume(&mut self, at: Millis) {
        if let State::Paused { on_resume, .. } = self.state {
            self.say(at, Change::Resumed(on_resume));
        }
        self.state = State::Running;
    }

    pub fn stop(&mut self, at: Millis) {
        if !matches!(self.state, State::Stopped { .. }) {
            let since = self.say(at, Change::Stopped);
            self.state = State::Stopped { since };
        }
    }

    /// A new version starts a stopped campaign again; a paused one stays paused.
    pub fn define(&mut self) {
        if matches!(self.state, State::Stopped { .. }) {
            self.state = State::Running;
        }
    }

    pub fn migrate(&mut self, at: Millis, migration: Migration) {
        self.say(at, Change::Migrated(migration));
    }

    /// Clocks differ, but what was said later is later: sweeps tell them apart by that.
    fn say(&mut self, at: Millis, change: Change) -> Millis {
        let at = self.said.last().map_or(at, |last| at.max(last.at.saturating_add(1)));
        self.said.push(Said { at, change });
        at
    }

    pub fn said(&self) -> &[Said] {
        &self.said
    }

    /// What is not behind an instance that counts so many.
    pub fn since(&self, count: i32) -> &[Said] {
        usize::try_from(count).ok().and_then(|count| self.said.get(count..)).unwrap_or_default()
    }

    /// When a wait ends that would have ended at `due`, if it runs from `from` on and pauses up to `now` are no part of it.
    pub fn lengthened(&self, from: Millis, due: Millis, now: Millis) -> Millis {
        let mut due = due;
        let mut paused_at = None;
        for said in &self.said {
            match said.change {
                Change::Paused => paused_at = Some(said.at),
                Change::Resumed(on_resume) => {
                    let paused = paused_at.take().filter(|_| goes_on(on_resume));
                    due = paused.map_or(due, |paused| without(paused, said.at.min(now), from, due));
                }
                Change::Stopped => paused_at = None,
                Change::Migrated(_) => {}
            }
        }
        due
    }
}

/// Whether instances go on where they stood. A word that is not known is taken for that.
pub(crate) fn goes_on(on_resume: OnResume) -> bool {
    matches!(on_resume, OnResume::Continue | OnResume::Unspecified)
}

/// The end of a wait, put off by the part of a pause that lies in it.
fn without(paused: Millis, resumed: Millis, from: Millis, due: Millis) -> Millis {
    let part = resumed.saturating_sub(paused.max(from));
    if paused < due && part > 0 { due.saturating_add(part) } else { due }
}
