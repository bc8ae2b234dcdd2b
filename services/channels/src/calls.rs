//! Calls of the provider that are under way. They outlive a failure of Kafka: their answers are not lost with a transaction.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use schemas::Id;
use stream::clock::{Clock, Tick, age};
use stream::{Error, Verdict};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinSet;

use crate::choice::Candidate;
use crate::lease::Lease;
use crate::look;
use crate::metrics::ChannelMetrics;
use crate::traces::{Followed, Teller};
use crate::transport::{Answer, Ear, Transport};

/// Runs calls beside the worker's thread.
pub(crate) struct Calls {
    flying: JoinSet<(u64, Id, Answer)>,
    /// Calls so far: each has a number of its own, since a send may be called again while an earlier call for it, of a partition that went
    /// away and came back, is still under way.
    begun: u64,
    /// Number and partition of each call under way that is still ours to settle.
    ids: HashMap<Id, (u64, i32)>,
    /// Answers that no lane has taken yet, with their partitions.
    answers: HashMap<Id, (i32, Answer)>,
    /// Answers that a lane has taken, but no transaction has made lasting yet.
    taken: HashMap<Id, (i32, Answer)>,
    transport: Arc<dyn Transport>,
    clock: Clock,
    metrics: ChannelMetrics,
    /// Tells of calls whose cascades are followed.
    teller: Teller,
    // Last: it must outlive what runs on it.
    runtime: Runtime,
}

impl Calls {
    /// A runtime of one thread, and the transport opened in it.
    pub(crate) fn new(
        config: &crate::transport::Config,
        clock: &Clock,
        metrics: ChannelMetrics,
    ) -> Result<Self, Error> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("provider-calls")
            .enable_all()
            .build()
            .map_err(|error| Error::stop("start the runtime for provider calls", error.to_string()))?;
        let transport = {
            let _inside = runtime.enter();
            config.open().map_err(|problem| Error::stop("open the transport", problem))?
        };
        Ok(Self::over(transport.into(), clock, metrics, runtime))
    }

    fn over(transport: Arc<dyn Transport>, clock: &Clock, metrics: ChannelMetrics, runtime: Runtime) -> Self {
        Calls {
            flying: JoinSet::new(),
            begun: 0,
            ids: HashMap::new(),
            answers: HashMap::new(),
            taken: HashMap::new(),
            transport,
            clock: clock.clone(),
            metrics,
            teller: Teller::default(),
            runtime,
        }
    }

    /// The same, of which this one tells.
    pub(crate) fn told_of(self, teller: Teller) -> Self {
        Calls { teller, ..self }
    }

    /// The share of the transport's own rates that this worker may take.
    pub(crate) fn divide(&self, owned: u32, all: u32) {
        self.transport.divide(owned, all);
    }

    /// Hands a message over, unless the look at the withdrawals has become too old, or the lease or the validity has ended by then.
    pub(crate) fn start(&mut self, candidate: Candidate, looked: Tick, lease: Lease) {
        self.start_until(candidate, looked, looked.after(look::AGE_MAX), lease);
    }

    fn start_until(&mut self, candidate: Candidate, looked: Tick, until: Tick, lease: Lease) {
        let Candidate { partition, id, message, send_before, appended_at, place, .. } = candidate;
        let followed = place.map(|place| self.teller.of_call(place, id));
        let (transport, clock, metrics) = (Arc::clone(&self.transport), self.clock.clone(), self.metrics.clone());
        self.begun += 1;
        let number = self.begun;
        self.ids.insert(id, (number, partition));
        // Whatever an earlier call came to is settled: it must not be taken for the answer of this one.
        self.answers.remove(&id);
        let call = async move {
            // This is the last moment: a process that was stopped in between wakes up before this line.
            if until.remaining().is_zero() || lease.is_over() {
                return (number, id, Answer::Stale);
            }
            if clock.now() > send_before {
                return (number, id, Answer::TooLate);
            }
            metrics.residual_window_seconds.observe(looked.elapsed().as_secs_f64());
            let (began, followed) = (Tick::now(), followed.map(Followed::begins));
            // A fault in a transport may have struck before its first write or behind its last. It is this message's alone: the others go on.
            let called = async { lease.hold(transport.hand_over(&message)).await };
            let answer = match AssertUnwindSafe(called).catch_unwind().await {
                Ok(answer) => answer.unwrap_or_else(|| Answer::Unknown { code: "lease_ended".to_owned() }),
                Err(_) => Answer::Unknown { code: "panicked".to_owned() },
            };
            metrics.hand_over_seconds.observe(began.elapsed().as_secs_f64());
            if matches!(answer, Answer::Accepted { .. }) {
                metrics.decision_to_send_seconds.observe(age(appended_at).as_secs_f64());
            }
            followed.into_iter().for_each(|followed| followed.ends(&answer));
            (number, id, answer)
        };
        self.flying.spawn_on(call, self.runtime.handle());
    }

    /// Takes in what came back.
    pub(crate) fn collect(&mut self) -> Result<(), Error> {
        while let Some(ended) = self.flying.try_join_next() {
            match ended {
                Ok((number, id, answer)) => {
                    if let Some((_, partition)) = self.ids.get(&id).copied().filter(|(of, _)| *of == number) {
                        self.ids.remove(&id);
                        self.answers.insert(id, (partition, answer));
                    }
                }
                // A successor finds the intent and treats it as unknown.
                Err(error) => return Err(Error::new(Verdict::Stop, "call the provider", error.to_string())),
            }
        }
        Ok(())
    }

    /// Hands each answer to `take`, which says whether it was its own.
    pub(crate) fn deliver(&mut self, mut take: impl FnMut(Id, &Answer) -> bool) {
        self.taken.extend(self.answers.extract_if(|id, (_, answer)| take(*id, answer)));
    }

    /// What the lanes have taken is written down for good.
    pub(crate) fn committed(&mut self) {
        self.taken.clear();
    }

    /// What the lanes have taken is lost with them, and will be asked for again. `not_called` are commands whose intents were
    /// in the transaction that failed: whatever became of that, nobody was called.
    pub(crate) fn dropped(&mut self, not_called: impl Iterator<Item = (Id, i32)>) {
        self.answers.extend(self.taken.drain());
        self.answers.extend(not_called.map(|(id, partition)| (id, (partition, Answer::Stale))));
    }

    /// The partition belongs to somebody else. Should it come back, an intent that stands there may be his: what we know of
    /// our own call says nothing about it any more.
    pub(crate) fn release(&mut self, partition: i32) {
        self.ids.retain(|_, (_, of)| *of != partition);
        self.answers.retain(|_, (of, _)| *of != partition);
        self.taken.retain(|_, (of, _)| *of != partition);
    }

    /// Nobody asks for these answers: their commands were settled in another way.
    pub(crate) fn forget_answers(&mut self) {
        self.answers.clear();
    }

    /// A call for it is under way, or its answer waits here.
    pub(crate) fn has(&self, id: Id) -> bool {
        self.ids.contains_key(&id) || self.answers.contains_key(&id)
    }

    /// Where the provider is heard, if it speaks of its own accord, and the runtime to listen in. To be asked once.
    pub(crate) fn ear(&self) -> Option<(Ear, &Handle)> {
        self.transport.ear().map(|ear| (ear, self.runtime.handle()))
    }

    /// Where calls run.
    pub(crate) fn runtime(&self) -> &Handle {
        self.runtime.handle()
    }

    /// Whether people answer there, known by their addresses.
    pub(crate) fn is_answered(&self) -> bool {
        self.transport.is_answered()
    }

    /// Whether failures say something of the whole channel.
    pub(crate) fn is_one_provider(&self) -> bool {
        self.transport.is_one_provider()
    }

    /// Calls that may be under way at once, of the `configured` ones.
    pub(crate) fn max(&self, configured: usize) -> usize {
        let trials = self.transport.left_alone().map(|trials| self.len() + trials);
        [self.transport.calls_max(), trials].into_iter().flatten().fold(configured, usize::min)
    }

    /// The routes that the transport keeps apart, and whether each is left alone.
    pub(crate) fn routes(&self) -> Vec<(&str, bool)> {
        self.transport.routes()
    }

    /// The transport leaves all of its providers alone.
    pub(crate) fn are_held_back(&self) -> bool {
        self.transport.left_alone().is_some()
    }

    /// Calls under way.
    pub(crate) fn len(&self) -> usize {
        self.flying.len()
    }

    /// Some answers were not taken yet.
    pub(crate) fn has_answers(&self) -> bool {
        !self.answers.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::metrics::Metrics;
    use crate::transport::{Call, Message};

    /// Takes everything, and counts; stumbles over one, and is slow with the very first of another.
    #[derive(Debug, Default)]
    struct Taker(AtomicUsize);

    impl Transport for Taker {
        fn hand_over<'a>(&'a self, message: &'a Message) -> Call<'a> {
            let before = self.0.fetch_add(1, Ordering::SeqCst);
            match message.customer_id.as_str() {
                "stumbles at once" => panic!("it is inside {}", message.address),
                "stumbles" => Box::pin(async { panic!("it is inside {}", message.address) }),
                "slow" if before == 0 => Box::pin(async {
                    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                    Answer::taken(Some("first".to_owned()))
                }),
                _ => Box::pin(async { Answer::taken(None) }),
            }
        }
    }

    /// As long as any test.
    fn lease() -> Lease {
        Lease::of(Tick::now(), std::time::Duration::from_secs(600))
    }

    fn calls(now: i64) -> (Calls, Arc<Taker>) {
        let taker = Arc::new(Taker::default());
        let metrics = Metrics::new(&prometheus::Registry::new()).unwrap().of("sms");
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        (Calls::over(Arc::clone(&taker) as Arc<dyn Transport>, &Clock::manual(now), metrics, runtime), taker)
    }

    fn candidate(name: &str, partition: i32) -> Candidate {
        let id = Id::of_instance(name, "", "", "");
        let message = Message {
            send_id: id.to_string(),
            customer_id: name.to_owned(),
            address: "+7900".to_owned(),
            subject: None,
            text: String::new(),
            html: None,
            link: None,
            unsubscribe: None,
            receipt_token: None,
            return_token: None,
            now: 0,
            send_before: 100,
            valid_until: 100,
        };
        Candidate { partition, offset: 0, id, message, send_before: 100, appended_at: 0, place: None }
    }

    /// Waits for all calls and gives back what a lane would be told.
    fn told(calls: &mut Calls) -> Vec<Answer> {
        while calls.len() > 0 {
            calls.collect().unwrap();
            std::thread::yield_now();
        }
        let mut told = Vec::new();
        calls.deliver(|_, answer| {
            told.push(answer.clone());
            true
        });
        told
    }

    #[test]
    fn nobody_is_called_on_a_look_that_is_too_old_or_after_the_validity() {
        let (mut calls, taker) = calls(100);
        let over = Lease::of(Tick::now(), std::time::Duration::ZERO);
        calls.start(candidate("z", 0), Tick::now(), over);
        assert_eq!(told(&mut calls), [Answer::Stale]);
        calls.start_until(candidate("a", 0), Tick::now(), Tick::now(), lease());
        assert_eq!(told(&mut calls), [Answer::Stale]);
        calls.start(Candidate { send_before: 99, ..candidate("b", 0) }, Tick::now(), lease());
        assert_eq!(told(&mut calls), [Answer::TooLate]);
        assert_eq!(taker.0.load(Ordering::SeqCst), 0);
        calls.start(candidate("c", 0), Tick::now(), lease());
        assert_eq!(told(&mut calls), [Answer::taken(None)]);
        assert_eq!(taker.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn an_answer_outlives_the_transaction_that_failed_and_no_other() {
        let (mut calls, _) = calls(0);
        calls.start(candidate("a", 0), Tick::now(), lease());
        assert_eq!(told(&mut calls).len(), 1);
        calls.dropped(std::iter::once((candidate("b", 0).id, 0)));
        assert_eq!(told(&mut calls).len(), 2, "the answer again, and that b was never called");
        calls.committed();
        calls.dropped(std::iter::empty());
        assert_eq!(told(&mut calls), []);
    }

    #[test]
    fn what_we_know_of_a_partition_that_went_away_is_forgotten() {
        let (mut calls, _) = calls(0);
        calls.start(candidate("a", 0), Tick::now(), lease());
        calls.start(candidate("b", 1), Tick::now(), lease());
        calls.release(0);
        assert!(!calls.has(candidate("a", 0).id) && calls.has(candidate("b", 1).id));
        assert_eq!(told(&mut calls).len(), 1);
    }

    #[test]
    fn the_answer_of_an_earlier_call_is_not_taken_for_that_of_a_new_one() {
        let (mut calls, _) = calls(0);
        calls.dropped(std::iter::once((candidate("a", 0).id, 0)));
        calls.start(candidate("a", 0), Tick::now(), lease());
        assert_eq!(told(&mut calls), [Answer::taken(None)]);
    }

    #[test]
    fn a_call_that_panics_is_unknown_and_all_others_go_on() {
        let (mut calls, _) = calls(0);
        for name in ["stumbles at once", "stumbles"] {
            calls.start(candidate(name, 0), Tick::now(), lease());
            assert_eq!(told(&mut calls), [Answer::Unknown { code: "panicked".to_owned() }]);
        }
        calls.start(candidate("a", 0), Tick::now(), lease());
        assert_eq!(told(&mut calls), [Answer::taken(None)]);
    }

    #[test]
    fn a_call_of_a_partition_that_came_back_is_not_taken_for_the_one_before() {
        let (mut calls, taker) = calls(0);
        calls.start(candidate("slow", 0), Tick::now(), lease());
        while taker.0.load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
        calls.release(0);
        calls.start(candidate("slow", 0), Tick::now(), lease());
        assert_eq!(told(&mut calls), [Answer::taken(None)], "the second call's, and not what the first came to");
        assert!(!calls.has(candidate("slow", 0).id), "nor does the first end it again");
    }
}
