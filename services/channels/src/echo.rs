//! What providers say of their own accord over our own connections: receipts, replies.
//!
//! *How a receipt finds its send.* It names the provider's id, and the provider may say it to any replica, also after a restart.
//! What the id belongs to stands in `attempt.<channel>`: in the outcome of the send or, where the provider told the id only after
//! the hand-over had ended as unknown, in a record of its own (`NAMED`). So that topic is the store, kept for fourteen days and
//! compacted, and every worker of such a channel follows it in all of its partitions ([`memory`]): the latest sends
//! (`receipts_remembered`) are remembered, and what is not among them is looked for in all of the topic ([`search`]).
//!
//! *How a reply finds its send.* It names an address. Of what may have gone out the outcome holds a code of the address
//! ([`crate::pseudonym`]), and the reply is about the latest such send. What the customer wrote goes to the topic `reply`, for people; the
//! fact, without the text, to `feedback`.
//!
//! | a receipt comes | what happens |
//! |---|---|
//! | after our own record | it is a fact at once |
//! | before it | it waits, [`PATIENCE`] at most; then the provider has to repeat it: where Kafka is slow our record may be later than that |
//! | after a restart, or at another replica | the same: all have read the same topic; while it is read anew receipts wait for [`READING`], and then have to be repeated |
//! | for a send that is not remembered any more | the provider has to repeat it; meanwhile the topic is searched, for all such receipts at once |
//! | for a send whose id came late | as for every other, at every replica, once the record of it is written |
//! | twice, or in another order | facts with the same ids: the operator's lattice of statuses does the rest |
//! | from somebody to whom we have sent nothing in fourteen days | the same as the next row (`unknown_sender`): nobody knows whose text it is, and it is not kept |
//! | about nothing that we have sent in fourteen days | the provider has to repeat it once; then it is acknowledged and counted (`cascade_provider_words_total`): said again it would be no other |
//! | never | nothing waits for it here: the operator's own wait ends |
//!
//! *What holds.* The provider is told that we have a word once Kafka has the fact, and the text before it, and not before: what a
//! crash takes is said again, and gets the same ids. Memory is bounded by `receipts_remembered` and the constants here, whatever comes.
//!
//! *Limits.* A provider that does not repeat what it is told to repeat loses receipts that come later than the memory reaches: with a
//! hundred sends a second the default holds an hour and a half. An id that comes late and is lost with its process before its
//! record is written is lost; so the provider's receipt is about nothing then. A reply that is faster than the outcome of its send, as
//! no person is, counts for the send before it. Where the provider tells no time, a text that a customer writes twice is one reply. A search reads the whole topic, and may take a tenth
//! of the follower's time.

mod memory;
mod search;

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use schemas::{Actor, Attempt, AttemptState, Feedback, Id, Millis, Outcome, Reply, Status, decode, encode};
use stream::clock::{Clock, Tick};
use stream::kafka::{Fetched, Reader, Record, Settings};
use stream::publisher::Publisher;
use stream::shares::Shares;
use stream::{Error, thread};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use memory::{Known, Memory, Name, Whose};
use search::Search;

use crate::metrics::Words;
use crate::pseudonym::Pseudonyms;
use crate::transport::{About, Ear, Fate, Text, Word, plain_code};

/// A receipt waits so long for our own record of its send.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// While the memory is read anew after a start, it waits longer, and has to be repeated then.
const READING: Duration = Duration::from_secs(20);

/// Words that are looked after at once. One that nothing is known for holds its place for all of [`PATIENCE`]: so eight hundred such
/// receipts a second do not yet make others wait. Of what is written one partition may have a quarter: where no broker leads it, its
/// words have to be said again, and those of others are heard.
const AT_ONCE: usize = 4_096;

/// Records that are taken from the queue at once.
const BATCH: usize = 2_048;

/// So often the follower looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(100);

/// Something that is being written.
type Writing<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// Where facts go.
trait Facts: Send + Sync {
    fn publish<'a>(&'a self, fact: &'a Feedback) -> Writing<'a>;

    /// Keeps what a customer wrote.
    fn keep<'a>(&'a self, reply: &'a Reply) -> Writing<'a>;

    /// Tells all replicas which send an id belongs to.
    fn name<'a>(&'a self, named: &'a Attempt) -> Writing<'a>;
}

struct Kafka {
    publisher: Publisher,
    feedback: String,
    attempt: String,
    reply: String,
}

impl Facts for Kafka {
    fn publish<'a>(&'a self, fact: &'a Feedback) -> Writing<'a> {
        Box::pin(async move {
            let (key, value) = (fact.customer_id.as_bytes(), encode(fact));
            let published = self.publisher.publish(&self.feedback, None, Some(key), Some(&value), &[]).await;
            published.map_err(|error| error.to_string())
        })
    }

    fn keep<'a>(&'a self, reply: &'a Reply) -> Writing<'a> {
        Box::pin(async move {
            let (key, value) = (reply.customer_id.as_bytes(), encode(reply));
            let published = self.publisher.publish(&self.reply, None, Some(key), Some(&value), &[]).await;
            published.map_err(|error| error.to_string())
        })
    }

    fn name<'a>(&'a self, named: &'a Attempt) -> Writing<'a> {
        Box::pin(async move {
            // A key of its own, so that compaction keeps the outcome beside it.
            let (key, value) = (format!("{}/named", named.send_id), encode(named));
            let published = self.publisher.publish(&self.attempt, None, Some(key.as_bytes()), Some(&value), &[]).await;
            published.map_err(|error| error.to_string())
        })
    }
}

/// Whose words are heard, and where they go. The topics have to be there.
#[derive(Debug)]
pub struct Origin<'a> {
    /// How Kafka is reached.
    pub settings: &'a Settings,
    /// Name of `attempt.<channel>`: what is read, and where ids go that come late.
    pub attempt: &'a str,
    /// Partitions of it.
    pub partitions: u32,
    /// Name of the topic for facts.
    pub feedback: &'a str,
    /// Name of the topic for what customers write.
    pub reply: &'a str,
    /// The channel.
    pub channel: &'a str,
    /// Name of the provider in facts: the same as its worker gives it.
    pub provider: &'a str,
    /// Business time.
    pub clock: &'a Clock,
    /// The codes of addresses: with the keys of the channel's worker.
    pub pseudonyms: &'a Pseudonyms,
    /// Where words are counted.
    pub words: &'a Words,
}

/// Listens until it is dropped; that waits for its thread, a tenth of a second or so.
#[derive(Debug)]
pub struct Echo {
    stop: Arc<AtomicBool>,
    follower: Option<JoinHandle<()>>,
    _listener: JoinSet<()>,
}

impl Echo {
    /// Begins to follow the channel's attempts, in a thread of its own, and to make facts of what the ear hears, on `runtime`. Each word is
    /// told its fate in bounded time: at most [`PATIENCE`], or twenty seconds while the memory is read after the start, and what Kafka
    /// takes for a fact. Words that nobody sends any more end it, too.
    ///
    /// # Errors
    /// If Kafka cannot be asked about the topic, or no thread can be started.
    pub fn listen(ear: Ear, origin: &Origin<'_>, runtime: &tokio::runtime::Handle) -> Result<Self, Error> {
        let publisher = Publisher::new(origin.settings, &[origin.feedback, origin.attempt, origin.reply])?;
        let (turned, turns) = watch::channel(0_u64);
        let listener = Listener {
            memory: Arc::new(Mutex::new(Memory::new(ear.memory))),
            turns,
            facts: Arc::new(Kafka {
                publisher,
                feedback: origin.feedback.to_owned(),
                attempt: origin.attempt.to_owned(),
                reply: origin.reply.to_owned(),
            }),
            clock: origin.clock.clone(),
            channel: origin.channel.to_owned(),
            provider: origin.provider.to_owned(),
            pseudonyms: origin.pseudonyms.clone(),
            words: origin.words.clone(),
            shares: Shares::of(AT_ONCE, origin.settings.partitions(origin.feedback)?.unwrap_or(1)),
            patience: (PATIENCE, READING),
        };
        let follower = Follower::new(origin, Arc::clone(&listener.memory), ear.memory, turned)?;
        let stop = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&stop);
        let follower = thread::spawn("receipt-memory", move || follower.follow(&until))
            .map_err(|error| Error::stop("start to follow the attempts", error.to_string()))?;
        let mut tasks = JoinSet::new();
        tasks.spawn_on(listener.listen(ear.words), runtime);
        Ok(Echo { stop, follower: Some(follower), _listener: tasks })
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(follower) = self.follower.take() {
            drop(follower.join());
        }
    }
}

/// Offsets to go back in each partition: two records for each send and, where little is sent, a mark of a transaction behind each.
/// Sends are spread evenly; what is read beyond the memory's room falls out of it again, the oldest first.
fn look_back(limit: usize, partitions: u32) -> i64 {
    let share = limit.div_ceil(usize::try_from(partitions.max(1)).unwrap_or(1));
    i64::try_from(share.saturating_mul(4)).unwrap_or(i64::MAX)
}

/// Reads all partitions of `attempt.<channel>`.
struct Follower {
    reader: Reader,
    topic: usize,
    memory: Arc<Mutex<Memory>>,
    turned: watch::Sender<u64>,
    /// Partitions that are not read yet to where they ended at the start.
    behind: BTreeMap<i32, i64>,
    /// Partitions of which what was to be read is deleted already: they begin again where they begin now.
    lost: BTreeSet<i32>,
    search: Search,
}

impl Follower {
    fn new(
        origin: &Origin<'_>,
        memory: Arc<Mutex<Memory>>,
        limit: usize,
        turned: watch::Sender<u64>,
    ) -> Result<Self, Error> {
        let mut reader = Reader::new(origin.settings)?;
        let topic = reader.topic(origin.attempt)?;
        let back = look_back(limit, origin.partitions);
        let mut behind = BTreeMap::new();
        let mut is_whole = true;
        for partition in 0..i32::try_from(origin.partitions).unwrap_or(i32::MAX) {
            let (low, high) = reader.range(topic, partition)?;
            let from = low.max(high.saturating_sub(back));
            is_whole &= from == low;
            reader.start(topic, partition, from)?;
            if low < high {
                behind.insert(partition, high);
            }
        }
        if !is_whole {
            memory.lock().unwrap_or_else(PoisonError::into_inner).is_a_part();
        }
        let search = Search::new(origin.settings, origin.attempt, origin.partitions);
        Ok(Follower { reader, topic, memory, turned, behind, lost: BTreeSet::new(), search })
    }

    fn follow(mut self, stop: &AtomicBool) {
        let mut fetched = Vec::new();
        self.look_back();
        while !stop.load(Ordering::Relaxed) {
            let wait = if self.search.is_under_way() { Duration::ZERO } else { LOOK };
            if let Err(error) = self.reader.fetch(wait, BATCH, &mut fetched) {
                tracing::warn!("the attempts cannot be followed for now: {error}");
            }
            let has_found = self.search.go_on(&self.memory);
            self.start_over();
            if fetched.is_empty() && !has_found {
                continue;
            }
            for item in fetched.drain(..) {
                match item {
                    Fetched::Record(record) => {
                        self.take(&record);
                        self.passed(record.partition(), record.offset() + 1);
                    }
                    Fetched::End { partition, offset, .. } => self.passed(partition, offset),
                    Fetched::OutOfRange { partition, .. } => _ = self.lost.insert(partition),
                }
            }
            self.look_back();
            self.turned.send_modify(|turn| *turn = turn.wrapping_add(1));
        }
    }

    fn take(&self, record: &Record) {
        if let Some((names, (id, customer_id))) = record.value().and_then(taken) {
            let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            names.iter().for_each(|name| memory.insert(name, id, &customer_id, record.timestamp()));
        }
    }

    fn passed(&mut self, partition: i32, offset: i64) {
        if self.behind.get(&partition).is_some_and(|end| offset >= *end) {
            self.behind.remove(&partition);
        }
    }

    fn look_back(&self) {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).caught_up = self.behind.is_empty();
    }

    /// Those that cannot be begun again now are tried with each turn.
    fn start_over(&mut self) {
        let Follower { reader, topic, lost, .. } = self;
        lost.retain(|partition| {
            let started = reader.range(*topic, *partition).and_then(|(low, _)| reader.start(*topic, *partition, low));
            if let Err(error) = &started {
                tracing::warn!(partition, "the attempts cannot be followed for now: {error}");
            }
            started.is_err()
        });
    }
}

/// What a record says a send is known by, and whose it is. Outcomes of what may have gone out have addresses, those of what was taken
/// may have the provider's id.
fn taken(bytes: &[u8]) -> Option<(Vec<Name>, Whose)> {
    let attempt = decode::<Attempt>(bytes).ok()?;
    let settled = attempt.state == AttemptState::Settled;
    let has_id = settled && attempt.status == Status::Accepted || attempt.state == AttemptState::Named;
    let by_id = attempt.provider_id.as_deref().filter(|_| has_id).map(Name::id);
    let by_address = attempt.to.as_deref().filter(|_| settled).map(Name::to);
    let names: Vec<Name> = by_id.into_iter().chain(by_address).collect();
    let id = Id::parse(&attempt.send_id).filter(|_| !names.is_empty())?;
    Some((names, (id, attempt.customer_id)))
}

/// Makes facts of words.
#[derive(Clone)]
struct Listener {
    memory: Arc<Mutex<Memory>>,
    /// Changes when the memory has grown.
    turns: watch::Receiver<u64>,
    facts: Arc<dyn Facts>,
    clock: Clock,
    channel: String,
    provider: String,
    pseudonyms: Pseudonyms,
    words: Words,
    /// What each partition may have under way.
    shares: Shares,
    /// How long a receipt waits for our own record: while the memory is whole, and while it is read.
    patience: (Duration, Duration),
}

enum Found {
    Send(Id, String),
    Nothing,
    /// The memory is not read yet.
    NotYet,
}

impl Listener {
    async fn listen(self, mut words: tokio::sync::mpsc::Receiver<Word>) {
        let mut tasks = JoinSet::new();
        while let Some(word) = words.recv().await {
            while tasks.len() >= AT_ONCE {
                tasks.join_next().await;
            }
            while tasks.try_join_next().is_some() {}
            // Not beside the others: the receipt may be the next word.
            if let About::Named { provider_id, send_id, customer_id } = word.about {
                if let Some(named) = self.learn(provider_id, send_id, customer_id) {
                    tasks.spawn(self.clone().tell_others(named));
                }
                continue;
            }
            tasks.spawn(self.clone().hear(word));
        }
        while tasks.join_next().await.is_some() {}
    }

    /// Remembers a late id. Gives back what the others have to know.
    fn learn(&self, provider_id: String, send_id: String, customer_id: String) -> Option<Attempt> {
        let (id, now, name) = (Id::parse(&send_id)?, self.clock.now(), Name::id(&provider_id));
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).insert(&name, id, &customer_id, now);
        let state = AttemptState::Named;
        Some(Attempt { send_id, customer_id, state, at: now, provider_id: Some(provider_id), ..Attempt::default() })
    }

    async fn tell_others(self, named: Attempt) {
        if let Err(error) = self.facts.name(&named).await {
            tracing::warn!("an id that came late is known to this process alone: {error}");
        }
    }

    async fn hear(self, word: Word) {
        let Word { about, status, code, text, occurred_at, fate } = word;
        // The one way of codes from providers into records: whatever reads a post or a frame, no more than a code goes through.
        let code = code.as_deref().and_then(plain_code).map(str::to_owned);
        let (found, about_nothing) = match about {
            About::ProviderId(provider_id) => (self.find(&[Name::id(&provider_id)]).await, "unknown_send"),
            About::Address(address) => (self.find(&self.names(&address)).await, "unknown_sender"),
            About::Send { send_id, customer_id } => {
                (Id::parse(&send_id).map_or(Found::Nothing, |id| Found::Send(id, customer_id)), "unknown_send")
            }
            About::Nothing(why) => (Found::Nothing, why),
            About::Named { .. } => (Found::Nothing, "late_id"),
        };
        let told = match found {
            Found::Send(id, customer_id) => {
                let at = believed(occurred_at, self.clock.now());
                let reply = text.map(|text| self.reply(id, &customer_id, (occurred_at, at), &text));
                let fact = self.fact(id, customer_id, status, code, at);
                match self.write(reply, fact).await {
                    Ok(()) => {
                        self.count(&status.as_str().to_ascii_lowercase());
                        Fate::Kept
                    }
                    Err(error) => {
                        tracing::warn!("what the provider said could not be published: {error}");
                        self.count("again");
                        Fate::Again
                    }
                }
            }
            Found::Nothing => {
                self.count(about_nothing);
                Fate::Useless
            }
            Found::NotYet => {
                self.count("again");
                Fate::Again
            }
        };
        // Whoever asked may have gone with the connection.
        let _ = fate.send(told);
    }

    fn count(&self, outcome: &str) {
        self.words.count(&self.channel, outcome);
    }

    /// What the customer wrote first: the fact makes the word one that need not be said again.
    async fn write(&self, reply: Option<Reply>, fact: Feedback) -> Result<(), String> {
        let Some(_share) = self.shares.take(fact.customer_id.as_bytes()) else {
            return Err("too many wait for its partition already".to_owned());
        };
        if let Some(reply) = &reply {
            self.facts.keep(reply).await?;
        }
        self.facts.publish(&fact).await
    }

    /// As what the address may stand in the topic.
    fn names(&self, address: &str) -> Vec<Name> {
        self.pseudonyms.all(&self.channel, address).iter().map(|code| Name::to(code)).collect()
    }

    async fn find(&self, names: &[Name]) -> Found {
        let mut turns = self.turns.clone();
        let began = Tick::now();
        loop {
            turns.borrow_and_update();
            let caught_up = {
                let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
                match memory.find(names) {
                    Known::Send(id, customer_id) => return Found::Send(id, customer_id),
                    Known::Nothing => return Found::Nothing,
                    Known::NotYet => {}
                }
                memory.caught_up
            };
            let (whole, reading) = self.patience;
            let rest = if caught_up { whole } else { reading }.saturating_sub(began.elapsed());
            match timeout(rest, turns.changed()).await {
                Ok(Ok(())) => {}
                // Nobody reads any more: the worker ends.
                Ok(Err(_)) => return Found::NotYet,
                Err(_) if caught_up => {
                    let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
                    let is_hopeless = !memory.is_to_be_searched(names) && memory.was_given_up(names, began);
                    return if is_hopeless { Found::Nothing } else { Found::NotYet };
                }
                Err(_) => return Found::NotYet,
            }
        }
    }

    fn reply(&self, id: Id, customer_id: &str, (told, at): (Option<Millis>, Millis), text: &Text) -> Reply {
        let (channel, provider, text) = (&self.channel, &self.provider, text.as_str());
        Reply {
            event_id: Id::of_reply(customer_id, channel, provider, told, text).to_string(),
            customer_id: customer_id.to_owned(),
            channel: channel.clone(),
            provider: provider.clone(),
            send_id: Some(id.to_string()),
            text: text.to_owned(),
            occurred_at: at,
        }
    }

    fn fact(&self, id: Id, customer_id: String, status: Status, code: Option<String>, at: Millis) -> Feedback {
        Feedback {
            event_id: format!("{id}/{status}/{}", self.provider),
            customer_id,
            occurred_at: at,
            send_id: Some(id.to_string()),
            channel: self.channel.clone(),
            status,
            actor: if status == Status::Opened { Actor::Human } else { Actor::Unspecified },
            provider: self.provider.clone(),
            provider_id: None,
            code,
            outcome: Outcome::Unspecified,
        }
    }
}

/// What lies further ahead of business time than this is not believed.
const AHEAD: Millis = 5 * 60_000;

/// What lies further back than this is not believed: providers report for three days.
const BEHIND: Millis = 14 * 86_400_000;

/// A provider's time where it lies near business time, else now.
pub fn believed(told: Option<Millis>, now: Millis) -> Millis {
    let sane = now.saturating_sub(BEHIND)..=now.saturating_add(AHEAD);
    told.filter(|moment| sane.contains(moment)).unwrap_or(now)
}

#[cfg(test)]
mod tests;
