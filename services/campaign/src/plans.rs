//! All that decisions depend on besides the customer.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use schemas::{Campaign, CampaignKind, Instance, Millis};

use crate::caps::Caps;
use crate::changes::{Change, Life, Said, State};
use crate::language::{Place, Plan, Problem, Schedule, Severity, Source, TriggerKind, parse_record};
use crate::limits;
use crate::migration::Migration;
use crate::predicate::Asked;
use crate::prices::Prices;
use crate::rates::Rates;

/// A campaign's name behind its priority.
type Ranked = (Reverse<i32>, String);

/// Definitions, pauses, prices, rates and caps, built by applying the records of the topic `campaign` in their order.
#[derive(Clone, Debug, Default)]
pub struct Plans {
    /// By name, so that events meet campaigns in an order that never changes.
    campaigns: BTreeMap<String, Versions>,
    prices: Prices,
    rates: Rates,
    caps: Caps,
    /// Names of the campaigns that an event can concern, by its kind and, where it is an action, by that: of five hundred
    /// campaigns an event meets its own, those of the highest priority first.
    triggered: BTreeMap<TriggerKind, BTreeMap<String, Vec<Ranked>>>,
    /// Names and versions of the campaigns whose goal is such an action under a condition. The newest come last, so that they are the last
    /// to be forgotten.
    hoping: BTreeMap<String, Vec<(bool, String, i32)>>,
    /// Campaigns that began by themselves at moments and do so no more.
    formerly_scheduled: Vec<String>,
    remembered: Remembered,
}

/// What rows have to remember of the past: what some campaign asks for, and nothing else.
#[derive(Clone, Debug, Default)]
struct Remembered {
    actions: BTreeSet<String>,
    purchases: BTreeSet<String>,
    channels: BTreeSet<String>,
    /// Channels of which is asked since when nothing came back.
    silences: BTreeSet<String>,
    campaigns: BTreeSet<String>,
}

impl Remembered {
    fn learn(&mut self, plan: &Plan) {
        let unconditional = plan.goal.iter().filter(|goal| goal.mark.is_none());
        self.actions.extend(unconditional.flat_map(|goal| goal.actions.iter().cloned()));
        if plan.trigger.cooldown > 0 {
            self.campaigns.insert(plan.name.clone());
        }
        if plan.asleep.is_some() {
            let telling = plan.steps.iter().flat_map(|step| &step.channels).filter(|channel| channel.opened);
            let names: Vec<String> = telling.map(|channel| channel.name.to_owned()).collect();
            self.channels.extend(names.iter().cloned());
            self.silences.extend(names);
        }
        let goal = plan.goal.iter().filter_map(|goal| goal.condition.as_ref());
        let steps = plan.steps.iter().filter_map(|step| step.when.as_ref());
        let trigger = plan.trigger.condition.iter().chain(&plan.trigger.key);
        for predicate in trigger.chain(goal).chain(steps) {
            predicate.asks(&mut |asked| {
                let (set, name) = match asked {
                    Asked::Action(action) => (&mut self.actions, action),
                    Asked::Purchase(what) => (&mut self.purchases, what),
                    Asked::Channel(channel) => (&mut self.channels, channel),
                    Asked::Silence(channel) => (&mut self.silences, channel),
                    Asked::Campaign(campaign) => (&mut self.campaigns, campaign),
                };
                set.insert(name.to_owned());
            });
        }
    }
}

/// A campaign, version by version.
#[derive(Clone, Debug, Default)]
struct Versions {
    plans: BTreeMap<i32, Defined>,
    life: Life,
    /// The name of the sweep by which everybody hears what was said of its life: no campaign's.
    sweep: String,
}

/// Why everybody is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sweep<'a> {
    /// The campaign's name, or that of what was said of its life.
    pub name: &'a str,
    /// The latest moment at or before now.
    pub at: Millis,
    /// Customers of a partition who are met in a second; as many as can be, if not said.
    pub pace: Option<u32>,
    /// Whether it is done now.
    pub turn: Turn,
}

/// Whether a sweep is done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It begins, or goes on.
    Comes,
    /// Its campaign is paused: it goes on where it stands when that is over.
    Rests,
    /// It has no moment at which it could begin now. What is begun is finished.
    Passed,
}

/// A version and the text that it was made from.
#[derive(Clone, Debug)]
struct Defined {
    plan: Plan,
    text: String,
    applied_at: Millis,
    /// Since when its schedule is in force: a version before it may have had the same.
    scheduled_at: Millis,
}

impl Plans {
    /// Applies one record. A record that is refused changes nothing.
    ///
    /// # Errors
    /// What is wrong with it. A definition or table that was checked before it was published has none.
    pub fn apply(&mut self, record: &Campaign) -> Result<(), Vec<Problem>> {
        match record.kind {
            CampaignKind::Definition => self.define(record),
            CampaignKind::Prices => {
                self.prices = Prices::parse("prices", &record.definition)?;
                Ok(())
            }
            CampaignKind::Caps => {
                self.caps = Caps::parse("caps", &record.definition)?;
                Ok(())
            }
            CampaignKind::Rates => {
                self.rates = Rates::parse("rates", &record.definition)?;
                Ok(())
            }
            CampaignKind::Paused => self.pause(record),
            CampaignKind::Resumed => {
                self.known(record)?.life.resume(record.applied_at);
                Ok(())
            }
            CampaignKind::Stopped => {
                self.known(record)?.life.stop(record.applied_at);
                Ok(())
            }
            CampaignKind::Migrated => self.migrate(record),
            CampaignKind::Unspecified => Err(vec![refused(record, "this kind of record is not known: upgrade first")]),
        }
    }

    fn define(&mut self, record: &Campaign) -> Result<(), Vec<Problem>> {
        let name = format!("{}/{}", record.campaign, record.version);
        let plan = parse_record(&name, &record.definition)?;
        if plan.name != record.campaign || plan.version != record.version {
            return Err(vec![refused(record, "the definition's name or version is not the record's")]);
        }
        let versions = self.campaigns.entry(record.campaign.clone()).or_default();
        match versions.plans.get(&record.version) {
            Some(known) if known.text == record.definition => return Ok(()),
            Some(_) => {
                return Err(vec![refused(record, "this version exists with another text: versions never change")]);
            }
            None => {}
        }
        // How fast it goes does not matter here.
        let schedule = |plan: &Plan| plan.trigger.schedule.as_ref().map(|it| (it.at, it.every, plan.zone.clone()));
        let applied_at = record.applied_at;
        let before = versions.plans.values().next_back();
        let same = before.filter(|before| schedule(&before.plan) == schedule(&plan));
        let scheduled_at = same.map_or(applied_at, |same| same.scheduled_at);
        let defined = Defined { plan, text: record.definition.clone(), applied_at, scheduled_at };
        versions.plans.insert(record.version, defined);
        versions.life.define();
        versions.sweep = format!("{} changed", record.campaign);
        self.index();
        Ok(())
    }

    /// Takes a version out as if it had never been defined, for a rehearsal in which it comes later. Gives back its text.
    pub(crate) fn withhold(&mut self, campaign: &str, version: i32) -> Option<String> {
        let versions = self.campaigns.get_mut(campaign)?;
        let text = versions.plans.remove(&version)?.text;
        if versions.plans.is_empty() {
            self.campaigns.remove(campaign);
        }
        self.index();
        Some(text)
    }

    fn pause(&mut self, record: &Campaign) -> Result<(), Vec<Problem>> {
        let life = &mut self.known(record)?.life;
        if matches!(life.state(), State::Stopped { .. }) {
            return Err(vec![refused(record, "the campaign is stopped: nothing of it runs that could be paused")]);
        }
        life.pause(record.applied_at, record.on_resume);
        Ok(())
    }

    fn migrate(&mut self, record: &Campaign) -> Result<(), Vec<Problem>> {
        let versions = self.known(record)?;
        let version = |version| {
            let found = versions.plans.get(&version).map(|defined| &defined.plan);
            found.ok_or_else(|| vec![refused(record, &format!("there is no version {version}"))])
        };
        let migration = Migration::between(version(record.from_version)?, version(record.version)?, &record.steps);
        let migration =
            migration.map_err(|problems| problems.iter().map(|it| refused(record, it)).collect::<Vec<_>>())?;
        versions.life.migrate(record.applied_at, migration);
        Ok(())
    }

    fn known(&mut self, record: &Campaign) -> Result<&mut Versions, Vec<Problem>> {
        let unknown = || vec![refused(record, "there is no such campaign: apply its definition first")];
        self.campaigns.get_mut(&record.campaign).ok_or_else(unknown)
    }

    fn index(&mut self) {
        self.triggered.clear();
        self.hoping.clear();
        self.formerly_scheduled.clear();
        self.remembered = Remembered::default();
        for (name, versions) in &self.campaigns {
            for defined in versions.plans.values() {
                let plan = &defined.plan;
                self.remembered.learn(plan);
                for action in plan.goal.iter().filter(|goal| goal.mark.is_some()).flat_map(|goal| &goal.actions) {
                    let is_newest = versions.newest().is_some_and(|newest| newest.version == plan.version);
                    self.hoping.entry(action.clone()).or_default().push((is_newest, name.clone(), plan.version));
                }
            }
            if let Some(newest) = versions.newest() {
                let has_been = |defined: &Defined| defined.plan.trigger.schedule.is_some();
                if newest.trigger.schedule.is_none() && versions.plans.values().any(has_been) {
                    self.formerly_scheduled.push(name.clone());
                }
                let action = newest.trigger.action.clone().unwrap_or_default();
                let of_kind = self.triggered.entry(newest.trigger.on).or_default();
                of_kind.entry(action).or_default().push((Reverse(newest.priority), name.clone()));
            }
        }
        self.triggered.values_mut().flat_map(BTreeMap::values_mut).for_each(|names| names.sort());
        self.hoping.values_mut().for_each(|versions| versions.sort());
    }

    /// The newest version of each campaign that an event of this kind can concern, by priority and name. The action is empty for an event
    /// that is none.
    pub(crate) fn triggered_by(&self, kind: TriggerKind, action: &str) -> impl Iterator<Item = &Plan> {
        let names = self.triggered.get(&kind).and_then(|of_kind| of_kind.get(action));
        let names = names.map(Vec::as_slice).unwrap_or_default();
        names.iter().filter_map(|(_, name)| self.newest(name))
    }

    /// Each version, of campaigns that are not stopped, whose goal is this action, if more is true of it than its name and key.
    pub(crate) fn hoping_for(&self, action: &str) -> impl Iterator<Item = &Plan> {
        let versions = self.hoping.get(action).map(Vec::as_slice).unwrap_or_default();
        let is_over = |name: &str| matches!(self.state(name), Some(State::Stopped { .. }));
        let hoping = versions.iter().filter(move |(_, name, _)| !is_over(name));
        hoping.filter_map(|(_, name, version)| self.version(name, *version))
    }

    /// Why everybody is looked at: each campaign of whose life something was said, with the moment of the last word, and each that
    /// begins by itself at moments, with the latest one up to `now`. One that has no turn is named all the same, so that nobody is met
    /// twice for the same moment, whatever becomes of the campaign.
    pub fn sweeps(&self, now: Millis, mut each: impl FnMut(Sweep<'_>)) {
        for (versions, said) in self.changed() {
            // Nothing goes out by a stop: it need not be slow. What a pause has kept back does, at the campaign's own pace.
            let resumes = matches!(said.change, Change::Resumed(_));
            let pace = versions.newest().and_then(|plan| plan.trigger.schedule.as_ref()?.pace).filter(|_| resumes);
            let comes = (0..=limits::LONGEST).contains(&now.saturating_sub(said.at));
            let turn = if comes { Turn::Comes } else { Turn::Passed };
            each(Sweep { name: &versions.sweep, at: said.at, pace, turn });
        }
        for (plan, schedule) in self.scheduled() {
            let latest = schedule.latest(now, &plan.zone);
            let at = latest.unwrap_or(schedule.at);
            let (turn, pace) = match self.state(&plan.name) {
                Some(State::Paused { .. }) => (Turn::Rests, schedule.pace),
                Some(State::Running) if latest.is_none() || self.is_before_its_time(plan, schedule, at) => {
                    (Turn::Passed, schedule.pace)
                }
                Some(State::Running) if now - at <= plan.trigger.max_age => (Turn::Comes, schedule.pace),
                // Whoever is still to be met is refused alike: that need not be slow, and others wait for it.
                _ => (Turn::Passed, None),
            };
            each(Sweep { name: &plan.name, at, pace, turn });
        }
        for (plan, schedule) in self.formerly_scheduled() {
            each(Sweep { name: &plan.name, at: schedule.at, pace: None, turn: Turn::Passed });
        }
    }

    /// Campaigns whose newest version begins by something else, with the last schedule that they had: what is done stays done.
    fn formerly_scheduled(&self) -> impl Iterator<Item = (&Plan, &Schedule)> {
        self.formerly_scheduled.iter().filter_map(|name| {
            let plans = self.campaigns.get(name)?.plans.values().rev();
            plans.map(|defined| &defined.plan).find_map(|plan| Some((plan, plan.trigger.schedule.as_ref()?)))
        })
    }

    /// What comes again begins with its first moment after the campaign came into force. Whoever names a single moment that is past
    /// means it.
    fn is_before_its_time(&self, plan: &Plan, schedule: &Schedule, at: Millis) -> bool {
        let newest = self.campaigns.get(&plan.name).and_then(|versions| versions.plans.values().next_back());
        schedule.every.is_some() && newest.is_some_and(|newest| at < newest.scheduled_at)
    }

    /// A version before this one, and a moment that it has had by now, where this one's only moment is no later: a sweep is known by the
    /// campaign's name and its moment, so whoever was met is not met again. What a stop or a pause has kept it from is not asked.
    pub fn met_before(&self, plan: &Plan, now: Millis) -> Option<(i32, Millis)> {
        let at = plan.trigger.schedule.as_ref().filter(|schedule| schedule.every.is_none())?.at;
        let versions = &self.campaigns.get(&plan.name)?.plans;
        let mut until = now;
        versions.range(..plan.version).rev().find_map(|(version, Defined { plan, applied_at, scheduled_at, .. })| {
            let schedule = plan.trigger.schedule.as_ref();
            let moment = schedule.and_then(|schedule| schedule.latest(until, &plan.zone));
            until = until.min(*applied_at);
            let comes_again = schedule.is_some_and(|schedule| schedule.every.is_some());
            // Nobody was met if it came into force too late for it.
            let could_begin = |moment: &Millis| {
                applied_at.saturating_sub(*moment) <= plan.trigger.max_age && (!comes_again || scheduled_at <= moment)
            };
            Some((*version, moment.filter(|moment| at <= *moment).filter(could_begin)?))
        })
    }

    /// The first moment after this one at which some campaign looks at everybody.
    pub fn next_sweep(&self, after: Millis) -> Option<Millis> {
        let scheduled = self.scheduled().filter(|(plan, _)| self.takes_new(&plan.name));
        let scheduled = scheduled.filter_map(|(plan, schedule)| schedule.next(after, &plan.zone));
        let changed = self.changed().map(|(_, said)| said.at).filter(|at| *at > after);
        scheduled.chain(changed).min()
    }

    /// What was said last of each campaign's life.
    fn changed(&self) -> impl Iterator<Item = (&Versions, &Said)> {
        self.campaigns.values().filter_map(|versions| Some((versions, versions.life.said().last()?)))
    }

    fn scheduled(&self) -> impl Iterator<Item = (&Plan, &Schedule)> {
        let plans = self.triggered_by(TriggerKind::Schedule, "");
        plans.filter_map(|plan| Some((plan, plan.trigger.schedule.as_ref()?)))
    }

    /// The version that new instances enter.
    pub fn newest(&self, campaign: &str) -> Option<&Plan> {
        self.campaigns.get(campaign)?.newest()
    }

    /// A version, running or not.
    pub fn version(&self, campaign: &str, version: i32) -> Option<&Plan> {
        self.campaigns.get(campaign)?.plans.get(&version).map(|defined| &defined.plan)
    }

    /// Every campaign's newest version, by name.
    pub fn all(&self) -> impl Iterator<Item = &Plan> {
        self.campaigns.values().filter_map(Versions::newest)
    }

    /// The price table in force.
    pub fn prices(&self) -> &Prices {
        &self.prices
    }

    /// The rates in force.
    pub fn rates(&self) -> &Rates {
        &self.rates
    }

    /// The caps in force.
    pub fn caps(&self) -> &Caps {
        &self.caps
    }

    /// What a campaign does now; none where it was never defined.
    pub fn state(&self, campaign: &str) -> Option<State> {
        self.campaigns.get(campaign).map(|versions| versions.life.state())
    }

    /// Migrations of a campaign's instances so far, each with its moment.
    pub fn migrations(&self, campaign: &str) -> impl Iterator<Item = (Millis, &Migration)> {
        let said = self.campaigns.get(campaign).map(|versions| versions.life.said()).unwrap_or_default();
        said.iter().filter_map(|said| match &said.change {
            Change::Migrated(migration) => Some((said.at, migration)),
            _ => None,
        })
    }

    /// The version that an instance runs on; none where it must end.
    pub(crate) fn of(&self, instance: &Instance) -> Option<&Plan> {
        self.version(&instance.campaign, instance.version)
    }

    /// Whether a campaign takes new instances.
    pub(crate) fn takes_new(&self, campaign: &str) -> bool {
        self.state(campaign) == Some(State::Running)
    }

    /// What was said of a campaign's life; none where it was never defined.
    pub(crate) fn life(&self, campaign: &str) -> Option<&Life> {
        self.campaigns.get(campaign).map(|versions| &versions.life)
    }

    /// Whether an instance must end, or something was said of its campaign that it has not met.
    pub(crate) fn concerns(&self, instance: &Instance) -> bool {
        self.campaigns.get(&instance.campaign).is_none_or(|versions| {
            !versions.plans.contains_key(&instance.version) || !versions.life.since(instance.changes).is_empty()
        })
    }

    /// Whether any campaign asks for this.
    pub(crate) fn asks_for(&self, what: Asked<'_>) -> bool {
        match what {
            Asked::Action(action) => self.remembered.actions.contains(action),
            Asked::Purchase(what) => self.remembered.purchases.contains(what),
            Asked::Channel(channel) => self.remembered.channels.contains(channel),
            Asked::Silence(channel) => self.remembered.silences.contains(channel),
            Asked::Campaign(campaign) => self.remembered.campaigns.contains(campaign),
        }
    }
}

impl Versions {
    fn newest(&self) -> Option<&Plan> {
        self.plans.last_key_value().map(|(_, defined)| &defined.plan)
    }
}

fn refused(record: &Campaign, message: &str) -> Problem {
    let name = format!("{}/{}", record.campaign, record.version);
    let source = Source { name: &name, text: &record.definition };
    source.problem(Severity::Error, Place { line: 1, column: 1, width: 1 }, message.to_owned(), None)
}
