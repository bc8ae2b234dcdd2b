//! What becomes of each record: into `input`, or into `dead-letter` with the reason.

use std::time::Duration;

use schemas::trace::{Context, TRACEPARENT};
use schemas::{DEAD_LETTER_BYTES_MAX, Fact, Ids, Input, OVERHEAD_BYTES, Origin, Progress, Unreadable, dead_letter};
use stream::kafka::Record;
use stream::relay::{Handler, Out, Positions};
use stream::{Error, Verdict};

use crate::metrics::Metrics;
use crate::normal::{Kind, Source, normalize};
use crate::progress::Ledger;
use crate::refusals::Refusals;
use crate::reject::Reject;

/// Indices of the relay's outputs.
const INPUT: usize = 0;
const DEAD_LETTER: usize = 1;

/// The handler of the loop.
pub(crate) struct Forward {
    sources: Vec<(String, Kind)>,
    ids: Ids,
    refusals: Option<Refusals>,
    metrics: Metrics,
    ledger: Ledger,
    /// Whether cascades are followed: then a record's place in a trace goes on with it.
    follows: bool,
    buffer: Vec<u8>,
}

impl Forward {
    pub(crate) fn new(
        sources: Vec<(String, Kind)>,
        ids: Ids,
        refusals: Option<Refusals>,
        metrics: Metrics,
        interval: Duration,
    ) -> Self {
        metrics.remembered(refusals.as_ref());
        Forward {
            sources,
            ids,
            refusals,
            metrics,
            ledger: Ledger::new(interval),
            follows: false,
            buffer: Vec::with_capacity(1024),
        }
    }

    /// The same, which passes on where in a trace a record stands, if it is to.
    pub(crate) fn followed(self, follows: bool) -> Self {
        Forward { follows, ..self }
    }

    /// Nothing is copied that is no such thing: headers are as their producer pleases.
    fn place<'a>(&self, record: &'a Record) -> Option<(&'a str, &'a [u8])> {
        let header = self.follows.then(|| record.header(TRACEPARENT)).flatten()?;
        let is_place = header.len() <= PLACE_BYTES_MAX && Context::parse(header).is_some();
        is_place.then_some((TRACEPARENT, header))
    }

    /// Whoever was erased and did not want to be written to does not want it now, either.
    fn respect_refusals(&mut self, fact: &mut Fact) -> Result<(), Error> {
        if let (Fact::Profile(profile), Some(refusals)) = (fact, &mut self.refusals) {
            self.metrics.withdrawn(refusals.withdraw(profile)?);
            self.metrics.remembered(Some(refusals));
        }
        Ok(())
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

    /// Key, value and headers stay as they are, as far as there is room for them; ours stand behind.
    fn write_dead_letter(
        &mut self,
        record: &Record,
        source: &Source<'_>,
        reject: &Reject,
        out: &mut Out<'_>,
    ) -> Result<(), Error> {
        let original = record.headers();
        let kept = Kept::of(source.key, source.value, &original);
        let (partition, offset) = (source.partition.to_string(), source.offset.to_string());
        let omitted = kept.omitted.to_string();
        let mut headers: Vec<(&str, &[u8])> =
            kept.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
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
        headers.extend((kept.omitted > 0).then_some((dead_letter::OMITTED, omitted.as_bytes())));
        out.produce(DEAD_LETTER, None, kept.key, kept.value, &headers)?;
        self.metrics.refused(reject.code);
        // A fact of unknown meaning: he may have bought just now.
        let Some(customer) = &reject.customer else { return Ok(()) };
        let fact = Fact::Unreadable(Unreadable { code: reject.code.to_owned() });
        self.write_input(None, Some(customer), &Input { origin: source.origin(), fact, hops: 0 }, &[], out)
    }
}

/// What of a record a letter takes. A letter that is refused for its size would stop everything behind it for good, and a record that is
/// compressed well may be many times larger than what its topic takes.
struct Kept<'a> {
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    headers: &'a [(String, Vec<u8>)],
    /// Bytes that stay in the source.
    omitted: usize,
}

impl<'a> Kept<'a> {
    /// Room of all three, uncompressed: how well the brokers' copy is compressed nobody knows.
    const ROOM: usize = DEAD_LETTER_BYTES_MAX - 2 * OVERHEAD_BYTES;

    /// Lengths and the like, of each header.
    const FRAME: usize = 16;

    /// The value goes first, for it is what is large as a rule; the key last, for it says whom the letter is about.
    fn of(key: Option<&'a [u8]>, value: Option<&'a [u8]>, headers: &'a [(String, Vec<u8>)]) -> Self {
        let length = |part: Option<&[u8]>| part.map_or(0, <[u8]>::len);
        let own: usize = headers.iter().map(|(name, value)| name.len() + value.len() + Self::FRAME).sum();
        let all = length(key) + length(value) + own;
        if all <= Self::ROOM {
            return Kept { key, value, headers, omitted: 0 };
        }
        let headers = if length(key) + own <= Self::ROOM { headers } else { &[] };
        let key = key.filter(|key| key.len() <= Self::ROOM);
        let own = if headers.is_empty() { 0 } else { own };
        Kept { key, value: None, headers, omitted: all - length(key) - own }
    }
}

/// A later version of the header may be longer than today's 55 bytes, but not by much.
const PLACE_BYTES_MAX: usize = 128;

/// A count of redrives is a number; anything longer is none of ours, and could be large.
const COUNT_BYTES_MAX: usize = 20;

impl Handler for Forward {
    fn fetched(&mut self) {
        self.refusals.iter_mut().for_each(Refusals::fetched);
    }

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
            Ok(mut normal) => {
                self.respect_refusals(&mut normal.input.fact)?;
                // How often it was redriven goes on with it: the operator may refuse what is fine with us.
                let count = record.header(dead_letter::REDRIVEN).filter(|count| count.len() <= COUNT_BYTES_MAX);
                let count = count.map(|count| (dead_letter::REDRIVEN, count));
                // Neither is there as a rule; then this allocates nothing.
                let headers: Vec<_> = count.into_iter().chain(self.place(record)).collect();
                self.write_input(None, Some(&normal.customer_id), &normal.input, &headers, out)
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

    fn committed(&mut self, _: usize, took: Duration, waited: Option<Duration>) {
        self.metrics.committed(took, waited);
    }

    fn dropped(&mut self, cause: Verdict) {
        self.ledger.forget();
        self.metrics.dropped(cause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_takes_what_there_is_room_for_and_says_how_much_stays() {
        let large = vec![b'x'; Kept::ROOM];
        let (few, many) = ([("a".to_owned(), vec![b'y'; 3])], [("a".to_owned(), large.clone())]);
        let kept = |key, value, headers| {
            let kept = Kept::of(Some(key), Some(value), headers);
            (kept.key.is_some(), kept.value.is_some(), kept.headers.len(), kept.omitted)
        };
        assert_eq!(kept(b"c1", b"value", &few), (true, true, 1, 0));
        assert_eq!(kept(b"c1", &large, &few), (true, false, 1, large.len()));
        assert_eq!(kept(b"c1", b"value", &many), (true, false, 0, large.len() + 1 + 16 + 5));
        assert_eq!(
            kept(&[large.clone(), vec![1]].concat(), b"value", &few),
            (false, false, 0, large.len() + 1 + 5 + 20)
        );
    }
}
