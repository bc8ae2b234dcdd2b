//! Waiting until nothing moves any more: everything before the present moment is decided, handed over and reported.

use std::collections::BTreeMap;

use stream::clock::Millis;

use crate::installation::Installation;
use crate::service::{Progress, Service};
use crate::tail::Ends;
use crate::wait::until;

/// Topic and partition, next offset.
type Positions = BTreeMap<(String, i32), i64>;

impl Installation {
    /// Moves business time on by `span` and waits until nothing moves any more.
    #[track_caller]
    pub fn pass(&mut self, span: Millis) {
        self.set_clock(self.now + span);
        self.settle();
    }

    /// Waits until all running services have done everything that there is to do at this moment.
    #[track_caller]
    pub fn settle(&self) {
        self.feed.flush();
        let ends = Ends::new(self.place.brokers());
        let sources: Vec<String> = self.topics.sources().into_iter().map(|(name, _)| name).collect();
        let sends: Vec<String> = self.channels.iter().map(|channel| self.topics.send(channel)).collect();
        // In the order of a record's way; what an earlier stage is done with, the later one finds in its topic.
        until("nothing moves any more", || {
            let before = ends.of(&sources);
            self.is_done("intake", &before)
                && self.is_done("operator", &ends.of(&[self.topics.input()]))
                && self.are_done("channel ", &ends.of(&sends))
                && ends.of(&sources) == before
        });
    }

    /// Waits until intake has put everything into `input`.
    #[track_caller]
    pub fn settle_intake(&self) {
        self.feed.flush();
        let ends = Ends::new(self.place.brokers());
        let sources: Vec<String> = self.topics.sources().into_iter().map(|(name, _)| name).collect();
        until("intake is done", || self.is_done("intake", &ends.of(&sources)));
    }

    /// Replicas of a service together own everything.
    fn is_done(&self, name: &str, ends: &Positions) -> bool {
        let is_replica = |service: &&Service| service.name.split('#').next() == Some(name);
        let replicas: Vec<&Service> = self.services.values().filter(is_replica).collect();
        let progress: Option<Vec<Progress>> = replicas.iter().map(|service| service.progress()).collect();
        replicas.is_empty() || progress.is_some_and(|progress| self.cover(&progress, ends))
    }

    fn are_done(&self, kind: &str, ends: &Positions) -> bool {
        let workers = self.services.values().filter(|service| service.name.starts_with(kind));
        workers.into_iter().all(|worker| {
            let channel = &worker.name[kind.len()..];
            let topic = self.topics.send(channel);
            let own = ends.iter().filter(|((name, _), _)| *name == topic).map(|(place, end)| (place.clone(), *end));
            worker.progress().is_some_and(|progress| self.cover(&[progress], &own.collect()))
        })
    }

    fn cover(&self, replicas: &[Progress], ends: &Positions) -> bool {
        let positions = replicas.iter().flat_map(|progress| &progress.positions);
        let reached: Positions =
            positions.map(|(topic, partition, next)| ((topic.clone(), *partition), *next)).collect();
        let is_up_to_date = |progress: &Progress| {
            progress.ready && progress.seen >= self.now && progress.settled.is_none_or(|settled| settled >= self.now)
        };
        replicas.iter().all(is_up_to_date)
            && ends.iter().all(|(place, end)| reached.get(place).is_some_and(|next| next >= end))
    }
}
