//! The seam's other side: what one process sees of the simulated brokers. Every call is a place where it may be stopped.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use super::cluster::{Cluster, Draft, Producer, Refusal, Request};
use super::disk::Machine;
use super::group::Standing;
use super::partition::{Body, Entry};
use super::world::{Mishap, World};
use crate::kafka::{Change, Fetched};
use crate::log::{BEGINNING, CHANGELOG, Changelogs, Log, Record, Target};
use crate::planted::{Bug, is_planted};
use crate::{Error, Verdict};

/// Topics before the outputs: input, changelog, reference.
pub const FIRST_OUTPUT: usize = 3;
/// Commands in a transaction wait in the client until so many are there, or it commits.
const LINGER: usize = 4;

/// One process's view.
pub struct SimulatedLog<'a> {
    world: Rc<World<'a>>,
    machine: Machine,
    identity: String,
    who: usize,
    member: u64,
    /// Whether its heartbeats are missing.
    silent: Rc<Cell<bool>>,
    generation: i32,
    owned: BTreeSet<i32>,
    producer: Option<Producer>,
    /// What it takes for its open transaction.
    draft: Draft,
    /// Written, but still in the client.
    waiting: Vec<((usize, i32), Rc<Body>)>,
    positions: Positions,
}

/// What one process's restoring thread sees of them.
pub struct SimulatedChangelogs<'a> {
    world: Rc<World<'a>>,
    machine: Machine,
    identity: String,
    who: usize,
    silent: Rc<Cell<bool>>,
    positions: Positions,
}

type Positions = BTreeMap<(usize, i32), Position>;

#[derive(Debug)]
struct Position {
    next: i64,
    told_end: i64,
}

/// A record of the simulation.
#[derive(Clone, Debug)]
pub struct SimulatedRecord {
    topic: usize,
    partition: i32,
    offset: i64,
    timestamp: i64,
    body: Rc<Body>,
}

impl SimulatedRecord {
    fn of(topic: usize, partition: i32, entry: &Entry, body: &Rc<Body>) -> Self {
        let (offset, timestamp) = (entry.offset, entry.appended_at);
        SimulatedRecord { topic, partition, offset, timestamp, body: Rc::clone(body) }
    }
}

impl Record for SimulatedRecord {
    fn topic(&self) -> usize {
        self.topic
    }

    fn partition(&self) -> i32 {
        self.partition
    }

    fn offset(&self) -> i64 {
        self.offset
    }

    fn timestamp(&self) -> i64 {
        self.timestamp
    }

    fn key(&self) -> Option<&[u8]> {
        self.body.key.as_deref()
    }

    fn value(&self) -> Option<&[u8]> {
        self.body.value.as_deref()
    }

    /// Records of the simulation have none.
    fn header(&self, _: &str) -> Option<&[u8]> {
        None
    }
}

impl<'a> SimulatedLog<'a> {
    /// A process that joins the group, and makes its producer.
    pub fn new(world: &Rc<World<'a>>, who: usize, machine: &Machine, identity: &str) -> Result<Self, Error> {
        let silent = Rc::new(Cell::new(false));
        let mut log = SimulatedLog {
            member: world.join(identity, &silent, machine),
            world: Rc::clone(world),
            machine: machine.clone(),
            identity: identity.to_owned(),
            who,
            silent,
            generation: -1,
            owned: BTreeSet::new(),
            producer: None,
            draft: Draft::default(),
            waiting: Vec::new(),
            positions: BTreeMap::new(),
        };
        log.renew()?;
        Ok(log)
    }

    /// The changelogs, as another thread of the process reads them.
    pub fn changelogs(&self) -> SimulatedChangelogs<'a> {
        SimulatedChangelogs {
            world: Rc::clone(&self.world),
            machine: self.machine.clone(),
            identity: self.identity.clone(),
            who: self.who,
            silent: Rc::clone(&self.silent),
            positions: BTreeMap::new(),
        }
    }

    /// A place where the process may die or stand still.
    fn step(&self, what: &'static str) -> Result<(), Error> {
        self.world.step(self.who, &self.machine, &self.silent, what)
    }

    /// The client's background thread hears of a new generation whenever it likes.
    fn hear_generation(&mut self) {
        self.generation = match self.world.cluster.borrow().group.standing(self.member) {
            Standing::Member(generation) => generation,
            Standing::Expelled | Standing::Replaced => -1,
        };
    }

    /// Sends what waits in the client.
    pub fn flush(&mut self) -> Result<(), Error> {
        let mut waiting = std::mem::take(&mut self.waiting);
        while !waiting.is_empty() {
            // Each broker has a connection of its own: only what goes to one partition keeps its order.
            let any = self.world.random(waiting.len());
            let place = waiting[any].0;
            let first = waiting.iter().position(|(other, _)| *other == place).unwrap_or(any);
            let (place, body) = waiting.remove(first);
            let producer = self.live()?;
            self.world.may_commit_early(&producer);
            let mut draft = std::mem::take(&mut self.draft);
            let later = Request::Write(place, Rc::clone(&body));
            let written = self.ask("write", &mut draft, Some((&producer, later)), |cluster, draft| {
                cluster.write(&producer, place, &body, draft)
            });
            self.draft = draft;
            written?;
        }
        Ok(())
    }

    /// Puts positions into the transaction, fenced by the generation that it knows.
    pub fn offer(&mut self, positions: &[(i32, i64)]) -> Result<(), Error> {
        if self.world.random(2) == 0 {
            self.hear_generation();
        }
        if self.generation < 0 {
            return Err(Error::new(Verdict::Fenced, "commit offsets", "this process is not in the group now"));
        }
        if is_planted(Bug::OffsetsOutside) {
            return Ok(());
        }
        let producer = self.live()?;
        let member = (!is_planted(Bug::NoGeneration)).then_some((self.member, self.generation));
        let mut draft = std::mem::take(&mut self.draft);
        let later = Request::Offsets(positions.to_vec(), member);
        let sent = self.ask("commit offsets", &mut draft, Some((&producer, later)), |cluster, draft| {
            cluster.send_offsets(&producer, positions, member, draft)
        });
        self.draft = draft;
        sent
    }

    /// The group hears nothing of it any more, or again.
    pub fn silence(&self, is_silent: bool) {
        self.silent.set(is_silent);
    }

    /// The commit of its last transaction arrives a second time.
    pub fn commit_again(&self) -> Result<(), Error> {
        let producer = self.live()?;
        self.patiently("commit once more", || self.world.cluster.borrow_mut().end(&producer, true))
    }

    fn live(&self) -> Result<Producer, Error> {
        self.producer.clone().ok_or_else(|| Error::new(Verdict::Abort, "write", "the producer is being replaced"))
    }

    /// Makes a request that changes something. It may get lost or come late, and so may its answer. `later` is what may arrive
    /// after it was given up.
    fn ask<T>(
        &self,
        what: &'static str,
        draft: &mut Draft,
        later: Option<(&Producer, Request)>,
        mut request: impl FnMut(&mut Cluster, &mut Draft) -> Result<T, Refusal>,
    ) -> Result<T, Error> {
        let given_up = || Err(Error::new(Verdict::Abort, what, "no answer"));
        match (self.world.mishap(what, 3), later) {
            (None, _) => self.patiently(what, || request(&mut self.world.cluster.borrow_mut(), draft)),
            (Some(Mishap::Lost), _) => given_up(),
            (Some(Mishap::UnderWay(span)), Some((producer, later))) => {
                self.world.send_later(span, producer, draft, later);
                given_up()
            }
            (Some(Mishap::Unanswered | Mishap::UnderWay(_)), _) => {
                let _ = request(&mut self.world.cluster.borrow_mut(), draft);
                given_up()
            }
            (Some(Mishap::Late(span)), _) => {
                self.world.wait(span);
                self.step(what)?;
                self.patiently(what, || request(&mut self.world.cluster.borrow_mut(), draft))
            }
            (Some(Mishap::AnsweredLate(span)), _) => {
                let answer = self.patiently(what, || request(&mut self.world.cluster.borrow_mut(), draft));
                self.world.wait(span);
                answer
            }
        }
    }

    /// Asks a question. It may get lost or come late, and an answer that comes late is old.
    fn look<T>(&self, what: &'static str, question: impl Fn(&Cluster) -> Result<T, Refusal>) -> Result<T, Error> {
        let retry = |words: &str| Error::new(Verdict::Retry, what, words.to_owned());
        let mishap = self.world.mishap(what, 2);
        match mishap {
            Some(Mishap::Lost | Mishap::Unanswered | Mishap::UnderWay(_)) => return Err(retry("no answer")),
            Some(Mishap::Late(span)) => self.world.wait(span),
            _ => {}
        }
        let answer = question(&self.world.cluster.borrow());
        if let Some(Mishap::AnsweredLate(span)) = mishap {
            self.world.wait(span);
        }
        answer.map_err(|refusal| {
            self.world.wait(50);
            retry(if refusal == Refusal::Away { "nobody leads it" } else { "a transaction that moves it is open" })
        })
    }

    /// Repeats a request for as long as the last transaction is being ended, or nobody answers.
    fn patiently<T>(&self, what: &'static str, mut request: impl FnMut() -> Result<T, Refusal>) -> Result<T, Error> {
        for _ in 0..100 {
            match request() {
                Ok(done) => return Ok(done),
                Err(Refusal::Concurrent | Refusal::Away) => self.world.wait(20),
                Err(Refusal::Fenced) => return Err(Error::new(Verdict::Fenced, what, "a newer producer is there")),
                Err(Refusal::Generation) => return Err(Error::new(Verdict::Fenced, what, "the group has moved on")),
                Err(Refusal::State) => return Err(Error::new(Verdict::Abort, what, "no transaction is open")),
            }
            self.step(what)?;
        }
        Err(Error::new(Verdict::Retry, what, "the brokers are busy, or away"))
    }

    /// The word of this member may come late, or not at all: then it is expelled.
    fn speak(&self) {
        match self.world.mishap("membership", 1) {
            None => {}
            Some(Mishap::Late(span) | Mishap::AnsweredLate(span)) => self.world.wait(span),
            Some(_) => self.world.cluster.borrow_mut().group.expel(self.member),
        }
    }
}

impl Log for SimulatedLog<'_> {
    type Record = SimulatedRecord;

    fn membership(&mut self, wait: Duration) -> Result<Option<Change>, Error> {
        self.speak();
        self.step("membership")?;
        if !wait.is_zero() {
            self.world.wait(i64::try_from(wait.as_millis()).unwrap_or(0));
        }
        if self.world.cluster.borrow().coordinate().is_err() {
            return Ok(None);
        }
        let name = |partitions: Vec<i32>| partitions.into_iter().map(|p| (String::new(), p)).collect::<Vec<_>>();
        let standing = self.world.cluster.borrow().group.standing(self.member);
        match standing {
            Standing::Replaced => Err(Error::new(Verdict::Fenced, "stay in the group", "another process joined")),
            Standing::Expelled => {
                self.generation = -1;
                self.member = self.world.join(&self.identity, &self.silent, &self.machine);
                let owned: Vec<i32> = std::mem::take(&mut self.owned).into_iter().collect();
                Ok((!owned.is_empty()).then(|| Change::Revoked { partitions: name(owned), lost: true }))
            }
            Standing::Member(generation) => {
                self.generation = generation;
                let group = &mut self.world.cluster.borrow_mut().group;
                let revoked = group.to_revoke(self.member, &self.owned);
                if !revoked.is_empty() {
                    return Ok(Some(Change::Revoked { partitions: name(revoked), lost: false }));
                }
                let assigned = group.assign(self.member, &self.owned);
                Ok((!assigned.is_empty()).then(|| Change::Assigned(name(assigned))))
            }
        }
    }

    fn accept(&mut self, change: &Change) -> Result<(), Error> {
        self.step("accept")?;
        match change {
            Change::Assigned(partitions) => self.owned.extend(partitions.iter().map(|(_, partition)| *partition)),
            Change::Revoked { lost: true, .. } => {}
            Change::Revoked { partitions, lost: false } => {
                let partitions: Vec<i32> = partitions.iter().map(|(_, partition)| *partition).collect();
                self.owned.retain(|owned| !partitions.contains(owned));
                self.world.cluster.borrow_mut().group.revoked(self.member, &partitions);
            }
        }
        Ok(())
    }

    fn generation(&self) -> i32 {
        self.generation
    }

    fn committed(&mut self, partition: i32) -> Result<Option<i64>, Error> {
        self.step("committed")?;
        self.look("ask for the group's offset", |cluster| cluster.committed(partition))
    }

    fn range(&mut self, topic: usize, partition: i32) -> Result<(i64, i64), Error> {
        self.step("range")?;
        self.look("ask for the range of a partition", |cluster| cluster.range(topic, partition))
    }

    fn start(&mut self, topic: usize, partition: i32, offset: i64) -> Result<(), Error> {
        self.step("start")?;
        self.positions.insert((topic, partition), Position { next: offset, told_end: -1 });
        Ok(())
    }

    fn stop(&mut self, topic: usize, partition: i32) {
        self.positions.remove(&(topic, partition));
    }

    fn fetch(
        &mut self,
        _wait: Duration,
        limit: usize,
        fetched: &mut Vec<Fetched<SimulatedRecord>>,
    ) -> Result<(), Error> {
        self.step("fetch")?;
        read_on(&self.world, &mut self.positions, |_| false, (6, limit), fetched);
        Ok(())
    }

    fn replay(
        &mut self,
        topic: usize,
        partition: i32,
        offsets: Range<i64>,
        each: &mut dyn FnMut(&SimulatedRecord) -> bool,
    ) -> Result<i64, Error> {
        let mut next = offsets.start;
        self.step("replay")?;
        for _ in 0..2_000 {
            if next >= offsets.end {
                return Ok(next);
            }
            let found = {
                let cluster = self.world.cluster.borrow();
                let log = cluster.partition(topic, partition);
                let is_led = cluster.lead(topic, partition).is_ok();
                let found = log
                    .committed_at(next)
                    .filter(|_| is_led)
                    .map(|(entry, body)| SimulatedRecord::of(topic, partition, entry, body));
                next = if found.is_none() && is_led { next.max(log.stable_end()) } else { next };
                found
            };
            match found {
                Some(record) => {
                    next = record.offset + 1;
                    if !each(&record) {
                        return Ok(next);
                    }
                }
                None if next >= offsets.end => return Ok(next),
                None => {
                    self.step("replay")?;
                    self.world.wait(50);
                }
            }
        }
        Err(Error::new(Verdict::Retry, "read a topic", "nothing comes any more"))
    }

    fn ends(&mut self, topic: usize, partitions: &[i32]) -> Result<Vec<(i32, i64)>, Error> {
        self.step("ends")?;
        self.look("ask for the ends of partitions", |cluster| {
            let end = |partition: &i32| {
                cluster.lead(topic, *partition).map(|()| (*partition, cluster.partition(topic, *partition).end()))
            };
            partitions.iter().map(end).collect()
        })
    }

    fn complete_until(&mut self, moment: i64) -> i64 {
        if is_planted(Bug::SourcesUnread) { moment } else { self.world.intake.borrow().complete_until(moment) }
    }

    fn produce(
        &mut self,
        target: Target,
        key: &[u8],
        value: Option<&[u8]>,
        _headers: &[(&'static str, Vec<u8>)],
    ) -> Result<(), Error> {
        self.step("produce")?;
        self.live()?;
        let place = self.world.cluster.borrow().place(target, key);
        let body = Body { key: Some(key.to_vec()), value: value.map(<[u8]>::to_vec) };
        self.waiting.push((place, Rc::new(body)));
        if self.waiting.len() >= LINGER && self.world.random(2) == 0 { self.flush() } else { Ok(()) }
    }

    fn settle(&mut self, positions: &[(i32, i64)]) -> Result<(), Error> {
        if !self.world.may_tear() {
            return Ok(());
        }
        self.step("settle")?;
        self.flush()?;
        if positions.is_empty() { Ok(()) } else { self.offer(positions) }
    }

    fn commit(&mut self, positions: &[(i32, i64)]) -> Result<(), Error> {
        self.step("flush")?;
        self.flush()?;
        self.step("offsets")?;
        self.offer(positions)?;
        let producer = self.live()?;
        self.step("end")?;
        let mut draft = std::mem::take(&mut self.draft);
        let later = Request::Commit { again: false };
        self.ask("end a transaction", &mut draft, Some((&producer, later)), |cluster, _| cluster.end(&producer, true))?;
        self.world.may_repeat_the_commit(&producer, &draft);
        if is_planted(Bug::OffsetsOutside) {
            self.step("offsets afterwards")?;
            self.world.cluster.borrow_mut().move_offsets(positions);
        }
        self.step("ended")
    }

    fn renew(&mut self) -> Result<(), Error> {
        self.step("renew")?;
        self.waiting.clear();
        self.draft = Draft::default();
        if let Some(kept) = self.producer.clone().filter(|_| is_planted(Bug::ProducerKept)) {
            // An abort of what may be open, and on with it.
            let _ = self.world.cluster.borrow_mut().end(&kept, false);
            return Ok(());
        }
        self.producer = None;
        let name = self.identity.clone();
        let made = self.ask("make a producer", &mut Draft::default(), None, |cluster, _| cluster.init(&name));
        // Nothing is unclear about who asks to begin anew.
        self.producer = Some(made.map_err(|error| match error.verdict() {
            Verdict::Abort => Error::new(Verdict::Retry, "make a producer", "no answer"),
            _ => error,
        })?);
        Ok(())
    }
}

impl Changelogs for SimulatedChangelogs<'_> {
    type Record = SimulatedRecord;

    fn range(&mut self, partition: i32) -> Result<(i64, i64), Error> {
        let range = self.world.cluster.borrow().range(CHANGELOG, partition);
        range.map_err(|_| Error::new(Verdict::Retry, "ask for the range of a partition", "nobody leads it"))
    }

    fn start(&mut self, partition: i32, offset: i64) -> Result<(), Error> {
        let next = match offset {
            BEGINNING => self.world.cluster.borrow().partition(CHANGELOG, partition).start(),
            offset => offset,
        };
        self.positions.insert((CHANGELOG, partition), Position { next, told_end: -1 });
        Ok(())
    }

    fn stop(&mut self, partition: i32) {
        self.positions.remove(&(CHANGELOG, partition));
    }

    fn renew(&mut self) -> Result<(), Error> {
        self.positions.clear();
        Ok(())
    }

    fn fetch(
        &mut self,
        _wait: Duration,
        limit: usize,
        fetched: &mut Vec<Fetched<SimulatedRecord>>,
    ) -> Result<(), Error> {
        self.world.step(self.who, &self.machine, &self.silent, "fetch")?;
        let group = &self.world.cluster.borrow().group;
        let reads_all = |partition| {
            is_planted(Bug::RestoreUncommitted)
                || is_planted(Bug::StandbyUncommitted) && !group.is_owned_by(&self.identity, partition)
        };
        read_on(&self.world, &mut self.positions, reads_all, (100, limit), fetched);
        Ok(())
    }
}

/// Reads on where the positions are, fewer than `most` records of each; at most `limit` in all.
fn read_on(
    world: &World<'_>,
    positions: &mut Positions,
    reads_all: impl Fn(i32) -> bool,
    (most, limit): (usize, usize),
    fetched: &mut Vec<Fetched<SimulatedRecord>>,
) {
    let cluster = world.cluster.borrow();
    for ((topic, partition), position) in positions {
        if cluster.lead(*topic, *partition).is_err() {
            continue;
        }
        let log = cluster.partition(*topic, *partition);
        let reads_all = reads_all(*partition);
        let at = |next: i64| if reads_all { log.any_at(next) } else { log.committed_at(next) };
        for _ in 0..world.random(most) {
            let Some((entry, body)) = at(position.next).filter(|_| fetched.len() < limit) else {
                break;
            };
            fetched.push(Fetched::Record(SimulatedRecord::of(*topic, *partition, entry, body)));
            position.next = entry.offset + 1;
        }
        let end = log.stable_end();
        if at(position.next).is_none() && position.told_end != end {
            (position.next, position.told_end) = (position.next.max(end), end);
            fetched.push(Fetched::End { topic: *topic, partition: *partition, offset: end });
        }
    }
}
