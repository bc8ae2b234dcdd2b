//! Whose turn it is: permitted by the breaker, the rate of its destination and the one of the channel, and with a message that can be made.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::trace::Context;
use schemas::{Id, Millis, Status};
use stream::clock::Tick;

use crate::breaker::Breaker;
use crate::groups::Groups;
use crate::lane::{Lane, Outcome};
use crate::limit::Limit;
use crate::metrics::ChannelMetrics;
use crate::render::{Flaw, Renderer};
use crate::transport::Message;

/// Whoever waits for a block is looked at again after this time, then after twice the time, and so on up to the last. Shorter than any
/// block is kept: what was fetched for a message is still there when its turn comes.
const BLOCK: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));

/// The same for whoever waits at the fence, for a text that is not here, or since others like it are not taken.
const FENCED: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));

/// So many are looked at for one trial: each may have something of its own to wait for, and its message is made for that.
const TRIED_AT_ONCE: usize = 64;

/// A command whose turn has come.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) id: Id,
    pub(crate) message: Message,
    pub(crate) send_before: Millis,
    /// When its command came into the topic.
    pub(crate) appended_at: Millis,
    /// Its place in a trace, if that is followed.
    pub(crate) place: Option<Context>,
}

/// Who decides about turns.
pub(crate) struct Chooser<'a> {
    pub(crate) limit: &'a Limit,
    pub(crate) breaker: &'a Breaker,
    pub(crate) renderer: &'a Renderer,
    pub(crate) metrics: &'a ChannelMetrics,
    pub(crate) calls_max: usize,
    /// The provider, or all routes to it, took nothing lately: what goes out tries whether that is over.
    pub(crate) is_trial: bool,
}

/// Whose turn was last.
#[derive(Debug)]
pub(crate) struct Turns {
    /// The partition of the command that had its turn last.
    last: i32,
    /// Trials so far.
    trials: u32,
    /// What is not taken, while others are.
    pub(crate) groups: Groups,
}

impl Turns {
    /// Of so many places, the one where this trial begins: each far from those before it.
    fn place_of(&self, places: usize) -> usize {
        /// The golden section of all numbers of 32 bits.
        const STEP: u32 = 0x9e37_79b9;
        let part = u64::from(self.trials.wrapping_mul(STEP));
        usize::try_from((part * u64::try_from(places).unwrap_or(0)) >> 32).unwrap_or(0)
    }
}

impl Default for Turns {
    fn default() -> Self {
        Turns { last: -1, trials: 0, groups: Groups::default() }
    }
}

impl Chooser<'_> {
    /// Takes the next commands, lane by lane in turn, beginning behind the one that had the last turn, so that a full one does not
    /// hold up the others. What cannot be rendered is settled on the way and uses up no permit. `now` and `tick` are the same moment.
    pub(crate) fn choose(
        &self,
        lanes: &mut BTreeMap<i32, Lane>,
        turns: &mut Turns,
        calls: usize,
        now: Millis,
        tick: Tick,
    ) -> Vec<Candidate> {
        let room = self.breaker.admits(calls, self.calls_max, tick);
        if room == 0 {
            return Vec::new();
        }
        if self.is_trial {
            return self.choose_for_trial(lanes, turns, room, now, tick);
        }
        let is_closed = |destination| self.limit.is_closed(destination, tick);
        let mut queues: Vec<_> =
            lanes.iter().map(|(partition, lane)| (*partition, lane.ready(tick, room, is_closed).into_iter())).collect();
        let behind = queues.partition_point(|(partition, _)| *partition <= turns.last);
        queues.rotate_left(behind);
        let mut chosen = Vec::new();
        loop {
            let mut idle = true;
            for (partition, queue) in &mut queues {
                let Some(offset) = queue.next() else { continue };
                idle = false;
                let Some(lane) = lanes.get_mut(partition) else { continue };
                match self.consider(lane, &mut turns.groups, (*partition, offset), now, tick) {
                    Turn::Comes(candidate) => {
                        turns.last = *partition;
                        chosen.push(*candidate);
                    }
                    Turn::Settled => {}
                    Turn::Waits => return chosen,
                }
                if chosen.len() == room {
                    return chosen;
                }
            }
            if idle {
                return chosen;
            }
        }
    }

    /// A message that will not be taken for a reason of its own, such as its destination, tells nothing of the others: were it the first one
    /// each time, all would wait as long as it does. So those are tried that were not tried yet, nor others like them, and each time from another place.
    fn choose_for_trial(
        &self,
        lanes: &mut BTreeMap<i32, Lane>,
        turns: &mut Turns,
        room: usize,
        now: Millis,
        tick: Tick,
    ) -> Vec<Candidate> {
        let is_closed = |destination| self.limit.is_closed(destination, tick);
        let mut all = Vec::new();
        for (partition, lane) in &*lanes {
            for offset in lane.ready(tick, usize::MAX, is_closed) {
                let Some((_, send)) = lane.command_at(offset) else { continue };
                let group = turns.groups.of(send);
                let is_second = lane.was_tried(offset) || turns.groups.is_left_alone(group);
                if turns.groups.admits(group, tick) {
                    all.push((is_second, *partition, offset));
                }
            }
        }
        all.sort_unstable();
        let fresh = all.partition_point(|(is_second, ..)| !is_second);
        let (fresh, tried) = all.split_at_mut(fresh);
        for places in [&mut *fresh, tried] {
            places.rotate_left(turns.place_of(places.len()));
        }
        let mut chosen = Vec::new();
        for (_, partition, offset) in all.into_iter().take(TRIED_AT_ONCE) {
            let Some(lane) = lanes.get_mut(&partition) else { continue };
            match self.consider(lane, &mut turns.groups, (partition, offset), now, tick) {
                Turn::Comes(candidate) => chosen.push(*candidate),
                Turn::Settled => {}
                Turn::Waits => break,
            }
            if chosen.len() == room {
                break;
            }
        }
        turns.trials = turns.trials.wrapping_add(u32::from(!chosen.is_empty()));
        chosen
    }

    fn consider(
        &self,
        lane: &mut Lane,
        groups: &mut Groups,
        (partition, offset): (i32, i64),
        now: Millis,
        tick: Tick,
    ) -> Turn {
        let passes = lane.passes_fence(offset, now);
        let Some(entry) = lane.entry(offset) else { return Turn::Settled };
        let group = groups.of(&entry.send.1);
        if !passes || !groups.admits(group, tick) {
            entry.rest(FENCED, tick);
            return Turn::Settled;
        }
        let (id, send) = &entry.send;
        let destination = match entry.waits_for {
            None if !entry.destined => self.limit.destination(&send.address),
            known => known,
        };
        // Before a message is made for nothing.
        if destination.is_some_and(|destination| self.limit.is_closed(destination, tick)) {
            entry.waits_for = destination;
            return Turn::Settled;
        }
        let message = match self.renderer.render(*id, send, now) {
            Ok(message) => message,
            Err(Flaw::WAITS) => {
                entry.rest(BLOCK, tick);
                return Turn::Settled;
            }
            Err(Flaw::OTHER_TEXT) => {
                if entry.lacks.replace(Flaw::OTHER_TEXT.0).is_none() {
                    self.metrics.other_text(send.text().0);
                }
                entry.rest(FENCED, tick);
                return Turn::Settled;
            }
            Err(flaw) => {
                lane.settle(offset, Outcome::of(Status::Refused, Some(flaw.0), now));
                return Turn::Settled;
            }
        };
        let (id, send_before, appended_at, place) = (*id, send.send_before, entry.appended_at, entry.place);
        entry.content = self.renderer.version(send);
        if !entry.permitted {
            let since = *entry.waits_since.get_or_insert(tick);
            if destination.is_some_and(|destination| !self.limit.permits_to(destination, tick)) {
                entry.waits_for = destination;
                return Turn::Settled;
            }
            (entry.destined, entry.waits_for) = (true, None);
            if !self.limit.permits() {
                return Turn::Waits;
            }
            entry.permitted = true;
            self.metrics.rate_limit_wait_seconds.observe(since.elapsed().as_secs_f64());
        }
        // Last of all: what does not go out has spent nothing.
        if !lane.charge(offset, now) {
            return Turn::Settled;
        }
        groups.goes(group, tick);
        Turn::Comes(Box::new(Candidate { partition, offset, id, message, send_before, appended_at, place }))
    }
}

enum Turn {
    Comes(Box<Candidate>),
    /// It is finished, or waits for something of its own.
    Settled,
    Waits,
}

#[cfg(test)]
mod tests;
