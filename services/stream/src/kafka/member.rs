//! Membership in a consumer group: which partitions are ours, under which generation.

use std::sync::Arc;
use std::time::Duration;

use super::native::{Client, GroupMetadata, Partitions, Queue, Role, Said};
use super::position::Position;
use super::settings::Settings;
use crate::clock::Tick;
use crate::{Error, Verdict};

/// A member of a group, which fetches nothing itself. When it is dropped, the group notices only once the session has timed
/// out, so that a static member that comes back in time finds its partitions as it left them.
#[derive(Debug)]
pub struct Member {
    client: Arc<Client>,
    events: Queue,
}

/// The group gives or takes partitions. What is taken must be finished or dropped before [`Member::accept`].
#[derive(Debug)]
pub enum Change {
    /// Ours from now on.
    Assigned(Vec<(String, i32)>),
    /// To be given up.
    Revoked {
        /// Which.
        partitions: Vec<(String, i32)>,
        /// They belong to somebody else already: nothing more may be committed for them.
        lost: bool,
    },
}

/// A live generation: what makes the broker refuse offsets of a member that was replaced.
#[derive(Debug)]
pub struct Generation(pub(super) GroupMetadata);

impl Generation {
    /// Never negative.
    pub fn number(&self) -> i32 {
        self.0.generation()
    }
}

impl Member {
    /// Joins `group` for `topics`. With an `identity` the membership is static: a restart within the session timeout moves
    /// no partition.
    ///
    /// # Errors
    /// If the configuration is refused.
    pub fn join(settings: &Settings, group: &str, identity: Option<&str>, topics: &[String]) -> Result<Self, Error> {
        let mut must = vec![
            ("group.id", group),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("isolation.level", "read_committed"),
            ("partition.assignment.strategy", "cooperative-sticky"),
        ];
        must.extend(identity.map(|identity| ("group.instance.id", identity)));
        let client = settings.client(Role::Member, &must)?;
        let events = client.member_queue();
        client.subscribe(topics)?;
        Ok(Member { client, events })
    }

    /// The next change of what is ours, waiting for it at most so long. To be called often: a member that is silent for
    /// five minutes is taken for dead.
    ///
    /// # Errors
    /// `Fenced` if somebody else took our identity, `Stop` for other fatal errors.
    pub fn poll(&mut self, wait: Duration) -> Result<Option<Change>, Error> {
        let until = Tick::now().after(wait);
        while let Some(event) = self.events.poll(until.remaining()) {
            match event.read() {
                Said::Assign(list) => return Ok(Some(Change::Assigned(pairs(&list)))),
                Said::Revoke(list) => {
                    return Ok(Some(Change::Revoked {
                        partitions: pairs(&list),
                        lost: self.client.is_assignment_lost(),
                    }));
                }
                Said::Trouble { words, fatal: true } => {
                    return Err(Error::new(Verdict::Fenced, "stay in the group", words));
                }
                Said::Trouble { words, fatal: false } => tracing::warn!("the group member reports: {words}"),
                Said::Other => {}
            }
        }
        Ok(None)
    }

    /// Tells the group that a change was carried out.
    ///
    /// # Errors
    /// If the group has moved on; the next change says how.
    pub fn accept(&mut self, change: &Change) -> Result<(), Error> {
        match change {
            Change::Assigned(partitions) => {
                let list = Partitions::of(partitions, Partitions::END)?;
                self.client.assign(&list)?;
                // This client is told where to start only so that it asks nobody, and then fetches nothing.
                self.client.pause(&list)
            }
            Change::Revoked { partitions, .. } => self.client.unassign(&Partitions::of(partitions, Partitions::END)?),
        }
    }

    /// The generation under which offsets may be committed now.
    ///
    /// # Errors
    /// `Fenced` while we are no member.
    pub fn generation(&self) -> Result<Generation, Error> {
        let found = self.client.group_metadata().filter(|group| group.generation() >= 0);
        found
            .map(Generation)
            .ok_or_else(|| Error::new(Verdict::Fenced, "commit offsets", "this process is not in the group now"))
    }

    /// The group's committed positions. Waits at most so long for open transactions that move them.
    ///
    /// # Errors
    /// `Retry` while the coordinator is not to be had or a predecessor's transaction is open.
    pub fn committed(&self, partitions: &[(String, i32)], wait: Duration) -> Result<Vec<Position>, Error> {
        let list = Partitions::of(partitions, Partitions::END)?;
        self.client.committed(&list, wait)?;
        Ok(list.positions())
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // What still waits in the queue, if only outdated, holds on to its partitions, and the client's end waits for those for
        // ever. To poll once is what lets go of it.
        while self.events.poll(Duration::ZERO).is_some() {}
    }
}

fn pairs(list: &Partitions) -> Vec<(String, i32)> {
    list.positions().into_iter().map(|position| (position.topic, position.partition)).collect()
}
