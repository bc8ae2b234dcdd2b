//! Several customers with one address: what is heard of it counts for each of them, where the caps say so.

mod rows;
mod world;

use std::collections::BTreeSet;

use proptest::prelude::*;
use rows::Rows;
use schemas::suppression::{mark_of_customer, marks_of_address};
use schemas::{Consent, Contact, Customer, Fact, Feedback, Id, Key, Profile, Reason, Status};
use world::{HOUR, MINUTE};

const CAMPAIGN: &str = "campaign: news
version: 1
trigger: {on: action, action: news, key: key}
steps:
  - {name: letter, channel: email, template: t, wait: 1d, next_if: [not delivered, no information]}
  - {name: sms, channel: sms, template: t}
";
const HOME: &str = "home@example.org";

fn rows(shared: &str) -> Rows {
    let mut rows = Rows::new(&[CAMPAIGN]);
    let definition = format!("shared_addresses: {shared}\ncaps: []\n");
    let kind = schemas::CampaignKind::Caps;
    rows.plans.apply(&schemas::Campaign { kind, definition, ..schemas::Campaign::default() }).unwrap();
    rows
}

/// A profile with these addresses, whose consents are of this moment.
fn lives(rows: &mut Rows, id: &str, contacts: &[(&str, &str)], formerly: &[&str]) {
    let now = rows.now;
    let contact =
        |(channel, address): &(&str, &str)| Contact { channel: (*channel).into(), address: (*address).into() };
    let consent = |(channel, _): &(&str, &str)| Consent {
        channel: (*channel).into(),
        granted: true,
        at: now,
        ..Consent::default()
    };
    rows.now += 1;
    let profile = Profile {
        event_id: format!("profile-{now}-{id}"),
        customer_id: id.to_owned(),
        occurred_at: now,
        contacts: contacts.iter().map(contact).collect(),
        consents: contacts.iter().map(consent).collect(),
        formerly: formerly.iter().map(|id| (*id).to_owned()).collect(),
        ..Profile::default()
    };
    rows.tell(id, Fact::Profile(profile));
}

/// A word about the newest send to a customer, or about none.
fn word(rows: &mut Rows, id: &str, status: Status) {
    let send = rows.sends.iter().rev().find(|(to, send)| to == id && send.channel == "email");
    let send_id = send.map(|(_, send)| send.send_id.clone());
    let word = Feedback {
        event_id: format!("word-{}-{id}-{status}", rows.now),
        customer_id: id.to_owned(),
        occurred_at: rows.now,
        send_id,
        channel: "email".to_owned(),
        status,
        ..Feedback::default()
    };
    rows.tell(id, Fact::Feedback(word));
}

fn owners(rows: &Rows, address: &str) -> Vec<String> {
    match rows.rows.get(&Key::address(Id::of_address("email", address))) {
        Some(campaign::Row::Address(address)) => address.owners.clone(),
        _ => Vec::new(),
    }
}

fn has_address(customer: &Customer) -> bool {
    customer.contacts.iter().any(|contact| contact.channel == "email")
}

fn has_consent(customer: &Customer) -> bool {
    customer.consents.iter().any(|consent| consent.channel == "email" && consent.granted)
}

/// Two who live together, a message to each on its way, and one who lives elsewhere.
fn household(shared: &str) -> Rows {
    let mut rows = rows(shared);
    for (id, address) in [("ann", HOME), ("bob", HOME), ("eve", "eve@example.org")] {
        lives(&mut rows, id, &[("email", address), ("sms", &format!("+7900-{id}"))], &[]);
        rows.action(id, "news", "k");
    }
    rows.settle();
    rows.now += HOUR;
    rows
}

#[test]
fn who_has_one_address_hears_that_it_is_dead() {
    for (shared, hears) in [("facts", true), ("off", false)] {
        let mut rows = household(shared);
        word(&mut rows, "ann", Status::BouncedHard);
        rows.settle();
        let has = ["ann", "bob", "eve"].map(|id| has_address(&rows.customer(id)));
        assert_eq!(has, [false, !hears, true], "{shared}");
        let told: Vec<&str> =
            rows.journal.iter().filter(|it| it.reason == Reason::SharedAddress).map(|it| &*it.customer_id).collect();
        assert_eq!(told, if hears { vec!["bob"] } else { vec![] });
        assert_eq!(owners(&rows, HOME), Vec::<String>::new(), "nobody has it any more, and nothing is kept of it");
        // A profile does not bring it back.
        lives(&mut rows, "bob", &[("email", HOME)], &[]);
        rows.settle();
        assert_eq!(has_address(&rows.customer("bob")), !hears);
    }
}

#[test]
fn who_has_one_address_is_not_written_to_after_one_wants_no_more() {
    for status in [Status::Unsubscribed, Status::Complained] {
        let mut rows = household("facts");
        assert_eq!(rows.running().len(), 3);
        word(&mut rows, "ann", status);
        rows.settle();
        assert_eq!(["ann", "bob", "eve"].map(|id| has_consent(&rows.customer(id))), [false, false, true]);
        assert_eq!(rows.running().len(), 1, "what stood on the channel ends for both, and no SMS answers it");
        assert_eq!(rows.customer("bob").consents.len(), 2, "other channels are not concerned");
        // A consent that is newer holds, for whoever gave it.
        rows.now += MINUTE;
        lives(&mut rows, "bob", &[("email", HOME)], &[]);
        rows.settle();
        assert_eq!(["ann", "bob"].map(|id| has_consent(&rows.customer(id))), [false, true]);
    }
}

#[test]
fn what_is_heard_of_an_address_that_is_not_written_to_already_is_told_once() {
    let mut rows = household("facts");
    for status in [Status::Unsubscribed, Status::Complained] {
        word(&mut rows, "ann", status);
        rows.settle();
        rows.action("bob", "news", "another");
        rows.settle();
    }
    let told = rows.journal.iter().filter(|it| it.reason == Reason::SharedAddress);
    assert_eq!(told.map(|it| &*it.customer_id).collect::<Vec<_>>(), ["bob"]);
}

#[test]
fn of_all_that_can_be_heard_of_an_address_only_what_ends_it_counts() {
    let mut rows = household("facts");
    let before = rows.customer("bob");
    let (address, from, occurred_at) = (Id::of_address("email", HOME), "ann".to_owned(), rows.now);
    let status = Status::Delivered;
    rows.tell("bob", Fact::Hearsay(schemas::Hearsay { address, from, status, occurred_at }));
    rows.settle();
    assert_eq!(rows.customer("bob"), before);
}

/// What the customer agreed to on another channel says nothing of this one.
#[test]
fn a_newer_consent_for_another_channel_keeps_no_word_out() {
    assert_eq!(who_may_be_written_to_where_bobs_newer_consent_is_for("sms", 0), [false, false, true]);
    assert_eq!(who_may_be_written_to_where_bobs_newer_consent_is_for("email", 0), [false, true, true]);
    // Of the very moment of the word it is no newer one.
    assert_eq!(who_may_be_written_to_where_bobs_newer_consent_is_for("email", HOUR / 2), [false, false, true]);
}

fn who_may_be_written_to_where_bobs_newer_consent_is_for(newer: &str, age: i64) -> [bool; 3] {
    let mut rows = household("facts");
    rows.tell("bob", {
        let contact = |(channel, address): (&str, &str)| Contact { channel: channel.into(), address: address.into() };
        let consent = |(channel, at)| Consent { channel, granted: true, at, ..Consent::default() };
        Fact::Profile(Profile {
            event_id: "newer".into(),
            customer_id: "bob".into(),
            occurred_at: rows.now,
            contacts: [("email", HOME), ("sms", "+7900-bob")].map(contact).into(),
            consents: ["sms", "email"]
                .map(|it| consent((it.to_owned(), rows.now - if it == newer { age } else { HOUR })))
                .into(),
            ..Profile::default()
        })
    });
    rows.settle();
    // The word comes now; it is of half an hour ago.
    let now = rows.now;
    rows.now -= HOUR / 2;
    word(&mut rows, "ann", Status::Unsubscribed);
    rows.now = now;
    rows.settle();
    let told = rows.journal.iter().filter(|it| it.reason == Reason::SharedAddress).count();
    assert_eq!(told, usize::from(newer != "email" || age > 0));
    ["ann", "bob", "eve"].map(|id| has_consent(&rows.customer(id)))
}

/// Whom nobody finds by it but whoever has the marks of id or address.
#[test]
fn a_refusal_outlives_the_erasure_for_the_id_each_former_one_and_the_address_and_nothing_else_does() {
    let mut rows = rows("off");
    lives(&mut rows, "guest", &[("sms", "+7900")], &[]);
    rows.settle();
    lives(&mut rows, "ann", &[("email", HOME), ("sms", "+7900")], &["guest"]);
    rows.settle();
    rows.erase("nobody");
    word(&mut rows, "ann", Status::Unsubscribed);
    rows.settle();
    assert_eq!(rows.suppressed, [], "as long as the row is there, it says so itself");
    rows.erase("ann");
    rows.settle();
    let wanted = ["ann", "guest"].map(|id| mark_of_customer(id, "email"));
    assert_eq!(
        rows.suppressed.iter().copied().collect::<BTreeSet<Id>>(),
        wanted.into_iter().chain(marks_of_address("email", "Home@Example.org ")).collect()
    );
    assert_eq!(rows.customer("ann"), Customer::default());
    // Who is erased once more, or comes back and refuses nothing, leaves nothing more.
    let before = rows.suppressed.len();
    rows.erase("ann");
    rows.settle();
    lives(&mut rows, "ann", &[("email", HOME)], &[]);
    rows.erase("ann");
    rows.settle();
    assert_eq!(rows.suppressed.len(), before);
}

/// A row that was on its way to somebody who was erased meanwhile.
#[test]
fn a_refusal_under_a_former_id_outlives_the_erasure_of_whoever_asked_for_it() {
    let mut rows = rows("off");
    lives(&mut rows, "guest", &[("email", HOME)], &[]);
    word(&mut rows, "guest", Status::Complained);
    rows.settle();
    lives(&mut rows, "ann", &[("sms", "+7900")], &["guest"]);
    rows.settle_outside();
    rows.erase("ann");
    rows.settle_outside();
    rows.settle();
    let found: BTreeSet<Id> = rows.suppressed.iter().copied().collect();
    let wanted = ["ann", "guest"].map(|id| mark_of_customer(id, "email"));
    assert_eq!(found, wanted.into_iter().chain(marks_of_address("email", HOME)).collect());
}

#[test]
fn who_comes_later_with_an_older_consent_hears_of_it_and_who_consents_now_does_not() {
    let mut rows = household("facts");
    let before = rows.now - 30 * MINUTE;
    word(&mut rows, "ann", Status::Unsubscribed);
    rows.settle();
    let now = std::mem::replace(&mut rows.now, before);
    lives(&mut rows, "old", &[("email", HOME)], &[]);
    rows.settle();
    rows.now = now + MINUTE;
    lives(&mut rows, "new", &[("email", HOME)], &[]);
    rows.settle();
    assert_eq!(["old", "new"].map(|id| has_consent(&rows.customer(id))), [false, true]);
    assert_eq!(owners(&rows, HOME), ["ann", "bob", "old", "new"]);
}

#[test]
fn an_address_held_by_one_costs_a_record_for_each_change_and_none_otherwise() {
    let mut rows = rows("facts");
    let forwards = |rows: &mut Rows| {
        rows.settle_outside();
        let before = rows.waiting();
        rows.settle();
        before
    };
    lives(&mut rows, "ann", &[("email", HOME)], &[]);
    assert_eq!(forwards(&mut rows), 1);
    lives(&mut rows, "ann", &[("email", HOME)], &[]);
    assert_eq!(forwards(&mut rows), 0, "nothing has changed");
    rows.action("ann", "news", "k");
    assert_eq!(forwards(&mut rows), 0, "a message asks nobody");
    lives(&mut rows, "ann", &[("email", "new@example.org")], &[]);
    assert_eq!(forwards(&mut rows), 2, "one goes, one comes");
    assert_eq!((owners(&rows, HOME).len(), owners(&rows, "new@example.org")), (0, vec!["ann".to_owned()]));
    rows.erase("ann");
    assert_eq!(forwards(&mut rows), 1);
    assert!(rows.rows.values().all(campaign::Row::is_empty), "nothing is left of whoever was erased");
}

#[test]
fn profiles_from_before_the_table_are_told_of_with_the_next_one() {
    let mut rows = rows("off");
    lives(&mut rows, "ann", &[("email", HOME)], &[]);
    rows.settle();
    assert_eq!(owners(&rows, HOME), Vec::<String>::new());
    rows.plans = self::rows("facts").plans;
    lives(&mut rows, "ann", &[("email", HOME)], &[]);
    rows.settle();
    assert_eq!(owners(&rows, HOME), ["ann"]);
}

/// Nobody asked the address to remember them.
#[test]
fn an_address_that_does_not_know_of_a_customer_hears_no_word_of_it() {
    let mut rows = household("off");
    let (kind, definition) = (schemas::CampaignKind::Caps, "shared_addresses: facts\ncaps: []\n".to_owned());
    rows.plans.apply(&schemas::Campaign { kind, definition, ..schemas::Campaign::default() }).unwrap();
    word(&mut rows, "ann", Status::Unsubscribed);
    rows.settle();
    assert_eq!(rows.rows.keys().collect::<Vec<_>>(), ["ann", "bob", "eve"]);
}

/// It changed while the caps did not say so: the address hears of it with the next profile.
#[test]
fn a_profile_that_changes_while_nothing_is_shared_is_told_of_afterwards() {
    let mut rows = rows("facts");
    let shares = |rows: &mut Rows, shared: &str| {
        let (kind, definition) = (schemas::CampaignKind::Caps, format!("shared_addresses: {shared}\ncaps: []\n"));
        rows.plans.apply(&schemas::Campaign { kind, definition, ..schemas::Campaign::default() }).unwrap();
    };
    for (shared, address) in [("facts", HOME), ("off", "away@example.org"), ("facts", "away@example.org")] {
        shares(&mut rows, shared);
        lives(&mut rows, "ann", &[("email", address)], &[]);
        rows.settle();
    }
    assert_eq!(owners(&rows, "away@example.org"), ["ann"]);
}

#[test]
fn no_more_than_eight_hear_of_each_other() {
    let mut rows = rows("facts");
    for number in 0..10 {
        lives(&mut rows, &format!("c{number}"), &[("email", HOME)], &[]);
        rows.settle();
    }
    assert_eq!(owners(&rows, HOME).len(), 8);
    word(&mut rows, "c9", Status::Unsubscribed);
    rows.settle();
    let silent = (0..10).filter(|number| !has_consent(&rows.customer(&format!("c{number}")))).count();
    assert_eq!(silent, 9, "the tenth tells the eight, and the ninth hears nothing");
}

/// What happens to one of a few customers with a few addresses.
#[derive(Clone, Debug)]
enum Op {
    Lives(usize, usize, Option<usize>),
    Erased(usize),
    News(usize),
    Word(usize, Status),
    Passes(i64),
    Delivers(usize),
    Fires(usize),
}

const IDS: [&str; 4] = ["ann", "bob", "eve", "guest"];
const ADDRESSES: [&str; 3] = [HOME, "work@example.org", ""];

fn op() -> impl Strategy<Value = Op> {
    let statuses = vec![Status::BouncedHard, Status::Unsubscribed, Status::Complained, Status::Accepted];
    prop_oneof![
        5 => (0..4_usize, 0..3_usize, prop::option::weighted(0.2, 0..4_usize)).prop_map(|(id, at, was)| Op::Lives(id, at, was)),
        1 => (0..4_usize).prop_map(Op::Erased),
        4 => (0..4_usize).prop_map(Op::News),
        2 => (0..4_usize, prop::sample::select(statuses)).prop_map(|(id, status)| Op::Word(id, status)),
        2 => (MINUTE..4 * HOUR).prop_map(Op::Passes),
        20 => (0..64_usize).prop_map(Op::Delivers),
        3 => (0..4_usize).prop_map(Op::Fires),
    ]
}

proptest! {
    #![proptest_config(world::cases(1_000))]

    /// In whatever order rows hear of each other: when all is said, an address knows exactly who has it; nobody has a consent there
    /// that is older than somebody's withdrawal; and nothing that one row says to another goes on for ever.
    #[test]
    fn when_all_is_said_an_address_knows_who_has_it(ops in prop::collection::vec(op(), 1..120)) {
        let mut rows = rows("facts");
        for op in ops {
            match op {
                Op::Lives(id, at, was) => {
                    let contacts: &[(&str, &str)] = if ADDRESSES[at].is_empty() { &[] } else { &[("email", ADDRESSES[at])] };
                    let was: Vec<&str> = was.into_iter().map(|was| IDS[was]).collect();
                    lives(&mut rows, IDS[id], contacts, &was);
                }
                Op::Erased(id) => rows.erase(IDS[id]),
                Op::News(id) => rows.action(IDS[id], "news", "k"),
                Op::Word(id, status) => word(&mut rows, IDS[id], status),
                Op::Passes(span) => rows.now += span,
                Op::Delivers(which) => rows.deliver(which),
                Op::Fires(which) => _ = rows.fire(which),
            }
        }
        rows.live_out();
        for address in ADDRESSES {
            let here = |customer: &Customer| customer.contacts.iter().any(|contact| contact.address == address);
            let wanted: BTreeSet<String> = IDS.into_iter().filter(|id| here(&rows.customer(id))).map(str::to_owned).collect();
            prop_assert_eq!(owners(&rows, address).into_iter().collect::<BTreeSet<_>>(), wanted.clone());
            let Some(campaign::Row::Address(row)) = rows.rows.get(&Key::address(Id::of_address("email", address))) else { continue };
            for id in wanted {
                let consents = rows.customer(&id).consents;
                let withstands = |it: &Consent| !it.granted || row.opted_out_at.is_none_or(|at| it.at >= at);
                prop_assert!(consents.iter().all(withstands), "{id}: {consents:?} after {row:?}");
            }
        }
        prop_assert!(rows.set_aside.is_empty() && rows.hops <= 8);
        prop_assert!(rows.running().is_empty());
    }
}
