//! Pictures of the examples, whole.

use std::path::Path;

use campaign::{Plan, picture};

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
    step1["sms: sms, template come_back<br/>at once, valid for 1d<br/>waits 1d from the hand-over"]
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
        "│ not opened, no channel can be used",
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
