//! Replicas of the operator come and go. Partitions move only as far as they must, and none is left alone for long.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use stream::clock::Tick;
use system_tests::installation::{Installation, Plan};
use system_tests::wait::until_some;

const PARTITIONS: i32 = 8;
const SESSION_TIMEOUT: Duration = Duration::from_secs(6);
/// What may come on top of the session timeout, on a machine that is busy with other things.
const SLACK: Duration = Duration::from_secs(20);

/// Owners of the partitions of `input`.
type Owners = BTreeMap<i32, String>;

fn start(name: &str, replicas: &[&str]) -> Installation {
    let mut cascade =
        Installation::prepare(&Plan { partitions: PARTITIONS, ..Plan::new(name, &["come-back"], &["push"]) });
    cascade.bring_up(&["intake"]);
    cascade.bring_up(replicas);
    cascade
}

/// Who owns what, once everything has exactly one owner and these are the only ones.
fn owners(cascade: &Installation, replicas: &[&str]) -> Owners {
    until_some("every partition has an owner", || {
        let mut owners = Owners::new();
        for replica in replicas {
            let progress = cascade.services.get(*replica)?.progress().filter(|progress| progress.ready)?;
            for (_, partition, _) in progress.positions {
                if owners.insert(partition, (*replica).to_owned()).is_some() {
                    return None;
                }
            }
        }
        let working: BTreeSet<&String> = owners.values().collect();
        (owners.len() == PARTITIONS as usize && working.len() == replicas.len()).then_some(owners)
    })
}

/// Something to decide for everybody, in each partition.
fn tell(cascade: &Installation) {
    (0..400).for_each(|number| cascade.inactivity(&format!("customer-{number}"), 30));
}

#[test]
fn a_rolling_restart_moves_no_partition() {
    let replicas = ["operator#one", "operator#two", "operator#three"];
    let mut cascade = start("rolling", &replicas);
    let before = owners(&cascade, &replicas);
    for replica in replicas {
        tell(&cascade);
        let begun = Tick::now();
        assert!(cascade.service(replica).process().terminate().success(), "{replica} ends in an orderly way");
        cascade.restart(replica);
        println!("{replica}: its partitions were not served for {:.1} s", begun.elapsed().as_secs_f64());
        assert_eq!(owners(&cascade, &replicas), before, "after the restart of {replica}");
    }
    cascade.settle();
    cascade.assert_equal_to_a_fold();
}

#[test]
fn a_third_replica_takes_its_share_and_gives_it_back() {
    let mut cascade = start("scaling", &["operator#one", "operator#two"]);
    let two = owners(&cascade, &["operator#one", "operator#two"]);
    tell(&cascade);
    let begun = Tick::now();
    cascade.restart("operator#three");
    let three = owners(&cascade, &["operator#one", "operator#two", "operator#three"]);
    println!("two replicas became three in {:.1} s", begun.elapsed().as_secs_f64());
    let moved: Vec<&i32> =
        three.iter().filter(|(partition, owner)| two[*partition] != **owner).map(|(p, _)| p).collect();
    assert!(moved.iter().all(|partition| three[*partition] == "operator#three"), "only the newcomer gets something");
    assert_eq!(moved.len(), 2, "its share of eight, rounded down: {moved:?}");

    tell(&cascade);
    let begun = Tick::now();
    cascade.service("operator#three").process().terminate();
    cascade.services.remove("operator#three");
    let again = owners(&cascade, &["operator#one", "operator#two"]);
    let alone = begun.elapsed();
    println!("the partitions of a replica that went were not served for {:.1} s", alone.as_secs_f64());
    assert!(alone < SESSION_TIMEOUT + SLACK, "{alone:?}");
    let stayed = three.iter().filter(|(_, owner)| *owner != "operator#three");
    assert!(stayed.into_iter().all(|(partition, owner)| again[partition] == *owner), "what had an owner keeps it");
    cascade.settle();
    cascade.assert_equal_to_a_fold();
}
