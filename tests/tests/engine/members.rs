//! Several members: work moves between them, and one that was taken for dead writes nothing more.

use system_tests::summer::Settings;
use system_tests::wait;

use crate::steps::Ground;

impl Ground {
    /// Partitions whose last word is of this process.
    fn owned_by(&self, instance: &str) -> usize {
        let changelog = self.changelog();
        (0..self.partitions).filter(|p| changelog.owner(*p).is_some_and(|owner| owner.starts_with(instance))).count()
    }
}

#[test]
fn partitions_move_between_two_processes_and_nothing_is_lost() {
    let ground = Ground::new("moves", 4);
    ground.add(400, 2_000);
    let mut a = ground.start(&Settings { shards: 2, ..Settings::new(&ground.place, "a") });
    ground.wait_for_all_sums();
    let mut b = ground.start(&Settings { shards: 2, ..Settings::new(&ground.place, "b") });
    wait::until("the second process has its share", || {
        ground.add(400, 400);
        ground.owned_by("b-") == 2
    });
    ground.wait_for_all_sums();

    a.kill();
    ground.add(400, 2_000);
    ground.wait_for_all_sums();
    assert_eq!(ground.owned_by("b-"), 4);

    let _a = ground.start(&Settings { shards: 2, ..Settings::new(&ground.place, "a") });
    wait::until("the first process is back", || {
        ground.add(400, 400);
        ground.owned_by("a-") == 2
    });
    assert!(b.terminate().success(), "{}", b.said());
    ground.add(400, 2_000);
    ground.wait_for_all_sums();
    ground.assert_exactly_once();
}

#[test]
fn a_process_frozen_beyond_its_session_writes_nothing_when_it_thaws() {
    let ground = Ground::new("frozen", 2);
    let mut sums = ground.tail("sums");
    let a = ground.start(&Settings::new(&ground.place, "a"));
    ground.add(400, 400);
    ground.wait_for_all_sums();
    let mut b = ground.start(&Settings::new(&ground.place, "b"));
    wait::until("both have a partition", || {
        ground.add(400, 400);
        ground.owned_by("a-") == 1 && ground.owned_by("b-") == 1
    });
    sums.poll(std::time::Duration::ZERO);
    let before = sums.seen().len();
    ground.add(400, 20_000);
    sums.until("the work is under way", |sums| sums.len() > before + 2_000);
    a.freeze();
    wait::until("the other process has taken over", || ground.owned_by("b-") == 2);
    ground.wait_for_all_sums();
    ground.add(400, 2_000);
    a.thaw();
    wait::until("the frozen process has noticed", || a.said().contains("session timed out"));
    ground.add(400, 2_000);
    ground.wait_for_all_sums();
    ground.assert_exactly_once();
    assert!(b.is_running(), "{}", b.said());
}

#[test]
fn a_standby_takes_over_in_less_than_a_second() {
    let ground = Ground::new("standby", 4);
    let settings = |instance| Settings { standby: true, shards: 2, ..Settings::new(&ground.place, instance) };
    ground.add(20_000, 40_000);
    let mut a = ground.start(&settings("a"));
    ground.wait_for_all_sums();
    let b = ground.start(&settings("b"));
    wait::until("each has its share", || ground.owned_by("a-") == 2 && ground.owned_by("b-") == 2);
    // Some of its own it may have kept warm before they became its own.
    let is_there = |partition: i32| b.said().contains(&format!("kept warm partition={partition}"));
    let is_ready = |partition| b.said().contains(&format!("recovered partition={partition} ")) || is_there(partition);
    wait::until("the others are warm", || (0..4).all(is_ready));
    ground.add(20_000, 20_000);
    ground.wait_for_all_sums();
    a.kill();
    wait::until("the standby has taken over", || b.said().matches("partition recovered").count() == 4);
    for took in b.said().lines().filter(|line| line.contains("partition recovered")).skip(2) {
        let millis: u64 = took.rsplit("millis=").next().unwrap().trim().parse().unwrap();
        assert!(millis < 1_000, "{took}");
        let records = took.split_once("records=").unwrap().1;
        let records: u64 = records.split(' ').next().unwrap().parse().unwrap();
        assert!(records < 1_000, "what was kept warm is not replayed again: {took}");
    }
    ground.add(20_000, 2_000);
    ground.wait_for_all_sums();
    ground.assert_exactly_once();
}
