//! Replicas of the operator come and go. Partitions move only as far as they must, and none is left alone for long.
//!
//! ```text
//! CASCADE_REPLICAS=long cargo test --workspace --test replicas amid    six restarts amid a rebalance, by kill and by SIGTERM
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use schemas::{Inactivity, encode};
use stream::clock::{Millis, Tick, machine_now};
use system_tests::changelog::{Changelog, Pause};
use system_tests::feed::Feed;
use system_tests::installation::{Installation, MONDAY, Plan};
use system_tests::tail::Tail;
use system_tests::wait::{until, until_some};

const PARTITIONS: i32 = 8;
const SESSION_TIMEOUT: Duration = Duration::from_secs(6);
/// What may come on top of the session timeout, on a machine that is busy with other things.
const SLACK: Duration = Duration::from_secs(20);

/// Owners of the partitions of `input`.
type Owners = BTreeMap<i32, String>;

#[test]
fn a_rolling_restart_moves_no_partition() {
    let replicas = ["operator#one", "operator#two", "operator#three"];
    let mut cascade = start("rolling", &replicas);
    let before = owners(&cascade, &replicas);
    let Meanwhile { pauses, owners } = while_events_flow(&mut cascade, |cascade| {
        for replica in replicas {
            assert!(cascade.service(replica).process().terminate().success(), "{replica} ends in an orderly way");
            cascade.restart(replica);
            assert_eq!(self::owners(cascade, &replicas), before, "after the restart of {replica}");
        }
    });
    // Not even for a moment between two looks: whoever commits says so.
    let alone = |owner: &String| BTreeSet::from([owner.clone()]);
    assert_eq!(owners, before.iter().map(|(partition, owner)| (*partition, alone(owner))).collect());
    system_tests::tell(format_args!("a rolling restart of three replicas:\n{}", shown(&pauses)));
    assert!(longest(&pauses) < SLACK);
    cascade.settle();
    cascade.assert_equal_to_a_fold();
}

#[test]
fn a_third_replica_takes_its_share_and_gives_it_back() {
    let mut cascade = start("scaling", &["operator#one", "operator#two"]);
    let two = owners(&cascade, &["operator#one", "operator#two"]);
    let mut three = Owners::new();
    let Meanwhile { pauses, owners: meanwhile } = while_events_flow(&mut cascade, |cascade| {
        cascade.restart("operator#three");
        three = owners(cascade, &["operator#one", "operator#two", "operator#three"]);
    });
    let moved: Vec<&i32> =
        three.iter().filter(|(partition, owner)| two[*partition] != **owner).map(|(p, _)| p).collect();
    assert!(moved.iter().all(|partition| three[*partition] == "operator#three"), "only the newcomer gets something");
    assert_eq!(moved.len(), 2, "its share of eight, rounded down: {moved:?}");
    let one_after_the_other = |partition: &i32| BTreeSet::from([&two, &three].map(|owners| owners[partition].clone()));
    assert_eq!(meanwhile, three.keys().map(|partition| (*partition, one_after_the_other(partition))).collect());
    system_tests::tell(format_args!("two replicas become three:\n{}", shown(&pauses)));
    assert!(longest(&pauses) < SLACK);

    let mut again = Owners::new();
    let Meanwhile { pauses, .. } = while_events_flow(&mut cascade, |cascade| {
        cascade.service("operator#three").process().terminate();
        cascade.services.remove("operator#three");
        again = owners(cascade, &["operator#one", "operator#two"]);
    });
    system_tests::tell(format_args!("three replicas become two:\n{}", shown(&pauses)));
    assert!(longest(&pauses) < SESSION_TIMEOUT + SLACK);
    let stayed = three.iter().filter(|(_, owner)| *owner != "operator#three");
    assert!(stayed.into_iter().all(|(partition, owner)| again[partition] == *owner), "what had an owner keeps it");
    cascade.settle();
    cascade.assert_equal_to_a_fold();
}

#[test]
fn a_transaction_that_hangs_on_a_partition_shows_there_and_nowhere_else() {
    let mut cascade = start("stuck", &["operator#one"]);
    let hang = |partition: i32| {
        let open = Feed::in_transaction(cascade.place.brokers(), &format!("hangs-on-{partition}"));
        open.send_to(&cascade.topics.input(), partition, "nobody", b"never said");
        open.flush();
        open
    };
    let stuck = |cascade: &Installation, replica: &str, partition: i32| {
        let label = format!("partition=\"{partition}\"");
        cascade.services[replica].metric_with("cascade_input_stuck_seconds", &label)
    };
    let mut open = vec![hang(0)];
    until("it shows", || {
        (0..400).for_each(|number| cascade.inactivity(&format!("customer-{number}"), 30));
        stuck(&cascade, "operator#one", 0) >= 10.0
    });
    let others: Vec<f64> = (1..PARTITIONS).map(|partition| stuck(&cascade, "operator#one", partition)).collect();
    assert!(others.iter().all(|seconds| *seconds < 6.0), "the others go on: {others:?}");

    // Who gives a partition away says nothing of it any more.
    open.extend((1..PARTITIONS).map(hang));
    let shown = |cascade: &Installation, replica| (0..PARTITIONS).filter(|p| stuck(cascade, replica, *p) > 0.0).count();
    until("all are stuck", || shown(&cascade, "operator#one") == PARTITIONS as usize);
    cascade.restart("operator#two");
    until("each shows its own", || ["operator#one", "operator#two"].map(|replica| shown(&cascade, replica)) == [4, 4]);

    open.iter().for_each(Feed::abort);
    cascade.settle();
    until("nothing is stuck", || ["operator#one", "operator#two"].map(|replica| shown(&cascade, replica)) == [0, 0]);
}

#[test]
fn a_partition_that_cannot_be_restored_is_told_from_those_that_go_on() {
    let mut cascade = start("unserved", &["operator#one"]);
    let unserved = |cascade: &Installation, partition: i32| {
        let label = format!("partition=\"{partition}\"");
        cascade.services["operator#one"].metric_with("cascade_partition_unserved_seconds", &label)
    };
    let hangs = Feed::in_transaction(cascade.place.brokers(), "hangs-on-the-changelog");
    hangs.send_to(&cascade.topics.changelog(), 0, "nobody", b"never said");
    hangs.flush();
    cascade.kill("operator#one");
    cascade.launch("operator#one");
    until("it shows", || unserved(&cascade, 0) >= 10.0);
    let others: Vec<f64> = (1..PARTITIONS).map(|partition| unserved(&cascade, partition)).collect();
    assert!(others.iter().all(|seconds| *seconds <= 0.0), "the others go on: {others:?}");
    hangs.abort();
    cascade.settle();
    until("it is served", || unserved(&cascade, 0) <= 0.0);
}

/// Who was to give something up, ends before it asks for the second step of the rebalance, and comes back within its session: the group lets
/// it in as if nothing had been.
#[test]
fn a_replica_that_restarts_amid_a_rebalance_leaves_nothing_to_nobody() {
    let (stays, comes) = ("operator#one", "operator#two");
    let mut cascade = start("amid", &[stays, comes]);
    let attempts = if std::env::var("CASCADE_REPLICAS").as_deref() == Ok("long") { 6 } else { 1 };
    for attempt in 0..attempts {
        cascade.kill(comes);
        owners(&cascade, &[stays]);
        let before = shared_among_two(&cascade);
        cascade.launch(comes);
        until("the group shares", || shared_among_two(&cascade) > before);
        if attempt % 2 == 0 {
            cascade.kill(stays);
        } else {
            cascade.service(stays).process().terminate();
        }
        cascade.launch(stays);
        let begun = Tick::now();
        owners(&cascade, &[stays, comes]);
        system_tests::tell(format_args!("all partitions have an owner {:?} after the restart", begun.elapsed()));
        assert!(begun.elapsed() < SLACK);
    }
    cascade.settle();
    cascade.assert_equal_to_a_fold();
}

/// How often a broker has said that a group of two members is told what each has.
fn shared_among_two(cascade: &Installation) -> usize {
    let brokers = cascade.place.dir().parent().expect("it lies in the broker's directory");
    let logs = std::fs::read_dir(brokers).expect("it is there").flatten().map(|entry| entry.path().join("kafka.log"));
    let logs = logs.chain([brokers.join("kafka.log")]).filter_map(|log| std::fs::read_to_string(log).ok());
    logs.map(|log| log.matches("The group has 2 members").count()).sum()
}

fn start(name: &str, replicas: &[&str]) -> Installation {
    let mut cascade =
        Installation::prepare(&Plan { partitions: PARTITIONS, ..Plan::new(name, &["come-back"], &["push"]) });
    cascade.bring_up(&["intake"]);
    cascade.bring_up(replicas);
    // Something to decide for everybody, in each partition.
    (0..400).for_each(|number| cascade.inactivity(&format!("customer-{number}"), 30));
    cascade.settle();
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

/// What the changelog has of a time in which there is always something to commit.
struct Meanwhile {
    /// For each partition the longest time for which it was not served: between two commits.
    pauses: Vec<Pause>,
    /// Everybody who has committed something in it.
    owners: BTreeMap<i32, BTreeSet<String>>,
}

/// Does something, and finds out what was of the partitions meanwhile.
fn while_events_flow(cascade: &mut Installation, act: impl FnOnce(&mut Installation)) -> Meanwhile {
    let mut changelog = Tail::of(cascade.place.brokers(), &[&cascade.topics.changelog()]);
    let flow = Flow::begin(cascade);
    let begun = until_served(&mut changelog);
    act(cascade);
    until_served(&mut changelog);
    flow.end();
    let changelog = Changelog::of(changelog.seen());
    let pause = |partition| changelog.longest_pause(partition, begun).expect("it was served before and after");
    // An owner is named after its replica, and its shard.
    let replica = |owner: &str| format!("operator#{}", owner.rsplit_once('-').map_or(owner, |(replica, _)| replica));
    let owners = |partition| {
        let since = changelog.metas(partition).filter(|meta| meta.written_at > begun);
        (partition, since.map(|meta| replica(&meta.owner)).collect())
    };
    Meanwhile { pauses: (0..PARTITIONS).map(pause).collect(), owners: (0..PARTITIONS).map(owners).collect() }
}

fn shown(pauses: &[Pause]) -> String {
    pauses.iter().map(|pause| format!("  {pause}\n")).collect()
}

fn longest(pauses: &[Pause]) -> Duration {
    pauses.iter().map(|pause| pause.length).max().unwrap_or_default()
}

/// Waits until something was committed in each partition that was not there before. Returns this moment.
fn until_served(changelog: &mut Tail) -> Millis {
    let asked = machine_now();
    changelog.until("every partition is served", |seen| {
        let changelog = Changelog::of(seen);
        let is_served = |partition| changelog.metas(partition).any(|meta| meta.written_at > asked);
        (0..PARTITIONS).all(is_served)
    });
    machine_now()
}

/// Something is told of a customer of each partition, and again as soon as that is in the input.
struct Flow {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Flow {
    fn begin(cascade: &Installation) -> Self {
        let mut input = Tail::of(cascade.place.brokers(), &[&cascade.topics.input()]);
        let customers = customers(&mut input);
        let (feed, inactivity) = (Feed::new(cascade.place.brokers()), cascade.topics.inactivity());
        let is_over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&is_over);
        let tell = move || {
            while !ends.load(Ordering::Relaxed) {
                for customer in &customers {
                    let event_id = format!("{customer} at {}", machine_now());
                    let (customer_id, occurred_at) = (customer.clone(), MONDAY);
                    let told = Inactivity { event_id, customer_id, occurred_at, days: 30, ..Inactivity::default() };
                    feed.send(&inactivity, customer, &encode(&told));
                }
                feed.flush();
                let enough = input.seen().len() + customers.len();
                input.until("intake has taken it", |seen| seen.len() >= enough);
            }
        };
        let thread = stream::thread::spawn("flow", tell).expect("there is a thread left");
        Flow { is_over, thread }
    }

    fn end(self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().expect("it has told everything");
    }
}

/// One of each partition.
fn customers(input: &mut Tail) -> Vec<String> {
    let mut customers: BTreeMap<i32, String> = BTreeMap::new();
    input.until("everybody is in the input", |seen| {
        let about_somebody = seen.iter().filter(|record| !record.key.is_empty());
        customers = about_somebody.map(|record| (record.partition, record.key_text().to_owned())).collect();
        customers.len() == PARTITIONS as usize
    });
    customers.into_values().collect()
}
