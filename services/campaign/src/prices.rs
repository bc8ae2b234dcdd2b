//! What a message costs: by channel, by the number that it goes to, and by the moment.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use schemas::Millis;

use crate::channel::Channel;
use crate::language::{Problem, RawPrice, RawPrices, Report, Source, Word, channel, read, word};

/// The price table of all channels. Money is in minor units of one currency.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prices {
    /// ISO 4217; empty while no table was applied.
    pub currency: String,
    /// By channel. Of those that fit, the first one holds: the longest prefix, and of that the latest.
    tariffs: BTreeMap<&'static str, Vec<Tariff>>,
}

/// What a message costs to numbers that begin so, from a moment on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Tariff {
    /// Digits only; empty for whatever address there is.
    prefix: String,
    from: Millis,
    price: Price,
}

/// What one message costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// In minor units; of an SMS each segment costs so much.
    pub minor: i64,
    /// From when on it is owed.
    pub charge: Charge,
}

/// From when on a price is owed. It is reserved from the decision on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    /// The provider has taken the message.
    OnSubmit,
    /// It has arrived.
    OnDelivery,
}

pub(crate) const CHARGES: &[(&str, Charge)] = &[("on submit", Charge::OnSubmit), ("on delivery", Charge::OnDelivery)];

/// The digits of a telephone number (ITU-T E.164).
const DIGITS: usize = 15;

impl Prices {
    /// Reads a table: `currency: USD` and `prices:`, a list of `{channel: sms, minor: 4}`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(source_name: &str, yaml: &str) -> Result<Self, Vec<Problem>> {
        let source = Source { name: source_name, text: yaml };
        let raw: RawPrices = read(&source)?;
        let mut report = Report::new(&source);
        let currency = raw.currency.value.clone();
        if currency.len() != 3 || !currency.chars().all(|c| c.is_ascii_uppercase()) {
            report.error(
                raw.currency.referenced,
                format!("`{currency}` is no currency"),
                "three capital letters: `USD`",
            );
        }
        let mut tariffs: BTreeMap<&'static str, Vec<Tariff>> = BTreeMap::new();
        for raw in &raw.prices {
            let Some(channel) = channel(&raw.channel.value, raw.channel.referenced, &mut report) else { continue };
            let tariff = tariff(raw, channel, &mut report);
            let others = tariffs.entry(channel.name).or_default();
            if others.iter().any(|it| (&it.prefix, it.from) == (&tariff.prefix, tariff.from)) {
                let hint = "remove one of them, or say by `prefix` or `from` when each holds";
                report.error(raw.channel.referenced, "this channel stands here twice", hint);
            }
            others.push(tariff);
        }
        for tariffs in tariffs.values_mut() {
            tariffs.sort_by_key(|it| std::cmp::Reverse((it.prefix.len(), it.from)));
        }
        let problems = report.into_problems();
        if problems.is_empty() { Ok(Prices { currency, tariffs }) } else { Err(problems) }
    }

    /// What one message to an address costs at a moment, an SMS of one segment; none where the table does not say so.
    pub fn price(&self, channel: &Channel, address: &str, now: Millis) -> Option<Price> {
        let tariffs = self.tariffs.get(channel.name)?;
        let holds = |it: &&Tariff| it.from <= now && begins(address, &it.prefix);
        tariffs.iter().find(holds).map(|it| it.price)
    }

    /// What one message to an address costs at most, if it goes out at a moment or at whatever later one; none where the table never
    /// says so.
    pub fn dearest_from(&self, channel: &Channel, address: &str, at: Millis) -> Option<Price> {
        let later = self.tariffs.get(channel.name)?.iter().map(|it| it.from).filter(|from| at < *from);
        let prices = std::iter::once(at).chain(later).filter_map(|moment| self.price(channel, address, moment));
        prices.max_by_key(|price| price.minor)
    }

    /// What one message costs at most, whatever number it goes to and whenever, an SMS of one segment, in minor units; none where the
    /// table does not say so.
    pub fn dearest(&self, channel: &Channel) -> Option<i64> {
        self.tariffs.get(channel.name)?.iter().map(|it| it.price.minor).max()
    }

    /// Whether the table names a price to whatever address, and named it from the beginning on.
    pub fn always(&self, channel: &Channel) -> bool {
        let of_all = |tariffs: &Vec<Tariff>| tariffs.iter().any(|it| it.prefix.is_empty() && it.from == Millis::MIN);
        self.tariffs.get(channel.name).is_some_and(of_all)
    }

    /// For overviews: what one message costs in the end where no prefix says otherwise, in minor units; 0 where no table says so.
    pub fn price_minor(&self, channel: &Channel) -> i64 {
        self.price(channel, "", Millis::MAX).map_or(0, |price| price.minor)
    }
}

fn tariff(raw: &RawPrice, channel: &Channel, report: &mut Report<'_>) -> Tariff {
    if raw.minor.value < 0 {
        report.error(raw.minor.referenced, "a price cannot be negative", "write 0 for a free channel");
    }
    let charge = raw.charge.as_ref().and_then(|charge| word(charge, CHARGES, "moment to charge at", report));
    Tariff {
        prefix: raw.prefix.as_ref().map_or_else(String::new, |prefix| digits(prefix, channel, report)),
        from: since(raw.from.as_ref(), report),
        price: Price { minor: raw.minor.value, charge: charge.unwrap_or(Charge::OnSubmit) },
    }
}

fn digits(prefix: &Word, channel: &Channel, report: &mut Report<'_>) -> String {
    if !channel.numbers {
        let sentence = format!("addresses on {} are no telephone numbers", channel.name);
        report.error(prefix.referenced, sentence, "remove `prefix`");
    }
    let digits = prefix.value.strip_prefix('+').unwrap_or(&prefix.value);
    if digits.is_empty() || digits.len() > DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let sentence = format!("no telephone number begins with `{}`", prefix.value);
        report.error(prefix.referenced, sentence, "the country's digits, and the operator's behind them: `\"+7912\"`");
    }
    digits.to_owned()
}

/// From when on a line of a table holds: a moment, or the begin of a day in UTC; ever since where nothing is said.
pub(crate) fn since(from: Option<&Word>, report: &mut Report<'_>) -> Millis {
    let Some(from) = from else { return Millis::MIN };
    let midnight = |date: Date| date.to_zoned(TimeZone::UTC).ok().map(|begin| begin.timestamp());
    let moment = from.value.parse().ok().or_else(|| from.value.parse().ok().and_then(midnight));
    if moment.is_none() {
        let hint = "write a date, `2026-12-01`, or a moment with its offset from UTC: `2026-12-01T00:00+03:00`";
        report.error(from.referenced, "this is neither a date nor a moment", hint);
    }
    moment.map_or(Millis::MIN, jiff::Timestamp::as_millisecond)
}

/// Whether a telephone number begins with these digits. Signs that people write between digits do not matter; what is no number
/// begins with none.
fn begins(address: &str, prefix: &str) -> bool {
    let is_number = || address.chars().all(|c| c.is_ascii_digit() || "+-() ".contains(c));
    let mut digits = address.bytes().filter(u8::is_ascii_digit);
    prefix.is_empty() || (is_number() && prefix.bytes().all(|wanted| digits.next() == Some(wanted)))
}

#[cfg(test)]
mod tests;
