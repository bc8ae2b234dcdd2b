//! Brokers in memory: partitions, transactions with their markers, and consumer offsets.
//!
//! What Kafka promises is kept, and what it does not promise is not: markers of one transaction appear partition by partition,
//! a request that was given up may still arrive, a reader of committed records sees nothing behind the first open transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::group::Group;
use super::log::FIRST_OUTPUT;
use super::partition::{Body, Entry, Fate, Partition};
use crate::clock::Millis;
use crate::control;
use crate::log::{CHANGELOG, INPUT, Target};

/// Why a broker refuses a request of a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A newer producer of this identity is there.
    Fenced,
    /// The last transaction is being ended: the same request later.
    Concurrent,
    /// The group has another generation, or does not know this member.
    Generation,
    /// No transaction is open there.
    State,
    /// The broker that is asked is away.
    Away,
}

/// Of so many brokers, each leads some partitions.
const BROKERS: i32 = 3;
/// Who leads transactions, and who leads the group.
const TRANSACTIONS: i32 = 0;
const GROUPS: i32 = 1;

/// One incarnation of a transactional producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Producer {
    /// Transactional id.
    pub name: String,
    /// Producer id.
    pub id: i64,
    /// Grows with each incarnation.
    pub epoch: i32,
}

/// What a client takes for its open transaction. The brokers may know better.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// No other transaction has it; none before the first request.
    number: Option<u64>,
    /// Where it has written.
    places: BTreeSet<(usize, i32)>,
}

/// A request that is still under way though whoever sent it has given it up. Nobody hears the answer.
#[derive(Debug)]
pub struct Late {
    /// When it arrives.
    pub at: Millis,
    /// From whom.
    pub producer: Producer,
    /// About which transaction.
    pub draft: Draft,
    /// What it asks for.
    pub request: Request,
}

/// What a late request asks for.
#[derive(Debug)]
pub enum Request {
    /// To commit, `again` if it was answered already: the client has sent it twice, and knows nothing of that.
    Commit {
        /// See above.
        again: bool,
    },
    /// To take a record.
    Write((usize, i32), Rc<Body>),
    /// To take the group's positions.
    Offsets(Vec<(i32, i64)>, Option<(u64, i32)>),
}

#[derive(Debug, Default)]
struct Transaction {
    id: i64,
    epoch: i32,
    stage: Stage,
    /// Where it has written.
    places: BTreeSet<(usize, i32)>,
    /// Offsets of the group that go with it.
    offsets: BTreeMap<i32, i64>,
    begun_at: Millis,
    /// What its client takes it for.
    draft: Option<u64>,
    /// The group was asked about the member whose positions go with it.
    fenced: bool,
    /// How the last one ended.
    last: Option<bool>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Empty,
    Ongoing,
    /// The outcome is decided; markers are still to be written.
    Ending {
        commit: bool,
    },
}

/// All of it.
#[derive(Debug, Default)]
pub struct Cluster {
    /// Machine time.
    pub now: Millis,
    /// Business time.
    pub business: Millis,
    /// Consumer group.
    pub group: Group,
    topics: Vec<Vec<Partition>>,
    transactions: BTreeMap<String, Transaction>,
    /// The group's committed offsets of INPUT.
    offsets: BTreeMap<i32, i64>,
    late: Vec<Late>,
    producers: i64,
    drafts: u64,
    /// Transactions that the end of an earlier one has hit: one part is committed, and their clients know nothing of it.
    torn: BTreeSet<u64>,
    /// Transactions that were confirmed, and are lost in a partition of the changelog.
    lost: BTreeSet<(u64, i32)>,
    /// Transactions that were committed with something in the changelog, but without positions that the group had let in.
    unfenced: BTreeSet<u64>,
    /// A partition that nobody leads, whoever is there.
    leaderless: Option<(usize, i32)>,
    /// Until when each broker is away.
    away: [Millis; BROKERS as usize],
    /// The output that is the input itself.
    into_input: Option<usize>,
}

impl Cluster {
    /// Topics with so many partitions each, numbered as [`Target`] and the engine number them.
    pub fn new(partitions: &[i32], session_timeout: Millis, business: Millis) -> Self {
        let topic = |count: &i32| (0..*count).map(|_| Partition::default()).collect();
        Cluster {
            topics: partitions.iter().map(topic).collect(),
            group: Group::new(partitions[INPUT], session_timeout),
            business,
            ..Cluster::default()
        }
    }

    /// The same, where one of the outputs is the input itself.
    pub fn into_input(self, output: Option<usize>) -> Self {
        Cluster { into_input: output, ..self }
    }

    /// One partition.
    pub fn partition(&self, topic: usize, partition: i32) -> &Partition {
        &self.topics[topic][usize::try_from(partition).unwrap_or(0)]
    }

    fn partition_mut(&mut self, topic: usize, partition: i32) -> &mut Partition {
        &mut self.topics[topic][usize::try_from(partition).unwrap_or(0)]
    }

    /// First offset of a partition, and the next one that no open transaction hides.
    pub fn range(&self, topic: usize, partition: i32) -> Result<(i64, i64), Refusal> {
        self.lead(topic, partition)?;
        let log = self.partition(topic, partition);
        Ok((log.start(), log.stable_end()))
    }

    /// Partitions of a topic.
    pub fn count(&self, topic: usize) -> i32 {
        i32::try_from(self.topics[topic].len()).unwrap_or(0)
    }

    // Brokers.

    /// A broker goes away until then: nothing that it leads answers. What it had, it has again when it is back.
    pub fn restart(&mut self, broker: usize, until: Millis) {
        self.away[broker % self.away.len()] = until;
    }

    /// From now on nobody leads this partition, or all have a leader again.
    pub fn depose(&mut self, place: Option<(usize, i32)>) {
        self.leaderless = place;
    }

    /// Whether every partition has a leader, as far as brokers are there.
    pub fn is_led(&self) -> bool {
        self.leaderless.is_none()
    }

    /// All of them are there.
    pub fn calm(&mut self) {
        self.away = Default::default();
    }

    fn reach(&self, broker: i32) -> Result<(), Refusal> {
        let until = usize::try_from(broker % BROKERS).ok().and_then(|broker| self.away.get(broker));
        if until.is_some_and(|until| *until > self.now) { Err(Refusal::Away) } else { Ok(()) }
    }

    /// Whether somebody answers for a partition.
    pub fn lead(&self, topic: usize, partition: i32) -> Result<(), Refusal> {
        if self.leaderless == Some((topic, partition)) {
            return Err(Refusal::Away);
        }
        self.reach(i32::try_from(topic).unwrap_or(0) + partition)
    }

    /// Whether somebody answers for the group.
    pub fn coordinate(&self) -> Result<(), Refusal> {
        self.reach(GROUPS)
    }

    /// Appends a record outside of any transaction.
    pub fn append(&mut self, topic: usize, partition: i32, body: Body) {
        self.put((topic, partition), None, None, Some(Rc::new(body)));
    }

    fn put(
        &mut self,
        (topic, partition): (usize, i32),
        producer: Option<i64>,
        draft: Option<u64>,
        body: Option<Rc<Body>>,
    ) {
        let (appended_at, business) = (self.now, self.business);
        let log = self.partition_mut(topic, partition);
        let fate = if producer.is_some() { Fate::Open } else { Fate::Committed };
        log.append(Entry { offset: log.end(), appended_at, business, body, producer, draft, fate, is_gone: false });
    }

    /// Where a record goes; without a partition, the key decides.
    pub fn place(&self, target: Target, key: &[u8]) -> (usize, i32) {
        match target {
            Target::Changelog(partition) => (CHANGELOG, partition),
            Target::Output(output, partition) => {
                let topic = if self.into_input == Some(output) { INPUT } else { FIRST_OUTPUT + output };
                (topic, partition.unwrap_or_else(|| self.partition_of(topic, key)))
            }
        }
    }

    /// The partition of a key.
    pub fn partition_of(&self, topic: usize, key: &[u8]) -> i32 {
        key.iter().map(|byte| i32::from(*byte)).sum::<i32>() % self.count(topic)
    }

    // Transactions.

    /// A new incarnation of a producer. What an earlier one left open is aborted first.
    pub fn init(&mut self, name: &str) -> Result<Producer, Refusal> {
        self.reach(TRANSACTIONS)?;
        let fresh = self.producers;
        let transaction = self
            .transactions
            .entry(name.to_owned())
            .or_insert_with(|| Transaction { id: fresh, ..Transaction::default() });
        if transaction.id == fresh {
            self.producers += 1;
        }
        match transaction.stage {
            Stage::Ending { .. } => Err(Refusal::Concurrent),
            Stage::Ongoing => {
                transaction.epoch += 1;
                transaction.stage = Stage::Ending { commit: false };
                Err(Refusal::Concurrent)
            }
            Stage::Empty => {
                transaction.epoch += 1;
                transaction.last = None;
                Ok(Producer { name: name.to_owned(), id: transaction.id, epoch: transaction.epoch })
            }
        }
    }

    fn transaction(&mut self, producer: &Producer) -> Result<&mut Transaction, Refusal> {
        let transaction = self.transactions.get_mut(&producer.name).ok_or(Refusal::Fenced)?;
        if (transaction.id, transaction.epoch) != (producer.id, producer.epoch) {
            return Err(Refusal::Fenced);
        }
        Ok(transaction)
    }

    /// Opens the transaction, unless it is open.
    fn open(&mut self, producer: &Producer, draft: &mut Draft) -> Result<&mut Transaction, Refusal> {
        self.reach(TRANSACTIONS)?;
        let now = self.now;
        self.drafts += u64::from(draft.number.is_none());
        let number = *draft.number.get_or_insert(self.drafts);
        let transaction = self.transaction(producer)?;
        match transaction.stage {
            Stage::Ending { .. } => return Err(Refusal::Concurrent),
            Stage::Ongoing => {}
            Stage::Empty => {
                transaction.stage = Stage::Ongoing;
                transaction.begun_at = now;
                transaction.fenced = false;
            }
        }
        transaction.draft = Some(number);
        Ok(transaction)
    }

    /// Writes a record into the producer's transaction. A place to which the client has not written yet is added first; where it
    /// believes to have added it, and another request has ended the transaction meanwhile, the record is refused.
    pub fn write(
        &mut self,
        producer: &Producer,
        place: (usize, i32),
        body: &Rc<Body>,
        draft: &mut Draft,
    ) -> Result<(), Refusal> {
        let (topic, partition) = place;
        if !draft.places.contains(&place) {
            self.open(producer, draft)?.places.insert(place);
            draft.places.insert(place);
        }
        self.lead(topic, partition)?;
        let transaction = self.transaction(producer)?;
        if transaction.stage != Stage::Ongoing
            || !transaction.places.contains(&place)
            || transaction.draft != draft.number
        {
            return Err(Refusal::State);
        }
        self.partition_mut(topic, partition).open(producer.id);
        self.put(place, Some(producer.id), draft.number, Some(Rc::clone(body)));
        Ok(())
    }

    /// Puts the group's positions into the transaction, if the group knows this member under this generation. With no
    /// generation at all nobody is asked.
    pub fn send_offsets(
        &mut self,
        producer: &Producer,
        positions: &[(i32, i64)],
        member: Option<(u64, i32)>,
        draft: &mut Draft,
    ) -> Result<(), Refusal> {
        self.open(producer, draft)?;
        self.coordinate()?;
        if member.is_some_and(|(member, generation)| !self.group.knows(member, generation)) {
            return Err(Refusal::Generation);
        }
        let transaction = self.open(producer, draft)?;
        transaction.offsets.extend(positions.iter().copied());
        transaction.fenced = member.is_some();
        Ok(())
    }

    /// Ends the producer's transaction. Markers follow.
    pub fn end(&mut self, producer: &Producer, commit: bool) -> Result<(), Refusal> {
        self.reach(TRANSACTIONS)?;
        let transaction = self.transaction(producer)?;
        let mut bare = None;
        match transaction.stage {
            Stage::Ongoing => {
                transaction.stage = Stage::Ending { commit };
                let is_bare = |(topic, partition): &(usize, i32)| {
                    *topic == CHANGELOG && !(transaction.fenced && transaction.offsets.contains_key(partition))
                };
                bare = transaction.draft.filter(|_| commit && transaction.places.iter().any(is_bare));
            }
            // The answer to the same request, which came twice.
            Stage::Ending { commit: known } if known == commit => {}
            Stage::Ending { .. } => return Err(Refusal::Concurrent),
            Stage::Empty if transaction.last == Some(commit) => {}
            Stage::Empty => return Err(Refusal::State),
        }
        transaction.last = Some(commit);
        self.unfenced.extend(bare);
        Ok(())
    }

    /// A commit that is still under way from an earlier request of this producer arrives now.
    pub fn commit_arrives(&mut self, producer: &Producer) {
        let is_such = |late: &Late| late.producer == *producer && matches!(late.request, Request::Commit { .. });
        if let Some(index) = self.late.iter().position(is_such) {
            let late = self.late.swap_remove(index);
            self.arrive(late);
        }
    }

    /// Lets a request arrive later.
    pub fn send_later(&mut self, late: Late) {
        self.late.push(late);
    }

    /// Epochs and sequence numbers let in of a late request only what belongs to the open transaction; an end has neither.
    fn arrive(&mut self, late: Late) {
        let Late { producer, mut draft, request, .. } = late;
        let open = self.transaction(&producer).ok().filter(|transaction| transaction.stage == Stage::Ongoing);
        let open = open.and_then(|transaction| transaction.draft);
        let _ = match request {
            Request::Commit { again } => {
                let hit = open.filter(|open| again && Some(*open) != draft.number);
                self.end(&producer, true).map(|()| self.torn.extend(hit))
            }
            _ if open != draft.number => Ok(()),
            Request::Write(place, body) => self.write(&producer, place, &body, &mut draft),
            Request::Offsets(positions, member) => self.send_offsets(&producer, &positions, member, &mut draft),
        };
    }

    /// Transactions that were torn: whatever they had written by then is committed, and the rest is not, or apart from it.
    pub fn torn(&self) -> &BTreeSet<u64> {
        &self.torn
    }

    /// Transactions that were committed with something in the changelog, but without positions that the group had let in.
    pub fn unfenced(&self) -> &BTreeSet<u64> {
        &self.unfenced
    }

    /// The brokers lose what they have confirmed last of a partition of the changelog, but not its first META: without any there is
    /// nothing to go on from.
    pub fn lose_tail(&mut self, partition: i32) -> bool {
        let is_meta = |body: &Body| body.key.as_deref() == Some(control::META_KEY);
        let lost = self.partition_mut(CHANGELOG, partition).lose_tail(is_meta);
        self.lost.extend(lost.map(|lost| (lost, partition)));
        lost.is_some()
    }

    /// Whether a transaction has said something to the input where nobody leads it: it can neither go on nor end, and with it its producer.
    pub fn speaks_to_nobody(&self) -> bool {
        let place = self.leaderless.filter(|(topic, _)| *topic == INPUT);
        place.is_some_and(|place| self.transactions.values().any(|transaction| transaction.places.contains(&place)))
    }

    /// Whether no transaction is open, or still to be marked.
    pub fn is_settled(&self) -> bool {
        self.transactions.values().all(|transaction| transaction.stage == Stage::Empty)
    }

    /// Transactions that are lost in a partition of the changelog.
    pub fn lost(&self) -> &BTreeSet<(u64, i32)> {
        &self.lost
    }

    /// The group's position, if no open transaction moves it.
    pub fn committed(&self, partition: i32) -> Result<Option<i64>, Refusal> {
        self.coordinate()?;
        let moves = |transaction: &Transaction| transaction.offsets.contains_key(&partition);
        if self.transactions.values().any(moves) {
            return Err(Refusal::Concurrent);
        }
        Ok(self.offsets.get(&partition).copied())
    }

    /// Everything in a partition whose commit is decided, whether its marker is there yet or not.
    pub fn decided(&self, topic: usize, partition: i32) -> impl Iterator<Item = (&Entry, &Rc<Body>)> {
        let is_committing = |t: &&Transaction| t.stage == Stage::Ending { commit: true };
        let committing: BTreeSet<i64> = self.transactions.values().filter(is_committing).map(|t| t.id).collect();
        let is_decided = move |entry: &&Entry| match entry.fate {
            Fate::Open => entry.producer.is_some_and(|producer| committing.contains(&producer)),
            fate => fate == Fate::Committed,
        };
        let entries = self.partition(topic, partition).entries_from(0).iter().filter(is_decided);
        entries.filter_map(|entry| Some((entry, entry.body.as_ref()?)))
    }

    /// Moves the group's position outside of any transaction.
    pub fn move_offsets(&mut self, positions: &[(i32, i64)]) {
        self.offsets.extend(positions.iter().copied());
    }

    /// Writes at most `limit` markers of transactions that are ending; `pick` says which of so many comes next.
    pub fn write_markers(&mut self, limit: usize, mut pick: impl FnMut(usize) -> usize) {
        for _ in 0..limit {
            let is_ending = |t: &Transaction| matches!(t.stage, Stage::Ending { .. });
            let ending: Vec<String> =
                self.transactions.iter().filter(|(_, t)| is_ending(t)).map(|(name, _)| name.clone()).collect();
            if ending.is_empty() {
                return;
            }
            let name = &ending[pick(ending.len())];
            self.write_marker(name, &mut pick);
        }
    }

    /// Markers go where somebody leads; the others wait.
    fn write_marker(&mut self, name: &str, pick: &mut impl FnMut(usize) -> usize) {
        let Some(transaction) = self.transactions.get(name) else { return };
        let Stage::Ending { commit } = transaction.stage else { return };
        let id = transaction.id;
        let places = transaction.places.iter().copied();
        let places: Vec<_> = places.filter(|(topic, partition)| self.lead(*topic, *partition).is_ok()).collect();
        let has_offsets = !transaction.offsets.is_empty() && self.coordinate().is_ok();
        let targets = places.len() + usize::from(has_offsets);
        let chosen = if targets == 0 { 0 } else { pick(targets) };
        let Some(transaction) = self.transactions.get_mut(name) else { return };
        if let Some(place) = places.get(chosen) {
            transaction.places.remove(place);
            self.mark(*place, id, commit);
        } else if has_offsets {
            let offsets = std::mem::take(&mut transaction.offsets);
            if commit {
                self.offsets.extend(offsets);
            }
        }
        if let Some(transaction) = self.transactions.get_mut(name)
            && transaction.places.is_empty()
            && transaction.offsets.is_empty()
        {
            transaction.stage = Stage::Empty;
        }
    }

    fn mark(&mut self, place: (usize, i32), id: i64, commit: bool) {
        let fate = if commit { Fate::Committed } else { Fate::Aborted };
        self.partition_mut(place.0, place.1).close(id, fate);
        self.put(place, None, None, None);
    }

    /// Lets time pass: late requests arrive, transactions time out, silent members are expelled.
    pub fn pass(&mut self, span: Millis, transaction_timeout: Millis, is_silent: impl Fn(u64) -> bool) {
        self.now += span;
        let now = self.now;
        let (due, waiting) = std::mem::take(&mut self.late).into_iter().partition(|late| late.at <= now);
        self.late = waiting;
        let due: Vec<Late> = due;
        due.into_iter().for_each(|late| self.arrive(late));
        if self.reach(TRANSACTIONS).is_ok() {
            for transaction in self.transactions.values_mut() {
                if transaction.stage == Stage::Ongoing && now - transaction.begun_at > transaction_timeout {
                    transaction.epoch += 1;
                    transaction.stage = Stage::Ending { commit: false };
                }
            }
        }
        // A coordinator that comes back hears everybody anew before it expels anybody.
        let is_away = self.coordinate().is_err();
        self.group.pass(now, |id| !is_away && is_silent(id));
    }

    /// Compacts a share of a partition of the changelog. Not what a torn transaction has left without the META that it was written anew
    /// before: compaction's lag (ten minutes) is far longer than the time between the two, so that it comes to both or to none.
    pub fn compact(&mut self, topic: usize, partition: i32, tombstones: Millis, share: f64) {
        let log = self.partition(topic, partition);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "a place somewhere in between"
        )]
        let before = log.start() + ((log.end() - log.start()) as f64 * share) as i64;
        let is_meta = |entry: &&Entry| {
            let key = entry.body.as_ref().and_then(|body| body.key.as_deref());
            entry.fate == Fate::Committed && key == Some(control::META_KEY)
        };
        let is_torn = |entry: &&Entry| entry.draft.is_some_and(|draft| self.torn.contains(&draft));
        let is_met = |entry: &&Entry| {
            log.entries_from(entry.offset).iter().find(is_meta).is_some_and(|meta| meta.offset < before)
        };
        let torn = log.entries_from(0).iter().filter(is_torn).find(|entry| !is_met(entry));
        let torn = torn.map_or(i64::MAX, |entry| entry.offset);
        self.partition_mut(topic, partition).compact(before.min(torn), tombstones);
    }
}
