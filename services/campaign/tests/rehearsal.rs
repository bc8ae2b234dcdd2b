//! What a timeline may say, what it must not, and how a difference is told.

use campaign::Plans;
use campaign::limits;
use campaign::rehearsal::{GRAMMAR, Timeline, told};
use schemas::{Campaign, CampaignKind};

const TWO_STEPS: &str = "
campaign: two
version: 1
trigger: {on: action, action: lead, where: \"attributes.city == 'Nizhny Novgorod' && amount_minor >= 500\"}
goal: {action: purchase}
steps:
  - {name: first, channel: email, template: t, wait: 3h, valid: 1h}
  - {name: second, channel: sms, template: t, when: \"profile.attributes.club == 'gold'\", valid: 1h}
";

const EVERY_HOUR: &str = "
campaign: often
version: 1
trigger: {on: schedule, at: 2026-06-01T12:00Z, every: 1h}
steps: [{name: offer, channel: email, template: t}]
";

fn plans(definition: &str) -> Plans {
    let mut plans = Plans::default();
    let plan = campaign::parse("test", definition).unwrap();
    let (campaign, version) = (plan.name, plan.version);
    let kind = CampaignKind::Definition;
    plans.apply(&Campaign { campaign, version, kind, definition: definition.into(), ..Campaign::default() }).unwrap();
    plans
}

/// The problems of a text, each as `line:column message`.
fn problems(text: &str) -> Vec<String> {
    let problems = Timeline::parse("t", text).unwrap_err();
    assert!(problems.iter().all(|problem| problem.hint.is_some()), "{problems:?}");
    problems.iter().map(|problem| format!("{}:{} {}", problem.line, problem.column, problem.message)).collect()
}

#[test]
fn attributes_of_events_and_of_the_profile_are_said_in_a_line() {
    let text = "begin 2026-06-01T10:00+03:00 # a comment
        zone Europe/Moscow

        0 has email sms
        0 profile club=gold time_zone=Europe/Samara locale=ru
        0 does lead k1 amount_minor=499 city=\"Nizhny Novgorod\"
        => 0 PREDICATE_FALSE
        0 does lead k1 amount_minor=500 city=\"Nizhny Novgorod\"
        => 0 ENTERED
        => 0 send first by email
        => 180m NO_INFORMATION first email
        => 3h send second by sms
        3h time passes";
    let timeline = Timeline::parse("t", text).unwrap();
    let world = timeline.play(plans(TWO_STEPS)).unwrap();
    assert_eq!(timeline.difference(&world), None);
    assert_eq!(timeline.begin, 1_780_297_200_000);
    assert_eq!(timeline.zone.iana_name(), Some("Europe/Moscow"));
    assert_eq!(world.customer.time_zone.as_deref(), Some("Europe/Samara"));
    assert_eq!(world.customer.locale.as_deref(), Some("ru"));
    assert_eq!(world.sends()[0].fields["city"], "Nizhny Novgorod");
}

#[test]
fn every_mistake_has_its_line_and_a_way_out() {
    assert_eq!(
        problems(
            "zone Mars/Olympus
begin yesterday
0 has emial
1.5h time passes
1d
0 bougt purchase
0 does
0 does lead k1 amount_minor=much
0 cart c1
0 cart c1 1 5000 colour=red
0 silent
0 registers source
0 registers source=a source=b
0 delivered
0 piled time passes
0 worker tired
0 down now
5h time passes
4h time passes
99999d time passes"
        ),
        [
            "1:6 this is no time zone",
            "2:7 this is no moment",
            "3:7 `emial` is no channel",
            "4:1 `1.5h` is no time",
            "5:1 what happens then?",
            "6:3 `bougt` is nothing that happens",
            "7:3 does what?",
            "8:16 `much` is no whole number that can stand here",
            "9:3 a cart has an id, a version and a total",
            "10:18 a cart says nothing of `colour`",
            "11:3 for how many days?",
            "12:13 `source` has no name",
            "13:22 `source` stands here twice",
            "14:3 of which message is this said?",
            "15:3 only facts pile up",
            "16:10 a worker is on or off",
            "17:8 `now` has no meaning here",
            "19:1 time does not go back",
            "20:1 this is too far away",
        ]
    );
    assert_eq!(
        problems(
            "=> 0\n=> 0 ENTRED\n=> 0 SENT first email\n=> 0 send first\n=> 0 send first by pigeon\nzone UTC\n0 does \"a"
        ),
        [
            "1:1 what is decided, and when?",
            "2:6 `ENTRED` is no reason",
            "3:6 `SENT` is not told in a timeline",
            "4:6 nothing that is decided reads like this",
            "5:20 `pigeon` is no channel",
            "7:8 this quote is not closed",
        ]
    );
    assert_eq!(problems("0 registers\nzone UTC"), ["2:1 `zone` comes too late here"]);
}

#[test]
fn a_line_that_cannot_happen_is_told_with_its_place() {
    let play = |text: &str| Timeline::parse("t", text).unwrap().play(plans(TWO_STEPS)).unwrap_err()[0].to_string();
    assert_eq!(
        play("0 has email\n1h delivered first"),
        "error: nothing was sent for a step `first` by now
 --> t:2:4
  |
2 | 1h delivered first
  |    ^^^^^^^^^
  = help: look at what is decided before this line"
    );
    assert!(play("0 again").contains("nothing was told that could come again"));
}

#[test]
fn a_timeline_is_bounded() {
    let long = "0 registers\n".repeat(limits::TIMELINE_LINES + 1);
    assert_eq!(problems(&long), [format!("{}:1 a timeline has at most 10000 lines", limits::TIMELINE_LINES + 1)]);
    assert_eq!(problems(&"x".repeat(limits::TIMELINE_WIDTH + 1)), ["1:1 this line is too long"]);
    assert_eq!(problems(&"x\n".repeat(1_000)).len(), 20);
    let often = Timeline::parse("t", "0 has sms\n1825d time passes").unwrap();
    assert!(often.play(plans(EVERY_HOUR)).is_ok());
    let often = Timeline::parse("t", "0 has sms\n3650d time passes").unwrap();
    let problem = &often.play(plans(EVERY_HOUR)).unwrap_err()[0];
    assert_eq!((problem.line, problem.message.as_str()), (2, "more than 50000 moments fall due before this"));
}

#[test]
fn a_difference_shows_what_was_wanted_beside_what_was_found() {
    let text = "0 has email
0 does lead amount_minor=500 city=\"Nizhny Novgorod\"
=> 0 ENTERED
=> 0 send first by email
=> 2h NO_INFORMATION first email
3h time passes
=> 3h STEP_SKIPPED second
=> 3h EXHAUSTED";
    let timeline = Timeline::parse("t", text).unwrap();
    let world = timeline.play(plans(TWO_STEPS)).unwrap();
    assert_eq!(
        timeline.difference(&world).unwrap(),
        "          0 ENTERED
          0 send first by email
  wanted  2h NO_INFORMATION first email   (line 5)
  found   3h NO_INFORMATION first email
          3h STEP_SKIPPED second
          3h EXHAUSTED
"
    );
    let silent = Timeline::parse("t", "0 has email").unwrap();
    assert_eq!(silent.difference(&world), None, "nothing is expected");
}

#[test]
fn the_same_timeline_gives_the_same_effects() {
    let text = "0 has email sms\n0 does lead amount_minor=500 city=\"Nizhny Novgorod\"\n1d time passes";
    let play = || Timeline::parse("t", text).unwrap().play(plans(TWO_STEPS)).unwrap();
    let (one, other) = (play(), play());
    assert_eq!(one.effects, other.effects);
    assert_eq!(told(&one), told(&other));
    let journal = one.journal();
    assert_eq!(one.cause(journal[0]), Some("Line 1: has email sms."));
}

#[test]
fn the_example_of_the_grammar_comes_true_and_the_page_is_narrow() {
    let text: String =
        GRAMMAR.lines().take_while(|line| !line.starts_with("What happens")).collect::<Vec<_>>().join("\n");
    let path = format!("{}/../../deploy/campaigns/bonus-expiring.yaml", env!("CARGO_MANIFEST_DIR"));
    let timeline = Timeline::parse("the grammar", &text).unwrap_or_else(|it| panic!("{}", it[0]));
    let world = timeline.play(plans(&std::fs::read_to_string(path).unwrap())).unwrap();
    assert_eq!(timeline.expectations(), 4);
    assert_eq!(timeline.difference(&world), None);
    assert!(GRAMMAR.lines().all(|line| line.chars().count() <= 100));
}

/// What the grammar names in its left column is what the timeline knows.
#[test]
fn the_grammar_names_every_happening() {
    let problem = &Timeline::parse("t", "0 qqqqqqqqqqqqqqqq").unwrap_err()[0];
    let known = problem.hint.as_deref().unwrap().split('`').skip(1).step_by(2);
    for word in known {
        assert!(GRAMMAR.contains(word), "{word}");
    }
}

/// A cascade's own moment is drawn by the event that began it, and such an event has the same id whoever plays the timeline.
#[test]
fn the_answers_of_a_worker_move_no_moment() {
    let spread = "
campaign: spread
version: 1
trigger: {on: action, action: order, key: key}
steps: [{name: only, channel: email, template: t, at: trigger + 1h, spread: 30m}]
";
    let moments = |worker: &str| {
        let text = format!("0 worker {worker}\n0 has email\n0 does order a\n2h does order b\n5h time passes");
        let world = Timeline::parse("t", &text).unwrap().play(plans(spread)).unwrap();
        world.sends().iter().map(|send| send.decided_at).collect::<Vec<_>>()
    };
    assert_eq!(moments("on").len(), 2);
    assert_eq!(moments("on"), moments("off"));
}

const MOVED: [&str; 2] = [
    "campaign: v\nversion: 1\ntrigger: {on: action, action: x}\nstop: opened\nsteps:
  - {name: a, channel: email, template: t, wait: 3h}
  - {name: b, channel: push, template: t, wait: 3h}\n",
    "campaign: v\nversion: 2\ntrigger: {on: action, action: x}\nstop: opened\nsteps:
  - {name: a, channel: email, template: t, wait: 2h}
  - {name: c, channel: sms, template: t}\n",
];

fn both() -> Plans {
    let mut plans = plans(MOVED[0]);
    let (campaign, version, kind) = ("v".to_owned(), 2, CampaignKind::Definition);
    plans.apply(&Campaign { campaign, version, kind, definition: MOVED[1].into(), ..Campaign::default() }).unwrap();
    plans
}

/// What a cascade of the first version does when the second one comes into force, and when it is moved there.
#[test]
fn a_version_comes_into_force_at_its_line() {
    let text = "0 has email push sms
0 does x
=> 0 ENTERED
=> 0 send a by email
1h apply v 2
1h migrate v 1 2 b=c
=> 1h MIGRATED a
=> 2h NOT_OPENED a email
=> 2h send c by sms
2h1m opened c
=> 2h1m OPENED c sms
=> 2h1m STOP_REACHED
5h does x
=> 5h ENTERED
=> 5h send a by email";
    let timeline = Timeline::parse("t", text).unwrap();
    let world = timeline.play(both()).unwrap();
    assert_eq!(timeline.difference(&world), None, "{}", timeline.difference(&world).unwrap_or_default());
    assert_eq!(world.sends().iter().map(|send| send.version).collect::<Vec<_>>(), [1, 2, 2]);
}

#[test]
fn a_version_that_comes_later_begins_nothing_before() {
    let text = "0 has email push sms\n0 does x\n1h apply v 1\n1h does x\n2h time passes";
    let world = Timeline::parse("t", text).unwrap().play(plans(MOVED[0])).unwrap();
    assert_eq!(world.sends().iter().map(|send| send.decided_at - world.begin()).collect::<Vec<_>>(), [3_600_000]);
    let play = |text: &str| Timeline::parse("t", text).unwrap().play(both()).unwrap_err()[0].to_string();
    assert!(play("0 registers\n1h apply v 3").contains("there is no version 3 of v\n --> t:2:4"));
    assert!(play("1h apply v 2\n2h apply v 2").contains("this version is in force already\n --> t:2:4"));
    assert_eq!(problems("0 apply\n0 apply v\n0 apply v one\n0 apply v 1 2").len(), 4);
}
