//! A worker stands still for longer than the group waits, with calls whose connections are just coming about. Somebody else takes
//! over. When it comes back, it sends nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use schemas::Status;
use stream::clock::Tick;
use system_tests::commands::{Ledger, TEMPLATE};
use system_tests::gate::{Gate, Gateway};
use system_tests::installation::{Installation, Plan};
use system_tests::wait::until;

const WORKERS: [&str; 2] = ["channel sms#one", "channel sms#two"];

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
    let gateway = Gateway::open();
    let templates = [format!("{TEMPLATE}.sms")];
    let name = format!("zombie-{policy}");
    let mut cascade = Installation::prepare(&Plan {
        on_unknown: Some(policy),
        gateway: Some(gateway.address),
        plain_templates: &templates,
        ..Plan::new(&name, &[], &["sms"])
    });
    cascade.bring_up(&WORKERS);
    until("each has a partition", || WORKERS.iter().all(|name| owned(&mut cascade, name) == 1));
    let mut ledger = Ledger::of(&cascade, "sms");

    gateway.set(Gate::Unreached);
    let mut commanded = cascade.command("sms", 2 * SENDS);
    until("all is intended", || ledger.look().in_doubt.len() == commanded.len());
    cascade.service(WORKERS[0]).process().freeze();
    assert!(gateway.heard().is_empty(), "nobody has reached the provider");
    // The kernel connects for those who stand still, too.
    gateway.set(Gate::Answered);
    until("somebody else has said of all what became of it", || ledger.look().settled.len() == commanded.len());
    let taken = gateway.taken();

    let mine = recoveries(&mut cascade, WORKERS[0]);
    cascade.service(WORKERS[0]).process().thaw();
    until("it has noticed", || recoveries(&mut cascade, WORKERS[0]) != mine);
    let back = Tick::now();
    until("whatever it still does is done", || back.elapsed() > AFTERWARDS);
    assert_eq!(gateway.taken(), taken, "who was replaced has sent something");
    assert_eq!(gateway.heard(), taken);
    assert!(taken.values().all(|times| *times == 1), "something was sent twice");

    // It is of use again.
    until("each has a partition again", || WORKERS.iter().all(|name| owned(&mut cascade, name) == 1));
    commanded.extend(cascade.command("sms", 2 * SENDS));
    until("everything has an outcome", || ledger.look().settled.len() == commanded.len());
    let told = cascade.told();
    let of = |status| told.iter().filter(|(_, told)| **told == [status]).map(|(id, _)| id.clone()).collect();
    let (accepted, unknown): (BTreeSet<String>, BTreeSet<String>) = (of(Status::Accepted), of(Status::Unknown));
    assert_eq!(accepted.len() + unknown.len(), commanded.len(), "one word about each");
    assert_eq!(gateway.taken().into_keys().collect::<BTreeSet<_>>(), accepted, "what was taken, and nothing else");
    assert_eq!(unknown.is_empty(), policy == "resend");
    system_tests::tell(format_args!("{policy}: {} sent, {} unknown", accepted.len(), unknown.len()));
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
