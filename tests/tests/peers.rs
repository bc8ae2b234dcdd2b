//! The work that the engine is measured on beside others, done by the engine: what is measured is right.

use std::path::Path;

use system_tests::feed::{Feed, create_topics};
use system_tests::peers::judge::{fold, found};
use system_tests::peers::load::{Keys, Load};
use system_tests::peers::meter::samples;
use system_tests::peers::operator::Order;
use system_tests::peers::{OUTPUTS, PARTITIONS};
use system_tests::place::Place;
use system_tests::process::Process;
use system_tests::wait::until;

#[test]
fn the_engine_does_what_a_plain_fold_does() {
    let place = Place::new("peers");
    let load = Load { events: 20_000, customers: 5_000, keys: Keys::Hot, seed: 1 };
    let outputs: Vec<String> = OUTPUTS.iter().map(|name| place.topic(name)).collect();
    let (input, changelog) = (place.topic("input"), place.topic("changelog"));
    let topics: Vec<(&str, i32)> =
        outputs.iter().chain([&input, &changelog]).map(|name| (name.as_str(), PARTITIONS)).collect();
    create_topics(place.brokers(), &topics);
    let feed = Feed::new(place.brokers());
    load.events().for_each(|event| feed.send(&input, &event.key(), &event.value));
    feed.flush();

    let order = Order {
        brokers: place.cascade_brokers().to_owned(),
        properties: place.properties().iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        group: place.topic("operator"),
        input,
        changelog,
        outputs: outputs.clone(),
        state_dir: place.path("state"),
        // Fewer than there are customers, so that rows come back from the store.
        rows: Some(500),
        shards: 1,
        arm_at: None,
    };
    let order = serde_json::to_string(&order).unwrap();
    let none: [(&str, &str); 0] = [];
    let program = Path::new(env!("CARGO_BIN_EXE_bench"));
    let mut operator = Process::start(program, ["peers", "ours", &order], none, &place.path("operator.log"));
    until("everything is done", || {
        assert!(operator.is_running(), "{}", operator.said());
        samples(&operator.said()).last().is_some_and(|sample| sample.events >= load.events)
    });
    assert!(operator.terminate().success(), "{}", operator.said());
    let right = fold(load.events(), 0, None);
    assert_eq!(found(place.brokers(), &outputs), right.outputs);
    assert!(right.outputs.iter().all(|tally| tally.records > 0), "every channel has something to say");
}
