//! What is allowed and seldom meant, as it stands in the terminal.

use crate::language::parse;

/// What is said of a campaign with these lines and steps.
fn warnings(head: &str, steps: &str) -> String {
    let trigger = if head.contains("trigger:") { "" } else { "trigger: {on: registration}\n" };
    let yaml = format!("campaign: c\nversion: 1\n{trigger}{head}steps:\n{steps}");
    let plan = parse("c.yaml", &yaml).unwrap_or_else(|problems| panic!("{}", problems[0]));
    plan.warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n")
}

const NIGHT: &str = "quiet: {hours: 22:00-9:00}\n";

#[test]
fn a_wait_that_is_over_before_word_can_come_is_a_warning() {
    let wait = |channel: &str, wait: &str| {
        let first = format!("  - {{name: a, channel: {channel}, template: t, {wait}}}\n");
        warnings("", &(first + "  - {name: b, channel: viber, template: t}\n"))
    };
    assert_eq!(
        wait("sms", "wait: 1m"),
        "\
warning: word of a message on sms usually takes up to 5m: this wait is over before it
 --> c.yaml:5:48
  |
5 |   - {name: a, channel: sms, template: t, wait: 1m}
  |                                                ^^
  = help: wait for `5m` or longer"
    );
    assert_eq!(wait("sms", "wait: 5m"), "");
    assert!(wait("email", "wait: 14m").contains("email usually takes up to 15m"));
    assert_eq!(wait("telegram", "wait: 1m, next_if: [no goal]").lines().count(), 6, "that nobody tells of arrival");
    let after = "  - {name: a, channel: sms, template: t}\n  - {name: b, channel: viber, template: t, after: 2m}\n";
    assert!(warnings("", after).contains("--> c.yaml:6:"), "the next one's moment is the end of the wait");
    assert_eq!(
        warnings(
            "stop: goal\ngoal: {action: p}\n",
            "  - {name: a, channel: sms, template: t, wait: 1s, next_if: [no goal]}\n"
        ),
        ""
    );
}

#[test]
fn what_holds_for_nobody_is_a_warning() {
    let when =
        |when: &str| warnings("", &format!("  - {{name: a, any: [email, push], template: t, when: \"{when}\"}}\n"));
    assert_eq!(
        when("1 > 2"),
        "\
warning: this holds for nobody: the step is never sent
 --> c.yaml:5:54
  |
5 |   - {name: a, any: [email, push], template: t, when: \"1 > 2\"}
  |                                                      ^^^^^^^
  = help: remove the step, or correct the condition"
    );
    for never in
        ["false", "has_contact('sms') && 2 < 1", "1 / 0 == 1", "!('a' in ['a']) && false", "'ab'.startsWith('b')"]
    {
        assert!(when(never).contains("this holds for nobody"), "{never}");
    }
    for perhaps in ["true", "2 > 1", "has_contact('sms')", "false || has_contact('sms')", "!(1 > 2)", "source == 'web'"]
    {
        assert_eq!(when(perhaps), "", "{perhaps}");
    }
    let one = "  - {name: a, channel: email, template: t}\n";
    assert!(warnings("trigger: {on: cart, settle: 2h, where: 1 > 2}\n", one).contains("the campaign never begins"));
    assert!(warnings("goal: {action: p, where: 1 > 2}\n", one).contains("the goal is never reached"));
}

#[test]
fn a_channel_that_a_condition_shuts_out_is_a_warning() {
    let when = |class: &str, when: &str| {
        warnings(class, &format!("  - {{name: a, any: [email, push], template: t, when: \"{when}\"}}\n"))
    };
    assert!(when("", "!has_contact('email')").contains("on email is shut out here"));
    assert!(when("", "source == 'web' && !has_consent('push')").contains("on push is shut out here"));
    assert_eq!(when("", "!has_contact('sms')"), "");
    assert_eq!(when("", "!has_contact('email') || source == 'web'"), "");
    assert_eq!(when("class: transactional\n", "!has_consent('push')"), "", "nobody is asked for it");
}

#[test]
fn what_stands_behind_an_end_is_a_warning() {
    let first = |rest: &str| {
        let first = format!("  - {{name: a, channel: email, template: t, wait: 1h, {rest}}}\n");
        first + "  - {name: b, channel: sms, template: t}\n"
    };
    assert_eq!(
        warnings("", &first("next_if: []")),
        "\
warning: nothing leads on from `a` once it went out, whatever it comes to: this is for those whom it passed over
 --> c.yaml:6:12
  |
6 |   - {name: b, channel: sms, template: t}
  |            ^
  = help: say at `a` what leads on: `next_if: [not delivered, cannot send]`"
    );
    assert_eq!(warnings("", &first("next_if: [cannot send]")), "");
    assert_eq!(warnings("", &first("next_if: [], when: source == 'web'")), "", "others go on");
    let waited_for = first("next_if: []").replace("template: t}", "template: t, wait: 1h}");
    assert_eq!(warnings("order: by cost\n", &waited_for), "", "the cheaper one comes before it");
}

#[test]
fn a_validity_that_ends_before_the_message_can_go_out_is_a_warning() {
    let step =
        |head: &str, rest: &str| warnings(head, &format!("  - {{name: a, channel: push, template: t, {rest}}}\n"));
    assert_eq!(
        step("", "at: trigger + 5d, valid: until trigger + 2d"),
        "\
warning: its validity ends before its moment comes: it is never sent
 --> c.yaml:5:68
  |
5 |   - {name: a, channel: push, template: t, at: trigger + 5d, valid: until trigger + 2d}
  |                                                                    ^^^^^^^^^^^^^^^^^^
  = help: let it be valid for longer, or write a length such as `6h`, which counts from its moment"
    );
    let date = "at: event.ends_on - 1 day 10:00, valid: until event.ends_on";
    for late in [&date.replace("- 1 day 10:00", "10:00"), "at: event.ends_on + 1d, valid: until event.ends_on 23:00"] {
        assert!(step("", late).contains("before its moment comes"), "{late}");
    }
    for right in
        [date, "at: event.ends_on, valid: until event.starts_on", "valid: until trigger + 2d", "valid: until 10:00"]
    {
        assert_eq!(step("", right), "", "{right}");
    }
}

#[test]
fn quiet_hours_that_outlast_a_message_are_a_warning() {
    let step =
        |head: &str, rest: &str| warnings(head, &format!("  - {{name: a, channel: push, template: t, {rest}}}\n"));
    assert_eq!(
        step(NIGHT, "at: trigger 23:00, valid: 1h"),
        "\
warning: its moment lies in the quiet hours 22:00-09:00, and when they end it is not valid any more: it is never sent
 --> c.yaml:6:69
  |
6 |   - {name: a, channel: push, template: t, at: trigger 23:00, valid: 1h}
  |                                                                     ^^
  = help: let it be valid for longer, choose another moment, or write `quiet: ignore`"
    );
    for lost in [
        "at: trigger 23:00, valid: until end of day",
        "at: next friday 8:59, valid: 1m",
        "at: event.starts_on - 1 day 22:00, valid: 11h",
    ] {
        assert!(step(NIGHT, lost).contains("in the quiet hours"), "{lost}");
    }
    for right in [
        "at: trigger 23:00, valid: 12h",
        "at: trigger 21:59, valid: 1h",
        "at: trigger 9:00, valid: 1h",
        "at: trigger 23:00, valid: 1h, quiet: ignore",
        "at: trigger 21:00, spread: 2h, valid: 1h",
        "at: trigger + 1d, valid: 1h",
    ] {
        assert_eq!(step(NIGHT, right), "", "{right}");
    }
    assert_eq!(step(&format!("class: transactional\n{NIGHT}"), "at: trigger 23:00, valid: 1h"), "", "it is awaited");
    assert!(step(NIGHT, "at: trigger 23:00, quiet: skip").contains("in which it is skipped"));
    let daily = "trigger: {on: schedule, every: day 23:00}\n";
    assert_eq!(step(&format!("{daily}{NIGHT}"), "valid: 2h"), "", "elsewhere it is another hour");
    let settles = "trigger: {on: cart, settle: 2h}\n";
    assert_eq!(step(&format!("{settles}{NIGHT}"), "at: trigger 23:00, valid: 1h"), "", "who left it at 22:30");
    let second = "at: trigger 12:00}\n  - {name: b, channel: push, template: t, at: trigger 23:00, valid: 1h";
    assert_eq!(step(NIGHT, second), "", "the first may have taken longer");
    assert_eq!(step(NIGHT, "at: trigger 8:00, spread: 14h, quiet: skip"), "");
}
