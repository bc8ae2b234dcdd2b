//! Experiments: everybody has his variant for ever, and who is held out gets nothing.

mod world;

use std::collections::BTreeMap;

use campaign::{Effect, Experiment, Input, Moment, decide};
use schemas::{Action, Consent, Contact, Customer, Fact, Profile, Reason};
use world::script::{check, play, told};
use world::{BEGIN, World};

const SUBJECTS: &str = "
campaign: subjects
version: 1
trigger: {on: action, action: lead, key: key}
goal: {action: purchase}
stop: goal
experiment: {variants: {plain: 70, warm: 30}, hold_out: 10}
steps:
  - {name: first, channel: email, template: {plain: subject1, warm: subject2}, wait: 1d}
  - {name: more, channel: sms, variant: warm, template: t, wait: 1d}
  - {name: last, channel: push, template: t}
";

fn experiment(text: &str) -> Experiment {
    campaign::parse("test", text).unwrap().experiment.unwrap()
}

fn name(number: u32) -> String {
    format!("customer-{number}")
}

#[test]
fn shares_are_as_wanted_and_independent_of_each_other() {
    let experiment = experiment(SUBJECTS);
    let mut counts: BTreeMap<(&str, bool), u32> = BTreeMap::new();
    for number in 0..20_000 {
        let customer = name(number);
        *counts.entry((experiment.variant(&customer).unwrap(), experiment.holds_out(&customer))).or_default() += 1;
    }
    let wanted =
        [(("plain", false), 12_600), (("plain", true), 1_400), (("warm", false), 5_400), (("warm", true), 600)];
    for (group, share) in wanted {
        assert!(counts[&group].abs_diff(share) < share / 10, "{group:?}: {counts:?}");
    }
}

/// The published way to share out, by hand.
#[test]
fn a_place_is_the_published_hash() {
    use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};
    let experiment = experiment(SUBJECTS);
    for customer in (0..200).map(name) {
        let place = |seed: &str| xxh3_64_with_seed(customer.as_bytes(), xxh3_64(seed.as_bytes())) % 100;
        assert_eq!(experiment.variant(&customer), Some(if place("subjects") < 70 { "plain" } else { "warm" }));
        assert_eq!(experiment.holds_out(&customer), place("subjects/hold-out") < 10);
    }
}

/// The templates that a customer gets, in two runs of the same campaign.
fn templates(customer_id: &str, campaign: &str) -> (Vec<String>, Vec<Reason>) {
    let plans = world::plans(&[campaign]);
    let mut customer = Customer::default();
    let mut effects = Vec::new();
    let mut tell = |fact: Fact, now: i64| {
        let moment = Moment { now, partition: 0, offset: Some(now), due: None };
        decide(
            &plans,
            customer_id,
            &mut customer,
            Input::Fact { fact: &fact, appended_at: now, hops: 0 },
            &moment,
            &mut effects,
        );
    };
    let contacts = vec![Contact { channel: "email".into(), address: "a@shop.example".into() }];
    let consents = vec![Consent { channel: "email".into(), granted: true, ..Consent::default() }];
    tell(Fact::Profile(Profile { contacts, consents, ..Profile::default() }), BEGIN);
    for (at, key) in [(BEGIN, "one"), (BEGIN + world::DAY, "two")] {
        let (event_id, key) = (key.to_owned(), Some(key.to_owned()));
        tell(Fact::Action(Action { event_id, action: "lead".into(), key, occurred_at: at, ..Action::default() }), at);
    }
    let mut templates = Vec::new();
    let mut reasons = Vec::new();
    for effect in effects {
        match effect {
            Effect::Send(send) => templates.push(send.template),
            Effect::Journal(entry) => reasons.push(entry.reason),
            Effect::Revoke(_) | Effect::Forward { .. } | Effect::Suppress { .. } | Effect::SetAside { .. } => {}
        }
    }
    (templates, reasons)
}

#[test]
fn a_customer_keeps_the_variant_and_who_is_held_out_gets_nothing() {
    let experiment = experiment(SUBJECTS);
    let (mut sent, mut held_out) = (0, 0);
    for customer in (0..300).map(name) {
        let (templates, reasons) = templates(&customer, SUBJECTS);
        if experiment.holds_out(&customer) {
            assert_eq!(templates, Vec::<String>::new());
            assert_eq!(reasons.iter().filter(|reason| **reason == Reason::HeldOut).count(), 2);
            held_out += 1;
        } else {
            let template = if experiment.variant(&customer) == Some("plain") { "subject1" } else { "subject2" };
            assert_eq!(templates, [template, template]);
            sent += 1;
        }
    }
    assert!(sent > 200 && held_out > 10, "{sent} and {held_out}");
}

/// What a command says is all that a worker goes by: an edit of a file cannot make one variant into another.
#[test]
fn each_variant_has_the_text_that_its_version_of_the_campaign_names() {
    let pins = "templates: {subject1.email: 00000000000000a1, subject2.email: 00000000000000a2, t.sms: 00000000000000a3, \
                t.push: 00000000000000a4}\n";
    let pinned = format!("{SUBJECTS}{pins}");
    let experiment = experiment(&pinned);
    for customer in (0..50).map(name).filter(|customer| !experiment.holds_out(customer)) {
        let wanted = if experiment.variant(&customer) == Some("plain") {
            "subject1@00000000000000a1"
        } else {
            "subject2@00000000000000a2"
        };
        assert_eq!(templates(&customer, &pinned).0, [wanted, wanted]);
    }
}

#[test]
fn a_held_out_cascade_goes_its_way_in_silence_until_the_goal_or_its_end() {
    let all = SUBJECTS.replace("hold_out: 10", "hold_out: 99").replace("plain: 70, warm: 30", "plain: 1, warm: 99");
    check(
        World::new(&[&all]),
        "0 has email sms push
         0 does lead k
         1d5m does purchase k",
        "0 ENTERED
         0 HELD_OUT first email
         1d NO_GOAL first email
         1d HELD_OUT more sms
         1d5m GOAL_REACHED",
    );
    let mut world = World::new(&[&all]);
    for line in ["0 has sms", "0 does lead k", "9d time passes"] {
        play(&mut world, line);
    }
    let last = told(&world).pop().unwrap();
    assert_eq!(last, "1d EXHAUSTED");
    let spared = world.journal().into_iter().find(|entry| entry.reason == Reason::HeldOut).unwrap();
    assert_eq!((spared.amount_minor, spared.evidence["spared_minor"].as_str()), (0, "4"));
}

/// Else who hears nothing of a letter would be told that he has not opened it.
#[test]
fn what_follows_a_held_out_cascade_is_held_out_too() {
    let letter = SUBJECTS.replace("hold_out: 10", "hold_out: 99");
    let after = "
campaign: after
version: 1
trigger: {on: end, of: subjects, ended: exhausted}
steps:
  - {name: sms, channel: sms, template: t}
";
    let sends = |letter: &str| {
        let mut world = World::new(&[letter, after]);
        ["0 has email sms push", "0 does lead k", "9d time passes"].iter().for_each(|line| play(&mut world, line));
        assert!(world.journal().into_iter().any(|entry| entry.campaign == "after" && entry.reason == Reason::Entered));
        world.sends().iter().map(|send| send.campaign.clone()).collect::<Vec<_>>()
    };
    assert_eq!(sends(&letter), Vec::<String>::new());
    assert!(sends(&SUBJECTS.replace(", hold_out: 10", "")).contains(&"after".to_owned()));
}

/// Whatever the order in which they are written, nobody waits for what is not for him.
#[test]
fn each_variant_has_its_own_moment() {
    let (late, early) = (
        "  - {name: evening, channel: email, variant: late, template: t, at: trigger + 5h}\n",
        "  - {name: morning, channel: email, variant: early, template: t, at: trigger + 2h}\n",
    );
    let campaign = |shares: &str, steps: &str| {
        format!(
            "campaign: c\nversion: 1\ntrigger: {{on: action, action: lead}}\ngoal: {{action: purchase}}\n\
             experiment: {{variants: {{{shares}}}}}\nsteps:\n{steps}"
        )
    };
    for steps in [[late, early].concat(), [early, late].concat()] {
        for (shares, sent) in
            [("early: 99, late: 1", "2h send morning by email"), ("early: 1, late: 99", "5h send evening by email")]
        {
            let mut world = World::new(&[&campaign(shares, &steps)]);
            for line in ["0 has email", "0 does lead", "6h time passes"] {
                play(&mut world, line);
            }
            let sends: Vec<String> = told(&world).into_iter().filter(|line| line.contains(" send ")).collect();
            assert_eq!(sends, [sent], "{steps}");
        }
    }
}

#[test]
fn where_it_depends_on_the_variant_what_follows_a_step_says_how_long_it_is_waited_for() {
    let text = |first: &str| {
        format!(
            "campaign: c\nversion: 1\ntrigger: {{on: action, action: lead}}\ngoal: {{action: purchase}}\n\
             experiment: {{variants: {{a: 50, b: 50}}}}\nsteps:\n\
             \x20 - {{name: first, channel: email, template: t{first}}}\n\
             \x20 - {{name: of_b, channel: sms, variant: b, template: t, at: trigger + 9h}}\n\
             \x20 - {{name: of_all, channel: sms, template: t, at: trigger + 5h}}\n"
        )
    };
    let refused = campaign::parse("test", &text("")).unwrap_err()[0].to_string();
    assert!(refused.contains("how long is this message waited for before the next one?"), "{refused}");
    campaign::parse("test", &text(", wait: 2h")).unwrap();
    let wait = |first: &str| format!("{:?}", campaign::parse("test", &text(first)).unwrap().steps[0].wait);
    // What is for other variants does not follow it; what is for its own does.
    assert!(wait(", variant: a").contains("millis: 18000000"), "{}", wait(", variant: a"));
    assert!(wait(", variant: b").contains("millis: 32400000"), "{}", wait(", variant: b"));
}

#[test]
fn an_experiment_that_cannot_be_meant_is_refused() {
    let refused = |from: &str, to: &str| {
        let text = SUBJECTS.replace(from, to);
        assert_ne!(text, SUBJECTS);
        campaign::parse("test", &text).unwrap_err()[0].to_string()
    };
    for (from, to, sentence) in [
        ("plain: 70", "plain: 80", "add up to 110 per cent"),
        ("plain: 70, warm: 30", "plain: 100, warm: 0", "nobody gets variant `warm`"),
        ("hold_out: 10", "hold_out: 100", "nobody would get anything"),
        ("variants: {plain: 70, warm: 30}, hold_out: 10", "name: x", "an experiment of what?"),
        ("variant: warm", "variant: wram", "`wram` is no variant"),
        (", warm: subject2", "", "which template for variant `warm`?"),
        ("warm: subject2", "wram: subject2", "`wram` is no variant"),
    ] {
        let told = refused(from, to);
        assert!(told.contains(sentence), "{to}: {told}");
    }
}
