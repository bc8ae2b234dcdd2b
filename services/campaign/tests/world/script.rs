//! Timelines as text: what happens, and what is decided, one line each. The grammar is that of [`campaign::rehearsal`].

use campaign::rehearsal::{self, Timeline};

use super::World;

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
    let timeline = Timeline::parse("line", line).unwrap_or_else(|problems| panic!("{}", problems[0]));
    timeline.play_in(world).unwrap_or_else(|problems| panic!("{}", problems[0]));
}

/// What was decided.
pub fn told(world: &World) -> Vec<String> {
    rehearsal::told(world)
}
