//! Timelines of the catalogue, which rehearsals live through in virtual time, on real processes.

use system_tests::player::live_through;

/// Whom a schedule, a night, a date and the end of another cascade lead, beside each other: all campaigns are in force for all of them.
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

/// The provider's refusal comes while no worker of ours is there: somebody else's worker has the message.
#[test]
fn a_refusal_that_a_foreign_worker_tells_leads_on_to_the_next_channel() {
    live_through("foreign-worker", &["timelines/bonus-expiring.refused"]);
}
