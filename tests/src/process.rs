//! Real processes: started, stopped, frozen and killed.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::signal::unix::{SignalKind, signal};

use crate::wait::until_some;

/// A child process. It dies when this value does, and also when the test itself is killed.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program`; what it says is appended to `log`.
    pub fn start(
        program: &Path,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
        environment: impl IntoIterator<Item = (impl AsRef<OsStr>, impl AsRef<OsStr>)>,
        log: &Path,
    ) -> Self {
        let child = Command::new("setpriv")
            // Killed by the kernel if the thread that runs this test ends in whatever way.
            .args(["--pdeathsig", "KILL", "--"])
            .arg(program)
            .args(arguments)
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(open(log))
            .stderr(open(log))
            .process_group(0)
            .spawn()
            .expect("setpriv (util-linux) is there");
        Process { child, log: log.to_owned() }
    }

    /// Process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it, as a crash would, and waits for its end.
    pub fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.end();
    }

    /// Asks it to end, and waits for that.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.end()
    }

    /// Freezes it where it stands.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end.
    pub fn end(&mut self) -> ExitStatus {
        let child = &mut self.child;
        until_some("a process ends", || child.try_wait().expect("it is our child"))
    }

    /// A line of `/proc/<id>/status` in megabytes: `VmRSS` is what it holds, `VmHWM` the most that it ever held.
    pub fn memory_mb(&self, line: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).expect("the process lives");
        let found = status.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(':'));
        let kb: Option<f64> = found.and_then(|found| found.trim().strip_suffix("kB")?.trim().parse().ok());
        kb.expect("the kernel tells it") / 1024.0
    }

    /// Everything that it has said so far.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("process ids are small");
        // Nothing to do about one that has just ended.
        let _ended = kill(Pid::from_raw(id), signal);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.is_running() {
            self.signal(Signal::SIGKILL);
            let _ended = self.child.wait();
        }
    }
}

fn open(log: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(log).expect("the test's directory can be written to")
}

/// Set once this process is asked to end.
///
/// # Errors
/// If the system gives no thread, or no way to hear of signals.
pub fn stop_on_sigterm() -> std::io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut asked = {
        let _inside = runtime.enter();
        signal(SignalKind::terminate())?
    };
    stream::thread::spawn("signals", move || {
        runtime.block_on(asked.recv());
        told.store(true, Ordering::Relaxed);
    })?;
    Ok(stop)
}
