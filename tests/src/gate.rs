//! A provider that can be stopped at each point of a call, and counts every message that it takes.
//!
//! ```text
//! reached ── heard ── taken ── answered
//! ```
//!
//! It knows no idempotency keys: what comes twice counts twice.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::{Json, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::serve::Listener;
use nix::sys::socket::{Backlog, listen};
use serde::Deserialize;
use serde_json::json;
use stream::clock::Tick;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::http::runtime;

/// How far a call gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gate {
    /// No connection comes about.
    Unreached,
    /// The whole request is there, and nobody has looked at it.
    Heard,
    /// The message is taken. The answer waits.
    Taken,
    /// All the way.
    Answered,
    /// It is refused for now, at once.
    Busy,
}

/// A connection that has not come about by then does not come about.
const IN_VAIN: Duration = Duration::from_millis(100);

/// The kernel's queue of connections, while there is one.
const QUEUE: i32 = 512;

/// The provider.
#[derive(Debug)]
pub struct Gateway {
    /// Where it listens.
    pub address: SocketAddr,
    door: std::net::TcpListener,
    desk: Arc<Desk>,
    gate: watch::Sender<Gate>,
    /// Connections that fill the queue while nobody shall come through.
    fill: Mutex<Vec<TcpStream>>,
}

#[derive(Debug)]
struct Desk {
    gate: watch::Receiver<Gate>,
    /// After so long.
    pause: Duration,
    hangs_up: bool,
    opened: Tick,
    heard: Mutex<Vec<(String, Duration)>>,
    taken: Mutex<Vec<(String, Duration)>>,
    answered: AtomicUsize,
    inside: AtomicUsize,
    connections: Arc<AtomicUsize>,
}

impl Desk {
    fn note(&self, list: &Mutex<Vec<(String, Duration)>>, send_id: &str) {
        let entry = (send_id.to_owned(), self.opened.elapsed());
        list.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
    }
}

/// A call that stands somewhere inside; it leaves when its connection goes, too.
struct Inside(Arc<Desk>);

impl Inside {
    fn of(desk: &Arc<Desk>) -> Self {
        desk.inside.fetch_add(1, Ordering::SeqCst);
        Inside(Arc::clone(desk))
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Gateway {
    /// Opens it, all the way. Each call has to connect anew, so that a shut gate meets each.
    pub fn open() -> Self {
        Self::with(Duration::ZERO, true)
    }

    /// The same; connections stay, and each answer takes so long.
    pub fn keeping_connections(pause: Duration) -> Self {
        Self::with(pause, false)
    }

    fn with(pause: Duration, hangs_up: bool) -> Self {
        let (gate, seen) = watch::channel(Gate::Answered);
        let (heard, taken) = (Mutex::default(), Mutex::default());
        let (answered, inside) = (AtomicUsize::default(), AtomicUsize::default());
        let opened = Tick::now();
        let connections = Arc::<AtomicUsize>::default();
        let gate_of = seen.clone();
        let desk = Desk { gate: gate_of, pause, hangs_up, opened, heard, taken, answered, inside, connections };
        let desk = Arc::new(desk);
        let _inside = runtime().enter();
        let socket = TcpSocket::new_v4().expect("there are sockets");
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("loopback has a free port");
        let listener = socket.listen(QUEUE.unsigned_abs()).expect("it is bound").into_std().expect("it listens");
        let (address, door) =
            (listener.local_addr().expect("it is bound"), listener.try_clone().expect("it is a file"));
        let listener = tokio::net::TcpListener::from_std(listener).expect("it does not block");
        let routes = Router::new().route("/", post(take)).with_state(Arc::clone(&desk));
        let door_of = Door { listener, gate: seen, connections: Arc::clone(&desk.connections) };
        drop(runtime().spawn(async move { axum::serve(door_of, routes).await }));
        Gateway { address, door, desk, gate, fill: Mutex::default() }
    }

    /// Calls get so far from now on, those that wait somewhere, too.
    pub fn set(&self, gate: Gate) {
        let mut fill = self.fill.lock().unwrap_or_else(PoisonError::into_inner);
        if gate != Gate::Unreached {
            if !fill.is_empty() {
                // Nobody has read from those that slipped into the queue, and nobody will.
                while self.door.accept().is_ok() {}
                fill.clear();
                self.queue(QUEUE);
            }
            self.gate.send_replace(gate);
            return;
        }
        self.gate.send_replace(gate);
        self.queue(0);
        // Until the queue is full: what comes then is not even told that it waits.
        let connect = || runtime().block_on(async { timeout(IN_VAIN, TcpStream::connect(self.address)).await });
        while let Ok(connected) = connect() {
            fill.push(connected.expect("loopback connects"));
        }
    }

    fn queue(&self, length: i32) {
        listen(&self.door, Backlog::new(length).expect("it is short")).expect("it listens already");
    }

    /// How often each message was taken.
    pub fn taken(&self) -> BTreeMap<String, usize> {
        counted(&self.desk.taken)
    }

    /// When messages were taken, in their order, since this opened.
    pub fn moments(&self) -> Vec<Duration> {
        let taken = self.desk.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.iter().map(|(_, moment)| *moment).collect()
    }

    /// How often each message came, whatever became of it.
    pub fn heard(&self) -> BTreeMap<String, usize> {
        counted(&self.desk.heard)
    }

    /// Answers that were given.
    pub fn answered(&self) -> usize {
        self.desk.answered.load(Ordering::SeqCst)
    }

    /// Calls that stand somewhere between heard and answered.
    pub fn inside(&self) -> usize {
        self.desk.inside.load(Ordering::SeqCst)
    }

    /// Connections that were let in and have not ended: a request may lie in one that nobody has read yet.
    pub fn connections(&self) -> usize {
        self.desk.connections.load(Ordering::SeqCst)
    }
}

fn counted(list: &Mutex<Vec<(String, Duration)>>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for (id, _) in list.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        *counts.entry(id.clone()).or_default() += 1;
    }
    counts
}

/// Lets nobody in while the gate is shut.
struct Door {
    listener: tokio::net::TcpListener,
    gate: watch::Receiver<Gate>,
    connections: Arc<AtomicUsize>,
}

/// A connection that is counted while it is there.
struct Counted(TcpStream, Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Ordering::SeqCst);
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

impl Listener for Door {
    type Io = Counted;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            // The sender lives as long as anybody asks.
            drop(self.gate.wait_for(|gate| *gate != Gate::Unreached).await);
            if let Ok((stream, from)) = self.listener.accept().await {
                if *self.gate.borrow() != Gate::Unreached {
                    self.connections.fetch_add(1, Ordering::SeqCst);
                    return (Counted(stream, Arc::clone(&self.connections)), from);
                }
                // It was being waited for when the gate shut: nobody reads from it.
                drop(self.gate.wait_for(|gate| *gate != Gate::Unreached).await);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

#[derive(Deserialize)]
struct Body {
    send_id: String,
}

async fn take(State(desk): State<Arc<Desk>>, Json(Body { send_id }): Json<Body>) -> Response {
    let mut gate = desk.gate.clone();
    if *gate.borrow() == Gate::Busy {
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")]).into_response();
    }
    let inside = Inside::of(&desk);
    desk.note(&desk.heard, &send_id);
    drop(gate.wait_for(|gate| *gate >= Gate::Taken).await);
    desk.note(&desk.taken, &send_id);
    drop(gate.wait_for(|gate| *gate >= Gate::Answered).await);
    if !desk.pause.is_zero() {
        tokio::time::sleep(desk.pause).await;
    }
    desk.answered.fetch_add(1, Ordering::SeqCst);
    drop(inside);
    let connection = if desk.hangs_up { "close" } else { "keep-alive" };
    ([(header::CONNECTION, connection)], Json(json!({"provider_id": send_id}))).into_response()
}
