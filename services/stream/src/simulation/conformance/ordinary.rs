//! Commits, aborts, fencing and sharing: what every process meets every day.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Observations, PATIENCE, QUIET_TURNS, Stage, hear, patiently, put, put_to, read, settle, text};
use crate::kafka::Change;
use crate::log::{CHANGELOG, Log};
use crate::{Error, Verdict};

/// What is committed is seen, with its marker; nothing was there before.
pub(super) fn commits<S: Stage>(observed: &mut Observations, stage: &mut S) -> Result<(), Error> {
    let mut log = stage.open("a")?;
    let owned = settle(&mut [&mut log])?;
    observed.push(("a lone member owns", format!("{owned:?}")));
    observed.push(("a new group stands at", format!("{:?}", patiently(&mut log, |log| log.committed(0))?)));
    observed.push(("an empty partition holds", format!("{:?}", log.range(CHANGELOG, 0)?)));
    put(&mut log, "one")?;
    put(&mut log, "two")?;
    log.commit(&[(0, 7)])?;
    observed.push(("after a commit one reads", read(&mut log, Some("two"))?));
    observed.push(("the partition holds", format!("{:?}", log.range(CHANGELOG, 0)?)));
    observed.push(("and ends at", format!("{:?}", log.ends(CHANGELOG, &[0])?)));
    observed.push(("the group stands at", format!("{:?}", patiently(&mut log, |log| log.committed(0))?)));
    observed.push(("and elsewhere at", format!("{:?}", patiently(&mut log, |log| log.committed(1))?)));
    let mut seen = Vec::new();
    let next = log.replay(CHANGELOG, 0, 0..i64::MAX, &mut |record| {
        seen.push(text(record));
        false
    })?;
    observed.push(("a replay that has enough ends at", format!("{next} with {seen:?}")));
    observed.push(("a replay of nothing ends at", format!("{}", log.replay(CHANGELOG, 0, 1..1, &mut |_| true)?)));
    Ok(())
}

/// What was not committed is never seen, and a new producer goes on.
pub(super) fn aborts<S: Stage>(observed: &mut Observations, stage: &mut S) -> Result<(), Error> {
    let mut log = stage.open("a")?;
    settle(&mut [&mut log])?;
    put(&mut log, "never")?;
    patiently(&mut log, Log::renew)?;
    put(&mut log, "later")?;
    log.commit(&[(0, 3)])?;
    observed.push(("after a renewal one reads", read(&mut log, Some("later"))?));
    observed.push(("and the group stands at", format!("{:?}", patiently(&mut log, |log| log.committed(0))?)));
    Ok(())
}

/// Of two processes with one identity, the older one is refused.
pub(super) fn fencing<S: Stage>(observed: &mut Observations, stage: &mut S) -> Result<(), Error> {
    let mut old = stage.open("a")?;
    settle(&mut [&mut old])?;
    put(&mut old, "kept")?;
    old.commit(&[(0, 1)])?;
    let mut new = stage.open("a")?;
    let owned = settle(&mut [&mut new])?;
    observed.push(("a successor owns", format!("{owned:?}")));
    let refused = put(&mut old, "zombie").and_then(|()| old.commit(&[(0, 2)]));
    let verdict = refused.err().map(|error| error.verdict());
    let is_refused = matches!(verdict, Some(Verdict::Fenced | Verdict::Abort));
    observed.push(("its predecessor's commit is refused", is_refused.to_string()));
    put(&mut new, "successor")?;
    new.commit(&[(0, 2)])?;
    observed.push(("then one reads", read(&mut new, Some("successor"))?));
    Ok(())
}

/// Two members share the partitions: one gives up what the other one gets, and is not robbed of it.
pub(super) fn sharing<S: Stage>(observed: &mut Observations, stage: &mut S) -> Result<(), Error> {
    let mut first = stage.open("a")?;
    settle(&mut [&mut first])?;
    let alone = first.generation();
    let mut second = stage.open("b")?;
    let mut lost_any = false;
    let mut owned = [BTreeSet::from([0, 1]), BTreeSet::new()];
    let mut quiet = 0;
    for _ in 0..PATIENCE {
        for (log, owned) in [&mut first, &mut second].into_iter().zip(&mut owned) {
            lost_any |= hear(log, owned)?;
        }
        quiet += usize::from(owned.iter().all(|owned| owned.len() == 1));
        if quiet > QUIET_TURNS {
            break;
        }
    }
    let together: BTreeSet<i32> = owned.iter().flatten().copied().collect();
    observed.push(("two members own", format!("{} and {}, together {together:?}", owned[0].len(), owned[1].len())));
    observed.push(("something was lost", lost_any.to_string()));
    observed.push(("the generation has grown", (first.generation() > alone).to_string()));
    let mine = owned[0].first().copied().unwrap_or_default();
    put_to(&mut first, mine, "mine")?;
    observed.push(("a member commits in the new generation", first.commit(&[(mine, 5)]).is_ok().to_string()));
    Ok(())
}

/// An open transaction hides what is committed behind it, but not that something is there.
pub(super) fn open_transactions<S: Stage>(observed: &mut Observations, stage: &mut S) -> Result<(), Error> {
    let (mut first, mut second) = (stage.open("a")?, stage.open("b")?);
    settle(&mut [&mut first, &mut second])?;
    // It is known to be open once the brokers have something of it.
    for number in 0..PATIENCE {
        put(&mut first, &format!("slow-{number}"))?;
        let _ = first.membership(Duration::from_millis(20))?;
        if second.ends(CHANGELOG, &[0])?[0].1 > 0 {
            break;
        }
    }
    put(&mut second, "quick")?;
    second.commit(&[(0, 1)])?;
    let (_, stable) = second.range(CHANGELOG, 0)?;
    observed.push(("behind an open transaction one reads", read(&mut second, None)?));
    observed.push(("the range ends before it", format!("{stable}")));
    observed.push(("the end counts it", (second.ends(CHANGELOG, &[0])?[0].1 > 2).to_string()));
    first.commit(&[(1, 1)])?;
    let all = read(&mut second, Some("quick"))?;
    observed
        .push(("once it is committed, both are read", (all.contains("slow-0") && all.contains("quick")).to_string()));
    Ok(())
}

/// A process that ends while it was to give something up, and comes back under its identity: nobody asks for the second step, in which
/// the other one gets it, and yet it is somebody's in the end.
pub(super) fn comes_back_amid<S: Stage>(observed: &mut Observations, stage: &mut S) -> Result<(), Error> {
    let mut first = stage.open("a")?;
    settle(&mut [&mut first])?;
    let mut second = stage.open("b")?;
    let mut is_told = false;
    for _ in 0..PATIENCE {
        is_told = match first.membership(Duration::from_millis(50))? {
            Some(Change::Revoked { lost: false, .. }) => true,
            Some(change) => {
                first.accept(&change)?;
                false
            }
            None => false,
        };
        if is_told {
            break;
        }
        hear(&mut second, &mut BTreeSet::new())?;
    }
    observed.push(("who owns all is to give something up", is_told.to_string()));
    drop(first);
    let mut back = stage.open("a")?;
    let owned = settle(&mut [&mut back, &mut second])?;
    let together: BTreeSet<i32> = owned.iter().flatten().copied().collect();
    observed.push(("after it came back all that is owned is", format!("{together:?}")));
    Ok(())
}

/// A process that ends and comes back under its identity finds its partitions, in the same generation.
pub(super) fn comes_back<S: Stage>(observed: &mut Observations, stage: &mut S) -> Result<(), Error> {
    let (mut stays, mut leaves) = (stage.open("a")?, stage.open("b")?);
    settle(&mut [&mut stays, &mut leaves])?;
    let before = leaves.generation();
    drop(leaves);
    let mut back = stage.open("b")?;
    let owned = settle(&mut [&mut back])?;
    observed.push(("who comes back owns", format!("{} partition", owned[0].len())));
    observed.push(("in the same generation", (back.generation() == before).to_string()));
    Ok(())
}
