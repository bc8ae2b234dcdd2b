//! Which output is right, and which output there is.

use std::collections::HashMap;
use std::time::Duration;

use rdkafka::Message as _;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use stream::clock::Millis;

use super::avro::Cursor;
use super::cascade::{Cascade, Row};
use super::load::{Event, key_of};
use super::{OUTPUTS, fnv};
use crate::tail::reader;

const ANSWER: Duration = Duration::from_secs(60);

/// What lies in a topic, in whatever order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many records.
    pub records: u64,
    /// The sum of their digests. Those hold nothing that depends on the clock.
    pub digest: u64,
}

impl Tally {
    fn take(&mut self, topic: usize, value: &[u8]) {
        self.records += 1;
        self.digest = self.digest.wrapping_add(fnv(lasting(topic, value)));
    }
}

/// Of a journal entry everything but its moment, which stands last; of a send its id, which stands first.
fn lasting(topic: usize, value: &[u8]) -> &[u8] {
    let mut from = Cursor::behind_frame(value);
    let _first = from.string();
    if topic == 0 {
        let (_event, _decision, _step) = (from.string(), from.long(), from.long());
    }
    from.seen()
}

/// What a run comes to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// As in [`OUTPUTS`].
    pub outputs: [Tally; OUTPUTS.len()],
    /// Bytes of all values that are written to each of them.
    pub bytes: [u64; OUTPUTS.len()],
    /// Bytes of all rows that are written, one for each event and deadline.
    pub row_bytes: u64,
    /// How many customers have a row.
    pub customers: u64,
}

impl Outcome {
    fn take(&mut self, topic: usize, value: &[u8]) {
        self.outputs[topic].take(topic, value);
        self.bytes[topic] += value.len() as u64;
    }

    /// Sends of all channels.
    pub fn sends(&self) -> u64 {
        self.outputs[1..].iter().map(|tally| tally.records).sum()
    }
}

/// The right one, by a plain fold. With `arm_at`, every cart's deadline is that moment, and it has come once everything else is done.
pub fn fold(events: impl Iterator<Item = Event>, now: Millis, arm_at: Option<Millis>) -> Outcome {
    let mut cascade = Cascade::new(arm_at);
    let mut rows: HashMap<u64, Row> = HashMap::new();
    let (mut outcome, mut packed) = (Outcome::default(), Vec::new());
    let mut measure = |row: &Row| {
        packed.clear();
        row.pack(&mut packed);
        packed.len() as u64
    };
    for event in events {
        let row = rows.entry(event.customer).or_default();
        let out = &mut |topic: usize, value: &[u8]| outcome.take(topic, value);
        cascade.event(row, event.key().as_bytes(), &event.value, now, out);
        outcome.row_bytes += measure(row);
    }
    for (customer, row) in &mut rows {
        if arm_at.is_some_and(|at| row.due().is_some_and(|due| due <= at)) {
            let out = &mut |topic: usize, value: &[u8]| outcome.take(topic, value);
            cascade.due(row, key_of(*customer).as_bytes(), now, out);
            outcome.row_bytes += measure(row);
        }
    }
    outcome.customers = rows.len() as u64;
    outcome
}

/// What is committed in the topics `outputs`, as in [`OUTPUTS`].
pub fn found(brokers: &str, outputs: &[String]) -> [Tally; OUTPUTS.len()] {
    let names: Vec<&str> = outputs.iter().map(String::as_str).collect();
    let consumer = reader(brokers, &names, "judge", &[]);
    let all = consumer.assignment().expect("partitions are assigned").count();
    let (mut found, mut ended) = ([Tally::default(); OUTPUTS.len()], 0);
    while ended < all {
        match consumer.poll(ANSWER) {
            Some(Ok(message)) => {
                let topic = names.iter().position(|name| *name == message.topic()).expect("it was asked for");
                found[topic].take(topic, message.payload().unwrap_or_default());
            }
            // Each partition says it once.
            Some(Err(KafkaError::PartitionEOF(_))) => ended += 1,
            Some(Err(error)) => panic!("cannot read: {error}"),
            None => panic!("the broker does not answer"),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::load::{Keys, Load, carts};

    const NOW: Millis = 1_800_000_000_000;

    /// Counted by others, with programs of their own, over outputs of others.
    const KNOWN: [Tally; 4] = [
        Tally { records: 2_000_000, digest: 0xc417_826d_6e71_7fd3 },
        Tally { records: 297_699, digest: 0xb2ad_4f60_2c45_1008 },
        Tally { records: 37_232, digest: 0x7de3_08ac_52c9_8433 },
        Tally { records: 3_950, digest: 0x999d_2a98_0b3c_0073 },
    ];

    #[test]
    fn the_fold_comes_to_what_others_have_counted() {
        let load = Load { events: 2_000_000, customers: 500_000, keys: Keys::Uniform, seed: 1 };
        let outcome = fold(load.events(), NOW, None);
        assert_eq!(outcome.outputs, KNOWN);
    }

    #[test]
    fn every_cart_is_spoken_to_when_its_deadline_comes() {
        let outcome = fold(carts(100), NOW, Some(NOW));
        assert_eq!(outcome.outputs.map(|tally| tally.records), [200, 100, 0, 0]);
        assert_eq!((outcome.sends(), outcome.customers), (100, 100));
        let again = fold(carts(100), NOW + 5, Some(NOW));
        assert_eq!(again.outputs, outcome.outputs, "nothing in them depends on the clock");
    }
}
