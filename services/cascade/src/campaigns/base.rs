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
    in_time(&plans, &name, largest, now)?;
    let told = told(&forecast, &plans, &name, largest);
    let warnings = document.warnings.clone() + &book.unknown_past(&document);
    if !args.yes {
        return Ok(format!("{warnings}{told}Nothing was launched: add --yes to do it.\n"));
    }
    let title = document.title();
    book.publish(&[document.into_record(now)])?;
    Ok(format!("{warnings}{told}{title}: launched\n"))
}

/// Whoever is met later than `max_age` after the moment is not begun for: a pace that is too slow would leave out the rest of the base.
/// What is over of that time when it is launched is gone.
pub(super) fn in_time(plans: &Plans, name: &str, largest: u64, now: Millis) -> Result<(), Failure> {
    let trigger = plans.newest(name).map(|plan| &plan.trigger);
    let paced = trigger.and_then(|trigger| {
        let schedule = trigger.schedule.as_ref()?;
        Some((trigger.max_age, schedule.pace?, now.saturating_sub(schedule.at).max(0)))
    });
    let Some((most, pace, late)) = paced else { return Ok(()) };
    let seconds = largest.div_ceil(u64::from(pace.max(1)));
    let left = most.saturating_sub(late);
    if i64::try_from(seconds).is_ok_and(|seconds| seconds.saturating_mul(1_000) <= left) {
        return Ok(());
    }
    let begins = if late > 0 { format!("it begins {} s after its moment, and ", late / 1_000) } else { String::new() };
    let words = format!(
        "{begins}with a pace of {pace} everybody is met after {seconds} s, and whoever is met later than max_age, {} s after the moment, \
         is left out: a greater pace, a greater max_age{}",
        most / 1_000,
        if late > 0 { ", or a later `at`" } else { "" }
    );
    Err(Failure::new(Exit::Campaign, words))
}

/// The plans as they would be, and the campaign's name.
pub(super) fn planned(book: &Book, document: &Document, now: Millis) -> Result<(Plans, String), Failure> {
    let refused = |sentence: String| Failure::new(Exit::Campaign, sentence);
    if !book.judge(document).map_err(refused)? {
        return Err(refused(format!("{} was applied before: make another version of it", document.title())));
    }
    let Kind::Definition { campaign, .. } = &document.kind else {
        return Err(refused("only a campaign can be launched".to_owned()));
    };
    if let Some(sentence) = book.met_before(document, now) {
        let also =
            "; for the cascades that run, `cascade campaign apply` this version and `cascade campaign migrate` them";
        return Err(refused(sentence + also));
    }
    let mut plans = book.plans().clone();
    plans
        .apply(&document.clone().into_record(now))
        .map_err(|problems| documents::refused(Exit::Campaign, &problems, "it cannot be launched"))?;
    Ok((plans, campaign.clone()))
}

/// What a launch would come to, in words. `largest` is the number of rows in the largest partition.
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

/// Shows every customer of whom something is known. Gives back how many rows are in the largest partition, whosever they are: a sweep
/// looks at all of them, at its pace.
pub(super) fn everybody(common: &Common, mut each: impl FnMut(&str, &Customer)) -> Result<u64, Failure> {
    let topic = common.topics.changelog();
    topics::require(common, std::slice::from_ref(&topic))?;
    let mut largest = 0;
    for partition in 0..reading::partitions(&common.kafka, &topic)? {
        let mut seen = Seen::default();
        stream::read_rows(&common.kafka, &topic, partition, |key, bytes| seen.row(key, bytes, &mut each))?;
        if seen.unreadable > 0 {
            let sentence = format!("{} rows of {topic}/{partition} cannot be read: upgrade first", seen.unreadable);
            return Err(Failure::new(Exit::Unexpected, sentence));
        }
        largest = largest.max(seen.rows);
    }
    Ok(largest)
}

/// What was seen of a partition.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// All rows: those of customers, of former ids, of budgets and of shared addresses.
    pub rows: u64,
    /// Of these, what cannot be read.
    pub unreadable: u64,
}

impl Seen {
    /// Counts a row, and shows it if it is a customer's.
    pub fn row(&mut self, key: &[u8], bytes: &[u8], each: &mut impl FnMut(&str, &Customer)) {
        self.rows += 1;
        match (std::str::from_utf8(key), Row::decode(bytes)) {
            // Who is known under another id now is shown there.
            (Ok(id), Ok(Row::Customer(customer))) if customer.moved_to.is_none() => each(id, &customer),
            (Ok(_), Ok(Row::Customer(_) | Row::Budget(_) | Row::Address(_))) => {}
            _ => self.unreadable += 1,
        }
    }
}
