//! Writes records in transactions.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use super::member::Generation;
use super::native::{Client, Partitions, Queue, Role, Said, Topic};
use super::position::Position;
use super::settings::{ANSWER, RETRY_BACKOFF_MS, Settings};
use crate::clock::Tick;
use crate::{Error, Verdict};

/// A transactional producer. After any error of a transactional call that is not `Retry` it is to be dropped: what the
/// broker did is unknown, and only a new producer with the same id can end the old one's transaction.
#[derive(Debug)]
pub struct Producer {
    // Handles go before the client that they belong to.
    topics: Vec<(String, Topic)>,
    events: Queue,
    calls: Calls,
    client: Arc<Client>,
    open: bool,
}

/// How long the first contact may take: a predecessor's transaction has to be ended first.
const FIRST_CONTACT: Duration = Duration::from_secs(60);

/// For the ends of partitions, which are asked in the midst of a transaction.
const ENDS: Duration = Duration::from_secs(3);

/// A call that has not come back so long after its time has been forgotten by the client.
const GRACE: Duration = Duration::from_secs(5);

/// The end of a transaction waits for the reports of failed records, which this very thread has to hear: it looks up so often.
const HEARING: Duration = Duration::from_millis(200);

impl Producer {
    /// Makes the producer and ends whatever an earlier one of the same `identity` left open.
    ///
    /// # Errors
    /// `Retry` while the transaction coordinator is not to be had.
    pub fn new(settings: &Settings, identity: &str) -> Result<Self, Error> {
        let client = settings.watched_client(
            Role::Producer,
            &[
                ("transactional.id", identity),
                ("enable.idempotence", "true"),
                ("acks", "all"),
                ("partitioner", "murmur2_random"),
                ("retry.backoff.ms", &RETRY_BACKOFF_MS.to_string()),
                ("retry.backoff.max.ms", "1000"),
                ("delivery.report.only.error", "true"),
                // For ends, which are to count open transactions.
                ("isolation.level", "read_uncommitted"),
            ],
        )?;
        let calls = Calls::of(&client)?;
        let until = Tick::now().after(FIRST_CONTACT);
        loop {
            match calls.make("init transactions", ANSWER + GRACE, |client| client.init_transactions(ANSWER)) {
                Ok(()) => break,
                Err(error) if error.verdict() == Verdict::Retry && !until.remaining().is_zero() => {
                    tracing::info!("waiting for the transaction coordinator: {error}");
                }
                Err(error) => return Err(error),
            }
        }
        let events = client.main_queue();
        Ok(Producer { topics: Vec::new(), events, calls, client, open: false })
    }

    /// The index by which this topic is produced to.
    ///
    /// # Errors
    /// If the name is refused.
    pub fn topic(&mut self, name: &str) -> Result<usize, Error> {
        if let Some(known) = self.topics.iter().position(|(known, _)| known == name) {
            return Ok(known);
        }
        self.topics.push((name.to_owned(), Topic::new(&self.client, name, 0)?));
        Ok(self.topics.len() - 1)
    }

    /// Begins a transaction if none is open.
    ///
    /// # Errors
    /// `Abort` if the producer is beyond use.
    pub fn begin(&mut self) -> Result<(), Error> {
        if !self.open {
            self.client.begin()?;
            self.open = true;
        }
        Ok(())
    }

    /// Whether a transaction is open.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Adds a record to the open transaction. No `partition`: the key decides, by Java's murmur2.
    ///
    /// # Errors
    /// `Abort` if the brokers do not take records in time.
    pub fn produce(
        &mut self,
        topic: usize,
        partition: Option<i32>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, &[u8])],
    ) -> Result<(), Error> {
        assert!(self.open, "a record is produced inside a transaction");
        let target = &self.topics[topic].1;
        let partition = partition.unwrap_or(-1);
        // The clock is not asked where the client takes the record at once.
        let mut until = None;
        loop {
            let produced = if headers.is_empty() {
                target.produce(partition, key, value)
            } else {
                target.produce_with(partition, key, value, headers)
            };
            match produced {
                Err(error) if error.verdict() == Verdict::Retry => {
                    if until.get_or_insert_with(|| Tick::now().after(ANSWER)).remaining().is_zero() {
                        return Err(Error::new(Verdict::Abort, "produce", error.to_string()));
                    }
                    // The client's queue is bounded: let it drain.
                    self.drain(Duration::from_millis(5));
                }
                done => return done,
            }
        }
    }

    /// Puts the positions into the transaction, fenced by the generation.
    ///
    /// # Errors
    /// `Fenced` if the group has a newer generation, else `Abort`.
    pub fn send_offsets(&mut self, positions: &[Position], generation: &Generation) -> Result<(), Error> {
        let mut list = Partitions::with_capacity(positions.len());
        for position in positions {
            list.add(&position.topic, position.partition, position.offset, &position.metadata)?;
        }
        let group = Arc::clone(&generation.0);
        self.calls.make("send offsets to the transaction", ANSWER + GRACE, move |client| {
            client.send_offsets(&list, &group, ANSWER)
        })
    }

    /// Waits until the brokers have what was produced so far.
    ///
    /// # Errors
    /// `Abort` if they do not take it in time.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.patiently("hand records over to the brokers", Client::flush)
    }

    /// Commits the open transaction.
    ///
    /// # Errors
    /// Anything but success leaves the outcome unknown: drop the producer, make a new one, recover.
    pub fn commit(&mut self) -> Result<(), Error> {
        self.patiently("commit a transaction", Client::commit)?;
        self.open = false;
        Ok(())
    }

    /// Makes a call that waits for reports, again and again, and hears them in between.
    fn patiently(&mut self, what: &'static str, call: fn(&Client, Duration) -> Result<(), Error>) -> Result<(), Error> {
        self.drain(Duration::ZERO);
        let until = Tick::now().after(ANSWER);
        loop {
            match self.calls.make(what, HEARING + GRACE, move |client| call(client, HEARING)) {
                Err(error) if error.verdict() == Verdict::Retry && !until.remaining().is_zero() => {
                    self.drain(Duration::ZERO);
                }
                done => return done,
            }
        }
    }

    /// Aborts the open transaction.
    ///
    /// # Errors
    /// As for [`Producer::commit`].
    pub fn abort(&mut self) -> Result<(), Error> {
        let until = Tick::now().after(ANSWER);
        while self.open {
            match self.calls.make("abort a transaction", HEARING + GRACE, |client| client.abort(HEARING / 10)) {
                Ok(()) => self.open = false,
                Err(error) if error.verdict() == Verdict::Retry && !until.remaining().is_zero() => {
                    self.drain(Duration::ZERO);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The next offsets of partitions as of now, open transactions included.
    ///
    /// # Errors
    /// `Retry` if the brokers do not answer.
    pub fn ends(&self, partitions: &[(String, i32)]) -> Result<Vec<(String, i32, i64)>, Error> {
        self.client.ends(partitions, ENDS)
    }

    /// Hears what the client has to say. To be called now and then, also while nothing is written.
    pub fn hear(&self, wait: Duration) {
        self.drain(wait);
    }

    fn drain(&self, wait: Duration) {
        while let Some(event) = self.events.poll(wait) {
            if let Said::Trouble { words, .. } = event.read() {
                tracing::warn!("the producer reports: {words}");
            }
            if !wait.is_zero() {
                return;
            }
        }
        if let Ok(mut forgotten) = FORGOTTEN.try_lock() {
            forgotten.retain(|events| {
                while events.poll(Duration::ZERO).is_some() {}
                !events.is_last()
            });
        }
    }
}

/// Clients that live on in a call that was forgotten. Whoever drains a producer hears them, too: what nobody hears, they keep for ever.
static FORGOTTEN: Mutex<Vec<Queue>> = Mutex::new(Vec::new());

impl Drop for Producer {
    fn drop(&mut self) {
        if self.calls.has_forgotten.load(Ordering::Relaxed)
            && let Ok(mut forgotten) = FORGOTTEN.lock()
        {
            self.client.tell_no_more();
            forgotten.push(self.client.main_queue());
        }
    }
}

type Call = Box<dyn FnOnce(&Client) -> Result<(), Error> + Send>;

/// A thread for calls that may never come back, whatever time they were given: librdkafka forgets what it has asked a broker that
/// the cluster's metadata no longer name (its issue 5511). Then the thread keeps the client, and the producer can go without it.
#[derive(Debug)]
struct Calls {
    calls: Sender<Call>,
    answers: Receiver<Result<(), Error>>,
    /// Whether a call did not come back.
    has_forgotten: AtomicBool,
}

impl Calls {
    fn of(client: &Arc<Client>) -> Result<Self, Error> {
        let (calls, made) = channel::<Call>();
        let (answer, answers) = channel();
        // Kept during a call only: who drops the producer ends the client, and may make the next one after that.
        let client = Arc::downgrade(client);
        let one = |client: &Weak<Client>, call: Call| client.upgrade().map(|client| call(&client));
        crate::thread::spawn("transactions", move || {
            while let Some(outcome) = made.recv().ok().and_then(|call| one(&client, call)) {
                if answer.send(outcome).is_err() {
                    return;
                }
            }
        })
        .map_err(|error| Error::stop("start a thread", error.to_string()))?;
        Ok(Calls { calls, answers, has_forgotten: AtomicBool::new(false) })
    }

    /// Makes a call, waiting for its end at most so long.
    fn make(
        &self,
        what: &'static str,
        wait: Duration,
        call: impl FnOnce(&Client) -> Result<(), Error> + Send + 'static,
    ) -> Result<(), Error> {
        let forgotten = || Error::new(Verdict::Abort, what, "the client does not come back from this call");
        self.calls.send(Box::new(call)).map_err(|_| forgotten())?;
        self.answers.recv_timeout(wait).unwrap_or_else(|_| {
            self.has_forgotten.store(true, Ordering::Relaxed);
            Err(forgotten())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_never_comes_back_holds_up_nobody() {
        let client = Settings::new("127.0.0.1:1", "test").client(Role::Producer, &[]).unwrap();
        let calls = Calls::of(&client).unwrap();
        let wait = Duration::from_millis(50);
        assert_eq!(calls.make("return", Duration::from_secs(60), |_| Ok(())).map_err(|error| error.verdict()), Ok(()));
        let forgotten = calls.make("return", wait, |_| {
            loop {
                std::thread::park();
            }
        });
        assert_eq!(forgotten.map_err(|error| error.verdict()), Err(Verdict::Abort));
        // The thread has the client for good; this side is done with it.
        drop(calls);
        assert_eq!(Arc::strong_count(&client), 2);
    }
}
