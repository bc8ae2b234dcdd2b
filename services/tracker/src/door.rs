//! Connections: how many there may be, and when one is given up.
//!
//! Who opens a connection has to say what he wants within [`Limits::head`], and again after each answer: the head of a request that drips
//! in, or never comes, holds nothing for long. Its body has the time of a request.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// After a failure to accept, such as too many open files, so long nobody is let in.
const PAUSE: Duration = Duration::from_millis(500);
/// What is read of a connection before somebody takes it, in bytes; a head may not be larger. All connections together: 64 MiB.
const UNREAD: usize = 16 << 10;

/// What is borne with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Longest time until the head of a request is there.
    pub(crate) head: Duration,
    /// Longest request, with its body and Kafka's answer.
    pub(crate) request: Duration,
    /// Connections at once; others wait outside.
    pub(crate) connections: usize,
    /// Bytes of bodies that are held at once, believed or not.
    pub(crate) bodies: usize,
}

impl Default for Limits {
    fn default() -> Self {
        // Kafka's answer is waited for as long as a publication may take.
        Limits { head: Duration::from_secs(10), request: Duration::from_secs(15), connections: 4_096, bodies: 64 << 20 }
    }
}

/// Serves until `shutdown` has come and the requests under way are answered.
pub(crate) async fn serve(listener: TcpListener, router: Router, limits: Limits, shutdown: impl Future<Output = ()>) {
    tokio::pin!(shutdown);
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.head).max_buf_size(UNREAD);
    let (places, graceful, mut under_way) =
        (Arc::new(Semaphore::new(limits.connections)), GracefulShutdown::new(), JoinSet::new());
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, accept(&listener).await)
        };
        let (place, stream) = tokio::select! {
            next = next => next,
            () = &mut shutdown => break,
        };
        let service = TowerToHyperService::new(router.clone());
        let connection = graceful.watch(builder.serve_connection(TokioIo::new(stream), service));
        under_way.spawn(async move {
            let _place = place;
            // How a connection ends is its client's business.
            drop(connection.await);
        });
        while under_way.try_join_next().is_some() {}
    }
    drop(listener);
    graceful.shutdown().await;
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Answers are short: they must not wait for more.
                drop(stream.set_nodelay(true));
                return stream;
            }
            Err(error) => {
                tracing::warn!("a connection could not be accepted: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
