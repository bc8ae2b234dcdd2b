//! One customer with several ids: what runs for a former id goes on under the one by which the customer is known now.

mod world;
mod rows;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use rows::Rows;
use schemas::{Campaign, CampaignKind, Fact, Merged, Profile, Reason, Release, Stage, Unreadable};
use world::{DAY, HOUR, MINUTE};

const CART: &str = "
campaign: cart
version: 1
trigger: {on: cart, key: cart_id, settle: 1h, again: refresh}
goal: {action: purchase}
stop: goal
steps:
  - {name: first, any: [push, email], template: t, wait: 1h, valid: 2h, next_if: [not delivered, no goal, no information, cannot send]}
  - {name: second, channel: email, template: t, wait: 2h, next_if: [not delivered, no goal, no information, cannot send]}
  - {name: third, channel: sms, template: t, wait: 2h}
";

/// Everything waits until all that was said has come.
fn rows() -> Rows {
    Rows::new(&[CART])
}

fn reasons(rows: &Rows, id: &str) -> Vec<Reason> {
    rows.journal.iter().filter(|entry| entry.customer_id == id).map(|entry| entry.reason).collect()
}

#[test]
fn a_cart_of_a_visitor_goes_on_with_the_customer_who_was_the_visitor() {
    let mut rows = rows();
    rows.profile("visitor", &["push"], &[]);
    rows.cart("visitor", "c1");
    rows.settle();
    rows.now += HOUR;
    rows.fire(0);
    assert_eq!(rows.sends.len(), 1);
    rows.word(0, true);
    rows.settle();
    rows.profile("ada", &["email"], &["visitor"]);
    rows.settle();
    let (visitor, ada) = (rows.customer("visitor"), rows.customer("ada"));
    assert_eq!(visitor, schemas::Customer { moved_to: Some("ada".into()), ..schemas::Customer::default() });
    assert_eq!(ada.instances.len(), 1);
    assert_eq!(ada.instances[0].stage, Stage::Waiting);
    assert_eq!(ada.contacts.len(), 1, "the profile is the customer's own");
    assert_eq!(ada.contacts[0].address, "ada-email");
    rows.live_out();
    let sends: Vec<(&str, &str)> = rows.sends.iter().map(|(key, send)| (&**key, &*send.step)).collect();
    assert_eq!(sends, [("visitor", "first"), ("ada", "second")]);
    let ids: BTreeSet<&str> = rows.sends.iter().map(|(_, send)| &*send.instance).collect();
    assert_eq!(ids.len(), 1, "it is one cascade");
}

#[test]
fn a_purchase_under_either_id_ends_both_whenever_it_comes() {
    for (buyer, later) in [("visitor", false), ("ada", false), ("visitor", true), ("ada", true)] {
        let mut rows = rows();
        rows.profile("visitor", &["push"], &[]);
        rows.cart("visitor", "c1");
        rows.settle();
        rows.profile("ada", &["email"], &[]);
        rows.cart("ada", "c2");
        rows.settle();
        rows.now += HOUR;
        while rows.fire(0) {}
        assert_eq!(rows.sends.len(), 2);
        rows.now += MINUTE;
        if !later {
            rows.action(buyer, "purchase", "other");
            rows.settle_outside();
        }
        rows.profile("ada", &["email"], &["visitor"]);
        rows.settle();
        if later {
            assert_eq!(rows.running().len(), 2);
            rows.action(buyer, "purchase", "other");
            rows.settle();
        }
        assert_eq!(rows.running().len(), 0, "{buyer} {later}");
        let revoked: BTreeMap<&str, &str> =
            rows.revokes.iter().map(|revoke| (&*revoke.customer_id, &*revoke.channel)).collect();
        assert_eq!(revoked, [("ada", "email"), ("visitor", "push")].into(), "each where its worker looks");
        rows.live_out();
        assert_eq!(rows.sends.len(), 2);
    }
}

#[test]
fn of_two_cascades_about_the_same_thing_the_one_that_has_said_more_goes_on() {
    for (visitor, own) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut rows = rows();
        rows.profile("visitor", &["push"], &[]);
        rows.profile("ada", &["email"], &[]);
        let mut turns = [("visitor", visitor), ("ada", own)];
        turns.sort_by_key(|(_, speaks)| !speaks);
        for (id, speaks) in turns {
            rows.cart(id, "c1");
            rows.settle();
            rows.now += if speaks { HOUR } else { 0 };
            while rows.fire(0) {}
        }
        assert_eq!(rows.sends.len(), usize::from(visitor) + usize::from(own), "{visitor} {own}");
        rows.profile("ada", &["email"], &["visitor"]);
        rows.settle();
        let running = rows.running();
        assert_eq!((running.len(), running[0].adoption.is_some()), (1, visitor && !own), "{visitor} {own}");
        assert!(reasons(&rows, "ada").contains(&Reason::Merged));
        let withdrawn: Vec<_> = rows.revokes.iter().map(|it| (&*it.customer_id, it.reason)).collect();
        let wanted = if visitor && own { vec![("visitor", Reason::Merged)] } else { vec![] };
        assert_eq!(withdrawn, wanted, "what the other one had out is withdrawn");
        rows.now += HOUR;
        while rows.fire(0) {}
        assert_eq!(rows.sends.len(), 1 + usize::from(visitor && own), "nothing is said a second time");
    }
}

#[test]
fn whatever_comes_later_for_a_former_id_is_passed_on() {
    let mut rows = rows();
    rows.cart("visitor", "c1");
    rows.profile("ada", &["push", "email"], &["visitor"]);
    rows.settle();
    rows.cart("visitor", "c2");
    rows.settle();
    assert_eq!(rows.customer("ada").instances.len(), 2);
    rows.tell("visitor", Fact::Unreadable(Unreadable { code: "bad".into() }));
    rows.settle();
    assert!(rows.customer("ada").held.is_some(), "it may have been a purchase");
    rows.tell("visitor", Fact::Release(Release { event_id: "r".into(), ..Release::default() }));
    rows.profile("visitor", &["sms"], &[]);
    rows.settle();
    let ada = rows.customer("ada");
    assert!(ada.held.is_none());
    assert_eq!(ada.contacts.len(), 2, "a former id's profile is not the customer's");
    rows.now += HOUR;
    while rows.fire(0) {}
    assert_eq!(rows.sends.len(), 2);
    assert!(rows.sends.iter().all(|(key, send)| key == "ada" && send.customer_id == "ada"));
}

#[test]
fn a_date_that_is_sooner_under_the_new_id_is_followed() {
    let head = "campaign: ends\nversion: 1\nclass: transactional\ntrigger: {on: action, action: lead}\n";
    let step = "steps: [{name: soon, channel: push, template: t, at: profile.ends}]\n";
    let mut rows = Rows::new(&[&format!("{head}{step}")]);
    let knows = |id: &str, ends: &str, formerly: Vec<String>| {
        let attributes = [("ends".to_owned(), ends.to_owned())].into();
        let (event_id, customer_id) = (id.to_owned(), id.to_owned());
        Fact::Profile(Profile { event_id, customer_id, attributes, formerly, ..Profile::default() })
    };
    rows.tell("visitor", knows("visitor", "2023-11-20", Vec::new()));
    rows.action("visitor", "lead", "");
    rows.settle();
    rows.tell("ada", knows("ada", "2023-11-17", vec!["visitor".to_owned()]));
    rows.settle();
    assert_eq!(rows.running()[0].due, 1_700_179_200_000, "midnight of the 17th");
}

#[test]
fn an_erased_customer_forwards_nothing_and_gets_nothing() {
    let mut rows = rows();
    rows.profile("visitor", &["push"], &[]);
    rows.cart("visitor", "c1");
    rows.settle();
    rows.now += HOUR;
    rows.fire(0);
    // The former id is asked, and its customer is erased before what was known comes.
    rows.profile("ada", &["email"], &["visitor"]);
    rows.settle_outside();
    rows.erase("ada");
    rows.settle_outside();
    rows.settle();
    assert_eq!(rows.customer("ada"), schemas::Customer::default());
    assert_eq!(rows.running().len(), 0);
    assert_eq!(rows.suppressed, [], "nobody has refused anything");
    assert_eq!((rows.revokes.len(), &*rows.revokes[0].customer_id), (1, "visitor"));
    // And a former id that was erased.
    rows.erase("visitor");
    rows.cart("visitor", "c9");
    rows.settle();
    assert_eq!(rows.customer("visitor").instances.len(), 1);
    assert_eq!(rows.customer("ada"), schemas::Customer::default());
}

#[test]
fn chains_lead_to_their_end_and_rings_lose_nothing() {
    // Visitor, then guest, then ada; the middle is asked before it has what it asked for.
    let mut rows = rows();
    rows.cart("visitor", "c1");
    rows.cart("guest", "c2");
    rows.settle();
    rows.profile("guest", &["push"], &["visitor"]);
    rows.settle_outside();
    rows.profile("ada", &["push"], &["guest"]);
    rows.settle_outside();
    rows.settle();
    assert_eq!(rows.customer("ada").instances.len(), 2);
    rows.cart("visitor", "c3");
    rows.settle();
    assert_eq!(rows.customer("ada").instances.len(), 3);

    // Each of two asks for the other.
    let mut rows = self::rows();
    rows.cart("a", "c1");
    rows.cart("b", "c2");
    rows.profile("a", &["push"], &["b"]);
    rows.profile("b", &["push"], &["a"]);
    rows.settle_outside();
    rows.settle();
    assert_eq!((rows.customer("a").instances.len(), rows.customer("b").moved_to.as_deref()), (2, Some("a")));

    // A ring of three: each goes to the next, and all come home.
    let mut rows = self::rows();
    for (id, cart, former) in [("a", "c1", "b"), ("b", "c2", "c"), ("c", "c3", "a")] {
        rows.cart(id, cart);
        rows.profile(id, &["push"], &[former]);
    }
    rows.settle_outside();
    rows.settle();
    assert_eq!(rows.running().len(), 3);
    assert_eq!(rows.set_aside.len(), 0);
}

/// A chain that is too long is told, and what came is set aside.
#[test]
fn nothing_is_passed_on_for_ever() {
    let mut rows = rows();
    let ids = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    for pair in ids.windows(2) {
        rows.tell(pair[0], Fact::Merged(Merged { into: pair[1].to_owned() }));
        rows.settle();
    }
    rows.cart("b", "near");
    rows.cart("a", "far");
    rows.settle();
    assert_eq!(rows.set_aside, ["too_far"]);
    assert_eq!(rows.running().iter().map(|it| &*it.key).collect::<Vec<_>>(), ["near"]);
    assert!(reasons(&rows, "i").contains(&Reason::TooFar));
}

/// Another partition may know of a version earlier than this one.
#[test]
fn an_adopted_cascade_waits_for_its_version() {
    let soon = CART.replace("settle: 1h", "settle: 30m");
    let mut early = Rows::new(&[&soon]);
    early.cart("visitor", "c1");
    early.profile("ada", &["push"], &["visitor"]);
    let later = soon.replace("version: 1", "version: 2");
    early.plans.apply(&world::record(&later)).unwrap();
    // The visitor's partition knows version 2, the customer's does not.
    early.settle_outside();
    early.deliver(0);
    let known = early.plans.clone();
    early.plans = Rows::new(&[&soon]).plans;
    early.settle();
    assert_eq!(early.running().len(), 1);
    early.now += 30 * MINUTE;
    while early.fire(0) {}
    assert_eq!((early.running().len(), early.sends.len()), (1, 0));
    early.plans = known;
    early.now += 2 * MINUTE;
    while early.fire(0) {}
    assert_eq!(early.sends.len(), 1);
}

#[test]
fn a_repeat_of_what_was_handed_over_changes_nothing() {
    let mut rows = rows();
    rows.cart("visitor", "c1");
    rows.settle();
    let row = rows.customer("visitor");
    rows.profile("ada", &["push"], &["visitor"]);
    rows.settle();
    rows.action("ada", "purchase", "c1");
    rows.settle();
    let before = rows.customer("ada");
    let number = before.formerly[0].adopted.unwrap();
    rows.tell("ada", Fact::Adopted(schemas::Adopted { from: "visitor".into(), row: schemas::encode(&row), number }));
    rows.settle();
    assert_eq!(rows.customer("ada"), before);
    // A row that cannot be read holds whoever it was meant for.
    rows.profile("ada", &["push"], &["guest"]);
    rows.settle_outside();
    rows.tell("ada", Fact::Adopted(schemas::Adopted { from: "guest".into(), row: vec![1, 2, 3], number: 0 }));
    rows.settle_outside();
    assert!(rows.customer("ada").held.is_some());
    assert_eq!(rows.set_aside, ["not_framed"]);
}

/// What began a cascade is no goal of it that was reached under the other id.
#[test]
fn a_cascade_begun_by_its_own_goal_outlives_an_adoption() {
    let review = "
campaign: review
version: 1
trigger: {on: action, action: purchase, key: key, settle: 1h}
goal: {action: purchase}
steps: [{name: ask, any: [push, email], template: t}]
";
    for (here, there) in [(true, false), (false, true)] {
        let mut rows = Rows::new(&[review]);
        rows.profile("ada", &["email"], &[]);
        for (id, buys) in [("ada", here), ("visitor", there)] {
            if buys {
                rows.action(id, "purchase", "k1");
            }
        }
        rows.settle();
        rows.profile("ada", &["email"], &["visitor"]);
        rows.settle();
        assert_eq!(rows.customer("ada").instances.len(), 1, "bought here: {here}");
    }
}

/// A hard bounce of what went to the former id's address.
#[test]
fn an_address_of_a_former_id_does_not_bury_the_customers() {
    for ended in [false, true] {
        let mut rows = rows();
        rows.profile("visitor", &["email"], &[]);
        rows.profile("ada", &["email"], &[]);
        rows.cart("visitor", "c1");
        rows.settle();
        rows.now += HOUR;
        rows.fire(0);
        rows.word(0, true);
        rows.profile("guest", &["email"], &[]);
        rows.settle();
        rows.tell("visitor", Fact::Merged(Merged { into: "guest".into() }));
        rows.now -= HOUR;
        rows.now += 2 * HOUR;
        if ended {
            rows.action("visitor", "purchase", "c1");
        }
        rows.settle_outside();
        // The profile is older than the message.
        let mut ada = rows.customer("ada");
        assert!(ada.profile_at.unwrap() < rows.sends[0].1.decided_at);
        ada.formerly = vec![schemas::Former { customer_id: "visitor".into(), adopted: None }];
        rows.rows.insert("guest".into(), campaign::Row::Customer(ada));
        rows.settle();
        assert_eq!(rows.customer("guest").instances.len(), usize::from(!ended));
        let send = rows.sends[0].1.clone();
        rows.tell(
            "visitor",
            Fact::Feedback(schemas::Feedback {
                event_id: "bounce".into(),
                send_id: Some(send.send_id),
                channel: "email".into(),
                status: schemas::Status::BouncedHard,
                occurred_at: rows.now,
                ..Default::default()
            }),
        );
        rows.settle();
        assert_eq!(rows.customer("guest").contacts.len(), 1, "ended: {ended}");
    }
}

#[test]
fn a_consent_withdrawn_in_a_former_ids_profile_is_withdrawn() {
    let mut rows = rows();
    rows.profile("ada", &["email"], &["visitor"]);
    rows.settle();
    rows.now += MINUTE;
    let consent = schemas::Consent { channel: "email".into(), granted: false, at: rows.now, ..Default::default() };
    let (occurred_at, consents) = (rows.now, vec![consent]);
    let profile = schemas::Profile { event_id: "no".into(), occurred_at, consents, ..Default::default() };
    rows.tell("visitor", Fact::Profile(profile));
    rows.settle();
    let ada = rows.customer("ada");
    assert!(!ada.consents.iter().any(|consent| consent.granted));
    assert_eq!(ada.contacts.len(), 1);
}

#[test]
fn what_waits_for_the_end_of_a_merged_cascade_waits_for_the_other_one() {
    let mut rows = Rows::new(&[&CART.replace("refresh", "queue")]);
    rows.cart("ada", "c1");
    rows.cart("visitor", "c1");
    rows.cart("visitor", "c1");
    rows.settle();
    rows.profile("ada", &["email"], &["visitor"]);
    rows.settle();
    let ada = rows.customer("ada");
    assert_eq!(ada.instances.len(), 1);
    assert!(ada.instances[0].queued.is_some());
}

/// An answer comes from another partition to one that does not know the version.
#[test]
fn an_answer_about_an_unknown_version_asks_again() {
    let text = "
campaign: sms
version: 1
trigger: {on: action, action: a, key: key}
budget: {minor: 4, per: hour, then: stop}
steps: [{name: first, channel: sms, template: t, valid: 2h}]
";
    let mut rows = Rows::new(&[text]);
    rows.profile("visitor", &["sms"], &[]);
    rows.action("visitor", "a", "k1");
    rows.profile("ada", &["sms"], &["visitor"]);
    rows.plans.apply(&world::record(&text.replace("version: 1", "version: 2"))).unwrap();
    rows.settle_outside();
    // The visitor's row is left where the version is known.
    rows.deliver(0);
    let known = std::mem::replace(&mut rows.plans, Rows::new(&[text]).plans);
    rows.settle();
    assert_eq!((rows.running().len(), rows.running()[0].stage), (1, Stage::Delayed));
    rows.plans = known;
    rows.now += MINUTE;
    while rows.fire(0) {}
    rows.settle();
    assert_eq!(rows.sends.len(), 1);
}

/// Silence is joined with reactions, and is that of an address.
#[test]
fn silence_is_joined_where_it_is_of_the_same_address() {
    let heard = |at: i64, unanswered_since: i64| schemas::Heard { channel: "email".into(), at, unanswered_since };
    let joined = |own: schemas::Heard, other: schemas::Heard, address: &str| {
        let row = |heard: schemas::Heard, address: &str| schemas::Customer {
            contacts: vec![schemas::Contact { channel: "email".into(), address: address.into() }],
            profile_at: Some(1),
            heard: vec![heard],
            ..Default::default()
        };
        let mut rows = rows();
        let formerly = vec![schemas::Former { customer_id: "visitor".into(), adopted: None }];
        let ada = schemas::Customer { formerly, ..row(own, "a") };
        rows.rows.insert("ada".into(), campaign::Row::Customer(ada));
        let row = schemas::encode(&row(other, address));
        rows.tell("ada", Fact::Adopted(schemas::Adopted { from: "visitor".into(), row, number: 7 }));
        rows.settle();
        let heard = rows.customer("ada").heard[0].clone();
        (heard.at, heard.unanswered_since)
    };
    assert_eq!(joined(heard(5, 10), heard(3, 8), "a"), (5, 8));
    assert_eq!(joined(heard(5, 10), heard(3, 8), "b"), (5, 10));
    assert_eq!(joined(heard(5, 10), heard(20, 0), "a"), (20, 0));
    assert_eq!(joined(heard(5, 0), heard(3, 4), "a"), (5, 0));
}

/// What happens under one of a few ids.
#[derive(Clone, Debug)]
enum Op {
    Cart(usize, usize),
    Buys(usize),
    Has(usize, Vec<usize>),
    Erased(usize),
    Word(usize, bool),
    Stops,
    Passes(i64),
    Delivers(usize),
    Fires(usize),
}

const IDS: [&str; 4] = ["ada", "guest", "visitor", "walker"];

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..4_usize, 0..3_usize).prop_map(|(id, cart)| Op::Cart(id, cart)),
        2 => (0..4_usize).prop_map(Op::Buys),
        4 => (0..4_usize, prop::collection::vec(0..4_usize, 0..3)).prop_map(|(id, former)| Op::Has(id, former)),
        1 => (0..4_usize).prop_map(Op::Erased),
        5 => (0..6_usize, any::<bool>()).prop_map(|(send, arrives)| Op::Word(send, arrives)),
        1 => Just(Op::Stops),
        3 => (MINUTE..4 * HOUR).prop_map(Op::Passes),
        24 => (0..64_usize).prop_map(Op::Delivers),
        6 => (0..4_usize).prop_map(Op::Fires),
    ]
}

fn happen(rows: &mut Rows, op: Op) {
    match op {
        Op::Cart(id, cart) => rows.cart(IDS[id], &format!("cart-{cart}")),
        Op::Buys(id) => rows.action(IDS[id], "purchase", "k"),
        Op::Has(id, former) => {
            let former: Vec<&str> = former.into_iter().map(|former| IDS[former]).collect();
            rows.profile(IDS[id], &["push", "email", "sms"], &former);
        }
        Op::Erased(id) => rows.erase(IDS[id]),
        Op::Word(send, arrives) => rows.word(send, arrives),
        Op::Stops => drop(rows.plans.apply(&Campaign {
            campaign: "cart".into(),
            kind: CampaignKind::Paused,
            applied_at: rows.now,
            ..Campaign::default()
        })),
        Op::Passes(span) => rows.now += span,
        Op::Delivers(which) => rows.deliver(which),
        Op::Fires(which) => _ = rows.fire(which),
    }
}

const ENDS: [Reason; 9] = [
    Reason::Merged,
    Reason::GoalReached,
    Reason::StopReached,
    Reason::Exhausted,
    Reason::OptedOut,
    Reason::Withdrawn,
    Reason::Erased,
    Reason::CampaignStopped,
    Reason::Capped,
];

proptest! {
    #![proptest_config(world::cases(1_500))]

    /// Under whatever ids a customer is known, and in whatever order rows hear of each other.
    #[test]
    fn nothing_is_sent_twice_and_every_cascade_ends_once(ops in prop::collection::vec(op(), 1..140)) {
        let mut rows = rows();
        for op in ops {
            happen(&mut rows, op);
        }
        rows.settle();
        let resumed = Campaign { campaign: "cart".into(), kind: CampaignKind::Resumed, applied_at: rows.now, ..Campaign::default() };
        rows.plans.apply(&resumed).unwrap();
        // Everybody hears of it, as by the sweep.
        for id in IDS {
            rows.tell(id, Fact::Unreadable(Unreadable { code: "look".into() }));
            rows.tell(id, Fact::Release(Release { event_id: format!("release-{id}"), ..Release::default() }));
        }
        rows.live_out();
        prop_assert!(rows.running().is_empty(), "{:?}", rows.running());
        prop_assert_eq!(rows.set_aside.len(), 0);
        prop_assert!(rows.hops <= campaign::limits::HOPS);

        let ids: BTreeSet<&str> = rows.sends.iter().map(|(_, send)| &*send.send_id).collect();
        prop_assert_eq!(ids.len(), rows.sends.len(), "a message twice");
        let mut entered = BTreeMap::<&str, usize>::new();
        let mut ended = BTreeMap::<&str, usize>::new();
        for entry in rows.journal.iter().filter(|entry| !entry.instance.is_empty()) {
            match entry.reason {
                Reason::Entered => *entered.entry(&entry.instance).or_default() += 1,
                reason if ENDS.contains(&reason) => *ended.entry(&entry.instance).or_default() += 1,
                Reason::Sent => prop_assert!(!ended.contains_key(&*entry.instance), "after its end: {:?}", entry),
                _ => {}
            }
        }
        let of = |id: &str| rows.journal.iter().filter(|entry| entry.instance == id).cloned().collect::<Vec<_>>();
        for id in entered.keys().chain(ended.keys()) {
            prop_assert_eq!((entered.get(id), ended.get(id)), (Some(&1), Some(&1)), "{:?}", of(id));
        }
        for revoke in &rows.revokes {
            let (key, _) = rows.sends.iter().find(|(_, send)| send.send_id == revoke.send_id).unwrap();
            prop_assert_eq!(key, &revoke.customer_id, "withdrawn where nobody looks");
        }
    }

    /// Once the ids are one, a purchase under any of them is the last word, and caps count what went out under all of them.
    #[test]
    fn what_is_one_stays_one(ops in prop::collection::vec(op(), 1..60), buyer in 1..4_usize, most in 1..4_usize) {
        let mut rows = rows();
        let cap = format!("caps: [{{most: {most}, per: 30d, then: stop}}]");
        let cap = Campaign { kind: CampaignKind::Caps, definition: cap, ..Campaign::default() };
        rows.plans.apply(&cap).unwrap();
        for id in IDS {
            rows.profile(id, &["push", "email", "sms"], &[]);
        }
        rows.settle_outside();
        let is_calm = |op: &Op| matches!(op, Op::Cart(..) | Op::Passes(_) | Op::Delivers(_) | Op::Fires(_) | Op::Word(_, true));
        for op in ops.into_iter().filter(is_calm) {
            happen(&mut rows, op);
        }
        rows.settle();
        rows.profile("ada", &["push", "email", "sms"], &["guest", "visitor", "walker"]);
        rows.settle();
        let counted = |rows: &Rows| rows.sends.iter().filter(|(_, send)| send.decided_at > rows.now - 30 * DAY).count();
        let before = counted(&rows);
        for cart in 0..3 {
            rows.cart(IDS[(buyer + cart) % 4], &format!("new-{cart}"));
        }
        rows.settle();
        for _ in 0..8 {
            rows.now += HOUR;
            while rows.fire(0) {}
            rows.word(0, true);
            rows.settle();
        }
        prop_assert!(counted(&rows) <= before.max(most), "{} after {before} of {most}", counted(&rows));
        rows.action(IDS[buyer], "purchase", "k");
        rows.settle();
        let sent = rows.sends.len();
        rows.live_out();
        prop_assert_eq!(rows.sends.len(), sent, "after the purchase");
        prop_assert!(rows.running().is_empty());
    }
}
