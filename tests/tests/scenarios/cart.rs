//! SC-03 and SC-10: a cart was left.

use system_tests::installation::{DAY, HOUR, Installation, MINUTE, Plan};

use crate::timeline::Timeline;

/// Email, then the bot; WhatsApp costs money and is for those alone who opened nothing and are not in the bot.
#[test]
fn whatsapp_goes_only_to_those_who_opened_nothing_and_are_not_in_the_bot() {
    let channels = ["email", "telegram", "whatsapp"];
    let mut shop = Installation::start(&Plan::new("messenger", &["cart-messenger"], &channels));
    shop.customer("eve", &["email", "whatsapp"]);
    shop.customer("fay", &["email", "whatsapp"]);
    shop.customer("gus", &channels);
    shop.customer("hal", &["email", "whatsapp"]);
    shop.customer("ivo", &channels);
    shop.settle();
    let begin = shop.now();
    for customer in ["eve", "fay", "gus", "ivo"] {
        shop.cart(customer, "cart-1", 1, 5_000);
    }
    // Too small a cart.
    shop.cart("hal", "cart-1", 1, 2_999);
    let mut timeline = Timeline::default();
    let letter = ["eve", "fay", "gus", "ivo"].map(|customer| format!("{customer}: email cart-messenger/letter"));
    timeline.step(&mut shop, begin + HOUR, &letter);

    // A wait counts from the hand-over.
    let letters = shop.now();
    shop.open(&shop.message("fay", "email"));
    let next = [
        "eve: whatsapp cart-messenger/whatsapp",
        "gus: telegram cart-messenger/bot",
        "ivo: telegram cart-messenger/bot",
    ];
    timeline.step(&mut shop, letters + DAY, &next);

    // The bot cannot reach ivo for now, and then he leaves it.
    let bots = shop.now();
    shop.receipt(&shop.message("ivo", "telegram"), "deferred");
    shop.customer("ivo", &["email", "whatsapp"]);
    timeline.step(&mut shop, bots + DAY, &["ivo: whatsapp cart-messenger/whatsapp"]);
    timeline.silence(&mut shop, bots + 10 * DAY);
}

/// Whoever buys has no further message, whichever is the next.
#[test]
fn a_purchase_ends_the_reminders_at_any_step() {
    let channels = ["email", "telegram", "whatsapp"];
    let mut shop = Installation::start(&Plan::new("bought", &["cart-messenger"], &channels));
    let customers = ["jan", "kay", "lea", "max", "nik"];
    for customer in customers {
        let is_in_the_bot = customer == "lea";
        shop.customer(customer, if is_in_the_bot { &channels } else { &["email", "whatsapp"] });
    }
    // Bought not long before the cart was seen.
    shop.purchase("nik");
    shop.settle();
    shop.pass(30 * MINUTE);
    let begin = shop.now();
    for customer in customers {
        shop.cart(customer, "cart-1", 1, 5_000);
    }
    let mut timeline = Timeline::default();
    timeline.silence(&mut shop, begin + HOUR - 2 * MINUTE);
    shop.purchase("jan");
    let letter = ["kay", "lea", "max"].map(|customer| format!("{customer}: email cart-messenger/letter"));
    timeline.step(&mut shop, begin + HOUR, &letter);

    let letters = shop.now();
    timeline.silence(&mut shop, letters + DAY - 2 * MINUTE);
    shop.purchase("kay");
    shop.purchase("lea");
    timeline.step(&mut shop, letters + DAY, &["max: whatsapp cart-messenger/whatsapp"]);
    timeline.silence(&mut shop, letters + 10 * DAY);
}

/// A reminder, five percent the next day, the last chance the day after; a purchase ends it.
#[test]
fn three_reminders_on_three_days_until_the_purchase() {
    let channels = ["push", "email", "sms"];
    let mut shop = Installation::start(&Plan::new("left", &["cart-left"], &channels));
    for customer in ["ida", "joe", "kit"] {
        shop.customer(customer, &channels);
    }
    shop.settle();
    let left = shop.now() + 2 * HOUR;
    for customer in ["ida", "joe", "kit"] {
        shop.cart(customer, "cart-1", 1, 5_000);
    }
    let mut timeline = Timeline::default();
    let reminder = ["ida: push cart-left/reminder", "joe: push cart-left/reminder", "kit: push cart-left/reminder"];
    timeline.step(&mut shop, left, &reminder);
    shop.purchase("kit");
    timeline.step(&mut shop, left + DAY, &["ida: email cart-left/discount", "joe: email cart-left/discount"]);
    assert_eq!(shop.message("ida", "email").title, "Five percent off your cart");
    shop.open(&shop.message("joe", "email"));
    shop.pass(MINUTE);
    shop.purchase("joe");
    timeline.step(&mut shop, left + 2 * DAY, &["ida: email cart-left/last-chance"]);
    timeline.silence(&mut shop, left + 12 * DAY);
    // Both have bought, but only joe has read a message before it.
    let owed = shop.tool(["attribution"]);
    let read = "1  cart-left version 1, step discount by email";
    assert!(owed.starts_with("2 of purchase") && owed.contains(read) && owed.contains("1  no message"), "{owed}");
    let one_by_one = shop.tool(["attribution", "--json", "--within", "1"]);
    assert!(one_by_one.contains(r#""step":"discount","channel":"email","status":"OPENED""#), "{one_by_one}");
}

/// It is valid until the customer's day ends, in Berlin, which it does an hour after Moscow's, of which the campaign speaks. The worker
/// comes back ten minutes before that for flo, and a day later one minute after it for gil.
#[test]
fn the_last_chance_is_not_sent_after_its_day() {
    let channels = ["push", "email", "sms"];
    let mut shop = Installation::start(&Plan::new("over", &["cart-left"], &channels));
    shop.customer("flo", &channels);
    shop.customer("gil", &channels);
    shop.settle();
    // It is noon in Berlin.
    shop.cart("flo", "cart-1", 1, 5_000);
    shop.settle();
    shop.pass(2 * HOUR);
    shop.pass(DAY - 2 * HOUR);
    shop.cart("gil", "cart-1", 1, 5_000);
    shop.settle();
    shop.pass(2 * HOUR);
    assert_eq!(shop.received().len(), 3, "two reminders, and a discount for flo: {:?}", shop.received());

    shop.kill("channel email");
    shop.pass(DAY);
    let mut waiting = shop.commands().split_off(3);
    waiting.sort();
    assert_eq!(waiting, ["flo: email cart-left/last-chance", "gil: email cart-left/discount"]);
    shop.pass(10 * HOUR - 10 * MINUTE);
    shop.restart("channel email");
    shop.settle();
    let mut received = shop.received().split_off(3);
    received.sort();
    assert_eq!(received, ["email to flo@example.test", "email to gil@example.test"], "ten minutes to midnight");

    shop.kill("channel email");
    shop.pass(14 * HOUR + 10 * MINUTE);
    assert_eq!(shop.commands()[5..], ["gil: email cart-left/last-chance"], "the command waits for its worker");
    shop.pass(10 * HOUR + MINUTE);
    shop.restart("channel email");
    shop.settle();
    shop.pass(10 * DAY);
    assert_eq!(shop.received().len(), 5, "the day is over, and nobody pays for an SMS instead: {:?}", shop.received());
    assert_eq!(shop.commands().len(), 6);
}
