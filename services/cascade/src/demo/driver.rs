//! Lives through the year: tick by tick, each only when the pipeline has consumed everything before it.
//!
//! A tick from t0 to t1 goes like this. While the operator is held back, what happened in the shop and what people did goes
//! in, in its order. Then the clock is set to t1 and the operator let go: it decides the facts, and after them the deadlines up
//! to t1. When nothing moves any more, the next tick begins. So within a tick a purchase always comes before a deadline, and a
//! wait is rounded up to the tick's end: the safe side of "nobody is messaged after they bought".

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use schemas::{Journal, Millis};
use stream::clock::{Clock, Tick};
use stream::kafka::{Fetched, Reader, Settings};

use super::chance::Chance;
use super::edge::Edge;
use super::people::Agenda;
use super::pipeline::Pipeline;
use super::sandbox::Desk;
use super::screen::Screen;
use super::supervisor::Supervisor;
use super::tally::Tally;
use super::world::{Happening, Source, World};

/// The journal is read up to its end within this time, once nothing is written any more.
const JOURNAL_WAIT: Duration = Duration::from_secs(30);

/// Everything that lives through the year.
#[derive(Debug)]
pub struct Driver {
    /// What happens.
    pub world: World,
    /// The file that all services read the time from.
    pub clock: PathBuf,
    /// Length of a tick.
    pub tick: Millis,
    /// Where it goes in.
    pub pipeline: Pipeline,
    /// Where it comes out.
    pub desk: Arc<Desk>,
    /// Where people's reactions go.
    pub edge: Edge,
    /// What people are about to do.
    pub agenda: Agenda,
    /// Dice for that.
    pub chance: Chance,
    /// What the journal says.
    pub story: Story,
    /// What happened so far.
    pub log: Log,
}

/// What the driver itself saw: the other side of every cross-check.
#[derive(Debug, Default)]
pub struct Log {
    /// What happened in the shop.
    pub events: u64,
    /// What people and providers did about messages.
    pub reactions: u64,
    /// Ticks gone by.
    pub ticks: u64,
    /// Messages that a provider took, and the time on the clock then.
    pub received: Vec<(String, Millis)>,
    /// By customer, the time on the clock when a purchase went in.
    pub purchases: HashMap<String, Vec<Millis>>,
}

impl Driver {
    /// Lives from `from` to `to`, or until nothing more happens.
    pub async fn live(
        &mut self,
        supervisor: &mut Supervisor,
        screen: &mut Screen,
        from: Millis,
        to: Millis,
    ) -> Result<()> {
        let all = self.world.happenings().to_vec();
        let mut coming = all.as_slice();
        let mut now = from;
        while now < to && !coming.is_empty() {
            let until = now + self.tick;
            let (happening, later) = coming.split_at(coming.partition_point(|happening| happening.at < until));
            coming = later;
            self.pass(supervisor, now, until, happening).await?;
            self.log.ticks += 1;
            now = until;
            self.story.read(Duration::ZERO)?;
            screen.show(now, self)?;
        }
        self.story.read_to_end(&self.pipeline)?;
        screen.end(now, self)
    }

    /// One tick.
    async fn pass(
        &mut self,
        supervisor: &mut Supervisor,
        now: Millis,
        until: Millis,
        happenings: &[Happening],
    ) -> Result<()> {
        let reactions = self.agenda.due(until);
        let is_held = !happenings.is_empty() || !reactions.is_empty();
        if is_held {
            self.pipeline.hold().await?;
            self.log.reactions += reactions.len() as u64;
            let told = self.pipeline.feedback_count()?;
            // People do not wait for the shop.
            let edge = self.edge.clone();
            let (facts, shop) = tokio::join!(edge.react(reactions), self.tell(supervisor, happenings, now));
            shop?;
            self.pipeline.feedback_reaches(told + facts?).await?;
            self.pipeline.taken_in(supervisor).await?;
        }
        Clock::drive(&self.clock, until).context("cannot set the clock")?;
        if is_held {
            self.pipeline.release()?;
        }
        self.pipeline.quiet(supervisor, until).await?;
        for message in self.desk.fresh() {
            self.agenda.note(&message, until, self.chance);
            self.log.received.push((message.send_id, until));
        }
        Ok(())
    }

    /// Publishes what the shop has to tell, in its order.
    async fn tell(&mut self, supervisor: &mut Supervisor, happenings: &[Happening], now: Millis) -> Result<()> {
        let mut waves = waves(happenings).into_iter().peekable();
        while let Some(wave) = waves.next() {
            let mut records = Vec::with_capacity(wave.len());
            for happening in &wave {
                let source = self.world.source(happening);
                let key = super::household::customer_id(happening.household);
                if matches!(&source, Source::Action(action) if action.action == "purchase") {
                    self.log.purchases.entry(key.clone()).or_default().push(now);
                }
                records.push((happening.topic(), key, source.encode()));
            }
            self.log.events += wave.iter().filter(|happening| happening.is_event()).count() as u64;
            self.pipeline.publish(&records)?;
            if waves.peek().is_some() {
                self.pipeline.taken_in(supervisor).await?;
            }
        }
        Ok(())
    }
}

/// Cuts a tick so that no household has records for two topics in one wave: across topics Kafka keeps no order, and a cart
/// must not be read after the purchase that followed it. Whatever can go together does: each wave is a wait for intake.
fn waves(happenings: &[Happening]) -> Vec<Vec<Happening>> {
    let mut waves: Vec<Vec<Happening>> = Vec::new();
    let mut places: HashMap<u32, (usize, &'static str)> = HashMap::new();
    for happening in happenings {
        let topic = happening.topic();
        let (wave, last) = places.entry(happening.household).or_insert((0, topic));
        if *last != topic {
            (*wave, *last) = (*wave + 1, topic);
        }
        if waves.len() <= *wave {
            waves.push(Vec::new());
        }
        waves[*wave].push(*happening);
    }
    waves
}

/// The journal, read as anybody may read it.
#[derive(Debug)]
pub struct Story {
    reader: Reader,
    topic: String,
    positions: BTreeMap<i32, i64>,
    /// What it says so far.
    pub tally: Tally,
}

impl Story {
    /// From its beginning.
    pub fn open(settings: &Settings, topic: &str) -> Result<Self> {
        let partitions = settings.partitions(topic)?.with_context(|| format!("there is no topic {topic}"))?;
        let mut reader = Reader::new(settings)?;
        let index = reader.topic(topic)?;
        for partition in 0..partitions {
            reader.start(index, partition, 0)?;
        }
        let positions = (0..partitions).map(|partition| (partition, 0)).collect();
        Ok(Story { reader, topic: topic.to_owned(), positions, tally: Tally::default() })
    }

    /// Takes in what is there.
    fn read(&mut self, wait: Duration) -> Result<()> {
        let mut fetched = Vec::new();
        self.reader.fetch(wait, 10_000, &mut fetched)?;
        for item in fetched {
            match item {
                Fetched::Record(record) => {
                    self.positions.insert(record.partition(), record.offset() + 1);
                    let value = record.value().context("the journal holds a record without a value")?;
                    self.tally.note(
                        &schemas::decode::<Journal>(value).context("the journal holds a record that cannot be read")?,
                    );
                }
                Fetched::End { partition, offset, .. } => drop(self.positions.insert(partition, offset)),
                Fetched::OutOfRange { partition, .. } => {
                    bail!("the beginning of {}/{partition} was deleted", self.topic)
                }
            }
        }
        Ok(())
    }

    /// Takes in everything. To be called when nothing is written any more.
    fn read_to_end(&mut self, pipeline: &Pipeline) -> Result<()> {
        let places: Vec<(String, i32)> =
            self.positions.keys().map(|partition| (self.topic.clone(), *partition)).collect();
        let ends = pipeline.ends(&places)?;
        let until = Tick::now().after(JOURNAL_WAIT);
        while ends.iter().any(|(_, partition, end)| self.positions[partition] < *end) {
            if until.remaining().is_zero() {
                bail!("the journal cannot be read to its end: a transaction was left open");
            }
            self.read(Duration::from_millis(50))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::shop::Basket;

    #[test]
    fn no_household_has_two_topics_in_one_wave_and_each_keeps_its_order() {
        let basket = |id: u64, household| Basket {
            at: 100_000_000 + i64::try_from(id).unwrap(),
            household,
            id,
            total_minor: 5,
            pieces: 1,
        };
        let baskets = (0..40).map(|id| basket(id, u32::try_from(id % 7).unwrap())).collect();
        let world = World::new(baskets, 1, 0, Millis::MAX, usize::MAX);
        let waves = waves(world.happenings());
        assert!(waves.len() > 1);
        assert_eq!(waves.iter().map(Vec::len).sum::<usize>(), world.happenings().len());
        let of = |household| move |happening: &&Happening| happening.household == household;
        for household in 0..7 {
            let in_waves: Vec<_> = waves.iter().flatten().filter(of(household)).collect();
            assert_eq!(in_waves, world.happenings().iter().filter(of(household)).collect::<Vec<_>>());
        }
        for wave in waves {
            let mut topics = BTreeMap::new();
            for happening in wave {
                assert_eq!(*topics.entry(happening.household).or_insert_with(|| happening.topic()), happening.topic());
            }
        }
    }
}
