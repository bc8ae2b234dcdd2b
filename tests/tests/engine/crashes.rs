//! Processes that end or die in mid-flow, at moments that nobody chose.

use system_tests::feed::Feed;
use system_tests::summer::Settings;
use system_tests::wait;

use crate::steps::Ground;

/// Kills in a row. Each falls into the middle of the work: somewhere between the first and the last sum of its share.
const KILLS: usize = 5;
const SHARE: usize = 4_000;

#[test]
fn five_kills_in_mid_flow_lose_nothing_and_double_nothing() {
    let ground = Ground::new("kills", 4);
    let settings = Settings { shards: 2, ..Settings::new(&ground.place, "a") };
    let mut sums = ground.tail("sums");
    for kill in 0..KILLS {
        let before = ground.read("sums").len();
        let mut summer = ground.start(&settings);
        ground.add(500, SHARE);
        // A different place each time, and not always right behind a commit.
        let some = SHARE * (2 * kill + 1) / (3 * KILLS);
        sums.until("the work is under way", |sums| sums.len() > before + some);
        summer.kill();
    }
    let _summer = ground.start(&settings);
    ground.wait_for_all_sums();
    ground.assert_exactly_once();
    assert!(ground.changelog().barriers() > KILLS, "each start begins with a BARRIER");
}

#[test]
fn asked_to_end_in_mid_flow_a_process_finishes_what_it_began() {
    let ground = Ground::new("asked", 3);
    let settings = Settings::new(&ground.place, "a");
    let mut sums = ground.tail("sums");
    for _ in 0..KILLS {
        let before = ground.read("sums").len();
        let mut summer = ground.start(&settings);
        ground.add(500, SHARE);
        sums.until("the work is under way", |sums| sums.len() > before);
        assert!(summer.terminate().success(), "{}", summer.said());
        assert!(!summer.said().contains("without a last commit"), "{}", summer.said());
    }
    let _summer = ground.start(&settings);
    ground.wait_for_all_sums();
    ground.assert_exactly_once();
}

#[test]
fn asked_to_end_while_it_still_joins_a_process_ends() {
    let ground = Ground::new("early", 3);
    let settings = Settings::new(&ground.place, "a");
    for _ in 0..KILLS {
        let mut summer = ground.start(&settings);
        wait::until("it has begun", || summer.said().contains("joining"));
        assert!(summer.terminate().success(), "{}", summer.said());
        std::fs::remove_file(ground.place.path("a.log")).unwrap();
    }
}

#[test]
fn a_process_killed_while_it_restores_restores_again() {
    let ground = Ground::new("restores", 2);
    let settings = Settings::new(&ground.place, "a");
    ground.add(2_000, 8_000);
    let mut summer = ground.start(&settings);
    ground.wait_for_all_sums();
    summer.kill();
    std::fs::remove_dir_all(&settings.state_dir).unwrap();
    for number in 0..3 {
        // It does not come further than this in one of its partitions.
        let foreign = Feed::in_transaction(ground.place.brokers(), &format!("foreign-{number}"));
        foreign.send_to(&ground.place.topic("changelog"), 1, "k", b"");
        foreign.flush();
        let barriers = ground.changelog().barriers();
        std::fs::remove_file(ground.place.path("a.log")).unwrap();
        let mut summer = ground.start(&settings);
        wait::until("a BARRIER is written in the other one", || ground.changelog().barriers() > barriers);
        assert!(!summer.said().contains("recovered partition=1 "), "{}", summer.said());
        summer.kill();
        foreign.abort();
    }
    ground.add(2_000, 2_000);
    let _summer = ground.start(&settings);
    ground.wait_for_all_sums();
    ground.assert_exactly_once();
}

#[test]
fn a_process_that_panics_amid_its_work_leaves_no_half_step() {
    let ground = Ground::new("trips", 2);
    let settings = Settings::new(&ground.place, "a");
    ground.add(100, 2_000);
    ground.say("k1", "trip");
    ground.add(100, 2_000);
    let mut a = ground.start(&Settings { trips: true, ..settings.clone() });
    wait::until("it has ended itself", || !a.is_running());
    assert!(a.said().contains("a thread panicked"), "{}", a.said());
    let _b = ground.start(&settings);
    ground.wait_for_all_sums();
    ground.assert_exactly_once();
}

#[test]
fn a_process_whose_shard_hangs_ends_itself() {
    let ground = Ground::new("hangs", 1);
    ground.add(10, 100);
    let mut a = ground.start(&Settings { stillness_max_ms: 2_000, ..Settings::new(&ground.place, "a") });
    ground.wait_for_all_sums();
    ground.say("k1", "hang");
    ground.feed.flush();
    wait::until("it has ended itself", || !a.is_running());
    assert!(a.said().contains("a thread stands still"), "{}", a.said());
}
