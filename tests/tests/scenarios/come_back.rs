//! Nothing was heard of a customer for 30 days: the cheapest channel first, until a message was read or the customer is back.

use system_tests::installation::{DAY, HOUR, Installation, Plan};
use system_tests::providers::Answer;
use system_tests::shop::sorted;

use crate::timeline::Timeline;

const CHANNELS: [&str; 4] = ["push", "email", "viber", "sms"];

#[test]
fn the_cheapest_channel_speaks_first_and_each_dearer_one_only_after_it() {
    let mut shop = Installation::start(&Plan::new("come-back", &["come-back"], &CHANNELS));
    for customer in ["pia", "qin", "rob", "sia"] {
        shop.customer(customer, &CHANNELS);
    }
    shop.customer("tom", &["push", "email", "sms"]);
    shop.settle();
    for customer in ["pia", "qin", "sia", "tom"] {
        shop.inactivity(customer, 30);
    }
    // Not long enough.
    shop.inactivity("rob", 29);
    let mut timeline = Timeline::default();
    let email = ["pia", "qin", "sia", "tom"].map(|customer| format!("{customer}: email come-back/email"));
    timeline.at_once(&mut shop, &email);

    // A wait counts from the hand-over.
    let mails = shop.now();
    shop.open(&shop.message("qin", "email"));
    let push = ["pia: push come-back/push", "sia: push come-back/push", "tom: push come-back/push"];
    timeline.step(&mut shop, mails + 2 * DAY, &push);

    let pushes = shop.now();
    shop.action("sia", "visit", None, &[]);
    // Tom has no Viber: what cannot be sent leads on to the next channel at once.
    let viber = ["pia: viber come-back/viber", "tom: sms come-back/sms"];
    timeline.step(&mut shop, pushes + 6 * HOUR, &viber);

    let vibers = shop.now();
    timeline.step(&mut shop, vibers + DAY, &["pia: sms come-back/sms"]);
    timeline.silence(&mut shop, vibers + 20 * DAY);

    let sends = shop.sends();
    let mut of_pia: Vec<_> = sends.iter().filter(|send| send.customer_id == "pia").collect();
    of_pia.sort_by_key(|send| send.decided_at);
    let prices: Vec<i64> = of_pia.iter().map(|send| send.price_minor).collect();
    assert_eq!(prices, [0, 0, 2, 8], "what costs money comes last, an SMS of two segments last of all");
}

#[test]
fn what_a_provider_refuses_leads_on_to_the_next_channel_at_once() {
    let mut shop = Installation::start(&Plan::new("refusing", &["come-back"], &CHANNELS));
    shop.customer("uli", &CHANNELS);
    shop.settle();
    shop.providers.answer("viber", Answer::Refuse);
    shop.inactivity("uli", 30);
    shop.settle();
    shop.pass(2 * DAY);
    shop.pass(6 * HOUR);
    assert_eq!(shop.received(), ["email to uli@example.test", "push to uli-push", "sms to uli-sms"]);
    let steps = ["email come-back/email", "push come-back/push", "sms come-back/sms", "viber come-back/viber"];
    assert_eq!(sorted(shop.commands()), steps.map(|step| format!("uli: {step}")));
}
