//! Corners: what happens where two rare things meet. Each of these cases notices a change of the brain in one place that no other test
//! noticed (`tests/mutants.sh`).

mod rows;
mod world;

use rows::Rows;
use schemas::{Campaign, CampaignKind, Fact, Feedback, Id, Reason, Refusal, Stage, Status};
use world::script::{check, play, told};
use world::{BEGIN, CUSTOMER, HOUR, MINUTE, World, record};

const TWO: &str = "
campaign: two
version: 1
trigger: {on: action, action: lead}
goal: {action: purchase}
stop: goal
steps:
  - {name: first, channel: email, template: t, wait: 3h, valid: 1h}
  - {name: second, channel: sms, template: t, wait: 3h, valid: 3d}
";

#[test]
fn an_earlier_hand_over_moves_no_wait_for_a_step_that_is_given_up() {
    let mut world = World::new(&[TWO]);
    for line in ["0 worker off", "0 has email sms", "0 does lead", "10m accepted first", "1h time passes"] {
        play(&mut world, line);
    }
    let first = "  - {name: first, channel: email, template: t, wait: 3h, valid: 1h}\n";
    world.say(&record(&TWO.replace("version: 1", "version: 2").replace(first, ""))).unwrap();
    let (campaign, steps) = ("two".to_owned(), [("first".to_owned(), String::new())].into());
    let kind = CampaignKind::Migrated;
    world.say(&Campaign { campaign, kind, from_version: 1, version: 2, steps, ..Campaign::default() }).unwrap();
    let send_id = Some(world.sends()[0].send_id.clone());
    world.tell(Fact::Feedback(Feedback {
        event_id: "earlier".into(),
        customer_id: CUSTOMER.into(),
        occurred_at: BEGIN + 5 * MINUTE,
        send_id,
        channel: "email".into(),
        status: Status::Delivered,
        ..Feedback::default()
    }));
    assert_eq!(world.customer.instances[0].due, BEGIN + 3 * HOUR + 10 * MINUTE);
}

#[test]
fn what_fell_due_in_a_pause_that_skips_is_passed_over_although_it_is_valid() {
    let three = format!("{TWO}  - {{name: third, channel: push, template: t, after: 1h}}\n");
    check(
        World::new(&[&three
            .replacen("wait: 3h, valid: 1h", "wait: 3h, next_if: [no goal]", 1)
            .replace("second, channel: sms", "second, at: trigger + 4h, channel: sms")]),
        "0 has email sms push
         0 does lead
         1h pause two skip
         30h resume two
         32h time passes",
        "0 ENTERED
         0 send first by email
         1h FROZEN
         1d6h THAWED
         1d6h NO_GOAL first email
         1d6h VALIDITY_OVER second
         1d6h send third by push",
    );
}

#[test]
fn a_refusal_of_another_message_ends_nothing() {
    let text = TWO.replace("channel: email", "channel: sms").replace("goal:", "budget: {minor: 9, per: hour}\ngoal:");
    let mut rows = Rows::new(&[&text]);
    rows.profile("ada", &["sms"], &[]);
    rows.action("ada", "lead", "");
    rows.settle_outside();
    assert_eq!(rows.running()[0].stage, Stage::Asking);
    let send_id = Id::of_send(Id::of_instance("ada", "another", "", ""), 0, 0, 0);
    rows.tell("ada", Fact::Refusal(Refusal { send_id, until: rows.now, again: false }));
    rows.settle_outside();
    assert_eq!(rows.running()[0].stage, Stage::Asking);
    rows.settle();
    assert_eq!(rows.sends.len(), 1);
}

#[test]
fn of_what_is_settled_nothing_is_kept_when_the_cascade_ends() {
    let sms = TWO.replace("channel: email", "channel: sms").replace("second, channel: sms", "second, channel: push");
    for (word, kept) in [("refused", 0), ("accepted", 0), ("unknown", 1)] {
        let mut world = World::new(&[&sms]);
        for line in ["0 worker off", "0 has sms", "0 does lead", &format!("1m {word} first"), "2m does purchase"] {
            play(&mut world, line);
        }
        assert_eq!(world.customer.unsettled.len(), kept, "{word}: {:?}", told(&world));
    }
    // Nor of what costs nothing.
    let mut world = World::new(&[TWO]);
    for line in ["0 worker off", "0 has email", "0 does lead", "2m does purchase"] {
        play(&mut world, line);
    }
    assert_eq!(world.customer.unsettled, []);
}

#[test]
fn what_is_capped_for_ever_says_no_moment() {
    let mut world = World::new(&[TWO]);
    world.cap("caps: [{most: 0, per: day, channel: email}]");
    for line in ["0 has email", "0 does lead"] {
        play(&mut world, line);
    }
    let capped = world.journal().into_iter().find(|entry| entry.reason == Reason::Capped).unwrap();
    assert_eq!((capped.evidence.contains_key("counted"), capped.evidence.contains_key("until")), (true, false));
}

/// Of two messages the first one arrived and the second one was refused: one counts.
#[test]
fn what_nobody_got_does_not_count_although_another_message_arrived() {
    let other = TWO.replace("campaign: two", "campaign: other").replace("action: lead", "action: other");
    let mut world = World::new(&[TWO, &other]);
    world.cap("caps: [{most: 2, per: 24h}]");
    for line in [
        "0 worker off",
        "0 has email sms",
        "0 does lead",
        "1m delivered first",
        "4h time passes",
        "4h refused second",
        "5h does other",
    ] {
        play(&mut world, line);
    }
    assert_eq!(told(&world).last().map(String::as_str), Some("5h send first by email"), "{:?}", told(&world));
}

#[test]
fn who_is_held_in_a_pause_has_as_long_as_before_it() {
    check(
        World::new(&[TWO]),
        "0 has email
         0 unreadable
         0 does lead
         10m pause two
         40m resume two
         2h time passes",
        "0 HOLD_PLACED
         0 ENTERED
         0 HELD first
         10m FROZEN
         40m THAWED
         1h30m VALIDITY_OVER first
         1h30m EXHAUSTED",
    );
}

/// Of past actions the row keeps only what they were: whether one fulfilled the condition was seen when it came.
#[test]
fn a_goal_under_a_condition_looks_back_as_well() {
    let asking = |matching: &str| {
        let goal = format!("{{action: purchase, where: amount_minor >= 1000, grace: 2h{matching}}}");
        World::new(&[&TWO.replace("{action: purchase}", &goal).replace("action: lead}", "action: lead, key: key}")])
    };
    check(
        asking(""),
        "0 has email
         0 does purchase k amount_minor=999
         1h does lead one
         2h does purchase k amount_minor=1000
         4h does lead two
         4h1m does lead three",
        "1h ENTERED
         1h send first by email
         2h GOAL_REACHED
         4h GOAL_BEFORE
         4h1m ENTERED
         4h1m send first by email",
    );
    check(
        asking(", match: same key"),
        "0 has email
         0 does purchase one amount_minor=1000
         1h does lead one
         1h does lead two",
        "1h GOAL_BEFORE
         1h ENTERED
         1h send first by email",
    );
}

/// Whoever bought these shoes is not told of them again; whoever bought others is.
#[test]
fn a_goal_can_be_the_article_itself() {
    let asking = |more: &str| {
        let goal = format!("{{action: purchase, match: same article, grace: 2h{more}}}");
        World::new(&[&TWO.replace("{action: purchase}", &goal).replace("action: lead}", "action: lead, key: key}")])
    };
    check(
        asking(""),
        "0 has email
         0 does purchase order-1 sku=boots category=winter
         1h does lead boots
         1h does lead sneakers
         1h1m does lead winter
         1h2m does purchase order-2 sku=sandals
         1h3m does purchase sneakers
         1h4m does visit order-3 sku=sneakers
         1h5m does purchase order-4 sku=sneakers category=summer
         1h6m does lead summer
         1h7m does lead",
        "1h GOAL_BEFORE
         1h ENTERED
         1h send first by email
         1h1m GOAL_BEFORE
         1h5m GOAL_REACHED
         1h6m GOAL_BEFORE
         1h7m PREDICATE_FALSE",
    );
    check(
        asking(", where: amount_minor >= 1000"),
        "0 has email
         0 does purchase order-1 sku=boots amount_minor=999
         1h does lead boots
         1h1m does purchase order-2 sku=boots amount_minor=1000
         1h2m does lead boots",
        "1h ENTERED
         1h send first by email
         1h1m GOAL_REACHED
         1h2m GOAL_BEFORE",
    );
}

#[test]
fn a_cart_is_no_article() {
    let text = TWO.replace("{action: purchase}", "{action: purchase, match: same article}");
    let text = text.replace("on: action, action: lead}", "on: cart, key: cart_id}");
    let problems = campaign::parse("two", &text).unwrap_err();
    assert_eq!(problems[0].message, "a cart is no article: this goal is never reached");
}

/// What fulfils one campaign's goal says nothing of another's.
#[test]
fn each_campaign_looks_back_by_its_own_condition() {
    let of = |name: &str, least: u32| {
        let goal = format!("{{action: purchase, where: amount_minor >= {least}, grace: 2h}}");
        TWO.replace("campaign: two", &format!("campaign: {name}")).replace("{action: purchase}", &goal)
    };
    check(
        World::new(&[&of("small", 10), &of("large", 1000)]),
        "0 has email
         0 does purchase k amount_minor=500
         1h does lead",
        "1h ENTERED
         1h send first by email
         1h GOAL_BEFORE",
    );
    let keyed = |text: &str| text.replace("action: lead}", "action: lead, key: key}");
    let article = of("article", 10).replace("grace", "match: same article, grace");
    check(
        World::new(&[&keyed(&of("any", 10)), &keyed(&article)]),
        "0 has email
         0 does purchase k amount_minor=500 sku=boots
         1h does lead sneakers",
        "1h GOAL_BEFORE
         1h ENTERED
         1h send first by email",
    );
}

/// A condition that asks of the past is asked before what comes belongs to it, whether a cascade runs or not.
#[test]
fn what_comes_is_no_past_of_its_own() {
    let goal = "{action: purchase, where: \"did('purchase')\", grace: 2h}";
    check(
        World::new(&[&TWO.replace("{action: purchase}", goal)]),
        "0 has email
         0 does purchase
         1h does lead
         2h does purchase
         3h does lead",
        "1h ENTERED
         1h send first by email
         2h GOAL_REACHED
         3h GOAL_BEFORE",
    );
}

/// However many campaigns have such goals, what customers did is remembered as long as without them; stopped ones ask for nothing.
#[test]
fn goals_under_conditions_drive_no_history_out() {
    let asking: Vec<String> = (0..40)
        .map(|number| {
            let goal = format!("{{action: purchase, where: amount_minor >= {number}, grace: 2h}}");
            let text =
                TWO.replace("campaign: two", &format!("campaign: c{number}")).replace("action: lead", "action: other");
            text.replace("{action: purchase}", &goal)
        })
        .collect();
    let visited = "campaign: visited
version: 1
trigger: {on: action, action: lead, where: \"did('visit', 90)\"}
steps: [{name: only, channel: email, template: t}]
";
    let mut texts: Vec<&str> = asking.iter().map(String::as_str).collect();
    texts.push(visited);
    let mut world = World::new(&texts);
    for line in ["0 has email", "0 does visit", "1d does purchase k amount_minor=100", "2d does lead"] {
        play(&mut world, line);
    }
    assert_eq!(told(&world), ["2d ENTERED", "2d send only by email"]);
    assert_eq!(world.customer.done.len(), 1 + campaign::limits::FULFILLED);
    (0..40).for_each(|number| play(&mut world, &format!("3d stop c{number}")));
    play(&mut world, "4d does purchase k2 amount_minor=100");
    let newer = world.customer.done.iter().filter(|done| done.key.as_deref() == Some("k2"));
    assert_eq!(newer.count(), 0, "nobody hopes for it any more");
}

/// Versions that nobody begins any more do not drive out what the newest of another campaign asks.
#[test]
fn what_the_newest_versions_ask_is_forgotten_last() {
    let of = |name: &str, version: usize, least: usize| {
        let goal = format!("{{action: purchase, where: amount_minor >= {least}, grace: 2h}}");
        let text = TWO.replace("campaign: two", &format!("campaign: {name}")).replace("{action: purchase}", &goal);
        text.replace("version: 1", &format!("version: {version}"))
    };
    let many: Vec<String> = (1..=40).map(|version| of("zeta", version, version)).collect();
    let mut texts: Vec<&str> = many.iter().map(String::as_str).collect();
    let alpha = of("alpha", 1, 50);
    texts.insert(0, &alpha);
    let mut world = World::new(&texts);
    for line in ["0 has email", "0 does purchase k amount_minor=100", "1h does lead"] {
        play(&mut world, line);
    }
    assert_eq!(told(&world), ["1h GOAL_BEFORE", "1h GOAL_BEFORE"]);
}
