//! One broker process, and the shell that keeps it.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait::{until, until_some};

/// Runs the broker until it ends, which it does soon after the caller is gone (`KAFKA_CALLER`), and cleans up after it. Where
/// a restart is wished for, it begins anew, at once or as soon as nobody wants it to stay away.
const KEEPER: &str = r#"
while KAFKA_CALLER=$3 "$1" "$2"; [ -e "$2/again" ]; do
    rm "$2/again"
    while [ -e "$2/away" ] && kill -0 "$3" 2>/dev/null; do sleep 0.1; done
done
[ -e "$4/keep" ] || rm -rf "$4" 2>/dev/null"#;

/// What `deploy/kafka/start.sh` is told.
#[derive(Debug)]
pub struct Plan {
    /// Its directory.
    pub dir: PathBuf,
    /// Its port, if it has to be known before.
    pub port: Option<u16>,
    /// Further properties.
    pub settings: Option<String>,
    /// How its directory is formatted.
    pub format: Option<String>,
}

#[derive(Debug)]
pub struct Node {
    dir: PathBuf,
    keeper: u32,
}

impl Node {
    /// Starts it; `root` is removed when it ends.
    pub fn start(plan: &Plan, root: &Path) -> Self {
        let write = |name: &str, text: &str| {
            let path = plan.dir.join(name);
            std::fs::write(&path, text).expect("the broker's directory can be written to");
            path
        };
        std::fs::create_dir_all(&plan.dir).expect("the broker's directory can be made");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/kafka/start.sh");
        let mut command = Command::new("bash");
        command
            .args(["-c", KEEPER, "keeper"])
            .args([&script, &plan.dir])
            .arg(std::process::id().to_string())
            .arg(root)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            // A group of its own: Ctrl-C ends us, and our end ends the broker.
            .process_group(0);
        if let Some(port) = plan.port {
            write("port", &format!("{port}\n"));
        }
        if let Some(settings) = &plan.settings {
            command.env("KAFKA_SETTINGS", write("settings", settings));
        }
        if let Some(format) = &plan.format {
            command.env("KAFKA_FORMAT", format);
        }
        let child = command.spawn().expect("bash is there");
        let keeper = child.id();
        leave_running(child);
        Node { dir: plan.dir.clone(), keeper }
    }

    /// Waits until it says so.
    pub fn wait_until_ready(&self) {
        until_some("the broker is ready", || {
            assert!(self.is_running(), "the broker did not start: run deploy/setup.sh, see {}", self.dir.display());
            self.bootstrap()
        });
    }

    /// The address that it has written down.
    pub fn address(&self) -> String {
        self.bootstrap().expect("it is ready").trim().to_owned()
    }

    /// Ends it, and starts it again on the same data and port.
    pub fn restart(&self, signal: Signal) {
        self.end(signal);
        self.wait_until_back();
    }

    /// Ends it until [`Node::start_again`].
    pub fn stop(&self, signal: Signal) {
        std::fs::write(self.dir.join("away"), "").expect("the broker's directory can be written to");
        self.end(signal);
        // Whoever keeps it takes the wish for a restart away once it has ended.
        until("the broker has ended", || !self.dir.join("again").exists());
    }

    /// Starts it again on the same data and port.
    pub fn start_again(&self) {
        std::fs::remove_file(self.dir.join("away")).expect("it was stopped");
        self.wait_until_back();
    }

    /// Its end is followed by a start.
    fn end(&self, signal: Signal) {
        std::fs::write(self.dir.join("again"), "").expect("the broker's directory can be written to");
        std::fs::remove_file(self.dir.join("bootstrap")).expect("it was ready");
        self.signal(signal);
    }

    fn wait_until_back(&self) {
        until_some("the broker is back", || self.bootstrap());
    }

    /// Id of the broker's process.
    pub fn process(&self) -> u32 {
        let children = format!("/proc/{0}/task/{0}/children", self.keeper);
        let children = std::fs::read_to_string(children).expect("the shell that runs it is there");
        children.split_whitespace().next().and_then(|id| id.parse().ok()).expect("it runs")
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.process()).expect("process ids are small");
        kill(Pid::from_raw(id), signal).expect("it is ours");
    }

    fn bootstrap(&self) -> Option<String> {
        std::fs::read_to_string(self.dir.join("bootstrap")).ok()
    }

    fn is_running(&self) -> bool {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.iter_mut().any(|child| child.id() == self.keeper && matches!(child.try_wait(), Ok(None)))
    }
}

/// Processes that outlive the value that started them, and end after this process.
static RUNNING: Mutex<Vec<Child>> = Mutex::new(Vec::new());

pub fn leave_running(child: Child) {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner).push(child);
}
