//! A cascade begins, or does not, and why.

use std::borrow::Cow;

use schemas::{Customer, Fields, Id, Instance, Millis, Queued, Reason, Stage};

use crate::changes::State;
use crate::language::{Plan, TriggerKind};
use crate::limits;
use crate::predicate::{Ended, Event, Scope, Today, Vocabulary};

use super::case::{Case, Entry, Fate, Waiting, announce};
use super::{dispatch, goal, memory, pause};

/// What may begin a cascade.
pub(super) struct Cause<'a> {
    pub kind: TriggerKind,
    pub event: Event<'a>,
    pub id: &'a str,
    pub occurred_at: Millis,
}

impl Cause<'_> {
    /// A cart without items was emptied.
    pub fn is_emptied(&self) -> bool {
        matches!(self.event, Event::Cart(cart) if cart.items.is_empty())
    }

    /// The version of the thing it is about; 0 where it has none, or where it is not known to be the same thing.
    pub fn revision(&self, plan: &Plan) -> i64 {
        match self.event {
            Event::Cart(cart) if plan.trigger.key.is_some() => cart.version,
            _ => 0,
        }
    }

    /// The same, where this instance is about the same thing: without a key a campaign takes two carts for one, but knows them apart.
    pub fn revision_beside(&self, plan: &Plan, instance: &Instance) -> i64 {
        match self.event {
            Event::Cart(cart) if instance.fields.get("cart_id").is_some_and(|id| *id == cart.cart_id) => cart.version,
            _ => self.revision(plan),
        }
    }

    /// The version of the thing itself; 0 where it has none.
    fn version(&self) -> i64 {
        match self.event {
            Event::Cart(cart) => cart.version,
            _ => 0,
        }
    }

    /// The newest version of the same thing that began nothing; 0 for none.
    fn passed(&self, customer: &Customer) -> i64 {
        match self.event {
            Event::Cart(cart) => memory::passed(customer, &cart.cart_id),
            _ => 0,
        }
    }

    /// Whether it is about another cart than this instance.
    pub fn is_another_cart(&self, instance: &Instance) -> bool {
        matches!(self.event, Event::Cart(cart) if instance.fields.get("cart_id").is_some_and(|id| *id != cart.cart_id))
    }

    /// What was done; none for an event that is no action.
    fn action(&self) -> Option<&str> {
        match self.event {
            Event::Action(action) => Some(&action.action),
            _ => None,
        }
    }

    /// Whether a campaign listens to it at all.
    pub fn concerns(&self, plan: &Plan) -> bool {
        plan.trigger.on == self.kind && plan.trigger.action.as_deref() == self.action()
    }

    /// The business key; none where the expression is undefined.
    pub fn key<'c>(&'c self, case: &Case<'_>, plan: &'c Plan, customer: &'c Customer) -> Option<Cow<'c, str>> {
        match &plan.trigger.key {
            Some(key) => key.text(&Scope::of_event(self.event, customer, self.today(case, plan))),
            None => Some(Cow::Borrowed("")),
        }
    }

    /// A sweep sees everybody as of its moment, however late it comes to them.
    fn today<'p>(&self, case: &Case<'_>, plan: &'p Plan) -> Today<'p> {
        match self.event {
            Event::Moment(at) => Today { now: at, zone: &plan.zone },
            _ => case.today(plan),
        }
    }

    /// Whether the trigger's condition holds.
    pub fn is_wanted(&self, case: &Case<'_>, plan: &Plan, customer: &Customer) -> bool {
        let scope = Scope::of_event(self.event, customer, self.today(case, plan));
        plan.trigger.condition.as_ref().is_none_or(|condition| condition.holds(&scope))
    }
}

/// Meets each campaign that it may begin. Returns whether it began any; one that did not may be remembered.
pub(super) fn enter(case: &mut Case<'_>, customer: &mut Customer, cause: &Cause<'_>) -> bool {
    let plans = case.plans;
    let (mut entered, mut passes) = (false, false);
    let action = cause.action().unwrap_or_default();
    for plan in plans.triggered_by(cause.kind, action).filter(|plan| cause.concerns(plan)) {
        let begins = !cause.is_emptied() && enter_one(case, customer, plan, cause);
        passes |= !begins && is_news(case, customer, plan, cause);
        entered |= begins;
    }
    match cause.event {
        Event::Cart(cart) if passes => memory::pass(customer, &cart.cart_id, cart.version),
        _ => {}
    }
    entered
}

/// Whether nothing else tells of this version of a thing, nor of a later one. Of people who are not known nothing is kept: whoever only
/// looks around would be in the base for ever.
fn is_news(case: &Case<'_>, customer: &Customer, plan: &Plan, cause: &Cause<'_>) -> bool {
    let is_known = customer.profile_at.is_some() || !customer.instances.is_empty() || !customer.past.is_empty();
    let version = cause.version();
    if !is_known || version <= cause.passed(customer) {
        return false;
    }
    let Some(key) = cause.key(case, plan, customer) else { return true };
    match running(customer, plan, &key) {
        Some(running) => cause.revision_beside(plan, running) == 0,
        // Of what has ended the thing is known by its key.
        None => plan.trigger.key.is_none() || !has_been(customer, plan, &key, version),
    }
}

/// A campaign looks at everybody. Of those whom it does not want nothing is said: they are the whole base. Returns whether it
/// begins.
pub(super) fn sweep(case: &mut Case<'_>, customer: &mut Customer, campaign: &str) -> bool {
    let at = case.moment.due.unwrap_or(case.moment.now);
    // It gets its id where it begins something: most are not wanted.
    let cause = Cause { kind: TriggerKind::Schedule, event: Event::Moment(at), id: "", occurred_at: at };
    let plans = case.plans;
    let wanting = plans.newest(campaign).filter(|plan| cause.concerns(plan) && cause.is_wanted(case, plan, customer));
    wanting.is_some_and(|plan| enter_one(case, customer, plan, &Cause { id: &at.to_string(), ..cause }))
}

/// A cascade ended: campaigns that follow upon it may begin.
pub(super) fn follow(case: &mut Case<'_>, customer: &mut Customer, ended: &Ended) {
    let cause = Cause { kind: TriggerKind::End, event: Event::End(ended), id: &ended.id, occurred_at: ended.at };
    let plans = case.plans;
    let follows = |plan: &&Plan| {
        let endings = plan.trigger.endings.as_ref();
        endings.is_some_and(|it| it.of.contains(&ended.campaign) && it.reasons.contains(&ended.reason))
    };
    for plan in plans.triggered_by(TriggerKind::End, "").filter(follows) {
        enter_one(case, customer, plan, &cause);
    }
}

/// A cascade ended for which a trigger waited: it begins now, unless it has come to nothing meanwhile. Whether the campaign wanted it
/// was asked when it came; where that has been paused since, it begins and stands still.
pub(super) fn take_up(case: &mut Case<'_>, customer: &mut Customer, waiting: Waiting) {
    let Waiting { campaign, key, queued: Queued { id, occurred_at, at, fields } } = waiting;
    let Some(plan) = case.plans.newest(&campaign) else { return };
    if running(customer, plan, &key).is_some() {
        // Something else has begun it meanwhile.
        return;
    }
    let unfit = unfit(case, customer, plan, occurred_at, &key).or_else(|| closed(case, plan, true));
    match unfit {
        Some(entry) => case.write(entry.because("waited_ms", case.now().saturating_sub(at).to_string())),
        None => begin(case, customer, plan, Start { id: &id, key, fields, at, held_out: false }),
    }
}

/// The instance of the campaign with this key that runs already.
fn running<'c>(customer: &'c Customer, plan: &Plan, key: &str) -> Option<&'c Instance> {
    customer.instances.iter().find(|instance| instance.campaign == plan.name && instance.key == key)
}

/// Whether an instance of the campaign with this key has ended that knew this version of the thing, or a later one.
fn has_been(customer: &Customer, plan: &Plan, key: &str, revision: i64) -> bool {
    customer.past.iter().any(|past| past.campaign == plan.name && past.key == key && past.revision >= revision)
}

/// Meets one campaign. Returns whether it began.
fn enter_one(case: &mut Case<'_>, customer: &mut Customer, plan: &Plan, cause: &Cause<'_>) -> bool {
    let key = cause.key(case, plan, customer);
    if let Some(running) = key.as_deref().and_then(|key| running(customer, plan, key)) {
        // What runs has met an event by itself, and a sweep is silent about those whom it does not want.
        if cause.kind == TriggerKind::End && cause.is_wanted(case, plan, customer) {
            let entry = case.entry(Reason::AlreadyRunning).instance(running);
            case.write(entry.because("trigger", cause.id));
        }
        return false;
    }
    let refusal = refusal(case, customer, plan, cause, key.as_deref());
    match (refusal.or_else(|| round_and_round(case, plan, cause)), key) {
        (Some(entry), _) => case.write(entry),
        (None, Some(key)) => {
            if cause.kind == TriggerKind::End {
                *case.followed.entry(plan.name.clone()).or_default() += 1;
            }
            let (key, fields) = (key.into_owned(), fields(cause.event));
            // What follows upon a cascade that nobody heard of is heard of by nobody, too.
            let held_out = matches!(cause.event, Event::End(ended) if ended.held_out);
            begin(case, customer, plan, Start { id: cause.id, key, fields, at: case.now(), held_out });
            return true;
        }
        (None, None) => {}
    }
    false
}

/// Why this campaign does not begin.
fn refusal(case: &Case<'_>, customer: &Customer, plan: &Plan, cause: &Cause<'_>, key: Option<&str>) -> Option<Entry> {
    let entry = |reason| Some(case.entry(reason).plan(plan));
    let Some(key) = key else {
        return entry(Reason::PredicateFalse).map(|entry| entry.because("key", "undefined"));
    };
    let (version, revision, passed) = (cause.version(), cause.revision(plan), cause.passed(customer));
    if 0 < version && version < passed {
        let entry = entry(Reason::Superseded).map(|entry| entry.because("version", version.to_string()));
        return entry.map(|entry| entry.because("known", passed.to_string()));
    }
    if !cause.is_wanted(case, plan, customer) {
        return entry(Reason::PredicateFalse);
    }
    if revision > 0 && has_been(customer, plan, key, revision) {
        return entry(Reason::Superseded).map(|entry| entry.because("version", revision.to_string()));
    }
    unfit(case, customer, plan, cause.occurred_at, key).or_else(|| closed(case, plan, false))
}

/// Whether the campaign takes nobody: a paused one takes at most what it had promised to take up.
fn closed(case: &Case<'_>, plan: &Plan, is_promised: bool) -> Option<Entry> {
    let is_open = case.plans.takes_new(&plan.name) || (is_promised && paused_since(case, plan).is_some());
    (!is_open).then(|| case.entry(Reason::CampaignPaused).plan(plan))
}

/// Since when a campaign is paused, if it is.
fn paused_since(case: &Case<'_>, plan: &Plan) -> Option<Millis> {
    match case.plans.state(&plan.name) {
        Some(State::Paused { since, .. }) => Some(since),
        _ => None,
    }
}

/// Whether a campaign has followed so often by this call that others, or it, would do so for ever.
fn round_and_round(case: &Case<'_>, plan: &Plan, cause: &Cause<'_>) -> Option<Entry> {
    let times =
        case.followed.get(&plan.name).filter(|times| cause.kind == TriggerKind::End && **times >= limits::AT_ONCE)?;
    Some(case.entry(Reason::OftenEnough).plan(plan).because("at_once", times.to_string()))
}

/// Why this campaign does not begin with a trigger that it wants.
pub(super) fn unfit(
    case: &Case<'_>,
    customer: &Customer,
    plan: &Plan,
    occurred_at: Millis,
    key: &str,
) -> Option<Entry> {
    let entry = |reason| Some(case.entry(reason).plan(plan));
    let age = case.now().saturating_sub(occurred_at);
    if age > plan.trigger.max_age {
        return entry(Reason::TriggerTooOld).map(|entry| entry.because("age_ms", age.to_string()));
    }
    let often_enough = |maximum| Some(memory::times(customer, &plan.name)).filter(|times| *times >= maximum);
    if let Some(times) = plan.trigger.maximum.and_then(often_enough) {
        return entry(Reason::OftenEnough).map(|entry| entry.because("times", times.to_string()));
    }
    // A restart is no end that one recovers from.
    let cools =
        |past: &&schemas::Past| past.campaign == plan.name && past.key == key && past.reason != Reason::Restarted;
    if let Some(past) = customer.past.iter().rev().find(cools).filter(|_| plan.trigger.cooldown > 0) {
        let until = past.ended_at.saturating_add(plan.trigger.cooldown);
        if case.now() < until {
            return entry(Reason::CoolingDown).map(|entry| entry.because("until", until.to_string()));
        }
    }
    if let Some(action) = goal::reached_before(&customer.done, plan, occurred_at, key, case.now()) {
        return entry(Reason::GoalBefore).map(|entry| entry.because("action", action));
    }
    if customer.instances.len() >= limits::INSTANCES {
        return entry(Reason::AlreadyRunning).map(|entry| entry.because("running", limits::INSTANCES.to_string()));
    }
    None
}

/// What begins.
struct Start<'a> {
    /// The trigger's id.
    id: &'a str,
    key: String,
    fields: Fields,
    /// When the trigger came: it settles from then on.
    at: Millis,
    /// Nobody is to hear of it, whatever the campaign's own experiment says.
    held_out: bool,
}

fn begin(case: &mut Case<'_>, customer: &mut Customer, plan: &Plan, start: Start<'_>) {
    let Start { id, key, fields, at, held_out } = start;
    let experiment = plan.experiment.as_ref();
    let settled_at = at.saturating_add(plan.trigger.settle).max(case.now());
    let changes = case.plans.life(&plan.name).map_or(0, |life| life.said().len());
    let mut instance = Instance {
        id: Id::of_instance(case.customer_id, &plan.name, &key, id),
        campaign: plan.name.clone(),
        version: plan.version,
        key,
        stage: Stage::Settling,
        step: 0,
        alternative: 0,
        due: settled_at,
        fields,
        sends: Vec::new(),
        settled_at,
        tried: 0,
        ceiling: None,
        turn: settled_at,
        variant: experiment.and_then(|it| it.variant(case.customer_id)).map(str::to_owned),
        held_out: held_out || experiment.is_some_and(|it| it.holds_out(case.customer_id)),
        changes: i32::try_from(changes).unwrap_or(i32::MAX),
        frozen_at: None,
        skip_until: None,
        given_up: Vec::new(),
        queued: None,
        adoption: None,
        asked_at: None,
    };
    let start = case.effects.len();
    let mut entry = case.entry(Reason::Entered).instance(&instance);
    if let Some(variant) = &instance.variant {
        entry = entry.because("variant", variant.as_str());
    }
    if instance.held_out {
        entry = entry.because("held_out", "yes");
    }
    case.write(entry);
    if plan.trigger.maximum.is_some() {
        memory::begun(customer, &plan.name);
    }
    let fate = if let Some(since) = paused_since(case, plan) {
        pause::freeze(case, &mut instance, since.max(case.now()), false);
        Fate::Runs
    } else if settled_at == case.now() {
        dispatch::advance(case, customer, plan, &mut instance, settled_at)
    } else {
        Fate::Runs
    };
    announce(&mut case.effects[start..], &instance, fate);
    if fate == Fate::Runs {
        join(case, customer, instance);
    }
}

/// Puts an instance behind those of the same priority.
pub(super) fn join(case: &Case<'_>, customer: &mut Customer, instance: Instance) {
    let priority = |instance: &Instance| case.plans.of(instance).map_or(0, |plan| plan.priority);
    let place = customer.instances.iter().position(|other| priority(other) < priority(&instance));
    customer.instances.insert(place.unwrap_or(customer.instances.len()), instance);
}

/// When its trigger happened.
pub(super) fn occurred_at(plan: &Plan, instance: &Instance) -> Millis {
    let told = instance.fields.get("occurred_at").and_then(|told| told.parse().ok());
    told.unwrap_or_else(|| instance.settled_at.saturating_sub(plan.trigger.settle))
}

/// What an instance keeps of its trigger: what conditions and templates may use. A field too long is left out.
pub(super) fn fields(event: Event<'_>) -> Fields {
    let mut fields = Fields::default();
    let mut put = |name: Cow<'static, str>, value: String| {
        if fields.len() < limits::FIELDS && value.len() <= limits::FIELD_BYTES && !fields.contains_key(&name) {
            fields.insert(name, value);
        }
    };
    let attributes = match event {
        Event::Cart(cart) => {
            put("occurred_at".into(), cart.occurred_at.to_string());
            put("cart_id".into(), cart.cart_id.clone());
            put("version".into(), cart.version.to_string());
            put("total_minor".into(), cart.total_minor.to_string());
            put("currency".into(), cart.currency.clone());
            put("item_count".into(), cart.items.len().to_string());
            if let Some(link) = &cart.link {
                put("link".into(), link.clone());
            }
            None
        }
        Event::Registration(it) => {
            put("occurred_at".into(), it.occurred_at.to_string());
            put("source".into(), it.source.clone());
            Some((TriggerKind::Registration, &it.attributes))
        }
        Event::Inactivity(it) => {
            put("occurred_at".into(), it.occurred_at.to_string());
            put("since".into(), it.since.to_string());
            put("days".into(), it.days.to_string());
            Some((TriggerKind::Inactivity, &it.attributes))
        }
        Event::Action(it) => {
            put("occurred_at".into(), it.occurred_at.to_string());
            put("action".into(), it.action.clone());
            put("amount_minor".into(), it.amount_minor.to_string());
            put("currency".into(), it.currency.clone());
            if let Some(key) = &it.key {
                put("key".into(), key.clone());
            }
            Some((TriggerKind::Action, &it.attributes))
        }
        Event::Moment(at) => {
            put("occurred_at".into(), at.to_string());
            None
        }
        Event::End(ended) => {
            put("occurred_at".into(), ended.at.to_string());
            put("campaign".into(), ended.campaign.clone());
            put("key".into(), ended.key.clone());
            None
        }
        Event::Kept(_) => None,
    };
    if let Some((kind, attributes)) = attributes {
        let names = Vocabulary::of_trigger(kind);
        for (name, value) in attributes {
            put(Cow::Owned(names.kept(name).into_owned()), value.clone());
        }
    }
    fields
}
