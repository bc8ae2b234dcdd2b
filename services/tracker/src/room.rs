//! What may be held at once: bodies that come in, and records that wait for Kafka's answer. Whoever comes beyond it is told to come again.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use stream::publisher::all;
use stream::shares::Shares;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::server::Edge;
use crate::sink::{Publication, Refused};

/// Records that wait for Kafka. Fewer than the publisher's queue holds, so that nobody waits there and overtakes.
pub(crate) const PLACES: usize = 8_000;

/// Largest body, in bytes.
pub(crate) const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Not now. When to come again, the server says to whoever is answered so.
pub(crate) fn later() -> Response {
    StatusCode::SERVICE_UNAVAILABLE.into_response()
}

/// The room of one edge. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    places: Arc<Semaphore>,
    /// What each partition may have of them, by the name of what is written there.
    shares: Arc<HashMap<&'static str, Shares>>,
    bytes: Arc<Semaphore>,
}

impl Room {
    /// For so many bytes of bodies, and for topics that have so many partitions.
    pub(crate) fn new(bytes: usize, partitions: &HashMap<&'static str, i32>) -> Self {
        let shares = partitions.iter().map(|(record, count)| (*record, Shares::of(PLACES, *count))).collect();
        Room {
            places: Arc::new(Semaphore::new(PLACES)),
            shares: Arc::new(shares),
            bytes: Arc::new(Semaphore::new(bytes)),
        }
    }

    /// Publishes records of these names under these keys, each in a place of its own, which it gives back as soon as it is there or cannot
    /// be: so those for a partition that no broker leads do not fill the room. None if there is no room now, or none in one of their
    /// partitions; then nothing was published.
    pub(crate) async fn publish<'p>(
        &self,
        records: impl IntoIterator<Item = (&'static str, &'p [u8], Publication<'p>)>,
    ) -> Option<Result<(), Refused>> {
        let records: Vec<_> = records.into_iter().collect();
        let mut places = self.take(records.len())?;
        let placed = records.into_iter().map(|(record, key, publication)| -> Option<Publication<'p>> {
            let place = places.split(1);
            let share = match self.shares.get(record) {
                Some(shares) => Some(shares.take(key)?),
                None => None,
            };
            Some(Box::pin(async move {
                let answer = publication.await;
                drop((place, share));
                answer
            }))
        });
        let placed: Vec<_> = placed.collect::<Option<_>>()?;
        Some(all(placed).await)
    }

    /// Places for so many records of which nobody knows yet where they go. Who finds that out keeps partitions apart himself.
    pub(crate) fn take(&self, records: usize) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_many_owned(u32::try_from(records.min(PLACES)).ok()?).ok()
    }
}

/// Reads the body of a request as far as there is room for it, and keeps that until the request is answered. Who says nothing yet
/// takes no room, however much he has announced; who is not believed yet takes as much as anybody.
pub(crate) async fn hold(State(edge): State<Edge>, request: Request, next: Next) -> Response {
    let (head, mut body) = request.into_parts();
    if body.size_hint().lower() > BODY_BYTES_MAX as u64 {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    }
    let Ok(mut held) = Arc::clone(&edge.room.bytes).try_acquire_many_owned(0) else { return later() };
    let mut read = Vec::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let Ok(frame) = frame else { return StatusCode::BAD_REQUEST.into_response() };
        let piece = frame.into_data().unwrap_or_default();
        if read.len() + piece.len() > BODY_BYTES_MAX {
            return StatusCode::PAYLOAD_TOO_LARGE.into_response();
        }
        let size = u32::try_from(piece.len()).unwrap_or(u32::MAX);
        let Ok(more) = Arc::clone(&edge.room.bytes).try_acquire_many_owned(size) else { return later() };
        held.merge(more);
        read.extend_from_slice(&piece);
    }
    let response = next.run(Request::from_parts(head, Body::from(read))).await;
    drop(held);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_room_takes_nobody_until_somebody_leaves() {
        let room = Room::new(0, &HashMap::new());
        let many = room.take(PLACES - 10).unwrap();
        assert!(room.take(11).is_none());
        let few = room.take(10).unwrap();
        assert!(room.take(1).is_none());
        drop((many, few));
        assert!(room.take(PLACES + 1).is_some(), "what is larger than the room has it alone");
    }
}
