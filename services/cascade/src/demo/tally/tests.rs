use std::collections::BTreeMap;

use super::*;

fn record(reason: Reason, send_id: &str) -> Journal {
    Journal {
        customer_id: "h1".to_owned(),
        at: 1_000,
        campaign: "cart".to_owned(),
        instance: "i1".to_owned(),
        step: "letter".to_owned(),
        channel: "sms".to_owned(),
        send_id: send_id.to_owned(),
        reason,
        ..Journal::default()
    }
}

fn tally(records: &[Journal]) -> Tally {
    let mut tally = Tally::default();
    records.iter().for_each(|record| tally.note(record));
    tally
}

fn counts(tally: &Tally) -> Counts {
    tally.campaigns["cart"].steps[&("letter".to_owned(), "sms".to_owned())]
}

#[test]
fn a_message_is_counted_at_every_level_that_it_passed() {
    let entered = record(Reason::Entered, "");
    let sent = Journal { amount_minor: 4, ..record(Reason::Sent, "s1") };
    let tally = tally(&[entered, sent, record(Reason::Opened, "s1"), record(Reason::HandedOver, "s1")]);
    let expected = Counts { sent: 1, handed_over: 1, delivered: 1, opened: 1, cost_minor: 4, ..Counts::default() };
    assert_eq!(counts(&tally), expected);
    assert_eq!((tally.cost_minor, tally.running(), tally.spoken()), (4, 1, 1));
}

#[test]
fn what_was_refused_costs_nothing() {
    let sent = Journal { amount_minor: 4, ..record(Reason::Sent, "s1") };
    let refused = Journal { amount_minor: -4, ..record(Reason::Refused, "s1") };
    let tally = tally(&[sent, refused]);
    assert_eq!(counts(&tally), Counts { sent: 1, failed: 1, ..Counts::default() });
    assert_eq!(tally.cost_minor, 0);
}

#[test]
fn a_cascade_ends_once() {
    let ended = record(Reason::GoalReached, "");
    let tally = tally(&[record(Reason::Entered, ""), ended.clone(), ended]);
    assert_eq!(tally.ends, BTreeMap::from([(Reason::GoalReached, 1)]));
    assert_eq!(tally.running(), 0);
}

#[test]
fn the_example_is_a_short_story_with_a_good_end() {
    let of = |customer: &str, reason, send_id: &str| Journal {
        customer_id: customer.to_owned(),
        instance: customer.to_owned(),
        ..record(reason, send_id)
    };
    let mut records = Vec::new();
    for (customer, sends, extra) in [("h1", 1, 0), ("h2", 2, 5), ("h3", 2, 0)] {
        records.push(of(customer, Reason::Entered, ""));
        records.extend((0..sends).map(|n| of(customer, Reason::Sent, &format!("{customer}/{n}"))));
        records.extend((0..extra).map(|_| of(customer, Reason::AlreadyRunning, "")));
        records.push(of(customer, Reason::GoalReached, ""));
    }
    assert_eq!(tally(&records).example(), Some(("h3", "cart")));
    assert_eq!(tally(&records[..3]).example(), Some(("h1", "cart")), "none was written to twice");
}

#[test]
fn a_hand_over_that_is_told_after_the_end_counts() {
    let mut late = record(Reason::LateFeedback, "s1");
    late.evidence.insert("status", "ACCEPTED");
    late.instance.clear();
    let tally = tally(&[record(Reason::Sent, "s1"), record(Reason::Exhausted, ""), late]);
    assert_eq!(counts(&tally).handed_over, 1);
    assert!(tally.handed_over().0.contains("s1"));
}

#[test]
fn a_late_open_counts_as_one_only_if_a_human_made_it() {
    let mut late = record(Reason::LateFeedback, "s1");
    late.evidence.insert("status", "OPENED");
    let sent = record(Reason::Sent, "s1");
    assert_eq!(
        counts(&tally(&[sent.clone(), late.clone()])),
        Counts { sent: 1, handed_over: 1, delivered: 1, ..Counts::default() }
    );
    late.evidence.insert("actor", "HUMAN");
    assert_eq!(counts(&tally(&[sent, late])).opened, 1);
}

#[test]
fn an_unknown_outcome_is_neither_taken_nor_failed() {
    let tally = tally(&[record(Reason::Sent, "s1"), record(Reason::UnknownOutcome, "s1")]);
    let (taken, unknown) = tally.handed_over();
    assert!(taken.is_empty() && unknown.contains("s1"));
}
