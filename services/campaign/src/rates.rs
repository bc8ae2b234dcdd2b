//! How often messages get how far on each channel, as it was observed.

use std::collections::BTreeMap;

use schemas::Millis;

use crate::channel::Channel;
use crate::language::{Level, Problem, RawRate, RawRates, Report, Source, channel, read};
use crate::prices::since;

/// The table of rates of all channels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rates(BTreeMap<&'static str, BTreeMap<Millis, Rate>>);

/// Of a thousand messages so many get so far; none where nobody has counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rate {
    delivered: Option<u32>,
    opened: Option<u32>,
    clicked: Option<u32>,
}

const THOUSAND: u32 = 1_000;

impl Rates {
    /// Reads a table: `rates:`, a list of `{channel: email, delivered: 970, opened: 210, from: 2026-12-01}`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(source_name: &str, yaml: &str) -> Result<Self, Vec<Problem>> {
        let source = Source { name: source_name, text: yaml };
        let raw: RawRates = read(&source)?;
        let mut report = Report::new(&source);
        let mut rates: BTreeMap<&'static str, BTreeMap<Millis, Rate>> = BTreeMap::new();
        for raw in &raw.rates {
            let Some(channel) = channel(&raw.channel.value, raw.channel.referenced, &mut report) else { continue };
            let from = since(raw.from.as_ref(), &mut report);
            if rates.entry(channel.name).or_default().insert(from, rate(raw, &mut report)).is_some() {
                let hint = "remove one of them, or say by `from` when each holds";
                report.error(raw.channel.referenced, "this channel stands here twice", hint);
            }
        }
        let problems = report.into_problems();
        if problems.is_empty() { Ok(Rates(rates)) } else { Err(problems) }
    }

    /// Of a thousand messages on a channel so many stop a cascade of this level at a moment; 0 where nobody has counted. An answer, and what
    /// is hoped for, are seldom known by channel: clicks stand for them.
    pub fn per_mille(&self, channel: &Channel, level: Level, now: Millis) -> u32 {
        let latest = self.0.get(channel.name).and_then(|rates| rates.range(..=now).next_back());
        let Some((_, rate)) = latest else { return 0 };
        let rate = match level {
            Level::Delivered => rate.delivered,
            Level::Opened => rate.opened,
            Level::Clicked | Level::Replied | Level::Agreed | Level::Goal => rate.clicked,
        };
        rate.unwrap_or(0)
    }
}

fn rate(raw: &RawRate, report: &mut Report<'_>) -> Rate {
    let counted = [&raw.delivered, &raw.opened, &raw.clicked];
    if counted.iter().all(|it| it.is_none()) {
        report.error(
            raw.channel.referenced,
            "how often does what happen?",
            "add `delivered: 950`, `opened` or `clicked`",
        );
    }
    let arrived = raw.delivered.as_ref().map_or(THOUSAND, |delivered| delivered.value);
    for rate in counted.into_iter().flatten() {
        if rate.value > THOUSAND {
            report.error(
                rate.referenced,
                "of a thousand messages there are no more",
                "at most 1000: 95 per cent is `950`",
            );
        } else if rate.value > arrived {
            report.error(rate.referenced, "more than arrived", "at most as many as `delivered`");
        }
    }
    let value = |rate: &Option<crate::language::Spanned<u32>>| rate.as_ref().map(|rate| rate.value);
    Rate { delivered: value(&raw.delivered), opened: value(&raw.opened), clicked: value(&raw.clicked) }
}
