use std::collections::HashMap;

use schemas::{Journal, Reason};

use super::*;

const HOUR: Millis = 3_600_000;

const PLAN: &str = "campaign: cart\nversion: 1\ntrigger:\n  on: cart\n  key: cart_id\ngoal:\n  action: purchase\n\
    stop: goal\nsteps:\n  - name: letter\n    channel: email\n    template: cart\n";

fn record(reason: Reason, at: Millis, send_id: &str) -> Journal {
    Journal {
        customer_id: "h1".to_owned(),
        at,
        campaign: "cart".to_owned(),
        instance: "i1".to_owned(),
        send_id: send_id.to_owned(),
        channel: "email".to_owned(),
        reason,
        ..Journal::default()
    }
}

/// A cascade entered in hour 1 whose message s1 was handed over.
fn tally() -> Tally {
    let mut tally = Tally::default();
    for (reason, send_id) in [(Reason::Entered, ""), (Reason::Sent, "s1"), (Reason::HandedOver, "s1")] {
        tally.note(&record(reason, HOUR, send_id));
    }
    tally
}

fn log(received: &[(&str, Millis)], purchases: &[Millis]) -> Log {
    Log {
        received: received.iter().map(|(send_id, at)| ((*send_id).to_owned(), *at)).collect(),
        purchases: HashMap::from([("h1".to_owned(), purchases.to_vec())]),
        ..Log::default()
    }
}

fn wrong(log: &Log) -> Vec<String> {
    let plans = [campaign::parse("cart.yaml", PLAN).unwrap()];
    check(&tally(), log, HOUR, &BTreeMap::new(), &plans)
}

#[test]
fn all_is_well_if_everybody_says_the_same() {
    assert_eq!(wrong(&log(&[("s1", 3 * HOUR)], &[])), Vec::<String>::new());
}

#[test]
fn a_message_after_the_purchase_is_found() {
    assert!(wrong(&log(&[("s1", 5 * HOUR)], &[2 * HOUR]))[0].contains("though they had bought"));
    assert!(wrong(&log(&[("s1", 3 * HOUR)], &[2 * HOUR])).is_empty(), "the same tick");
    assert!(wrong(&log(&[("s1", 5 * HOUR)], &[0])).is_empty(), "bought before the cascade began");
}

#[test]
fn a_message_that_nobody_took_or_nobody_told_of_is_found() {
    assert!(wrong(&log(&[], &[]))[0].contains("no provider took them"));
    assert!(wrong(&log(&[("s1", HOUR), ("s2", HOUR)], &[]))[0].contains("the journal does not say so"));
}

#[test]
fn a_message_that_came_twice_is_found() {
    let providers = BTreeMap::from([("email".to_owned(), Counts { doubled: 1, ..Counts::default() })]);
    let wrong = check(&tally(), &log(&[("s1", HOUR)], &[]), HOUR, &providers, &[]);
    assert!(wrong[0].contains("twice"), "{wrong:?}");
}
