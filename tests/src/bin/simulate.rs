//! Searches for mistakes of the engine on simulated brokers. Each seed is a life of its own.
//!
//! ```text
//! cargo run -p system-tests --bin simulate -- --runs 100000            seeds 0 to 99 999
//! cargo run -p system-tests --bin simulate -- --seed 4711              one seed, told call by call if it shows a mistake
//! cargo run -p system-tests --bin simulate -- --bug NoBarrier          with a mistake planted, until it is found
//! ```
//!
//! Ends with 1 and the smallest life that still shows the mistake.
#![expect(clippy::print_stdout, reason = "it is a program for a terminal")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Parser;
use stream::clock::Tick;
use stream::simulation::Bug;
use system_tests::simulation::{Sights, Simulation};

#[derive(Parser)]
struct Options {
    /// How many seeds.
    #[arg(long, default_value_t = 1_000)]
    runs: u64,
    /// The first one.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// One seed alone, with all that happens.
    #[arg(long)]
    seed: Option<u64>,
    /// A mistake to plant, by its name in `stream::simulation::Bug`.
    #[arg(long, value_parser = bug_of)]
    bug: Option<Bug>,
}

fn bug_of(name: &str) -> Result<Bug, String> {
    let known = || Bug::ALL.map(|bug| format!("{bug:?}")).join(", ");
    Bug::ALL.into_iter().find(|bug| format!("{bug:?}") == name).ok_or_else(|| format!("one of {}", known()))
}

fn main() -> ExitCode {
    let options = Options::parse();
    match options.seed {
        Some(seed) => tell(&simulation(seed, &options)),
        None => search(&options),
    }
}

fn simulation(seed: u64, options: &Options) -> Simulation {
    let mut simulation = Simulation::of_seed(seed);
    simulation.bug = options.bug;
    simulation
}

/// Lives through one life and tells it.
fn tell(simulation: &Simulation) -> ExitCode {
    match simulation.run(true) {
        Ok(sights) => {
            println!("{simulation:?}\nnothing wrong: {sights:?}");
            ExitCode::SUCCESS
        }
        Err(_) => show(simulation),
    }
}

fn show(simulation: &Simulation) -> ExitCode {
    let smallest = simulation.shrink();
    if let Err(mistake) = smallest.run(true) {
        mistake.trace.iter().for_each(|line| println!("{line}"));
        println!("{}\nshown by {smallest:?}", mistake.words);
    }
    ExitCode::FAILURE
}

/// Lives through many lives, on all cores, and stops at the first mistake.
fn search(options: &Options) -> ExitCode {
    let begun = Tick::now();
    let (next, end) = (AtomicU64::new(options.from), options.from + options.runs);
    let (total, found) = (Mutex::new(Sights::default()), Mutex::new(None));
    let work = || {
        while found.lock().is_ok_and(|found| found.is_none()) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return;
            }
            // A panic is a mistake like others: its seed is to be told.
            let lived = catch_unwind(AssertUnwindSafe(|| simulation(seed, options).run(false)));
            let mistake = match lived {
                Ok(Ok(sights)) => {
                    *total.lock().expect("nobody panicked") += sights;
                    None
                }
                Ok(Err(mistake)) => Some(mistake.words),
                Err(_) => Some("it panicked".to_owned()),
            };
            if let Some(words) = mistake {
                *found.lock().expect("nobody panicked") = Some((seed, words));
            }
            if (seed + 1) % 10_000 == 0 {
                println!("{} seeds in {:.0} s", seed + 1 - options.from, begun.elapsed().as_secs_f64());
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, std::num::NonZero::get) {
            scope.spawn(work);
        }
    });
    let seconds = begun.elapsed().as_secs_f64();
    match found.into_inner().expect("nobody panicked") {
        Some((seed, words)) => {
            println!("seed {seed}, after {seconds:.1} s: {words}");
            show(&simulation(seed, options))
        }
        None => {
            println!("{} seeds in {seconds:.1} s: {:?}", options.runs, total.into_inner().expect("nobody panicked"));
            ExitCode::SUCCESS
        }
    }
}
