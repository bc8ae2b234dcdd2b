//! What a channel does when its first route is out or mute, and when it has spent what it may in an hour: also over a crash.

use std::collections::BTreeSet;

use schemas::{Attempt, AttemptState, Feedback, Status};
use serde_json::json;
use system_tests::installation::{Installation, Plan};
use system_tests::providers::Answer;
use system_tests::wait::until;

/// In minor units: two segments, at the price of `deploy/campaigns/prices.yaml` each.
const PRICE: i64 = 8;

const HOUR: i64 = 3_600_000;

/// SMS goes by two routes, and costs no more than so many messages an hour; 0: without a limit.
fn limited(shop: &Installation, messages: i64) {
    let settings = shop.place.path("cascade.toml");
    let mut text: toml::Table =
        std::fs::read_to_string(&settings).expect("settings").parse().expect("settings are TOML");
    let route = |name: &str| json!({"kind": "http", "url": format!("http://{}/{name}", shop.providers.gateway), "timeout_seconds": 3});
    let transport = json!({"kind": "routes", "order": ["main", "spare"], "routes": {"main": route("main"), "spare": route("spare")}});
    let sms = text["channel"]["sms"].as_table_mut().expect("a channel is a table");
    sms.insert("transport".to_owned(), toml::Value::try_from(transport).expect("settings are TOML"));
    sms.insert("spend_per_hour".to_owned(), (messages * PRICE).into());
    std::fs::write(&settings, text.to_string()).expect("it can be written");
}

#[test]
fn the_spare_route_takes_over_and_the_fence_holds_over_a_crash() {
    let mut shop =
        Installation::prepare(&Plan { partitions: 1, ..Plan::new("routes", &["bonus-expiring"], &["push", "sms"]) });
    limited(&shop, 3);
    shop.providers.answer("main", Answer::Busy);
    shop.bring_up(&["tracker", "intake", "operator", "channel push", "channel sms"]);
    shop.settle();
    let customers = ["ann", "bea", "cyd", "dan", "eve"];
    customers.iter().for_each(|name| shop.customer(name, &["sms"]));
    shop.settle();
    customers.iter().for_each(|name| shop.action(name, "bonus_expiring", Some("a"), &[("points", "5")]));
    let handed = |shop: &Installation| shop.providers.handed().len();
    let fenced = |shop: &mut Installation| {
        shop.service("channel sms").metric_with("cascade_spend_fenced_partitions", "channel=\"sms\"")
    };
    until("three messages went out", || handed(&shop) == 3);
    until("the others wait at the fence", || fenced(&mut shop) == 1.0);
    let accepted = |shop: &Installation| {
        let all = shop.read(&shop.topics.feedback());
        let all = all.iter().map(|record| record.decode::<Feedback>());
        all.filter(|feedback| feedback.status == Status::Accepted).collect::<Vec<_>>()
    };
    // What is in doubt at a crash is not sent again.
    until("the three are told of", || accepted(&shop).len() == 3);
    shop.kill("channel sms");
    shop.restart("channel sms");
    until("they wait there after a crash, too", || fenced(&mut shop) == 1.0);
    assert_eq!(handed(&shop), 3, "what was spent stays spent");
    shop.set_clock(shop.now() + HOUR);
    until("the next hour lets them out", || handed(&shop) == 5);
    let all = shop.providers.handed();
    assert!(all.iter().all(|handed| handed.channel == "spare"), "{all:?}");
    assert_eq!(all.iter().map(|handed| &handed.send_id).collect::<BTreeSet<_>>().len(), 5, "each once");
    until("all are told of", || accepted(&shop).len() == 5);
    let by_spare = |feedback: &Feedback| feedback.provider_id.as_ref().is_some_and(|id| id.starts_with("spare:spare-"));
    assert!(accepted(&shop).iter().all(by_spare));
    let attempts = shop.read(&shop.topics.attempt("sms"));
    let settled = attempts.iter().filter(|record| record.value.is_some()).map(|record| record.decode::<Attempt>());
    let versions: BTreeSet<Option<String>> =
        settled.filter(|attempt| attempt.state == AttemptState::Settled).map(|attempt| attempt.content).collect();
    assert!(versions.len() == 1 && !versions.contains(&None), "all were made by one version: {versions:?}");
}

#[test]
fn a_route_that_does_not_answer_holds_up_no_other() {
    let mut shop = Installation::prepare(&Plan {
        partitions: 1,
        ..Plan::new("mute-route", &["bonus-expiring"], &["push", "sms"])
    });
    limited(&shop, 0);
    shop.providers.answer("main", Answer::Silence);
    shop.bring_up(&["tracker", "intake", "operator", "channel push", "channel sms"]);
    shop.settle();
    let told = |shop: &Installation, status: Status| {
        let all = shop.read(&shop.topics.feedback());
        all.iter().map(|record| record.decode::<Feedback>()).filter(|feedback| feedback.status == status).count()
    };
    for wave in ["a", "b"] {
        let customers: Vec<String> = (0..5).map(|number| format!("{wave}{number}")).collect();
        customers.iter().for_each(|name| shop.customer(name, &["sms"]));
        shop.settle();
        customers.iter().for_each(|name| shop.action(name, "bonus_expiring", Some("a"), &[("points", "5")]));
        // Nobody knows what became of the first ones, so they go no other way.
        until("all of the wave are told of", || {
            told(&shop, Status::Unknown) + told(&shop, Status::Accepted) == if wave == "a" { 5 } else { 10 }
        });
        if wave == "a" {
            assert_eq!(told(&shop, Status::Unknown), 5);
        }
    }
    // One may have been a trial of the route that is out.
    assert!(told(&shop, Status::Accepted) >= 4, "the other route was held up");
}
