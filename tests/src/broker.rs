//! One private Kafka for each test binary.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait::until_some;

/// Runs the broker until it ends, which it does soon after the caller is gone (`KAFKA_CALLER`), and cleans up after it. Where
/// a restart is wished for, it begins anew.
const KEEPER: &str = r#"
while KAFKA_CALLER=$3 "$1" "$2"; [ -e "$2/again" ]; do rm "$2/again"; done
[ -e "$2/keep" ] || rm -rf "$2""#;

/// A broker on loopback, with a port that the kernel chose. Its directory holds those of the tests, too: all goes together,
/// also when somebody kills the tests.
#[derive(Debug)]
pub struct Broker {
    address: String,
    dir: PathBuf,
    keeper: u32,
}

/// The broker of this process, started by whoever asks first.
pub fn broker() -> &'static Broker {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    BROKER.get_or_init(Broker::start)
}

impl Broker {
    fn start() -> Self {
        let made = tempfile::Builder::new().prefix("cascade-tests-").tempdir();
        let dir = made.expect("the system's directory for temporary files can be written to").keep();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/kafka/start.sh");
        let child = Command::new("bash")
            .args(["-c", KEEPER, "keeper"])
            .args([&script, &dir])
            .arg(std::process::id().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            // A group of its own: Ctrl-C ends us, and our end ends the broker.
            .process_group(0)
            .spawn()
            .expect("bash is there");
        let mut keeper = Keeper(child);
        let address = until_some("the broker is ready", || {
            assert!(keeper.is_running(), "the broker did not start: run deploy/setup.sh, see {}", dir.display());
            std::fs::read_to_string(dir.join("bootstrap")).ok()
        });
        let id = keeper.0.id();
        keeper.leave_running();
        Broker { address: address.trim().to_owned(), dir, keeper: id }
    }

    /// Ends it, in an orderly way or as a crash does, and starts it again on the same data and port.
    pub fn restart(&self, signal: Signal) {
        let bootstrap = self.dir.join("bootstrap");
        std::fs::write(self.dir.join("again"), "").expect("the broker's directory can be written to");
        std::fs::remove_file(&bootstrap).expect("it was ready");
        let children = format!("/proc/{0}/task/{0}/children", self.keeper);
        let children = std::fs::read_to_string(children).expect("the shell that runs it is there");
        let id = children.split_whitespace().next().and_then(|id| id.parse().ok()).expect("it runs");
        kill(Pid::from_raw(id), signal).expect("it is ours");
        until_some("the broker is back", || std::fs::read_to_string(&bootstrap).ok());
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Where its log and data are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Leaves log and data behind after the end.
    #[expect(clippy::print_stderr, reason = "a test has failed already: nothing else can be told")]
    pub fn keep(&self) {
        if let Err(error) = std::fs::write(self.dir.join("keep"), "") {
            eprintln!("cannot keep {}: {error}", self.dir.display());
        }
    }
}

/// The shell that runs the broker.
struct Keeper(Child);

impl Keeper {
    fn is_running(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }

    /// It outlives this value and ends after the process.
    fn leave_running(self) {
        static RUNNING: Mutex<Vec<Keeper>> = Mutex::new(Vec::new());
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).push(self);
    }
}
