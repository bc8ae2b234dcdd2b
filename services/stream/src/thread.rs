//! Threads that are named and cannot die unseen.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, JoinHandle};

/// Starts a named thread. A panic in it ends the process: a partition whose thread is gone must be taken over by another
/// member, which happens only when this one leaves.
///
/// # Errors
/// If the system has no thread left.
pub fn spawn<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<JoinHandle<T>> {
    Builder::new().name(name.to_owned()).spawn(move || match catch_unwind(AssertUnwindSafe(body)) {
        Ok(value) => value,
        Err(_) => {
            tracing::error!("a thread panicked; the process ends so that another member takes over");
            std::process::abort()
        }
    })
}
