//! What a message costs, by channel.

use std::collections::BTreeMap;

use crate::channel::Channel;
use crate::language::{Problem, Report, Source, channel, read};

/// The price table of all channels. Money is in minor units of one currency.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prices {
    /// ISO 4217; empty while no table was applied.
    pub currency: String,
    minor: BTreeMap<&'static str, i64>,
}

impl Prices {
    /// Reads a table: `currency: USD` and `prices:`, a list of `{channel: sms, minor: 4}`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(source_name: &str, yaml: &str) -> Result<Self, Vec<Problem>> {
        let source = Source { name: source_name, text: yaml };
        let raw: crate::language::RawPrices = read(&source)?;
        let mut report = Report::new(&source);
        let currency = raw.currency.value.clone();
        if currency.len() != 3 || !currency.chars().all(|c| c.is_ascii_uppercase()) {
            report.error(
                raw.currency.referenced,
                format!("`{currency}` is no currency"),
                "three capital letters: `USD`",
            );
        }
        let mut minor = BTreeMap::new();
        for price in &raw.prices {
            let Some(channel) = channel(&price.channel.value, price.channel.referenced, &mut report) else { continue };
            if price.minor.value < 0 {
                report.error(price.minor.referenced, "a price cannot be negative", "write 0 for a free channel");
            }
            if minor.insert(channel.name, price.minor.value).is_some() {
                report.error(price.channel.referenced, "this channel stands here twice", "remove one of them");
            }
        }
        let problems = report.into_problems();
        if problems.is_empty() { Ok(Prices { currency, minor }) } else { Err(problems) }
    }

    /// What one message costs, in minor units; 0 where no table says so.
    pub fn price_minor(&self, channel: &Channel) -> i64 {
        self.minor.get(channel.name).copied().unwrap_or(0)
    }

    /// What decisions compare: the price, and for a paid channel without a price the dearest there can be.
    pub(crate) fn cost(&self, channel: &Channel) -> i64 {
        let unpriced = if channel.paid { i64::MAX } else { 0 };
        self.minor.get(channel.name).copied().unwrap_or(unpriced)
    }
}
