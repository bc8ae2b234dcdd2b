//! Starts what the demo needs and ends it again: a private broker, and every service as a child of this very binary.
//!
//! Nothing outlives the demo, however it ends. Services are children that the kernel kills with their parent; the broker
//! watches its caller; what is left is ended by process id. What others have started is never touched.

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use stream::clock::Tick;
use tokio::process::{Child, Command};

use crate::failure::{Exit, Failure};

/// How long a broker or a service may take until it is ready.
const START_UP: Duration = Duration::from_secs(60);

/// How long services may take to finish what they have begun, once they are told to end.
const DRAIN: Duration = Duration::from_secs(5);

/// So much of a log is told when something went wrong.
const LAST_LINES: usize = 5;

/// A directory of the run's own. Readable by its owner only: secrets and messages are in it.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    keep: bool,
}

impl Directory {
    /// Makes it, in the system's place for such things.
    pub fn new(keep: bool) -> Result<Self> {
        let base = std::env::temp_dir();
        for attempt in 0..100 {
            let path = base.join(format!("cascade-demo-{}-{attempt}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Directory { path, keep }),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => bail!(
                    "cannot make {} ({error}); point TMPDIR at a directory that can be written to",
                    path.display()
                ),
            }
        }
        bail!("{} is full of runs that were killed; remove cascade-demo-* there", base.display())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path in it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if !self.keep {
            // What cannot be removed now is removed by whoever empties the directory of temporary files.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Everything that was started.
#[derive(Debug)]
pub struct Supervisor {
    directory: Directory,
    binary: PathBuf,
    broker: Option<Child>,
    services: Vec<Service>,
}

#[derive(Debug)]
struct Service {
    name: String,
    child: Child,
}

impl Supervisor {
    /// Has started nothing yet.
    pub fn new(directory: Directory) -> Result<Self> {
        let binary = std::env::current_exe().context("cannot find this program's own file")?;
        Ok(Supervisor { directory, binary, broker: None, services: Vec::new() })
    }

    /// This program's own file.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// Where everything of this run lies.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Starts a broker and waits until it is ready. Gives back its address.
    pub async fn start_broker(&mut self, deploy: &Path) -> Result<String> {
        let home = self.directory.join("kafka");
        let script = deploy.join("kafka/start.sh");
        let mut command = Command::new(&script);
        command.arg(&home).env("KAFKA_CALLER", std::process::id().to_string());
        detached(&mut command).stdout(Stdio::null()).stderr(self.log("kafka-start")?);
        let child = command
            .spawn()
            .with_context(|| format!("cannot run {}; give the right --deploy directory", script.display()))?;
        let child = self.broker.insert(child);
        let file = home.join("bootstrap");
        let until = Tick::now().after(START_UP);
        loop {
            if let Ok(address) = fs::read_to_string(&file) {
                return Ok(address.trim().to_owned());
            }
            if child.try_wait()?.is_some() || until.remaining().is_zero() {
                let words = fs::read_to_string(self.directory.join("kafka-start.log")).unwrap_or_default();
                bail!(
                    "Kafka did not start: {}; its log is {}/kafka.log (see it with --keep)",
                    words.trim(),
                    home.display()
                );
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Runs a tool of this binary to its end and gives back what it said.
    pub async fn tool(&self, arguments: &[&str]) -> Result<String> {
        let mut command = self.command(arguments);
        let output = command.output().await.context("cannot run this program's own file")?;
        if !output.status.success() {
            // Its own sentence, after what its client libraries have logged, and its own exit code.
            let words = String::from_utf8_lossy(&output.stderr);
            let sentence = words.split("cascade: ").last().unwrap_or(&words).trim().to_owned();
            let exit = Exit::ALL.iter().find(|(exit, _)| output.status.code() == Some(*exit as i32));
            return Err(Failure::new(exit.map_or(Exit::Unexpected, |(exit, _)| *exit), sentence).into());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Starts a service. Its ops address will be in the file `NAME.ops`, its log is `NAME.log`.
    pub fn start(&mut self, name: &str, arguments: &[&str]) -> Result<()> {
        let mut command = self.command(arguments);
        command.args(["--instance", name, "--ops-port-file"]).arg(self.directory.join(&format!("{name}.ops")));
        let log = self.log(name)?;
        command.stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().context("cannot start a service; is setpriv (package util-linux) installed?")?;
        self.services.push(Service { name: name.to_owned(), child });
        Ok(())
    }

    /// Waits until a service has told where its ops endpoint listens.
    pub async fn ops_address(&mut self, name: &str) -> Result<String> {
        let file = self.directory.join(&format!("{name}.ops"));
        let until = Tick::now().after(START_UP);
        loop {
            if let Ok(address) = fs::read_to_string(&file) {
                return Ok(address.trim().to_owned());
            }
            self.check()?;
            if until.remaining().is_zero() {
                bail!("{name} did not start within a minute; look into its log with --keep");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// An error if something that was started is no longer there.
    pub fn check(&mut self) -> Result<()> {
        if let Some(broker) = &mut self.broker
            && let Some(status) = broker.try_wait()?
        {
            bail!("Kafka has ended ({status}); look into its log with --keep");
        }
        for service in &mut self.services {
            if let Some(status) = service.child.try_wait()? {
                let words = last_words(&self.directory.join(&format!("{}.log", service.name)));
                bail!("{} has ended ({status}):\n{words}", service.name);
            }
        }
        Ok(())
    }

    /// The end of every log, to be told when something is wrong and nobody knows what.
    pub fn last_words(&self) -> String {
        let words = |service: &Service| {
            let words = last_words(&self.directory.join(&format!("{}.log", service.name)));
            format!("{}:\n{words}\n", service.name)
        };
        self.services.iter().map(words).collect()
    }

    /// Ends everything: services may finish what they have begun, then the broker goes.
    pub async fn end(mut self) -> Result<()> {
        for service in &self.services {
            terminate(&service.child);
        }
        let until = Tick::now().after(DRAIN);
        for service in &mut self.services {
            if tokio::time::timeout(until.remaining(), service.child.wait()).await.is_err() {
                service.child.kill().await?;
            }
        }
        if let Some(broker) = &mut self.broker {
            // Nothing of it is kept, so nothing is lost. It leads a group of its own, with what its start script still runs.
            if let Some(id) = broker.id().and_then(|id| i32::try_from(id).ok()) {
                let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
            }
            broker.wait().await?;
        }
        Ok(())
    }

    /// This binary, in such a way that it does not outlive this process. Settings of the user's shell are not for it.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(&self.binary).args(arguments);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CASCADE_") {
                command.env_remove(name);
            }
        }
        command.env("CASCADE_CONFIG", self.directory.join("cascade.toml"));
        detached(&mut command);
        command
    }

    fn log(&self, name: &str) -> Result<File> {
        let path = self.directory.join(&format!("{name}.log"));
        File::options()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Ctrl-C at the terminal reaches the demo alone, which then ends its children in their order.
fn detached(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).process_group(0).kill_on_drop(true)
}

fn last_words(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}

fn terminate(child: &Child) {
    if let Some(id) = child.id().and_then(|id| i32::try_from(id).ok()) {
        // It may have ended by itself this very moment.
        let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
    }
}
