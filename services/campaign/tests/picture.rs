//! Pictures of the examples, whole.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use campaign::{Migration, Plan, picture, reference};

const CAMPAIGNS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/campaigns");

fn example(name: &str) -> Plan {
    let text = std::fs::read_to_string(format!("{CAMPAIGNS}/{name}.yaml")).unwrap();
    campaign::parse(name, &text).unwrap_or_else(|problems| panic!("{}", problems[0]))
}

#[test]
fn steps_in_their_order_as_text() {
    assert_eq!(
        picture::text(&example("cart-messenger")),
        r##"cart-messenger version 1 (marketing)

  a cart changed
      where total_minor >= 3000
      one cascade for each cart_id
      settles: nothing new for 1h
      coming again while it settles, it is taken over and settles anew
      older than 1d it begins nothing
   │
   ▼
  1. letter: email, template cart
      at once, valid for 1d
      waits 1d from the hand-over
   │ not delivered, cannot send, not opened
   ▼
  2. bot: telegram, template cart
      at once, valid for 1d
      waits 1d from the hand-over
   │ not delivered, cannot send
   ▼
  3. whatsapp: whatsapp, template cart
      when !was_opened('letter') && !has_contact('telegram')
      at once, valid for 6h
      waits 1d from the hand-over
   │
   ▼
  end: no step is left

  At any time:
   ──▶ stop: a message was opened
   ──▶ goal: purchase, also up to 1h before the trigger
   ──▶ end: a wait is over and nothing that leads on is true
"##
    );
}

#[test]
fn a_choice_by_cost_as_text() {
    assert_eq!(
        picture::text(&example("come-back")),
        r##"come-back version 1 (marketing)

  nothing was heard of a customer
      where days >= 30
      one cascade for each customer
      older than 3d it begins nothing
   │
   ▼
  the cheapest message that was not tried yet
   │
   ├─ sms: sms, template come_back
   │      at once, valid for 1d
   │      waits 1d from the hand-over
   │      2 segments as an SMS
   │      back to the choice if: not delivered, cannot send
   │
   ├─ viber: viber, template come_back
   │      at once, valid for 1d
   │      waits 1d from the hand-over
   │      back to the choice if: not delivered, cannot send, not opened
   │
   ├─ email: email, template come_back
   │      at once, valid for 1d
   │      waits 2d from the hand-over
   │      back to the choice if: not delivered, cannot send, not opened
   │
   ├─ push: push, template come_back
   │      at once, valid for 1d
   │      waits 6h from the hand-over
   │      back to the choice if: not delivered, cannot send, not opened
   │ none is left
   ▼
  end: no step is left

  At any time:
   ──▶ stop: a message was opened
   ──▶ goal: purchase or visit
   ──▶ end: a wait is over and nothing that leads on is true
"##
    );
}

#[test]
fn steps_in_their_order_as_a_flowchart() {
    assert_eq!(
        picture::mermaid(&example("cart-messenger")),
        r##"flowchart TD
  trigger(["a cart changed<br/>where total_minor #62;= 3000<br/>one cascade for each cart_id<br/>settles: nothing new for 1h<br/>coming again while it settles, it is taken over and settles anew<br/>older than 1d it begins nothing"])
  subgraph cascade ["cart-messenger version 1 (marketing)"]
    step1["letter: email, template cart<br/>at once, valid for 1d<br/>waits 1d from the hand-over"]
    step2["bot: telegram, template cart<br/>at once, valid for 1d<br/>waits 1d from the hand-over"]
    step3["whatsapp: whatsapp, template cart<br/>when !was_opened('letter') #38;#38; !has_contact('telegram')<br/>at once, valid for 6h<br/>waits 1d from the hand-over"]
    step1 -->|"not delivered, cannot send, not opened"| step2
    step2 -->|"not delivered, cannot send"| step3
  end
  trigger --> step1
  finish(["end: no step is left"])
  step1 -->|"otherwise"| finish
  step2 -->|"otherwise"| finish
  step3 --> finish
  cascade -.-> stop(["stop: a message was opened"])
  cascade -.-> goal(["goal: purchase, also up to 1h before the trigger"])
"##
    );
}

#[test]
fn a_choice_by_cost_as_a_flowchart() {
    assert_eq!(
        picture::mermaid(&example("come-back")),
        r##"flowchart TD
  trigger(["nothing was heard of a customer<br/>where days #62;= 30<br/>one cascade for each customer<br/>older than 3d it begins nothing"])
  subgraph cascade ["come-back version 1 (marketing)"]
    step1["sms: sms, template come_back<br/>at once, valid for 1d<br/>waits 1d from the hand-over<br/>2 segments as an SMS"]
    step2["viber: viber, template come_back<br/>at once, valid for 1d<br/>waits 1d from the hand-over"]
    step3["email: email, template come_back<br/>at once, valid for 1d<br/>waits 2d from the hand-over"]
    step4["push: push, template come_back<br/>at once, valid for 1d<br/>waits 6h from the hand-over"]
    choice{{"the cheapest message that was not tried yet"}}
    choice --> step1
    step1 -->|"not delivered, cannot send"| choice
    choice --> step2
    step2 -->|"not delivered, cannot send, not opened"| choice
    choice --> step3
    step3 -->|"not delivered, cannot send, not opened"| choice
    choice --> step4
    step4 -->|"not delivered, cannot send, not opened"| choice
  end
  trigger --> choice
  finish(["end: no step is left"])
  choice -->|"none is left"| finish
  step1 -->|"otherwise"| finish
  step2 -->|"otherwise"| finish
  step3 -->|"otherwise"| finish
  step4 -->|"otherwise"| finish
  cascade -.-> stop(["stop: a message was opened"])
  cascade -.-> goal(["goal: purchase or visit"])
"##
    );
}

/// Every word of a step that can be said.
const EVERYTHING: &str = "
campaign: everything
version: 3
class: transactional
trigger: {on: schedule, at: 2026-11-27T10:00+03:00, every: 7d, pace: 100, where: \"profile.attributes.city == '\u{201c}<b>#1\u{201d}' && CONDITION\"}
goal: {action: [lead, purchase], where: amount_minor > 0}
stop: clicked
steps:
  - {name: first, any: [email, push], template: t, at: trigger + 1d, spread: 30m, late: 2h, next_if: [not opened]}
  - {name: second, channel: sms, template: t, after: 2d, wait: 1d, escalate_on_outage: true}
";

#[test]
fn whatever_a_campaign_says_stays_within_the_page_and_the_language_of_the_flowchart() {
    let long = "has_contact('email') && ".repeat(20) + "profile.attributes.club == '" + &"x".repeat(300) + "'";
    let plan =
        campaign::parse("everything", &EVERYTHING.replace("CONDITION", &long)).unwrap_or_else(|it| panic!("{}", it[0]));
    let text = picture::text(&plan);
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    for word in [
        "version 3 (transactional, no consent needed)",
        "on 2026-11-27T07:00:00Z, and every 7d",
        "100 customers of a partition in a second at most",
        "at trigger + 1d, spread over 30m, valid for 1d",
        "skipped if seen more than 2h late",
        "│ not opened",
        "2d after the last hand-over",
        "after an outage a dearer one may follow",
        "stop: a message was clicked",
        "goal: lead or purchase, where amount_minor > 0",
    ] {
        assert!(text.contains(word), "{word}:\n{text}");
    }
    assert!(picture::text(&example("order-ready")).contains("goal: order_fetched, same key"));
    let chart = picture::mermaid(&plan);
    assert!(chart.contains("#60;b#62;#35;1") && !chart.contains("<b>"), "{chart}");
}

#[test]
fn every_example_has_both_pictures() {
    let files = std::fs::read_dir(Path::new(CAMPAIGNS)).unwrap().map(|entry| entry.unwrap().path());
    let names = files.filter(|path| path.extension().is_some_and(|end| end == "yaml"));
    let names: Vec<String> = names.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    assert!(names.len() > 5, "{names:?}");
    for name in names.iter().filter(|name| !["prices", "rates"].contains(&name.as_str())) {
        let plan = example(name);
        let (text, chart) = (picture::text(&plan), picture::mermaid(&plan));
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        assert!(chart.starts_with("flowchart TD\n"), "{chart}");
        for step in &plan.steps {
            assert!(
                text.contains(&format!("{}: ", step.name)) && chart.contains(&format!("[\"{}: ", step.name)),
                "{name}"
            );
        }
    }
}

/// What a campaign says beside its name: its trigger, its head, and its step.
type Written = [&'static str; 3];

const LEAD: Written = ["on: action, action: lead", "", "channel: sms"];

/// For each key of the language two versions that differ in nothing else.
const CHANGES: [(&str, Written, Written); 50] = [
    ("class", LEAD, [LEAD[0], "class: transactional", LEAD[2]]),
    ("zone", LEAD, [LEAD[0], "zone: Europe/Moscow", LEAD[2]]),
    ("quiet", LEAD, [LEAD[0], "quiet: {hours: 22:00-9:00}", LEAD[2]]),
    ("asleep", LEAD, [LEAD[0], "asleep: {after: 6 months}", LEAD[2]]),
    ("goal", LEAD, [LEAD[0], "goal: {action: purchase}", LEAD[2]]),
    ("stop", LEAD, [LEAD[0], "stop: clicked", LEAD[2]]),
    ("order", LEAD, [LEAD[0], "order: by cost", LEAD[2]]),
    ("priority", LEAD, [LEAD[0], "priority: 10", LEAD[2]]),
    ("experiment", LEAD, [LEAD[0], "experiment: {hold_out: 10}", LEAD[2]]),
    ("budget", LEAD, [LEAD[0], "budget: {minor: 5, per: day}", LEAD[2]]),
    (
        "templates",
        [LEAD[0], "templates: {t.sms: 00000000000000aa}", LEAD[2]],
        [LEAD[0], "templates: {t.sms: 00000000000000ab}", LEAD[2]],
    ),
    (
        "budget.minor",
        [LEAD[0], "budget: {minor: 5, per: day}", LEAD[2]],
        [LEAD[0], "budget: {minor: 6, per: day}", LEAD[2]],
    ),
    (
        "budget.per",
        [LEAD[0], "budget: {minor: 5, per: day}", LEAD[2]],
        [LEAD[0], "budget: {minor: 5, per: hour}", LEAD[2]],
    ),
    (
        "budget.then",
        [LEAD[0], "budget: {minor: 5, per: day}", LEAD[2]],
        [LEAD[0], "budget: {minor: 5, per: day, then: stop}", LEAD[2]],
    ),
    ("trigger.where", LEAD, ["on: action, action: lead, where: amount_minor > 5", "", LEAD[2]]),
    ("trigger.settle", LEAD, ["on: action, action: lead, settle: 2h", "", LEAD[2]]),
    ("trigger.max_age", LEAD, ["on: action, action: lead, max_age: 2h", "", LEAD[2]]),
    ("trigger.again", LEAD, ["on: action, action: lead, again: restart", "", LEAD[2]]),
    ("trigger.of", ["on: end, of: a", "", LEAD[2]], ["on: end, of: b", "", LEAD[2]]),
    ("trigger.ended", ["on: end, of: a", "", LEAD[2]], ["on: end, of: a, ended: stop", "", LEAD[2]]),
    ("trigger.cooldown", LEAD, ["on: action, action: lead, cooldown: 2h", "", LEAD[2]]),
    ("trigger.maximum", LEAD, ["on: action, action: lead, maximum: 2", "", LEAD[2]]),
    (
        "trigger.at",
        ["on: schedule, at: 2026-11-27T07:00Z", "", LEAD[2]],
        ["on: schedule, at: 2026-11-27T08:00Z", "", LEAD[2]],
    ),
    ("trigger.every", ["on: schedule, every: day 10:00", "", LEAD[2]], ["on: schedule, every: day 11:00", "", LEAD[2]]),
    (
        "trigger.pace",
        ["on: schedule, every: day 10:00", "", LEAD[2]],
        ["on: schedule, every: day 10:00, pace: 5", "", LEAD[2]],
    ),
    ("quiet.hours", [LEAD[0], "quiet: {hours: 22:00-9:00}", LEAD[2]], [LEAD[0], "quiet: {hours: 22:00-8:00}", LEAD[2]]),
    (
        "quiet.policy",
        [LEAD[0], "quiet: {hours: 22:00-9:00}", LEAD[2]],
        [LEAD[0], "quiet: {hours: 22:00-9:00, policy: skip}", LEAD[2]],
    ),
    (
        "quiet.release",
        [LEAD[0], "quiet: {hours: 22:00-9:00}", LEAD[2]],
        [LEAD[0], "quiet: {hours: 22:00-9:00, release: 2h}", LEAD[2]],
    ),
    ("asleep.after", [LEAD[0], "asleep: {after: 6 months}", LEAD[2]], [LEAD[0], "asleep: {after: 7 months}", LEAD[2]]),
    (
        "asleep.then",
        [LEAD[0], "asleep: {after: 6 months}", LEAD[2]],
        [LEAD[0], "asleep: {after: 6 months, then: go on}", LEAD[2]],
    ),
    ("goal.action", [LEAD[0], "goal: {action: purchase}", LEAD[2]], [LEAD[0], "goal: {action: visit}", LEAD[2]]),
    (
        "goal.match",
        ["on: action, action: lead, key: key", "goal: {action: visit}", LEAD[2]],
        ["on: action, action: lead, key: key", "goal: {action: visit, match: same key}", LEAD[2]],
    ),
    (
        "goal.where",
        [LEAD[0], "goal: {action: visit}", LEAD[2]],
        [LEAD[0], "goal: {action: visit, where: amount_minor > 5}", LEAD[2]],
    ),
    ("goal.grace", [LEAD[0], "goal: {action: visit}", LEAD[2]], [LEAD[0], "goal: {action: visit, grace: 2h}", LEAD[2]]),
    (
        "experiment.name",
        [LEAD[0], "experiment: {hold_out: 10}", LEAD[2]],
        [LEAD[0], "experiment: {name: x, hold_out: 10}", LEAD[2]],
    ),
    (
        "experiment.variants",
        [LEAD[0], "experiment: {variants: {a: 50, b: 50}}", LEAD[2]],
        [LEAD[0], "experiment: {variants: {a: 40, b: 60}}", LEAD[2]],
    ),
    (
        "experiment.hold_out",
        [LEAD[0], "experiment: {hold_out: 10}", LEAD[2]],
        [LEAD[0], "experiment: {hold_out: 11}", LEAD[2]],
    ),
    ("steps.channel", LEAD, [LEAD[0], "", "channel: email"]),
    ("steps.any", LEAD, [LEAD[0], "", "any: [sms, email]"]),
    (
        "steps.variant",
        [LEAD[0], "experiment: {variants: {a: 50, b: 50}}", LEAD[2]],
        [LEAD[0], "experiment: {variants: {a: 50, b: 50}}", "channel: sms, variant: a"],
    ),
    ("steps.segments", LEAD, [LEAD[0], "", "channel: sms, segments: 2"]),
    ("steps.when", LEAD, [LEAD[0], "", "channel: sms, when: amount_minor > 5"]),
    ("steps.at", LEAD, [LEAD[0], "", "channel: sms, at: trigger + 1d"]),
    ("steps.after", LEAD, [LEAD[0], "", "channel: sms, after: 2h"]),
    ("steps.spread", LEAD, [LEAD[0], "", "channel: sms, spread: 2h"]),
    ("steps.late", LEAD, [LEAD[0], "", "channel: sms, late: skip"]),
    ("steps.wait", LEAD, [LEAD[0], "", "channel: sms, wait: 9h"]),
    ("steps.next_if", LEAD, [LEAD[0], "", "channel: sms, next_if: [no goal]"]),
    ("steps.valid", LEAD, [LEAD[0], "", "channel: sms, valid: 2h"]),
    ("steps.escalate_on_outage", LEAD, [LEAD[0], "", "channel: sms, escalate_on_outage: true"]),
];

/// Those of which a migration cannot tell a difference: names, lists and parts that are looked at key by key, and what it refuses.
const OTHERS: [&str; 9] = [
    "campaign",
    "version",
    "trigger",
    "steps",
    "trigger.on",
    "trigger.action",
    "trigger.key",
    "steps.name",
    "steps.template",
];

#[test]
fn whatever_differs_between_two_versions_is_told_before_a_migration() {
    let plan = |version: i32, [trigger, head, step]: Written, template: &str| {
        let text = format!(
            "campaign: c\nversion: {version}\ntrigger: {{{trigger}}}\n{head}\nsteps: [{{name: a, {step}, template: {template}}}]\n"
        );
        campaign::parse("c.yaml", &text).unwrap_or_else(|problems| panic!("{}", problems[0]))
    };
    let differs = |from: Written, to: Written, template: &str| {
        let (from, to) = (plan(1, from, "t"), plan(2, to, template));
        let migration = Migration::between(&from, &to, &BTreeMap::new()).unwrap();
        let told = picture::migration(&migration, &from, &to);
        told.lines().any(|line| line.trim_start().starts_with(['+', '-']))
    };
    assert!(!differs(LEAD, LEAD, "t") && differs(LEAD, LEAD, "u"));
    let night = |quiet| [LEAD[0], "quiet: {hours: 22:00-9:00}", quiet];
    assert!(differs(night(LEAD[2]), night("channel: sms, quiet: ignore"), "t"), "steps.quiet");
    for (key, from, to) in CHANGES {
        assert!(differs(from, to, "t"), "{key}");
    }
    let schema = reference::campaign();
    let mut keys: BTreeSet<String> = schema["properties"].as_object().unwrap().keys().cloned().collect();
    for (part, of) in schema["properties"].as_object().unwrap() {
        let within = [&of["properties"], &of["items"]["properties"]].into_iter().filter_map(|it| it.as_object());
        keys.extend(within.flatten().map(|(key, _)| format!("{part}.{key}")));
    }
    let known = CHANGES.iter().map(|(key, ..)| *key).chain(OTHERS).chain(["steps.quiet"]);
    let known: BTreeSet<String> = known.map(str::to_owned).collect();
    assert_eq!(keys, known);
}
