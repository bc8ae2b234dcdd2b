//! From the shape to the plan: every word understood, all errors found at once.

use jiff::tz::TimeZone;
use schemas::{Class, Millis, Reason};

use crate::channel::Channel;
use crate::limits::{NAME_LENGTH, OPTIONS};
use crate::predicate::{self, BOUGHT, Predicate, Type, Vocabulary};

use crate::calendar::{self, Quiet, Recurrence};

use super::experiment::experiment;
use super::pins;
use super::plan::{
    Again, Allowance, Asleep, AtNight, Endings, Goal, Level, Match, Night, Order, Per, Plan, Schedule, Short, Sleeper,
    Step, Trigger, TriggerKind,
};
use super::problem::{Place, Report, nearest};
use super::raw;
use super::step;
use super::yaml::{Spanned, Word};

const HOUR: Millis = 3_600_000;
const DAY: Millis = 24 * HOUR;
/// A trigger older than this begins nothing, unless the campaign says otherwise.
pub(super) const MAX_AGE: Millis = DAY;

/// Understands a definition. What could not be understood stands in the report; the plan is complete only if nothing does.
pub(super) fn plan(raw: &raw::Campaign, report: &mut Report<'_>) -> Option<Plan> {
    names(raw, report);
    if raw.campaign.value.is_empty()
        || raw.campaign.value.contains(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'))
    {
        report.error(
            raw.campaign.referenced,
            "a campaign's name is letters, digits, `-` and `_`",
            "for example `cart-left`",
        );
    }
    if raw.version.value < 1 {
        report.error(
            raw.version.referenced,
            "versions begin with 1",
            "write `version: 1`, and one more with each change",
        );
    }
    let class = raw.class.as_ref().map_or(Some(Class::Marketing), |class| word(class, CLASSES, "class", report));
    let stop = raw.stop.as_ref().map_or(Some(Level::Delivered), |stop| word(stop, LEVELS, "stop level", report));
    let order = raw.order.as_ref().map_or(Some(Order::AsWritten), |order| word(order, ORDERS, "order", report));
    let zone = zone(raw, report);
    let quiet = raw.quiet.as_ref().and_then(|quiet| night(quiet, report));
    let asleep = raw.asleep.as_ref().and_then(|raw| asleep(raw, report));
    let trigger = trigger(raw, report)?;
    let goal = raw.goal.as_ref().map(|raw| goal(raw, &trigger, &zone, report));
    let stop = stop?;
    if stop == Level::Goal && raw.goal.is_none() {
        let place = raw.stop.as_ref().map_or_else(|| raw.campaign.referenced, |stop| stop.referenced);
        report.error(place, "nothing can stop this cascade: it has no goal", "add `goal: {action: purchase}`");
    }
    let experiment = experiment(raw, report);
    let budget = raw.budget.as_ref().and_then(|budget| allowance(budget, report));
    let steps = step::steps(raw, stop, trigger.on, report);
    step::variants(raw, experiment.as_ref(), report);
    pins::pins(raw, &steps, report);
    if stop == Level::Agreed && !steps.iter().any(Step::is_for_person) {
        let place = raw.stop.as_ref().map_or_else(|| raw.campaign.referenced, |stop| stop.referenced);
        report.error(place, "nothing can stop this cascade: no step is a task for a person", "add a step on `call`");
    }
    if steps.is_empty() {
        report.error(raw.campaign.referenced, "a campaign has at least one step", "add one below `steps:`");
    }
    if steps.iter().map(|step| step.channels.len()).sum::<usize>() > OPTIONS {
        report.error(raw.campaign.referenced, format!("more than {OPTIONS} messages"), "split the campaign");
    }
    Some(Plan {
        name: raw.campaign.value.clone(),
        version: raw.version.value,
        class: class?,
        zone,
        quiet,
        asleep,
        trigger,
        goal,
        stop,
        order: order?,
        priority: raw.priority.unwrap_or(0),
        experiment,
        budget,
        templates: raw.templates.as_ref().map(|pins| pins.value.clone()).unwrap_or_default(),
        steps,
        warnings: Vec::new(),
    })
}

/// Whatever gets a name stands in rows, records and reports: it must not be as long as a book.
fn names(raw: &raw::Campaign, report: &mut Report<'_>) {
    let trigger = &raw.trigger;
    let words = [Some(&raw.campaign), trigger.action.as_ref(), raw.experiment.as_ref().and_then(|it| it.name.as_ref())];
    let words = words.into_iter().flatten().chain(raw.steps.iter().map(|step| &step.name));
    let mut names: Vec<(Place, &str)> = words.map(|word| (word.referenced.into(), word.value.as_str())).collect();
    let goal = raw.goal.as_ref().map(|goal| &goal.action);
    for list in goal.into_iter().chain(&trigger.of) {
        names.extend(list.value.0.iter().map(|name| (list.referenced.into(), name.as_str())));
    }
    if let Some(variants) = raw.experiment.as_ref().and_then(|it| it.variants.as_ref()) {
        names.extend(variants.value.keys().map(|name| (variants.referenced.into(), name.as_str())));
    }
    for template in raw.steps.iter().map(|step| &step.template) {
        match &template.value {
            raw::Template::Same(name) => names.push((template.referenced.into(), name)),
            raw::Template::ByVariant(of) => {
                names.extend(of.values().map(|name| (template.referenced.into(), name.as_str())));
            }
        }
    }
    for (place, _) in names.into_iter().filter(|(_, name)| name.chars().count() > NAME_LENGTH) {
        report.error(place, "this name is too long", format!("at most {NAME_LENGTH} characters"));
    }
}

pub(crate) const CLASSES: &[(&str, Class)] =
    &[("marketing", Class::Marketing), ("transactional", Class::Transactional)];

pub(super) const ORDERS: &[(&str, Order)] = &[
    ("as written", Order::AsWritten),
    ("by cost", Order::ByCost),
    ("by expected cost", Order::ByExpectedCost),
    ("by response", Order::ByResponse),
    ("by preference", Order::ByPreference),
];

/// What a further trigger does.
pub(super) const AGAIN: &[(&str, Again)] =
    &[("ignore", Again::Ignore), ("refresh", Again::Refresh), ("restart", Again::Restart), ("queue", Again::Queue)];

pub(super) const MATCHES: &[(&str, Match)] =
    &[("any", Match::Any), ("same key", Match::SameKey), ("same article", Match::SameArticle)];

pub(super) const LEVELS: &[(&str, Level)] = &[
    ("delivered", Level::Delivered),
    ("opened", Level::Opened),
    ("clicked", Level::Clicked),
    ("replied", Level::Replied),
    ("agreed", Level::Agreed),
    ("goal", Level::Goal),
];

pub(crate) const KINDS: &[(&str, TriggerKind)] = &[
    ("cart", TriggerKind::Cart),
    ("registration", TriggerKind::Registration),
    ("inactivity", TriggerKind::Inactivity),
    ("action", TriggerKind::Action),
    ("schedule", TriggerKind::Schedule),
    ("end", TriggerKind::End),
];

/// What is done with a message in quiet hours.
pub(super) const AT_NIGHT: &[(&str, AtNight)] =
    &[("hold", AtNight::Hold), ("skip", AtNight::Skip), ("expire", AtNight::Expire), ("ignore", AtNight::Ignore)];

/// In which time a budget is counted.
pub(super) const PERS: &[(&str, Per)] = &[("hour", Per::Hour), ("day", Per::Day)];

/// What becomes of a message that a budget has no room for.
pub(super) const SHORTS: &[(&str, Short)] = &[("wait", Short::Wait), ("stop", Short::Stop)];

fn allowance(raw: &raw::Budget, report: &mut Report<'_>) -> Option<Allowance> {
    if raw.minor.value < 1 {
        report.error(raw.minor.referenced, "a budget of nothing", "write how much may be spent, in minor units");
    }
    let per = word(&raw.per, PERS, "time to count in", report);
    let short = raw.then.as_ref().map_or(Some(Short::Wait), |then| word(then, SHORTS, "way on", report));
    Some(Allowance { minor: raw.minor.value, per: per?, short: short? })
}

/// What is done with a message to a contact that is asleep.
pub(super) const SLEEPERS: &[(&str, Sleeper)] =
    &[("report", Sleeper::Report), ("leave out", Sleeper::LeaveOut), ("go on", Sleeper::GoOn)];

/// How a cascade ends.
pub(super) const ENDS: &[(&str, Reason)] = &[
    ("goal", Reason::GoalReached),
    ("stop", Reason::StopReached),
    ("exhausted", Reason::Exhausted),
    ("withdrawn", Reason::Withdrawn),
    ("capped", Reason::Capped),
    ("declined", Reason::TurnedDown),
];

fn zone(raw: &raw::Campaign, report: &mut Report<'_>) -> TimeZone {
    let Some(word) = &raw.zone else { return TimeZone::UTC };
    calendar::zone(&word.value).unwrap_or_else(|| {
        report.error(word.referenced, format!("`{}` is no time zone", word.value), "write its name: `Europe/Moscow`");
        TimeZone::UTC
    })
}

/// What was held goes out within so long after the quiet hours.
pub(crate) const RELEASE: Millis = HOUR / 2;

fn night(raw: &raw::Quiet, report: &mut Report<'_>) -> Option<Night> {
    let hours = raw.hours.value.split_once('-').and_then(|(from, to)| {
        let (from, to) = (calendar::clock(from.trim()).ok()?, calendar::clock(to.trim()).ok()?);
        (from != to).then_some(Quiet { from, to })
    });
    if hours.is_none() {
        report.error(raw.hours.referenced, "these are no hours", "write `22:00-9:00`");
    }
    let policy = raw
        .policy
        .as_ref()
        .map_or(Some(AtNight::Hold), |policy| word(policy, AT_NIGHT, "answer to quiet hours", report));
    Some(Night { hours: hours?, policy: policy?, release: span(raw.release.as_ref(), RELEASE, report) })
}

fn asleep(raw: &raw::Asleep, report: &mut Report<'_>) -> Option<Asleep> {
    let after = calendar::shift(&raw.after.value)
        .map_err(|(message, hint)| report.error(raw.after.referenced, message, hint))
        .ok();
    if after.is_some_and(|after| after.landing.is_some() || after.about() < DAY) {
        report.error(raw.after.referenced, "nobody is asleep so soon", "write a length: `6 months`, `180d`");
    }
    let then = raw.then.as_ref();
    let then = then.map_or(Some(Sleeper::LeaveOut), |then| word(then, SLEEPERS, "answer to a contact asleep", report));
    Some(Asleep { after: after?, then: then? })
}

fn trigger(campaign: &raw::Campaign, report: &mut Report<'_>) -> Option<Trigger> {
    let raw = &campaign.trigger;
    let on = word(&raw.on, KINDS, "trigger", report)?;
    match (&raw.action, on) {
        (None, TriggerKind::Action) => {
            report.error(raw.on.referenced, "which action?", "add `action: purchase` beside `on: action`");
        }
        (Some(action), kind) if kind != TriggerKind::Action => {
            report.error(action.referenced, "only `on: action` has an action", "remove it, or write `on: action`");
        }
        _ => {}
    }
    let vocabulary = Vocabulary::of_trigger(on);
    let again = raw
        .again
        .as_ref()
        .map_or(Some(Again::Ignore), |again| word(again, AGAIN, "answer to a further trigger", report));
    if let (Some(raw), TriggerKind::Schedule | TriggerKind::End) = (&raw.again, on) {
        let hint = "remove it: whoever is in the midst of this cascade goes on with it";
        report.error(raw.referenced, "a moment, or the end of another cascade, never meets a running one again", hint);
    }
    if let (Some(cooldown), Some(Again::Queue)) = (&raw.cooldown, again) {
        let hint = "remove one of them, or write `again: ignore`";
        report.error(cooldown.referenced, "what waits for the end of a cascade would meet its cooldown", hint);
    }
    Some(Trigger {
        on,
        action: raw.action.as_ref().map(|action| action.value.clone()),
        condition: raw.condition.as_ref().and_then(|text| condition(text, &vocabulary, report)),
        key: raw.key.as_ref().and_then(|text| expression(text, &vocabulary, &[Type::Text, Type::Int], report)),
        settle: span(raw.settle.as_ref(), 0, report),
        max_age: span(raw.max_age.as_ref(), MAX_AGE, report),
        again: again?,
        cooldown: span(raw.cooldown.as_ref(), 0, report),
        maximum: maximum(raw.maximum.as_ref(), report),
        schedule: schedule(raw, on, report),
        endings: endings(campaign, on, report),
    })
}

fn maximum(raw: Option<&Spanned<u32>>, report: &mut Report<'_>) -> Option<i32> {
    let raw = raw?;
    if raw.value == 0 {
        report.error(raw.referenced, "it would never begin", "at least 1, or remove it");
    }
    Some(i32::try_from(raw.value).unwrap_or(i32::MAX))
}

/// The ends of other cascades that begin this one.
fn endings(campaign: &raw::Campaign, on: TriggerKind, report: &mut Report<'_>) -> Option<Endings> {
    let raw = &campaign.trigger;
    if on != TriggerKind::End {
        for list in [&raw.of, &raw.ended].into_iter().flatten() {
            report.error(list.referenced, "only `on: end` follows upon others", "remove it, or write `on: end`");
        }
        return None;
    }
    let Some(of) = raw.of.as_ref().filter(|of| !of.value.0.is_empty()) else {
        report.error(raw.on.referenced, "the end of which campaign?", "add `of: cart-left` beside `on: end`");
        return None;
    };
    if of.value.0.contains(&campaign.campaign.value) {
        report.error(of.referenced, "a campaign cannot follow upon itself", "it would never end");
    }
    let reasons = raw.ended.as_ref().map_or_else(
        || ENDS.iter().map(|(_, reason)| *reason).collect(),
        |ended| {
            let known = |word: &String| ENDS.iter().find(|(name, _)| name == word).map(|(_, reason)| *reason);
            let found: Vec<Reason> = ended.value.0.iter().filter_map(known).collect();
            if found.len() < ended.value.0.len() {
                let names: Vec<String> = ENDS.iter().map(|(name, _)| format!("`{name}`")).collect();
                let hint = format!("one or several of {}", names.join(", "));
                report.error(ended.referenced, "a cascade does not end so", hint);
            }
            found
        },
    );
    Some(Endings { of: of.value.0.clone(), reasons })
}

/// The moments of a schedule.
fn schedule(raw: &raw::Trigger, on: TriggerKind, report: &mut Report<'_>) -> Option<Schedule> {
    if on != TriggerKind::Schedule {
        let places = [&raw.at, &raw.every].into_iter().flatten().map(|word| word.referenced);
        for place in places.chain(raw.pace.as_ref().map(|pace| pace.referenced)) {
            report.error(place, "only `on: schedule` has moments", "remove it, or write `on: schedule`");
        }
        return None;
    }
    let every = raw.every.as_ref().and_then(|every| recurrence(every, report));
    let at = match (&raw.at, every) {
        (Some(at), _) => moment(at, report)?,
        (None, Some(every)) if !matches!(every, Recurrence::Length(_)) => 0,
        // What is wrong with it was told.
        (None, None) if raw.every.is_some() => return None,
        _ => {
            let hint = "add `at: 2026-11-27T10:00+03:00` or `every: day 10:00` beside `on: schedule`";
            report.error(raw.on.referenced, "at which moment?", hint);
            return None;
        }
    };
    if let Some(pace) = raw.pace.as_ref().filter(|pace| pace.value == 0) {
        report.error(pace.referenced, "at this pace nobody is ever met", "at least 1, or remove it");
    }
    let pace = raw.pace.as_ref().map(|pace| pace.value);
    Some(Schedule { at, every, pace })
}

fn recurrence(word: &Word, report: &mut Report<'_>) -> Option<Recurrence> {
    let found =
        calendar::recurrence(&word.value).map_err(|(message, hint)| report.error(word.referenced, message, hint));
    if let Ok(Recurrence::Length(..HOUR)) = found {
        report.error(word.referenced, "everybody cannot be looked at so often", "at least `1h`");
    }
    found.ok()
}

fn moment(word: &Word, report: &mut Report<'_>) -> Option<Millis> {
    let found = word.value.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond);
    if found.is_none() {
        report.error(
            word.referenced,
            "this is not a moment",
            "write date, time and offset from UTC: `2026-11-27T10:00+03:00`, or `…T07:00Z`",
        );
    }
    found
}

fn goal(raw: &raw::Goal, trigger: &Trigger, zone: &TimeZone, report: &mut Report<'_>) -> Goal {
    if raw.action.value.0.is_empty() {
        report.error(raw.action.referenced, "a goal is at least one action", "for example `action: purchase`");
    }
    let matching = raw.matching.as_ref().and_then(|matching| word(matching, MATCHES, "match", report));
    let matching = matching.unwrap_or(Match::Any);
    if let (Match::SameKey | Match::SameArticle, Some(word), None) = (matching, &raw.matching, &trigger.key) {
        let hint = if trigger.on == TriggerKind::Cart && matching == Match::SameKey {
            "add `key: cart_id` to the trigger"
        } else {
            "add a `key` to the trigger, such as `key: key`"
        };
        report.error(word.referenced, "there is no key to be the same", hint);
    }
    let key = trigger.key.as_ref().map(Predicate::as_written);
    if let (Match::SameArticle, Some(word), Some("cart_id")) = (matching, &raw.matching, key) {
        let hint = "let the key be an article, or write `match: same key`";
        report.error(word.referenced, "a cart is no article: this goal is never reached", hint);
    }
    let vocabulary = match report.is_of_record() {
        true => Vocabulary::of_trigger(TriggerKind::Action),
        false => Vocabulary::of_goal(),
    };
    let condition = raw.condition.as_ref().and_then(|text| condition(text, &vocabulary, report));
    Goal {
        actions: raw.action.value.0.clone(),
        matching,
        mark: mark(matching, condition.as_ref(), zone),
        condition,
        grace: span(raw.grace.as_ref(), 0, report),
    }
}

/// By what a row recognises an action of which a goal asks more than its name and key.
fn mark(matching: Match, condition: Option<&Predicate>, zone: &TimeZone) -> Option<String> {
    let condition = condition.map(|condition| condition.mark(zone));
    match matching {
        Match::Any | Match::SameKey => condition,
        Match::SameArticle => Some(condition.unwrap_or_default() + BOUGHT),
    }
}

/// A word out of a list.
pub(crate) fn word<T: Copy>(raw: &Word, known: &[(&str, T)], what: &str, report: &mut Report<'_>) -> Option<T> {
    let found = known.iter().find(|(name, _)| *name == raw.value).map(|(_, value)| *value);
    if found.is_none() {
        let hint = nearest(&raw.value, known.iter().map(|(name, _)| *name));
        report.error(raw.referenced, format!("`{}` is no {what}", raw.value), hint);
    }
    found
}

/// A channel, by its name.
pub(crate) fn channel(name: &str, place: impl Into<Place>, report: &mut Report<'_>) -> Option<&'static Channel> {
    let found = Channel::find(name);
    if found.is_none() {
        report.error(place, format!("`{name}` is no channel"), nearest(name, Channel::names()));
    }
    found
}

/// A duration, or what holds where none is written.
pub(super) fn span(raw: Option<&Word>, otherwise: Millis, report: &mut Report<'_>) -> Millis {
    let Some(raw) = raw else { return otherwise };
    calendar::span(&raw.value).unwrap_or_else(|(message, hint)| {
        report.error(raw.referenced, message, hint);
        otherwise
    })
}

/// An expression that is true or false.
pub(super) fn condition(raw: &Word, vocabulary: &Vocabulary<'_>, report: &mut Report<'_>) -> Option<Predicate> {
    expression(raw, vocabulary, &[Type::Bool], report)
}

fn expression(raw: &Word, vocabulary: &Vocabulary<'_>, wanted: &[Type], report: &mut Report<'_>) -> Option<Predicate> {
    predicate::compile(&raw.value, vocabulary, wanted)
        .map_err(|faults| {
            for fault in faults {
                report.error(within(raw, &fault, report.source.text), fault.message, fault.hint);
            }
        })
        .ok()
}

/// Where a stretch of an expression stands in the file: exact where the expression is on the line it began on, else its begin.
fn within(raw: &Word, fault: &predicate::Fault, text: &str) -> Place {
    let whole = Place::from(raw.referenced);
    let line = text.lines().nth(whole.line.saturating_sub(1)).unwrap_or_default();
    let written: String = line.chars().skip(whole.column.saturating_sub(1)).collect();
    let quote = usize::from(written.starts_with(['"', '\'']));
    let written: String = written.chars().skip(quote).collect();
    if !written.starts_with(&raw.value) {
        return whole;
    }
    Place { line: whole.line, column: whole.column + quote + fault.start, width: fault.width }
}
