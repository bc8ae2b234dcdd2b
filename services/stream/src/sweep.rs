//! Sweeps: which one is next, and how many rows it may visit now.
//!
//! *Invariants.* META holds how far a sweep is, so that a crash forgets no row and visits none twice. A portion is visited at the
//! beginning of a transaction, when the store holds all rows there are: whom it met follows from META and the changelog.

use std::collections::BTreeMap;

use crate::clock::Millis;
use crate::control::{Portion, Sweeps};
use crate::planted::{Bug, is_planted};
use crate::processor::{Processor, Sweep};

/// A sweep that begins, or is taken up by a new owner, may visit the rows of so long at once.
const HEAD_START: Millis = 1000;

/// The sweeps of a partition.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    sweeps: Sweeps,
    /// What is to be visited next, and how many rows of it at most.
    next: Option<(Portion, usize)>,
    /// Rows in a second of business time, and the moment up to which they are used.
    pace: Option<u32>,
    paced_until: Millis,
    /// It had to wait for its moment to be complete.
    has_waited: bool,
}

impl Agenda {
    /// The sweeps as they were at the last commit.
    pub(crate) fn new(sweeps: Sweeps) -> Self {
        let sweeps = if is_planted(Bug::SweepAnew) { Sweeps { current: None, ..sweeps } } else { sweeps };
        Agenda { sweeps, ..Agenda::default() }
    }

    /// As they go into META.
    pub(crate) fn sweeps(&self) -> &Sweeps {
        &self.sweeps
    }

    /// Looks at what is to be swept at `now`.
    pub(crate) fn plan<P: Processor>(&mut self, processor: &P, now: Millis) {
        self.set_aside(processor, now);
        let Sweeps { done, current, resting } = &self.sweeps;
        let mut portion = current.clone();
        let mut pace = None;
        processor.sweeps(now, &mut |sweep| {
            let is_next = match &portion {
                Some(portion) => portion.name == sweep.name,
                None => {
                    let is_new = sweep.begins && done.get(sweep.name).is_none_or(|done| *done < sweep.at);
                    is_new || (sweep.goes_on && rested(resting, &sweep).is_some())
                }
            };
            if is_next {
                portion.get_or_insert_with(|| rested(resting, &sweep).cloned().unwrap_or_else(|| beginning(&sweep)));
                pace = sweep.pace;
            }
        });
        // What could not be visited in its time, because records had to be read first, is not made up for.
        if current.is_none() || self.paced_until == 0 || std::mem::take(&mut self.has_waited) {
            self.paced_until = self.paced_until.max(now - HEAD_START);
        }
        self.pace = pace;
        let rows = self.rows_at(now);
        self.next = portion.map(|portion| (portion, rows)).filter(|_| rows > 0);
    }

    /// The sweep that goes on stands still from now on: others have their turn.
    fn set_aside<P: Processor>(&mut self, processor: &P, now: Millis) {
        let Some(current) = &self.sweeps.current else { return };
        let mut rests = false;
        processor.sweeps(now, &mut |sweep| rests |= sweep.name == current.name && !sweep.goes_on);
        if let Some(current) = self.sweeps.current.take_if(|_| rests) {
            self.sweeps.resting.insert(current.name.clone(), current);
        }
    }

    fn rows_at(&self, now: Millis) -> usize {
        let span = (now - self.paced_until).max(0);
        self.pace.map_or(usize::MAX, |pace| usize::try_from(span * Millis::from(pace) / 1000).unwrap_or(usize::MAX))
    }

    /// The moment of a sweep that can go on.
    pub(crate) fn due(&self) -> Option<Millis> {
        self.next.as_ref().map(|(portion, _)| portion.at)
    }

    /// What a sweep whose moment is not after `limit` visits next, and how many rows at most.
    pub(crate) fn take(&mut self, limit: Millis) -> Option<(Portion, usize)> {
        self.has_waited |= self.due().is_some_and(|at| at > limit);
        self.next.take_if(|(portion, _)| portion.at <= limit)
    }

    /// So many rows were visited; what is next is planned.
    pub(crate) fn visited<P: Processor>(&mut self, portion: Portion, rows: usize, processor: &P, now: Millis) {
        if let (Some(pace), Ok(rows)) = (self.pace, Millis::try_from(rows)) {
            self.paced_until += rows * 1000 / Millis::from(pace.max(1));
        }
        let Sweeps { done, current, resting } = &mut self.sweeps;
        let Portion { name, at, through, .. } = portion;
        resting.remove(&name);
        if through.is_some() {
            *current = Some(Portion { name, at, behind: through, through: None });
        } else {
            *current = None;
            let mut named = Vec::new();
            processor.sweeps(now, &mut |sweep| named.push(sweep.name.to_owned()));
            done.retain(|name, _| named.contains(name) && !is_planted(Bug::SweepForgotten));
            resting.retain(|name, _| named.contains(name));
            done.insert(name, at);
        }
        self.plan(processor, now);
    }
}

/// What is left of a sweep that stood still, if it is still about this moment.
fn rested<'r>(resting: &'r BTreeMap<String, Portion>, sweep: &Sweep<'_>) -> Option<&'r Portion> {
    resting.get(sweep.name).filter(|rested| rested.at == sweep.at)
}

fn beginning(sweep: &Sweep<'_>) -> Portion {
    Portion { name: sweep.name.to_owned(), at: sweep.at, behind: None, through: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processor::{Due, Incoming, Outbox};

    /// Wants the same sweep at every full second, and another one of an hour ago.
    struct EverySecond {
        pace: Option<u32>,
        begins: bool,
        goes_on: bool,
    }

    const COMES: EverySecond = EverySecond { pace: None, begins: true, goes_on: true };
    const RESTS: EverySecond = EverySecond { begins: false, goes_on: false, ..COMES };
    const PASSED: EverySecond = EverySecond { begins: false, ..COMES };

    impl Processor for EverySecond {
        type Row = ();
        fn unpack(&self, _bytes: &[u8]) -> Result<(), String> {
            Ok(())
        }
        fn pack(&self, _row: &(), _bytes: &mut Vec<u8>) {}
        fn due(&self, _row: &()) -> Option<Millis> {
            None
        }
        fn record(&mut self, _row: &mut (), _record: &Incoming<'_>, _now: Millis, _out: &mut Outbox) -> bool {
            false
        }
        fn deadline(&mut self, _row: &mut (), _due: &Due<'_>, _now: Millis, _out: &mut Outbox) -> bool {
            false
        }
        fn sweeps(&self, now: Millis, each: &mut dyn FnMut(Sweep<'_>)) {
            let EverySecond { pace, begins, goes_on } = *self;
            each(Sweep { name: "s", at: now - now % 1000, pace, begins, goes_on });
            if !begins {
                each(Sweep { name: "other", at: 1, pace: None, begins: true, goes_on: true });
            }
        }
        fn broadcast(&mut self, _record: &Incoming<'_>, _now: Millis, _out: &mut Outbox) {}
    }

    fn take(agenda: &mut Agenda, processor: &EverySecond, now: Millis) -> Option<(Portion, usize)> {
        agenda.plan(processor, now);
        agenda.take(now)
    }

    #[test]
    fn a_sweep_goes_on_behind_its_last_row_and_is_done_once() {
        let processor = COMES;
        let mut agenda = Agenda::default();
        let (first, rows) = take(&mut agenda, &processor, 5_300).unwrap();
        assert_eq!((first.at, first.behind.clone(), rows), (5_000, None, usize::MAX));
        agenda.visited(Portion { through: Some(b"k".to_vec()), ..first }, 2, &processor, 5_300);
        assert_eq!(agenda.due(), Some(5_000), "in mid-sweep nothing is settled");
        // A new owner goes on with it, though the next moment has come.
        let mut agenda = Agenda::new(agenda.sweeps().clone());
        let (second, _) = take(&mut agenda, &processor, 6_100).unwrap();
        assert_eq!((second.at, second.behind.clone()), (5_000, Some(b"k".to_vec())));
        agenda.visited(second, 1, &processor, 6_100);
        let (next, _) = take(&mut agenda, &processor, 6_100).unwrap();
        assert_eq!((next.at, next.behind.clone()), (6_000, None));
        agenda.visited(next, 3, &processor, 6_100);
        assert_eq!(agenda.due(), None);
        assert_eq!(take(&mut agenda, &processor, 6_900), None);
    }

    #[test]
    fn a_sweep_that_rests_makes_room_and_goes_on_where_it_was_and_one_that_is_done_is_done_whatever_came_between() {
        let mut processor = COMES;
        let mut agenda = Agenda::default();
        let (first, _) = take(&mut agenda, &processor, 5_100).unwrap();
        agenda.visited(Portion { through: Some(b"k".to_vec()), ..first }, 2, &processor, 5_100);
        processor = RESTS;
        let (other, _) = take(&mut agenda, &processor, 5_200).unwrap();
        assert_eq!((&*other.name, other.behind.clone()), ("other", None));
        agenda.visited(other, 3, &processor, 5_200);
        assert_eq!(take(&mut agenda, &processor, 5_300), None, "the one rests, the other is done");
        // Under another owner, too.
        let mut agenda = Agenda::new(agenda.sweeps().clone());
        processor = COMES;
        let (second, _) = take(&mut agenda, &processor, 5_400).unwrap();
        assert_eq!((&*second.name, second.behind.clone()), ("s", Some(b"k".to_vec())));
        agenda.visited(second, 1, &processor, 5_400);
        assert!(agenda.sweeps().resting.is_empty());
        processor = PASSED;
        let (other, _) = take(&mut agenda, &processor, 5_500).unwrap();
        agenda.visited(other, 3, &processor, 5_500);
        processor = COMES;
        assert_eq!(take(&mut agenda, &processor, 5_600), None, "it was done, and rested or passed meanwhile");
    }

    #[test]
    fn a_sweep_that_rested_past_its_moment_begins_anew_and_one_that_has_passed_is_finished() {
        let mut processor = COMES;
        let mut agenda = Agenda::default();
        let (first, _) = take(&mut agenda, &processor, 5_100).unwrap();
        agenda.visited(Portion { through: Some(b"k".to_vec()), ..first }, 2, &processor, 5_100);
        processor = PASSED;
        let (second, _) = take(&mut agenda, &processor, 5_200).unwrap();
        assert_eq!((&*second.name, second.behind.clone()), ("s", Some(b"k".to_vec())));
        agenda.visited(Portion { through: Some(b"l".to_vec()), ..second }, 2, &processor, 5_200);
        processor = RESTS;
        take(&mut agenda, &processor, 5_300);
        processor = COMES;
        let (anew, _) = take(&mut agenda, &processor, 6_100).unwrap();
        assert_eq!((anew.at, anew.behind), (6_000, None));
    }

    #[test]
    fn what_waited_for_records_is_not_made_up_for_at_once() {
        let processor = EverySecond { pace: Some(100), ..COMES };
        let mut agenda = Agenda::default();
        let (portion, rows) = take(&mut agenda, &processor, 5_000).unwrap();
        agenda.visited(Portion { through: Some(vec![1]), ..portion }, rows, &processor, 5_000);
        // A new owner goes on with it once it has read what there is, which takes an hour.
        let mut agenda = Agenda::new(agenda.sweeps().clone());
        agenda.plan(&processor, 6_000);
        assert_eq!(agenda.take(4_000), None);
        agenda.plan(&processor, 3_606_000);
        assert_eq!(agenda.take(3_606_000).map(|(_, rows)| rows), Some(100), "of one second");
    }

    #[test]
    fn a_sweep_keeps_its_pace() {
        let processor = EverySecond { pace: Some(100), ..COMES };
        let mut agenda = Agenda::default();
        let mut visited = 0;
        for now in (5_000..15_000).step_by(250) {
            if let Some((portion, rows)) = take(&mut agenda, &processor, now) {
                visited += rows;
                agenda.visited(Portion { through: Some(vec![1]), ..portion }, rows, &processor, now);
            }
        }
        assert_eq!(visited, 100 + 975, "a second's rows at once, then a hundred a second");
    }
}
