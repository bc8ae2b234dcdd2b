//! The life of a campaign in the hands of its operators: pause, resume, stop, migrate, list.

use std::collections::BTreeMap;

use campaign::{Migration, State};
use comfy_table::{Table, presets::NOTHING};
use schemas::{Campaign, CampaignKind, Millis, OnResume};

use super::base;
use super::book::{self, Book};
use super::moving::Moving;
use crate::config::Common;
use crate::failure::{Exit, Failure};
use crate::times;

/// What becomes of running cascades when a pause is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Afterwards {
    /// They go on where they stood: waits are longer by the pause, dates stay
    Continue,
    /// Messages whose moment came meanwhile are skipped
    Skip,
    /// They end
    End,
}

impl From<Afterwards> for OnResume {
    fn from(policy: Afterwards) -> Self {
        match policy {
            Afterwards::Continue => OnResume::Continue,
            Afterwards::Skip => OnResume::Skip,
            Afterwards::End => OnResume::End,
        }
    }
}

/// Pauses a campaign; if it is paused already, says anew what follows.
///
/// # Errors
/// `Campaign` if there is no such campaign, or it is stopped.
pub fn pause(common: &Common, campaign: &str, on_resume: Afterwards) -> Result<String, Failure> {
    let on_resume = OnResume::from(on_resume);
    let is_so = |state| matches!(state, State::Paused { on_resume: known, .. } if known == on_resume);
    let record = Campaign { on_resume, ..said(campaign, CampaignKind::Paused) };
    tell(common, record, is_so, "paused")
}

/// Resumes a campaign that is paused or stopped.
///
/// # Errors
/// `Campaign` if there is no such campaign.
pub fn resume(common: &Common, campaign: &str) -> Result<String, Failure> {
    tell(common, said(campaign, CampaignKind::Resumed), |state| state == State::Running, "running")
}

/// Stops a campaign, and says where to find what was handed over before.
///
/// # Errors
/// `Campaign` if there is no such campaign.
pub fn stop(common: &Common, campaign: &str) -> Result<String, Failure> {
    let is_so = |state| matches!(state, State::Stopped { .. });
    let told = tell(common, said(campaign, CampaignKind::Stopped), is_so, "stopped")?;
    Ok(format!(
        "{told}Commands that no worker has handed over are withdrawn. What was handed over before cannot be: each cascade that ends \
         says how much that was (`handed_over`), see\n    cascade journal --campaign {campaign} --reason CAMPAIGN_STOPPED\n"
    ))
}

fn said(campaign: &str, kind: CampaignKind) -> Campaign {
    Campaign { campaign: campaign.to_owned(), kind, ..Campaign::default() }
}

fn tell(common: &Common, record: Campaign, is_so: impl Fn(State) -> bool, word: &str) -> Result<String, Failure> {
    let mut book = Book::open(common)?;
    let campaign = record.campaign.clone();
    if book.plans().state(&campaign).is_some_and(is_so) {
        return Ok(format!("{campaign} is {word} already\n"));
    }
    let record = Campaign { applied_at: common.time.clock()?.now(), ..record };
    book.say(&record)?;
    book.publish(&[record])?;
    Ok(format!("{campaign} is {word} from now on\n"))
}

/// From which version to which.
#[derive(Clone, Debug, clap::Args)]
pub struct Migrate {
    /// Name of the campaign
    pub name: String,
    /// The version that running cascades leave
    #[arg(long, value_name = "VERSION")]
    pub from: i32,
    /// The version that they move to
    #[arg(long, value_name = "VERSION")]
    pub to: i32,
    /// A step whose name differs; nothing behind `=`: whoever stands there goes on with what comes next
    #[arg(long, value_name = "OLD=NEW", num_args = 1.., value_parser = renamed)]
    pub map: Vec<(String, String)>,
    /// Show what it would change, and how many cascades stand where, and do nothing: what happens without --yes, too
    #[arg(long, conflicts_with = "yes")]
    pub dry_run: bool,
    /// Do it
    #[arg(long)]
    pub yes: bool,
}

fn renamed(text: &str) -> Result<(String, String), String> {
    let (old, new) = text.split_once('=').ok_or("write the step's old name, `=` and the new one: `letter=email`")?;
    Ok((old.to_owned(), new.to_owned()))
}

/// Shows what a migration changes and who stands where, as the base is now; or tells all replicas, if that is wanted.
///
/// # Errors
/// `Campaign` if there is no such campaign or version, or a step has no counterpart; those of Kafka.
pub fn migrate(common: &Common, args: &Migrate) -> Result<String, Failure> {
    let now = common.time.clock()?.now();
    if !args.yes {
        let book = Book::of(book::read(common)?);
        let preview = preview(&book, args)?;
        let mut moving = Moving::of(book.plans(), record(args, now))?;
        base::everybody(common, |id, customer| moving.look(id, customer))?;
        return Ok(format!("{preview}{}Nothing was changed: add --yes to do it.\n", moving.told()));
    }
    let mut book = Book::open(common)?;
    let preview = preview(&book, args)?;
    let record = record(args, now);
    book.say(&record)?;
    book.publish(&[record])?;
    Ok(format!("{preview}{} moves from version {} to version {} from now on\n", args.name, args.from, args.to))
}

/// As it is published.
pub(super) fn record(args: &Migrate, applied_at: Millis) -> Campaign {
    let steps: BTreeMap<String, String> = args.map.iter().cloned().collect();
    let said = said(&args.name, CampaignKind::Migrated);
    Campaign { from_version: args.from, version: args.to, steps, applied_at, ..said }
}

/// What a migration changes.
///
/// # Errors
/// Those of [`migrate`], but for Kafka's.
pub(super) fn preview(book: &Book, args: &Migrate) -> Result<String, Failure> {
    let version = |version| {
        let missing = || format!("there is no version {version} of {}: see `cascade campaign list`", args.name);
        book.plans().version(&args.name, version).ok_or_else(|| Failure::new(Exit::Campaign, missing()))
    };
    let (from, to) = (version(args.from)?, version(args.to)?);
    if let Some(words) = campaign::of_another_thing(from, to) {
        return Err(Failure::new(Exit::Campaign, words));
    }
    let steps = args.map.iter().cloned().collect();
    let migration =
        Migration::between(from, to, &steps).map_err(|sentences| Failure::new(Exit::Campaign, sentences.join("\n")))?;
    Ok(campaign::picture::migration(&migration, from, to))
}

/// All campaigns: newest version, state, and migrations so far.
///
/// # Errors
/// Those of Kafka.
pub fn list(common: &Common) -> Result<String, Failure> {
    Ok(table(&Book::of(book::read(common)?)))
}

pub(super) fn table(book: &Book) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(["campaign", "version", "state", "applied", "migrations"]);
    for name in book.names() {
        let Some(newest) = book.newest(name) else { continue };
        let state = book.plans().state(name).unwrap_or_default();
        let migrations = book.plans().migrations(name);
        let migrations: Vec<String> =
            migrations.map(|(at, it)| format!("{} to {} on {}", it.from, it.to, times::utc(at))).collect();
        table.add_row([
            name.to_owned(),
            newest.version.to_string(),
            describe(state),
            times::utc(newest.applied_at),
            migrations.join(", "),
        ]);
    }
    format!("{}\n", table.trim_fmt())
}

fn describe(state: State) -> String {
    match state {
        State::Running => "running".to_owned(),
        State::Paused { since, on_resume } => {
            format!("paused since {}, then {}", times::utc(since), on_resume.as_str().to_lowercase())
        }
        State::Stopped { since } => format!("stopped since {}", times::utc(since)),
    }
}
