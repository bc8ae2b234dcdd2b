//! What is said at the end, and whether it may be believed.
//!
//! The figures come from the journal. The checks hold them against what others saw: the providers, who count what reached
//! them, and the driver, who knows when each purchase went in.

use std::collections::BTreeSet;

use campaign::{Match, Plan};
use schemas::Millis;

use super::driver::Driver;
use super::screen::{HEAD, Screen, money, row, word};
use super::shop;

/// The funnel of each campaign, the cost, and what the providers count.
pub fn tell(driver: &Driver, screen: &Screen) -> String {
    let tally = &driver.story.tally;
    let mut text = String::new();
    for (campaign, funnel) in &tally.campaigns {
        text.push_str(&format!("\n{campaign}: {} cascades\n", funnel.entered));
        for (step, channel, counts) in &funnel.steps {
            text.push_str(&format!(
                "  {step:<12} {channel:<9} {:>6} sent {:>6} taken {:>6} arrived {:>6} opened {:>5} clicked {:>5} failed {:>9}\n",
                counts.sent, counts.handed_over, counts.delivered, counts.opened, counts.clicked, counts.failed, money(counts.cost_minor)
            ));
        }
        let mut ended: Vec<_> = funnel.ends.iter().map(|(reason, count)| (*count, word(*reason))).collect();
        ended.sort_unstable_by(|a, b| b.cmp(a));
        let running = funnel.entered - ended.iter().map(|(count, _)| count).sum::<u64>();
        let ended: String = ended.into_iter().map(|(count, reason)| format!("{count} {reason}, ")).collect();
        text.push_str(&format!("  ended: {ended}{running} still run\n"));
    }
    text.push_str(&format!("\n{HEAD}"));
    for (channel, counts) in tally.channels() {
        text.push_str(&row(channel, &counts));
    }
    text.push_str("\nThe providers' own count:\n");
    for (channel, counts) in driver.desk.counts() {
        text.push_str(&format!(
            "  {channel:<10} {:>8} taken, {} came twice and were recognised, {} to dead addresses, {} turned away for a moment\n",
            counts.taken, counts.repeated, counts.refused, counts.turned_away
        ));
    }
    let everybody = screen.everybody(driver);
    let saved = everybody - tally.cost_minor;
    let percent = saved * 100 / everybody.max(1);
    text.push_str(&format!(
        "\nSpent {}. An SMS at once to each of these {} customers' cascades would have cost {}: {} saved ({percent} %).\n",
        money(tally.cost_minor),
        tally.spoken(),
        money(everybody),
        money(saved)
    ));
    text
}

/// Everything that must hold and does not. Empty if all is well.
pub fn check(driver: &Driver, plans: &[Plan]) -> Vec<String> {
    let mut wrong = Vec::new();
    received_is_handed_over(driver, &mut wrong);
    nobody_after_the_purchase(driver, plans, &mut wrong);
    wrong
}

/// What the journal says was handed over is what the providers took; where the answer got lost, the journal says that it does
/// not know.
fn received_is_handed_over(driver: &Driver, wrong: &mut Vec<String>) {
    let received: BTreeSet<&str> = driver.log.received.iter().map(|(send_id, _)| send_id.as_str()).collect();
    if received.len() != driver.log.received.len() {
        wrong.push(format!("{} messages were taken twice", driver.log.received.len() - received.len()));
    }
    let (handed_over, unknown) = driver.story.tally.handed_over();
    let never_came = handed_over.iter().filter(|id| !received.contains(**id)).count();
    if never_came > 0 {
        wrong.push(format!("{never_came} messages were handed over, as the journal says, but no provider took them"));
    }
    let untold: Vec<&&str> = received.iter().filter(|id| !handed_over.contains(**id) && !unknown.contains(**id)).collect();
    if let Some(first) = untold.first() {
        wrong.push(format!("{} messages were taken by a provider, but the journal does not say so (the first is {first})", untold.len()));
    }
}

/// No provider took a message in a later tick than a purchase that ends its cascade. (Within one tick the records' order
/// decides, which the driver does not know.)
fn nobody_after_the_purchase(driver: &Driver, plans: &[Plan], wrong: &mut Vec<String>) {
    let ended_by_purchase = |campaign: &str| {
        let goal = plans.iter().find(|plan| plan.name == campaign).and_then(|plan| plan.goal.as_ref());
        goal.is_some_and(|goal| goal.matching == Match::Any && goal.condition.is_none() && goal.actions.iter().any(|it| it == "purchase"))
    };
    for (send_id, taken_at) in &driver.log.received {
        let Some(origin) = driver.story.tally.origin_of(send_id) else {
            wrong.push(format!("a provider took {send_id}, of which the journal knows nothing"));
            continue;
        };
        let purchases = driver.log.purchases.get(origin.customer_id).map(Vec::as_slice).unwrap_or_default();
        let stopped_at: Option<&Millis> = purchases.iter().find(|at| **at >= origin.entered_at);
        if let Some(stopped_at) = stopped_at.filter(|at| **at + driver.tick < *taken_at)
            && ended_by_purchase(origin.campaign)
        {
            wrong.push(format!(
                "{} of {} reached customer {} at {}, though they had bought at {}",
                send_id,
                origin.campaign,
                origin.customer_id,
                shop::on_the_wall(*taken_at),
                shop::on_the_wall(*stopped_at)
            ));
        }
    }
}
