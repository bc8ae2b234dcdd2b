//! Changelogs into stores, beside the shards: partitions that a shard waits for, and standbys.
//!
//! ```text
//! shard ──restore, release──> Replicas ──restored──> shard
//!                                │ all partitions that no shard of this process has, if they are to be kept warm
//! ```
//!
//! A store belongs to whoever opened it: to a replica here, or to the task of a shard. What a shard waits for comes first:
//! standbys are opened only while nobody waits.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::time::Duration;

use crate::clock::Tick;
use crate::kafka::Fetched;
use crate::log::{Changelogs, Record};
use crate::processor::Processor;
use crate::replica::{Next, Replica, Restored, Rules};
use crate::{Error, Verdict};

/// A partition that brings nothing for so long, though somebody waits for it, cannot be read.
const PATIENCE: Duration = Duration::from_secs(60);
/// A client of which nothing is heard for so long, though somebody waits, not even where a changelog ends, is replaced: librdkafka's may
/// have forgotten, for good, who leads it, when a broker came back.
const MUTE: Duration = Duration::from_secs(30);
/// On a link where one answer takes longer than that, another client only loses the answer that is on its way: so the next one is given
/// twice as long, and so long at most. librdkafka gives an answer a minute (`socket.timeout.ms`).
const LONGEST_MUTE: Duration = Duration::from_secs(2 * 60);
/// So is one that answers, and has brought nothing of a standby for so long though there is more.
const STANDBY_SILENCE: Duration = Duration::from_secs(5 * 60);
/// On account of one partition there is a new client at most so seldom: a restore may take as long.
const LONGEST_REST: Duration = Duration::from_secs(60 * 60);
/// After so long no further partition is opened in a turn: where nobody answers, each question takes as long as it may.
const OPENED_AT_MOST: Duration = Duration::from_secs(3);
/// A partition that could not be opened rests as long as it took to know that, and so long at most: it may be led again any moment.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Standbys wait for so long at the start: what the group assigns to us comes first.
const STANDBY_DELAY: Duration = Duration::from_secs(5);
/// And for so long after one that could not be opened yet.
const STANDBY_REST: Duration = Duration::from_secs(1);
/// And for so long after one failed.
const STANDBY_PAUSE: Duration = Duration::from_secs(10);
/// How often the way that is left is measured.
const MEASURE_AGE: Duration = Duration::from_secs(1);
/// Records of one turn.
const FETCH_RECORDS: usize = 4096;
/// How long a thread with nothing to do waits for a word, or for records of its standbys.
const IDLE: Duration = Duration::from_millis(50);

/// What a shard sees of it.
pub(crate) trait Restorer {
    /// Brings the partition's store up to the BARRIER that bears `nonce`; instead of an earlier one. To be called before that
    /// BARRIER is written.
    fn restore(&mut self, partition: i32, nonce: &str);

    /// The shard needs the partition no more, and has closed its store.
    fn release(&mut self, partition: i32);

    /// The next partition that is there, or cannot be had.
    ///
    /// # Errors
    /// `Stop` if nobody restores any more.
    fn restored(&mut self) -> Result<Option<Answer>, Error>;
}

/// From a shard.
#[derive(Debug)]
pub(crate) enum Word {
    /// As [`Restorer::restore`].
    Restore { shard: usize, partition: i32, nonce: String },
    /// As [`Restorer::release`].
    Release { shard: usize, partition: i32 },
}

/// For a shard: a partition that is there, or cannot be had.
pub(crate) struct Answer {
    pub(crate) partition: i32,
    /// Of the BARRIER that was asked for.
    pub(crate) nonce: String,
    pub(crate) outcome: Result<Restored, Error>,
}

/// All partitions that follow their changelogs in one thread.
pub(crate) struct Replicas<'a, C: Changelogs, P> {
    rules: Rules<'a>,
    processor: P,
    /// Partitions that are kept warm here, unless a shard has them.
    standbys: BTreeSet<i32>,
    following: BTreeMap<i32, Replica<'a, C::Record>>,
    claims: BTreeMap<i32, Claim>,
    /// Partitions whose stores a shard has.
    handed: BTreeMap<i32, usize>,
    answers: VecDeque<(usize, Answer)>,
    fetched: Vec<Fetched<C::Record>>,
    standbys_from: Tick,
    /// The last standby that was opened: should it fail, the next one is tried.
    opened_last: i32,
    measured: Tick,
    /// The last standby that was measured.
    measured_last: i32,
    /// When the brokers have said something last, or nobody waited for it.
    heard: Tick,
    renewed: Option<Tick>,
    /// For how long nothing may be heard now.
    mute: Duration,
    /// For how long there is no other new client on account of one partition.
    rest: Duration,
    /// Until when partitions that could not be opened are not asked for again.
    resting: BTreeMap<i32, Tick>,
    /// Goes last: its client waits at its end for every record that somebody holds, as those who follow do.
    changelogs: C,
}

struct Claim {
    shard: usize,
    nonce: String,
    since: Tick,
    /// What was replayed before, where the partition was kept warm.
    before: u64,
}

impl Claim {
    /// Records that were replayed for it. One that had to begin anew has lost what it had.
    fn replayed(&self, replica: u64) -> u64 {
        replica.checked_sub(self.before).unwrap_or(replica)
    }
}

impl<'a, C: Changelogs, P: Processor> Replicas<'a, C, P> {
    pub(crate) fn new(rules: Rules<'a>, changelogs: C, processor: P, standbys: BTreeSet<i32>) -> Self {
        Replicas {
            rules,
            changelogs,
            processor,
            standbys,
            following: BTreeMap::new(),
            claims: BTreeMap::new(),
            handed: BTreeMap::new(),
            answers: VecDeque::new(),
            fetched: Vec::new(),
            standbys_from: Tick::now().after(STANDBY_DELAY),
            opened_last: -1,
            measured: Tick::now(),
            measured_last: -1,
            heard: Tick::now(),
            renewed: None,
            mute: MUTE,
            rest: PATIENCE,
            resting: BTreeMap::new(),
        }
    }

    /// Hears what a shard wants.
    pub(crate) fn hear(&mut self, word: Word) {
        match word {
            Word::Restore { shard, partition, nonce } => {
                self.handed.remove(&partition);
                let since = Tick::now();
                let before = self.following.get(&partition).map_or(0, Replica::replayed);
                self.claims.insert(partition, Claim { shard, nonce, since, before });
            }
            Word::Release { shard, partition } => {
                // It may be another shard's already.
                if self.handed.get(&partition) == Some(&shard) {
                    self.handed.remove(&partition);
                }
                if self.claims.get(&partition).is_some_and(|claim| claim.shard == shard) {
                    self.end_claim(partition);
                    if !self.standbys.contains(&partition) {
                        self.stop(partition);
                    }
                }
            }
        }
    }

    /// Brings records, waiting for the first at most so long.
    pub(crate) fn fetch(&mut self, wait: Duration) -> Result<(), Error> {
        self.changelogs.fetch(wait, FETCH_RECORDS, &mut self.fetched)?;
        if !self.fetched.is_empty() {
            self.heard = Tick::now();
        }
        Ok(())
    }

    /// Takes what was fetched, and opens what is wanted. What fails concerns one partition.
    pub(crate) fn work(&mut self) {
        let mut fetched = std::mem::take(&mut self.fetched);
        // What was fetched before its partition began anew is passed over.
        let mut stale = BTreeSet::new();
        for item in fetched.drain(..) {
            let partition = match &item {
                Fetched::Record(record) => record.partition(),
                Fetched::End { partition, .. } | Fetched::OutOfRange { partition, .. } => *partition,
            };
            if !stale.contains(&partition)
                && let Err(error) = self.take(partition, item, &mut stale)
            {
                self.fail(partition, &error);
            }
        }
        self.fetched = fetched;
        self.open_wanted();
        self.measure_if_due();
        // Before it is asked whether somebody waits in vain: a new client gives him time.
        self.renew_if_mute();
        self.note();
    }

    #[cfg(all(test, feature = "simulation"))]
    pub(crate) fn changelogs(&mut self) -> &mut C {
        &mut self.changelogs
    }

    /// The next answer, and for whom.
    pub(crate) fn answer(&mut self) -> Option<(usize, Answer)> {
        self.answers.pop_front()
    }

    fn take(&mut self, partition: i32, item: Fetched<C::Record>, stale: &mut BTreeSet<i32>) -> Result<(), Error> {
        let Some(replica) = self.following.get_mut(&partition) else { return Ok(()) };
        let claim = self.claims.get(&partition);
        let next = match item {
            Fetched::Record(record) => replica.take(record, &self.processor, claim.map(|claim| &*claim.nonce))?,
            Fetched::End { offset, .. } => {
                if claim.is_none() && replica.is_first_at_end() {
                    tracing::info!(partition, "the partition of another process is kept warm");
                }
                replica.pass(offset, claim.is_some())
            }
            Fetched::OutOfRange { .. } => {
                stale.insert(partition);
                return self.begin_anew(partition, Replica::begin_in_range);
            }
        };
        match next {
            Next::GoOn => Ok(()),
            Next::From(offset) => {
                stale.insert(partition);
                self.changelogs.start(partition, offset)
            }
            Next::Anew => {
                stale.insert(partition);
                self.begin_anew(partition, Replica::begin_behind)
            }
            Next::Arrived => {
                self.changelogs.stop(partition);
                let (replica, claim) = (self.following.remove(&partition), self.end_claim(partition));
                if let Some((replica, claim)) = replica.zip(claim) {
                    let replayed = claim.replayed(replica.replayed());
                    self.rules.metrics.restored.inc_by(replayed);
                    self.rules.metrics.restore_seconds.observe(claim.since.elapsed().as_secs_f64());
                    self.handed.insert(partition, claim.shard);
                    let Claim { shard, nonce, .. } = claim;
                    let outcome = replica.arrive().map(|restored| Restored { replayed, ..restored });
                    self.answers.push_back((shard, Answer { partition, nonce, outcome }));
                }
                Ok(())
            }
        }
    }

    fn begin_anew(
        &mut self,
        partition: i32,
        anew: impl FnOnce(Replica<'a, C::Record>) -> Result<Replica<'a, C::Record>, Error>,
    ) -> Result<(), Error> {
        self.changelogs.stop(partition);
        match self.following.remove(&partition) {
            Some(replica) => anew(replica).and_then(|replica| self.begin(partition, replica)),
            None => Ok(()),
        }
    }

    fn begin(&mut self, partition: i32, mut replica: Replica<'a, C::Record>) -> Result<(), Error> {
        let (_, end) = self.changelogs.range(partition)?;
        self.heard = Tick::now();
        self.changelogs.start(partition, replica.begin(end))?;
        self.following.insert(partition, replica);
        Ok(())
    }

    /// Opens what a shard waits for, or else one standby.
    fn open_wanted(&mut self) {
        let is_missing = |partition: &&i32| !self.following.contains_key(partition);
        let is_due = |partition: &&i32| self.resting.get(partition).is_none_or(|until| until.remaining().is_zero());
        let mut wanted: Vec<i32> = self.claims.keys().filter(is_missing).filter(is_due).copied().collect();
        if self.claims.is_empty() && self.standbys_from.remaining().is_zero() {
            let is_free = |partition: &&i32| !self.handed.contains_key(partition);
            let mut missing = self.standbys.iter().filter(is_missing).filter(is_free);
            let next = missing.clone().find(|partition| **partition > self.opened_last).or_else(|| missing.next());
            self.opened_last = next.copied().unwrap_or(-1);
            wanted.extend(next);
        }
        // Those that were not asked for yet come first, then whoever has waited longest.
        wanted.sort_by_key(|partition| self.resting.get(partition));
        let begun = Tick::now();
        for partition in wanted {
            if begun.elapsed() > OPENED_AT_MOST {
                break;
            }
            let asked = Tick::now();
            match Replica::open(&self.rules, partition).and_then(|replica| self.begin(partition, replica)) {
                // Whoever has the store is about to let go of it, or the brokers are about to answer. A question that takes long, about a
                // partition that nobody leads, takes no more than a part of the time of those beside it.
                Err(error) if error.verdict() == Verdict::Retry => {
                    self.resting.insert(partition, Tick::now().after(asked.elapsed().min(LONGEST_PAUSE)));
                    if !self.claims.contains_key(&partition) {
                        self.standbys_from = Tick::now().after(STANDBY_REST);
                    }
                }
                Err(error) => self.fail(partition, &error),
                Ok(()) => _ = self.resting.remove(&partition),
            }
        }
    }

    fn note(&mut self) {
        let (since_renewal, patience) = (self.since_renewal(), PATIENCE.max(self.mute));
        let impatient = self.claims.iter().find(|(partition, claim)| {
            let silence = self.following.get(partition).map_or(Duration::MAX, Replica::silence);
            silence.min(claim.since.elapsed()).min(since_renewal) > patience
        });
        if let Some(partition) = impatient.map(|(partition, _)| *partition) {
            let words = format!("partition {partition} brings nothing; is a foreign transaction open on it?");
            let is_mute = self.has_more(partition);
            self.fail(partition, &Error::new(Verdict::Retry, "read the changelog", words));
            if is_mute {
                self.renew_for_one(partition);
            }
        }
        let old: Vec<i32> = self
            .following
            .iter()
            .filter(|(_, replica)| replica.is_too_old())
            .map(|(partition, _)| *partition)
            .collect();
        for partition in old {
            if let Err(error) = self.begin_anew(partition, Replica::begin_afresh) {
                self.fail(partition, &error);
            }
        }
        let processor = &self.processor;
        let noted: Vec<(i32, Error)> = self
            .following
            .iter_mut()
            .filter_map(|(partition, replica)| Some((*partition, replica.note_if_due(processor).err()?)))
            .collect();
        for (partition, error) in noted {
            self.fail(partition, &error);
        }
    }

    /// Whether the last new client was long ago, compared with how long one is given.
    fn was_calm(&self, given: Duration) -> bool {
        self.since_renewal() > given * 4 + STANDBY_SILENCE
    }

    fn since_renewal(&self) -> Duration {
        self.renewed.map_or(Duration::MAX, |at| at.elapsed())
    }

    /// Whether the brokers say that there is more of a partition than has come. What an open transaction hides does not count.
    fn has_more(&mut self, partition: i32) -> bool {
        let Some(replica) = self.following.get_mut(&partition) else { return false };
        self.changelogs.range(partition).is_ok_and(|(_, end)| replica.remaining(end) > 0)
    }

    /// Takes a new client since one partition brings nothing. Each time it is longer until that may happen again: if it is not the
    /// client's fault, the others must come to their end meanwhile.
    fn renew_for_one(&mut self, partition: i32) {
        if self.renewed.is_some_and(|at| at.elapsed() < self.rest) {
            return;
        }
        self.rest = if self.was_calm(self.rest) { PATIENCE } else { (self.rest * 2).min(LONGEST_REST) };
        tracing::warn!(partition, "it brings nothing, though there is more: asking with a new client");
        self.renew();
    }

    /// A partition that cannot be followed: whoever waits for it decides what comes next; a standby is tried again later.
    fn fail(&mut self, partition: i32, error: &Error) {
        self.stop(partition);
        match self.end_claim(partition) {
            Some(Claim { shard, nonce, .. }) => {
                self.answers.push_back((shard, Answer { partition, nonce, outcome: Err(error.clone()) }));
            }
            None => {
                tracing::warn!(partition, "cannot be kept warm for now: {error}");
                self.standbys_from = Tick::now().after(STANDBY_PAUSE);
            }
        }
    }

    fn stop(&mut self, partition: i32) {
        if self.following.remove(&partition).is_some() {
            self.changelogs.stop(partition);
        }
        let _ = self.rules.metrics.standby_lag.remove_label_values(&[&partition.to_string()]);
    }

    fn end_claim(&mut self, partition: i32) -> Option<Claim> {
        self.resting.remove(&partition);
        let label = partition.to_string();
        let _ = self.rules.metrics.restore_remaining.remove_label_values(&[&label]);
        let _ = self.rules.metrics.restore_eta_seconds.remove_label_values(&[&label]);
        self.claims.remove(&partition)
    }

    /// Shows how far they still have to go.
    fn measure_if_due(&mut self) {
        if self.measured.elapsed() < MEASURE_AGE {
            return;
        }
        self.measured = Tick::now();
        let metrics = &self.rules.metrics;
        // Each question may wait behind a fetch: all partitions that a shard waits for, and one other.
        let mut others = self.following.keys().copied().filter(|partition| !self.claims.contains_key(partition));
        let next = others.clone().find(|partition| *partition > self.measured_last).or_else(|| others.next());
        self.measured_last = next.unwrap_or(-1);
        let (mut lags_behind, since_renewal) = (None, self.since_renewal());
        for (partition, replica) in &mut self.following {
            if !self.claims.contains_key(partition) && Some(*partition) != next {
                continue;
            }
            // No answer: another time.
            let Ok((_, end)) = self.changelogs.range(*partition) else { return };
            self.heard = Tick::now();
            let (left, label) = (replica.remaining(end), partition.to_string());
            let Some(claim) = self.claims.get(partition) else {
                metrics.standby_lag.with_label_values(&[&label]).set(left);
                if left > 0 && replica.silence().min(since_renewal) > STANDBY_SILENCE {
                    lags_behind = Some(*partition);
                }
                continue;
            };
            let _ = metrics.standby_lag.remove_label_values(&[&label]);
            metrics.restore_remaining.with_label_values(&[&label]).set(left);
            if let Some(spent) = u64::try_from(left)
                .ok()
                .and_then(|left| eta(left, claim.replayed(replica.replayed()), claim.since.elapsed()))
            {
                metrics.restore_eta_seconds.with_label_values(&[&label]).set(spent);
            }
        }
        if let Some(partition) = lags_behind {
            self.renew_for_one(partition);
        }
    }

    fn renew_if_mute(&mut self) {
        if self.claims.is_empty() {
            self.heard = Tick::now();
        }
        if self.was_calm(self.mute) {
            self.mute = MUTE;
        }
        if self.heard.elapsed() < self.mute {
            return;
        }
        tracing::warn!("the brokers say nothing of changelogs for {:?}: asking with a new client", self.mute);
        self.mute = (self.mute * 2).min(LONGEST_MUTE);
        self.renew();
    }

    /// Takes a new client. Whoever is followed goes on where he stands, or is opened again.
    fn renew(&mut self) {
        (self.heard, self.renewed) = (Tick::now(), Some(Tick::now()));
        self.resting.clear();
        // The old client ends within the next call, and waits for records that somebody holds.
        let places: Vec<(i32, Option<i64>)> =
            self.following.iter_mut().map(|(partition, replica)| (*partition, replica.let_go())).collect();
        if let Err(error) = self.changelogs.renew() {
            tracing::warn!("there is no new client yet: {error}");
        }
        for (partition, offset) in places {
            let started = offset.map(|offset| self.changelogs.start(partition, offset));
            match started {
                Some(Ok(())) => {}
                Some(Err(error)) => self.fail(partition, &error),
                None => self.stop(partition),
            }
        }
    }

    /// Works for the shards until none of them is left, or all are told to stop. Counts its turns for whoever watches over it.
    pub(crate) fn run(
        mut self,
        words: &Receiver<Word>,
        answers: &[Sender<Answer>],
        turns: &AtomicU64,
        stop: &AtomicBool,
    ) -> Result<(), Error> {
        while !stop.load(Ordering::Relaxed) {
            turns.fetch_add(1, Ordering::Relaxed);
            if self.following.is_empty() {
                match words.recv_timeout(IDLE) {
                    Ok(word) => self.hear(word),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            } else {
                self.fetch(IDLE)?;
            }
            // A word about a BARRIER was spoken before it was written: it is heard before the BARRIER is looked at.
            words.try_iter().for_each(|word| self.hear(word));
            self.work();
            while let Some((shard, answer)) = self.answer() {
                // A shard that has ended needs no answer.
                let _ = answers[shard].send(answer);
            }
        }
        Ok(())
    }
}

/// At the rate so far.
fn eta(left: u64, replayed: u64, spent: Duration) -> Option<i64> {
    let spent = u64::try_from(spent.as_millis()).ok()?;
    i64::try_from(left.saturating_mul(spent) / replayed.max(1) / 1000).ok()
}

/// A shard's end of the line to the restoring threads, which share the partitions among them.
pub(crate) struct Line {
    pub(crate) shard: usize,
    pub(crate) words: Vec<Sender<Word>>,
    pub(crate) answers: Receiver<Answer>,
}

impl Line {
    fn say(&self, partition: i32, word: Word) {
        // A thread that has ended has told all shards to stop.
        let _ = self.words[thread_of(partition, self.words.len())].send(word);
    }
}

/// Which of so many restoring threads a partition belongs to.
pub(crate) fn thread_of(partition: i32, threads: usize) -> usize {
    usize::try_from(partition).unwrap_or(0) % threads
}

impl Restorer for Line {
    fn restore(&mut self, partition: i32, nonce: &str) {
        self.say(partition, Word::Restore { shard: self.shard, partition, nonce: nonce.to_owned() });
    }

    fn release(&mut self, partition: i32) {
        self.say(partition, Word::Release { shard: self.shard, partition });
    }

    fn restored(&mut self) -> Result<Option<Answer>, Error> {
        match self.answers.try_recv() {
            Ok(answer) => Ok(Some(answer)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => {
                Err(Error::stop("restore", "the restoring thread has ended; see the log"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_takes_as_long_as_so_much_took_before() {
        assert_eq!(eta(900, 100, Duration::from_secs(10)), Some(90));
        assert_eq!(eta(0, 100, Duration::from_secs(10)), Some(0));
        assert_eq!(
            eta(50, 0, Duration::from_secs(2)),
            Some(100),
            "nothing has come yet: it is known only that it is slow"
        );
    }
}
