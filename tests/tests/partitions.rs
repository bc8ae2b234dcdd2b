//! A key lies in the partition where Java's clients put it: what producers in other languages write meets its customer.

use std::collections::BTreeMap;

use system_tests::installation::{Installation, Plan};
use system_tests::tail::Message;

/// Keys and what Java's `Utils.murmur2` makes of them; the first six stand in Kafka's own tests.
const VECTORS: [(&str, i32); 7] = [
    ("21", -973_932_308),
    ("foobar", -790_332_482),
    ("a-little-bit-long-string", -985_981_536),
    ("a-little-bit-longer-string", -1_486_304_829),
    ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
    ("abc", 479_470_107),
    ("клиент-7", -434_688_389),
];

const PARTITIONS: i32 = 7;

#[test]
fn every_topic_keeps_a_customer_in_the_partition_that_java_chooses() {
    let plan = Plan { partitions: PARTITIONS, ..Plan::new("murmur2", &["bonus-expiring"], &["push"]) };
    let shop = Installation::start(&plan);
    let wanted: BTreeMap<String, i32> =
        VECTORS.iter().map(|(key, hash)| ((*key).to_owned(), (hash & i32::MAX) % PARTITIONS)).collect();
    for key in wanted.keys() {
        shop.customer(key, &["push"]);
    }
    shop.settle();
    for key in wanted.keys() {
        shop.action(key, "bonus_expiring", Some("account"), &[("points", "1")]);
    }
    shop.settle();
    // A receipt comes in by the tracker.
    shop.receipt(&shop.message("foobar", "push"), "delivered");
    shop.settle();

    let topics = &shop.topics;
    let chosen_by_ours = [topics.input(), topics.send("push"), topics.journal(), topics.feedback()];
    for topic in chosen_by_ours {
        assert_eq!(places(&shop.read(&topic)), wanted, "{topic}");
    }
    // The order of the shop's own events is that of its producer's partitions, which choose alike.
    assert_eq!(places(&shop.read(&topics.action())), wanted);
}

/// Where each key lies; it must be one place.
fn places(messages: &[Message]) -> BTreeMap<String, i32> {
    let mut places = BTreeMap::new();
    for message in messages.iter().filter(|message| !message.key.is_empty()) {
        let before = places.insert(message.key_text().to_owned(), message.partition);
        assert!(before.is_none_or(|before| before == message.partition), "{} is in two partitions", message.key_text());
    }
    places
}
