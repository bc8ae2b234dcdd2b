//! Steps that these tests share.

use std::collections::BTreeMap;
use std::path::Path;

use system_tests::changelog::Changelog;
use system_tests::feed::{Feed, create_topics_with, delete_topics};
use system_tests::place::Place;
use system_tests::process::Process;
use system_tests::summer::{Row, Settings, expected};
use system_tests::tail::{Message, Tail, read};

const TOPICS: [&str; 4] = ["input", "changelog", "sums", "alarms"];

/// A place with the summing application's topics.
pub struct Ground {
    pub place: Place,
    pub feed: Feed,
    pub partitions: i32,
}

impl Ground {
    pub fn new(name: &str, partitions: i32) -> Self {
        Self::with_changelog(name, partitions, &[])
    }

    /// One whose changelog has these settings.
    pub fn with_changelog(name: &str, partitions: i32, settings: &[(&str, &str)]) -> Self {
        let place = Place::new(name);
        let feed = Feed::new(place.brokers());
        let ground = Ground { place, feed, partitions };
        ground.create_topics(&["input", "sums", "alarms"], &[]);
        ground.create_topics(&["changelog"], settings);
        ground
    }

    fn create_topics(&self, names: &[&str], settings: &[(&str, &str)]) {
        let topics: Vec<String> = names.iter().map(|name| self.place.topic(name)).collect();
        let topics: Vec<_> = topics.iter().map(|name| (name.as_str(), self.partitions)).collect();
        create_topics_with(self.place.brokers(), &topics, settings);
    }

    /// Deletes all topics and makes others under their names.
    pub fn make_topics_anew(&self) {
        self.make_anew(&TOPICS);
    }

    /// The same of some.
    pub fn make_anew(&self, names: &[&str]) {
        let topics: Vec<String> = names.iter().map(|name| self.place.topic(name)).collect();
        delete_topics(self.place.brokers(), &topics.iter().map(String::as_str).collect::<Vec<_>>());
        self.create_topics(names, &[]);
    }

    pub fn start(&self, settings: &Settings) -> Process {
        let argument = serde_json::to_string(settings).unwrap();
        let log = self.place.path(&format!("{}.log", settings.instance));
        Process::start(Path::new(env!("CARGO_BIN_EXE_summer")), [argument], [("RUST_LOG", "info")], &log)
    }

    /// Adds numbers to keys `k0`, `k1`, … in turn.
    pub fn add(&self, keys: usize, records: usize) {
        for number in 0..records {
            self.say(&format!("k{}", number % keys), &format!("+{}", number % 17));
        }
        self.feed.flush();
    }

    pub fn say(&self, key: &str, word: &str) {
        self.feed.send(&self.place.topic("input"), key, word.as_bytes());
    }

    pub fn say_in(&self, partition: i32, key: &str, word: &str) {
        self.feed.send_to(&self.place.topic("input"), partition, key, word.as_bytes());
        self.feed.flush();
    }

    pub fn tail(&self, topic: &str) -> Tail {
        Tail::of(self.place.brokers(), &[&self.place.topic(topic)])
    }

    pub fn read(&self, topic: &str) -> Vec<Message> {
        read(self.place.brokers(), &self.place.topic(topic))
    }

    pub fn changelog(&self) -> Changelog {
        Changelog::read(self.place.brokers(), &self.place.topic("changelog"))
    }

    /// Waits until as many sums were told as there are records in the input.
    #[track_caller]
    pub fn wait_for_all_sums(&self) {
        let wanted = self.read("input").len();
        self.tail("sums").until("every record has its sum", |sums| sums.len() >= wanted);
    }

    /// The whole truth: each sum was told once, in order, and the changelog holds the state that a fold gives.
    #[track_caller]
    pub fn assert_exactly_once(&self) {
        let (told, rows) = expected(&self.read("input"));
        assert_eq!(by_key(&self.read("sums")), told);
        let changelog = self.changelog();
        changelog.assert_sound();
        let found = changelog.rows().into_iter();
        let found: BTreeMap<String, Row> =
            found.map(|(key, row)| (String::from_utf8(key).unwrap(), serde_json::from_slice(&row).unwrap())).collect();
        assert_eq!(found, rows);
    }
}

/// Texts of each key, in order.
pub fn by_key(messages: &[Message]) -> BTreeMap<String, Vec<String>> {
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for message in messages {
        texts.entry(message.key_text().to_owned()).or_default().push(message.text().to_owned());
    }
    texts
}
