//! The simulated brokers say the same as Kafka, wherever the engine relies on it.

use stream::Topics;
use stream::simulation::conformance::{Observations, of_kafka, of_simulation};
use system_tests::feed::create_topics;
use system_tests::place::Place;

#[test]
fn simulated_brokers_say_what_kafka_says() {
    let place = Place::new("conformance");
    let settings = place.settings("conformance");
    let mut made = 0;
    let kafka = of_kafka(&settings, || {
        made += 1;
        let [input, changelog, output] =
            ["input", "changelog", "output"].map(|what| place.topic(&format!("{what}-{made}")));
        create_topics(place.brokers(), &[(&input, 2), (&changelog, 2), (&output, 2)]);
        Topics { input, changelog, reference: None, outputs: vec![output] }
    });
    let kafka = kafka.expect("Kafka is there");
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
}
