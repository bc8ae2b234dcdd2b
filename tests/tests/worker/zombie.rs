//! A worker stands still for longer than the group waits, in the midst of calls: it has connected to a mail server that has not
//! greeted yet. Somebody else takes over, and the server greets. When the worker comes back, it sends nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use schemas::Status;
use stream::clock::Tick;
use system_tests::commands::{Ledger, TEMPLATE};
use system_tests::installation::{Installation, Plan};
use system_tests::providers::Answer;
use system_tests::wait::until;

const WORKERS: [&str; 2] = ["channel email#one", "channel email#two"];

/// Of each partition, on average.
const SENDS: usize = 20;

/// Longer than a call that came back too late needs to be written.
const AFTERWARDS: Duration = Duration::from_secs(1);

#[test]
fn a_worker_that_was_replaced_sends_nothing_when_what_is_in_doubt_is_skipped() {
    stands_still("skip");
}

#[test]
fn a_worker_that_was_replaced_sends_nothing_when_what_is_in_doubt_goes_out_again() {
    stands_still("resend");
}

fn stands_still(policy: &str) {
    let templates = [format!("{TEMPLATE}.email")];
    let name = format!("zombie-{policy}");
    let mut cascade = Installation::prepare(&Plan {
        on_unknown: Some(policy),
        plain_templates: &templates,
        // All calls wait for a greeting at the same time.
        session_seconds: 20,
        ..Plan::new(&name, &[], &["email"])
    });
    cascade.bring_up(&WORKERS);
    until("each has a partition", || WORKERS.iter().all(|name| owned(&mut cascade, name) == 1));
    let mut ledger = Ledger::of(&cascade, "email");

    cascade.providers.answer("email", Answer::Silence);
    let mut commanded = cascade.command("email", 2 * SENDS);
    until("all is intended", || ledger.look().in_doubt.len() == commanded.len());
    until("every call has connected", || cascade.providers.ungreeted() == commanded.len());
    cascade.service(WORKERS[0]).process().freeze();
    let frozen = Tick::now();
    cascade.providers.answer("email", Answer::Take);
    until("somebody else has said of all what became of it", || ledger.look().settled.len() == commanded.len());
    let taken = taken(&cascade);

    let before = recoveries(&mut cascade, WORKERS[0]);
    cascade.service(WORKERS[0]).process().thaw();
    let back = Tick::now();
    let stood = frozen.elapsed();
    until("it has noticed", || recoveries(&mut cascade, WORKERS[0]) != before);
    until("whatever it still does is done", || back.elapsed() > AFTERWARDS);
    assert_eq!(self::taken(&cascade), taken, "who was replaced has sent something");
    assert!(taken.values().all(|times| *times == 1), "something was sent twice");

    // It is of use again.
    until("each has a partition again", || WORKERS.iter().all(|name| owned(&mut cascade, name) == 1));
    commanded.extend(cascade.command("email", 2 * SENDS));
    until("everything has an outcome", || ledger.look().settled.len() == commanded.len());
    let told = cascade.told();
    let of = |status| told.iter().filter(|(_, told)| **told == [status]).map(|(id, _)| id.clone()).collect();
    let (accepted, unknown): (BTreeSet<String>, BTreeSet<String>) = (of(Status::Accepted), of(Status::Unknown));
    assert_eq!(accepted.len() + unknown.len(), commanded.len(), "one word about each");
    assert_eq!(
        self::taken(&cascade).into_keys().collect::<BTreeSet<_>>(),
        accepted,
        "what was taken, and nothing else"
    );
    assert_eq!(unknown.is_empty(), policy == "resend");
    system_tests::tell(format_args!(
        "{policy}: it stood still for {:.1} s; {} sent, {} unknown",
        stood.as_secs_f64(),
        accepted.len(),
        unknown.len()
    ));
}

/// How often each message was taken.
fn taken(cascade: &Installation) -> BTreeMap<String, usize> {
    let mut taken = BTreeMap::new();
    for handed in cascade.providers.handed() {
        *taken.entry(handed.send_id).or_default() += 1;
    }
    taken
}

/// Partitions that a worker says are its.
fn owned(cascade: &mut Installation, name: &str) -> usize {
    let progress = cascade.service(name).progress().filter(|progress| progress.ready);
    progress.map_or(0, |progress| progress.positions.len())
}

/// How often a worker has thrown everything away and begun anew, by its own account.
fn recoveries(cascade: &mut Installation, name: &str) -> usize {
    cascade.service(name).process().said().matches("everything uncommitted is dropped").count()
}
