//! A launch: what it comes to is told first, from the base as it is, and then exactly that happens.

use std::collections::BTreeMap;

use system_tests::installation::{HOUR, Installation, MINUTE, Plan};

/// An hour after the beginning, once.
const SALE: &str = "
campaign: summer-sale
version: 1
zone: UTC
trigger: {on: schedule, at: 2026-06-01T11:00Z, where: \"has_contact('email') || has_contact('sms')\"}
goal: {action: purchase}
steps:
  - {name: free, channel: email, template: sale, wait: 1h}
  - {name: paid, channel: sms, template: sale}
";

/// It has a budget's row, which is no customer's, and asks when somebody was heard of.
const LEADS: &str = "
campaign: leads
version: 1
trigger: {on: action, action: lead}
budget: {minor: 100, per: day}
asleep: {after: 6 months}
steps:
  - {name: offer, channel: sms, template: sale}
";

#[test]
fn a_launch_comes_to_what_was_told_before() {
    let templates = ["sale.email".to_owned(), "sale.sms".to_owned()];
    let plan = Plan { plain_templates: &templates, ..Plan::new("launch", &[LEADS], &["email", "sms"]) };
    let mut shop = Installation::start(&plan);
    for (customer, channels) in [("amy", &["email", "sms"][..]), ("ben", &["sms"]), ("cleo", &[])] {
        shop.customer(customer, channels);
    }
    // Known under another id now: counted once.
    shop.customer("visitor", &["email"]);
    shop.settle();
    shop.known_before("dan", &["email"], &["visitor"]);
    shop.action("amy", "lead", None, &[]);
    shop.settle();
    assert_eq!(shop.received().len(), 1, "the lead had its offer");

    let file = shop.place.path("sale.yaml");
    std::fs::write(&file, SALE).expect("the test's directory can be written to");
    let launch = |shop: &Installation, more: &[&str]| {
        shop.tool(
            ["campaign", "launch"].iter().chain(more).map(|it| (*it).to_owned()).chain([file.display().to_string()]),
        )
    };
    let told = launch(&shop, &["--dry-run"]);
    let lines: BTreeMap<&str, &str> =
        told.lines().filter_map(|line| line.trim().split_once("  ")).map(|(what, how)| (what, how.trim())).collect();
    assert_eq!(lines.get("customers known"), Some(&"4"), "{told}");
    assert_eq!(lines.get("begins for"), Some(&"3"), "{told}");
    assert_eq!(lines.get("email at most"), Some(&"2"), "{told}");
    assert_eq!(lines.get("sms at most"), Some(&"2"), "{told}");
    assert!(lines["spend at most"].starts_with("8 minor units"), "two SMS of 4: {told}");
    assert!(told.contains("Nothing was launched"), "{told}");
    shop.pass(2 * MINUTE);

    let told = launch(&shop, &["--yes"]);
    assert!(told.ends_with("summer-sale version 1: launched\n"), "{told}");
    shop.pass(HOUR);
    let by_channel = |shop: &Installation| {
        let mut count: BTreeMap<String, usize> = BTreeMap::new();
        shop.commands().iter().filter(|command| command.contains("summer-sale")).for_each(|command| {
            let channel = command.split(' ').nth(1).unwrap_or_default();
            *count.entry(channel.to_owned()).or_default() += 1;
        });
        count
    };
    assert_eq!(by_channel(&shop), BTreeMap::from([("email".to_owned(), 2), ("sms".to_owned(), 1)]));
    shop.pass(2 * HOUR);
    let in_all: usize = by_channel(&shop).values().sum();
    assert!(in_all <= 4, "no more than was told: {in_all}");
    shop.assert_equal_to_a_fold();

    let hygiene = shop.tool(["campaign", "hygiene", "--after", "6 months"]);
    let email = hygiene.lines().find(|line| line.trim_start().starts_with("email")).expect("a line for each channel");
    assert_eq!(email.split_whitespace().nth(1), Some("2"), "{hygiene}");
}
