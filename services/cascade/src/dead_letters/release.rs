//! The release of customers who are held because of a dead letter.

use std::collections::BTreeSet;

use schemas::{Fact, Input, Origin, Release};
use stream::kafka::Producer;

use super::letter::{self, Filter, Keep, Letter};
use crate::config::Common;
use crate::failure::{Exit, Failure};
use crate::topics;

/// Whom to release: one customer, or those whom the letters that are meant are about, once these are done with.
#[derive(Clone, Debug, clap::Args)]
pub struct ReleaseArgs {
    #[command(flatten)]
    pub filter: Filter,
    /// Who releases and why, for the journal
    #[arg(long)]
    pub note: String,
    /// Do it, also for more than one customer whom --customer names. Without this it is only shown whom
    #[arg(long)]
    pub yes: bool,
}

/// So many customers in one transaction: far fewer than its time-out allows.
const TOGETHER: usize = 500;

/// Says in `input` that held customers may be written to again.
///
/// # Errors
/// `Usage` if nothing says whom; those of Kafka; `NotNow` if the answer to a commit did not come: releasing again does no harm.
pub fn release(common: &Common, args: &ReleaseArgs) -> Result<String, Failure> {
    let topic = common.topics.input();
    topics::require(common, std::slice::from_ref(&topic))?;
    if let Some(customer) = args.filter.customer_alone() {
        publish(common, &topic, &[customer.to_owned()], &args.note)?;
        return Ok(format!("{customer} is released: see `cascade journal --customer {customer}`\n"));
    }
    if args.filter == Filter::default() {
        let words = "say whom: --customer ID, or which letters (--code, --since …; all of them with --all)";
        return Err(Failure::new(Exit::Usage, words));
    }
    // What was redriven or dropped is done with, and so nobody need be held for it; of whom another such letter is still to come back stays
    // as he is, unless all are meant.
    let filter = Filter { all: true, ..args.filter.clone() };
    let letters = letter::read_all(common, &filter, Keep::Origins)?;
    let customers = customers(&if args.filter.all { letters } else { done_with(letters) });
    if args.yes {
        publish(common, &topic, &customers, &args.note)?;
    }
    let verb = if args.yes { "is released" } else { "would be released" };
    let lines: String = customers.iter().map(|customer| format!("{customer} {verb}\n")).collect();
    let count = customers.len();
    Ok(match args.yes {
        true => format!("{lines}{count} customers are released; who was not held stays as he is\n"),
        false => format!("{lines}nothing was done: with --yes {count} customers are released\n"),
    })
}

/// Letters of customers who have no other among them that nothing was done about.
pub(super) fn done_with(mut letters: Vec<Letter>) -> Vec<Letter> {
    let open: BTreeSet<_> =
        letters.iter().filter(|letter| letter.done.is_none()).map(|letter| letter.key.clone()).collect();
    letters.retain(|letter| !open.contains(&letter.key));
    letters
}

/// Each of them once, in the order of their letters. A key that is no text is no customer's.
pub(super) fn customers(letters: &[Letter]) -> Vec<String> {
    let mut known = BTreeSet::new();
    let keys = letters.iter().filter_map(|letter| str::from_utf8(letter.key.as_deref()?).ok());
    keys.filter(|key| !key.is_empty() && known.insert(*key)).map(str::to_owned).collect()
}

fn publish(common: &Common, topic: &str, customers: &[String], note: &str) -> Result<(), Failure> {
    let now = common.time.clock()?.now();
    let mut producer = Producer::new(&common.kafka, &format!("cascade-release-{topic}"))?;
    let index = producer.topic(topic)?;
    for some in customers.chunks(TOGETHER) {
        producer.begin()?;
        for customer in some {
            let release = Release {
                event_id: format!("release/{customer}/{now}"),
                customer_id: customer.clone(),
                occurred_at: now,
                note: note.to_owned(),
            };
            let origin = Origin {
                topic: "cascade dlq release".to_owned(),
                appended_at: stream::clock::machine_now(),
                ..Origin::default()
            };
            let value = schemas::encode(&Input { origin, fact: Fact::Release(release), hops: 0 });
            producer.produce(index, None, Some(customer.as_bytes()), Some(&value), &[])?;
        }
        producer.commit()?;
    }
    Ok(())
}
