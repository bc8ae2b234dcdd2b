//! A campaign that looks at everybody while its operator is killed: each customer is met once.

use std::collections::BTreeSet;

use system_tests::changelog::Changelog;
use system_tests::installation::{DAY, HOUR, Installation, MINUTE, Plan, SECOND};

use crate::checks;

const CUSTOMERS: usize = 2_000;

/// Everybody with a push token, an hour after the beginning; a hundred a second in each of two partitions.
const SALE: &str = "
campaign: sale
version: 1
trigger: {on: schedule, at: 2026-06-01T11:00Z, pace: 100, where: has_contact('push')}
goal: {action: purchase, grace: 2h}
steps: [{name: offer, channel: push, template: discount}]
";

#[test]
fn a_killed_operator_goes_on_with_its_sweep_where_it_was() {
    let plan = Plan::new("crash-sweep", &[SALE], &["push"]);
    let mut cascade = Installation::prepare(&plan);
    cascade.bring_up(&["intake", "operator", "channel push"]);
    for number in 0..CUSTOMERS {
        let contact = if number % 10 == 0 { "sms" } else { "push" };
        cascade.customer(&format!("customer-{number}"), &[contact]);
    }
    (1..CUSTOMERS).step_by(10).for_each(|number| cascade.purchase(&format!("customer-{number}")));
    cascade.settle();
    cascade.pass(HOUR - SECOND);
    assert_eq!(cascade.sends().len(), 0, "its moment has not come");

    cascade.pass(SECOND);
    for _ in 0..3 {
        let met = cascade.sends().len();
        assert!((1..CUSTOMERS * 7 / 10).contains(&met), "in the midst of it: {met}");
        cascade.kill("operator");
        cascade.restart("operator");
        cascade.pass(SECOND);
        assert!(cascade.sends().len() > met, "it goes on");
    }
    // Who buys before the sweep has come by is left in peace.
    let visited = visited(&cascade);
    let late = (0..CUSTOMERS).map(|number| format!("customer-{number}")).find(|it| !visited.contains(it)).unwrap();
    cascade.purchase(&late);
    cascade.settle();

    cascade.pass(MINUTE);
    let sent: BTreeSet<String> = cascade.sends().into_iter().map(|send| send.customer_id).collect();
    let is_meant = |number: &usize| ![0, 1].contains(&(number % 10));
    let meant = (0..CUSTOMERS).filter(is_meant).map(|number| format!("customer-{number}")).filter(|it| *it != late);
    assert_eq!(sent, meant.collect(), "everybody who has a token and did not buy");
    assert_eq!(cascade.sends().len(), sent.len(), "once");
    cascade.pass(2 * DAY);
    assert_eq!(cascade.sends().len(), sent.len(), "and never again");
    cascade.assert_equal_to_a_fold();
    checks::assert_each_handed_over_once(&cascade, &[]);
}

/// Customers to whom the sweep has come.
fn visited(cascade: &Installation) -> BTreeSet<String> {
    let changelog = Changelog::of(&cascade.read(&cascade.topics.changelog()));
    let input = cascade.read(&cascade.topics.input());
    let customers = input.iter().filter(|record| !record.key.is_empty());
    let is_visited = |partition, customer: &str| {
        let mut rounds = changelog.metas(partition).flat_map(|meta| &meta.rounds);
        rounds.any(|round| round.swept.as_ref().is_some_and(|swept| swept.includes(customer)))
    };
    let visited = customers.filter(|record| is_visited(record.partition, record.key_text()));
    visited.map(|record| record.key_text().to_owned()).collect()
}
