//! A customer's story in plain sentences: what came, what was decided, why, what is awaited until when.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use jiff::tz::TimeZone;
use schemas::{Fields, Journal};

use crate::times::local;

/// Tells the story. The records are in the order of the journal's partition.
pub fn tell(customer: &str, records: &[Journal], zone: &TimeZone) -> String {
    let records: Vec<&Journal> = records.iter().collect();
    events(&format!("The story of {customer}"), &records, zone, |_| None)
}

/// Tells what a title says, record by record. Whoever knows better than the journal what a record came from says so.
pub fn events<'r>(
    title: &str,
    records: &[&'r Journal],
    zone: &TimeZone,
    known: impl Fn(&'r Journal) -> Option<&'r str>,
) -> String {
    let mut story = format!("{title}, times in {}.\n", zone.iana_name().unwrap_or("UTC"));
    let mut cause = None;
    for record in records {
        let this = (record.partition, record.offset, record.due, record.at);
        if cause != Some(this) {
            cause = Some(this);
            let came = known(record).map_or_else(|| came(record, zone), str::to_owned);
            story.push_str(&format!("\n{}  {came}\n", local(record.at, zone)));
        }
        story.push_str(&format!("    {}\n", decided(record, zone)));
        if !record.evidence.is_empty() {
            story.push_str(&format!("        because {}\n", evidence(&record.evidence)));
        }
    }
    story.push('\n');
    story.push_str(&awaited(records, zone));
    story
}

/// What came: a fact or a deadline.
fn came(record: &Journal, zone: &TimeZone) -> String {
    match (record.offset, record.due) {
        (Some(offset), _) => format!("A fact came (input partition {}, offset {offset}).", record.partition),
        (None, Some(due)) if due == record.at => "A deadline fell due.".to_owned(),
        (None, Some(due)) => format!("The deadline of {} was acted upon.", local(due, zone)),
        (None, None) => "Something was decided without a fact or a deadline.".to_owned(),
    }
}

/// What was decided, why, and until when something is awaited.
fn decided(record: &Journal, zone: &TimeZone) -> String {
    let mut sentence = String::new();
    if !record.campaign.is_empty() {
        push(&mut sentence, format_args!("{} version {}", record.campaign, record.version));
    }
    if !record.step.is_empty() {
        push(&mut sentence, format_args!(", step {}", record.step));
    }
    if !record.channel.is_empty() {
        let comma = if sentence.is_empty() { "" } else { ", " };
        push(&mut sentence, format_args!("{comma}on {}", record.channel));
    }
    if !sentence.is_empty() {
        sentence.push_str(": ");
    }
    sentence.push_str(record.reason.sentence());
    sentence.push('.');
    match record.amount_minor {
        0 => {}
        amount if amount > 0 => push(&mut sentence, format_args!(" {amount} (minor units) reserved.")),
        amount => push(&mut sentence, format_args!(" {} (minor units) given back.", amount.unsigned_abs())),
    }
    if record.charged_minor > 0 {
        push(&mut sentence, format_args!(" {} (minor units) owed from now on.", record.charged_minor));
    }
    if let Some(next) = record.next_at {
        push(&mut sentence, format_args!(" It will be looked at again on {}.", local(next, zone)));
    }
    sentence
}

fn push(sentence: &mut String, more: fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = sentence.write_fmt(more);
}

fn evidence(evidence: &Fields) -> String {
    evidence.iter().map(|(name, value)| format!("{name} = {value}")).collect::<Vec<_>>().join(", ")
}

/// What is still open after the last record: instances whose last word names a next moment.
fn awaited(records: &[&Journal], zone: &TimeZone) -> String {
    let mut open: BTreeMap<&str, &Journal> = BTreeMap::new();
    for record in records.iter().filter(|record| !record.instance.is_empty()) {
        open.insert(&record.instance, record);
    }
    let mut lines: Vec<(i64, String)> = open
        .values()
        .filter_map(|last| {
            let next = last.next_at?;
            Some((next, format!("Awaited: {} version {} until {}.\n", last.campaign, last.version, local(next, zone))))
        })
        .collect();
    lines.sort();
    match lines.is_empty() {
        true => "Nothing is awaited: no cascade of this customer is running.\n".to_owned(),
        false => lines.into_iter().map(|(_, line)| line).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::Reason;

    const NOON: i64 = 1_772_452_800_000;

    fn record(reason: Reason, next_at: Option<i64>) -> Journal {
        Journal {
            customer_id: "customer-1".to_owned(),
            at: NOON,
            partition: 3,
            offset: Some(812),
            campaign: "abandoned-cart".to_owned(),
            version: 1,
            instance: "502cf7f8-c49a-5e5c-a13b-cfe8a7083204".to_owned(),
            reason,
            next_at,
            ..Journal::default()
        }
    }

    fn story(records: &[Journal]) -> String {
        tell("customer-1", records, &TimeZone::get("America/New_York").unwrap())
    }

    #[test]
    fn what_one_fact_led_to_stands_under_it_once() {
        let sent = Journal {
            step: "first".to_owned(),
            channel: "push".to_owned(),
            amount_minor: 250,
            evidence: [("email", "no consent")].into(),
            ..record(Reason::Sent, Some(NOON + 3_600_000))
        };
        assert_eq!(
            story(&[record(Reason::Entered, Some(NOON)), sent]),
            "The story of customer-1, times in America/New_York.\n\
             \n\
             Mon 2 Mar 2026, 07:00:00  A fact came (input partition 3, offset 812).\n    \
             abandoned-cart version 1: the trigger matched; an instance was entered. It will be looked at again on Mon 2 Mar \
             2026, 07:00:00.\n    \
             abandoned-cart version 1, step first, on push: a send command was published. 250 (minor units) reserved. It will \
             be looked at again on Mon 2 Mar 2026, 08:00:00.\n        \
             because email = no consent\n\
             \n\
             Awaited: abandoned-cart version 1 until Mon 2 Mar 2026, 08:00:00.\n"
        );
    }

    #[test]
    fn a_deadline_that_fired_late_names_its_moment() {
        let late = Journal { offset: None, due: Some(NOON - 60_000), ..record(Reason::NoGoal, None) };
        let story = story(&[late]);
        assert!(story.contains("The deadline of Mon 2 Mar 2026, 06:59:00 was acted upon."), "{story}");
        assert!(story.ends_with("Nothing is awaited: no cascade of this customer is running.\n"), "{story}");
    }

    #[test]
    fn money_that_comes_back_and_facts_without_a_campaign_read_well() {
        let voided = Journal { amount_minor: -250, ..record(Reason::Revoked, None) };
        let profile = Journal {
            campaign: String::new(),
            version: 0,
            instance: String::new(),
            ..record(Reason::ProfileUpdated, None)
        };
        let story = story(&[profile, voided]);
        assert!(story.contains("\n    the profile was replaced.\n"), "{story}");
        assert!(story.contains("it was withdrawn in time. 250 (minor units) given back."), "{story}");
    }
}
