//! A provider of a free channel is away for ten minutes, while a thousand messages a second are meant for it. Business time runs
//! faster than the machine's: the more so, the shorter the test.

use std::time::Duration;

use schemas::{Registration, Send, Status};
use stream::clock::Tick;
use system_tests::commands::TEMPLATE;
use system_tests::gate::{Gate, Gateway};
use system_tests::installation::{Installation, MINUTE, Plan, SECOND};
use system_tests::wait::{until, until_within};

use crate::is_long;

/// Messages that come in a second of the machine's time.
const PER_SECOND: u32 = 1_000;

/// What the provider takes in one, from all workers. So few that no machine is too slow to be held back.
const LIMIT: u32 = 400;

/// What it takes at once.
const BURST: u32 = 100;

/// Seconds of business time for which it is away.
const AWAY: u32 = 600;

/// In minor units: of what an SMS costs, for fifty of them.
const BUDGET: i64 = 4 * 50;

/// Whoever was handed the push and is not known to have got it is sent an SMS, as far as the budget goes. That would be so for the
/// first ones in the middle of the outage, if it counted as silence.
const CAMPAIGN: &str = "
campaign: welcome-all
version: 1
trigger: {on: registration}
goal: {action: purchase}
stop: delivered
budget: {minor: 200, per: day}
steps:
  - {name: free, channel: push, template: hello, wait: 5m, next_if: [not delivered, no information, cannot send], valid: 6h}
  - {name: sms, channel: sms, template: hello, valid: 6h}
";

#[test]
fn after_ten_minutes_without_a_provider_nothing_is_lost_and_nothing_dearer_was_sent_for_it() {
    // How many seconds of business time pass in one of the machine's.
    let scale = if is_long() { 10 } else { 100 };
    let per_second = usize::try_from(PER_SECOND / scale).unwrap();
    let all = per_second * usize::try_from(AWAY).unwrap();
    let push = Gateway::keeping_connections(Duration::ZERO);
    let templates = ["push", "sms"].map(|channel| format!("{TEMPLATE}.{channel}"));
    let mut shop = Installation::prepare(&Plan {
        rate_per_second: LIMIT,
        burst: BURST,
        gateway: Some(push.address),
        plain_templates: &templates,
        ..Plan::new("provider-away", &[CAMPAIGN], &["push", "sms"])
    });
    shop.bring_up(&["intake", "operator", "channel push", "channel sms"]);
    (0..all).for_each(|number| shop.customer(&customer(number), &["push", "sms"]));
    shop.settle();

    push.set(Gate::Busy);
    let begun = Tick::now();
    for second in 0..AWAY {
        let next = begun.after(Duration::from_secs(1) * second / scale);
        until("a second has passed", || next.remaining().is_zero());
        shop.set_clock(shop.now() + SECOND);
        let first = per_second * usize::try_from(second).unwrap();
        (first..first + per_second).for_each(|number| register(&shop, number));
        shop.feed.flush();
    }
    let took = begun.elapsed();
    until_within(Duration::from_secs(600), "everything is decided", || sends(&shop, "push").len() == all);
    assert_eq!(push.taken().len(), 0, "the provider was away");
    assert!(shop.service("channel push").metric("cascade_provider_paused") > 0.0, "it is left alone");

    let back = Tick::now();
    push.set(Gate::Answered);
    until_within(Duration::from_secs(600), "everybody has the push", || push.taken().len() == all);
    let moments = push.moments();
    assert_eq!(moments.len(), all, "each once");
    assert_paced(&moments);
    let caught_up = back.elapsed();
    shop.settle();
    let told = shop.told();
    assert_eq!(told.len(), all);
    assert!(told.values().all(|told| told == &[Status::Accepted]), "each was accepted, and nothing else was said");

    // Nobody waits for word of what was not handed over.
    assert_eq!(sends(&shop, "sms").len(), 0, "an outage is no silence");
    shop.pass(4 * MINUTE);
    assert_eq!(sends(&shop, "sms").len(), 0, "a wait counts from the hand-over");
    shop.pass(2 * MINUTE);
    let sms = sends(&shop, "sms");
    let spent: i64 = sms.iter().map(|send| send.price_minor).sum();
    assert_eq!((spent, sms.len()), (BUDGET, 50), "as much as may be spent, and no more");
    shop.assert_equal_to_a_fold();
    system_tests::tell(format_args!(
        "{all} messages while the provider was away, in {:.1} s; caught up in {:.1} s, {} SMS",
        took.as_secs_f64(),
        caught_up.as_secs_f64(),
        sms.len()
    ));
}

/// What was held back comes at the provider's rate. A second may pass between a permit and the call.
fn assert_paced(moments: &[Duration]) {
    let allowed = |seconds: f64| f64::from(BURST) + f64::from(LIMIT) * (seconds + 1.0);
    let mut first = 0;
    for (last, moment) in moments.iter().enumerate() {
        while *moment - moments[first] > Duration::from_secs(1) {
            first += 1;
        }
        let count = (last + 1 - first) as f64;
        assert!(count <= allowed(1.0), "{count} in a second");
    }
    let whole = (moments[moments.len() - 1] - moments[0]).as_secs_f64();
    assert!(moments.len() as f64 <= allowed(whole), "{} in {whole:.1} s", moments.len());
}

fn customer(number: usize) -> String {
    format!("customer-{number}")
}

fn register(shop: &Installation, number: usize) {
    let registration = Registration {
        event_id: format!("registration of {number}"),
        customer_id: customer(number),
        occurred_at: shop.now(),
        source: "web".to_owned(),
        ..Registration::default()
    };
    shop.tell(&shop.topics.registration(), &customer(number), &registration);
}

fn sends(shop: &Installation, channel: &str) -> Vec<Send> {
    shop.read(&shop.topics.send(channel)).iter().map(|message| message.decode()).collect()
}
