//! Kafka Streams: the same cascade in Java (`tests/peers/streams`), built by Maven, run as a process of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use system_tests::process::Process;

use super::ground::Ground;

/// As its experts would run it: a heap that is never short, and no collector that wants a core of its own.
const JVM: [&str; 5] =
    ["-Xms3g", "-Xmx3g", "-Xmn1500m", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"];

/// Ready to be started.
pub struct Streams {
    classes: String,
}

/// What a process of it is told.
pub struct Order<'a> {
    pub outputs: &'a [String],
    pub state_dir: &'a Path,
    pub commit_ms: u64,
    pub arm_at: Option<i64>,
    pub compression: &'a str,
}

impl Streams {
    /// Builds it; what Maven has fetched before, it does not fetch again.
    pub fn build() -> Result<Self, String> {
        let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/streams");
        let program = std::env::current_exe().expect("a process knows its program");
        let to = program.with_file_name("streams-peer");
        let maven = |more: &[&str]| {
            let mut command = Command::new("mvn");
            command.args(["-q", "-B", "process-classes", "-f"]).arg(home.join("pom.xml")).args(more);
            command.arg(format!("-Dbuild.to={}", to.display()));
            command.args(std::env::var("KAFKA_VERSION").map(|version| format!("-Dkafka.version={version}")).ok());
            command.output().map_err(|error| format!("a JDK of 17 or newer and Maven have to build the peer: {error}"))
        };
        let is_built = maven(&["-o"])?.status.success();
        let online = if is_built { None } else { Some(maven(&[])?) };
        match online.filter(|ended| !ended.status.success()) {
            Some(ended) => Err(format!(
                "a JDK of 17 or newer and Maven have to build the peer, but:\n{}",
                String::from_utf8_lossy(&ended.stdout)
            )),
            None => Ok(Streams { classes: format!("{0}/classes:{0}/lib/*", to.display()) }),
        }
    }

    /// Its group, and the beginning of its topics' names.
    pub fn group(ground: &Ground) -> String {
        ground.place.topic("streams")
    }

    /// The topics of its state.
    pub fn changelogs(ground: &Ground) -> [String; 2] {
        ["rows", "deadlines"].map(|store| format!("{}-{store}-changelog", Streams::group(ground)))
    }

    /// Starts it.
    pub fn start(&self, ground: &Ground, order: &Order<'_>) -> Process {
        let Order { outputs, state_dir, commit_ms, arm_at, compression } = order;
        let words = [
            format!("brokers={}", ground.place.brokers()),
            format!("group={}", Streams::group(ground)),
            format!("input={}", ground.input),
            format!("outputs={}", outputs.join(",")),
            format!("state={}", state_dir.display()),
            format!("commit-ms={commit_ms}"),
            format!("arm-at={}", arm_at.unwrap_or(0)),
            format!("compression={compression}"),
        ];
        let jvm = JVM.map(str::to_owned).into_iter();
        let main = ["-cp".to_owned(), self.classes.clone(), "Peer".to_owned()];
        let arguments: Vec<String> = jvm.chain(main).chain(words).collect();
        ground.start("streams", &PathBuf::from("java"), &arguments)
    }
}
