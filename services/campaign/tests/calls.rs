//! Tasks for a person: what a call comes to, and what follows.

mod world;

use proptest::prelude::*;
use schemas::{Campaign, CampaignKind, Fact, Feedback, Outcome, Status};
use world::script::{check, play, told};
use world::{BEGIN, DAY, World};

/// A call, and what may follow it.
fn calls(head: &str, call: &str, after: &str) -> World {
    World::new(&[&format!(
        "campaign: c
version: 1
trigger: {{on: action, action: request}}
goal: {{action: booked}}
{head}steps:
  - {{name: call, channel: call, template: t, wait: 2d{call}}}
  - {{name: after, any: [email, sms], template: t{after}}}
"
    )])
}

#[test]
fn who_did_not_answer_gets_the_next_message_at_once() {
    for word in ["no-answer", "busy", "wrong-number"] {
        let reason = word.to_uppercase().replace('-', "_");
        check(
            calls("stop: replied\n", "", ""),
            &format!("0 has call sms\n 0 does request\n 3h {word} call"),
            &format!("0 ENTERED\n 0 send call by call\n 3h {reason} call call\n 3h send after by sms"),
        );
    }
}

#[test]
fn who_was_spoken_to_has_replied_and_who_promised_has_agreed() {
    let lives = |stop: &str, word: &str| {
        let mut world = calls(&format!("stop: {stop}\n"), "", "");
        for line in ["0 has call sms", "0 does request", &format!("3h {word} call"), "20d time passes"] {
            play(&mut world, line);
        }
        told(&world)[2..].join(", ")
    };
    for stop in ["delivered", "opened", "clicked", "replied"] {
        assert_eq!(lives(stop, "reached"), "3h REACHED call call, 3h STOP_REACHED");
        assert_eq!(lives(stop, "later"), "3h LATER call call, 3h STOP_REACHED");
    }
    assert_eq!(lives("agreed", "agreed"), "3h AGREED call call, 3h STOP_REACHED");
    let goes_on = "2d NO_GOAL call call, 2d send after by sms, 3d NO_GOAL after sms, 3d EXHAUSTED";
    assert_eq!(lives("agreed", "reached"), format!("3h REACHED call call, {goes_on}"));
    assert_eq!(lives("goal", "agreed"), format!("3h AGREED call call, {goes_on}"));
}

#[test]
fn what_a_step_names_leads_on_at_once_whatever_the_stop_level_says() {
    check(
        calls("stop: replied\n", ", next_if: [later]", ", after: 3 days 10:00"),
        "0 has call sms
         0 does request
         3h later call
         3h delivered call
         10d time passes",
        "0 ENTERED
         0 send call by call
         3h LATER call call
         2d11h46m40s send after by sms
         3d11h46m40s NO_GOAL after sms
         3d11h46m40s EXHAUSTED",
    );
    // What is not named does not.
    check(
        calls("stop: goal\n", ", next_if: [later]", ""),
        "0 has call sms\n 0 does request\n 3h no-answer call",
        "0 ENTERED\n 0 send call by call\n 3h NO_ANSWER call call\n 3h EXHAUSTED",
    );
}

#[test]
fn who_was_spoken_to_gets_no_other_message_of_the_same_step() {
    let either = "campaign: c
version: 1
trigger: {on: action, action: request}
goal: {action: booked}
stop: goal
steps:
  - {name: either, any: [call, sms], template: t, wait: 2d, next_if: [later, no answer]}
  - {name: after, channel: email, template: t}
";
    for (word, step) in [("later", "after by email"), ("no-answer", "either by sms")] {
        let reason = word.to_uppercase().replace('-', "_");
        check(
            World::new(&[either]),
            &format!("0 has call sms email\n 0 does request\n 3h {word} either"),
            &format!("0 ENTERED\n 0 send either by call\n 3h {reason} either call\n 3h send {step}"),
        );
    }
}

#[test]
fn what_a_call_came_to_leads_on_though_the_other_channel_of_its_step_cannot_be_used() {
    let either = "campaign: c
version: 1
trigger: {on: action, action: request}
goal: {action: booked}
stop: goal
steps:
  - {name: either, any: [call, email], template: t, wait: 2d, next_if: [no answer]}
  - {name: after, channel: sms, template: t}
";
    for (word, then) in [("no-answer", "3h send after by sms"), ("busy", "3h EXHAUSTED")] {
        let reason = word.to_uppercase().replace('-', "_");
        check(
            World::new(&[either]),
            &format!("0 has call sms\n 0 does request\n 3h {word} either"),
            &format!("0 ENTERED\n 0 send either by call\n 3h {reason} either call\n 3h CANNOT_SEND either\n {then}"),
        );
    }
}

#[test]
fn a_no_ends_the_cascade_unless_the_step_goes_on_by_it() {
    check(
        calls("stop: goal\n", "", ""),
        "0 has call sms\n 0 does request\n 3h declined call\n 20d time passes",
        "0 ENTERED\n 0 send call by call\n 3h DECLINED call call\n 3h TURNED_DOWN",
    );
    check(
        calls("stop: goal\n", ", next_if: [declined]", ""),
        "0 has call sms\n 0 does request\n 3h declined call",
        "0 ENTERED\n 0 send call by call\n 3h DECLINED call call\n 3h send after by sms",
    );
}

#[test]
fn nobody_told_is_no_information_and_a_word_that_comes_later_withdraws_what_waits() {
    check(
        calls("stop: replied\n", ", next_if: [no information]", ""),
        "0 has call sms
         0 does request
         2d time passes
         2d worker off
         2d1h reached call",
        "0 ENTERED
         0 send call by call
         2d NO_INFORMATION call call
         2d send after by sms
         2d1h DOUBLE_REACHED call call
         2d1h STOP_REACHED",
    );
    let mut world = calls("stop: goal\n", ", next_if: [no answer]", "");
    for line in ["0 has call sms", "0 does request", "1h no-answer call", "1h worker off", "2h declined call"] {
        play(&mut world, line);
    }
    assert_eq!(told(&world).last().unwrap(), "2h TURNED_DOWN", "a no to an earlier call counts as well");
    assert!(world.customer.instances.is_empty());
}

#[test]
fn a_later_step_asks_what_the_call_came_to() {
    let sends = |word: &str| {
        let mut world = calls("stop: goal\n", "", ", when: \"outcome('call') in ['later', '']\"");
        for line in ["0 has call sms", "0 does request", &format!("1h {word} call"), "3d time passes"] {
            play(&mut world, line);
        }
        world.sends().len()
    };
    assert_eq!((sends("later"), sends("delivered"), sends("agreed"), sends("busy")), (2, 2, 1, 1));
}

/// "Not this" is no "never call again": that is an opt-out, which whoever called tells as such.
#[test]
fn a_no_binds_its_cascade_alone_and_an_opt_out_all_calls() {
    let calls_after = |status: Status| {
        let mut world = calls("stop: goal\n", "", "");
        play(&mut world, "0 has call");
        play(&mut world, "0 does request");
        let send_id = Some(world.sends()[0].send_id.clone());
        let (channel, outcome) = ("call".into(), Outcome::Declined);
        world.tell(Fact::Feedback(Feedback {
            event_id: "no".into(),
            occurred_at: world::BEGIN,
            send_id,
            channel,
            status,
            outcome,
            ..Feedback::default()
        }));
        assert!(world.customer.instances.is_empty());
        play(&mut world, "1d does request");
        world.sends().len() - 1
    };
    assert_eq!((calls_after(Status::Replied), calls_after(Status::Unsubscribed)), (1, 0));
}

#[test]
fn a_campaign_can_follow_upon_a_no() {
    let first = "campaign: first
version: 1
trigger: {on: action, action: request}
steps: [{name: call, channel: call, template: t}]
";
    let second = "campaign: second
version: 1
trigger: {on: end, of: first, ended: declined}
steps: [{name: why, channel: email, template: t}]
";
    check(
        World::new(&[first, second]),
        "0 has call email\n 0 does request\n 1h declined call",
        "0 ENTERED\n 0 send call by call\n 1h DECLINED call call\n 1h TURNED_DOWN\n 1h ENTERED\n 1h send why by email",
    );
}

#[test]
fn a_wrong_number_is_not_called_again_and_the_others_are() {
    let number = |word: &str| {
        let mut world = calls("stop: goal\n", "", "");
        for line in ["0 has call sms", "0 does request", &format!("1h {word} call")] {
            play(&mut world, line);
        }
        world.customer.contacts.iter().any(|contact| contact.channel == "call")
    };
    assert!(!number("wrong-number") && number("no-answer") && number("declined"));
}

#[test]
fn of_two_failures_the_one_further_down_holds_after_the_step_was_left() {
    let mut world = calls("stop: goal\n", ", next_if: [no answer]", "");
    for line in ["0 has call sms", "0 does request", "1h no-answer call", "1h worker off", "2h wrong-number call"] {
        play(&mut world, line);
    }
    assert_eq!(world.customer.instances[0].sends[0].outcome, Outcome::WrongNumber);
    assert_eq!(told(&world).last().unwrap(), "2h WRONG_NUMBER call call");
}

#[test]
fn a_call_is_owed_as_the_price_table_says() {
    let owed = |charge: &str, word: &str| {
        let mut world = calls("stop: goal\n", ", next_if: []", "");
        let table = format!("currency: USD\nprices: [{{channel: call, minor: 90, charge: {charge}}}]\n");
        world.apply(CampaignKind::Prices, &table);
        for line in ["0 has call", "0 does request", &format!("1h {word} call")] {
            play(&mut world, line);
        }
        let moved = |of: fn(&schemas::Journal) -> i64| world.journal().into_iter().map(of).sum::<i64>();
        (moved(|entry| entry.amount_minor), moved(|entry| entry.charged_minor))
    };
    assert_eq!(owed("on submit", "no-answer"), (90, 90));
    assert_eq!(owed("on delivery", "no-answer"), (0, 0));
    assert_eq!(owed("on delivery", "declined"), (90, 90));
}

#[test]
fn a_migration_does_not_stop_what_a_step_went_on_by() {
    let text = |version: i32, wait: &str| {
        format!(
            "campaign: c
version: {version}
trigger: {{on: action, action: request}}
stop: replied
steps:
  - {{name: call, channel: call, template: t, wait: {wait}, next_if: [later]}}
  - {{name: again, channel: call, template: t, after: 3d}}
"
        )
    };
    let mut world = World::new(&[&text(1, "1d"), &text(2, "2d")]);
    for line in ["0 has call", "0 does request", "1h later call"] {
        play(&mut world, line);
    }
    let (from_version, version) = (1, 2);
    let moved = CampaignKind::Migrated;
    world.say(&Campaign { campaign: "c".into(), kind: moved, from_version, version, ..Campaign::default() }).unwrap();
    world.pass_until(BEGIN + 4 * DAY);
    assert_eq!(world.sends().len(), 2);
}

/// What is told of one message.
fn words() -> impl Strategy<Value = Vec<(Outcome, i64)>> {
    prop::collection::vec((prop::sample::select(Outcome::ALL.to_vec()), 0..60_i64), 1..6)
}

proptest! {
    #![proptest_config(world::cases(1_000))]

    /// Where no word leads on or ends anything, their order does not matter, nor does a status that contradicts the outcome.
    #[test]
    fn the_order_of_outcomes_does_not_matter(words in words(), said in prop::sample::select(Status::ALL.to_vec())) {
        let opts_out = matches!(said, Status::Unsubscribed | Status::Complained);
        let after = |words: &[(Outcome, i64)], said: Option<Status>| {
            let mut world = calls("stop: goal\n", ", next_if: [declined, no goal]", "");
            play(&mut world, "0 has call");
            play(&mut world, "0 does request");
            let send = world.sends()[0].clone();
            for (index, (outcome, minutes)) in words.iter().enumerate() {
                world.tell(Fact::Feedback(Feedback {
                    event_id: format!("word-{index}-{outcome}"),
                    occurred_at: send.decided_at + minutes * world::MINUTE,
                    send_id: Some(send.send_id.clone()),
                    channel: "call".into(),
                    status: said.filter(|_| !opts_out).unwrap_or_else(|| outcome.status().unwrap_or_default()),
                    outcome: *outcome,
                    ..Feedback::default()
                }));
            }
            world.customer.instances.iter().flat_map(|it| &it.sends).map(|sent| (sent.reached, sent.outcome, sent.handed_over_at)).collect::<Vec<_>>()
        };
        let spoken = |outcome: &Outcome| outcome.status() == Some(Status::Replied) && *outcome != Outcome::Declined;
        let words: Vec<(Outcome, i64)> = words.into_iter().filter(|(outcome, _)| spoken(outcome)).collect();
        let mut sorted = words.clone();
        sorted.sort();
        let plain = after(&words, None);
        prop_assert_eq!(&plain, &after(&sorted, None));
        prop_assert_eq!(&plain, &after(&words, Some(said)));
    }
}
