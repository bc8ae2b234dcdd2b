//! A timeline: read, lived through, compared with what it expects.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use schemas::{CampaignKind, Millis};

use crate::calendar::{self, spell, unbounded};
use crate::language::{Place, Problem, Report, Severity, Source};
use crate::limits;
use crate::{Effect, Plans};

use super::event::Event;
use super::narrator::Wrong;
use super::told::{expected, told};
use super::words::{Word, split};
use super::world::World;
use super::{difference, line};

/// 2026-06-01T10:00Z.
const BEGIN: Millis = 1_780_308_000_000;

/// After so many problems a file is something else than a timeline.
const PROBLEMS: usize = 20;

/// What happens to a customer, and what is expected to be decided.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// The moment 0.
    pub begin: Millis,
    /// The zone in which times are shown.
    pub zone: TimeZone,
    name: String,
    text: String,
    lines: Vec<Line>,
    expected: Vec<Expected>,
}

/// A line on which something happens.
#[derive(Clone, Debug)]
pub struct Line {
    /// Time since the begin.
    pub since: Millis,
    /// What happens.
    pub event: Event,
    /// As it is written, behind its time.
    words: String,
    place: Place,
}

/// A line that says what is decided.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    /// Number of the line.
    pub line: usize,
    /// Time since the begin.
    pub since: Millis,
    /// As [`told`] says it.
    pub decided: String,
}

impl Timeline {
    /// Reads a timeline.
    ///
    /// # Errors
    /// What is wrong with it, line by line.
    pub fn parse(name: &str, text: &str) -> Result<Self, Vec<Problem>> {
        let source = Source { name, text };
        let mut timeline = Timeline {
            begin: BEGIN,
            zone: TimeZone::UTC,
            name: name.to_owned(),
            text: text.to_owned(),
            lines: Vec::new(),
            expected: Vec::new(),
        };
        let mut problems = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let mut report = Report::new(&source);
            if index >= limits::TIMELINE_LINES {
                let place = Place { line: index + 1, column: 1, width: 1 };
                let message = format!("a timeline has at most {} lines", limits::TIMELINE_LINES);
                report.error(place, message, "make several timelines of it");
            } else {
                timeline.read(line, index + 1, &mut report);
            }
            problems.append(&mut report.into_problems());
            if problems.len() >= PROBLEMS || index >= limits::TIMELINE_LINES {
                break;
            }
        }
        if problems.is_empty() { Ok(timeline) } else { Err(problems) }
    }

    fn read(&mut self, line: &str, number: usize, report: &mut Report<'_>) {
        if line.len() > limits::TIMELINE_WIDTH {
            let place = Place { line: number, column: 1, width: 1 };
            return report.error(place, "this line is too long", format!("at most {} bytes", limits::TIMELINE_WIDTH));
        }
        let Some(words) = split(line, number, report) else { return };
        match words.as_slice() {
            [] => {}
            [first, rest @ ..] if first.text == "begin" || first.text == "zone" => self.head(first, rest, report),
            [first, rest @ ..] if first.text == "=>" => self.expect(first, rest, report),
            [first, rest @ ..] => self.happens(first, rest, report),
        }
    }

    /// When it begins, or the zone: both stand before everything else.
    fn head(&mut self, first: &Word, rest: &[Word], report: &mut Report<'_>) {
        if !self.lines.is_empty() || !self.expected.is_empty() {
            return report.error(first.place, format!("`{}` comes too late here", first.text), "write it at the top");
        }
        let value = match rest {
            [word] => word,
            _ => first,
        };
        if first.text == "zone" {
            match calendar::zone(&value.text) {
                Some(zone) => self.zone = zone,
                None => report.error(value.place, "this is no time zone", "write an IANA name: `zone Europe/Moscow`"),
            }
        } else {
            match value.text.parse::<Timestamp>() {
                Ok(moment) => self.begin = moment.as_millisecond(),
                Err(_) => {
                    let hint = "write date, time and offset: `begin 2026-06-01T10:00+03:00`";
                    report.error(value.place, "this is no moment", hint);
                }
            }
        }
    }

    fn expect(&mut self, first: &Word, rest: &[Word], report: &mut Report<'_>) {
        let Some((time, words)) = rest.split_first().filter(|(_, words)| !words.is_empty()) else {
            return report.error(first.place, "what is decided, and when?", "write `=> 3h send sms by sms`");
        };
        let (Some(since), Some(decided)) = (since(time, report), expected(words, report)) else { return };
        let decided = format!("{} {decided}", spell(since));
        self.expected.push(Expected { line: first.place.line, since, decided });
    }

    fn happens(&mut self, time: &Word, words: &[Word], report: &mut Report<'_>) {
        let Some(since) = since(time, report) else { return };
        let earlier = self.lines.last().map_or(0, |line| line.since);
        if since < earlier {
            let hint = format!("the line above it is at {}: bring them into their order", spell(earlier));
            return report.error(time.place, "time does not go back", hint);
        }
        let Some(first) = words.first() else {
            return report.error(time.place, "what happens then?", "write `3h time passes` if nothing does");
        };
        if let Some(event) = line::event(words, report) {
            let text: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
            self.lines.push(Line { since, event, words: text.join(" "), place: first.place });
        }
    }

    /// How many lines say what is expected.
    pub fn expectations(&self) -> usize {
        self.expected.len()
    }

    /// What happens, in its order.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// When something is expected to be decided, as time since the begin, to the second.
    pub fn expected_at(&self) -> impl Iterator<Item = Millis> {
        self.expected.iter().map(|expected| expected.since)
    }

    /// Lives through it, with these campaigns in force.
    ///
    /// # Errors
    /// A line that cannot happen.
    pub fn play(&self, plans: Plans) -> Result<World, Vec<Problem>> {
        let mut world = World::new(plans, self.begin);
        self.play_in(&mut world)?;
        Ok(world)
    }

    /// Lives through it in a world where other things may have happened before.
    ///
    /// # Errors
    /// A line that cannot happen, or by which too much would have fallen due.
    pub fn play_in(&self, world: &mut World) -> Result<(), Vec<Problem>> {
        for line in &self.lines {
            let Event::Said(said) = &line.event else { continue };
            if said.kind == CampaignKind::Definition && !world.withhold(&said.campaign, said.version) {
                let source = Source { name: &self.name, text: &self.text };
                let message = format!("there is no version {} of {}", said.version, said.campaign);
                let hint = "name its file beside the others".to_owned();
                return Err(vec![source.problem(Severity::Error, line.place, message, Some(hint))]);
            }
        }
        for line in &self.lines {
            self.play_line(world, line).map_err(|(message, hint)| {
                let source = Source { name: &self.name, text: &self.text };
                vec![source.problem(Severity::Error, line.place, message, Some(hint))]
            })?;
        }
        Ok(())
    }

    fn play_line(&self, world: &mut World, line: &Line) -> Result<(), Wrong> {
        let moment = world.begin().saturating_add(line.since);
        if line.event.is_unseen() {
            world.sleep_until(moment);
        } else {
            while world.fire_next(moment) {
                if world.moments() > limits::TIMELINE_MOMENTS {
                    let message = format!("more than {} moments fall due before this", limits::TIMELINE_MOMENTS);
                    return Err((message, "let less time pass, or let the schedule look less often".to_owned()));
                }
            }
            world.pass_until(moment);
        }
        world.caused_by(format!("Line {}: {}.", line.place.line, line.words));
        world.act(&line.event)
    }

    /// How what was decided differs from what is expected, for people; none where it does not, or nothing is expected.
    pub fn difference(&self, world: &World) -> Option<String> {
        self.difference_to(&told(world))
    }

    /// The same of what was decided elsewhere, as [`tell`](super::tell) spells it.
    pub fn difference_to(&self, found: &[String]) -> Option<String> {
        let is_wanted = found.iter().eq(self.expected.iter().map(|expected| &expected.decided));
        (!is_wanted && !self.expected.is_empty()).then(|| difference::show(&self.expected, found))
    }

    /// Every effect with its time since the begin, as timelines write it.
    pub fn effects<'w>(&self, world: &'w World) -> impl Iterator<Item = (String, &'w Effect)> {
        let begin = self.begin;
        world.effects.iter().map(move |(at, effect)| (spell(at.saturating_sub(begin)), effect))
    }
}

fn since(word: &Word, report: &mut Report<'_>) -> Option<Millis> {
    if word.text == "0" {
        return Some(0);
    }
    match unbounded(&word.text) {
        Ok(since) if since <= limits::TIMELINE_SPAN => Some(since),
        Ok(_) => {
            report.error(word.place, "this is too far away", "at most ten years: `3650d`");
            None
        }
        Err(_) => {
            let hint =
                "a line begins with the time since the begin: `0`, `90m`, `1d12h`; or with `begin`, `zone`, `=>`";
            report.error(word.place, format!("`{}` is no time", word.text), hint);
            None
        }
    }
}
