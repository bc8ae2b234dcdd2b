//! What a marketer is told: the whole text of each error, as it stands in the terminal.

use super::{Anchor, Plan, Point, Wait, parse};
use crate::calendar::Shift;

const HEAD: &str = "campaign: c\nversion: 1\ntrigger: {on: cart, key: cart_id, settle: 1h}\ngoal: {action: purchase}\n";
const STEP: &str = "steps:\n  - {name: only, channel: email, template: t}\n";

fn plan(yaml: &str) -> Plan {
    parse("c.yaml", yaml).unwrap_or_else(|problems| panic!("{}", shown(&problems)))
}

fn shown(problems: &[super::Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n")
}

/// The errors of a definition, as they are printed.
fn errors(yaml: &str) -> String {
    match parse("c.yaml", yaml) {
        Ok(_) => "no error".to_owned(),
        Err(problems) => shown(&problems),
    }
}

fn warnings(yaml: &str) -> String {
    shown(&plan(yaml).warnings)
}

#[test]
fn the_smallest_campaign_needs_five_lines() {
    let plan = plan(
        "campaign: c\nversion: 1\ntrigger: {on: registration}\nsteps:\n  - {name: only, channel: email, template: t}\n",
    );
    assert_eq!((plan.name.as_str(), plan.version, plan.steps.len()), ("c", 1, 1));
    assert!(plan.warnings.is_empty());
}

#[test]
fn an_unknown_key_is_shown_with_the_nearest_known_one() {
    assert_eq!(
        errors("campaign: c\nversion: 1\ntrigger:\n  on: cart\n  setle: 1h\nsteps: []\n"),
        "\
error: unknown key `setle`
 --> c.yaml:5:3
  |
5 |   setle: 1h
  |   ^^^^^
  = help: did you mean `settle`?"
    );
}

#[test]
fn a_missing_key_is_named() {
    assert_eq!(
        errors("campaign: c\nversion: 1\nsteps: []\n"),
        "\
error: the key `trigger` is missing
 --> c.yaml:3:1
  |
3 | steps: []
  | ^^^^^
  = help: add `trigger: …` beside it"
    );
}

#[test]
fn a_word_where_a_number_or_yes_or_no_belongs_is_shown_with_what_to_write() {
    let text = |version: &str, escalate: &str| {
        let step = format!("{{name: a, channel: push, template: t, escalate_on_outage: {escalate}}}");
        errors(&format!("campaign: c\nversion: {version}\ntrigger: {{on: registration}}\nsteps: [{step}]\n"))
    };
    assert_eq!(
        text("one", "true"),
        "\
error: only a whole number can stand here
 --> c.yaml:2:10
  |
2 | version: one
  |          ^^^
  = help: write digits only, such as `1`"
    );
    let text = text("1", "maybe");
    assert!(text.starts_with("error: only yes or no can stand here\n"), "{text}");
    assert!(text.ends_with("^^^^^\n  = help: write `true` or `false`"), "{text}");
}

#[test]
fn broken_yaml_is_shown_where_it_breaks() {
    let text = errors("campaign: c\nversion: 1\ntrigger: {on: cart\nsteps: []\n");
    assert!(text.starts_with("error: ") && text.contains("--> c.yaml:4:"), "{text}");
}

#[test]
fn a_value_of_another_kind_is_named_with_the_kind_that_belongs_there() {
    let text = |rest: &str| errors(&format!("campaign: c\nversion: 1\n{rest}"));
    let step = "steps: [{name: a, channel: email, template: t}]\n";
    let on_list = "trigger: {on: action, action: [x, y]}\n";
    assert_eq!(
        text(&format!("{on_list}{step}")),
        "\
error: this is a list, but one word belongs here
 --> c.yaml:3:31
  |
3 | trigger: {on: action, action: [x, y]}
  |                               ^
  = help: write one word, or one number"
    );
    let registration = "trigger: {on: registration}\n";
    for (rest, message, hint) in [
        (
            format!("{registration}stop: {{a: 1}}\n{step}"),
            "this is a group of keys, but one word belongs here",
            "write one word",
        ),
        (
            format!("{registration}quiet: at night\n{step}"),
            "this is a word, but a group of keys belongs here",
            "`{key: value}`",
        ),
        (
            format!("{registration}steps: {{name: a}}\n"),
            "this is a group of keys, but a list belongs here",
            "`[first, second]`",
        ),
        (
            format!("{registration}goal: {{action: y}}\n{step}"),
            "this is yes or no to YAML, as `y`",
            "write a word or a list of words, such a one in quotes: `\"y\"`",
        ),
        (
            format!("{registration}steps: [{{name: a, channel: email, template: on}}]\n"),
            "this is yes or no to YAML",
            "write the name of a template, or one for each variant",
        ),
        (
            format!("{registration}steps: [{{name: a, channel: email, template: 12}}]\n"),
            "integer `12` is a number to YAML",
            "what looks like a number in quotes",
        ),
        (
            format!("{registration}{step}---\ncampaign: d\n"),
            "a second document begins here",
            "move this into a file of its own",
        ),
    ] {
        let text = text(&rest);
        assert!(text.contains(message) && text.contains(hint), "wanted: {message}, {hint}\nfound: {text}");
        assert!(!text.contains("indentation"), "{text}");
    }
    assert!(errors("").contains("the file ends before it says anything"));
}

#[test]
fn a_mistake_is_told_once() {
    let text = errors(&format!("campaign: c\nversion: 1\ntrigger: {{on: schedule, every: someday}}\n{STEP}"));
    assert!(text.contains("this is not a time") && !text.contains("at which moment?"), "{text}");
}

#[test]
fn no_name_is_as_long_as_a_book() {
    let long = "x".repeat(201);
    let of = |name: &str| {
        let campaign = format!("campaign: {name}1\nversion: 1\ntrigger: {{on: action, action: {name}}}\n");
        let goal = format!("goal: {{action: [{name}]}}\nexperiment: {{name: {name}, variants: {{{name}: 100}}}}\n");
        let step = format!("steps: [{{name: {name}, channel: email, template: {{{name}: {name}}}}}]\n");
        errors(&(campaign + &goal + &step))
    };
    assert_eq!(of(&long[..199]), "no error");
    let text = of(&long);
    assert_eq!(text.matches("error: this name is too long").count(), 7, "{text}");
    assert!(text.contains("at most 200 characters"), "{text}");
    let book = errors(&format!("campaign: c\nversion: 1\ntrigger: {{on: {}}}\n{STEP}", "x".repeat(2_000_000)));
    assert!(book.starts_with("error: `xxx") && book.len() < 4_000, "{} bytes", book.len());
}

/// Of a long line only what is around the place is shown, and the place is under it.
#[test]
fn a_long_line_is_shown_in_part() {
    let yaml =
        format!("campaign: c\nversion: 1\ntrigger: {{on: registration, {}action: x}}\n{STEP}", " ".repeat(5_000));
    let text = errors(&yaml);
    let mut lines = text.lines().skip(1);
    assert_eq!(lines.next().unwrap().trim(), "--> c.yaml:3:5037");
    let (line, marks) = (lines.nth(1).unwrap(), lines.next().unwrap());
    assert_eq!(line.find("x}"), marks.find('^'), "{text}");
}

#[test]
fn all_errors_of_meaning_are_told_at_once_in_the_order_of_the_file() {
    let yaml = "\
campaign: c
version: 0
trigger: {on: kart}
stop: openned
steps:
  - {name: a, channel: emial, template: t, wait: 3 hours}
";
    assert_eq!(
        errors(yaml),
        "\
error: versions begin with 1
 --> c.yaml:2:10
  |
2 | version: 0
  |          ^
  = help: write `version: 1`, and one more with each change

error: `kart` is no trigger
 --> c.yaml:3:15
  |
3 | trigger: {on: kart}
  |               ^^^^
  = help: did you mean `cart`?

error: `openned` is no stop level
 --> c.yaml:4:7
  |
4 | stop: openned
  |       ^^^^^^^
  = help: did you mean `opened`?"
    );
}

#[test]
fn an_expression_is_shown_with_the_place_inside_it() {
    let head = "campaign: c\nversion: 1\ntrigger:\n  on: cart\n  settle: 1h\n";
    assert_eq!(
        errors(&format!("{head}  where: \"total_minor >= 100 && totl_minor < 5\"\n{STEP}")),
        "\
error: `totl_minor` is not known here
 --> c.yaml:6:33
  |
6 |   where: \"total_minor >= 100 && totl_minor < 5\"
  |                                 ^^^^^^^^^^
  = help: did you mean `total_minor`?"
    );
    assert_eq!(
        errors(&format!("{head}  where: total_minor > 10.5\n{STEP}")),
        "\
error: fractions are refused: they do not add up
 --> c.yaml:6:24
  |
6 |   where: total_minor > 10.5
  |                        ^^^^
  = help: write whole numbers; money is in minor units"
    );
    assert_eq!(
        errors(&format!("{head}  where: total_minor\n{STEP}")),
        "\
error: this is a whole number, but true or false is needed
 --> c.yaml:6:10
  |
6 |   where: total_minor
  |          ^^^^^^^^^^^
  = help: compare it with something"
    );
}

#[test]
fn waiting_for_an_opening_that_nobody_tells_of_is_an_error() {
    assert_eq!(
        errors(&format!(
            "{HEAD}steps:\n  - {{name: a, channel: sms, template: t, wait: 3h, next_if: [not opened]}}\n  - {{name: b, channel: email, template: t}}\n"
        )),
        "\
error: nobody learns whether a message on sms was opened
 --> c.yaml:6:62
  |
6 |   - {name: a, channel: sms, template: t, wait: 3h, next_if: [not opened]}
  |                                                              ^^^^^^^^^^
  = help: write what leads on from this step: `next_if: [not delivered, cannot send]`, or `no goal`"
    );
}

#[test]
fn a_step_that_others_follow_says_how_long_it_is_waited_for() {
    let followed = |first: &str, second: &str| {
        errors(&format!(
            "{HEAD}steps:\n  - {{name: a, channel: email, template: t{first}}}\n  - {{name: b, channel: sms, template: t{second}}}\n"
        ))
    };
    assert!(followed("", "").contains("how long is this message waited for before the next one?"));
    assert_eq!(followed(", wait: 1h", ""), "no error");
    assert_eq!(followed(", next_if: [cannot send]", ""), "no error");
    assert_eq!(followed("", ", after: 1d"), "no error");
    // Any may be the next one there.
    let by_cost = |text: &str| errors(&format!("{HEAD}stop: opened\norder: by cost\nsteps:\n{text}"));
    let bot = "  - {name: b, channel: telegram, template: t, after: 1d, wait: 1h}\n";
    assert!(
        by_cost(&format!("  - {{name: a, channel: sms, template: t}}\n{bot}")).contains("how long is this message")
    );
    assert_eq!(by_cost(bot), "no error");
    assert!(by_cost(&format!("  - {{name: a, channel: email, template: t, wait: 1h}}\n{bot}")).contains("was opened"));
}

#[test]
fn without_a_word_of_its_own_a_wait_lasts_until_the_next_moment() {
    let plan = plan(&format!(
        "{HEAD}steps:\n  - {{name: a, channel: email, template: t}}\n  - {{name: b, channel: sms, template: t, at: trigger + 7d}}\n"
    ));
    let week = Point::after(Anchor::Trigger, Shift::exact(7 * 24 * 3_600_000));
    assert_eq!((&plan.steps[0].wait, &plan.steps[1].start), (&Wait::Until(week.clone()), &week));
}

#[test]
fn what_contradicts_itself_is_refused() {
    let of = |trigger: &str, rest: &str, step: &str| {
        errors(&format!(
            "campaign: c\nversion: 1\ntrigger: {trigger}\n{rest}steps:\n  - {{name: a, template: t{step}}}\n"
        ))
    };
    let email = ", channel: email";
    for (text, message) in [
        (of("{on: action}", "", email), "which action?"),
        (of("{on: registration, action: purchase}", "", email), "only `on: action` has an action"),
        (of("{on: registration}", "stop: goal\n", email), "nothing can stop this cascade: it has no goal"),
        (of("{on: registration}", "goal: {action: buy, match: same key}\n", email), "there is no key to be the same"),
        (of("{on: registration}", "goal: {action: b, match: same article}\n", email), "there is no key to be the same"),
        (of("{on: registration}", "", ""), "a step needs a channel"),
        (of("{on: registration}", "", ", channel: email, any: [sms]"), "a step has either `channel` or `any`"),
        (of("{on: registration}", "", ", any: [sms, sms]"), "this channel stands here twice"),
        (
            of("{on: registration}", "", ", channel: email, at: trigger + 1d, after: 1d"),
            "a step has either `at` or `after`",
        ),
        (of("{on: registration}", "", ", channel: email, at: tomorrow"), "this is not an anchor with an offset"),
        (of("{on: registration}", "", ", channel: email, valid: 5s"), "this is too short for any worker"),
        (of("{on: schedule}", "", email), "at which moment?"),
        (of("{on: schedule, at: tomorrow}", "", email), "this is not a moment"),
        (of("{on: schedule, at: 2026-11-27T10:00Z, every: 5m}", "", email), "everybody cannot be looked at so often"),
        (of("{on: schedule, at: 2026-11-27T10:00Z, pace: 0}", "", email), "at this pace nobody is ever met"),
        (of("{on: registration, every: 7d}", "", email), "only `on: schedule` has moments"),
        (of("{on: schedule, every: someday 10:00}", "", email), "this is no day of the week"),
        (of("{on: schedule, every: 7d}", "", email), "at which moment?"),
        (of("{on: end}", "", email), "the end of which campaign?"),
        (of("{on: end, of: c}", "", email), "a campaign cannot follow upon itself"),
        (of("{on: end, of: d, ended: [somehow]}", "", email), "a cascade does not end so"),
        (of("{on: cart, of: d}", "", email), "only `on: end` follows upon others"),
        (of("{on: registration}", "zone: Moscow\n", email), "`Moscow` is no time zone"),
        (of("{on: registration}", "quiet: {hours: 22-9}\n", email), "these are no hours"),
        (
            of("{on: registration}", "quiet: {hours: 22:00-9:00, policy: sleep}\n", email),
            "`sleep` is no answer to quiet hours",
        ),
        (of("{on: registration}", "", ", channel: email, quiet: skip"), "which hours are quiet?"),
        (of("{on: registration}", "", ", channel: email, wait: 3h active"), "which hours are active?"),
        (
            of("{on: registration}", "", ", channel: email, valid: until tomorrow"),
            "this is not an anchor with an offset",
        ),
        (of("{on: registration}", "", ", channel: email, at: next someday 10:00"), "this is no day of the week"),
        (of("{on: registration}", "", ", channel: email, at: event.starts - 3 apples"), "this is not a time"),
        (of("{on: registration, settle: 3mo}", "", email), "months and years have no fixed length"),
        (
            of("{on: registration}", "", ", channel: email, when: was_opened('b')"),
            "no step before this one is called `b`",
        ),
        (of("{on: registration, where: was_opened('a')}", "", email), "`was_opened` can only be asked in a step"),
    ] {
        assert!(text.contains(message), "wanted: {message}\nfound: {text}");
    }
}

#[test]
fn a_schedule_means_its_latest_moment() {
    let schedule = |every: &str| {
        let trigger = format!("trigger: {{on: schedule, at: 1970-01-11T03:00+03:00{every}}}\n");
        plan(&format!("campaign: c\nversion: 1\n{trigger}{STEP}")).trigger.schedule.unwrap()
    };
    const DAY: i64 = 86_400_000;
    let latest = |schedule: &super::Schedule, now| schedule.latest(now, &jiff::tz::TimeZone::UTC);
    let weekly = schedule(", every: 7d");
    assert_eq!(latest(&weekly, 10 * DAY - 1), None);
    assert_eq!(latest(&weekly, 10 * DAY), Some(10 * DAY));
    assert_eq!(latest(&weekly, 23 * DAY), Some(17 * DAY));
    assert_eq!(latest(&weekly, 24 * DAY), Some(24 * DAY));
    assert_eq!(latest(&schedule(""), 24 * DAY), Some(10 * DAY));
}

#[test]
fn what_marketers_regret_is_a_warning() {
    let hasty = HEAD.replace("settle: 1h", "settle: 10m");
    assert_eq!(
        warnings(&format!("{hasty}{STEP}")),
        "\
warning: a reminder within an hour of leaving a cart annoys
 --> c.yaml:3:43
  |
3 | trigger: {on: cart, key: cart_id, settle: 10m}
  |                                           ^^^
  = help: write `settle: 1h` or more"
    );
    let five: String =
        (1..=5).map(|n| format!("  - {{name: s{n}, channel: email, template: t, wait: 1d}}\n")).collect();
    assert!(warnings(&format!("{HEAD}steps:\n{five}")).contains("more than four messages"));
    let bot = "steps:\n  - {name: a, channel: telegram, template: t}\n";
    assert!(warnings(&format!("{HEAD}{bot}")).contains("nobody learns whether a message on telegram arrived"));
    let mixed = "stop: opened\nsteps:\n  - {name: a, any: [email, telegram], template: t}\n";
    assert!(warnings(&format!("{HEAD}{mixed}")).contains("make it a step of its own"));
}

#[test]
fn a_price_table_is_checked_like_a_campaign() {
    let prices = |text: &str| crate::Prices::parse("prices.yaml", text);
    let good = prices("currency: USD\nprices: [{channel: sms, minor: 4}]\n").unwrap();
    assert_eq!(good.price_minor(crate::Channel::find("sms").unwrap()), 4);
    assert_eq!(good.price_minor(crate::Channel::find("email").unwrap()), 0);
    let bad =
        prices("currency: dollars\nprices: [{channel: smss, minor: 4}, {channel: push, minor: -1}]\n").unwrap_err();
    let messages: Vec<&str> = bad.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(messages, ["`dollars` is no currency", "`smss` is no channel", "a price cannot be negative"]);
}

/// A campaign with one step that says this.
fn with_step(head: &str, step: &str) -> String {
    format!(
        "campaign: c\nversion: 1\ntrigger: {{on: registration}}\n{head}steps:\n  - {{name: a, template: t, {step}}}\n"
    )
}

#[test]
fn only_a_call_comes_to_something() {
    assert_eq!(
        errors(&with_step("", "channel: email, next_if: [declined]")),
        "\
error: nobody tells whether this came to `declined`
 --> c.yaml:5:54
  |
5 |   - {name: a, template: t, channel: email, next_if: [declined]}
  |                                                      ^^^^^^^^
  = help: only a step on `call` has an outcome"
    );
    let asks = "channel: email, wait: 1d}\n  - {name: b, template: t, channel: sms, when: \"outcome('a') == 'later'\"";
    assert_eq!(
        errors(&with_step("", asks)),
        "\
error: nobody tells what `a` came to
 --> c.yaml:6:48
  |
6 |   - {name: b, template: t, channel: sms, when: \"outcome('a') == 'later'\"}
  |                                                ^^^^^^^^^^^^^^^^^^^^^^^^^
  = help: only a step on `call` has an outcome"
    );
    assert_eq!(errors(&with_step("", &asks.replace("channel: email", "channel: call"))), "no error");
}

#[test]
fn nobody_agrees_to_a_message() {
    assert_eq!(
        errors(&with_step("stop: agreed\n", "channel: email")),
        "\
error: nothing can stop this cascade: no step is a task for a person
 --> c.yaml:4:7
  |
4 | stop: agreed
  |       ^^^^^^
  = help: add a step on `call`"
    );
    assert_eq!(errors(&with_step("stop: agreed\n", "channel: call")), "no error");
}

#[test]
fn a_call_at_night_or_within_minutes_is_a_warning() {
    assert_eq!(
        warnings(&with_step("", "channel: call, wait: 10m")),
        "\
warning: somebody may have to call at night
 --> c.yaml:5:12
  |
5 |   - {name: a, template: t, channel: call, wait: 10m}
  |            ^
  = help: add `quiet: {hours: 21:00-10:00}` to the campaign

warning: nobody can have called so soon
 --> c.yaml:5:49
  |
5 |   - {name: a, template: t, channel: call, wait: 10m}
  |                                                 ^^^
  = help: write `wait: 1d`: the outcome ends it sooner"
    );
    let by_day = "quiet: {hours: 21:00-10:00}\n";
    assert_eq!(warnings(&with_step(by_day, "channel: call, wait: 1h active")), "");
    assert!(warnings(&with_step(by_day, "channel: call, wait: 59m active")).contains("nobody can have called so soon"));
    assert_eq!(warnings(&with_step("class: transactional\n", "channel: call, wait: 1 day 10:00")), "");
    assert_eq!(warnings(&with_step("", "channel: email, wait: 15m")), "", "a letter is read at any time");
}

#[test]
fn a_contact_falls_asleep_slowly_and_only_where_it_could_have_answered() {
    assert_eq!(
        errors(&with_step("asleep: {after: 23h}\n", "channel: email")),
        "\
error: nobody is asleep so soon
 --> c.yaml:4:17
  |
4 | asleep: {after: 23h}
  |                 ^^^
  = help: write a length: `6 months`, `180d`"
    );
    assert_eq!(
        errors(&with_step("asleep: {after: 6 months, then: goon}\n", "channel: email")),
        "\
error: `goon` is no answer to a contact asleep
 --> c.yaml:4:33
  |
4 | asleep: {after: 6 months, then: goon}
  |                                 ^^^^
  = help: did you mean `go on`?"
    );
    for no_length in ["next tuesday 10:00", "1 month 10:00", "soon"] {
        let text = errors(&with_step(&format!("asleep: {{after: {no_length}}}\n"), "channel: email"));
        assert!(text.starts_with("error: ") && text.contains("--> c.yaml:4:17"), "{text}");
    }
    assert_eq!(
        warnings(&with_step("asleep: {after: 2d}\n", "channel: sms")),
        "\
warning: no channel of this campaign tells of opening
 --> c.yaml:4:17
  |
4 | asleep: {after: 2d}
  |                 ^^
  = help: remove it: silence says nothing where nobody learns of opening

warning: a month of silence is no sleep
 --> c.yaml:4:17
  |
4 | asleep: {after: 2d}
  |                 ^^
  = help: write `after: 6 months`"
    );
    let awaited = warnings(&with_step("class: transactional\nasleep: {after: 6 months}\n", "channel: email"));
    assert!(
        awaited.starts_with("warning: customers wait for these messages: nobody is left out of them\n --> c.yaml:5:17")
    );
    assert_eq!(warnings(&with_step("asleep: {after: 1 month}\n", "channel: email")), "");
}

#[test]
fn a_budget_says_how_much_in_which_time_and_what_then() {
    let budget = |budget: &str| errors(&with_step(&format!("budget: {{{budget}}}\n"), "channel: sms"));
    assert_eq!(
        budget("minor: 0, per: day"),
        "\
error: a budget of nothing
 --> c.yaml:4:17
  |
4 | budget: {minor: 0, per: day}
  |                 ^
  = help: write how much may be spent, in minor units"
    );
    assert_eq!(
        budget("minor: 9, per: week, then: hold"),
        "\
error: `week` is no time to count in
 --> c.yaml:4:25
  |
4 | budget: {minor: 9, per: week, then: hold}
  |                         ^^^^
  = help: it can be `hour` or `day`

error: `hold` is no way on
 --> c.yaml:4:37
  |
4 | budget: {minor: 9, per: week, then: hold}
  |                                     ^^^^
  = help: it can be `wait` or `stop`"
    );
    assert!(budget("minor: 9").starts_with("error: the key `per` is missing\n --> c.yaml:4:"));
    assert_eq!(budget("minor: 9, per: hour, then: stop"), "no error");
}

#[test]
fn an_anchor_that_never_has_a_date_is_refused() {
    let at = |on: &str, words: &str| {
        let step = format!("{{name: a, channel: email, template: t, {words}}}");
        errors(&format!("campaign: c\nversion: 1\ntrigger: {{{on}}}\nsteps:\n  - {step}\n"))
    };
    const ACTION: &str = "on: action, action: lead";
    let told = at(ACTION, "at: profile.attributes.birthday - 3 days 10:00");
    assert!(told.contains("--> c.yaml:5:48"), "{told}");
    assert!(told.ends_with("attributes are called by their names: `profile.birthday`"), "{told}");
    for words in [
        "at: event.expires_on-7d",
        "at: event.expires_on-7 days 10:00",
        "at: event.expires_on- 7d",
        "valid: until event.expires_on+7d",
    ] {
        assert!(at(ACTION, words).contains("an anchor and its way stand apart"), "{words}");
    }
    for on in ["on: cart, settle: 2h", "on: schedule, every: day 10:00", "on: end, of: d"] {
        assert!(at(on, "at: event.anything").contains("brings no `anything`"), "{on}");
        assert_eq!(at(on, "at: event.occurred_at + 1d"), "no error", "{on}");
    }
    assert!(at(ACTION, "valid: until 2026-06-10T00:00").contains("offset from UTC"));
    for words in
        ["at: event.utm-source - 7d", "valid: until 2026-06-10T00:00+03:00", "at: 2026-06-10T00:00Z + 1 day 10:00"]
    {
        assert_eq!(at(ACTION, words), "no error", "{words}");
    }
}
