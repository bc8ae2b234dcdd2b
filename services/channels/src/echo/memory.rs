//! What is remembered of the topic, by the provider's ids.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use schemas::{Id, Millis};

/// Ids that may be looked for at once, and those of which is remembered what the search said.
const SEARCHED: usize = 16_384;

/// What is known of an id.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known {
    Send(Id, String),
    /// It was looked for everywhere.
    Nothing,
    /// It may come, or stand further back.
    NotYet,
}

/// The latest sends by the provider's ids.
#[derive(Debug)]
pub(super) struct Memory {
    sends: HashMap<Arc<str>, Remembered>,
    /// The oldest goes first, in whatever order the partitions were read.
    order: BTreeMap<Place, Arc<str>>,
    inserted: u64,
    limit: usize,
    /// Everything that stood in the topic at the start was read.
    pub(super) caught_up: bool,
    /// Nothing stands in the topic that is not remembered.
    pub(super) is_whole: bool,
    /// What has to be looked for in the whole topic.
    wanted: BTreeSet<String>,
    /// What was found there, or was not: the last so many.
    searched: HashMap<String, Option<(Id, String)>>,
    searched_order: VecDeque<String>,
}

/// When a record was written, and a number of its own.
type Place = (Millis, u64);

#[derive(Debug)]
struct Remembered {
    id: Id,
    customer_id: Box<str>,
    place: Place,
}

impl Memory {
    pub(super) fn new(limit: usize) -> Self {
        Memory {
            sends: HashMap::new(),
            order: BTreeMap::new(),
            inserted: 0,
            limit,
            caught_up: false,
            is_whole: true,
            wanted: BTreeSet::new(),
            searched: HashMap::new(),
            searched_order: VecDeque::new(),
        }
    }

    /// An id that comes again belongs to the later send.
    pub(super) fn insert(&mut self, provider_id: &str, id: Id, customer_id: String, at: Millis) {
        let key: Arc<str> = normal(provider_id).into();
        if let Some(known) = self.sends.get(&key) {
            if known.place.0 > at {
                return;
            }
            self.order.remove(&known.place);
        }
        self.inserted += 1;
        let place = (at, self.inserted);
        self.sends.insert(Arc::clone(&key), Remembered { id, customer_id: customer_id.into(), place });
        self.order.insert(place, key);
        if self.order.len() > self.limit
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.sends.remove(&oldest);
            self.is_whole = false;
        }
    }

    pub(super) fn find(&self, provider_id: &str) -> Known {
        let key = normal(provider_id);
        if let Some(send) = self.sends.get(key.as_str()) {
            return Known::Send(send.id, send.customer_id.to_string());
        }
        match self.searched.get(&key) {
            Some(Some((id, customer_id))) => Known::Send(*id, customer_id.clone()),
            Some(None) => Known::Nothing,
            None => Known::NotYet,
        }
    }

    /// Nothing is known of an id, and nothing comes. Whether it is looked for in what is not remembered: then it has to be said
    /// again.
    pub(super) fn is_to_be_searched(&mut self, provider_id: &str) -> bool {
        if !self.is_whole && self.wanted.len() < SEARCHED {
            self.wanted.insert(normal(provider_id));
        }
        !self.is_whole
    }

    /// What is to be looked for now.
    pub(super) fn wanted(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.wanted)
    }

    /// The whole topic was read: what it says of an id, or that it says nothing.
    pub(super) fn was_searched(&mut self, key: String, found: Option<(Id, String)>) {
        self.wanted.remove(&key);
        if self.searched.insert(key.clone(), found).is_none() {
            self.searched_order.push_back(key);
        }
        while self.searched_order.len() > SEARCHED
            && let Some(oldest) = self.searched_order.pop_front()
        {
            self.searched.remove(&oldest);
        }
    }
}

/// One id is written in several ways: with leading zeros or without, in either case. The name of a route before it stays as it is
/// (`transport/routes.rs`).
pub(super) fn normal(provider_id: &str) -> String {
    let whole = provider_id.trim();
    let (route, id) = whole.split_at(whole.find(':').map_or(0, |at| at + 1));
    format!("{route}{}", id.trim_start_matches('0')).to_ascii_lowercase()
}
