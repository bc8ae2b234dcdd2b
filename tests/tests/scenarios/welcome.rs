//! SC-17: registered but not bought. A day, a week, three months, six months.

use system_tests::installation::{DAY, Installation, Plan};
use system_tests::shop::sorted;

#[test]
fn reminders_after_a_day_a_week_and_months_until_the_first_purchase() {
    let mut shop = Installation::start(&Plan::new("welcome", &["welcome"], &["push", "email", "sms"]));
    shop.customer("nat", &["email", "sms"]);
    shop.customer("oli", &["push", "sms"]);
    shop.settle();
    shop.registration("nat");
    shop.registration("oli");
    shop.settle();
    assert_eq!(shop.received(), [""; 0]);

    shop.pass(DAY);
    assert_eq!(sorted(shop.received()), ["email to nat@example.test", "push to oli-push"]);
    shop.pass(6 * DAY);
    assert_eq!(sorted(shop.received()[2..].to_vec()), ["sms to nat-sms", "sms to oli-sms"]);
    shop.purchase("oli");
    shop.settle();
    shop.pass(83 * DAY);
    shop.pass(90 * DAY);
    shop.pass(365 * DAY);
    let steps: Vec<_> = shop.commands().into_iter().filter(|command| command.starts_with("nat")).collect();
    assert_eq!(
        steps,
        [
            "nat: email welcome/reminder",
            "nat: sms welcome/first50",
            "nat: email welcome/quarter",
            "nat: email welcome/half-year"
        ]
    );
    assert_eq!(shop.received().len(), 6, "oli has bought: {:?}", shop.received());
}
