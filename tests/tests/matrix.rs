//! Two replicas of the operator are killed and frozen again and again, in the midst of whatever they do, and two of three brokers
//! go and come back, one in an orderly way and one as a crash. Nothing is lost, nothing is doubled, and the state is the fold.
//!
//! ```text
//! cargo test --workspace --test matrix                        10 000 events, 6 kills, 2 freezes
//! CASCADE_MATRIX=long cargo test --workspace --test matrix    100 000 events, 30 kills, 10 freezes
//! ```
//!
//! With a lone broker, secured ones, and through a proxy that disturbs the network, as `system_tests::broker` says.

use std::ops::Range;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use fastrand::Rng;
use nix::sys::signal::Signal;
use schemas::{Input, decode};
use stream::clock::Tick;
use system_tests::broker::replicated;
use system_tests::installation::{DAY, HOUR, Installation, Plan};
use system_tests::tail::Tail;
use system_tests::wait::until;

const REPLICAS: [&str; 2] = ["operator#one", "operator#two"];
const SERVICES: [&str; 3] = ["intake", REPLICAS[0], REPLICAS[1]];
const CHANNELS: [&str; 4] = ["push", "sms", "viber", "email"];
/// Longer than the session timeout of these tests.
const FREEZE: Duration = Duration::from_secs(9);

/// How much happens.
struct Size {
    customers: usize,
    /// Of each customer, besides a profile and a silence.
    actions: usize,
    kills: usize,
    freezes: usize,
}

#[test]
fn replicas_that_are_killed_and_frozen_while_the_broker_restarts_lose_and_double_nothing() {
    let size = match std::env::var("CASCADE_MATRIX").as_deref() {
        Ok("long") => Size { customers: 10_000, actions: 8, kills: 30, freezes: 10 },
        _ => Size { customers: 2_000, actions: 3, kills: 6, freezes: 2 },
    };
    let mut matrix = Matrix::begin();
    let faults = size.kills + size.freezes;
    for fault in 0..faults {
        let share = size.customers * fault / faults..size.customers * (fault + 1) / faults;
        matrix.tell(share.clone(), size.actions);
        matrix.wait_until_in_mid_flow(share.len());
        // The freezes lie evenly between the kills.
        let is_freeze = (fault + 1) * size.freezes / faults > fault * size.freezes / faults;
        if is_freeze {
            matrix.freeze()
        } else {
            matrix.kill()
        }
        match fault {
            _ if fault == faults / 3 => replicated().restart(Signal::SIGTERM),
            _ if fault == 2 * faults / 3 => replicated().restart(Signal::SIGKILL),
            _ => {}
        }
        if fault % 2 == 1 {
            replicated().disturb();
        }
        let later = matrix.cascade.now() + HOUR;
        matrix.cascade.set_clock(later);
        matrix.raise_the_dead();
    }
    matrix.wait_until_all_work();
    matrix.cascade.settle();
    matrix.cascade.pass(DAY);
    matrix.cascade.pass(6 * DAY);
    let told = (2 + size.actions) * size.customers;
    assert_eq!(matrix.facts(), told, "facts in the input, of so many that were told");
    let account = matrix.cascade.assert_equal_to_a_fold();
    assert_eq!(account.unseen(), None, "never seen by an operator");
    assert!(account.sends.len() > size.customers / 10, "{} commands", account.sends.len());
    assert_eq!(account.rows.len(), size.customers);
    let now = matrix.cascade.now();
    let overdue = account.rows.iter().find(|(_, row)| row.due().is_some_and(|due| due <= now));
    assert!(overdue.is_none(), "it is {now}, and nobody has looked at {overdue:?}");
    system_tests::tell(format_args!(
        "{} events, {} kills, {} freezes, 2 restarts of the broker: {} commands, {} withdrawals, {} owners; longest time until some more was \
         decided {:.1} s",
        told,
        size.kills,
        size.freezes,
        account.sends.len(),
        account.revoked.len(),
        matrix.owners(),
        matrix.longest.as_secs_f64(),
    ));
}

/// How a process ends that was told that another one has its identity (`cascade --help`).
const TAKEN_OVER: i32 = 75;

struct Matrix {
    cascade: Installation,
    changelog: Tail,
    chance: Rng,
    longest: Duration,
}

impl Matrix {
    fn begin() -> Self {
        // Whoever asks first decides what it is made of.
        replicated();
        let plan = Plan::new("matrix", &["come-back"], &CHANNELS);
        let mut cascade = Installation::prepare(&Plan { partitions: 8, ..plan });
        cascade.bring_up(&SERVICES);
        let changelog = Tail::of(cascade.place.brokers(), &[&cascade.topics.changelog()]);
        Matrix { cascade, changelog, chance: Rng::with_seed(7), longest: Duration::ZERO }
    }

    /// Each of these customers has a profile and was not heard of for a month, and then does something; every third one buys at
    /// last.
    fn tell(&self, customers: Range<usize>, actions: usize) {
        for number in customers {
            let customer = format!("customer-{number}");
            self.cascade.customer(&customer, &CHANNELS);
            self.cascade.inactivity(&customer, 30);
            for _ in 1..actions {
                self.cascade.action(&customer, "lead", None, &[]);
            }
            self.cascade.action(&customer, if number % 3 == 0 { "purchase" } else { "lead" }, None, &[]);
        }
    }

    /// Waits until some of what was told of so many customers is decided, but hardly all of it.
    fn wait_until_in_mid_flow(&mut self, customers: usize) {
        self.changelog.poll(Duration::ZERO);
        let enough = self.changelog.seen().len() + self.chance.usize(1..customers);
        let begun = Tick::now();
        until("the operators are in mid-flow", || {
            self.raise_the_dead();
            self.changelog.poll(Duration::ZERO);
            self.changelog.seen().len() >= enough
        });
        self.longest = self.longest.max(begun.elapsed());
    }

    fn kill(&mut self) {
        let name = REPLICAS[self.chance.usize(..2)];
        self.cascade.service(name).process().kill();
    }

    /// One stands still for longer than the group waits, and goes on as if nothing had been.
    fn freeze(&mut self) {
        let name = REPLICAS[self.chance.usize(..2)];
        let frozen_at = Tick::now();
        self.cascade.service(name).process().freeze();
        until("the group has waited long enough", || frozen_at.elapsed() > FREEZE);
        self.cascade.service(name).process().thaw();
    }

    /// Waits until everybody works: who was replaced while he stood still notices that late, and ends.
    fn wait_until_all_work(&mut self) {
        until("everybody works", || {
            self.raise_the_dead();
            SERVICES.iter().all(|name| self.cascade.service(name).progress().is_some_and(|progress| progress.ready))
        });
    }

    /// What a supervisor does. Nobody ends but those who were killed, or were told that another one has their identity.
    fn raise_the_dead(&mut self) {
        for name in SERVICES {
            let process = self.cascade.service(name).process();
            if !process.is_running() {
                let (ended, said) = (process.end(), process.said());
                assert!(
                    ended.signal() == Some(9) || ended.code() == Some(TAKEN_OVER),
                    "{name} has ended by itself, {ended}:\n{said}"
                );
                self.cascade.launch(name);
            }
        }
    }

    /// How many facts of the sources the input has: not what rows say to each other, and not how far intake is.
    fn facts(&self) -> usize {
        let input = self.cascade.read(&self.cascade.topics.input());
        let about_somebody = input.iter().filter(|record| !record.key.is_empty());
        let read = about_somebody.map(|record| decode(record.value.as_deref().unwrap_or_default()));
        read.filter(|input: &Result<Input, _>| input.as_ref().is_ok_and(|input| input.hops == 0)).count()
    }

    fn owners(&self) -> usize {
        system_tests::changelog::Changelog::of(self.changelog.seen()).barriers()
    }
}
