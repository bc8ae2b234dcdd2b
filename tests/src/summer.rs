//! The smallest application of the engine that has all its traits: it sums numbers for each key, tells each sum, and raises
//! an alarm when a deadline of a key comes. Its program is `bin/summer.rs`; what it must have done is [`expected`].
//!
//! ```text
//! +5        add 5
//! +5 @900   add 5, and be alarmed at 900
//! calm      no alarm
//! forget    nobody has heard of this key
//! trip      nothing, unless the process is one that trips over it
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use stream::clock::Millis;
use stream::{Due, Incoming, Outbox, Processor};

use crate::place::Place;
use crate::tail::Message;

/// What the program is told, as JSON in its only argument.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settings {
    /// Address of the broker.
    pub brokers: String,
    /// Group, and prefix of the topics `<group>.input`, `.changelog`, `.sums`, `.alarms`.
    pub group: String,
    /// This process among its like.
    pub instance: String,
    /// Threads.
    pub shards: usize,
    /// Where state goes.
    pub state_dir: PathBuf,
    /// A driven clock; none for the system's.
    pub clock: Option<PathBuf>,
    /// Properties of librdkafka.
    pub properties: BTreeMap<String, String>,
    /// A transaction is not larger than this.
    pub commit_records: usize,
    /// Rows in memory: fewer than keys, so that rows come back from the store.
    pub cache_rows: usize,
    /// How often the store is made to survive a crash, in milliseconds.
    pub save_age_ms: u64,
    /// Whether it keeps the partitions of others warm.
    pub standby: bool,
    /// Bytes to be left free on its disk.
    pub disk_reserve: u64,
    /// How long one of its shards may stand still, in milliseconds.
    pub stillness_max_ms: u64,
    /// Whether the word `trip` makes it panic.
    pub trips: bool,
    /// File that its metrics are written to again and again.
    pub metrics: Option<PathBuf>,
}

impl Settings {
    /// One process of one shard, with small transactions and a small cache.
    pub fn new(place: &Place, instance: &str) -> Self {
        Settings {
            brokers: place.cascade_brokers().to_owned(),
            group: place.prefix.clone(),
            instance: instance.to_owned(),
            shards: 1,
            state_dir: place.path(&format!("state-{instance}")),
            clock: None,
            properties: [("session.timeout.ms", "6000".to_owned())]
                .iter()
                .chain(place.properties())
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
            commit_records: 200,
            cache_rows: 50,
            save_age_ms: 200,
            standby: false,
            disk_reserve: 0,
            stillness_max_ms: 300_000,
            trips: false,
            metrics: None,
        }
    }
}

/// What is known of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Numbers added.
    pub count: u64,
    /// Their sum.
    pub sum: i64,
    /// When to raise the alarm.
    pub due: Option<Millis>,
}

/// A record of the input, understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Add(i64, Option<Millis>),
    Calm,
    Forget,
    Hang,
    Trip,
}

impl Word {
    fn read(text: &str) -> Self {
        match text {
            "calm" => Word::Calm,
            "forget" => Word::Forget,
            "hang" => Word::Hang,
            "trip" => Word::Trip,
            _ => {
                let (number, due) = text.split_once(" @").map_or((text, None), |(number, due)| (number, Some(due)));
                let due = due.map(|due| due.parse().expect("a moment"));
                Word::Add(number.parse().expect("a number"), due)
            }
        }
    }

    fn apply(self, row: &mut Row) {
        match self {
            Word::Hang => loop {
                std::thread::park();
            },
            Word::Add(number, due) => {
                *row = Row { count: row.count + 1, sum: row.sum + number, due: due.or(row.due) };
            }
            Word::Calm => row.due = None,
            Word::Trip => {}
            Word::Forget => *row = Row::default(),
        }
    }
}

/// Output topics, by index.
const SUMS: usize = 0;
const ALARMS: usize = 1;

/// The application.
#[derive(Debug)]
pub struct Summer {
    /// As in [`Settings`].
    pub trips: bool,
}

impl Processor for Summer {
    type Row = Row;

    fn unpack(&self, bytes: &[u8]) -> Result<Row, String> {
        serde_json::from_slice(bytes).map_err(|error| error.to_string())
    }

    fn pack(&self, row: &Row, bytes: &mut Vec<u8>) {
        if *row != Row::default() {
            bytes.extend(serde_json::to_vec(row).expect("a row is JSON"));
        }
    }

    fn due(&self, row: &Row) -> Option<Millis> {
        row.due
    }

    fn record(&mut self, row: &mut Row, record: &Incoming<'_>, _now: Millis, out: &mut Outbox) -> bool {
        let word = Word::read(text(record.value));
        assert!(word != Word::Trip || !self.trips, "tripped");
        word.apply(row);
        out.publish(SUMS, Some(record.partition), record.key, said(record.offset, row).as_bytes());
        true
    }

    fn deadline(&mut self, row: &mut Row, due: &Due<'_>, now: Millis, out: &mut Outbox) -> bool {
        row.due = None;
        let words = format!("due {} at {now}, sum {}", due.at, row.sum);
        out.publish(ALARMS, Some(due.partition), due.key, words.as_bytes());
        true
    }

    fn broadcast(&mut self, _record: &Incoming<'_>, _now: Millis, _out: &mut Outbox) {}
}

fn text(value: Option<&[u8]>) -> &str {
    std::str::from_utf8(value.unwrap_or_default()).expect("the input is text")
}

fn said(offset: i64, row: &Row) -> String {
    format!("{offset}: {} numbers, sum {}", row.count, row.sum)
}

/// What a right run over this input has told, key by key, and where it left each key: a plain fold. Alarms are not in it.
pub fn expected(input: &[Message]) -> (BTreeMap<String, Vec<String>>, BTreeMap<String, Row>) {
    let (mut told, mut rows): (BTreeMap<String, Vec<String>>, BTreeMap<String, Row>) = Default::default();
    for record in input {
        let key = record.key_text().to_owned();
        let row = rows.entry(key.clone()).or_default();
        Word::read(record.text()).apply(row);
        told.entry(key).or_default().push(said(record.offset, row));
    }
    rows.retain(|_, row| *row != Row::default());
    (told, rows)
}
