//! The running pipeline as the driver sees it: what goes in, and whether everything before it is done with.
//!
//! A tick's records must all be decided at its end and before its deadlines. Business time alone cannot order that: whoever
//! moves it while intake still works lets deadlines overtake facts, and who moves it afterwards lets facts be decided too early. So
//! a tick is held back by the [gate](Pipeline::hold): an open transaction of our own on every partition of `input`, behind which
//! the operator cannot read, while intake goes on writing. When everything is in, time moves, and the transaction is
//! aborted: facts and time become visible together, and the operator's watermark puts facts before deadlines.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use schemas::Topics;
use schemas::{Fact, Input, Millis, Origin};
use serde::Deserialize;
use stream::clock::Tick;
use stream::kafka::{Producer, Settings};
use tokio::task::JoinSet;

use super::supervisor::Supervisor;

/// Nothing takes longer than this without any movement, in machine time.
const STANDSTILL: Duration = Duration::from_secs(60);

/// While something is waited for, services are seen to be alive this often.
const LIVENESS: Duration = Duration::from_millis(500);

/// Looks come so close at first, and then further and further apart.
const PAUSE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(6));

/// Topic and partition.
pub type Place = (String, i32);

/// The running services and their topics.
#[derive(Debug)]
pub struct Pipeline {
    http: reqwest::Client,
    services: Vec<String>,
    producer: Producer,
    gate: Producer,
    shop: Vec<Place>,
    feedback: Vec<Place>,
    input: Vec<Place>,
    watched: Vec<Place>,
    topics: Topics,
}

/// What a service says of itself, as `/progress` of its ops endpoint gives it to anybody.
#[derive(Debug, Deserialize)]
struct Progress {
    service: String,
    ready: bool,
    seen: Millis,
    settled: Option<Millis>,
    positions: Vec<(String, i32, i64)>,
}

/// What was seen in one look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Look {
    ends: BTreeMap<Place, i64>,
    positions: BTreeMap<Place, i64>,
    unready: Vec<String>,
    /// Services that have not seen the present moment, or have deadlines before it.
    behind: Vec<String>,
}

impl Look {
    /// Whether everything in these partitions is done with, save so many offsets at their ends.
    fn covers(&self, places: &[Place], save: i64) -> bool {
        self.unready.is_empty() && self.lagging(places, save).is_none()
    }

    /// A partition that nobody has consumed to its end.
    fn lagging<'a>(&self, places: &'a [Place], save: i64) -> Option<&'a Place> {
        places.iter().find(|place| match (self.positions.get(*place), self.ends.get(*place)) {
            (Some(position), Some(end)) => *position < end - save,
            _ => true,
        })
    }
}

impl Pipeline {
    /// `services` are the ops addresses.
    pub fn new(
        settings: &Settings,
        topics: &Topics,
        channels: &[String],
        partitions: i32,
        services: Vec<String>,
    ) -> Result<Self> {
        let places = |topic: String| (0..partitions).map(move |partition| (topic.clone(), partition));
        let sources = topics.sources().into_iter().flat_map(|(topic, _)| places(topic));
        let (feedback, shop): (Vec<Place>, Vec<Place>) = sources.partition(|(topic, _)| *topic == topics.feedback());
        let input: Vec<Place> = places(topics.input()).collect();
        let sends = channels.iter().flat_map(|channel| places(topics.send(channel)));
        let watched = shop.iter().chain(&feedback).cloned().chain(input.iter().cloned()).chain(sends).collect();
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?;
        let producer = Producer::new(settings, &format!("{}-shop", settings.instance))?;
        let gate = Producer::new(settings, &format!("{}-gate", settings.instance))?;
        Ok(Pipeline { http, services, producer, gate, shop, feedback, input, watched, topics: topics.clone() })
    }

    /// Publishes records of the shop: name of the topic, key, bytes. All or nothing.
    pub fn publish(&mut self, records: &[(&'static str, String, Vec<u8>)]) -> Result<()> {
        self.producer.begin()?;
        for (topic, key, bytes) in records {
            let name = match *topic {
                "cart" => self.topics.cart(),
                "registration" => self.topics.registration(),
                "inactivity" => self.topics.inactivity(),
                "action" => self.topics.action(),
                "profile" => self.topics.profile(),
                other => bail!("{other} is no source"),
            };
            let topic = self.producer.topic(&name)?;
            self.producer.produce(topic, None, Some(key.as_bytes()), Some(bytes), &[])?;
        }
        Ok(self.producer.commit()?)
    }

    /// From now on the operator sees nothing new of `input`.
    pub async fn hold(&mut self) -> Result<()> {
        // Never to be seen by anybody: it is aborted.
        let nothing = Input { origin: Origin::default(), fact: Fact::Progress(schemas::Progress::default()), hops: 0 };
        let bytes = schemas::encode(&nothing);
        let topic = self.gate.topic(&self.topics.input())?;
        let before = self.gate.ends(&self.input)?;
        self.gate.begin()?;
        for (_, partition) in &self.input {
            self.gate.produce(topic, Some(*partition), None, Some(&bytes), &[])?;
        }
        // Until the brokers have it, it holds nothing back.
        loop {
            let ends = self.gate.ends(&self.input)?;
            if ends.iter().zip(&before).all(|(now, before)| now.2 > before.2) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Lets the operator see everything.
    pub fn release(&mut self) -> Result<()> {
        Ok(self.gate.abort()?)
    }

    /// Waits until intake has taken in everything that was published.
    pub async fn taken_in(&self, supervisor: &mut Supervisor) -> Result<()> {
        // What the shop writes ends with the marker of its transaction, which intake need not have passed.
        self.wait(supervisor, 0, |look| look.covers(&self.shop, 1) && look.covers(&self.feedback, 0)).await
    }

    /// Records in `feedback`. While the operator is held back the tracker alone writes there, one record for each fact.
    pub fn feedback_count(&self) -> Result<u64> {
        Ok(self.producer.ends(&self.feedback)?.iter().map(|(.., end)| end.unsigned_abs()).sum())
    }

    /// Waits for the tracker's spool: a click is answered before it is published.
    pub async fn feedback_reaches(&self, count: u64) -> Result<()> {
        let until = Tick::now().after(STANDSTILL);
        while self.feedback_count()? < count {
            if until.remaining().is_zero() {
                bail!("the tracker has answered, but not published everything; look into its log with --keep");
            }
            tokio::time::sleep(PAUSE.0).await;
        }
        Ok(())
    }

    /// Waits until all services have seen `now` and done with everything before it, messages handed over and their feedback
    /// taken in included.
    pub async fn quiet(&self, supervisor: &mut Supervisor, now: Millis) -> Result<()> {
        let mut before: Option<Look> = None;
        // What one look finds done may be doing something else by the next: only two alike are believed.
        self.wait(supervisor, now, |look| {
            let is_quiet = look.behind.is_empty() && look.covers(&self.watched, 0);
            let still = before.as_ref() == Some(look);
            before = Some(look.clone());
            is_quiet && still
        })
        .await
    }

    /// The next offsets of these partitions.
    pub fn ends(&self, places: &[Place]) -> Result<Vec<(String, i32, i64)>> {
        Ok(self.producer.ends(places)?)
    }

    async fn wait(
        &self,
        supervisor: &mut Supervisor,
        now: Millis,
        mut is_done: impl FnMut(&Look) -> bool,
    ) -> Result<()> {
        let mut pause = PAUSE.0;
        let mut last = Look::default();
        let mut moved = Tick::now();
        let mut checked = Tick::now();
        loop {
            let look = self.look(now).await?;
            if is_done(&look) {
                return Ok(());
            }
            if look != last {
                (last, moved) = (look, Tick::now());
            } else if moved.elapsed() > STANDSTILL {
                bail!("the pipeline stands still: {}\n{}", self.trouble(&last), supervisor.last_words());
            }
            if checked.elapsed() > LIVENESS {
                supervisor.check()?;
                checked = Tick::now();
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(PAUSE.1);
        }
    }

    /// Ends first: whatever is appended after that is found by the next look.
    async fn look(&self, now: Millis) -> Result<Look> {
        let mut look = Look::default();
        for (topic, partition, end) in self.producer.ends(&self.watched)? {
            look.ends.insert((topic, partition), end);
        }
        let mut answers = JoinSet::new();
        for address in &self.services {
            let request = self.http.get(format!("http://{address}/progress"));
            answers.spawn(async move { request.send().await?.json::<Progress>().await });
        }
        while let Some(answer) = answers.join_next().await {
            let progress = answer?.context("a service does not answer; look into its log with --keep")?;
            if !progress.ready {
                look.unready.push(progress.service.clone());
            }
            // The tracker consumes nothing, so time is nothing that it waits for.
            let is_late = progress.seen < now && !progress.positions.is_empty();
            if is_late || progress.settled.is_some_and(|settled| settled < now) {
                look.behind.push(progress.service);
            }
            look.positions
                .extend(progress.positions.into_iter().map(|(topic, partition, next)| ((topic, partition), next)));
        }
        look.unready.sort();
        look.behind.sort();
        Ok(look)
    }

    fn trouble(&self, look: &Look) -> String {
        let lagging = look.lagging(&self.watched, 0).map(|place| {
            let (position, end) = (look.positions.get(place), look.ends.get(place));
            format!("{}/{} is consumed up to {position:?} of {end:?}", place.0, place.1)
        });
        let unready = (!look.unready.is_empty()).then(|| format!("not ready: {}", look.unready.join(", ")));
        let behind = (!look.behind.is_empty()).then(|| format!("behind in time: {}", look.behind.join(", ")));
        [lagging, unready, behind].into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}
