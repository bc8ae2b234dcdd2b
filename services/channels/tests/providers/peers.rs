//! Peers on other people's libraries, as processes: what they tell on stdout, and what they are told by stdin.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// Nothing that a test waits for takes longer, on a busy machine either.
pub const SOON: Duration = Duration::from_secs(20);

/// A peer that runs. It ends with this value.
pub struct Peer {
    _child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    orders: ChildStdin,
    /// Where it listens.
    pub port: u16,
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/providers/peers")
}

/// The interpreter with the libraries of `requirements.txt`. The first to come installs them.
async fn python() -> PathBuf {
    let venv = std::env::var("CASCADE_VENV")
        .map(PathBuf::from)
        .unwrap_or_else(|_| PathBuf::from(std::env::var("HOME").expect("a home")).join(".cache/cascade/venv"));
    let installed = Command::new("bash").arg(here().join("install.sh")).arg(&venv).status().await;
    assert!(
        installed.expect("bash runs").success(),
        "the libraries of the peers cannot be installed into {}",
        venv.display()
    );
    venv.join("bin/python")
}

impl Peer {
    /// Starts `script` and waits for its port.
    pub async fn start(script: &str, arguments: &[&Path]) -> Self {
        let mut child = Command::new(python().await)
            .arg(here().join(script))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the peer starts");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let orders = child.stdin.take().expect("its input");
        let mut peer = Peer { _child: child, lines, orders, port: 0 };
        let port = peer.told().await["port"].as_u64().expect("a port");
        peer.port = u16::try_from(port).expect("a port");
        peer
    }

    /// The next thing that it tells.
    pub async fn told(&mut self) -> Value {
        let line = timeout(SOON, self.lines.next_line()).await.expect("the peer says something in time");
        serde_json::from_str(&line.expect("its output").expect("it lives")).expect("JSON")
    }

    /// The next thing of a kind that it tells; others before it are passed over.
    pub async fn event(&mut self, kind: &str) -> Value {
        loop {
            let told = self.told().await;
            if told["event"] == kind {
                return told;
            }
        }
    }

    /// Tells it what to do.
    pub async fn order(&mut self, order: Value) {
        self.orders.write_all(format!("{order}\n").as_bytes()).await.expect("it listens");
    }
}

/// A certificate for 127.0.0.1 that vouches for itself, and its key.
pub fn certificate(directory: &Path, name: &str) -> (PathBuf, PathBuf) {
    let [certificate, key] = ["certificate", "key"].map(|what| directory.join(format!("{name}-{what}.pem")));
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
        .args([key.as_os_str(), "-out".as_ref(), certificate.as_os_str()])
        .output()
        .expect("openssl runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (certificate, key)
}
