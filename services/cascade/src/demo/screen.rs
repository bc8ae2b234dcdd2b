//! What one sees while the year goes by: a picture that is drawn anew, or a line now and then where nobody looks at a terminal.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use anyhow::Result;
use schemas::{Millis, Reason};
use stream::clock::Tick;

use super::driver::Driver;
use super::shop;
use super::tally::Counts;

/// The picture is drawn anew this often.
const PICTURE: Duration = Duration::from_millis(100);

/// A line is written this often.
const LINE: Duration = Duration::from_secs(5);

/// The terminal.
#[derive(Debug)]
pub struct Screen {
    is_terminal: bool,
    started: Tick,
    shown: Option<Tick>,
    span: (Millis, Millis),
    sms_minor: i64,
    /// Lines of the last picture, to be drawn over.
    height: usize,
}

impl Screen {
    /// For the time from `from` to `to`; an SMS costs so much, in minor units.
    pub fn new(from: Millis, to: Millis, sms_minor: i64) -> Self {
        let is_terminal = std::io::stdout().is_terminal();
        Screen { is_terminal, started: Tick::now(), shown: None, span: (from, to), sms_minor, height: 0 }
    }

    /// Time gone by, in machine time.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Shows how things stand, if it is time to.
    pub fn show(&mut self, now: Millis, driver: &Driver) -> Result<()> {
        let interval = if self.is_terminal { PICTURE } else { LINE };
        if self.shown.is_some_and(|shown| shown.elapsed() < interval) {
            return Ok(());
        }
        self.shown = Some(Tick::now());
        let mut out = std::io::stdout().lock();
        if self.is_terminal {
            let picture = self.picture(now, driver);
            if self.height > 0 {
                write!(out, "\x1b[{}A\x1b[J", self.height)?;
            }
            self.height = picture.lines().count();
            out.write_all(picture.as_bytes())?;
        } else {
            out.write_all(self.line(now, driver).as_bytes())?;
        }
        Ok(out.flush()?)
    }

    /// Says something that stays.
    pub fn say(&mut self, words: &str) -> Result<()> {
        self.height = 0;
        let mut out = std::io::stdout().lock();
        writeln!(out, "{words}")?;
        Ok(out.flush()?)
    }

    fn line(&self, now: Millis, driver: &Driver) -> String {
        let tally = &driver.story.tally;
        let sends: u64 = tally.channels().values().map(|counts| counts.sent).sum();
        format!(
            "{}  {:>7} events, {:>5}/s  {:>6} sends  {:>6} cascades run  {} spent, SMS to everybody {}\n",
            shop::on_the_wall(now),
            driver.log.events,
            self.per_second(driver.log.events),
            sends,
            tally.running(),
            money(tally.cost_minor),
            money(self.everybody(driver)),
        )
    }

    fn picture(&self, now: Millis, driver: &Driver) -> String {
        let tally = &driver.story.tally;
        let (from, to) = self.span;
        let percent = (now - from) * 100 / (to - from).max(1);
        let mut picture = format!("\n  \x1b[1m{}\x1b[0m  {percent} %\n\n", shop::on_the_wall(now));
        picture.push_str(&format!(
            "  {} events of the shop ({}/s), {} reactions, {} journal records\n\n",
            driver.log.events,
            self.per_second(driver.log.events),
            driver.log.reactions,
            tally.records
        ));
        picture.push_str(HEAD);
        for (channel, counts) in tally.channels() {
            picture.push_str(&row(channel, &counts));
        }
        let ends: Vec<String> = tally.ends.iter().map(|(reason, count)| format!("{count} {}", word(*reason))).collect();
        picture.push_str(&format!("\n  ended: {}\n", if ends.is_empty() { "none yet".to_owned() } else { ends.join(", ") }));
        picture.push_str(&format!("  {} cascades run, each with its deadline\n", tally.running()));
        picture.push_str(&format!(
            "  {} spent; an SMS to everybody who was written to: {}\n",
            money(tally.cost_minor),
            money(self.everybody(driver))
        ));
        picture
    }

    /// What it would have cost to send one SMS at once to each customer whom a cascade wrote to.
    pub fn everybody(&self, driver: &Driver) -> i64 {
        i64::try_from(driver.story.tally.spoken()).unwrap_or(i64::MAX).saturating_mul(self.sms_minor)
    }

    fn per_second(&self, count: u64) -> u64 {
        count * 1000 / u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX).max(1)
    }
}

/// Head of the table of channels.
pub const HEAD: &str = "  channel       sends   taken  arrived  opened  clicked  failed      cost\n";

/// A line of the table of channels.
pub fn row(channel: &str, counts: &Counts) -> String {
    let Counts { sent, handed_over, delivered, opened, clicked, failed, cost_minor } = counts;
    format!("  {channel:<10} {sent:>8} {handed_over:>7} {delivered:>8} {opened:>7} {clicked:>8} {failed:>7} {:>9}\n", money(*cost_minor))
}

/// An amount of the price table's currency, which counts in hundredths.
pub fn money(minor: i64) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    format!("{sign}${}.{:02}", minor.abs() / 100, minor.abs() % 100)
}

/// How a cascade ended, in a word or two.
pub fn word(reason: Reason) -> String {
    reason.as_str().to_lowercase().replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_as_people_write_them() {
        assert_eq!(money(123_405), "$1234.05");
        assert_eq!(money(-7), "-$0.07");
    }
}
