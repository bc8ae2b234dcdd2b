//! A shop on simulated brokers: random customers, campaigns and words about messages, and the fold as judge.
//!
//! The engine, its store format and recovery are the real ones, and so are operator and brain. What is checked beyond the
//! engine's own invariants: rows, commands, withdrawals and journal are what `decide` folded over the input gives, and no
//! deadline was forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::AddAssign;
use std::path::Path;

use campaign::Row;
use operator::Operator;
use schemas::{
    Action, Actor, Campaign, CampaignKind, Cart, Consent, Contact, Fact, Feedback, Inactivity, Input, Item, Journal,
    Millis, Origin, Profile, Progress, Record, Registration, Release, Revoke, Send, Status, decode, encode,
};
use stream::simulation::{Bug, Committed, Failure, History, Outside, Scene, Surface};

use crate::changelog::Changelog;
use crate::fold::{bytes_of, fold, forwarded};
use crate::tail::Message;

const CHANNELS: [&str; 6] = ["push", "email", "telegram", "viber", "whatsapp", "sms"];
/// Outputs of the operator in their order: journal, revoke, dead-letter, its own input, then the channels.
const JOURNAL: usize = 0;
const REVOKE: usize = 1;
const INPUT: usize = 3;
const SENDS: usize = 4;
/// Topics before the outputs.
const REFERENCE: usize = 2;
const FIRST_OUTPUT: usize = 3;

const BEGIN: Millis = 1_700_000_000_000;
const MINUTE: Millis = 60_000;
const HOUR: Millis = 60 * MINUTE;
const DAY: Millis = 24 * HOUR;

/// A simulated shop; everything follows from its seed and its size.
#[derive(Clone, Debug)]
pub struct Simulation {
    seed: u64,
    /// Customers.
    pub customers: usize,
    /// Things that happen to them, before messages are answered.
    pub events: usize,
    /// Kills, stops and losses, at most.
    pub faults: u32,
    /// Processes of the operator.
    pub replicas: usize,
    /// A mistake to be found.
    pub bug: Option<Bug>,
    /// Whether a transaction may be torn.
    tears: bool,
    /// Whether processes keep partitions of others warm.
    standby: bool,
}

/// What a run saw, to know that it saw something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sights {
    /// Records of the input.
    pub facts: usize,
    /// Commands.
    pub sends: usize,
    /// Withdrawals.
    pub revoked: usize,
    /// Owners of partitions, one after another.
    pub barriers: usize,
}

/// A run that showed a mistake.
#[derive(Debug)]
pub struct Mistake {
    /// What must never happen.
    pub words: String,
    /// What happened, call by call, if it was asked for.
    pub trace: Vec<String>,
}

impl AddAssign for Sights {
    fn add_assign(&mut self, other: Sights) {
        self.facts += other.facts;
        self.sends += other.sends;
        self.revoked += other.revoked;
        self.barriers += other.barriers;
    }
}

impl Simulation {
    /// The shop of a seed.
    pub fn of_seed(seed: u64) -> Self {
        let mut chance = fastrand::Rng::with_seed(seed);
        Simulation {
            seed,
            customers: chance.usize(1..8),
            events: chance.usize(4..60),
            faults: chance.u32(0..10),
            replicas: chance.usize(1..4),
            bug: None,
            tears: chance.u32(..5) == 0,
            standby: chance.bool(),
        }
    }

    /// Lives through it and judges.
    ///
    /// # Errors
    /// If anything is not as it must be.
    pub fn run(&self, traced: bool) -> Result<Sights, Mistake> {
        let channels: Vec<String> = CHANNELS.map(str::to_owned).to_vec();
        let registry = prometheus::Registry::new();
        let metrics = stream::Metrics::new(&registry, "input").expect("names are free");
        let counters = operator::Metrics::new(&registry, &channels).expect("names are free");
        let mut shop = Shop::new(self);
        let history = stream::simulation::run(
            &self.scene(traced),
            &metrics,
            &|| Operator::new("input", &channels, counters.clone()),
            &mut shop,
        )
        .map_err(|Failure { words, trace }| Mistake { words, trace })?;
        self.judge(&history).map_err(|words| Mistake { words, trace: history.trace })
    }

    /// The smallest shop of the same seed that still shows a mistake, found by leaving out faults, events, customers and
    /// replicas.
    pub fn shrink(&self) -> Self {
        let mut smallest = self.clone();
        loop {
            let smaller = [
                Simulation { faults: smallest.faults.saturating_sub(1), ..smallest.clone() },
                Simulation { events: smallest.events / 2, ..smallest.clone() },
                Simulation { events: smallest.events.saturating_sub(1), ..smallest.clone() },
                Simulation { customers: (smallest.customers - 1).max(1), ..smallest.clone() },
                Simulation { replicas: (smallest.replicas - 1).max(1), ..smallest.clone() },
            ];
            let size = |s: &Simulation| (s.replicas, s.customers, s.events, s.faults);
            // The same mistake: as far as words tell.
            let kind = |simulation: &Simulation| {
                simulation.run(false).err().map(|mistake| mistake.words.chars().take(8).collect::<String>())
            };
            let shown = kind(&smallest);
            match smaller.into_iter().find(|next| size(next) != size(&smallest) && kind(next) == shown) {
                Some(next) => smallest = next,
                None => return smallest,
            }
        }
    }

    fn scene(&self, traced: bool) -> Scene {
        Scene {
            seed: self.seed,
            replicas: self.replicas,
            partitions: 3,
            outputs: SENDS + CHANNELS.len(),
            into_input: Some(INPUT),
            begin: BEGIN,
            faults: self.faults,
            turns: 300,
            tears: self.tears,
            standby: self.standby,
            bug: self.bug,
            traced,
        }
    }

    fn judge(&self, history: &History) -> Result<Sights, String> {
        let changelog = Changelog::of(&messages(&history.changelog));
        let account = fold(&messages(&history.reference), &messages(&history.input), &changelog);
        let rows = changelog.rows();
        let folded: BTreeMap<Vec<u8>, Vec<u8>> =
            account.rows.iter().map(|(customer, row)| (customer.clone().into_bytes(), bytes_of(row))).collect();
        if rows != folded {
            return Err(differing_row(&rows, &folded));
        }
        let forgotten = account.rows.iter().find(|(_, row)| row.due().is_some_and(|due| due <= history.ended_at));
        if let Some((customer, row)) = forgotten {
            return Err(format!("a deadline of {customer} was forgotten: {:?}, it is {}", row.due(), history.ended_at));
        }
        sweeps_are_done(&changelog, history.ended_at)?;
        sources_come_first(&changelog, &history.input)?;
        let found = forwarded(&messages(&history.input));
        same("forwarded records", found.into_iter(), account.forwarded.iter().cloned(), self.tears)?;
        let sends: Vec<Send> = history.outputs[SENDS..].iter().flat_map(|topic| records(topic)).collect();
        let revoked: Vec<String> = records(&history.outputs[REVOKE]).into_iter().map(|r: Revoke| r.send_id).collect();
        let sights = Sights {
            facts: history.input.len(),
            sends: sends.len(),
            revoked: revoked.len(),
            barriers: changelog.barriers(),
        };
        same("commands", sends.iter().map(encode), account.sends.iter().map(encode), self.tears)?;
        same("withdrawals", revoked.into_iter(), account.revoked.into_iter(), self.tears)?;
        let journal: Vec<Journal> = records(&history.outputs[JOURNAL]);
        same("journal entries", journal.iter().map(encode), account.journal.iter().map(encode), self.tears)?;
        Ok(sights)
    }
}

/// What was in a source when a deadline fell due was known when it fired.
fn sources_come_first(changelog: &Changelog, input: &[Committed]) -> Result<(), String> {
    for record in input {
        let Ok(fact) = decode::<Input>(record.value.as_deref().unwrap_or_default()) else { continue };
        if fact.hops > 0 {
            // It comes from another row, not from a source.
            continue;
        }
        let metas = changelog.metas(record.partition);
        let blind = metas
            .flat_map(|meta| &meta.rounds)
            .find(|round| round.next_offset <= record.offset && round.fired_until > fact.origin.appended_at);
        if let Some(round) = blind {
            return Err(format!(
                "deadlines up to {} fired before a fact of {} was read: partition {}, offset {}",
                round.fired_until, fact.origin.appended_at, record.partition, record.offset
            ));
        }
    }
    Ok(())
}

/// In each partition that had an owner, the sweep whose moment came last is done.
fn sweeps_are_done(changelog: &Changelog, ended_at: Millis) -> Result<(), String> {
    let last = ended_at - (ended_at - SALE_AT) % SALE_EVERY;
    for partition in changelog.partitions() {
        let Some(meta) = changelog.metas(partition).last() else { continue };
        let done = meta.sweeps.done.get("sale");
        if done != Some(&last) {
            return Err(format!("a sweep of partition {partition} was forgotten: {done:?} is done, {last} has come"));
        }
    }
    Ok(())
}

/// The same, each as often. Where transactions may be torn, what left with a torn one may be there beside it.
fn same<T: Ord>(
    what: &str,
    found: impl Iterator<Item = T>,
    wanted: impl Iterator<Item = T>,
    torn: bool,
) -> Result<(), String> {
    let (mut found, mut wanted): (Vec<T>, Vec<T>) = (found.collect(), wanted.collect());
    found.sort();
    wanted.sort();
    let lost = wanted.iter().filter(|wanted| found.binary_search(wanted).is_err()).count();
    if lost > 0 || (!torn && found != wanted) {
        return Err(format!("{} {what} instead of {}; {lost} are lost", found.len(), wanted.len()));
    }
    Ok(())
}

fn differing_row(kept: &BTreeMap<Vec<u8>, Vec<u8>>, folded: &BTreeMap<Vec<u8>, Vec<u8>>) -> String {
    let keys: BTreeSet<&Vec<u8>> = kept.keys().chain(folded.keys()).collect();
    let differing = keys.into_iter().find(|key| kept.get(*key) != folded.get(*key));
    let read = |rows: &BTreeMap<Vec<u8>, Vec<u8>>, key| rows.get(key).map(|row| Row::decode(row));
    match differing {
        Some(key) => format!(
            "the row of {} is\n{:?}\nand should be\n{:?}",
            String::from_utf8_lossy(key),
            read(kept, key),
            read(folded, key)
        ),
        None => "rows differ".to_owned(),
    }
}

fn records<T: Record>(topic: &[Committed]) -> Vec<T> {
    let read = |record: &Committed| decode(record.value.as_deref().unwrap_or_default()).expect("it is of this topic");
    topic.iter().map(read).collect()
}

fn messages(records: &[Committed]) -> Vec<Message> {
    let message = |record: &Committed| Message {
        topic: String::new(),
        partition: record.partition,
        offset: record.offset,
        appended_at: record.appended_at,
        key: record.key.clone(),
        value: record.value.clone(),
        headers: Vec::new(),
    };
    records.iter().map(message).collect()
}

/// Everybody outside of the operator: customers, marketers, channel workers and providers.
struct Shop {
    customers: usize,
    events: usize,
    told: usize,
    campaigns: Vec<Campaign>,
    /// Next offset to be read, by channel and partition.
    read: BTreeMap<(usize, i32), i64>,
    /// Words about messages that are still to be said: when, about whom, what.
    words: Vec<(Millis, Feedback)>,
    ends_at: Millis,
    is_over: bool,
}

impl Shop {
    fn new(simulation: &Simulation) -> Self {
        Shop {
            customers: simulation.customers,
            events: simulation.events,
            told: 0,
            campaigns: campaigns(),
            read: BTreeMap::new(),
            words: Vec::new(),
            ends_at: 0,
            is_over: false,
        }
    }

    fn tell(&mut self, surface: &mut Surface<'_, '_>, facts: Vec<(String, Fact)>) {
        let now = surface.now();
        let record = |(customer, fact): (String, Fact)| {
            let origin = Origin { topic: "source".to_owned(), appended_at: now, ..Origin::default() };
            (customer.into_bytes(), encode(&Input { origin, fact, hops: 0 }))
        };
        let records: Vec<_> = facts.into_iter().map(record).collect();
        surface.append_to_sources(records);
    }

    fn event_id(&mut self) -> String {
        self.told += 1;
        format!("event-{}", self.told)
    }

    fn something_happens(&mut self, surface: &mut Surface<'_, '_>) {
        if self.told < self.customers {
            let customer = format!("c{}", self.told);
            let profile = profile(surface, self.event_id(), customer.clone());
            return self.tell(surface, vec![(customer, Fact::Profile(profile))]);
        }
        let count = 1 + surface.random(3);
        let facts: Vec<(String, Fact)> = (0..count)
            .map(|_| {
                let customer = format!("c{}", surface.random(self.customers));
                let fact = self.fact(surface, &customer);
                (customer, fact)
            })
            .collect();
        match surface.random(30) {
            0 => drop(surface.append_together(&[(facts[0].0.clone().into_bytes(), b"no record".to_vec())])),
            1 => self.tell(surface, vec![(String::new(), Fact::Progress(Progress::default()))]),
            _ => self.tell(surface, facts),
        }
    }

    fn fact(&mut self, surface: &Surface<'_, '_>, customer: &str) -> Fact {
        let (event_id, customer_id, occurred_at) = (self.event_id(), customer.to_owned(), surface.now());
        match surface.random(16) {
            0..4 => Fact::Profile(profile(surface, event_id, customer_id)),
            4..8 => Fact::Cart(Cart {
                event_id,
                customer_id,
                occurred_at,
                cart_id: format!("cart-{}", surface.random(2)),
                version: i64::try_from(self.told).unwrap_or(0),
                total_minor: [0, 5_000, 9_000][surface.random(3)],
                currency: "USD".to_owned(),
                items: vec![Item { sku: "4711".to_owned(), quantity: 1, price_minor: 100, ..Item::default() }],
                link: None,
            }),
            8..13 => Fact::Action(Action {
                event_id,
                customer_id,
                occurred_at,
                action: ["purchase", "bonus_expiring", "order_ready", "visit", "lead"][surface.random(5)].to_owned(),
                key: [None, Some("k1".to_owned())][surface.random(2)].clone(),
                ..Action::default()
            }),
            13 => Fact::Registration(Registration { event_id, customer_id, occurred_at, ..Registration::default() }),
            14 => {
                Fact::Inactivity(Inactivity { event_id, customer_id, occurred_at, days: 30, ..Inactivity::default() })
            }
            _ => Fact::Release(Release { event_id, customer_id, occurred_at, note: "looked at".to_owned() }),
        }
    }

    /// Channel workers hand over what they find, and plan what will be heard of it.
    fn work(&mut self, surface: &Surface<'_, '_>) {
        for channel in 0..CHANNELS.len() {
            for partition in 0..3 {
                let next = self.read.entry((channel, partition)).or_default();
                for record in surface.read(FIRST_OUTPUT + SENDS + channel, partition, *next) {
                    *next = record.offset + 1;
                    let send: Send = decode(record.value.as_deref().unwrap_or_default()).expect("it is a command");
                    let now = surface.now();
                    for (status, actor, after) in fate(surface) {
                        let word = Feedback {
                            event_id: format!("{}/{status}", send.send_id),
                            customer_id: send.customer_id.clone(),
                            send_id: Some(send.send_id.clone()),
                            channel: send.channel.clone(),
                            status,
                            actor,
                            ..Feedback::default()
                        };
                        self.words.push((now + after, word));
                    }
                }
            }
        }
    }

    fn say(&mut self, surface: &mut Surface<'_, '_>) {
        let now = surface.now();
        let (due, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.words).into_iter().partition(|(at, _)| *at <= now);
        self.words = later;
        for (at, word) in due {
            let fact = Fact::Feedback(Feedback { occurred_at: at, ..word.clone() });
            self.tell(surface, vec![(word.customer_id.clone(), fact)]);
        }
    }

    fn next_campaign(&mut self, surface: &mut Surface<'_, '_>) {
        let Some(campaign) = self.campaigns.pop() else { return };
        surface.append(REFERENCE, 0, campaign.campaign.as_bytes(), &encode(&campaign));
    }
}

impl Outside for Shop {
    fn live(&mut self, surface: &mut Surface<'_, '_>) {
        if self.campaigns.len() > LATE_CAMPAIGNS || surface.random(60) == 0 {
            return self.next_campaign(surface);
        }
        if self.told < self.events && surface.random(3) == 0 {
            self.something_happens(surface);
        }
        self.work(surface);
        self.say(surface);
        let span = match surface.random(12) {
            0 => surface.random(180) as Millis * MINUTE,
            1 => surface.random(30) as Millis * HOUR,
            _ => 1 + surface.random(2_000) as Millis,
        };
        surface.advance(span);
    }

    fn rest(&mut self, surface: &mut Surface<'_, '_>) {
        self.work(surface);
        self.say(surface);
        if self.ends_at == 0 {
            self.ends_at = surface.now() + 12 * DAY;
        }
        if surface.now() < self.ends_at || !self.words.is_empty() {
            surface.advance(3 * HOUR);
        }
        self.is_over = self.words.is_empty() && surface.now() >= self.ends_at;
    }

    fn is_at_rest(&self) -> bool {
        self.is_over
    }
}

/// What is heard of a message: status, who opened, after how long.
fn fate(surface: &Surface<'_, '_>) -> Vec<(Status, Actor, Millis)> {
    let soon = surface.random(20) as Millis * MINUTE;
    let accepted = (Status::Accepted, Actor::Unspecified, surface.random(3) as Millis * MINUTE);
    let said = |status| (status, Actor::Unspecified, soon);
    match surface.random(10) {
        0 => vec![],
        1 => vec![accepted],
        2 => vec![said(Status::Refused)],
        3 => vec![accepted, said(Status::BouncedHard)],
        4 => vec![said(Status::Unknown), (Status::Delivered, Actor::Unspecified, 5 * HOUR)],
        5 => vec![accepted, (Status::Opened, Actor::Machine, soon)],
        6 => vec![accepted, said(Status::Unsubscribed)],
        7 => vec![accepted, said(Status::Delivered), (Status::Opened, Actor::Human, 26 * HOUR)],
        _ => vec![accepted, said(Status::Delivered), said(Status::Delivered)],
    }
}

fn profile(surface: &Surface<'_, '_>, event_id: String, customer_id: String) -> Profile {
    let known: Vec<&str> = CHANNELS.into_iter().filter(|_| surface.random(3) > 0).collect();
    let now = surface.now();
    let contact =
        |channel: &&str| Contact { channel: (*channel).to_owned(), address: format!("{customer_id}-{channel}") };
    let consent =
        |channel: &&str| Consent { channel: (*channel).to_owned(), granted: true, at: now, ..Consent::default() };
    Profile {
        contacts: known.iter().map(contact).collect(),
        consents: known.iter().map(consent).collect(),
        erased: surface.random(6) == 0,
        // Some are somebody else, who may say the same of them.
        formerly: if surface.random(4) == 0 { vec![format!("c{}", surface.random(4))] } else { Vec::new() },
        occurred_at: now,
        event_id,
        customer_id,
        ..Profile::default()
    }
}

const SALE_AT: Millis = BEGIN + HOUR;
const SALE_EVERY: Millis = 20 * HOUR;

/// Everybody is looked at, an hour after the beginning and again and again.
const SALE: &str = "
campaign: sale
version: 1
trigger: {on: schedule, at: 2023-11-14T23:13:20Z, every: 20h}
goal: {action: purchase}
budget: {minor: 8, per: day, then: wait}
steps:
  - {name: first, any: [push, email], template: sale, spread: 2h, late: 6h, wait: 3h}
  - {name: second, channel: sms, template: sale, late: skip}
";

/// So many campaigns come while the shop lives; the others are there before.
const LATE_CAMPAIGNS: usize = 2;

/// The examples, in the order in which they are taken up from the end.
fn campaigns() -> Vec<Campaign> {
    let text = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../deploy/campaigns/{name}.yaml"));
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let definition = |name: &str| Campaign {
        campaign: name.to_owned(),
        version: 1,
        kind: CampaignKind::Definition,
        definition: text(name),
        applied_at: BEGIN,
        ..Campaign::default()
    };
    let prices = Campaign { kind: CampaignKind::Prices, definition: text("prices"), ..Campaign::default() };
    let sale =
        Campaign { campaign: "sale".to_owned(), version: 1, definition: SALE.to_owned(), ..definition("prices") };
    let mut campaigns: Vec<Campaign> =
        ["come-back", "order-ready", "welcome", "cart-messenger", "bonus-expiring", "cart-left"]
            .map(definition)
            .to_vec();
    campaigns.extend([sale, prices]);
    campaigns
}
