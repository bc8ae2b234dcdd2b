//! SC-03 and SC-10: a cart was left.

use system_tests::installation::{DAY, HOUR, Installation, MINUTE, Plan};
use system_tests::shop::sorted;

/// Email, then the bot; WhatsApp costs money and is for those alone who opened nothing and are not in the bot.
#[test]
fn whatsapp_goes_only_to_those_who_opened_nothing_and_are_not_in_the_bot() {
    let channels = ["email", "telegram", "whatsapp"];
    let mut shop = Installation::start(&Plan::new("messenger", &["cart-messenger"], &channels));
    shop.customer("eve", &["email", "whatsapp"]);
    shop.customer("fay", &["email", "whatsapp"]);
    shop.customer("gus", &["email", "telegram", "whatsapp"]);
    shop.customer("hal", &["email", "whatsapp"]);
    shop.settle();
    for customer in ["eve", "fay", "gus"] {
        shop.cart(customer, "cart-1", 1, 5_000);
    }
    shop.cart("hal", "cart-1", 1, 2_999);
    shop.settle();
    shop.pass(HOUR - MINUTE);
    assert_eq!(shop.received(), [""; 0], "the hour is not over");

    shop.pass(2 * MINUTE);
    let letters = ["email to eve@example.test", "email to fay@example.test", "email to gus@example.test"];
    assert_eq!(sorted(shop.received()), letters, "hal's cart is too small");

    shop.open(&shop.message("fay", "email"));
    shop.settle();
    shop.pass(DAY);
    shop.pass(2 * DAY);
    let later = ["telegram to gus-telegram", "whatsapp to eve-whatsapp"];
    assert_eq!(sorted(shop.received()[3..].to_vec()), later);
    assert_eq!(
        sorted(shop.commands()[3..].to_vec()),
        ["eve: whatsapp cart-messenger/whatsapp", "gus: telegram cart-messenger/bot"]
    );
}

/// A reminder, five percent the next day, the last chance the day after; a purchase ends it.
#[test]
fn three_reminders_on_three_days_until_the_purchase() {
    let mut shop = Installation::start(&Plan::new("left", &["cart-left"], &["push", "email", "sms"]));
    shop.customer("ida", &["push", "email", "sms"]);
    shop.customer("joe", &["push", "email", "sms"]);
    shop.settle();
    shop.cart("ida", "cart-1", 1, 5_000);
    shop.cart("joe", "cart-1", 1, 7_000);
    shop.settle();
    shop.pass(2 * HOUR);
    assert_eq!(sorted(shop.received()), ["push to ida-push", "push to joe-push"]);
    shop.pass(DAY);
    assert_eq!(sorted(shop.received()[2..].to_vec()), ["email to ida@example.test", "email to joe@example.test"]);
    assert_eq!(shop.message("ida", "email").title, "Five percent off your cart");

    shop.purchase("joe");
    shop.settle();
    shop.pass(DAY);
    shop.pass(10 * DAY);
    assert_eq!(shop.received()[4..], ["email to ida@example.test"]);
    let steps: Vec<_> = shop.commands().into_iter().filter(|command| command.starts_with("ida")).collect();
    assert_eq!(
        steps,
        ["ida: push cart-left/reminder", "ida: email cart-left/discount", "ida: email cart-left/last-chance"]
    );
}
