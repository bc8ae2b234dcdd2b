//! Campaigns that nobody would write: the language's words, in whatever combination it takes.

use fastrand::Rng;

/// The text of a version of a campaign. `before` is a campaign whose end may begin it; `kept` the version that it begins like.
pub fn definition(chance: &mut Rng, name: &str, version: i32, before: Option<&str>, kept: Option<&str>) -> String {
    let kept = kept.and_then(|text| text.lines().find_map(|line| line.strip_prefix("trigger: {")?.strip_suffix('}')));
    loop {
        let text = attempt(chance, name, version, before, kept);
        if campaign::parse("random", &text).is_ok() {
            return text;
        }
    }
}

/// What need not be right.
fn attempt(chance: &mut Rng, name: &str, version: i32, before: Option<&str>, kept: Option<&str>) -> String {
    // Versions share some of their steps: so they can be moved between, and have to say what became of the others.
    let mut names = ["s0", "s1", "s2", "s3", "s4", "s5"];
    if version > 1 {
        chance.shuffle(&mut names);
    }
    let count = chance.usize(1..5);
    let steps: String = names[..count].iter().map(|name| format!("  - {{name: {name}, {}}}\n", step(chance))).collect();
    let trigger = kept.map_or_else(|| trigger(chance, before), str::to_owned);
    let head = head(chance);
    format!("campaign: {name}\nversion: {version}\ntrigger: {{{trigger}}}\n{head}steps:\n{steps}")
}

/// A price table: by channel, by the beginning of a number, owed early or late.
pub fn prices(chance: &mut Rng) -> String {
    let mut table = "currency: USD\nprices:\n".to_owned();
    for channel in ["push", "email", "telegram", "viber", "whatsapp", "sms"] {
        let minor = if ["push", "email"].contains(&channel) { 0 } else { chance.u32(0..9) };
        let charge = one_of(chance, &["", "", ", charge: on delivery"]);
        table.push_str(&format!("  - {{channel: {channel}, minor: {minor}{charge}}}\n"));
        if minor > 0 && channel != "telegram" && chance.bool() {
            table.push_str(&format!("  - {{channel: {channel}, prefix: '+1202', minor: {}}}\n", chance.u32(0..9)));
        }
    }
    table
}

/// A table of rates, with gaps.
pub fn rates(chance: &mut Rng) -> String {
    let mut lines = Vec::new();
    for channel in ["push", "email", "telegram", "viber", "whatsapp", "sms"] {
        let delivered = chance.u32(0..=1000);
        if chance.bool() {
            let clicked = chance.u32(0..=delivered);
            lines.push(format!("{{channel: {channel}, delivered: {delivered}, clicked: {clicked}}}"));
        }
    }
    format!("rates: [{}]\n", lines.join(", "))
}

/// A table of caps, which may be empty.
pub fn caps(chance: &mut Rng) -> String {
    let mut lines = Vec::new();
    for _ in 0..chance.usize(0..3) {
        let (most, then) = (chance.u32(1..4), one_of(chance, &["stop", "skip", "hold"]));
        let hours = chance.u32(1..48);
        let per = [format!("{hours}h"), "day".to_owned()][chance.usize(..2)].clone();
        let channel = one_of(chance, &["", "", ", channel: sms"]);
        lines.push(format!("{{most: {most}, per: {per}, then: {then}{channel}}}"));
    }
    let shared =
        one_of(chance, &["", "shared_addresses: off\n", "shared_addresses: facts\n", "shared_addresses: facts\n"]);
    format!("{shared}caps: [{}]\n", lines.join(", "))
}

fn one_of(chance: &mut Rng, words: &[&'static str]) -> &'static str {
    words[chance.usize(..words.len())]
}

/// The parts that are there, with commas between them.
fn joined(parts: &[&str]) -> String {
    parts.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(", ")
}

fn trigger(chance: &mut Rng, before: Option<&str>) -> String {
    let on = match (chance.u32(..8), before) {
        (0, _) => one_of(
            chance,
            &[
                "on: schedule, at: 2023-11-14T23:13:20Z, every: 20h",
                "on: schedule, every: day 10:00, where: has_contact('push')",
                "on: schedule, every: day 6:00, pace: 2, where: \"!did('purchase')\"",
                "on: schedule, at: 2023-11-16T03:00Z",
            ],
        )
        .to_owned(),
        (1, Some(before)) => format!("on: end, of: {before}"),
        _ => one_of(
            chance,
            &[
                "on: action, action: bonus_expiring, key: key",
                "on: action, action: order_ready, key: key",
                "on: action, action: lead",
                "on: action, action: purchase, where: \"!did('purchase')\"",
                "on: cart, key: cart_id",
                "on: cart, where: total_minor >= 6000",
                "on: inactivity, where: days >= 30 && !heard_on('email', 10)",
                "on: registration",
            ],
        )
        .to_owned(),
    };
    let settle = one_of(chance, &["", "settle: 10m", "settle: 2h"]);
    let again = one_of(chance, &["", "again: refresh", "again: restart", "again: queue"]);
    let limit = one_of(chance, &["", "", "cooldown: 1d", "maximum: 2", "max_age: 3h"]);
    joined(&[&on, settle, again, limit])
}

fn head(chance: &mut Rng) -> String {
    [
        one_of(chance, &["", "", "class: transactional\n"]),
        one_of(chance, &["", "zone: Europe/Moscow\n", "zone: America/New_York\n"]),
        one_of(
            chance,
            &[
                "",
                "",
                "quiet: {hours: 22:00-9:00}\n",
                "quiet: {hours: 20:00-11:00, release: 2h}\n",
                "quiet: {hours: 12:00-18:00, policy: skip}\n",
                "quiet: {hours: 0:00-20:00, policy: expire}\n",
            ],
        ),
        one_of(
            chance,
            &[
                "",
                "goal: {action: purchase}\n",
                "goal: {action: [purchase, visit], grace: 2h}\n",
                "goal: {action: visit, match: same key}\n",
            ],
        ),
        one_of(chance, &["", "stop: opened\n", "stop: clicked\n", "stop: goal\n"]),
        one_of(
            chance,
            &["", "order: by cost\n", "order: by expected cost\n", "order: by response\n", "order: by preference\n"],
        ),
        one_of(
            chance,
            &["", "", "", "priority: 1\n", "experiment: {variants: {a: 50, b: 50}}\n", "experiment: {hold_out: 30}\n"],
        ),
    ]
    .concat()
}

fn step(chance: &mut Rng) -> String {
    let mut channels = ["push", "email", "telegram", "viber", "whatsapp", "sms"];
    chance.shuffle(&mut channels);
    let channels = format!("any: [{}], template: t", channels[..chance.usize(1..4)].join(", "));
    let start = one_of(
        chance,
        &[
            "",
            "",
            "",
            "at: trigger + 3h",
            "at: trigger + 1 day 10:00",
            "at: 9:30",
            "after: 2h",
            "after: 2 days 8:00",
            "at: event.occurred_at + 30h",
            "at: event.unknown - 1d",
        ],
    );
    let wait = one_of(chance, &["", "wait: 10m", "wait: 3h", "wait: 2d", "wait: 1 day 12:00", "wait: 3h active"]);
    let valid =
        one_of(chance, &["", "valid: 10m", "valid: 6h", "valid: until end of day", "valid: until trigger + 2d"]);
    let times = one_of(chance, &["", "", "late: skip", "late: 2h", "spread: 30m", "spread: 2h, late: skip"]);
    let quiet = one_of(chance, &["", "", "", "quiet: skip", "quiet: hold"]);
    let when = one_of(chance, &["", "", "", "when: has_contact('push')", "when: \"!has_consent('sms')\""]);
    let next_if = one_of(
        chance,
        &[
            "",
            "",
            "next_if: [not delivered, no information, cannot send]",
            "next_if: [no goal, cannot send]",
            "escalate_on_outage: true",
        ],
    );
    joined(&[&channels, start, wait, valid, times, quiet, when, next_if])
}
