//! SC-05: an order can be fetched. An email, and an SMS to those who have not opened it after three hours.

use system_tests::installation::{DAY, HOUR, Installation, MINUTE, Plan};

#[test]
fn an_email_unopened_for_three_hours_is_followed_by_an_sms() {
    let mut shop = Installation::start(&Plan::new("order", &["order-ready"], &["email", "sms"]));
    for customer in ["kim", "leo", "mia"] {
        shop.customer(customer, &["email", "sms"]);
    }
    shop.settle();
    for customer in ["kim", "leo", "mia"] {
        shop.action(customer, "order_ready", Some("order-7"), &[]);
    }
    shop.settle();
    assert_eq!(shop.received().len(), 3);

    shop.open(&shop.message("kim", "email"));
    shop.action("leo", "order_fetched", Some("order-7"), &[]);
    shop.action("mia", "order_fetched", Some("order-6"), &[]);
    shop.settle();
    shop.pass(3 * HOUR - MINUTE);
    assert_eq!(shop.received().len(), 3, "three hours are not over");
    shop.pass(2 * MINUTE);
    shop.pass(2 * DAY);
    assert_eq!(shop.received()[3..], ["sms to mia-sms"], "she has fetched another order, and opened nothing");
    assert_eq!(shop.commands()[3..], ["mia: sms order-ready/sms"]);
}
