//! What runs beside every service on one small thread: the ops endpoint and the signals.

mod answers;
pub mod health;
pub mod idle;
pub mod metrics;
pub mod traces;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use prometheus::Registry;
use stream::Probe;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::failure::{Exit, Failure};

/// Where the endpoint listens, and who is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// File that the bound address is written to.
    pub port_file: Option<PathBuf>,
    /// Which installation all series are of.
    pub installation: String,
}

/// What the endpoint shows. Cheap to clone.
#[derive(Clone)]
pub struct Shown {
    /// Name of the service.
    pub service: String,
    /// The running loop.
    pub probe: Probe,
    /// Its metrics.
    pub registry: Registry,
}

/// The running endpoint.
pub struct Ops {
    /// What it shows.
    pub shown: Shown,
    /// Set by the first signal: finish what is begun, take nothing new.
    pub stop: Arc<AtomicBool>,
    /// The same, for what waits instead of looking.
    pub drain: CancellationToken,
    end: CancellationToken,
    thread: JoinHandle<()>,
}

impl Ops {
    /// Listens, tells where, and watches for signals.
    ///
    /// # Errors
    /// `Input` if the address is taken or the port file cannot be written.
    pub fn start(settings: &Settings, service: &str) -> Result<Self, Failure> {
        let probe = Probe::default();
        let registry =
            metrics::registry(service, &settings.installation, probe.clone()).map_err(Failure::unexpected)?;
        let shown = Shown { service: service.to_owned(), probe, registry };
        let listener = listen(settings)?;
        let stop = Arc::new(AtomicBool::new(false));
        let (drain, end) = (CancellationToken::new(), CancellationToken::new());
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::unexpected)?;
        let (terminate, interrupt) = {
            // Handlers stand before anything else is begun: no signal is lost from here on.
            let _inside = runtime.enter();
            let watch = |kind| signal(kind).map_err(Failure::unexpected);
            (watch(SignalKind::terminate())?, watch(SignalKind::interrupt())?)
        };
        let body = {
            let (shown, stop, drain, end) = (shown.clone(), Arc::clone(&stop), drain.clone(), end.clone());
            move || {
                runtime.block_on(async move {
                    tokio::select! {
                        () = answers::serve(listener, shown, end) => {}
                        () = obey(terminate, interrupt, &stop, &drain) => {}
                    }
                });
            }
        };
        let thread = stream::thread::spawn("ops", body).map_err(Failure::unexpected)?;
        Ok(Ops { shown, stop, drain, end, thread })
    }

    /// Ends the endpoint, after the service has drained.
    pub fn end(self) {
        self.end.cancel();
        // A panic in the thread has ended the process already.
        let _ = self.thread.join();
    }
}

fn listen(settings: &Settings) -> Result<TcpListener, Failure> {
    let wanted = settings.listen;
    let bind = || {
        let listener = TcpListener::bind(wanted)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok::<_, std::io::Error>((listener, address))
    };
    let (listener, address) = bind().map_err(|error| {
        Failure::new(
            Exit::Input,
            format!("cannot listen on {wanted} ({error}): set ops.listen to an address that is free"),
        )
    })?;
    tracing::info!(%address, "the ops endpoint listens");
    settings.port_file.as_deref().map_or(Ok(()), |path| announce(path, address))?;
    Ok(listener)
}

/// Writes an address into a file, in one step: whoever waits for the file never reads half of it.
///
/// # Errors
/// `Input` if the file cannot be written.
pub fn announce(path: &Path, address: SocketAddr) -> Result<(), Failure> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let written = std::fs::write(&fresh, format!("{address}\n")).and_then(|()| std::fs::rename(&fresh, path));
    written.map_err(|error| {
        let path = path.display();
        Failure::new(
            Exit::Input,
            format!("cannot write the port file {path} ({error}): check ops.port_file and tracker.port_file"),
        )
    })
}

/// The first signal drains, the second ends at once. Never returns otherwise.
async fn obey(mut terminate: Signal, mut interrupt: Signal, stop: &AtomicBool, drain: &CancellationToken) {
    let mut next = async || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    next().await;
    tracing::info!("a signal came: finishing what is begun; a second one ends at once");
    stop.store(true, Ordering::SeqCst);
    drain.cancel();
    next().await;
    at_once();
}

#[expect(
    clippy::disallowed_methods,
    reason = "somebody asked twice: what is open is aborted by the next owner, as after a crash"
)]
fn at_once() -> ! {
    tracing::warn!("a second signal came: ending at once");
    std::process::exit(130)
}
