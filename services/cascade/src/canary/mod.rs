//! `cascade canary`: a synthetic customer of each partition of `input` goes all the way round, again and again.
//!
//! Its action goes through the source topic, intake and operator, its message through `send.canary` and a worker whose provider is
//! `nowhere`, and the worker's word through `feedback`, intake and operator. When the journal says that the message was handed over, the round is
//! done. What gets lost on the way, and how long it takes, is what customers would feel: the indicator of the whole.
//!
//! *What it is not.* It looks into nobody's state, and asks no service how it is.

mod flock;
mod metrics;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use schemas::{Action, Contact, Millis, Profile};
use stream::clock::{Clock, machine_now};
use stream::publisher::Publisher;
use stream::{Error, Probe, Verdict};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

pub use flock::CANARY;
use flock::{Flock, Start};
pub use metrics::Metrics;

use crate::campaigns::book::{self, Book};
use crate::campaigns::documents;
use crate::config::Common;
use crate::failure::{Exit, Failure};
use crate::reading::Decisions;

/// What puts the campaign in force.
const CAMPAIGN: &str = include_str!("canary.yaml");

/// The journal is asked for so long at a time.
const PAUSE: Duration = Duration::from_millis(50);

/// The action on which the campaign begins.
const ACTION: &str = "cascade_canary";

/// How the canary goes.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// From one round of a customer to the next.
    pub interval: Duration,
    /// A round that takes longer is lost.
    pub patience: Duration,
}

/// Goes round until `stop`.
///
/// # Errors
/// Those of Kafka, but for brokers that do not answer once it runs: then rounds are lost, which is what it is there to say.
pub fn run(
    common: &Common,
    settings: Settings,
    clock: &Clock,
    probe: &Probe,
    stop: &AtomicBool,
    metrics: &Metrics,
) -> Result<(), Failure> {
    put_in_force(common, clock)?;
    let mut canary = Canary::new(common, clock, metrics)?;
    probe.set_ready(true);
    while !stop.load(Ordering::Relaxed) {
        probe.seen(clock.now());
        canary.set_off(settings.interval);
        canary.listen()?;
        canary.see_off()?;
        for customer in canary.flock.give_up(settings.patience) {
            metrics.lost();
            tracing::warn!(customer, "did not come back: `cascade journal --customer` of it tells how far it got");
        }
        metrics.missing(canary.flock.missing());
    }
    Ok(())
}

/// What became of an action that was to be published.
type Told = (Result<(), Error>, Start);

/// The customers, and what they speak and listen with.
struct Canary<'a> {
    flock: Flock,
    /// Customers whose profile the brokers did not take yet.
    strangers: BTreeSet<String>,
    clock: &'a Clock,
    metrics: &'a Metrics,
    runtime: Runtime,
    voice: Voice,
    /// Rounds that are just beginning.
    beginning: JoinSet<Told>,
    decisions: Decisions,
}

/// Speaks as the shop does. Cheap to clone.
#[derive(Clone)]
struct Voice {
    publisher: Publisher,
    profile: String,
    action: String,
}

impl<'a> Canary<'a> {
    /// Tells who the customers are, and listens to the journal from now on.
    fn new(common: &Common, clock: &'a Clock, metrics: &'a Metrics) -> Result<Self, Failure> {
        // A thread of its own: whoever waits for a partition that takes nothing must not keep the others.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(Failure::unexpected)?;
        let (profile, action) = (common.topics.profile(), common.topics.action());
        let publisher = Publisher::new(&common.kafka, &[profile.as_str(), action.as_str()])?;
        let voice = Voice { publisher, profile, action };
        let flock = Flock::of(common.partitions);
        let mut introductions = JoinSet::new();
        for customer in flock.customers() {
            let (voice, person) = (voice.clone(), person(customer, clock));
            let introduce = async move { (voice.introduce(&person).await, person.customer_id) };
            introductions.spawn_on(introduce, runtime.handle());
        }
        let mut strangers = BTreeSet::new();
        while let Some(told) = runtime.block_on(introductions.join_next()) {
            match told.map_err(Failure::unexpected)? {
                (Err(error), customer) if error.verdict() == Verdict::Retry => {
                    tracing::warn!(customer, "is not known yet, which is tried again: {error}");
                    strangers.insert(customer);
                }
                (outcome, _) => outcome?,
            }
        }
        let decisions = Decisions::from_now(&common.kafka, &common.topics.journal(), |count| (0..count).collect())?;
        Ok(Canary { flock, strangers, clock, metrics, runtime, voice, beginning: JoinSet::new(), decisions })
    }

    /// Lets those go whose time has come, and waits for none of them.
    fn set_off(&mut self, interval: Duration) {
        let now = self.clock.now();
        // Numbers of rounds come from the machine's clock: whoever drives business time may let it stand still.
        for start in self.flock.due(interval, u64::try_from(machine_now()).unwrap_or(0)) {
            let stranger = self.strangers.contains(&start.customer).then(|| person(&start.customer, self.clock));
            let voice = self.voice.clone();
            let begin = async move { (voice.begin(&start, now, stranger.as_ref()).await, start) };
            self.beginning.spawn_on(begin, self.runtime.handle());
        }
    }

    /// Hears who could go. One that could not, since the brokers did not take its action, is due again.
    ///
    /// # Errors
    /// What no repeat would heal.
    fn see_off(&mut self) -> Result<(), Failure> {
        while let Some(told) = self.beginning.try_join_next() {
            match told.map_err(Failure::unexpected)? {
                (Ok(()), start) => drop(self.strangers.remove(&start.customer)),
                (Err(error), start) if error.verdict() == Verdict::Retry => {
                    tracing::warn!(customer = start.customer, "its round could not begin, and is tried again: {error}");
                    self.flock.stays(&start);
                }
                (Err(error), _) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Takes in what the journal says for a moment.
    fn listen(&mut self) -> Result<(), Failure> {
        let (flock, metrics) = (&mut self.flock, self.metrics);
        let is_ours = |customer: &[u8]| customer.starts_with(CANARY.as_bytes());
        self.decisions.hear(PAUSE, is_ours, |decision| {
            if let Some(after) = flock.hear(&decision) {
                metrics.returned(after);
            }
        })
    }
}

impl Voice {
    /// Says who a customer is.
    async fn introduce(&self, person: &Profile) -> Result<(), Error> {
        let (key, value) = (person.customer_id.as_bytes(), schemas::encode(person));
        self.publisher.publish(&self.profile, None, Some(key), Some(&value), &[]).await
    }

    /// Does the action with which a round begins; who is not known yet is introduced first.
    async fn begin(&self, start: &Start, now: Millis, stranger: Option<&Profile>) -> Result<(), Error> {
        if let Some(stranger) = stranger {
            self.introduce(stranger).await?;
        }
        let value = schemas::encode(&Action {
            event_id: start.event.clone(),
            customer_id: start.customer.clone(),
            occurred_at: now,
            action: ACTION.to_owned(),
            key: Some(start.event.clone()),
            ..Action::default()
        });
        self.publisher.publish(&self.action, None, Some(start.customer.as_bytes()), Some(&value), &[]).await
    }
}

/// Applies the campaign, if this version of it is not there yet.
fn put_in_force(common: &Common, clock: &Clock) -> Result<(), Failure> {
    let document = documents::understand("canary.yaml", CAMPAIGN.to_owned())
        .map_err(|problems| documents::refused(Exit::Unexpected, &problems, "the canary's campaign cannot be read"))?;
    let is_new = |book: &Book| book.judge(&document).map_err(Failure::unexpected);
    // Who only looks disturbs nobody who applies.
    if !is_new(&Book::of(book::read(common)?))? {
        return Ok(());
    }
    let mut book = Book::open(common)?;
    match is_new(&book)? {
        true => book.publish(&[document.into_record(clock.now())]),
        false => Ok(()),
    }
}

/// All that is known of the customer. The message is transactional: it needs no consent, and no cap counts it.
fn person(customer: &str, clock: &Clock) -> Profile {
    let contact = Contact { channel: CANARY.to_owned(), address: customer.to_owned() };
    Profile {
        event_id: format!("{customer}/{}", clock.now()),
        customer_id: customer.to_owned(),
        occurred_at: clock.now(),
        contacts: vec![contact],
        time_zone: Some("UTC".to_owned()),
        ..Profile::default()
    }
}
