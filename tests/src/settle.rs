//! Waiting until nothing moves any more: everything before the present moment is decided, handed over and reported.

use std::collections::BTreeMap;

use stream::clock::Millis;

use crate::installation::Installation;
use crate::service::Service;
use crate::tail::Ends;
use crate::wait::until_ok;

/// Topic and partition, next offset.
type Positions = BTreeMap<(String, i32), i64>;

/// So many records may follow upon each other in the input.
const FORWARDS: usize = 5;

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
        until_ok("nothing moves any more", || {
            let before = ends.of(&sources);
            self.is_done("intake", &before)?;
            // What one row says to another comes behind, and so does the answer.
            (0..FORWARDS).try_for_each(|_| self.is_done("operator", &ends.of(&[self.topics.input()])))?;
            self.are_done("channel ", &ends.of(&sends))?;
            if ends.of(&sources) == before { Ok(()) } else { Err("The sources still grow.".to_owned()) }
        });
    }

    /// Waits until intake has put everything into `input`.
    #[track_caller]
    pub fn settle_intake(&self) {
        self.feed.flush();
        let ends = Ends::new(self.place.brokers());
        let sources: Vec<String> = self.topics.sources().into_iter().map(|(name, _)| name).collect();
        until_ok("intake is done", || self.is_done("intake", &ends.of(&sources)));
    }

    /// Replicas of a service together own everything. An error says what is missing.
    fn is_done(&self, name: &str, ends: &Positions) -> Result<(), String> {
        let is_replica = |service: &&Service| service.name.split('#').next() == Some(name);
        let replicas: Vec<&Service> = self.services.values().filter(is_replica).collect();
        if replicas.is_empty() { Ok(()) } else { self.cover(&replicas, ends) }
    }

    fn are_done(&self, kind: &str, ends: &Positions) -> Result<(), String> {
        let mut workers = self.services.values().filter(|service| service.name.starts_with(kind));
        workers.try_for_each(|worker| {
            let channel = &worker.name[kind.len()..];
            let topic = self.topics.send(channel);
            let own = ends.iter().filter(|((name, _), _)| *name == topic).map(|(place, end)| (place.clone(), *end));
            self.cover(&[worker], &own.collect())
        })
    }

    fn cover(&self, replicas: &[&Service], ends: &Positions) -> Result<(), String> {
        let mut reached = Positions::new();
        for replica in replicas {
            let name = &replica.name;
            let progress = replica.progress().ok_or_else(|| format!("{name} does not answer."))?;
            let is_settled = progress.settled.is_none_or(|settled| settled >= self.now);
            if !(progress.ready && progress.seen >= self.now && is_settled) {
                return Err(format!("{name} is not there yet at {}: {progress:?}", self.now));
            }
            reached.extend(progress.positions.into_iter().map(|(topic, partition, next)| ((topic, partition), next)));
        }
        let behind = ends.iter().find(|(place, end)| reached.get(place).is_none_or(|next| next < end));
        behind.map_or(Ok(()), |(place, end)| {
            Err(format!("{place:?} ends at {end}, but {} is at {:?}.", replicas[0].name, reached.get(place)))
        })
    }
}
