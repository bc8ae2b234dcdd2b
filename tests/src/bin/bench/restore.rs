//! How fast a replica that has lost its directory gets it back from the changelog, beside what reading the same records and
//! writing the same rows costs at least.

use std::fmt::Write;

use rdkafka::Message as _;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rocksdb::{DB, Options, WriteBatch, WriteOptions};
use schemas::encode;
use stream::clock::Tick;
use system_tests::feed::Feed;

use crate::eye::{ANSWER, reader, volume};
use crate::ground::Ground;
use crate::relay::Spent;
use crate::workload::{history, name};
use system_tests::cpu::{load, seconds_of};

/// Bytes of a batch of the ceiling.
const BATCH_BYTES: usize = 8 << 20;

/// Measures, and gives back a table.
pub fn measure(customers: usize) -> String {
    let before = load();
    let ground = Ground::new("bench-restore");
    fill(&ground, customers);
    let changelog = volume(ground.place.brokers(), &[&ground.topics.changelog()]);
    std::fs::remove_dir_all(ground.state_dir()).expect("the directory can be removed");

    let begun = Tick::now();
    let mut operator = ground.start("operator");
    operator.wait_until_ready();
    let restored = Spent { cpu_seconds: operator.cpu_seconds(), wall_seconds: begun.elapsed().as_secs_f64() };
    let peak = operator.memory_mb("VmHWM");
    operator.end();
    let ceiling = read_and_write(&ground);

    let mut table = format!(
        "{customers} customers with a running cascade each; {} changelog records, {:.0} bytes each\n\n",
        changelog.records,
        changelog.bytes as f64 / changelog.records as f64
    );
    let _ = writeln!(table, "{:<44}{:>8}{:>20}{:>10}", "", "CPU s", "customers per CPU s", "wall s");
    for (what, spent) in [("cascade operator", restored), ("ceiling: read, and write the same rows", ceiling)] {
        let per_cpu = customers as f64 / spent.cpu_seconds;
        let _ = writeln!(table, "{what:<44}{:>8.2}{per_cpu:>20.0}{:>10.1}", spent.cpu_seconds, spent.wall_seconds);
    }
    let ratio = ceiling.cpu_seconds / restored.cpu_seconds;
    let _ = write!(
        table,
        "\ncascade reaches {ratio:.2} of its ceiling (CPU), with {peak:.0} MB of memory at most; load of the machine {before}, then {}",
        load()
    );
    table
}

/// Everybody is known and has registered: a message went out, and its outcome is waited for.
fn fill(ground: &Ground, customers: usize) {
    let feed = Feed::new(ground.place.brokers());
    let input = ground.topics.input();
    for turn in 0..2 {
        for number in 0..customers {
            let customer = name(number);
            feed.send(&input, &customer, &encode(&history(&customer, turn)));
        }
    }
    feed.flush();
    let mut operator = ground.start("operator");
    operator.wait_until_done(ground.place.brokers(), &input);
    operator.end();
}

/// The least that a restore has to do: each committed record once into a data base.
fn read_and_write(ground: &Ground) -> Spent {
    let (begun, cpu) = (Tick::now(), seconds_of("self"));
    let mut options = Options::default();
    options.create_if_missing(true);
    let db = DB::open(&options, ground.place.path("ceiling")).expect("a data base can be made");
    let mut unlogged = WriteOptions::default();
    unlogged.disable_wal(true);
    let consumer = reader(ground.place.brokers(), &[&ground.topics.changelog()]);
    let all = consumer.assignment().expect("partitions are assigned").count();
    let (mut batch, mut ended) = (WriteBatch::default(), 0);
    while ended < all {
        match consumer.poll(ANSWER) {
            Some(Ok(message)) => {
                batch.put(message.key().unwrap_or_default(), message.payload().unwrap_or_default());
                if batch.size_in_bytes() > BATCH_BYTES {
                    db.write_opt(std::mem::take(&mut batch), &unlogged).expect("the disk takes it");
                }
            }
            Some(Err(KafkaError::PartitionEOF(_))) => ended += 1,
            Some(Err(error)) => panic!("cannot read: {error}"),
            None => panic!("the broker does not answer"),
        }
    }
    db.write_opt(batch, &unlogged).expect("the disk takes it");
    db.flush().expect("the disk takes it");
    Spent { cpu_seconds: seconds_of("self") - cpu, wall_seconds: begun.elapsed().as_secs_f64() }
}
