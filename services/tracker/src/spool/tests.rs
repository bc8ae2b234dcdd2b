//! An outage, a full spool and the end, with paused time.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use prometheus::Registry;
use schemas::Status;
use schemas::json::SourceRecord;

use super::*;
use crate::sink::{Publication, Refused};

/// Kafka, which may be away.
#[derive(Default)]
struct Brokers {
    are_away: AtomicBool,
    published: AtomicUsize,
}

impl Sink for Brokers {
    fn publish<'a>(&'a self, _: &'a Feedback) -> Publication<'a> {
        Box::pin(async move {
            if self.are_away.load(Ordering::Relaxed) {
                return Err(Refused("away".to_owned()));
            }
            self.published.fetch_add(1, Ordering::Relaxed);
            Ok(())
        })
    }

    fn put<'a>(&'a self, _: &'a SourceRecord) -> Publication<'a> {
        Box::pin(async { Ok(()) })
    }
}

fn click() -> Feedback {
    Feedback { channel: "email".to_owned(), status: Status::Clicked, ..Feedback::default() }
}

/// A spool into these brokers, its task and what counts.
fn started(brokers: &Arc<Brokers>) -> (Spool, JoinSet<()>, Registry) {
    let registry = Registry::new();
    let (spool, waiting) = spool(Metrics::new(&registry).unwrap());
    let mut task = JoinSet::new();
    task.spawn(publish(waiting, Arc::clone(brokers) as Arc<dyn Sink>));
    (spool, task, registry)
}

fn counted(registry: &Registry, name: &str) -> f64 {
    let families = registry.gather();
    let found = families.iter().filter(|family| family.name() == name).flat_map(|family| family.get_metric());
    found.map(|metric| metric.get_counter().get_value()).sum()
}

#[tokio::test(start_paused = true)]
async fn an_outage_takes_no_click_as_long_as_there_is_room() {
    let brokers = Arc::new(Brokers::default());
    let (spool, mut task, registry) = started(&brokers);
    brokers.are_away.store(true, Ordering::Relaxed);
    (0..3 * AT_ONCE).for_each(|_| spool.put(click()));
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!(counted(&registry, "cascade_tracker_lost_total"), 0.0);
    brokers.are_away.store(false, Ordering::Relaxed);
    drop(spool);
    task.join_next().await.unwrap().unwrap();
    assert_eq!(brokers.published.load(Ordering::Relaxed), 3 * AT_ONCE);
    assert_eq!(counted(&registry, "cascade_feedback_total"), 768.0);
    assert_eq!(counted(&registry, "cascade_tracker_lost_total"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn what_finds_no_room_and_what_still_waits_at_the_end_is_counted_as_lost() {
    let brokers = Arc::new(Brokers::default());
    let (spool, task, registry) = started(&brokers);
    brokers.are_away.store(true, Ordering::Relaxed);
    // Nobody takes any out of it meanwhile: this is one thread, which does not wait.
    (0..LIMIT + 3).for_each(|_| spool.put(click()));
    assert_eq!(counted(&registry, "cascade_tracker_lost_total"), 3.0);
    tokio::time::sleep(Duration::from_secs(60)).await;
    drop(task);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(counted(&registry, "cascade_tracker_lost_total"), 10_003.0);
}
