//! What becomes of each record: into `input`, or into `dead-letter` with the reason.

use std::time::Duration;

use schemas::{Fact, Ids, Input, Origin, Progress, Unreadable, dead_letter};
use stream::kafka::Record;
use stream::relay::{Handler, Out, Positions};
use stream::{Error, Verdict};

use crate::metrics::Metrics;
use crate::normal::{Kind, Source, normalize};
use crate::progress::Ledger;
use crate::reject::Reject;

/// Indices of the relay's outputs.
const INPUT: usize = 0;
const DEAD_LETTER: usize = 1;

/// The handler of the loop.
pub(crate) struct Forward {
    sources: Vec<(String, Kind)>,
    ids: Ids,
    metrics: Metrics,
    ledger: Ledger,
    buffer: Vec<u8>,
}

impl Forward {
    pub(crate) fn new(sources: Vec<(String, Kind)>, ids: Ids, metrics: Metrics, interval: Duration) -> Self {
        Forward { sources, ids, metrics, ledger: Ledger::new(interval), buffer: Vec::with_capacity(1024) }
    }

    fn write_input(
        &mut self,
        partition: Option<i32>,
        key: Option<&str>,
        input: &Input,
        headers: &[(&str, &[u8])],
        out: &mut Out<'_>,
    ) -> Result<(), Error> {
        self.buffer.clear();
        schemas::encode_into(input, &mut self.buffer);
        out.produce(INPUT, partition, key.map(str::as_bytes), Some(&self.buffer), headers)
    }

    /// Key, value and headers stay as they are; ours stand behind.
    fn write_dead_letter(
        &mut self,
        record: &Record,
        source: &Source<'_>,
        reject: &Reject,
        out: &mut Out<'_>,
    ) -> Result<(), Error> {
        let original = record.headers();
        let (partition, offset) = (source.partition.to_string(), source.offset.to_string());
        let mut headers: Vec<(&str, &[u8])> =
            original.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        headers.extend([
            (dead_letter::EXCEPTION, reject.class().as_bytes()),
            (dead_letter::STACKTRACE, b"".as_slice()),
            (dead_letter::MESSAGE, reject.message.as_bytes()),
            (dead_letter::TOPIC, source.topic.as_bytes()),
            (dead_letter::PARTITION, partition.as_bytes()),
            (dead_letter::OFFSET, offset.as_bytes()),
            (dead_letter::CODE, reject.code.as_bytes()),
            (dead_letter::STAGE, b"intake".as_slice()),
        ]);
        out.produce(DEAD_LETTER, None, source.key, source.value, &headers)?;
        self.metrics.refused(reject.code);
        // A fact of unknown meaning: he may have bought just now.
        let Some(customer) = &reject.customer else { return Ok(()) };
        let fact = Fact::Unreadable(Unreadable { code: reject.code.to_owned() });
        self.write_input(None, Some(customer), &Input { origin: source.origin(), fact, hops: 0 }, &[], out)
    }
}

impl Handler for Forward {
    fn record(&mut self, record: &Record, out: &mut Out<'_>) -> Result<(), Error> {
        let (topic, kind) = &self.sources[record.topic()];
        let topic = topic.clone();
        let source = Source {
            kind: *kind,
            topic: &topic,
            partition: record.partition(),
            offset: record.offset(),
            appended_at: record.timestamp(),
            key: record.key(),
            value: record.value(),
        };
        self.metrics.consumed(&topic);
        self.ledger.read(record.topic(), record.partition(), record.timestamp());
        match normalize(&source, &self.ids) {
            Ok(normal) => {
                // How often it was redriven goes on with it: the operator may refuse what is fine with us.
                let count = record.header(dead_letter::REDRIVEN).map(|count| (dead_letter::REDRIVEN, count));
                self.write_input(None, Some(&normal.customer_id), &normal.input, count.as_slice(), out)
            }
            Err(reject) => self.write_dead_letter(record, &source, &reject, out),
        }
    }

    fn tick(&mut self, positions: &Positions, out: &mut Out<'_>) -> Result<(), Error> {
        for moved in self.ledger.due(positions) {
            let topic = self.sources[moved.topic].0.clone();
            let origin = Origin {
                topic: topic.clone(),
                partition: moved.partition,
                offset: moved.next,
                appended_at: moved.until,
            };
            let progress = Progress { topic, partition: moved.partition, offset: moved.next, until: moved.until };
            let input = Input { origin, fact: Fact::Progress(progress), hops: 0 };
            for partition in 0..out.partitions(INPUT) {
                self.write_input(Some(partition), None, &input, &[], out)?;
            }
        }
        Ok(())
    }

    fn committed(&mut self, _: usize, took: Duration) {
        self.metrics.committed(took);
    }

    fn dropped(&mut self, cause: Verdict) {
        self.ledger.forget();
        self.metrics.dropped(cause);
    }
}
