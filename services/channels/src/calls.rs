//! Calls of the provider that are under way. They outlive a failure of Kafka: their answers are not lost with a transaction.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use schemas::{Id, Millis};
use stream::clock::{Clock, Tick};
use stream::{Error, Verdict};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use crate::look;
use crate::metrics::ChannelMetrics;
use crate::transport::{Answer, Message, Transport};

/// Runs calls beside the worker's thread.
pub(crate) struct Calls {
    flying: JoinSet<(Id, Answer)>,
    ids: HashSet<Id>,
    /// Answers that no lane has taken yet.
    answers: HashMap<Id, Answer>,
    transport: Arc<dyn Transport>,
    clock: Clock,
    metrics: ChannelMetrics,
    // Last: it must outlive what runs on it.
    runtime: Runtime,
}

impl Calls {
    /// A runtime of one thread, and the transport opened in it.
    pub(crate) fn new(config: &crate::transport::Config, clock: &Clock, metrics: ChannelMetrics) -> Result<Self, Error> {
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
        Ok(Calls {
            flying: JoinSet::new(),
            ids: HashSet::new(),
            answers: HashMap::new(),
            transport: transport.into(),
            clock: clock.clone(),
            metrics,
            runtime,
        })
    }

    /// Hands a message over, unless the look at the withdrawals has become too old or the validity has ended by then.
    pub(crate) fn start(&mut self, id: Id, message: Message, send_before: Millis, looked: Tick) {
        let (transport, clock, metrics) = (Arc::clone(&self.transport), self.clock.clone(), self.metrics.clone());
        self.ids.insert(id);
        let call = async move {
            // This is the last moment: a process that was stopped in between wakes up before this line.
            let window = looked.elapsed();
            if window > look::AGE_MAX {
                return (id, Answer::Stale);
            }
            if clock.now() > send_before {
                return (id, Answer::TooLate);
            }
            metrics.residual_window_seconds.observe(window.as_secs_f64());
            let began = Tick::now();
            let answer = transport.hand_over(&message).await;
            metrics.hand_over_seconds.observe(began.elapsed().as_secs_f64());
            (id, answer)
        };
        self.flying.spawn_on(call, self.runtime.handle());
    }

    /// Takes in what came back.
    pub(crate) fn collect(&mut self) -> Result<(), Error> {
        while let Some(ended) = self.flying.try_join_next() {
            match ended {
                Ok((id, answer)) => {
                    self.ids.remove(&id);
                    self.answers.insert(id, answer);
                }
                // A successor finds the intent and treats it as unknown.
                Err(error) => return Err(Error::new(Verdict::Stop, "call the provider", error.to_string())),
            }
        }
        Ok(())
    }

    /// Hands each answer to `take`, which says whether it was its own.
    pub(crate) fn deliver(&mut self, mut take: impl FnMut(Id, &Answer) -> bool) {
        self.answers.retain(|id, answer| !take(*id, answer));
    }

    /// Nobody will ask for these answers any more: their partitions are gone, and a successor has settled them.
    pub(crate) fn forget_answers(&mut self) {
        self.answers.clear();
    }

    /// A call for it is under way, or its answer waits here.
    pub(crate) fn has(&self, id: Id) -> bool {
        self.ids.contains(&id) || self.answers.contains_key(&id)
    }

    /// Calls under way.
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Some answers were not taken yet.
    pub(crate) fn has_answers(&self) -> bool {
        !self.answers.is_empty()
    }
}
