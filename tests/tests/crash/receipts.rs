//! Providers that report about what they took, while the one that listens is killed.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use schemas::Status;
use serde_json::json;
use system_tests::installation::Installation;
use system_tests::providers::Handed;
use system_tests::wait;

/// Receipts under way at the same time.
const POSTERS: usize = 4;

/// Each kill comes after so many more were acknowledged.
const SOME: usize = 300;

/// Receipts that were not acknowledged yet, and those that were.
struct Post {
    open: Mutex<Vec<(Handed, Status)>>,
    acknowledged: Mutex<BTreeSet<(String, Status)>>,
}

/// A receipt for every message that was handed over, each repeated until it is acknowledged: every third was opened, the
/// others arrived. Tells which (send id, status) were acknowledged.
pub fn post_all_while_the_tracker_is_killed(cascade: &mut Installation, kills: usize) -> BTreeSet<(String, Status)> {
    let word = |number: usize| if number.is_multiple_of(3) { Status::Opened } else { Status::Delivered };
    let open: Vec<_> =
        cascade.providers.handed().into_iter().enumerate().map(|(n, handed)| (handed, word(n))).collect();
    let all = open.len();
    assert!(all > kills * SOME, "there is enough to report about");
    let post = Post { open: Mutex::new(open), acknowledged: Mutex::default() };
    for _ in 0..kills {
        let enough = post.count() + SOME;
        let id = cascade.service("tracker").process().id();
        post.go_on(cascade, || {
            wait::until("receipts are under way", || post.count() >= enough);
            let id = i32::try_from(id).expect("process ids are small");
            kill(Pid::from_raw(id), Signal::SIGKILL).expect("it runs");
        });
        assert!(post.count() < all, "killed in mid-flow");
        cascade.restart("tracker");
    }
    post.go_on(cascade, || {});
    assert_eq!(post.count(), all, "all are acknowledged in the end");
    post.acknowledged.into_inner().unwrap_or_else(PoisonError::into_inner)
}

impl Post {
    fn count(&self) -> usize {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Posts from all sides until nothing is open, or nobody answers any more; meanwhile something happens.
    fn go_on(&self, cascade: &Installation, meanwhile: impl FnOnce()) {
        std::thread::scope(|scope| {
            for _ in 0..POSTERS {
                scope.spawn(|| self.post_until_nobody_answers(cascade));
            }
            meanwhile();
        });
    }

    fn post_until_nobody_answers(&self, cascade: &Installation) {
        let next = || self.open.lock().unwrap_or_else(PoisonError::into_inner).pop();
        while let Some((handed, status)) = next() {
            let word = status.to_string().to_ascii_lowercase();
            let body = json!({"token": handed.receipt_token, "status": word, "occurred_at": cascade.now()}).to_string();
            let answered = cascade.post_receipt(&body);
            if answered == Some(204) {
                let mut acknowledged = self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
                acknowledged.insert((handed.send_id, status));
                continue;
            }
            self.open.lock().unwrap_or_else(PoisonError::into_inner).push((handed, status));
            if answered.is_none() {
                return;
            }
        }
    }
}
