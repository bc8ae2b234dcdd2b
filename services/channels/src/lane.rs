//! One partition of a channel: which commands wait, which are out, which are finished. Pure: no Kafka, no clock.
//!
//! ```text
//!              ┌── withdrawn, expired, no template ──────────────┐
//! command ─> waiting ── intent committed ─> out ── answer ─> judged ── written ─> done
//!              └──<── the provider did not take it ──┘
//! ```
//!
//! A transaction that fails drops the lane whole: what it says is then read anew from the topics.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use schemas::trace::Context;
use schemas::{Id, Millis, Send, Status};
use stream::clock::Tick;

use crate::config::OnUnknown;
use crate::fence::{Charge, Fence};
use crate::memory::{Recent, Withdrawn};
use crate::transport::Answer;
use crate::worker::BATCH;

/// Commands of a partition that are remembered after they are settled.
pub const MEMORY: usize = 32_768;

/// Unfinished commands of a partition that are held in memory at once; the rest waits in the topic.
pub const WINDOW: usize = 4_096;

/// Finished commands behind an unfinished one: so far others go on while it waits. A successor begins at that one and has to know all
/// of them. What he reads has two windows more, each with a batch that is read at once: of what was unfinished before it, and behind.
pub const FINISHED: usize = 23_000;

const _: () = assert!(FINISHED + 2 * (WINDOW + BATCH) < MEMORY, "a successor would forget some, and send them again");

/// A free channel calls again when nobody knows whether a message was taken, but not for ever: who is called so often and never says what
/// came of it may have made a message of each call. What a predecessor left in doubt counts as one.
pub const DOUBTS: u32 = 3;

/// What became of a command, as it will be written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The status that the feedback carries.
    pub status: Status,
    /// The provider's own id.
    pub provider_id: Option<String>,
    /// Why, where there is something to say.
    pub code: Option<String>,
    /// When, in business time.
    pub occurred_at: Millis,
}

impl Outcome {
    pub(crate) fn of(status: Status, code: Option<&str>, occurred_at: Millis) -> Self {
        Outcome { status, provider_id: None, code: code.map(str::to_owned), occurred_at }
    }
}

/// A command that was read and is not yet behind the committed offset.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Who and what.
    pub(crate) send: (Id, Send),
    stage: Stage,
    /// No record about it in `attempt` lies before this offset of that topic.
    floor: Option<i64>,
    /// So often it may have been handed over already.
    doubts: u32,
    /// The rate limiter has let it through; it need not wait there again.
    pub(crate) permitted: bool,
    /// So has the one of its destination.
    pub(crate) destined: bool,
    /// Which one it waits for, as [`crate::limit::Limit`] counts them.
    pub(crate) waits_for: Option<usize>,
    /// When it first had to wait for the rate limiter.
    pub(crate) waits_since: Option<Tick>,
    /// Not before this moment: the provider did not take it, or it waits for something of its own.
    not_before: Option<Tick>,
    delays: Option<ExponentialBackoff>,
    /// How often in a row its turn came in vain.
    rests: u32,
    /// The version of the template that made its message.
    pub(crate) content: Option<Arc<str>>,
    /// What it waits for that is not here, and is told if it expires meanwhile.
    pub(crate) lacks: Option<&'static str>,
    /// What the fence has counted for the call that is under way, or about to begin.
    charge: Option<Charge>,
    /// Kafka's timestamp: when the decision to send it was committed, as far as a topic tells.
    pub(crate) appended_at: Millis,
    /// Its place in a trace, if that is followed.
    pub(crate) place: Option<Context>,
}

#[derive(Debug, PartialEq, Eq)]
enum Stage {
    Waiting,
    Out,
    Judged(Outcome),
    Done,
}

/// What a transaction has to say about one command.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    pub(crate) offset: i64,
    pub(crate) id: Id,
    pub(crate) send: &'a Send,
    pub(crate) outcome: Outcome,
    /// The version of the template that made its message, where one was made here.
    pub(crate) content: Option<Arc<str>>,
    /// Its place in a trace, if that is followed.
    pub(crate) place: Option<Context>,
}

/// One partition of a channel.
#[derive(Debug)]
pub struct Lane {
    /// Next offset to read of the commands.
    next: i64,
    /// Next offset to read of the withdrawals.
    revoke_next: i64,
    /// The end of `attempt` as last seen: whatever is written from now on lies at or after it.
    attempt_end: i64,
    /// Where this lane began to read `attempt`: behind it lies all that a predecessor wrote about commands from `next` on.
    attempt_from: i64,
    /// A predecessor wrote about commands up to this offset.
    touched_until: i64,
    /// What is unfinished, and the finished that nobody has passed by yet.
    window: BTreeMap<i64, Entry>,
    /// Offsets of what is finished behind something unfinished, and from where a successor has to read `attempt` to know it.
    finished: BTreeMap<i64, Option<i64>>,
    offsets: HashMap<Id, i64>,
    withdrawn: Withdrawn,
    settled: Recent,
    /// Intents without outcome, left by a predecessor.
    doubts: HashSet<Id>,
    /// Intents that came to nothing, to be taken back in the next transaction.
    idle_intents: Vec<Id>,
    on_unknown: OnUnknown,
    /// What may be spent.
    fence: Fence,
}

impl Lane {
    /// A lane that begins at `next` of the commands, `revoke_next` of the withdrawals and `attempt_from` of the attempts.
    pub fn new(next: i64, revoke_next: i64, attempt_from: i64, on_unknown: OnUnknown) -> Self {
        Lane {
            next,
            revoke_next,
            attempt_end: attempt_from,
            attempt_from,
            touched_until: next,
            window: BTreeMap::new(),
            finished: BTreeMap::new(),
            offsets: HashMap::new(),
            withdrawn: Withdrawn::default(),
            settled: Recent::new(MEMORY),
            doubts: HashSet::new(),
            idle_intents: Vec::new(),
            on_unknown,
            fence: Fence::default(),
        }
    }

    /// The same, behind a fence.
    #[must_use]
    pub fn behind(self, fence: Fence) -> Self {
        Lane { fence, ..self }
    }

    /// What was spent, and may be.
    pub fn fence(&self) -> &Fence {
        &self.fence
    }

    // What the topics say.

    /// A predecessor (or we, before a failure) meant to hand over the command at `offset`.
    pub fn intended(&mut self, id: Id, offset: i64) {
        self.touched_until = self.touched_until.max(offset + 1);
        self.doubts.insert(id);
    }

    /// A predecessor settled the command at `offset`.
    pub fn was_settled(&mut self, id: Id, offset: i64) {
        self.touched_until = self.touched_until.max(offset + 1);
        self.doubts.remove(&id);
        self.settled.insert(id);
    }

    /// A predecessor took its intent back: the provider did not take it.
    pub fn intent_was_idle(&mut self, id: Id) {
        self.doubts.remove(&id);
    }

    /// A withdrawal was read.
    pub fn withdraw(&mut self, offset: i64, id: Id) {
        self.withdrawn.insert(offset, id);
        self.revoke_next = self.revoke_next.max(offset + 1);
    }

    /// The withdrawals before `offset` were read, or are none.
    pub fn withdrawals_read(&mut self, offset: i64) {
        self.revoke_next = self.revoke_next.max(offset);
    }

    /// Withdrawals before `low` do not exist any more.
    pub fn forget_withdrawals_before(&mut self, low: i64) {
        self.withdrawn.forget_before(low);
    }

    /// Next offset to read of the withdrawals.
    pub fn revoke_next(&self) -> i64 {
        self.revoke_next
    }

    /// A command was read. `ours` tells that a call for it is under way in this very process. Whatever lies before the
    /// next offset was read before and is ignored. False for a repeat, which will not be handed over again.
    pub fn command(&mut self, offset: i64, id: Id, send: Send, now: Millis, ours: bool) -> bool {
        if offset < self.next {
            return true;
        }
        if self.offsets.contains_key(&id) || self.settled.contains(id) {
            self.finished.insert(offset, Some(self.attempt_from));
            self.next = offset + 1;
            return false;
        }
        let doubtful = self.doubts.remove(&id);
        let stage = match self.on_unknown {
            _ if doubtful && ours => Stage::Out,
            OnUnknown::Skip if doubtful => Stage::Judged(Outcome::of(Status::Unknown, Some("interrupted"), now)),
            _ => Stage::Waiting,
        };
        self.offsets.insert(id, offset);
        let floor = doubtful.then_some(self.attempt_from);
        // Under `skip` nothing but our own call can be in doubt here, and what comes of that is told.
        let doubts = u32::from(doubtful && !(ours && self.on_unknown == OnUnknown::Skip));
        self.window.insert(offset, Entry { stage, floor, doubts, ..Entry::of((id, send)) });
        self.next = offset + 1;
        true
    }

    /// A record was read that asks for nothing.
    pub fn nothing(&mut self, offset: i64) {
        if offset >= self.next {
            self.finished.insert(offset, None);
            self.next = offset + 1;
        }
    }

    /// The commands before `offset` were read.
    pub fn commands_read(&mut self, offset: i64) {
        self.next = self.next.max(offset);
    }

    /// Next offset to read of the commands.
    pub fn next(&self) -> i64 {
        self.next
    }

    /// Enough is in memory: no more is to be read for now.
    pub fn is_full(&self) -> bool {
        self.window.len() >= WINDOW || self.finished.len() >= FINISHED
    }

    /// There is room for many again.
    pub fn has_room(&self) -> bool {
        self.window.len() <= WINDOW / 2 && self.finished.len() <= FINISHED / 2
    }

    /// Nothing is unfinished.
    pub fn is_empty(&self) -> bool {
        self.window.is_empty()
    }

    // What is to be done.

    /// Settles what must not go out any more, whether or not its turn has come.
    pub fn judge(&mut self, now: Millis) {
        for entry in self.window.values_mut() {
            let (Stage::Waiting, (id, send)) = (&entry.stage, &entry.send) else { continue };
            let (status, code) = match () {
                () if self.withdrawn.contains(*id) => (Status::Revoked, None),
                () if now > send.send_before => (Status::Expired, entry.lacks),
                () => continue,
            };
            entry.end(Outcome::of(status, code, now), &mut self.fence);
        }
    }

    /// Offsets of those whose turn it is, in order. Nobody overtakes an earlier message to the same customer. At most `limit`, and
    /// beside them as many of those that have rested, the longest due first: they may have to rest again, and take no room from
    /// others by it. The same of those that wait for the rate of a destination: as many for each that is not closed, in their order.
    pub(crate) fn ready(&self, tick: Tick, limit: usize, is_closed: impl Fn(usize) -> bool) -> Vec<i64> {
        let mut customers = HashSet::new();
        let (mut ready, mut rested) = (Vec::new(), Vec::new());
        let (mut let_in, mut room_at) = (Vec::new(), HashMap::new());
        let nobody_rests = self.window.values().all(|entry| entry.rests == 0 && entry.waits_for.is_none());
        for (offset, entry) in &self.window {
            if nobody_rests && ready.len() == limit {
                break;
            }
            let (_, send) = &entry.send;
            if entry.stage == Stage::Done {
                continue;
            }
            if !customers.insert(send.customer_id.as_str()) || entry.stage != Stage::Waiting {
                continue;
            }
            if let Some(place) = entry.waits_for {
                let room = room_at.entry(place).or_insert_with(|| if is_closed(place) { 0 } else { limit });
                if *room > 0 {
                    *room -= 1;
                    let_in.push(*offset);
                }
                continue;
            }
            match entry.not_before {
                Some(moment) if moment > tick => {}
                Some(moment) if entry.rests > 0 => rested.push((moment, *offset)),
                _ if ready.len() < limit => ready.push(*offset),
                _ => {}
            }
        }
        rested.sort_unstable();
        ready.extend(rested.into_iter().take(limit).map(|(_, offset)| offset));
        ready.extend(let_in);
        ready.sort_unstable();
        ready
    }

    /// Whether a command has been tried, and was not taken.
    pub(crate) fn was_tried(&self, offset: i64) -> bool {
        self.window.get(&offset).is_some_and(|entry| entry.delays.is_some())
    }

    /// The command about a send.
    pub(crate) fn command_of(&self, id: Id) -> Option<&Send> {
        self.offsets.get(&id).and_then(|offset| self.command_at(*offset)).map(|(_, send)| send)
    }

    /// Whether that was tried, and was not taken.
    pub(crate) fn was_tried_before(&self, id: Id) -> bool {
        self.offsets.get(&id).is_some_and(|offset| self.was_tried(*offset))
    }

    /// The version of the template that made the message of a command.
    pub(crate) fn content_at(&self, offset: i64) -> Option<Arc<str>> {
        self.window.get(&offset)?.content.clone()
    }

    /// The command at an offset of the window.
    pub fn command_at(&self, offset: i64) -> Option<(Id, &Send)> {
        self.window.get(&offset).map(|Entry { send: (id, send), .. }| (*id, send))
    }

    /// Whatever a predecessor wrote about was read again.
    pub fn has_caught_up(&self) -> bool {
        self.next >= self.touched_until
    }

    pub(crate) fn entry(&mut self, offset: i64) -> Option<&mut Entry> {
        self.window.get_mut(&offset)
    }

    /// Whether the fence lets a command through. Nothing is counted yet.
    pub(crate) fn passes_fence(&mut self, offset: i64, now: Millis) -> bool {
        self.window.get(&offset).is_some_and(|entry| self.fence.admits(entry.price(), now))
    }

    /// Counts the price of a command that is about to go out. False: the fence holds it.
    pub(crate) fn charge(&mut self, offset: i64, now: Millis) -> bool {
        let Some(entry) = self.window.get_mut(&offset) else { return false };
        if entry.charge.is_none() {
            entry.charge = self.fence.pass(entry.price(), now);
        }
        entry.charge.is_some()
    }

    /// A command that was about to go out stays: nothing was spent for it.
    pub(crate) fn stays(&mut self, offset: i64) {
        if let Some(charge) = self.window.get_mut(&offset).and_then(|entry| entry.charge.take()) {
            self.fence.give_back(charge);
        }
    }

    /// Still waiting: neither withdrawn nor expired since it was chosen.
    pub fn is_waiting(&self, offset: i64) -> bool {
        self.window.get(&offset).is_some_and(|entry| entry.stage == Stage::Waiting)
    }

    /// Its intent goes into the transaction that is being written; after the commit it is called.
    pub fn start(&mut self, offset: i64) {
        if let Some(entry) = self.window.get_mut(&offset) {
            entry.stage = Stage::Out;
            entry.rests = 0;
            entry.floor.get_or_insert(self.attempt_end);
        }
    }

    /// It was settled without a call.
    pub fn settle(&mut self, offset: i64, outcome: Outcome) {
        if let Some(entry) = self.window.get_mut(&offset) {
            entry.end(outcome, &mut self.fence);
        }
    }

    /// Whether a call for it is under way.
    pub fn is_out(&self, id: Id) -> bool {
        self.offsets.get(&id).and_then(|offset| self.window.get(offset)).is_some_and(|entry| entry.stage == Stage::Out)
    }

    /// Calls of this lane that are under way.
    pub fn out(&self) -> usize {
        self.window.values().filter(|entry| entry.stage == Stage::Out).count()
    }

    /// What the provider said. A command that was not taken waits for another turn.
    pub fn answered(&mut self, id: Id, answer: &Answer, now: Millis, tick: Tick) {
        let Some(entry) = self.offsets.get(&id).and_then(|offset| self.window.get_mut(offset)) else { return };
        if entry.stage != Stage::Out {
            return;
        }
        // Each call has a charge of its own. What may have been taken keeps it, so a repeat counts again.
        let may_cost = matches!(answer, Answer::Accepted { .. } | Answer::Unknown { .. });
        if let Some(charge) = entry.charge.take().filter(|_| !may_cost) {
            self.fence.give_back(charge);
        }
        entry.stage = match answer {
            Answer::Accepted { provider_id, code } => {
                let accepted = Outcome::of(Status::Accepted, code.as_deref(), now);
                Stage::Judged(Outcome { provider_id: provider_id.clone(), ..accepted })
            }
            Answer::Refused { code } | Answer::Unfit { code } => {
                Stage::Judged(entry.without_call(Outcome::of(Status::Refused, Some(code), now)))
            }
            Answer::NobodyThere { code } => Stage::Judged(Outcome::of(Status::BouncedHard, Some(code), now)),
            Answer::TooLate => Stage::Judged(entry.without_call(Outcome::of(Status::Expired, None, now))),
            Answer::Unknown { code } if self.on_unknown == OnUnknown::Skip || entry.doubts + 1 >= DOUBTS => {
                Stage::Judged(Outcome::of(Status::Unknown, Some(code), now))
            }
            Answer::Unknown { .. } => {
                entry.doubts += 1;
                entry.delay(None, tick);
                Stage::Waiting
            }
            Answer::NotTaken { retry_after, .. } => {
                entry.delay(*retry_after, tick);
                Stage::Waiting
            }
            // Its next turn comes at once, and may be another route's.
            Answer::Stale | Answer::Elsewhere { .. } => {
                (entry.permitted, entry.destined) = (true, true);
                Stage::Waiting
            }
        };
        // An earlier attempt may have got through, so only a first one can be taken back.
        if entry.stage == Stage::Waiting && entry.doubts == 0 {
            self.idle_intents.push(id);
        }
    }

    // What a transaction says.

    /// Everything that is judged and not yet written. Counts as written: a transaction that fails drops the lane.
    pub(crate) fn lines(&mut self) -> Vec<Line<'_>> {
        let mut lines = Vec::new();
        for (offset, entry) in &mut self.window {
            if !matches!(entry.stage, Stage::Judged(_)) {
                continue;
            }
            entry.floor.get_or_insert(self.attempt_end);
            if let Stage::Judged(outcome) = std::mem::replace(&mut entry.stage, Stage::Done) {
                let Entry { send: (id, send), content, place, .. } = entry;
                self.settled.insert(*id);
                lines.push(Line { offset: *offset, id: *id, send, outcome, content: content.clone(), place: *place });
            }
        }
        lines
    }

    /// Intents to take back.
    pub(crate) fn idle_intents(&mut self) -> Vec<Id> {
        std::mem::take(&mut self.idle_intents)
    }

    /// Whether a transaction has something to say.
    pub fn has_news(&self) -> bool {
        !self.idle_intents.is_empty() || self.window.values().any(|entry| matches!(entry.stage, Stage::Judged(_)))
    }

    /// `attempt` ends here now, or later.
    pub fn attempts_end(&mut self, offset: i64) {
        self.attempt_end = self.attempt_end.max(offset);
    }

    /// Where a successor begins: the next command, and the offset of `attempt` behind which everything about it lies.
    pub fn position(&mut self) -> (i64, i64) {
        let Lane { window, offsets, finished, .. } = self;
        window.retain(|offset, entry| {
            let is_done = entry.stage == Stage::Done;
            if is_done {
                finished.insert(*offset, entry.floor);
                offsets.remove(&entry.send.0);
            }
            !is_done
        });
        let next = window.first_key_value().map_or(self.next, |(offset, _)| *offset);
        *finished = finished.split_off(&next);
        let known = if self.next < self.touched_until { self.attempt_from } else { self.attempt_end };
        let floors = window.values().map(|entry| entry.floor).chain(finished.values().copied());
        (next, floors.flatten().chain([known]).min().unwrap_or(known))
    }
}

impl Entry {
    /// Ends without a call, with this outcome.
    fn end(&mut self, outcome: Outcome, fence: &mut Fence) {
        if let Some(charge) = self.charge.take() {
            fence.give_back(charge);
        }
        self.stage = Stage::Judged(self.without_call(outcome));
    }

    /// What an outcome without a call comes to: of what may have been taken before, nobody can say that it was not.
    fn without_call(&self, outcome: Outcome) -> Outcome {
        match self.doubts {
            0 => outcome,
            _ => Outcome::of(Status::Unknown, Some("interrupted"), outcome.occurred_at),
        }
    }

    fn of(send: (Id, Send)) -> Self {
        Entry {
            send,
            stage: Stage::Waiting,
            floor: None,
            doubts: 0,
            permitted: false,
            destined: false,
            waits_for: None,
            waits_since: None,
            not_before: None,
            delays: None,
            rests: 0,
            content: None,
            lacks: None,
            charge: None,
            appended_at: 0,
            place: None,
        }
    }

    /// What it costs, in minor units.
    fn price(&self) -> i64 {
        self.send.1.price_minor
    }

    /// Its turn came in vain: the next one comes after a pause, which doubles up to the longest.
    pub(crate) fn rest(&mut self, (shortest, longest): (Duration, Duration), tick: Tick) {
        let pause = shortest.saturating_mul(1 << self.rests.min(16)).min(longest);
        self.rests += 1;
        self.not_before = Some(tick.after(pause));
    }

    /// Not again at once: after a pause that grows, or the one that the provider asks for.
    fn delay(&mut self, asked: Option<Duration>, tick: Tick) {
        let delays = self.delays.get_or_insert_with(|| {
            let (first, last) = (Duration::from_millis(200), Duration::from_secs(30));
            ExponentialBuilder::default()
                .with_min_delay(first)
                .with_max_delay(last)
                .with_jitter()
                .without_max_times()
                .build()
        });
        let pause = delays.next().unwrap_or(Duration::from_secs(30));
        self.not_before = Some(tick.after(asked.unwrap_or(pause).max(pause)));
        (self.permitted, self.destined) = (false, false);
        self.waits_since = None;
    }
}

#[cfg(test)]
mod tests;
