//! What a line looks like.
//!
//! A line of JSON begins with [`FIXED`] names, whoever says it; the others are the data of what is said. An event's own field of
//! such a name does not count.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use serde::Serializer;
use serde_json::Value;
use stream::clock::Tick;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{self, FormatEvent, FormatFields, Full, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, format::Format as Standard};
use tracing_subscriber::registry::LookupSpan;

use super::budget::{Budget, LeftOut};
use super::{Format, Settings, TOOLS};

/// Names that every line of JSON has, in this order. The runbook lists them.
pub(super) const FIXED: [&str; 7] = ["timestamp", "level", "service", "instance", "installation", "target", "message"];

/// What is said of what nobody sees.
const LEFT_OUT: &str = "lines of this place were left out: it said too much at once";

/// Writes lines, within the budget.
pub(super) struct Lines {
    form: Format,
    /// Service, instance, installation.
    whose: [String; 3],
    /// None for a tool: what it warns of is its answer.
    budget: Option<Mutex<Budget>>,
    now: fn() -> Tick,
    text: Standard<Full>,
}

impl Lines {
    pub fn new(settings: &Settings, service: &str, now: fn() -> Tick) -> Self {
        Lines {
            form: settings.format,
            whose: [service.to_owned(), settings.instance.clone(), settings.installation.clone()],
            budget: (service != TOOLS).then(Mutex::default),
            now,
            text: format::format(),
        }
    }

    /// One line of JSON.
    fn write_json(&self, to: &mut Writer<'_>, level: Level, target: &str, said: Said) -> fmt::Result {
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        let [service, instance, installation] = &self.whose;
        let target = said.target.as_deref().unwrap_or(target);
        let values = [&timestamp, level.as_str(), service, instance, installation, target, &said.message];
        let fixed = FIXED.into_iter().zip(values.map(Value::from));
        let mut line = Vec::new();
        serde_json::Serializer::new(&mut line).collect_map(fixed.chain(said.fields)).map_err(|_| fmt::Error)?;
        writeln!(to, "{}", String::from_utf8_lossy(&line))
    }

    fn tell(&self, to: &mut Writer<'_>, LeftOut { of, lines }: &LeftOut) -> fmt::Result {
        let place = of.line().unwrap_or_default();
        if self.form == Format::Json {
            let fields = vec![("left_out", Value::from(*lines)), ("line", Value::from(place))];
            let said = Said { message: LEFT_OUT.to_owned(), fields, target: None };
            return self.write_json(to, Level::WARN, of.target(), said);
        }
        SystemTime.format_time(to)?;
        writeln!(to, "  WARN {}: {LEFT_OUT} left_out={lines} line={place}", of.target())
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let of = event.metadata();
        let judged = self.budget.as_ref().map(|budget| {
            let mut budget = budget.lock().unwrap_or_else(PoisonError::into_inner);
            budget.judge(of, (self.now)())
        });
        let (left_out, is_shown) = judged.unwrap_or((Vec::new(), true));
        left_out.iter().try_for_each(|left_out| self.tell(&mut to, left_out))?;
        match self.form {
            _ if !is_shown => Ok(()),
            Format::Text => self.text.format_event(context, to, event),
            Format::Json => {
                let mut said = Said::default();
                event.record(&mut said);
                self.write_json(&mut to, *of.level(), of.target(), said)
            }
        }
    }
}

/// Words and data of an event.
#[derive(Default)]
struct Said {
    message: String,
    fields: Vec<(&'static str, Value)>,
    /// Who says it, if it came by way of the crate `log`, for which all speak from one place.
    target: Option<String>,
}

impl Said {
    fn field(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(words)) => self.message = words,
            ("log.target", Value::String(target)) => self.target = Some(target),
            (name, _) if name.starts_with("log.") || FIXED.contains(&name) => {}
            (name, value) => self.fields.push((name, value)),
        }
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.field(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.field(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.field(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.field(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.field(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.field(field, value.into());
    }
}

#[cfg(test)]
mod tests;
