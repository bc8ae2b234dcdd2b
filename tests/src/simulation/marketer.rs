//! Whoever writes campaigns: some are there before the shop lives, and more is said of them while it does.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;

use campaign::Plans;
use fastrand::Rng;
use schemas::{Campaign, CampaignKind, Millis, OnResume};

use super::grammar;

/// More is resumed than paused, else little would go out.
const SAID: [CampaignKind; 10] = [
    CampaignKind::Definition,
    CampaignKind::Definition,
    CampaignKind::Migrated,
    CampaignKind::Migrated,
    CampaignKind::Paused,
    CampaignKind::Paused,
    CampaignKind::Resumed,
    CampaignKind::Resumed,
    CampaignKind::Resumed,
    CampaignKind::Stopped,
];

/// The examples that come with the program.
const EXAMPLES: [&str; 6] = ["cart-left", "bonus-expiring", "cart-messenger", "welcome", "order-ready", "come-back"];

/// Everybody is looked at, again and again, from an hour after the beginning on.
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

/// A marketer. Everything follows from a seed, and what comes first does not depend on how much follows.
pub struct Marketer {
    chance: Rng,
    /// What stands in the topic is refused or taken by everybody alike.
    plans: Plans,
    /// Names and newest versions.
    versions: BTreeMap<String, i32>,
    /// What they say.
    texts: BTreeMap<String, String>,
    /// Tables and campaigns that are not published yet, the next one last.
    ready: Vec<Campaign>,
    /// How much more is said.
    left: usize,
    /// A campaign with a new version, to which those who are under way are moved next.
    moving: Option<String>,
}

impl Marketer {
    /// Writes so many campaigns and has so much to say of them later.
    pub fn new(seed: u64, campaigns: usize, sayings: usize) -> Self {
        let mut chance = Rng::with_seed(seed);
        let mut ready: Vec<Campaign> = first_tables(&mut chance);
        // Half of the shops have what a shop has, the others what nobody would write.
        let are_examples = chance.bool();
        let mut before: Option<String> = None;
        for number in 0..campaigns {
            let name = match (are_examples, number) {
                (true, 0) => "sale".to_owned(),
                (true, number) => EXAMPLES[(number - 1) % EXAMPLES.len()].to_owned(),
                (false, number) => format!("c{number}"),
            };
            let text = match (are_examples, number) {
                (true, 0) => SALE.to_owned(),
                (true, _) => example(&name),
                (false, _) => grammar::definition(&mut chance, &name, 1, before.as_deref(), None),
            };
            ready.push(defined(&name, 1, text));
            before = Some(name);
        }
        ready.reverse();
        Marketer {
            chance,
            plans: Plans::default(),
            versions: BTreeMap::new(),
            texts: BTreeMap::new(),
            ready,
            left: sayings,
            moving: None,
        }
    }

    /// Whether something is to be published before the shop opens.
    pub fn is_preparing(&self) -> bool {
        !self.ready.is_empty()
    }

    /// What is said next, if anything.
    pub fn next(&mut self, now: Millis) -> Option<Campaign> {
        let said = match self.ready.pop() {
            Some(ready) => ready,
            None => {
                self.left = self.left.checked_sub(1)?;
                self.word()?
            }
        };
        let said = Campaign { applied_at: now, ..said };
        // What is refused changes nothing, for those who decide as for us.
        if self.plans.apply(&said).is_ok() && said.kind == CampaignKind::Definition {
            let is_further = self.versions.insert(said.campaign.clone(), said.version).is_some();
            self.moving = (is_further && self.chance.bool()).then(|| said.campaign.clone());
            self.texts.insert(said.campaign.clone(), said.definition.clone());
        }
        Some(said)
    }

    /// Something about the life of a campaign, or a table.
    fn word(&mut self) -> Option<Campaign> {
        if self.chance.u32(..8) == 0 {
            return Some(table(&mut self.chance));
        }
        if let Some(name) = self.moving.take() {
            let newest = self.versions.get(&name).copied()?;
            return Some(self.migration(name, newest - 1..=newest - 1, newest..=newest));
        }
        let number = self.chance.usize(..self.versions.len().max(1));
        let (name, newest) = self.versions.iter().nth(number).map(|(name, newest)| (name.clone(), *newest))?;
        let kind = SAID[self.chance.usize(..SAID.len())];
        Some(match kind {
            CampaignKind::Definition => {
                // Only who begins by the same thing can be moved to.
                let kept = self.texts.get(&name).filter(|_| self.chance.u32(..4) > 0);
                let text = grammar::definition(&mut self.chance, &name, newest + 1, None, kept.map(String::as_str));
                defined(&name, newest + 1, text)
            }
            CampaignKind::Migrated => self.migration(name, 1..=newest, 1..=newest),
            kind => {
                let on_resume = OnResume::ALL[self.chance.usize(..OnResume::ALL.len())];
                Campaign { campaign: name, kind, on_resume, ..Campaign::default() }
            }
        })
    }

    /// From one of these versions to another; of each step that is not in both it says what it is there, or that it is given up.
    fn migration(&mut self, campaign: String, from: RangeInclusive<i32>, to: RangeInclusive<i32>) -> Campaign {
        let (from_version, version) = (self.chance.i32(from), self.chance.i32(to));
        let names = |version| -> Vec<String> {
            let plan = self.plans.version(&campaign, version);
            plan.iter().flat_map(|plan| &plan.steps).map(|step| step.name.clone()).collect()
        };
        let (from, to) = (names(from_version), names(version));
        let mut steps = BTreeMap::new();
        for gone in from.iter().filter(|name| !to.contains(name)) {
            let place = to.get(self.chance.usize(..to.len() + 1));
            steps.insert(gone.clone(), place.cloned().unwrap_or_default());
        }
        Campaign { campaign, kind: CampaignKind::Migrated, from_version, version, steps, ..Campaign::default() }
    }
}

/// The tables that are there from the beginning: prices always, else one may be missing.
fn first_tables(chance: &mut Rng) -> Vec<Campaign> {
    let of_kind = |kind, definition| Campaign { kind, definition, ..Campaign::default() };
    let mut tables = vec![of_kind(CampaignKind::Prices, grammar::prices(chance))];
    if chance.bool() {
        tables.push(of_kind(CampaignKind::Rates, grammar::rates(chance)));
    }
    if chance.u32(..4) == 0 {
        tables.push(of_kind(CampaignKind::Caps, grammar::caps(chance)));
    }
    tables
}

fn table(chance: &mut Rng) -> Campaign {
    let (kind, definition) = match chance.u32(..3) {
        0 => (CampaignKind::Prices, grammar::prices(chance)),
        1 => (CampaignKind::Rates, grammar::rates(chance)),
        _ => (CampaignKind::Caps, grammar::caps(chance)),
    };
    Campaign { kind, definition, ..Campaign::default() }
}

fn defined(name: &str, version: i32, definition: String) -> Campaign {
    let kind = CampaignKind::Definition;
    Campaign { campaign: name.to_owned(), version, kind, definition, ..Campaign::default() }
}

fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../deploy/campaigns/{name}.yaml"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
