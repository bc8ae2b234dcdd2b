//! `cascade dlq`: what could not be read, its second chance, and the release of a customer who is held because of it.

mod letter;
mod tell;
mod redrive;
#[cfg(test)]
mod tests;

use schemas::{Fact, Input, Origin, Release};
use stream::kafka::Producer;

pub use letter::Filter;
use letter::Keep;
pub use redrive::Chance;

use crate::config::Common;
use crate::failure::Failure;
use crate::{cli, common, topics};

/// How many letters to list.
#[derive(Clone, Debug, clap::Args)]
pub struct ListArgs {
    #[command(flatten)]
    pub filter: Filter,
    /// At most so many, the newest
    #[arg(long, default_value_t = 50)]
    pub limit: usize,
}

/// Whom to release.
#[derive(Clone, Debug, clap::Args)]
pub struct ReleaseArgs {
    /// The customer's id
    #[arg(long, value_name = "ID")]
    pub customer: String,
    /// Who releases and why, for the journal
    #[arg(long)]
    pub note: String,
}

/// `cascade dlq …`. Gives back what to print.
///
/// # Errors
/// Those of the tools.
pub fn run(command: cli::Dlq) -> Result<String, Failure> {
    use cli::Dlq as Command;
    match command {
        Command::List { args, flags } => {
            let common = common(&flags)?;
            let letters = letter::read(&common, &args.filter, Keep::Headers)?;
            Ok(tell::table(&letters, args.limit, &common.topics.dead_letter()))
        }
        Command::Show { filter, flags } => Ok(tell::whole(&letter::read(&common(&flags)?, &filter, Keep::Values)?)),
        Command::Redrive { args, flags } => redrive::redrive(&common(&flags)?, &args),
        Command::Drop { args, flags } => redrive::dismiss(&common(&flags)?, &args),
        Command::Release { args, flags } => release(&common(&flags)?, &args),
    }
}

/// Says in `input` that a held customer may be written to again.
///
/// # Errors
/// Those of Kafka; `NotNow` if the answer to the commit did not come: releasing again does no harm.
fn release(common: &Common, args: &ReleaseArgs) -> Result<String, Failure> {
    let topic = common.topics.input();
    topics::require(common, std::slice::from_ref(&topic))?;
    let now = common.time.clock()?.now();
    let release = Release {
        event_id: format!("release/{}/{now}", args.customer),
        customer_id: args.customer.clone(),
        occurred_at: now,
        note: args.note.clone(),
    };
    let origin = Origin {
        topic: "cascade dlq release".to_owned(),
        appended_at: stream::clock::machine_now(),
        ..Origin::default()
    };
    let value = schemas::encode(&Input { origin, fact: Fact::Release(release), hops: 0 });
    let mut producer = Producer::new(&common.kafka, &format!("cascade-release-{topic}"))?;
    let index = producer.topic(&topic)?;
    producer.begin()?;
    producer.produce(index, None, Some(args.customer.as_bytes()), Some(&value), &[])?;
    producer.commit()?;
    Ok(format!("{} is released: see `cascade journal --customer {}`\n", args.customer, args.customer))
}
