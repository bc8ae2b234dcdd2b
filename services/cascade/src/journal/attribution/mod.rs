//! `cascade attribution`: to which messages orders are owed.
//!
//! *The way of the data.* The journal says what was sent, by which campaign and step. `input` says when people opened, followed or answered
//! it, and when they ordered: facts, in business time, in whatever order they were told. A named model joins them when it is asked, and
//! keeps nothing: the same topics, model and window give the same answer, also where an opening was told long after the order. `input` is
//! read first, so that of both topics only that is kept which the question needs.
//!
//! *What is not known.* What `input` and the journal have forgotten (`retention.ms`).

mod model;

pub use model::Model;

use std::collections::BTreeMap;
use std::fmt::Write;

use schemas::{Fact, Input, Journal, Millis};

use crate::config::Common;
use crate::failure::{Exit, Failure};
use crate::{reading, topics};
use model::{Credit, Question, Told};

const DAY: Millis = 24 * 60 * 60 * 1000;

/// Which orders, owed by which rule.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The action that counts as an order
    #[arg(long, value_name = "NAME", default_value = "purchase")]
    pub action: String,
    /// To what an order is owed
    #[arg(long, value_enum, default_value_t)]
    pub model: Model,
    /// So many days before the order at most
    #[arg(long, value_name = "DAYS", default_value_t = 7, value_parser = clap::value_parser!(i64).range(1..=400))]
    pub within: i64,
    /// Only orders from this moment on, such as 2026-11-01T00:00:00Z
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    pub from: Option<Millis>,
    /// Only orders before this moment
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    pub to: Option<Millis>,
    /// One JSON object for each order instead of sums
    #[arg(long)]
    pub json: bool,
}

fn moment(text: &str) -> Result<Millis, String> {
    let moment = text.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_millisecond);
    moment.map_err(|_| "this is no moment: write date, time and offset, such as 2026-11-01T00:00:00Z".to_owned())
}

/// The orders and what each is owed to, as sums or one by one.
///
/// # Errors
/// Those of Kafka; `Unknown` if there is no such order.
pub fn run(common: &Common, args: &Args) -> Result<String, Failure> {
    topics::reach(common)?;
    let Args { model, from, to, .. } = *args;
    let mut told = Told::of(Question { model, window: args.within * DAY, from, to });
    read::<Input>(common, &common.topics.input(), |input| match input.fact {
        Fact::Feedback(word) => told.heard(word),
        Fact::Action(it) if it.action == args.action => told.ordered(it),
        _ => {}
    })?;
    let mut facts = told.whole();
    read::<Journal>(common, &common.topics.journal(), |record| facts.decided(record))?;
    let credits = facts.credits();
    if credits.is_empty() {
        let sentence = format!("no {} is known of that time: check --action, --from, --to", args.action);
        return Err(Failure::new(Exit::Unknown, sentence));
    }
    if args.json {
        let lines: Result<Vec<String>, _> = credits.iter().map(serde_json::to_string).collect();
        return Ok(lines.map_err(Failure::unexpected)?.into_iter().map(|line| line + "\n").collect());
    }
    Ok(sums(args, &credits))
}

/// Hands over every record of a topic that can be read.
fn read<T: schemas::Record>(common: &Common, topic: &str, mut each: impl FnMut(T)) -> Result<(), Failure> {
    for partition in 0..reading::partitions(&common.kafka, topic)? {
        reading::partition(&common.kafka, topic, partition, |record| match record.value().map(schemas::decode::<T>) {
            Some(Ok(value)) => each(value),
            Some(Err(error)) => {
                tracing::warn!(topic, partition, offset = record.offset(), %error, "a record cannot be read")
            }
            None => {}
        })?;
    }
    Ok(())
}

/// What stands in a line of sums.
#[derive(Default)]
struct Sum {
    orders: u64,
    /// Money by currency, in minor units.
    money: BTreeMap<String, i64>,
}

/// What was sold by which message.
fn sums(args: &Args, credits: &[Credit<'_>]) -> String {
    let mut sums: BTreeMap<Option<(&str, i32, &str, &str)>, Sum> = BTreeMap::new();
    for credit in credits {
        let to = credit.to.as_ref().map(|owed| owed.message);
        let sum = sums.entry(to.map(|to| (&*to.campaign, to.version, &*to.step, &*to.channel))).or_default();
        sum.orders += 1;
        if credit.order.amount_minor != 0 {
            let money = sum.money.entry(credit.order.currency.clone()).or_default();
            *money = money.saturating_add(credit.order.amount_minor);
        }
    }
    let mut told = format!(
        "{} of {}, each owed to {} in the {} days before it\n\n",
        credits.len(),
        args.action,
        args.model.meaning(),
        args.within
    );
    let nobody = sums.remove(&None);
    let owed = sums.iter().filter_map(|(to, sum)| {
        let (campaign, version, step, channel) = (*to)?;
        Some((format!("{campaign} version {version}, step {step} by {channel}"), sum))
    });
    for (to, sum) in owed.chain(nobody.iter().map(|sum| ("no message".to_owned(), sum))) {
        let money: String = sum.money.iter().map(|(currency, minor)| format!("  {minor} minor {currency}")).collect();
        let _ = writeln!(told, "{:>9}  {to}{money}", sum.orders);
    }
    told
}
