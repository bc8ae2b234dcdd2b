//! What one row says to another: former ids of a customer, and a budget that all customers share.

use std::collections::BTreeSet;

use schemas::{Journal, Reason, Send};
use system_tests::installation::{DAY, HOUR, Installation, MINUTE, Plan};
use system_tests::wait::until;

use crate::timeline::Timeline;

/// Visitors leave carts; then each turns out to be somebody who is known. Ids lie in whatever partitions.
#[test]
fn a_visitors_cart_goes_on_with_the_customer() {
    let channels = ["push", "email", "sms"];
    let mut shop = Installation::start(&Plan::new("merged", &["cart-left"], &channels));
    let visitors = ["visitor-1", "visitor-2", "visitor-3", "visitor-4"];
    let customers = ["amy", "ben", "cleo", "dan"];
    for visitor in visitors {
        shop.customer(visitor, &["push"]);
    }
    shop.settle();
    let left = shop.now() + 2 * HOUR;
    for visitor in visitors {
        shop.cart(visitor, "cart-1", 1, 5_000);
    }
    let mut timeline = Timeline::default();
    let reminder = visitors.map(|visitor| format!("{visitor}: push cart-left/reminder"));
    timeline.step(&mut shop, left, &reminder);

    for (customer, visitor) in customers.into_iter().zip(visitors) {
        shop.known_before(customer, &["email"], &[visitor]);
    }
    shop.settle();
    // Bought in another room, and under the former id.
    shop.purchase("amy");
    shop.purchase("visitor-2");
    timeline.step(&mut shop, left + DAY, &["cleo: email cart-left/discount", "dan: email cart-left/discount"]);
    shop.purchase("visitor-3");
    timeline.step(&mut shop, left + 2 * DAY, &["dan: email cart-left/last-chance"]);
    timeline.silence(&mut shop, left + 12 * DAY);

    let account = shop.assert_equal_to_a_fold();
    for (customer, visitor) in customers.into_iter().zip(visitors) {
        let row = account.customer(visitor).expect("it says where the customer went");
        assert_eq!(row.moved_to.as_deref(), Some(customer));
    }
}

/// An SMS costs 4.
const OFFER: &str = "
campaign: offer
version: 1
trigger: {on: action, action: lead, key: key}
budget: {minor: 50, per: hour, then: wait}
steps:
  - {name: offer, channel: sms, template: offer, valid: 90m, late: 90m}
";

const CUSTOMERS: usize = 30;
/// What fits into an hour.
const FIT: usize = 12;

/// The operator dies while many ask at once: nothing is granted twice, and nothing is lost.
#[test]
fn a_budget_is_never_overshot_though_the_operator_dies() {
    let templates = ["offer.sms".to_owned()];
    let plan = Plan { plain_templates: &templates, ..Plan::new("budget", &[OFFER], &["sms"]) };
    let mut shop = Installation::start(&plan);
    let customers: Vec<String> = (0..CUSTOMERS).map(|number| format!("c{number}")).collect();
    for customer in &customers {
        shop.customer(customer, &["sms"]);
    }
    shop.settle();
    for customer in &customers {
        shop.action(customer, "lead", Some("k"), &[]);
    }
    until("somebody asks", || {
        let journal: Vec<Journal> = shop.read(&shop.topics.journal()).iter().map(|record| record.decode()).collect();
        journal.iter().any(|entry| entry.reason == Reason::BudgetAsked)
    });
    shop.kill("operator");
    shop.restart("operator");
    shop.settle();
    assert_eq!(shop.commands().len(), FIT, "the first hour");
    shop.pass(30 * MINUTE);
    assert_eq!(shop.commands().len(), FIT);
    shop.pass(30 * MINUTE);
    assert_eq!(shop.commands().len(), 2 * FIT, "the second hour");
    shop.pass(DAY);
    assert_eq!(shop.received().len(), 2 * FIT, "what did not fit into two hours was valid no more");

    let account = shop.assert_equal_to_a_fold();
    let sends: Vec<Send> = shop.sends();
    assert!(sends.iter().all(|send| send.price_minor == 4));
    let served: BTreeSet<&str> = sends.iter().map(|send| &*send.customer_id).collect();
    assert_eq!(served.len(), 2 * FIT, "nobody twice");
    let spent = account.journal.iter().filter(|entry| entry.reason == Reason::BudgetSpent && entry.next_at.is_none());
    let ended = spent.filter(|entry| !entry.instance.is_empty()).count();
    assert_eq!(ended, CUSTOMERS - 2 * FIT, "the others' cascades ended");
}
