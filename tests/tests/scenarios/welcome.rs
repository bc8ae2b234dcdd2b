//! SC-17: registered but not bought. A day, a week, three months, six months.

use system_tests::installation::{DAY, HOUR, Installation, Plan};

use crate::timeline::Timeline;

#[test]
fn reminders_after_a_day_a_week_and_months_until_the_first_purchase() {
    let mut shop = Installation::start(&Plan::new("welcome", &["welcome"], &["push", "email", "sms"]));
    shop.customer("nat", &["email", "sms"]);
    shop.customer("oli", &["push", "sms"]);
    shop.customer("pam", &["push", "email", "sms"]);
    shop.settle();
    let begin = shop.now();
    for customer in ["nat", "oli", "pam"] {
        shop.registration(customer);
    }
    let mut timeline = Timeline::default();
    timeline.silence(&mut shop, begin + 12 * HOUR);
    shop.purchase("pam");
    shop.settle();

    timeline.step(&mut shop, begin + DAY, &["nat: email welcome/reminder", "oli: push welcome/reminder"]);
    timeline.step(&mut shop, begin + 7 * DAY, &["nat: sms welcome/first50", "oli: sms welcome/first50"]);
    shop.purchase("oli");
    timeline.step(&mut shop, begin + 90 * DAY, &["nat: email welcome/quarter"]);
    timeline.step(&mut shop, begin + 180 * DAY, &["nat: email welcome/half-year"]);
    timeline.silence(&mut shop, begin + 600 * DAY);
}
