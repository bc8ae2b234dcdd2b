//! Partitions that a rebalance has left to nobody.
//!
//! What moves goes in two steps: its owner gives it up and asks the group to share once more, and then another one gets it. An owner that ends
//! in between asks nobody. Comes it back under its static identity, the group lets it in as if nothing had been (KIP-345): it is told what is
//! left to it, nobody asks, and what it was to give up is nobody's until something else moves.
//!
//! ```text
//! joined, told what is its ──> every partition has an owner? ──yes──> never looks again
//!                                   │ no, twice in a row
//!                                   └──> a passer-by joins: the group shares anew ──> looks again
//! ```
//!
//! librdkafka does not let a member ask for that, so somebody else joins, who wants a topic that nobody else in the group wants anything
//! of: nothing moves on its account. It is dropped as soon as it is let in, and the group forgets it when its session is over.

use std::sync::Arc;
use std::time::Duration;

use super::member::Joining;
use super::native::{Client, Queue, Said};
use super::settings::Settings;
use crate::Error;
use crate::clock::Tick;

/// An owner that lives gives up and asks within this, as a rule; if not, to share once more does no harm.
const LOOK: Duration = Duration::from_secs(2);
/// How long the coordinator has for its answer: whoever looks has other work.
const ANSWER: Duration = Duration::from_secs(1);
/// A passer-by that is not let in for so long goes.
const PASSING: Duration = Duration::from_secs(60);
/// The least that brokers accept by default.
const SESSION_MS: &str = "6000";

/// A member's look at what is nobody's.
#[derive(Debug)]
pub(super) struct Gap {
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// Looks then; whether it has seen a gap the last time.
    Looks { next: Option<Tick>, has_seen: bool },
    /// Somebody joins, and goes then at the latest.
    Passes { events: Queue, until: Tick },
    /// There is none, and none comes: one is left only where somebody joins under the identity of one that is gone.
    None,
}

impl Gap {
    pub(super) fn new(joining: &Joining) -> Self {
        let looks = Stage::Looks { next: None, has_seen: false };
        Gap { stage: if joining.identity.is_some() && !joining.aside.is_empty() { looks } else { Stage::None } }
    }

    /// To be called often by a member that was told what is its.
    pub(super) fn look(&mut self, member: &Arc<Client>, joining: &Joining) {
        match &mut self.stage {
            Stage::None => {}
            Stage::Passes { events, until } => {
                let is_in = events.poll(Duration::ZERO).is_some_and(|event| matches!(event.read(), Said::Assign(_)));
                if is_in || until.remaining().is_zero() {
                    self.stage = Stage::Looks { next: Some(Tick::now().after(2 * LOOK)), has_seen: false };
                }
            }
            Stage::Looks { next, has_seen } => {
                if next.get_or_insert_with(|| Tick::now().after(LOOK)).remaining().is_zero() {
                    self.stage = after_a_look(nobodys(member, joining), *has_seen, joining);
                }
            }
        }
    }
}

fn after_a_look(free: Result<Option<Vec<(String, i32)>>, Error>, has_seen: bool, joining: &Joining) -> Stage {
    let looks = |has_seen| Stage::Looks { next: Some(Tick::now().after(LOOK)), has_seen };
    match free {
        Ok(Some(free)) if free.is_empty() => Stage::None,
        Ok(Some(free)) if has_seen => {
            let (group, count, first) = (&joining.group, free.len(), &free[0]);
            tracing::warn!(
                "{count} partitions are nobody's in group {group}, first of all {first:?}: it is made to share anew"
            );
            pass(joining).unwrap_or_else(|error| {
                tracing::warn!("the group cannot be made to share anew: {error}");
                looks(false)
            })
        }
        Ok(free) => looks(free.is_some()),
        Err(error) => {
            tracing::debug!("whether all partitions have an owner is not known: {error}");
            looks(false)
        }
    }
}

/// Partitions of its topics that no member of the group was given; nothing while the group is sharing, or where a broker that has just
/// started does not know the topics yet.
fn nobodys(member: &Arc<Client>, joining: &Joining) -> Result<Option<Vec<(String, i32)>>, Error> {
    let group = member.describe(&joining.group, ANSWER)?;
    if !group.is_stable {
        return Ok(None);
    }
    let mut free = Vec::new();
    for topic in &joining.topics {
        let Some(count) = member.partitions(topic, ANSWER)? else { return Ok(None) };
        let all = (0..count).map(|partition| (topic.clone(), partition));
        free.extend(all.filter(|place| !group.owned.contains(place)));
    }
    Ok(Some(free))
}

/// Somebody joins whom nobody knows.
fn pass(joining: &Joining) -> Result<Stage, Error> {
    let mut properties = (*joining.settings.properties).clone();
    properties.insert("session.timeout.ms".to_owned(), SESSION_MS.to_owned());
    let passer = Joining {
        settings: Settings { properties: properties.into(), ..joining.settings.clone() },
        identity: None,
        topics: vec![joining.aside.clone()],
        ..joining.clone()
    };
    let (_, events) = passer.join()?;
    Ok(Stage::Passes { events, until: Tick::now().after(PASSING) })
}
