//! What configuration may look at: environment variables and files. Handed in, so that tests never touch the process.

use std::io;
use std::path::Path;

/// Where strings come from.
pub trait Surroundings {
    /// An environment variable, none if it is unset or not UTF-8.
    fn variable(&self, name: &str) -> Option<String>;
    /// Names of all environment variables.
    fn variables(&self) -> Vec<String>;
    /// A whole text file.
    ///
    /// # Errors
    /// Those of the file system.
    fn file(&self, path: &Path) -> io::Result<String>;
}

/// The real process.
pub struct Process;

impl Surroundings for Process {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn variables(&self) -> Vec<String> {
        std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect()
    }

    fn file(&self, path: &Path) -> io::Result<String> {
        std::fs::read_to_string(path)
    }
}
