//! Where one test happens: names that no other test uses, and a directory for state and logs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use stream::kafka::Settings;

use crate::broker::{Broker, broker};

/// The surroundings of one test. To be made first, so that it goes last: the directory is removed then, unless the test
/// failed.
#[derive(Debug)]
pub struct Place {
    /// Prefix of topics, groups and transactional ids.
    pub prefix: String,
    dir: PathBuf,
    broker: &'static Broker,
}

impl Place {
    /// A place of its own for the test `name` (lower-case letters, digits and `-`).
    pub fn new(name: &str) -> Self {
        let broker = broker();
        let made = tempfile::Builder::new().prefix(&format!("{name}-")).tempdir_in(broker.dir());
        let dir = made.expect("the broker's directory can be written to").keep();
        Place { prefix: name.to_owned(), dir, broker }
    }

    /// Address of the broker.
    pub fn brokers(&self) -> &str {
        self.broker.address()
    }

    /// The address of the broker for what speaks neither TLS nor SASL.
    pub fn plain_brokers(&self) -> &str {
        self.broker.plain_address()
    }

    /// The address by which Cascade reaches it.
    pub fn cascade_brokers(&self) -> &str {
        self.broker.cascade_address()
    }

    /// What every client of the broker has to know beside the address.
    pub fn properties(&self) -> &[(&'static str, String)] {
        self.broker.properties()
    }

    /// How a client of the engine, named so, reaches it.
    pub fn settings(&self, name: &str) -> Settings {
        let properties = self.properties().iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        Settings { properties: Arc::new(properties.collect()), ..Settings::new(self.brokers(), name) }
    }

    /// How many copies topics have.
    pub fn replication(&self) -> i32 {
        self.broker.replication()
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A path in the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Full name of a topic.
    pub fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }
}

impl Drop for Place {
    #[expect(clippy::print_stderr, reason = "who reads of a failed test must learn where to look")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.broker.keep();
            eprintln!("logs and state of this test are in {}", self.dir.display());
            eprintln!("the broker's log is in {}", self.broker.dir().display());
        } else if let Err(error) = std::fs::remove_dir_all(&self.dir) {
            eprintln!("cannot remove {}: {error}", self.dir.display());
        }
    }
}
