//! Sweeps: which one is next, and how many rows it may visit now.
//!
//! Several go on side by side, portion by portion, each at its own pace: a launch that takes a day keeps no other from its hour. What has no pace
//! comes before all that have one: a stop withdraws at once.
//!
//! *Invariants.* META holds how far each sweep is, so that a crash forgets no row and visits none twice. A portion is visited at the
//! beginning of a transaction, when the store holds all rows there are: whom it met follows from META and the changelog.

use std::cmp::Reverse;
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
    /// What may be visited now, in the order in which it is to be.
    turns: Vec<Turn>,
    /// How far sweeps with a pace have used it, by name.
    paces: BTreeMap<String, Pace>,
}

/// What is left of a sweep, and how many rows of it may be visited at most.
#[derive(Debug)]
struct Turn {
    portion: Portion,
    rows: usize,
    pace: Option<u32>,
}

#[derive(Debug, Default)]
struct Pace {
    /// Rows in a second of business time.
    rows: u32,
    /// The moment up to which they are used.
    used_until: Millis,
    /// It had to wait for its moment to be complete.
    has_waited: bool,
}

impl Pace {
    fn rows_at(&self, now: Millis) -> usize {
        let span = (now - self.used_until).max(0);
        usize::try_from(span * Millis::from(self.rows) / 1000).unwrap_or(usize::MAX)
    }
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
        let Agenda { sweeps, turns, paces } = self;
        turns.clear();
        processor.sweeps(now, &mut |sweep| {
            if let Some(portion) = left_of(sweeps, &sweep) {
                turns.push(Turn { portion, rows: usize::MAX, pace: sweep.pace });
            }
        });
        // Of what nobody names any more the rest is visited all the same.
        for portion in sweeps.current.iter().chain(sweeps.waiting.values()) {
            if turns.iter().all(|turn| turn.portion.name != portion.name) {
                turns.push(Turn { portion: portion.clone(), rows: usize::MAX, pace: None });
            }
        }
        for turn in &mut *turns {
            let name = &turn.portion.name;
            let Some(rows) = turn.pace else {
                paces.remove(name);
                continue;
            };
            let goes_on = is_current(sweeps, name) || sweeps.waiting.contains_key(name);
            let is_known = paces.contains_key(name);
            let pace = paces.entry(name.clone()).or_default();
            pace.rows = rows;
            // What could not be visited in its time, because records had to be read first, is not made up for.
            if !goes_on || !is_known || std::mem::take(&mut pace.has_waited) {
                pace.used_until = pace.used_until.max(now - HEAD_START);
            }
            turn.rows = pace.rows_at(now);
        }
        turns.retain(|turn| turn.rows > 0);
        // Of several with a pace the one that is behind most; else the one that was begun.
        turns.sort_by_key(|turn| {
            let name = &turn.portion.name;
            let used_until = paces.get(name).map_or(0, |pace| pace.used_until);
            (turn.pace.is_some(), used_until, Reverse(is_current(sweeps, name)))
        });
    }

    /// The moments of the sweeps that can go on.
    pub(crate) fn due(&self) -> impl Iterator<Item = Millis> {
        self.turns.iter().map(|turn| turn.portion.at)
    }

    /// What a sweep whose moment is not after `limit` visits next, and how many rows at most.
    pub(crate) fn take(&mut self, limit: Millis) -> Option<(Portion, usize)> {
        for turn in self.turns.iter().filter(|turn| turn.portion.at > limit) {
            self.paces.get_mut(&turn.portion.name).into_iter().for_each(|pace| pace.has_waited = true);
        }
        let next = self.turns.iter().position(|turn| turn.portion.at <= limit)?;
        let Turn { portion, rows, .. } = self.turns.remove(next);
        Some((portion, rows))
    }

    /// So many rows were visited; what is next is planned.
    pub(crate) fn visited<P: Processor>(&mut self, portion: Portion, rows: usize, processor: &P, now: Millis) {
        if let (Some(pace), Ok(rows)) = (self.paces.get_mut(&portion.name), Millis::try_from(rows)) {
            pace.used_until += rows * 1000 / Millis::from(pace.rows.max(1));
        }
        let Sweeps { done, current, waiting, resting } = &mut self.sweeps;
        let Portion { name, at, through, .. } = portion;
        if let Some(other) = current.take().filter(|current| current.name != name) {
            waiting.insert(other.name.clone(), other);
        }
        waiting.remove(&name);
        resting.remove(&name);
        if through.is_some() {
            *current = Some(Portion { name, at, behind: through, through: None });
        } else {
            let mut named = Vec::new();
            processor.sweeps(now, &mut |sweep| named.push(sweep.name.to_owned()));
            done.retain(|name, _| named.contains(name) && !is_planted(Bug::SweepForgotten));
            resting.retain(|name, _| named.contains(name));
            done.insert(name, at);
        }
        self.plan(processor, now);
    }
}

fn is_current(sweeps: &Sweeps, name: &str) -> bool {
    sweeps.current.as_ref().is_some_and(|current| current.name == name)
}

/// What is left of a sweep, if it has a turn. One that goes on finishes the moment for which it began; of one that stands still from now on
/// the rest is kept for as long as its moment is the latest.
fn left_of(sweeps: &mut Sweeps, sweep: &Sweep<'_>) -> Option<Portion> {
    let Sweeps { done, current, waiting, resting } = sweeps;
    if !sweep.goes_on {
        let left = current.take_if(|current| current.name == sweep.name).or_else(|| waiting.remove(sweep.name));
        resting.extend(left.map(|left| (left.name.clone(), left)));
        return None;
    }
    let begun = current.as_ref().filter(|current| current.name == sweep.name).or_else(|| waiting.get(sweep.name));
    let rested = || resting.get(sweep.name).filter(|rested| rested.at == sweep.at);
    let is_new = || sweep.begins && done.get(sweep.name).is_none_or(|done| *done < sweep.at);
    begun.or_else(rested).cloned().or_else(|| is_new().then(|| beginning(sweep)))
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
        beside: &'static [Sweep<'static>],
    }

    const COMES: EverySecond = EverySecond { pace: None, begins: true, goes_on: true, beside: &[] };
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
            let EverySecond { pace, begins, goes_on, beside } = *self;
            beside.iter().for_each(|sweep| each(*sweep));
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
        assert_eq!(agenda.due().collect::<Vec<_>>(), [5_000], "in mid-sweep nothing is settled");
        // A new owner goes on with it, though the next moment has come.
        let mut agenda = Agenda::new(agenda.sweeps().clone());
        let (second, _) = take(&mut agenda, &processor, 6_100).unwrap();
        assert_eq!((second.at, second.behind.clone()), (5_000, Some(b"k".to_vec())));
        agenda.visited(second, 1, &processor, 6_100);
        let (next, _) = take(&mut agenda, &processor, 6_100).unwrap();
        assert_eq!((next.at, next.behind.clone()), (6_000, None));
        agenda.visited(next, 3, &processor, 6_100);
        assert_eq!(agenda.due().next(), None);
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

    const STOP: Sweep<'_> = Sweep { name: "stop", at: 5_150, pace: None, begins: true, goes_on: true };

    #[test]
    fn what_has_no_pace_comes_first_and_what_gave_way_finishes_its_moment() {
        let mut processor = EverySecond { pace: Some(100), ..COMES };
        let mut agenda = Agenda::default();
        let (first, _) = take(&mut agenda, &processor, 5_100).unwrap();
        agenda.visited(Portion { through: Some(b"k".to_vec()), ..first }, 2, &processor, 5_100);
        processor.beside = &[STOP];
        let (stop, rows) = take(&mut agenda, &processor, 5_200).unwrap();
        assert_eq!((&*stop.name, rows), ("stop", usize::MAX));
        agenda.visited(Portion { through: Some(b"m".to_vec()), ..stop }, 2, &processor, 5_200);
        assert_eq!(agenda.sweeps().waiting.len(), 1);
        // Under another owner, too.
        let mut agenda = Agenda::new(agenda.sweeps().clone());
        let (stop, _) = take(&mut agenda, &processor, 5_300).unwrap();
        assert_eq!((&*stop.name, stop.behind.clone()), ("stop", Some(b"m".to_vec())));
        agenda.visited(stop, 2, &processor, 5_300);
        let (second, _) = take(&mut agenda, &processor, 7_300).unwrap();
        assert_eq!((&*second.name, second.at, second.behind.clone()), ("s", 5_000, Some(b"k".to_vec())));
        agenda.visited(second, 2, &processor, 7_300);
        assert!(agenda.sweeps().waiting.is_empty());
        let (next, _) = take(&mut agenda, &processor, 7_400).unwrap();
        assert_eq!((&*next.name, next.at, next.behind), ("s", 7_000, None));
    }

    #[test]
    fn a_sweep_that_waits_for_its_moment_holds_up_no_other() {
        let processor = EverySecond { pace: Some(100), beside: &[STOP], ..COMES };
        let mut agenda = Agenda::default();
        agenda.plan(&processor, 5_200);
        assert_eq!(agenda.due().collect::<Vec<_>>(), [5_150, 5_000]);
        let (portion, _) = agenda.take(5_100).unwrap();
        assert_eq!(portion.name, "s");
    }

    #[test]
    fn several_sweeps_go_on_side_by_side_each_at_its_pace() {
        const NEWS: Sweep<'_> = Sweep { name: "news", at: 5_000, pace: Some(20), begins: true, goes_on: true };
        let processor = EverySecond { pace: Some(100), beside: &[NEWS], ..COMES };
        let mut agenda = Agenda::default();
        let mut visited = BTreeMap::<String, usize>::new();
        for now in (5_000..15_000).step_by(50) {
            if let Some((portion, rows)) = take(&mut agenda, &processor, now) {
                let rows = rows.min(10);
                *visited.entry(portion.name.clone()).or_default() += rows;
                agenda.visited(Portion { through: Some(vec![1]), ..portion }, rows, &processor, now);
            }
        }
        let about = |name: &str, rows: usize| assert!(visited[name].abs_diff(rows) <= 12, "{name}: {visited:?}");
        about("s", 100 + 995);
        about("news", 20 + 199);
    }
}
