//! What is remembered of the topic: sends by the provider's ids, and by what their addresses are written as.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use schemas::{Id, Millis};
use stream::clock::Tick;

/// Names that may be looked for at once, and those of which is remembered what the search said.
const SEARCHED: usize = 16_384;

/// By what a send is looked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Name {
    /// The provider's id, as [`normal`] gives it.
    Id(Arc<str>),
    /// The code of the address that it went to.
    To(Arc<str>),
}

impl Name {
    /// One id is written in several ways: with leading zeros or without, in either case. The name of a route before it stays as it
    /// is (`transport/routes.rs`).
    pub(super) fn id(provider_id: &str) -> Self {
        let whole = provider_id.trim();
        let (route, id) = whole.split_at(whole.find(':').map_or(0, |at| at + 1));
        Name::Id(format!("{route}{}", id.trim_start_matches('0')).to_ascii_lowercase().into())
    }

    pub(super) fn to(code: &str) -> Self {
        Name::To(code.into())
    }
}

/// A send, and whom it was for.
pub(super) type Whose = (Id, String);

/// What is known of a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known {
    Send(Id, String),
    /// It was looked for everywhere.
    Nothing,
    /// It may come, or stand further back.
    NotYet,
}

/// The latest sends by their names.
#[derive(Debug)]
pub(super) struct Memory {
    ids: Latest,
    addresses: Latest,
    /// Everything that stood in the topic at the start was read.
    pub(super) caught_up: bool,
    /// What has to be looked for in the whole topic.
    wanted: BTreeSet<Name>,
    /// What was found there, or was not: the last so many.
    searched: Last<Option<Whose>>,
    /// When a word about a message of which nothing is known was first given up: the last so many.
    given_up: Last<Tick>,
}

/// What is known of the last [`SEARCHED`] names.
#[derive(Debug)]
struct Last<V> {
    known: HashMap<Name, V>,
    order: VecDeque<Name>,
}

impl<V> Last<V> {
    fn new() -> Self {
        Last { known: HashMap::new(), order: VecDeque::new() }
    }

    fn insert(&mut self, name: Name, value: V) {
        if self.known.insert(name.clone(), value).is_none() {
            self.order.push_back(name);
        }
        while self.order.len() > SEARCHED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

impl Memory {
    /// So many of each kind are remembered.
    pub(super) fn new(limit: usize) -> Self {
        Memory {
            ids: Latest::new(limit),
            addresses: Latest::new(limit),
            caught_up: false,
            wanted: BTreeSet::new(),
            searched: Last::new(),
            given_up: Last::new(),
        }
    }

    /// More stands in the topic than is read.
    pub(super) fn is_a_part(&mut self) {
        (self.ids.is_whole, self.addresses.is_whole) = (false, false);
    }

    /// A name that comes again belongs to the later send.
    pub(super) fn insert(&mut self, name: &Name, id: Id, customer_id: &str, at: Millis) {
        self.searched.known.remove(name);
        self.of_mut(name).insert(name, id, customer_id, at);
    }

    /// The latest send that has one of these names.
    pub(super) fn find(&self, names: &[Name]) -> Known {
        let remembered = names.iter().filter_map(|name| self.of(name).sends.get(name));
        if let Some(send) = remembered.max_by_key(|send| send.place) {
            return Known::Send(send.id, send.customer_id.to_string());
        }
        let found: Vec<_> = names.iter().filter_map(|name| self.searched.known.get(name)).collect();
        match found.iter().find_map(|found| found.as_ref()) {
            Some((id, customer_id)) => Known::Send(*id, customer_id.clone()),
            None if found.len() == names.len() => Known::Nothing,
            None => Known::NotYet,
        }
    }

    /// Nothing is known of these names, and nothing comes. Whether they are looked for in what is not remembered: then the word has to
    /// be said again.
    pub(super) fn is_to_be_searched(&mut self, names: &[Name]) -> bool {
        let is_part = names.iter().any(|name| !self.of(name).is_whole);
        if is_part && self.wanted.len() + names.len() <= SEARCHED {
            self.wanted.extend(names.iter().cloned());
        }
        is_part
    }

    /// Nothing is known of these names, nor is anything found. Whether a word about them that came at `began` was said before, and given up:
    /// a record of ours that is only late is there by now. Of an address it need not be said again: the outcome of a send is faster than a
    /// person.
    pub(super) fn was_given_up(&mut self, names: &[Name], began: Tick) -> bool {
        let Some(name @ Name::Id(_)) = names.first() else { return true };
        if let Some(at) = self.given_up.known.get(name) {
            return *at <= began;
        }
        self.given_up.insert(name.clone(), Tick::now());
        false
    }

    /// What is to be looked for now.
    pub(super) fn wanted(&mut self) -> BTreeSet<Name> {
        std::mem::take(&mut self.wanted)
    }

    /// The whole topic was read: what it says of a name, or that it says nothing.
    pub(super) fn was_searched(&mut self, name: Name, found: Option<Whose>) {
        self.wanted.remove(&name);
        // It was written while the search went on, and may have been out of its sight.
        if self.of(&name).sends.contains_key(&name) {
            return;
        }
        self.searched.insert(name, found);
    }

    fn of(&self, name: &Name) -> &Latest {
        match name {
            Name::Id(_) => &self.ids,
            Name::To(_) => &self.addresses,
        }
    }

    fn of_mut(&mut self, name: &Name) -> &mut Latest {
        match name {
            Name::Id(_) => &mut self.ids,
            Name::To(_) => &mut self.addresses,
        }
    }
}

/// When a record was written, and a number of its own.
type Place = (Millis, u64);

/// The latest sends by names of one kind.
#[derive(Debug)]
struct Latest {
    sends: HashMap<Name, Remembered>,
    /// The oldest goes first, in whatever order the partitions were read.
    order: BTreeMap<Place, Name>,
    inserted: u64,
    limit: usize,
    /// Nothing stands in the topic that is not remembered.
    is_whole: bool,
}

#[derive(Debug)]
struct Remembered {
    id: Id,
    customer_id: Box<str>,
    place: Place,
}

impl Latest {
    fn new(limit: usize) -> Self {
        Latest { sends: HashMap::new(), order: BTreeMap::new(), inserted: 0, limit, is_whole: true }
    }

    fn insert(&mut self, name: &Name, id: Id, customer_id: &str, at: Millis) {
        if let Some(known) = self.sends.get(name) {
            if known.place.0 > at {
                return;
            }
            self.order.remove(&known.place);
        }
        self.inserted += 1;
        let place = (at, self.inserted);
        self.sends.insert(name.clone(), Remembered { id, customer_id: customer_id.into(), place });
        self.order.insert(place, name.clone());
        if self.order.len() > self.limit
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.sends.remove(&oldest);
            self.is_whole = false;
        }
    }
}
