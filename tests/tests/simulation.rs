//! The engine on simulated brokers: many lives without a mistake, and planted mistakes that do not stay hidden.
//!
//! `cargo run -p system-tests --bin simulate` looks on for as long as one likes, and tells a seed that shows a mistake call by call.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use schemas::Reason;
use stream::simulation::Bug;
use system_tests::simulation::{Sights, Simulation};

/// More than this, no planted mistake needs: a minute on a quiet machine.
const SEEDS_TO_FIND_A_BUG: u64 = 12_000;

/// What campaigns, and what is said of them, must have led to.
const SEEN: [Reason; 21] = [
    Reason::Refreshed,
    Reason::CampaignPaused,
    Reason::GoalBefore,
    Reason::StepSkipped,
    Reason::ValidityOver,
    Reason::Delayed,
    Reason::QuietHours,
    Reason::Capped,
    Reason::HeldOut,
    Reason::Restarted,
    Reason::OftenEnough,
    Reason::Queued,
    Reason::CoolingDown,
    Reason::CampaignStopped,
    Reason::Frozen,
    Reason::Thawed,
    Reason::Migrated,
    Reason::GoalReached,
    Reason::StopReached,
    Reason::Exhausted,
    Reason::Erased,
];

/// Calls before each of which processes must have died.
const CALLS: [&str; 14] = [
    "membership",
    "accept",
    "committed",
    "range",
    "start",
    "fetch",
    "replay",
    "ends",
    "produce",
    "settle",
    "flush",
    "offsets",
    "end",
    "renew",
];

#[test]
fn a_thousand_lives_are_lived_without_a_mistake() {
    let sights = Mutex::new(Sights::default());
    let mistake = first_mistake(1_000, None, |found| {
        *sights.lock().unwrap_or_else(PoisonError::into_inner) += found;
    });
    if let Some((seed, words)) = mistake {
        panic!("seed {seed}: {words}\ncargo run -p system-tests --bin simulate -- --seed {seed} tells how it came");
    }
    // Nothing is proven by lives in which nothing happens.
    let sights = sights.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(
        sights.facts > 20_000
            && sights.sends > 1_000
            && sights.revoked > 50
            && sights.suppressed > 0
            && sights.barriers > 5_000
            && sights.torn > 0,
        "{sights:?}"
    );
    let rare: Vec<_> = sights.seen.iter().filter(|(_, times)| **times < 20).collect();
    assert!(sights.seen.len() >= 12 && rare.is_empty(), "{:?}", sights.seen);
    let rare: Vec<_> = CALLS
        .iter()
        .map(|call| (call, sights.deaths.get(call).copied().unwrap_or(0)))
        .filter(|(_, deaths)| *deaths < 12)
        .collect();
    assert!(rare.is_empty(), "hardly anybody dies at {rare:?}");
    let missing: Vec<&Reason> = SEEN.iter().filter(|reason| !sights.reasons.contains(reason)).collect();
    assert!(missing.is_empty(), "nobody met {missing:?}");
}

#[test]
fn the_same_seed_is_the_same_life() {
    for seed in 0..20 {
        let mut simulation = Simulation::of_seed(seed);
        // A mistake is told with all that led to it.
        simulation.bug = Some(Bug::DeadlinesFirst);
        let told = || simulation.run(true).map_err(|mistake| (mistake.words, mistake.trace));
        assert_eq!(told(), told(), "seed {seed}");
        let sights = || Simulation::of_seed(seed).run(false).ok();
        assert_eq!(sights(), sights(), "seed {seed}");
    }
}

#[test]
fn a_life_that_shows_a_mistake_shrinks_to_a_short_story() {
    for bug in [Bug::DeadlinesFirst, Bug::NoBarrier, Bug::SweepAnew] {
        let (seed, _) = first_mistake(SEEDS_TO_FIND_A_BUG, Some(bug), |_| {}).expect("it does not stay hidden");
        let mut long = Simulation::of_seed(seed);
        long.bug = Some(bug);
        let short = long.shrink();
        let [told, mistake] = [&long, &short].map(|life| life.run(false).expect_err("it shows the mistake"));
        let is_no_more = short.size().iter().zip(long.size()).all(|(short, long)| *short <= long);
        let is_less = short.size().iter().sum::<usize>() < long.size().iter().sum();
        assert!(is_no_more && is_less, "{bug:?}: {short:?} instead of {long:?}");
        // It is not a story about something else, and it cannot be told in fewer words.
        assert_eq!(mistake.kind(), told.kind(), "{bug:?}, seed {seed}");
        assert_eq!(short.shrink(), short, "{bug:?}, seed {seed}");
    }
}

macro_rules! planted {
    ($($name:ident $bug:ident $($words:literal)|+;)*) => {
        $(#[test]
        fn $name() {
            // By the check that is there for it: that something goes wrong is not enough.
            let found = first_mistake_of(SEEDS_TO_FIND_A_BUG, Some(Bug::$bug), &[$($words),+], |_| {});
            assert!(found.is_some(), "{:?} stays hidden", Bug::$bug);
        })*

        #[test]
        fn every_bug_is_looked_for() {
            assert_eq!(Bug::ALL.to_vec(), vec![$(Bug::$bug),*]);
        }
    };
}

planted! {
    positions_outside_of_the_transaction_are_noticed OffsetsOutside "I1:";
    positions_without_a_generation_are_noticed NoGeneration "I1:";
    a_store_written_before_the_commit_is_noticed StoreBeforeCommit "I2/I3";
    a_meta_before_its_rows_is_noticed MetaFirst "META closes" | "rows without META" | "I4";
    a_meta_before_its_outputs_are_there_is_noticed MetaUnsettled "are lost";
    a_sweep_whose_end_is_forgotten_is_noticed SweepForgotten "began once more" | "knows of";
    a_changelog_without_a_leader_that_holds_up_others_is_noticed OneHoldsUpAll "I9:";
    a_partition_that_is_not_claimed_anew_is_noticed ClaimForgotten "I9:" | "come to rest";
    a_restore_to_the_last_stable_offset_is_noticed RestoreToStableEnd "the row of" | "I2/I3" | "I6";
    a_missing_barrier_is_noticed NoBarrier "I4" | "I6" | "the row of" | "META closes";
    a_deadline_behind_the_cursor_is_noticed CursorStays "I10" | "the row of" | "was forgotten";
    a_producer_that_is_kept_is_noticed ProducerKept "I1" | "I4" | "I6" | "rows without META" | "the row of";
    a_stale_local_state_is_noticed StaleStateMerged "I2/I3" | "the row of";
    a_restore_of_uncommitted_rows_is_noticed RestoreUncommitted "I2/I3" | "the row of";
    a_standby_that_reads_uncommitted_rows_is_noticed StandbyUncommitted "I2/I3" | "the row of";
    a_deadline_before_the_backlog_is_noticed DeadlinesFirst "before the record of offset";
    a_deadline_before_the_sources_are_read_is_noticed SourcesUnread "before a fact of";
    a_torn_row_that_a_later_meta_closes_is_noticed TornClosed "the row of" | "I2/I3";
    a_send_that_goes_out_twice_after_a_torn_one_is_noticed TornSentTwice "commands instead of";
    a_checkpoint_that_lacks_a_row_is_noticed SavedEarly "I2/I3" | "the row of";
    an_entry_that_is_retired_though_it_was_armed_anew_is_noticed RetiredLate "I10" | "the row of" | "was forgotten";
    a_sweep_that_begins_anew_is_noticed SweepAnew "went on behind";
    a_clock_that_goes_back_is_noticed ClockGoesBack "I12";
    a_gap_that_a_rebalance_leaves_is_noticed GapStays "I9:" | "come to rest";
}

/// Lives through seeds on two threads until one shows a mistake.
fn first_mistake(seeds: u64, bug: Option<Bug>, see: impl Fn(Sights) + Sync) -> Option<(u64, String)> {
    first_mistake_of(seeds, bug, &[""], see)
}

/// The same, of mistakes that are told with one of these words.
fn first_mistake_of(
    seeds: u64,
    bug: Option<Bug>,
    wanted: &[&str],
    see: impl Fn(Sights) + Sync,
) -> Option<(u64, String)> {
    let next = AtomicU64::new(0);
    let found = Mutex::new(None);
    let work = || {
        while found.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return;
            }
            let mut simulation = Simulation::of_seed(seed);
            simulation.bug = bug;
            match simulation.run(false) {
                Ok(sights) => see(sights),
                Err(mistake) if !wanted.iter().any(|words| mistake.words.contains(words)) => {}
                // A bug is found by a life that goes well without it.
                Err(_) if bug.is_some() && Simulation::of_seed(seed).run(false).is_err() => {}
                Err(mistake) => {
                    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                    found.get_or_insert((seed, mistake.words));
                }
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    found.into_inner().unwrap_or_else(PoisonError::into_inner)
}
