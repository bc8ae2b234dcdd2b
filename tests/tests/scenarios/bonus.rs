//! SC-01: bonuses expire. A push or an email, whichever the customer has; an SMS only to those whom it did not reach.

use system_tests::installation::{HOUR, Installation, MINUTE, Plan};
use system_tests::shop::sorted;

#[test]
fn sms_goes_only_to_those_whom_push_or_email_did_not_reach() {
    let mut shop = Installation::start(&Plan::new("bonus", &["bonus-expiring"], &["push", "email", "sms"]));
    shop.customer("ann", &["push", "email", "sms"]);
    shop.customer("bob", &["email", "sms"]);
    shop.customer("cid", &["push", "sms"]);
    shop.customer("dan", &["push", "sms"]);
    shop.settle();
    for customer in ["ann", "bob", "cid", "dan"] {
        shop.action(customer, "bonus_expiring", Some("account-1"), &[("points", "500")]);
    }
    shop.settle();
    let first = ["ann: push bonus-expiring/free", "bob: email bonus-expiring/free", "cid: push bonus-expiring/free"];
    assert_eq!(sorted(shop.commands())[..3], first);
    assert!(shop.message("cid", "push").text.contains("500 points"));

    // Ann's phone has it, cid's is gone, of bob's mail and dan's push nobody says a word.
    shop.receipt(&shop.message("ann", "push"), "delivered");
    shop.receipt(&shop.message("cid", "push"), "failed");
    shop.settle();
    assert_eq!(
        shop.received().iter().filter(|message| message.starts_with("sms")).collect::<Vec<_>>(),
        ["sms to cid-sms"]
    );

    shop.pass(3 * HOUR - MINUTE);
    assert!(!shop.received().contains(&"sms to bob-sms".to_owned()), "three hours are not over");
    shop.pass(2 * MINUTE);
    shop.pass(24 * HOUR);
    let sms: Vec<_> = sorted(shop.commands()).into_iter().filter(|command| command.contains(": sms")).collect();
    assert_eq!(sms, ["bob: sms bonus-expiring/sms", "cid: sms bonus-expiring/sms", "dan: sms bonus-expiring/sms"]);
    let received = sorted(shop.received());
    assert_eq!(
        received,
        [
            "email to bob@example.test",
            "push to ann-push",
            "push to cid-push",
            "push to dan-push",
            "sms to bob-sms",
            "sms to cid-sms",
            "sms to dan-sms"
        ]
    );
}
