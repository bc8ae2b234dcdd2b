//! `cascade erase`: forgets a customer, waits until that is done, and says what remains where, and for how long at most.
//!
//! The erasure is a tombstone in `profile`: it takes the profile out of that topic, and intake and operator treat it as the customer's wish to
//! be forgotten. It is the same record that a shop may write itself. Where partitions were added to the topic, an older profile may stand
//! in another partition than the key's, where nothing written to the key's takes it away: each such partition gets a tombstone of its own.

use std::fmt::Write;
use std::time::Duration;

use campaign::Row;
use schemas::Reason;
use stream::clock::Tick;
use stream::kafka::partition_of;
use stream::publisher::Publisher;

use super::{refusals, remains, rows};
use crate::config::Common;
use crate::failure::{Exit, Failure};
use crate::reading::Decisions;
use crate::{reading, topics};

/// The operator's word is read as soon as it is committed, and the row's end a moment later.
const MOMENT: Duration = Duration::from_secs(5);

/// Whom.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The customer's id
    #[arg(long, value_name = "ID")]
    pub customer: String,
    /// Do it. Without this it is only shown what is known, and where
    #[arg(long)]
    pub yes: bool,
    /// Seconds to wait for the operator's word that it is done
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub patience: u64,
}

/// Erases, with proof.
///
/// # Errors
/// `NotNow` if nobody says within the patience that it is done: the wish stands in its topic, and will be met. Those of Kafka.
pub fn run(common: &Common, args: &Args) -> Result<String, Failure> {
    let names = &common.topics;
    let needed =
        [names.profile(), names.input(), names.changelog(), names.journal(), names.suppression(), names.dead_letter()];
    topics::require(common, &needed)?;
    // Who may not look there learns it before anything is erased.
    refusals::kept(common)?;
    let before = rows::find(common, &args.customer)?;
    let mut told = match &before {
        None => format!("no row is known of customer {}\n", args.customer),
        Some((partition, _)) => format!("a row of customer {} is in partition {partition}\n", args.customer),
    };
    other_ids(before.as_ref().map(|(_, row)| row), &mut told);
    if args.yes {
        if !is_forgotten(common, args)? {
            let sentence =
                format!("customer {} was erased, and something came after it: look, and erase again", args.customer);
            return Err(Failure::new(Exit::NotNow, format!("{told}{sentence}")));
        }
        let _ = writeln!(told, "customer {} is forgotten: the operator has said so, and no row is left", args.customer);
    } else {
        told.push_str("nothing was erased: add --yes to do it\n");
    }
    let kept = args.yes.then(|| refusals::kept(common)).transpose()?;
    refusals::tell(common, &args.customer, before.as_ref().map(|(_, row)| row), kept.as_ref(), &mut told);
    remains::tell(common, &args.customer, &mut told)?;
    Ok(told)
}

/// Ids that are erased each for itself.
fn other_ids(row: Option<&Row>, told: &mut String) {
    let Some(Row::Customer(customer)) = row else { return };
    let others = customer.formerly.iter().map(|former| &former.customer_id).chain(&customer.moved_to);
    for other in others {
        let _ = writeln!(told, "known under {other}, too: that id is erased by a command of its own");
    }
}

/// Writes the wish, wherever it has to stand, and waits until the journal says that each was met. False if there is a row all the same.
fn is_forgotten(common: &Common, args: &Args) -> Result<bool, Failure> {
    let (profile, topic) = (common.topics.profile(), common.topics.journal());
    let customer = args.customer.as_bytes();
    let mut decisions = Decisions::from_now(&common.kafka, &topic, |count| vec![partition_of(customer, count)])?;
    let wishes = wish(common, &profile, &args.customer)?;
    let mut met = 0;
    let mut until = Tick::now().after(Duration::from_secs(args.patience));
    while !until.remaining().is_zero() {
        let before = met;
        decisions.hear(
            Duration::from_millis(200),
            |key| key == customer,
            |decision| met += usize::from(decision.reason == Reason::Erased && decision.campaign.is_empty()),
        )?;
        if met < wishes {
            continue;
        }
        if rows::find(common, &args.customer)?.is_none() {
            return Ok(true);
        }
        if before < wishes {
            until = Tick::now().after(MOMENT);
        }
    }
    if met >= wishes {
        return Ok(false);
    }
    let sentence = format!(
        "the wish to erase customer {} is in {profile}, and nobody has met it within {} s: see whether intake and operator run; ask again then",
        args.customer, args.patience
    );
    Err(Failure::new(Exit::NotNow, sentence))
}

/// Tombstones in the key's partition, and wherever else a profile stands. How many.
fn wish(common: &Common, profile: &str, customer: &str) -> Result<usize, Failure> {
    let home = partition_of(customer.as_bytes(), reading::partitions(&common.kafka, profile)?);
    let mut partitions = remains::standing(common, customer)?;
    partitions.retain(|partition| *partition != home);
    // The one where new profiles come goes last.
    partitions.push(home);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::unexpected)?;
    let publisher = Publisher::new(&common.kafka, &[profile])?;
    for partition in &partitions {
        runtime.block_on(publisher.publish(profile, Some(*partition), Some(customer.as_bytes()), None, &[]))?;
    }
    Ok(partitions.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_ids_are_named() {
        let mut told = String::new();
        let former = schemas::Former { customer_id: "c0".to_owned(), adopted: None };
        let customer = schemas::Customer {
            formerly: vec![former],
            moved_to: Some("c2".to_owned()),
            ..schemas::Customer::default()
        };
        other_ids(Some(&Row::Customer(customer)), &mut told);
        assert!(told.contains("known under c0") && told.contains("known under c2"), "{told}");
    }
}
