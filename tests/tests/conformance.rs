//! The simulated brokers say the same as Kafka, wherever the engine relies on it.

use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::Signal;
use stream::Topics;
use stream::simulation::conformance::{Hands, Observations, of_kafka, of_simulation};
use system_tests::broker::several;
use system_tests::feed::{create_topic_on, create_topics, leaders};
use system_tests::place::Place;
use system_tests::wait::until;
use system_tests::wire;

/// A changelog as it is, but what takes days takes seconds.
const CHANGELOG: [(&str, &str); 5] = [
    ("cleanup.policy", "compact"),
    ("segment.ms", "100"),
    ("min.cleanable.dirty.ratio", "0.0"),
    ("delete.retention.ms", "4000"),
    ("min.insync.replicas", "1"),
];

/// Brokers that have its partitions, each alone.
const HOMES: [i32; 2] = [1, 2];

struct Test {
    place: Place,
    made: AtomicU32,
}

impl Hands for Test {
    fn topics(&self) -> Topics {
        let made = self.made.fetch_add(1, Ordering::Relaxed);
        let [input, changelog, output] =
            ["input", "changelog", "output"].map(|what| self.place.topic(&format!("{what}-{made}")));
        create_topics(self.place.brokers(), &[(&input, 2), (&output, 2)]);
        create_topic_on(self.place.brokers(), &changelog, &HOMES, &CHANGELOG);
        Topics { input, changelog, reference: None, outputs: vec![output] }
    }

    fn commit_again(&self, transactional_id: &str) -> Result<(), String> {
        wire::commit_again(self.place.plain_brokers(), transactional_id)
    }

    fn lead(&self, changelog: &str, is_led: bool) {
        if is_led {
            several().start_again(HOMES[1]);
        } else {
            several().stop(HOMES[1], Signal::SIGTERM);
            until("nobody leads it", || leaders(self.place.brokers(), changelog)[1].is_none());
        }
    }
}

#[test]
fn simulated_brokers_say_what_kafka_says() {
    // Whoever asks first decides what it is made of.
    several();
    let test = Test { place: Place::new("conformance"), made: AtomicU32::new(0) };
    let kafka = of_kafka(&test.place.settings("conformance"), &test).expect("Kafka is there");
    for seed in 0..50 {
        let simulated = of_simulation(seed).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let differing: Vec<_> = simulated.iter().zip(&kafka).filter(|(simulated, kafka)| simulated != kafka).collect();
        assert!(
            differing.is_empty() && simulated.len() == kafka.len(),
            "seed {seed}, (simulated, Kafka): {differing:#?}"
        );
    }
    assert_expected(&kafka);
}

#[test]
fn simulated_brokers_say_what_is_expected() {
    for seed in 0..50 {
        assert_expected(&of_simulation(seed).unwrap_or_else(|error| panic!("seed {seed}: {error}")));
    }
}

/// Both could be wrong in the same way.
#[track_caller]
fn assert_expected(observed: &Observations) {
    let value = |what: &str| observed.iter().find(|(known, _)| *known == what).map(|(_, value)| value.as_str());
    assert_eq!(value("after a commit one reads"), Some(r#"["one", "two"]"#));
    assert_eq!(value("the partition holds"), Some("(0, 3)"));
    assert_eq!(value("after a renewal one reads"), Some(r#"["later"]"#));
    assert_eq!(value("its predecessor's commit is refused"), Some("true"));
    assert_eq!(value("then one reads"), Some(r#"["kept", "successor"]"#));
    assert_eq!(value("behind an open transaction one reads"), Some("[]"));
    assert_eq!(value("while another one is silent, who stays owns"), Some("{0, 1}"));
    assert_eq!(value("who was silent commits in vain"), Some("Err(Fenced)"));
    assert_eq!(value("it learns that its partitions were lost"), Some("true"));
    assert_eq!(value("then one reads of both attempts"), Some(r#"["later"]"#));
    assert_eq!(value("a transaction that takes too long ends"), Some("true"));
    assert_eq!(value("of all that one reads"), Some(r#"["anew"]"#));
    assert_eq!(value("while a transaction moves it, it stands at"), Some("Err(Retry)"));
    assert_eq!(value("after one that was given up"), Some("Some(5)"));
    assert_eq!(value("after a commit that comes twice one reads"), Some(r#"["whole", "torn"]"#));
    assert_eq!(value("what follows it there is refused"), Some("true"));
    assert_eq!(value("and in the end one reads"), Some(r#"["whole", "torn", "anew"]"#));
    assert_eq!(value("a second half elsewhere is taken"), Some("true"));
    assert_eq!(value("after it"), Some(r#"["gone nothing", "kept two"]"#));
    assert_eq!(value("and when the tombstone is old"), Some(r#"["kept two"]"#));
    for nothing in
        ["the range of a partition that nobody leads is", "its end is", "both ends together are", "still its range is"]
    {
        assert_eq!(value(nothing), Some("Err(Retry)"), "{nothing}");
    }
    assert_eq!(value("and of the one beside it"), Some("Ok((0, 0))"));
    assert_eq!(value("there the group stands at"), Some("Ok(Some(1))"));
    assert_eq!(value("and beside it at"), Some("Ok(None)"));
    assert_eq!(value("a commit beside it goes through"), Some("true"));
    assert_eq!(value("once somebody leads it, its range is"), Some("Ok((0, 2))"));
    assert_eq!(value("and a commit to it goes through"), Some("true"));
    assert_eq!(value("who owns all is to give something up"), Some("true"));
    assert_eq!(value("after it came back all that is owned is"), Some("{0, 1}"));
}
