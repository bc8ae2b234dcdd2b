//! Figures beside each other.

use std::fmt::Write;

use system_tests::peers::judge::Outcome;

use super::Question;
use super::deadlines::Fired;
use super::run::Drained;
use super::state::State;

const RIGHT: [&str; 2] = ["WRONG", "right"];

/// Of the whole input.
pub fn drained(question: &Question, right: &Outcome, is_pinned: bool, runs: &[Drained]) -> String {
    let Question { events, keys, compression, .. } = question;
    let cores = if is_pinned { "the broker has a core, the contender another" } else { "all share the cores" };
    let codec = compression.as_deref().unwrap_or("lz4 (Streams: none)");
    let mut table = format!(
        "{events} events of {} customers ({keys:?}), {} sends; compression {codec}; {cores}\n\n",
        right.customers,
        right.sends()
    );
    let _ = writeln!(
        table,
        "{:<34}{:>11}{:>10}{:>10}{:>8}{:>9}{:>10}{:>8}{:>9}  output",
        "events", "per CPU s", "2nd half", "per s", "CPU s", "closing", "broker s", "of raw", "Streams"
    );
    let raw = runs.iter().find(|run| run.is_right.is_none()).map(|run| run.whole);
    let streams = runs.iter().find(|run| run.name.starts_with("Kafka Streams")).map(|run| run.whole);
    for run in runs {
        let beside = |other: Option<f64>| other.map_or_else(String::new, |other| format!("{:.2}", run.whole / other));
        let output = run.is_right.map_or("not judged", |is_right| RIGHT[usize::from(is_right)]);
        let Drained { name, whole, half, per_second, cpu_seconds, closing_seconds, broker_seconds, .. } = run;
        let _ = writeln!(
            table,
            "{name:<34}{whole:>11.0}{half:>10.0}{per_second:>10.0}{cpu_seconds:>8.2}{closing_seconds:>9.2}{broker_seconds:>10.1}{:>8}{:>9}  {output}",
            beside(raw),
            beside(streams),
        );
    }
    table
}

/// Of what is kept of customers.
pub fn states(customers: u64, states: &[State]) -> String {
    if states.is_empty() {
        return String::new();
    }
    let mut table = format!(
        "{:<34}{:>11}{:>15}{:>12}{:>9}{:>9}\n",
        "state, for each customer", "disk B", "changelog B", "restored", "CPU s", "wall s"
    );
    for State { name, disk_bytes, changelog_bytes, cpu_seconds, wall_seconds } in states {
        let [disk, changelog] = [disk_bytes, changelog_bytes].map(|bytes| *bytes as f64 / customers as f64);
        let restored = customers as f64 / cpu_seconds;
        let _ = writeln!(
            table,
            "{name:<34}{disk:>11.0}{changelog:>15.0}{restored:>12.0}{cpu_seconds:>9.2}{wall_seconds:>9.1}"
        );
    }
    table + "(restored: customers for each CPU second; the changelog is cleaned, as it is stored)\n"
}

/// Of deadlines that come in one moment.
pub fn fired(customers: u64, fired: &[Fired]) -> String {
    let mut table = format!(
        "{:<34}{:>11}{:>10}{:>9}{:>9}{:>9}{:>10}  output\n",
        format!("{customers} deadlines at once"),
        "per CPU s",
        "per s",
        "CPU s",
        "wall s",
        "closing",
        "with it"
    );
    for Fired { name, wall_seconds, cpu_seconds, closing_seconds, was_ready, is_right } in fired {
        if !was_ready {
            let _ = writeln!(table, "{name:<34}  not ready when they came: say a longer --arm-in");
            continue;
        }
        let (per_cpu, per_wall) = (customers as f64 / cpu_seconds, customers as f64 / wall_seconds);
        let with_closing = customers as f64 / (cpu_seconds + closing_seconds);
        let output = RIGHT[usize::from(*is_right)];
        let _ = writeln!(
            table,
            "{name:<34}{per_cpu:>11.0}{per_wall:>10.0}{cpu_seconds:>9.2}{wall_seconds:>9.2}{closing_seconds:>9.2}{with_closing:>10.0}  {output}"
        );
    }
    table
}
