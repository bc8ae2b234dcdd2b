//! What is said at the end, and whether it may be believed.
//!
//! The figures come from the journal. The checks hold them against what others saw: the providers, who count what reached
//! them, and the driver, who knows when each purchase went in.

use std::collections::{BTreeMap, BTreeSet};

use campaign::{Channel, Match, Order, Plan, Prices};
use schemas::Millis;

use super::driver::{Driver, Log};
use super::sandbox::Counts;
use super::screen::{Screen, ends, head, money, row};
use super::shop;
use super::tally::{Funnel, Tally};

/// The funnel of each campaign, the cost, and what the providers count.
pub fn tell(driver: &Driver, screen: &Screen, plans: &[Plan], prices: &Prices) -> String {
    let tally = &driver.story.tally;
    let mut text = String::new();
    for (campaign, funnel) in &tally.campaigns {
        text.push_str(&tell_funnel(campaign, funnel, plans.iter().find(|plan| plan.name == *campaign), prices));
    }
    text.push_str(&format!("\n{}", head("all campaigns")));
    for (channel, counts) in tally.channels() {
        text.push_str(&row(channel, &counts));
    }
    text.push_str("\nThe providers' own count:\n");
    for (channel, counts) in driver.desk.counts() {
        let Counts { taken, repeated, refused, turned_away, .. } = counts;
        text.push_str(&format!(
            "  {channel:<9} {taken:>6} taken, {refused} to dead addresses, {turned_away} turned away once, {repeated} known repeats\n"
        ));
    }
    let everybody = screen.everybody(driver);
    let saved = everybody - tally.cost_minor;
    text.push_str(&format!(
        "\n{} cascades wrote to their customer. That cost {}; an SMS at once in each of them would have cost {}.\n{} saved: {} %.\n",
        tally.spoken(),
        money(tally.cost_minor),
        money(everybody),
        money(saved),
        saved * 100 / everybody.max(1)
    ));
    text
}

fn tell_funnel(campaign: &str, funnel: &Funnel, plan: Option<&Plan>, prices: &Prices) -> String {
    let mut text = format!("\n{}", head(campaign));
    // In the order in which they are tried.
    let place = |step: &str, channel: &str| {
        let plan = plan?;
        let index = plan.steps.iter().position(|it| it.name == step)?;
        let cost = match plan.order {
            Order::AsWritten | Order::ByExpectedCost | Order::ByResponse | Order::ByPreference => 0,
            Order::ByCost => Channel::find(channel).map_or(0, |channel| prices.price_minor(channel)),
        };
        Some((cost, index, plan.steps[index].channels.iter().position(|it| it.name == channel)))
    };
    let mut steps: Vec<_> = funnel.steps.iter().collect();
    steps.sort_by_key(|((step, channel), _)| place(step, channel));
    for ((step, channel), counts) in steps {
        text.push_str(&row(&format!("{step} {channel}"), counts));
    }
    let ended: u64 = funnel.ends.values().sum();
    let running = funnel.entered - ended;
    text.push_str(&format!(
        "  {} cascades: {running} still run, {} ended before a word was said\n",
        funnel.entered, funnel.silent
    ));
    if !funnel.ends.is_empty() {
        text.push_str(&format!("  ended: {}\n", ends(&funnel.ends)));
    }
    text
}

/// Everything that must hold and does not. Empty if all is well.
pub fn check(
    tally: &Tally,
    log: &Log,
    tick: Millis,
    providers: &BTreeMap<String, Counts>,
    plans: &[Plan],
) -> Vec<String> {
    let mut wrong = Vec::new();
    for (channel, counts) in providers.iter().filter(|(_, counts)| counts.doubled > 0) {
        wrong.push(format!(
            "{} messages came to the provider of {channel} twice, though it had answered",
            counts.doubled
        ));
    }
    received_is_handed_over(tally, log, &mut wrong);
    nobody_after_the_purchase(tally, log, tick, plans, &mut wrong);
    wrong
}

/// What the journal says was handed over is what the providers took; where the answer got lost, the journal says that it does
/// not know.
fn received_is_handed_over(tally: &Tally, log: &Log, wrong: &mut Vec<String>) {
    let received: BTreeSet<&str> = log.received.iter().map(|(send_id, _)| send_id.as_str()).collect();
    let (handed_over, unknown) = tally.handed_over();
    let never_came = handed_over.iter().filter(|id| !received.contains(**id)).count();
    if never_came > 0 {
        wrong.push(format!("{never_came} messages were handed over, as the journal says, but no provider took them"));
    }
    let untold: Vec<_> = received.iter().filter(|id| !handed_over.contains(**id) && !unknown.contains(**id)).collect();
    if let Some(first) = untold.first() {
        wrong.push(format!(
            "{} messages were taken by a provider, but the journal does not say so (the first is {first})",
            untold.len()
        ));
    }
}

/// No provider took a message in a later tick than a purchase that ends its cascade. (Within one tick the records' order
/// decides, which the driver does not know.)
fn nobody_after_the_purchase(tally: &Tally, log: &Log, tick: Millis, plans: &[Plan], wrong: &mut Vec<String>) {
    for (send_id, taken_at) in &log.received {
        let Some(origin) = tally.origin_of(send_id) else { continue };
        let purchases = log.purchases.get(origin.customer_id).map(Vec::as_slice).unwrap_or_default();
        let first = purchases.iter().find(|at| **at >= origin.entered_at).filter(|at| **at + tick < *taken_at);
        if let Some(bought_at) =
            first.filter(|_| plans.iter().any(|plan| plan.name == origin.campaign && ends_by_purchase(plan)))
        {
            wrong.push(format!(
                "{send_id} of {} reached {} at {}, though they had bought at {}",
                origin.campaign,
                origin.customer_id,
                shop::on_the_wall(*taken_at),
                shop::on_the_wall(*bought_at)
            ));
        }
    }
}

/// Whether any purchase ends a cascade of this campaign.
fn ends_by_purchase(plan: &Plan) -> bool {
    let any = |goal: &campaign::Goal| goal.matching == Match::Any && goal.condition.is_none();
    plan.goal.as_ref().is_some_and(|goal| any(goal) && goal.actions.iter().any(|action| action == "purchase"))
}

#[cfg(test)]
#[path = "summary/tests.rs"]
mod tests;
