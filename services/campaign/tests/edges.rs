//! Words about messages and what follows from them, at their edges: the very moment, and what must not happen beside what must. Each of these cases notices a change of the brain in
//! one place that no other test noticed (`tests/mutants.sh`).

mod world;

use campaign::{Effect, Input, Moment};
use schemas::{CampaignKind, Consent, Contact, Fact, Feedback, Profile, Reason, Status};
use world::script::{TWO, check, count, lived, play, told};
use world::{BEGIN, CUSTOMER, DAY, HOUR, MINUTE, World};

/// Either of two channels, then a third, if neither was delivered.
const EITHER: &str = "campaign: two
version: 1
trigger: {on: action, action: lead}
goal: {action: purchase}
stop: goal
steps:
  - {name: first, any: [email, push], template: t, wait: 3h, next_if: [not delivered]}
  - {name: second, channel: telegram, template: t}
";

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

/// Nor does the time of a receipt say anything of when it was handed over: that is the worker's to tell.
#[test]
fn the_same_word_with_an_earlier_time_is_not_told_again() {
    let mut world = lived(
        &TWO.replace("steps:", "stop: goal\nsteps:"),
        "0 worker off\n 0 has email\n 0 does lead\n 2h time passes",
    );
    let send_id = Some(world.sends()[0].send_id.clone());
    for (event_id, minutes) in [("late", 90), ("early", 60), ("late once more", 90)] {
        world.tell(Fact::Feedback(Feedback {
            event_id: event_id.into(),
            customer_id: CUSTOMER.into(),
            occurred_at: BEGIN + minutes * MINUTE,
            send_id: send_id.clone(),
            channel: "email".into(),
            status: Status::Delivered,
            ..Feedback::default()
        }));
    }
    assert_eq!(count(&world, Reason::Delivered), 1, "{:?}", told(&world));
    assert_eq!(world.customer.instances[0].due, BEGIN + 5 * HOUR);
    world.tell(Fact::Feedback(Feedback {
        event_id: "from the worker".into(),
        customer_id: CUSTOMER.into(),
        occurred_at: BEGIN + HOUR,
        send_id,
        channel: "email".into(),
        status: Status::Accepted,
        ..Feedback::default()
    }));
    assert_eq!(world.customer.instances[0].due, BEGIN + 4 * HOUR);
}

#[test]
fn each_good_word_is_told_by_its_name() {
    let words = [
        ("delivered", "DELIVERED"),
        ("opened", "OPENED"),
        ("clicked", "CLICKED"),
        ("replied", "REPLIED"),
        ("machine-opened", "MACHINE_OPENED"),
        ("machine-clicked", "MACHINE_OPENED"),
    ];
    for (word, reason) in words {
        let world = lived(
            &TWO.replace("steps:", "stop: goal\nsteps:"),
            &format!("0 has email\n 0 does lead\n 1m {word} first"),
        );
        assert_eq!(told(&world)[2..], [format!("1m {reason} first email")], "{word}");
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
        ("deferred", "DEFERRED"),
        ("failed", "NOT_DELIVERED"),
        ("bounced", "NOT_DELIVERED"),
    ];
    for (word, reason) in words {
        let world = lived(TWO, &format!("0 has email sms\n 0 does lead\n 4h {word} first"));
        assert_eq!(told(&world)[4..], [format!("4h {reason} first email")], "{word}");
    }
    let world = lived(TWO, "0 has email sms\n 0 does lead\n 4h unknown first");
    assert_eq!(told(&world).len(), 4, "that it was handed over is known");
}

#[test]
fn of_bad_words_about_a_message_that_was_left_the_first_certain_one_counts() {
    for (words, reasons) in [
        (["failed", "refused", "deferred"], vec!["NOT_DELIVERED"]),
        (["deferred", "unknown", "failed"], vec!["DEFERRED", "NOT_DELIVERED"]),
    ] {
        let words: Vec<String> = words.iter().map(|word| format!("4h {word} first")).collect();
        let world = lived(TWO, &format!("0 has email sms\n 0 does lead\n {}", words.join("\n")));
        let reasons: Vec<String> = reasons.iter().map(|reason| format!("4h {reason} first email")).collect();
        assert_eq!(told(&world)[4..], reasons);
    }
}

#[test]
fn what_arrived_is_no_lack_of_information() {
    let asks = TWO.replace("wait: 3h, valid: 1h}\n  - {name: s", "wait: 3h, next_if: [no information]}\n  - {name: s");
    check(
        World::new(&[&asks.replace("steps:", "stop: goal\nsteps:")]),
        "0 has email sms\n 0 does lead\n 1h delivered first\n 4h time passes",
        "0 ENTERED\n 0 send first by email\n 1h DELIVERED first email\n 3h EXHAUSTED",
    );
}

#[test]
fn that_a_message_waits_for_its_moment_is_told_only_where_nothing_else_is() {
    let later = TWO
        .replace("action: lead", "action: lead, settle: 1h")
        .replace("second, channel: sms, template: t", "second, channel: sms, template: t, at: trigger + 5h");
    let lives = |first: &str, told: &str| {
        let text = later.replacen("valid: 1h", &format!("valid: 1h{first}"), 1);
        check(World::new(&[&text]), "0 has sms\n 0 does lead\n 6h time passes", told);
    };
    lives(", when: \"1 > 2\"", "0 ENTERED\n 1h STEP_SKIPPED first\n 6h send second by sms");
    lives(", at: trigger + 2h", "0 ENTERED\n 1h DELAYED first\n 3h NO_CONTACT first\n 6h send second by sms");
}

#[test]
fn a_release_hurries_nothing_that_was_not_held() {
    check(
        World::new(&[TWO]),
        "0 has email sms\n 0 does lead\n 1h unreadable\n 90m release\n 4h time passes",
        "0 ENTERED
         0 send first by email
         1h HOLD_PLACED
         1h30m HOLD_RELEASED
         3h NO_INFORMATION first email
         3h send second by sms",
    );
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
fn who_wants_no_more_on_one_channel_ends_what_stands_there_and_nothing_else() {
    let other = TWO.replace("campaign: two", "campaign: other").replace("channel: email", "channel: push");
    check(
        World::new(&[TWO, &other]),
        "0 has email push
         0 does lead
         10m unsubscribed first
         20m delivered first",
        "0 ENTERED
         0 send first by push
         0 ENTERED
         0 send first by email
         10m OPTED_OUT
         20m LATE_FEEDBACK email",
    );
}

#[test]
fn a_consent_from_the_future_shuts_out_no_word_that_comes_before_it() {
    let mut world = World::new(&[TWO]);
    let consent = Consent { channel: "email".into(), granted: true, at: BEGIN + 400 * DAY, ..Consent::default() };
    let profile = Profile {
        event_id: "ahead".into(),
        customer_id: CUSTOMER.into(),
        occurred_at: BEGIN,
        contacts: vec![Contact { channel: "email".into(), address: "a".into() }],
        consents: vec![consent],
        ..Profile::default()
    };
    world.tell(Fact::Profile(profile));
    for line in ["0 does lead", "10m unsubscribed first", "1h does lead"] {
        play(&mut world, line);
    }
    assert_eq!(world.sends().len(), 1, "{:?}", told(&world));
}

#[test]
fn a_complaint_about_a_message_that_was_waited_for_ends_its_cascade_and_no_other_such_one() {
    let transactional = TWO.replace("version: 1", "version: 1\nclass: transactional");
    let other = transactional.replace("campaign: two", "campaign: wait");
    check(
        World::new(&[&transactional, &other]),
        "0 has email sms
         0 does lead
         10m complained first
         3h time passes",
        "0 ENTERED
         0 send first by email
         0 ENTERED
         0 send first by email
         10m OPTED_OUT
         3h NO_INFORMATION first email
         3h send second by sms",
    );
}

#[test]
fn who_wants_no_more_on_a_channel_of_which_nothing_was_said_yet_is_believed() {
    let mut world = lived(TWO, "0 has push\n 1h time passes");
    world.tell(Fact::Feedback(Feedback {
        event_id: "no more".into(),
        customer_id: CUSTOMER.into(),
        occurred_at: BEGIN + HOUR,
        channel: "email".into(),
        status: Status::Unsubscribed,
        ..Feedback::default()
    }));
    assert!(world.customer.consents.iter().any(|consent| consent.channel == "email" && !consent.granted));
}

/// It was handed over after all, so nothing of the step has failed.
#[test]
fn a_step_does_not_lead_on_by_a_failure_that_was_none() {
    check(
        World::new(&[EITHER]),
        "0 worker off
         0 has email push telegram
         0 does lead
         10m unreadable
         11m expired first
         13m accepted first
         14m refuses push
         15m release",
        "0 ENTERED
         0 send first by email
         10m HOLD_PLACED
         10m revoke email HELD
         10m HELD first email
         11m EXPIRED first email
         11m HELD first
         15m HOLD_RELEASED
         15m CANNOT_SEND first
         15m EXHAUSTED",
    );
}

#[test]
fn of_two_withdrawals_the_later_one_counts_in_whatever_order_they_come() {
    let word = |channel: &str, hours: i64| {
        let (event_id, customer_id) = (format!("{channel} {hours}"), CUSTOMER.to_owned());
        let (occurred_at, channel, status) = (BEGIN + hours * HOUR, channel.to_owned(), Status::Unsubscribed);
        Fact::Feedback(Feedback { event_id, customer_id, occurred_at, channel, status, ..Feedback::default() })
    };
    let mut world = lived(TWO, "0 has email sms\n 1d time passes");
    world.tell(word("sms", 5));
    world.tell(word("email", 3));
    world.tell(word("email", 1));
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
    // What had no price counted as the dearest there can be.
    let mut world = World::new(&[&paid]);
    world.apply(CampaignKind::Prices, "currency: USD\nprices: [{channel: viber, minor: 5}]\n");
    for line in ["0 worker off", "0 has sms viber", "0 does lead", "30m expired first"] {
        play(&mut world, line);
    }
    assert_eq!(world.sends().len(), 2);
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
    assert_eq!(words, ["too dear after what did not go out", "no contact", "no consent", "ok"]);
}

#[test]
fn an_end_says_whether_an_outage_has_left_dearer_channels_closed() {
    let outage = |happens: &str| {
        let world = lived(TWO, &format!("0 worker off\n {happens}"));
        let end = world.journal().into_iter().next_back().unwrap().clone();
        (end.reason, end.evidence.contains_key("dearer"))
    };
    assert_eq!(outage("0 has email sms\n 0 does lead\n 1h expired first"), (Reason::Exhausted, true));
    assert_eq!(outage("0 has email\n 0 does lead\n 1m refused first"), (Reason::Exhausted, false));
    // Nothing is left that could be closed.
    let free = TWO.replace("channel: sms", "channel: push");
    let world = lived(&free, "0 worker off\n 0 has email push\n 0 does lead\n 1h expired first\n 2h expired second");
    let end = world.journal().into_iter().next_back().unwrap();
    assert_eq!((end.reason, end.evidence.contains_key("dearer")), (Reason::Exhausted, false));
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
    let mut happens = "0 worker off\n 0 has email sms\n 0 does lead".to_owned();
    for hour in 1..5 {
        happens.push_str(&format!("\n{hour}h unreadable\n{hour}h1m revoked first\n{hour}h2m release"));
    }
    let world = lived(&day, &happens);
    let attempts: Vec<i32> = world.sends().iter().map(|send| send.attempt).collect();
    assert_eq!(attempts, [0, 1, 2], "{:?}", told(&world));
    // Nobody refused it: it makes no room for an SMS.
    assert!(world.sends().iter().all(|send| send.channel == "email"), "{:?}", told(&world));
}

#[test]
fn a_message_may_be_valid_until_so_long_after_its_trigger() {
    let world = lived(&TWO.replacen("valid: 1h", "valid: until trigger + 5h", 1), "0 has email\n 0 does lead");
    assert_eq!(world.sends().iter().map(|send| send.send_before - BEGIN).collect::<Vec<_>>(), [5 * HOUR]);
}

#[test]
fn what_is_decided_says_where_it_came_from() {
    let budget = TWO.replace("channel: email", "channel: sms").replace("goal:", "budget: {minor: 9, per: day}\ngoal:");
    let world = lived(&budget.replace("action: lead", "action: lead, settle: 1h"), "0 has sms\n 0 does lead");
    let mut effects = Vec::new();
    let moment = Moment { now: BEGIN + HOUR, partition: 3, offset: None, due: Some(BEGIN + HOUR) };
    campaign::decide(&world.plans, CUSTOMER, &mut world.customer.clone(), Input::Deadline, &moment, &mut effects);
    let [Effect::Forward { input, .. }, Effect::Journal(entry)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((&*input.origin.topic, input.origin.partition, input.origin.offset, input.hops), ("input", 3, -1, 1));
    assert_eq!((entry.reason, entry.partition, entry.offset), (Reason::BudgetAsked, 3, None));
}

#[test]
fn an_entry_says_when_and_by_what_it_came_about() {
    let world = lived(TWO, "0 has email sms\n 1m does lead\n 4h time passes");
    let of = |reason: Reason| world.journal().into_iter().find(|entry| entry.reason == reason).unwrap();
    let (begin, end) = (of(Reason::Entered), of(Reason::NoInformation));
    assert_eq!((begin.at, begin.offset, begin.due), (BEGIN + MINUTE, Some(1), None));
    assert_eq!((end.at, end.offset, end.due), (BEGIN + 3 * HOUR + MINUTE, None, Some(BEGIN + 3 * HOUR + MINUTE)));
    assert!([begin, end].iter().all(|entry| entry.customer_id == CUSTOMER && entry.partition == 0));
}

#[test]
fn what_was_over_before_its_turn_was_kept_back_by_nobody() {
    let dated = TWO.replacen("valid: 1h", "valid: until event.day", 1);
    let second = |day: &str| lived(&dated, &format!("0 has email sms\n 0 does lead day={day}")).sends().len();
    assert_eq!((second("2023-11-14T22:13:19Z"), second("2023-11-14T22:13:20Z")), (1, 1), "an SMS");
}

/// Its validity counts from then, not from the turn of the one that cannot be used.
#[test]
fn another_channel_has_a_turn_of_its_own() {
    let either = TWO.replace("channel: email", "any: [push, email]");
    let world = lived(&either, "0 has push email\n 0 unreadable\n 0 does lead\n 30m refuses push\n 40m release");
    let valid: Vec<(&str, i64)> = world.sends().iter().map(|it| (&*it.channel, it.send_before - BEGIN)).collect();
    assert_eq!(valid, [("email", HOUR + 40 * MINUTE)]);
}

/// What a step of which nothing is left leads on by, after this word about its first channel. The second one cannot be used.
#[test]
fn a_step_leads_on_by_what_became_of_its_messages_and_not_by_something_like_it() {
    for word in ["failed", "refused", "expired", "revoked"] {
        let world = lived(EITHER, &format!("0 worker off\n 0 has email telegram\n 0 does lead\n 1m {word} first"));
        let then = if word == "failed" { "1m send second by telegram" } else { "1m EXHAUSTED" };
        assert_eq!(told(&world).last().map(String::as_str), Some(then), "{word}: {:?}", told(&world));
    }
}
