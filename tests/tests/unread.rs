//! Lag as a time, on topics that are full of the marks of transactions: what waits has an age, and what is no record has none.

use system_tests::feed::Feed;
use system_tests::installation::{Installation, Plan};
use system_tests::providers::Answer;
use system_tests::tail::Ends;
use system_tests::wait::until;

/// In seconds: longer than anything waits that goes on.
const LONG: f64 = 3.0;

#[test]
fn the_oldest_unread_record_has_an_age_and_marks_have_none() {
    let mut shop = Installation::start(&Plan { partitions: 1, ..Plan::new("unread", &["bonus-expiring"], &["push"]) });
    let brokers = shop.place.brokers().to_owned();
    let (action, input, send) = (shop.topics.action(), shop.topics.input(), shop.topics.send("push"));
    shop.customer("ann", &["push"]);
    shop.settle();
    let bonus = |shop: &Installation, customer: &str| {
        shop.action(customer, "bonus_expiring", Some("account"), &[("points", "5")])
    };
    bonus(&shop, "ann");
    shop.settle();
    // Behind the last record of each stands the mark of its transaction, which no offset of a record ever reaches.
    let ends = Ends::new(&brokers).of(&[input.clone(), send.clone()]);
    for topic in [&input, &send] {
        let last = shop.read(topic).into_iter().map(|record| record.offset).max();
        assert!(last.is_some_and(|last| last + 1 < ends[&(topic.clone(), 0)]), "{topic} ends with a mark");
    }
    let readers = [("intake", action.clone()), ("operator", input.clone()), ("channel push", send.clone())];
    for (service, topic) in &readers {
        until("nothing waits", || age(&shop, service, topic) == Some(0.0));
    }

    // A transaction of the shop's that stays open: what is in it waits, and nothing else does.
    let open = Feed::in_transaction(&brokers, "unread-shop");
    open.send(&action, "ann", b"it does not matter what");
    open.flush();
    until("it has waited for long", || age(&shop, "intake", &action).is_some_and(|age| age > LONG));
    assert_eq!(age(&shop, "intake", &shop.topics.cart()), Some(0.0), "of another topic nothing waits");
    open.abort();
    until("what never happened waits no more", || age(&shop, "intake", &action) == Some(0.0));

    // The same before the operator, to whom intake's own transactions are foreign.
    let open = Feed::in_transaction(&brokers, "unread-intake");
    open.send(&input, "", b"");
    open.flush();
    until("it has waited for long", || age(&shop, "operator", &input).is_some_and(|age| age > LONG));
    open.abort();
    until("what never happened waits no more", || age(&shop, "operator", &input) == Some(0.0));

    // A provider that takes nothing: the command is read, and waits.
    shop.providers.answer("push", Answer::Busy);
    shop.customer("bea", &["push"]);
    shop.settle();
    bonus(&shop, "bea");
    until("it has waited for long", || age(&shop, "channel push", &send).is_some_and(|age| age > LONG));
    assert_eq!(age(&shop, "operator", &input), Some(0.0), "the operator is done with it");
    // A worker that begins anew knows from the record how long it has waited.
    shop.kill("channel push");
    shop.restart("channel push");
    let before = age_of_the_last(&shop, &send);
    until("it is as old as before", || age(&shop, "channel push", &send).is_some_and(|age| age >= before));
    shop.providers.answer("push", Answer::Take);
    until("it is handed over", || age(&shop, "channel push", &send) == Some(0.0));
    shop.settle();
    // How long each part of the way took, histograms say: it was the provider's.
    let took = |service: &str, part: &str| {
        let of = |what: &str| shop.services[service].metric(&format!("cascade_{part}_seconds_{what}"));
        of("sum") / of("count")
    };
    assert!(took("channel push", "decision_to_send") > LONG, "the worker that was started last has sent nothing else");
    for (service, part) in [("intake", "event_to_input"), ("operator", "event_to_decision")] {
        assert!((0.0001..LONG).contains(&took(service, part)), "{part}: {}", took(service, part));
    }
}

/// What a service says of a topic; none where it does not speak of it.
fn age(shop: &Installation, service: &str, topic: &str) -> Option<f64> {
    let text = shop.services[service].metrics();
    let label = format!("topic=\"{topic}\"");
    let of_topic = |line: &&str| line.starts_with("cascade_oldest_unread_seconds{") && line.contains(label.as_str());
    text.lines().find(of_topic)?.rsplit_once(' ')?.1.parse().ok()
}

/// In seconds, of the newest record of a topic.
fn age_of_the_last(shop: &Installation, topic: &str) -> f64 {
    let newest = shop.read(topic).into_iter().map(|record| record.appended_at).max().expect("there is a record");
    (stream::clock::machine_now() - newest) as f64 / 1000.0
}
