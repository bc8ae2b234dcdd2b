//! A changelog in the source of each test, and what a replica makes of it.

use super::*;
use crate::Topics;
use crate::control::{Ended, Format};
use crate::processor::{Incoming, Outbox};
use crate::simulation::Machine;
use crate::task::{Start, Task};

mod claims;

/// Rows are words.
struct Words;

impl Processor for Words {
    type Row = Vec<u8>;

    fn unpack(&self, bytes: &[u8]) -> Result<Vec<u8>, String> {
        Ok(bytes.to_vec())
    }

    fn pack(&self, row: &Vec<u8>, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(row);
    }

    /// Those that are numbers are due then.
    fn due(&self, row: &Vec<u8>) -> Option<Millis> {
        std::str::from_utf8(row).ok()?.parse().ok()
    }

    fn record(&mut self, _: &mut Vec<u8>, _: &Incoming<'_>, _: Millis, _: &mut Outbox) -> bool {
        false
    }
}

/// A record of a changelog.
#[derive(Clone, Debug)]
struct Written {
    offset: i64,
    key: Vec<u8>,
    value: Option<Vec<u8>>,
}

impl Record for Written {
    fn topic(&self) -> usize {
        0
    }

    fn partition(&self) -> i32 {
        0
    }

    fn offset(&self) -> i64 {
        self.offset
    }

    fn timestamp(&self) -> i64 {
        self.offset * 1_000
    }

    fn key(&self) -> Option<&[u8]> {
        Some(&self.key)
    }

    fn value(&self) -> Option<&[u8]> {
        self.value.as_deref()
    }

    fn header(&self, _: &str) -> Option<&[u8]> {
        None
    }
}

/// A row of a commit (epoch, n).
fn row(offset: i64, key: &str, commit: (u64, u64), word: &str) -> Written {
    let (mut bytes, mut value) = (Vec::new(), Vec::new());
    control::row_key(key.as_bytes(), &mut bytes);
    control::start_row(Sequence { epoch: commit.0, n: commit.1 }, &mut value);
    value.extend_from_slice(word.as_bytes());
    Written { offset, key: bytes, value: Some(value) }
}

fn meta(offset: i64, commit: (u64, u64)) -> Written {
    meta_after(offset, commit, &[])
}

/// META of a commit that knows where owners before it ended.
fn meta_after(offset: i64, (epoch, n): (u64, u64), ended: &[(u64, u64)]) -> Written {
    let lineage =
        ended.iter().map(|(epoch, n)| Ended { sequence: Sequence { epoch: *epoch, n: *n }, claim: 0 }).collect();
    let meta = Meta { sequence: Sequence { epoch, n }, lineage, ..Meta::default() };
    Written { offset, key: control::META_KEY.to_vec(), value: serde_json::to_vec(&meta).ok() }
}

/// META of the first commit of an owner, by the number of its claim.
fn meta_of_claim(offset: i64, epoch: u64, claim: u32) -> Written {
    let meta = Meta { sequence: Sequence { epoch, n: 1 }, claim, ..Meta::default() };
    Written { offset, key: control::META_KEY.to_vec(), value: serde_json::to_vec(&meta).ok() }
}

fn barrier(offset: i64, nonce: &str) -> Written {
    let barrier =
        control::Barrier { format: Format::default(), nonce: nonce.to_owned(), generation: 1, owner: String::new() };
    Written { offset, key: control::BARRIER_KEY.to_vec(), value: serde_json::to_vec(&barrier).ok() }
}

/// A machine, and what is to be restored on it.
struct Bench {
    machine: Machine,
    config: Config,
    cluster: &'static str,
}

impl Bench {
    fn new() -> Self {
        let topics =
            Topics { input: "input".into(), changelog: "changelog".into(), reference: None, outputs: Vec::new() };
        let config = Config {
            restore_window: 4,
            save_age: std::time::Duration::ZERO,
            ..Config::new("g", "a", topics, "state".into())
        };
        Bench { machine: Machine::default(), config, cluster: "c" }
    }

    fn rules(&self) -> Rules<'_> {
        let metrics = Metrics::new(&prometheus::Registry::new(), "input").unwrap();
        let Bench { machine, config, cluster } = self;
        Rules { config, cluster, changelog: "changelog/1", disks: machine, metrics }
    }

    fn open(&self) -> Replica<'_, Written> {
        Replica::open(&self.rules(), 0).unwrap()
    }
}

/// Feeds a replica as a reader would, from where it wants on.
fn follow<'a>(mut replica: Replica<'a, Written>, log: &[Written], nonce: &str) -> (Replica<'a, Written>, Next) {
    let end = log.last().map_or(0, |record| record.offset + 1);
    let mut from = replica.begin(end);
    'reading: loop {
        for record in log.iter().filter(|record| record.offset >= from) {
            match replica.take(record.clone(), &Words, Some(nonce)).unwrap() {
                Next::GoOn => {}
                Next::From(offset) => {
                    from = offset;
                    continue 'reading;
                }
                Next::Anew => {
                    replica = replica.begin_behind().unwrap();
                    from = replica.begin(end);
                    continue 'reading;
                }
                Next::Arrived => return (replica, Next::Arrived),
            }
        }
        match replica.pass(end, true) {
            Next::From(offset) => from = offset,
            next => return (replica, next),
        }
    }
}

fn words(restored: &Restored, keys: &[&str]) -> Vec<Option<String>> {
    let keys: Vec<&[u8]> = keys.iter().map(|key| key.as_bytes()).collect();
    let mut words = vec![None; keys.len()];
    restored
        .store
        .rows(&keys, |index, found| {
            words[index] = found.map(|(_, bytes)| String::from_utf8(bytes.to_vec()).unwrap());
            Ok(())
        })
        .unwrap();
    words
}

fn restore(bench: &Bench, log: &[Written], nonce: &str) -> Restored {
    let (replica, next) = follow(bench.open(), log, nonce);
    assert_eq!(next, Next::Arrived);
    replica.arrive().unwrap()
}

fn some(word: &str) -> Option<String> {
    Some(word.to_owned())
}

#[test]
fn a_row_counts_once_its_meta_stands_behind_it() {
    let log = [row(0, "a", (1, 1), "closed"), meta(1, (1, 1)), row(2, "a", (1, 2), "torn"), barrier(3, "mine")];
    let restored = restore(&Bench::new(), &log, "mine");
    assert_eq!(words(&restored, &["a"]), [some("closed")]);
    assert_eq!(restored.torn.into_iter().collect::<Vec<_>>(), [Box::from(b"a".as_slice())]);
    assert_eq!(restored.meta.unwrap().sequence, Sequence { epoch: 1, n: 1 });
    assert_eq!(restored.arrived_at, 3_000, "whose clock is far ahead of this must not go on");
}

#[test]
fn whoever_finds_torn_rows_commits_though_nothing_else_may_happen() {
    for (torn, is_unchanged) in [(Vec::new(), true), (vec![row(2, "a", (1, 2), "torn")], false)] {
        let bench = Bench::new();
        let closed = vec![row(0, "a", (1, 1), "closed"), meta(1, (1, 1))];
        let restored = restore(&bench, &[closed, torn, vec![barrier(3, "mine")]].concat(), "mine");
        let Restored { partition, store, checkpoint, meta, torn, .. } = restored;
        let meta = meta.unwrap();
        let start = Start { partition, store, checkpoint, meta, torn, claim: 1, config: &bench.config };
        assert_eq!(Task::<Words>::new(start).is_unchanged(), is_unchanged);
    }
}

#[test]
fn where_compaction_has_preferred_a_torn_row_only_a_local_store_has_the_right_one() {
    let bench = Bench::new();
    let log = [row(0, "a", (1, 1), "closed"), meta(1, (1, 1)), barrier(2, "x"), row(3, "a", (1, 2), "torn")];
    let (mut replica, _) = follow(bench.open(), &log, "mine");
    replica.note_if_due(&Words).unwrap();
    drop(replica);
    let compacted = [&log[1..], &[barrier(4, "mine")]].concat();
    for (bench, kept) in [(bench, some("closed")), (Bench::new(), None)] {
        let restored = restore(&bench, &compacted, "mine");
        assert_eq!(words(&restored, &["a"]), [kept]);
        assert_eq!(restored.torn.len(), 1);
    }
}

#[test]
fn it_ends_at_its_own_barrier_and_at_no_other() {
    let log = [
        row(0, "a", (1, 1), "one"),
        meta(1, (1, 1)),
        barrier(2, "theirs"),
        row(3, "a", (2, 1), "two"),
        meta(4, (2, 1)),
        barrier(5, "mine"),
        row(6, "a", (3, 1), "three"),
        meta(7, (3, 1)),
    ];
    assert_eq!(words(&restore(&Bench::new(), &log, "mine"), &["a"]), [some("two")]);
    let (_, next) = follow(Bench::new().open(), &log, "never written");
    assert_eq!(next, Next::GoOn);
}

#[test]
fn where_metas_were_compacted_away_rows_do_not_wait_in_memory() {
    let mut log: Vec<Written> = (0..100).map(|n| row(n, &format!("k{n}"), (1, 1 + n.unsigned_abs()), "old")).collect();
    log.extend([row(100, "k7", (2, 1), "new"), meta(101, (2, 1)), row(102, "k8", (2, 2), "torn")]);
    let bench = Bench::new();
    let (replica, _) = follow(bench.open(), &log, "mine");
    assert_eq!(replica.open.len(), 1, "but for the torn one");
    log.push(barrier(103, "mine"));
    let restored = restore(&Bench::new(), &log, "mine");
    assert_eq!(words(&restored, &["k0", "k7", "k8"]), [some("old"), some("new"), some("old")]);
    assert_eq!(restored.torn.len(), 1);
}

#[test]
fn a_restart_reads_from_its_last_meta_on() {
    let mut log = vec![row(0, "a", (1, 1), "one"), meta(1, (1, 1)), row(2, "b", (1, 2), "two")];
    let bench = Bench::new();
    let (mut replica, _) = follow(bench.open(), &log, "mine");
    replica.note_if_due(&Words).unwrap();
    drop(replica);
    log.extend([meta(3, (1, 2)), barrier(4, "mine")]);
    // What it read before is gone from the changelog: it must not need it.
    let restored = restore(&bench, &log[1..], "mine");
    assert_eq!(restored.replayed, 4);
    assert_eq!(words(&restored, &["a", "b"]), [some("one"), some("two")]);
}

/// Else one that lags for longer than tombstones are kept would be trusted after a restart.
#[test]
fn a_replica_that_lags_notes_since_when_and_not_that_it_is_up_to_date() {
    let bench = Bench::new();
    let (mut replica, _) = follow(bench.open(), &[row(0, "a", (1, 1), "one"), meta(1, (1, 1))], "mine");
    let long_ago = machine_now() - 1_000_000;
    replica.current_at = long_ago;
    assert_eq!(replica.remaining(9), 7);
    replica.note_if_due(&Words).unwrap();
    assert_eq!(replica.store.checkpoint().unwrap().unwrap().saved_at, long_ago);
    // At the end of the changelog it holds everything.
    assert_eq!(replica.remaining(2), 0);
    replica.take(meta(2, (1, 2)), &Words, Some("mine")).unwrap();
    replica.note_if_due(&Words).unwrap();
    assert!(replica.store.checkpoint().unwrap().unwrap().saved_at > long_ago);
}

/// A store with the commits (1, 1) and (1, 2).
fn with_two_commits(bench: &Bench) {
    let log =
        [row(0, "a", (1, 1), "kept"), meta(1, (1, 1)), row(2, "a", (1, 2), "lost"), meta(3, (1, 2)), barrier(4, "x")];
    drop(restore(bench, &log, "x"));
}

#[test]
fn a_store_that_is_noted_while_it_is_still_ahead_is_rebuilt_all_the_same() {
    let bench = Bench::new();
    with_two_commits(&bench);
    let after = [row(0, "a", (1, 1), "kept"), meta(5, (1, 1))];
    let (mut replica, _) = follow(bench.open(), &after, "mine");
    replica.note_if_due(&Words).unwrap();
    let (replica, next) = follow(replica, &[after[0].clone(), after[1].clone(), barrier(9, "mine")], "mine");
    assert_eq!(next, Next::Arrived);
    assert_eq!(words(&replica.arrive().unwrap(), &["a"]), [some("kept")]);
}

#[test]
fn a_store_with_a_commit_that_a_later_owner_knows_nothing_of_is_rebuilt() {
    let bench = Bench::new();
    with_two_commits(&bench);
    let log = [
        row(0, "a", (1, 1), "kept"),
        meta(1, (1, 1)),
        barrier(5, "theirs"),
        row(6, "b", (2, 1), "new"),
        meta_after(7, (2, 1), &[(1, 1)]),
        barrier(8, "mine"),
    ];
    let restored = restore(&bench, &log, "mine");
    assert_eq!(words(&restored, &["a", "b"]), [some("kept"), some("new")]);
    // An owner who knows of it is believed.
    let bench = Bench::new();
    with_two_commits(&bench);
    let log = [row(6, "b", (2, 1), "new"), meta_after(7, (2, 1), &[(1, 2)]), barrier(8, "mine")];
    let restored = restore(&bench, &log, "mine");
    assert_eq!(words(&restored, &["a", "b"]), [some("lost"), some("new")]);
}

#[test]
fn a_store_with_a_commit_that_the_changelog_has_lost_is_rebuilt() {
    let bench = Bench::new();
    with_two_commits(&bench);
    let after = [row(0, "a", (1, 1), "kept"), meta(1, (1, 1)), barrier(9, "mine")];
    let restored = restore(&bench, &after, "mine");
    assert_eq!(words(&restored, &["a"]), [some("kept")]);
    assert_eq!(restored.meta.unwrap().sequence, Sequence { epoch: 1, n: 1 });
}

/// It is noted with its first commit, and takes up the second on the way to a BARRIER, or a part of it as it runs over.
#[test]
fn a_store_that_took_up_a_commit_after_it_was_noted_is_rebuilt_if_that_is_lost() {
    let large = "x".repeat(500);
    let log =
        [row(0, "a", (1, 1), "kept"), meta(1, (1, 1)), row(2, "a", (1, 2), &large), meta(3, (1, 2)), barrier(4, "x")];
    for (restore_window, runs_over) in [(9, false), (9, true), (1, true)] {
        let mut bench = Bench::new();
        bench.config.restore_window = restore_window;
        bench.config.batch_bytes = large.len();
        let (mut replica, _) = follow(bench.open(), &log[..2], "x");
        replica.note_if_due(&Words).unwrap();
        drop(replica);
        if runs_over {
            // Closed by its META, or already by the one that is known to come.
            let (replica, _) = follow(bench.open(), &log[..4], "x");
            drop(replica);
        } else {
            drop(restore(&bench, &[&log[..2], &[row(2, "a", (1, 2), "lost")], &log[3..]].concat(), "x"));
        }
        let after = [row(0, "a", (1, 1), "kept"), meta(1, (1, 1)), barrier(9, "mine")];
        let found = words(&restore(&bench, &after, "mine"), &["a"]);
        assert!(found == [some("kept")], "{restore_window}, {runs_over}");
    }
}

/// What runs over on the way names a commit before the one that is lost, and must not make the store forget it.
#[test]
fn a_store_with_a_commit_that_was_lost_is_rebuilt_though_a_batch_runs_over_before() {
    let mut bench = Bench::new();
    let large = "x".repeat(500);
    bench.config.batch_bytes = large.len();
    let log = [
        row(0, "a", (1, 1), "kept"),
        meta(1, (1, 1)),
        row(2, "b", (1, 2), &large),
        meta(3, (1, 2)),
        row(4, "a", (1, 3), &large),
        meta(5, (1, 3)),
    ];
    let (mut replica, _) = follow(bench.open(), &log[..2], "x");
    replica.note_if_due(&Words).unwrap();
    drop(replica);
    drop(follow(bench.open(), &log, "x"));
    let found = words(&restore(&bench, &[&log[..4], &[barrier(9, "mine")]].concat(), "mine"), &["a", "b"]);
    assert!(found == [some("kept"), some(&large)]);
}

#[test]
fn nothing_is_noted_on_the_way_to_a_known_commit_whose_rows_are_there_already() {
    let bench = Bench::new();
    let log = [
        row(0, "a", (1, 1), "kept"),
        meta(1, (1, 1)),
        row(2, "a", (1, 2), "lost"),
        row(3, "b", (1, 2), "lost"),
        row(4, "c", (1, 2), "lost"),
        meta(5, (1, 2)),
    ];
    let mut replica = bench.open();
    let mut from = replica.begin(6);
    while replica.scout.is_some() {
        for record in log.iter().filter(|record| record.offset >= from) {
            if let Next::From(offset) = replica.take(record.clone(), &Words, None).unwrap() {
                from = offset;
                break;
            }
        }
    }
    for record in &log[..4] {
        assert_eq!(replica.take(record.clone(), &Words, None).unwrap(), Next::GoOn);
    }
    replica.note_if_due(&Words).unwrap();
    drop(replica);
    let after = [log[0].clone(), log[1].clone(), barrier(9, "mine")];
    assert_eq!(words(&restore(&bench, &after, "mine"), &["a", "b"]), [some("kept"), None]);
}

#[test]
fn a_store_with_an_owners_only_commit_that_was_lost_is_rebuilt_though_the_next_owner_counts_the_same() {
    for (claim, found) in [(8, [some("kept"), some("new")]), (7, [some("lost"), None])] {
        let bench = Bench::new();
        let log = [row(0, "a", (1, 1), "kept"), meta(1, (1, 1)), row(3, "a", (2, 1), "lost"), meta_of_claim(4, 2, 7)];
        drop(restore(&bench, &[log.to_vec(), vec![barrier(5, "x")]].concat(), "x"));
        // The changelog has lost the commit, or it has not.
        let after = [
            log[0].clone(),
            log[1].clone(),
            row(3, "b", (2, 1), "new"),
            meta_of_claim(4, 2, claim),
            barrier(9, "mine"),
        ];
        let restored = restore(&bench, &after, "mine");
        assert_eq!(restored.meta.as_ref().map(|meta| meta.claim), Some(claim));
        assert_eq!(words(&restored, &["a", "b"]), found);
    }
}

/// As if they were those that the store has: only whoever doubts it reads them.
fn the_same_commits_with_another_word() -> [Written; 5] {
    let (first, second) = (row(0, "a", (1, 1), "other"), row(2, "a", (1, 2), "other"));
    [first, meta(1, (1, 1)), second, meta(3, (1, 2)), barrier(9, "mine")]
}

#[test]
fn a_store_of_another_cluster_is_rebuilt() {
    let mut bench = Bench::new();
    with_two_commits(&bench);
    bench.cluster = "another";
    assert_eq!(words(&restore(&bench, &the_same_commits_with_another_word(), "mine"), &["a"]), [some("other")]);
}

/// The store's note, with a part of it put otherwise.
fn note_otherwise(bench: &Bench, part: &str, otherwise: &str) {
    let path = store_path(&bench.config.state_dir, &bench.config.topics.input, 0);
    let store = Store::open(&path, &bench.machine).unwrap();
    let known = serde_json::to_string(&store.checkpoint().unwrap().unwrap()).unwrap();
    assert!(known.contains(part), "{known}");
    let mut batch = rocksdb::WriteBatch::default();
    batch.put(b"M", known.replacen(part, otherwise, 1));
    drop(store);
    bench.machine.open(&path).unwrap().write(batch, None).unwrap();
}

#[test]
fn a_store_of_a_newer_format_is_rebuilt() {
    let bench = Bench::new();
    with_two_commits(&bench);
    note_otherwise(&bench, r#""format":1"#, r#""format":3"#);
    assert_eq!(words(&restore(&bench, &the_same_commits_with_another_word(), "mine"), &["a"]), [some("other")]);
}

/// Else the replica would wait for a BARRIER before the place where the other partition's changelog is read on.
#[test]
fn a_store_of_another_partition_is_rebuilt() {
    for (otherwise, found) in [(r#""partition":1"#, "other"), (r#""partition":null"#, "lost")] {
        let bench = Bench::new();
        with_two_commits(&bench);
        note_otherwise(&bench, r#""partition":0"#, otherwise);
        let restored = restore(&bench, &the_same_commits_with_another_word(), "mine");
        assert_eq!(words(&restored, &["a"]), [some(found)]);
        assert_eq!(restored.checkpoint.partition, Some(0));
    }
}

#[test]
fn a_store_from_before_the_changelog_begins_is_rebuilt() {
    let bench = Bench::new();
    with_two_commits(&bench);
    let later = [row(50, "b", (3, 1), "new"), meta(51, (3, 1)), barrier(52, "mine")];
    let (replica, next) = follow(bench.open().begin_in_range().unwrap(), &later, "mine");
    assert_eq!(next, Next::Arrived);
    assert_eq!(words(&replica.arrive().unwrap(), &["a", "b"]), [None, some("new")]);
}

#[test]
fn a_row_that_relies_on_an_entry_which_has_fired_is_woken_all_the_same() {
    let bench = Bench::new();
    let log = [row(0, "a", (1, 1), "900"), meta(1, (1, 1)), barrier(2, "x")];
    let Restored { store, checkpoint, .. } = restore(&bench, &log, "x");
    // Lazily armed: its deadline moved from 500 to 900. The entry of 500 fired, and the new one went with a crash.
    let mut changes = Changes::default();
    changes.put_row(b"a", 500, b"900");
    changes.arm(500, b"a");
    changes.retire_before(&Cursor::at(501, b""));
    changes.checkpoint(&checkpoint);
    store.write(changes).unwrap();
    let mut changes = Changes::default();
    changes.arm(500, b"a");
    store.write(changes).unwrap();
    drop(store);
    let round = control::Round { now: 700, fired_until: 700, ..control::Round::default() };
    let fired = Meta { sequence: Sequence { epoch: 1, n: 2 }, rounds: vec![round], ..Meta::default() };
    let fired = Written { offset: 3, key: control::META_KEY.to_vec(), value: serde_json::to_vec(&fired).ok() };
    let (mut replica, _) = follow(bench.open(), &[log[1].clone(), log[2].clone(), fired], "mine");
    replica.note_if_due(&Words).unwrap();
    let mut left = Vec::new();
    replica
        .store
        .deadlines(&Cursor::start(), |due, key| {
            left.push((due, key.to_vec()));
            true
        })
        .unwrap();
    assert_eq!(left, [(900, b"a".to_vec())]);
}
