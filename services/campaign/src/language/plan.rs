//! A campaign version, understood and checked. Only [`parse`](super::parse) makes one.

use std::collections::BTreeMap;
use std::fmt;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use schemas::{Class, Millis, Outcome, Reason, Sent, Status};

use crate::calendar::{Quiet, Recurrence, Shift};
use crate::channel::Channel;
use crate::predicate::Predicate;

use super::experiment::Experiment;
use super::problem::Problem;

const HOUR: Millis = 3_600_000;

/// A validated campaign version.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Name of the campaign.
    pub name: String,
    /// Grows with each definition.
    pub version: i32,
    /// Marketing needs consent.
    pub class: Class,
    /// The zone of those of whose own nothing is known.
    pub zone: TimeZone,
    /// Hours in which nobody is written to.
    pub quiet: Option<Night>,
    /// What is done about contacts that are asleep.
    pub asleep: Option<Asleep>,
    /// What begins a cascade.
    pub trigger: Trigger,
    /// What is hoped for; none where only the stop level counts.
    pub goal: Option<Goal>,
    /// How far one message must get for the cascade to stop.
    pub stop: Level,
    /// In which order the messages are tried.
    pub order: Order,
    /// Where several cascades of a customer can go on, those of the higher one come first.
    pub priority: i32,
    /// Variants and hold-out.
    pub experiment: Option<Experiment>,
    /// Money that it may spend in a time.
    pub budget: Option<Allowance>,
    /// Versions of the templates' files, by template and channel, `cart.email`; empty where it is not said.
    pub templates: BTreeMap<String, String>,
    /// The steps as written.
    pub steps: Vec<Step>,
    /// What is allowed but seldom meant.
    pub warnings: Vec<Problem>,
}

/// Money that a campaign may spend in a time, and no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// How much, in minor units.
    pub minor: i64,
    /// In which time.
    pub per: Per,
    /// What becomes of a message that finds no room.
    pub short: Short,
}

/// The time over which a budget is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// Each hour, as UTC counts them.
    Hour,
    /// Each day in the campaign's zone.
    Day,
}

impl Per {
    /// When the window began that runs now, and when it ends.
    pub(crate) fn window(self, now: Millis, zone: &TimeZone) -> (Millis, Millis) {
        let (length, days) = match self {
            Per::Hour => (HOUR, None),
            Per::Day => (24 * HOUR, Some(Recurrence::Daily(Time::midnight()))),
        };
        let since = now.saturating_sub(now.rem_euclid(length));
        let since = days.and_then(|days| days.latest(0, now, zone)).unwrap_or(since);
        (since, days.and_then(|days| days.next(0, now, zone)).unwrap_or_else(|| since.saturating_add(length)))
    }
}

/// What becomes of a message that a budget has no room for. It never makes room for a dearer one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Short {
    /// It waits for the next window, as long as it is valid; else its cascade ends.
    Wait,
    /// Its cascade ends.
    Stop,
}

impl Plan {
    /// The template of a step's message, as a command names it: with the version of its files, where one is said.
    pub(crate) fn template(&self, step: &Step, variant: Option<&str>, channel: &str) -> String {
        let name = step.template.of(variant);
        self.version_of(name, channel).map_or_else(|| name.to_owned(), |version| format!("{name}@{version}"))
    }

    /// The version of a template's files that this campaign names; none where it names none.
    pub fn version_of(&self, template: &str, channel: &str) -> Option<&str> {
        // Most campaigns name none, and this is asked for each message.
        let is_said = !self.templates.is_empty();
        is_said.then(|| self.templates.get(&format!("{template}.{channel}"))).flatten().map(String::as_str)
    }

    /// Whether what is known of a message stops the cascade. It does not where its step leads on by what it came to.
    pub fn stopped_by(&self, sent: &Sent) -> bool {
        let step = usize::try_from(sent.step).ok().and_then(|step| self.steps.get(step));
        let leads_on = step.is_some_and(|step| step.leads_on(Cause::Outcome(sent.outcome)));
        !leads_on && self.stop.reached_by(sent.reached, sent.outcome)
    }
}

/// What begins a cascade.
#[derive(Clone, Debug)]
pub struct Trigger {
    /// The kind of record.
    pub on: TriggerKind,
    /// For actions: which one.
    pub action: Option<String>,
    /// What must hold of the record and the profile.
    pub condition: Option<Predicate>,
    /// The business key: one instance for each of its values.
    pub key: Option<Predicate>,
    /// How long nothing new may come before the first step.
    pub settle: Millis,
    /// An older record begins nothing.
    pub max_age: Millis,
    /// What a further record does while an instance with this key runs.
    pub again: Again,
    /// How long after its end the same campaign begins with nobody anew.
    pub cooldown: Millis,
    /// How often it begins with one customer.
    pub maximum: Option<i32>,
    /// For a schedule: its moments.
    pub schedule: Option<Schedule>,
    /// For the end of others: of which ones, and how they ended; however they did, if nothing is said.
    pub endings: Option<Endings>,
}

/// Ends of other cascades.
#[derive(Clone, Debug)]
pub struct Endings {
    /// Names of campaigns.
    pub of: Vec<String>,
    /// How they ended.
    pub reasons: Vec<Reason>,
}

/// Quiet hours and what is done with a message that falls into them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Night {
    /// When it is quiet, on the customer's clock.
    pub hours: Quiet,
    /// What is done, unless a step says otherwise.
    pub policy: AtNight,
    /// What was held goes out within so long after they end: not all at the same moment.
    pub release: Millis,
}

/// Contacts from which nothing has come back for long, and what is done about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asleep {
    /// A contact is asleep so long after the first message that was not answered, on the customer's own calendar.
    pub after: Shift,
    /// What is done about it.
    pub then: Sleeper,
}

/// What is done with a message to a contact that is asleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sleeper {
    /// It goes out, and the journal tells.
    Report,
    /// It does not go out, and nothing dearer follows from that.
    LeaveOut,
    /// It does not go out: the next one's turn, whatever that costs.
    GoOn,
}

/// What is done with a message whose turn comes in quiet hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtNight {
    /// It waits for their end, as long as it is valid.
    Hold,
    /// It is skipped: the next one's turn.
    Skip,
    /// It expires: skipped, and nothing dearer follows from that.
    Expire,
    /// It goes out all the same.
    Ignore,
}

/// A kind of record that can begin a cascade.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TriggerKind {
    /// A cart changed.
    Cart,
    /// Somebody became a customer.
    Registration,
    /// Nothing was heard for a while.
    Inactivity,
    /// The customer did something.
    Action,
    /// A moment came: for everybody of whom something is known.
    Schedule,
    /// Another cascade of the customer ended.
    End,
}

/// Moments at which everybody is looked at.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// The first, or where those that come again begin.
    pub at: Millis,
    /// When it comes again; none for a single moment.
    pub every: Option<Recurrence>,
    /// Customers of a partition that are met in a second; as many as can be, if not said.
    pub pace: Option<u32>,
}

impl Schedule {
    /// The latest moment up to `now`: of those that nobody saw, the others are left out.
    pub(crate) fn latest(&self, now: Millis, zone: &TimeZone) -> Option<Millis> {
        let latest = match self.every {
            Some(every) => every.latest(self.at, now, zone)?,
            None => self.at,
        };
        (self.at..=now).contains(&latest).then_some(latest)
    }

    /// The first moment after this one.
    pub(crate) fn next(&self, after: Millis, zone: &TimeZone) -> Option<Millis> {
        match self.every {
            None => Some(self.at).filter(|at| *at > after),
            Some(every) => every.next(self.at, after.max(self.at - 1), zone),
        }
    }
}

/// What a further trigger does while an instance with its key runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Nothing.
    Ignore,
    /// Its fields are taken over, and settling begins anew if the first step is still to come.
    Refresh,
    /// The running instance ends, and another one begins.
    Restart,
    /// It waits, and begins another one when the running one has ended.
    Queue,
}

/// What is hoped for.
#[derive(Clone, Debug)]
pub struct Goal {
    /// Names of actions, any of which will do.
    pub actions: Vec<String>,
    /// Whose.
    pub matching: Match,
    /// What must hold of the action.
    pub condition: Option<Predicate>,
    /// What a row adds to the name of an action of which more is asked than its name and key.
    pub(crate) mark: Option<String>,
    /// An action this long before the trigger counts as well.
    pub grace: Millis,
}

/// Which actions count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// Any of the customer.
    Any,
    /// Those whose key is the instance's.
    SameKey,
    /// Those that were about the article, or about something of the category, that is the instance's key.
    SameArticle,
}

/// How far one message must get for the cascade to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It arrived.
    Delivered,
    /// A human opened it.
    Opened,
    /// The customer followed a link.
    Clicked,
    /// The customer answered.
    Replied,
    /// The customer promised to a person to do what is hoped for.
    Agreed,
    /// Only the goal stops it.
    Goal,
}

impl Level {
    /// Whether a message that got this far, and came to this, stops the cascade.
    pub fn reached_by(self, status: Status, outcome: Outcome) -> bool {
        match self {
            Level::Delivered => status >= Status::Delivered,
            Level::Opened => status >= Status::Opened,
            Level::Clicked => status >= Status::Clicked,
            Level::Replied => status >= Status::Replied,
            Level::Agreed => outcome == Outcome::Agreed,
            Level::Goal => false,
        }
    }
}

/// The attribute of a profile that names the channel which the customer likes best.
pub const PREFERRED: &str = "preferred_channel";

/// In which order the messages are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Steps and alternatives as they stand.
    AsWritten,
    /// The cheapest message that was not tried yet; among equals as written.
    ByCost,
    /// The message of which reaching a customer as far as the stop level costs least, on the average; among equals as written.
    ByExpectedCost,
    /// The message that gets as far as the stop level most often; among equals as written.
    ByResponse,
    /// A message on the channel that the customer likes best, then as written. The profile's attribute [`PREFERRED`] names it.
    ByPreference,
}

/// One message of a cascade.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its name, for conditions, the journal and reports.
    pub name: String,
    /// The channels that will do, in this order.
    pub channels: Vec<&'static Channel>,
    /// Number of its first alternative among all of the campaign.
    pub first_option: usize,
    /// The variants that it is for; all, if none is named.
    pub variants: Vec<String>,
    /// Which template.
    pub template: Template,
    /// How many segments it takes as an SMS, each of which costs the price.
    pub segments: u32,
    /// Whether it is for this customer at all, judged at dispatch.
    pub when: Option<Predicate>,
    /// When it may go out at the earliest.
    pub start: Point,
    /// Its moment lies so much later at most: by the same share for the same cascade, different ones for different cascades.
    pub spread: Millis,
    /// Seen later than so long after its moment, it is skipped.
    pub late: Millis,
    /// Until when something must have happened after it was handed over.
    pub wait: Wait,
    /// What leads on to the next step.
    pub next_if: Vec<Cause>,
    /// Until when it may still be handed over.
    pub valid: Point,
    /// What is done with it in quiet hours, if not what the campaign says.
    pub at_night: Option<AtNight>,
    /// Whether a dearer channel may follow where an outage kept this one from going out.
    pub escalate_on_outage: bool,
}

/// Names of templates, without the channel's suffix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Template {
    /// The same for everybody.
    Same(String),
    /// One for each variant.
    ByVariant(BTreeMap<String, String>),
}

impl Template {
    /// The one for a variant.
    pub fn of(&self, variant: Option<&str>) -> &str {
        match self {
            Template::Same(name) => name,
            Template::ByVariant(names) => variant.and_then(|variant| names.get(variant)).map_or("", String::as_str),
        }
    }

    /// All that there are.
    fn names(&self) -> Vec<&str> {
        match self {
            Template::Same(name) => vec![name],
            Template::ByVariant(names) => names.values().map(String::as_str).collect(),
        }
    }
}

/// As it is written.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Template::Same(name) => f.write_str(name),
            Template::ByVariant(names) => {
                let names: Vec<String> = names.iter().map(|(variant, name)| format!("{name} for {variant}")).collect();
                f.write_str(&names.join(", "))
            }
        }
    }
}

impl Step {
    /// Whether it is for customers of this variant.
    pub fn is_for(&self, variant: Option<&str>) -> bool {
        self.variants.is_empty() || variant.is_some_and(|variant| self.variants.iter().any(|it| it == variant))
    }

    /// What it may say, on all of its channels and to all variants: channel and template.
    pub fn messages(&self) -> impl Iterator<Item = (&'static Channel, &str)> {
        self.channels.iter().flat_map(|channel| self.template.names().into_iter().map(move |name| (*channel, name)))
    }

    /// The segments that a message on this channel is paid for by, if it is.
    pub fn segments_on(&self, channel: &Channel) -> Option<u32> {
        channel.in_segments().then_some(self.segments)
    }

    /// How many times a message on this channel costs its price: once for each segment.
    pub fn prices_of(&self, channel: &Channel) -> i64 {
        self.segments_on(channel).map_or(1, i64::from)
    }

    /// Whether a person is to do it, and tells what it came to.
    pub fn is_for_person(&self) -> bool {
        self.channels.iter().any(|channel| channel.person)
    }

    /// Whether this cause leads on to the next step.
    pub fn leads_on(&self, cause: Cause) -> bool {
        self.next_if.contains(&cause)
    }

    /// How far its message must get so that nothing of `next_if` can be true any more; none where only the goal can do that.
    pub fn satisfied_by(&self, status: Status, outcome: Outcome) -> bool {
        if self.leads_on(Cause::NoGoal) || self.leads_on(Cause::Outcome(outcome)) {
            false
        } else if self.leads_on(Cause::NotOpened) {
            status >= Status::Opened
        } else {
            status >= Status::Delivered
        }
    }
}

/// A point in a cascade's time: a way from somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// From where.
    pub anchor: Anchor,
    /// The way; it may lead back.
    pub shift: Shift,
}

/// Where the way to a point begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// When it is the message's turn.
    Turn,
    /// When the trigger had settled.
    Trigger,
    /// The hand-over of the last message.
    HandOver,
    /// A date that the trigger brought.
    Event(String),
    /// A date in the profile's attributes.
    Profile(String),
    /// A moment that is the same for everybody.
    Moment(Millis),
}

impl Point {
    /// A way from somewhere.
    pub const fn after(anchor: Anchor, shift: Shift) -> Self {
        Point { anchor, shift }
    }

    /// Whether it stands in the calendar, whatever the cascade does.
    pub fn is_dated(&self) -> bool {
        matches!(self.anchor, Anchor::Event(_) | Anchor::Profile(_) | Anchor::Moment(_))
    }
}

/// How long a message is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Until a point.
    Until(Point),
    /// A length of which quiet hours are no part, from the hand-over on.
    Active(Millis),
}

/// What leads on from a step to the next: each is selected on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Somebody said that it did not arrive.
    NotDelivered,
    /// No word of it until the wait was over: not the same as "not delivered".
    NoInformation,
    /// No channel of the step could be used.
    CannotSend,
    /// No human opened it until the wait was over.
    NotOpened,
    /// Neither goal nor stop level was reached until the wait was over.
    NoGoal,
    /// A person told that the task came to this.
    Outcome(Outcome),
}
