//! What ends a cascade, and what never begins.

use system_tests::installation::{DAY, HOUR, Installation, Plan};
use system_tests::shop::sorted;

#[test]
fn a_purchase_between_two_steps_stops_the_cascade() {
    let mut shop = Installation::start(&Plan::new("between", &["bonus-expiring"], &["push", "sms"]));
    shop.customer("sue", &["push", "sms"]);
    shop.customer("tim", &["push", "sms"]);
    shop.settle();
    shop.action("sue", "bonus_expiring", Some("a"), &[("points", "1")]);
    shop.action("tim", "bonus_expiring", Some("b"), &[("points", "1")]);
    shop.settle();
    shop.pass(2 * HOUR);
    shop.purchase("sue");
    shop.settle();
    shop.pass(HOUR);
    shop.pass(2 * DAY);
    assert_eq!(sorted(shop.received()), ["push to sue-push", "push to tim-push", "sms to tim-sms"]);
    assert_eq!(shop.commands().len(), 3);
}

#[test]
fn a_customer_with_one_contact_gets_one_attempt() {
    let mut shop =
        Installation::start(&Plan::new("contact", &["bonus-expiring", "come-back"], &["push", "email", "sms"]));
    shop.customer("uma", &["sms"]);
    shop.customer("vic", &["email"]);
    shop.settle();
    for customer in ["uma", "vic"] {
        shop.action(customer, "bonus_expiring", Some("a"), &[("points", "1")]);
    }
    shop.settle();
    shop.pass(4 * HOUR);
    shop.pass(30 * DAY);
    assert_eq!(sorted(shop.commands()), ["uma: sms bonus-expiring/sms", "vic: email bonus-expiring/free"]);
    assert_eq!(sorted(shop.received()), ["email to vic@example.test", "sms to uma-sms"]);
}

#[test]
fn one_click_unsubscribes_and_nothing_follows() {
    let mut shop = Installation::start(&Plan::new("unsubscribe", &["cart-left"], &["email", "sms"]));
    shop.customer("wim", &["email", "sms"]);
    shop.settle();
    shop.cart("wim", "cart-1", 1, 4_000);
    shop.settle();
    shop.pass(2 * HOUR);
    let letter = shop.message("wim", "email");
    shop.unsubscribe(&letter);
    shop.settle();
    shop.pass(DAY);
    shop.pass(DAY);
    shop.pass(DAY);
    assert_eq!(shop.received(), ["email to wim@example.test"]);
    assert_eq!(shop.commands().len(), 1, "{:?}", shop.commands());
}
