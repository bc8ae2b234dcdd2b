//! The same facts by every way in: from a producer on Kafka, by signed HTTP, and from a file.

use std::collections::BTreeSet;

use schemas::{Action, Fact, Input, Journal, Reason, dead_letter, encode};
use serde_json::{Value, json};
use system_tests::installation::{HOUR, Installation, Plan};
use system_tests::process::Process;
use system_tests::wait::until;

/// Somebody becomes a lead: one push.
const OFFER: &str = "
campaign: offer
version: 1
trigger: {on: action, action: lead, key: key}
steps:
  - {name: push, channel: push, template: offer}
";

fn installation(name: &str) -> Installation {
    let templates = ["offer.push".to_owned()];
    Installation::prepare(&Plan { plain_templates: &templates, ..Plan::new(name, &[OFFER], &["push"]) })
}

fn lead(shop: &Installation, customer: &str, event: &str) -> Action {
    Action {
        event_id: event.to_owned(),
        customer_id: customer.to_owned(),
        occurred_at: shop.now(),
        action: "lead".to_owned(),
        key: Some("k".to_owned()),
        attributes: [("points".to_owned(), "5".to_owned())].into(),
        ..Action::default()
    }
}

fn by_http(shop: &Installation, events: &Value) -> Option<u16> {
    shop.post_signed("/events/sandbox", &events.to_string())
}

fn event(action: &Action) -> Value {
    json!({"type": "action", "data": action})
}

/// Writes a file and imports it.
fn by_file(shop: &Installation, name: &str, text: &str, more: &[&str]) -> String {
    let file = shop.place.path(name);
    std::fs::write(&file, text).expect("the test's directory can be written to");
    let mut words = vec!["import".into(), file.into_os_string(), "--kind".into(), "action".into()];
    words.extend(more.iter().map(std::ffi::OsString::from));
    shop.tool(words)
}

fn inputs(shop: &Installation, customer: &str) -> Vec<Input> {
    let input = shop.read(&shop.topics.input());
    let of_customer = input.iter().filter(|record| record.key == customer.as_bytes());
    of_customer.map(|record| record.decode()).filter(|input: &Input| matches!(input.fact, Fact::Action(_))).collect()
}

#[test]
fn a_fact_is_the_same_by_whatever_way_it_came_and_begins_one_cascade() {
    let mut shop = installation("same");
    shop.bring_up(&["tracker", "intake", "operator", "channel push"]);
    shop.customer("amy", &["push"]);
    shop.settle();
    let action = lead(&shop, "amy", "lead-1");
    assert_eq!(by_http(&shop, &event(&action)), Some(204));
    shop.tell(&shop.topics.action(), "amy", &action);
    shop.feed.flush();
    let line = serde_json::to_string(&action).expect("it is JSON") + "\n";
    by_file(&shop, "leads.ndjson", &line, &[]);
    let at = shop.now();
    let table = format!("event_id,who,occurred_at,action,key,attributes.points\nlead-1,amy,{at},lead,k,5\n");
    by_file(&shop, "leads.csv", &table, &["--map", "customer_id=who"]);
    shop.settle();

    let source = shop.read(&shop.topics.action());
    let bytes: BTreeSet<Option<Vec<u8>>> = source.iter().map(|record| record.value.clone()).collect();
    assert_eq!((source.len(), bytes.len()), (4, 1), "the same bytes by four ways");
    let placed: BTreeSet<(i32, Vec<u8>)> = source.iter().map(|record| (record.partition, record.key.clone())).collect();
    assert_eq!(placed.len(), 1, "and in the same partition");
    let facts = inputs(&shop, "amy");
    assert_eq!(facts.len(), 4);
    assert!(facts.iter().all(|input| input.fact == facts[0].fact));
    let journal: Vec<Journal> = shop.read(&shop.topics.journal()).iter().map(|record| record.decode()).collect();
    let entered: Vec<&Journal> = journal.iter().filter(|entry| entry.reason == Reason::Entered).collect();
    assert_eq!(entered.len(), 1, "one cascade");
    shop.pass(HOUR);
    assert_eq!(shop.received(), ["push to amy-push"]);

    refused_alike(&shop);
}

/// What intake refuses, it refuses of everybody; what is no record at all is not taken by HTTP.
fn refused_alike(shop: &Installation) {
    let nobody = lead(shop, "", "lead-2");
    shop.tell(&shop.topics.action(), "", &nobody);
    shop.feed.flush();
    assert_eq!(by_http(shop, &json!([event(&nobody)])), Some(204));
    let mut typed_wrong = event(&nobody);
    typed_wrong["data"]["ammount_minor"] = 5.into();
    assert_eq!(by_http(shop, &json!([event(&lead(shop, "amy", "lead-3")), typed_wrong])), Some(400));
    shop.settle_intake();
    let letters = shop.read(&shop.topics.dead_letter());
    let codes: Vec<Option<&str>> = letters.iter().map(|letter| letter.header(dead_letter::CODE)).collect();
    assert_eq!(codes, [Some("field_empty"); 2]);
    assert_eq!(letters[0].value, letters[1].value);
    assert_eq!(letters[0].value.as_deref(), Some(encode(&nobody).as_slice()));
    assert_eq!(inputs(shop, "amy").len(), 4, "nothing of a request that was refused");
}

const LINES: usize = 40_000;

#[test]
fn an_import_that_was_killed_goes_on_and_leaves_nothing_out() {
    let shop = installation("import");
    let text: String = (0..LINES)
        .map(|number| {
            format!("{{\"customer_id\":\"c{number}\",\"occurred_at\":{},\"action\":\"visit\"}}\n", number + 1)
        })
        .collect();
    let file = shop.place.path("visits.ndjson");
    std::fs::write(&file, text).expect("the test's directory can be written to");
    let words = ["import", &file.display().to_string(), "--kind", "action"].map(str::to_owned);

    let said = shop.tool(words.iter().map(String::as_str).chain(["--dry-run"]));
    assert!(said.contains(&format!("{LINES} records are right, 0 are not")), "{said}");
    let topic = shop.topics.action();
    assert!(shop.read(&topic).is_empty(), "a rehearsal publishes nothing");

    let environment = [("CASCADE_CONFIG", shop.place.path("cascade.toml"))];
    let log = shop.place.path("import.log");
    let mut import = Process::start(&system_tests::installation::binary(), &words, environment, &log);
    let ends = system_tests::tail::Ends::new(shop.place.brokers());
    let published = || ends.of(std::slice::from_ref(&topic)).values().sum::<i64>();
    until("some of it is published", || published() > 1_000);
    import.kill();
    let before = published();
    assert!(before < LINES as i64, "it was faster than the test");

    let said = shop.tool(&words);
    assert!(said.contains("of them were published"), "{said}");
    let all = shop.read(&topic);
    let actions: BTreeSet<(String, String)> = all
        .iter()
        .map(|record| record.decode::<Action>())
        .map(|action| (action.event_id, action.customer_id))
        .collect();
    assert_eq!(actions.len(), LINES, "nothing is left out, and a repeat has the same id");
    assert!(all.len() <= LINES + 1_000, "{} of {LINES}: one portion at most comes twice", all.len());

    let said = shop.tool(&words);
    assert!(said.contains("0 of them were published"), "{said}");
    assert_eq!(shop.read(&topic).len(), all.len(), "nothing comes a third time");
}
