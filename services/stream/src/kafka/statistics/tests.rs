use std::time::Duration;

use super::*;
use crate::clock::Tick;
use crate::kafka::{Producer, Settings};

fn value(registry: &Registry, name: &str) -> Option<f64> {
    let families = registry.gather();
    let family = families.iter().find(|family| family.name() == name)?;
    let metric = family.get_metric().first()?;
    assert_eq!(metric.get_label()[0].value(), "producer");
    Some(metric.get_gauge().get_value() + metric.get_counter().get_value())
}

#[test]
fn clients_of_one_kind_are_one_series_and_what_was_counted_stays() {
    let (statistics, registry) = (Statistics::default(), Registry::new());
    assert!(statistics.watch("producer").is_none(), "nobody wants to see it");
    statistics.show(&registry).unwrap();
    let (one, two) = (statistics.watch("producer").unwrap(), statistics.watch("producer").unwrap());
    one.take(br#"{"name": "a", "msg_cnt": 3, "msg_size": 300, "brokers": {"b:1": {"req_timeouts": 2, "rtt": {"p99": 1500}}}}"#);
    two.take(br#"{"msg_cnt": 4, "msg_size": 40, "brokers": {"b:1": {"req_timeouts": 1, "rtt": {"p99": 2500}, "disconnects": 5}}}"#);
    one.take(
        br#"{"msg_cnt": 1, "msg_size": 100, "brokers": {"b:1": {"req_timeouts": 3}, "b:2": {"req_timeouts": 1}}}"#,
    );
    one.take(b"no JSON");
    let shown = |name: &str| value(&registry, &format!("cascade_kafka_{name}"));
    assert_eq!(shown("queue_messages"), Some(5.0));
    assert_eq!(shown("queue_bytes"), Some(140.0));
    assert_eq!(shown("round_trip_p99_seconds"), Some(0.0025));
    two.end();
    two.take(br#"{"msg_cnt": 9}"#);
    assert_eq!(shown("queue_messages"), Some(1.0));
    assert_eq!(shown("round_trip_p99_seconds"), Some(0.0));
    assert_eq!(shown("requests_timed_out_total"), Some(5.0));
    assert_eq!(shown("disconnects_total"), Some(5.0));
}

#[test]
fn a_producer_that_is_heard_tells_of_itself() {
    // The client library's own cluster of one broker; it tells more often than ours do.
    let properties = [("test.mock.num.brokers", "1"), ("statistics.interval.ms", "50")];
    let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let settings = Settings { properties: Arc::new(properties), ..Settings::new("127.0.0.1:1", "test") };
    let registry = Registry::new();
    settings.statistics.show(&registry).unwrap();
    let producer = Producer::new(&settings, "one").unwrap();
    let until = Tick::now().after(Duration::from_secs(30));
    while value(&registry, "cascade_kafka_round_trip_p99_seconds").is_none_or(|seconds| seconds == 0.0) {
        assert!(!until.remaining().is_zero(), "nothing is told");
        producer.hear(Duration::from_millis(10));
    }
    drop(producer);
    assert_eq!(value(&registry, "cascade_kafka_queue_messages"), Some(0.0));
}
