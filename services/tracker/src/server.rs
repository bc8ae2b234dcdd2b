//! The server: routes, limits, shutdown.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use schemas::token::Keyring;
use schemas::{Feedback, Record, Topics};
use stream::clock::Clock;
use stream::kafka::Settings;
use stream::publisher::Publisher;
use stream::{Error, Probe};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower_http::timeout::TimeoutLayer;

use crate::config::{Config, Provider, Speaker};
use crate::door::{self, Limits};
use crate::hooks::{self, Listening};
use crate::metrics::Metrics;
use crate::room::{self, Room};
use crate::signature::Secret;
use crate::sink::{Kafka, Sink};
use crate::spool::{Spool, publish, spool};
use crate::{ears, events, links, receipts, unsubscribe};

/// Seconds after which whoever was refused may come again.
const RETRY_AFTER: &str = "2";

/// How long requests under way and the spool may take after the word to stop.
const DRAIN: Duration = Duration::from_secs(20);

/// What every handler needs. Cheap to clone.
#[derive(Clone)]
pub struct Edge {
    pub(crate) keys: Arc<Keyring>,
    pub(crate) providers: Arc<HashMap<String, Speaker>>,
    pub(crate) producers: Arc<HashMap<String, Vec<Secret>>>,
    pub(crate) hooks: Arc<HashMap<String, Listening>>,
    pub(crate) room: Room,
    pub(crate) clock: Clock,
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) spool: Spool,
    pub(crate) metrics: Metrics,
    pub(crate) probe: Probe,
}

/// Serves until `shutdown` is cancelled. Then it is not ready, but still serves for a while: whoever shares requests out may not have heard
/// yet. After that requests under way are answered and the spool is emptied. `bound` is told the
/// address that was bound, once requests are taken.
///
/// # Errors
/// `Stop` if a secret cannot be read, the topic is missing or the address is taken, `Retry` if the brokers do not answer.
pub async fn run(
    config: &Config,
    settings: &Settings,
    topics: &Topics,
    clock: Clock,
    probe: Probe,
    metrics: Metrics,
    shutdown: CancellationToken,
    bound: impl FnOnce(SocketAddr),
) -> Result<(), Error> {
    let (publisher, partitions, hooks, echos) = {
        // Asks the brokers, which blocks.
        let (config, settings, topics) = (config.clone(), settings.clone(), topics.clone());
        let (clock, metrics, runtime) = (clock.clone(), metrics.clone(), Handle::current());
        let made = tokio::task::spawn_blocking(move || {
            let written = written(&config, &topics);
            let names: Vec<&str> = written.iter().map(String::as_str).collect();
            let publisher = Publisher::new(&settings, &names)?;
            let partitions = partitions(&settings, &topics, &written)?;
            let (hooks, echos) = ears::listen(&config, &settings, &topics, &clock, &metrics, &runtime)?;
            Ok::<_, Error>((publisher, partitions, hooks, echos))
        })
        .await;
        made.map_err(|error| Error::stop("start the tracker", error.to_string()))??
    };
    let sink = Arc::new(Kafka::new(publisher, topics.clone()));
    let behind = Behind { sink, partitions, hooks, limits: Limits::default() };
    let ended = serve(config, behind, clock, &probe, metrics, shutdown, bound).await;
    probe.set_ready(false);
    if ended.is_err() {
        probe.set_failed();
    }
    // Their threads are waited for.
    drop(tokio::task::spawn_blocking(move || drop(echos)).await);
    ended
}

/// The topics that a tracker with this configuration writes.
pub fn written(config: &Config, topics: &Topics) -> Vec<String> {
    let of_the_shop = topics.sources().map(|(topic, _)| topic).into_iter().filter(|topic| *topic != topics.feedback());
    let mut written = vec![topics.feedback()];
    written.extend(of_the_shop.filter(|_| !config.producers.is_empty()));
    if !config.hooks.is_empty() {
        written.push(topics.reply());
        written.extend(config.hooks.iter().map(|hook| topics.attempt(&hook.channel)));
    }
    written
}

/// How many partitions each of the sources has that are written, by the name of its records.
fn partitions(settings: &Settings, topics: &Topics, written: &[String]) -> Result<HashMap<&'static str, i32>, Error> {
    let mut partitions = HashMap::new();
    for (topic, record) in topics.sources().into_iter().filter(|(topic, _)| written.contains(topic)) {
        partitions.insert(record, settings.partitions(&topic)?.unwrap_or(1));
    }
    Ok(partitions)
}

/// Where what comes in goes, and what is borne with.
pub(crate) struct Behind {
    pub(crate) sink: Arc<dyn Sink>,
    /// Of each topic, by the name of its records; one where nothing is said.
    pub(crate) partitions: HashMap<&'static str, i32>,
    pub(crate) hooks: HashMap<String, Listening>,
    pub(crate) limits: Limits,
}

/// The same with any sink and any ears.
pub(crate) async fn serve(
    config: &Config,
    behind: Behind,
    clock: Clock,
    probe: &Probe,
    metrics: Metrics,
    shutdown: CancellationToken,
    bound: impl FnOnce(SocketAddr),
) -> Result<(), Error> {
    let Behind { sink, partitions, hooks, limits } = behind;
    let stop = |problems: Vec<String>| Error::stop("start the tracker", problems.join("; "));
    let speaker = |one: &Provider| Ok((one.name.clone(), Speaker::of(one)?));
    let producer = |one: &Provider| Ok((one.name.clone(), one.secrets("producer")?));
    let (spool, waiting) = spool(metrics.clone());
    let edge = Edge {
        keys: Arc::new(Keyring::load(&config.keys).map_err(stop)?),
        providers: Arc::new(config.providers.iter().map(speaker).collect::<Result<_, _>>().map_err(stop)?),
        producers: Arc::new(config.producers.iter().map(producer).collect::<Result<_, _>>().map_err(stop)?),
        hooks: Arc::new(hooks),
        room: Room::new(limits.bodies, &partitions),
        clock,
        sink: Arc::clone(&sink),
        spool,
        metrics: metrics.clone(),
        probe: probe.clone(),
    };
    let listening =
        |error: std::io::Error| Error::stop("listen", format!("{}: {error}; choose another address", config.listen));
    let listener = TcpListener::bind(config.listen).await.map_err(listening)?;
    let address = listener.local_addr().map_err(listening)?;
    let mut background = JoinSet::new();
    background.spawn(publish(waiting, sink, partitions.get(Feedback::NAME).copied().unwrap_or(1)));
    tracing::info!(%address, "the tracker listens");
    probe.set_ready(true);
    bound(address);
    let linger = Duration::from_secs(config.linger_seconds);
    let left = {
        let (probe, shutdown) = (probe.clone(), shutdown.clone());
        async move {
            shutdown.cancelled().await;
            probe.set_ready(false);
            tokio::time::sleep(linger).await;
        }
    };
    let server = door::serve(listener, router(edge, limits), limits, left);
    let drained = async {
        shutdown.cancelled().await;
        tokio::time::sleep(linger + DRAIN).await;
    };
    tokio::select! {
        () = server => {}
        () = drained => tracing::warn!("some requests did not end in time"),
    }
    // The router is gone, and with it the last end of the spool that takes facts: what still waits is published.
    if tokio::time::timeout(DRAIN, background.join_next()).await.is_err() {
        tracing::warn!("some opens and clicks could not be published before the end");
    }
    Ok(())
}

fn router(edge: Edge, limits: Limits) -> Router {
    Router::new()
        .route("/o/{file}", get(links::open))
        .route("/c/{token}", get(links::click))
        .route("/u/{token}", get(unsubscribe::ask).post(unsubscribe::act))
        .route("/receipts/{provider}", post(receipts::post))
        .route("/hooks/{channel}", get(hooks::ask).post(hooks::post))
        .route("/hooks/{channel}/{word}", post(hooks::post_by_path))
        .route("/events/{producer}", post(events::post))
        .route("/health", get(health))
        .route("/ready", get(ready))
        .layer(middleware::from_fn_with_state(edge.clone(), room::hold))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, limits.request))
        .layer(middleware::from_fn_with_state(edge.clone(), count))
        .with_state(edge)
}

/// Counts every request by its endpoint. Paths hold tokens and go nowhere. Whoever is told that it did not work, also by the limit of
/// time, is told when to come again.
async fn count(State(edge): State<Edge>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let endpoint = match path.split('/').nth(1) {
        Some("o") => "open",
        Some("c") => "click",
        Some("u") => "unsubscribe",
        Some("receipts") => "receipts",
        Some("hooks") => "hooks",
        Some("events") => "events",
        Some("health" | "ready") => "probe",
        _ => "other",
    };
    let mut response = next.run(request).await;
    if response.status() == StatusCode::SERVICE_UNAVAILABLE && endpoint != "probe" {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
    }
    edge.metrics.request(endpoint, response.status().as_u16());
    response
}

async fn health(State(edge): State<Edge>) -> StatusCode {
    if edge.probe.is_healthy() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

async fn ready(State(edge): State<Edge>) -> StatusCode {
    if edge.probe.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

#[cfg(test)]
mod tests;
