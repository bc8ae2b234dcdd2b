//! What stands in a picture, in words: the same for every kind of picture.

use jiff::Timestamp;
use schemas::{Class, Millis};

use crate::language::{Again, Cause, Goal, Level, Match, Order, Plan, Point, Step, Trigger, TriggerKind, spell};

/// Name, version and class.
pub(super) fn title(plan: &Plan) -> String {
    let class = match plan.class {
        Class::Transactional => "transactional, no consent needed",
        Class::Marketing | Class::Unspecified => "marketing",
    };
    format!("{} version {} ({class})", plan.name, plan.version)
}

/// What begins a cascade, and its conditions.
pub(super) fn trigger(trigger: &Trigger) -> Vec<String> {
    let mut lines = vec![match trigger.on {
        TriggerKind::Cart => "a cart changed".to_owned(),
        TriggerKind::Registration => "somebody registered".to_owned(),
        TriggerKind::Inactivity => "nothing was heard of a customer".to_owned(),
        TriggerKind::Action => format!("a customer did {}", trigger.action.as_deref().unwrap_or("something")),
        TriggerKind::Schedule => "a moment came: everybody is looked at".to_owned(),
    }];
    if let Some(schedule) = &trigger.schedule {
        let every = schedule.every.map_or_else(|| ", once".to_owned(), |every| format!(", and every {}", spell(every)));
        lines.push(format!("on {}{every}", moment(schedule.at)));
        lines.extend(schedule.pace.map(|pace| format!("{pace} customers of a partition in a second at most")));
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
    if trigger.again == Again::Refresh {
        lines.push("coming again while it settles, it is taken over and settles anew".to_owned());
    }
    lines.push(format!("older than {} it begins nothing", spell(trigger.max_age)));
    lines
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
    if let Some(when) = &step.when {
        lines.push(format!("when {}", when.as_written()));
    }
    let spread = if step.spread > 0 { format!(", spread over {}", spell(step.spread)) } else { String::new() };
    let start = match step.start {
        Point::AtOnce => "at once".to_owned(),
        Point::AfterTrigger(offset) => format!("at trigger + {}", spell(offset)),
        Point::AfterHandOver(offset) => format!("{} after the last hand-over", spell(offset)),
    };
    lines.push(format!("{start}{spread}, valid for {}", spell(step.valid)));
    if step.late < Millis::MAX {
        lines.push(format!("skipped if seen more than {} late", spell(step.late)));
    }
    lines.push(match step.wait {
        Point::AtOnce => "is not waited for".to_owned(),
        Point::AfterTrigger(offset) => format!("waits until trigger + {}", spell(offset)),
        Point::AfterHandOver(offset) => format!("waits {} from the hand-over", spell(offset)),
    });
    if step.escalate_on_outage {
        lines.push("after an outage a dearer one may follow".to_owned());
    }
    lines
}

/// What leads on from a step.
pub(super) fn leads_on(step: &Step) -> String {
    let cause = |cause: &Cause| match cause {
        Cause::NotDelivered => "not delivered",
        Cause::NoInformation => "no information",
        Cause::CannotSend => "cannot send",
        Cause::NotOpened => "not opened",
        Cause::NoGoal => "no goal",
    };
    let mut causes: Vec<&str> = step.next_if.iter().map(cause).collect();
    // A step that never went out holds nobody back.
    if !step.leads_on(Cause::CannotSend) {
        causes.push("no channel can be used");
    }
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
    }
}

/// What of a message ends the cascade; none where only the goal does.
pub(super) fn stop(level: Level) -> Option<&'static str> {
    match level {
        Level::Delivered => Some("a message was delivered"),
        Level::Opened => Some("a message was opened"),
        Level::Clicked => Some("a message was clicked"),
        Level::Replied => Some("a message was replied to"),
        Level::Goal => None,
    }
}

/// What is hoped for.
pub(super) fn goal(goal: &Goal) -> String {
    let mut text = goal.actions.join(" or ");
    if goal.matching == Match::SameKey {
        text.push_str(", same key");
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
