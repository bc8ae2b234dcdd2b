//! An outage of ours or of a provider: what comes of it, and that it never becomes a dearer message.

mod world;

use world::script::check;
use world::{BEGIN, HOUR, World};

/// An email, three hours, then an SMS; one arrival is enough.
const TWO_STEPS: &str = "
campaign: two
version: 1
trigger: {on: action, action: lead}
goal: {action: purchase}
steps:
  - {name: first, channel: email, template: t, wait: 3h, valid: 1h}
  - {name: second, channel: sms, template: t, valid: 1h}
";

/// As above, but the author pays for an SMS even where only an outage kept the email back.
const ESCALATING: &str = "
campaign: two
version: 1
trigger: {on: action, action: lead}
goal: {action: purchase}
steps:
  - {name: first, channel: email, template: t, wait: 3h, valid: 1h, escalate_on_outage: true}
  - {name: second, channel: sms, template: t, valid: 1h}
";

/// Two free messages and a paid one between them.
const FREE_PAID_FREE: &str = "
campaign: three
version: 1
trigger: {on: action, action: lead}
goal: {action: purchase}
steps:
  - {name: first, channel: email, template: t, wait: 3h, valid: 1h}
  - {name: second, channel: sms, template: t, wait: 3h, valid: 1h}
  - {name: third, channel: push, template: t, wait: 3h, valid: 1h}
";

#[test]
fn an_outage_of_a_free_channel_never_becomes_a_paid_message() {
    check(
        World::new(&[TWO_STEPS]),
        "0 worker off
         0 has email sms
         0 does lead
         2h expired first
         9d time passes",
        "0 ENTERED
         0 send first by email
         1h5m UNKNOWN_OUTCOME first email
         2h EXPIRED first email
         2h EXHAUSTED",
    );
    check(
        World::new(&[ESCALATING]),
        "0 worker off
         0 has email sms
         0 does lead
         1h expired first",
        "0 ENTERED
         0 send first by email
         1h EXPIRED first email
         1h send second by sms",
    );
}

#[test]
fn after_an_outage_an_equally_cheap_message_goes_out_and_nothing_dearer_after_it() {
    check(
        World::new(&[FREE_PAID_FREE]),
        "0 worker off
         0 has email sms push
         0 does lead
         1h expired first
         1h accepted third
         9d time passes",
        "0 ENTERED
         0 send first by email
         1h EXPIRED first email
         1h send third by push
         4h NO_INFORMATION third push
         4h EXHAUSTED",
    );
}

#[test]
fn what_went_out_after_all_opens_what_it_had_closed() {
    check(
        World::new(&[FREE_PAID_FREE]),
        "0 worker off
         0 has email sms push
         0 does lead
         1h expired first
         1h accepted third
         2h accepted first
         4h1m accepted second
         9d time passes",
        "0 ENTERED
         0 send first by email
         1h EXPIRED first email
         1h send third by push
         4h NO_INFORMATION third push
         4h send second by sms
         7h1m NO_INFORMATION second sms
         7h1m EXHAUSTED",
    );
}

#[test]
fn silence_of_a_worker_is_an_outage_too() {
    check(
        World::new(&[TWO_STEPS]),
        "0 worker off
         0 has email sms
         0 does lead
         9d time passes",
        "0 ENTERED
         0 send first by email
         1h5m UNKNOWN_OUTCOME first email
         4h NO_INFORMATION first email
         4h EXHAUSTED",
    );
}

#[test]
fn after_a_long_outage_what_is_no_longer_valid_is_not_sent_nor_replaced_by_something_dearer() {
    check(
        World::new(&["
campaign: two
version: 1
trigger: {on: action, action: lead, settle: 1h}
goal: {action: purchase}
steps:
  - {name: first, channel: email, template: t, wait: 3h, valid: 1h}
  - {name: second, channel: sms, template: t, valid: 1h}
"]),
        "0 has email sms
         0 does lead
         8h down
         8h deadlines",
        "0 ENTERED
         8h VALIDITY_OVER first
         8h EXHAUSTED",
    );
}

#[test]
fn an_outage_of_ours_makes_nothing_valid_for_longer() {
    for (late, sends) in [(HOUR - 1, 2), (HOUR, 1)] {
        let mut world = World::new(&[TWO_STEPS]);
        world.profile(&["email", "sms"]);
        world.action("lead", None);
        world.sleep_until(BEGIN + 3 * HOUR + late);
        world.fire();
        assert_eq!(world.sends().len(), sends, "the second message is seen {late} ms late");
    }
}

#[test]
fn an_unknown_outcome_is_undecided_until_its_wait_is_over() {
    check(
        World::new(&[TWO_STEPS]),
        "0 worker off
         0 has email sms
         0 does lead
         30m unknown first
         4h accepted second
         5h delivered first
         9d time passes",
        "0 ENTERED
         0 send first by email
         30m UNKNOWN_OUTCOME first email
         3h30m NO_INFORMATION first email
         3h30m send second by sms
         5h DOUBLE_REACHED first email
         5h STOP_REACHED",
    );
}
