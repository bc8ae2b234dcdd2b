//! A rolling upgrade: every service of the version before is replaced by this one, one after the other, while events come. Nothing is lost,
//! nothing is doubled, and the state is the fold.
//!
//! ```text
//! tests/upgrade.sh [COMMIT]       builds the version before, HEAD~1 if nothing is said, and runs this
//! ```
//!
//! `CASCADE_BEFORE` names its program. Without one nothing can be upgraded, and this says so.

use std::collections::BTreeMap;
use std::path::PathBuf;

use system_tests::installation::{DAY, HOUR, Installation, Plan, binary};
use system_tests::wait::until;

const CHANNELS: [&str; 2] = ["push", "sms"];
/// In no particular order: each has to get on with all others, as they were and as they are.
const SERVICES: [&str; 6] = ["operator#one", "channel push", "intake", "operator#two", "channel sms", "tracker"];
/// Who is told of while one service is replaced.
const SHARE: usize = 400;

#[test]
fn every_service_is_replaced_by_a_newer_one_under_load() {
    let Some(before) = std::env::var_os("CASCADE_BEFORE").map(PathBuf::from) else {
        return system_tests::tell(format_args!(
            "skipped: tests/upgrade.sh builds the version before, which this needs"
        ));
    };
    let plan = Plan::new("upgrade", &["come-back"], &CHANNELS);
    let mut cascade = Installation::prepare(&Plan { partitions: 4, ..plan });
    cascade.program = before;
    without_newer_settings(&cascade);
    let mut names = SERVICES;
    names.reverse();
    cascade.bring_up(&names);
    tell(&cascade, 0);
    cascade.program = binary();
    for (number, name) in SERVICES.into_iter().enumerate() {
        tell(&cascade, number + 1);
        let ended = cascade.service(name).process().terminate();
        assert!(ended.success(), "{name} of the version before ended with {ended}");
        cascade.restart(name);
        let later = cascade.now() + HOUR;
        cascade.set_clock(later);
    }
    until("everybody works", || {
        SERVICES.iter().all(|name| cascade.service(name).progress().is_some_and(|progress| progress.ready))
    });
    cascade.settle();
    cascade.pass(DAY);
    cascade.pass(6 * DAY);
    let account = cascade.assert_equal_to_a_fold();
    assert_eq!(account.unseen(), None, "never seen by an operator");
    let customers = (SERVICES.len() + 1) * SHARE;
    assert_eq!(account.rows.len(), customers);
    assert!(account.sends.len() > customers / 2, "{} commands", account.sends.len());
    let mut handed: BTreeMap<String, usize> = BTreeMap::new();
    for message in cascade.providers.handed() {
        *handed.entry(message.send_id).or_default() += 1;
    }
    let doubled: Vec<_> = handed.iter().filter(|(_, times)| **times > 1).collect();
    assert!(doubled.is_empty(), "handed over more than once: {doubled:?}");
    assert!(handed.len() > customers / 2, "{} of {} commands were handed over", handed.len(), account.sends.len());
}

/// A version refuses a file with settings that it does not know yet. They can do without this one: nobody is erased.
fn without_newer_settings(cascade: &Installation) {
    let path = cascade.place.path("cascade.toml");
    let text = std::fs::read_to_string(&path).expect("it was written");
    let mut settings: toml::Table = text.parse().expect("settings are TOML");
    settings.remove("suppression");
    std::fs::write(&path, settings.to_string()).expect("it can be written");
}

/// Each of these customers has a profile and was not heard of for a month; every third one buys at last.
fn tell(cascade: &Installation, share: usize) {
    for number in share * SHARE..(share + 1) * SHARE {
        let customer = format!("customer-{number}");
        cascade.customer(&customer, &CHANNELS);
        cascade.inactivity(&customer, 30);
        cascade.action(&customer, if number % 3 == 0 { "purchase" } else { "lead" }, None, &[]);
    }
}
