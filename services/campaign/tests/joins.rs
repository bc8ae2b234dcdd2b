//! Two rows become one: which of two memories holds, and what becomes of what each was about to do. Most cases were found by changing the
//! brain in one place (`tests/mutants.sh`).

mod world;
mod rows;

use campaign::Row;
use rows::Rows;
use schemas::{
    Adopted, Adoption, Begun, Consent, Customer, Fact, Former, Heard, Merged, Profile, Queued, Reason, Stage,
};
use world::script;
use world::{BEGIN, DAY, HOUR, MINUTE};

const CART: &str = "
campaign: cart
version: 1
trigger: {on: cart, key: cart_id, again: queue}
goal: {action: purchase}
steps:
  - {name: first, channel: email, template: t, wait: 1h}
  - {name: second, channel: push, template: t, wait: 2h, next_if: [no information, not delivered]}
  - {name: third, channel: sms, template: t}
";

/// The row of whoever has lived so.
fn lived(happens: &str) -> Customer {
    script::lived(CART, happens).customer.clone()
}

/// The rows, when the visitor's has come to Ada's.
fn adopted(ada: Customer, visitor: &Customer) -> Rows {
    let mut rows = Rows::new(&[CART]);
    let mut ada = ada;
    ada.formerly.push(Former { customer_id: "visitor".into(), adopted: None });
    rows.rows.insert("ada".into(), Row::Customer(ada));
    let row = schemas::encode(visitor);
    rows.tell("ada", Fact::Adopted(Adopted { from: "visitor".into(), row, number: 7 }));
    rows.settle();
    rows
}

/// Ada's row after it.
fn joined(ada: Customer, visitor: &Customer) -> Customer {
    adopted(ada, visitor).customer("ada")
}

fn known(more: Customer) -> Customer {
    Customer { profile_at: Some(BEGIN), ..more }
}

#[test]
fn of_two_triggers_that_wait_the_later_one_does() {
    let waits = |at: i64| {
        let mut row = lived("0 has email\n 0 worker off\n 0 cart c1 1 500");
        let (id, fields) = (format!("of {at}"), schemas::Fields::default());
        row.instances[0].queued = Some(Queued { id, occurred_at: at, at, fields });
        row
    };
    let none = || lived("0 has email\n 0 worker off\n 0 cart c1 1 500");
    let left = |own: Customer, other: Customer| joined(own, &other).instances[0].queued.clone().map(|it| it.at);
    assert_eq!(left(waits(5), waits(6)), Some(6));
    assert_eq!(left(waits(6), waits(5)), Some(6));
    assert_eq!(left(none(), waits(5)), Some(5));
    assert_eq!(left(waits(5), none()), Some(5));
    let mut own = waits(5);
    own.instances[0].queued.as_mut().unwrap().id = "own".into();
    assert_eq!(joined(own, &waits(5)).instances[0].queued.as_ref().unwrap().id, "own", "of two at once the own one");
}

#[test]
fn each_send_keeps_the_id_under_which_it_went_out() {
    let walked = |sends: i32| {
        let mut row = lived("0 has email push\n 0 worker off\n 0 cart c1 1 500\n 1m failed first");
        assert_eq!((row.instances[0].sends.len(), row.instances[0].stage), (2, Stage::Dispatched));
        row.instances[0].adoption = Some(Adoption { customer_id: "walker".into(), sends, at: 1 });
        let adoption = joined(Customer::default(), &row).instances[0].adoption.clone().unwrap();
        assert_eq!(adoption.at, BEGIN, "it came now");
        (adoption.customer_id, adoption.sends)
    };
    assert_eq!(walked(1), ("visitor".to_owned(), 2), "the last one went out under this id");
    assert_eq!(walked(2), ("walker".to_owned(), 2), "both went out under a still earlier one");
}

#[test]
fn only_another_id_is_asked_and_once() {
    let mut rows = Rows::new(&[CART]);
    rows.profile("ada", &["email"], &["", "ada", "tab\t", "visitor", "visitor"]);
    rows.settle();
    rows.profile("ada", &["email"], &["visitor"]);
    rows.settle();
    let asked: Vec<String> = rows.customer("ada").formerly.into_iter().map(|former| former.customer_id).collect();
    assert_eq!(asked, ["visitor"]);
    assert_eq!(rows.journal.iter().filter(|entry| entry.reason == Reason::FormerId).count(), 1);
}

/// What comes home is its own; of what comes a second time nothing is kept unless it is the same once more.
#[test]
fn another_row_of_an_id_that_has_come_is_not_taken() {
    let row = lived("0 has email\n 0 worker off\n 0 cart c1 1 500");
    let mut rows = adopted(Customer::default(), &lived("0 has email"));
    let ended = |rows: &Rows| rows.journal.iter().filter(|entry| entry.reason == Reason::Erased).count();
    let comes = |number: i64| Fact::Adopted(Adopted { from: "visitor".into(), row: schemas::encode(&row), number });
    rows.tell("ada", comes(7));
    rows.settle();
    assert_eq!((rows.running().len(), ended(&rows)), (0, 0), "a repeat");
    rows.tell("ada", comes(8));
    rows.settle();
    assert_eq!((rows.running().len(), ended(&rows)), (0, 2), "the row, and its cascade");
}

#[test]
fn what_comes_home_is_at_home() {
    let row = lived("0 has email\n 0 worker off\n 0 cart c1 1 500");
    let mut rows = Rows::new(&[CART]);
    rows.rows.insert("ada".into(), Row::Customer(Customer { moved_to: Some("guest".into()), ..Customer::default() }));
    rows.tell("ada", Fact::Adopted(Adopted { from: "ada".into(), row: schemas::encode(&row), number: 7 }));
    rows.settle();
    assert_eq!((rows.customer("ada").moved_to, rows.running().len()), (None, 1));
    assert_eq!(rows.running()[0].adoption, None, "it is its own");
}

#[test]
fn what_has_come_home_and_comes_again_is_a_repeat() {
    let ada = lived("0 has email\n 0 worker off\n 0 cart c1 1 500");
    let mut rows = Rows::new(&[CART]);
    rows.rows.insert("ada".into(), Row::Customer(ada.clone()));
    rows.tell("ada", Fact::Adopted(Adopted { from: "ada".into(), row: schemas::encode(&ada), number: 7 }));
    rows.settle();
    assert_eq!(rows.customer("ada"), ada);
    let reasons: Vec<Reason> = rows.journal.iter().map(|entry| entry.reason).collect();
    assert_eq!(reasons, [Reason::Erased], "of a row, and of no cascade");
}

#[test]
fn of_both_the_newest_events_are_remembered() {
    let events = |from: i64| Customer { recent: (from..from + 16).collect(), ..Customer::default() };
    let marks = joined(events(100), &events(200)).recent;
    assert_eq!(marks, (208..216).chain(108..116).collect::<Vec<i64>>());
    let few = |from: i64| Customer { recent: (from..from + 3).collect(), ..Customer::default() };
    assert_eq!(joined(few(100), &few(102)).recent, [103, 104, 100, 101, 102], "each once");
}

#[test]
fn who_reacted_at_the_very_moment_has_not_been_silent_since() {
    let heard = |at: i64, unanswered_since: i64| {
        known(Customer { heard: vec![Heard { channel: "email".into(), at, unanswered_since }], ..Customer::default() })
    };
    let since = |own: Customer, other: &Customer| joined(own, other).heard[0].unanswered_since;
    assert_eq!(since(heard(5, 0), &heard(3, 5)), 0);
    assert_eq!(since(heard(5, 0), &heard(3, 6)), 6);
}

/// A profile of the former id says so, while what was sent under that one still waits at the worker.
#[test]
fn who_wants_no_more_under_a_former_id_ends_what_went_out_under_it() {
    let mut rows = Rows::new(&[CART]);
    rows.profile("visitor", &["email"], &[]);
    rows.cart("visitor", "c1");
    rows.settle();
    rows.profile("ada", &["push"], &["visitor"]);
    rows.settle();
    assert_eq!((rows.running().len(), rows.running()[0].stage), (1, Stage::Dispatched), "nothing is said of email");
    rows.now += MINUTE;
    let says = |channel: &str| {
        let consents = vec![Consent { channel: channel.into(), granted: false, at: BEGIN + 1, ..Consent::default() }];
        let (event_id, customer_id) = (channel.to_owned(), "visitor".to_owned());
        Fact::Profile(Profile { event_id, customer_id, occurred_at: BEGIN + 2, consents, ..Profile::default() })
    };
    rows.tell("visitor", says("sms"));
    rows.settle();
    assert_eq!(rows.running().len(), 1, "of another channel it is no word");
    rows.tell("visitor", says("email"));
    rows.settle();
    assert_eq!((rows.running().len(), rows.revokes.len()), (0, 1));
    assert_eq!((&*rows.revokes[0].customer_id, rows.revokes[0].reason), ("visitor", Reason::OptedOut));
}

#[test]
fn what_was_bought_under_the_other_id_ends_what_began_before_it_and_nothing_else() {
    let running = |buys_before: bool| {
        let mut rows = Rows::new(&[CART]);
        let buys = |rows: &mut Rows| {
            rows.action("ada", "purchase", "other");
            rows.settle();
        };
        rows.profile("ada", &["push"], &[]);
        rows.profile("visitor", &["email"], &[]);
        if buys_before {
            buys(&mut rows);
        }
        rows.now += 9 * DAY;
        rows.cart("visitor", "c1");
        rows.settle();
        rows.now += MINUTE;
        if !buys_before {
            buys(&mut rows);
        }
        rows.profile("ada", &["push"], &["visitor"]);
        rows.settle();
        rows.running().len()
    };
    assert_eq!((running(true), running(false)), (1, 0));
}

#[test]
fn an_hour_long_an_unknown_version_is_waited_for_and_no_longer() {
    let stage = |after: i64| {
        let mut row = lived("0 has email\n 0 worker off\n 0 cart c1 1 500");
        let instance = &mut row.instances[0];
        (instance.version, instance.due) = (2, BEGIN + after);
        instance.adoption = Some(Adoption { customer_id: "visitor".into(), sends: 0, at: BEGIN });
        let mut rows = Rows::new(&[CART]);
        rows.rows.insert("ada".into(), Row::Customer(row));
        rows.now = BEGIN + after;
        assert!(rows.fire(0));
        rows.running().len()
    };
    assert_eq!((stage(HOUR - 1), stage(HOUR)), (1, 0));
}

#[test]
fn while_others_are_looked_at_an_unknown_version_is_asked_for_at_its_moment() {
    let mut row = lived("0 has email\n 0 worker off\n 0 cart c1 1 500\n 0 cart c2 1 500");
    assert_eq!(row.instances.len(), 2);
    for (instance, (version, due)) in row.instances.iter_mut().zip([(2, 50 * MINUTE), (1, 10 * MINUTE)]) {
        (instance.version, instance.due) = (version, BEGIN + due);
        instance.adoption = Some(Adoption { customer_id: "visitor".into(), sends: 1, at: BEGIN });
    }
    let mut rows = Rows::new(&[CART]);
    rows.rows.insert("ada".into(), Row::Customer(row));
    let due = |rows: &Rows| rows.customer("ada").instances[0].due - BEGIN;
    rows.now = BEGIN + 10 * MINUTE;
    assert!(rows.fire(0));
    assert_eq!(due(&rows), 50 * MINUTE);
    rows.now = BEGIN + 50 * MINUTE;
    assert!(rows.fire(0));
    assert_eq!(due(&rows), 51 * MINUTE);
}

/// Of ids that have come already as many are forgotten as is needed.
#[test]
fn sixteen_former_ids_are_known_and_those_that_did_not_come_yet_first_of_all() {
    let ids = |count: usize| {
        let former = |index: usize| Former { customer_id: format!("id{index}"), adopted: (index > 0).then_some(1) };
        Customer { formerly: (0..count).map(former).collect(), ..Customer::default() }
    };
    let visitor =
        Customer { formerly: vec![Former { customer_id: "guest".into(), adopted: None }], ..Customer::default() };
    let known = |count: usize| {
        joined(ids(count), &visitor).formerly.into_iter().map(|former| former.customer_id).collect::<Vec<_>>()
    };
    assert_eq!(known(14).len(), 16, "with the visitor and the guest");
    let full = known(15);
    assert_eq!((full.len(), full.contains(&"id0".to_owned()), full.contains(&"id1".to_owned())), (16, true, false));
}

#[test]
fn who_is_known_under_another_id_goes_there_whatever_else_was_asked_for() {
    let formerly = vec![Former { customer_id: "walker".into(), adopted: None }];
    let mut rows = Rows::new(&[CART]);
    rows.rows.insert("ada".into(), Row::Customer(Customer { formerly, ..Customer::default() }));
    let reasons =
        |rows: &Rows| rows.journal.iter().filter(|it| it.customer_id == "ada").map(|it| it.reason).collect::<Vec<_>>();
    rows.tell("ada", Fact::Merged(Merged { into: "zoe".into() }));
    rows.settle_outside();
    assert_eq!((rows.customer("ada").moved_to.as_deref(), reasons(&rows)), (Some("zoe"), vec![Reason::Moved]));
    // Whoever asks once more has come too late.
    rows.tell("ada", Fact::Merged(Merged { into: "guest".into() }));
    rows.settle_outside();
    assert_eq!(
        (rows.customer("ada").moved_to.as_deref(), reasons(&rows)),
        (Some("zoe"), vec![Reason::Moved, Reason::Superseded])
    );
}

#[test]
fn what_has_begun_under_either_id_is_counted_together() {
    let begun = |of: &[(&str, i32)]| {
        let begun = of.iter().map(|(campaign, times)| Begun { campaign: (*campaign).into(), times: *times }).collect();
        Customer { begun, ..Customer::default() }
    };
    let together = joined(begun(&[("a", 1), ("b", 2)]), &begun(&[("b", 3), ("c", 4)])).begun;
    assert_eq!(together, begun(&[("a", 1), ("b", 5), ("c", 4)]).begun);
}

#[test]
fn sixteen_cascades_run_and_what_comes_beyond_ends() {
    let carts = |count: usize, name: &str| {
        let carts: Vec<String> = (0..count).map(|cart| format!("0 cart {name}{cart} 1 500")).collect();
        lived(&format!("0 has email\n 0 worker off\n {}", carts.join("\n")))
    };
    assert_eq!(joined(carts(15, "a"), &carts(1, "b")).instances.len(), 16);
    assert_eq!(joined(carts(16, "a"), &carts(1, "b")).instances.len(), 16);
}

#[test]
fn what_went_out_under_the_present_id_is_withdrawn_under_it() {
    for (sends, id) in [(1, "ada"), (2, "walker")] {
        let mut row = lived("0 has email push\n 0 worker off\n 0 cart c1 1 500\n 1m failed first");
        row.instances[0].adoption = Some(Adoption { customer_id: "walker".into(), sends, at: BEGIN });
        let mut rows = Rows::new(&[CART]);
        rows.rows.insert("ada".into(), Row::Customer(row));
        rows.action("ada", "purchase", "k");
        rows.settle();
        assert_eq!(rows.revokes.iter().map(|it| &*it.customer_id).collect::<Vec<_>>(), [id]);
    }
}
