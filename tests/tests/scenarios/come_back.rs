//! Nothing was heard of a customer for 30 days: the cheapest channel first, until a message was read or the customer is back.

use system_tests::installation::{DAY, Installation, Plan};
use system_tests::providers::Answer;
use system_tests::shop::sorted;

#[test]
fn the_cheapest_channel_speaks_first_and_each_dearer_one_only_after_it() {
    let channels = ["push", "email", "viber", "sms"];
    let mut shop = Installation::start(&Plan::new("come-back", &["come-back"], &channels));
    shop.customer("pia", &channels);
    shop.customer("qin", &channels);
    shop.customer("rob", &channels);
    shop.settle();
    // Viber knows nobody here: what cannot be sent leads on to the next channel at once.
    shop.providers.answer("viber", Answer::Refuse);
    shop.inactivity("pia", 30);
    shop.inactivity("qin", 30);
    shop.inactivity("rob", 29);
    shop.settle();
    for _ in 0..4 {
        shop.pass(DAY);
        if let Some(letter) = shop.providers.handed().iter().find(|handed| handed.to == "qin@example.test") {
            shop.open(letter);
            shop.settle();
        }
    }
    shop.pass(10 * DAY);

    let of = |customer: &str| -> Vec<String> {
        let steps = shop.commands().into_iter().filter(|command| command.starts_with(customer));
        steps.map(|command| command.rsplit('/').next().unwrap().to_owned()).collect()
    };
    let prices: Vec<i64> =
        shop.sends().iter().filter(|send| send.customer_id == "pia").map(|send| send.price_minor).collect();
    assert_eq!(of("pia").last().unwrap(), "sms");
    assert_eq!(of("pia").len(), 4);
    assert_eq!(sorted(prices), [0, 0, 2, 4]);
    assert_eq!(of("pia")[2..], ["viber", "sms"], "what costs money comes last");
    assert!(!of("qin").contains(&"viber".to_owned()), "qin has read: {:?}", of("qin"));
    assert_eq!(of("rob"), [""; 0], "29 days are not enough");
    assert!(!shop.received().iter().any(|message| message.starts_with("viber")));
    assert!(shop.received().contains(&"sms to pia-sms".to_owned()));
}
