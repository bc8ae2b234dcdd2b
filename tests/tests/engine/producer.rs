//! The transactional producer by itself.

use std::time::Duration;

use stream::clock::Tick;
use stream::kafka::Producer;
use system_tests::tail::Message;

use crate::steps::Ground;

#[test]
fn an_abort_returns_at_once_though_records_were_not_sent_yet() {
    let ground = Ground::new("abort", 1);
    let settings = ground.place.settings("abort");
    let mut producer = Producer::new(&settings, "aborting").unwrap();
    let sums = producer.topic(&ground.place.topic("sums")).unwrap();
    for round in 0..5 {
        producer.begin().unwrap();
        for _ in 0..1_000 {
            producer.produce(sums, None, Some(b"k"), Some(b"never"), &[]).unwrap();
        }
        let begun = Tick::now();
        producer.abort().unwrap();
        assert!(begun.elapsed() < Duration::from_secs(5), "round {round}");
    }
    producer.begin().unwrap();
    producer.produce(sums, None, Some(b"k"), Some(b"kept"), &[]).unwrap();
    producer.commit().unwrap();
    let read = ground.read("sums");
    assert_eq!(read.iter().map(Message::text).collect::<Vec<_>>(), ["kept"]);
}
