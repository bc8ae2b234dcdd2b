//! Edges: the very moment, the very number, and what must not happen beside what must. Each of these cases notices a change of the brain in
//! one place that no other test noticed (`tests/mutants.sh`).

mod world;

use schemas::{Campaign, CampaignKind, Fact, Feedback, Reason, Status};
use world::script::{check, play, told};
use world::{BEGIN, CUSTOMER, HOUR, World, record};

/// An email, three hours, then an SMS; one arrival is enough.
const TWO: &str = "
campaign: two
version: 1
trigger: {on: action, action: lead}
goal: {action: purchase}
steps:
  - {name: first, channel: email, template: t, wait: 3h, valid: 1h}
  - {name: second, channel: sms, template: t, wait: 3h, valid: 1h}
";

/// The world after these lines, one under the other.
fn lived(definition: &str, happens: &str) -> World {
    let mut world = World::new(&[definition]);
    happens.lines().map(str::trim).for_each(|line| play(&mut world, line));
    world
}

fn count(world: &World, reason: Reason) -> usize {
    world.journal().into_iter().filter(|entry| entry.reason == reason).count()
}

// Words about messages.

#[test]
fn a_word_that_decides_nothing_is_neither_told_nor_remembered() {
    let begin = "0 worker off\n 0 has email sms\n 0 does lead\n 1m accepted first";
    for more in ["1m accepted first", "2m sent first\n 2m again"] {
        let world = lived(TWO, &format!("{begin}\n {more}"));
        assert_eq!(told(&world), ["0 ENTERED", "0 send first by email"], "{more}");
        assert_eq!(count(&world, Reason::HandedOver), 1, "{more}");
    }
}

#[test]
fn the_first_word_of_a_hand_over_is_told_whichever_it_is() {
    for word in ["accepted", "sent"] {
        let world = lived(TWO, &format!("0 worker off\n 0 has email sms\n 0 does lead\n 1m {word} first"));
        assert_eq!(count(&world, Reason::HandedOver), 1, "{word}");
    }
}

#[test]
fn what_was_handed_over_and_is_said_to_have_expired_did_not_arrive() {
    check(
        World::new(&[TWO]),
        "0 has email sms\n 0 does lead\n 2m expired first",
        "0 ENTERED\n 0 send first by email\n 2m NOT_DELIVERED first email\n 2m send second by sms",
    );
}

#[test]
fn what_was_handed_over_is_not_withdrawn_by_a_word_of_somebody_else() {
    check(
        World::new(&[TWO]),
        "0 has email sms
         0 does lead
         2m revoked first
         2m unknown first
         9h time passes",
        "0 ENTERED
         0 send first by email
         3h NO_INFORMATION first email
         3h send second by sms
         6h NO_INFORMATION second sms
         6h EXHAUSTED",
    );
}

#[test]
fn a_bad_word_about_a_message_that_was_left_says_which() {
    let words = [
        ("refused", "REFUSED"),
        ("expired", "EXPIRED"),
        ("revoked", "REVOKED"),
        ("unknown", "UNKNOWN_OUTCOME"),
        ("deferred", "DEFERRED"),
        ("failed", "NOT_DELIVERED"),
        ("bounced", "NOT_DELIVERED"),
    ];
    for (word, reason) in words {
        let world = lived(TWO, &format!("0 has email sms\n 0 does lead\n 4h {word} first"));
        assert_eq!(told(&world)[4..], [format!("4h {reason} first email")], "{word}");
    }
}

#[test]
fn a_profile_ends_a_cascade_only_where_its_message_waits_without_a_consent() {
    check(
        World::new(&[TWO]),
        "0 worker off
         0 has email sms
         0 does lead
         10m has email
         20m has push",
        "0 ENTERED
         0 send first by email
         20m revoke email OPTED_OUT
         20m OPTED_OUT first email",
    );
}

#[test]
fn of_two_withdrawals_the_later_one_counts_in_whatever_order_they_come() {
    let word = |event_id: &str, occurred_at: i64| {
        let (event_id, customer_id) = (event_id.to_owned(), CUSTOMER.to_owned());
        let (channel, status) = ("email".to_owned(), Status::Unsubscribed);
        Fact::Feedback(Feedback { event_id, customer_id, occurred_at, channel, status, ..Feedback::default() })
    };
    let mut world = lived(TWO, "0 has email sms\n 1d time passes");
    world.tell(word("later", BEGIN + 3 * HOUR));
    world.tell(word("earlier", BEGIN + HOUR));
    let consents = &world.customer.consents;
    assert_eq!(consents.iter().filter(|consent| consent.channel == "email").count(), 1);
    assert!(consents.iter().any(|consent| !consent.granted && consent.at == BEGIN + 3 * HOUR), "{consents:?}");
}

#[test]
fn who_has_opened_a_message_is_not_said_to_have_not_opened_it() {
    let asks = TWO.replace("wait: 3h, valid: 1h}\n  - {name: s", "wait: 3h, next_if: [not opened]}\n  - {name: s");
    check(
        World::new(&[&asks.replace("steps:", "stop: goal\nsteps:")]),
        "0 has email sms
         0 does lead
         1h opened first
         1d time passes",
        "0 ENTERED
         0 send first by email
         1h OPENED first email
         3h EXHAUSTED",
    );
}

#[test]
fn after_an_outage_what_counts_as_dear_is_what_the_message_cost_when_it_was_sent() {
    let paid = TWO.replace("channel: sms", "channel: viber").replace("channel: email", "channel: sms");
    let after = |second: i64| {
        let prices = |sms: i64| {
            format!("currency: USD\nprices: [{{channel: sms, minor: {sms}}}, {{channel: viber, minor: {second}}}]\n")
        };
        let mut world = World::new(&[&paid]);
        world.apply(CampaignKind::Prices, &prices(4));
        for line in ["0 worker off", "0 has sms viber", "0 does lead"] {
            play(&mut world, line);
        }
        world.apply(CampaignKind::Prices, &prices(9));
        play(&mut world, "30m expired first");
        world.sends().len()
    };
    assert_eq!((after(4), after(5)), (2, 1));
}

#[test]
fn a_send_says_of_each_channel_of_its_step_why_it_was_not_taken() {
    let three = "
campaign: three
version: 1
trigger: {on: action, action: lead}
goal: {action: purchase}
steps:
  - {name: first, channel: telegram, template: t, valid: 1h, wait: 3h}
  - {name: second, any: [viber, sms, email, push], template: t}
";
    let world = lived(
        three,
        "0 worker off\n 0 has telegram viber email push\n 1m refuses email\n 1m does lead\n 30m expired first",
    );
    let sent = world.journal().into_iter().rfind(|entry| entry.reason == Reason::Sent).unwrap();
    let words = ["viber", "sms", "email", "push"].map(|channel| &*sent.evidence[channel]);
    assert_eq!(words, ["too dear after what was kept back", "no contact", "no consent", "ok"]);
}

#[test]
fn an_end_says_whether_an_outage_has_left_dearer_channels_closed() {
    let outage = |happens: &str| {
        let world = lived(TWO, &format!("0 worker off\n {happens}"));
        let end = world.journal().into_iter().next_back().unwrap().clone();
        (end.reason, end.evidence.contains_key("outage"))
    };
    assert_eq!(outage("0 has email sms\n 0 does lead\n 1h expired first"), (Reason::Exhausted, true));
    assert_eq!(outage("0 has email\n 0 does lead\n 1m refused first"), (Reason::Exhausted, false));
    // Nothing is left that could be closed.
    let free = TWO.replace("channel: sms", "channel: push");
    let world = lived(&free, "0 worker off\n 0 has email push\n 0 does lead\n 1h expired first\n 2h expired second");
    let end = world.journal().into_iter().next_back().unwrap();
    assert_eq!((end.reason, end.evidence.contains_key("outage")), (Reason::Exhausted, false));
}

#[test]
fn what_cannot_be_sent_leads_on_only_where_the_step_says_so() {
    let asks = TWO.replace("wait: 3h, valid: 1h}\n  - {name: s", "wait: 3h, next_if: [WHY]}\n  - {name: s");
    let lives = |why: &str, more: &str| {
        let decided = format!("0 ENTERED\n 0 NO_CONTACT first\n {more}");
        check(World::new(&[&asks.replace("WHY", why)]), "0 has sms\n 0 does lead", &decided);
    };
    lives("no information", "0 EXHAUSTED");
    lives("cannot send", "0 send second by sms");
}

#[test]
fn a_message_that_is_withdrawn_again_and_again_has_three_chances() {
    let day = TWO.replacen("valid: 1h", "valid: 1d", 1);
    let mut happens = "0 worker off\n 0 has email\n 0 does lead".to_owned();
    for hour in 1..5 {
        happens.push_str(&format!("\n{hour}h unreadable\n{hour}h1m revoked first\n{hour}h2m release"));
    }
    let world = lived(&day, &happens);
    let attempts: Vec<i32> = world.sends().iter().map(|send| send.attempt).collect();
    assert_eq!(attempts, [0, 1, 2], "{:?}", told(&world));
}

// Triggers.

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

/// Without a key they are not told apart, so neither is newer.
#[test]
fn what_is_ignored_leaves_the_version_of_another_thing_as_it_is() {
    let keyless = CART.replace("key: cart_id, ", "").replace("refresh", "ignore");
    let world = lived(&keyless, "0 has email\n 0 cart c1 7 5000\n 1m cart c2 3 5000\n 1h time passes");
    assert_eq!((count(&world, Reason::AlreadyRunning), &*world.sends()[0].fields["version"]), (1, "7"));
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
fn of_a_trigger_only_so_much_is_kept() {
    let at_the_limit = "x".repeat(512);
    let (long, many) = (format!("{at_the_limit}x"), (0..40).map(|index| format!("n{index:02}=1")).collect::<Vec<_>>());
    let lead = format!("0 does lead a={at_the_limit} b={long} {}", many.join(" "));
    let world = lived(TWO, &format!("0 has email\n {lead}"));
    let fields = &world.sends()[0].fields;
    assert_eq!(fields.get("a"), Some(&*at_the_limit));
    assert_eq!((fields.get("b"), fields.iter().count()), (None, 32), "{fields:?}");
}

// Pauses and migrations.

#[test]
fn a_wait_until_a_time_of_day_that_passes_in_a_pause_is_over_at_the_next_one() {
    check(
        World::new(&[&TWO.replacen("wait: 3h", "wait: 1 day 9:30", 1)]),
        "0 has email sms\n 0 does lead\n 1h pause two\n 20h resume two\n 2d time passes",
        "0 ENTERED
         0 send first by email
         1h FROZEN
         20h THAWED
         1d11h16m40s NO_INFORMATION first email
         1d11h16m40s send second by sms
         1d14h16m40s NO_INFORMATION second sms
         1d14h16m40s EXHAUSTED",
    );
}

/// The world begins at 22:13:20.
#[test]
fn a_time_of_day_that_comes_after_the_pause_or_with_its_end_stays() {
    let morning = "1h FROZEN\n TIME THAWED\n 11h16m40s NO_INFORMATION first email\n 11h16m40s send second by sms";
    for resumed in ["2h", "11h16m40s"] {
        let waits = TWO.replacen("wait: 3h", "wait: 1 day 9:30", 1);
        let happens = format!("0 has email sms\n 0 does lead\n 1h pause two\n {resumed} resume two\n 12h time passes");
        let decided = format!("0 ENTERED\n 0 send first by email\n {}", morning.replace("TIME", resumed));
        check(World::new(&[&waits]), &happens, &decided);
        let starts = TWO.replacen("wait: 3h", "wait: 3h, at: 9:30", 1);
        let decided = format!("0 ENTERED\n 1h FROZEN\n {resumed} THAWED\n 11h16m40s send first by email");
        check(World::new(&[&starts]), &happens, &decided);
    }
}

#[test]
fn what_waits_at_a_worker_is_left_there_where_its_step_has_a_place() {
    let mut world = lived(TWO, "0 worker off\n 0 has email sms\n 0 does lead\n 10m time passes");
    world.say(&record(&TWO.replace("version: 1", "version: 2").replacen("wait: 3h", "wait: 2h", 1))).unwrap();
    let (campaign, kind) = ("two".to_owned(), CampaignKind::Migrated);
    world.say(&Campaign { campaign, kind, from_version: 1, version: 2, ..Campaign::default() }).unwrap();
    for line in ["20m accepted first", "3h time passes"] {
        play(&mut world, line);
    }
    let wanted = ["10m MIGRATED first", "2h20m NO_INFORMATION first email", "2h20m send second by sms"];
    assert_eq!(told(&world)[2..], wanted);
}

#[test]
fn who_has_moved_stands_at_the_same_channel() {
    let either = TWO.replace("channel: email", "any: [push, email]");
    let mut world = lived(&either, "0 worker off\n 0 has email sms\n 0 does lead\n 10m time passes");
    world.say(&record(&either.replace("version: 1", "version: 2"))).unwrap();
    let (campaign, kind) = ("two".to_owned(), CampaignKind::Migrated);
    world.say(&Campaign { campaign, kind, from_version: 1, version: 2, ..Campaign::default() }).unwrap();
    for line in ["20m unreadable", "21m revoked first", "30m release"] {
        play(&mut world, line);
    }
    assert_eq!(told(&world).last().map(String::as_str), Some("30m send first by email"), "{:?}", told(&world));
}

#[test]
fn a_step_that_is_given_up_before_anything_of_it_went_out_goes_out_when_it_is_back() {
    let mut world = lived(TWO, "0 has email sms\n 0 does lead\n 1h time passes");
    let second = "  - {name: second, channel: sms, template: t, wait: 3h, valid: 1h}\n";
    world.say(&record(&TWO.replace("version: 1", "version: 2").replace(second, ""))).unwrap();
    for (from_version, version, steps) in [(1, 2, vec![("second", "")]), (2, 1, vec![])] {
        let steps = steps.into_iter().map(|(old, new)| (old.to_owned(), new.to_owned())).collect();
        let (campaign, kind) = ("two".to_owned(), CampaignKind::Migrated);
        world.say(&Campaign { campaign, kind, from_version, version, steps, ..Campaign::default() }).unwrap();
    }
    play(&mut world, "4h time passes");
    assert_eq!(told(&world)[4..], ["3h NO_INFORMATION first email", "3h send second by sms"]);
}
