//! Budgets: what a campaign may spend in an hour or a day, on all customers together.

mod world;
mod rows;

use std::collections::BTreeMap;

use proptest::prelude::*;
use rows::Rows;
use schemas::{Fact, Grant, Key, Reason, Refund, Send};
use world::script::check;
use world::{BEGIN, HOUR, MINUTE, World};

/// An SMS costs 4; so much is left for them, in each hour.
fn campaign(budget: &str, more: &str) -> String {
    format!(
        "campaign: sms
version: 1
trigger: {{on: action, action: a, key: key}}
goal: {{action: purchase}}
budget: {{{budget}}}
steps:
  - {{name: first, channel: sms, template: t, wait: 1h{more}}}
  - {{name: second, channel: whatsapp, template: t, next_if: [no information, no goal]}}
"
    )
}

fn world(budget: &str, more: &str) -> World {
    World::new(&[&campaign(budget, more)])
}

/// The world begins at 22:13:20: the next hour is there after 46m40s.
#[test]
fn a_message_that_finds_no_room_waits_for_the_next_hour_while_it_is_valid() {
    check(
        world("minor: 4, per: hour", ", valid: 2h"),
        "0 has sms whatsapp
         0 does a k1
         1m does a k2
         50m time passes",
        "0 ENTERED
         0 BUDGET_ASKED first sms
         0 send first by sms
         1m ENTERED
         1m BUDGET_ASKED first sms
         1m BUDGET_SPENT first
         46m40s BUDGET_ASKED first sms
         46m40s send first by sms",
    );
    check_that_the_second_ends(world("minor: 4, per: hour", ", valid: 30m"));
}

/// What one message costs is there, and no more in time: the second cascade ends.
fn check_that_the_second_ends(world: World) {
    check(
        world,
        "0 has sms whatsapp
         0 does a k1
         1m does a k2
         50m time passes",
        "0 ENTERED
         0 BUDGET_ASKED first sms
         0 send first by sms
         1m ENTERED
         1m BUDGET_ASKED first sms
         1m BUDGET_SPENT",
    );
}

/// Nobody could say whether there is room for it.
#[test]
fn what_has_no_price_does_not_go_out_where_there_is_a_budget() {
    let mut world = world("minor: 4, per: day", "");
    world.apply(
        schemas::CampaignKind::Prices,
        "currency: USD\nprices: [{channel: whatsapp, minor: 3}, {channel: sms, minor: 4, prefix: \"+7\"}]\n",
    );
    check(
        world,
        "0 has sms whatsapp
         0 does a k1",
        "0 ENTERED
         0 CANNOT_SEND first
         0 BUDGET_ASKED second whatsapp
         0 send second by whatsapp",
    );
}

#[test]
fn or_its_cascade_ends_and_nothing_dearer_goes_out_instead() {
    check_that_the_second_ends(world("minor: 4, per: day, then: stop", ", valid: 2h"));
}

/// Midnight in UTC comes after 1h46m40s.
#[test]
fn a_day_begins_at_midnight_where_the_campaign_is() {
    let of_zone = |zone: &str| {
        campaign("minor: 4, per: day", ", valid: 12h")
            .replace("wait: 1h", "wait: 12h")
            .replace("version: 1", &format!("version: 1\nzone: {zone}"))
    };
    let happens = "0 has sms whatsapp\n 0 does a k1\n 1m does a k2\n 3h time passes";
    let decided = |at: &str| {
        format!(
            "0 ENTERED\n 0 BUDGET_ASKED first sms\n 0 send first by sms\n 1m ENTERED\n 1m BUDGET_ASKED first sms
             1m BUDGET_SPENT first\n {at} BUDGET_ASKED first sms\n {at} send first by sms"
        )
    };
    check(World::new(&[&of_zone("UTC")]), happens, &decided("1h46m40s"));
    check(World::new(&[&of_zone("Europe/Berlin")]), happens, &decided("46m40s"));
}

/// What is free, and what is only reckoned for comparison, asks for nothing.
#[test]
fn only_what_costs_something_asks() {
    let free = campaign("minor: 1, per: hour, then: stop", "").replace("channel: sms", "channel: push");
    check(World::new(&[&free]), "0 has push\n 0 does a k1", "0 ENTERED\n 0 send first by push");
}

/// What happens while the budget is asked counts: the grant comes to nothing, and is given back.
#[test]
fn a_grant_that_nobody_needs_any_more_is_given_back() {
    for (meanwhile, later) in [("purchase", 0), ("nothing", 3 * HOUR), ("no consent", 0), ("record", 0), ("night", 0)] {
        let quiet = if meanwhile == "night" { "quiet: {hours: '22:14-23:00', policy: expire}\n" } else { "" };
        let text = campaign("minor: 4, per: hour", ", valid: 2h").replace("goal:", &format!("{quiet}goal:"));
        let mut rows = Rows::new(&[&text]);
        rows.profile("c1", &["sms"], &[]);
        rows.action("c1", "a", "k1");
        rows.settle_outside();
        let before = rows.sends.len();
        match meanwhile {
            "purchase" => rows.action("c1", "purchase", "k1"),
            "no consent" => rows.profile("c1", &[], &[]),
            "record" => rows.tell("c1", Fact::Unreadable(schemas::Unreadable { code: "bad".into() })),
            "night" => rows.now += MINUTE,
            _ => rows.now += later,
        }
        rows.settle_outside();
        rows.settle();
        assert_eq!(rows.sends.len(), before, "{meanwhile}");
        let granted = match &rows.rows[&Key::budget("sms")] {
            campaign::Row::Budget(budget) => budget.granted,
            other => panic!("{other:?}"),
        };
        assert_eq!(granted, 0, "{meanwhile}");
        assert!(rows.journal.iter().any(|entry| entry.reason == Reason::BudgetReturned), "{meanwhile}");
    }
}

/// That the budget's row has not heard of the campaign yet, is no word on what is left.
/// It waited through the night, and nobody was late when its price was asked for. The world begins at 22:13:20.
#[test]
fn what_was_kept_back_before_its_price_was_asked_for_is_not_late() {
    let night = "quiet: {hours: '22:00-23:00', release: 0s}\ngoal:";
    let text = campaign("minor: 4, per: hour", ", valid: 2h, late: skip").replace("goal:", night);
    let mut rows = Rows::new(&[&text]);
    rows.profile("c1", &["sms"], &[]);
    rows.action("c1", "a", "k1");
    rows.settle();
    rows.now += 46 * MINUTE + 40_000;
    assert!(rows.fire(0));
    rows.now += 10_000;
    rows.settle();
    assert_eq!(rows.sends.len(), 1);
}

#[test]
fn a_budget_that_does_not_know_the_campaign_yet_is_asked_again() {
    let mut rows = Rows::new(&[&campaign("minor: 4, per: hour, then: stop", "")]);
    rows.profile("c1", &["sms"], &[]);
    rows.action("c1", "a", "k1");
    rows.settle_outside();
    let known = std::mem::replace(&mut rows.plans, Rows::new(&[]).plans);
    rows.deliver(0);
    rows.plans = known;
    rows.settle();
    assert_eq!((rows.running().len(), rows.sends.len()), (1, 0));
    rows.now += MINUTE;
    while rows.fire(0) {}
    rows.settle();
    assert_eq!(rows.sends.len(), 1);
}

/// A free message goes out instead of what was asked for: the grant is not for it.
#[test]
fn a_grant_is_not_used_up_by_another_message() {
    let text = campaign("minor: 4, per: hour", "").replace("channel: whatsapp", "channel: push");
    let mut rows = Rows::new(&[&text.replace("no information,", "cannot send, no information,")]);
    rows.profile("c1", &["sms"], &[]);
    rows.action("c1", "a", "k1");
    rows.settle_outside();
    rows.profile("c1", &["push"], &[]);
    rows.settle_outside();
    rows.settle();
    assert_eq!(rows.sends.iter().map(|(_, send)| &*send.channel).collect::<Vec<_>>(), ["push"]);
    assert_eq!((rows.grants.len(), rows.refunds.len()), (1, 1));
}

/// A message costs what it costs when it goes out: the difference to what was granted is given back, or a new grant is asked for.
#[test]
fn a_price_that_changes_while_the_budget_is_asked_counts_as_it_is_then() {
    let price = |rows: &mut Rows, minor: i64| {
        let definition = format!("currency: USD\nprices: [{{channel: sms, minor: {minor}}}]\n");
        let kind = schemas::CampaignKind::Prices;
        rows.plans.apply(&schemas::Campaign { kind, definition, ..schemas::Campaign::default() }).unwrap();
    };
    let granted = |rows: &Rows| match &rows.rows[&Key::budget("sms")] {
        campaign::Row::Budget(budget) => budget.granted,
        other => panic!("{other:?}"),
    };
    for (later, asked) in [(3, 1), (4, 1), (0, 1), (5, 2), (9, 2)] {
        let mut rows = Rows::new(&[&campaign("minor: 8, per: hour, then: stop", "")]);
        price(&mut rows, 4);
        rows.profile("c1", &["sms"], &[]);
        rows.action("c1", "a", "k1");
        rows.settle_outside();
        price(&mut rows, later);
        rows.settle();
        let asks = rows.journal.iter().filter(|entry| entry.reason == Reason::BudgetAsked).count();
        assert_eq!(asks, asked, "a price of {later}");
        // Of nine there are only eight.
        let paid: Vec<i64> = rows.sends.iter().map(|(_, send)| send.price_minor).collect();
        assert_eq!(paid, if later > 8 { vec![] } else { vec![later] });
        assert_eq!(granted(&rows), paid.iter().sum::<i64>(), "what is not spent is not granted any more");
        assert_eq!(rows.running().len(), paid.len());
    }
}

/// Whoever has something waiting gets it when what ran ends for want of money.
#[test]
fn what_waits_begins_when_the_budget_ends_a_cascade() {
    let text =
        campaign("minor: 4, per: hour, then: stop", "").replace("key: key", "key: key, settle: 1m, again: queue");
    let mut rows = Rows::new(&[&text]);
    for id in ["c1", "c2"] {
        rows.profile(id, &["sms"], &[]);
        rows.action(id, "a", "k1");
    }
    rows.settle();
    rows.action("c2", "a", "k1");
    rows.settle();
    rows.now += MINUTE;
    while rows.fire(0) {}
    rows.settle();
    let entered = rows.journal.iter().filter(|it| it.reason == Reason::Entered && it.customer_id == "c2").count();
    assert_eq!(entered, 2);
}

/// The same refund twice makes room once, and one of an earlier hour makes none.
#[test]
fn what_is_given_back_counts_once_and_in_its_own_window() {
    let mut rows = Rows::new(&[&campaign("minor: 8, per: hour, then: stop", "")]);
    let key = Key::budget("sms");
    let demand = |rows: &mut Rows, number: i32| {
        let send_id = schemas::Id::of_send(schemas::Id::of_instance("c", "sms", "", ""), number, 0, 0);
        rows.tell(&key, Fact::Demand(schemas::Demand { customer_id: "c".into(), send_id, version: 1, minor: 4 }));
        rows.settle_outside();
    };
    let granted = |rows: &Rows| rows.grants.iter().map(|(_, grant)| grant.number).collect::<Vec<_>>();
    demand(&mut rows, 0);
    demand(&mut rows, 1);
    demand(&mut rows, 2);
    assert_eq!(granted(&rows).len(), 2);
    let first = Fact::Refund(Refund { minor: 4, number: granted(&rows)[0] });
    rows.tell(&key, first.clone());
    rows.tell(&key, first);
    rows.settle_outside();
    demand(&mut rows, 3);
    demand(&mut rows, 4);
    assert_eq!(granted(&rows).len(), 3, "it made room for one");
    rows.now += HOUR;
    demand(&mut rows, 5);
    demand(&mut rows, 6);
    rows.tell(&key, Fact::Refund(Refund { minor: 4, number: granted(&rows)[1] }));
    rows.settle_outside();
    demand(&mut rows, 7);
    assert_eq!(granted(&rows).len(), 5, "that was of the hour before");
}

/// What happens to one of a few customers.
#[derive(Clone, Debug)]
enum Op {
    Triggers(usize, usize),
    Buys(usize),
    Has(usize, bool),
    Word(usize, bool),
    Passes(i64),
    Delivers(usize),
    Fires(usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..5_usize, 0..3_usize).prop_map(|(customer, key)| Op::Triggers(customer, key)),
        1 => (0..5_usize).prop_map(Op::Buys),
        1 => (0..5_usize, any::<bool>()).prop_map(|(customer, has)| Op::Has(customer, has)),
        3 => (0..9_usize, any::<bool>()).prop_map(|(send, arrives)| Op::Word(send, arrives)),
        2 => (MINUTE..90 * MINUTE).prop_map(Op::Passes),
        20 => (0..64_usize).prop_map(Op::Delivers),
        4 => (0..8_usize).prop_map(Op::Fires),
    ]
}

proptest! {
    #![proptest_config(world::cases(1_500))]

    /// Whatever happens, and in whatever order rows hear of each other: what is spent of the grants of an hour is never over the
    /// budget, every paid message has its own grant, and every cascade ends.
    #[test]
    fn a_budget_is_never_overshot(
        ops in prop::collection::vec(op(), 1..160),
        minor in 1..20_i64,
        short in prop::sample::select(vec!["wait", "stop"]),
        valid in prop::sample::select(vec!["20m", "3h"]),
    ) {
        let budget = format!("minor: {minor}, per: hour, then: {short}");
        let free = "  - {name: third, channel: push, template: t}\n";
        let text = campaign(&budget, &format!(", valid: {valid}")).replace("template: t, next_if: [no information, no goal]", "template: t, wait: 1h, next_if: [no information, no goal, cannot send]");
        let mut rows = Rows::new(&[&format!("{text}{free}")]);
        for customer in 0..5 {
            rows.profile(&format!("c{customer}"), &["sms", "whatsapp"], &[]);
        }
        rows.settle_outside();
        for op in ops {
            match op {
                Op::Triggers(customer, key) => rows.action(&format!("c{customer}"), "a", &format!("k{key}")),
                Op::Buys(customer) => rows.action(&format!("c{customer}"), "purchase", "k"),
                Op::Has(customer, has) => rows.profile(&format!("c{customer}"), if has { &["sms"] } else { &["push"] }, &[]),
                Op::Word(send, arrives) => rows.word(send, arrives),
                Op::Passes(span) => rows.now += span,
                Op::Delivers(which) => rows.deliver(which),
                Op::Fires(which) => _ = rows.fire(which),
            }
            prop_assert!(spent(&rows).values().all(|spent| *spent <= minor), "{:?} of {minor}", spent(&rows));
        }
        rows.live_out();
        prop_assert!(spent(&rows).values().all(|spent| *spent <= minor), "{:?} of {minor}", spent(&rows));
        prop_assert!(rows.running().is_empty(), "{:?}", rows.running());
        let paid = || rows.sends.iter().filter(|(_, send)| send.price_minor > 0);
        for (_, send) in paid() {
            let of_it = rows.grants.iter().filter(|(_, grant)| grant.send_id.to_string() == send.send_id);
            prop_assert!(of_it.count() >= 1, "nobody granted {}", send.send_id);
        }
        // Nothing is left lying: what was granted was sent or given back.
        let kept = rows.grants.iter().filter(|(_, grant)| !rows.refunds.contains(&grant.number)).count();
        prop_assert_eq!(kept, paid().count());
    }
}

/// What was sent of the grants of each hour.
fn spent(rows: &Rows) -> BTreeMap<i64, i64> {
    let price = |grant: &Grant| {
        let of_it = |(_, send): &&(String, Send)| send.send_id == grant.send_id.to_string();
        rows.sends.iter().find(of_it).map_or(0, |(_, send)| send.price_minor)
    };
    let mut spent = BTreeMap::new();
    for (at, grant) in rows.grants.iter().filter(|(_, grant)| !rows.refunds.contains(&grant.number)) {
        *spent.entry((at - BEGIN / HOUR * HOUR) / HOUR).or_insert(0) += price(grant);
    }
    spent
}
