//! Timelines of `deploy/campaigns`, which rehearsals live through in virtual time, on real processes.
//!
//! ```text
//! cargo test --workspace --test scenarios catalogue                           twelve of them
//! CASCADE_SCENARIOS=long cargo test --workspace --test scenarios catalogue    all, each once more by itself
//! ```

use std::panic::catch_unwind;

use system_tests::installation::deploy;
use system_tests::player::live_through;
use system_tests::shop::sorted;

/// Whom a schedule, a night, a date or the end of another cascade leads, beside each other: all campaigns are in force for all.
#[test]
fn what_timelines_expect_comes_true_for_customers_who_live_side_by_side() {
    live_through(
        "side-by-side",
        &[
            "scenarios/news.night",
            "scenarios/birthday",
            "scenarios/webinar",
            "scenarios/webinar.late",
            "scenarios/renewal.renewed",
            "scenarios/thanks+discount-stage+upsell",
            "scenarios/thanks+discount-stage+upsell.soon",
            "scenarios/message",
            "timelines/cart-left.emptied",
        ],
    );
}

/// Intake and operator are killed in the first night of the sale and come back when it is over.
#[test]
fn an_outage_that_outlasts_a_sale_sends_nothing_of_it() {
    live_through("sale-outage", &["scenarios/push-after-letter.opened", "scenarios/sale.outage"]);
}

/// The provider's refusal comes while no worker of ours is there: somebody else's worker has the message. The long form plays all.
#[test]
fn what_a_timeline_expects_comes_true_for_a_customer_who_lives_alone() {
    let timelines = match std::env::var("CASCADE_SCENARIOS").as_deref() {
        Ok("long") => ["scenarios", "timelines"].into_iter().flat_map(timelines_of).collect(),
        _ => vec!["timelines/bonus-expiring.refused".to_owned()],
    };
    // Whoever lets all of them run wants to know of each that fails.
    let fails = |number: usize, name: &str| catch_unwind(|| live_through(&format!("alone-{number}"), &[name])).is_err();
    let numbered = timelines.iter().enumerate();
    let lost: Vec<&String> = numbered.filter(|(number, name)| fails(*number, name)).map(|(_, name)| name).collect();
    assert!(lost.is_empty(), "did not come true: {lost:?}");
}

/// All timelines of a directory of `deploy/campaigns`, as the player wants their names.
fn timelines_of(directory: &str) -> Vec<String> {
    let files = std::fs::read_dir(deploy().join("campaigns").join(directory)).expect("it can be read");
    let paths = files.map(|file| file.expect("it can be read").path());
    let names = paths.filter(|path| path.extension().is_some_and(|end| end == "timeline"));
    sorted(names.map(|path| format!("{directory}/{}", path.file_stem().expect("a name").display())).collect())
}
