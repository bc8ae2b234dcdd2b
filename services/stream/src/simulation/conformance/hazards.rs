//! What seldom happens: members that are expelled, transactions that nobody ends or that end too early, compaction, brokers that go away.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use super::{FILLER, Observations, PATIENCE, Stage, hear, patiently, put, put_to, read, read_all, settle, text};
use crate::log::{CHANGELOG, Log, Record, Target};
use crate::{Error, Verdict};

/// A member of which the group hears nothing is expelled, without being told; when it comes back it has lost everything, and then
/// gets its share again.
pub(super) fn expelled<S: Stage>(observed: &mut Observations, stage: &mut S) -> Result<(), Error> {
    let (mut stays, mut silent) = (stage.open("a")?, stage.open("b")?);
    let mut owned = settle(&mut [&mut stays, &mut silent])?;
    put(&mut silent, "never")?;
    stage.silence(&mut silent, true);
    for _ in 0..PATIENCE {
        hear(&mut stays, &mut owned[0])?;
        if owned[0].len() == 2 {
            break;
        }
    }
    observed.push(("while another one is silent, who stays owns", format!("{:?}", owned[0])));
    let theirs = owned[1].first().copied().unwrap_or_default();
    // Its transaction could still go on for long: it is the group that refuses.
    observed.push(("who was silent commits in vain", told(silent.commit(&[(theirs, 9)]))));
    stage.silence(&mut silent, false);
    patiently(&mut silent, Log::renew)?;
    let mut lost_any = false;
    for _ in 0..PATIENCE {
        hear(&mut stays, &mut owned[0])?;
        lost_any |= hear(&mut silent, &mut owned[1])?;
        if lost_any && owned.iter().all(|owned| owned.len() == 1) {
            break;
        }
    }
    observed.push(("it learns that its partitions were lost", lost_any.to_string()));
    let together: BTreeSet<i32> = owned.iter().flatten().copied().collect();
    observed.push(("and gets its share again", format!("{}, together {together:?}", owned[1].len())));
    let mine = owned[1].first().copied().unwrap_or_default();
    put(&mut silent, "later")?;
    silent.commit(&[(mine, 1)])?;
    observed.push(("then one reads of both attempts", read(&mut stays, Some("later"))?));
    Ok(())
}

/// A transaction that takes too long is ended by its coordinator: it hides nothing any more, and its producer can go on only anew.
pub(super) fn overdue<S: Stage>(observed: &mut Observations, stage: &mut S) -> Result<(), Error> {
    let (mut slow, mut other) = (stage.open("a")?, stage.open("b")?);
    settle(&mut [&mut slow, &mut other])?;
    put_through(stage, &mut slow, "slow")?;
    for _ in 0..PATIENCE {
        let _ = slow.membership(Duration::from_millis(20))?;
        let _ = other.membership(Duration::from_millis(30))?;
        if other.range(CHANGELOG, 0)?.1 == other.ends(CHANGELOG, &[0])?[0].1 {
            break;
        }
    }
    let is_over = other.range(CHANGELOG, 0)?.1 == other.ends(CHANGELOG, &[0])?[0].1;
    observed.push(("a transaction that takes too long ends", is_over.to_string()));
    let refused = put(&mut slow, "slower").and_then(|()| slow.commit(&[(0, 1)]));
    let is_refused = refused.is_err_and(|error| matches!(error.verdict(), Verdict::Fenced | Verdict::Abort));
    observed.push(("who comes with its commit then is refused", is_refused.to_string()));
    patiently(&mut slow, Log::renew)?;
    put(&mut slow, "anew")?;
    let positions = [(0, 1)];
    slow.commit(&positions)?;
    observed.push(("of all that one reads", read(&mut other, Some("anew"))?));
    Ok(())
}

/// While a transaction moves the group's position, nobody is told where the group stands: neither there nor where it was.
pub(super) fn moves<S: Stage>(observed: &mut Observations, stage: &mut S) -> Result<(), Error> {
    let (mut mover, mut asks) = (stage.open("a")?, stage.open("b")?);
    settle(&mut [&mut mover, &mut asks])?;
    put(&mut mover, "first")?;
    mover.commit(&[(0, 3), (1, 3)])?;
    observed.push(("the group stands at first at", format!("{:?}", patiently(&mut asks, |log| log.committed(0))?)));
    put_through(stage, &mut mover, "second")?;
    stage.offer(&mut mover, &[(0, 5)])?;
    observed.push(("while a transaction moves it, it stands at", told(asks.committed(0))));
    observed.push(("and where nothing moves", told(patiently(&mut asks, |log| log.committed(1)))));
    mover.commit(&[(0, 5)])?;
    observed.push(("and after it", format!("{:?}", patiently(&mut asks, |log| log.committed(0))?)));
    put_through(stage, &mut mover, "third")?;
    stage.offer(&mut mover, &[(0, 7)])?;
    patiently(&mut mover, Log::renew)?;
    observed.push(("after one that was given up", format!("{:?}", patiently(&mut asks, |log| log.committed(0))?)));
    Ok(())
}

/// The hazard of transactions of version 1: a commit that comes a second time ends the next transaction in its middle. What comes
/// after it, where the transaction has been already, is refused.
pub(super) fn torn<S: Stage>(observed: &mut Observations, stage: &mut S) -> Result<(), Error> {
    let (mut log, mut other) = (stage.open("a")?, stage.open("b")?);
    settle(&mut [&mut log, &mut other])?;
    put(&mut log, "whole")?;
    log.commit(&[(0, 1)])?;
    put_through(stage, &mut log, "torn")?;
    stage.commit_again(&log, "a")?;
    observed.push(("after a commit that comes twice one reads", read(&mut other, Some("torn"))?));
    let refused = put(&mut log, "refused").and_then(|()| log.commit(&[(0, 2)]));
    observed.push(("what follows it there is refused", refused.is_err().to_string()));
    patiently(&mut log, Log::renew)?;
    put(&mut log, "anew")?;
    log.commit(&[(0, 3)])?;
    observed.push(("and in the end one reads", read(&mut other, Some("anew"))?));
    observed.push(("where the group stands at", format!("{:?}", patiently(&mut other, |log| log.committed(0))?)));
    Ok(())
}

/// The same, but what follows goes where the transaction has not been: that is another transaction, of which the client knows nothing.
pub(super) fn torn_elsewhere<S: Stage>(observed: &mut Observations, stage: &mut S) -> Result<(), Error> {
    let (mut log, mut other) = (stage.open("a")?, stage.open("b")?);
    settle(&mut [&mut log, &mut other])?;
    put(&mut log, "whole")?;
    log.commit(&[(0, 1)])?;
    put_through(stage, &mut log, "first half")?;
    stage.commit_again(&log, "a")?;
    let _ = read(&mut other, Some("first half"))?;
    put_to(&mut log, 1, "second half")?;
    let committed = log.commit(&[(0, 2)]);
    observed.push(("a second half elsewhere is taken", committed.is_ok().to_string()));
    observed.push(("as is its position", format!("{:?}", patiently(&mut other, |log| log.committed(0))?)));
    Ok(())
}

/// Compaction leaves the last row of each key, and of one that is gone its tombstone, for a while. Whoever reads from the beginning
/// sees no key come back.
pub(super) fn compacted<S: Stage>(observed: &mut Observations, stage: &mut S) -> Result<(), Error> {
    let mut log = stage.open("a")?;
    settle(&mut [&mut log])?;
    for (key, value) in [("gone", Some("one")), ("kept", Some("one")), ("gone", None), ("kept", Some("two"))] {
        log.produce(Target::Changelog(0), key.as_bytes(), value.map(str::as_bytes), &[])?;
        log.commit(&[(0, 1)])?;
    }
    let newest = "kept two".to_owned();
    let mut before = Vec::new();
    for _ in 0..PATIENCE {
        before = rows(&mut log)?;
        if before.contains(&newest) {
            break;
        }
        let _ = log.membership(Duration::from_millis(20))?;
    }
    for what in ["after it", "and when the tombstone is old"] {
        for _ in 0..PATIENCE {
            stage.compact(&mut log)?;
            let _ = log.membership(Duration::from_millis(100))?;
            let now = rows(&mut log)?;
            // A part that is not compacted yet shows older rows.
            let keys: BTreeSet<&str> = now.iter().filter_map(|row| row.split(' ').next()).collect();
            if now != before && keys.len() == now.len() && now.contains(&newest) {
                before = now;
                break;
            }
        }
        observed.push((what, format!("{before:?}")));
    }
    Ok(())
}

/// A partition that nobody leads says nothing, and asks for patience. The one beside it answers and is written to, the group knows where it
/// stands with both, and everything is as before as soon as somebody leads it again.
pub(super) fn leaderless<S: Stage>(observed: &mut Observations, stage: &mut S) -> Result<(), Error> {
    let mut log = stage.open("a")?;
    settle(&mut [&mut log])?;
    observed.push(("where nobody will lead, something is committed", is_committed(&mut log, 1, "before")?.to_string()));
    // Its marker, too.
    for _ in 0..PATIENCE {
        if log.range(CHANGELOG, 1)?.1 == 2 {
            break;
        }
        let _ = log.membership(Duration::from_millis(20))?;
    }
    stage.lead(false);
    observed.push(("the range of a partition that nobody leads is", told(log.range(CHANGELOG, 1))));
    observed.push(("and of the one beside it", told(patiently(&mut log, |log| log.range(CHANGELOG, 0)))));
    observed.push(("its end is", told(log.ends(CHANGELOG, &[1]))));
    observed.push(("and that of the one beside it", told(patiently(&mut log, |log| log.ends(CHANGELOG, &[0])))));
    observed.push(("both ends together are", told(log.ends(CHANGELOG, &[0, 1]))));
    observed.push(("there the group stands at", told(patiently(&mut log, |log| log.committed(1)))));
    observed.push(("and beside it at", told(patiently(&mut log, |log| log.committed(0)))));
    observed.push(("a commit beside it goes through", is_committed(&mut log, 0, "meanwhile")?.to_string()));
    observed.push(("it is read", read(&mut log, Some("meanwhile"))?.contains("meanwhile").to_string()));
    observed.push(("still its range is", told(log.range(CHANGELOG, 1))));
    stage.lead(true);
    observed.push(("once somebody leads it, its range is", told(patiently(&mut log, |log| log.range(CHANGELOG, 1)))));
    observed.push(("its end is then", told(patiently(&mut log, |log| log.ends(CHANGELOG, &[1])))));
    observed.push(("and a commit to it goes through", is_committed(&mut log, 1, "after")?.to_string()));
    Ok(())
}

/// Whether a row gets into a partition, in a few attempts: who coordinates may have to move to another broker first.
fn is_committed<L: Log>(log: &mut L, partition: i32, key: &str) -> Result<bool, Error> {
    for _ in 0..5 {
        match put_to(log, partition, key).and_then(|()| log.commit(&[(partition, 1)])) {
            Ok(()) => return Ok(true),
            Err(error) if error.verdict() == Verdict::Stop => return Err(error),
            Err(_) => patiently(log, Log::renew)?,
        }
    }
    Ok(false)
}

/// An answer, or what to do about there being none.
fn told<T: Debug>(answer: Result<T, Error>) -> String {
    format!("{:?}", answer.map_err(|error| error.verdict()))
}

/// Keys and values of the scenario, as whoever reads from the beginning sees them.
fn rows<L: Log>(log: &mut L) -> Result<Vec<String>, Error> {
    let row = |record: &L::Record| match record.value() {
        Some(value) => format!("{} {}", text(record), String::from_utf8_lossy(value)),
        None => format!("{} nothing", text(record)),
    };
    let rows = read_all(log, None, row)?;
    Ok(rows.into_iter().filter(|row| !row.starts_with(FILLER)).collect())
}

/// Puts a record into the transaction, and waits until the brokers have it: it, and not the marker of the transaction before it.
fn put_through<S: Stage>(stage: &mut S, log: &mut S::Log, key: &str) -> Result<(), Error> {
    let mut before = log.ends(CHANGELOG, &[0])?[0].1;
    for _ in 0..PATIENCE {
        if log.range(CHANGELOG, 0)?.1 == before {
            break;
        }
        let _ = log.membership(Duration::from_millis(20))?;
        before = log.ends(CHANGELOG, &[0])?[0].1;
    }
    put(log, key)?;
    stage.send(log)?;
    for _ in 0..PATIENCE {
        if log.ends(CHANGELOG, &[0])?[0].1 > before {
            break;
        }
        let _ = log.membership(Duration::from_millis(20))?;
    }
    Ok(())
}
