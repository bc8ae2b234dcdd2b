//! The reader by itself.

use std::time::Duration;

use stream::kafka::{Fetched, Reader};
use system_tests::wait::until;

use crate::steps::Ground;

#[test]
fn a_reader_whose_client_falls_silent_reads_on_with_another_one() {
    let ground = Ground::new("silent", 2);
    let mut reader = Reader::new(&ground.place.settings("silent")).unwrap();
    let input = reader.topic(&ground.place.topic("input")).unwrap();
    (0..2).for_each(|partition| reader.start(input, partition, 0).unwrap());
    ground.say_in(0, "k", "+1");
    let mut read = Vec::new();
    let mut read_until = |reader: &mut Reader, count: usize| {
        until("its records come", || {
            let mut fetched = Vec::new();
            reader.fetch(Duration::from_millis(10), 100, &mut fetched).unwrap();
            read.extend(fetched.iter().filter_map(|item| match item {
                Fetched::Record(record) => Some((record.partition(), record.offset())),
                _ => None,
            }));
            read.len() >= count
        });
    };
    read_until(&mut reader, 1);
    reader.fall_silent().unwrap();
    ground.say_in(0, "k", "+2");
    ground.say_in(1, "l", "+3");
    read_until(&mut reader, 3);
    read.sort_unstable();
    assert_eq!(read, [(0, 0), (0, 1), (1, 0)]);
}
