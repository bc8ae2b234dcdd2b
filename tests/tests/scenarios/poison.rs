//! A record that nobody can read: to dead-letter as it is, its customer is held, everybody else goes on.

use schemas::dead_letter::{CODE, EXCEPTION, MESSAGE, OFFSET, PARTITION, STACKTRACE, STAGE, TOPIC};
use system_tests::installation::{HOUR, Installation, Plan};

#[test]
fn a_poison_record_goes_to_dead_letter_its_customer_is_held_and_the_partition_goes_on() {
    let plan = Plan { partitions: 1, ..Plan::new("poison", &["bonus-expiring"], &["push", "sms"]) };
    let mut shop = Installation::start(&plan);
    shop.customer("xia", &["push", "sms"]);
    shop.customer("yan", &["push", "sms"]);
    shop.settle();
    for customer in ["xia", "yan"] {
        shop.action(customer, "bonus_expiring", Some("a"), &[("points", "1")]);
    }
    shop.settle();

    // Whatever it says about xia, it may be a purchase.
    let poison = b"\x00\xff\xff\xff\xff not Avro at all";
    let source = shop.topics.action();
    shop.feed.send(&source, "xia", poison);
    shop.feed.flush();
    shop.action("yan", "visit", None, &[]);
    shop.settle();
    shop.pass(4 * HOUR);

    let letters = shop.read(&shop.topics.dead_letter());
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!((letter.key_text(), letter.value.as_deref()), ("xia", Some(&poison[..])));
    assert_eq!(letter.header(TOPIC), Some(source.as_str()));
    assert_eq!((letter.header(PARTITION), letter.header(OFFSET)), (Some("0"), Some("2")));
    assert_eq!((letter.header(CODE), letter.header(STAGE)), (Some("unknown_schema"), Some("intake")));
    assert_eq!(letter.header(STACKTRACE), Some(""));
    assert!(letter.header(EXCEPTION).is_some_and(|class| !class.is_empty()));
    assert!(letter.header(MESSAGE).is_some_and(|message| message.contains("schema id")));

    let received = shop.received();
    assert!(received.contains(&"sms to yan-sms".to_owned()), "the partition goes on: {received:?}");
    assert!(!received.contains(&"sms to xia-sms".to_owned()), "her sends are held: {received:?}");

    // Somebody has looked: she has bought nothing.
    shop.tool(["dlq", "release", "--customer", "xia", "--note", "a test record"]);
    shop.settle();
    assert!(shop.received().contains(&"sms to xia-sms".to_owned()), "{:?}", shop.received());
}
