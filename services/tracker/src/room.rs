//! How much may wait for Kafka's answer at once. Whoever comes beyond it is told to come again.

use std::sync::Arc;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places: a record takes one, and so does each piece of a large body. Fewer than the publisher's queue holds, so that nobody waits
/// there and overtakes.
pub(crate) const PLACES: usize = 8_000;

/// Bytes of a request's body for one place: 64 MiB in all.
const BYTES: usize = 8 * 1024;

/// Seconds after which whoever was refused may come again.
const RETRY_AFTER: &str = "2";

/// Not now.
pub(crate) fn later() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, RETRY_AFTER)]).into_response()
}

/// The room of one edge. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Room(Arc<Semaphore>);

impl Room {
    pub(crate) fn new() -> Self {
        Room(Arc::new(Semaphore::new(PLACES)))
    }

    /// Places for so many records that came in a body of so many bytes, until what is returned is dropped; none if there is no room now.
    pub(crate) fn take(&self, records: usize, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let places = records.max(bytes.div_ceil(BYTES)).min(PLACES);
        Arc::clone(&self.0).try_acquire_many_owned(u32::try_from(places).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_room_takes_nobody_until_somebody_leaves() {
        let room = Room::new();
        let many = room.take(PLACES - 10, 100).unwrap();
        assert!(room.take(1, 11 * BYTES).is_none(), "a large body counts, too");
        let few = room.take(10, 100).unwrap();
        assert!(room.take(1, 1).is_none());
        drop((many, few));
        assert!(room.take(PLACES + 1, 1).is_some(), "what is larger than the room has it alone");
    }
}
