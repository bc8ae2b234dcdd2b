//! Services are killed in mid-flow, three times each, with two thousand customers under way. Nothing is lost, nothing is
//! doubled, and the state is what the brain makes of the input.

mod story;
mod checks;
mod receipts;

use system_tests::installation::{DAY, HOUR};

use story::{CUSTOMERS, Story};

#[test]
fn a_killed_intake_loses_and_doubles_no_fact() {
    let mut story = Story::begin("crash-intake");
    let mut facts = story.tail("input");
    for half in CUSTOMERS.halves() {
        story.fall_silent(half);
        story.kill_in_mid_flow("intake", &mut facts);
    }
    story.every_fifth_buys();
    story.cascade.settle();
    story.let_pass(7 * HOUR);
    story.kill_in_mid_flow("intake", &mut facts);
    story.cascade.settle();
    story.cascade.pass(2 * DAY);
    checks::assert_exactly_once(&story.cascade);
    checks::assert_each_handed_over_once(&story.cascade, &[]);
}

#[test]
fn a_killed_operator_loses_and_doubles_no_decision() {
    let mut story = Story::begin("crash-operator");
    let mut rows = story.tail("changelog");
    for half in CUSTOMERS.halves() {
        story.fall_silent(half);
        story.kill_in_mid_flow("operator", &mut rows);
    }
    story.every_fifth_buys();
    story.cascade.settle();
    // All deadlines of a partition fall due in the same moment.
    story.let_pass(7 * HOUR);
    story.kill_in_mid_flow("operator", &mut rows);
    story.cascade.settle();
    story.cascade.pass(2 * DAY);
    checks::assert_exactly_once(&story.cascade);
    checks::assert_each_handed_over_once(&story.cascade, &[]);
}

#[test]
fn a_killed_worker_loses_no_command_and_doubles_only_what_is_declared() {
    let mut story = Story::begin("crash-channel");
    let mut outcomes = story.tail("feedback");
    story.fall_silent(CUSTOMERS);
    story.every_fifth_buys();
    for _ in 0..3 {
        story.kill_in_mid_flow("channel push", &mut outcomes);
    }
    story.cascade.settle();
    story.let_pass(7 * HOUR);
    for _ in 0..3 {
        story.kill_in_mid_flow("channel sms", &mut outcomes);
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
