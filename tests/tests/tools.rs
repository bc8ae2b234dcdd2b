//! Tools that touch everybody's data, and the canary, on real processes.

use std::collections::{BTreeMap, BTreeSet};

use schemas::{Consent, Contact, Fact, Input, Origin, Profile, Reason, Release, Topics};
use serde_json::Value;
use stream::kafka::partition_of;
use system_tests::changelog::Changelog;
use system_tests::feed::{create_topics, delete_topics, enlarge_topic};
use system_tests::installation::{HOUR, Installation, MINUTE, Plan};
use system_tests::shop::sorted;
use system_tests::wait::{until, until_ok};

/// First a push, and after three hours an SMS to whom nothing is heard of.
const CAMPAIGN: &str = "campaign: probe
version: 1
trigger: {on: registration}
goal: {action: purchase}
stop: delivered
steps:
  - {name: first, channel: push, template: welcome, wait: 3h}
  - {name: second, channel: sms, template: welcome, valid: 1d}
";

const CUSTOMERS: usize = 40;

fn shop(name: &str) -> Installation {
    let templates = ["welcome.push".to_owned(), "welcome.sms".to_owned()];
    let plan = Plan { plain_templates: &templates, ..Plan::new(name, &[CAMPAIGN], &["push", "sms"]) };
    let shop = Installation::start(&plan);
    let customers: Vec<String> = (0..CUSTOMERS).map(|number| format!("c{number}")).collect();
    customers.iter().for_each(|customer| shop.customer(customer, &["push", "sms"]));
    shop.settle();
    customers.iter().for_each(|customer| shop.registration(customer));
    shop.settle();
    assert_eq!(shop.sends().len(), CUSTOMERS);
    shop
}

/// Another number of partitions, in the midst of everybody's cascade.
#[test]
fn state_goes_into_more_partitions_and_cascades_go_on() {
    let mut shop = shop("rekeyed");
    shop.receipt(&shop.message("c0", "push"), "delivered");
    shop.purchase("c1");
    shop.pass(HOUR);
    let before = Changelog::read(shop.place.brokers(), &shop.topics.changelog()).rows();
    assert_eq!(before.len(), CUSTOMERS);
    let sent: BTreeSet<String> = shop.sends().into_iter().map(|send| send.send_id).collect();
    let old = shop.topics.clone();
    move_to(&mut shop, "rekeyed-2", 5);

    let rekey = ["rekey", "--from-prefix", "rekeyed", "--yes"];
    let words = shop.tool_that_fails(rekey);
    assert!(words.contains("group rekeyed.operator has members"), "{words}");
    let names: Vec<String> = shop.services.keys().cloned().collect();
    for name in names {
        shop.service(&name).process().terminate();
        shop.services.remove(&name);
    }
    // What came when nobody was there to read it stands in the way, too.
    shop.purchase_in(&old, "c2");
    let home = leave_unread(&shop, &old);
    let words = until_ok("everybody's session has ended", || match shop.tool_that_fails(&rekey[..3]) {
        words if words.contains("has members") => Err(words),
        words => Ok(words),
    });
    for obstacle in [
        "rekeyed.intake has not read 1 records of rekeyed.action",
        "rekeyed.intake has not read 1 records of rekeyed.cart",
        "rekeyed.operator has not read 1 records of rekeyed.input",
        "rekeyed.send.fax.workers has not read 1 records of rekeyed.send.fax",
        &format!("partition {home} of rekeyed.input has 1 records that were not decided on"),
    ] {
        assert!(words.contains(obstacle), "nothing of {obstacle} in\n{words}");
    }
    delete_topics(shop.place.brokers(), &["rekeyed.send.fax"]);
    catch_up(&mut shop, &old, 2);
    move_to(&mut shop, "rekeyed-2", 5);
    let words = until_ok("everybody's session has ended once more", || {
        let (is_done, words) = shop.try_tool(rekey);
        if is_done { Ok(words) } else { Err(words) }
    });
    assert!(words.starts_with(&format!("{CUSTOMERS} rows of rekeyed.changelog (2 partitions)")), "{words}");
    for topic in ["rekeyed.profile,", "rekeyed.changelog,", "rekeyed.send.sms,", "rekeyed.dead-letter;"] {
        assert!(words.contains(topic), "that {topic} is to be deleted is not said in\n{words}");
    }

    let before = Changelog::read(shop.place.brokers(), &old.changelog()).rows();
    let after = Changelog::read(shop.place.brokers(), &shop.topics.changelog());
    assert_eq!(after.rows(), before, "the same rows, byte by byte");
    assert!((0..5).all(|partition| after.metas(partition).count() == 1), "each partition has its META");
    let words = shop.tool_that_fails(&rekey[..3]);
    assert!(words.contains("rekeyed-2.changelog is not new"), "{words}");
    assert!(shop.tool(["state", "verify"]).contains(&format!("{CUSTOMERS} rows in 5 partitions")));

    shop.bring_up(&["tracker", "intake", "operator", "channel push", "channel sms"]);
    shop.settle();
    assert_eq!(shop.sends().len(), 0, "nothing is sent twice");
    shop.pass(2 * HOUR + MINUTE);
    let sends = shop.sends();
    // One was reached, one has bought, and one bought while everything stood still.
    assert_eq!(sends.len(), CUSTOMERS - 3);
    assert!(sends.iter().all(|send| send.channel == "sms" && !sent.contains(&send.send_id)));
    shop.service("operator").process().terminate();
    let words = shop.tool(["state", "verify"]);
    assert!(words.contains(&format!("; {CUSTOMERS} of them are the same in")), "{words}");
    spoil_a_row(&shop);
    let words = shop.tool_that_fails(["state", "verify"]);
    assert!(words.contains("1 rows differ from the changelog"), "{words}");
}

/// A record of a source without a key, a fact that was not decided on, and a command of a channel that is configured no more. The partition of the
/// fact.
fn leave_unread(shop: &Installation, old: &Topics) -> i32 {
    shop.feed.send_without_key(&old.cart(), 0, b"nobody can read this");
    let release = Release {
        event_id: "release".to_owned(),
        customer_id: "c3".to_owned(),
        occurred_at: shop.now(),
        ..Release::default()
    };
    let input = Input { origin: Origin::default(), fact: Fact::Release(release), hops: 0 };
    shop.tell(&old.input(), "c3", &input);
    create_topics(shop.place.brokers(), &[(&old.send("fax"), 1)]);
    shop.feed.send(&old.send("fax"), "c3", b"a command");
    shop.feed.flush();
    partition_of(b"c3", 2)
}

/// Changes the last byte of a row in a local store, as no operator does.
fn spoil_a_row(shop: &Installation) {
    let store = (0..shop.partitions).find_map(|partition| {
        let path = shop.place.path(&format!("state-one/{}-{partition}", shop.topics.input()));
        let store = rocksdb::DB::open_default(path).expect("nobody else has it open");
        let row = store.iterator(rocksdb::IteratorMode::Start).flatten().find(|(key, _)| key.starts_with(b"R"));
        row.map(|row| (store, row))
    });
    let (store, (key, mut value)) = store.expect("there are rows");
    *value.last_mut().expect("a row has bytes") ^= 1;
    store.put(key, value).and_then(|()| store.flush()).expect("it can be written");
}

/// Settings, topics and names of another prefix.
fn move_to(shop: &mut Installation, prefix: &str, partitions: i32) {
    shop.rename(prefix, partitions);
    shop.tool(["topics", "apply"]);
}

/// What was left unread is read, under the old names.
fn catch_up(shop: &mut Installation, old: &Topics, partitions: i32) {
    shop.rename("rekeyed", partitions);
    assert_eq!(shop.topics.input(), old.input());
    shop.bring_up(&["intake", "operator", "channel push", "channel sms"]);
    shop.settle();
    for name in ["intake", "operator", "channel push", "channel sms"] {
        shop.service(name).process().terminate();
        shop.services.remove(name);
    }
}

/// Nothing is left of who wants to be forgotten but what is said to be left.
#[test]
fn a_customer_is_erased_with_proof() {
    let mut shop = shop("erased");
    let shown = shop.tool(["state", "show", "c7"]);
    let row: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!((&row["key"], &row["row"]["instances"][0]["campaign"]), (&"c7".into(), &"probe".into()));
    assert!(!shown.contains("c7-push") && shop.tool(["state", "show", "c7", "--addresses"]).contains("c7-push"));

    let told = shop.tool(["erase", "--customer", "c7"]);
    assert!(told.contains("nothing was erased"), "{told}");
    let line =
        |told: &str, topic: &str| told.lines().find(|line| line.trim_start().starts_with(topic)).map(str::to_owned);
    for topic in ["erased.profile ", "erased.changelog "] {
        let line = line(&told, topic);
        assert!(line.as_ref().is_some_and(|line| line.ends_with("until it is erased")), "{line:?} in\n{told}");
    }
    assert!(told.contains("topics of the prefix erased alone"), "{told}");
    assert!(shop.tool(["state", "show", "c7"]).contains("probe"));
    let added = displace_profile(&mut shop, "c7");
    let told = shop.tool(["erase", "--customer", "c7", "--yes"]);
    assert!(told.contains("customer c7 is forgotten") && told.contains("no row is left"), "{told}");
    for topic in ["erased.input", "erased.send.push", "erased.journal", "erased.changelog", "erased.profile"] {
        assert!(line(&told, topic).is_some(), "nothing of {topic} in\n{told}");
    }
    assert!(!told.contains("for ever") && !told.contains("until it is") && !told.contains("erased.send.sms"), "{told}");
    let profile = shop.read(&shop.topics.profile());
    let of_customer = profile.iter().filter(|message| message.key == b"c7");
    let last: BTreeMap<i32, bool> = of_customer.map(|message| (message.partition, message.value.is_none())).collect();
    assert_eq!(
        last,
        [(added, true), (partition_of(b"c7", 2), true)].into(),
        "partitions of c7, and whether it is gone"
    );

    let words = shop.tool_that_fails(["state", "show", "c7"]);
    assert!(words.contains("nothing is known of customer c7"), "{words}");
    let changelog = shop.read(&shop.topics.changelog());
    let last = changelog.iter().rfind(|message| message.key.ends_with(b"c7") && message.key.len() == 3);
    assert!(last.is_some_and(|message| message.value.is_none()), "the changelog holds a tombstone");
    let journal = shop.read(&shop.topics.journal());
    let reasons: Vec<Reason> = journal
        .iter()
        .map(|message| message.decode::<schemas::Journal>())
        .filter(|entry| entry.customer_id == "c7")
        .map(|entry| entry.reason)
        .collect();
    assert_eq!(reasons.last(), Some(&Reason::Erased), "{reasons:?}");
    let exported = shop.tool(["state", "export"]);
    assert_eq!(exported.lines().count(), CUSTOMERS - 1);
    assert!(!exported.contains("\"c7\"") && !exported.contains("-push\""), "{exported}");
    shop.assert_equal_to_a_fold();
}

/// Adds partitions to the topic of profiles, so that what is known of this customer stands where its key does not belong any more. Where it
/// does by now.
fn displace_profile(shop: &mut Installation, customer: &str) -> i32 {
    let (old, mut count) = (partition_of(customer.as_bytes(), 2), 3);
    while partition_of(customer.as_bytes(), count) == old {
        count += 1;
    }
    enlarge_topic(shop.place.brokers(), &shop.topics.profile(), usize::try_from(count).expect("there are few"));
    // It hears of new partitions within minutes, or when somebody joins; not when it comes back itself within the session timeout.
    shop.bring_up(&["intake#two"]);
    shop.settle();
    partition_of(customer.as_bytes(), count)
}

/// The same for a whole day, by mail, and by push to whom no mail may be sent.
const LETTER: &str = "campaign: letter
version: 1
trigger: {on: registration}
stop: delivered
steps:
  - {name: letter, channel: email, template: welcome, wait: 1d}
  - {name: push, channel: push, template: welcome}
";

/// Lines of a CRM that knows nothing of what was said since; one has the address under another id.
const OLD_LINES: &str = "customer_id,occurred_at,contacts.email,contacts.push,consents.email,consents.push
amy,2026-05-01T10:00:00Z,amy@example.test,amy-push,true,true
bea,2026-05-01T10:00:00Z,Bob@Example.test,bea-push,true,true
";

/// Nobody finds them by what is kept, and an old line of the CRM does not begin anew.
#[test]
fn who_refused_and_was_erased_is_not_written_to_when_an_old_profile_comes_again() {
    let mut shop = Installation::start(&Plan::new("refused", &[LETTER], &["email", "push"]));
    for customer in ["amy", "bob"] {
        shop.customer(customer, &["email", "push"]);
        shop.settle();
        shop.registration(customer);
        shop.settle();
        shop.unsubscribe(&shop.message(customer, "email"));
    }
    shop.settle();
    let told = shop.tool(["erase", "--customer", "amy", "--yes"]);
    assert!(told.contains("refused.suppression keeps, as 2 keyed hashes, the refusal of email: all of them"), "{told}");
    // The shop may say so itself.
    shop.feed.forget_in(&shop.topics.profile(), partition_of(b"bob", 2), b"bob");
    shop.feed.flush();
    shop.settle();
    assert!(shop.tool_that_fails(["state", "show", "bob"]).contains("nothing is known"));
    let kept = shop.read(&shop.topics.suppression());
    assert_eq!(kept.len(), 4, "an id and an address of each");
    for record in kept {
        let text = String::from_utf8_lossy(&record.key).into_owned();
        assert!(text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()), "{text}");
        let suppression: schemas::Suppression = record.decode();
        assert_eq!(suppression.since, shop.now());
    }

    // Whoever takes in profiles knows it also when he begins anew.
    shop.restart("intake");
    let file = shop.place.path("old.csv");
    std::fs::write(&file, OLD_LINES).expect("the test's directory can be written to");
    shop.tool(["import", &file.display().to_string(), "--kind", "profile"]);
    shop.pass(MINUTE);
    told_now(&shop, "dan", "bob@example.test");
    shop.settle();
    let before = shop.received().len();
    ["amy", "bea", "dan"].iter().for_each(|customer| shop.registration(customer));
    shop.settle();
    let received = sorted(shop.received().split_off(before));
    assert_eq!(received, ["email to bob@example.test", "push to amy-push", "push to bea-push"], "dan consents now");
    assert_eq!(shop.service("intake").metric("cascade_consents_suppressed_total"), 2.0);
    assert_eq!(shop.service("intake").metric("cascade_suppressions"), 4.0);
    shop.assert_equal_to_a_fold();
}

/// Somebody consents at this moment, to mail to this address.
fn told_now(shop: &Installation, customer: &str, email: &str) {
    let at = shop.now();
    let contacts = vec![Contact { channel: "email".to_owned(), address: email.to_owned() }];
    let consent = Consent { channel: "email".to_owned(), granted: true, at, ..Consent::default() };
    let (event_id, customer_id) = (format!("{customer}-now"), customer.to_owned());
    let profile =
        Profile { event_id, customer_id, occurred_at: at, contacts, consents: vec![consent], ..Profile::default() };
    shop.tell(&shop.topics.profile(), customer, &profile);
}

/// What is kept cannot be found without the secret: intake does not begin as if there were nothing.
#[test]
fn intake_does_not_begin_where_refusals_are_kept_and_the_secret_is_missing() {
    let mut shop = Installation::start(&Plan::new("unkeyed", &[LETTER], &["email"]));
    shop.customer("amy", &["email"]);
    shop.settle();
    shop.registration("amy");
    shop.settle();
    shop.unsubscribe(&shop.message("amy", "email"));
    shop.settle();
    shop.tool(["erase", "--customer", "amy", "--yes"]);
    shop.kill("intake");
    let path = shop.place.path("cascade.toml");
    let text = std::fs::read_to_string(&path).expect("it was written");
    let mut settings: toml::Table = text.parse().expect("settings are TOML");
    settings.remove("suppression");
    std::fs::write(&path, settings.to_string()).expect("it can be written");
    let words = shop.tool_that_fails(["intake", "--ops-listen", "127.0.0.1:0"]);
    assert!(
        words.contains("unkeyed.suppression says who must not be written to, and suppression.secret is not set"),
        "{words}"
    );
    let told = shop.tool_that_fails(["doctor", "--offline"]);
    assert!(told.contains("suppression.secret: is not set"), "{told}");
}

/// All the way round, and not while a part of it is away.
#[test]
fn the_canary_comes_back_unless_something_on_the_way_is_gone() {
    let mut shop = Installation::start(&Plan::new("canary", &[], &["canary"]));
    let canary = "canary --canary-interval 1 --canary-patience 8";
    shop.bring_up(&[canary]);
    let counted = |shop: &mut Installation, outcome: &str| {
        shop.service(canary).metric_with("cascade_canary_rounds_total", &format!("outcome=\"{outcome}\""))
    };
    until("each customer has come back twice", || counted(&mut shop, "returned") >= 4.0);
    assert_eq!(counted(&mut shop, "lost"), 0.0);
    assert!(shop.service(canary).metric("cascade_canary_round_trip_seconds_count") >= 4.0);
    shop.kill("channel canary");
    until("both are missing", || shop.service(canary).metric("cascade_canary_missing_partitions") == 2.0);
    assert!(counted(&mut shop, "lost") >= 2.0);
    shop.bring_up(&["channel canary"]);
    until("both have come back", || shop.service(canary).metric("cascade_canary_missing_partitions") == 0.0);
    let sends = shop.sends();
    let ids: BTreeSet<&str> = sends.iter().map(|send| send.send_id.as_str()).collect();
    assert_eq!(ids.len(), sends.len(), "no round was decided twice");
    let customers: BTreeSet<&str> = sends.iter().map(|send| send.customer_id.as_str()).collect();
    assert_eq!(customers.len(), 2, "one customer for each partition");
}

/// What was mirrored is read, and begins nothing: the steps of `deploy/runbook/disaster.md`.
#[test]
fn what_happened_before_a_disaster_begins_nothing_afterwards() {
    let templates = ["welcome.push".to_owned(), "welcome.sms".to_owned()];
    let plan = Plan { plain_templates: &templates, ..Plan::new("disaster", &[CAMPAIGN], &["push", "sms"]) };
    let mut shop = Installation::prepare(&plan);
    for customer in ["ann", "bea"] {
        shop.customer(customer, &["push", "sms"]);
        shop.registration(customer);
    }
    shop.purchase("bea");
    shop.tool(["campaign", "pause", "probe"]);
    shop.bring_up(&["tracker", "intake", "operator", "channel push", "channel sms"]);
    shop.settle();
    let row = shop.tool(["state", "show", "ann"]);
    assert!(!row.contains("probe"), "{row}");
    shop.tool(["campaign", "resume", "probe"]);
    shop.settle();
    shop.pass(4 * HOUR);
    assert_eq!(shop.commands(), [""; 0], "nobody hears again of what the old side has worked on");
    shop.registration("ann");
    shop.settle();
    assert_eq!(shop.sends().len(), 1, "what happens now begins cascades");
}

/// Partitions were added to the journal in the midst of a story.
#[test]
fn a_story_is_told_whole_when_its_journal_has_more_partitions() {
    let mut shop = shop("longer");
    let count = shop.topics.journal();
    let (old, mut more) = (partition_of(b"c5", 2), 3);
    while partition_of(b"c5", more) == old {
        more += 1;
    }
    let older = shop.tool(["journal", "--customer", "c5", "--json"]);
    enlarge_topic(shop.place.brokers(), &count, usize::try_from(more).expect("there are few"));
    shop.restart("operator");
    shop.settle();
    shop.pass(4 * HOUR);
    let whole = shop.tool(["journal", "--customer", "c5", "--json"]);
    assert!(whole.starts_with(&older), "the older half comes first:\n{whole}");
    let partitions: BTreeSet<i32> =
        shop.read(&count).iter().filter(|message| message.key == b"c5").map(|message| message.partition).collect();
    assert_eq!(partitions, [old, partition_of(b"c5", more)].into(), "it has two halves");
    assert!(whole.lines().count() > older.lines().count(), "{whole}");
}
