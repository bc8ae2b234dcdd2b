//! The example on the engine's front page does what it says.

#[path = "../../../services/stream/examples/counter.rs"]
#[expect(dead_code, reason = "its main is not called here")]
mod counter;

use std::sync::atomic::{AtomicBool, Ordering};

use system_tests::feed::{Feed, create_topics};
use system_tests::place::Place;
use system_tests::tail::Tail;

#[test]
fn the_counter_counts_each_word() {
    let place = Place::new("counter");
    let brokers = place.brokers();
    create_topics(brokers, &["words", "words-counted", "counts"].map(|topic| (topic, 2)));
    let feed = Feed::new(brokers);
    for word in ["push", "sms", "push", "email", "push"] {
        feed.send("words", word, b"");
    }
    feed.flush();
    let stop = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (settings, state) = (place.settings("one"), place.path("state"));
        let counting = scope.spawn(move || counter::count(&settings, &state, stop).map_err(|e| e.to_string()));
        let mut counts = Tail::of(brokers, &["counts"]);
        let counted = counts.until("all words are counted", |counts| counts.len() >= 5);
        let of = |word: &str| -> Vec<String> {
            counted.iter().filter(|count| count.key_text() == word).map(|count| count.text().to_owned()).collect()
        };
        assert_eq!((of("push").join(" "), of("sms").join(" ")), ("1 2 3".to_owned(), "1".to_owned()));
        stop.store(true, Ordering::Relaxed);
        counting.join().unwrap().unwrap();
    });
}
