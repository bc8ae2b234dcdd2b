//! Services are killed in mid-flow, three times each, with two thousand customers under way. Nothing is lost, nothing is
//! doubled, and the state is what the brain makes of the input.

mod story;
mod checks;
mod receipts;
mod sweep;

use system_tests::installation::{DAY, HOUR};

use story::{CUSTOMERS, Story};

#[test]
fn a_killed_intake_loses_and_doubles_no_fact() {
    let mut story = Story::begin("crash-intake");
    for half in CUSTOMERS.halves() {
        story.kill_in_mid_flow("intake", |story| story.fall_silent(half));
    }
    story.every_fifth_buys();
    story.cascade.settle();
    // Outcomes come one by one: some are waited for, so that there is something to do.
    story.kill_in_mid_flow("intake", |story| {
        story.let_pass(7 * HOUR);
        story.await_outcomes(CUSTOMERS.count() + 400);
    });
    story.cascade.settle();
    story.cascade.pass(2 * DAY);
    checks::assert_exactly_once(&story.cascade);
    checks::assert_each_handed_over_once(&story.cascade, &[]);
}

#[test]
fn a_killed_operator_loses_and_doubles_no_decision() {
    let mut story = Story::begin("crash-operator");
    for half in CUSTOMERS.halves() {
        story.kill_in_mid_flow("operator", |story| {
            story.fall_silent(half);
            story.cascade.settle_intake();
        });
    }
    story.every_fifth_buys();
    story.cascade.settle();
    // All deadlines of a partition fall due in the same moment.
    story.kill_in_mid_flow("operator", |story| story.let_pass(7 * HOUR));
    story.cascade.settle();
    story.cascade.pass(2 * DAY);
    checks::assert_exactly_once(&story.cascade);
    checks::assert_each_handed_over_once(&story.cascade, &[]);
}

#[test]
fn a_killed_worker_loses_no_command_and_doubles_only_what_is_declared() {
    let mut story = Story::begin("crash-channel");
    story.fall_silent(CUSTOMERS);
    story.every_fifth_buys();
    for _ in 0..3 {
        story.kill_in_mid_flow("channel push", |_| ());
    }
    story.cascade.settle();
    story.let_pass(7 * HOUR);
    for _ in 0..3 {
        story.kill_in_mid_flow("channel sms", |_| ());
    }
    story.cascade.settle();
    story.cascade.pass(2 * DAY);
    checks::assert_exactly_once(&story.cascade);
    // A push costs nothing: what is in doubt goes out again. An SMS in doubt does not.
    checks::assert_each_handed_over_once(&story.cascade, &["push"]);
}

#[test]
fn a_killed_tracker_keeps_every_receipt_that_it_acknowledged() {
    let mut story = Story::begin("crash-tracker");
    story.fall_silent(CUSTOMERS);
    story.cascade.settle();
    let acknowledged = receipts::post_all_while_the_tracker_is_killed(&mut story.cascade, 3);
    story.cascade.settle();
    checks::assert_told(&story.cascade, &acknowledged);
    story.cascade.pass(7 * HOUR);
    story.cascade.pass(2 * DAY);
    checks::assert_exactly_once(&story.cascade);
    checks::assert_each_handed_over_once(&story.cascade, &[]);
}
