//! Random lives: whatever can happen to a customer, in any order, with every example campaign in force.

use campaign::Effect;
use proptest::prelude::*;
use schemas::{Actor, Campaign, CampaignKind, Customer, Fact, Feedback, OnResume, Outcome, Status};

use super::{DAY, HOUR, MINUTE, World};

/// Something that happens.
#[derive(Clone, Debug)]
pub enum Event {
    /// Time passes and deadlines are looked at.
    Passes(i64),
    /// Time passes while the operator is down.
    Outage(i64),
    Has(Vec<&'static str>),
    /// The profile tells where the customer lives, or that nobody knows.
    Lives(Option<&'static str>),
    Cart {
        id: &'static str,
        version: i64,
        total_minor: i64,
    },
    Does(&'static str, Option<&'static str>),
    Registers,
    Silent(i32),
    /// A word about one of the sends so far, counted from the newest.
    Word {
        back: usize,
        status: Status,
        actor: Actor,
        /// What a task for a person came to.
        outcome: Outcome,
    },
    /// One of the facts so far once more, counted from the newest.
    Again(usize),
    Unreadable,
    Release,
    Erased,
    /// Something is said of the life of one of the campaigns.
    Said(usize, CampaignKind, OnResume),
}

const CHANNELS: [&str; 7] = ["push", "email", "telegram", "viber", "whatsapp", "sms", "call"];
/// Of which a campaign knows some, and one that there is not.
const ZONES: [Option<&str>; 6] = [
    None,
    Some("Asia/Vladivostok"),
    Some("Europe/Moscow"),
    Some("America/New_York"),
    Some("Asia/Kathmandu"),
    Some("Mars"),
];
const ACTIONS: [&str; 6] = ["purchase", "bonus_expiring", "order_ready", "order_fetched", "visit", "lead"];

/// More is resumed than paused, else little would go out.
const SAID: [CampaignKind; 6] = [
    CampaignKind::Paused,
    CampaignKind::Paused,
    CampaignKind::Resumed,
    CampaignKind::Resumed,
    CampaignKind::Resumed,
    CampaignKind::Stopped,
];

/// A life of up to 60 events. Half of them begin shortly before a leap day, or before the clocks change in America or in Europe.
pub fn life() -> impl Strategy<Value = Vec<Event>> {
    let before = prop::sample::select(vec![None, None, None, Some(105 * DAY), Some(115 * DAY), Some(345 * DAY)]);
    (before, prop::collection::vec(event(), 1..60))
        .prop_map(|(before, events)| before.map(Event::Outage).into_iter().chain(events).collect())
}

pub fn event() -> impl Strategy<Value = Event> {
    let span = prop_oneof![0..HOUR, HOUR..DAY, DAY..(10 * DAY)];
    let key = prop::sample::select(vec![None, Some("k1"), Some("k2")]);
    prop_oneof![
        6 => span.prop_map(Event::Passes),
        1 => (MINUTE..DAY).prop_map(Event::Outage),
        4 => prop::sample::subsequence(CHANNELS.to_vec(), 0..7).prop_map(Event::Has),
        2 => prop::sample::select(ZONES.to_vec()).prop_map(Event::Lives),
        4 => (prop::sample::select(vec!["c1", "c2"]), 1..6_i64, prop::sample::select(vec![0, 1000, 5000]))
            .prop_map(|(id, version, total_minor)| Event::Cart { id, version, total_minor }),
        5 => (prop::sample::select(ACTIONS.to_vec()), key).prop_map(|(action, key)| Event::Does(action, key)),
        1 => Just(Event::Registers),
        2 => (20..40_i32).prop_map(Event::Silent),
        10 => (0..4_usize, prop::sample::select(Status::ALL.to_vec()), prop::sample::select(Actor::ALL.to_vec()))
            .prop_map(|(back, status, actor)| Event::Word { back, status, actor, outcome: Outcome::Unspecified }),
        2 => (0..4_usize, prop::sample::select(Status::ALL.to_vec()), prop::sample::select(Outcome::ALL.to_vec()))
            .prop_map(|(back, status, outcome)| {
                // As it is understood; who wants no more, wants no more, whatever else is told.
                let opts_out = matches!(status, Status::Unsubscribed | Status::Complained);
                let status = outcome.status().filter(|_| !opts_out).unwrap_or(status);
                Event::Word { back, status, actor: Actor::Unspecified, outcome }
            }),
        2 => (0..4_usize).prop_map(Event::Again),
        3 => (0..3_usize, prop::sample::select(SAID.to_vec()), prop::sample::select(OnResume::ALL.to_vec()))
            .prop_map(|(campaign, kind, on_resume)| Event::Said(campaign, kind, on_resume)),
        1 => Just(Event::Unreadable),
        1 => Just(Event::Release),
        1 => Just(Event::Erased),
    ]
}

/// One call of `decide`, for whoever watches.
pub struct Decision<'a> {
    pub world: &'a World,
    /// The row before it.
    pub before: &'a Customer,
    /// The fact, or none for a deadline.
    pub fact: Option<&'a Fact>,
    pub effects: &'a [(i64, Effect)],
}

/// Lives a life with all examples in force, and shows each decision to `watch`.
pub fn live(world: &mut World, events: &[Event], mut watch: impl FnMut(&Decision<'_>)) {
    world.worker = false;
    let mut facts: Vec<Fact> = Vec::new();
    for event in events {
        if let Event::Passes(span) = event {
            let until = world.now + span;
            while decision(world, &mut watch, |world| world.fire_next(until)) {}
            world.now = until;
            continue;
        }
        decision(world, &mut watch, |world| {
            world.last = None;
            happen(world, event, &facts);
            true
        });
        facts.extend(world.last.take());
    }
}

fn decision(world: &mut World, watch: &mut impl FnMut(&Decision<'_>), act: impl FnOnce(&mut World) -> bool) -> bool {
    let before = world.customer.clone();
    let start = world.effects.len();
    world.last = None;
    let acted = act(world);
    let fact = world.last.clone();
    watch(&Decision { world, before: &before, fact: fact.as_ref(), effects: &world.effects[start..] });
    acted
}

fn happen(world: &mut World, event: &Event, facts: &[Fact]) {
    match event {
        Event::Passes(_) => {}
        Event::Outage(span) => world.sleep_until(world.now + span),
        Event::Has(channels) => world.profile(channels),
        Event::Lives(zone) => world.lives(*zone),
        Event::Cart { id, version, total_minor } => world.cart(id, *version, *total_minor),
        Event::Does(action, key) => world.action(action, *key),
        Event::Registers => world.registration(),
        Event::Silent(days) => world.inactivity(*days),
        Event::Word { back, status, actor, outcome } => {
            let sends = world.sends();
            let Some(send) = sends.len().checked_sub(back + 1).map(|index| sends[index].clone()) else { return };
            let (send_id, channel) = (Some(send.send_id.clone()), send.channel);
            let word =
                Feedback { send_id, channel, status: *status, actor: *actor, outcome: *outcome, ..Feedback::default() };
            world.happens(Fact::Feedback(word));
        }
        Event::Again(back) => {
            let Some(index) = facts.len().checked_sub(back + 1) else { return };
            world.tell(facts[index].clone());
        }
        Event::Unreadable => world.unreadable(),
        Event::Release => world.release(),
        Event::Erased => world.erase(),
        Event::Said(campaign, kind, on_resume) => {
            let names: Vec<String> = world.plans.all().map(|plan| plan.name.clone()).collect();
            let campaign = names[campaign % names.len()].clone();
            // A stopped campaign cannot be paused.
            let _ = world.say(&Campaign { campaign, kind: *kind, on_resume: *on_resume, ..Campaign::default() });
        }
    }
}
