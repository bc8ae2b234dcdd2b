//! The shop: what a real grocer's customers carried out of it, basket by basket (`deploy/data/README.md` says whose data).

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use schemas::Millis;
use serde::Deserialize;

/// The shop's own zone; the data's times are UTC.
pub const ZONE: &str = "America/New_York";

/// What one visit to the till added up to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basket {
    /// When it was paid.
    pub at: Millis,
    /// Whose it is.
    pub household: u32,
    /// The shop's own number.
    pub id: u64,
    /// What was paid, in cents.
    pub total_minor: i64,
    /// Pieces in it. The data do not say which.
    pub pieces: i32,
}

/// Reads all baskets, in the order in which they were paid.
pub fn baskets(path: &Path) -> Result<Vec<Basket>> {
    let file = std::fs::File::open(path).with_context(|| {
        format!("cannot read the shop's baskets from {}; give the right --deploy directory", path.display())
    })?;
    parse(flate2::read::GzDecoder::new(file))
        .with_context(|| format!("{} is damaged; restore it from the repository", path.display()))
}

/// The days that they cover, in words.
pub fn days(baskets: &[Basket]) -> Result<String> {
    let day = |basket: Option<&Basket>| -> Result<Date> {
        let at = basket.context("the shop's data hold no basket; restore them from the repository")?.at;
        Ok(Timestamp::from_millisecond(at)?.in_tz(ZONE)?.date())
    };
    Ok(format!("{} to {}", day(baskets.first())?, day(baskets.last())?))
}

#[derive(Deserialize)]
struct Row {
    at: String,
    household_id: u32,
    basket_id: u64,
    total_minor: i64,
    items: i32,
}

fn parse(text: impl Read) -> Result<Vec<Basket>> {
    let mut baskets = Vec::new();
    let mut before = Millis::MIN;
    for row in csv::Reader::from_reader(text).deserialize() {
        let row: Row = row?;
        let at = row.at.parse::<DateTime>()?.to_zoned(TimeZone::UTC)?.timestamp().as_millisecond();
        ensure!(before <= at, "basket {} is not in its place in time", row.basket_id);
        before = at;
        baskets.push(Basket {
            at,
            household: row.household_id,
            id: row.basket_id,
            total_minor: row.total_minor,
            pieces: row.items.max(1),
        });
    }
    Ok(baskets)
}

/// The first moment of a day, as the shop's people count days.
pub fn midnight(day: Date) -> Result<Millis> {
    Ok(day.in_tz(ZONE)?.timestamp().as_millisecond())
}

/// A moment as the shop's clock on the wall shows it.
pub fn on_the_wall(at: Millis) -> String {
    let shown = Timestamp::from_millisecond(at).and_then(|at| at.in_tz(ZONE));
    shown.map_or_else(|_| at.to_string(), |at| at.strftime("%a %d %b %Y %H:%M").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "at,household_id,basket_id,store_id,total_minor,items\n";

    #[test]
    fn a_row_becomes_a_basket() {
        let rows = format!("{HEAD}2017-01-01T12:26:30,1228,31198655051,406,143,0\n");
        let basket = Basket { at: 1_483_273_590_000, household: 1228, id: 31_198_655_051, total_minor: 143, pieces: 1 };
        assert_eq!(parse(rows.as_bytes()).unwrap(), [basket]);
    }

    #[test]
    fn rows_out_of_order_are_refused_by_name() {
        let rows = format!("{HEAD}2017-01-02T12:00:00,1,11,4,5,1\n2017-01-01T12:00:00,1,12,4,5,1\n");
        assert!(parse(rows.as_bytes()).unwrap_err().to_string().contains("12"));
    }

    #[test]
    fn a_day_begins_when_the_shop_says_so() {
        let day = midnight("2017-04-01".parse().unwrap()).unwrap();
        assert_eq!(on_the_wall(day), "Sat 01 Apr 2017 00:00");
        assert_eq!(day % 86_400_000, 4 * 3_600_000, "summer time: four hours behind UTC");
    }
}
