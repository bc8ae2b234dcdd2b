//! Outages of ours, however long, never send to people who bought meanwhile.

use std::collections::BTreeSet;

use schemas::{Feedback, Revoke, Send, Status};
use system_tests::changelog::Changelog;
use system_tests::feed::pretend_to_have_read;
use system_tests::installation::{DAY, HOUR, Installation, MINUTE, Plan};
use system_tests::shop::address;
use system_tests::wait::until;

const CUSTOMERS: usize = 200;

fn customer(number: usize) -> String {
    format!("customer-{number:03}")
}

/// Everybody has a push by now, and gets an SMS three hours later unless something happens.
fn everybody_has_a_push(plan: &Plan<'_>, customers: usize) -> Installation {
    let shop = Installation::start(plan);
    for number in 0..customers {
        shop.customer(&customer(number), &["push", "sms"]);
    }
    shop.settle();
    for number in 0..customers {
        shop.action(&customer(number), "bonus_expiring", Some("account"), &[("points", "500")]);
    }
    shop.settle();
    assert_eq!(shop.received().len(), customers);
    shop
}

/// Customers who were handed an SMS, each as often as that happened.
fn sms_customers(shop: &Installation) -> Vec<String> {
    let sms = shop.providers.handed().into_iter().filter(|handed| handed.channel == "sms");
    let mut customers: Vec<String> = sms.map(|handed| handed.to.trim_end_matches("-sms").to_owned()).collect();
    customers.sort_unstable();
    customers
}

/// State and output are a fold over the whole input: no record of it was passed over.
#[track_caller]
fn assert_as_decided(shop: &Installation) {
    assert_eq!(shop.assert_equal_to_a_fold().unseen(), None, "a record that no META covers");
}

#[test]
fn after_six_hours_without_the_operator_nobody_who_bought_is_messaged() {
    let plan = Plan::new("operator-down", &["bonus-expiring"], &["push", "sms"]);
    let mut shop = everybody_has_a_push(&plan, CUSTOMERS);
    shop.kill("operator");
    // Some buy before their deadline falls due, some long after it.
    for hour in 1..=6 {
        shop.set_clock(shop.now() + HOUR);
        for number in (hour..CUSTOMERS).step_by(12) {
            shop.purchase(&customer(number));
        }
        shop.settle_intake();
    }
    shop.restart("operator");
    shop.settle();
    shop.pass(DAY);
    let faithful: Vec<String> =
        (0..CUSTOMERS).filter(|number| !(1..=6).contains(&(number % 12))).map(customer).collect();
    assert_eq!(sms_customers(&shop), faithful);
    assert_as_decided(&shop);
}

#[test]
fn after_six_hours_without_intake_nobody_who_bought_is_messaged() {
    let plan = Plan::new("intake-down", &["bonus-expiring"], &["push", "sms"]);
    let mut shop = everybody_has_a_push(&plan, CUSTOMERS);
    shop.kill("intake");
    for hour in 1..=6 {
        shop.set_clock(shop.now() + HOUR);
        for number in (hour..CUSTOMERS).step_by(12) {
            shop.purchase(&customer(number));
        }
        // What is not in the topics yet, nobody can wait for.
        shop.feed.flush();
    }
    let mut held = || shop.service("operator").metric("cascade_sources_behind");
    until("the operator knows that it is held up", || held() > 0.0);
    assert_eq!(shop.sends().len(), CUSTOMERS, "whoever bought may still be unknown: nobody gets more than the push");
    shop.restart("intake");
    shop.settle();
    shop.pass(MINUTE);
    let faithful: Vec<String> =
        (0..CUSTOMERS).filter(|number| !(1..=6).contains(&(number % 12))).map(customer).collect();
    assert_eq!(sms_customers(&shop), faithful);
    assert_eq!(shop.service("operator").metric("cascade_sources_behind"), 0.0);
    assert_as_decided(&shop);
}

/// As after brokers have lost the end of a source: intake has read further than it reaches, and nobody knows what came since.
#[test]
fn a_source_that_ends_before_what_was_read_of_it_holds_up_whoever_may_have_bought() {
    let plan = Plan::new("source-lost", &["bonus-expiring"], &["push", "sms"]);
    let mut shop = everybody_has_a_push(&plan, 20);
    shop.kill("intake");
    pretend_to_have_read(shop.place.brokers(), &shop.topics.group("intake"), &shop.topics.action(), 1_000);
    shop.purchase(&customer(1));
    shop.feed.flush();
    shop.set_clock(shop.now() + 4 * HOUR);
    let mut held = || shop.service("operator").metric("cascade_sources_behind");
    until("the operator knows that it is held up", || held() > 0.0);
    assert_eq!(shop.sends().len(), 20, "nobody gets more than the push");
}

#[test]
fn after_six_hours_without_the_worker_nobody_who_bought_is_messaged() {
    let plan = Plan::new("worker-down", &["bonus-expiring"], &["push", "sms"]);
    let mut shop = everybody_has_a_push(&plan, CUSTOMERS);
    shop.kill("channel sms");
    shop.pass(3 * HOUR + MINUTE);
    assert_eq!(shop.sends().len(), 2 * CUSTOMERS, "the commands wait for their worker");
    for hour in 4..=6 {
        shop.pass(HOUR);
        for number in (hour..CUSTOMERS).step_by(12) {
            shop.purchase(&customer(number));
        }
        shop.settle();
    }
    shop.restart("channel sms");
    shop.settle();
    let faithful: Vec<String> =
        (0..CUSTOMERS).filter(|number| !(4..=6).contains(&(number % 12))).map(customer).collect();
    assert_eq!(sms_customers(&shop), faithful);
    assert_as_decided(&shop);
}

#[test]
fn a_worker_that_comes_back_too_late_sends_nothing_and_says_so() {
    let plan = Plan::new("worker-late", &["bonus-expiring"], &["push", "sms"]);
    let mut shop = everybody_has_a_push(&plan, 20);
    shop.kill("channel sms");
    shop.pass(3 * HOUR + MINUTE);
    shop.pass(2 * DAY);
    shop.restart("channel sms");
    shop.settle();
    assert_eq!(sms_customers(&shop), [""; 0]);
    assert_eq!(feedback(&shop, Status::Expired).len(), 20);
}

#[test]
fn a_purchase_withdraws_a_command_that_waits_behind_the_rate_limit() {
    let plan =
        Plan { rate_per_second: 4, partitions: 1, ..Plan::new("withdrawn", &["bonus-expiring"], &["push", "sms"]) };
    let mut shop = everybody_has_a_push(&plan, 40);
    shop.set_clock(shop.now() + 3 * HOUR + MINUTE);
    until("the first messages have gone out", || sms_customers(&shop).len() >= 4);
    let queue: Vec<Send> = shop.sends().into_iter().filter(|send| send.channel == "sms").collect();
    assert_eq!(queue.len(), 40);
    let (early, late) = queue.split_at(25);
    for send in late {
        shop.purchase(&send.customer_id);
    }
    shop.settle();

    let early: BTreeSet<String> = early.iter().map(|send| send.customer_id.clone()).collect();
    assert_eq!(sms_customers(&shop), Vec::from_iter(early), "who bought while the command waited gets nothing");
    let late: BTreeSet<String> = late.iter().map(|send| send.send_id.clone()).collect();
    let withdrawn: Vec<Revoke> = shop.read(&shop.topics.revoke()).iter().map(|record| record.decode()).collect();
    assert_eq!(withdrawn.into_iter().map(|revoke| revoke.send_id).collect::<BTreeSet<_>>(), late);
    assert_eq!(feedback(&shop, Status::Revoked), late);

    let worker = shop.service("channel sms");
    let within = worker.metric_with("cascade_residual_window_seconds_bucket", r#"le="1""#);
    let count = worker.metric("cascade_residual_window_seconds_count");
    assert!(count >= 25.0, "the residual window is measured at each hand-over");
    assert_eq!(within, count, "a look at the withdrawals is at most a second old");
}

#[test]
fn a_lost_state_directory_changes_nothing_and_repeats_no_send() {
    let plan = Plan::new("state-lost", &["bonus-expiring"], &["push", "sms"]);
    let mut shop = everybody_has_a_push(&plan, CUSTOMERS);
    let rows = |shop: &Installation| Changelog::read(shop.place.brokers(), &shop.topics.changelog()).rows();
    let before = rows(&shop);
    shop.kill("operator");
    std::fs::remove_dir_all(shop.place.path("state-one")).unwrap();
    shop.restart("operator");
    shop.settle();
    assert_eq!(rows(&shop), before);
    assert_eq!(shop.sends().len(), CUSTOMERS, "nothing is sent again");

    shop.purchase(&customer(7));
    shop.settle();
    shop.pass(3 * HOUR + MINUTE);
    let others: Vec<String> = (0..CUSTOMERS).filter(|number| *number != 7).map(customer).collect();
    assert_eq!(sms_customers(&shop), others, "the restored state knows what everybody waits for");
    assert_eq!(shop.received().len(), 2 * CUSTOMERS - 1);
    assert!(shop.received().contains(&format!("push to {}", address(&customer(7), "push"))));
    assert_as_decided(&shop);
}

/// Sends that feedback says this about.
fn feedback(shop: &Installation, status: Status) -> BTreeSet<String> {
    let feedback = shop.read(&shop.topics.feedback());
    let all = feedback.iter().map(|record| record.decode::<Feedback>());
    all.filter(|feedback| feedback.status == status).filter_map(|feedback| feedback.send_id).collect()
}
