//! The worker's loop. Each turn: take in what the topics and the provider say, choose, look, write, call.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use schemas::{Id, Revoke, Send, Topics, decode};
use stream::clock::{Clock, Tick};
use stream::kafka::{Fetched, Membership, Position, Producer, Reader, Record, Settings};
use stream::{Error, Probe, Verdict, admin};

use crate::breaker::Breaker;
use crate::calls::Calls;
use crate::choice::{Candidate, Chooser, Turns};
use crate::config::Config;
use crate::echo::{Echo, Origin};
use crate::lane::Lane;
use crate::lease::Lease;
use crate::ledger::{Ledger, bookmark};
use crate::limit::Limit;
use crate::link::Linker;
use crate::look::Look;
use crate::metrics::{ChannelMetrics, Metrics};
use crate::ownership::Learning;
use crate::pseudonym::Pseudonyms;
use crate::reasons::Reasons;
use crate::render::Renderer;
use crate::render::content::Content;
use crate::traces::{self, Teller};
use crate::unread::Waiting;

/// So many records are taken from the queue at once.
pub(crate) const BATCH: usize = 512;

/// While calls are under way, their answers are looked for this often.
const ANSWERS: Duration = Duration::from_millis(2);

/// How long a partition that goes away may be held for the calls under way. Longer than any call, shorter than the group waits.
const FINISH: Duration = Duration::from_secs(60);

/// How often withdrawals are forgotten that the topic has deleted.
const FORGET: Duration = Duration::from_secs(600);

/// The end of a topic is noticed when a fetch comes back empty: this bounds what a look may wait for it, in milliseconds.
const FETCH_WAIT_MS: &str = "25";

/// Names of what the worker reads and writes.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) send: String,
    pub(crate) revoke: String,
    pub(crate) attempt: String,
    pub(crate) feedback: String,
    pub(crate) reply: String,
    pub(crate) group: String,
    pub(crate) identity: String,
    pub(crate) transactional_id: String,
}

/// Indices of the topics in the reader.
#[derive(Debug)]
pub(crate) struct Inputs {
    pub(crate) send: usize,
    pub(crate) revoke: usize,
    pub(crate) attempt: usize,
}

pub(crate) struct Worker<'a> {
    pub(crate) config: &'a Config,
    pub(crate) settings: &'a Settings,
    pub(crate) clock: &'a Clock,
    pub(crate) probe: &'a Probe,
    pub(crate) metrics: ChannelMetrics,
    pub(crate) names: Names,
    /// Partitions of each of the topics.
    pub(crate) partitions: u32,
    renderer: Renderer,
    /// None where nobody answers.
    pseudonyms: Option<Pseudonyms>,
    /// Before the calls, in whose runtime it lives.
    _echo: Option<Echo>,
    pub(crate) calls: Calls,
    pub(crate) limit: Limit,
    breaker: Breaker,
    reasons: Reasons,
    pub(crate) group: Membership,
    pub(crate) reader: Reader,
    pub(crate) inputs: Inputs,
    fetched: Vec<Fetched>,
    pub(crate) producer: Option<Producer>,
    /// `attempt.<channel>` and `feedback` in the producer.
    pub(crate) outputs: (usize, usize),
    /// Ours, but not read yet.
    pub(crate) awaiting: Vec<i32>,
    /// When to ask for their positions.
    pub(crate) ask: Tick,
    pub(crate) learning: BTreeMap<i32, Learning>,
    pub(crate) lanes: BTreeMap<i32, Lane>,
    turns: Turns,
    /// Partitions whose commands are not read for now, because memory holds enough of them.
    pub(crate) paused: BTreeSet<i32>,
    /// What was committed last: (next command, bookmark).
    committed: BTreeMap<i32, (i64, i64)>,
    pub(crate) unread: Waiting,
    forgot: Tick,
}

/// Runs the worker of one channel until `stop` is set: then it waits for the calls under way, writes down what came of them,
/// leaves and returns.
///
/// # Errors
/// `Stop`, with what a person has to do: a missing topic or template, permissions, an identity that two processes claim.
pub fn run(
    config: &Config,
    settings: &Settings,
    topics: &Topics,
    clock: &Clock,
    probe: &Probe,
    stop: &AtomicBool,
    metrics: &Metrics,
) -> Result<(), Error> {
    let ended = Worker::new(config, settings, topics, clock, probe, metrics).and_then(|mut worker| {
        let ended = worker.run(stop);
        worker.finish(ended)
    });
    probe.set_ready(false);
    if ended.is_err() {
        probe.set_failed();
    }
    ended
}

impl<'a> Worker<'a> {
    fn new(
        config: &'a Config,
        settings: &'a Settings,
        topics: &Topics,
        clock: &'a Clock,
        probe: &'a Probe,
        metrics: &Metrics,
    ) -> Result<Self, Error> {
        let configured = |problems: Vec<String>| Error::stop("start the channel worker", problems.join("; "));
        let linker = config.tracking.as_ref().map(Linker::new).transpose().map_err(configured)?;
        let pseudonyms = Pseudonyms::new(linker.as_ref().map(Linker::keys));
        let renderer = Renderer::new(&config.templates, &config.channel, linker).map_err(configured)?;
        let names = Names::of(config, settings, topics);
        let partitions = names.require(settings)?;
        let mut reader = Reader::of_a_loop(&quick(settings))?;
        let inputs = Inputs {
            send: reader.topic(&names.send)?,
            revoke: reader.topic(&names.revoke)?,
            attempt: reader.topic(&names.attempt)?,
        };
        let metrics = metrics.of(&config.channel);
        let calls = Calls::new(&config.transport, clock, metrics.clone())?.told_of(Teller::of(config));
        let content = Content::counted(&config.content, calls.runtime(), Some(metrics.clone())).map_err(configured)?;
        let renderer = renderer.with(content);
        let origin = Origin {
            settings,
            attempt: &names.attempt,
            feedback: &names.feedback,
            partitions,
            reply: &names.reply,
            channel: &config.channel,
            provider: config.provider(),
            clock,
            pseudonyms: &pseudonyms,
            words: metrics.words(),
        };
        let echo = calls.ear().map(|(ear, runtime)| Echo::listen(ear, &origin, runtime)).transpose()?;
        Ok(Worker {
            pseudonyms: calls.is_answered().then_some(pseudonyms),
            _echo: echo,
            calls,
            group: names.join(settings)?,
            limit: Limit::new(config.rate_per_second, config.burst()).to(&config.rates),
            breaker: Breaker::default(),
            reasons: Reasons::default(),
            fetched: Vec::new(),
            producer: None,
            outputs: (0, 0),
            awaiting: Vec::new(),
            ask: Tick::now(),
            learning: BTreeMap::new(),
            lanes: BTreeMap::new(),
            turns: Turns::default(),
            paused: BTreeSet::new(),
            committed: BTreeMap::new(),
            unread: Waiting::new(&names.send),
            forgot: Tick::now(),
            config,
            settings,
            clock,
            probe,
            metrics,
            names,
            partitions,
            renderer,
            reader,
            inputs,
        })
    }

    fn run(&mut self, stop: &AtomicBool) -> Result<(), Error> {
        while !stop.load(Ordering::Relaxed) {
            match self.turn() {
                Err(error) if error.verdict() == Verdict::Stop => return Err(error),
                Err(error) => self.start_over(&error),
                Ok(()) => {}
            }
            self.probe.set_ready(self.group.is_assigned() && self.awaiting.is_empty() && self.learning.is_empty());
        }
        Ok(())
    }

    fn turn(&mut self) -> Result<(), Error> {
        self.probe.seen(self.clock.now());
        self.follow_group()?;
        self.take_over()?;
        let wait = if self.calls.len() > 0 || self.renderer.is_fetching() { ANSWERS } else { self.clock.patience() };
        self.read(wait)?;
        self.take_answers()?;
        self.judge();
        let chosen = self.choose();
        let looked = if chosen.is_empty() { None } else { self.look()? };
        self.write_and_call(chosen, looked)
    }

    /// Leaves the group; before, finishes what is under way or, after an error, drops it.
    fn finish(mut self, ended: Result<(), Error>) -> Result<(), Error> {
        if ended.is_ok() {
            let all: Vec<i32> = self.owned();
            if let Err(error) = self.finish_calls(&all) {
                // The next owner finds the intents.
                tracing::warn!("{error}");
            }
        }
        ended
    }

    /// Waits for the calls of these partitions, which take bounded time, and writes down what came of them. A partition that
    /// a failure has just thrown back to its beginning is taken over once more for that: else the next owner would have to
    /// call unknown what we know.
    pub(crate) fn finish_calls(&mut self, partitions: &[i32]) -> Result<(), Error> {
        let until = Tick::now().after(FINISH);
        loop {
            self.take_answers()?;
            self.write_and_call(Vec::new(), None)?;
            let calls = self.calls.len() > 0 || self.calls.has_answers();
            let busy = |partition: &i32| match self.lanes.get(partition) {
                Some(lane) => lane.out() > 0 || (calls && !lane.has_caught_up()),
                None => calls && (self.awaiting.contains(partition) || self.learning.contains_key(partition)),
            };
            if !partitions.iter().any(busy) {
                return Ok(());
            }
            if until.remaining().is_zero() {
                return Err(Error::new(Verdict::Retry, "finish the calls under way", "they took too long"));
            }
            self.take_over()?;
            self.read(ANSWERS)?;
        }
    }

    // What the topics and the provider say.

    fn read(&mut self, wait: Duration) -> Result<(), Error> {
        self.reader.fetch(wait, BATCH, &mut self.fetched)?;
        self.producer.iter().for_each(|producer| producer.hear(Duration::ZERO));
        let fetched = std::mem::take(&mut self.fetched);
        for item in &fetched {
            let (topic, partition) = match item {
                Fetched::Record(record) => (record.topic(), record.partition()),
                Fetched::End { topic, partition, .. } | Fetched::OutOfRange { topic, partition } => {
                    (*topic, *partition)
                }
            };
            match item {
                Fetched::OutOfRange { .. } => {
                    return Err(Error::new(Verdict::Abort, "read on", "records were deleted before they were read"));
                }
                item if topic == self.inputs.attempt => self.recall(item)?,
                Fetched::Record(record) if topic == self.inputs.revoke => self.withdrawn(record),
                Fetched::Record(record) => self.command(record),
                Fetched::End { offset, .. } => {
                    let learning = self.learning.get_mut(&partition).map(|learning| &mut learning.lane);
                    let Some(lane) = self.lanes.get_mut(&partition).or(learning) else { continue };
                    match topic == self.inputs.revoke {
                        true => lane.withdrawals_read(*offset),
                        false => {
                            lane.commands_read(*offset);
                            self.unread.end(partition);
                        }
                    }
                }
            }
        }
        self.fetched = fetched;
        self.fetched.clear();
        self.pause_and_resume()
    }

    fn withdrawn(&mut self, record: &Record) {
        let partition = record.partition();
        let learning = self.learning.get_mut(&partition).map(|learning| &mut learning.lane);
        let Some(lane) = self.lanes.get_mut(&partition).or(learning) else { return };
        match record.value().map(decode::<Revoke>) {
            Some(Ok(Revoke { send_id, channel, .. })) => {
                // One topic withdraws for all channels: what belongs to others is not remembered.
                match Id::parse(&send_id).filter(|_| channel.is_empty() || channel == self.config.channel) {
                    Some(id) => lane.withdraw(record.offset(), id),
                    None => lane.withdrawals_read(record.offset() + 1),
                }
            }
            Some(Err(error)) => {
                // What it withdraws cannot be known, so nothing can be held back for it.
                tracing::error!(partition, offset = record.offset(), "a withdrawal cannot be read: {error}");
                self.metrics.hand_over("unreadable");
                lane.withdrawals_read(record.offset() + 1);
            }
            None => lane.withdrawals_read(record.offset() + 1),
        }
    }

    fn command(&mut self, record: &Record) {
        let (partition, offset) = (record.partition(), record.offset());
        let now = self.clock.now();
        let Some(lane) = self.lanes.get_mut(&partition) else { return };
        self.unread.read(record);
        let read = record.value().map(decode::<Send>).map(|read| read.map(|send| (Id::parse(&send.send_id), send)));
        match read {
            Some(Ok((Some(id), send))) => {
                let ours = self.calls.has(id);
                if !lane.command(offset, id, send, now, ours) {
                    self.metrics.hand_over("duplicate");
                } else if let Some(entry) = lane.entry(offset) {
                    entry.appended_at = record.timestamp();
                    entry.place = traces::place(&self.config.traces, record);
                }
            }
            None => lane.nothing(offset),
            Some(other) => {
                let why = other.err().map_or_else(|| "send_id is no UUID".to_owned(), |error| error.to_string());
                tracing::error!(partition, offset, "a command cannot be read and nobody can be told: {why}");
                self.metrics.hand_over("unreadable");
                lane.nothing(offset);
            }
        }
    }

    /// Stops to read commands where memory holds enough of them, and goes on where there is room again. Withdrawals are
    /// read all the time.
    fn pause_and_resume(&mut self) -> Result<(), Error> {
        for (partition, lane) in &self.lanes {
            if lane.is_full() && self.paused.insert(*partition) {
                self.reader.stop(self.inputs.send, *partition);
            } else if lane.has_room() && self.paused.remove(partition) {
                self.reader.start(self.inputs.send, *partition, lane.next())?;
            }
        }
        if self.forgot.elapsed() > FORGET {
            self.forgot = Tick::now();
            for (partition, lane) in &mut self.lanes {
                if let Ok((low, _)) = self.reader.range(self.inputs.revoke, *partition) {
                    lane.forget_withdrawals_before(low);
                }
            }
        }
        Ok(())
    }

    fn take_answers(&mut self) -> Result<(), Error> {
        self.calls.collect()?;
        if !self.calls.has_answers() {
            return Ok(());
        }
        let (now, tick, was_open) = (self.clock.now(), Tick::now(), self.breaker.is_open());
        let (lanes, breaker, metrics) = (&mut self.lanes, &mut self.breaker, &self.metrics);
        let (reasons, one) = (&mut self.reasons, self.calls.is_one_provider());
        let (groups, is_kept_apart) = (&mut self.turns.groups, one || !self.calls.routes().is_empty());
        self.calls.deliver(|id, answer| {
            let Some(lane) = lanes.values_mut().find(|lane| lane.is_out(id)) else { return false };
            if one {
                breaker.learn_of(answer, lane.was_tried_before(id), tick);
            }
            if let Some(send) = lane.command_of(id).filter(|_| is_kept_apart) {
                groups.learn(send, answer, tick);
            }
            lane.answered(id, answer, now, tick);
            reasons.hear(answer, metrics);
            true
        });
        if self.awaiting.is_empty() && self.learning.is_empty() && self.paused.is_empty() {
            self.forget_idle_answers();
        }
        match (was_open, self.breaker.is_open()) {
            (false, true) => {
                let code = self.reasons.last.as_deref().unwrap_or_default();
                tracing::warn!(code, "the provider takes nothing: it is left alone for a while, and commands wait")
            }
            (true, false) => tracing::info!("the provider takes messages again"),
            _ => {}
        }
        self.show_pauses();
        Ok(())
    }

    fn show_pauses(&self) {
        self.metrics.paused(self.breaker.is_open() || self.calls.are_held_back());
        self.calls.routes().into_iter().for_each(|(route, paused)| self.metrics.route_paused(route, paused));
    }

    /// Once every lane has read its commands, an answer that nobody takes is of no use.
    fn forget_idle_answers(&mut self) {
        if self.calls.has_answers() && self.lanes.values().all(Lane::has_caught_up) {
            self.calls.forget_answers();
        }
    }

    // What is to be done.

    fn judge(&mut self) {
        let now = self.clock.now();
        self.lanes.values_mut().for_each(|lane| lane.judge(now));
    }

    fn choose(&mut self) -> Vec<Candidate> {
        let chooser = Chooser {
            limit: &self.limit,
            breaker: &self.breaker,
            renderer: &self.renderer,
            metrics: &self.metrics,
            calls_max: self.calls.max(self.config.calls_max),
            is_trial: self.breaker.is_open() || self.calls.are_held_back(),
        };
        let now = self.clock.now();
        let chosen = chooser.choose(&mut self.lanes, &mut self.turns, self.calls.len(), now, Tick::now());
        self.metrics.fenced(self.lanes.values().filter(|lane| lane.fence().holds(now)).count());
        chosen
    }

    /// Learns everything that was withdrawn up to now; none if that takes so long that it would be old news.
    fn look(&mut self) -> Result<Option<Tick>, Error> {
        let at = Tick::now();
        let mut revoke_ends = BTreeMap::new();
        for (topic, partition, end) in self.look_ends()? {
            if topic == self.names.revoke {
                revoke_ends.insert(partition, end);
            } else if let Some(lane) = self.lanes.get_mut(&partition) {
                lane.attempts_end(end);
            }
        }
        let look = Look::new(at, revoke_ends);
        while !look.is_complete(|partition| self.lanes.get(&partition).map(Lane::revoke_next)) {
            if look.is_stale() {
                tracing::info!("the withdrawals could not be read in time: nothing is handed over yet");
                return Ok(None);
            }
            self.read(ANSWERS)?;
        }
        self.judge();
        Ok(Some(look.at()))
    }

    /// One transaction: outcomes of what came back, intents of what goes out, positions. Then the calls.
    fn write_and_call(&mut self, chosen: Vec<Candidate>, looked: Option<Tick>) -> Result<(), Error> {
        let mut going = chosen;
        going.retain(|candidate| {
            let Some(lane) = self.lanes.get_mut(&candidate.partition) else { return false };
            let goes = looked.is_some() && lane.is_waiting(candidate.offset);
            if !goes {
                lane.stays(candidate.offset);
            }
            goes
        });
        let lease = Lease::of(Tick::now(), self.settings.session_timeout());
        if !going.is_empty() || self.lanes.values().any(Lane::has_news) {
            let written = self.write(&going);
            if written.is_err() {
                self.calls.dropped(going.iter().map(|candidate| (candidate.id, candidate.partition)));
            }
            written?;
            self.calls.committed();
        }
        self.show_progress();
        for candidate in going {
            if let Some(looked) = looked {
                self.calls.start(candidate, looked, lease);
            }
        }
        Ok(())
    }

    fn write(&mut self, going: &[Candidate]) -> Result<(), Error> {
        let now = self.clock.now();
        let Some(producer) = &mut self.producer else {
            return Err(Error::new(Verdict::Abort, "write", "there is no producer"));
        };
        producer.begin()?;
        let mut ledger = Ledger {
            producer,
            attempt: self.outputs.0,
            feedback: self.outputs.1,
            provider: self.config.provider(),
            pseudonyms: self.pseudonyms.as_ref(),
        };
        for (partition, lane) in &mut self.lanes {
            for id in lane.idle_intents() {
                ledger.take_back(*partition, id)?;
            }
            for line in lane.lines() {
                ledger.settle(*partition, &line)?;
                self.metrics.hand_over(&line.outcome.status.as_str().to_ascii_lowercase());
            }
        }
        for candidate in going {
            let Some(lane) = self.lanes.get_mut(&candidate.partition) else { continue };
            lane.start(candidate.offset);
            if let Some((id, send)) = lane.command_at(candidate.offset) {
                self.metrics.spent(send.price_minor);
                let content = lane.content_at(candidate.offset);
                ledger.intend(candidate.partition, candidate.offset, id, send, now, content.as_deref())?;
            }
        }
        self.commit()
    }

    /// Commits with the positions of all lanes.
    fn commit(&mut self) -> Result<(), Error> {
        let Some(producer) = &mut self.producer else { return Ok(()) };
        let mut positions = Vec::with_capacity(self.lanes.len());
        for (partition, lane) in &mut self.lanes {
            let (next, attempt_from) = lane.position();
            positions.push(Position {
                topic: self.names.send.clone(),
                partition: *partition,
                offset: Some(next),
                metadata: bookmark(attempt_from, &lane.fence().noted()),
            });
        }
        self.group.commit(producer, &positions)
    }

    /// Everything below a lane's position is done with, and its results are committed.
    fn show_progress(&mut self) {
        for (partition, lane) in &mut self.lanes {
            let (next, attempt_from) = lane.position();
            if self.committed.insert(*partition, (next, attempt_from)) != Some((next, attempt_from)) {
                self.probe.consumed(&self.names.send, *partition, next);
            }
        }
        let nexts = self.lanes.keys().filter_map(|partition| Some((*partition, self.committed.get(partition)?.0)));
        self.unread.tell(nexts, &self.reader, self.inputs.send, self.probe);
    }
}

impl Names {
    fn of(config: &Config, settings: &Settings, topics: &Topics) -> Self {
        let send = topics.send(&config.channel);
        let group = format!("{send}.workers");
        Names {
            revoke: topics.revoke(),
            attempt: topics.attempt(&config.channel),
            feedback: topics.feedback(),
            reply: topics.reply(),
            identity: format!("{}-{}", settings.instance, config.channel),
            transactional_id: format!("{group}.{}", settings.instance),
            send,
            group,
        }
    }

    /// All topics are there, and those that go together have the same number of partitions, which is returned.
    fn require(&self, settings: &Settings) -> Result<u32, Error> {
        let wanted: Vec<_> =
            [&self.send, &self.revoke, &self.attempt, &self.feedback].map(|topic| (topic.as_str(), None)).into();
        admin::require(settings, &wanted)?;
        let count = settings.partitions(&self.send)?.unwrap_or_default();
        admin::require(settings, &[(self.revoke.as_str(), Some(count)), (self.attempt.as_str(), Some(count))])?;
        Ok(count.unsigned_abs())
    }

    fn join(&self, settings: &Settings) -> Result<Membership, Error> {
        let topics = std::slice::from_ref(&self.send);
        Membership::join(settings, &self.group, Some(&self.identity), topics, &self.attempt)
    }
}

/// The same settings, with fetches that come back sooner; what the user set stays.
fn quick(settings: &Settings) -> Settings {
    let mut properties = (*settings.properties).clone();
    properties.entry("fetch.wait.max.ms".to_owned()).or_insert_with(|| FETCH_WAIT_MS.to_owned());
    Settings { properties: properties.into(), ..settings.clone() }
}
