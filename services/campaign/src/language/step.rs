//! Steps: channels, waits and what leads on.

use schemas::{Millis, Outcome};

use crate::channel::Channel;
use crate::predicate::Vocabulary;

use crate::calendar::{self, Shift};

use super::check::{AT_NIGHT, KINDS, channel, condition, span, word};
use super::experiment::Experiment;
use super::plan::{Anchor, AtNight, Cause, Level, Point, Step, Template, TriggerKind, Wait};
use super::problem::{Report, nearest};
use super::raw;
use super::yaml::Word;

const DAY: Millis = 24 * 3_600_000;
/// How long the last message is waited for, unless it says otherwise.
const WAIT: Millis = DAY;
/// How long after its moment a message may go out, unless the step says otherwise.
pub(super) const VALID: Millis = DAY;
/// Shorter than this no worker could keep it.
const VALID_AT_LEAST: Millis = 60_000;

/// No moment is met to the second.
const PUNCTUAL: Millis = 60_000;

pub(super) const CAUSES: &[(&str, Cause)] = &[
    ("not delivered", Cause::NotDelivered),
    ("no information", Cause::NoInformation),
    ("cannot send", Cause::CannotSend),
    ("not opened", Cause::NotOpened),
    ("no goal", Cause::NoGoal),
    ("no answer", Cause::Outcome(Outcome::NoAnswer)),
    ("busy", Cause::Outcome(Outcome::Busy)),
    ("wrong number", Cause::Outcome(Outcome::WrongNumber)),
    ("reached", Cause::Outcome(Outcome::Reached)),
    ("later", Cause::Outcome(Outcome::Later)),
    ("agreed", Cause::Outcome(Outcome::Agreed)),
    ("declined", Cause::Outcome(Outcome::Declined)),
];

/// Understands the steps.
pub(super) fn steps(raw: &raw::Campaign, stop: Level, kind: TriggerKind, report: &mut Report<'_>) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let starts: Vec<Point> = raw.steps.iter().map(|written| start(written, kind, report)).collect();
    let in_order = raw.steps.len() == 1 || raw.order.as_ref().is_none_or(|order| order.value == "as written");
    for (index, written) in raw.steps.iter().enumerate() {
        if steps.iter().any(|step| step.name == written.name.value) {
            report.error(written.name.referenced, "two steps have this name", "give each step a name of its own");
        }
        let names: Vec<&str> = raw.steps[..index].iter().map(|step| step.name.value.as_str()).collect();
        let vocabulary = Vocabulary::of_step(kind, &names);
        let channels = channels(written, report);
        let segments = segments(written, &channels, report);
        let is_last = index + 1 == raw.steps.len() && (in_order || report.is_of_record());
        let next_if = match next_if(written, report) {
            Some(causes) => causes,
            None => usual(stop, is_last && channels.iter().all(|channel| !channel.opened)),
        };
        steps.push(Step {
            name: written.name.value.clone(),
            channels,
            first_option: steps.last().map_or(0, |last| last.first_option + last.channels.len()),
            variants: written.variant.as_ref().map_or_else(Vec::new, |variants| variants.value.0.clone()),
            template: match &written.template.value {
                raw::Template::Same(name) => Template::Same(name.clone()),
                raw::Template::ByVariant(names) => Template::ByVariant(names.clone()),
            },
            segments,
            when: written.when.as_ref().and_then(|text| condition(text, &vocabulary, report)),
            start: starts[index].clone(),
            spread: span(written.spread.as_ref(), 0, report),
            late: late(written, report),
            wait: match next(written, &raw.steps[index + 1..], &starts[index + 1..]) {
                // What came in once is read as it was then.
                _ if !in_order && !report.is_of_record() => wait(raw, written, &next_if, Next::Differs, report),
                next => wait(raw, written, &next_if, next, report),
            },
            next_if,
            valid: valid(written, kind, report),
            at_night: at_night(raw, written, report),
            escalate_on_outage: written.escalate_on_outage.unwrap_or(false),
        });
    }
    for (step, written) in steps.iter().zip(&raw.steps) {
        opens(step, written, report);
        outcomes(step, &steps, written, report);
    }
    steps
}

/// Steps and templates speak of variants that there are, and of all of them.
pub(super) fn variants(raw: &raw::Campaign, experiment: Option<&Experiment>, report: &mut Report<'_>) {
    let known: Vec<&str> = experiment.iter().flat_map(|it| &it.variants).map(|(name, _)| name.as_str()).collect();
    for written in &raw.steps {
        let mut wanted = known.clone();
        if let Some(variants) = &written.variant {
            for name in variants.value.0.iter().filter(|name| !known.contains(&name.as_str())) {
                report.error(variants.referenced, format!("`{name}` is no variant"), no_variant(name, &known));
            }
            wanted.retain(|name| variants.value.0.iter().any(|it| it == name));
        }
        let raw::Template::ByVariant(names) = &written.template.value else { continue };
        for name in names.keys().filter(|name| !known.contains(&name.as_str())) {
            report.error(written.template.referenced, format!("`{name}` is no variant"), no_variant(name, &known));
        }
        if let Some(name) = wanted.iter().find(|name| !names.contains_key(**name)) {
            let hint = format!("add `{name}: …`");
            report.error(written.template.referenced, format!("which template for variant `{name}`?"), hint);
        }
    }
}

fn no_variant(name: &str, known: &[&str]) -> String {
    match known {
        [] => "the campaign has none: add `experiment: {variants: {a: 50, b: 50}}`".to_owned(),
        known => nearest(name, known.iter().copied()),
    }
}

fn channels(written: &raw::Step, report: &mut Report<'_>) -> Vec<&'static Channel> {
    let words: Vec<&Word> = match (&written.channel, &written.any) {
        (Some(channel), None) => vec![channel],
        (None, Some(any)) if !any.is_empty() => any.iter().collect(),
        (Some(channel), Some(_)) => {
            report.error(channel.referenced, "a step has either `channel` or `any`", "remove one of them");
            vec![channel]
        }
        _ => {
            report.error(
                written.name.referenced,
                "a step needs a channel",
                "add `channel: email` or `any: [push, email]`",
            );
            Vec::new()
        }
    };
    let mut channels: Vec<&'static Channel> = Vec::new();
    for word in words {
        match channel(&word.value, word.referenced, report) {
            Some(channel) if channels.contains(&channel) => {
                report.error(word.referenced, "this channel stands here twice", "remove one of them");
            }
            found => channels.extend(found),
        }
    }
    channels
}

/// More than so many no provider takes as one message.
pub(super) const SEGMENTS: u32 = 10;

fn segments(written: &raw::Step, channels: &[&Channel], report: &mut Report<'_>) -> u32 {
    let Some(segments) = &written.segments else { return 1 };
    if !(1..=SEGMENTS).contains(&segments.value) {
        report.error(segments.referenced, "no SMS has so many segments", format!("write 1 to {SEGMENTS}"));
    }
    if !channels.iter().any(|channel| channel.in_segments()) {
        report.error(segments.referenced, "only an SMS has segments", "remove it, or write `channel: sms`");
    }
    segments.value
}

fn next_if(written: &raw::Step, report: &mut Report<'_>) -> Option<Vec<Cause>> {
    let list = written.next_if.as_ref()?;
    Some(list.value.iter().filter_map(|cause| word(cause, CAUSES, "reason to go on", report)).collect())
}

/// Without words of its own a step leads on by whatever its campaign's stop level calls a failure. The last step leads
/// nowhere, so it may stand on a channel that is `mute` about opening.
fn usual(stop: Level, mute: bool) -> Vec<Cause> {
    match stop {
        Level::Delivered => vec![Cause::NotDelivered, Cause::NoInformation, Cause::CannotSend],
        Level::Opened if mute => vec![Cause::NotDelivered, Cause::CannotSend],
        Level::Opened => vec![Cause::NotDelivered, Cause::CannotSend, Cause::NotOpened],
        Level::Clicked | Level::Replied | Level::Agreed | Level::Goal => {
            vec![Cause::NotDelivered, Cause::CannotSend, Cause::NoGoal]
        }
    }
}

fn start(written: &raw::Step, kind: TriggerKind, report: &mut Report<'_>) -> Point {
    match (&written.at, &written.after) {
        (None, None) => Point::after(Anchor::Turn, Shift::default()),
        (None, Some(after)) => Point::after(Anchor::HandOver, way(after, &after.value, report)),
        (Some(at), after) => {
            if let Some(after) = after {
                report.error(after.referenced, "a step has either `at` or `after`", "remove one of them");
            }
            anchored(at, &at.value, kind, report)
        }
    }
}

/// A way that stands in a word.
fn way(at: &Word, text: &str, report: &mut Report<'_>) -> Shift {
    calendar::shift(text).unwrap_or_else(|(message, hint)| {
        report.error(at.referenced, message, hint);
        Shift::default()
    })
}

/// An anchor and a way from it: `trigger + 7d`, `event.expires_at - 7 days 10:00`, `next tuesday 10:00`, or a moment for everybody.
fn anchored(at: &Word, text: &str, kind: TriggerKind, report: &mut Report<'_>) -> Point {
    let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let anchor = match name.split_once('.') {
        Some(("event", field)) if !field.is_empty() => Anchor::Event(field.to_owned()),
        Some(("profile", attribute)) if !attribute.is_empty() => Anchor::Profile(attribute.to_owned()),
        None if name == "trigger" => Anchor::Trigger,
        None if name.len() > 10 && name.contains('T') => Anchor::Moment(moment(at, name, report)),
        None if name == "next" || name.contains(':') => return Point::after(Anchor::Turn, way(at, text, report)),
        _ => {
            report.error(
                at.referenced,
                "this is not an anchor with an offset",
                "write `trigger + 7d`, `event.starts_at - 1h`, `profile.contract_ends - 3 days 10:00`, `next tuesday 10:00`",
            );
            return Point::after(Anchor::Turn, Shift::default());
        }
    };
    dates(at, (&anchor, rest), kind, report);
    let rest = rest.trim();
    let (before, rest) = match rest.strip_prefix(['+', '-']) {
        Some(way) => (rest.starts_with('-'), way.trim()),
        None => (false, rest),
    };
    let shift = if rest.is_empty() { Shift::default() } else { way(at, rest, report) };
    Point { anchor, shift: if before { shift.back() } else { shift } }
}

/// A moment that is the same for everybody.
fn moment(at: &Word, text: &str, report: &mut Report<'_>) -> Millis {
    let found = text.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_millisecond);
    found.unwrap_or_else(|_| {
        let hint = "write date, time and offset from UTC: `2026-06-10T00:00+03:00`, or `…T07:00Z`";
        report.error(at.referenced, "this is not a moment", hint);
        0
    })
}

/// An anchor that nothing can ever bring a date for would pass over its step for everybody, in silence.
fn dates(at: &Word, (anchor, rest): (&Anchor, &str), kind: TriggerKind, report: &mut Report<'_>) {
    let (of, name) = match anchor {
        Anchor::Event(field) => ("event", field),
        Anchor::Profile(attribute) => ("profile", attribute),
        Anchor::Turn | Anchor::Trigger | Anchor::HandOver | Anchor::Moment(_) => return,
    };
    let glued = name.find(['+', '-']).map(|place| name.split_at(place));
    let glued = glued.map(|(name, way)| (name, &way[..1], format!("{} {rest}", &way[1..]).trim().to_owned()));
    if let Some((name, sign, way)) = glued.filter(|(.., way)| calendar::shift(way).is_ok()) {
        let hint = format!("put spaces around the sign: `{of}.{name} {sign} {way}`");
        return report.error_since(at.referenced, "an anchor and its way stand apart", hint);
    }
    if let Some(attribute) = name.strip_prefix("attributes.") {
        let hint = format!("attributes are called by their names: `{of}.{attribute}`");
        return report.error_since(at.referenced, format!("`{name}` is no attribute"), hint);
    }
    let vocabulary = Vocabulary::of_trigger(kind);
    let known: Vec<&str> = vocabulary.described().map(|(name, ..)| name).collect();
    if of == "event" && !vocabulary.has_attributes() && !known.contains(&name.as_str()) {
        let on = KINDS.iter().find(|(_, known)| *known == kind).map_or("", |(word, _)| word);
        report.error_since(at.referenced, format!("`on: {on}` brings no `{name}`"), nearest(name, known));
    }
}

/// What follows a step.
enum Next<'p> {
    Nothing,
    /// The same for all who get this one, and it starts then.
    Starts(&'p Point),
    /// That depends on the variant, or on what the order goes by.
    Differs,
}

/// Of the steps behind one, the first that somebody can get who gets this one.
fn next<'p>(step: &raw::Step, behind: &[raw::Step], starts: &'p [Point]) -> Next<'p> {
    for (later, start) in behind.iter().zip(starts) {
        let Some(its) = variants_of(later) else { return Next::Starts(start) };
        match variants_of(step) {
            Some(own) if own.iter().all(|name| its.contains(name)) => return Next::Starts(start),
            Some(own) if !own.iter().any(|name| its.contains(name)) => {}
            _ => return Next::Differs,
        }
    }
    Next::Nothing
}

/// The variants that a step is for; none where it is for all.
fn variants_of(step: &raw::Step) -> Option<&[String]> {
    step.variant.as_ref().map(|variants| variants.value.0.as_slice())
}

/// Without a word of its own a wait lasts until the next step's moment.
fn wait(raw: &raw::Campaign, written: &raw::Step, next_if: &[Cause], next: Next<'_>, report: &mut Report<'_>) -> Wait {
    if let (None, Next::Starts(point)) = (&written.wait, &next)
        && point.anchor != Anchor::Turn
    {
        return Wait::Until((*point).clone());
    }
    let needed = !matches!(next, Next::Nothing) && next_if.iter().any(|cause| *cause != Cause::CannotSend);
    if written.wait.is_none() && needed {
        report.error(
            written.name.referenced,
            "how long is this message waited for before the next one?",
            "add `wait: 3h`: it counts from the hand-over",
        );
    }
    let Some(word) = &written.wait else { return Wait::Until(Point::after(Anchor::HandOver, Shift::exact(WAIT))) };
    match word.value.strip_suffix(" active") {
        Some(length) => {
            if raw.quiet.is_none() {
                report.error(word.referenced, "which hours are active?", "add `quiet: {hours: 22:00-9:00}`");
            }
            let length = calendar::span(length).map_err(|(message, hint)| report.error(word.referenced, message, hint));
            Wait::Active(length.unwrap_or(WAIT))
        }
        None => Wait::Until(Point::after(Anchor::HandOver, way(word, &word.value, report))),
    }
}

/// A length, or a point: `6h`, `until end of day`, `until 21:00`, `until event.offer_ends`.
fn valid(written: &raw::Step, kind: TriggerKind, report: &mut Report<'_>) -> Point {
    let Some(word) = &written.valid else { return Point::after(Anchor::Turn, Shift::exact(VALID)) };
    match word.value.strip_prefix("until ").map(str::trim) {
        Some("end of day") => Point::after(Anchor::Turn, way(word, "1 day 00:00", report)),
        Some(point) => anchored(word, point, kind, report),
        None => {
            let valid = span(Some(word), VALID, report);
            if valid < VALID_AT_LEAST {
                report.error(word.referenced, "this is too short for any worker", "at least `1m`");
            }
            Point::after(Anchor::Turn, Shift::exact(valid))
        }
    }
}

fn at_night(raw: &raw::Campaign, written: &raw::Step, report: &mut Report<'_>) -> Option<AtNight> {
    let quiet = written.quiet.as_ref()?;
    if raw.quiet.is_none() {
        report.error(quiet.referenced, "which hours are quiet?", "add `quiet: {hours: 22:00-9:00}` to the campaign");
    }
    word(quiet, AT_NIGHT, "answer to quiet hours", report)
}

/// How late is too late, in words.
pub(super) const LATE: &[(&str, Millis)] = &[("fire", Millis::MAX), ("skip", PUNCTUAL)];

/// What is done with a step whose moment is long past: an outage of ours may have kept it back.
fn late(written: &raw::Step, report: &mut Report<'_>) -> Millis {
    let Some(late) = &written.late else { return Millis::MAX };
    match LATE.iter().find(|(word, _)| *word == late.value) {
        Some((_, limit)) => *limit,
        None => span(Some(late), Millis::MAX, report).max(PUNCTUAL),
    }
}

/// Waiting for an opening that the channel never tells of would lead on always.
fn opens(step: &Step, written: &raw::Step, report: &mut Report<'_>) {
    if !step.leads_on(Cause::NotOpened) || step.channels.iter().any(|channel| channel.opened) {
        return;
    }
    let names: Vec<&str> = step.channels.iter().map(|channel| channel.name).collect();
    let said = written.next_if.as_ref().and_then(|list| list.value.iter().find(|word| word.value == "not opened"));
    let place = said.map_or(written.name.referenced, |word| word.referenced);
    if !names.is_empty() {
        report.error(
            place,
            format!("nobody learns whether a message on {} was opened", names.join(", ")),
            "write what leads on from this step: `next_if: [not delivered, cannot send]`, or `no goal`",
        );
    }
}

/// Only of what a person does it is told what it came to.
fn outcomes(step: &Step, steps: &[Step], written: &raw::Step, report: &mut Report<'_>) {
    let hint = "only a step on `call` has an outcome";
    for word in written.next_if.iter().flat_map(|list| &list.value) {
        let is_outcome = CAUSES.iter().any(|(name, cause)| *name == word.value && matches!(cause, Cause::Outcome(_)));
        if is_outcome && !step.is_for_person() && !step.channels.is_empty() {
            report.error(word.referenced, format!("nobody tells whether this came to `{}`", word.value), hint);
        }
    }
    let Some((when, condition)) = step.when.as_ref().zip(written.when.as_ref()) else { return };
    when.outcomes(&mut |asked| {
        if let Some(asked) = steps.get(asked).filter(|asked| !asked.is_for_person() && !asked.channels.is_empty()) {
            report.error(condition.referenced, format!("nobody tells what `{}` came to", asked.name), hint);
        }
    });
}
