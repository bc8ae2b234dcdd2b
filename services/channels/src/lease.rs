//! How long a hand-over may go on: a lease in machine time.
//!
//! The intent of each hand-over is committed with a live generation: the group knew this worker at some moment after the commit had
//! begun. It gives partitions to somebody else only when it has heard nothing for the session timeout. So a call holds from the
//! moment before its commit, for the session timeout without a quarter, and no step of it is made afterwards. A worker that stood
//! still for the session timeout and was replaced sends nothing when it comes back, wherever in its calls it stood. A worker whose
//! calls may take longer than that (`timeout_seconds`) does not start.
//!
//! *Limit.* What a connection has been given by then goes out: the few microseconds between the last look at the lease and the write
//! are nobody's. And the session may have been half over when the commit went through; so a worker that goes on slowly without
//! heartbeats may overlap with its successor. Neither makes two messages of one under `skip`: the successor finds the intent.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use stream::clock::{Millis, Tick, machine_now};

use crate::transport::{Answer, Call};

/// A hand-over may be made, and gone on with, until then, by both clocks: the one that never goes back stands still while the machine
/// is suspended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lease(Tick, Millis);

impl Lease {
    /// How long it is.
    pub(crate) fn length(session: Duration) -> Duration {
        session - session / 4
    }

    /// The lease of what is committed by a commit that begins at `asked`, in a group that takes who is silent for `session` for dead.
    pub(crate) fn of(asked: Tick, session: Duration) -> Self {
        let length = Lease::length(session);
        let until = Millis::try_from(length.as_millis()).unwrap_or(Millis::MAX);
        Lease(asked.after(length), machine_now().saturating_add(until))
    }

    /// Nothing more may be done.
    pub(crate) fn is_over(self) -> bool {
        self.0.remaining().is_zero() || machine_now() >= self.1
    }

    /// Makes a call, step by step, each only while the lease holds. None if it ended before the answer came: what was not written
    /// by then never will be.
    pub(crate) async fn hold(self, mut call: Call<'_>) -> Option<Answer> {
        poll_fn(move |context| match self.is_over() {
            true => Poll::Ready(None),
            false => call.as_mut().poll(context).map(Some),
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn it_ends_before_the_group_can_have_given_the_partitions_away() {
        let session = Duration::from_secs(40);
        assert!(!Lease::of(Tick::now(), session).is_over());
        let Lease(until, _) = Lease::of(Tick::now(), session);
        assert!(until.remaining() <= Duration::from_secs(30) && until.remaining() > Duration::from_secs(29));
        assert!(Lease::of(Tick::now(), Duration::ZERO).is_over());
    }

    /// A provider that is connected to, and then written to.
    async fn connect_and_write(connected: oneshot::Receiver<()>, steps: &AtomicUsize) -> Answer {
        steps.fetch_add(1, Ordering::SeqCst);
        connected.await.unwrap();
        steps.fetch_add(1, Ordering::SeqCst);
        Answer::taken(None)
    }

    #[tokio::test]
    async fn a_call_that_is_caught_before_its_write_is_never_written() {
        for (session, written) in [(Duration::from_secs(60), 2), (Duration::from_millis(40), 1)] {
            let (steps, (connects, connected)) = (AtomicUsize::new(0), oneshot::channel());
            let lease = Lease::of(Tick::now(), session);
            let stands_still = async {
                // The call has begun by now. Nothing else runs here until the short lease is over.
                while written == 1 && !lease.is_over() {
                    std::thread::yield_now();
                }
                connects.send(()).unwrap();
            };
            let call = lease.hold(Box::pin(connect_and_write(connected, &steps)));
            let (answer, ()) = tokio::join!(call, stands_still);
            // The short lease may be over before the call has begun.
            let (steps, is_short) = (steps.load(Ordering::SeqCst), written == 1);
            assert!(steps == written || (is_short && steps == 0), "{steps} steps");
            assert_eq!(answer.is_some(), !is_short);
        }
    }
}
