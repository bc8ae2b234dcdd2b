//! The providers of push, SMS, Viber, WhatsApp and Telegram: HTTP on loopback, with the failures that real ones have.
//!
//! | of a thousand | happens |
//! |---|---|
//! | 20 addresses | are dead: each message to them is refused (the inbox does the same) |
//! | 3 sends | are turned away once with 503, and taken when they come again |
//! | 1 send | is taken, but the first answer is lost: the worker cannot know |
//!
//! A send that comes again under the same id is the same message, as with any provider that knows idempotency keys.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::chance::Chance;
use super::message::{Message, web_addresses};

const DEAD_PER_MILLE: u64 = 20;
const BUSY_PER_MILLE: u64 = 3;
const SILENT_PER_MILLE: u64 = 1;

/// Where all messages arrive, whatever the channel.
#[derive(Debug)]
pub struct Desk {
    chance: Chance,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    /// Taken since somebody last asked.
    fresh: Vec<Message>,
    /// Every send ever taken, and how often it came.
    taken: HashMap<String, u32>,
    /// Sends that were turned away once.
    turned_away: HashSet<String>,
    counts: BTreeMap<String, Counts>,
}

/// What a provider counts for itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Different messages taken.
    pub taken: u64,
    /// Messages that came again after the answer was lost, and were recognised.
    pub repeated: u64,
    /// Messages that came again although the answer was given: somebody sends twice.
    pub doubled: u64,
    /// Messages to dead addresses.
    pub refused: u64,
    /// Calls turned away for now.
    pub turned_away: u64,
}

impl Desk {
    /// An empty desk.
    pub fn new(chance: Chance) -> Self {
        Desk { chance, book: Mutex::default() }
    }

    /// Whether somebody is behind this address.
    pub fn takes(&self, channel: &str, address: &str) -> bool {
        let dead = self.chance.happens(DEAD_PER_MILLE, address, channel);
        if dead {
            self.book().counts.entry(channel.to_owned()).or_default().refused += 1;
        }
        !dead
    }

    /// Takes a message, or recognises it. True if the answer gets lost: once, when the message is new.
    pub fn take(&self, message: Message) -> bool {
        let mut book = self.book();
        let times = book.taken.entry(message.send_id.clone()).or_default();
        *times += 1;
        let again = *times > 1;
        let is_silent = self.is_silent(&message);
        let counts = book.counts.entry(message.channel.clone()).or_default();
        match again {
            true if is_silent => counts.repeated += 1,
            true => counts.doubled += 1,
            false => {
                counts.taken += 1;
                book.fresh.push(message);
            }
        }
        is_silent && !again
    }

    /// Whether the first answer to this message gets lost.
    fn is_silent(&self, message: &Message) -> bool {
        message.channel != "email" && self.chance.happens(SILENT_PER_MILLE, &message.send_id, "silent")
    }

    /// What was taken since the last call, ordered by send id: who came first was a matter of machine time.
    pub fn fresh(&self) -> Vec<Message> {
        let mut fresh = std::mem::take(&mut self.book().fresh);
        fresh.sort_unstable_by(|a, b| a.send_id.cmp(&b.send_id));
        fresh
    }

    /// Each provider's own count, by channel.
    pub fn counts(&self) -> BTreeMap<String, Counts> {
        self.book().counts.clone()
    }

    /// True the first time, for those few whom the provider has no time for.
    fn is_busy(&self, channel: &str, send_id: &str) -> bool {
        if !self.chance.happens(BUSY_PER_MILLE, send_id, "busy") {
            return false;
        }
        let mut book = self.book();
        let first = book.turned_away.insert(send_id.to_owned());
        book.counts.entry(channel.to_owned()).or_default().turned_away += u64::from(first);
        first
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens the providers. A channel's messages are to be posted to `/CHANNEL`.
pub async fn open(desk: Arc<Desk>, tasks: &TaskTracker, end: CancellationToken) -> Result<SocketAddr> {
    let listener =
        tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("cannot listen for messages")?;
    let address = listener.local_addr()?;
    let router = Router::new().route("/{channel}", post(receive)).with_state(desk);
    tasks.spawn(async move {
        let served = axum::serve(listener, router).with_graceful_shutdown(end.cancelled_owned()).await;
        if let Err(error) = served {
            tracing::error!("the sandbox of providers has ended: {error}");
        }
    });
    Ok(address)
}

/// What the workers post.
#[derive(Deserialize)]
struct Posted {
    send_id: String,
    to: String,
    text: String,
    #[serde(default)]
    link: Option<String>,
    #[serde(default)]
    receipt_token: Option<String>,
}

async fn receive(State(desk): State<Arc<Desk>>, Path(channel): Path<String>, Json(posted): Json<Posted>) -> Response {
    if !desk.takes(&channel, &posted.to) {
        return (StatusCode::GONE, Json(json!({"code": "unregistered"}))).into_response();
    }
    if desk.is_busy(&channel, &posted.send_id) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let provider_id = format!("{channel}-{}", posted.send_id);
    let message = Message {
        channel,
        send_id: posted.send_id,
        links: posted.link.into_iter().chain(web_addresses(&posted.text)).collect(),
        receipt_token: posted.receipt_token,
        ..Message::default()
    };
    match desk.take(message) {
        true => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        false => Json(json!({"provider_id": provider_id})).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(desk: &Desk, channel: &str, send_id: &str) -> bool {
        desk.take(Message { channel: channel.to_owned(), send_id: send_id.to_owned(), ..Message::default() })
    }

    /// A send id whose answer gets lost, or not.
    fn send_id(desk: &Desk, is_silent: bool) -> String {
        let found = (0..10_000)
            .map(|n| n.to_string())
            .find(|id| desk.chance.happens(SILENT_PER_MILLE, id, "silent") == is_silent);
        found.unwrap()
    }

    #[test]
    fn a_message_that_comes_again_is_one_message_and_its_reason_is_told() {
        let desk = Desk::new(Chance::seeded(1));
        for is_silent in [true, false] {
            let id = send_id(&desk, is_silent);
            assert_eq!(post(&desk, "sms", &id), is_silent);
            assert!(!post(&desk, "sms", &id), "the second answer arrives");
        }
        assert_eq!(desk.fresh().len(), 2);
        let Counts { taken, repeated, doubled, .. } = desk.counts()["sms"];
        assert_eq!((taken, repeated, doubled), (2, 1, 1));
    }

    #[test]
    fn a_busy_provider_turns_a_message_away_once() {
        let desk = Desk::new(Chance::seeded(1));
        let turned_away: Vec<String> =
            (0..2_000).map(|n| n.to_string()).filter(|id| desk.is_busy("push", id)).collect();
        assert!((2..15).contains(&turned_away.len()), "{}", turned_away.len());
        assert!(turned_away.iter().all(|id| !desk.is_busy("push", id)));
    }

    #[test]
    fn the_dead_stay_dead_and_are_as_many_as_stated() {
        let desk = Desk::new(Chance::seeded(1));
        let dead = (0..5_000).filter(|n| !desk.takes("sms", &format!("+1{n}"))).count();
        assert!((70..130).contains(&dead), "{dead}");
        assert_eq!(desk.counts()["sms"].refused, dead as u64);
    }
}
