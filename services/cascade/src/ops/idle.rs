//! `cascade idle`: a place to run tools in. The image has no shell, so something has to keep its container up.

use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;

/// Waits for a signal. The first process of a container hears of those alone that it asks for.
///
/// # Errors
/// `Unexpected`, if the machine gives no handler.
pub fn run() -> Result<String, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::unexpected)?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(Failure::unexpected)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::unexpected)?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(String::new())
    })
}
