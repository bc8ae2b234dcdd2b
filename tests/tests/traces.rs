//! One send is followed from the shop's record to the receipt, by a collector that reads OpenTelemetry's own definitions.

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use schemas::trace::TRACEPARENT;
use schemas::{Action, Send, encode};
use serde_json::json;
use system_tests::collector::{Collector, Span};
use system_tests::installation::{HOUR, Installation, Plan};
use system_tests::wait::{until, until_some};

/// The shop's own trace, as the example of W3C's Trace Context has it.
const SHOP: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

const SERVICES: [&str; 5] = ["tracker", "intake", "operator", "channel push", "channel sms"];

#[test]
fn one_send_is_one_trace_from_the_record_to_the_receipt() {
    let mut shop = prepare("traces");
    let collector = Collector::open();
    follow(&shop, &json!({"endpoint": collector.url(), "one_in": 1}));
    shop.bring_up(&SERVICES);
    begin(&mut shop);
    shop.receipt(&shop.message("annabel", "push"), "delivered");
    shop.settle();

    let push = command(&shop, "annabel", "push");
    let spans = told_of(&collector, &push, &["ENTERED", "SENT", "call", "HANDED_OVER", "DELIVERED"]);
    let one = |name: &str| one(&spans, name);
    let by_id = |id: &str| spans.iter().find(|span| span.id == id).expect("each parent is in the trace");
    let (entered, sent, call) = (one("ENTERED"), one("SENT"), one("call"));
    // The way there: the record, the decision, the command, the call.
    let came = by_id(&entered.parent);
    assert_eq!((came.name.as_str(), came.kind, came.parent.as_str()), ("intake", SpanKind::Consumer, ""));
    assert_eq!(came.attributes["messaging.destination.name"], shop.topics.action());
    assert_eq!(came.links, [&SHOP[3..52]], "it leads to the shop's own trace");
    assert_eq!((&sent.parent, sent.kind), (&entered.id, SpanKind::Producer));
    assert_eq!((&call.parent, call.kind, call.is_error), (&sent.id, SpanKind::Client, false));
    // The way back: what the worker says belongs to its call, a receipt, which knows the send alone, to that.
    for (name, cause) in [("HANDED_OVER", call), ("DELIVERED", sent)] {
        let hop = by_id(&one(name).parent);
        assert_eq!((hop.name.as_str(), &hop.parent), ("intake", &cause.id), "{name}");
        assert_eq!(hop.attributes["messaging.destination.name"], shop.topics.feedback());
        assert!(
            cause.began <= hop.ended && hop.began <= hop.ended && hop.ended <= one(name).ended,
            "{name}: {spans:?}"
        );
    }
    assert_eq!(
        [&entered.service, &sent.service, &call.service],
        ["cascade-operator", "cascade-operator", "cascade-channel-push"]
    );
    assert!(spans.iter().all(|span| span.began <= span.ended && span.began > 0), "{spans:?}");
    assert!(came.began <= entered.began && entered.began <= sent.began && sent.began <= call.began, "{spans:?}");
    // Who serves a channel with a worker of his own reads the same from the header.
    assert_eq!(header(&shop, "annabel").as_deref(), Some(format!("00-{}-{}-01", sent.trace, sent.id).as_str()));

    // A step that is decided hours later has nothing to remember, and is in the same trace.
    shop.pass(3 * HOUR);
    until("the other has an SMS", || shop.received().len() == 3);
    shop.settle();
    let sms = command(&shop, "beatrice", "sms");
    // Each service hands over its own when it pleases.
    let spans = until_some("both calls and their commands are told of", || {
        let spans = told_of(&collector, &sms, &["ENTERED"]);
        let are_two = |name: &str| spans.iter().filter(|span| span.name == name).count() == 2;
        (are_two("SENT") && are_two("call")).then_some(spans)
    });
    let root = spans.iter().find(|span| span.name == "ENTERED").expect("it began");
    assert!(spans.iter().all(|span| span.links.is_empty()), "what its record said was no place in a trace");
    let late = spans.iter().find(|span| span.name == "SENT" && span.attributes["cascade.send"] == sms.send_id);
    assert_eq!(late.expect("it is told of").parent, root.id);
    nothing_personal(&shop, &collector);
    let spans = |outcome: &str| shop.services["operator"].metric_with("cascade_spans_total", outcome);
    assert!(spans("exported") > 0.0 && spans("lost") + spans("dropped") == 0.0);
}

#[test]
fn without_the_switch_nothing_is_told_and_no_header_is_written() {
    let mut shop = prepare("no-traces");
    follow(&shop, &json!({"one_in": 1}));
    shop.bring_up(&SERVICES);
    begin(&mut shop);
    SERVICES.iter().for_each(|name| assert!(shop.service(name).process().terminate().success(), "{name}"));
    for topic in [shop.topics.input(), shop.topics.send("push"), shop.topics.feedback()] {
        let all = shop.read(&topic);
        assert!(!all.is_empty() && all.iter().all(|record| record.header(TRACEPARENT).is_none()), "{topic}");
    }
}

fn prepare(name: &str) -> Installation {
    Installation::prepare(&Plan { partitions: 1, ..Plan::new(name, &["bonus-expiring"], &["push", "sms"]) })
}

/// Both have a push. One record comes with a place in the shop's own trace, the other with what is none.
fn begin(shop: &mut Installation) {
    shop.settle();
    for customer in ["annabel", "beatrice"] {
        shop.customer(customer, &["push", "sms"]);
    }
    shop.settle();
    for (customer, header) in [("annabel", SHOP), ("beatrice", "00-what-is-this")] {
        let action = Action {
            event_id: format!("bonus-of-{customer}"),
            customer_id: customer.to_owned(),
            occurred_at: shop.now(),
            action: "bonus_expiring".to_owned(),
            key: Some("account".to_owned()),
            attributes: [("points".to_owned(), "5".to_owned())].into_iter().collect(),
            ..Action::default()
        };
        shop.feed.send_with(&shop.topics.action(), customer, &encode(&action), (TRACEPARENT, header.as_bytes()));
    }
    until("both have a push", || shop.received().len() == 2);
    shop.settle();
}

/// Writes settings about traces.
fn follow(shop: &Installation, trace: &serde_json::Value) {
    let path = shop.place.path("cascade.toml");
    let mut settings: toml::Table =
        std::fs::read_to_string(&path).expect("settings").parse().expect("settings are TOML");
    settings.insert("trace".to_owned(), toml::Value::try_from(trace).expect("settings are TOML"));
    std::fs::write(&path, settings.to_string()).expect("it can be written");
}

fn command(shop: &Installation, customer: &str, channel: &str) -> Send {
    let mut sends = shop.sends().into_iter();
    sends.find(|send| send.customer_id == customer && send.channel == channel).expect("it was sent")
}

/// The place in a trace that the command to this customer names.
fn header(shop: &Installation, customer: &str) -> Option<String> {
    let commands = shop.read(&shop.topics.send("push"));
    let command = commands.iter().find(|command| command.key_text() == customer).expect("it was published");
    command.header(TRACEPARENT).map(str::to_owned)
}

/// The spans of a send's cascade, when there are all of these.
fn told_of(collector: &Collector, send: &Send, names: &[&str]) -> Vec<Span> {
    let trace = send.instance.replace('-', "");
    until_some(&format!("{names:?} are told of"), || {
        let mut spans = collector.spans();
        spans.retain(|span| span.trace == trace);
        names.iter().all(|name| spans.iter().any(|span| span.name == *name)).then_some(spans)
    })
}

/// The one span of this name, however often it was told.
fn one<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let mut found = spans.iter().filter(|span| span.name == name);
    let span = found.next().expect("it is there");
    assert!(found.all(|other| other.id == span.id), "one decision is one span: {spans:?}");
    span
}

/// No customer, no address and no text is in any span.
fn nothing_personal(shop: &Installation, collector: &Collector) {
    let told = format!("{:?}", collector.spans());
    for handed in shop.providers.handed() {
        for secret in [&handed.to, &handed.title, &handed.text, &handed.receipt_token] {
            assert!(secret.is_empty() || !told.contains(secret.as_str()), "a span has {secret}");
        }
    }
    for customer in ["annabel", "beatrice"] {
        assert!(!told.contains(customer), "a span says who it is about: {customer}");
    }
}
