//! What must have come of a life: the brain, folded over the input, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use campaign::{Plans, Row, Turn};
use schemas::{Campaign, Id, Input, Journal, Millis, Record, Revoke, Send, decode, encode};
use stream::simulation::{Committed, History};

use super::{CHANNELS, DEAD_LETTERS, JOURNAL, REVOKE, SENDS, SUPPRESSION, Sights, Simulation, suppressor};
use crate::changelog::{Changelog, Round};
use crate::fold::{bytes_of, fold, forwarded};
use crate::tail::Message;

/// Time goes on until the end: what fell due a moment before may still be to come.
const JUST_NOW: Millis = 10_000;

impl Simulation {
    /// Compares what happened with what should have.
    pub(super) fn judge(&self, history: &History) -> Result<Sights, String> {
        let changelog = Changelog::of(&messages(&history.changelog));
        let account = fold(&messages(&history.reference), &messages(&history.input), &changelog);
        let rows = changelog.rows();
        let folded: BTreeMap<Vec<u8>, Vec<u8>> =
            account.rows.iter().map(|(customer, row)| (customer.clone().into_bytes(), bytes_of(row))).collect();
        if rows != folded {
            return Err(differing_row(&rows, &folded));
        }
        let is_past = |due: Millis| due <= history.ended_at - JUST_NOW;
        let forgotten = account.rows.iter().find(|(_, row)| row.due().is_some_and(is_past));
        if let Some((customer, row)) = forgotten {
            return Err(format!("a deadline of {customer} was forgotten: {:?}, it is {}", row.due(), history.ended_at));
        }
        sweeps_are_done(&changelog, &history.reference, history.ended_at)?;
        sources_come_first(&changelog, &history.input)?;
        let torn = Torn::of(history);
        let whole = |topic: usize| -> Vec<Committed> { torn.without(&history.outputs[topic]) };
        let sends: Vec<Vec<u8>> =
            (SENDS..history.outputs.len()).flat_map(|topic| bytes(&whole(topic)).collect::<Vec<_>>()).collect();
        // By the other row's key, and not by that of the row that was decided about.
        let elsewhere = |topic: &[Committed]| -> [Vec<Committed>; 2] {
            let (torn, whole) = topic.iter().cloned().partition(|record| torn.is_of_one(record));
            [whole, torn]
        };
        let revoked = elsewhere(&history.outputs[REVOKE])
            .map(|topic| -> Vec<String> { records(&topic).into_iter().map(|revoke: Revoke| revoke.send_id).collect() });
        let pair = |record: Committed| (record.key, record.value.unwrap_or_default());
        let kept = elsewhere(&history.outputs[SUPPRESSION]).map(|topic| topic.into_iter().map(pair).collect());
        let forwarded = elsewhere(&history.input).map(|input| forwarded(&messages(&input)));
        let journal = whole(JOURNAL);
        same("commands", sends.iter().cloned(), account.sends.iter().map(encode))?;
        same_but_for_torn("withdrawals", &revoked, account.revoked)?;
        let suppression = |(mark, since): (Id, Millis)| {
            (suppressor().key(mark).into_bytes(), encode(&schemas::Suppression { since }))
        };
        same_but_for_torn("suppressions", &kept, account.suppressed.into_iter().map(suppression).collect())?;
        same_but_for_torn("forwarded records", &forwarded, account.forwarded)?;
        for (topic, channel) in history.outputs[SENDS..].iter().zip(CHANNELS) {
            if let Some(send) = records::<Send>(topic).into_iter().find(|send| send.channel != *channel) {
                return Err(format!("a command for {} on {channel}", send.channel));
            }
        }
        let [set_aside, torn_too] = elsewhere(&history.outputs[DEAD_LETTERS]).map(|letters| letters.len());
        if !(set_aside..=set_aside + torn_too).contains(&account.set_aside) {
            return Err(format!("{set_aside} records were set aside instead of {}", account.set_aside));
        }
        same("journal entries", bytes(&journal), account.journal.iter().map(encode))?;
        let published = |topics: &[Vec<Committed>]| topics.iter().map(Vec::len).sum::<usize>();
        Ok(Sights {
            facts: history.input.len(),
            sends: sends.len(),
            revoked: revoked[0].len(),
            forwarded: forwarded[0].len(),
            suppressed: kept[0].len(),
            barriers: changelog.barriers(),
            torn: published(&history.outputs[SENDS..]) - sends.len(),
            reasons: records(&journal).into_iter().map(|entry: Journal| entry.reason).collect(),
            seen: history.seen.clone(),
            deaths: history.deaths.clone(),
        })
    }
}

/// What torn transactions have left that no META stands behind: what was decided there is decided again, and what they have
/// published of it stays beside that. In a partition that their META has reached they are as whole as any.
struct Torn<'h> {
    transactions: &'h BTreeSet<u64>,
    /// Transactions, and partitions in which they are whole.
    whole: BTreeSet<(u64, i32)>,
}

impl<'h> Torn<'h> {
    fn of(history: &'h History) -> Self {
        let metas = history.changelog.iter().filter(|record| record.key == [0, b'M']);
        let whole = metas.filter_map(|meta| Some((meta.transaction?, meta.partition))).collect();
        Torn { transactions: &history.torn, whole }
    }

    fn is_of_one(&self, record: &Committed) -> bool {
        record.transaction.is_some_and(|transaction| self.transactions.contains(&transaction))
    }

    /// All other records. What concerns a customer lies in the partition of that number, whatever the topic.
    fn without(&self, topic: &[Committed]) -> Vec<Committed> {
        let is_torn = |record: &&Committed| {
            let place = record.transaction.map(|transaction| (transaction, record.partition));
            place.is_some_and(|place| self.transactions.contains(&place.0) && !self.whole.contains(&place))
        };
        topic.iter().filter(|record| !is_torn(record)).cloned().collect()
    }
}

/// What was in a source when a deadline fell due was known when it fired.
fn sources_come_first(changelog: &Changelog, input: &[Committed]) -> Result<(), String> {
    for record in input {
        let Ok(fact) = decode::<Input>(record.value.as_deref().unwrap_or_default()) else { continue };
        if fact.hops > 0 {
            // It comes from another row, not from a source.
            continue;
        }
        let metas = changelog.metas(record.partition);
        let until = |round: &Round| {
            let fired = round.fired_through.as_ref().map_or(round.fired_until, |(due, _)| round.fired_until.max(*due));
            round.swept.as_ref().map_or(fired, |swept| fired.max(swept.at))
        };
        let blind = metas
            .flat_map(|meta| &meta.rounds)
            .find(|round| round.next_offset <= record.offset && until(round) > fact.origin.appended_at);
        if let Some(round) = blind {
            return Err(format!(
                "deadlines up to {} fired before a fact of {} was read: partition {}, offset {}",
                until(round),
                fact.origin.appended_at,
                record.partition,
                record.offset
            ));
        }
    }
    Ok(())
}

/// In each partition that had an owner, every sweep whose moment has come is done.
fn sweeps_are_done(changelog: &Changelog, campaigns: &[Committed], ended_at: Millis) -> Result<(), String> {
    let mut plans = Plans::default();
    for campaign in records::<Campaign>(campaigns) {
        // Refused by everybody alike.
        let _ = plans.apply(&campaign);
    }
    let mut wanted = Vec::new();
    plans.sweeps(ended_at, |sweep| {
        if sweep.turn == Turn::Comes {
            wanted.push((sweep.name.to_owned(), sweep.at));
        }
    });
    wanted.retain(|(_, at)| *at <= ended_at - JUST_NOW);
    for partition in changelog.partitions() {
        let Some(meta) = changelog.metas(partition).last() else { continue };
        let is_missing = |(name, at): &&(String, Millis)| meta.sweeps.done.get(name).is_none_or(|done| done < at);
        if let Some((name, at)) = wanted.iter().find(is_missing) {
            let (sweeps, seen) = (&meta.sweeps, meta.rounds.last().map(|round| round.now));
            return Err(format!(
                "the sweep {name} of {at} was forgotten in partition {partition}: as of {seen:?} {sweeps:?}, it is {ended_at}"
            ));
        }
    }
    Ok(())
}

/// The same, each as often.
fn same<T: Ord>(what: &str, found: impl Iterator<Item = T>, wanted: impl Iterator<Item = T>) -> Result<(), String> {
    let (mut found, mut wanted): (Vec<T>, Vec<T>) = (found.collect(), wanted.collect());
    found.sort();
    wanted.sort();
    if found != wanted {
        let lost = wanted.iter().filter(|wanted| found.binary_search(wanted).is_err()).count();
        return Err(format!("{} {what} instead of {}; {lost} are lost", found.len(), wanted.len()));
    }
    Ok(())
}

/// The same, but that what torn transactions have published may be there beside it, or for it: what they had decided is decided again.
fn same_but_for_torn<T: Ord>(what: &str, [whole, torn]: &[Vec<T>; 2], wanted: Vec<T>) -> Result<(), String> {
    let (found, all) = (whole.len(), wanted.len());
    let (mut whole, mut torn): (Vec<&T>, Vec<&T>) = (whole.iter().collect(), torn.iter().collect());
    let mut take = |wanted: &T| {
        let place = |list: &[&T]| list.iter().position(|found| *found == wanted);
        match (place(&whole), place(&torn)) {
            (Some(place), _) => drop(whole.swap_remove(place)),
            (None, Some(place)) => drop(torn.swap_remove(place)),
            (None, None) => return false,
        }
        true
    };
    let lost = wanted.iter().filter(|wanted| !take(wanted)).count();
    match (lost, whole.len()) {
        (0, 0) => Ok(()),
        (lost, more) => Err(format!("{found} {what} instead of {all}; {lost} are lost, and {more} too many")),
    }
}

fn bytes(topic: &[Committed]) -> impl Iterator<Item = Vec<u8>> {
    topic.iter().map(|record| record.value.clone().unwrap_or_default())
}

fn differing_row(kept: &BTreeMap<Vec<u8>, Vec<u8>>, folded: &BTreeMap<Vec<u8>, Vec<u8>>) -> String {
    let keys: BTreeSet<&Vec<u8>> = kept.keys().chain(folded.keys()).collect();
    let differing = keys.into_iter().find(|key| kept.get(*key) != folded.get(*key));
    let read = |rows: &BTreeMap<Vec<u8>, Vec<u8>>, key| rows.get(key).map(|row| Row::decode(row));
    match differing {
        Some(key) => format!(
            "the row of {} is\n{:?}\nand should be\n{:?}",
            String::from_utf8_lossy(key),
            read(kept, key),
            read(folded, key)
        ),
        None => "rows differ".to_owned(),
    }
}

fn records<T: Record>(topic: &[Committed]) -> Vec<T> {
    let read = |record: &Committed| decode(record.value.as_deref().unwrap_or_default()).expect("it is of this topic");
    topic.iter().map(read).collect()
}

fn messages(records: &[Committed]) -> Vec<Message> {
    let message = |record: &Committed| Message {
        topic: String::new(),
        partition: record.partition,
        offset: record.offset,
        appended_at: record.appended_at,
        key: record.key.clone(),
        value: record.value.clone(),
        headers: Vec::new(),
    };
    records.iter().map(message).collect()
}
