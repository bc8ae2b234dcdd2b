//! Timelines as text: what happens, and what is decided, one line each. The grammar is that of [`campaign::rehearsal`].

use campaign::rehearsal::{self, Timeline};
use schemas::Reason;

use super::World;

/// An email, three hours, then an SMS; one arrival is enough.
pub const TWO: &str = "
campaign: two
version: 1
trigger: {on: action, action: lead}
goal: {action: purchase}
steps:
  - {name: first, channel: email, template: t, wait: 3h, valid: 1h}
  - {name: second, channel: sms, template: t, wait: 3h, valid: 1h}
";

/// Plays `happens` in a world and compares what was decided with `decided`, line by line.
pub fn check(mut world: World, happens: &str, decided: &str) {
    play_all(&mut world, happens);
    let found = told(&world);
    let wanted: Vec<String> = decided.lines().map(normal).filter(|line| !line.is_empty()).collect();
    assert_eq!(found, wanted, "\nwhat was decided:\n{}\n", found.join("\n"));
}

fn normal(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The world of one campaign after these lines, one under the other.
pub fn lived(definition: &str, happens: &str) -> World {
    let mut world = World::new(&[definition]);
    play_all(&mut world, happens);
    world
}

fn play_all(world: &mut World, happens: &str) {
    for line in happens.lines().map(str::trim).filter(|line| !line.is_empty()) {
        play(world, line);
    }
}

/// Plays one line.
pub fn play(world: &mut World, line: &str) {
    let timeline = Timeline::parse("line", line).unwrap_or_else(|problems| panic!("{}", problems[0]));
    timeline.play_in(world).unwrap_or_else(|problems| panic!("{}", problems[0]));
}

/// What was decided.
pub fn told(world: &World) -> Vec<String> {
    rehearsal::told(world)
}

/// How often this was written down.
pub fn count(world: &World, reason: Reason) -> usize {
    world.journal().into_iter().filter(|entry| entry.reason == reason).count()
}
