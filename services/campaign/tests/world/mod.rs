//! One customer, a clock of our own, and everything that was decided: what the timelines and the rules are tested on.
#![allow(dead_code, reason = "each test file uses the part that it needs")]

pub mod script;
pub mod definition;
pub mod life;

use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};

use campaign::{Plans, rehearsal};
use proptest::prelude::ProptestConfig;
use schemas::{
    Action, Campaign, CampaignKind, Cart, Fact, Inactivity, Item, Profile, Registration, Release, Unreadable,
};

pub const MINUTE: i64 = 60_000;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;
pub const CUSTOMER: &str = rehearsal::CUSTOMER;
/// The clock's reading when a world begins.
pub const BEGIN: i64 = 1_700_000_000_000;

/// How often a property is tried. `CASCADE_CASES=few`, a fiftieth, is for whoever tries a thousand changes of the code (`tests/mutants.sh`).
pub fn cases(usual: u32) -> ProptestConfig {
    let are_few = std::env::var("CASCADE_CASES").is_ok_and(|word| word == "few");
    ProptestConfig { cases: if are_few { usual / 50 } else { usual }, ..ProptestConfig::default() }
}

/// The rehearsal's world, with short words for what tests let happen.
pub struct World(rehearsal::World);

impl Deref for World {
    type Target = rehearsal::World;

    fn deref(&self) -> &rehearsal::World {
        &self.0
    }
}

impl DerefMut for World {
    fn deref_mut(&mut self) -> &mut rehearsal::World {
        &mut self.0
    }
}

impl World {
    pub fn new(definitions: &[&str]) -> Self {
        World(rehearsal::World::new(plans(definitions), BEGIN))
    }

    /// A world with campaigns of `deploy/campaigns`.
    pub fn of_examples(names: &[&str]) -> Self {
        let texts: Vec<String> = names.iter().map(|name| example(name)).collect();
        World::of_texts(&texts)
    }

    /// A world with these campaigns and tables, as texts that were made.
    pub fn of_texts(texts: &[String]) -> Self {
        World::new(&texts.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Puts caps in force.
    pub fn cap(&mut self, table: &str) {
        self.apply(CampaignKind::Caps, table);
    }

    /// Puts a table in force.
    pub fn apply(&mut self, kind: CampaignKind, table: &str) {
        let record = Campaign { kind, definition: table.to_owned(), ..Campaign::default() };
        self.plans.apply(&record).unwrap();
    }

    /// Resumes whatever was paused or stopped.
    pub fn resume_all(&mut self) {
        let names: Vec<String> = self.plans.all().map(|plan| plan.name.clone()).collect();
        for campaign in names {
            self.say(&Campaign { campaign, kind: CampaignKind::Resumed, ..Campaign::default() }).unwrap();
        }
    }

    /// Lets time pass; each deadline is looked at when it falls due.
    pub fn pass_until(&mut self, moment: i64) {
        self.0.pass_until(moment);
    }

    /// Lets time pass while the operator is down: no deadline is looked at.
    pub fn sleep_until(&mut self, moment: i64) {
        self.0.sleep_until(moment);
    }

    pub fn cart(&mut self, cart_id: &str, version: i64, total_minor: i64) {
        let items = if total_minor > 0 {
            vec![Item { sku: "A1".into(), category: "toys".into(), quantity: 1, price_minor: total_minor }]
        } else {
            Vec::new()
        };
        let cart_id = cart_id.into();
        self.happens(Fact::Cart(Cart {
            cart_id,
            version,
            total_minor,
            currency: "USD".into(),
            items,
            ..Cart::default()
        }));
    }

    /// The key is an article, too.
    pub fn action(&mut self, action: &str, key: Option<&str>) {
        let items = key.iter().map(|key| Item { sku: (*key).into(), quantity: 1, ..Item::default() }).collect();
        let key = key.map(Into::into);
        self.happens(Fact::Action(Action { action: action.into(), key, items, ..Action::default() }));
    }

    pub fn registration(&mut self) {
        self.happens(Fact::Registration(Registration { source: "web".into(), ..Registration::default() }));
    }

    pub fn inactivity(&mut self, days: i32) {
        self.happens(Fact::Inactivity(Inactivity { days, ..Inactivity::default() }));
    }

    /// A profile with an address and a consent for each of these channels.
    pub fn profile(&mut self, channels: &[&str]) {
        self.has(channels);
    }

    /// The profile as it is known, but for where the customer lives.
    pub fn lives(&mut self, zone: Option<&str>) {
        let (contacts, consents) = (self.customer.contacts.clone(), self.customer.consents.clone());
        let time_zone = zone.map(str::to_owned);
        self.happens(Fact::Profile(Profile { contacts, consents, time_zone, ..Profile::default() }));
    }

    pub fn unreadable(&mut self) {
        self.tell(Fact::Unreadable(Unreadable { code: "not-avro".into() }));
    }

    pub fn release(&mut self) {
        self.happens(Fact::Release(Release { note: "looked at".into(), ..Release::default() }));
    }
}

/// These campaigns in force, and the tables of the examples.
pub fn plans(definitions: &[&str]) -> Plans {
    let mut plans = Plans::default();
    plans.apply(&prices()).unwrap();
    plans.apply(&rates()).unwrap();
    for definition in definitions {
        plans.apply(&record(definition)).unwrap();
    }
    plans
}

/// The text of a file in `deploy/campaigns`.
pub fn example(name: &str) -> String {
    text(&format!("../../deploy/campaigns/{name}.yaml"))
}

/// The text of a file beside this crate.
pub fn text(path: &str) -> String {
    let path = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The files of a directory, by name.
pub fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|end| end == extension)).collect();
    files.sort();
    files
}

/// The record that puts a definition, or a table, in force.
pub fn record(definition: &str) -> Campaign {
    let tables = [("currency:", CampaignKind::Prices), ("rates:", CampaignKind::Rates), ("caps:", CampaignKind::Caps)];
    if let Some((_, kind)) = tables.into_iter().find(|(begin, _)| definition.starts_with(begin)) {
        return Campaign { kind, definition: definition.into(), ..Campaign::default() };
    }
    let plan = campaign::parse("test", definition).unwrap_or_else(|problems| {
        panic!("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    });
    Campaign {
        campaign: plan.name,
        version: plan.version,
        kind: CampaignKind::Definition,
        definition: definition.into(),
        applied_at: BEGIN,
        ..Campaign::default()
    }
}

pub fn rates() -> Campaign {
    Campaign { kind: CampaignKind::Rates, definition: example("rates"), ..Campaign::default() }
}

pub fn prices() -> Campaign {
    Campaign { kind: CampaignKind::Prices, definition: example("prices"), ..Campaign::default() }
}
