//! Membership in a consumer group: which partitions are ours, under which generation.

use std::sync::Arc;
use std::time::Duration;

use super::gap::Gap;
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
    joining: Joining,
    /// Whether the group has said what is this member's, be it nothing.
    assigned: bool,
    /// How many partitions it has accepted and not given up.
    owned: usize,
    /// Since when it waits to be told, and when to see again whether it is a member still.
    waiting: Tick,
    look: Tick,
    /// Looks whether there are partitions that it was to give up to nobody.
    gap: Gap,
}

/// What a client needs to join.
#[derive(Clone, Debug)]
pub(super) struct Joining {
    pub(super) settings: Settings,
    pub(super) group: String,
    /// Of a static member.
    pub(super) identity: Option<String>,
    pub(super) topics: Vec<String>,
    /// A topic that nobody in the group wants anything of; empty where nobody knows one.
    pub(super) aside: String,
}

impl Joining {
    pub(super) fn join(&self) -> Result<(Arc<Client>, Queue), Error> {
        let mut must = vec![
            ("group.id", self.group.as_str()),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("isolation.level", "read_committed"),
            ("partition.assignment.strategy", "cooperative-sticky"),
        ];
        must.extend(self.identity.as_deref().map(|identity| ("group.instance.id", identity)));
        let client = self.settings.client(Role::Member, &must)?;
        let events = client.member_queue();
        client.subscribe(&self.topics)?;
        Ok((client, events))
    }
}

/// Who owns nothing and is not told what is his for so long joins with a new client: librdkafka's may have stopped to ask, for good,
/// when the coordinator moved just then. Where the group itself takes so long, to join anew harms nobody.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a member that owns nothing looks whether it is one.
const LOOK: Duration = Duration::from_secs(1);

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
pub struct Generation(pub(super) Arc<GroupMetadata>);

impl Generation {
    /// Never negative.
    pub fn number(&self) -> i32 {
        self.0.generation()
    }
}

impl Member {
    /// Joins `group` for `topics`. With an `identity` the membership is static: a restart within the session timeout moves
    /// no partition. `aside` is a topic that nobody in the group wants anything of, or empty: whoever comes
    /// back amid a rebalance makes the group share anew by it, so that nothing of it is left to nobody.
    ///
    /// # Errors
    /// If the configuration is refused.
    pub fn join(
        settings: &Settings,
        group: &str,
        identity: Option<&str>,
        topics: &[String],
        aside: &str,
    ) -> Result<Self, Error> {
        Member::of(Joining {
            settings: settings.clone(),
            group: group.to_owned(),
            identity: identity.map(str::to_owned),
            topics: topics.to_owned(),
            aside: aside.to_owned(),
        })
    }

    fn of(joining: Joining) -> Result<Self, Error> {
        let (client, events) = joining.join()?;
        let (now, gap) = (Tick::now(), Gap::new(&joining));
        Ok(Member { client, events, joining, assigned: false, owned: 0, waiting: now, look: now.after(LOOK), gap })
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
                Said::Assign(list) => {
                    self.assigned = true;
                    return Ok(Some(Change::Assigned(pairs(&list))));
                }
                Said::Revoke(list) => {
                    let lost = self.client.is_assignment_lost();
                    self.assigned &= !lost;
                    return Ok(Some(Change::Revoked { partitions: pairs(&list), lost }));
                }
                Said::Trouble { words, fatal: true } => {
                    return Err(Error::new(Verdict::Fenced, "stay in the group", words));
                }
                Said::Trouble { words, fatal: false } => tracing::warn!("the group member reports: {words}"),
                Said::Other => {}
            }
        }
        if self.assigned {
            self.gap.look(&self.client, &self.joining);
        }
        if self.owned == 0 && self.look.remaining().is_zero() {
            self.look = Tick::now().after(LOOK);
            self.renew_after(PATIENCE)?;
        }
        Ok(None)
    }

    /// Joins with a new client if this one has waited for so long to be told what is its.
    fn renew_after(&mut self, patience: Duration) -> Result<(), Error> {
        if self.assigned && self.generation().is_ok() {
            self.waiting = Tick::now();
        } else if self.waiting.elapsed() >= patience {
            tracing::warn!("group {} has said nothing for {patience:?}: joining with a new client", self.joining.group);
            self.renew()?;
        }
        Ok(())
    }

    /// Joins with a new client, as if nothing had been.
    pub(super) fn renew(&mut self) -> Result<(), Error> {
        *self = Member::of(self.joining.clone())?;
        Ok(())
    }

    /// By which the group knows this member.
    pub(super) fn name(&self) -> &str {
        self.joining.identity.as_deref().unwrap_or(&self.joining.settings.instance)
    }

    /// Tells the group that a change was carried out.
    ///
    /// # Errors
    /// If the group has moved on; the next change says how.
    pub fn accept(&mut self, change: &Change) -> Result<(), Error> {
        match change {
            Change::Assigned(partitions) => {
                let list = Partitions::of(partitions, Partitions::END)?;
                // Refused, it owns nothing of it: unless the next change says more, it joins with a new client.
                self.assigned = false;
                self.client.assign(&list)?;
                self.assigned = true;
                self.owned += partitions.len();
                // This client is told where to start only so that it asks nobody, and then fetches nothing.
                self.client.pause(&list)
            }
            Change::Revoked { partitions, .. } => {
                self.owned = self.owned.saturating_sub(partitions.len());
                self.waiting = Tick::now();
                self.client.unassign(&Partitions::of(partitions, Partitions::END)?)
            }
        }
    }

    /// The generation under which offsets may be committed now.
    ///
    /// # Errors
    /// `Fenced` while we are no member.
    pub fn generation(&self) -> Result<Generation, Error> {
        let found = self.client.group_metadata().filter(|group| group.generation() >= 0);
        found
            .map(|group| Generation(Arc::new(group)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_told_nothing_joins_with_a_new_client() {
        // To join asks nobody: that there is no broker comes out later.
        let settings = Settings::new("127.0.0.1:1", "nobody");
        let mut member = Member::join(&settings, "group", None, &["cart".to_owned()], "aside").unwrap();
        let first = Arc::as_ptr(&member.client);
        member.renew_after(PATIENCE).unwrap();
        assert_eq!(Arc::as_ptr(&member.client), first, "there was no time yet");
        let first = Arc::downgrade(&member.client);
        member.renew_after(Duration::ZERO).unwrap();
        assert!(first.upgrade().is_none(), "the first client is gone");
        assert!(member.waiting.elapsed() < PATIENCE);
    }
}
