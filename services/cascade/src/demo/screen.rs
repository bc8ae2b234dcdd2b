//! What one sees while the year goes by: a picture that is drawn anew, or a line now and then where nobody looks at a terminal.

use std::collections::BTreeMap;
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
    began: Tick,
    shown: Option<Tick>,
    span: (Millis, Millis),
    sms_minor: i64,
    /// Lines of the last picture, to be drawn over.
    height: usize,
}

impl Screen {
    /// For the time from `from` to `to`, which begins now; an SMS costs so much, in minor units.
    pub fn new(from: Millis, to: Millis, sms_minor: i64) -> Self {
        let is_terminal = std::io::stdout().is_terminal();
        Screen { is_terminal, began: Tick::now(), shown: None, span: (from, to), sms_minor, height: 0 }
    }

    /// Shows how things stand, if it is time to.
    pub fn show(&mut self, now: Millis, driver: &Driver) -> Result<()> {
        let interval = if self.is_terminal { PICTURE } else { LINE };
        if self.shown.is_some_and(|shown| shown.elapsed() < interval) {
            return Ok(());
        }
        self.draw(now, driver)
    }

    /// Shows how things stand at the end, and how long it took.
    pub fn end(&mut self, now: Millis, driver: &Driver) -> Result<()> {
        self.draw(now, driver)?;
        let seconds = self.began.elapsed().as_secs_f64();
        let hours = (now - self.span.0) / 3_600_000;
        say(&format!("\n{} days, {} hours and {} events in {seconds:.0} s.", hours / 24, hours % 24, driver.log.events))
    }

    fn draw(&mut self, now: Millis, driver: &Driver) -> Result<()> {
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

    fn line(&self, now: Millis, driver: &Driver) -> String {
        let tally = &driver.story.tally;
        let mut all = Counts::default();
        tally.channels().values().for_each(|counts| all.add(counts));
        format!(
            "{}  {:>6} events, {:>4}/s  {:>6} sends, {:>6} arrived, {:>5} opened  {:>5} cascades run{}  spent {}, SMS to everybody {}\n",
            shop::on_the_wall(now),
            driver.log.events,
            self.per_second(driver.log.events),
            all.sent,
            all.delivered,
            all.opened,
            tally.running(),
            if tally.ends.is_empty() { String::new() } else { format!("; ended: {}", ends(&tally.ends)) },
            money(tally.cost_minor),
            money(self.everybody(driver)),
        )
    }

    /// No line is longer than a small terminal is wide: a line that wraps could not be drawn over.
    fn picture(&self, now: Millis, driver: &Driver) -> String {
        let tally = &driver.story.tally;
        let (from, to) = self.span;
        let percent = (now - from).min(to - from) * 100 / (to - from).max(1);
        let mut picture = format!("\n  \x1b[1m{}\x1b[0m   {percent} % of the way\n\n", shop::on_the_wall(now));
        picture.push_str(&format!(
            "  {} events of the shop, {}/s; {} reactions to messages\n\n",
            driver.log.events,
            self.per_second(driver.log.events),
            driver.log.reactions,
        ));
        picture.push_str(&head("channel"));
        for (channel, counts) in tally.channels() {
            picture.push_str(&row(channel, &counts));
        }
        picture.push_str(&format!("\n  cascades  {:>8} run, each with its deadline\n", tally.running()));
        for (reason, count) in &tally.ends {
            picture.push_str(&format!("            {count:>8} ended: {}\n", word(*reason)));
        }
        let (spent, everybody) = (money(tally.cost_minor), money(self.everybody(driver)));
        picture.push_str(&format!("\n  spent {spent}; an SMS to everybody would have cost {everybody}\n"));
        picture
    }

    /// What it would have cost to send one SMS at once in each cascade that wrote to its customer.
    pub fn everybody(&self, driver: &Driver) -> i64 {
        i64::try_from(driver.story.tally.spoken()).unwrap_or(i64::MAX).saturating_mul(self.sms_minor)
    }

    fn per_second(&self, count: u64) -> u64 {
        count * 1000 / u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX).max(1)
    }
}

/// Says something that stays.
pub fn say(words: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{words}")?;
    Ok(out.flush()?)
}

/// Head of a table of counts.
pub fn head(of: &str) -> String {
    format!(
        "  {of:<21} {:>6} {:>6} {:>7} {:>6} {:>7} {:>6} {:>9}\n",
        "sent", "taken", "arrived", "opened", "clicked", "failed", "cost"
    )
}

/// A line of a table of counts.
pub fn row(of: &str, counts: &Counts) -> String {
    let Counts { sent, handed_over, delivered, opened, clicked, failed, cost_minor } = counts;
    let cost = money(*cost_minor);
    format!("  {of:<21} {sent:>6} {handed_over:>6} {delivered:>7} {opened:>6} {clicked:>7} {failed:>6} {cost:>9}\n")
}

/// An amount in the shop's currency, US dollars.
pub fn money(minor: i64) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    format!("{sign}${}.{:02}", minor.abs() / 100, minor.abs() % 100)
}

/// How many cascades ended for which reason, the most frequent first.
pub fn ends(ends: &BTreeMap<Reason, u64>) -> String {
    let mut ends: Vec<_> = ends.iter().map(|(reason, count)| (*count, word(*reason))).collect();
    ends.sort_unstable_by(|a, b| b.cmp(a));
    let ends: Vec<String> = ends.into_iter().map(|(count, reason)| format!("{count} {reason}")).collect();
    ends.join(", ")
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

    #[test]
    fn ends_are_told_by_their_number() {
        let told = ends(&BTreeMap::from([(Reason::OptedOut, 2), (Reason::GoalReached, 30)]));
        assert_eq!(told, "30 goal reached, 2 opted out");
    }

    #[test]
    fn a_table_fits_into_a_small_terminal_and_its_columns_stand_below_each_other() {
        let counts = Counts { sent: 99_999, delivered: 5, ..Counts::default() };
        assert!(head("channel").trim_end().len() <= 80);
        assert_eq!(head("channel").len(), row("last-chance telegram", &counts).len());
    }
}
