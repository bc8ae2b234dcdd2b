//! Random campaigns: every word of the language, in whatever combination is no error.

use std::collections::BTreeMap;

use jiff::Zoned;
use proptest::prelude::*;

use super::example;

/// Campaigns in force together: the examples, or a few that nobody would write; half of them with tables of their own.
pub fn campaigns() -> impl Strategy<Value = Vec<String>> {
    let examples = ["bonus-expiring", "cart-messenger", "cart-left", "come-back", "order-ready", "welcome"];
    let campaigns = prop_oneof![
        1 => Just(examples.map(example).to_vec()),
        3 => (1..4_usize).prop_flat_map(|count| (0..count).map(definition).collect::<Vec<_>>()),
    ];
    (campaigns, prop::option::of((prices(), rates()))).prop_map(|(mut campaigns, tables)| {
        campaigns.extend(tables.into_iter().flat_map(|(prices, rates)| [prices, rates]));
        campaigns
    })
}

fn definition(number: usize) -> impl Strategy<Value = String> {
    let parts = (trigger(number), head(), prop::collection::vec(step(), 1..5));
    parts.prop_filter_map("an error", move |(trigger, head, steps)| {
        let steps = steps.iter().map(|step| fitted(step, &head)).enumerate();
        let steps: String = steps.map(|(index, step)| format!("  - {{name: s{index}, {step}}}\n")).collect();
        let head = suited(&head, &trigger);
        let text = format!("campaign: c{number}\nversion: 1\ntrigger: {{{trigger}}}\n{head}steps:\n{steps}");
        campaign::parse("random", &text).is_ok().then_some(text)
    })
}

/// What a step may say where the campaign compares variants.
const VARIANTS: [&str; 3] = ["template: {a: t, b: u}", "template: t, variant: a", "template: {b: u}, variant: b"];

/// A step, for everybody alike where there are no variants.
fn fitted(step: &str, head: &str) -> String {
    let are_compared = head.contains("variants");
    let words = VARIANTS.iter().filter(|_| !are_compared);
    let step = words.fold(step.to_owned(), |step, of_variants| step.replace(of_variants, "template: t"));
    // What comes next, the file does not say.
    if head.contains("order: ") && !step.contains("wait: ") { step + ", wait: 3h" } else { step }
}

/// What stands before the steps, with a goal that any action reaches where the trigger has no key to be the same.
fn suited(head: &str, trigger: &str) -> String {
    match trigger.contains("key:") {
        true => head.to_owned(),
        false => head.replace(", match: same key", "").replace(", match: same article", ""),
    }
}

/// Two versions of one campaign, and for each step of the first what it is in the second one.
pub fn versions() -> impl Strategy<Value = (String, String, BTreeMap<String, String>)> {
    let steps = || prop::collection::vec(step(), 1..5);
    let names = Just(["s0", "s1", "s2", "s3", "new", "newer"].to_vec()).prop_shuffle();
    let map = prop::collection::vec(0..8_usize, 4);
    let parts = (trigger(0), head(), head(), steps(), steps(), names, map);
    parts.prop_filter_map("an error", |(trigger, head, next_head, steps, next_steps, names, map)| {
        let text = |version: usize, head: &str, steps: &[String], names: &[&str]| {
            let steps = steps.iter().map(|step| fitted(step, head)).zip(names);
            let steps = steps.map(|(step, name)| format!("  - {{name: {name}, {step}}}\n"));
            let steps: String = steps.collect();
            let head = suited(head, &trigger);
            format!("campaign: c0\nversion: {version}\ntrigger: {{{trigger}}}\n{head}steps:\n{steps}")
        };
        let before = ["s0", "s1", "s2", "s3"];
        let (first, second) = (text(1, &head, &steps, &before), text(2, &next_head, &next_steps, &names));
        let there = &names[..next_steps.len()];
        let gone = before[..steps.len()].iter().zip(map).filter(|(name, _)| !there.contains(*name));
        let map = gone.map(|(name, to)| ((*name).to_owned(), there.get(to).map_or("", |to| *to).to_owned())).collect();
        let is_right = |text: &str| campaign::parse("random", text).is_ok();
        (is_right(&first) && is_right(&second)).then_some((first, second, map))
    })
}

/// A cap, and what it says without the brain's own calendar.
#[derive(Clone, Debug)]
pub struct Cap {
    pub most: usize,
    per: Per,
    /// Of all, if none is named.
    pub channel: Option<&'static str>,
    pub class: &'static str,
    then: String,
}

#[derive(Clone, Copy, Debug)]
enum Per {
    Hours(i64),
    Day,
    Week,
    Month,
}

impl Cap {
    pub fn table(&self) -> String {
        let Cap { most, per, channel, class, then } = self;
        let per = match per {
            Per::Hours(hours) => format!("{hours}h"),
            Per::Day => "day".to_owned(),
            Per::Week => "week".to_owned(),
            Per::Month => "month".to_owned(),
        };
        let channel = channel.map_or(String::new(), |name| format!(", channel: {name}"));
        format!("caps: [{{most: {most}, per: {per}{channel}, class: {class}, then: {then}}}]")
    }

    /// Whether a message of one moment and one of a later moment are counted together.
    pub fn joins(&self, one: &Zoned, other: &Zoned) -> bool {
        match self.per {
            Per::Hours(hours) => {
                other.timestamp().as_millisecond() - one.timestamp().as_millisecond() < hours * super::HOUR
            }
            Per::Day => one.date() == other.date(),
            Per::Week => {
                let week = |at: &Zoned| (at.date().iso_week_date().year(), at.date().iso_week_date().week());
                week(one) == week(other)
            }
            Per::Month => one.date().first_of_month() == other.date().first_of_month(),
        }
    }
}

/// Mostly one on all that is not transactional.
pub fn cap() -> impl Strategy<Value = Cap> {
    let per = prop_oneof![3 => (1..72_i64).prop_map(Per::Hours), 1 => Just(Per::Day), 1 => Just(Per::Week), 1 => Just(Per::Month)];
    let channel = prop::sample::select(vec![None, None, Some("push"), Some("email"), Some("sms")]);
    let class = prop::sample::select(vec!["marketing", "marketing", "marketing", "transactional"]);
    (0..4_usize, per, channel, class, one_of(&["stop", "skip", "hold"]))
        .prop_map(|(most, per, channel, class, then)| Cap { most, per, channel, class, then })
}

/// A price table: by channel, by the beginning of everybody's number, by the moment, owed early or late.
fn prices() -> impl Strategy<Value = String> {
    let price = (
        prop::sample::select(vec!["push", "email", "telegram", "viber", "whatsapp", "sms"]),
        prop::sample::select(vec!["", "1", "+1800", "+44"]),
        one_of(&["", ", from: 2023-11-16", ", from: 2023-11-20T12:00Z"]),
        0..9_i64,
        one_of(&["", ", charge: on delivery"]),
    );
    prop::collection::vec(price, 0..12).prop_map(|prices| {
        let mut table = "currency: USD\nprices:\n".to_owned();
        let mut seen = Vec::new();
        for (channel, prefix, from, minor, charge) in prices {
            let is_number = ["viber", "whatsapp", "sms"].contains(&channel);
            let prefix = if prefix.is_empty() || !is_number { String::new() } else { format!(", prefix: '{prefix}'") };
            let place = (channel, prefix.clone(), from.clone());
            if !seen.contains(&place) {
                table.push_str(&format!("  - {{channel: {channel}, minor: {minor}{prefix}{from}{charge}}}\n"));
                seen.push(place);
            }
        }
        if seen.is_empty() { "currency: USD\nprices: []\n".to_owned() } else { table }
    })
}

/// A table of rates, with gaps.
fn rates() -> impl Strategy<Value = String> {
    let channels = prop::sample::subsequence(vec!["push", "email", "telegram", "viber", "whatsapp", "sms"], 0..6);
    let rate = (0..=1000_u32, 0..=1000_u32, 0..=1000_u32, any::<bool>());
    (channels, prop::collection::vec(rate, 6)).prop_map(|(channels, rates)| {
        let lines = channels.iter().zip(rates).map(|(channel, (delivered, opened, clicked, is_whole))| {
            let opened = if is_whole { format!(", opened: {}", opened.min(delivered)) } else { String::new() };
            format!("{{channel: {channel}, delivered: {delivered}{opened}, clicked: {}}}", clicked.min(delivered))
        });
        format!("rates: [{}]\n", lines.collect::<Vec<_>>().join(", "))
    })
}

fn one_of(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(words).prop_map(str::to_owned)
}

/// The parts that are there, with commas between them.
fn joined(parts: Vec<String>) -> String {
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

fn trigger(number: usize) -> impl Strategy<Value = String> {
    let after = if number > 0 { format!("on: end, of: c{}", number - 1) } else { "on: registration".to_owned() };
    let on = prop_oneof![
        4 => one_of(&[
            "on: action, action: bonus_expiring, key: key",
            "on: action, action: lead",
            "on: action, action: purchase, where: \"!did('purchase')\"",
            "on: cart, key: cart_id",
            "on: cart, where: total_minor >= 2000",
            "on: inactivity, where: days >= 30 && !heard_on('email', 10)",
            "on: registration",
        ]),
        1 => one_of(&[
            "on: schedule, at: 2023-11-16T03:00Z, where: has_contact('push')",
            "on: schedule, every: year 11-18 10:00",
            "on: schedule, every: year 11-20 23:00, where: \"!was_in('c0') && !is_in('c0')\"",
        ]),
        1 => Just(after),
    ];
    let settle = one_of(&["", "settle: 10m", "settle: 2h"]);
    let again = one_of(&["", "again: refresh", "again: restart", "again: queue"]);
    let cooldown = one_of(&["", "", "cooldown: 1d", "maximum: 2"]);
    (on, settle, again, cooldown).prop_map(|(on, settle, again, cooldown)| joined(vec![on, settle, again, cooldown]))
}

fn head() -> impl Strategy<Value = String> {
    let class = one_of(&["", "", "class: transactional\n"]);
    let zone = one_of(&["", "zone: Europe/Moscow\n", "zone: America/New_York\n"]);
    let quiet = one_of(&[
        "",
        "quiet: {hours: 22:00-9:00}\n",
        "quiet: {hours: 20:00-11:00, release: 2h}\n",
        "quiet: {hours: 12:00-18:00, policy: skip}\n",
        "quiet: {hours: 0:00-23:00, policy: expire}\n",
    ]);
    let goal = one_of(&[
        "goal: {action: purchase}\n",
        "goal: {action: [purchase, visit], grace: 2h}\n",
        "goal: {action: purchase, where: amount_minor >= 0, grace: 2h}\n",
        "goal: {action: [order_fetched, visit], match: same key}\n",
        "goal: {action: [purchase, visit], match: same article, grace: 2h}\n",
    ]);
    let stop = one_of(&["", "stop: opened\n", "stop: clicked\n", "stop: replied\n", "stop: agreed\n", "stop: goal\n"]);
    let order = one_of(&[
        "",
        "order: by cost\n",
        "order: by expected cost\n",
        "order: by response\n",
        "order: by preference\n",
    ]);
    let experiment = one_of(&[
        "",
        "",
        "priority: 1\n",
        "experiment: {variants: {a: 50, b: 50}}\n",
        "experiment: {hold_out: 30}\n",
        "experiment: {name: x, hold_out: 60}\n",
        "asleep: {after: 2d}\n",
        "asleep: {after: 1 month, then: go on}\n",
        "asleep: {after: 1d, then: report}\n",
    ]);
    let budget = one_of(&[
        "",
        "",
        "budget: {minor: 6, per: hour}\n",
        "budget: {minor: 9, per: day}\n",
        "budget: {minor: 9, per: day, then: stop}\n",
    ]);
    (class, zone, quiet, goal, stop, order, experiment, budget).prop_map(
        |(class, zone, quiet, goal, stop, order, experiment, budget)| {
            [class, zone, quiet, goal, stop, order, experiment, budget].concat()
        },
    )
}

fn step() -> impl Strategy<Value = String> {
    let names = vec!["push", "email", "telegram", "viber", "whatsapp", "sms", "call"];
    let template = one_of(&["template: t", "template: t", VARIANTS[0], VARIANTS[1], VARIANTS[2]]);
    let channels = (prop::sample::subsequence(names, 1..4).prop_shuffle(), template)
        .prop_map(|(channels, template)| format!("any: [{}], {template}", channels.join(", ")));
    let segments = one_of(&["", "", "segments: 2"]);
    let start = one_of(&[
        "",
        "",
        "at: trigger + 3h",
        "at: trigger + 1 day 10:00",
        "at: next tuesday 10:00",
        "at: 9:30",
        "after: 2h",
        "after: 2 days 8:00",
        "at: event.occurred_at + 30h",
        "at: event.unknown - 1d",
    ]);
    let wait = one_of(&["", "wait: 10m", "wait: 3h", "wait: 2d", "wait: 1 day 12:00", "wait: 3h active"]);
    let valid = one_of(&["", "valid: 10m", "valid: 6h", "valid: until end of day", "valid: until trigger + 2d"]);
    let times = one_of(&["", "", "late: skip", "late: 2h", "spread: 30m", "spread: 2h, late: skip"]);
    let quiet = one_of(&["", "", "", "quiet: skip", "quiet: expire", "quiet: hold"]);
    let when = one_of(&["", "", "", "when: has_contact('push')", "when: \"!has_consent('sms')\""]);
    let next_if = one_of(&[
        "",
        "next_if: [not delivered, no information, cannot send]",
        "next_if: [no goal, cannot send]",
        "next_if: [not delivered]",
        "next_if: [later, busy, no answer, no information]",
        "next_if: [declined, reached, not delivered]",
        "escalate_on_outage: true",
    ]);
    ((channels, segments), start, wait, valid, times, quiet, when, next_if).prop_map(
        |((channels, segments), start, wait, valid, times, quiet, when, next_if)| {
            let segments = if channels.contains("sms") { segments } else { String::new() };
            // Only a call has an outcome.
            let is_told = channels.contains("call") || !["later", "declined"].iter().any(|it| next_if.contains(it));
            let next_if = if is_told { next_if } else { String::new() };
            joined(vec![channels, segments, start, wait, valid, times, quiet, when, next_if])
        },
    )
}
