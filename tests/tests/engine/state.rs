//! State: what it is, and where it comes from after a restart.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rocksdb::{DB, Direction, IteratorMode, Options};
use serde_json::Value;
use stream::clock::Tick;
use system_tests::process::Process;
use system_tests::summer::{Row, Settings};
use system_tests::wait;

use crate::steps::{Ground, by_key};

#[test]
fn state_and_output_are_a_fold_of_the_input() {
    let ground = Ground::new("fold", 3);
    ground.add(300, 5_000);
    let _summer = ground.start(&Settings::new(&ground.place, "a"));
    ground.say("k7", "forget");
    ground.say("k7", "+4");
    ground.say("k8", "forget");
    ground.feed.flush();
    ground.wait_for_all_sums();
    ground.assert_exactly_once();
}

#[test]
fn a_warm_restart_goes_on_where_it_stopped() {
    let ground = Ground::new("warm", 3);
    let settings = Settings::new(&ground.place, "a");
    work_and_end(&ground, &settings, 300, 3_000);

    let summer = go_on(&ground, &settings);
    assert!(!summer.said().contains("is wiped"), "the store was trusted:\n{}", summer.said());
    let replayed = replayed(&summer);
    assert_eq!(replayed.len(), 3, "{}", summer.said());
    assert!(replayed.values().all(|records| *records < 10), "only the tail, of thousands: {replayed:?}");
}

#[test]
fn a_partition_that_is_restored_holds_up_no_other() {
    let ground = Ground::new("beside", 2);
    let settings = Settings::new(&ground.place, "a");
    work_and_end(&ground, &settings, 300, 3_000);
    // Whoever reads what is committed comes no further than this in the changelog, which has to be read from its beginning.
    let foreign = system_tests::feed::Feed::in_transaction(ground.place.brokers(), "foreign");
    foreign.send_to(&ground.place.topic("changelog"), 1, "k", b"");
    foreign.flush();
    std::fs::remove_dir_all(settings.state_dir.join(ground.place.topic("input-1"))).unwrap();

    let mut sums = ground.tail("sums");
    let summer = ground.start(&settings);
    for number in 1..=40 {
        ground.say_in(0, "beside", "+1");
        sums.until("the other partition goes on", |sums| by_key(sums).get("beside").map(Vec::len) == Some(number));
    }
    assert_eq!(replayed(&summer).into_keys().collect::<Vec<_>>(), [0], "{}", summer.said());
    foreign.abort();
    ground.wait_for_all_sums();
    ground.assert_exactly_once();
    assert!(replayed(&summer)[&1] > 100, "{}", summer.said());
}

#[test]
fn a_restore_shows_how_far_it_is_and_when_it_will_be_there() {
    let ground = Ground::new("shown", 1);
    let settings = Settings::new(&ground.place, "a");
    let with = |more: &[(&str, &str)]| {
        let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        settings.properties.clone().into_iter().chain(more).collect()
    };
    // Many batches, of which each fetch brings one, and the next one waits for a while.
    let writing = Settings { properties: with(&[("batch.num.messages", "100")]), ..settings.clone() };
    work_and_end(&ground, &writing, 2_000, 2_000);
    std::fs::remove_dir_all(&settings.state_dir).unwrap();
    let slowly = [("fetch.message.max.bytes", "1"), ("queued.min.messages", "1"), ("fetch.queue.backoff.ms", "400")];
    let file = ground.place.path("metrics");
    let summer = ground.start(&Settings { properties: with(&slowly), metrics: Some(file.clone()), ..settings.clone() });
    let value = |name: &str| {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix("{partition=\"0\"} "));
        line.map(|value| value.parse::<u64>().unwrap())
    };
    let shown = || value("cascade_restore_remaining_records").zip(value("cascade_restore_eta_seconds"));
    let mut seen: Vec<(u64, u64)> = Vec::new();
    wait::until("it is restored", || {
        seen.extend(shown());
        seen.dedup();
        !replayed(&summer).is_empty()
    });
    assert!(seen.len() > 1 && seen.is_sorted_by(|before, after| before.0 >= after.0), "ever less is left: {seen:?}");
    assert!(seen[0].0 > 100 && seen[0].1 > 0, "of two thousand records, and seconds: {seen:?}");
    wait::until("nothing is left to be shown", || shown().is_none());
    ground.assert_exactly_once();
}

#[test]
fn a_lost_state_directory_is_restored_from_the_changelog() {
    let ground = Ground::new("lost", 3);
    let settings = Settings::new(&ground.place, "a");
    ground.add(300, 3_000);
    let mut summer = ground.start(&settings);
    ground.wait_for_all_sums();
    summer.kill();
    std::fs::remove_dir_all(&settings.state_dir).unwrap();

    go_on(&ground, &settings);
}

#[test]
fn half_a_state_directory_is_restored_from_the_changelog() {
    let ground = Ground::new("half", 2);
    let settings = Settings::new(&ground.place, "a");
    work_and_end(&ground, &settings, 300, 3_000);
    remove_files(&settings.state_dir, &ground.place.topic("input-0"), "MANIFEST");
    remove_files(&settings.state_dir, &ground.place.topic("input-1"), ".sst");

    let summer = go_on(&ground, &settings);
    assert_eq!(summer.said().matches("the local state is damaged").count(), 2, "{}", summer.said());
}

#[test]
fn flipped_bytes_are_never_served() {
    let ground = Ground::new("flipped", 4);
    let settings = Settings::new(&ground.place, "a");
    work_and_end(&ground, &settings, 300, 3_000);
    // Rows, what stands between them and the index, and the end that says where everything is.
    for (partition, place) in [0, 50, 100].iter().enumerate() {
        for file in files(&settings.state_dir, &ground.place.topic(&format!("input-{partition}")), ".sst") {
            let mut bytes = std::fs::read(&file).unwrap();
            let from = (bytes.len() - 40) * place / 100;
            bytes[from..].iter_mut().take(40).for_each(|byte| *byte ^= 0x55);
            std::fs::write(&file, bytes).unwrap();
        }
    }

    let summer = go_on(&ground, &settings);
    let said = summer.said();
    for partition in 0..4 {
        let damaged = said.lines().filter(|line| {
            line.contains("the local state is damaged")
                && line.contains(&ground.place.topic(&format!("input-{partition}")))
        });
        assert_eq!(damaged.count(), usize::from(partition < 3), "partition {partition}: {said}");
    }
}

#[test]
fn state_of_another_cluster_or_of_a_newer_format_is_never_served() {
    let ground = Ground::new("forged", 3);
    let settings = Settings::new(&ground.place, "a");
    work_and_end(&ground, &settings, 300, 3_000);
    forge(&settings.state_dir.join(ground.place.topic("input-0")), |checkpoint| {
        checkpoint["cluster"] = "another".into();
    });
    forge(&settings.state_dir.join(ground.place.topic("input-1")), |checkpoint| {
        checkpoint["format"] = (checkpoint["format"].as_u64().unwrap() + 100).into();
    });

    let summer = go_on(&ground, &settings);
    let said = summer.said();
    let says = |words: &[&str]| said.lines().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(says(&["is wiped and restored", "it belongs to another cluster", "partition=0"]), "{said}");
    assert!(says(&["checkpoint counts for nothing", "upgrade first", &ground.place.topic("input-1")]), "{said}");
    let replayed = replayed(&summer);
    assert!(replayed[&0] > 50 && replayed[&1] > 50, "every row, of a hundred or so: {replayed:?}");
    assert!(replayed[&2] < 10, "only the tail: {replayed:?}");
}

#[test]
fn an_input_that_was_made_anew_is_not_gone_on_with() {
    let ground = Ground::new("input-anew", 1);
    let settings = Settings::new(&ground.place, "a");
    ground.add(300, 3_000);
    let mut summer = ground.start(&settings);
    ground.wait_for_all_sums();
    let alarms = ground.read("alarms").len();
    ground.make_anew(&["input"]);
    ground.add(300, 5);
    for _ in 0..2 {
        wait::until("it ends", || !summer.is_running());
        let said = summer.said();
        assert!(said.contains("it was made anew, or has lost its end"), "{said}");
        assert_eq!(ground.read("alarms").len(), alarms);
        summer = ground.start(&settings);
    }
    wait::until("nor does another one go on", || !summer.is_running());
}

#[test]
fn nor_is_one_that_has_grown_as_long_as_the_old_one_meanwhile() {
    let ground = Ground::new("input-regrown", 1);
    let settings = Settings::new(&ground.place, "a");
    work_and_end(&ground, &settings, 300, 3_000);
    let sums = ground.read("sums").len();
    ground.make_anew(&["input"]);
    ground.add(300, 4_000);
    let mut summer = ground.start(&settings);
    wait::until("it ends", || !summer.is_running());
    let said = summer.said();
    assert!(said.contains("it was made anew under its name"), "{said}");
    assert_eq!(ground.read("sums").len(), sums);
}

#[test]
fn a_state_that_is_older_than_the_changelog_keeps_tombstones_is_rebuilt() {
    // Others would keep one for six days.
    let ground =
        Ground::with_changelog("tombstones", 1, &[("cleanup.policy", "compact"), ("delete.retention.ms", "3500")]);
    let settings = Settings::new(&ground.place, "a");
    work_and_end(&ground, &settings, 300, 3_000);
    let ended = Tick::now();
    wait::until("its state is old", || ended.elapsed() > Duration::from_secs(4));
    let summer = go_on(&ground, &settings);
    assert!(summer.said().contains("it is older than the changelog keeps tombstones"), "{}", summer.said());
}

#[test]
fn the_state_of_a_changelog_that_was_made_anew_is_rebuilt() {
    let ground = Ground::new("anew", 1);
    let settings = Settings::new(&ground.place, "a");
    work_and_end(&ground, &settings, 300, 3_000);
    // Another life under the same names, with a directory of its own; then the directory of the first one comes back.
    ground.make_topics_anew();
    let elsewhere = Settings { state_dir: ground.place.path("state-new"), ..settings.clone() };
    work_and_end(&ground, &elsewhere, 200, 3_300);

    let summer = go_on(&ground, &settings);
    assert!(summer.said().contains("a changelog that was made anew"), "{}", summer.said());
}

#[test]
fn a_disk_that_is_nearly_full_takes_no_partition_and_says_so() {
    let ground = Ground::new("full", 1);
    let settings = Settings::new(&ground.place, "a");
    ground.add(300, 3_000);
    let mut summer = ground.start(&Settings { disk_reserve: u64::MAX, ..settings.clone() });
    wait::until("it has tried twice", || summer.said().matches("are to stay free; make room").count() >= 2);
    assert!(summer.is_running(), "what it had before it would go on with");
    assert!(ground.read("sums").is_empty(), "nothing is done in a partition that is not taken over");
    assert!(summer.terminate().success(), "{}", summer.said());
    // Room was made.
    go_on(&ground, &settings);
}

/// A process does its work and ends in an orderly way.
fn work_and_end(ground: &Ground, settings: &Settings, keys: usize, records: usize) {
    ground.add(keys, records);
    let mut summer = ground.start(settings);
    ground.wait_for_all_sums();
    assert!(summer.terminate().success(), "{}", summer.said());
    // The next one writes into the same file: what is found there then is its own.
    std::fs::remove_file(ground.place.path(&format!("{}.log", settings.instance))).unwrap();
}

/// A process finds what is there and more to do, and does it exactly once.
fn go_on(ground: &Ground, settings: &Settings) -> Process {
    ground.add(300, 3_000);
    let summer = ground.start(settings);
    ground.wait_for_all_sums();
    ground.assert_exactly_once();
    summer
}

/// Changes what a closed store says it is a checkpoint of, and every row in it: who trusts it is found out by the sums.
fn forge(store: &Path, change: impl FnOnce(&mut Value)) {
    let options = Options::default();
    let db = DB::open_cf_with_opts(&options, store, [("default", options.clone())]).unwrap();
    let mut checkpoint: Value = serde_json::from_slice(&db.get(b"M").unwrap().unwrap()).unwrap();
    change(&mut checkpoint);
    db.put(b"M", checkpoint.to_string()).unwrap();
    let entries = db.iterator(IteratorMode::From(b"R", Direction::Forward)).map(Result::unwrap);
    let rows: Vec<_> = entries.take_while(|(key, _)| key.starts_with(b"R")).collect();
    assert!(!rows.is_empty());
    for (key, value) in rows {
        // Behind its armed deadline.
        let mut row: Row = serde_json::from_slice(&value[8..]).unwrap();
        row.sum += 1_000_000;
        db.put(key, [&value[..8], &serde_json::to_vec(&row).unwrap()].concat()).unwrap();
    }
    db.flush().unwrap();
}

/// How many changelog records each partition that went on has replayed.
fn replayed(summer: &Process) -> BTreeMap<i32, u64> {
    let said = summer.said();
    let of = |line: &str, name: &str| Some(line.split_once(name)?.1.split(' ').next()?.to_owned());
    let recovered = said.lines().filter(|line| line.contains("partition recovered"));
    let numbers = recovered.map(|line| (of(line, "partition="), of(line, "records=")));
    numbers
        .map(|(partition, records)| (partition.unwrap().parse().unwrap(), records.unwrap().parse().unwrap()))
        .collect()
}

/// Removes the files of one partition's data base whose names hold `part`.
fn remove_files(state_dir: &Path, partition: &str, part: &str) {
    files(state_dir, partition, part).iter().for_each(|file| std::fs::remove_file(file).unwrap());
}

fn files(state_dir: &Path, partition: &str, part: &str) -> Vec<PathBuf> {
    let found: Vec<PathBuf> = std::fs::read_dir(state_dir.join(partition))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().contains(part))
        .collect();
    assert!(!found.is_empty());
    found
}

#[test]
fn records_of_an_aborted_transaction_never_happened() {
    let ground = Ground::new("aborted", 1);
    let _summer = ground.start(&Settings::new(&ground.place, "a"));
    let input = ground.place.topic("input");
    let doomed = system_tests::feed::Feed::in_transaction(ground.place.brokers(), "aborted-producer");
    ground.say_in(0, "k", "+1");
    doomed.send_to(&input, 0, "k", b"+1000");
    doomed.flush();
    ground.say_in(0, "k", "+2");
    doomed.abort();
    ground.wait_for_all_sums();
    ground.assert_exactly_once();
}

/// It holds records of an open transaction of the changelog just then, for which its client would wait for ever.
#[test]
fn a_process_that_is_asked_to_end_while_it_restores_ends() {
    let ground = Ground::new("amid", 1);
    let settings = Settings::new(&ground.place, "a");
    let with = |more: &[(&str, &str)]| {
        let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        settings.properties.clone().into_iter().chain(more).collect()
    };
    // Some hundred batches, each of which is an answer of its own: its restore takes tens of seconds.
    let in_small_batches = with(&[("batch.num.messages", "20")]);
    work_and_end(&ground, &Settings { properties: in_small_batches, ..settings.clone() }, 6_000, 6_000);
    std::fs::remove_dir_all(&settings.state_dir).unwrap();
    let slowly = [("fetch.message.max.bytes", "1"), ("queued.min.messages", "1"), ("fetch.queue.backoff.ms", "400")];
    let file = ground.place.path("metrics");
    let slow = Settings { properties: with(&slowly), metrics: Some(file.clone()), ..settings.clone() };
    let mut summer = ground.start(&slow);
    wait::until("it is amid its restore", || {
        let shown = std::fs::read_to_string(&file).unwrap_or_default();
        let left = shown.lines().filter_map(|line| {
            line.strip_prefix("cascade_restore_remaining_records{partition=\"0\"} ")?.parse::<u64>().ok()
        });
        left.into_iter().any(|left| (1_000..5_900).contains(&left))
    });
    assert!(summer.terminate().success(), "{}", summer.said());
}
