//! `cascade doctor`: looks for what threatens the promises, before it does harm. It asks, and changes nothing.

mod finding;
mod settings;
mod cluster;
mod records;
mod schemas;

use stream::admin;

use crate::config::{Common, Flags, Process};
use crate::failure::{Exit, Failure};
use crate::{config, logs, topics};
use finding::{Finding, Gravity, tell};

/// How far to look.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Look at settings and files alone, without Kafka
    #[arg(long)]
    pub offline: bool,
    #[command(flatten)]
    flags: Flags,
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
            logs::start(&common.logs);
            findings.extend(settings::examine(&args.flags, &common)?);
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
    match runtime.block_on(stream::inspect::cluster(&common.kafka)) {
        Err(error) => findings.push(Finding::of(&error.into(), "brokers")),
        Ok(found) => findings.extend(cluster::examine(common, &found)),
    }
    let catalogue = common.topics.catalogue(&common.channels, common.partitions);
    let names: Vec<&str> = catalogue.iter().map(|topic| topic.name.as_str()).collect();
    match runtime.block_on(admin::existing(&common.kafka, &names)) {
        Err(error) => findings.push(Finding::of(&error.into(), "topics")),
        Ok(existing) => {
            let wanted = topics::wanted_of(common, &catalogue, &existing);
            findings.extend(cluster::topics(&admin::verify(&existing, &wanted)));
            let present: Vec<String> = existing.into_keys().collect();
            findings.extend(records::examine(common, &present, registry_of(flags)?.is_some())?);
        }
    }
    if let Some(url) = registry_of(flags)? {
        findings.extend(runtime.block_on(schemas::examine(&url, &common.topics)));
    }
    Ok(findings)
}

fn registry_of(flags: &Flags) -> Result<Option<String>, Failure> {
    config::read(flags, &Process, |reader| reader.optional("registry.url").filter(|url| !url.is_empty()))
}
