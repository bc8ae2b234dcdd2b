//! What stands in a picture, in words: the same for every kind of picture.

use jiff::Timestamp;
use schemas::{Class, Millis};

use crate::calendar::{Shift, spell, spell_clock};
use crate::channel::word_of;
use crate::language::{
    Again, Allowance, Anchor, Asleep, AtNight, Cause, Experiment, Goal, Level, Match, Order, Per, Plan, Point, RELEASE,
    Short, Sleeper, Step, TriggerKind, Wait,
};

/// Name, version and class.
pub(super) fn title(plan: &Plan) -> String {
    format!("{} version {} ({})", plan.name, plan.version, class(plan))
}

/// What kind of messages these are.
pub(super) fn class(plan: &Plan) -> &'static str {
    match plan.class {
        Class::Transactional => "transactional, no consent needed",
        Class::Marketing | Class::Unspecified => "marketing",
    }
}

/// Hours in which nobody is written to.
fn quiet(plan: &Plan) -> Option<String> {
    let night = plan.quiet?;
    let hours = format!("{} to {}", spell_clock(night.hours.from), spell_clock(night.hours.to));
    let release = if night.release == RELEASE {
        String::new()
    } else {
        format!(", what was held goes out within {}", spell(night.release))
    };
    Some(format!("quiet from {hours} on the customer's clock: {}{release}", at_night(night.policy)))
}

/// What is done about contacts that are asleep.
fn asleep(asleep: Asleep) -> String {
    let then = match asleep.then {
        Sleeper::Report => "the message goes out, and the journal tells",
        Sleeper::LeaveOut => "left out, and nothing dearer follows",
        Sleeper::GoOn => "left out, the next message's turn",
    };
    format!("a contact that was silent for {}: {then}", asleep.after)
}

/// What begins a cascade, and its conditions.
pub(super) fn trigger(plan: &Plan) -> Vec<String> {
    let trigger = &plan.trigger;
    let mut lines = vec![match trigger.on {
        TriggerKind::Cart => "a cart changed".to_owned(),
        TriggerKind::Registration => "somebody registered".to_owned(),
        TriggerKind::Inactivity => "nothing was heard of a customer".to_owned(),
        TriggerKind::Action => format!("a customer did {}", trigger.action.as_deref().unwrap_or("something")),
        TriggerKind::Schedule => "a moment came: everybody is looked at".to_owned(),
        TriggerKind::End => "another cascade ended".to_owned(),
    }];
    if let Some(schedule) = &trigger.schedule {
        lines.push(match schedule.every {
            None => format!("on {}, once", moment(schedule.at)),
            Some(every) if schedule.at == 0 => format!("every {every}"),
            Some(every) => format!("on {}, and every {every}", moment(schedule.at)),
        });
        lines.extend(schedule.pace.map(|pace| format!("{pace} customers of a partition in a second at most")));
    }
    if let Some(endings) = &trigger.endings {
        let how: Vec<String> = endings.reasons.iter().map(ToString::to_string).collect();
        lines.push(format!("{}: {}", endings.of.join(" or "), how.join(" or ")));
    }
    if let Some(condition) = &trigger.condition {
        lines.push(format!("where {}", condition.as_written()));
    }
    lines.push(match &trigger.key {
        Some(key) => format!("one cascade for each {}", key.as_written()),
        None => "one cascade for each customer".to_owned(),
    });
    if trigger.settle > 0 {
        lines.push(format!("settles: nothing new for {}", spell(trigger.settle)));
    }
    match trigger.again {
        Again::Ignore => {}
        Again::Refresh => lines.push("coming again while it settles, it is taken over and settles anew".to_owned()),
        Again::Restart => lines.push("coming again, it begins anew".to_owned()),
        Again::Queue => lines.push("coming again, it waits for the end and begins then".to_owned()),
    }
    lines.push(format!("older than {} it begins nothing", spell(trigger.max_age)));
    if trigger.cooldown > 0 {
        lines.push(format!("not anew within {} of its end", spell(trigger.cooldown)));
    }
    lines.extend(trigger.maximum.map(|times| format!("at most {times} times with a customer")));
    lines.extend(quiet(plan));
    lines.extend(plan.asleep.map(asleep));
    lines.extend(plan.experiment.as_ref().map(experiment));
    lines.extend(plan.budget.as_ref().map(budget));
    lines
}

fn budget(budget: &Allowance) -> String {
    let per = if budget.per == Per::Hour { "an hour" } else { "a day" };
    let short = if budget.short == Short::Stop { "the cascade ends" } else { "a message waits for the next" };
    format!("budget: {} minor units {per}, then {short}", budget.minor)
}

fn experiment(experiment: &Experiment) -> String {
    let shares = experiment.variants.iter().map(|(name, share)| format!("{share} % get {name}"));
    let hold_out = (experiment.hold_out > 0).then(|| format!("{} % get nothing", experiment.hold_out));
    format!("experiment {}: {}", experiment.name, shares.chain(hold_out).collect::<Vec<_>>().join(", "))
}

fn moment(at: Millis) -> String {
    Timestamp::from_millisecond(at).map_or_else(|_| format!("{at} ms"), |moment| moment.to_string())
}

/// The channels of a step and its template.
pub(super) fn message(step: &Step) -> String {
    let names: Vec<&str> = step.channels.iter().map(|channel| channel.name).collect();
    format!("{}, template {}", names.join(", else "), step.template)
}

/// When a step goes out, and how long it is waited for.
pub(super) fn step(step: &Step) -> Vec<String> {
    let mut lines = Vec::new();
    if !step.variants.is_empty() {
        lines.push(format!("for variant {}", step.variants.join(" or ")));
    }
    if let Some(when) = &step.when {
        lines.push(format!("when {}", when.as_written()));
    }
    let spread = if step.spread > 0 { format!(", spread over {}", spell(step.spread)) } else { String::new() };
    let start = match &step.start {
        Point { anchor: Anchor::Turn, shift } if *shift == Shift::default() => "at once".to_owned(),
        Point { anchor: Anchor::HandOver, shift } => format!("{shift} after the last hand-over"),
        start => format!("at {}", point(start)),
    };
    let valid = match &step.valid {
        Point { anchor: Anchor::Turn, shift } if shift.is_exact() => format!("for {shift}"),
        valid => format!("until {}", point(valid)),
    };
    lines.push(format!("{start}{spread}, valid {valid}"));
    if step.late < Millis::MAX {
        lines.push(format!("skipped if seen more than {} late", spell(step.late)));
    }
    lines.push(match &step.wait {
        Wait::Active(length) => format!("waits {} from the hand-over, quiet hours not counted", spell(*length)),
        Wait::Until(Point { anchor: Anchor::HandOver, shift }) => format!("waits {shift} from the hand-over"),
        Wait::Until(until) => format!("waits until {}", point(until)),
    });
    if step.segments > 1 {
        lines.push(format!("{} segments as an SMS", step.segments));
    }
    lines.extend(step.at_night.map(|policy| format!("in quiet hours: {}", at_night(policy))));
    if step.escalate_on_outage {
        lines.push("after an outage a dearer one may follow".to_owned());
    }
    lines
}

/// A point in time, as it is written.
fn point(point: &Point) -> String {
    let anchor = match &point.anchor {
        Anchor::Turn => return point.shift.to_string(),
        Anchor::Trigger => "trigger".to_owned(),
        Anchor::HandOver => "the hand-over".to_owned(),
        Anchor::Event(field) => format!("event.{field}"),
        Anchor::Profile(attribute) => format!("profile.{attribute}"),
        Anchor::Moment(at) => moment(*at),
    };
    let Shift { months, days, millis, landing } = point.shift;
    match (months < 0 || days < 0 || millis < 0, (months, days, millis) == (0, 0, 0)) {
        (true, _) => format!("{anchor} - {}", point.shift),
        (false, true) if landing.is_none() => anchor,
        (false, true) => format!("{anchor} {}", point.shift),
        (false, false) => format!("{anchor} + {}", point.shift),
    }
}

fn at_night(policy: AtNight) -> &'static str {
    match policy {
        AtNight::Hold => "held",
        AtNight::Skip => "the next message's turn",
        AtNight::Expire => "given up, and nothing dearer follows",
        AtNight::Ignore => "goes out all the same",
    }
}

/// What leads on from a step.
pub(super) fn leads_on(step: &Step) -> String {
    let cause = |cause: &Cause| match cause {
        Cause::NotDelivered => "not delivered",
        Cause::NoInformation => "no information",
        Cause::CannotSend => "cannot send",
        Cause::NotOpened => "not opened",
        Cause::NoGoal => "no goal",
        Cause::Outcome(outcome) => word_of(*outcome),
    };
    let mut causes: Vec<&str> = step.next_if.iter().map(cause).collect();
    if step.when.is_some() {
        causes.push("not for this customer");
    }
    causes.join(", ")
}

/// Which message is the next one, where it is not the next one in the file.
pub(super) fn choice(order: Order) -> Option<&'static str> {
    match order {
        Order::AsWritten => None,
        Order::ByCost => Some("the cheapest message that was not tried yet"),
        Order::ByExpectedCost => {
            Some("the message of which reaching a customer costs least, of those that were not tried yet")
        }
        Order::ByResponse => Some("the message that reaches customers most often, of those that were not tried yet"),
        Order::ByPreference => Some("a message on the channel that the customer likes best, if one is left"),
    }
}

/// What of a message ends the cascade; none where only the goal does.
pub(super) fn stop(level: Level) -> Option<&'static str> {
    match level {
        Level::Delivered => Some("a message was delivered"),
        Level::Opened => Some("a message was opened"),
        Level::Clicked => Some("a message was clicked"),
        Level::Replied => Some("a message was replied to"),
        Level::Agreed => Some("the customer agreed in a call"),
        Level::Goal => None,
    }
}

/// What is hoped for.
pub(super) fn goal(goal: &Goal) -> String {
    let mut text = goal.actions.join(" or ");
    match goal.matching {
        Match::Any => {}
        Match::SameKey => text.push_str(", same key"),
        Match::SameArticle => text.push_str(", same article"),
    }
    if let Some(condition) = &goal.condition {
        text.push_str(&format!(", where {}", condition.as_written()));
    }
    if goal.grace > 0 {
        text.push_str(&format!(", also up to {} before the trigger", spell(goal.grace)));
    }
    text
}

/// The end that every cascade reaches at the latest.
pub(super) const END: &str = "no step is left";
/// The end where a wait is over and nothing of what leads on is true.
pub(super) const OTHERWISE: &str = "otherwise";
