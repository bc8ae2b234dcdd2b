//! What it costs the operator that cascades are followed.

use std::fmt::Write;

use stream::clock::Tick;
use system_tests::collector::Collector;
use system_tests::cpu::load;

use crate::drain::preload;
use crate::ground::Ground;

/// One in so many; 0: nobody is told of any.
const ONE_IN: [u64; 3] = [0, 100, 1];

/// Other work on the machine shows as a difference between rounds.
const ROUNDS: usize = 5;

/// Measures, and gives back a table.
pub fn measure() -> String {
    let before = load();
    let mut table = format!("{:<28}{:>8}{:>10}{:>10}\n", "one cascade in", "CPU s", "wall s", "spans");
    let mut all = ONE_IN.map(|_| Vec::new());
    for round in 0..ROUNDS {
        // Each is first in some round.
        for place in 0..ONE_IN.len() {
            let which = (round + place) % ONE_IN.len();
            all[which].push(run(round, ONE_IN[which], &mut table));
        }
    }
    all.iter_mut().for_each(|seconds: &mut Vec<f64>| seconds.sort_by(f64::total_cmp));
    let [off, some, each] = &all;
    let ratios = |place: usize| (some[place] / off[place], each[place] / off[place]);
    // Other work on the machine only adds: the least is the nearest to the truth.
    let ((some, each), middle) = (ratios(0), ratios(ROUNDS / 2));
    let _ = write!(
        table,
        "\nCPU, least of {ROUNDS} rounds: one in 100 costs {some:.2} of none, each {each:.2} (medians {:.2}, {:.2}); load of the machine {before}, then {}",
        middle.0,
        middle.1,
        load()
    );
    table
}

fn run(round: usize, one_in: u64, table: &mut String) -> f64 {
    let ground = Ground::new(&format!("bench-traces-{round}-{one_in}"));
    preload(&ground);
    let collector = Collector::open();
    let follow = [("CASCADE_TRACE_ENDPOINT", collector.url()), ("CASCADE_TRACE_ONE_IN", one_in.to_string())];
    let more = if one_in == 0 { &[] } else { &follow[..] };
    let begun = Tick::now();
    let mut operator = ground.start_with("operator", more);
    operator.wait_until_done(ground.place.brokers(), &ground.topics.input());
    let (cpu_seconds, wall_seconds) = (operator.cpu_seconds(), begun.elapsed().as_secs_f64());
    // It hands over what is left.
    operator.end();
    let spans = collector.spans().len();
    let _ = writeln!(table, "{one_in:<28}{cpu_seconds:>8.2}{wall_seconds:>10.1}{spans:>10}");
    cpu_seconds
}
