//! What an application gives to the engine: rows, and what happens to them. And what it gets: a place for its output.

use std::fmt;

use hashbrown::HashMap;
use smallvec::SmallVec;

use crate::clock::Millis;
use crate::log::Record;

/// The application. One value per shard; everything a decision depends on is in its arguments or came by
/// [`Processor::reference`], so that a replay gives the same bytes.
pub trait Processor {
    /// The state of one key. The default value is the state of a key that nobody has heard of.
    type Row: Default;

    /// Reads a row as it stands in the changelog and in the store.
    ///
    /// # Errors
    /// In words, if the bytes are not a row: the partition stops, since going on would lose state.
    fn unpack(&self, bytes: &[u8]) -> Result<Self::Row, String>;

    /// Appends the bytes of a row. A row that appends nothing is forgotten: it leaves a tombstone.
    fn pack(&self, row: &Self::Row, bytes: &mut Vec<u8>);

    /// When this row must be looked at again; unless said otherwise, when a record of it comes.
    fn due(&self, row: &Self::Row) -> Option<Millis> {
        let _ = row;
        None
    }

    /// A record of a key. Returns whether the row may have changed: if not, it has not.
    fn record(&mut self, row: &mut Self::Row, record: &Incoming<'_>, now: Millis, out: &mut Outbox) -> bool;

    /// The row's deadline has come, and every record that was there when it fell due has been seen. Returns whether the row may have
    /// changed. Called again until the next deadline is in the future.
    fn deadline(&mut self, row: &mut Self::Row, due: &Due<'_>, now: Millis, out: &mut Outbox) -> bool {
        let _ = (row, due, now, out);
        false
    }

    /// Names the sweeps that there are, each with its latest moment at or before `now`, also those that have no turn now. One that was
    /// named and done is not done again for the same moment; who names it no longer, at a clock that never goes back, forgets it.
    fn sweeps(&self, now: Millis, each: &mut dyn FnMut(Sweep<'_>)) {
        let _ = (now, each);
    }

    /// A sweep has come to a row: every record that was there at its moment has been seen. Returns whether the row may have changed.
    fn sweep(&mut self, row: &mut Self::Row, name: &str, due: &Due<'_>, now: Millis, out: &mut Outbox) -> bool {
        let _ = (row, name, due, now, out);
        false
    }

    /// A record without a key: it concerns the partition as a whole.
    fn broadcast(&mut self, record: &Incoming<'_>, now: Millis, out: &mut Outbox) {
        let _ = (record, now, out);
    }

    /// A record of the reference topic, in its order, between two transactions.
    fn reference(&mut self, key: &[u8], value: Option<&[u8]>) {
        let _ = (key, value);
    }
}

/// A record of the input topic.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// Partition of the input topic.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Kafka's timestamp: machine time.
    pub appended_at: Millis,
    /// Key; empty for a broadcast.
    pub key: &'a [u8],
    /// Value; none for a tombstone.
    pub value: Option<&'a [u8]>,
    pub(crate) headers: Headers<'a>,
}

impl<'a> Incoming<'a> {
    /// The last header of this name. They are read when somebody asks, and nothing that is decided may rest on them.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers.0.header(name)
    }
}

/// Headers of a record that was read.
#[derive(Clone, Copy)]
pub(crate) struct Headers<'a>(&'a dyn Record);

impl<'a> Headers<'a> {
    pub(crate) fn of(record: &'a dyn Record) -> Self {
        Headers(record)
    }
}

impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Headers")
    }
}

/// A deadline that fell due, or a row to which a sweep has come.
#[derive(Clone, Copy, Debug)]
pub struct Due<'a> {
    /// Partition of the input topic.
    pub partition: i32,
    /// The key whose row it is.
    pub key: &'a [u8],
    /// When it fell due, or the sweep's moment.
    pub at: Millis,
}

/// A look at every row there is, from a moment on: portion by portion, while records and deadlines go on.
#[derive(Clone, Copy, Debug)]
pub struct Sweep<'a> {
    /// By which it is known.
    pub name: &'a str,
    /// Its moment.
    pub at: Millis,
    /// Rows of a partition that it may visit in a second of business time; as many as there are, if not said.
    pub pace: Option<u32>,
    /// Whether it may begin.
    pub begins: bool,
    /// Whether it may go on. If not, it rests, and goes on where it stands when it may, if its moment is the same then.
    pub goes_on: bool,
}

/// Output of decisions, on its way into the transaction. What is *withheld* goes out at commit only, and can be taken back
/// until then, by a record that comes in the same transaction.
#[derive(Debug, Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    ready: Vec<Entry>,
    /// None for what was taken back.
    withheld: Vec<Option<Entry>>,
    /// Where what is withheld is, by its tag.
    places: HashMap<u128, SmallVec<[usize; 1]>>,
}

#[derive(Debug)]
struct Entry {
    topic: usize,
    partition: Option<i32>,
    key: std::ops::Range<usize>,
    value: std::ops::Range<usize>,
    headers: Vec<(&'static str, Vec<u8>)>,
}

/// A record on its way out.
#[derive(Debug)]
pub(crate) struct Outgoing<'a> {
    /// Index into the engine's outputs.
    pub(crate) topic: usize,
    /// `None`: the key decides.
    pub(crate) partition: Option<i32>,
    /// Key.
    pub(crate) key: &'a [u8],
    /// Value.
    pub(crate) value: &'a [u8],
    /// Headers.
    pub(crate) headers: &'a [(&'static str, Vec<u8>)],
}

impl Outbox {
    /// Publishes a record with this transaction.
    pub fn publish(&mut self, topic: usize, partition: Option<i32>, key: &[u8], value: &[u8]) {
        self.publish_with(topic, partition, key, value, Vec::new());
    }

    /// The same with headers.
    pub fn publish_with(
        &mut self,
        topic: usize,
        partition: Option<i32>,
        key: &[u8],
        value: &[u8],
        headers: Vec<(&'static str, Vec<u8>)>,
    ) {
        let entry = self.entry(topic, partition, key, value, headers);
        self.ready.push(entry);
    }

    /// Publishes a record at the end of this transaction, unless it is withdrawn before.
    pub fn withhold(&mut self, tag: u128, topic: usize, partition: Option<i32>, key: &[u8], value: &[u8]) {
        self.withhold_with(tag, topic, partition, key, value, Vec::new());
    }

    /// The same with headers.
    pub fn withhold_with(
        &mut self,
        tag: u128,
        topic: usize,
        partition: Option<i32>,
        key: &[u8],
        value: &[u8],
        headers: Vec<(&'static str, Vec<u8>)>,
    ) {
        let entry = self.entry(topic, partition, key, value, headers);
        self.places.entry(tag).or_default().push(self.withheld.len());
        self.withheld.push(Some(entry));
    }

    /// Takes a withheld record back. False if it is not here: then it was published by an earlier transaction.
    pub fn withdraw(&mut self, tag: u128) -> bool {
        let places = self.places.remove(&tag);
        for place in places.iter().flatten() {
            self.withheld[*place] = None;
        }
        places.is_some()
    }

    /// Hands over what is ready, and forgets it.
    ///
    /// # Errors
    /// The first one of `each`.
    pub(crate) fn drain<E>(&mut self, mut each: impl FnMut(&Outgoing<'_>) -> Result<(), E>) -> Result<(), E> {
        for entry in self.ready.drain(..) {
            each(&show(&self.bytes, &entry))?;
        }
        if self.places.is_empty() {
            self.withheld.clear();
            self.bytes.clear();
        }
        Ok(())
    }

    /// Hands over everything, what was withheld last, and forgets it.
    ///
    /// # Errors
    /// The first one of `each`.
    pub(crate) fn drain_all<E>(&mut self, each: impl FnMut(&Outgoing<'_>) -> Result<(), E>) -> Result<(), E> {
        self.ready.extend(self.withheld.drain(..).flatten());
        self.places.clear();
        self.drain(each)
    }

    /// Drops everything: the transaction did not happen.
    pub(crate) fn clear(&mut self) {
        self.ready.clear();
        self.withheld.clear();
        self.places.clear();
        self.bytes.clear();
    }

    /// Whether nothing waits to go out.
    pub(crate) fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.places.is_empty()
    }

    fn entry(
        &mut self,
        topic: usize,
        partition: Option<i32>,
        key: &[u8],
        value: &[u8],
        headers: Vec<(&'static str, Vec<u8>)>,
    ) -> Entry {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        let middle = self.bytes.len();
        self.bytes.extend_from_slice(value);
        Entry { topic, partition, key: start..middle, value: middle..self.bytes.len(), headers }
    }
}

fn show<'a>(bytes: &'a [u8], entry: &'a Entry) -> Outgoing<'a> {
    Outgoing {
        topic: entry.topic,
        partition: entry.partition,
        key: &bytes[entry.key.clone()],
        value: &bytes[entry.value.clone()],
        headers: &entry.headers,
    }
}
