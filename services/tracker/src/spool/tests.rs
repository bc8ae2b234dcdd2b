//! An outage, a full spool and the end, with paused time.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use prometheus::Registry;
use schemas::Status;
use schemas::json::SourceRecord;
use stream::kafka::partition_of;
use tokio::task::JoinSet;

use super::*;
use crate::sink::{Publication, Refused};

/// Kafka, which may be away.
#[derive(Default)]
struct Brokers {
    are_away: AtomicBool,
    published: AtomicUsize,
    /// How many partitions there are, where there is more than one, and the one that nobody leads.
    headless: std::sync::Mutex<Option<(i32, i32)>>,
    trials: AtomicUsize,
}

impl Sink for Brokers {
    fn publish<'a>(&'a self, fact: &'a Feedback) -> Publication<'a> {
        Box::pin(async move {
            let headless = *self.headless.lock().unwrap();
            if headless.is_some_and(|(count, one)| partition_of(fact.customer_id.as_bytes(), count) == one) {
                self.trials.fetch_add(1, Ordering::Relaxed);
                // So long the client waits for an acknowledgement.
                tokio::time::sleep(Duration::from_secs(10)).await;
                return Err(Refused("no leader".to_owned()));
            }
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

/// Each is of another send.
fn click() -> Feedback {
    static SENDS: AtomicUsize = AtomicUsize::new(0);
    let event_id = format!("{}/CLICKED", SENDS.fetch_add(1, Ordering::Relaxed));
    Feedback { event_id, channel: "email".to_owned(), status: Status::Clicked, ..Feedback::default() }
}

/// A spool into these brokers, its task and what counts.
fn started(brokers: &Arc<Brokers>) -> (Spool, JoinSet<()>, Registry) {
    let registry = Registry::new();
    let (spool, waiting) = spool(Metrics::new(&registry).unwrap());
    let mut task = JoinSet::new();
    let partitions = brokers.headless.lock().unwrap().map_or(1, |(count, _)| count);
    task.spawn(publish(waiting, Arc::clone(brokers) as Arc<dyn Sink>, partitions));
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

#[tokio::test(start_paused = true)]
async fn who_follows_one_link_without_end_is_told_once_and_takes_no_room() {
    let brokers = Arc::new(Brokers::default());
    let (spool, mut task, registry) = started(&brokers);
    brokers.are_away.store(true, Ordering::Relaxed);
    let (same, other) = (click(), click());
    (0..2 * LIMIT).for_each(|_| spool.put(same.clone()));
    spool.put(other);
    assert_eq!(counted(&registry, "cascade_tracker_lost_total"), 0.0, "there was room for others");
    brokers.are_away.store(false, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(60)).await;
    spool.put(same);
    drop(spool);
    task.join_next().await.unwrap().unwrap();
    assert_eq!(brokers.published.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn what_was_lost_is_told_when_it_comes_again() {
    let brokers = Arc::new(Brokers::default());
    let (spool, _task, registry) = started(&brokers);
    brokers.are_away.store(true, Ordering::Relaxed);
    let late = click();
    (0..LIMIT).for_each(|_| spool.put(click()));
    spool.put(late.clone());
    assert_eq!(counted(&registry, "cascade_tracker_lost_total"), 1.0);
    brokers.are_away.store(false, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(60)).await;
    spool.put(late);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(brokers.published.load(Ordering::Relaxed), LIMIT + 1);
}

/// Clicks of so many customers whose partition, of twelve, is this one, or any but this one.
fn clicks(count: usize, partition: i32, is_there: bool) -> impl Iterator<Item = Feedback> {
    let customers = (0..).map(|number: u32| number.to_string());
    let there = move |id: &String| (partition_of(id.as_bytes(), 12) == partition) == is_there;
    customers.filter(there).take(count).map(|customer_id| Feedback { customer_id, ..click() })
}

#[tokio::test(start_paused = true)]
async fn one_partition_that_takes_nothing_holds_up_no_other() {
    let brokers = Arc::new(Brokers { headless: Some((12, 5)).into(), ..Brokers::default() });
    let (spool, mut task, registry) = started(&brokers);
    let published = || brokers.published.load(Ordering::Relaxed);
    clicks(3 * AT_ONCE, 5, true).for_each(|fact| spool.put(fact));
    clicks(100, 5, false).for_each(|fact| spool.put(fact));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(published(), 100, "others go on before anybody knows that the partition is out");
    tokio::time::sleep(Duration::from_secs(60)).await;
    clicks(100, 5, false).for_each(|fact| spool.put(fact));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(published(), 200);
    let before = brokers.trials.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(180)).await;
    let trials = brokers.trials.load(Ordering::Relaxed) - before;
    assert!((9..=11).contains(&trials), "one at a time, with eight seconds between: {trials}");
    *brokers.headless.lock().unwrap() = None;
    drop(spool);
    task.join_next().await.unwrap().unwrap();
    assert_eq!((published(), counted(&registry, "cascade_tracker_lost_total")), (200 + 3 * AT_ONCE, 0.0));
}

#[tokio::test(start_paused = true)]
async fn one_partition_fills_half_of_the_room_at_most() {
    let brokers = Arc::new(Brokers { headless: Some((12, 5)).into(), ..Brokers::default() });
    let (spool, _task, registry) = started(&brokers);
    clicks(LIMIT, 5, true).for_each(|fact| spool.put(fact));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(counted(&registry, "cascade_tracker_lost_total"), 5_000.0);
    clicks(100, 5, false).for_each(|fact| spool.put(fact));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(brokers.published.load(Ordering::Relaxed), 100);
    assert_eq!(counted(&registry, "cascade_tracker_lost_total"), 5_000.0);
}
