//! Our place in a group for as long as a loop runs: over failures, after which it rests, and over members that were expelled.

use std::time::Duration;

use super::member::{Change, Member};
use super::position::Position;
use super::producer::Producer;
use super::settings::{ANSWER, Settings};
use crate::clock::Tick;
use crate::{Error, Verdict};

/// A rest is so long, the one after it twice as long, and so on up to the last.
const REST: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Who is expelled twice within this time shares an identity with somebody: two that do this to each other for ever would stop
/// all work.
const AGAIN: Duration = Duration::from_secs(300);

/// A member of a group, replaced by a new one when it is expelled.
#[derive(Debug)]
pub struct Membership {
    member: Member,
    assigned: bool,
    owned: Vec<(String, i32)>,
    /// Given to us, and not accepted: they are told as lost next.
    refused: Vec<(String, i32)>,
    /// When a member was expelled last, and whether it is this one.
    expelled: Option<Tick>,
    is_over: bool,
    /// Before this moment nothing is tried again.
    rest: Option<Tick>,
    rest_next: Duration,
}

impl Membership {
    /// Joins as [`Member::join`] does.
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
        Ok(Membership {
            member: Member::join(settings, group, identity, topics, aside)?,
            assigned: false,
            owned: Vec::new(),
            refused: Vec::new(),
            expelled: None,
            is_over: false,
            rest: None,
            rest_next: REST.0,
        })
    }

    /// Whether the group has said what is ours, be it nothing.
    pub fn is_assigned(&self) -> bool {
        self.assigned
    }

    /// The next change of what is ours, to be carried out and accepted. None if there is none now; during a rest it waits for
    /// one to the end.
    ///
    /// # Errors
    /// `Stop` if a member was expelled again, so soon.
    pub fn change(&mut self) -> Result<Option<Change>, Error> {
        if !self.refused.is_empty() {
            let partitions = std::mem::take(&mut self.refused);
            self.owned.retain(|owned| !partitions.contains(owned));
            return Ok(Some(Change::Revoked { partitions, lost: true }));
        }
        let change = match self.member.poll(self.rest.map_or(Duration::ZERO, Tick::remaining)) {
            Ok(change) => change,
            Err(error) => Some(self.expelled(&error)?),
        };
        match &change {
            None => self.rest = None,
            Some(Change::Assigned(partitions)) => {
                self.assigned = true;
                self.owned.extend_from_slice(partitions);
            }
            Some(Change::Revoked { partitions, lost }) => {
                self.assigned &= !lost;
                self.owned.retain(|owned| !partitions.contains(owned));
            }
        }
        Ok(change)
    }

    /// This member is no more: another one joined under its identity while it stood still, or it broke.
    fn expelled(&mut self, error: &Error) -> Result<Change, Error> {
        if self.expelled.is_some_and(|expelled| expelled.elapsed() < AGAIN) {
            let identity = self.member.name();
            let words = format!(
                "{error}; another process joins as {identity} again and again: give each process an identity of its own"
            );
            return Err(Error::stop("join the group again", words));
        }
        tracing::warn!("joining the group anew: {error}");
        self.expelled = Some(Tick::now());
        self.is_over = true;
        Ok(Change::Revoked { partitions: self.owned.clone(), lost: true })
    }

    /// A change was carried out: tells the group so, or joins anew after an expulsion.
    ///
    /// # Errors
    /// If the configuration is refused.
    pub fn accept(&mut self, change: &Change) -> Result<(), Error> {
        if std::mem::take(&mut self.is_over) {
            self.member.renew()?;
        } else if let Err(error) = self.member.accept(change) {
            // The group has moved on. Whoever has begun with these partitions hears that they are lost before they come again.
            tracing::warn!("{error}");
            if let Change::Assigned(partitions) = change {
                self.refused.extend_from_slice(partitions);
            }
        }
        Ok(())
    }

    /// The group's committed positions, as [`Member::committed`] has them.
    ///
    /// # Errors
    /// `Retry` while the coordinator is not to be had or a predecessor's transaction is open.
    pub fn committed(&self, partitions: &[(String, i32)]) -> Result<Vec<Position>, Error> {
        self.member.committed(partitions, ANSWER)
    }

    /// Commits what the producer has open, always with positions of a live generation: without them nobody would refuse the
    /// results of a member that was replaced.
    ///
    /// # Errors
    /// Anything but success leaves the outcome unknown: drop the producer and start over.
    pub fn commit(&mut self, producer: &mut Producer, positions: &[Position]) -> Result<(), Error> {
        let generation = self.member.generation()?;
        let until = Tick::now().after(ANSWER);
        while let Err(error) = producer.send_offsets(positions, &generation) {
            if error.verdict() != Verdict::Retry || until.remaining().is_zero() {
                return Err(error);
            }
        }
        producer.commit()?;
        self.rest_next = REST.0;
        Ok(())
    }

    /// Something failed: [`Membership::change`] rests before anything is tried again, ever longer until a commit succeeds.
    pub fn rest(&mut self) {
        self.rest = Some(Tick::now().after(self.rest_next));
        self.rest_next = REST.1.min(self.rest_next * 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_expelled_loses_all_and_joins_anew_but_not_twice_in_a_row() {
        // To join asks nobody: that there is no broker comes out later.
        let settings = Settings::new("127.0.0.1:1", "nobody");
        let topics = ["cart".to_owned()];
        let mut group = Membership::join(&settings, "group", Some("one"), &topics, "aside").unwrap();
        group.owned = vec![("cart".to_owned(), 3)];
        let error = Error::new(Verdict::Fenced, "stay in the group", "another one joined");
        let change = group.expelled(&error).unwrap();
        assert!(
            matches!(&change, Change::Revoked { partitions, lost: true } if *partitions == [("cart".to_owned(), 3)]),
            "{change:?}"
        );
        group.accept(&change).unwrap();
        assert!(!group.is_over, "a new member has joined");
        let again = group.expelled(&error).unwrap_err();
        assert_eq!(again.verdict(), Verdict::Stop);
        assert!(again.to_string().contains("joins as one"), "{again}");
    }

    #[test]
    fn what_could_not_be_accepted_is_lost() {
        let settings = Settings::new("127.0.0.1:1", "nobody");
        let mut group = Membership::join(&settings, "group", None, &["cart".to_owned()], "aside").unwrap();
        group.owned = vec![("cart".to_owned(), 3), ("cart".to_owned(), 4)];
        group.refused = vec![("cart".to_owned(), 3)];
        let change = group.change().unwrap();
        assert!(
            matches!(&change, Some(Change::Revoked { partitions, lost: true }) if *partitions == [("cart".to_owned(), 3)]),
            "{change:?}"
        );
        assert_eq!((group.owned.len(), group.refused.len()), (1, 0));
    }

    #[test]
    fn rests_grow_to_five_seconds() {
        let settings = Settings::new("127.0.0.1:1", "nobody");
        let mut group = Membership::join(&settings, "group", None, &["cart".to_owned()], "aside").unwrap();
        let mut rests = Vec::new();
        for _ in 0..8 {
            rests.push(group.rest_next.as_millis());
            group.rest();
        }
        assert_eq!(rests, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert!(group.rest.is_some_and(|until| until.remaining() > Duration::from_secs(4)));
    }
}
