//! What presses on the operator: a customer who never rests, and a broker that takes its time.
//!
//! ```text
//! cargo test --workspace --test pressure                            100 000 events of one customer
//! CASCADE_PRESSURE=long cargo test --workspace --test pressure    1 000 000
//! ```

use std::fmt;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use schemas::{Action, Cart, Fact, Input, Item, Origin, encode};
use stream::clock::Tick;
use system_tests::broker::broker;
use system_tests::changelog::Changelog;
use system_tests::feed::Feed;
use system_tests::installation::{HOUR, Installation, MINUTE, Plan};
use system_tests::tail::{Ends, Tail};

/// Each test has the broker to itself.
static BROKER: Mutex<()> = Mutex::new(());

/// The customer who never rests.
const HOT: &str = "hot";
/// So much more is told than is decided: the operator, of a slow broker, is never done with it.
const LEAD: usize = 40_000;
/// And so much is told at once.
const SLICE: usize = 1_000;
/// It has so many carts at a time.
const CARTS: usize = 15;
/// Others wait for an SMS, so many for each of so many moments of the flood.
const GROUP: usize = 20;
const GROUPS: usize = 4;

#[test]
fn a_customer_who_never_rests_neither_holds_up_others_nor_grows_its_row() {
    let _alone = BROKER.lock().unwrap_or_else(PoisonError::into_inner);
    let flood = if std::env::var("CASCADE_PRESSURE").as_deref() == Ok("long") { 1_000_000 } else { 100_000 };
    let mut shop = others_wait_for_an_sms("hot");
    tell(&shop, 0..SLICE);
    shop.settle();
    let early = row_bytes(&shop);

    let consumed = |shop: &Installation| shop.services["operator"].metric("cascade_events_consumed_total") as usize;
    let before = consumed(&shop);
    let slow = broker().slow_down();
    let mut sms = Tail::of(shop.place.brokers(), &[&shop.topics.send("sms")]);
    let (mut told, mut longest) = (SLICE, 0);
    for group in 1..=GROUPS {
        shop.set_clock(shop.now() + MINUTE);
        let (fell_due, mut came) = (told, None);
        sms.until("the SMS of others come, though the customer does not rest", |sms| {
            if consumed(&shop) - before + LEAD > told {
                tell(&shop, told..told + SLICE);
                told += SLICE;
            }
            if sms.len() >= GROUP * group {
                came.get_or_insert(told);
            }
            came.is_some() && told >= flood * group / GROUPS
        });
        longest = longest.max(came.unwrap_or(told) - fell_due);
    }
    drop(slow);
    shop.settle();

    let last = row_bytes(&shop);
    system_tests::tell(format_args!(
        "{told} events of one customer: SMS of others came after at most {longest} further ones; its row had {early} bytes after \
         {SLICE}, {last} after all"
    ));
    assert!(longest < 3 * LEAD, "others waited for {longest} events, and no more than {LEAD} lay before theirs");
    assert!(last < early * 11 / 10, "the row grew from {early} to {last} bytes");
    shop.assert_equal_to_a_fold();
}

#[test]
fn an_intake_that_is_always_amid_a_transaction_holds_no_deadline_up() {
    let _alone = BROKER.lock().unwrap_or_else(PoisonError::into_inner);
    let mut shop = others_wait_for_an_sms("amid");
    // One that never ends, for one after the other without a pause. All that there is was moved into the input before.
    let brokers = shop.place.brokers();
    let amid = Feed::in_transaction(brokers, "amid-intake");
    for ((topic, partition), end) in Ends::new(brokers).of(&[shop.topics.action()]) {
        amid.move_group(brokers, &shop.topics.group("intake"), (&topic, partition, end));
    }
    shop.set_clock(shop.now() + MINUTE);
    let mut sms = Tail::of(shop.place.brokers(), &[&shop.topics.send("sms")]);
    sms.until("the SMS come", |sms| sms.len() == GROUP);
    amid.abort();
}

/// Each has a push, one group a minute after the other, and gets an SMS three hours later. It is one minute before the first.
fn others_wait_for_an_sms(name: &str) -> Installation {
    let plan =
        Plan { partitions: 1, ..Plan::new(name, &["bonus-expiring", "cart-left", "come-back"], &["push", "sms"]) };
    let mut shop = Installation::start(&plan);
    for group in 0..GROUPS {
        (0..GROUP).for_each(|number| shop.customer(&other(group, number), &["push", "sms"]));
    }
    shop.settle();
    for group in 0..GROUPS {
        for number in 0..GROUP {
            shop.action(&other(group, number), "bonus_expiring", Some("account"), &[("points", "500")]);
        }
        shop.settle();
        shop.set_clock(shop.now() + MINUTE);
    }
    shop.pass(3 * HOUR - MINUTE - MINUTE * GROUPS as i64);
    assert_eq!(shop.received().len(), GROUPS * GROUP, "a push for each, and nothing else yet");
    shop
}

fn other(group: usize, number: usize) -> String {
    format!("other-{group}-{number:02}")
}

/// The hot customer fills one cart after the other and empties it when there are enough, and comes by. Carts do not go through
/// intake, so that the operator has no rest; visits do, so that intake has none either.
fn tell(shop: &Installation, events: Range<usize>) {
    for number in events {
        let cart = |cart_id: usize, version, items| Cart {
            event_id: format!("cart-{cart_id:07}/{version}"),
            customer_id: HOT.to_owned(),
            occurred_at: shop.now(),
            cart_id: format!("cart-{cart_id:07}"),
            version,
            total_minor: 4_000,
            currency: "USD".to_owned(),
            items,
            link: None,
        };
        let fact = match number % 4 {
            0 => Fact::Cart(cart(number / 4, 1, vec![Item { sku: "4711".to_owned(), quantity: 1, ..Item::default() }])),
            1 => Fact::Cart(cart((number / 4).saturating_sub(CARTS), 2, Vec::new())),
            _ => {
                shop.action(HOT, "visit", None, &[]);
                continue;
            }
        };
        shop.feed.send(&shop.topics.input(), HOT, &encode(&Input { origin: Origin::default(), fact, hops: 0 }));
    }
}

/// The size of its row as the changelog has it.
fn row_bytes(shop: &Installation) -> usize {
    Changelog::read(shop.place.brokers(), &shop.topics.changelog()).rows()[HOT.as_bytes()].len()
}

/// A backlog of few customers and small records, which are fetched faster than they are decided: much larger than what the
/// operator's client may hold of it.
const BACKLOG: usize = 400_000;
const CUSTOMERS: usize = 500;
const RECORD_BYTES: usize = 100;
/// What the operator needs for so few customers, and what its client may hold.
const RESIDENT_MB: f64 = 120.0;
/// Records in a transaction: what the engine takes at most, and its last round on top.
const TRANSACTION: i64 = 40_000 + 4_096;

#[test]
fn a_backlog_is_worked_off_in_bounded_memory_however_slow_the_broker_is() {
    let _alone = BROKER.lock().unwrap_or_else(PoisonError::into_inner);
    let mut shop = Installation::prepare(&Plan { partitions: 1, ..Plan::new("slow", &["come-back"], &["push"]) });
    write_backlog(&shop);
    let quick = work_off(&mut shop);
    write_backlog(&shop);
    let slow = {
        let _slow = broker().slow_down();
        work_off(&mut shop)
    };
    system_tests::tell(format_args!("a quick broker: {quick}\na slow broker: {slow}"));
    assert_eq!(shop.assert_equal_to_a_fold().unseen(), None);
    assert!(slow.commit_seconds > 2.0 * quick.commit_seconds, "the broker was not slow");
    assert!(quick.peak_mb.max(slow.peak_mb) < RESIDENT_MB, "the backlog was held in memory");
    let changelog = Changelog::read(shop.place.brokers(), &shop.topics.changelog());
    let next: Vec<i64> = changelog.metas(0).map(|meta| meta.next_offset).collect();
    let largest = next.windows(2).map(|next| next[1] - next[0]).max();
    assert!(largest.is_some_and(|largest| largest <= TRANSACTION), "a transaction of {largest:?} records");
}

/// What it took.
struct Work {
    seconds: f64,
    commits: f64,
    commit_seconds: f64,
    peak_mb: f64,
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Work { seconds, commits, commit_seconds, peak_mb } = self;
        write!(f, "{seconds:.1} s, {commits} commits of {commit_seconds:.3} s each, {peak_mb:.0} MB resident at most")
    }
}

/// An operator begins where its predecessor ended, and ends with the backlog.
fn work_off(shop: &mut Installation) -> Work {
    let begun = Tick::now();
    shop.launch("operator");
    shop.settle();
    let operator = shop.service("operator");
    let commits = operator.metric("cascade_transaction_commit_seconds_count");
    let work = Work {
        seconds: begun.elapsed().as_secs_f64(),
        commits,
        commit_seconds: operator.metric("cascade_transaction_commit_seconds_sum") / commits,
        peak_mb: operator.process().memory_mb("VmHWM"),
    };
    operator.process().terminate();
    shop.services.remove("operator");
    work
}

fn write_backlog(shop: &Installation) {
    let attributes = [("note".to_owned(), "x".repeat(RECORD_BYTES))];
    for number in 0..BACKLOG {
        let customer = format!("customer-{}", number % CUSTOMERS);
        let action = Action {
            event_id: format!("event-{number}"),
            customer_id: customer.clone(),
            occurred_at: shop.now(),
            action: "visit".to_owned(),
            attributes: attributes.clone().into(),
            ..Action::default()
        };
        let input = Input { origin: Origin::default(), fact: Fact::Action(action), hops: 0 };
        shop.feed.send(&shop.topics.input(), &customer, &encode(&input));
    }
    shop.feed.flush();
}
