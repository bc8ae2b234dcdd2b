//! What begins a cascade or meets it again, at its edges: versions of carts, ages, what waits, and what is kept of it. Each of these cases
//! notices a change of the brain in one place that no other test noticed (`tests/mutants.sh`).

mod world;

use schemas::{Action, Fact, Reason};
use world::script::{TWO, check, count, lived, play, told};
use world::{BEGIN, CUSTOMER, DAY, HOUR, World};

const CART: &str = "
campaign: cart
version: 1
trigger: {on: cart, where: total_minor >= 1000, key: cart_id, settle: 1h, again: refresh}
goal: {action: purchase}
stop: goal
steps: [{name: first, channel: email, template: t, wait: 1d}]
";

#[test]
fn the_same_version_of_a_cart_is_no_older_one() {
    check(
        World::new(&[CART]),
        "0 has email\n 0 cart c1 2 500\n 1m cart c1 2 5000\n 2m cart c1 2 6000",
        "0 PREDICATE_FALSE\n 1m ENTERED\n 2m SUPERSEDED",
    );
}

#[test]
fn an_older_version_of_a_cart_is_told_with_the_one_that_is_known() {
    let world = lived(CART, "0 has email\n 0 cart c1 3 5000\n 1m cart c1 2 6000");
    let last = world.journal().into_iter().next_back().unwrap();
    assert_eq!((last.reason, &*last.evidence["version"], &*last.evidence["known"]), (Reason::Superseded, "2", "3"));
}

#[test]
fn what_a_campaign_knew_another_one_need_not() {
    let of = |name: &str, least: i64| {
        CART.replace("campaign: cart", &format!("campaign: {name}"))
            .replace("1000", &least.to_string())
            .replace("stop: goal\n", "")
    };
    check(
        World::new(&[&of("small", 1_000), &of("great", 9_000)]),
        "0 has email\n 0 cart c1 1 5000\n 2h delivered first\n 3h cart c1 1 9500",
        "0 PREDICATE_FALSE
         0 ENTERED
         1h send first by email
         2h DELIVERED first email
         2h STOP_REACHED
         3h ENTERED
         3h SUPERSEDED",
    );
}

#[test]
fn a_campaign_that_does_not_tell_carts_apart_knows_an_older_version_of_one_all_the_same() {
    let keyless = CART.replace("campaign: cart", "campaign: any").replace("key: cart_id, ", "");
    let world = lived(&keyless, "0 has email");
    let mut both = World::new(&[&CART.replace("1000", "9000"), &keyless]);
    both.customer = world.customer.clone();
    for line in ["0 cart c1 3 100", "1m cart c1 2 5000"] {
        play(&mut both, line);
    }
    assert_eq!(count(&both, Reason::Superseded), 2, "{:?}", told(&both));
    play(&mut both, "2m cart c2 1 5000");
    let entered = both.journal().into_iter().filter(|it| it.reason == Reason::Entered).map(|it| &*it.campaign);
    assert_eq!(entered.collect::<Vec<_>>(), ["any"], "another cart is another cart: {:?}", told(&both));
}

/// Without a key they are not told apart, so neither is newer.
#[test]
fn what_is_ignored_leaves_the_version_of_another_thing_as_it_is() {
    let keyless = CART.replace("key: cart_id, ", "").replace("refresh", "ignore");
    let world = lived(&keyless, "0 has email\n 0 cart c1 7 5000\n 1m cart c2 3 5000\n 1h time passes");
    assert_eq!((count(&world, Reason::AlreadyRunning), &*world.sends()[0].fields["version"]), (1, "7"));
}

/// Its clock is behind, so it is no news; but the cascade is over.
#[test]
fn a_purchase_that_only_ends_a_cascade_is_known_again() {
    let mut world = lived(TWO, "0 has email\n 0 does purchase\n 1d time passes\n 1d does lead");
    let (event_id, customer_id, action) = ("late".to_owned(), CUSTOMER.to_owned(), "purchase".to_owned());
    let late = Action { event_id, customer_id, action, occurred_at: BEGIN - HOUR, ..Action::default() };
    world.tell(Fact::Action(late.clone()));
    world.tell(Fact::Action(late));
    assert_eq!(told(&world)[2..], ["1d GOAL_REACHED", "1d DUPLICATE"]);
}

#[test]
fn of_what_was_done_the_latest_is_remembered_for_each_key() {
    let asks = TWO.replace("action: lead", "action: lead, where: did('visit')");
    let world = lived(&asks, "1h does visit a\n 2h does visit b\n 3h does visit a\n 4h does visit");
    let done: Vec<_> = world.customer.done.iter().map(|done| (done.key.as_deref(), done.occurred_at - BEGIN)).collect();
    assert_eq!(done, [(Some("b"), 2 * HOUR), (Some("a"), 3 * HOUR), (None, 4 * HOUR)]);
}

#[test]
fn what_waits_is_not_given_up_for_what_the_campaign_does_not_want() {
    let queue = TWO.replace("action: lead", "action: lead, where: amount_minor >= 10, again: queue");
    check(
        World::new(&[&queue]),
        "0 has email
         0 does lead amount_minor=10
         1h does lead amount_minor=20
         2h does lead amount_minor=5
         2h30m delivered first",
        "0 ENTERED
         0 send first by email
         1h QUEUED
         2h ALREADY_RUNNING
         2h30m DELIVERED first email
         2h30m STOP_REACHED
         2h30m ENTERED
         2h30m send first by email",
    );
}

#[test]
fn a_template_gets_what_the_profile_knows_and_of_the_same_name_what_the_trigger_said() {
    let world = lived(TWO, "0 has email\n 0 profile city=Kazan plan=gold\n 0 does lead city=Tula");
    let fields = &world.sends()[0].fields;
    assert_eq!(
        (fields.get("city"), fields.get("plan"), fields.get("action")),
        (Some("Tula"), Some("gold"), Some("lead"))
    );
}

#[test]
fn an_older_version_of_a_cart_does_not_wait_on_where_the_newer_one_would_not() {
    let queue = CART.replace("settle: 1h, again: refresh", "again: queue");
    let lives = |versions: &[(i32, i32)]| {
        let mut world = lived(&queue, "0 has email\n 0 cart c1 1 5000");
        for (version, total) in versions {
            play(&mut world, &format!("1h cart c1 {version} {total}"));
        }
        play(&mut world, "2d time passes");
        world.sends().iter().map(|send| send.fields["version"].to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(lives(&[(2, 6_000)]), ["1", "2"]);
    assert_eq!(lives(&[(2, 6_000), (3, 100)]), ["1"]);
}

#[test]
fn a_version_that_is_ignored_is_known_all_the_same() {
    let ignores = CART.replace("refresh", "ignore");
    let world = lived(&ignores, "0 has email\n 0 cart c1 1 5000\n 1m cart c1 3 5000\n 2m cart c1 2 5000");
    assert_eq!(told(&world), ["0 ENTERED", "1m ALREADY_RUNNING", "2m SUPERSEDED"]);
}

#[test]
fn of_a_trigger_only_so_much_is_kept() {
    let at_the_limit = "x".repeat(512);
    let (long, many) = (format!("{at_the_limit}x"), (0..40).map(|index| format!("n{index:02}=1")).collect::<Vec<_>>());
    let lead = format!("0 does lead a={at_the_limit} b={long} {}", many.join(" "));
    let world = lived(TWO, &format!("0 has email\n {lead}"));
    let fields = &world.sends()[0].fields;
    assert_eq!(fields.get("a"), Some(&*at_the_limit));
    assert_eq!((fields.get("b"), fields.iter().count()), (None, 32), "{fields:?}");
}

#[test]
fn a_trigger_as_old_as_it_may_be_begins_and_an_older_one_does_not() {
    let aged = TWO.replace("action: lead", "action: lead, max_age: 1h");
    let begins = |age: i64| {
        let mut world = lived(&aged, "0 has email\n 1d time passes");
        let (event_id, customer_id, action) = ("old".to_owned(), CUSTOMER.to_owned(), "lead".to_owned());
        let occurred_at = BEGIN + DAY - age;
        world.tell(Fact::Action(Action { event_id, customer_id, action, occurred_at, ..Action::default() }));
        count(&world, Reason::Entered) == 1
    };
    assert_eq!((begins(HOUR), begins(HOUR + 1)), (true, false));
}

/// It may not begin anew, since what came is too old for that; but what goes out speaks of it.
#[test]
fn what_settles_takes_over_what_may_not_restart_it() {
    let restarts = CART.replace("again: refresh", "again: restart, max_age: 2h");
    let mut world = lived(&restarts, "0 has email\n 0 cart c1 1 5000");
    world.tell(Fact::Cart(schemas::Cart {
        event_id: "old".into(),
        customer_id: CUSTOMER.into(),
        occurred_at: BEGIN - DAY,
        cart_id: "c1".into(),
        version: 2,
        total_minor: 7_000,
        items: vec![schemas::Item::default()],
        ..schemas::Cart::default()
    }));
    play(&mut world, "1h time passes");
    assert_eq!(told(&world), ["0 ENTERED", "0 REFRESHED", "1h send first by email"]);
    assert_eq!(world.sends()[0].fields["total_minor"], "7000");
}

/// A campaign for each of these triggers, `c0` and so on.
fn row_of(triggers: &[String]) -> World {
    let definition = |(number, trigger): (usize, &String)| {
        format!(
            "campaign: c{number}
version: 1
trigger: {{{trigger}}}
steps: [{{name: only, channel: email, template: t}}]
"
        )
    };
    let definitions: Vec<String> = triggers.iter().enumerate().map(definition).collect();
    World::of_texts(&definitions)
}

/// Nobody can be reached, so all of it happens at one moment.
#[test]
fn however_many_campaigns_follow_upon_each_other_none_is_lost() {
    let follow = |number: usize| format!("on: end, of: c{number}");
    let triggers: Vec<String> = std::iter::once("on: registration".to_owned()).chain((0..20).map(follow)).collect();
    let mut world = row_of(&triggers);
    play(&mut world, "0 registers");
    let entered: Vec<&str> = world
        .journal()
        .into_iter()
        .filter(|entry| entry.reason == Reason::Entered)
        .map(|entry| entry.campaign.as_str())
        .collect();
    let all: Vec<String> = (0..=20).map(|number| format!("c{number}")).collect();
    assert_eq!(entered, all);
}

/// `check` and `apply` refuse it; whoever publishes it all the same finds in the journal where it ended.
#[test]
fn a_ring_of_campaigns_ends_and_says_so() {
    let mut world = row_of(
        &["on: registration", "on: end, of: [c0, c2, c3]", "on: end, of: [c1, c3]", "on: end, of: [c1, c2]"]
            .map(str::to_owned),
    );
    play(&mut world, "0 registers");
    assert_eq!(count(&world, Reason::Entered), 1 + 3 * 16);
    assert_eq!(count(&world, Reason::Exhausted), 1 + 3 * 16);
    let refused: Vec<_> = world.journal().into_iter().filter(|entry| entry.reason == Reason::OftenEnough).collect();
    // Each of the 48 ends would begin two, and so does the first one: 97 in all, less those that did begin.
    assert_eq!(refused.len(), 97 - 48);
    assert!(refused.iter().all(|entry| entry.evidence["at_once"] == "16"));
}
