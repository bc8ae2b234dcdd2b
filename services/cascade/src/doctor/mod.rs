//! `cascade doctor`: looks for what threatens the promises, before it does harm. It asks, and changes nothing.

mod finding;
mod settings;
mod cluster;
mod records;
mod schemas;

use stream::admin;

use crate::config::{Common, Flags, Process};
use crate::failure::{Exit, Failure};
use crate::registry;
use crate::{config, logs, topics};
use finding::{Finding, Gravity, tell};

/// How far to look.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Look at settings and files alone, without Kafka
    #[arg(long)]
    pub offline: bool,
    /// What runs on this machine; may be repeated. What only other services need is told as advice
    #[arg(long = "service", value_name = "SERVICE")]
    pub services: Vec<Service>,
    #[command(flatten)]
    flags: Flags,
}

/// Who needs something of the machine itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Service {
    /// Reads the sources.
    Intake,
    /// Keeps its state in `state.dir`.
    Operator,
    /// A worker: renders what is in `templates.dir`.
    Channel,
    /// Takes receipts and clicks.
    Tracker,
}

/// All findings, or that there are none.
///
/// # Errors
/// `Unexpected` (exit code 1) with the findings, if one of them threatens a promise; those that are only advice are printed.
pub fn run(args: &Args) -> Result<String, Failure> {
    let mut findings = Vec::new();
    match config::read(&args.flags, &Process, Common::read) {
        Err(failure) => findings.extend(settings::refused(&failure)),
        Ok(common) => {
            logs::start(&common.logs, logs::TOOLS);
            findings.extend(settings::examine(&args.flags, &common, &args.services)?);
            if !args.offline {
                match topics::reach(&common) {
                    Err(failure) => findings.push(Finding::of(&failure, "brokers")),
                    Ok(()) => findings.extend(connected(&common, &args.flags)?),
                }
            }
        }
    }
    let text = tell(&findings);
    match findings.iter().any(|finding| finding.gravity == Gravity::Threat) {
        true => Err(Failure::new(Exit::Unexpected, text.trim_end())),
        false => Ok(text),
    }
}

/// What the brokers and the records on them tell.
fn connected(common: &Common, flags: &Flags) -> Result<Vec<Finding>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::unexpected)?;
    let mut findings = Vec::new();
    let registry = config::read(flags, &Process, registry::Settings::read).unwrap_or_else(|failure| {
        findings.extend(settings::refused(&failure));
        None
    });
    match runtime.block_on(stream::inspect::cluster(&common.kafka)) {
        Err(error) => findings.push(Finding::of(&error.into(), "brokers")),
        Ok(found) => {
            findings.extend(cluster::examine(common, &found));
            match runtime.block_on(admin::existing(&common.kafka, &cluster::INTERNAL.map(|(name, _)| name))) {
                Err(error) => findings.push(Finding::of(&error.into(), "topics of the brokers' own")),
                Ok(own) => findings.extend(cluster::internal(&found, &own)),
            }
        }
    }
    let catalogue = common.topics.catalogue(&common.channels, common.partitions);
    let names: Vec<&str> = catalogue.iter().map(|topic| topic.name.as_str()).collect();
    match runtime.block_on(admin::existing(&common.kafka, &names)) {
        Err(error) => findings.push(Finding::of(&error.into(), "topics")),
        Ok(existing) => {
            let wanted = topics::wanted_of(common, &catalogue, &existing);
            match topics::shown(&existing) {
                Err(failure) => findings.push(Finding::of(&failure, "topics")),
                Ok(()) => findings.extend(cluster::topics(&admin::verify(&existing, &wanted))),
            }
            let present: Vec<String> = existing.into_keys().collect();
            findings.extend(records::examine(common, &present, registry.is_some())?);
        }
    }
    if let Some(registry) = registry {
        findings.extend(runtime.block_on(schemas::examine(&registry, &common.topics)));
    }
    Ok(findings)
}
