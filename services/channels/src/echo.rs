//! What providers say of their own accord over our own connections: receipts, replies.
//!
//! *How a receipt finds its send.* It names the provider's id, and the provider may say it to any replica, also after a restart.
//! What the id belongs to stands in `attempt.<channel>`, so every worker of such a channel follows that topic in all of its
//! partitions and remembers the latest sends that a provider took (`receipts_remembered`). A receipt that is faster than our own
//! record waits for it, [`PATIENCE`] at most.
//!
//! *What holds.* The provider is told that we have a word once Kafka has the fact, and not before: what a crash takes is said
//! again. A word that comes twice makes facts with the same id. A word that nothing is known for is acknowledged and counted
//! (`cascade_provider_words_total`): said again it would be no other.
//!
//! *Late ids.* An answer that comes after its hand-over had ended as unknown still says the id of the message. This process remembers
//! it; another replica, or this one after a start, does not know it.
//!
//! *Limits.* A receipt is lost that comes after its send has fallen out of the memory: with a hundred sends a second the default
//! holds an hour and a half. After a start the memory is read anew, from as far back as it can hold; until then receipts wait, and
//! the provider has to repeat what waits too long.

use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use schemas::{Actor, Attempt, AttemptState, Feedback, Id, Millis, Outcome, Status, decode, encode};
use stream::clock::{Clock, Tick};
use stream::kafka::{Fetched, Reader, Record, Settings};
use stream::publisher::Publisher;
use stream::{Error, thread};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::metrics::ChannelMetrics;
use crate::transport::{About, Ear, Fate, Word};

/// A receipt waits so long for our own record of its send.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// While the memory is read anew after a start, it waits longer, and has to be repeated then.
const READING: Duration = Duration::from_secs(20);

/// Words that are looked after at once. One that nothing is known for holds its place for all of [`PATIENCE`]: so eight hundred such
/// receipts a second do not yet make others wait.
const AT_ONCE: usize = 4_096;

/// Records that are taken from the queue at once.
const BATCH: usize = 2_048;

/// So often the follower looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(100);

/// Where facts go.
trait Facts: Send + Sync {
    fn publish<'a>(&'a self, fact: &'a Feedback) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;
}

struct Kafka {
    publisher: Publisher,
    topic: String,
}

impl Facts for Kafka {
    fn publish<'a>(&'a self, fact: &'a Feedback) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>> {
        Box::pin(async move {
            let (key, value) = (fact.customer_id.as_bytes(), encode(fact));
            let published = self.publisher.publish(&self.topic, None, Some(key), Some(&value), &[]).await;
            published.map_err(|error| error.to_string())
        })
    }
}

/// The latest sends by the provider's ids.
#[derive(Debug)]
struct Memory {
    sends: HashMap<Arc<str>, Remembered>,
    /// The oldest goes first, in whatever order the partitions were read.
    order: BTreeMap<Place, Arc<str>>,
    inserted: u64,
    limit: usize,
    /// Everything that stood in the topic at the start was read.
    caught_up: bool,
}

/// When a record was written, and a number of its own.
type Place = (Millis, u64);

#[derive(Debug)]
struct Remembered {
    id: Id,
    customer_id: Box<str>,
    place: Place,
}

impl Memory {
    fn new(limit: usize) -> Self {
        Memory { sends: HashMap::new(), order: BTreeMap::new(), inserted: 0, limit, caught_up: false }
    }

    /// An id that comes again belongs to the later send.
    fn insert(&mut self, provider_id: &str, id: Id, customer_id: String, at: Millis) {
        let key: Arc<str> = normal(provider_id).into();
        if let Some(known) = self.sends.get(&key) {
            if known.place.0 > at {
                return;
            }
            self.order.remove(&known.place);
        }
        self.inserted += 1;
        let place = (at, self.inserted);
        self.sends.insert(Arc::clone(&key), Remembered { id, customer_id: customer_id.into(), place });
        self.order.insert(place, key);
        if self.order.len() > self.limit
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.sends.remove(&oldest);
        }
    }

    fn find(&self, provider_id: &str) -> Option<(Id, String)> {
        self.sends.get(normal(provider_id).as_str()).map(|send| (send.id, send.customer_id.to_string()))
    }
}

/// One id is written in several ways: with leading zeros or without, in either case.
fn normal(provider_id: &str) -> String {
    provider_id.trim().trim_start_matches('0').to_ascii_lowercase()
}

/// Whose words are heard.
pub(crate) struct Origin<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) attempt: &'a str,
    pub(crate) feedback: &'a str,
    pub(crate) partitions: u32,
    pub(crate) channel: &'a str,
    pub(crate) provider: &'a str,
    pub(crate) clock: &'a Clock,
    pub(crate) metrics: &'a ChannelMetrics,
}

/// Listens until it is dropped.
pub(crate) struct Echo {
    stop: Arc<AtomicBool>,
    follower: Option<JoinHandle<()>>,
    _listener: JoinSet<()>,
}

impl Echo {
    pub(crate) fn listen(ear: Ear, origin: &Origin<'_>, runtime: &tokio::runtime::Handle) -> Result<Self, Error> {
        let publisher = Publisher::new(origin.settings, &[origin.feedback])?;
        let (turned, turns) = watch::channel(0_u64);
        let listener = Listener {
            memory: Arc::new(Mutex::new(Memory::new(ear.memory))),
            turns,
            facts: Arc::new(Kafka { publisher, topic: origin.feedback.to_owned() }),
            clock: origin.clock.clone(),
            channel: origin.channel.to_owned(),
            provider: origin.provider.to_owned(),
            metrics: origin.metrics.clone(),
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
        for partition in 0..i32::try_from(origin.partitions).unwrap_or(i32::MAX) {
            let (low, high) = reader.range(topic, partition)?;
            reader.start(topic, partition, low.max(high.saturating_sub(back)))?;
            if low < high {
                behind.insert(partition, high);
            }
        }
        Ok(Follower { reader, topic, memory, turned, behind })
    }

    fn follow(mut self, stop: &AtomicBool) {
        let mut fetched = Vec::new();
        self.look_back();
        while !stop.load(Ordering::Relaxed) {
            if let Err(error) = self.reader.fetch(LOOK, BATCH, &mut fetched) {
                tracing::warn!("the attempts cannot be followed for now: {error}");
            }
            if fetched.is_empty() {
                continue;
            }
            for item in fetched.drain(..) {
                match item {
                    Fetched::Record(record) => {
                        self.take(&record);
                        self.passed(record.partition(), record.offset() + 1);
                    }
                    Fetched::End { partition, offset, .. } => self.passed(partition, offset),
                    Fetched::OutOfRange { partition, .. } => self.start_over(partition),
                }
            }
            self.look_back();
            self.turned.send_modify(|turn| *turn = turn.wrapping_add(1));
        }
    }

    fn take(&self, record: &Record) {
        let Some(Ok(attempt)) = record.value().map(decode::<Attempt>) else { return };
        let taken = attempt.state == AttemptState::Settled && attempt.status == Status::Accepted;
        if let (true, Some(provider_id), Some(id)) = (taken, &attempt.provider_id, Id::parse(&attempt.send_id)) {
            let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            memory.insert(provider_id, id, attempt.customer_id, record.timestamp());
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

    /// What was to be read is deleted already.
    fn start_over(&mut self, partition: i32) {
        let started = self.reader.range(self.topic, partition);
        let started = started.and_then(|(low, _)| self.reader.start(self.topic, partition, low));
        if let Err(error) = started {
            tracing::warn!(partition, "the attempts cannot be followed: {error}");
        }
    }
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
    metrics: ChannelMetrics,
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
                self.learn(&provider_id, &send_id, customer_id);
                continue;
            }
            tasks.spawn(self.clone().hear(word));
        }
        while tasks.join_next().await.is_some() {}
    }

    fn learn(&self, provider_id: &str, send_id: &str, customer_id: String) {
        if let Some(id) = Id::parse(send_id) {
            let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            memory.insert(provider_id, id, customer_id, self.clock.now());
        }
    }

    async fn hear(self, word: Word) {
        let Word { about, status, code, fate } = word;
        let (found, about_nothing) = match about {
            About::ProviderId(provider_id) => (self.find(&provider_id).await, "unknown_send"),
            About::Send { send_id, customer_id } => {
                (Id::parse(&send_id).map_or(Found::Nothing, |id| Found::Send(id, customer_id)), "unknown_send")
            }
            About::Nothing(why) => (Found::Nothing, why),
            About::Named { .. } => (Found::Nothing, "late_id"),
        };
        let told = match found {
            Found::Send(id, customer_id) => {
                let fact = self.fact(id, customer_id, status, code);
                match self.facts.publish(&fact).await {
                    Ok(()) => {
                        self.metrics.word(&status.as_str().to_ascii_lowercase());
                        Fate::Kept
                    }
                    Err(error) => {
                        tracing::warn!("what the provider said could not be published: {error}");
                        self.metrics.word("again");
                        Fate::Again
                    }
                }
            }
            Found::Nothing => {
                self.metrics.word(about_nothing);
                Fate::Useless
            }
            Found::NotYet => {
                self.metrics.word("again");
                Fate::Again
            }
        };
        // Whoever asked may have gone with the connection.
        let _ = fate.send(told);
    }

    async fn find(&self, provider_id: &str) -> Found {
        let mut turns = self.turns.clone();
        let began = Tick::now();
        loop {
            turns.borrow_and_update();
            let caught_up = {
                let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((id, customer_id)) = memory.find(provider_id) {
                    return Found::Send(id, customer_id);
                }
                memory.caught_up
            };
            let (whole, reading) = self.patience;
            let rest = if caught_up { whole } else { reading }.saturating_sub(began.elapsed());
            match timeout(rest, turns.changed()).await {
                Ok(Ok(())) => {}
                // Nobody reads any more: the worker ends.
                Ok(Err(_)) => return Found::NotYet,
                Err(_) => return if caught_up { Found::Nothing } else { Found::NotYet },
            }
        }
    }

    fn fact(&self, id: Id, customer_id: String, status: Status, code: Option<String>) -> Feedback {
        Feedback {
            event_id: format!("{id}/{status}/{}", self.provider),
            customer_id,
            occurred_at: self.clock.now(),
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

#[cfg(test)]
mod tests;
