//! The whole base, as the changelog has it: what a launch would come to, and which contacts are asleep.

use std::path::PathBuf;

use campaign::{Contacts, Forecast, Hygiene, Plans, Row};
use comfy_table::{Table, presets::NOTHING};
use schemas::{Customer, Millis};

use super::book::{self, Book};
use super::documents::{self, Document, Kind};
use crate::config::Common;
use crate::failure::{Exit, Failure};
use crate::{reading, times, topics};

/// What is launched.
#[derive(Clone, Debug, clap::Args)]
pub struct Launch {
    /// A campaign with `on: schedule` and one moment
    pub path: PathBuf,
    /// Show what it would come to, and do nothing: what happens without --yes, too
    #[arg(long, conflicts_with = "yes")]
    pub dry_run: bool,
    /// Do it
    #[arg(long)]
    pub yes: bool,
}

/// Tells what a campaign that begins once would come to, and puts it in force if that is wanted.
///
/// # Errors
/// `Campaign` if it does not begin once, its moment is over, or its version was applied before; those of Kafka.
pub fn launch(common: &Common, args: &Launch) -> Result<String, Failure> {
    let mut documents = documents::read(std::slice::from_ref(&args.path))?;
    let document = match (documents.pop(), documents.is_empty()) {
        (Some(document), true) if matches!(document.kind, Kind::Definition { .. }) => document,
        _ => return Err(Failure::new(Exit::Campaign, "one campaign is launched at a time: name its file")),
    };
    let mut book = if args.yes { Book::open(common)? } else { Book::of(book::read(common)?) };
    let now = common.time.clock()?.now();
    let (plans, name) = planned(&book, &document, now)?;
    let mut forecast = Forecast::of(&plans, &name, now).map_err(|sentence| Failure::new(Exit::Campaign, sentence))?;
    let largest = everybody(common, |id, customer| forecast.look(&plans, id, customer, now))?;
    in_time(&plans, &name, largest)?;
    let told = told(&forecast, &plans, &name, largest);
    let warnings = document.warnings.clone() + &book.unknown_past(&document);
    if !args.yes {
        return Ok(format!("{warnings}{told}Nothing was launched: add --yes to do it.\n"));
    }
    let title = document.title();
    book.publish(&[document.into_record(now)])?;
    Ok(format!("{warnings}{told}{title}: launched\n"))
}

/// Whoever is met later than `max_age` is not begun for: a pace that is too slow would leave out the rest of the base.
pub(super) fn in_time(plans: &Plans, name: &str, largest: u64) -> Result<(), Failure> {
    let trigger = plans.newest(name).map(|plan| &plan.trigger);
    let paced = trigger.and_then(|trigger| Some((trigger.max_age / 1_000, trigger.schedule.as_ref()?.pace?)));
    let Some((most, pace)) = paced else { return Ok(()) };
    let seconds = largest.div_ceil(u64::from(pace.max(1)));
    if i64::try_from(seconds).is_ok_and(|seconds| seconds <= most) {
        return Ok(());
    }
    let words = format!(
        "with a pace of {pace} everybody is met after {seconds} s, and whoever is met later than max_age, {most} s, is left out: a \
         greater pace, or a greater max_age"
    );
    Err(Failure::new(Exit::Campaign, words))
}

/// The plans as they would be, and the campaign's name.
pub(super) fn planned(book: &Book, document: &Document, now: Millis) -> Result<(Plans, String), Failure> {
    let refused = |sentence: String| Failure::new(Exit::Campaign, sentence);
    if !book.judge(document).map_err(refused)? {
        return Err(refused(format!("{} was applied before: make another version of it", document.title())));
    }
    let Kind::Definition { campaign, version } = &document.kind else {
        return Err(refused("only a campaign can be launched".to_owned()));
    };
    let mut plans = book.plans().clone();
    let record = schemas::Campaign {
        campaign: campaign.clone(),
        version: *version,
        kind: schemas::CampaignKind::Definition,
        definition: document.text.clone(),
        applied_at: now,
        ..schemas::Campaign::default()
    };
    plans.apply(&record).map_err(|problems| documents::refused(Exit::Campaign, &problems, "it cannot be launched"))?;
    Ok((plans, campaign.clone()))
}

/// What a launch would come to, in words. `largest` is the number of customers in the largest partition.
pub(super) fn told(forecast: &Forecast, plans: &Plans, name: &str, largest: u64) -> String {
    let mut lines = vec![
        ("begins".to_owned(), format!("once, on {}", times::utc(forecast.at()))),
        ("customers known".to_owned(), forecast.customers.to_string()),
        ("begins for".to_owned(), forecast.begins.to_string()),
    ];
    let parts = [("held out", forecast.held_out), ("on no channel", forecast.unreachable)];
    lines.extend(
        parts.into_iter().filter(|(_, count)| *count > 0).map(|(of, count)| (format!("  {of}"), count.to_string())),
    );
    for (reason, count) in &forecast.refused {
        lines.push((format!("  not for {count}"), reason.sentence().to_owned()));
    }
    for (channel, count) in &forecast.messages {
        lines.push((format!("{channel} at most"), count.to_string()));
    }
    let unpriced = match forecast.unpriced {
        0 => String::new(),
        count => format!(", and what {count} messages cost of which no table says it"),
    };
    let currency = &plans.prices().currency;
    let currency = if currency.is_empty() { String::new() } else { format!(" of {currency}") };
    lines.push(("spend at most".to_owned(), format!("{} minor units{currency}{unpriced}", forecast.most_minor)));
    let pace = plans.newest(name).and_then(|plan| plan.trigger.schedule.as_ref()?.pace);
    lines.push((
        "pace".to_owned(),
        match pace {
            None => "as fast as can be: `pace` beside `on: schedule` slows it down".to_owned(),
            Some(pace) => {
                let seconds = largest.div_ceil(u64::from(pace.max(1)));
                format!("{pace} customers of a partition in a second: {seconds} s for everybody")
            }
        },
    ));
    table(lines.iter().map(|(what, how)| [what.clone(), how.clone()]))
}

/// How the base is, channel by channel.
#[derive(Clone, Debug, clap::Args)]
pub struct Sleepers {
    /// A contact is asleep so long after the first message that was not answered
    #[arg(long, value_name = "LENGTH", default_value = "6 months")]
    pub after: String,
}

/// Counts contacts that are awake, silent and asleep. No address is told.
///
/// # Errors
/// `Usage` if the length is none; those of Kafka.
pub fn hygiene(common: &Common, args: &Sleepers) -> Result<String, Failure> {
    let mut hygiene = Hygiene::after(&args.after).map_err(|sentence| Failure::new(Exit::Usage, sentence))?;
    let now = common.time.clock()?.now();
    everybody(common, |_, customer| hygiene.look(customer, now))?;
    Ok(counted(&hygiene))
}

pub(super) fn counted(hygiene: &Hygiene) -> String {
    let heads = ["channel", "contacts", "no consent", "awake", "silent", "asleep", "unknown"].map(str::to_owned);
    let rows = hygiene.channels().map(|(channel, of)| {
        let Contacts { all, without_consent, awake, silent, asleep, unknown } = of;
        let [all, without, awake, silent, asleep, unknown] =
            [all, without_consent, awake, silent, asleep, unknown].map(|count| count.to_string());
        [channel.to_owned(), all, without, awake, silent, asleep, unknown]
    });
    let note = "A channel of which no campaign asks `asleep` or `heard_on`, or that tells of no opening, is unknown.";
    format!("{}{note}\n", table(std::iter::once(heads).chain(rows)))
}

fn table<const N: usize>(rows: impl Iterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    rows.for_each(|row| {
        table.add_row(row);
    });
    format!("{}\n", table.trim_fmt())
}

/// Shows every customer of whom something is known. Gives back how many are in the largest partition.
fn everybody(common: &Common, mut each: impl FnMut(&str, &Customer)) -> Result<u64, Failure> {
    let topic = common.topics.changelog();
    topics::require(common, std::slice::from_ref(&topic))?;
    let mut largest = 0;
    for partition in 0..reading::partitions(&common.kafka, &topic)? {
        let (mut count, mut unreadable) = (0, 0_u64);
        stream::read_rows(&common.kafka, &topic, partition, |key, bytes| {
            match (std::str::from_utf8(key), Row::decode(bytes)) {
                // Who is known under another id now is counted there.
                (Ok(id), Ok(Row::Customer(customer))) if customer.moved_to.is_none() => {
                    count += 1;
                    each(id, &customer);
                }
                (Ok(_), Ok(Row::Customer(_) | Row::Budget(_) | Row::Address(_))) => {}
                _ => unreadable += 1,
            }
        })?;
        if unreadable > 0 {
            let sentence = format!("{unreadable} rows of {topic}/{partition} cannot be read: upgrade first");
            return Err(Failure::new(Exit::Unexpected, sentence));
        }
        largest = largest.max(count);
    }
    Ok(largest)
}
