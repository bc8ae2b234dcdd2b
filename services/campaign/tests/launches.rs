//! What a launch comes to, reckoned before it begins.

mod world;

use campaign::{Forecast, Plans};
use schemas::{Actor, CampaignKind, Customer, Outcome, Reason, Status};
use world::definition::campaigns;
use world::life::{Event, life, live};
use world::script::play;
use world::{BEGIN, DAY, HOUR, World};

use proptest::prelude::*;

const SALE: &str = "campaign: sale
version: 1
trigger: {on: schedule, at: 2023-11-15T10:00Z, where: \"has_contact('email') || has_contact('sms')\"}
goal: {action: purchase}
steps:
  - {name: free, any: [push, email], template: t, wait: 1d}
  - {name: sms, any: [viber, sms], template: t, segments: 2}
";
const PRICES: &str = "currency: USD
prices:
  - {channel: email, minor: 0}
  - {channel: push, minor: 0}
  - {channel: sms, minor: 4}
  - {channel: sms, minor: 5, from: 2023-11-15}
";

fn plans(text: &str) -> Plans {
    let mut world = World::new(&[text]);
    world.apply(CampaignKind::Prices, PRICES);
    world.plans.clone()
}

fn customer(channels: &str) -> Customer {
    let mut world = World::new(&[]);
    play(&mut world, &format!("0 has {channels}"));
    world.customer.clone()
}

fn forecast(text: &str, customers: &[(&str, Customer)]) -> Forecast {
    let plans = plans(text);
    let mut forecast = Forecast::of(&plans, "sale", BEGIN).unwrap();
    for (id, customer) in customers {
        forecast.look(&plans, id, customer, BEGIN);
    }
    forecast
}

/// What nobody has asked for so far is not remembered: on the first day nobody seems to have done it.
#[test]
fn a_condition_that_looks_back_to_before_anything_is_remembered_is_warned_of() {
    let campaign = |name: &str, trigger: &str, when: &str| {
        format!(
            "campaign: {name}
version: 1
trigger: {{{trigger}}}
goal: {{action: purchase}}
steps: [{{name: a, channel: email, template: t{when}}}]
"
        )
    };
    let told = |text: &str, plans: &Plans| {
        let problems = campaign::unknown_past("c.yaml", text, plans);
        problems.iter().map(|problem| format!("{}:{} {}", problem.line, problem.column, problem.message)).collect()
    };
    let away = campaign("away", "on: schedule, every: day 10:00, where: \"!did('visit', 90) && !did('visit', 9)\"", "");
    let found: Vec<String> = told(&away, &Plans::default());
    assert_eq!(found, ["3:50 the condition looks 90 days back, but actions `visit` are remembered only from now on"]);
    let known = World::new(&[&away]).plans.clone();
    assert_eq!(told(&away.replace("version: 1", "version: 2"), &known), [""; 0], "it is remembered already");

    let when = ", when: \"heard_on('email') || days_since('purchase') > 3\"";
    let other = campaign("other", "on: action, action: lead, where: \"bought('toys', 9)\"", when);
    let found: Vec<String> = told(&other, &Plans::default());
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].contains("9 days back, but purchases of `toys`"), "{found:?}");
    assert!(found[1].contains("looks back, but reactions on email"), "{found:?}");
    // Another one hopes for purchases, so these are remembered.
    assert_eq!(told(&other, &known).len(), 2);
    assert_eq!(told("campaign: [", &known), [""; 0]);
}

#[test]
fn the_audience_is_counted_and_its_price_is_that_of_all_that_could_go_out() {
    let customers = [
        ("a", customer("email sms")),
        ("b", customer("email push")),
        ("c", customer("push")),
        ("d", customer("sms viber")),
    ];
    let forecast = forecast(SALE, &customers);
    assert_eq!((forecast.customers, forecast.begins, forecast.unreachable), (4, 3, 0));
    let messages: Vec<(&str, u64)> = forecast.messages.iter().map(|(channel, count)| (*channel, *count)).collect();
    assert_eq!(messages, [("email", 2), ("push", 1), ("sms", 2), ("viber", 1)]);
    // Two segments each, at the price of the moment of the launch; nobody knows what viber costs.
    assert_eq!((forecast.most_minor, forecast.unpriced), (2 * 2 * 5, 1));
    assert!(forecast.refused.is_empty());
}

#[test]
fn a_step_that_may_meet_a_later_tariff_is_reckoned_with_it() {
    let of = |from: &str| {
        let mut world = World::new(&[SALE]);
        let table = format!(
            "{PRICES}  - {{channel: viber, minor: 1, from: {from}}}\n  - {{channel: sms, minor: 9, from: {from}}}\n"
        );
        world.apply(CampaignKind::Prices, &table);
        let mut forecast = Forecast::of(&world.plans, "sale", BEGIN).unwrap();
        forecast.look(&world.plans, "a", &customer("sms viber"), BEGIN);
        (forecast.most_minor, forecast.unpriced)
    };
    // An SMS has two segments. Until then nobody knows what viber costs.
    assert_eq!(of("2023-11-16"), (2 * 9 + 1, 1));
    // The table's own tariff of the day after holds by then.
    assert_eq!(of("2023-11-14"), (2 * 5 + 1, 0));
}

#[test]
fn who_refused_or_is_held_out_costs_nothing() {
    let refused = {
        let mut world = World::new(&[]);
        play(&mut world, "0 has email sms");
        play(&mut world, "0 refuses email sms");
        world.customer.clone()
    };
    let forecast_of = |text: &str| forecast(text, &[("a", refused.clone()), ("b", customer("sms"))]);
    let plain = forecast_of(SALE);
    assert_eq!((plain.begins, plain.unreachable, plain.most_minor), (2, 1, 10));
    let held_out = forecast_of(&SALE.replace("steps:", "experiment: {hold_out: 99}\nsteps:"));
    assert_eq!((held_out.begins, held_out.held_out, held_out.most_minor), (2, 2, 0));
    let transactional = forecast_of(&SALE.replace("goal:", "class: transactional\ngoal:"));
    assert_eq!((transactional.unreachable, transactional.most_minor), (0, 20));
}

#[test]
fn who_bought_lately_or_rests_is_told_with_the_reason() {
    let text =
        SALE.replace("on: schedule,", "on: schedule, cooldown: 30d,").replace("purchase}", "purchase, grace: 2d}");
    let mut world = World::new(&[&text]);
    for line in ["0 has email", "0 does purchase"] {
        play(&mut world, line);
    }
    let bought = forecast(&text, &[("a", world.customer.clone())]);
    assert_eq!((bought.begins, bought.refused), (0, [(Reason::GoalBefore, 1)].into()));
}

#[test]
fn only_what_begins_once_and_is_not_over_can_be_launched() {
    let of = |text: &str, now: i64| Forecast::of(&plans(text), "sale", now).err().unwrap_or_default();
    assert_eq!(of(SALE, BEGIN), "");
    assert!(of(SALE, BEGIN + 3 * DAY).starts_with("its moment is over"));
    assert!(of(&SALE.replace("at: 2023-11-15T10:00Z", "every: day 10:00"), BEGIN).contains("again and again"));
    let other = SALE.replace("on: schedule, at: 2023-11-15T10:00Z", "on: registration");
    assert!(of(&other, BEGIN).contains("on: schedule"));
}

proptest! {
    #![proptest_config(world::cases(500))]

    /// Whatever was before: it begins for whom it was said to begin, and nothing costs more than was said.
    #[test]
    fn a_launch_keeps_its_word(
        campaigns in campaigns(),
        before in life(),
        all_is_taken in any::<bool>(),
        after in life(),
        dearer in -DAY..3 * DAY,
    ) {
        let texts: Vec<&str> = campaigns.iter().map(String::as_str).filter(|text| !text.starts_with("currency")).collect();
        let mut world = World::new(&texts);
        world.apply(CampaignKind::Prices, PRICES);
        live(&mut world, &before, |_| {});
        let moment = |after| jiff::Timestamp::from_millisecond(world.now + after).unwrap();
        let (at, from) = (moment(HOUR), moment(HOUR + dearer));
        world.apply(CampaignKind::Prices, &PRICES.replace("from: 2023-11-15", &format!("from: {from}")));
        let text = SALE.replace("2023-11-15T10:00Z", &at.to_string());
        world.plans.apply(&world::record(&text)).unwrap();
        let mut forecast = Forecast::of(&world.plans, "sale", world.now).unwrap();
        if world.customer != Customer::default() {
            forecast.look(&world.plans.clone(), world::CUSTOMER, &world.customer.clone(), world.now);
        }
        // Nothing happens until then, and afterwards whatever may, except that addresses change.
        let quiet = world.plans.newest("sale").unwrap().trigger.schedule.as_ref().unwrap().at;
        if campaign::due(&world.customer).is_some_and(|due| due <= quiet) || world.customer.held.is_some() {
            return Ok(());
        }
        world.pass_until(quiet);
        let begun = world.journal().iter().filter(|entry| entry.campaign == "sale" && entry.reason == Reason::Entered).count();
        prop_assert_eq!(u64::try_from(begun).unwrap(), forecast.begins);
        let taken = Event::Word { back: 0, status: Status::Accepted, actor: Actor::Unspecified, outcome: Outcome::Unspecified };
        let taken = [taken, Event::Passes(8 * HOUR)].into_iter().cycle().take(if all_is_taken { 16 } else { 0 });
        let words = after.into_iter().filter(|event| matches!(event, Event::Word { .. } | Event::Passes(_)));
        live(&mut world, &taken.chain(words).collect::<Vec<_>>(), |_| {});
        let owed: i64 = world.journal().iter().filter(|entry| entry.campaign == "sale").map(|entry| entry.amount_minor).sum();
        prop_assert!(i128::from(owed) <= forecast.most_minor, "{} of {}", owed, forecast.most_minor);
    }
}
