//! The one binary: every service, and the tools around them.
//!
//! *What it is not.* It decides nothing and moves no records: the services' own crates do.

mod cli;
mod config;
mod logs;
mod ops;
mod services;
mod registry;
mod state;
mod topics;
mod campaigns;
mod journal;
mod dead_letters;
mod custody;
mod canary;
mod bounces;
mod import;
mod doctor;
mod manual;
mod reading;
mod times;
mod demo;
mod failure;

use std::{io::Write, process::ExitCode};

use campaigns::{apply_table, documents::Kind as Table};
use cli::{Command, Prices, Rates};
use config::{Common, Flags, Process};
use failure::Failure;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    match cli::parse().and_then(|command| run(command).map_err(Some)) {
        Ok(text) => {
            // Whoever closed the pipe has seen enough.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(None) => ExitCode::SUCCESS,
        Err(Some(failure)) => failure.tell(),
    }
}

/// What is to be printed at the end.
fn run(command: Command) -> Result<String, Failure> {
    match command {
        Command::Service(command) => services::serve(command),
        Command::Demo(args) => demo::run(args).map(|()| String::new()),
        Command::Topics(command) => topics::run(command),
        Command::Check(files) => campaigns::check(&files),
        Command::Show(args) => campaigns::show(&args),
        Command::Render { args, flags } => campaigns::preview::run(&flags, &args),
        Command::Try(args) => campaigns::rehearse(&args, &mut std::io::stdout()),
        Command::Campaign(command) => campaigns::run(command),
        Command::Prices(Prices::Apply { paths, flags }) => apply_table(&common(&flags)?, &Table::Prices, &paths),
        Command::Rates(Rates::Apply { paths, flags }) => apply_table(&common(&flags)?, &Table::Rates, &paths),
        Command::Journal { args, flags } => journal::run(&common(&flags)?, &args),
        Command::Attribution { args, flags } => journal::attribution::run(&common(&flags)?, &args),
        Command::Dlq(command) => dead_letters::run(command),
        Command::Custody(command) => custody::run(command),
        Command::Doctor(args) => doctor::run(&args),
        Command::Bounces { args, flags } => bounces::run(&flags, &args),
        Command::Import { args, flags } => import::run(&common(&flags)?, &args),
        Command::Health(args) => ops::health::run(&args),
        Command::Config(command) => manual::config(&command),
        Command::Completions { shell } => Ok(manual::completions(shell)),
        Command::Idle => ops::idle::run(),
        Command::Man { dir } => manual::pages(&dir),
    }
}

/// The configuration of a tool. Logs go to stderr, what was asked for to stdout.
fn common(flags: &Flags) -> Result<Common, Failure> {
    config::read(flags, &Process, Common::read).inspect(|common| logs::start(&common.logs, logs::TOOLS))
}
