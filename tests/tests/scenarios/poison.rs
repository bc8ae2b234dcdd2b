//! A record that nobody can read: to dead-letter as it is, its customer is held, everybody else goes on.

use schemas::dead_letter::{CODE, EXCEPTION, MESSAGE, OFFSET, PARTITION, STACKTRACE, STAGE, TOPIC};
use schemas::{Fact, Input, Origin, RECORD_BYTES_MAX, Release, encode};
use system_tests::changelog::Changelog;
use system_tests::installation::{HOUR, Installation, Plan};
use system_tests::tail::{Message, Tail};

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

#[test]
fn poison_in_the_input_itself_is_set_aside_once_and_its_transaction_goes_on_over_a_kill_too() {
    let plan = Plan { partitions: 1, ..Plan::new("poison-input", &["come-back"], &["push"]) };
    let mut shop = Installation::prepare(&plan);
    shop.bring_up(&["intake"]);
    let written: Vec<Poison> = (0..GROUPS).flat_map(|group| write_good_records_behind_poison(&shop, group)).collect();
    let mut letters = Tail::of(shop.place.brokers(), &[&shop.topics.dead_letter()]);
    shop.launch("operator");
    letters.until("some of it is set aside", |letters| !letters.is_empty());
    shop.kill("operator");
    let before = shop.read(&shop.topics.dead_letter()).len();
    assert!(before < written.len(), "the kill came too late");
    shop.restart("operator");
    shop.settle();

    assert_set_aside_once(&shop, &written);
    let account = shop.assert_equal_to_a_fold();
    assert_eq!(account.unseen(), None, "the partition goes on to its end");
    assert_eq!(account.sends.len(), GROUPS * (GROUP - 1), "everybody else has a message");
    let held = account.rows.keys().filter(|id| account.customer(id).is_some_and(|row| row.held.is_some()));
    assert_eq!(held.cloned().collect::<Vec<_>>(), (0..GROUPS).map(first_of).collect::<Vec<_>>());
    system_tests::tell(format_args!(
        "{before} of {} records were set aside before the kill, the others after it",
        written.len()
    ));
}

const GROUPS: usize = 20;
const GROUP: usize = 400;

/// What the operator cannot read, or not as a word about anybody.
struct Poison {
    key: Vec<u8>,
    value: Vec<u8>,
    code: &'static str,
}

impl Poison {
    fn is(&self, record: &Message) -> bool {
        record.key == self.key && record.value.as_ref() == Some(&self.value)
    }
}

/// Poison comes into `input` past intake. Behind it everybody in this group is to get a push.
fn write_good_records_behind_poison(shop: &Installation, group: usize) -> [Poison; 4] {
    let fact = encode(&Input { origin: Origin::default(), fact: Fact::Release(Release::default()), hops: 0 });
    let poison = |key: &[u8], value: &[u8], code| Poison { key: key.to_owned(), value: value.to_owned(), code };
    let customer = first_of(group);
    let written = [
        poison(customer.as_bytes(), b"\x00\xff\xff\xff\xff not Avro at all", "unknown_schema"),
        poison(customer.as_bytes(), &[0; RECORD_BYTES_MAX + 1], "too_large"),
        poison(b"\xff\xfe", &fact, "bad_key"),
        poison(b"", &fact, "no_key"),
    ];
    for Poison { key, value, .. } in &written {
        shop.feed.send_to(&shop.topics.input(), 0, key, value);
    }
    shop.feed.flush();
    (0..GROUP).for_each(|number| shop.customer(&member(group, number), &["push"]));
    shop.settle_intake();
    (0..GROUP).for_each(|number| shop.inactivity(&member(group, number), 30));
    shop.settle_intake();
    written
}

fn first_of(group: usize) -> String {
    member(group, 0)
}

fn member(group: usize, number: usize) -> String {
    format!("customer-{group:02}-{number:03}")
}

/// Each is in dead-letter exactly once, as it was, with its place; and some of it was committed together with good records.
#[track_caller]
fn assert_set_aside_once(shop: &Installation, written: &[Poison]) {
    let topic = shop.topics.input();
    let input = shop.read(&topic).into_iter().filter(|record| written.iter().any(|poison| poison.is(record)));
    let places: Vec<i64> = input.map(|record| record.offset).collect();
    let letters = shop.read(&shop.topics.dead_letter());
    assert_eq!((places.len(), letters.len()), (written.len(), written.len()), "each once");
    for (poison, place) in written.iter().zip(&places) {
        let place = place.to_string();
        let letter = letters.iter().find(|letter| letter.header(OFFSET) == Some(&place)).expect("it is set aside");
        assert!(poison.is(letter), "key and value are as they were");
        assert_eq!((letter.header(TOPIC), letter.header(PARTITION)), (Some(topic.as_str()), Some("0")));
        assert_eq!((letter.header(CODE), letter.header(STAGE)), (Some(poison.code), Some("operator")));
    }
    let changelog = Changelog::read(shop.place.brokers(), &shop.topics.changelog());
    let ends: Vec<i64> = changelog.metas(0).map(|meta| meta.next_offset).collect();
    let is_shared = |ends: &&[i64]| {
        let poison = places.iter().filter(|place| (ends[0]..ends[1]).contains(place)).count();
        poison > 0 && (ends[1] - ends[0]) as usize > GROUP + poison
    };
    assert!(ends.windows(2).filter(is_shared).count() > 0, "no transaction held good records and poison");
}
