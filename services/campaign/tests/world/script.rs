//! Timelines as text: what happens, and what is decided, one line each.
//!
//! A line begins with the time since the world began: `0`, `90m`, `1d2h`. Up to that time deadlines fall due by themselves.

use campaign::Effect;
use schemas::{Actor, Reason, Status};

use super::{BEGIN, DAY, HOUR, MINUTE, World};

/// Plays `happens` in a world and compares what was decided with `decided`, line by line.
pub fn check(mut world: World, happens: &str, decided: &str) {
    for line in happens.lines().map(str::trim).filter(|line| !line.is_empty()) {
        play(&mut world, line);
    }
    let found = told(&world);
    let wanted: Vec<String> = decided.lines().map(normal).filter(|line| !line.is_empty()).collect();
    assert_eq!(found, wanted, "\nwhat was decided:\n{}\n", found.join("\n"));
}

fn normal(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Plays one line.
pub fn play(world: &mut World, line: &str) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let moment = BEGIN + duration(words[0]);
    match &words[1..] {
        ["down"] => return world.sleep_until(moment),
        ["deadlines"] => world.sleep_until(moment),
        // While the operator was down, facts that piled up are met before the deadlines are.
        ["piled", rest @ ..] => {
            world.sleep_until(moment);
            return act(world, rest);
        }
        ["worker", state] => world.worker = *state == "on",
        _ => {}
    }
    if words[1] != "deadlines" {
        world.pass_until(moment);
    }
    act(world, &words[1..]);
}

fn act(world: &mut World, words: &[&str]) {
    match words {
        ["worker", _] | ["time", "passes"] => {}
        ["has", channels @ ..] => world.profile(channels),
        ["cart", id, version, "empty"] => world.cart(id, version.parse().unwrap(), 0),
        ["cart", id, version, total] => world.cart(id, version.parse().unwrap(), total.parse().unwrap()),
        ["registers"] => world.registration(),
        ["silent", days] => world.inactivity(days.parse().unwrap()),
        ["does", action] => world.action(action, None),
        ["does", action, key] => world.action(action, Some(key)),
        ["erased"] => world.erase(),
        ["again"] => {
            let fact = world.last.clone().unwrap();
            world.tell(fact);
        }
        ["deadlines"] => world.fire(),
        ["sweep"] => world.sweep(),
        ["unreadable"] => world.unreadable(),
        ["release"] => world.release(),
        [status, step] => word(world, status, step),
        other => panic!("no such line: {other:?}"),
    }
}

fn word(world: &mut World, status: &str, step: &str) {
    let (status, actor) = match status {
        "accepted" => (Status::Accepted, Actor::Unspecified),
        "sent" => (Status::Sent, Actor::Unspecified),
        "delivered" => (Status::Delivered, Actor::Unspecified),
        "opened" => (Status::Opened, Actor::Human),
        "machine-opened" => (Status::Opened, Actor::Machine),
        "clicked" => (Status::Clicked, Actor::Human),
        "refused" => (Status::Refused, Actor::Unspecified),
        "revoked" => (Status::Revoked, Actor::Unspecified),
        "expired" => (Status::Expired, Actor::Unspecified),
        "unknown" => (Status::Unknown, Actor::Unspecified),
        "bounced" => (Status::BouncedHard, Actor::Unspecified),
        "deferred" => (Status::BouncedSoft, Actor::Unspecified),
        "failed" => (Status::Failed, Actor::Unspecified),
        "unsubscribed" => (Status::Unsubscribed, Actor::Human),
        "complained" => (Status::Complained, Actor::Human),
        other => panic!("no such status: {other}"),
    };
    let sent = world
        .sends()
        .into_iter()
        .rev()
        .find(|send| send.step == step)
        .map(|send| (send.send_id.clone(), send.channel.clone()));
    let (id, channel) = sent.unwrap_or_else(|| panic!("{step} was not sent"));
    world.feedback(&id, &channel, status, actor);
}

/// What was decided. A send and its journal entry are one line; updates of the profile and hand-overs are left out.
pub fn told(world: &World) -> Vec<String> {
    let quiet = [Reason::Sent, Reason::ProfileUpdated, Reason::HandedOver];
    let line = |(at, effect): &(i64, Effect)| match effect {
        Effect::Send(send) => Some(format!("{} send {} by {}", clock(*at), send.step, send.channel)),
        Effect::Revoke(revoke) => Some(format!("{} revoke {} {}", clock(*at), revoke.channel, revoke.reason)),
        Effect::Journal(journal) if quiet.contains(&journal.reason) => None,
        Effect::Journal(journal) => {
            let line = format!("{} {} {} {}", clock(*at), journal.reason, journal.step, journal.channel);
            Some(normal(&line))
        }
    };
    world.effects.iter().filter_map(line).collect()
}

/// Time since the world began, as the scripts write it.
fn clock(at: i64) -> String {
    let since = at - BEGIN;
    let part = |number: i64, unit: &str| if number > 0 { format!("{number}{unit}") } else { String::new() };
    let text = [
        part(since / DAY, "d"),
        part(since % DAY / HOUR, "h"),
        part(since % HOUR / MINUTE, "m"),
        part(since % MINUTE / 1000, "s"),
    ]
    .concat();
    if text.is_empty() { "0".to_owned() } else { text }
}

fn duration(text: &str) -> i64 {
    let mut total = 0;
    let mut digits = String::new();
    for c in text.chars() {
        match c {
            'd' | 'h' | 'm' | 's' => {
                let unit = match c {
                    'd' => DAY,
                    'h' => HOUR,
                    'm' => MINUTE,
                    _ => 1000,
                };
                total += digits.parse::<i64>().unwrap() * unit;
                digits.clear();
            }
            digit => digits.push(digit),
        }
    }
    assert!(digits.is_empty() || digits == "0", "a duration needs a unit: {text}");
    total
}
